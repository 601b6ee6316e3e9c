//! `kb watch` with real files and real kills: what appears, changes, moves and goes, and that nothing is taken half.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Child;

use serde_json::Value;

use crate::rig::{Ended, Rig, dice, end, pause, signal, wait_until};
use std::time::Duration;

/// A base, a directory beside it, and whoever watches that.
struct Desk {
    rig: Rig,
    watching: Option<Child>,
}

/// Short, so that the tests are.
const SETTLE: &str = "300ms";

impl Desk {
    fn new() -> Self {
        let rig = Rig::new("");
        fs::create_dir(rig.path("in")).unwrap();
        rig.ok(&["kb", "init", "notes"]);
        Self { rig, watching: None }
    }

    fn watch(&mut self, more: &[&str]) {
        let args = [&["kb", "watch", "in", "--kb", "notes", "--settle", SETTLE], more].concat();
        self.watching = Some(self.rig.start(&args));
    }

    /// Ends it as systemd does, and says what it told.
    fn ended(&mut self) -> String {
        let ended = self.signalled();
        assert_eq!(ended.code, 0, "{ended:?}");
        format!("{}{}", ended.stdout, ended.stderr)
    }

    fn signalled(&mut self) -> Ended {
        let child = self.watching.take().unwrap();
        signal(&child, "TERM");
        end(child)
    }

