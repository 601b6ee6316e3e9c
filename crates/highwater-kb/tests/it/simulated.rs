//! Three generations, crashed at every operation, with everything that a disk may have kept of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;

use highwater_fs::{Fs, FsError, Mode, RelPath};
use highwater_kb::{Base, KbError};
use highwater_testkit::sim_fs::{Scenario, SimFs, Survival, crash_everywhere, fail_everywhere, forget_each_sync};

use crate::home::{Simulated, file, lent, now, opened};
use crate::seeds::try_seeds;

/// Files and what is in them.
pub(crate) type Files = BTreeMap<&'static str, &'static str>;

/// Generations that come while people edit.
pub(crate) struct Generations {
    /// What each generation has, all of it.
    pub(crate) generations: Vec<Files>,
    /// What people did before the second.
    pub(crate) edits: Vec<(&'static str, Option<&'static str>)>,
    /// What somebody deletes after a crash.
    pub(crate) deletes: Option<&'static str>,
    /// What stands on the disk after each generation beyond the first.
    pub(crate) stands: Vec<Files>,
}

/// A page in a directory of its own.
const NEW: &str = "wiki/new/b.md";
/// How many operations a step has, about.
const STEP_OPERATIONS: usize = 65;
/// How many seeded runs there are in each run of the tests.
const RUNS: u64 = 500;
/// Says that somebody has deleted what they were to delete.
const TIDIED: &str = "tidied";
/// Says that they found everything in order.
const SEEN: &str = "seen";

