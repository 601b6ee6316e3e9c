//! An endpoint that refuses, fails, answers nonsense or not at all: each ends the pass as it must, and nothing is changed that must not be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_testkit::faulty_http::Answer;
use serde_json::json;

use super::endpoint::{Endpoint, said};
use super::{Desk, KEY, one, read, well};
use crate::rig::Rig;

/// An endpoint that gives these answers, and then compiles.
fn then_well(answers: Vec<Answer>) -> Endpoint {
    let mut answers = answers.into_iter();
    Endpoint::start(move |asked| answers.next().unwrap_or_else(|| said(&well(&asked.document()))))
}

#[test]
fn r02_a_429_is_a_ban_and_nobody_asks_before_it_is_over() {
    let desk = Desk::new(3, then_well(vec![Answer::status(429).header("retry-after", "3600")]));
    assert_eq!(desk.pass(&["--concurrency", "1"]), (3, "banned_until".into()));
    assert_eq!(desk.endpoint.asked().len(), 1);
    // Not the next pass, not a pass over other documents, and not a question.
    assert_eq!(desk.pass(&[]), (3, "banned_until".into()));
    desk.rig.write("other.md", "# Other\n\nWords.\n");
    assert_eq!(desk.call(&["kb", "add", "other.md"], &["--json"]).json()["reason"], "banned_until");
    let asked = desk.call(&["kb", "query", "how much water"], &[]);
    assert_eq!(asked.code, 3, "{asked:?}");
    assert_eq!(desk.endpoint.asked().len(), 1);
    let (ledger, resource) = ("notes/.highwater-state/ledger.db", desk.endpoint.resource());
    desk.rig.ok(&["lift", &resource, "--why", "a test", "--ledger", ledger]);
    assert_eq!(desk.pass(&[]), (0, "drained".into()));
}

