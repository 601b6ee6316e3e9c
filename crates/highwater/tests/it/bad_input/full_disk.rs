//! A full disk (R5): exit 1 with what is full; once there is space again the next pass goes on, and nothing is lost or doubled.
//! As root, on a small file system that holds the state directory; named as not run elsewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use highwater_testkit::small_disk::SmallDisk;

use super::call::{Leaves, call};
use super::traces::small_disk;
use crate::rig::Rig;

const DISK_BYTES: u64 = 8 << 20;
/// What is left for a ledger that cannot take the list: its tables fit, the items do not.
const LEFT_BYTES: usize = 700 << 10;

/// A job whose state is on the disk.
fn on(disk: &SmallDisk, items: &[String], script: &str, more: &str) -> Rig {
    let rig = Rig::load(&items.iter().map(String::as_str).collect::<Vec<_>>(), script, more);
    let state = disk.path().join("state").display().to_string();
    rig.write("highwater.toml", &format!("state-dir = \"{state}\"\n{}", rig.read("highwater.toml")));
    rig
}

/// A file in the way.
fn ballast(disk: &Path) -> std::path::PathBuf {
    disk.join("ballast")
}

#[test]
fn r05_a_disk_that_is_full_when_the_ledger_is_to_be_made() {
    let Some(disk) = small_disk(DISK_BYTES, "r05_a_disk_that_is_full_when_the_ledger_is_to_be_made") else { return };
    let rig = on(&disk, &["a".to_owned()], "echo $1 >>log", "");
    disk.fill().unwrap();
    call(&rig, &["run", "load"]).beside(disk.path(), "[DISK]").ends("disk_full_at_first_open", 1, Leaves::Row);
    disk.free().unwrap();
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log(), ["a"]);
}

#[test]
fn r05_a_disk_that_fills_up_while_a_list_is_pinned() {
    let Some(disk) = small_disk(DISK_BYTES, "r05_a_disk_that_fills_up_while_a_list_is_pinned") else { return };
    let items: Vec<String> = (0..300).map(|n| format!("{n:04}{}", "k".repeat(4000))).collect();
    let rig = on(&disk, &items, "echo ${1%%k*} >>log", "concurrency = 8");
    let size = usize::try_from(DISK_BYTES).unwrap() - LEFT_BYTES;
    fs::write(ballast(disk.path()), vec![0; size]).unwrap();
    call(&rig, &["run", "load"]).beside(disk.path(), "[DISK]").ends("disk_full_while_pinning", 1, Leaves::Row);
    fs::remove_file(ballast(disk.path())).unwrap();
    assert_eq!(rig.pass(), (0, "drained".into()));
    let log = rig.log();
    assert_eq!((log.len(), log.iter().collect::<BTreeSet<_>>().len()), (300, 300), "each ran once");
}

#[test]
fn r05_a_disk_that_fills_up_while_outcomes_are_recorded() {
    let Some(disk) = small_disk(DISK_BYTES, "r05_a_disk_that_fills_up_while_outcomes_are_recorded") else { return };
    let items: Vec<String> = (0..60).map(|n| format!("i{n}")).collect();
    let script = format!(
        "echo $1 >>log; [ $1 != i5 ] || [ -e mended ] || cat /dev/zero >{} 2>/dev/null; exit 0",
        ballast(disk.path()).display()
    );
    let rig = on(&disk, &items, &script, "concurrency = 1\nrecord-items = 1");
    call(&rig, &["run", "load"]).beside(disk.path(), "[DISK]").ends("disk_full_while_recording", 1, Leaves::Work);
    let begun = rig.log().len();
    assert!(begun < items.len(), "it ended where it could not record");
    rig.write("mended", "");
    fs::remove_file(ballast(disk.path())).unwrap();
    let recorded = rig.tally()["done"].as_u64().unwrap();
    assert!(recorded > 0, "what was recorded stays");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.tally(), serde_json::json!({"done": 60}), "nothing is lost, and none is counted twice");
    let log = rig.log();
    assert_eq!(log.iter().collect::<BTreeSet<_>>().len(), 60);
    assert_eq!(log.len() - begun, 60 - usize::try_from(recorded).unwrap(), "only what was not recorded ran again");
}

#[test]
fn r05_what_is_recorded_can_be_read_while_the_disk_is_full() {
    let Some(disk) = small_disk(DISK_BYTES, "r05_what_is_recorded_can_be_read_while_the_disk_is_full") else { return };
    let items = ["a", "b", "c", "d"].map(str::to_owned);
    let rig = on(&disk, &items, "echo $1 >>log", "concurrency = 1\nbudget = { max-items = 2 }");
    assert_eq!(rig.pass().0, 3);
    disk.fill().unwrap();
    assert_eq!(rig.run(&["run", "load"]).code, 1, "it has no room to record");
    let left = fs::metadata(disk.path().join("state/ledger.db-shm")).unwrap().len();
    assert!(left < 32 << 10, "what the failed pass left is no index of a log: {left} bytes");
    assert_eq!(rig.tally(), serde_json::json!({"done": 2, "open": 2}));
    rig.ok(&["items", "load", "--outcome", "done"]);
    disk.free().unwrap();
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log(), ["a", "b", "c", "d"]);
}
