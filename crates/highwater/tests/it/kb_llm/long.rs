//! A document that is longer than the model reads at once: its parts are read one by one, each once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_testkit::faulty_http::Answer;

use super::endpoint::{Endpoint, said};
use super::{Desk, well};

/// So many sections, which the smallest model reads in several parts.
const SECTIONS: usize = 40;

fn desk(endpoint: Endpoint) -> Desk {
    let desk = Desk::new(0, endpoint);
    let sections = (0..SECTIONS).map(|n| {
        let sentence = format!("In section {n} the gauge measured {n} metres of water at the pier of the harbour. ");
        format!("## Section {n}\n\n{}\n\n", sentence.repeat(14))
    });
    desk.rig.write("in/long.md", &format!("# Long\n\n{}", sections.collect::<String>()));
    desk
}

#[test]
fn a_long_document_is_read_in_parts_and_written_from_the_notes() {
    let desk = desk(Endpoint::start(|asked| {
        let words = asked.words();
        match words.split("This is part ").nth(1) {
            Some(part) => said(&format!("Notes on part {}.", part.split(' ').next().unwrap())),
            None => said(&well(&asked.document())),
        }
    }));
    assert_eq!(desk.pass(&["--llm-context", "4096"]), (0, "drained".into()));
    let asked = desk.endpoint.asked();
    let (notes, whole): (Vec<_>, Vec<_>) = asked.iter().partition(|asked| asked.words().contains("This is part "));
    assert!(notes.len() > 3 && whole.len() == 1, "{} and {}", notes.len(), whole.len());
    for n in 0..SECTIONS {
        let heading = format!("## Section {n}\n");
        assert_eq!(notes.iter().filter(|asked| asked.words().contains(&heading)).count(), 1, "each part is read once");
    }
    let given = whole[0].words();
    for n in 1..=notes.len() {
        assert!(given.contains(&format!("Notes on part {n}.")), "{given}");
    }
    assert!(given.contains(&format!("notes on its {} parts", notes.len())), "{given}");
    assert!(asked.iter().all(|asked| asked.words().chars().count() < 3 * 4096));
    assert!(desk.shown()["wiki/summaries/long.md"].contains("The model read long."));
    assert!(desk.shown()["wiki/summaries/long.md"].contains("## Sections"), "its tree is there");
}

#[test]
fn notes_that_were_paid_before_a_pass_ended_are_not_paid_again() {
    let count = Arc::new(AtomicUsize::new(0));
    let turns = Arc::clone(&count);
    let desk = desk(Endpoint::start(move |asked| match turns.fetch_add(1, Ordering::SeqCst) {
        3 => Answer::hang_up(),
        _ if asked.words().contains("This is part ") => said("Some notes."),
        _ => said(&well(&asked.document())),
    }));
    let limits = ["--llm-context", "4096", "--llm-tokens", "300"];
    let mut codes = Vec::new();
    for _ in 0..20 {
        let (code, reason) = desk.pass(&limits);
        codes.push(reason);
        if code == 0 {
            break;
        }
    }
    assert_eq!(codes.last().map(String::as_str), Some("drained"), "{codes:?}");
    assert!(codes.contains(&"network".to_owned()) && codes.contains(&"budget_tokens".to_owned()), "{codes:?}");
    let counts = desk.endpoint.counts();
    assert_eq!(counts.values().filter(|count| **count > 1).count(), 1, "what was hung up on, and nothing else");
    assert_eq!(counts.len(), desk.kept());
}
