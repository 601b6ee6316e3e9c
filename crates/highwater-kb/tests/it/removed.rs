//! Documents that go: what is told of it, that a rehearsal changes nothing, and that all of it can be taken back.

use std::collections::BTreeMap;

use highwater_kb::remove::{Removed, Touch, rehearse, remove};
use highwater_kb::{Base, Fate, Snapshot};
use highwater_testkit::sim_fs::{SimFs, tree};

use crate::home::{Simulated, file, now, opened};
use crate::library::{Library, Paper};
use crate::rig::{home, named};
use crate::story::{Act, State};

fn papers() -> [Paper; 3] {
    [
        Paper::new(
            "Tides",
            "The moon pulls.\n",
            &[("concepts/tidal-range", false, &[]), ("concepts/flood", false, &[]), ("entities/moon", true, &[])],
        )
        .with_image("1.png", b"png"),
        Paper::new("Harbour", "Ships come in.\n", &[("concepts/tidal-range", false, &["entities/moon"])]),
        Paper::new("Gauge", "It measures.\n", &[("concepts/tidal-range", false, &[]), ("concepts/flood", false, &[])]),
    ]
}

/// A base with these and a page that a person kept.
fn library(home: std::sync::Arc<dyn highwater_kb::Home>) -> Library {
    let mut library = Library::new(home);
    library.add(&papers().iter().collect::<Vec<_>>());
    library.change("query", "kept", |draft| {
        let text = "---\ntype: exploration\n---\n# Q\n\nAs [[summaries/Tides|the tides]] say, [[entities/moon]].\n";
        draft.write(file("wiki/explorations/q.md"), text.as_bytes())
    });
    library
}

fn told(removed: &Removed) -> Vec<String> {
    removed.touched.iter().map(|touched| format!("{:?} {} {:?}", touched.touch, touched.path, touched.fate)).collect()
}

#[test]
fn what_a_removal_touches_is_told_before_it_and_with_it() {
    let fs = SimFs::new().with_atomic_renames();
    let mut library = library(Simulated::home(&fs));
    let names = [named("Tides"), named("nobody")];
    let before = tree(&fs).unwrap();
    let (would, did) = library.under_lock(|base, held| {
        let would = rehearse(base, held, now(), &names, false).unwrap();
        assert!(tree(&fs).unwrap() == before, "a rehearsal writes nothing");
        (would, remove(base, held, now(), &names, false).unwrap())
    });
    assert_eq!((would.documents.as_slice(), would.generation), (&[named("Tides")][..], None));
    assert_eq!(would.touched, did.touched);
    assert_eq!(did.generation, Some(4));
    let manifest = library.base.manifest(4).unwrap().unwrap();
    let mut touched: Vec<_> = did.touched.iter().map(|touched| &touched.path).collect();
    touched.sort();
    assert_eq!(touched, manifest.files.iter().map(|change| &change.path).collect::<Vec<_>>(), "all that is changed");
    insta::assert_snapshot!(told(&did).join("\n"));
}

#[test]
fn a_rehearsal_knows_what_a_person_edited() {
    let directory = tempfile::tempdir().unwrap();
    let mut library = library(home(directory.path()));
    let concept = directory.path().join("wiki/concepts/tidal-range.md");
    let text = std::fs::read_to_string(&concept).unwrap();
    let edited = text.replace("- Gauge says it so.", "My own remark.\n\n- Gauge says it so.");
    assert_ne!(edited, text);
    std::fs::write(&concept, edited).unwrap();
    std::fs::write(directory.path().join("wiki/summaries/Tides.md"), "mine\n").unwrap();
    std::fs::remove_file(directory.path().join("wiki/concepts/flood.md")).unwrap();
    let (would, did) = library.under_lock(|base, held| {
        let names = [named("Tides")];
        let would = rehearse(base, held, now(), &names, true).unwrap();
        (would, remove(base, held, now(), &names, true).unwrap())
    });
    assert_eq!(would.touched, did.touched);
    let fate = |path: &str| did.touched.iter().find(|touched| touched.path == file(path)).map(|touched| touched.fate);
    assert_eq!(fate("wiki/concepts/tidal-range.md"), Some(Fate::Merged));
    assert_eq!(fate("wiki/summaries/Tides.md"), Some(Fate::Kept));
    assert_eq!(fate("raw/Tides.txt"), None, "it is kept");
    assert!(directory.path().join("raw/Tides.txt").exists());
    assert!(std::fs::read_to_string(&concept).unwrap().contains("My own remark."));
    assert!(!directory.path().join("wiki/concepts/flood.md").exists());
}

