//! Documents that are removed, and come back.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{Desk, told};

/// A base with five reports and what they say together.
fn desk() -> Desk {
    let desk = Desk::new();
    for n in 0..5 {
        let text = format!(
            "# Report {n}\n\nThe tidal range is the height between high water and low water. Gauge {n} measures the tidal range.\n"
        );
        desk.0.write(&format!("in/report-{n}.md"), &text);
    }
    desk.ended(&[]);
    desk
}

#[test]
fn a_removal_says_what_it_touches_and_a_dry_run_says_the_same_and_changes_nothing() {
    let desk = desk();
    let everything = |desk: &Desk| {
        let mut files = desk.shown();
        super::read(&desk.0.path("notes"), std::path::Path::new(".highwater"), &mut files);
        files
    };
    let before = everything(&desk);
    let dry = told(&desk.0, &["kb", "remove", "report-0", "--dry-run", "--kb", "notes"]);
    assert!(everything(&desk) == before, "a dry run changes no byte");
    let done = told(&desk.0, &["kb", "remove", "report-0", "--kb", "notes"]);
    insta::assert_snapshot!("removal_dry", dry);
    insta::assert_snapshot!("removal", done);
    let shown = desk.shown();
    assert!(!shown.keys().any(|path| path.contains("report-0")), "{:?}", shown.keys());
    for (path, bytes) in shown.iter().filter(|(path, _)| !path.starts_with("wiki/log")) {
        assert!(!String::from_utf8_lossy(bytes).contains("report-0"), "{path} names it");
    }
}

#[test]
fn a_dry_run_lists_every_file_that_the_removal_changes_and_no_other() {
    let desk = desk();
    desk.0.write("in/alone.md", "# Alone\n\nOf seagrass meadows.\n");
    desk.ended(&[]);
    let remove = ["kb", "remove", "report-0", "alone", "--kb", "notes", "--json"];
    let listed = |ended: crate::rig::Ended| -> BTreeSet<String> {
        let json = ended.json();
        let touched = json["touched"].as_array().unwrap();
        touched.iter().map(|touched| touched["path"].as_str().unwrap().to_owned()).collect()
    };
    let before = desk.shown();
    let would = listed(desk.0.ok(&[&remove[..], &["--dry-run"]].concat()));
    assert!(desk.shown() == before);
    let did = listed(desk.0.ok(&remove));
    let after = desk.shown();
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed: BTreeSet<String> =
        paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).cloned().collect();
    assert!(changed.contains("wiki/index.md") && changed.contains("wiki/log.md"), "{changed:?}");
    assert_eq!(would, changed);
    assert_eq!(did, changed);
}

#[test]
fn a_document_is_named_by_the_path_it_was_added_from_and_several_go_at_once() {
    let desk = desk();
    let ended = desk.0.ok(&["kb", "remove", "in/report-1.md", "REPORT-2", "report-1", "--kb", "notes", "--json"]);
    let json = ended.json();
    assert_eq!(json["documents"], serde_json::json!(["report-1", "report-2"]));
    assert!(json["generation"].is_u64(), "{json}");
    let goes: Vec<&Value> =
        json["touched"].as_array().unwrap().iter().filter(|touched| touched["touch"] == "goes").collect();
    assert_eq!(goes.len(), 6, "{json}");
    desk.0.ok(&["kb", "undo", "--kb", "notes"]);
    assert!(desk.shown().contains_key("raw/report-1.md") && desk.shown().contains_key("raw/report-2.md"));
}

#[test]
fn a_document_that_is_not_there_is_refused_with_the_one_that_was_meant() {
    let desk = desk();
    let before = desk.shown();
    insta::assert_snapshot!(told(&desk.0, &["kb", "remove", "report-3", "reprot-4", "in/other.pdf", "--kb", "notes"]));
    assert_eq!(desk.shown(), before, "of several nothing is removed");
    insta::assert_snapshot!(
        "recompile_refused",
        told(&desk.0, &["kb", "recompile", "in/report-33.md", "--kb", "notes"])
    );
    insta::assert_snapshot!("recompile_of_nothing", told(&desk.0, &["kb", "recompile", "--kb", "notes"]));
}

#[test]
fn what_was_removed_is_added_again_by_the_same_call() {
    let desk = desk();
    let before = desk.shown();
    for more in [&[][..], &["--keep-raw"]] {
        let remove = [&["kb", "remove", "report-0", "report-3", "--kb", "notes"], more].concat();
        desk.0.ok(&remove);
        let kept = desk.shown().contains_key("raw/report-3.md");
        assert_eq!(kept, !more.is_empty());
        let report = desk.ended(&[]);
        assert_eq!((&report["counts"]["done"], &report["counts"]["present"]), (&2.into(), &3.into()), "{report}");
        let after = desk.shown();
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        // They come after the others now, on the pages that they share; their own are as they were.
        for (path, bytes) in after.iter().filter(|(path, _)| path.contains("report-")) {
            assert!(bytes == &before[path], "{path}");
        }
    }
}

#[test]
fn a_file_in_raw_that_was_kept_and_edited_stays_a_persons() {
    let desk = desk();
    desk.0.ok(&["kb", "remove", "report-0", "--keep-raw", "--kb", "notes"]);
    desk.0.write("notes/raw/report-0.md", "mine\n");
    desk.ended(&[]);
    assert_eq!(desk.0.read("notes/raw/report-0.md"), "mine\n");
    assert!(desk.0.read("notes/wiki/sources/report-0.md").contains("Gauge 0"));
}

#[test]
fn documents_that_are_removed_while_others_are_added_leave_a_whole_base() {
    let desk = Desk::full();
    let remove = ["kb", "remove", "report-03", "--kb", "notes"];
    let mut add = desk.0.doom(&["kb", "add", "in", "--kb", "notes"]);
    let mut removed = 0;
    while add.runs() {
        let ended = desk.0.run(&remove);
        // It is there or not, whenever that is asked.
        assert!(matches!(ended.code, 0 | 2), "{ended:?}");
        removed += u32::from(ended.code == 0);
    }
    let ended = add.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    let shown = desk.shown();
    let own = ["raw/report-03.md", "wiki/sources/report-03.md", "wiki/summaries/report-03.md"];
    let there = own.iter().filter(|path| shown.contains_key(**path)).count();
    assert!(there == 0 || there == own.len(), "{there} of its files are there");
    assert_eq!(there == 0, removed > 0, "it came in once, and went if that was asked after it");
    let named = shown.iter().any(|(path, bytes)| {
        !path.starts_with("wiki/log") && String::from_utf8_lossy(bytes).contains("[[summaries/report-03")
    });
    assert_eq!(named, there > 0);
    // Whatever came first, the next call brings it to what was asked for last.
    desk.ended(&[]);
    assert!(own.iter().all(|path| desk.shown().contains_key(*path)));
    assert_eq!(fs::read_dir(desk.0.path("notes/.highwater/tmp")).unwrap().count(), 1, "the sign that it stands");
}
