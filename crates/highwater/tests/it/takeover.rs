//! Take-over: a cron-driven wrapper of the old kind is replaced in place, at whatever point it had come to, and the habits
//! around it go on: the lock, the log, the markers.

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use crate::rig::{Ended, Flock, Rig, UNTIL_GO, end, spin_until};

const BOOKS: [&str; 8] = ["emma", "ivanhoe", "walden", "middlemarch", "ulysses?", "dubliners", "dracula", "kim"];
/// The new line in the crontab.
const CRON: &str = "highwater run old --cron >>old.log 2>&1";

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/takeover")
}

/// The example as it lies in the repository: the wrapper has not run yet.
fn wrapper() -> Rig {
    let rig = Rig::new("");
    for name in ["old-wrapper.sh", "load", "books.txt", "highwater.toml"] {
        std::fs::copy(example().join(name), rig.path(name)).unwrap();
    }
    rig
}

/// The wrapper's own call, as cron made it.
fn old(rig: &Rig) -> i32 {
    rig.sh("./old-wrapper.sh").code
}

/// The wrapper has halted at the fifth book.
fn halted() -> Rig {
    let rig = wrapper();
    assert_eq!([old(&rig), old(&rig), old(&rig)], [3, 4, 4]);
    assert_eq!(loaded(&rig), BOOKS[..4]);
    rig
}

/// The wrapper has loaded everything.
fn done() -> Rig {
    let rig = wrapper();
    rig.write("shelf", "B 12\n");
    assert_eq!([old(&rig), old(&rig), old(&rig), old(&rig)], [3, 3, 0, 0]);
    assert_eq!(loaded(&rig), BOOKS);
    rig
}

fn loaded(rig: &Rig) -> Vec<String> {
    rig.read("loaded.txt").lines().map(str::to_owned).collect()
}

/// One pass: exit code and reason.
fn pass(rig: &Rig) -> (i32, String) {
    let ended = rig.run(&["--json", "run", "old"]);
    let json: Vec<Value> = ended.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let report = json.last().unwrap_or_else(|| panic!("no report: {ended:?}"));
    (ended.code, report["reason"].as_str().unwrap_or_else(|| panic!("no reason: {ended:?}")).to_owned())
}

/// The audit trail: act, who, why.
fn events(rig: &Rig) -> Vec<[String; 3]> {
    let lines = rig.ok(&["events", "--json"]).stdout;
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .map(|event| ["act", "who", "why"].map(|field| event[field].as_str().unwrap_or_default().to_owned()))
        .collect()
}

fn remove(rig: &Rig, name: &str) {
    std::fs::remove_file(rig.path(name)).unwrap();
}

/// The shell blocks of a Markdown page, in order.
fn blocks(page: &str) -> Vec<String> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix("sh\n").map(str::to_owned)).collect()
}

#[test]
fn the_page_on_taking_over_works_as_it_is_written() {
    let rig = wrapper();
    let page = std::fs::read_to_string(example().join("README.md")).unwrap();
    let [try_it, check, import, cron, go_on] = blocks(&page).try_into().expect("five blocks to type");
    let typed = |block: &str| rig.sh(&format!("set -e\n{block}"));

    assert_eq!(rig.sh(&try_it).code, 4);
    assert_eq!(loaded(&rig), BOOKS[..4]);
    let checked = typed(&check);
    assert_eq!(checked.code, 0, "{checked:?}");
    let imported = typed(&import);
    assert_eq!(imported.code, 0, "{imported:?}");
    assert!(imported.stdout.contains("old: halted") && imported.stdout.contains("on which shelf?"), "{imported:?}");
    assert_eq!(typed(&cron).code, 0);
    assert_eq!(loaded(&rig), BOOKS[..4], "a halt holds");
    assert_eq!(typed(&go_on).code, 0);
    assert_eq!(loaded(&rig), BOOKS);
    assert!(rig.path(".done").exists() && !rig.path(".halted").exists());
    assert_eq!(pass(&rig), (0, "already_drained".into()));
}

