//! A person who writes, deletes or makes a page at the very moment of a change, before each thing that it does to the disk.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_fs::{Fs, FsError, Op, RelPath};
use highwater_kb::KbError;
use highwater_kb::resolve::{Side, resolve};
use highwater_testkit::sim_fs::{SimFs, tree};

use crate::hands::{Hand, with_hand};
use crate::home::{Simulated, file, now, opened};

/// What they write: their own bytes.
const MINE: &str = "mine, of this very moment\n";
const CHANGED: &str = "wiki/changed.md";
/// What was there before.
pub(crate) const CHANGED_WAS: &str = "c1\n";
const GONE: &str = "wiki/gone.md";
const NEW: &str = "wiki/new.md";

/// What a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// Writes into the file, or makes it.
    Writes,
    /// Writes another file and moves it there, as many editors do.
    Replaces,
    Deletes,
}

/// A person who does one thing before the n-th operation, and whoever else has a hand in it.
#[derive(Debug)]
pub(crate) struct Person {
    page: &'static str,
    does: Does,
    at: usize,
    passed: AtomicUsize,
    other: Arc<dyn Hand>,
}

/// Nobody else.
#[derive(Debug)]
pub(crate) struct Nobody;
impl Hand for Nobody {}

impl Person {
    fn meets(&self, fs: &SimFs) {
        if self.passed.fetch_add(1, Ordering::Relaxed) != self.at {
            return;
        }
        let page = RelPath::new(self.page).unwrap();
        let there = fs.stat(&page).unwrap().is_some();
        match self.does {
            Does::Writes => fs.save(&page, MINE.as_bytes()).unwrap(),
            Does::Replaces => {
                let draft = RelPath::new("wiki/.draft").unwrap();
                fs.save(&draft, MINE.as_bytes()).unwrap();
                fs.rename(&draft, &page).unwrap();
            }
            Does::Deletes if there => fs.unlink(&page).unwrap(),
            Does::Deletes => {}
        }
    }
}

impl Hand for Person {
    fn lets(&self, fs: &SimFs, op: Op, path: &RelPath) -> bool {
        self.meets(fs);
        self.other.lets(fs, op, path)
    }
    fn exchange(&self, fs: &SimFs, a: &RelPath, b: &RelPath) -> Result<(), FsError> {
        self.other.exchange(fs, a, b)
    }
    fn rename_new(&self, fs: &SimFs, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.other.rename_new(fs, from, to)
    }
}

/// A person whose editor saves a page before each of the first so many times that it is read.
#[derive(Debug)]
struct Editor {
    page: &'static str,
    saves: usize,
    read: AtomicUsize,
}

impl Hand for Editor {
    fn reader(&self, fs: &SimFs, path: &RelPath) -> Result<Box<dyn Read + Send>, FsError> {
        if path.to_string() == self.page {
            let n = self.read.fetch_add(1, Ordering::Relaxed);
            if n < self.saves {
                fs.save(path, format!("mine {n}\n").as_bytes())?;
            }
        }
        fs.reader(path)
    }
}

/// A change of three pages, before each operation of which a person does something, and what came of that where it is wrong.
pub(crate) fn in_each_moment(other: &Arc<dyn Hand>) -> Result<usize, String> {
    let mut moments = 0;
    for page in [CHANGED, GONE, NEW] {
        for does in [Does::Writes, Does::Replaces, Does::Deletes] {
            for at in 0.. {
                if !in_one_moment(page, does, at, other).map_err(|why| format!("{does:?} {page} before {at}: {why}"))? {
                    break;
                }
                moments += 1;
            }
        }
    }
    Ok(moments)
}

