//! Rows that are made again, crashed at every operation: whoever comes next makes them again, and what people wrote stands as it stood.
//! And changes that are crashed at every operation, after which the rows are lost: they were made, or nothing of them was.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;

use highwater_fs::{Fs, Mode, RelPath, publish};
use highwater_kb::base::asks_for_rebuild;
use highwater_kb::{Base, BaseLock, KbError};
use highwater_testkit::sim_fs::{
    Scenario, SimFs, Survival, crash_everywhere, crash_once_everywhere, fail_everywhere, random_runs,
};

use crate::home::{Lent, Simulated, file, lent, now, opened, remade};
use crate::story::{Act, Story};

/// How many seeded runs there are in each run of the tests.
const RUNS: u64 = 100;
const EDITED: &str = "wiki/edited.md";
const GONE: &str = "wiki/gone.md";
const PLAIN: &str = "wiki/plain.md";
const LOG: &str = "wiki/log.md";

/// What somebody lost beside the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lost {
    Nothing,
    /// What the second generation changed.
    Manifest,
    /// Nothing, and the newest generation is committed, and could not be shown yet.
    Shown,
}

struct Rebuilding(Lost);

/// A disk, and what must stand on it in the end.
type Ready = (SimFs, BTreeMap<String, Vec<u8>>);