#[test]
fn r04_a_halted_wrapper_is_taken_over_and_deleting_halted_rearms() {
    let rig = halted();
    let evidence = rig.read(".halted");
    let said = rig.ok(&["import", "markers", "."]);
    assert!(said.stdout.contains("old: halted") && said.stdout.contains("delete"), "{said:?}");
    let status = rig.ok(&["status", "old"]).stdout;
    assert!(status.contains("ulysses: on which shelf?"), "the wrapper's own evidence: {status}");
    for _ in 0..2 {
        assert_eq!(pass(&rig), (4, "halted".into()));
    }
    assert_eq!(loaded(&rig), BOOKS[..4], "nothing is started");
    assert_eq!(rig.read(".halted"), evidence, "what is there stays as it is");

    rig.write("shelf", "B 12\n");
    remove(&rig, ".halted");
    assert_eq!(pass(&rig), (3, "checkpoint".into()));
    assert_eq!(loaded(&rig), BOOKS[..7], "it goes on where the wrapper stopped");
    assert!(!rig.path(".done").exists(), "not before it is so");
    assert_eq!(pass(&rig), (0, "drained".into()));
    assert_eq!(loaded(&rig), BOOKS);

    let events = events(&rig);
    let [imported, rearmed] = ["halt", "rearm"].map(|act| events.iter().find(|event| event[0] == act).unwrap());
    assert_eq!(imported[1], "import");
    assert_eq!(rearmed[1], "marker");
    for event in [imported, rearmed] {
        assert!(event[2].contains(".halted"), "{event:?}");
    }
}

#[test]
fn a_halt_of_the_command_writes_halted_with_why_and_what_was_said() {
    let rig = wrapper();
    assert_eq!(pass(&rig), (3, "checkpoint".into()));
    assert!(!rig.path(".halted").exists() && !rig.path(".done").exists(), "a checkpoint is neither");
    assert_eq!(pass(&rig), (4, "halted".into()));
    let text = rig.read(".halted");
    assert!(text.split(' ').next().is_some_and(|at| at.parse::<Timestamp>().is_ok()), "when: {text}");
    assert!(text.contains("exit 4") && text.contains("ulysses: on which shelf?"), "why: {text}");
    // Either way of re-arming takes the file away.
    rig.write("shelf", "B 12\n");
    rig.ok(&["rearm", "old", "--why", "it is B 12"]);
    assert_eq!(pass(&rig), (3, "checkpoint".into()));
    assert!(!rig.path(".halted").exists());
}

#[test]
fn a_persons_word_is_in_the_markers_at_once() {
    let rig = wrapper();
    rig.ok(&["halt", "old", "--why", "the shelves are moved"]);
    let said = rig.read(".halted");
    assert!(said.contains(": the shelves are moved\n") && said.ends_with("to go on, delete this file\n"), "{said}");
    assert_eq!(old(&rig), 4, "a wrapper that still runs heeds it");
    rig.ok(&["rearm", "old", "--why", "they are where they were"]);
    assert!(!rig.path(".halted").exists());
    // What the markers say is what the ledger knows they say.
    rig.write("shelf", "B 12\n");
    assert_eq!(pass(&rig), (3, "checkpoint".into()), "{:?}", events(&rig));
    assert_eq!(pass(&rig), (3, "checkpoint".into()));
    assert_eq!(pass(&rig), (0, "drained".into()));
    assert!(rig.path(".done").exists());

    rig.ok(&["halt", "old", "--why", "a stocktaking"]);
    assert!(rig.path(".halted").exists() && !rig.path(".done").exists());
    rig.ok(&["rearm", "old", "--why", "counted"]);
    assert!(rig.path(".done").exists() && !rig.path(".halted").exists(), "it was drained before");
    rig.ok(&["halt", "old", "--why", "again"]);
    remove(&rig, ".halted");
    rig.ok(&["halt", "old", "--why", "and again"]);
    assert!(rig.path(".halted").exists(), "the last word counts");
    assert_eq!(pass(&rig), (4, "halted".into()));
    let hands: Vec<_> = events(&rig).into_iter().filter(|event| event[1] == "marker").collect();
    assert!(hands.is_empty(), "nobody touched the files but highwater: {hands:?}");
}

#[test]
fn items_that_are_tried_again_take_done_away_at_once() {
    let rig = Rig::load(&["a", "b"], "[ $1 = a ] && exit 11; exit 0", "markers = \".\"");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert!(rig.path(".done").exists());
    rig.ok(&["retry", "load", "--outcome", "review", "--why", "mended"]);
    assert!(!rig.path(".done").exists(), "it is not done");
    rig.script("load", "");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert!(rig.path(".done").exists());
}

#[test]
fn a_marker_that_cannot_be_written_does_not_keep_a_halt_from_standing() {
    let rig = Rig::load(&["a"], "", "markers = \"gone/x\"");
    let said = rig.ok(&["halt", "load", "--why", "wait"]);
    assert!(said.stdout.contains("load: halted") && said.stderr.contains("marker cannot be written"), "{said:?}");
    assert_eq!(rig.pass().0, 4);
}

