//! The suites, held against faults that are put in: a sync, an order or a check that is taken away must make one of them red. A suite
//! that stays green without it would not have seen the fault in the code either.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use highwater_fs::{Changed, FileId, Fs, FsError, Kind, Op, RelPath, Stat};
use highwater_testkit::sim_fs::{Scenario, SimFs, crash_everywhere};

use crate::collected::orders::in_any_order;
use crate::hands::{Hand, with_hand};
use crate::moments::{CHANGED_WAS, Nobody, in_each_moment};
use crate::simulated::{Generations, alone, beside_a_person_who_tidies_up};

/// How many orders of steps are enough to see that a check is not made.
const ORDERS: u64 = 500;

/// A scenario in whose work and recoveries somebody has a hand.
struct With<S> {
    scenario: S,
    hand: fn() -> Arc<dyn Hand>,
}

impl<S: Scenario> Scenario for With<S> {
    fn before(&self) -> SimFs {
        self.scenario.before()
    }
    fn steps(&self) -> usize {
        self.scenario.steps()
    }
    fn work(&self, fs: &SimFs) -> usize {
        with_hand(&(self.hand)(), || self.scenario.work(fs))
    }
    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        with_hand(&(self.hand)(), || self.scenario.recover(fs))
    }
    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        self.scenario.check(fs, acknowledged)
    }
}

/// The same, where whoever comes after a crash makes the change that was not made.
struct Again(Generations);

impl Scenario for Again {
    fn before(&self) -> SimFs {
        self.0.before()
    }
    fn steps(&self) -> usize {
        self.0.steps()
    }
    fn work(&self, fs: &SimFs) -> usize {
        self.0.work(fs)
    }
    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        self.0.recover(fs)?;
        let (done, all) = (self.0.work(fs), self.0.steps());
        if done == all { Ok(()) } else { Err(format!("{done} of {all} changes are made")) }
    }
    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        self.0.check(fs, acknowledged)
    }
}

fn short() -> Generations {
    let mut generations = alone();
    generations.generations.truncate(2);
    generations
}

/// What the suite says with this hand in it.
fn red(scenario: impl Scenario, hand: fn() -> Arc<dyn Hand>) -> String {
    let found = crash_everywhere(&With { scenario, hand });
    found.map_or_else(|found| found.to_string(), |tally| panic!("the suite is green: {tally:?}"))
}