#[test]
fn a_key_that_is_refused_ends_the_pass_and_is_never_printed() {
    let refusal =
        json!({ "error": { "message": format!("Incorrect API key provided: {KEY}"), "code": "invalid_api_key" } });
    let desk = Desk::new(2, then_well(vec![Answer::status(401).body(refusal.to_string())]));
    let before = desk.shown();
    let mut ended = desk.add(&["--concurrency", "1", "-vv"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("HW-KB-036") && ended.stderr.contains("provided: ***"), "{ended:?}");
    assert_eq!(desk.shown(), before);
    assert_eq!(desk.endpoint.asked().len(), 1);
    ended.stdout.push_str(&desk.add(&["-vv"]).stderr);
    ended.stdout.push_str(&desk.call(&["kb", "query", "how much water"], &["-vv"]).stderr);
    let mut all = std::collections::BTreeMap::new();
    read(desk.rig.dir.path(), std::path::Path::new(""), &mut all);
    assert!(all.len() > 20, "{:?}", all.keys());
    for (path, text) in &all {
        assert!(!text.contains(KEY), "{path}");
    }
    assert!(!format!("{ended:?}").contains(KEY), "{ended:?}");
}

#[test]
fn a_model_that_is_not_there_is_refused_and_a_redirect_is_not_followed() {
    let elsewhere = Endpoint::compiles();
    let there = format!("{}/chat/completions", elsewhere.url());
    let no_model = json!({ "error": { "message": "model \"small\" not found", "type": "not_found_error" } });
    let desk = Desk::new(
        1,
        then_well(vec![
            Answer::status(404).body(no_model.to_string()),
            Answer::status(307).header("location", &there),
            Answer::status(302).header("location", &there),
        ]),
    );
    let before = desk.shown();
    for said in ["(404): model \"small\" not found", "(307)", "(302)"] {
        let ended = desk.add(&[]);
        assert!(ended.code == 2 && ended.stderr.contains("HW-KB-037") && ended.stderr.contains(said), "{ended:?}");
    }
    assert_eq!(desk.shown(), before);
    assert!(elsewhere.asked().is_empty(), "the document went to nobody else");
    assert_eq!(desk.pass(&[]), (0, "drained".into()));
}

#[test]
fn an_endpoint_that_is_unwell_ends_the_pass_and_the_document_is_tried_again() {
    let whole = well("report-0");
    let cut = said(&whole).cut_after(100);
    let faults = [
        ("cut off", cut),
        ("hung up on", Answer::hang_up()),
        ("not answered in time", Answer::silence()),
        ("failed", Answer::status(500).body("oops")),
        ("failed by a proxy", Answer::status(502).body("<html>bad gateway</html>")),
        ("answered by something else", Answer::ok("<html>Welcome to our hotel</html>")),
        ("answered with other JSON", Answer::ok("{\"choices\": []}")),
        ("answered without end", said(&"x".repeat(9 * 1024 * 1024))),
    ];
    for (what, fault) in faults {
        let desk = Desk::new(2, then_well(vec![fault]));
        let before = desk.shown();
        let limits = ["--concurrency", "1", "--llm-timeout", "2s"];
        assert_eq!(desk.pass(&limits), (3, "network".into()), "{what}");
        assert_eq!(desk.endpoint.asked().len(), 1, "{what}: nothing else is begun");
        assert_eq!(desk.shown(), before, "{what}");
        assert_eq!(desk.pass(&limits), (0, "drained".into()), "{what}");
    }
}

#[test]
fn a_document_whose_tries_are_spent_is_for_a_person_and_not_asked_about_once_more_by_the_same_call() {
    let desk = Desk::new(1, Endpoint::start(|_| Answer::status(500).body("oops")));
    for n in 1..5 {
        let ended = desk.add(&[]);
        assert_eq!((ended.code, desk.endpoint.asked().len()), (3, n), "{ended:?}");
        assert!(ended.stderr.contains("report-0.md is tried again by the next pass: "), "{ended:?}");
    }
    let last = desk.add(&[]);
    assert_eq!((last.code, desk.endpoint.asked().len()), (0, 5), "{last:?}");
    let told = format!("{}{}", last.stdout, last.stderr);
    assert!(told.contains("report-0.md is for you to look at: http://"), "{told}");
    assert!(!told.contains("tried again by the next pass"), "{told}");
    assert!(told.contains("the same call again looks for what changed since"), "{told}");
    // Who calls again wants it to be asked again.
    assert_eq!(desk.add(&[]).code, 3);
    assert_eq!(desk.endpoint.asked().len(), 6);
}

#[test]
fn an_endpoint_that_nobody_answers_at_is_told_of() {
    let desk = Desk::new(2, Endpoint::compiles());
    let before = desk.shown();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}/v1");
    let ended: crate::rig::Ended = desk.command(&desk.args(&["kb", "add", "in"], &url, &[])).output().unwrap().into();
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stdout.contains(&format!("http://{free} did not answer")), "{ended:?}");
    assert_eq!(desk.shown(), before);
}

#[test]
fn a_model_that_says_nothing_usable_twice_is_for_a_person_and_changes_nothing() {
    for garbage in
        ["I am sorry, I cannot do that.", "", "{\"title\": \"x\"", "[1, 2, 3]", "{\"title\": 1}", "\u{0}\u{1}"]
    {
        let desk = one(garbage);
        let mut before = desk.shown();
        let ended = desk.add(&["--json"]);
        assert_eq!((ended.code, &ended.json()["counts"]["review"]), (0, &1.into()), "{ended:?}");
        assert_eq!(desk.endpoint.asked().len(), 2, "asked again once");
        assert!(desk.endpoint.asked()[1].words().contains("That cannot be used: "), "{garbage:?}");
        let mut after = desk.shown();
        before.remove("wiki/log.md");
        after.remove("wiki/log.md");
        assert_eq!(after, before, "{garbage:?}");
        // Asked a second time, what was said is known.
        let ended = desk.add(&["--json"]);
        assert_eq!(&ended.json()["counts"]["review"], &1, "{ended:?}");
        assert_eq!(desk.endpoint.asked().len(), 2, "{garbage:?}");
    }
}