#[test]
fn a_second_halt_is_told_in_halted_too() {
    let rig = halted();
    rig.ok(&["import", "markers", "."]);
    rig.script("load", "echo 'no such catalogue' >&2; exit 4");
    rig.ok(&["rearm", "old", "--why", "it is B 12"]);
    assert_eq!(pass(&rig), (4, "halted".into()));
    let said = rig.read(".halted");
    assert!(said.contains("no such catalogue"), "not the halt of before: {said}");
    assert!(said.contains(" by pass ") && said.ends_with("to go on, delete this file\n"), "{said}");
}

#[test]
fn r03_a_done_wrapper_is_taken_over_and_deleting_done_opens_it_again() {
    let rig = done();
    let said = rig.ok(&["import", "markers", "."]);
    assert!(said.stdout.contains("old: drained"), "{said:?}");
    assert_eq!(pass(&rig), (0, "already_drained".into()));
    assert_eq!(loaded(&rig), BOOKS, "nothing is started");

    std::fs::write(rig.path("books.txt"), rig.read("books.txt") + "middlemarch II\n").unwrap();
    assert_eq!(pass(&rig), (0, "already_drained".into()), "as with the wrapper: .done is there");
    remove(&rig, ".done");
    assert_eq!(pass(&rig), (0, "drained".into()));
    assert_eq!(loaded(&rig)[8..], ["middlemarch II"]);
    let text = rig.read(".done");
    assert!(text.split_whitespace().next().is_some_and(|at| at.parse::<Timestamp>().is_ok()), "when: {text:?}");
    assert_eq!(pass(&rig), (0, "already_drained".into()));
    let reopened = events(&rig).into_iter().find(|event| event[0] == "reopen").unwrap();
    assert_eq!(reopened[1], "marker");
    assert!(reopened[2].contains(".done"), "{reopened:?}");
}

#[test]
fn r01_a_wrapper_that_still_runs_keeps_the_pass_out_and_what_it_leaves_is_heeded() {
    let rig = wrapper();
    rig.write("shelf", "B 12\n");
    let load = rig.read("load");
    rig.script("load", &format!("echo begun >>log; {UNTIL_GO}; exit 0"));
    let running = rig.shell("./old-wrapper.sh").spawn().unwrap();
    rig.wait_for_log(1);
    assert_eq!(pass(&rig), (3, "lock_held".into()));
    let nothing = rig.run(&["import", "markers", "."]);
    assert_eq!(nothing.code, 2, "{nothing:?}");
    assert!(nothing.stderr.contains(".done") && nothing.stderr.contains(".halted"), "{nothing:?}");
    rig.write("go", "");
    assert_eq!(end(running).code, 0);
    // The wrapper has written .done meanwhile.
    rig.write("load", &load);
    assert_eq!(pass(&rig), (0, "already_drained".into()), "{:?}", events(&rig));
    assert_eq!(loaded(&rig), [] as [&str; 0]);
}

#[test]
fn a_wrapper_that_somebody_forgot_in_another_crontab_takes_turns_with_passes() {
    let rig = wrapper();
    rig.write("shelf", "B 12\n");
    assert_eq!(pass(&rig), (3, "checkpoint".into()));
    assert_eq!(old(&rig), 3);
    assert_eq!(pass(&rig), (0, "drained".into()));
    assert_eq!(loaded(&rig), BOOKS, "each once");
    assert_eq!(old(&rig), 0);
    // The other way round it is the wrapper that finds nothing left, while a pass's list is open.
    std::fs::write(rig.path("books.txt"), rig.read("books.txt") + "persuasion\nkipps\nnostromo\nlord jim\n").unwrap();
    remove(&rig, ".done");
    assert_eq!(pass(&rig), (3, "checkpoint".into()));
    assert_eq!(old(&rig), 0);
    assert!(rig.path(".done").exists());
    assert_eq!(pass(&rig).0, 0, "what the wrapper says is heeded, or found to be so");
    assert_eq!(loaded(&rig)[8..], ["persuasion", "kipps", "nostromo", "lord jim"]);
}

#[test]
fn a_wrapper_in_the_middle_needs_no_import() {
    let rig = wrapper();
    assert_eq!(old(&rig), 3);
    rig.write("shelf", "B 12\n");
    assert_eq!(pass(&rig), (3, "checkpoint".into()));
    assert_eq!(pass(&rig), (0, "drained".into()));
    assert_eq!(loaded(&rig), BOOKS, "each once");
}

