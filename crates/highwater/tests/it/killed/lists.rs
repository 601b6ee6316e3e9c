//! Kills while a list is pinned, extended, and while the ledger is backed up.

use std::path::PathBuf;
use std::time::Duration;

use highwater_store::SqliteLedger;
use serde_json::Value;

use super::{ledger, numbered};
use crate::inside::{Inside, assert_sound};
use crate::rig::{KILLED, Rig, dice, pause, wait_until};

const LINES: usize = 200_000;
const TWICE: usize = 1_000;
const KILLS: usize = 4;

/// A list of many keys, a thousand of them given twice.
fn long_list(keys: &[String]) -> Vec<&str> {
    keys.iter().chain(&keys[..TWICE]).map(String::as_str).collect()
}

/// Kills a call that pins `lines` items more, when some of them are written.
fn kill_while_it_pins(rig: &Rig, args: &[&str], dice: &mut fastrand::Rng) {
    let some = dice.u64(0..LINES as u64 * 9 / 10);
    let mut call = rig.doom(args);
    wait_until("some items", || !call.runs() || Inside::of(&ledger(rig)).is_some_and(|inside| inside.items().1 > some));
    pause(Duration::from_millis(dice.u64(0..100)));
    let killed = call.kill_9();
    assert_eq!(killed.code, KILLED, "{killed:?}");
    assert_sound(&ledger(rig));
}

fn figure(rig: &Rig, name: &str) -> Option<u64> {
    let status: Value = rig.ok(&["--json", "status", "load"]).json();
    status["jobs"][0]["worklist"]["tally"][name].as_u64()
}

#[test]
fn r05_a_list_whose_pinning_is_killed_is_read_anew() {
    let mut dice = dice("r05_a_list_whose_pinning_is_killed_is_read_anew");
    let keys = numbered(LINES - TWICE);
    let rig = Rig::load(&long_list(&keys), "echo $1 >>log", "concurrency = 1");
    let args = ["--json", "run", "load", "--max-items", "10"];
    for _ in 0..KILLS {
        kill_while_it_pins(&rig, &args, &mut dice);
        assert_eq!(figure(&rig, "total"), None, "a list that is not whole is not there");
    }
    assert_eq!(rig.pass_with(&["--max-items", "10"]), (3, "budget_items".into()));
    assert_eq!((figure(&rig, "total"), figure(&rig, "duplicates")), (Some(keys.len() as u64), Some(TWICE as u64)));
    assert_eq!(rig.log(), keys[..10]);
    assert_sound(&ledger(&rig));
    let items = Inside::of(&ledger(&rig)).unwrap().items();
    assert_eq!(items, (keys.len() as u64, 0), "nothing of the killed ones is left");
}

#[test]
fn r05_a_killed_extend_leaves_the_worklist_as_it_was() {
    const BEFORE: usize = 500;
    let mut dice = dice("r05_a_killed_extend_leaves_the_worklist_as_it_was");
    let keys = numbered(LINES - TWICE);
    let rig = Rig::load(&keys[..BEFORE].iter().map(String::as_str).collect::<Vec<_>>(), "echo $1 >>log", "");
    assert_eq!(rig.pass().0, 0);
    rig.list(&long_list(&keys));
    for _ in 0..KILLS {
        kill_while_it_pins(&rig, &["worklist", "load", "--extend"], &mut dice);
        assert_eq!((figure(&rig, "total"), figure(&rig, "done")), (Some(BEFORE as u64), Some(BEFORE as u64)));
        assert_eq!(rig.pass(), (2, "refused".into()), "the longer list is not pinned yet");
    }
    rig.ok(&["worklist", "load", "--extend"]);
    assert_eq!((figure(&rig, "total"), figure(&rig, "done")), (Some(keys.len() as u64), Some(BEFORE as u64)));
    assert_eq!(rig.pass_with(&["--max-items", "10"]), (3, "budget_items".into()));
    let mut ran = rig.log();
    ran.sort_by_key(|key| key.parse::<usize>().unwrap());
    assert_eq!(ran, keys[..BEFORE + 10], "outcomes stay, and what is new comes next");
    assert_sound(&ledger(&rig));
    assert_eq!(Inside::of(&ledger(&rig)).unwrap().items(), (keys.len() as u64, 0));
}

#[test]
fn r05_a_killed_backup_leaves_none_that_is_not_whole() {
    let mut dice = dice("r05_a_killed_backup_leaves_none_that_is_not_whole");
    let keys = numbered(LINES);
    let rig = Rig::load(&keys.iter().map(String::as_str).collect::<Vec<_>>(), ":", "concurrency = 1");
    let pinned = || figure(&rig, "total") == Some(LINES as u64);
    let (mut killed, mut left) = (0, Vec::new());
    for n in 0..KILLS {
        let mut pass = rig.doom(&["--json", "run", "load", "--max-items", "1"]);
        wait_until("a backup", || {
            !pass.runs() || backups(&rig).iter().any(|path| is_unfinished(path) && !left.contains(path))
        });
        pause(Duration::from_millis(dice.u64(0..50)));
        if pass.kill_9().code != KILLED {
            break;
        }
        killed += 1;
        left = backups(&rig);
        assert!(pinned() && figure(&rig, "done") == Some(n as u64 + 1), "the pass had recorded before the backup");
        assert_sound(&ledger(&rig));
    }
    assert!(killed > 0, "no backup was killed");
    assert_eq!(rig.pass_with(&["--max-items", "1"]), (3, "budget_items".into()));
    let backups = backups(&rig);
    assert!(
        backups.len() == 1 && !is_unfinished(&backups[0]),
        "one that is whole, and nothing of the killed ones: {backups:?}"
    );
    assert_sound(&backups[0]);
    assert_eq!(SqliteLedger::newest_good_backup(ledger(&rig)).unwrap().as_ref(), Some(&backups[0]));
}

fn backups(rig: &Rig) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(rig.path(".highwater-state/backups")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn is_unfinished(backup: &std::path::Path) -> bool {
    backup.file_name().unwrap().to_string_lossy().starts_with('.')
}
