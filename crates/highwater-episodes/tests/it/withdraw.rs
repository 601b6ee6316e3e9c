//! Withdrawing: whatever stops it, nobody is told what is not so, and a second call finishes it.

use std::fmt;
use std::sync::Mutex;

use highwater_episodes::index::{
    Appended, Figures, Index, IndexError, IndexLock, JsonlIndex, Missed, Page, PageAsk, Row, StillHolds, View,
};
use highwater_episodes::name::EpisodeKey;
use highwater_episodes::receive::commit::{Became, Wish, round};
use highwater_episodes::store::{FileStore, Placement, Store};
use highwater_episodes::verify::{Comparer, Depth, Standing, standings};
use highwater_episodes::withdraw::{Name, WHY_BYTES_MAX, WithdrawError, withdraw};
use highwater_fs::{Fs, RealFs, RelPath};
use highwater_testkit::sim_fs::{Scenario, SimFs, crash_everywhere};
use jiff::Timestamp;

use crate::rows::{key, path, row};

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn store(fs: &dyn Fs) -> Result<FileStore<&dyn Fs>, String> {
    FileStore::open_to_write(fs, &RelPath::root(), path("quarantine")).map_err(|error| error.to_string())
}

fn index(fs: &dyn Fs) -> Result<JsonlIndex<&dyn Fs>, String> {
    let opened = JsonlIndex::open(fs, path("index.jsonl"), path("quarantine"), IndexLock::alone());
    opened.map(|(index, _)| index).map_err(|error| error.to_string())
}

fn put(store: &dyn Store, at: &str, bytes: &[u8]) {
    let mut copy = store.stage().unwrap();
    copy.append(bytes).unwrap();
    copy.sync().unwrap();
    assert_eq!(store.place(&*copy, &key(at)).unwrap(), Placement::New);
    store.discard(copy);
    store.settle(&key(at).host).unwrap();
}

/// One episode that is stored and has its row.
struct Withdraws(Name);

impl Scenario for Withdraws {
    fn before(&self) -> SimFs {
        let fs = SimFs::new();
        put(&store(&fs).unwrap(), "lab/a", b"a");
        index(&fs).unwrap().append(&[row("lab/a", b"a")]).unwrap();
        fs
    }

    fn steps(&self) -> usize {
        1
    }

    fn work(&self, fs: &SimFs) -> usize {
        let (Ok(store), Ok(index)) = (store(fs), index(fs)) else { return 0 };
        usize::from(withdraw(&store, &index, &key("lab/a"), "lens cap", self.0, now()).is_ok())
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        store(fs).and(index(fs).map(drop))
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let (store, index) = (store(fs)?, index(fs)?);
        let row = index.find(&key("lab/a")).map_err(|error| error.to_string())?;
        let stored = store.stat(&key("lab/a")).map_err(|error| error.to_string())?.is_some();
        let tombstone = row.as_ref().is_some_and(|row| row.withdrawn.is_some());
        let quarantine = fs.list(&path("quarantine")).unwrap_or_default();
        let aside = quarantine
            .iter()
            .filter_map(|entry| entry.name.to_str())
            .any(|name| name.strip_prefix("a.tar.zst.").is_some_and(|number| number.parse::<u32>().is_ok()));
        let state = format!("row {row:?}, stored {stored}, aside {aside}");
        if !stored && !aside {
            return Err(format!("its bytes are lost: {state}"));
        }
        match self.0 {
            Name::Kept if acknowledged == 1 && (!tombstone || stored) => {
                return Err(format!("it was said to be: {state}"));
            }
            // Its bytes never go before it is said why.
            Name::Kept if !stored && !tombstone => return Err(format!("it went without a word: {state}")),
            Name::Free if acknowledged == 1 && (row.is_some() || stored) => {
                return Err(format!("it was said to be: {state}"));
            }
            Name::Free if stored && row.is_none() => return Err(format!("bytes without a row: {state}")),
            _ => {}
        }
        // Said again, it is so.
        withdraw(&store, &index, &key("lab/a"), "lens cap", self.0, now()).map_err(|error| error.to_string())?;
        let row = index.find(&key("lab/a")).map_err(|error| error.to_string())?;
        let stored = store.stat(&key("lab/a")).map_err(|error| error.to_string())?.is_some();
        let done = row.is_some_and(|row| row.withdrawn.is_some()) == (self.0 == Name::Kept) && !stored;
        if done { Ok(()) } else { Err("a second call does not finish it".to_owned()) }
    }
}

