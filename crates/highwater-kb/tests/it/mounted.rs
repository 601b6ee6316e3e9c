//! Bases parts of which are mounts of their own: nothing can be renamed into these from where bytes are staged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use highwater_fs::{Op, RelPath};
use highwater_kb::{Base, Directory, Home};
use highwater_testkit::bind_mount::BindMount;
use highwater_testkit::not_here::NotHere;
use highwater_testkit::sim_fs::{Scenario, SimFs, Step, crash_everywhere, fail_everywhere, forget_syncs};
use highwater_testkit::small_disk::SmallDisk;

use crate::home::{file, now};
use crate::seeds::try_seeds;
use crate::simulated::{Generations, alone, beside_a_person, beside_a_person_who_tidies_up};

/// How many seeded runs there are in each run of the tests.
const RUNS: u64 = 1_000;

/// The same, with these directories on file systems of their own.
struct Mounted(Generations, &'static [&'static str]);

const ALL: &[&str] = &["wiki", "raw"];

impl Scenario for Mounted {
    fn before(&self) -> SimFs {
        let mount = |fs: SimFs, directory: &&str| fs.with_mount(&RelPath::new(directory).unwrap());
        self.1.iter().fold(self.0.before(), mount)
    }
    fn steps(&self) -> usize {
        self.0.steps()
    }
    fn work(&self, fs: &SimFs) -> usize {
        self.0.work(fs)
    }
    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        self.0.recover(fs)
    }
    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        self.0.check(fs, acknowledged)
    }
}

fn short(mut generations: Generations) -> Generations {
    generations.generations.truncate(2);
    generations
}

#[test]
fn r05_a_generation_on_other_file_systems_is_whole_or_not_at_all_wherever_the_power_is_cut() {
    let scenarios = [
        Mounted(short(alone()), ALL),
        Mounted(short(alone()), &["wiki/new"]),
        Mounted(short(alone()), &[".highwater/tmp"]),
        Mounted(beside_a_person(), ALL),
        Mounted(beside_a_person_who_tidies_up(), ALL),
    ];
    for scenario in scenarios {
        let tally = crash_everywhere(&scenario).unwrap_or_else(|found| panic!("{found}"));
        eprintln!("{tally:?}");
        assert!(tally.disks > 100, "{tally:?}");
    }
}

#[test]
fn r05_other_file_systems_that_fail_anywhere_lose_nothing() {
    for scenario in [Mounted(short(alone()), ALL), Mounted(beside_a_person(), ALL)] {
        let tally = fail_everywhere(&scenario).unwrap_or_else(|found| panic!("{found}"));
        eprintln!("{tally:?}");
    }
}

#[test]
fn r05_random_crashes_and_faults_on_other_file_systems_lose_nothing() {
    let make = |seed| Mounted(if seed % 2 == 0 { alone() } else { beside_a_person() }, ALL);
    eprintln!("{:?}", try_seeds("mounted", RUNS, make));
}

/// Which of these syncs are missed when they are left out, each with how many there were before it.
fn missed(scenario: &Mounted, is_meant: impl Fn(&Step) -> bool) -> Vec<String> {
    let mut nth: BTreeMap<String, usize> = BTreeMap::new();
    let omissions = forget_syncs(scenario, is_meant).unwrap_or_else(|found| panic!("{found}"));
    let told = omissions.into_iter().filter_map(|omission| {
        let n = nth.entry(omission.to_string()).or_default();
        *n += 1;
        omission.noticed.is_some().then(|| format!("{omission}, {n}"))
    });
    told.collect()
}

#[test]
fn every_sync_by_which_what_is_brought_near_stays_is_needed() {
    let is_meant = |step: &Step| step.path.to_string().starts_with("wiki/new");
    let missed = missed(&Mounted(short(alone()), &["wiki"]), is_meant);
    for what in [
        "work: sync wiki/new/.highwater-2-0, 1",
        "work: sync directory wiki/new, 1",
        "recovery: sync wiki/new/.highwater-2-0, 1",
        "recovery: sync directory wiki/new, 1",
    ] {
        assert!(missed.iter().any(|missed| missed == what), "{what} is not missed: {missed:?}");
    }
}

