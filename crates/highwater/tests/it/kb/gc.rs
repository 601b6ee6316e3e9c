//! What killed calls left in a base, and that it goes.

use highwater_engine::clock::{Clock as _, SystemClock};
use rusqlite::Connection;

use super::*;
use crate::kb_killed::objects;
use crate::rig::KILLED;

/// What an object that nobody needs is called.
const LEFT: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

impl Desk {
    fn litter(&self) {
        self.0.write(&format!("notes/.highwater/objects/{LEFT}"), "left by a kill");
    }

    fn has_litter(&self) -> bool {
        self.0.path(&format!("notes/.highwater/objects/{LEFT}")).exists()
    }

    fn gc(&self, more: &[&str]) -> Value {
        self.0.ok(&[&["kb", "gc", "--kb", "notes", "--json"], more].concat()).json()
    }
}

fn figures(said: &Value) -> [u64; 4] {
    ["condemned", "waiting", "removed", "desks"].map(|figure| said[figure].as_u64().unwrap())
}

#[test]
fn what_a_killed_call_left_goes_after_its_time_and_every_generation_stays() {
    let desk = Desk::new();
    desk.0.write("in/a.md", "# A\n\nThe tidal range is measured at the harbour.\n");
    desk.ended(&[]);
    desk.0.write("in/a.md", "# A\n\nThe tidal range is measured in the bay.\n");
    desk.ended(&[]);
    desk.litter();
    fs::create_dir_all(desk.0.path("notes/.highwater/desks/pass-dead/document-1")).unwrap();
    assert_eq!(figures(&desk.gc(&[])), [1, 0, 0, 1]);
    assert_eq!(figures(&desk.gc(&[])), [0, 1, 0, 0]);
    assert_eq!(figures(&desk.gc(&["--grace", "0s", "--dry-run"])), [0, 0, 1, 0]);
    assert!(desk.has_litter(), "a dry run removes nothing");
    let told = desk.0.ok(&["kb", "gc", "--kb", "notes", "--grace", "0s"]).stdout;
    assert_eq!(told, "removed 1 file, 14 B\n");
    assert!(!desk.has_litter());
    let newest = desk.shown();
    desk.0.ok(&["kb", "undo", "2", "--kb", "notes"]);
    assert!(String::from_utf8_lossy(&desk.shown()["wiki/sources/a.md"]).contains("at the harbour"));
    desk.0.ok(&["kb", "undo", "3", "--kb", "notes"]);
    assert_eq!(desk.shown()["wiki/sources/a.md"], newest["wiki/sources/a.md"]);
    let refused = desk.0.run(&["kb", "gc", "--kb", "notes", "--grace", "soon"]);
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[test]
fn an_addition_collects_at_its_end_once_a_day() {
    let desk = Desk::new();
    let add = |n: u32| {
        desk.0.write(&format!("in/{n}.md"), &format!("# {n}\n\nThe tidal range of {n}.\n"));
        desk.ended(&[])
    };
    let age = |sql: &str| {
        let rows = Connection::open(desk.0.path("notes/.highwater/kb.db")).unwrap();
        assert_eq!(rows.execute(sql, []).unwrap(), 1, "{sql}");
    };
    let a_day_later = "UPDATE collection SET ended = '2020-01-02T00:00:00Z'";
    add(1);
    desk.litter();
    add(2);
    assert!(desk.has_litter());
    let at = |table: &str| {
        let rows = Connection::open(desk.0.path("notes/.highwater/kb.db")).unwrap();
        rows.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(at("condemned"), 0, "a second time a day there is no round");
    age(a_day_later);
    add(3);
    assert_eq!((at("condemned"), desk.has_litter()), (1, true));
    age("UPDATE condemned SET at = '2020-01-01T00:00:00Z'");
    age(a_day_later);
    let report = add(4);
    assert_eq!((at("condemned"), desk.has_litter()), (0, false));
    let notes = report["notes"].to_string();
    assert!(notes.contains("1 file that nothing refers to was removed, 14 bytes"), "{report}");
}

#[test]
fn r05_a_collection_that_is_killed_at_any_moment_is_finished_by_the_next_and_takes_nothing_that_is_needed() {
    const KILLS: usize = 30;
    const LITTER: usize = 200;
    let mut dice = dice("r05_a_collection_that_is_killed_at_any_moment");
    let desk = Desk::new();
    for text in ["at the harbour", "in the bay"] {
        desk.0.write("in/a.md", &format!("# A\n\nThe tidal range is measured {text}.\n"));
        desk.ended(&[]);
    }
    let newest = desk.shown();
    let gc = ["kb", "gc", "--kb", "notes", "--grace", "0s", "--json"];
    let litter = |round: usize| {
        for n in 0..LITTER {
            desk.0.write(&format!("notes/.highwater/objects/{:064x}", round * LITTER + n), "left by a kill");
        }
    };
    litter(0);
    let clock = SystemClock::new();
    assert_eq!(desk.0.ok(&gc).json()["removed"], LITTER);
    let usual = clock.elapsed();
    let mut killed = 0;
    for round in 1..=KILLS {
        litter(round);
        let pass = desk.0.doom(&gc);
        pause(usual.mul_f64(dice.f64()));
        let end = pass.kill_9();
        assert!(end.code == KILLED || end.code == 0, "{end:?}");
        killed += usize::from(end.code == KILLED);
        let (named, there) = objects(&desk.0.path("notes"));
        assert_eq!(named.difference(&there).count(), 0, "objects are missing");
    }
    assert!(killed > 0, "each of them had ended before");
    desk.0.ok(&gc);
    let (named, there) = objects(&desk.0.path("notes"));
    assert_eq!(named, there, "there is what is needed, and nothing else");
    assert_eq!(desk.shown(), newest);
    desk.0.ok(&["kb", "undo", "2", "--kb", "notes"]);
    assert!(String::from_utf8_lossy(&desk.shown()["wiki/sources/a.md"]).contains("at the harbour"));
}

#[test]
fn rows_that_are_older_than_their_base_remove_nothing_and_say_so() {
    let desk = Desk::new();
    let rows = desk.0.path("notes/.highwater/kb.db");
    let add = |n: u32| {
        desk.0.write(&format!("in/{n}.md"), &format!("# {n}\n\nThe tidal range of {n}.\n"));
        desk.ended(&[]);
    };
    add(1);
    let old = fs::read(&rows).unwrap();
    add(2);
    add(3);
    desk.litter();
    fs::write(&rows, old).unwrap();
    let count = || fs::read_dir(desk.0.path("notes/.highwater/objects")).unwrap().count();
    let had = count();
    let refused = desk.0.run(&["kb", "gc", "--kb", "notes", "--grace", "0s"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("HW-KB-030"), "{refused:?}");
    assert_eq!(count(), had);
}

#[test]
fn rows_that_a_killed_rebuild_was_making_go_and_are_told() {
    let desk = Desk::full();
    desk.ended(&[]);
    for left in ["kb.db.anew", "kb.db.anew-wal"] {
        fs::write(desk.0.path("notes/.highwater").join(left), "half a database").unwrap();
    }
    let removed = |said: &Value| (said["removed"].as_u64().unwrap(), said["bytes"].as_u64().unwrap());
    let before = desk.shown();
    assert_eq!(removed(&desk.gc(&["--dry-run"])), (2, 30));
    assert_eq!(removed(&desk.gc(&[])), (2, 30));
    assert_eq!(removed(&desk.gc(&[])), (0, 0));
    assert!(!desk.0.path("notes/.highwater/kb.db.anew").exists());
    assert_eq!(desk.shown(), before);
}