#[test]
fn what_a_model_mends_when_it_is_told_is_taken() {
    let turn = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&turn);
    let desk = Desk::new(
        1,
        Endpoint::start(move |asked| match count.fetch_add(1, Ordering::SeqCst) {
            0 => said("{\"title\": \"half\""),
            _ => said(&format!("Sorry! Here it is:\n```json\n{}\n```", well(&asked.document()))),
        }),
    );
    assert_eq!(desk.pass(&[]), (0, "drained".into()));
    assert_eq!(turn.load(Ordering::SeqCst), 2);
    assert!(desk.shown().contains_key("wiki/summaries/report-0.md"));
}

#[test]
fn what_an_endpoint_does_not_know_is_put_otherwise_and_remembered() {
    let refuses = |message: &str, param: &str| {
        Answer::status(400).body(json!({ "error": { "message": message, "param": param } }).to_string())
    };
    let desk = Desk::new(
        2,
        then_well(vec![
            refuses("Unsupported parameter: 'max_tokens' is not supported with this model.", "max_tokens"),
            refuses("Unsupported value: 'temperature' does not support 0 with this model.", "temperature"),
            refuses("This response_format type is unavailable now", "response_format.type"),
            Answer::status(400).body("{\"error\":\"'response_format.type' must be 'text'\"}"),
        ]),
    );
    assert_eq!(desk.pass(&["--concurrency", "1"]), (0, "drained".into()));
    let asked = desk.endpoint.asked();
    assert_eq!(asked.len(), 6, "each was learnt once");
    let last = &asked[5].body;
    assert!(last["max_tokens"].is_null() && last["max_completion_tokens"] == 2048, "{last}");
    assert!(last["temperature"].is_null() && last["response_format"].is_null(), "{last}");
    assert_eq!(asked[3].body["response_format"]["type"], "json_object");

    let stubborn = Desk::new(1, Endpoint::start(move |_| refuses("max_tokens is too large", "max_tokens")));
    let ended = stubborn.add(&[]);
    assert!(ended.code == 2 && ended.stderr.contains("HW-KB-037"), "{ended:?}");
    assert_eq!(stubborn.endpoint.asked().len(), 2);
}

#[test]
fn a_text_that_is_too_long_for_the_model_is_its_own_fault() {
    let too_long = json!({ "error": { "message": "the request exceeds the available context size",
        "type": "exceed_context_size_error" } });
    let desk = Desk::new(2, then_well(vec![Answer::status(400).body(too_long.to_string())]));
    let ended = desk.add(&["--json", "--concurrency", "1"]);
    let counts = &ended.json()["counts"];
    assert_eq!((&counts["done"], &counts["review"]), (&1.into(), &1.into()), "{ended:?}");
}

#[test]
fn a_short_ban_is_waited_out_once() {
    let desk = Desk::new(1, then_well(vec![Answer::status(503).header("retry-after", "1")]));
    let (code, reason) = desk.pass(&[]);
    assert_eq!((code, reason.as_str()), (0, "drained"), "the one document was in hand");
    assert_eq!(desk.endpoint.asked().len(), 2);
}

#[test]
fn a_dry_run_asks_nobody() {
    let rig = Rig::new("");
    rig.ok(&["kb", "init", "notes"]);
    rig.write("a.md", "# A\n");
    let ended = rig.run(&[
        "kb",
        "add",
        "a.md",
        "--kb",
        "notes",
        "--dry-run",
        "--llm-url",
        "http://127.0.0.1:1/v1",
        "--llm-model",
        "small",
    ]);
    assert_eq!(ended.code, 3, "{ended:?}");
}
