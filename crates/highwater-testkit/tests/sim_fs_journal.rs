//! A change of many files, crashed and failed everywhere, in the commit and in the recovery.

use std::collections::BTreeMap;

use highwater_fs::{
    Fs, Journal, JournalError, Mode, Quarantine, Recovery, RelPath, ensure_dir, publish,
};
use highwater_testkit::sim_fs::{
    Scenario, SimFs, Survival, crash_everywhere, fail_everywhere, forget_each_sync, random_runs,
    tree,
};

const CONTENT_BYTES: usize = 1300;

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
    disk: fn() -> SimFs,
    changes: Vec<Vec<Edit>>,
}

impl Changes {
    /// A page replaced, one in a new directory, one removed; then some of them again.
    fn some(disk: fn() -> SimFs) -> Self {
        let first = vec![("wiki/a", Some(b'1')), ("wiki/new/b", Some(b'2')), ("wiki/old", None)];
        let second = vec![("wiki/new/b", Some(b'3')), ("top", Some(b'4'))];
        Self { disk, changes: vec![first, second] }
    }

    fn random(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let names = ["wiki/a", "wiki/old", "wiki/new/b", "wiki/new/deep/c", "top"];
        let mut change = || {
            let mut edits: Vec<Edit> = names
                .iter()
                .map(|name| (*name, (rng.u8(0..4) > 0).then(|| rng.u8(b'A'..b'Z'))))
                .collect();
            rng.shuffle(&mut edits);
            edits.truncate(rng.usize(1..=3));
            edits
        };
        let disk = if seed.is_multiple_of(4) { || SimFs::new().without_hard_links() } else { SimFs::new };
        Self { changes: vec![change(), change()], disk }
    }

    fn after(&self, changes: usize) -> BTreeMap<RelPath, Vec<u8>> {
        let mut files =
            BTreeMap::from([(path("wiki/a"), content(b'a')), (path("wiki/old"), content(b'o'))]);
        for (target, fill) in self.changes[..changes].iter().flatten() {
            match fill {
                Some(fill) => files.insert(path(target), content(*fill)),
                None => files.remove(&path(target)),
            };
        }
        files
    }
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
        let fs = (self.disk)();
        ensure_dir(&fs, &path("wiki"), Mode::Umask).unwrap();
        publish(&fs, &path("wiki/a"), &content(b'a'), Mode::Umask).unwrap();
        publish(&fs, &path("wiki/old"), &content(b'o'), Mode::Umask).unwrap();
        journal(&fs).unwrap();
        fs
    }

    fn steps(&self) -> usize {
        self.changes.len()
    }

    fn work(&self, fs: &dyn Fs) -> usize {
        self.changes.iter().take_while(|edits| change(fs, edits).is_ok()).count()
    }

    fn recover(&self, fs: &dyn Fs) -> Result<(), String> {
        match journal(fs).and_then(|journal| journal.recover()).map_err(|error| format!("{error:?}"))? {
            Recovery::SetAside { why, .. } => Err(format!("a crash passed for damage: {why}")),
            _ => Ok(()),
        }
    }

    fn check(&self, fs: &dyn Fs, acknowledged: usize) -> Result<(), String> {
        // Every file of the disk: nothing torn, nothing outside, no partial, an empty journal.
        let found: BTreeMap<_, _> =
            tree(fs).unwrap().into_iter().filter_map(|(path, bytes)| Some((path, bytes?))).collect();
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
    println!("{crashed:?} {failed:?}");
    assert!(crashed.disks > 100 && failed.disks > 100, "{crashed:?} {failed:?}");
}

#[test]
fn r05_a_change_of_many_files_is_one_change_whatever_is_cut() {
    holds(&Changes::some(SimFs::new));
}

#[test]
fn r05_it_is_one_change_where_renames_are_atomic_too() {
    holds(&Changes::some(|| SimFs::new().with_atomic_renames()));
}

#[test]
fn r05_it_is_one_change_where_files_must_be_copied_into_place() {
    holds(&Changes::some(|| SimFs::new().without_hard_links()));
}

#[test]
fn r05_it_is_one_change_in_ten_thousand_random_runs() {
    random_runs(0..10_000, Changes::random).unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn every_sync_is_needed() {
    let omissions = forget_each_sync(&Changes::some(SimFs::new)).unwrap_or_else(|found| panic!("{found}"));
    for omission in &omissions {
        println!("{omission}: {}", omission.noticed.as_ref().map_or("-".into(), ToString::to_string));
    }
}
