//! `kb lint --with-llm`: what the model finds in pages that documents share, in their own words, and paid once.

use highwater_testkit::faulty_http::Answer;
use serde_json::{Value, json};

use super::endpoint::{Endpoint, PAID, said};
use super::{Desk, well};

/// A model that compiles, and says this of the page that all documents share.
fn advises(findings: fn() -> Value) -> Desk {
    let endpoint = Endpoint::start(move |asked| match (asked.document(), asked.words()) {
        (name, _) if !name.is_empty() => said(&well(&name)),
        (_, words) if words.contains("The page concepts/tidal-range:") => {
            said(&json!({ "findings": findings() }).to_string())
        }
        _ => said("{\"findings\": []}"),
    });
    let desk = Desk::new(3, endpoint);
    assert_eq!(desk.pass(&[]).0, 0);
    desk
}

fn two_heights() -> Value {
    json!([
        { "kind": "contradiction", "what": "Two heights.", "quotes": ["report-0 says how high.", "report-1 says how high."] },
        { "kind": "contradiction", "what": "Invented.", "quotes": ["report-0 says how high.", "report-7 says how low."] },
        { "kind": "gap", "what": "How high is not said.", "quotes": ["report-2 says how high."] },
    ])
}

fn looks(desk: &Desk) -> usize {
    desk.endpoint.asked().iter().filter(|asked| asked.document().is_empty()).count()
}

#[test]
fn what_the_model_finds_is_a_note_with_the_words_of_the_page_and_is_paid_once() {
    let desk = advises(two_heights);
    let lint = |more: &[&str]| desk.call(&["kb", "lint"], &[&["--with-llm"], more].concat());
    let ended = lint(&[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let told = "note contradiction: Two heights. “report-0 says how high.” and “report-1 says how high.”";
    assert!(ended.stdout.contains(told) && ended.stdout.contains("note gap: How high is not said."), "{ended:?}");
    assert!(ended.stdout.contains("wiki/concepts/tidal-range.md:"), "{ended:?}");
    assert!(!ended.stdout.contains("Invented."), "{ended:?}");
    assert!(ended.stderr.contains("1 finding of the model quoted what does not stand there"), "{ended:?}");
    // The idea and the office that all three share; what a document has alone contradicts nobody.
    assert_eq!(looks(&desk), 2);

    let ended = lint(&["--json", "--report"]);
    let last: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["counts"]["contradiction"], &last["counts"]["gap"]), (&1.into(), &1.into()), "{last}");
    assert_eq!((&last["model"]["tokens"], &last["model"]["pages"]), (&0.into(), &2.into()), "{last}");
    assert_eq!(looks(&desk), 2, "it is not asked again");
    let report = desk.rig.read(&format!("notes/{}", last["report"].as_str().unwrap()));
    assert!(report.contains("Two heights.") && !report.contains("Invented."), "{report}");

    // A page that changed is read again, the other is not.
    desk.rig.write("in/report-9.md", "# Report 9\n\nMore water.\n");
    assert_eq!(desk.pass(&[]).0, 0);
    assert!(looks(&desk) == 2 && lint(&[]).code == 0);
    assert_eq!(looks(&desk), 4, "both have a section more");
    // Nobody is asked who is not meant to be.
    let asked = desk.endpoint.asked().len();
    assert_eq!(desk.rig.run(&["kb", "lint", "--kb", "notes"]).code, 0);
    assert_eq!(desk.endpoint.asked().len(), asked);
}

#[test]
fn spent_tokens_and_an_endpoint_that_is_unwell_end_a_look_as_a_checkpoint() {
    let desk = advises(two_heights);
    let tokens = (PAID.0 + PAID.1).to_string();
    let limits = ["--with-llm", "--llm-tokens", &tokens];
    let ended = desk.call(&["kb", "lint"], &limits);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stdout.contains("Two heights.") && ended.stderr.contains("the model read 1 page"), "{ended:?}");
    assert_eq!(desk.call(&["kb", "lint"], &limits).code, 0);
    assert_eq!(looks(&desk), 2);

    for (answer, code) in [
        (Answer::hang_up(), 3),
        (Answer::status(401), 2),
        (Answer::status(429).header("retry-after", "600"), 3),
        (said("I see nothing."), 0),
    ] {
        let desk = Desk::new(
            2,
            Endpoint::start(move |asked| match asked.document().as_str() {
                "" => answer.clone(),
                name => said(&well(name)),
            }),
        );
        assert_eq!(desk.pass(&[]).0, 0);
        let before = desk.shown();
        let ended = desk.call(&["kb", "lint"], &["--with-llm"]);
        assert_eq!(ended.code, code, "{ended:?}");
        assert_eq!(desk.shown(), before);
        if code == 0 {
            assert!(ended.stderr.contains("of 2 pages the model said nothing that can be used"), "{ended:?}");
        }
    }
}

#[test]
fn a_model_that_is_not_meant_to_be_asked_is_refused() {
    let desk = advises(two_heights);
    let without = desk.call(&["kb", "lint"], &[]);
    assert!(without.code == 2 && without.stderr.contains("HW-KB-040"), "{without:?}");
    let nobody = desk.rig.run(&["kb", "lint", "--kb", "notes", "--with-llm"]);
    assert!(nobody.code == 2 && nobody.stderr.contains("HW-KB-040"), "{nobody:?}");
    // What the environment names is for those who ask.
    let mut quiet = desk.rig.command(&["kb", "lint", "--kb", "notes"]);
    let url = desk.endpoint.url();
    let ended = quiet.env("HIGHWATER_LLM_URL", &url).env("HIGHWATER_LLM_MODEL", "small").output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(looks(&desk), 0);
}
