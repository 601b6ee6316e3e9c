//! What happens to the documents of a base, act by act, and what the base must have after each: that is said by a disk to which nothing
//! happens.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use highwater_kb::fold::{self, Ready, Version};
use highwater_kb::{Base, BaseLock, DocName, KbError, Snapshot};
use highwater_testkit::sim_fs::{Scenario, SimFs, Survival};

use crate::collected::off;
use crate::home::{Simulated, lent, looked, now};
use crate::library::{Paper, Says};

/// What is done to a base, by one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A document comes, or a new version of one.
    Add(&'static str, u8),
    /// One is made anew from the same bytes.
    Recompile(&'static str, u8),
    /// One goes; its file in `raw/` stays where so many say.
    Remove(&'static str, bool),
    /// The base goes back to what it had after so many acts.
    Undo(usize),
}

/// The files of a base, and the pages that a search finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// In the order of their rank.
    pub(crate) found: Vec<String>,
}

/// Acts, some of them done already.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    acts: Vec<Act>,
    done: usize,
    /// Before each act, and after the last.
    states: Vec<State>,
    /// Disks that were found as they must be after so many acts, by a hash of all that is on them.
    fine: RefCell<HashSet<(u64, usize)>>,
}

/// A version of a document: which words it has, what it says on which pages.
fn paper(name: &str, version: u8) -> Paper {
    let says: &[Says<'_>] = match version % 3 {
        0 => &[("concepts/c", false, &[])],
        1 => &[("concepts/c", false, &["entities/e"]), ("entities/e", true, &[])],
        _ => &[("concepts/d", true, &[])],
    };
    let paper = Paper::new(name, &format!("Version {version} of {name}.\n"), says);
    if version.is_multiple_of(2) { paper } else { paper.with_image("1.png", &[version]) }
}

impl Act {
    /// Whether it changed anything.
    pub(crate) fn make(self, base: &mut Base, held: &BaseLock) -> Result<bool, KbError> {
        let committed = match self {
            Self::Add(name, version) => base.commit(held, now(), "add", name, |draft| paper(name, version).fold(draft)),
            Self::Recompile(name, version) => base.commit(held, now(), "recompile", name, |draft| {
                let newer = paper(name, version);
                let Some(was) = Version::in_draft(draft, &newer.name)? else { return Ok(()) };
                let is_in = fold::renew(draft, &was, &Ready { document: &was.document, ..newer.ready() })?;
                assert!(is_in, "nobody else is here");
                Ok(())
            }),
            Self::Remove(name, keep_raw) => {
                let name = DocName::of_stem(name);
                let removed = highwater_kb::remove::remove(base, held, now(), &[name], keep_raw)?;
                return Ok(removed.generation.is_some());
            }
            Self::Undo(acts) => base.undo(held, now(), u32::try_from(acts).unwrap() + 1),
        };
        Ok(committed?.is_some())
    }
}

impl Story {
    /// The story of these acts; those that change nothing are left out of it.
    pub(crate) fn of(acts: &[Act]) -> Self {
        let fs = new_base();
        let mut lent = lent(&fs).unwrap();
        let (base, held) = lent.both();
        let mut story =
            Self { acts: Vec::new(), done: 0, states: vec![State::of(base, &fs).unwrap()], fine: RefCell::default() };
        for act in acts {
            if act.make(base, held).unwrap() {
                story.acts.push(*act);
                story.states.push(State::of(base, &fs).unwrap());
            }
        }
        story
    }

    /// Just one of its acts, the nth from 0, after those before it.
    pub(crate) fn act(&self, n: usize) -> Self {
        Self {
            acts: self.acts[..=n].to_vec(),
            done: n,
            states: self.states[..n + 2].to_vec(),
            fine: RefCell::default(),
        }
    }

    pub(crate) fn acts(&self) -> &[Act] {
        &self.acts
    }

    /// What a base has after so many acts.
    pub(crate) fn after(&self, acts: usize) -> &State {
        &self.states[acts]
    }
}

impl State {
    pub(crate) fn of(base: &Base, fs: &SimFs) -> Result<Self, KbError> {
        looked(fs, |snapshot| Self::with(base, snapshot))
    }

