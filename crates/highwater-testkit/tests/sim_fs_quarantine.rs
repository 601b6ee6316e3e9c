//! Setting aside, crashed and failed everywhere.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;

use highwater_fs::{Fs, Mode, Quarantine, RelPath, collect_stale, ensure_dir, publish};
use highwater_testkit::sim_fs::{
    Fault, FaultKind, Scenario, SimFs, Survival, crash_everywhere, fail_everywhere, forget_each_sync, random_runs, tree,
};

const DAMAGED: &[u8] = &[b'd'; 700];
const TORN: &[u8] = &[b't'; 700];

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn quarantine(fs: &dyn Fs) -> Quarantine<'_> {
    Quarantine::new(fs, path("quarantine"))
}

fn files(fs: &dyn Fs) -> BTreeMap<RelPath, Vec<u8>> {
    tree(fs).unwrap().into_iter().filter_map(|(path, bytes)| Some((path, bytes?))).collect()
}

#[test]
fn r05_what_cannot_be_kept_on_a_full_disk_leaves_nothing_however_often_it_is_tried() {
    let before = SimFs::new();
    ensure_dir(&before, &path("quarantine"), Mode::Umask).unwrap();
    let operations = before.trace().len();
    quarantine(&before).keep("rows", TORN, "torn").unwrap();
    let last = before.trace().len();
    // Full from each operation on that it does.
    for from in operations..last {
        let fs = SimFs::new();
        ensure_dir(&fs, &path("quarantine"), Mode::Umask).unwrap();
        fs.inject(Fault::sticky(from, FaultKind::Enospc));
        if quarantine(&fs).keep("rows", TORN, "torn").is_ok() {
            continue;
        }
        for _ in 0..3 {
            assert!(quarantine(&fs).keep("rows", TORN, "torn").is_err(), "{from}");
        }
        fs.heal();
        let named: Vec<_> = files(&fs).into_keys().filter(|path| !path.to_string().contains(".reason")).collect();
        let reasons = files(&fs).len() - named.len();
        assert!(reasons <= named.len(), "operation {from}: {:?}", files(&fs).into_keys().collect::<Vec<_>>());
    }
}

/// A damaged file is set aside, and then a torn line that somebody cut off.
struct SetsAside {
    disk: fn() -> SimFs,
}

impl Scenario for SetsAside {
    fn before(&self) -> SimFs {
        let fs = (self.disk)();
        ensure_dir(&fs, &path("index"), Mode::Umask).unwrap();
        publish(&fs, &path("index/rows"), DAMAGED, Mode::Umask).unwrap();
        fs
    }

    fn steps(&self) -> usize {
        2
    }

