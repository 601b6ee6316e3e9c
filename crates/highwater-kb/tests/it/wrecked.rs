//! A database that is cut off, something else, or of an earlier time: the same rows are made again, the pages stay to the byte, and
//! nothing of what was there is lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_db::sqlite::rusqlite::Connection;
use highwater_kb::base::{Anew, Edits, Health, Rebuilt, asks_for_rebuild, examine};
use highwater_kb::{Base, Directory, Home, KbError, Snapshot};

use crate::home::now;
use crate::library::{Library, Paper};
use crate::rebuilt::{answers, rows};

/// At how many places a database is cut off.
const CUTS: usize = 200;
/// SQLite's.
const PAGE_BYTES: usize = 4096;
const ROWS: [&str; 3] = ["kb.db", "kb.db-wal", "kb.db-shm"];

/// A base of three documents whose rows somebody wrecks.
struct Wreck {
    directory: tempfile::TempDir,
    home: Arc<dyn Home>,
}

fn of(n: u32) -> Paper {
    let own = format!("entities/own-{n}");
    let text = format!("# Paper {n}\n\nWords of paper {n} on tides.\n");
    Paper::new(&format!("paper-{n}"), &text, &[("concepts/tides", false, &[]), (&own, true, &[])])
}

impl Wreck {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
        let mut library = Library::new(home.clone());
        library.add(&[&of(1), &of(2)]);
        library.add(&[&of(3)]);
        drop(library);
        Self { directory, home }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn own(&self, name: &str) -> PathBuf {
        self.path(".highwater").join(name)
    }

    fn lose_rows(&self) {
        ROWS.iter().for_each(|name| drop(fs::remove_file(self.own(name))));
    }

    /// Every row, what readers are told, and what stands in `wiki/` and `raw/`.
    fn all(&self) -> (Vec<String>, String, BTreeMap<PathBuf, Vec<u8>>) {
        let mut stands = BTreeMap::new();
        ["wiki", "raw"].iter().for_each(|below| read(&self.path(below), &mut stands));
        (rows(self.directory.path()), answers(&self.home), stands)
    }

    /// Rows that are refused by whoever opens them, with the rebuild as the way out.
    fn is_refused(&self, wreck: &str) {
        self.is_refused_by_all(wreck);
        assert!(!matches!(examine(&*self.home).unwrap(), Health::Whole(_)), "{wreck}");
    }

    fn is_refused_by_all(&self, wreck: &str) {
        let refused = [
            Base::open(self.home.clone(), now()).map(drop),
            Snapshot::open(self.home.clone()).and_then(|snapshot| snapshot.documents(0, 10).map(drop)),
        ];
        for refused in refused {
            let error = refused.expect_err(wreck);
            assert!(asks_for_rebuild(&error), "{wreck}: {error:?}");
        }
    }

    fn rebuild(&self) -> Rebuilt {
        let home = Directory::open(self.directory.path()).unwrap();
        let held = home.try_lock().unwrap().unwrap();
        Anew::make(&home, &held, now(), &Health::Gone).unwrap().put(&held, now(), "a test").unwrap()
    }

    fn kept(&self, bytes: &[u8]) -> bool {
        fs::read_dir(self.own("quarantine"))
            .unwrap()
            .any(|entry| fs::read(entry.unwrap().path()).is_ok_and(|kept| kept == bytes))
    }
}

fn read(directory: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { read(&path, into) } else { drop(into.insert(path.clone(), fs::read(&path).unwrap())) }
    }
}

#[test]
fn r14_a_database_that_is_cut_off_anywhere_is_made_again_to_the_row() {
    let wreck = Wreck::new();
    // The last page is of what people had made of files that went: as long as that is nothing, nothing is cut off it.
    let mut library = Library::open(wreck.home.clone());
    library.add(&[&of(4)]);
    fs::remove_file(wreck.path("wiki/summaries/paper-4.md")).unwrap();
    library.remove("paper-4");
    drop(library);
    let had = wreck.all();
    let whole = fs::read(wreck.own("kb.db")).unwrap();
    for cut in 0..CUTS {
        let bytes = &whole[..whole.len() * cut / CUTS];
        wreck.lose_rows();
        fs::write(wreck.own("kb.db"), bytes).unwrap();
        let name = format!("{} bytes of {}", bytes.len(), whole.len());
        // Of the last page a part is there: who does not read it does not see what is gone.
        if whole.len() - bytes.len() >= PAGE_BYTES {
            wreck.is_refused_by_all(&name);
        }
        assert!(!matches!(examine(&*wreck.home).unwrap(), Health::Whole(_)), "{name}");
        let rebuilt = wreck.rebuild();
        assert_eq!((rebuilt.documents, rebuilt.aside.len()), (3, 0));
        drop(rebuilt);
        assert!(wreck.all() == had, "{name}");
        assert!(wreck.kept(bytes), "{name}: nothing of it is lost");
    }
}