/// Leaves out some of what is asked.
struct Without(&'static str, fn(Op, &str) -> bool);

impl std::fmt::Debug for Without {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl Hand for Without {
    fn lets(&self, _: &SimFs, op: Op, path: &RelPath) -> bool {
        !(self.1)(op, &path.to_string())
    }
}

/// Puts some syncs of directories off until after the n-th COMMIT: the right things in the wrong order.
#[derive(Debug)]
struct Late {
    of: &'static str,
    commit: usize,
    commits: AtomicUsize,
    waiting: Mutex<Vec<RelPath>>,
}

impl Late {
    fn until(of: &'static str, commit: usize) -> Arc<dyn Hand> {
        Arc::new(Self { of, commit, commits: AtomicUsize::new(0), waiting: Mutex::default() })
    }
}

impl Hand for Late {
    fn lets(&self, _: &SimFs, op: Op, path: &RelPath) -> bool {
        let is_early = self.commits.load(Ordering::Relaxed) < self.commit;
        let is_late = op == Op::SyncDir && path.to_string().starts_with(self.of) && is_early;
        if is_late {
            self.waiting.lock().unwrap().push(path.clone());
        }
        !is_late
    }
    fn committed(&self, fs: &SimFs) {
        if self.commits.fetch_add(1, Ordering::Relaxed) + 1 == self.commit {
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
            waiting.iter().for_each(|directory| drop(fs.sync_dir(directory)));
        }
    }
}

/// Leaves out the sync of the second of several files that are synced together; one that is synced alone is synced.
#[derive(Debug)]
struct AllButOne {
    of: &'static str,
    in_a_row: AtomicUsize,
}

impl AllButOne {
    fn of(of: &'static str) -> Arc<dyn Hand> {
        Arc::new(Self { of, in_a_row: AtomicUsize::new(0) })
    }
}

impl Hand for AllButOne {
    fn lets(&self, _: &SimFs, op: Op, path: &RelPath) -> bool {
        if op != Op::Sync || !path.to_string().starts_with(self.of) {
            self.in_a_row.store(0, Ordering::Relaxed);
            return true;
        }
        self.in_a_row.fetch_add(1, Ordering::Relaxed) != 1
    }
}

/// Gives objects their names just before their sync: the right things in the wrong order.
#[derive(Debug)]
struct NamedFirst;

impl Hand for NamedFirst {
    fn lets(&self, fs: &SimFs, op: Op, path: &RelPath) -> bool {
        let name = path.to_string();
        let Some(name) = name.strip_prefix(".highwater/objects/") else { return true };
        if let (Op::Sync, Some((target, _))) = (op, name.trim_start_matches('.').split_once('.')) {
            // Where the power is off, the sync that comes next says so.
            drop(fs.rename(path, &RelPath::new(format!(".highwater/objects/{target}")).unwrap()));
        }
        op != Op::Rename
    }
}

/// Does not find the plan that an earlier attempt wrote.
#[derive(Debug, Default)]
struct Forgetful(AtomicBool);

impl Hand for Forgetful {
    fn reader(&self, fs: &SimFs, path: &RelPath) -> Result<Box<dyn Read + Send>, FsError> {
        if path.to_string().ends_with(".plan") && !self.0.swap(true, Ordering::Relaxed) {
            return Err(FsError::Io { op: Op::Read, path: fs.locate(path), source: io::ErrorKind::NotFound.into() });
        }
        fs.reader(path)
    }
}

/// Renames over what is there, as one does who does not look, and holds what was planned for what was found.
#[derive(Debug)]
struct Blunt {
    exchanges: bool,
}

impl Hand for Blunt {
    fn exchange(&self, fs: &SimFs, a: &RelPath, b: &RelPath) -> Result<(), FsError> {
        if self.exchanges {
            return fs.exchange(a, b);
        }
        fs.rename(a, b)?;
        fs.save(a, CHANGED_WAS.as_bytes())
    }
    fn rename_new(&self, fs: &SimFs, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        if self.exchanges { fs.rename(from, to) } else { fs.rename_new(from, to) }
    }
}

/// Finds every object, whether it is there or not.
#[derive(Debug)]
struct Credulous;

impl Hand for Credulous {
    fn stat(&self, fs: &SimFs, path: &RelPath) -> Result<Option<Stat>, FsError> {
        let found = fs.stat(path)?;
        let (name, is_manifest) = (path.to_string(), path.to_string().contains("/generation-"));
        let is_object = name.starts_with(".highwater/objects/") && !is_manifest;
        // Of none that is to be stored: that has a length.
        let id = FileId { device: 0, inode: 0 };
        let none = Stat { kind: Kind::File, len: u64::MAX, mode: 0o644, id, changed: Changed::default() };
        Ok(found.or(is_object.then_some(none)))
    }
}

#[test]
fn without_the_sync_of_objects_the_suite_is_red() {
    let found = red(short(), || Arc::new(Without("objects", |op, path| op == Op::Sync && path.contains("objects/"))));
    assert!(found.contains("damaged"), "{found}");
}

#[test]
fn without_the_sync_of_the_directory_of_objects_the_suite_is_red() {
    let found =
        red(short(), || Arc::new(Without("objects", |op, path| op == Op::SyncDir && path == ".highwater/objects")));
    assert!(found.contains("not there"), "{found}");
}

#[test]
fn without_the_sync_of_what_is_staged_the_suite_is_red() {
    let found = red(short(), || {
        Arc::new(Without("staged", |op, path| op == Op::Sync && path.starts_with(".highwater/tmp/2-")))
    });
    assert!(found.contains("there stands"), "{found}");
}

#[test]
fn without_the_sync_of_one_object_of_several_the_suite_is_red() {
    let found = red(short(), || AllButOne::of(".highwater/objects/"));
    assert!(found.contains("damaged") || found.contains("cannot be read"), "{found}");
}

#[test]
fn without_the_sync_of_one_staged_file_of_several_the_suite_is_red() {
    let found = red(short(), || AllButOne::of(".highwater/tmp/2-"));
    assert!(found.contains("there stands"), "{found}");
}

#[test]
fn with_objects_that_are_named_before_they_are_synced_what_is_torn_is_stored_again() {
    // A name and a length are no word on bytes: what a crash tore is read, and written anew.
    let found = crash_everywhere(&With { scenario: Again(short()), hand: || Arc::new(NamedFirst) });
    found.unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn without_the_sync_of_a_plan_the_suite_is_red() {
    let found = red(beside_a_person_who_tidies_up(), || {
        Arc::new(Without("plan", |op, path| op == Op::SyncDir && path == ".highwater/tmp"))
    });
    assert!(found.contains("there stands"), "{found}");
}

#[test]
fn without_the_sync_of_the_directories_of_the_wiki_the_suite_is_red() {
    let found = red(short(), || Arc::new(Without("wiki", |op, path| op == Op::SyncDir && path.starts_with("wiki"))));
    assert!(found.contains("there stands"), "{found}");
}

#[test]
fn with_objects_that_are_durable_only_after_the_commit_the_suite_is_red() {
    let found = red(short(), || Late::until(".highwater/objects", 1));
    assert!(found.contains("not there"), "{found}");
}

#[test]
fn with_a_generation_that_is_marked_before_it_is_durable_the_suite_is_red() {
    let found = red(short(), || Late::until("wiki", 2));
    assert!(found.contains("there stands"), "{found}");
}

#[test]
fn without_a_plan_that_is_found_again_the_suite_is_red() {
    let found = red(beside_a_person_who_tidies_up(), || Arc::new(Forgetful::default()));
    assert!(found.contains("there stands"), "{found}");
}

#[test]
fn with_pages_that_are_renamed_over_instead_of_exchanged_the_suite_is_red() {
    let hand: Arc<dyn Hand> = Arc::new(Blunt { exchanges: false });
    let found = in_each_moment(&hand).expect_err("the suite is green");
    assert!(found.contains("what they wrote is not where they wrote it"), "{found}");
}

#[test]
fn without_the_look_whether_a_name_is_free_the_suite_is_red() {
    let hand: Arc<dyn Hand> = Arc::new(Blunt { exchanges: true });
    let found = in_each_moment(&hand).expect_err("the suite is green");
    assert!(found.contains("what they wrote is not where they wrote it"), "{found}");
}

#[test]
fn without_the_look_whether_an_object_is_there_the_suite_is_red() {
    let credulous: Arc<dyn Hand> = Arc::new(Credulous);
    let found = (0..ORDERS).find_map(|seed| with_hand(&credulous, || in_any_order(seed)).err());
    let found = found.expect("the suite is green");
    assert!(found.contains("missing") || found.contains("cannot be written to wiki/"), "{found}");
}

#[test]
fn with_a_hand_that_does_nothing_every_suite_is_green() {
    crash_everywhere(&With { scenario: short(), hand: || Arc::new(Nobody) }).unwrap_or_else(|found| panic!("{found}"));
    crash_everywhere(&With { scenario: Again(short()), hand: || Arc::new(Nobody) })
        .unwrap_or_else(|found| panic!("{found}"));
    let nobody: Arc<dyn Hand> = Arc::new(Nobody);
    for seed in 0..ORDERS / 10 {
        with_hand(&nobody, || in_any_order(seed)).unwrap();
    }
}
