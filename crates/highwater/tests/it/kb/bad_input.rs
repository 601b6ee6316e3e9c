//! What is refused (R15): one clear error, and nothing is changed.

use std::fs;

use super::{Desk, told};
use crate::rig::Rig;

#[test]
fn without_a_base_every_command_says_how_to_make_one() {
    let rig = Rig::new("");
    fs::create_dir(rig.path("plain")).unwrap();
    for args in [
        &["kb", "list"][..],
        &["kb", "add", "x.md"],
        &["kb", "search", "tides", "--kb", "plain"],
        &["kb", "undo", "--kb", "nowhere"],
        &["kb", "remove", "tides"],
        &["kb", "recompile", "--all", "--kb", "plain"],
    ] {
        insta::assert_snapshot!(format!("no_base_{}", args[1]), told(&rig, args));
    }
    assert!(fs::read_dir(rig.path("plain")).unwrap().next().is_none());
}

#[test]
fn a_path_that_is_not_there_adds_nothing() {
    let desk = Desk::new();
    let before = desk.shown();
    insta::assert_snapshot!(told(&desk.0, &["kb", "add", "in", "missing.md", "--kb", "notes"]));
    assert_eq!(desk.shown(), before);
}

#[test]
fn a_base_is_not_added_to_itself() {
    let desk = Desk::new();
    let before = desk.shown();
    insta::assert_snapshot!(told(&desk.0, &["kb", "add", "notes/wiki", "--kb", "notes"]));
    assert_eq!(desk.shown(), before);
}

#[test]
fn what_a_base_has_of_its_own_is_passed_over_and_said_to_be() {
    let desk = Desk::new();
    desk.0.write("in/tides.md", "# Tides\n\nTides follow the moon.\n");
    desk.ended(&[]);
    let told = |path: &str| {
        let ended = desk.0.ok(&["kb", "add", path, "--kb", "notes"]);
        format!("{}{}", ended.stdout, ended.stderr)
    };
    let said = "what lies in wiki/ and raw/ of the base is its own, and was passed over";
    assert!(told("notes").contains(said), "{}", told("notes"));
    // Where something else is found, nobody meant that.
    fs::create_dir(desk.0.path("notes/inbox")).unwrap();
    desk.0.write("notes/inbox/moon.md", "# Moon\n\nThe moon pulls.\n");
    assert!(!told("notes").contains(said), "{}", told("notes"));
    assert!(!told("in").contains(said), "{}", told("in"));
}

#[test]
fn a_base_is_not_made_in_what_another_writes() {
    let desk = Desk::new();
    for inside in ["notes/wiki/other", "notes/wiki", "notes/raw/a/b", "notes/.highwater/x", "notes/.highwater-state"] {
        let ended = desk.0.run(&["kb", "init", inside]);
        assert!(ended.code == 2 && ended.stderr.contains("HW-KB-"), "{inside}: {ended:?}");
        assert!(ended.stderr.contains("is of the knowledge base "), "{inside}: {ended:?}");
        assert!(!desk.0.path(inside).join(".highwater").exists(), "{inside}");
    }
    assert!(!desk.0.path("notes/wiki/other").exists());
    desk.0.ok(&["kb", "init", "notes/inbox/other"]);
    desk.0.ok(&["kb", "init", "notes"]);
}

#[test]
fn the_directory_of_the_ledger_is_the_one_that_is_named() {
    let desk = Desk::new();
    desk.0.write("in/tides.md", "# Tides\n\nTides follow the moon.\n");
    fs::write(desk.0.path("in/bad.pdf"), b"%PDF-1.7 and nothing else").unwrap();
    let at = |more: &[&str]| desk.0.ok(&[&["kb"], more].concat());
    let ended = at(&["add", "in", "--kb", "notes", "--state-dir", "elsewhere"]);
    assert!(ended.stderr.contains("elsewhere/ledger.db"), "{ended:?}");
    assert!(desk.0.path("elsewhere/ledger.db").is_file());
    assert!(!desk.0.path("notes/.highwater-state/ledger.db").exists());
    let status = at(&["status", "--kb", "notes", "--state-dir", "elsewhere"]);
    assert!(status.stdout.contains("1 document is for you to look at"), "{status:?}");
    // The ledger itself goes first.
    at(&["add", "in", "--kb", "notes", "--state-dir", "elsewhere", "--ledger", "own.db"]);
    assert!(desk.0.path("own.db").is_file());
}

#[test]
fn a_generation_that_is_not_there_is_refused() {
    let desk = Desk::new();
    insta::assert_snapshot!(told(&desk.0, &["kb", "undo", "99", "--kb", "notes"]));
}

#[test]
fn a_base_cannot_be_made_over_a_file() {
    let rig = Rig::new("");
    rig.write("file", "x");
    insta::assert_snapshot!(told(&rig, &["kb", "init", "file"]));
}

#[test]
fn a_damaged_database_is_named_and_left_alone() {
    let desk = Desk::new();
    fs::write(desk.0.path("notes/.highwater/kb.db"), b"SQLite format 3\0 and then nothing that is a database").unwrap();
    insta::assert_snapshot!(told(&desk.0, &["kb", "list", "--kb", "notes"]));
    assert!(desk.0.read("notes/.highwater/kb.db").contains("nothing that is"));
}

#[test]
fn a_link_in_the_place_of_a_directory_is_not_followed_and_named() {
    let desk = Desk::new();
    desk.0.write("in/tides.md", "# Tides\n\nTides follow the moon.\n");
    desk.ended(&[]);
    let (summaries, aside) = (desk.0.path("notes/wiki/summaries"), desk.0.path("aside"));
    fs::rename(&summaries, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &summaries).unwrap();
    insta::assert_snapshot!(told(&desk.0, &["kb", "lint", "--kb", "notes"]));
}

#[test]
fn a_page_that_was_deleted_is_in_no_conflict_and_what_puts_it_back_is_named() {
    let desk = Desk::new();
    desk.0.write("in/tides.md", "# Tides\n\nTides follow the moon.\n");
    desk.ended(&[]);
    fs::remove_file(desk.0.path("notes/wiki/summaries/tides.md")).unwrap();
    insta::assert_snapshot!(told(&desk.0, &["kb", "resolve", "summaries/tides", "--mine", "--kb", "notes"]));
    desk.0.ok(&["kb", "resolve", "summaries/tides", "--theirs", "--kb", "notes"]);
    assert!(desk.0.path("notes/wiki/summaries/tides.md").exists());
}