    pub(crate) fn with(base: &Base, snapshot: &Snapshot) -> Result<Self, KbError> {
        let mut files = BTreeMap::new();
        for (path, _) in base.files()? {
            let bytes = base.read(&path)?.unwrap();
            files.insert(path.to_string(), bytes);
        }
        let found = snapshot.search("version", 10)?;
        Ok(Self { files, found: found.into_iter().map(|hit| hit.page.to_string()).collect() })
    }
}

/// A base without documents.
fn new_base() -> SimFs {
    thread_local! {
        static NEW: OnceCell<SimFs> = const { OnceCell::new() };
    }
    let made = || {
        let fs = SimFs::new().with_atomic_renames();
        Base::init(Simulated::home(&fs), now()).unwrap();
        let mut lent = lent(&fs).unwrap();
        let (base, held) = lent.both();
        base.commit(held, now(), "init", "a test", fold::furnish).unwrap();
        drop(lent);
        fs
    };
    NEW.with(|new| new.get_or_init(made).reboot(Survival::Everything))
}

/// How many acts were done, by the number of the newest generation.
pub(crate) fn acts_done(base: &Base) -> Result<usize, KbError> {
    Ok(base.head()?.map_or(0, |head| head.number as usize - 1))
}

/// After a collection there is what is needed, and nothing else. Of a copy: whoever comes next finds the disk as it was.
fn nothing_is_over(fs: &SimFs) -> Result<(), String> {
    let told = |error: KbError| error.to_string();
    let fs = fs.reboot(Survival::Everything);
    let mut lent = lent(&fs).map_err(told)?;
    let (base, held) = lent.both();
    while !base.collect(held, now(), Duration::ZERO, true).map_err(told)?.is_round_end {}
    match off(&fs, base).map_err(told)? {
        (missing, orphans) if missing.is_empty() && orphans.is_empty() => Ok(()),
        (missing, orphans) => Err(format!("after a collection are missing {missing:?}, and nobody needs {orphans:?}")),
    }
}

impl Scenario for Story {
    fn before(&self) -> SimFs {
        let fs = new_base();
        let mut lent = lent(&fs).unwrap();
        let (base, held) = lent.both();
        for act in &self.acts[..self.done] {
            assert!(act.make(base, held).unwrap());
        }
        drop(lent);
        fs
    }

    fn steps(&self) -> usize {
        self.acts.len() - self.done
    }

    fn work(&self, fs: &SimFs) -> usize {
        let Ok(mut lent) = lent(fs) else { return 0 };
        let (base, held) = lent.both();
        for (n, act) in self.acts.iter().enumerate().skip(self.done) {
            let done = acts_done(base).unwrap_or_default();
            if done <= n && act.make(base, held).is_err() {
                return n - self.done;
            }
        }
        self.steps()
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        lent(fs).map(drop).map_err(|error| error.to_string())
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let told = |error: KbError| error.to_string();
        let tree = fs.contents();
        let mut hash = DefaultHasher::new();
        tree.hash(&mut hash);
        let seen = (hash.finish(), acknowledged);
        // Most disks come to the same end.
        if self.fine.borrow().contains(&seen) {
            return Ok(());
        }
        let base = lent(fs).map_err(told)?;
        let (done, known) = (acts_done(&base).map_err(told)?, self.done + acknowledged);
        if done != known && done != known + 1 {
            return Err(format!("{known} acts were acknowledged, and it is at {done}"));
        }
        let (state, expected) = (State::of(&base, fs).map_err(told)?, self.after(done));
        if state != *expected {
            let differs = |path: &&String| state.files.get(*path) != expected.files.get(*path);
            let paths: Vec<_> = state.files.keys().chain(expected.files.keys()).filter(differs).collect();
            return Err(format!("after act {done} of {:?} other are {paths:?}, or found {:?}", self.acts, state.found));
        }
        let stands: BTreeMap<String, Vec<u8>> = tree
            .into_iter()
            .filter_map(|(path, bytes)| Some((path.to_string(), bytes?)))
            .filter(|(path, _)| !path.starts_with(".highwater"))
            .map(|(path, bytes)| (path, bytes.to_vec()))
            .collect();
        if stands != expected.files {
            return Err(format!("after act {done} there stands {:?}", stands.keys()));
        }
        drop(base);
        // Where more is to come, an attempt at that may have its objects there.
        if done == self.acts.len() {
            nothing_is_over(fs)?;
        }
        self.fine.borrow_mut().insert(seen);
        Ok(())
    }
}