#[test]
fn several_documents_go_by_one_change() {
    let mut library = library(Simulated::home(&SimFs::new().with_atomic_renames()));
    let names = [named("Tides"), named("Harbour"), named("Gauge")];
    let did = library.under_lock(|base, held| remove(base, held, now(), &names, false).unwrap());
    assert_eq!(did.generation, Some(4));
    let manifest = library.base.manifest(4).unwrap().unwrap();
    let mut touched: Vec<_> = did.touched.iter().map(|touched| &touched.path).collect();
    touched.sort();
    assert_eq!(touched, manifest.files.iter().map(|change| &change.path).collect::<Vec<_>>(), "all that is changed");
    let ends = did.touched.iter().filter(|touched| touched.touch == Touch::Ends).count();
    assert_eq!(ends, 3, "{:?}", told(&did));
    let left: Vec<String> = library.files().into_keys().collect();
    assert_eq!(left, ["wiki/AGENTS.md", "wiki/explorations/q.md", "wiki/index.md"]);
    let log = library.page("wiki/log.md").unwrap();
    assert_eq!(log.matches("] remove | ").count(), 3, "{log}");
    library.undo(3);
    assert!(library.page("wiki/concepts/tidal-range.md").is_some());
}

#[test]
fn nothing_is_made_of_a_document_that_is_not_there() {
    let mut library = library(Simulated::home(&SimFs::new().with_atomic_renames()));
    let did = library.under_lock(|base, held| remove(base, held, now(), &[named("nobody")], false).unwrap());
    assert_eq!(did, Removed { documents: Vec::new(), generation: None, touched: Vec::new() });
    assert_eq!(library.base.head().unwrap().unwrap().number, 3);
}

/// What stands on the disk, but the log, which only grows.
fn stands(root: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(root).into_iter().filter_map(|entry| {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let is_shown = entry.file_type().is_file() && (path.starts_with("wiki/") || path.starts_with("raw/"));
        (is_shown && !path.starts_with("wiki/log")).then(|| (path, std::fs::read(entry.path()).unwrap()))
    });
    files.collect()
}

#[test]
fn each_of_the_last_ten_changes_can_be_taken_back_to_the_byte() {
    const ACTS: [Act; 10] = [
        Act::Add("a", 1),
        Act::Add("b", 2),
        Act::Recompile("a", 2),
        Act::Remove("b", false),
        Act::Add("c", 4),
        Act::Recompile("c", 3),
        Act::Add("b", 5),
        Act::Remove("a", true),
        Act::Add("a", 7),
        Act::Recompile("b", 0),
    ];
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let (mut base, held) = {
        drop(Library::new(home(root)));
        opened(&home(root)).unwrap()
    };
    let state = |base: &Base| {
        let state = State::with(base, &Snapshot::open(home(root)).unwrap()).unwrap();
        let mut documents = Snapshot::open(home(root)).unwrap().documents(0, 100).unwrap();
        documents.sort_by(|(one, _), (other, _)| one.cmp(other));
        (stands(root), state.found, documents)
    };
    let mut states = vec![state(&base)];
    for act in ACTS {
        assert!(act.make(&mut base, &held).unwrap(), "{act:?}");
        states.push(state(&base));
    }
    // Forwards and backwards, near and far.
    for back in [9, 0, 10, 5, 4, 8, 1, 7, 2, 6, 3] {
        Act::Undo(back).make(&mut base, &held).unwrap();
        let (files, found, documents) = state(&base);
        assert_eq!(files.keys().collect::<Vec<_>>(), states[back].0.keys().collect::<Vec<_>>(), "back to {back}");
        assert!(files == states[back].0, "back to {back}");
        assert_eq!((found, documents), (states[back].1.clone(), states[back].2.clone()), "back to {back}");
    }
}