#[test]
fn r05_a_crash_at_any_operation_leaves_what_a_second_call_finishes() {
    for name in [Name::Kept, Name::Free] {
        let tally = crash_everywhere(&Withdraws(name)).unwrap_or_else(|found| panic!("{name:?}: {found}"));
        assert!(tally.disks > 20, "{tally:?}");
    }
}

/// An index in which an episode is withdrawn just before a round appends its row.
struct Beaten {
    index: JsonlIndex<RealFs>,
    tombstone: Mutex<Option<Row>>,
}

impl fmt::Debug for Beaten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beaten")
    }
}

impl Index for Beaten {
    fn find(&self, key: &EpisodeKey) -> Result<Option<Row>, IndexError> {
        self.index.find(key)
    }
    fn append_where(&self, rows: &[Row], holds: &mut StillHolds<'_>) -> Result<Vec<Appended>, IndexError> {
        if let Some(tombstone) = self.tombstone.lock().unwrap().take() {
            self.index.append(&[tombstone])?;
        }
        self.index.append_where(rows, holds)
    }
    fn page(&self, ask: &PageAsk) -> Result<Page, IndexError> {
        self.index.page(ask)
    }
    fn figures(&self) -> Result<Figures, IndexError> {
        self.index.figures()
    }
}

#[test]
fn an_upload_that_was_withdrawn_between_its_name_and_its_row_is_refused_and_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let fs = || RealFs::open(dir.path()).unwrap();
    let store = FileStore::open_to_write(fs(), &RelPath::root(), path("quarantine")).unwrap();
    let lock = IndexLock::at(dir.path().join("index.jsonl.lock"));
    let (index, _) = JsonlIndex::open(fs(), path("index.jsonl"), path("quarantine"), lock).unwrap();
    let tombstone = Row { withdrawn: Some("lens cap".to_owned()), ..row("lab/a", b"other") };
    let index = Beaten { index, tombstone: Mutex::new(Some(tombstone.clone())) };
    let mut staging = store.stage().unwrap();
    staging.append(b"a").unwrap();
    staging.sync().unwrap();
    let ended = round(&store, &index, vec![Wish::Place { staging, row: row("lab/a", b"a") }]);
    assert!(matches!(&ended.ends[..], [Ok(Became::Withdrawn { why })] if why == "lens cap"), "{:?}", ended.ends);
    assert_eq!(index.find(&key("lab/a")).unwrap(), Some(tombstone));
    assert_eq!(store.stat(&key("lab/a")).unwrap(), None, "nothing is stored under a tombstone");
    assert_eq!(std::fs::read(dir.path().join("quarantine/a.tar.zst.0")).unwrap(), b"a");
}

/// An index of which a round asks this and that, and at whose n-th question somebody else does something.
struct Met<'a> {
    index: JsonlIndex<RealFs>,
    asked: Mutex<usize>,
    acts: Vec<(usize, &'a Act<'a>)>,
}

type Act<'a> = dyn Fn(&dyn Index) + Send + Sync + 'a;

impl Met<'_> {
    fn meets(&self) {
        let mut asked = self.asked.lock().unwrap();
        self.acts.iter().filter(|(at, _)| at == &*asked).for_each(|(_, act)| act(&self.index));
        *asked += 1;
    }

    /// What was not done while it was asked is done now.
    fn end(&self) {
        let asked = *self.asked.lock().unwrap();
        self.acts.iter().filter(|(at, _)| *at >= asked).for_each(|(_, act)| act(&self.index));
    }
}

impl fmt::Debug for Met<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Met")
    }
}

