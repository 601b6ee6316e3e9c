//! `kb init --adopt`: a base of the older kind, taken over by the binary: what is told, what is there afterwards, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use highwater_testkit::older_base;
use serde_json::Value;

use crate::rig::{Ended, Rig, dice, pause};

/// An older base in `notes`, whose documents came from `papers`.
struct Older {
    rig: Rig,
    files: older_base::Files,
}

impl Older {
    fn new() -> Self {
        let rig = Rig::new("");
        let root = rig.path("notes");
        fs::create_dir(&root).unwrap();
        let papers = rig.dir.path().canonicalize().unwrap().join("papers");
        let mut files = older_base::older_base(&root.canonicalize().unwrap().to_string_lossy());
        // Their papers lie beside the base.
        let registry = String::from_utf8(files[".openkb/hashes.json"].clone()).unwrap();
        let registry = registry.replace("\"/papers/", &format!("\"{}/", papers.display()));
        files.insert(".openkb/hashes.json".to_owned(), registry.into_bytes());
        older_base::lay(&root, &files);
        fs::create_dir(&papers).unwrap();
        fs::write(papers.join("tides.md"), older_base::TIDES).unwrap();
        fs::write(papers.join("Storm notes (v2).txt"), older_base::STORMS).unwrap();
        Self { rig, files }
    }

    fn told(&self, args: &[&str]) -> String {
        told(&self.rig, &self.rig.run(args))
    }

    fn stands(&self) -> older_base::Files {
        let mut stands = BTreeMap::new();
        read(&self.rig.path("notes"), Path::new(""), &mut stands);
        stands
    }
}

fn read(root: &Path, below: &Path, stands: &mut older_base::Files) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let path = below.join(entry.unwrap().file_name());
        let name = path.to_string_lossy().into_owned();
        if !root.join(&path).is_dir() {
            stands.insert(name, fs::read(root.join(&path)).unwrap());
        } else if !name.starts_with(".highwater") {
            read(root, &path, stands);
        }
    }
}

/// The answer, without the directory of this run.
fn told(rig: &Rig, ended: &Ended) -> String {
    let from = rig.dir.path().canonicalize().unwrap();
    let text = format!("exit {}\n{}{}", ended.code, ended.stdout, ended.stderr);
    text.replace(&*from.to_string_lossy(), "/desk").replace(&*rig.dir.path().to_string_lossy(), "/desk")
}

#[test]
fn a_base_is_taken_over_and_told_of_line_by_line() {
    let older = Older::new();
    insta::assert_snapshot!("dry_run", older.told(&["kb", "init", "--adopt", "--dry-run", "notes"]));
    assert_eq!(older.stands(), older.files, "a dry run writes nothing");
    assert!(!older.rig.path("notes/.highwater").exists());
    insta::assert_snapshot!("adopted", older.told(&["kb", "init", "--adopt", "notes"]));
    insta::assert_snapshot!("again", older.told(&["kb", "init", "--adopt", "notes"]));
    insta::assert_snapshot!("listed", older.told(&["kb", "list", "--kb", "notes"]));
    let found = older.told(&["kb", "search", "--kb", "notes", "gauge", "number", "17"]);
    assert!(found.contains("sources/manual: "), "{found}");
    let log = older.told(&["kb", "log", "--kb", "notes"]);
    assert!(log.contains("5 documents of a base of the older kind"), "{log}");
    let stands = older.stands();
    for (path, bytes) in older.files.iter().filter(|(path, _)| path.starts_with(".openkb") || path.starts_with("raw/"))
    {
        assert_eq!(stands.get(path), Some(bytes), "{path}");
    }
}

#[test]
fn programs_are_told_the_same() {
    let older = Older::new();
    let ended = older.rig.ok(&["kb", "init", "notes", "--adopt", "--json"]);
    let told = ended.json();
    assert_eq!(told["documents"], 5);
    assert_eq!(told["found"]["concepts"], 2);
    let states: Vec<&str> =
        told["journals"].as_array().unwrap().iter().filter_map(|journal| journal["state"].as_str()).collect();
    assert_eq!(states, ["interrupted", "unreadable"]);
    assert_eq!(told["not_taken"][0]["what"], "wiki/concepts/mine.md");
}

#[test]
fn what_was_taken_over_is_not_converted_again_and_what_changed_is_replaced() {
    let older = Older::new();
    older.rig.ok(&["kb", "init", "--adopt", "notes"]);
    let before = older.stands();
    let report =
        |args: &[&str]| -> Value { older.rig.ok(&[&["kb", "add", "--kb", "notes", "--json"], args].concat()).json() };
    let counts = report(&["papers"])["counts"].clone();
    assert_eq!((&counts["present"], &counts["done"]), (&2.into(), &0.into()), "{counts}");
    assert_eq!(older.stands(), before);
    // From elsewhere, it is still the same document.
    older.rig.write("copy.md", older_base::TIDES);
    assert_eq!(report(&["copy.md"])["counts"]["present"], 1);

    older.rig.write("papers/tides.md", "# Tides\n\nThe tidal range of the new harbour is small.\n");
    assert_eq!(report(&["papers"])["counts"]["done"], 1);
    let stands = older.stands();
    let text = |path: &str| String::from_utf8(stands[path].clone()).unwrap();
    assert!(text("wiki/sources/tides.md").contains("new harbour"));
    assert!(text("wiki/concepts/tidal-range.md").contains("A gauge measures it"), "what others share is kept");
    assert!(!stands.keys().any(|path| path.contains("conflict")), "{:?}", stands.keys());
    // What was cut off then is added like any other.
    assert_eq!(report(&["notes/raw/halfway.md"])["counts"]["done"], 1);
    assert!(!older.stands().keys().any(|path| path.contains("conflict")));
    // And back to what was taken over.
    older.rig.ok(&["kb", "undo", "2", "--kb", "notes"]);
    let (back, was) = (older.stands(), before);
    let differ = |path: &&String| !path.starts_with("wiki/log") && back.get(*path) != was.get(*path);
    let differ: BTreeSet<&String> = back.keys().chain(was.keys()).filter(differ).collect();
    // Also what lay in `raw/` before it was added from there.
    assert_eq!(differ, BTreeSet::new());
}