    fn kill_9(&mut self) {
        let mut child = self.watching.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn names(&self) -> Vec<String> {
        let listed = self.rig.ok(&["kb", "list", "--kb", "notes", "--json"]);
        let name = |line: &str| serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_owned();
        listed.stdout.lines().map(name).collect()
    }

    fn wait_for(&self, names: &[&str]) {
        wait_until(&format!("{names:?}"), || {
            let mut there = self.names();
            there.sort();
            there == names
        });
    }

    fn text(&self, name: &str) -> String {
        self.rig.read(&format!("notes/wiki/sources/{name}.md"))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(child) = &mut self.watching {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn what_appears_changes_moves_and_goes_is_followed() {
    let mut desk = Desk::new();
    desk.rig.write("in/first.md", "# First\n\nIt was there before.\n");
    desk.watch(&[]);
    desk.wait_for(&["first"]);
    desk.rig.write("in/second.md", "# Second\n\nIt came later.\n");
    desk.wait_for(&["first", "second"]);
    fs::create_dir_all(desk.rig.path("in/new/deep")).unwrap();
    desk.rig.write("in/new/deep/third.md", "# Third\n\nIn a directory that is new.\n");
    desk.wait_for(&["first", "second", "third"]);
    desk.rig.write("in/second.md", "# Second\n\nIt says another thing now.\n");
    wait_until("the change", || desk.text("second").contains("another thing"));
    // A file that is moved in, and one that takes another's place as editors save.
    desk.rig.write("elsewhere.md", "# Fourth\n\nMoved in.\n");
    fs::rename(desk.rig.path("elsewhere.md"), desk.rig.path("in/fourth.md")).unwrap();
    desk.rig.write("in/.first.md.tmp", "# First\n\nSaved by an editor.\n");
    fs::rename(desk.rig.path("in/.first.md.tmp"), desk.rig.path("in/first.md")).unwrap();
    desk.wait_for(&["first", "fourth", "second", "third"]);
    wait_until("the save", || desk.text("first").contains("Saved by an editor"));
    // What is renamed is known by its content; what goes stays in the base.
    fs::rename(desk.rig.path("in/fourth.md"), desk.rig.path("in/renamed.md")).unwrap();
    fs::remove_file(desk.rig.path("in/second.md")).unwrap();
    desk.rig.write("in/last.md", "# Last\n\nThe end.\n");
    desk.wait_for(&["first", "fourth", "last", "second", "third"]);
    let told = desk.ended();
    assert!(told.contains("in/second.md is gone; the base keeps what it has of it"), "{told}");
    assert!(told.contains("in/fourth.md is gone"), "{told}");
    assert!(told.contains("ended by a signal; the next start goes on"), "{told}");
    assert_eq!(fs::read_dir(desk.rig.path("notes/.highwater/desks")).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_still_written_is_not_taken_half() {
    let mut desk = Desk::new();
    desk.watch(&[]);
    let mut file = fs::File::create(desk.rig.path("in/slow.md")).unwrap();
    file.write_all(b"# Slow\n\n").unwrap();
    for n in 0..12 {
        writeln!(file, "Line {n} of a report that is written slowly.").unwrap();
        file.flush().unwrap();
        pause(Duration::from_millis(60));
    }
    writeln!(file, "The very end.").unwrap();
    drop(file);
    desk.wait_for(&["slow"]);
    desk.ended();
    let log = desk.rig.ok(&["kb", "log", "--kb", "notes", "--json"]);
    let added = log.stdout.lines().filter(|line| line.contains("\"op\":\"add\"")).count();
    assert!(desk.text("slow").contains("The very end."), "{}", desk.text("slow"));
    assert_eq!(added, 1, "{log:?}");
}

#[test]
fn r05_killed_again_and_again_it_loses_no_file_and_takes_none_twice() {
    let mut dice = dice("r05_killed_again_and_again_it_loses_no_file_and_takes_none_twice");
    let mut desk = Desk::new();
    let write = |desk: &Desk, n: u32, version: u32| {
        desk.rig.write(&format!("in/burst-{n:03}.md"), &format!("# Burst {n}\n\nVersion {version} of note {n}.\n"));
    };
    for burst in 0..8 {
        desk.watch(&[]);
        (burst * 25..burst * 25 + 15).for_each(|n| write(&desk, n, 1));
        pause(Duration::from_millis(dice.u64(1..1500)));
        desk.kill_9();
        // Nobody watches.
        (burst * 25 + 15..burst * 25 + 25).for_each(|n| write(&desk, n, 1));
        write(&desk, burst, 2);
    }
    fs::remove_file(desk.rig.path("in/burst-199.md")).unwrap();
    desk.watch(&[]);
    wait_until("all of them", || desk.names().len() >= 199);
    wait_until("the changes", || (0..8).all(|n| desk.text(&format!("burst-{n:03}")).contains("Version 2")));
    // A file that it found by its list may still be one that it was told of, and that has not come to rest: then it says that it waits.
    let ended = desk.signalled();
    assert!(matches!(ended.code, 0 | 3), "{ended:?}");
    let mut names = desk.names();
    names.sort();
    let expected: Vec<String> = (0..199).map(|n| format!("burst-{n:03}")).collect();
    assert_eq!(names, expected, "each once");
    let report = desk.rig.ok(&["kb", "add", "in", "--kb", "notes", "--json"]).json();
    assert_eq!(report["counts"]["done"], 0, "it is the same job, and has nothing left to do: {report}");
    assert_eq!(desk.rig.ok(&["kb", "lint", "--kb", "notes", "--verify"]).code, 0);
}

#[test]
fn a_signal_ends_it_at_once_and_says_whether_something_is_left() {
    let mut desk = Desk::new();
    desk.rig.write("in/a.md", "# A\n\nOne.\n");
    desk.watch(&["--json"]);
    desk.wait_for(&["a"]);
    fs::remove_file(desk.rig.path("in/a.md")).unwrap();
    desk.rig.write("in/b.md", "# B\n\nTwo.\n");
    desk.wait_for(&["a", "b"]);
    let child = desk.watching.take().unwrap();
    signal(&child, "TERM");
    let ended = end(child);
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let gone = desk.rig.path("in/a.md").canonicalize().unwrap_or(desk.rig.path("in/a.md"));
    assert!(lines.iter().any(|line| line["gone"][0] == gone.to_str().unwrap()), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line["counts"]["done"] == 1).count(), 2, "{lines:?}");
    // A file that has not come to rest is left for the next start.
    let mut child = desk.rig.start(&["kb", "watch", "in", "--kb", "notes", "--settle", "1h"]);
    let mut told = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("until SIGTERM"), "{told}");
    signal(&child, "TERM");
    assert_eq!(end(child).code, 3);
}

#[test]
fn what_nobody_is_told_of_is_found_by_a_look_at_everything() {
    let mut desk = Desk::new();
    // A file that was named lies where nothing is watched but for it; its change is told by its directory.
    desk.rig.write("in/a.md", "# A\n\nOne.\n");
    desk.rig.write("single.txt", "A single note.\n");
    let args = ["kb", "watch", "in", "single.txt", "--kb", "notes", "--settle", SETTLE, "--rescan", "1s"];
    desk.watching = Some(desk.rig.start(&args));
    desk.wait_for(&["a", "single"]);
    desk.rig.write("single.txt", "A single note, corrected.\n");
    wait_until("the correction", || desk.text("single").contains("corrected"));
    // The directory goes away for a while, as a disk does.
    fs::rename(desk.rig.path("in"), desk.rig.path("away")).unwrap();
    pause(Duration::from_millis(1500));
    fs::rename(desk.rig.path("away"), desk.rig.path("in")).unwrap();
    desk.rig.write("in/b.md", "# B\n\nTwo.\n");
    desk.wait_for(&["a", "b", "single"]);
    let told = desk.ended();
    assert!(told.contains("/in is not there now; it is looked for again"), "{told}");
    assert!(!told.contains("is gone"), "{told}");
}

#[test]
fn a_halt_is_told_and_waited_for() {
    let mut desk = Desk::new();
    desk.rig.write("in/a.md", "# A\n\nOne.\n");
    desk.watch(&[]);
    desk.wait_for(&["a"]);
    let ledger = "notes/.highwater-state/ledger.db";
    let jobs = desk.rig.ok(&["--ledger", ledger, "status", "--json"]);
    let at = jobs.stdout.find("kb-add-").unwrap_or_else(|| panic!("{jobs:?}"));
    let job: String = jobs.stdout[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    desk.rig.ok(&["--ledger", ledger, "halt", &job, "--why", "a person looks"]);
    desk.rig.write("in/b.md", "# B\n\nTwo.\n");
    pause(Duration::from_millis(1500));
    assert_eq!(desk.names(), ["a"]);
    desk.rig.ok(&["--ledger", ledger, "rearm", &job, "--why", "looked"]);
    desk.wait_for(&["a", "b"]);
    let told = desk.ended();
    assert!(told.contains("halted"), "{told}");
}

#[test]
fn what_waits_for_a_person_waits_also_after_the_next_round() {
    let mut desk = Desk::new();
    fs::write(desk.rig.path("in/bad.pdf"), b"%PDF-1.7 and nothing else").unwrap();
    fs::write(desk.rig.path("in/worse.pdf"), b"%PDF-1.7 and nothing else at all").unwrap();
    desk.watch(&[]);
    let status = |desk: &Desk| desk.rig.ok(&["kb", "status", "--kb", "notes"]).stdout;
    let waits = |desk: &Desk, said: &str| wait_until(said, || status(desk).contains(said));
    waits(&desk, "2 documents are for you to look at");
    for (n, name) in ["a", "b"].into_iter().enumerate() {
        desk.rig.write(&format!("in/{name}.md"), &format!("# {name}\n\nRound {n}.\n"));
        desk.wait_for(&["a", "b"][..=n]);
        waits(&desk, "2 documents are for you to look at");
        let told = status(&desk);
        // What is told to be called tells them.
        let list =
            told.lines().find(|line| line.contains(" items ")).unwrap().trim().strip_prefix("highwater ").unwrap();
        let listed = desk.rig.ok(&list.split(' ').collect::<Vec<_>>()).stdout;
        assert!(listed.contains("bad.pdf") && listed.contains("worse.pdf"), "{listed}");
    }
    // One is mended, and one goes.
    desk.rig.write("in/bad.pdf", "Text after all.\n");
    waits(&desk, "1 document is for you to look at");
    fs::remove_file(desk.rig.path("in/worse.pdf")).unwrap();
    desk.rig.write("in/c.md", "# C\n\nThe last round.\n");
    desk.wait_for(&["a", "b", "bad", "c"]);
    wait_until("nothing is left to look at", || !status(&desk).contains("to look at"));
    let told = desk.ended();
    assert_eq!(told.matches("for you to look at").count(), 1, "each is told once: {told}");
}

#[test]
fn a_directory_that_goes_is_told_once_and_not_by_each_file_of_it() {
    let mut desk = Desk::new();
    fs::create_dir_all(desk.rig.path("in/sub/deep")).unwrap();
    for name in ["sub/a", "sub/b", "sub/deep/c", "d"] {
        desk.rig.write(&format!("in/{name}.md"), &format!("# {name}\n\nOf {name}.\n"));
    }
    desk.watch(&[]);
    desk.wait_for(&["a", "b", "c", "d"]);
    fs::rename(desk.rig.path("in/sub"), desk.rig.path("away")).unwrap();
    fs::remove_file(desk.rig.path("in/d.md")).unwrap();
    desk.rig.write("in/e.md", "# e\n\nThe end.\n");
    desk.wait_for(&["a", "b", "c", "d", "e"]);
    let told = desk.ended();
    assert!(told.contains("in/sub is gone with 3 documents; the base keeps what it has of them"), "{told}");
    assert!(told.contains("in/d.md is gone; the base keeps what it has of it"), "{told}");
    assert_eq!(told.matches(" is gone").count(), 2, "{told}");
}

#[test]
fn what_is_not_there_at_the_start_is_refused() {
    let desk = Desk::new();
    let ended = desk.rig.run(&["kb", "watch", "missing", "--kb", "notes"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("HW-KB-020") && ended.stderr.contains("missing cannot be added"), "{ended:?}");
}