impl Index for Met<'_> {
    fn find(&self, key: &EpisodeKey) -> Result<Option<Row>, IndexError> {
        self.meets();
        self.index.find(key)
    }
    fn append_where(&self, rows: &[Row], holds: &mut StillHolds<'_>) -> Result<Vec<Appended>, IndexError> {
        self.meets();
        let appended = self.index.append_where(rows, holds);
        self.meets();
        appended
    }
    fn missed(&self, key: &EpisodeKey) -> Result<Option<Missed>, IndexError> {
        self.meets();
        self.index.missed(key)
    }
    fn page(&self, ask: &PageAsk) -> Result<Page, IndexError> {
        self.index.page(ask)
    }
    fn figures(&self) -> Result<Figures, IndexError> {
        self.index.figures()
    }
}

/// What an upload finds: nothing; the episode; its row, and its bytes gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finds {
    Nothing,
    Episode,
    RowAlone,
}

/// A round of one upload, while a name is made free: its bytes go at one moment, and its row at another one.
fn freed_at(finds: Finds, bytes_at: usize, row_at: usize) -> Result<bool, String> {
    let dir = tempfile::tempdir().unwrap();
    let fs = || RealFs::open(dir.path()).unwrap();
    let store = FileStore::open_to_write(fs(), &RelPath::root(), path("quarantine")).unwrap();
    let lock = IndexLock::at(dir.path().join("index.jsonl.lock"));
    let (index, _) = JsonlIndex::open(fs(), path("index.jsonl"), path("quarantine"), lock).unwrap();
    let of = key("lab/a");
    if finds == Finds::Episode {
        put(&store, "lab/a", b"a");
    }
    if finds != Finds::Nothing {
        index.append(&[row("lab/a", b"a")]).unwrap();
    }
    let bytes_went = Mutex::new(false);
    let bytes_go = |_: &dyn Index| {
        if store.stat(&of).unwrap().is_some() {
            store.quarantine(&of, "its name is free").unwrap();
            *bytes_went.lock().unwrap() = true;
        }
    };
    let row_goes = |index: &dyn Index| {
        let free =
            Row { removed: Some("room".to_owned()), withdrawn: Some("no more".to_owned()), ..row("lab/a", b"a") };
        index.append_where(&[free], &mut |row| Ok(store.stat(&row.key()).unwrap().is_none())).unwrap();
    };
    let index = Met { index, asked: Mutex::new(0), acts: vec![(bytes_at, &bytes_go), (row_at, &row_goes)] };
    let wish = match finds {
        Finds::Episode => Wish::Keep { row: row("lab/a", b"a") },
        Finds::Nothing | Finds::RowAlone => {
            let mut staging = store.stage().unwrap();
            staging.append(b"a").unwrap();
            staging.sync().unwrap();
            Wish::Place { staging, row: row("lab/a", b"a") }
        }
    };
    let ended = round(&store, &index, vec![wish]).ends.remove(0);
    let asked = *index.asked.lock().unwrap();
    // Whatever is told is told now: what went before is not there.
    let is_there = store.stat(&of).unwrap().is_some();
    let is_told = matches!(ended, Ok(Became::Stored | Became::Present { .. }));
    if is_told && !is_there && bytes_at + 1 < asked {
        return Err(format!("it is told to be there, and is not: {ended:?}"));
    }
    if !is_told && !*bytes_went.lock().unwrap() {
        return Err(format!("nobody took it away: {ended:?}"));
    }
    index.end();
    match (index.index.find(&of).unwrap().is_some(), store.stat(&of).unwrap().is_some()) {
        (true, false) => Err(format!("a row of which nothing is stored: {ended:?}")),
        (false, true) => Err(format!("bytes without a row: {ended:?}")),
        _ => Ok(bytes_at < asked || row_at < asked),
    }
}