#[test]
fn every_sync_by_which_it_is_known_to_be_near_is_needed() {
    let is_meant = |step: &Step| step.op == Op::SyncDir && step.path.to_string() == ".highwater/tmp";
    let missed = missed(&Mounted(beside_a_person_who_tidies_up(), &["wiki"]), is_meant);
    for what in ["work: sync directory .highwater/tmp, 4", "recovery: sync directory .highwater/tmp, 1"] {
        assert!(missed.iter().any(|missed| missed == what), "{what} is not missed: {missed:?}");
    }
}

/// Three generations in a base whose `wiki/` and `raw/` are shown from elsewhere.
fn in_a_real_base(shown: &Path) -> Result<(), NotHere> {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
    drop(Base::init(home, now()).unwrap());
    let mut mounts = Vec::new();
    for part in ALL {
        std::fs::create_dir(shown.join(part)).unwrap();
        mounts.push(BindMount::mount(&shown.join(part), &at(part))?);
    }
    let probe = std::fs::File::create(at(".highwater/tmp/probe")).unwrap();
    drop(probe);
    let error = std::fs::rename(at(".highwater/tmp/probe"), at("wiki/probe")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::CrossesDevices);
    std::fs::remove_file(at(".highwater/tmp/probe")).unwrap();

    let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
    let mut base = Base::open(home.clone(), now()).unwrap();
    let held = home.try_lock().unwrap().unwrap();
    let generations = [
        [("wiki/a.md", Some("a1\n")), ("wiki/concepts/b.md", Some("b1\n")), ("raw/c.txt", Some("c\n"))],
        [("wiki/a.md", Some("a2\n")), ("wiki/concepts/b.md", Some("b2\n")), ("raw/c.txt", None)],
        [("wiki/a.md", None), ("wiki/concepts/b.md", Some("b3\n")), ("raw/c.txt", Some("c3\n"))],
    ];
    for (n, files) in generations.iter().enumerate() {
        if n == 2 {
            // A person is at work too.
            std::fs::write(at("wiki/concepts/b.md"), "mine\n").unwrap();
        }
        let committed = base.commit(&held, now(), "add", "a test", |draft| {
            files.iter().try_for_each(|(path, text)| match text {
                Some(text) => draft.write(file(path), text.as_bytes()),
                None => {
                    draft.remove(file(path));
                    Ok(())
                }
            })
        });
        committed.unwrap().unwrap();
    }
    let read = |name: &str| std::fs::read_to_string(at(name)).ok();
    assert_eq!(read("wiki/concepts/b.md").as_deref(), Some("mine\n"));
    assert_eq!(read("wiki/concepts/b.conflict.md").as_deref(), Some("b3\n"));
    assert_eq!((read("wiki/a.md"), read("raw/c.txt").as_deref()), (None, Some("c3\n")));
    let listed = |name: &str| {
        let names = std::fs::read_dir(at(name)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<BTreeSet<_>>()
    };
    assert_eq!(listed("wiki"), BTreeSet::from(["concepts".to_owned()]));
    assert_eq!(listed("wiki/concepts"), ["b.md", "b.conflict.md"].map(ToOwned::to_owned).into());
    assert_eq!((listed("raw").len(), listed(".highwater/tmp")), (1, BTreeSet::from(["3.shown".to_owned()])));
    drop((base, held, home));
    drop(mounts);
    Ok(())
}

#[test]
fn a_wiki_that_is_a_mount_of_its_own_is_written_like_any_other() {
    const TEST: &str = "a_wiki_that_is_a_mount_of_its_own_is_written_like_any_other";
    // Another file system, and another place of the same.
    let small = SmallDisk::mount(4 << 20);
    let same = tempfile::tempdir().unwrap();
    let done = small.and_then(|small| in_a_real_base(small.path())).and_then(|()| in_a_real_base(same.path()));
    if let Err(not_here) = done {
        not_here.say(TEST);
    }
}
