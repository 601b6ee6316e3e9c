//! A base whose database is gone, damaged or old: every command says what to do, and it is made again.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::Desk;
use crate::rig::{Ended, Flock, dice, pause};

/// How long one that waits is watched: it would be done by then, mostly.
const WAITS: Duration = Duration::from_secs(2);

impl Desk {
    fn lose_rows(&self) {
        for file in ["kb.db", "kb.db-wal", "kb.db-shm"] {
            let _ = fs::remove_file(self.0.path("notes/.highwater").join(file));
        }
    }

    pub(super) fn rebuild(&self, more: &[&str]) -> Ended {
        self.0.run(&[&["kb", "rebuild", "--kb", "notes"], more].concat())
    }

    fn is_named_by_every_command(&self) {
        for args in [
            &["list"][..],
            &["search", "tides"],
            &["log"],
            &["status"],
            &["lint"],
            &["lint", "--fix"],
            &["undo"],
            &["add", "in"],
            &["remove", "report-03"],
            &["recompile", "--all"],
            &["resolve", "concepts/tidal-range", "--mine"],
            &["visualize"],
        ] {
            let ended = self.0.run(&[&["kb"], args, &["--kb", "notes"]].concat());
            assert!(ended.code == 1 && ended.stderr.contains("highwater kb rebuild"), "{args:?}: {ended:?}");
        }
    }

    /// What a reader gets of it.
    pub(super) fn answers(&self) -> (String, String) {
        let list = self.0.ok(&["kb", "list", "--kb", "notes", "--json"]).stdout;
        (list, self.0.ok(&["kb", "search", "tidal", "range", "--kb", "notes", "--json"]).stdout)
    }
}

#[test]
fn a_database_that_is_gone_is_named_by_every_command_and_made_again() {
    let desk = Desk::full();
    desk.ended(&[]);
    let (had, shown) = (desk.answers(), desk.shown());
    desk.lose_rows();
    desk.is_named_by_every_command();
    fs::write(desk.0.path("notes/.highwater/kb.db"), b"no database").unwrap();
    desk.is_named_by_every_command();
    let ended = desk.0.run(&["kb", "init", "notes"]);
    assert!(ended.code == 1 && ended.stderr.contains("highwater kb rebuild"), "{ended:?}");
    desk.lose_rows();
    let from = desk.0.dir.path().canonicalize().unwrap();
    let told = desk.0.run(&["kb", "list", "--kb", "notes"]).stderr;
    insta::assert_snapshot!(told.replace(&*from.to_string_lossy(), "/desk"));
    let ended = desk.0.run(&["kb", "init", "notes"]);
    assert!(ended.code == 1 && ended.stderr.contains("highwater kb rebuild"), "{ended:?}");
    assert!(!desk.0.path("notes/.highwater/kb.db").exists(), "nothing makes one that tells of nothing");
    // It is found from within, too.
    let mut within = desk.0.command(&["kb", "rebuild"]);
    let ended: Ended = within.current_dir(desk.0.path("notes/wiki/concepts")).output().unwrap().into();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with("27 documents are back, from "), "{ended:?}");
    assert_eq!((desk.answers(), desk.shown()), (had, shown));
    assert_eq!(desk.ended(&[])["counts"]["present"], 27);
    assert_eq!(desk.0.ok(&["kb", "lint", "--verify", "--kb", "notes"]).code, 0);
}

#[test]
fn a_database_that_is_whole_is_not_made_again_unless_that_is_wanted() {
    let desk = Desk::full();
    desk.ended(&[]);
    let had = desk.answers();
    let from = desk.0.dir.path().canonicalize().unwrap();
    let ended = desk.rebuild(&[]);
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!(ended.stderr.replace(&*from.to_string_lossy(), "/desk"));
    let ended = desk.rebuild(&["--force", "--json"]);
    assert_eq!((ended.code, &ended.json()["documents"]), (0, &27.into()), "{ended:?}");
    let kept = ended.json()["replaced"][0].as_str().unwrap().to_owned();
    assert!(desk.0.path("notes").join(kept).is_file());
    assert_eq!(desk.answers(), had);
}