#[test]
fn an_upload_whose_name_is_made_free_meanwhile_is_told_of_what_is_stored() {
    let mut wrong = Vec::new();
    let mut moments = 0;
    for finds in [Finds::Nothing, Finds::Episode, Finds::RowAlone] {
        for bytes_at in 0..8 {
            for row_at in bytes_at..8 {
                match freed_at(finds, bytes_at, row_at) {
                    Ok(met) => moments += usize::from(met),
                    Err(why) => wrong.push(format!("{finds:?}, bytes at {bytes_at}, row at {row_at}: {why}")),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(moments > 50, "{moments}");
}

#[test]
fn what_has_no_row_gets_a_tombstone_and_what_is_not_there_is_refused() {
    let fs = SimFs::new();
    let (store, index) = (store(&fs).unwrap(), index(&fs).unwrap());
    put(&store, "lab/a", b"a");
    let done = withdraw(&store, &index, &key("lab/a"), "lens cap", Name::Kept, now()).unwrap();
    assert!(done.is_new && done.aside.is_some(), "{done:?}");
    let tombstone = index.find(&key("lab/a")).unwrap().unwrap();
    assert_eq!((tombstone.sha256, tombstone.received_at_wall), (row("lab/a", b"a").sha256, now()));
    let again = withdraw(&store, &index, &key("lab/a"), "again", Name::Kept, now()).unwrap();
    assert!(!again.is_new && again.aside.is_none(), "{again:?}");
    assert_eq!(
        index.find(&key("lab/a")).unwrap().unwrap().withdrawn.as_deref(),
        Some("lens cap"),
        "the first word stands"
    );
    let missing = withdraw(&store, &index, &key("lab/b"), "x", Name::Kept, now()).unwrap_err();
    assert!(matches!(missing, WithdrawError::NotThere(_)));
    let long = "x".repeat(WHY_BYTES_MAX + 1);
    assert!(matches!(
        withdraw(&store, &index, &key("lab/a"), &long, Name::Kept, now()),
        Err(WithdrawError::LongWhy(_))
    ));
    // The longest one is still a row.
    put(&store, "lab/c", b"c");
    let hostile = "\u{1}".repeat(WHY_BYTES_MAX);
    withdraw(&store, &index, &key("lab/c"), &hostile, Name::Kept, now()).unwrap();
    assert!(index.find(&key("lab/c")).unwrap().unwrap().withdrawn.is_some());
    // Its name is free again by explicit word.
    assert!(withdraw(&store, &index, &key("lab/a"), "room", Name::Free, now()).unwrap().is_new);
    assert_eq!(index.find(&key("lab/a")).unwrap(), None);
    assert!(!withdraw(&store, &index, &key("lab/a"), "room", Name::Free, now()).unwrap().is_new, "it is free already");
}

#[test]
fn what_is_stored_is_compared_with_its_row_in_the_order_of_the_rows() {
    let fs = SimFs::new();
    let store = store(&fs).unwrap();
    for (at, bytes) in [("lab/a", &b"a"[..]), ("lab/b", b"other"), ("lab/d", b"d")] {
        put(&store, at, bytes);
    }
    let withdrawn = |at: &str| Row { withdrawn: Some("x".to_owned()), ..row(at, b"d") };
    let rows = [row("lab/a", b"a"), row("lab/b", b"b"), row("lab/c", b"c"), withdrawn("lab/d"), withdrawn("lab/e")];
    let other = row("lab/b", b"other");
    let expected = [
        Standing::Agrees,
        Standing::Differs { sha256: other.sha256, size_bytes: other.size_bytes },
        Standing::Missing,
        Standing::Left,
        Standing::Agrees,
    ];
    let comparers = |depth, count| (0..count).map(|_| Comparer::new(depth).unwrap()).collect::<Vec<_>>();
    for at_once in [1, 3, 100] {
        assert_eq!(standings(&store, &rows, &mut comparers(Depth::Bytes, at_once)), expected);
    }
    assert_eq!(standings(&store, &[], &mut comparers(Depth::Bytes, 4)), []);
    // `a` is what its row says, and no archive; of what differs that alone is told.
    let deep = standings(&store, &rows, &mut comparers(Depth::Contents, 2));
    assert!(matches!(&deep[0], Standing::NoArchive(why) if why.contains("zstd")), "{deep:?}");
    assert_eq!(deep[1..], expected[1..]);
    assert_eq!(View::read(std::path::Path::new("/nowhere/index.jsonl")).unwrap().figures().unwrap().keys, 0);
}