    fn work(&self, fs: &SimFs) -> usize {
        let damaged = path("index/rows");
        let aside = match fs.stat(&damaged) {
            Ok(Some(_)) => quarantine(fs).set_aside(&damaged, "unreadable").is_ok(),
            // Gone, but a step that failed at its last sync has not made that durable.
            Ok(None) => fs.sync_dir(&path("index")).is_ok(),
            Err(_) => false,
        };
        let kept = aside && quarantine(fs).keep("rows", TORN, "a torn last line").is_ok();
        usize::from(aside) + usize::from(kept)
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        match collect_stale(fs, &path("quarantine")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let found = files(fs);
        let in_place = found.contains_key(&path("index/rows"));
        let (mut aside, mut kept) = (0, 0);
        for (place, bytes) in found.iter().filter(|(place, _)| place.is_within(&path("quarantine"))) {
            let name = place.to_string();
            if name.ends_with(".reason") {
                continue;
            }
            let why: &[u8] = match bytes.as_slice() {
                DAMAGED => b"index/rows: unreadable\n",
                TORN => b"a torn last line\n",
                _ => return Err(format!("{name} is torn")),
            };
            if found.get(&path(&format!("{name}.reason"))).map(Vec::as_slice) != Some(why) {
                return Err(format!("{name} has no reason"));
            }
            aside += usize::from(bytes == DAMAGED);
            kept += usize::from(bytes == TORN);
        }
        match acknowledged {
            0 if !in_place && aside == 0 => Err("it is nowhere".into()),
            1.. if in_place || aside == 0 => Err("it was not set aside".into()),
            2 if kept == 0 => Err("the line was not kept".into()),
            _ if in_place && found.get(&path("index/rows")).is_none_or(|b| b != DAMAGED) => {
                Err("it was changed".into())
            }
            _ => Ok(()),
        }
    }
}

fn holds(scenario: &impl Scenario) {
    let crashed = crash_everywhere(scenario).unwrap_or_else(|found| panic!("{found}"));
    let failed = fail_everywhere(scenario).unwrap_or_else(|found| panic!("{found}"));
    assert!(crashed.disks > 20 && failed.disks > 100, "{crashed:?} {failed:?}");
}

#[test]
fn r14_what_is_set_aside_is_never_in_neither_place_and_never_without_its_reason() {
    holds(&SetsAside { disk: SimFs::new });
}

#[test]
fn r14_setting_aside_loses_nothing_where_there_are_no_links() {
    holds(&SetsAside { disk: || SimFs::new().without_hard_links() });
}

#[test]
fn r14_setting_aside_holds_in_five_thousand_random_runs() {
    let make = |seed: u64| match seed % 2 {
        0 => SetsAside { disk: SimFs::new },
        _ => SetsAside { disk: || SimFs::new().without_hard_links() },
    };
    random_runs(0..5_000, make).unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn every_sync_is_needed() {
    let omissions = forget_each_sync(&SetsAside { disk: SimFs::new }).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(omissions.len(), 10);
    let unneeded: Vec<_> =
        omissions.iter().filter(|omission| omission.noticed.is_none()).map(ToString::to_string).collect();
    // By the second step the quarantine's own directory is durable.
    assert_eq!(unneeded, ["work: sync directory ."]);
}

#[test]
fn r14_a_crash_between_the_two_names_leaves_one_thing_in_quarantine() {
    let before = SetsAside { disk: SimFs::new }.before();
    let operations = before.trace().len();
    quarantine(&before.reboot(Survival::Everything)).set_aside(&path("index/rows"), "x").unwrap();
    for at in operations..operations + 20 {
        let fs = before.reboot(Survival::Everything);
        fs.crash_at(at - operations);
        let _ = quarantine(&fs).set_aside(&path("index/rows"), "unreadable");
        for survival in Survival::systematic(fs.pending()) {
            let fs = fs.reboot(survival);
            if fs.stat(&path("index/rows")).unwrap().is_some() {
                quarantine(&fs).set_aside(&path("index/rows"), "unreadable").unwrap();
            }
            let copies = files(&fs).into_values().filter(|bytes| bytes == DAMAGED).count();
            assert_eq!(copies, 1, "cut at {at}, {survival:?}");
        }
    }
}

#[test]
fn each_thing_gets_a_name_of_its_own() {
    let fs = SimFs::new();
    fs.mkdir(&path("episode"), Mode::Umask).unwrap();
    overwrite(&fs, "episode/meta.json", b"{");
    fs.symlink(&path("loop"), "loop").unwrap();
    overwrite(&fs, "rows", b"one");
    let aside = |what| quarantine(&fs).set_aside(&path(what), "why").unwrap().path.to_string();
    assert_eq!(aside("rows"), "quarantine/rows.0");
    overwrite(&fs, "rows", b"two");
    assert_eq!(aside("rows"), "quarantine/rows.1");
    assert_eq!(aside("loop"), "quarantine/loop.0");
    assert_eq!(aside("episode"), "quarantine/episode.0");
    let kept = quarantine(&fs).keep("rows", b"three", "torn").unwrap();
    assert_eq!(kept.reason, path("quarantine/rows.2.reason"));
    let found = files(&fs);
    assert_eq!(found[&path("quarantine/rows.1")], b"two");
    assert_eq!(found[&path("quarantine/episode.0/meta.json")], b"{");
    assert_eq!(found[&kept.reason], b"torn\n");
    assert!(quarantine(&fs).keep("../rows", b"", "").is_err());
    assert!(quarantine(&fs).keep("a/b", b"", "").is_err());
    assert!(quarantine(&fs).set_aside(&path("gone"), "").is_err());
}

#[test]
fn the_longest_name_can_be_set_aside() {
    let fs = SimFs::new();
    let name = "ü".repeat(127);
    overwrite(&fs, &name, b"x");
    let place = quarantine(&fs).set_aside(&path(&name), "why").unwrap();
    assert_eq!(fs.read(&place.path, 10).unwrap(), b"x");
}

fn overwrite(fs: &SimFs, target: &str, bytes: &[u8]) {
    publish(fs, &path(target), bytes, Mode::Umask).unwrap();
}
