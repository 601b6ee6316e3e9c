//! A base of the older kind that is taken over: as it is, once, whole, and to be gone on with.

mod hostile;
mod later;
mod power;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use highwater_kb::adopt::{self, Adopted, Survey};
use highwater_kb::page::link::{self, Names, Resolved};
use highwater_kb::{Base, BaseLock, Directory, DocName, Fate, Home, Snapshot};
use highwater_testkit::older_base::{self, Files};

use crate::home::{file, now};
use crate::library::Library;

/// A base of the older kind in a directory of its own.
pub(crate) struct Older {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) files: Files,
}

impl Older {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// One in which something is otherwise.
    pub(crate) fn with(change: impl FnOnce(&mut Files)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut files = older_base::older_base(&directory.path().to_string_lossy());
        change(&mut files);
        older_base::lay(directory.path(), &files);
        Self { directory, files }
    }

    pub(crate) fn home(&self) -> Arc<dyn Home> {
        Arc::new(Directory::open(self.directory.path()).unwrap())
    }

    pub(crate) fn survey(&self) -> Survey {
        surveyed(&self.home())
    }

    /// Takes it over.
    pub(crate) fn taken(&self) -> Library {
        let home = self.home();
        let adopted = taken(&home, &self.survey());
        assert!(matches!(adopted, Adopted::Now { .. }), "{adopted:?}");
        Library::open(home)
    }

    /// What stands in the directory, but for what is ours alone.
    pub(crate) fn stands(&self) -> Files {
        let mut stands = Files::new();
        walk(self.directory.path(), self.directory.path(), &mut stands);
        stands
    }
}