#[test]
fn markers_that_nobody_imported_are_heeded() {
    let rig = halted();
    assert_eq!(pass(&rig), (4, "halted".into()));
    assert_eq!(loaded(&rig), BOOKS[..4]);
    let rig = done();
    assert_eq!(pass(&rig), (0, "already_drained".into()));
}

#[test]
fn a_person_who_makes_halted_halts_the_job() {
    let rig = wrapper();
    rig.write(".halted", "not before Monday\n");
    for _ in 0..2 {
        assert_eq!(pass(&rig), (4, "halted".into()));
    }
    assert_eq!(loaded(&rig), [] as [&str; 0]);
    assert_eq!(rig.read(".halted"), "not before Monday\n");
    assert!(rig.ok(&["status", "old"]).stdout.contains("not before Monday"));
    remove(&rig, ".halted");
    assert_eq!(pass(&rig), (3, "checkpoint".into()));
    let acts: Vec<_> = events(&rig).into_iter().map(|[act, who, _]| (act, who)).collect();
    assert_eq!(acts[..2], [("halt", "marker"), ("rearm", "marker")].map(|(act, who)| (act.to_owned(), who.to_owned())));
}

#[test]
fn r14_evidence_in_no_encoding_of_today_is_taken_over_all_the_same() {
    let rig = halted();
    // An old script on an old system: Latin-1.
    std::fs::write(rig.path(".halted"), b"Regal f\xfcr Ulysses unbekannt\n").unwrap();
    rig.write(".done", "");
    let said = rig.ok(&["import", "markers", "."]);
    assert!(said.stdout.contains("old: halted"), "{said:?}");
    assert!(rig.ok(&["status", "old"]).stdout.contains("r Ulysses unbekannt"));
}

#[test]
fn done_of_a_recurring_job_stays_through_passes_that_begin_no_round() {
    let rig = wrapper();
    let config = rig.read("highwater.toml").replace("kind = \"exec\"", "kind = \"exec\"\nrecurring = true");
    rig.write("highwater.toml", &config);
    rig.script("load", "echo round >>log");
    assert_eq!(pass(&rig), (0, "drained".into()));
    assert!(rig.path(".done").exists());
    let script = Flock::hold(&rig.path("books.lock"));
    assert_eq!(pass(&rig), (3, "lock_held".into()));
    assert!(rig.path(".done").exists(), "a miss touches nothing");
    drop(script);
    rig.ok(&["pause", "old", "--why", "lunch"]);
    assert_eq!(pass(&rig), (3, "paused".into()));
    assert!(rig.path(".done").exists(), "the round is still done");
    rig.ok(&["resume", "old"]);
    remove(&rig, ".done");
    assert_eq!(pass(&rig), (0, "drained".into()));
    assert_eq!(rig.log().len(), 2);
}

#[test]
fn r01_a_script_with_flock_and_a_pass_keep_each_other_out() {
    let rig = halted();
    rig.ok(&["import", "markers", "."]);
    rig.write("shelf", "B 12\n");
    remove(&rig, ".halted");
    let script = Flock::hold(&rig.path("books.lock"));
    assert_eq!(pass(&rig), (3, "lock_held".into()));
    assert_eq!(loaded(&rig), BOOKS[..4]);
    drop(script);

    rig.script("load", &format!("echo begun >>log; {UNTIL_GO}; exit 3"));
    let running = rig.start(&["run", "old"]);
    rig.wait_for_log(1);
    assert_eq!(rig.sh("flock -n books.lock ./load").code, 1, "a script of today finds it held");
    assert_eq!(old(&rig), 0, "so does the wrapper that somebody forgot in another crontab");
    assert_eq!(rig.log().len(), 1);
    rig.write("go", "");
    assert_eq!(end(running).code, 3);
}

#[test]
fn markers_tell_the_truth_as_soon_as_the_lock_is_free() {
    for (answer, marker) in [(0, ".done"), (4, ".halted"), (1, ".halted"), (0, ".done"), (4, ".halted")] {
        let rig = wrapper();
        rig.script("load", &format!("echo begun >>log; {UNTIL_GO}; exit {answer}"));
        let running = rig.start(&["run", "old"]);
        rig.wait_for_log(1);
        // A script that gets the lock the moment it is free, and then looks.
        let (lock, marker) = (File::open(rig.path("books.lock")).unwrap(), rig.path(marker));
        rig.write("go", "");
        spin_until("the lock", || lock.try_lock().is_ok());
        assert!(marker.exists(), "{} is there before the lock is let go", marker.display());
        drop(lock);
        assert_eq!(end(running).code, if answer == 0 { 0 } else { 4 });
    }
}

