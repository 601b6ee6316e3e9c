//! Changes that are committed and cannot be written to `wiki/` and `raw/` at first: what is told finishes them, and who calls again gets no
//! other change than the one that was asked for.

use std::fs;
use std::os::unix::fs::symlink;

use highwater_testkit::bind_mount::BindMount;

use super::Desk;
use crate::rig::Ended;

/// What is written to by every change here.
const WIKI: &str = "notes/wiki/concepts";

impl Desk {
    /// One call while something has the place of a directory.
    fn obstructed(&self, args: &[&str]) -> Ended {
        let (wiki, aside) = (self.0.path(WIKI), self.0.path("aside"));
        fs::rename(&wiki, &aside).unwrap();
        symlink(self.0.path("in"), &wiki).unwrap();
        let ended = self.0.run(&[&["kb"], args, &["--kb", "notes"]].concat());
        fs::remove_file(&wiki).unwrap();
        fs::rename(&aside, &wiki).unwrap();
        assert!(ended.code == 1 && ended.stderr.contains("HW-KB-022"), "{args:?}: {ended:?}");
        ended
    }

    fn again(&self, args: &[&str]) -> Ended {
        self.0.run(&[&["kb"], args, &["--kb", "notes"]].concat())
    }

    fn head(&self) -> u64 {
        self.0.ok(&["kb", "status", "--kb", "notes", "--json"]).json()["generation"]["number"].as_u64().unwrap()
    }

    fn stands(&self) -> bool {
        self.0.ok(&["kb", "status", "--kb", "notes", "--json"]).json()["applied"].as_bool().unwrap()
    }

    fn has(&self, document: &str) -> bool {
        self.0.ok(&["kb", "list", "--kb", "notes"]).stdout.contains(document)
    }

    /// A base with one document more than [`Desk::full`].
    fn with_new() -> Self {
        let desk = Self::full();
        desk.ended(&[]);
        let text = fs::read_to_string(desk.0.path("in/report-03.md")).unwrap();
        desk.0.write("in/new.md", &text.replace("Report 3", "New").replace("Gauge 3", "Gauge 99"));
        desk.ended(&[]);
        assert!(desk.has("new"));
        desk
    }
}

#[test]
fn what_is_told_where_a_change_is_committed_and_not_written_writes_it_and_changes_nothing_else() {
    for (args, sign, is_left) in
        [(&["undo"][..], "wiki/summaries/new.md", false), (&["remove", "new"], "wiki/summaries/new.md", false)]
    {
        let desk = Desk::with_new();
        let refused = desk.obstructed(args);
        let head = desk.head();
        assert!(!desk.stands() && desk.shown().contains_key(sign) != is_left, "{refused:?}");
        let told = refused.stderr.split('`').find(|told| told.starts_with("highwater kb ")).expect("a next step");
        assert!(told.starts_with("highwater kb lint --fix --kb "), "{told}");
        let ended = desk.0.sh(told);
        assert_eq!(ended.code, 0, "{told}: {ended:?}");
        assert!(desk.stands() && desk.head() == head && desk.shown().contains_key(sign) == is_left, "{ended:?}");
        let linted = desk.again(&["lint"]);
        assert_eq!(linted.code, 0, "{linted:?}");
    }
}

#[test]
fn r05_who_calls_an_undo_again_that_could_not_be_written_gets_that_and_not_its_opposite() {
    let desk = Desk::with_new();
    desk.obstructed(&["undo"]);
    let head = desk.head();
    let ended = desk.again(&["undo"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains(&format!("generation {head} ")), "{ended:?}");
    assert!(desk.stands() && desk.head() == head && !desk.has("new"), "{ended:?}");
    assert!(!desk.shown().contains_key("wiki/summaries/new.md"));
    // From now on it is one like any other.
    let ended = desk.again(&["undo"]);
    assert!(ended.code == 0 && desk.has("new"), "{ended:?}");
    // To a generation by its number one goes once, however often it is said.
    let to = (head + 1).to_string();
    desk.0.ok(&["kb", "remove", "new", "--kb", "notes"]);
    desk.obstructed(&["undo", &to]);
    let ended = desk.again(&["undo", &to]);
    assert!(ended.code == 0 && ended.stdout.contains("nothing changed") && desk.has("new"), "{ended:?}");
}

#[test]
fn a_removal_that_could_not_be_written_is_written_by_the_same_call_again_and_by_one_that_is_refused() {
    let desk = Desk::with_new();
    desk.obstructed(&["remove", "new"]);
    let ended = desk.again(&["remove", "in/new.md"]);
    assert!(ended.code == 0 && ended.stdout.contains("new is removed"), "{ended:?}");
    assert!(desk.stands() && !desk.shown().contains_key("wiki/summaries/new.md"));
    let ended = desk.again(&["remove", "new"]);
    assert!(ended.code == 2 && ended.stderr.contains("HW-KB-027"), "it was removed before: {ended:?}");

    for args in
        [&["remove", "nothing-such"][..], &["recompile", "nothing-such"], &["resolve", "nothing-such", "--mine"]]
    {
        let desk = Desk::with_new();
        desk.obstructed(&["remove", "new"]);
        let ended = desk.again(args);
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
        assert!(desk.stands() && !desk.shown().contains_key("wiki/summaries/new.md"), "{args:?}: {ended:?}");
    }
}

#[test]
fn a_conflict_that_was_ended_and_could_not_be_written_is_told_as_ended_by_the_same_call_again() {
    let desk = Desk::in_conflict();
    let ended = desk.0.run(&["kb", "resolve", "summaries/report-04", "--mine", "--kb", "notes"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let page = desk.0.path("notes/wiki/summaries/report-05.md");
    // What is mounted in its place can be read, and not be replaced.
    let mount = match BindMount::mount(&page, &page) {
        Ok(mount) => mount,
        Err(not_here) => {
            return not_here.say("a_conflict_that_was_ended_and_could_not_be_written_is_told_as_ended");
        }
    };
    let refused = desk.again(&["resolve", "summaries/report-05", "--theirs"]);
    assert!(refused.code == 1 && refused.stderr.contains("HW-KB-022"), "{refused:?}");
    drop(mount);
    let ended = desk.again(&["resolve", "summaries/report-05", "--theirs"]);
    assert!(ended.code == 0 && ended.stdout.contains("report-05.md: what the base has stays"), "{ended:?}");
    assert!(desk.stands() && desk.shown()["wiki/summaries/report-05.md"] != b"mine\n");
    assert_eq!(desk.conflicts(), 0);
}