fn walk(root: &Path, directory: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            if name != ".highwater" {
                walk(root, &path, files);
            }
        } else if !path.is_symlink() {
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

pub(crate) fn taken(home: &Arc<dyn Home>, survey: &Survey) -> Adopted {
    let mut base = Base::init(home.clone(), now()).unwrap();
    let held: BaseLock = home.try_lock().unwrap().unwrap();
    adopt::adopt(&mut base, &held, now(), home.fs(), survey).unwrap()
}

/// What is found, as a call finds it: what one before it registered is known.
pub(crate) fn surveyed(home: &Arc<dyn Home>) -> Survey {
    let registered = match Snapshot::open(home.clone()) {
        Ok(base) => adopt::registered(&base).unwrap(),
        Err(_) => HashSet::new(),
    };
    adopt::survey(home.fs(), Path::new("/kb"), &registered).unwrap()
}

/// Links of pages that lead to nothing; texts of documents link what they like.
pub(crate) fn broken(library: &Library) -> Vec<String> {
    let files = library.base.files().unwrap();
    let mut names = Names::default();
    files.iter().filter_map(|(path, _)| path.as_str().strip_prefix("wiki/")).for_each(|path| names.insert(path));
    let mut broken = Vec::new();
    for (path, _) in
        files.iter().filter(|(path, _)| path.as_str().ends_with(".md") && !path.as_str().starts_with("wiki/sources/"))
    {
        let text = library.page(path.as_str()).unwrap();
        for link in link::links(&text).into_iter().filter(|link| !link.target.is_empty()) {
            if names.resolve(&link.target) == Resolved::Nothing {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    broken
}

#[test]
fn every_page_and_every_file_stands_as_it_was_and_what_is_rendered_anew_is_kept_as_well() {
    let older = Older::new();
    let library = older.taken();
    let stands = older.stands();
    // What is rendered, and what had to be called otherwise or links it.
    let changed: Vec<&str> = older
        .files
        .iter()
        .filter(|(path, bytes)| stands.get(*path) != Some(bytes))
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(
        changed,
        [
            "wiki/concepts/tidal-range.md",
            "wiki/explorations/what-is-a-tide.md",
            "wiki/index.md",
            "wiki/log.md",
            "wiki/sources/Old paper (1998).md",
            "wiki/summaries/Old paper (1998).md",
            "wiki/summaries/tides.md",
        ]
    );
    let new: Vec<&str> = stands.keys().filter(|path| !older.files.contains_key(*path)).map(String::as_str).collect();
    assert_eq!(
        new,
        [
            "wiki/explorations/index-before.md",
            "wiki/log/before.md",
            "wiki/sources/Old-paper-(1998).md",
            "wiki/sources/far.md",
            "wiki/sources/manual.md",
            "wiki/summaries/Old-paper-(1998).md",
        ]
    );
    // But for the links, those are what they were.
    let text = |path: &str| String::from_utf8(stands[path].clone()).unwrap();
    for (path, was) in [
        ("wiki/concepts/tidal-range.md", "wiki/concepts/tidal-range.md"),
        ("wiki/summaries/tides.md", "wiki/summaries/tides.md"),
        ("wiki/summaries/Old-paper-(1998).md", "wiki/summaries/Old paper (1998).md"),
        ("wiki/sources/Old-paper-(1998).md", "wiki/sources/Old paper (1998).md"),
    ] {
        let was =
            String::from_utf8(older.files[was].clone()).unwrap().replace("/Old paper (1998)", "/Old-paper-(1998)");
        assert_eq!(text(path), was);
    }
    insta::assert_snapshot!("index", text("wiki/index.md"));
    insta::assert_snapshot!("log", text("wiki/log.md"));
    assert!(text("wiki/log/before.md").contains("## [2025-02-03 01:09:31] ingest | tides.md\n"));
    assert!(text("wiki/explorations/index-before.md").contains("Read the manual first, says Ana."));
    assert!(text("wiki/sources/manual.md").contains("On page 24 gauge number 24 is told of."));
    assert_eq!(broken(&library), Vec::<String>::new());
    // What the base has is what stands there, but for what is a person's.
    for (path, bytes) in &stands {
        let theirs = ["raw/halfway.md", "wiki/concepts/mine.md"];
        if !path.starts_with(".openkb") && !theirs.contains(&path.as_str()) {
            assert_eq!(library.base.read(&file(path)).unwrap().as_ref(), Some(bytes), "{path}");
        }
    }
}

#[test]
fn the_registry_knows_each_document_as_it_was_known() {
    let older = Older::new();
    drop(older.taken());
    let snapshot = Snapshot::open(older.home()).unwrap();
    let documents = snapshot.documents(0, 100).unwrap();
    let known: Vec<String> = documents
        .iter()
        .map(|(name, known)| {
            format!(
                "{} {name} | {} | {} | {} | {} | pages {:?} | {} {} | {}",
                known.sequence,
                known.title,
                known.origin,
                known.raw,
                known.full_text,
                known.pages,
                known.converter,
                known.compiler,
                known.images.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            )
        })
        .collect();
    insta::assert_snapshot!("documents", known.join("\n"));
    for (name, bytes) in [("tides", older_base::TIDES.as_bytes()), ("manual", older_base::MANUAL)] {
        let known = snapshot.document(&DocName::of_stem(name)).unwrap().unwrap();
        assert_eq!(known.sha256, older_base::sha256(bytes));
        let content = highwater_kb::ContentId::of(bytes);
        assert_eq!(
            snapshot.document_of(content).unwrap(),
            Some(DocName::of_stem(name)),
            "it is present when it is added again"
        );
    }
}

#[test]
fn what_documents_say_is_found_by_page_where_they_have_pages() {
    let older = Older::new();
    drop(older.taken());
    let snapshot = Snapshot::open(older.home()).unwrap();
    let found = |words: &str| snapshot.search(words, 3).unwrap().into_iter().next();
    let hit = found("gauge number 17").unwrap();
    assert_eq!(hit.page.to_string(), "sources/manual");
    let (first, last) = hit.pages.unwrap();
    assert!((first..=last).contains(&17), "{hit:?}");
    let (first, last) = hit.lines.unwrap();
    assert!(snapshot.lines(&hit.page, first, last).unwrap().unwrap().contains("gauge number 17"), "{hit:?}");
    let hits = snapshot.search("storms pile", 3).unwrap();
    assert!(hits.iter().any(|hit| hit.page.to_string() == "sources/Storm-notes-v2"), "{hits:?}");
    assert_eq!(found("half moon").unwrap().page.to_string(), "sources/Old-paper-(1998)");
    assert_eq!(found("lighthouse 2").unwrap().page.to_string(), "sources/far");
    assert!(found("everybody knows").is_none() || found("Ana").is_some(), "explorations are found");
}

#[test]
fn journals_are_told_and_kept_and_the_rest_is_told_too() {
    let older = Older::new();
    let survey = older.survey();
    let mut told: Vec<String> = survey.journals.iter().map(adopt::Journal::told).collect();
    told.extend(survey.notes.clone());
    told.extend(survey.not_taken.iter().map(|not| format!("{}: {}", not.what, not.why)));
    insta::assert_snapshot!("told", told.join("\n"));
    drop(older.taken());
    let ours = |files: &Files| -> BTreeMap<String, Vec<u8>> {
        files
            .iter()
            .filter(|(path, _)| path.starts_with(".openkb"))
            .map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect()
    };
    assert_eq!(ours(&older.stands()), ours(&older.files), "what is the older program's is left to the last byte");
}

#[test]
fn a_second_call_changes_nothing_and_a_base_made_otherwise_is_left_alone() {
    let older = Older::new();
    drop(older.taken());
    let before = older.stands();
    assert_eq!(taken(&older.home(), &older.survey()), Adopted::Before);
    assert_eq!(older.stands(), before);

    let older = Older::new();
    drop(Library::new(older.home()));
    let before = older.stands();
    assert_eq!(taken(&older.home(), &older.survey()), Adopted::Other);
    assert_eq!(older.stands(), before);
}

#[test]
fn a_page_that_a_person_edits_after_the_survey_is_that_persons() {
    let older = Older::new();
    let survey = older.survey();
    let edited = older.directory.path().join("wiki/index.md");
    let mine = "# Mine, of this very moment\n";
    std::fs::write(&edited, mine).unwrap();
    let Adopted::Now { last, .. } = taken(&older.home(), &survey) else { panic!() };
    // It was read as it was when it was taken over: what is rendered takes its place, and the first generation has it.
    let fates = last.unwrap().fates;
    assert!(fates.values().all(|fate| *fate == Fate::AsGenerated), "{fates:?}");
    let mut library = Library::open(older.home());
    library.undo(1);
    assert_eq!(library.page("wiki/index.md").unwrap(), mine);
}

#[test]
fn links_are_whole_and_lint_says_so() {
    let found = |older: &Older| {
        drop(older.taken());
        let looked = highwater_kb::lint::lint(&older.home(), true, &mut |_, _| {}).unwrap();
        let told = looked.findings.iter().filter(|found| found.kind.is_fault());
        told.map(|found| format!("{} {}", found.file, found.kind.word())).collect::<Vec<_>>()
    };
    let whole = Older::with(|files| {
        for theirs in ["raw/halfway.md", "wiki/sources/halfway.md", "wiki/concepts/mine.md"] {
            files.remove(theirs);
        }
    });
    assert_eq!(found(&whole), Vec::<String>::new());
    // What was cut off, and what a person made without saying what it is, is told.
    assert_eq!(found(&Older::new()), ["raw/halfway.md raw-without-document", "wiki/concepts/mine.md front-matter"]);
}
