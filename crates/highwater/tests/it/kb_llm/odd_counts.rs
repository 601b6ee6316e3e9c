//! What an endpoint says beside an answer may be odd: the answer is paid for all the same, so it is kept, and counts.

use serde_json::json;

use highwater_testkit::faulty_http::Answer;

use super::Desk;
use super::endpoint::{Endpoint, pages};

/// A completion that says this, with a `usage` of these very bytes.
fn counted(text: &str, usage: &str) -> Answer {
    let message = json!({ "role": "assistant", "content": text });
    let body = format!(
        r#"{{"id":7,"choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}],"usage":{usage},"model":null}}"#
    );
    Answer::ok(body).header("content-type", "application/json")
}

/// A completion whose content has these bytes behind its first words, as they come over the wire.
fn with_bytes(text: &str, bytes: &[u8]) -> Answer {
    let content = json!(text.replace("The model read", "The model read MARK")).to_string();
    let (before, after) = content.split_once("MARK").unwrap();
    let body = [
        br#"{"choices":[{"message":{"content":"#.as_slice(),
        before.as_bytes(),
        bytes,
        after.as_bytes(),
        br#"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":50}}"#,
    ];
    Answer::ok(body.concat()).header("content-type", "application/json")
}

/// What was told of what was paid, in tokens.
fn paid(told: &str) -> u64 {
    let at = told.split("small was paid ").nth(1).unwrap_or_else(|| panic!("nothing was paid: {told}"));
    at.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn an_answer_whose_tokens_are_counted_oddly_is_paid_once_and_counts() {
    for (usage, told) in [
        (r#"{"prompt_tokens":100.0,"completion_tokens":50.0,"total_tokens":150.0}"#, Some(150)),
        (r#"{"prompt_tokens":"100","completion_tokens":49.5}"#, Some(150)),
        (r#"{"prompt_tokens":-5,"completion_tokens":"many","total_tokens":1e300}"#, None),
        (r#"{"prompt_tokens":NaN,"completion_tokens":-Infinity,"total_tokens":1e999}"#, None),
        (r#"{"prompt_tokens":{},"completion_tokens":[1]}"#, None),
        (r#""free of charge""#, None),
        ("[]", None),
        ("null", None),
    ] {
        let desk = Desk::new(1, Endpoint::start(move |asked| counted(&pages(&asked.document()), usage)));
        let ended = desk.add(&[]);
        assert_eq!(ended.code, 0, "{usage}: {ended:?}");
        assert_eq!((desk.endpoint.asked().len(), desk.kept()), (1, 1), "{usage}");
        let paid = paid(&format!("{}{}", ended.stdout, ended.stderr));
        match told {
            Some(told) => assert_eq!(paid, told, "{usage}"),
            // What is not counted is estimated.
            None => assert!((100..10_000).contains(&paid), "{usage}: {paid}"),
        }
    }
}

#[test]
fn half_a_character_in_an_answer_is_shown_as_none_and_the_answer_is_kept() {
    for bytes in [
        br"\ud83d".as_slice(),
        br"\uDE00",
        br"\ud83d\ud83d",
        br"\ud83d\n",
        br"\ud83dx",
        b"\xed\xa0\xbd",
        b"\xff",
        b"\x01",
    ] {
        let of = bytes.to_vec();
        let desk = Desk::new(1, Endpoint::start(move |asked| with_bytes(&pages(&asked.document()), &of)));
        assert_eq!(desk.pass(&[]), (0, "drained".into()), "{bytes:?}");
        assert_eq!((desk.endpoint.asked().len(), desk.kept()), (1, 1), "{bytes:?}");
        let summary = &desk.shown()["wiki/summaries/report-0.md"];
        assert!(summary.contains("The model read"), "{bytes:?}: {summary}");
    }
    // Whole ones stay what they are.
    let desk = Desk::new(
        1,
        Endpoint::start(|asked| with_bytes(&pages(&asked.document()), br"\ud83d\ude00 \ud83d and \\ud83d")),
    );
    assert_eq!(desk.pass(&[]), (0, "drained".into()));
    let summary = &desk.shown()["wiki/summaries/report-0.md"];
    assert!(summary.contains("read 😀 and"), "{summary}");
}

#[test]
fn tokens_that_are_counted_oddly_are_spent() {
    let odd = r#"{"prompt_tokens":-5,"completion_tokens":"many"}"#;
    let desk = Desk::new(3, Endpoint::start(move |asked| counted(&pages(&asked.document()), odd)));
    assert_eq!(desk.pass(&["--concurrency", "1", "--llm-tokens", "100"]), (3, "budget_tokens".into()));
    assert_eq!(desk.endpoint.asked().len(), 1);
}

#[test]
fn a_question_and_a_look_at_all_pages_pay_once_for_what_is_counted_oddly() {
    let odd = r#"{"prompt_tokens":100.5,"completion_tokens":-1}"#;
    let endpoint = Endpoint::start(move |asked| match asked.words() {
        words if words.contains("The page ") => counted(r#"{"findings":[]}"#, odd),
        _ if asked.document().is_empty() => counted("2 m [1].", odd),
        _ => counted(&pages(&asked.document()), odd),
    });
    let desk = Desk::new(2, endpoint);
    assert_eq!(desk.pass(&[]), (0, "drained".into()));
    for _ in 0..2 {
        let asked = desk.call(&["kb", "query", "how much water"], &[]);
        assert!(asked.code == 0 && asked.stdout.starts_with("2 m [1]"), "{asked:?}");
        assert_eq!(desk.endpoint.asked().len(), 3);
    }
    for _ in 0..2 {
        let looked = desk.call(&["kb", "lint", "--with-llm"], &["--json"]);
        let advised = &looked.json()["model"];
        assert_eq!((&advised["pages"], &advised["message"]), (&2.into(), &json!(null)), "{looked:?}");
        assert_eq!(desk.endpoint.asked().len(), 5);
    }
}