#[test]
fn r14_what_is_damaged_is_named_and_the_rest_is_back() {
    let desk = Desk::full();
    desk.ended(&[]);
    let list = desk.0.ok(&["kb", "list", "--kb", "notes", "--json"]).stdout;
    assert_eq!(list.lines().count(), 27);
    fs::write(desk.0.path("notes/.highwater/kb.db"), b"SQLite format 3\0 and then nothing").unwrap();
    // All that was ever compiled, from every document, but of one.
    let objects = desk.0.path("notes/.highwater/objects");
    let compiled: Vec<_> = fs::read_dir(&objects)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| fs::read(path).unwrap().starts_with(b"{\"title\":\"Report 1\""))
        .collect();
    assert!(!compiled.is_empty());
    compiled.iter().for_each(|path| fs::remove_file(path).unwrap());
    let ended = desk.rebuild(&[]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.stdout.contains("27 documents are back"), "{ended:?}");
    assert!(ended.stdout.contains("what was compiled from the document report-01: "), "{ended:?}");
    assert!(ended.stdout.contains("`highwater kb recompile report-01 --kb notes`"), "{ended:?}");
    assert!(
        fs::read(desk.0.path("notes/.highwater/quarantine/kb.db.0")).unwrap().starts_with(b"SQLite format 3\0 and")
    );
    // The base goes on, and lint tells what is lacking still.
    let ended = desk.0.run(&["kb", "lint", "--kb", "notes"]);
    assert!(ended.code == 4 && ended.stdout.contains("object-missing"), "{ended:?}");
    desk.0.write("in/new.md", "# New\n\nThe tidal range of the new harbour.\n");
    assert_eq!(desk.ended(&[])["counts"]["done"], 1);
}

#[test]
fn a_rebuild_waits_for_who_changes_the_base_and_for_who_has_its_database_open() {
    let desk = Desk::full();
    desk.ended(&[]);
    let had = desk.answers();
    let waits = |held: Box<dyn std::any::Any>| {
        let mut pass = desk.0.doom(&["kb", "rebuild", "--force", "--kb", "notes"]);
        pause(WAITS);
        assert!(pass.runs(), "{:?}", pass.end());
        // Nothing took the place of anything meanwhile.
        assert!(!desk.0.path("notes/.highwater/quarantine").exists());
        drop(held);
        pass.kill_9();
    };
    waits(Box::new(Flock::hold(&desk.0.path("notes/.highwater/base.lock"))));
    let reader = rusqlite::Connection::open(desk.0.path("notes/.highwater/kb.db")).unwrap();
    let head: u32 = reader.query_row("SELECT head FROM base", [], |row| row.get(0)).unwrap();
    waits(Box::new(reader));
    let reader = rusqlite::Connection::open(desk.0.path("notes/.highwater/kb.db")).unwrap();
    reader.query_row("SELECT head FROM base", [], |row| row.get::<_, u32>(0)).unwrap();
    let pass = desk.0.doom(&["kb", "rebuild", "--force", "--json", "--kb", "notes"]);
    pause(WAITS);
    drop(reader);
    let ended = pass.end();
    assert_eq!((ended.code, &ended.json()["generation"]), (0, &head.into()), "{ended:?}");
    assert_eq!(desk.answers(), had);
}

#[test]
fn what_people_made_of_pages_stays_and_is_told() {
    let desk = Desk::full();
    desk.ended(&[]);
    desk.0.write("notes/wiki/concepts/tidal-range.md", "all of it mine\n");
    fs::remove_file(desk.0.path("notes/wiki/summaries/report-03.md")).unwrap();
    let shown = desk.shown();
    desk.lose_rows();
    let ended = desk.rebuild(&[]);
    assert_eq!(ended.code, 0);
    let told = "what people made of its files stays: 1 edited, 1 deleted; `highwater kb lint --kb notes` names them";
    assert!(ended.stdout.contains(told), "{ended:?}");
    assert_eq!(desk.shown(), shown);
}

#[test]
fn r05_a_rebuild_that_is_killed_is_made_again_and_nothing_is_lost() {
    let desk = Desk::full();
    desk.ended(&[]);
    for n in 0..8 {
        // Each a generation of its own.
        desk.0.write(&format!("in/more-{n}.md"), &format!("# More {n}\n\nThe tidal range of harbour {n}.\n"));
        desk.ended(&[]);
    }
    let (had, shown) = (desk.answers(), desk.shown());
    let mut dice = dice("r05_a_rebuild_that_is_killed");
    let mut killed = 0;
    for _ in 0..30 {
        let mut pass = desk.0.doom(&["kb", "rebuild", "--force", "--kb", "notes"]);
        pause(Duration::from_millis(dice.u64(1..10 + 15 * killed)));
        if !pass.runs() {
            break;
        }
        pass.kill_9();
        killed += 1;
        // There is a database that can be used, or none, and then that is said.
        let ended = desk.0.run(&["kb", "list", "--kb", "notes", "--json"]);
        assert!(ended.code == 0 || ended.stdout.contains("highwater kb rebuild"), "{ended:?}");
        if ended.code == 0 {
            assert_eq!(ended.stdout, had.0);
        }
    }
    assert!(killed > 0);
    let ended = desk.rebuild(&["--force", "--json"]);
    let report: Value = ended.json();
    assert_eq!(
        (ended.code, &report["documents"], &report["lost"]),
        (0, &35.into(), &Value::Array(Vec::new())),
        "{report}"
    );
    assert_eq!((desk.answers(), desk.shown()), (had, shown));
    let left: Vec<String> = fs::read_dir(desk.0.path("notes/.highwater"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("anew"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}