#[test]
fn every_verb_works_on_what_was_taken_over() {
    let older = Older::new();
    older.rig.ok(&["kb", "init", "--adopt", "notes"]);
    let run = |args: &[&str]| older.rig.run(&[&["kb"], args, &["--kb", "notes", "--json"]].concat());
    let faults = || -> Vec<String> {
        let linted = run(&["lint"]);
        let lines = linted.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found: Vec<Value> = lines.filter(|line| line["kind"].is_string()).collect();
        let faults = found.iter().filter(|found| found["kind"] == "broken-link" || found["kind"] == "unknown-type");
        assert!(!found.is_empty(), "{linted:?}");
        faults.map(Value::to_string).collect()
    };
    assert_eq!(faults(), Vec::<String>::new());
    // One is made anew from its bytes; one that came by its text alone is not.
    let storms = run(&["recompile", "Storm-notes-v2"]);
    assert_eq!((storms.code, &storms.json()["counts"]["done"]), (0, &1.into()), "{storms:?}");
    let far = run(&["recompile", "far"]);
    assert_eq!((far.code, &far.json()["counts"]["review"]), (0, &1.into()), "{far:?}");
    assert_eq!(older.stands()["wiki/sources/far.json"], older.files["wiki/sources/far.json"]);
    assert_eq!(run(&["remove", "manual", "tides"]).code, 0);
    assert_eq!(faults(), Vec::<String>::new(), "nothing links what went");
    assert!(!older.rig.path("notes/raw/manual.pdf").exists());
    let status = run(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    assert!(run(&["search", "gauge", "number", "17"]).stdout.lines().all(|line| !line.contains("sources/manual")));
    assert_eq!(run(&["undo", "2"]).code, 0);
    assert_eq!(older.stands()["raw/manual.pdf"], older.files["raw/manual.pdf"]);
    assert!(run(&["search", "gauge", "number", "17"]).stdout.contains("sources/manual"));
}

#[test]
fn r05_a_call_that_is_killed_goes_on_and_ends_as_one_that_was_not() {
    let mut dice = dice("r05_a_call_that_is_killed_goes_on_and_ends_as_one_that_was_not");
    let whole = Older::new();
    whole.rig.ok(&["kb", "init", "--adopt", "notes"]);
    let timeless = |mut files: older_base::Files| {
        files.remove("wiki/log.md");
        files.remove(".openkb/hashes.json");
        files.retain(|path, _| !path.starts_with(".openkb/journal"));
        files
    };
    let expected = timeless(whole.stands());
    let mut killed = 0;
    for _ in 0..8 {
        let older = Older::new();
        for n in 0..4 {
            let mut call = older.rig.doom(&["kb", "init", "--adopt", "notes"]);
            pause(Duration::from_millis(dice.u64(1..30 + 30 * n)));
            if call.runs() {
                call.kill_9();
                killed += 1;
            }
        }
        older.rig.ok(&["kb", "init", "--adopt", "notes"]);
        assert_eq!(timeless(older.stands()), expected);
        assert_eq!(fs::read_dir(older.rig.path("notes/.highwater/tmp")).unwrap().count(), 1, "the sign that it stands");
    }
    assert!(killed > 0);
}

#[test]
fn what_cannot_be_taken_over_is_refused_and_nothing_is_changed() {
    let older = Older::new();
    insta::assert_snapshot!("plain_init", older.told(&["kb", "init", "notes"]));
    fs::write(older.rig.path("notes/.openkb/hashes.json"), "{\"half").unwrap();
    insta::assert_snapshot!("no_registry", older.told(&["kb", "init", "--adopt", "notes"]));
    assert!(!older.rig.path("notes/.highwater").exists());
    fs::create_dir(older.rig.path("empty")).unwrap();
    insta::assert_snapshot!("none", older.told(&["kb", "init", "--adopt", "empty"]));
    insta::assert_snapshot!("nowhere", older.told(&["kb", "init", "--adopt", "missing"]));
    insta::assert_snapshot!("dry_run_alone", older.told(&["kb", "init", "--dry-run", "empty"]));

    let older = Older::new();
    let lock = fs::File::open(older.rig.path("notes/.openkb/ingest.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    insta::assert_snapshot!("busy", older.told(&["kb", "init", "--adopt", "notes"]));
    drop(lock);
    assert_eq!(older.stands(), older.files);
    // One that was made beside it has a history of its own.
    fs::rename(older.rig.path("notes/.openkb"), older.rig.path("openkb")).unwrap();
    older.rig.ok(&["kb", "init", "notes"]);
    fs::rename(older.rig.path("openkb"), older.rig.path("notes/.openkb")).unwrap();
    let before = older.stands();
    insta::assert_snapshot!("has_history", older.told(&["kb", "init", "--adopt", "notes"]));
    assert_eq!(older.stands(), before);
}
