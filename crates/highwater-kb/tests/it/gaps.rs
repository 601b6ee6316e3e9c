//! Rows that can be used, and generations of which it is lost what they changed: what rows are made again from them know all of it (R14).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_db::sqlite::rusqlite::Connection;
use highwater_kb::base::{Anew, Health, Rebuilt, examine};
use highwater_kb::{Base, Directory, Home, KbError, Snapshot};

use crate::home::now;
use crate::library::{Library, Paper};

/// A base with a furnished generation and five papers, of which one went: 7 generations.
struct Gapped {
    directory: tempfile::TempDir,
    home: Arc<dyn Home>,
}

const HEAD: u32 = 7;

fn of(n: u32, version: u32) -> Paper {
    let own = format!("entities/own-{n}");
    let text = format!("# Paper {n}\n\nVersion {version} of what paper {n} says.\n");
    Paper::new(&format!("paper-{n}"), &text, &[("concepts/tides", false, &[]), (&own, true, &[])])
}

impl Gapped {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
        let mut library = Library::new(home.clone());
        (1..=3).for_each(|n| library.add(&[&of(n, 1)]));
        library.add(&[&of(2, 2), &of(4, 1)]);
        library.remove("paper-3");
        library.add(&[&of(5, 1)]);
        assert_eq!(library.base.head().unwrap().unwrap().number, HEAD);
        Self { directory, home }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn manifest(&self, generation: u32) -> PathBuf {
        self.path(&format!(".highwater/objects/generation-{generation:010}"))
    }

    /// What a person made of pages: written before, between and after what the base says; renamed, deleted, made.
    fn edit(&self) {
        for page in ["wiki/concepts/tides.md", "wiki/summaries/paper-5.md", "wiki/index.md", "wiki/log.md"] {
            let text = fs::read_to_string(self.path(page)).unwrap();
            fs::write(self.path(page), format!("{text}\nA person's line.\n")).unwrap();
        }
        let text = fs::read_to_string(self.path("wiki/summaries/paper-2.md")).unwrap();
        fs::write(self.path("wiki/summaries/paper-2.md"), text.replace("# ", "# Mine: ")).unwrap();
        fs::remove_file(self.path("wiki/entities/own-4.md")).unwrap();
        fs::write(self.path("wiki/mine.md"), "Mine.\n").unwrap();
    }

    /// What stands in `wiki/` and `raw/`, but the newest page of the log.
    fn stands(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut stands = BTreeMap::new();
        ["wiki", "raw"].iter().for_each(|below| read(&self.path(below), &mut stands));
        stands.remove(&self.path("wiki/log.md"));
        let root = self.directory.path();
        stands.into_iter().map(|(path, bytes)| (path.strip_prefix(root).unwrap().to_owned(), bytes)).collect()
    }

    /// What the rows tell of files, documents and pages; what people made of a file may be known better than it was.
    fn rows(&self) -> Vec<String> {
        const SELECTS: [&str; 8] = [
            "SELECT path || ' ' || hex(content) FROM file WHERE path <> 'wiki/log.md'",
            "SELECT name || ' ' || record FROM document",
            "SELECT path || ' ' || hex(began) || deleted FROM own",
            "SELECT sequence || ' ' || name || hex(content) || origin FROM registered",
            "SELECT page || ' ' || sequence || document || title || body || alone FROM contribution",
            "SELECT name || ' ' || title || description || documents || alone || stands FROM page",
            "SELECT origin || ' ' || target FROM link",
            "SELECT sequence_last || ' ' || documents || ' ' || concepts || ' ' || entities FROM tally",
        ];
        let rows = Connection::open(self.path(".highwater/kb.db")).unwrap();
        let mut told = Vec::new();
        for select in SELECTS {
            let mut list = rows.prepare(&format!("{select} ORDER BY 1")).unwrap();
            told.extend(list.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
        }
        told
    }

    /// The documents that there are.
    fn documents(&self) -> Vec<String> {
        let snapshot = Snapshot::open(self.home.clone()).unwrap();
        snapshot.documents(0, 100).unwrap().into_iter().map(|(name, _)| name.to_string()).collect()
    }

    /// Makes the rows again, whatever they are.
    fn rebuild(&self) -> Rebuilt {
        let home = Directory::open(self.directory.path()).unwrap();
        let held = home.try_lock().unwrap().unwrap();
        let found = examine(&home).unwrap();
        Anew::make(&home, &held, now(), &found).unwrap().put(&held, now(), "a test").unwrap()
    }

    fn lose_rows(&self) {
        for file in ["kb.db", "kb.db-wal", "kb.db-shm"] {
            let _ = fs::remove_file(self.path(".highwater").join(file));
        }
    }
}

/// Fails with what differs.
fn same(are: &[String], were: &[String], case: &str) {
    let more = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|row| !those.contains(row)).map(|row| row.chars().take(200).collect()).collect()
    };
    assert!(are == were, "{case}: came {:#?}, went {:#?}", more(are, were), more(were, are));
}