#[test]
fn r14_a_database_that_is_something_else_is_made_again_and_kept() {
    let wreck = Wreck::new();
    let had = wreck.all();
    let whole = fs::read(wreck.own("kb.db")).unwrap();
    let other = wreck.path("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)").unwrap();
    let mut holed = whole.clone();
    holed[whole.len() / 4..whole.len() / 2].fill(0x5a);
    for (what, bytes) in [
        ("text", b"no database at all\n".to_vec()),
        ("zeros", vec![0; 65_536]),
        ("another program's", fs::read(&other).unwrap()),
        ("a hole", holed),
    ] {
        wreck.lose_rows();
        fs::write(wreck.own("kb.db"), &bytes).unwrap();
        // A log of another database is no part of it.
        fs::write(wreck.own("kb.db-wal"), b"no log").unwrap();
        assert!(!matches!(examine(&*wreck.home).unwrap(), Health::Whole(_)), "{what}");
        drop(wreck.rebuild());
        assert!(wreck.all() == had, "{what}");
        assert!(wreck.kept(&bytes), "{what}");
    }
    wreck.lose_rows();
    fs::create_dir(wreck.own("kb.db")).unwrap();
    fs::write(wreck.own("kb.db/mine"), "mine").unwrap();
    wreck.is_refused("a directory");
    let rebuilt = wreck.rebuild();
    let kept = wreck.path(&rebuilt.replaced[0]);
    drop(rebuilt);
    assert_eq!(fs::read_to_string(kept.join("mine")).unwrap(), "mine");
    assert!(wreck.all() == had);
}

#[test]
fn r14_a_copy_of_an_earlier_time_is_refused_however_many_generations_it_lacks() {
    for lacks in [1, 2, 5] {
        let wreck = Wreck::new();
        let copied = wreck.path("copy");
        fs::create_dir(&copied).unwrap();
        // As a copy of a base in use: what is committed lies beside the file still.
        let mut library = Library::open(wreck.home.clone());
        library.add(&[&of(4)]);
        for name in ROWS {
            fs::copy(wreck.own(name), copied.join(name)).unwrap();
        }
        (5..5 + lacks).for_each(|n| library.add(&[&of(n)]));
        drop(library);
        let had = wreck.all();
        let newest = fs::read(wreck.own("kb.db")).unwrap();
        for names in [&ROWS[..], &ROWS[..1]] {
            wreck.lose_rows();
            for name in names {
                fs::copy(copied.join(name), wreck.own(name)).unwrap();
            }
            wreck.is_refused(&format!("{names:?} that lack {lacks}"));
            drop(wreck.rebuild());
            assert!(wreck.all() == had, "{names:?} that lack {lacks}");
        }
        // The newest file beside what an earlier one had: whatever comes of it, the rebuild does not look at it.
        wreck.lose_rows();
        fs::write(wreck.own("kb.db"), &newest).unwrap();
        fs::copy(copied.join(ROWS[1]), wreck.own(ROWS[1])).unwrap();
        drop(wreck.rebuild());
        assert!(wreck.all() == had, "lacks {lacks}");
    }
}

#[test]
fn an_attempt_that_never_came_to_its_commit_is_no_later_generation() {
    let wreck = Wreck::new();
    let had = wreck.all();
    // What a crash leaves before the COMMIT: the manifest, and nothing that people see.
    let copied = fs::read(wreck.own("kb.db")).unwrap();
    let log = fs::read(wreck.path("wiki/log.md")).unwrap();
    let mut library = Library::open(wreck.home.clone());
    library.add(&[&of(4)]);
    drop(library);
    wreck.lose_rows();
    fs::write(wreck.own("kb.db"), copied).unwrap();
    fs::write(wreck.path("wiki/log.md"), log).unwrap();
    fs::rename(wreck.own("tmp/4.shown"), wreck.own("tmp/3.shown")).unwrap();
    assert_eq!(examine(&*wreck.home).unwrap(), Health::Whole(3));
    let mut library = Library::open(wreck.home.clone());
    assert_eq!(library.base.head().unwrap().unwrap().number, 3);
    assert!(rows(wreck.directory.path()) == had.0);
    library.add(&[&of(4)]);
}