/// Whether there is such a moment.
fn in_one_moment(page: &'static str, does: Does, at: usize, other: &Arc<dyn Hand>) -> Result<bool, String> {
    let fs = SimFs::new().with_atomic_renames();
    drop(highwater_kb::Base::init(Simulated::home(&fs), now()).unwrap());
    let (mut base, held) = opened(&Simulated::home(&fs)).unwrap();
    base.commit(&held, now(), "add", "a test", |draft| {
        draft.write(file(CHANGED), CHANGED_WAS.as_bytes())?;
        draft.write(file(GONE), b"g1\n")
    })
    .unwrap();
    drop((base, held));
    let person = Arc::new(Person { page, does, at, passed: AtomicUsize::new(0), other: Arc::clone(other) });
    let hand: Arc<dyn Hand> = person.clone();
    let committed = with_hand(&hand, || {
        let (mut base, held) = opened(&Simulated::home(&fs)).unwrap();
        base.commit(&held, now(), "add", "a test", |draft| {
            draft.write(file(CHANGED), b"c2\n")?;
            draft.remove(file(GONE));
            draft.write(file(NEW), b"n2\n")
        })
    });
    if person.passed.load(Ordering::Relaxed) <= at {
        return Ok(false);
    }
    committed.map_err(|error| error.to_string())?;
    let stands: BTreeMap<String, String> = tree(&fs)
        .unwrap()
        .into_iter()
        .filter(|(path, bytes)| !path.to_string().starts_with(".highwater") && bytes.is_some())
        .map(|(path, bytes)| (path.to_string(), String::from_utf8(bytes.unwrap()).unwrap()))
        .collect();
    let at = |path: &str| stands.get(path).map(String::as_str);
    if does != Does::Deletes && at(page) != Some(MINE) {
        return Err(format!("what they wrote is not where they wrote it: {stands:?}"));
    }
    // What the others are is not touched by what happens to one.
    for (other, has) in [(CHANGED, Some("c2\n")), (GONE, None), (NEW, Some("n2\n"))] {
        let is_fine = other == page || at(other) == has;
        if !is_fine {
            return Err(format!("{other}: {stands:?}"));
        }
    }
    if stands.keys().any(|path| path.starts_with("wiki/.")) {
        return Err(format!("something is left: {stands:?}"));
    }
    Ok(true)
}

#[test]
fn what_a_person_does_in_the_very_moment_of_a_change_stays_done() {
    let nobody: Arc<dyn Hand> = Arc::new(Nobody);
    let moments = in_each_moment(&nobody).unwrap_or_else(|why| panic!("{why}"));
    eprintln!("{moments} moments");
    assert!(moments > 200, "{moments}");
}

#[test]
fn a_conflict_is_settled_though_an_editor_saves_meanwhile_and_not_while_it_goes_on() {
    for saves in 0..12 {
        let fs = SimFs::new().with_atomic_renames();
        drop(highwater_kb::Base::init(Simulated::home(&fs), now()).unwrap());
        let (mut base, held) = opened(&Simulated::home(&fs)).unwrap();
        let changed = RelPath::new(CHANGED).unwrap();
        for theirs in ["c1\n", "c2\n"] {
            base.commit(&held, now(), "add", "a test", |draft| draft.write(file(CHANGED), theirs.as_bytes())).unwrap();
            fs.save(&changed, b"mine\n").unwrap();
        }
        drop((base, held));
        // The twelfth goes on for ever.
        let editor =
            Editor { page: CHANGED, saves: if saves == 11 { usize::MAX } else { saves }, read: AtomicUsize::new(0) };
        let editor: Arc<dyn Hand> = Arc::new(editor);
        let settled = with_hand(&editor, || {
            let (mut base, held) = opened(&Simulated::home(&fs)).unwrap();
            resolve(&mut base, &held, now(), &file(CHANGED), Side::Theirs)
        });
        let text = |path: &RelPath| String::from_utf8(fs.read(path, 100).unwrap()).unwrap();
        if saves == 11 {
            assert!(matches!(settled, Err(KbError::Changed { .. })), "{settled:?}");
            assert!(text(&changed).starts_with("mine "));
            assert_eq!(text(&RelPath::new("wiki/changed.conflict.md").unwrap()), "c2\n");
            continue;
        }
        let kept = settled.unwrap().kept;
        assert_eq!(text(&changed), "c2\n", "{saves} saves");
        let last = saves.checked_sub(1).map_or("mine\n".to_owned(), |n| format!("mine {n}\n"));
        assert!(kept.iter().any(|(_, place)| text(&RelPath::new(place).unwrap()) == last), "{saves} saves: {kept:?}");
    }
}