fn path(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

fn write(fs: &SimFs, name: &str, bytes: &[u8]) {
    if fs.stat(&path(name)).unwrap().is_some() {
        fs.unlink(&path(name)).unwrap();
    }
    fs.create(&path(name), Mode::Umask).unwrap().write_all(bytes).unwrap();
}

fn commit(base: &mut Base, held: &BaseLock, n: usize) {
    let committed = base.commit(held, now(), "add", "a test", |draft| {
        if n == 1 {
            draft.write(file(LOG), b"")?;
        }
        [EDITED, GONE, PLAIN].iter().try_for_each(|page| draft.write(file(page), format!("{page} {n}\n").as_bytes()))
    });
    committed.unwrap();
}

fn shown(fs: &SimFs) -> BTreeMap<String, Vec<u8>> {
    let tree = fs.contents().into_iter();
    tree.filter_map(|(path, bytes)| Some((path.to_string(), bytes?.to_vec())))
        .filter(|(path, _)| path.starts_with("wiki/"))
        .collect()
}

/// Opens a base, whose rows are made again where that is the way out.
fn mended(fs: &SimFs) -> Result<Lent, KbError> {
    let is_there = fs.stat(&path(".highwater/kb.db"))?.is_some();
    match lent(fs) {
        Err(error) if asks_for_rebuild(&error) => {}
        opened if is_there => return opened,
        _ => {}
    }
    remade(fs)
}

impl Rebuilding {
    /// It is made once, and asked for at each disk that is looked at.
    fn ready(&self) -> Ready {
        thread_local! {
            static READY: RefCell<BTreeMap<Lost, Ready>> = const { RefCell::new(BTreeMap::new()) };
        }
        READY.with_borrow_mut(|ready| {
            let (fs, stands) = ready.entry(self.0).or_insert_with(|| self.made());
            (fs.reboot(Survival::Everything), stands.clone())
        })
    }

    fn made(&self) -> Ready {
        let fs = SimFs::new().with_atomic_renames();
        let home = Simulated::home(&fs);
        Base::init(home.clone(), now()).unwrap();
        let (mut base, held) = opened(&home).unwrap();
        (1..=2).for_each(|n| commit(&mut base, &held, n));
        let before = shown(&fs);
        commit(&mut base, &held, 3);
        let after = shown(&fs);
        match self.0 {
            Lost::Nothing => {}
            Lost::Manifest => fs.unlink(&path(".highwater/objects/generation-0000000002")).unwrap(),
            Lost::Shown => {
                before.iter().for_each(|(name, bytes)| write(&fs, name, bytes));
                fs.rename(&path(".highwater/tmp/3.shown"), &path(".highwater/tmp/3.committed")).unwrap();
            }
        }
        let mut stands = after;
        if !matches!(self.0, Lost::Shown) {
            write(&fs, EDITED, b"mine\n");
            stands.insert(EDITED.to_owned(), b"mine\n".to_vec());
        }
        fs.unlink(&path(GONE)).unwrap();
        stands.remove(GONE);
        fs.unlink(&path(".highwater/kb.db")).unwrap();
        (fs, stands)
    }
}

impl Scenario for Rebuilding {
    fn before(&self) -> SimFs {
        self.ready().0
    }

    fn steps(&self) -> usize {
        1
    }

    fn work(&self, fs: &SimFs) -> usize {
        usize::from(mended(fs).is_ok())
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        mended(fs).map(drop).map_err(|error| highwater_engine::diagnosis::with_causes(&error))
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let told = |error: KbError| highwater_engine::diagnosis::with_causes(&error);
        // What was acknowledged is durable: nobody has to make it again.
        let base = if acknowledged == 1 { lent(fs) } else { mended(fs) }.map_err(told)?;
        let head = base.head().map_err(told)?.map(|head| head.number);
        if head != Some(3) {
            return Err(format!("it is at {head:?}"));
        }
        for page in [EDITED, GONE, PLAIN] {
            let has = base.read(&file(page)).map_err(told)?;
            if has.as_deref() != Some(format!("{page} 3\n").as_bytes()) {
                return Err(format!("{page} has {has:?}"));
            }
        }
        let (seen, stands) = (shown(fs), self.ready().1);
        if seen == stands { Ok(()) } else { Err(format!("there stands {seen:?}, expected {stands:?}")) }
    }
}

const ALL: [Lost; 3] = [Lost::Nothing, Lost::Manifest, Lost::Shown];

#[test]
fn r05_a_rebuild_is_done_or_done_again_wherever_the_power_is_cut() {
    for lost in ALL {
        let tally = crash_everywhere(&Rebuilding(lost)).unwrap_or_else(|found| panic!("{lost:?}: {found}"));
        eprintln!("{lost:?}: {tally:?}");
        assert!(tally.disks > 10, "{tally:?}");
    }
}

#[test]
fn r05_a_disk_that_fails_while_rows_are_made_again_loses_nothing() {
    for lost in ALL {
        let tally = fail_everywhere(&Rebuilding(lost)).unwrap_or_else(|found| panic!("{lost:?}: {found}"));
        eprintln!("{lost:?}: {tally:?}");
    }
    let tally = random_runs(0..RUNS, |seed| Rebuilding(ALL[usize::try_from(seed % 3).unwrap()]));
    eprintln!("{:?}", tally.unwrap_or_else(|found| panic!("{found}")));
}

/// A story after whose crash the rows are lost.
struct Losing {
    story: Story,
    /// Whether the version of the program that was there before left signs.
    signs: bool,
}

impl Scenario for Losing {
    fn before(&self) -> SimFs {
        let (fs, tmp) = (self.story.before(), path(".highwater/tmp"));
        for entry in fs.list(&tmp).unwrap() {
            if !self.signs {
                fs.unlink(&tmp.join(&entry.name).unwrap()).unwrap();
            }
        }
        fs.reboot(Survival::Everything)
    }

    fn steps(&self) -> usize {
        self.story.steps()
    }

    fn work(&self, fs: &SimFs) -> usize {
        self.story.work(fs)
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        let [rows, done] = [".highwater/kb.db", ".highwater/remade"].map(path);
        let lost = || {
            // Once: whoever recovers again has nothing more to do.
            if fs.stat(&done)?.is_some() {
                return lent(fs).map(drop);
            }
            let head = |base: &Base| Ok::<_, KbError>(base.head()?.map(|head| head.number));
            let said = head(&Base::open(Simulated::home(fs), now())?)?;
            fs.unlink(&rows)?;
            fs.sync_dir(&path(".highwater"))?;
            let made = head(&*remade(fs)?)?;
            assert!(made <= said, "rows ended with {said:?}, and a rebuild made {made:?} of it");
            Ok(publish(fs, &done, b"", Mode::Umask)?)
        };
        lost().map_err(|error: KbError| highwater_engine::diagnosis::with_causes(&error))
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        self.story.check(fs, acknowledged)
    }
}

#[test]
fn r05_a_change_that_takes_much_away_is_made_or_nothing_of_it_where_the_rows_are_lost_after_the_crash() {
    for last in [Act::Undo(0), Act::Remove("a", false), Act::Add("a", 2)] {
        for signs in [true, false] {
            let story = Story::of(&[Act::Add("a", 1), Act::Add("b", 0), last]).act(2);
            let tally = crash_once_everywhere(&Losing { story, signs });
            let tally = tally.unwrap_or_else(|found| panic!("{last:?}, with signs: {signs}: {found}"));
            eprintln!("{last:?}, with signs: {signs}: {tally:?}");
            assert!(tally.disks > 100, "{tally:?}");
        }
    }
}