fn path(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

/// Nobody edits.
pub(crate) fn alone() -> Generations {
    let generations = vec![
        Files::from([("wiki/concepts/a.md", "a1\n"), ("wiki/concepts/s.md", "s1\n"), ("raw/d.txt", "d\n")]),
        Files::from([("wiki/concepts/a.md", "a2\n"), ("raw/d.txt", "d\n"), (NEW, "b\n")]),
        Files::from([("wiki/concepts/a.md", "a3\n"), ("wiki/concepts/s.md", "s1\n"), (NEW, "b\n")]),
    ];
    Generations { stands: generations[1..].to_vec(), generations, edits: Vec::new(), deletes: None }
}

/// Whoever comes after a crash deletes a page that it finds, once, before anything is finished.
pub(crate) fn beside_a_person_who_tidies_up() -> Generations {
    let generations = vec![
        Files::from([("wiki/concepts/a.md", "a1\n")]),
        Files::from([("wiki/concepts/a.md", "a2\n"), (NEW, "b\n")]),
    ];
    Generations { stands: generations[1..].to_vec(), generations, edits: Vec::new(), deletes: Some(NEW) }
}

/// Somebody edits, deletes and creates.
pub(crate) fn beside_a_person() -> Generations {
    let lines = "top\nmiddle\nend\n";
    Generations {
        deletes: None,
        generations: vec![
            Files::from([
                ("wiki/merged.md", lines),
                ("wiki/fought.md", "f1\n"),
                ("wiki/gone.md", "g1\n"),
                ("wiki/kept.md", "k1\n"),
            ]),
            Files::from([
                ("wiki/merged.md", "TOP\nmiddle\nend\n"),
                ("wiki/fought.md", "f2\n"),
                ("wiki/gone.md", "g2\n"),
                ("wiki/theirs.md", "ours\n"),
            ]),
        ],
        edits: vec![
            ("wiki/merged.md", Some("top\nmiddle\nend\nmine\n")),
            ("wiki/fought.md", Some("mine\n")),
            ("wiki/gone.md", None),
            ("wiki/kept.md", Some("mine\n")),
            ("wiki/theirs.md", Some("mine\n")),
        ],
        stands: vec![Files::from([
            ("wiki/merged.md", "TOP\nmiddle\nend\nmine\n"),
            ("wiki/fought.md", "mine\n"),
            ("wiki/fought.conflict.md", "f2\n"),
            ("wiki/kept.md", "mine\n"),
            ("wiki/theirs.md", "mine\n"),
            ("wiki/theirs.conflict.md", "ours\n"),
        ])],
    }
}

impl Generations {
    fn make(&self, base: &mut Base, held: &highwater_kb::BaseLock, generation: usize) -> Result<(), KbError> {
        let next = &self.generations[generation];
        let committed = base.commit(held, now(), "add", "a test", |draft| {
            for gone in self.generations[..generation].iter().flat_map(|files| files.keys()) {
                if !next.contains_key(gone) {
                    draft.remove(file(gone));
                }
            }
            next.iter().try_for_each(|(path, text)| draft.write(file(path), text.as_bytes()))
        })?;
        assert!(committed.is_some());
        Ok(())
    }

    /// What is in `wiki/` and `raw/`.
    fn seen(fs: &SimFs) -> Result<BTreeMap<String, String>, FsError> {
        let tree = highwater_testkit::sim_fs::tree(fs)?;
        let shown = tree.into_iter().filter_map(|(path, bytes)| {
            let path = path.to_string();
            let bytes = bytes.filter(|_| !path.starts_with(".highwater"))?;
            Some((path, String::from_utf8_lossy(&bytes).into_owned()))
        });
        Ok(shown.collect())
    }
}

impl Scenario for Generations {
    fn before(&self) -> SimFs {
        thread_local! {
            static FIRST: RefCell<BTreeMap<Files, SimFs>> = const { RefCell::new(BTreeMap::new()) };
        }
        let made = || {
            let fs = SimFs::new().with_atomic_renames();
            let home = Simulated::home(&fs);
            Base::init(home.clone(), now()).unwrap();
            let (mut base, held) = opened(&home).unwrap();
            self.make(&mut base, &held, 0).unwrap();
            fs
        };
        // There are fewer first generations than histories.
        let first = |firsts: &mut BTreeMap<Files, SimFs>| {
            firsts.entry(self.generations[0].clone()).or_insert_with(made).reboot(Survival::Everything)
        };
        let fs = FIRST.with_borrow_mut(first);
        for (name, text) in &self.edits {
            if fs.stat(&path(name)).unwrap().is_some() {
                fs.unlink(&path(name)).unwrap();
            }
            if let Some(text) = text {
                highwater_fs::ensure_dir(&fs, &path(name).parent().unwrap(), Mode::Umask).unwrap();
                fs.create(&path(name), Mode::Umask).unwrap().write_all(text.as_bytes()).unwrap();
            }
        }
        fs
    }

    fn steps(&self) -> usize {
        self.generations.len() - 1
    }

    fn operations(&self) -> Option<usize> {
        Some(self.steps() * STEP_OPERATIONS)
    }

    fn work(&self, fs: &SimFs) -> usize {
        let Ok(mut lent) = lent(fs) else { return 0 };
        let (base, held) = lent.both();
        for step in 1..=self.steps() {
            let head = base.head().ok().flatten().map_or(0, |head| head.number as usize);
            if head <= step && self.make(base, held, step).is_err() {
                return step - 1;
            }
        }
        self.steps()
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        let there = |name: &str| fs.stat(&path(name)).is_ok_and(|found| found.is_some());
        if let Some(page) = self.deletes.filter(|page| there(page) && !there(TIDIED) && !there(SEEN)) {
            let gone = fs.unlink(&path(page)).and_then(|()| fs.sync_dir(&path(page).parent().unwrap()));
            let _ = gone.and_then(|()| fs.save(&path(TIDIED), b""));
        }
        lent(fs).map(drop).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {cause:?}")
        })?;
        if self.deletes.is_some() && !there(TIDIED) && !there(SEEN) {
            fs.save(&path(SEEN), b"").map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let told = |error: KbError| error.to_string();
        let base = lent(fs).map_err(told)?;
        let step = base.head().map_err(told)?.map_or(0, |head| head.number as usize - 1);
        if step != acknowledged && step != acknowledged + 1 {
            return Err(format!("{acknowledged} steps were acknowledged, and it is at {step}"));
        }
        let mut has = BTreeMap::new();
        for (path, _) in base.files().map_err(told)? {
            let bytes = base.read(&path).map_err(told)?.unwrap();
            has.insert(path.to_string(), String::from_utf8_lossy(&bytes).into_owned());
        }
        let owned = |files: &Files| -> BTreeMap<String, String> {
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
        };
        if has != owned(&self.generations[step]) {
            return Err(format!("generation {step} has {has:?}"));
        }
        let stands = match step {
            0 => {
                let mut stands = owned(&self.generations[0]);
                for (path, text) in &self.edits {
                    stands.remove(*path);
                    stands.extend(text.map(|text| ((*path).to_owned(), text.to_owned())));
                }
                stands
            }
            step => owned(&self.stands[step - 1]),
        };
        for generation in 1..=step + 1 {
            let manifest = base.manifest(u32::try_from(generation).unwrap()).map_err(told)?;
            if manifest.is_none_or(|manifest| manifest.generation as usize != generation) {
                return Err(format!("generation {generation} has no manifest of its own"));
            }
        }
        let mut stands = stands;
        let mut seen = Self::seen(fs).map_err(|error| error.to_string())?;
        seen.remove(SEEN);
        if let Some(page) = self.deletes
            && (seen.remove(TIDIED).is_some() || !seen.contains_key(page))
        {
            stands.remove(page);
        }
        if seen != stands {
            return Err(format!("after generation {step} there stands {seen:?}, expected {stands:?}"));
        }
        Ok(())
    }
}