fn read(directory: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { read(&path, into) } else { drop(into.insert(path.clone(), fs::read(&path).unwrap())) }
    }
}

#[test]
fn r14_what_only_a_lost_generation_changed_is_taken_from_rows_that_can_be_used() {
    let damages: [fn(&Path); 2] =
        [|manifest| fs::remove_file(manifest).unwrap(), |manifest| fs::write(manifest, "torn").unwrap()];
    let all: Vec<Vec<u32>> =
        (1..=HEAD).map(|n| vec![n]).chain([vec![2, 4], vec![5, 6, 7], vec![3, 7], (1..=HEAD).collect()]).collect();
    for (lost, edited) in all.iter().flat_map(|lost| [(lost, false), (lost, true)]) {
        let damage = damages[(lost.len() + lost[0] as usize + usize::from(edited)) % 2];
        let gapped = Gapped::new();
        if edited {
            gapped.edit();
        }
        let (stood, told) = (gapped.stands(), gapped.rows());
        lost.iter().for_each(|generation| damage(&gapped.manifest(*generation)));
        assert_eq!(examine(&Directory::open(gapped.directory.path()).unwrap()).unwrap(), Health::Whole(HEAD));
        let rebuilt = gapped.rebuild();
        let named: Vec<&str> = rebuilt.aside.iter().map(|aside| aside.what.as_str()).collect();
        let expected: Vec<String> = lost.iter().map(|generation| format!("generation {generation}")).collect();
        assert_eq!(named, expected, "{lost:?}: {:?}", rebuilt.aside);
        assert_eq!(rebuilt.documents, 4, "{lost:?}");
        drop(rebuilt);
        assert!(gapped.stands() == stood, "{lost:?}, {edited}: what stands");
        same(&gapped.rows(), &told, &format!("{lost:?}, {edited}"));
        let log = fs::read_to_string(gapped.path("wiki/log.md")).unwrap();
        assert!(log.contains("what the database knew of generation"), "{lost:?}: {log}");
        // Also to who has lost the rows, and once more.
        gapped.lose_rows();
        let rebuilt = gapped.rebuild();
        let named: Vec<&str> = rebuilt.aside.iter().map(|aside| aside.what.as_str()).collect();
        assert_eq!((rebuilt.documents, named), (4, expected.iter().map(String::as_str).collect()), "{lost:?}");
        drop(rebuilt.base);
        assert!(gapped.stands() == stood, "{lost:?}, {edited}: what stands without rows");
        same(&gapped.rows(), &told, &format!("{lost:?}, {edited}, without rows"));
        let mut library = Library::open(gapped.home.clone());
        library.add(&[&of(6, 1)]);
        assert_eq!(library.base.document(&of(6, 1).name).unwrap().unwrap().sequence, 6);
        let is_any_beside = gapped.stands().keys().any(|path| path.to_string_lossy().contains(".conflict"));
        assert!(edited || !is_any_beside, "{lost:?}");
    }
}

#[test]
fn r14_a_rebuild_that_takes_from_the_rows_and_is_cut_off_before_they_give_way_changes_nothing() {
    let gapped = Gapped::new();
    gapped.edit();
    let (stood, told) = (gapped.stands(), gapped.rows());
    fs::remove_file(gapped.manifest(5)).unwrap();
    for _ in 0..2 {
        let home = Directory::open(gapped.directory.path()).unwrap();
        let held = home.try_lock().unwrap().unwrap();
        drop(Anew::make(&home, &held, now(), &Health::Whole(HEAD)).unwrap());
        drop(held);
        assert_eq!(examine(&home).unwrap(), Health::Whole(HEAD));
        assert!(gapped.stands() == stood && gapped.rows() == told);
    }
    let base = Base::open(gapped.home.clone(), now()).unwrap();
    assert_eq!(base.head().unwrap().unwrap().number, HEAD);
    drop(base);
    let rebuilt = gapped.rebuild();
    assert_eq!(rebuilt.documents, 4);
    let next = |what: &str| rebuilt.aside.iter().find(|aside| aside.what == what).map(|aside| aside.next.as_str());
    // Of what the calls before began there is nothing left to do.
    assert!(next("generation 5").is_some());
    assert!(
        next("generation 8").is_some_and(|next| next.ends_with("and this one does it again")),
        "{:?}",
        rebuilt.aside
    );
    drop(rebuilt);
    assert!(gapped.stands() == stood);
    same(&gapped.rows(), &told, "after all");
}

