//! Documents that are folded in and taken out, crashed at every operation.

use std::collections::BTreeMap;

use highwater_kb::{Base, BaseLock, DocName, KbError, Snapshot, fold};
use highwater_testkit::sim_fs::{Scenario, SimFs, crash_everywhere, fail_everywhere, random_runs};

use crate::home::{Simulated, now, opened};
use crate::library::Paper;

/// How many seeded runs there are in each run of the tests.
const RUNS: u64 = 300;

/// One document comes, another beside it, and the first goes.
struct Documents;

/// The steps, each a generation.
const STEPS: usize = 3;

fn make(base: &mut Base, held: &BaseLock, step: usize) -> Result<(), KbError> {
    let first = Paper::new("a", "One.\n", &[("concepts/c", false, &[])]);
    let second = Paper::new("b", "Two.\n", &[("concepts/c", false, &[])]);
    let committed = base.commit(held, now(), "change", "a test", |draft| match step {
        1 => first.fold(draft),
        2 => second.fold(draft),
        _ => fold::unfold(draft, &DocName::of_stem("a"), false).map(drop),
    })?;
    assert!(committed.is_some());
    Ok(())
}

/// What each generation has, on a disk that nothing happens to.
fn expected(step: usize) -> BTreeMap<String, Vec<u8>> {
    thread_local! {
        static EXPECTED: Vec<BTreeMap<String, Vec<u8>>> = {
            let fs = Documents.before();
            let (mut base, held) = opened(&Simulated::home(&fs)).unwrap();
            let mut states = vec![has(&base).unwrap()];
            for step in 1..=STEPS {
                make(&mut base, &held, step).unwrap();
                states.push(has(&base).unwrap());
            }
            states
        };
    }
    EXPECTED.with(|states| states[step].clone())
}

fn has(base: &Base) -> Result<BTreeMap<String, Vec<u8>>, KbError> {
    let mut has = BTreeMap::new();
    for (path, _) in base.files()? {
        let bytes = base.read(&path)?.unwrap();
        has.insert(path.to_string(), bytes);
    }
    Ok(has)
}

impl Scenario for Documents {
    fn before(&self) -> SimFs {
        let fs = SimFs::new().with_atomic_renames();
        let home = Simulated::home(&fs);
        Base::init(home.clone(), now()).unwrap();
        let (mut base, held) = opened(&home).unwrap();
        base.commit(&held, now(), "init", "a test", fold::furnish).unwrap();
        fs
    }

    fn steps(&self) -> usize {
        STEPS
    }

    fn work(&self, fs: &SimFs) -> usize {
        let Ok((mut base, held)) = opened(&Simulated::home(fs)) else { return 0 };
        for step in 1..=STEPS {
            let head = base.head().ok().flatten().map_or(0, |head| head.number as usize);
            if head <= step && make(&mut base, &held, step).is_err() {
                return step - 1;
            }
        }
        STEPS
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        opened(&Simulated::home(fs)).map(drop).map_err(|error| error.to_string())
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let told = |error: KbError| error.to_string();
        let home = Simulated::home(fs);
        let (base, _held) = opened(&home).map_err(told)?;
        let step = base.head().map_err(told)?.map_or(0, |head| head.number as usize - 1);
        if step != acknowledged && step != acknowledged + 1 {
            return Err(format!("{acknowledged} steps were acknowledged, and it is at {step}"));
        }
        let expected = expected(step);
        if has(&base).map_err(told)? != expected {
            return Err(format!("step {step} has other files"));
        }
        let tree = highwater_testkit::sim_fs::tree(fs).map_err(|error| error.to_string())?;
        let stands: BTreeMap<String, Vec<u8>> = tree
            .into_iter()
            .filter_map(|(path, bytes)| Some((path.to_string(), bytes?)))
            .filter(|(path, _)| !path.starts_with(".highwater"))
            .collect();
        if stands != expected {
            return Err(format!("after step {step} there stands {:?}", stands.keys()));
        }
        // What is found is what is there.
        let snapshot = Snapshot::open(home).map_err(told)?;
        let found = snapshot.search("one two", 10).map_err(told)?;
        let found: Vec<String> = found.into_iter().map(|hit| hit.page.to_string()).collect();
        let there: &[&str] = match step {
            0 => &[],
            1 => &["sources/a"],
            2 => &["sources/a", "sources/b"],
            _ => &["sources/b"],
        };
        if found != there {
            return Err(format!("after step {step} there is found {found:?}"));
        }
        Ok(())
    }
}

#[test]
fn r05_a_document_is_there_with_all_its_pages_or_not_at_all_wherever_the_power_is_cut() {
    let tally = random_runs(0..RUNS, |_| Documents).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{tally:?}");
}

/// One commit alone, so that every disk that a crash can leave is looked at.
struct Last;

impl Scenario for Last {
    fn before(&self) -> SimFs {
        let fs = Documents.before();
        let (mut base, held) = opened(&Simulated::home(&fs)).unwrap();
        (1..STEPS).for_each(|step| make(&mut base, &held, step).unwrap());
        fs
    }

    fn steps(&self) -> usize {
        1
    }

    fn work(&self, fs: &SimFs) -> usize {
        Documents.work(fs).saturating_sub(STEPS - 1)
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        Documents.recover(fs)
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        Documents.check(fs, STEPS - 1 + acknowledged)
    }
}

#[test]
fn r05_a_document_that_goes_is_gone_everywhere_or_nowhere_wherever_the_power_is_cut() {
    let tally = crash_everywhere(&Last).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{tally:?}");
    assert!(tally.disks > 100, "{tally:?}");
}

#[test]
fn r05_a_disk_that_fails_while_a_document_goes_loses_nothing() {
    let tally = fail_everywhere(&Last).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{tally:?}");
}