#[test]
fn the_old_log_goes_on_with_the_output_of_the_command() {
    let rig = halted();
    let before = rig.read("old.log");
    rig.ok(&["import", "markers", "."]);
    rig.write("shelf", "B 12\n");
    remove(&rig, ".halted");
    assert_eq!([rig.sh(CRON).code, rig.sh(CRON).code, rig.sh(CRON).code], [0, 0, 0]);
    let log = rig.read("old.log");
    let new = log.strip_prefix(&before).expect("what was there stays");
    assert_eq!(new, "loaded ulysses\nloaded dubliners\nloaded dracula\nloaded kim\n", "the command alone speaks");

    // What it says on stderr comes there too, and the one line that cron would mail.
    std::fs::write(rig.path("books.txt"), rig.read("books.txt") + "germinal?\n").unwrap();
    remove(&rig, "shelf");
    remove(&rig, ".done");
    assert_eq!([rig.sh(CRON).code, rig.sh(CRON).code], [0, 0]);
    let log = rig.read("old.log");
    let new = log.strip_prefix(&before).unwrap().split_once("kim\n").unwrap().1;
    let lines: Vec<_> = new.lines().collect();
    assert!(lines[0].starts_with("germinal: on which shelf?"), "{lines:?}");
    assert!(lines[1].starts_with("old: halted: the command asked for it (exit 4)"), "{lines:?}");
    assert_eq!(lines.len(), 2, "once: {lines:?}");
}

#[test]
fn markers_may_be_files_with_the_jobs_name() {
    let rig = wrapper();
    let config = rig.read("highwater.toml").replace("markers = \".\"", "markers = \"marks/books\"");
    assert!(config.contains("marks/books"));
    rig.write("highwater.toml", &config);
    std::fs::create_dir(rig.path("marks")).unwrap();
    rig.write("marks/books.halted", "on which shelf?\n");
    rig.write("marks/music.done", "");
    let said = rig.ok(&["import", "markers", "marks/books"]);
    assert!(said.stdout.contains("old: halted"), "{said:?}");
    assert_eq!(pass(&rig), (4, "halted".into()));
    remove(&rig, "marks/books.halted");
    rig.write("shelf", "B 12\n");
    assert_eq!([pass(&rig).0, pass(&rig).0, pass(&rig).0], [3, 3, 0]);
    assert!(rig.path("marks/books.done").exists() && rig.path("marks/music.done").exists());
    remove(&rig, "marks/books.done");
    assert_eq!(pass(&rig), (0, "drained".into()), "opened again: the command says that nothing is left");
    assert!(rig.path("marks/books.done").exists());
    let names: Vec<_> = std::fs::read_dir(rig.path("marks")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn the_exit_codes_are_the_old_ones() {
    let rig = wrapper();
    for (answer, code, again) in
        [("exit 3", 3, 3), ("exit 4", 4, 4), ("exit 1", 4, 4), ("kill -9 $$", 4, 4), ("exit 0", 0, 0)]
    {
        rig.script("load", answer);
        let ended: Ended = rig.run(&["run", "old"]);
        assert_eq!(ended.code, code, "{answer}: {ended:?}");
        assert_eq!(rig.run(&["run", "old"]).code, again, "{answer}, and then");
        if code == 4 {
            remove(&rig, ".halted");
        }
    }
}

#[test]
fn r03_a_done_that_someone_made_beside_an_open_list_does_not_pass_unsaid() {
    let rig = Rig::load(&["a", "b", "c"], ":", "markers = \".\"");
    let pass = rig.run(&["--json", "run", "load", "--max-items", "1"]);
    assert_eq!((pass.code, pass.json()["notes"].to_string().contains(".done")), (3, false), "{pass:?}");
    rig.write(".done", "");
    let misled = rig.run(&["--json", "run", "load", "--max-items", "1"]);
    assert_eq!(misled.code, 3);
    let notes = misled.json()["notes"].to_string();
    assert!(notes.contains(".done") && notes.contains("it is not drained"), "{notes}");
    // The last one makes it true.
    let drained = rig.run(&["--json", "run", "load"]);
    assert_eq!((drained.code, drained.json()["notes"].to_string().contains(".done")), (0, false), "{drained:?}");
    assert!(rig.path(".done").exists());
}