#[test]
fn r14_of_what_is_taken_from_rows_what_is_not_stored_is_named() {
    let gapped = Gapped::new();
    let library = Library::open(gapped.home.clone());
    let compiled = library.base.document(&of(4, 1).name).unwrap().unwrap().compiled;
    drop(library);
    fs::remove_file(gapped.manifest(5)).unwrap();
    fs::remove_file(gapped.path(&format!(".highwater/objects/{compiled}"))).unwrap();
    let rebuilt = gapped.rebuild();
    let named: Vec<&str> = rebuilt.aside.iter().map(|aside| aside.what.as_str()).collect();
    assert_eq!(named, ["generation 5", "what was compiled from the document paper-4"]);
    assert_eq!(rebuilt.documents, 4);
}

#[test]
fn what_a_generation_had_after_which_none_is_lost_is_gone_back_to_and_nothing_before() {
    for lost in 2..=HEAD {
        let mut states = Vec::new();
        let gapped = Gapped::new();
        // What each generation had.
        for generation in 1..=HEAD {
            let mut library = Library::open(gapped.home.clone());
            library.undo(generation);
            drop(library);
            states.push((gapped.stands(), gapped.documents()));
        }
        let gapped = Gapped::new();
        fs::remove_file(gapped.manifest(lost)).unwrap();
        drop(gapped.rebuild());
        for generation in (1..=HEAD).rev() {
            let mut library = Library::open(gapped.home.clone());
            let undone = library.under_lock(|base, held| base.undo(held, now(), generation));
            drop(library);
            match undone {
                Ok(_) => {
                    assert!(generation >= lost, "{lost}: {generation}");
                    let (stood, documents) = &states[generation as usize - 1];
                    assert_eq!(&gapped.documents(), documents, "{lost}: {generation}");
                    let stands = gapped.stands();
                    let differs =
                        |path: &&PathBuf| stands.get(*path).is_none_or(|bytes| Some(bytes) != stood.get(*path));
                    let differ: Vec<_> = stands.keys().chain(stood.keys()).filter(differs).collect();
                    assert!(differ.is_empty(), "{lost}: {generation}: {differ:?}");
                }
                Err(error) => {
                    assert!(generation < lost, "{lost}: {generation}: {error}");
                    assert!(matches!(error, KbError::GenerationLost { generation } if generation == lost), "{error}");
                }
            }
        }
    }
}

#[test]
fn r14_what_is_lost_after_a_generation_that_says_again_is_taken_from_the_rows_too() {
    let gapped = Gapped::new();
    fs::remove_file(gapped.manifest(3)).unwrap();
    drop(gapped.rebuild());
    let told = gapped.rows();
    // Nothing is lost since.
    assert_eq!(gapped.rebuild().aside, vec![]);
    same(&gapped.rows(), &told, "nothing is lost since");
    fs::remove_file(gapped.manifest(5)).unwrap();
    let rebuilt = gapped.rebuild();
    let named: Vec<&str> = rebuilt.aside.iter().map(|aside| aside.what.as_str()).collect();
    assert_eq!((rebuilt.documents, named), (4, vec!["generation 5"]));
    drop(rebuilt);
    same(&gapped.rows(), &told, "generation 5 is lost since");
    gapped.lose_rows();
    drop(gapped.rebuild());
    same(&gapped.rows(), &told, "without rows");
}

#[test]
fn nothing_is_garbage_where_a_generation_is_lost() {
    let gapped = Gapped::new();
    fs::remove_file(gapped.manifest(3)).unwrap();
    drop(gapped.rebuild());
    let mut library = Library::open(gapped.home.clone());
    assert!(library.collect(now(), std::time::Duration::ZERO).unwrap().keeps_objects);
}