#[test]
fn r05_a_generation_is_whole_or_not_at_all_wherever_the_power_is_cut() {
    let tally = crash_everywhere(&alone()).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{tally:?}");
    assert!(tally.disks > 100, "{tally:?}");
}

#[test]
fn r05_what_a_person_wrote_is_there_wherever_the_power_is_cut() {
    let tally = crash_everywhere(&beside_a_person()).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{tally:?}");
    assert!(tally.disks > 100, "{tally:?}");
}

#[test]
fn r05_a_page_that_somebody_deleted_after_a_crash_does_not_come_back() {
    let tally = crash_everywhere(&beside_a_person_who_tidies_up()).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{tally:?}");
}

#[test]
fn r05_a_disk_that_fails_anywhere_loses_nothing() {
    for scenario in [alone(), beside_a_person(), beside_a_person_who_tidies_up()] {
        let tally = fail_everywhere(&scenario).unwrap_or_else(|found| panic!("{found}"));
        eprintln!("{tally:?}");
    }
}

#[test]
fn every_sync_is_needed() {
    // One by which a new page stays, and one by which a page that somebody deleted does not come back.
    let mut short = alone();
    short.generations.truncate(2);
    let mut noticed: BTreeMap<String, bool> = BTreeMap::new();
    for scenario in [short, beside_a_person_who_tidies_up()] {
        let mut nth: BTreeMap<String, usize> = BTreeMap::new();
        for omission in forget_each_sync(&scenario).unwrap_or_else(|found| panic!("{found}")) {
            let path = omission.step.path.to_string();
            let what = match path.strip_prefix(".highwater/objects/.") {
                Some(_) => format!("{} of an object", omission.step.op),
                None => omission.to_string(),
            };
            let n = nth.entry(what.clone()).or_default();
            *n += 1;
            let needed = noticed.entry(format!("{what}, {n}")).or_default();
            *needed |= omission.noticed.is_some();
        }
    }
    let unnoticed: Vec<&str> = noticed.iter().filter(|(_, needed)| !**needed).map(|(what, _)| what.as_str()).collect();
    // A directory's own directories are synced with it, up to the root, which was always there.
    assert_eq!(unnoticed, ["recovery: sync directory ., 1", "work: sync directory ., 1"]);
}

#[test]
fn r05_random_crashes_and_faults_lose_nothing() {
    let make = |seed| if seed % 2 == 0 { alone() } else { beside_a_person() };
    eprintln!("{:?}", try_seeds("generations", RUNS, make));
}
