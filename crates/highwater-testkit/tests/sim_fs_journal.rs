//! A change of many files, crashed and failed everywhere, in the commit and in the recovery.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;

use highwater_fs::{
    Fs, Journal, JournalError, Mode, Op, Quarantine, Recovery, RelPath, TargetFault, ensure_dir, publish,
};
use highwater_testkit::sim_fs::{
    Scenario, SimFs, Survival, crash_everywhere, fail_everywhere, forget_each_sync, random_runs, tree,
};

/// Longer than a sector, so that it can be torn.
const CONTENT_BYTES: usize = 700;

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn content(fill: u8) -> Vec<u8> {
    vec![fill; CONTENT_BYTES]
}

fn journal(fs: &dyn Fs) -> Result<Journal<'_>, JournalError> {
    let quarantine = Quarantine::new(fs, path(".highwater/quarantine"));
    Journal::open(fs, path(".highwater/journal"), quarantine)
}

/// One file of a change: its new content, or `None` to remove it.
type Edit = (&'static str, Option<u8>);

/// Changes that are made one after another, each to several files.
struct Changes {
    before: fn() -> SimFs,
    changes: Vec<Vec<Edit>>,
}

/// A small base with a journal, on this disk.
fn base_on(fs: SimFs) -> SimFs {
    ensure_dir(&fs, &path("wiki"), Mode::Umask).unwrap();
    publish(&fs, &path("wiki/a"), &content(b'a'), Mode::Umask).unwrap();
    publish(&fs, &path("wiki/old"), &content(b'o'), Mode::Umask).unwrap();
    journal(&fs).unwrap();
    fs
}

fn base() -> SimFs {
    base_on(SimFs::new())
}

fn base_without_links() -> SimFs {
    base_on(SimFs::new().without_hard_links())
}

impl Changes {
    /// A page replaced, one in a new directory, one removed; then some of them again.
    fn some(before: fn() -> SimFs) -> Self {
        let first = vec![("wiki/a", Some(b'1')), ("wiki/new/b", Some(b'2')), ("wiki/old", None)];
        let second = vec![("wiki/new/b", Some(b'3')), ("top", Some(b'4'))];
        Self { before, changes: vec![first, second] }
    }

    fn random(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let names = ["wiki/a", "wiki/old", "wiki/new/b", "wiki/new/deep/c", "top"];
        let mut change = || {
            let mut edits: Vec<Edit> =
                names.iter().map(|name| (*name, (rng.u8(0..4) > 0).then(|| rng.u8(b'A'..=b'Z')))).collect();
            rng.shuffle(&mut edits);
            edits.truncate(rng.usize(1..=3));
            edits
        };
        let before = if seed.is_multiple_of(4) { base_without_links } else { base };
        Self { changes: vec![change(), change()], before }
    }

    fn after(&self, changes: usize) -> BTreeMap<RelPath, Vec<u8>> {
        let mut after = files(&(self.before)());
        for (target, fill) in self.changes[..changes].iter().flatten() {
            match fill {
                Some(fill) => after.insert(path(target), content(*fill)),
                None => after.remove(&path(target)),
            };
        }
        after
    }
}

fn files(fs: &dyn Fs) -> BTreeMap<RelPath, Vec<u8>> {
    tree(fs).unwrap().into_iter().filter_map(|(path, bytes)| Some((path, bytes?))).collect()
}

fn change(fs: &dyn Fs, edits: &[Edit]) -> Result<(), JournalError> {
    let journal = journal(fs)?;
    let mut change = journal.begin()?;
    for (target, fill) in edits {
        change = match fill {
            Some(fill) => change.write(&path(target), Mode::Umask, &content(*fill)[..])?,
            None => change.remove(&path(target))?,
        };
    }
    change.commit()
}

impl Scenario for Changes {
    fn before(&self) -> SimFs {
        (self.before)()
    }

    fn steps(&self) -> usize {
        self.changes.len()
    }

    fn work(&self, fs: &SimFs) -> usize {
        self.changes.iter().take_while(|edits| change(fs, edits).is_ok()).count()
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        match journal(fs).and_then(|journal| journal.recover()).map_err(|error| format!("{error:?}"))? {
            Recovery::SetAside { why, .. } => Err(format!("a crash passed for damage: {why}")),
            _ => Ok(()),
        }
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        // Every file of the disk: nothing torn, nothing outside, no partial, an empty journal.
        let found = files(fs);
        let one_more = (acknowledged + 1).min(self.steps());
        if (acknowledged..=one_more).any(|changes| found == self.after(changes)) {
            return Ok(());
        }
        let found: Vec<_> = found
            .iter()
            .map(|(path, bytes)| format!("{path}={}*{}", bytes.first().copied().unwrap_or(b'-'), bytes.len()))
            .collect();
        Err(format!("after {acknowledged} changes: {found:?}"))
    }
}

fn holds(scenario: &impl Scenario) {
    let crashed = crash_everywhere(scenario).unwrap_or_else(|found| panic!("{found}"));
    let failed = fail_everywhere(scenario).unwrap_or_else(|found| panic!("{found}"));
    assert!(crashed.disks > 100 && failed.disks > 100, "{crashed:?} {failed:?}");
}

#[test]
fn r05_a_change_of_many_files_is_one_change_whatever_is_cut() {
    holds(&Changes::some(base));
}

#[test]
fn r05_it_is_one_change_where_renames_are_atomic_too() {
    holds(&Changes::some(|| base_on(SimFs::new().with_atomic_renames())));
}

#[test]
fn r05_it_is_one_change_where_files_must_be_copied_into_place() {
    holds(&Changes::some(base_without_links));
}

#[test]
fn r05_it_is_one_change_in_five_thousand_random_runs() {
    random_runs(0..5_000, Changes::random).unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn every_sync_is_needed() {
    // On an empty disk no directory is durable already.
    let change = vec![("new/a", Some(b'1')), ("new/b", Some(b'2')), ("top", Some(b'3'))];
    let scenario = Changes { before: SimFs::new, changes: vec![change] };
    let omissions = forget_each_sync(&scenario).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(omissions.len(), 15);
    let unneeded: Vec<_> =
        omissions.iter().filter(|omission| omission.noticed.is_none()).map(ToString::to_string).collect();
    // Where there is something to recover, the journal's directory was durable already.
    assert_eq!(unneeded, ["recovery: sync directory .highwater"]);
}

/// A disk whose power was cut right after the commit point, before any target was touched.
fn committed() -> SimFs {
    let fs = base();
    let before = fs.trace().len();
    change(&fs.reboot(Survival::Everything), &[]).unwrap();
    let rehearsal = fs.reboot(Survival::Everything);
    let edits = [("wiki/a", Some(b'1')), ("wiki/b", Some(b'2')), ("wiki/old", None)];
    change(&rehearsal, &edits).unwrap();
    let first_touch =
        rehearsal.trace().iter().position(|step| step.op == Op::Link && step.path.is_within(&path("wiki"))).unwrap();
    fs.crash_at(before + first_touch);
    change(&fs, &edits).unwrap_err();
    fs.reboot(Survival::Nothing)
}

fn overwrite(fs: &SimFs, target: &str, bytes: &[u8]) {
    publish(fs, &path(target), bytes, Mode::Umask).unwrap();
}

#[test]
fn a_committed_change_is_finished_by_recovery_and_nothing_begins_before() {
    let fs = committed();
    let journal = journal(&fs).unwrap();
    let refusal = journal.begin().unwrap_err().to_string();
    assert_eq!(refusal, "/.highwater/journal holds an unfinished change; recover it first");
    assert_eq!(journal.recover().unwrap(), Recovery::Finished { files: 3 });
    assert_eq!(journal.recover().unwrap(), Recovery::Clean);
    assert_eq!(files(&fs), BTreeMap::from([(path("wiki/a"), content(b'1')), (path("wiki/b"), content(b'2'))]));
    journal.begin().unwrap().commit().unwrap();
}

#[test]
fn a_change_that_was_not_committed_is_forgotten() {
    let fs = base();
    let before = files(&fs);
    let journal = journal(&fs).unwrap();
    let change = journal.begin().unwrap().write(&path("wiki/a"), Mode::Umask, &b"x"[..]).unwrap();
    drop(change);
    assert_eq!(journal.recover().unwrap(), Recovery::Discarded { files: 1 });
    assert_eq!(files(&fs), before);
}

#[test]
fn r14_a_damaged_intent_is_set_aside_with_its_contents_and_the_rest_goes_on() {
    type Damage = fn(&SimFs);
    let damages: [(Damage, &str, usize); 5] = [
        (|fs| overwrite(fs, ".highwater/journal/intent", b""), "not one of this version", 3),
        (
            |fs| {
                let intent = path(".highwater/journal/intent");
                let mut bytes = fs.read(&intent, 4096).unwrap();
                bytes[40] ^= 1;
                overwrite(fs, ".highwater/journal/intent", &bytes);
            },
            "does not end in its SHA-256",
            3,
        ),
        (
            |fs| overwrite(fs, ".highwater/journal/staged-1", &content(b'!')),
            "staged-1 (for wiki/b) does not match its SHA-256",
            3,
        ),
        (|fs| overwrite(fs, ".highwater/journal/staged-1", b"short"), "staged-1 (for wiki/b) is not of 700 bytes", 3),
        (|fs| fs.unlink(&path(".highwater/journal/staged-0")).unwrap(), "staged-0 (for wiki/a) is missing", 2),
    ];
    for (damage, expected, set_aside) in damages {
        let fs = committed();
        damage(&fs);
        let before = files(&fs);
        let journal = journal(&fs).unwrap();
        let Recovery::SetAside { quarantined, why } = journal.recover().unwrap() else {
            panic!("{expected}: it was not set aside");
        };
        assert!(why.ends_with(expected), "{why}");
        assert_eq!(quarantined.len(), set_aside);
        let after = files(&fs);
        for (place, name) in quarantined.iter().rev().zip(["intent", "staged-1", "staged-0"]) {
            let was = before.get(&path(&format!(".highwater/journal/{name}")));
            if name != "staged-0" || set_aside == 3 {
                assert_eq!(after.get(&place.path), was, "{name} is kept as it was");
            }
            let reason = String::from_utf8(after[&place.reason].clone()).unwrap();
            assert!(reason.trim_end().ends_with(expected), "{reason}");
        }
        assert_eq!(after[&path("wiki/a")], content(b'a'), "no target was touched");
        assert_eq!(journal.recover().unwrap(), Recovery::Clean);
        change(&fs, &[("wiki/a", Some(b'9'))]).unwrap();
        assert_eq!(files(&fs)[&path("wiki/a")], content(b'9'));
    }
}

#[test]
fn r14_setting_a_damaged_change_aside_can_be_cut_short_anywhere() {
    let damaged = || {
        let fs = committed();
        overwrite(&fs, ".highwater/journal/staged-1", b"damaged");
        fs.reboot(Survival::Everything)
    };
    let rehearsal = damaged();
    let _ = journal(&rehearsal).unwrap().recover().unwrap();
    for at in 0..rehearsal.trace().len() {
        let fs = damaged();
        fs.crash_at(at);
        let _ = journal(&fs).and_then(|journal| journal.recover());
        for survival in Survival::systematic(fs.pending()) {
            let fs = fs.reboot(survival);
            let _ = journal(&fs).unwrap().recover().unwrap();
            assert_eq!(journal(&fs).unwrap().recover().unwrap(), Recovery::Clean);
            let kept: Vec<_> = files(&fs).into_values().collect();
            for bytes in [content(b'1'), b"damaged".to_vec()] {
                let copies = kept.iter().filter(|kept| **kept == bytes).count();
                assert_eq!(copies, 1, "cut at {at}, {survival:?}");
            }
        }
    }
}

#[test]
fn what_a_person_writes_into_a_target_already_placed_is_theirs() {
    let fs = base();
    let rehearsal = fs.reboot(Survival::Everything);
    let edits = [("wiki/a", Some(b'1')), ("wiki/b", Some(b'2'))];
    change(&rehearsal, &edits).unwrap();
    let placed = rehearsal.trace().iter().position(|step| step.op == Op::Rename && step.path == path("wiki/a"));
    fs.crash_at(fs.trace().len() + placed.unwrap() + 1);
    change(&fs, &edits).unwrap_err();
    let fs = fs.reboot(Survival::Everything);
    let mut page = fs.append(&path("wiki/a")).unwrap();
    page.truncate(0).unwrap();
    page.append(b"mine").unwrap();
    assert_eq!(journal(&fs).unwrap().recover().unwrap(), Recovery::Finished { files: 2 });
    assert_eq!(files(&fs)[&path("wiki/a")], b"mine");
    assert_eq!(files(&fs)[&path("wiki/b")], content(b'2'));
}

#[test]
fn a_target_that_cannot_be_is_refused_before_anything_happens() {
    let fs = base();
    fs.symlink(&path("wiki/link"), "/etc/passwd").unwrap();
    fs.symlink(&path("out"), "/etc").unwrap();
    let before = files(&fs);
    let journal = journal(&fs).unwrap();
    for (target, told) in [
        ("wiki", "cannot change wiki: what is there is not a regular file"),
        ("wiki/link", "cannot change wiki/link: what is there is not a regular file"),
        (".highwater/journal/intent", "cannot change .highwater/journal/intent: it belongs to the journal itself"),
        ("out/passwd", "cannot enter /out: Not a directory"),
        ("wiki/a/b", "cannot enter /wiki/a: Not a directory"),
    ] {
        let refusal = journal.begin().unwrap().remove(&path(target)).unwrap_err();
        let source = std::error::Error::source(&refusal).map(ToString::to_string);
        let text = [Some(refusal.to_string()), source].into_iter().flatten().collect::<Vec<_>>().join(": ");
        assert!(text.starts_with(told), "{text}");
    }
    let twice = journal.begin().unwrap().remove(&path("wiki/a")).unwrap().remove(&path("wiki/a"));
    assert!(matches!(twice, Err(JournalError::Target { source: TargetFault::Twice, .. })));
    assert_eq!(files(&fs), before);
}

#[test]
fn a_content_that_cannot_be_read_is_told_from_a_disk_that_cannot_be_written() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the tape is torn"))
        }
    }
    let fs = base();
    let journal = journal(&fs).unwrap();
    let error = journal.begin().unwrap().write(&path("wiki/a"), Mode::Umask, Broken).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the new content of wiki/a");
}