#[test]
fn what_people_edited_survives_a_rebuild_and_is_told_once() {
    let wreck = Wreck::new();
    // The newest generation changed tides and made own-3; own-1 is older.
    let mine = [("wiki/concepts/tides.md", "all of it mine\n"), ("wiki/entities/own-1.md", "mine too\n")];
    for (path, text) in mine {
        fs::write(wreck.path(path), text).unwrap();
    }
    fs::remove_file(wreck.path("wiki/entities/own-3.md")).unwrap();
    fs::write(wreck.path("wiki/mine.md"), "no part of the base\n").unwrap();
    let before = wreck.all().2;
    for _ in 0..2 {
        wreck.lose_rows();
        let rebuilt = wreck.rebuild();
        assert_eq!(rebuilt.edits, Edits { edited: 2, deleted: 1, conflicts: 0 });
        drop(rebuilt);
        assert!(wreck.all().2 == before, "no version lies beside one that nobody's change has met");
    }
    // A change that meets the edit is one conflict, and stays one.
    let mut library = Library::open(wreck.home.clone());
    library.add(&[&of(4)]);
    drop(library);
    let beside = |n: &str| wreck.path(&format!("wiki/concepts/tides.conflict{n}.md"));
    assert!(beside("").exists());
    wreck.lose_rows();
    let rebuilt = wreck.rebuild();
    assert_eq!(rebuilt.edits, Edits { edited: 1, deleted: 1, conflicts: 1 });
    drop(rebuilt);
    let versions = fs::read_dir(wreck.path("wiki/concepts")).unwrap();
    assert_eq!(
        versions.filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().contains("conflict")).count(),
        1
    );
    assert_eq!(fs::read_to_string(wreck.path("wiki/concepts/tides.md")).unwrap(), "all of it mine\n");
}

#[test]
fn what_a_newer_version_wrote_is_set_aside_by_nobody() {
    let wreck = Wreck::new();
    let manifest = wreck.path(".highwater/objects/generation-0000000003");
    let text = fs::read_to_string(&manifest).unwrap().replacen("\"format\":1", "\"format\":4,\"more\":[]", 1);
    fs::write(&manifest, &text).unwrap();
    wreck.lose_rows();
    let home = Directory::open(wreck.directory.path()).unwrap();
    let held = home.try_lock().unwrap().unwrap();
    let refused = Anew::make(&home, &held, now(), &Health::Gone).map(drop);
    assert!(matches!(refused, Err(KbError::NewerManifest { generation: 3, format: 4 })), "{refused:?}");
    assert_eq!(fs::read_to_string(&manifest).unwrap(), text);
    assert!(!wreck.own("kb.db").exists());
}

#[test]
fn nothing_before_a_generation_that_is_lost_is_gone_back_to() {
    let wreck = Wreck::new();
    fs::remove_file(wreck.path(".highwater/objects/generation-0000000002")).unwrap();
    wreck.lose_rows();
    drop(wreck.rebuild());
    let before = wreck.all();
    let mut library = Library::open(wreck.home.clone());
    let refused = library.under_lock(|base, held| base.undo(held, now(), 1)).map(drop);
    assert!(matches!(refused, Err(KbError::GenerationLost { generation: 2 })), "{refused:?}");
    drop(library);
    assert!(wreck.all() == before);
    Library::open(wreck.home.clone()).undo(2);
    assert!(!wreck.path("wiki/entities/own-3.md").exists());
}

#[test]
fn a_rebuild_writes_nothing_beside_what_people_have_whatever_they_made_of_the_log() {
    /// What a person makes of a page.
    type Made = fn(&str) -> Option<String>;
    let around: Made = |log| Some(format!("{log}\nmine\n"));
    let logs: [(&str, Made); 4] = [
        ("written around", around),
        ("written in", |log| Some(log.replace("add | paper-3", "add | the third"))),
        ("emptied", |_| Some(String::new())),
        ("deleted", |_| None),
    ];
    for (what, made) in logs {
        let wreck = Wreck::new();
        let log = wreck.path("wiki/log.md");
        match made(&fs::read_to_string(&log).unwrap()) {
            Some(text) => fs::write(&log, text).unwrap(),
            None => fs::remove_file(&log).unwrap(),
        }
        fs::write(wreck.path("wiki/concepts/tides.md"), "all of it mine\n").unwrap();
        fs::write(wreck.path("raw/paper-3.txt"), "and this\n").unwrap();
        let before = wreck.all().2;
        wreck.lose_rows();
        let rebuilt = wreck.rebuild();
        assert_eq!(rebuilt.edits.conflicts, 0, "{what}");
        drop(rebuilt);
        assert!(wreck.all().2 == before, "{what}");
    }
    // The log alone says it, where they edited each file that the newest generation changed.
    let wreck = Wreck::new();
    let mut files = wreck.all().2;
    for (path, bytes) in &mut files {
        *bytes = [bytes, b"\nmine\n".as_slice()].concat();
        fs::write(path, bytes).unwrap();
    }
    wreck.lose_rows();
    drop(wreck.rebuild());
    assert!(wreck.all().2 == files);
}

#[test]
fn rows_of_an_earlier_time_are_refused_also_where_a_person_wrote_around_the_log() {
    let wreck = Wreck::new();
    let copied = fs::read(wreck.own("kb.db")).unwrap();
    let mut library = Library::open(wreck.home.clone());
    library.add(&[&of(4)]);
    drop(library);
    let log = wreck.path("wiki/log.md");
    fs::write(&log, format!("{}\nmine\n", fs::read_to_string(&log).unwrap())).unwrap();
    wreck.lose_rows();
    fs::write(wreck.own("kb.db"), copied).unwrap();
    wreck.is_refused("of the generation before");
}
