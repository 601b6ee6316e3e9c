//! What becomes of a base that was taken over: documents come and go, and nothing that was paid for is lost before its last document.

use std::sync::Arc;

use highwater_kb::{ContentId, Home, Snapshot};

use super::{Older, broken};
use crate::home::now;
use crate::library::{Library, Paper};

const CONCEPT: &str = "wiki/concepts/tidal-range.md";
/// What a model wrote once, of several documents.
const PAID: &str = "A gauge measures it";

#[test]
fn a_later_document_says_its_part_beside_what_was_there() {
    let older = Older::new();
    let mut library = older.taken();
    let paper = Paper::new(
        "harbour",
        "The harbour has tides.\n",
        &[("concepts/tidal-range", true, &["concepts/storm-surge"]), ("entities/harbour-office", false, &[])],
    );
    library.add(&[&paper]);
    insta::assert_snapshot!("concept", library.page(CONCEPT).unwrap());
    insta::assert_snapshot!("entity", library.page("wiki/entities/harbour-office.md").unwrap());
    assert_eq!(broken(&library), Vec::<String>::new());
    let stands = older.stands();
    assert_eq!(String::from_utf8_lossy(&stands[CONCEPT]), library.page(CONCEPT).unwrap());
    // Of pages that it says nothing on, none is written.
    assert_eq!(stands["wiki/concepts/storm-surge.md"], older.files["wiki/concepts/storm-surge.md"]);

    library.remove("harbour");
    assert!(!library.page(CONCEPT).unwrap().contains("harbour says"));
    assert!(library.page(CONCEPT).unwrap().contains(PAID));
}

#[test]
fn a_document_that_goes_takes_its_own_pages_and_not_what_others_share() {
    let older = Older::new();
    let mut library = older.taken();
    let documents = ["tides", "Storm-notes-v2", "manual"];
    for name in documents {
        library.remove(name);
        let page = library.page(CONCEPT).unwrap();
        assert!(page.contains(PAID), "after {name} went: {page}");
        assert!(!page.contains(&format!("summaries/{name}")), "{page}");
        assert_eq!(broken(&library), Vec::<String>::new(), "after {name} went");
        let left: Vec<String> = library
            .files()
            .into_keys()
            .filter(|path| path.contains(&format!("/{name}.")) || path.contains(&format!("/{name}/")))
            .collect();
        assert_eq!(left, Vec::<String>::new());
    }
    assert!(library.page("wiki/concepts/storm-surge.md").is_none(), "it goes with the last of its documents");
    library.remove("Old paper (1998)");
    assert!(library.page(CONCEPT).is_none());
    // And back.
    library.undo(2);
    assert_eq!(
        library.page("wiki/concepts/storm-surge.md").unwrap().into_bytes(),
        older.files["wiki/concepts/storm-surge.md"]
    );
    assert!(library.page("wiki/sources/manual.json").is_some());
    assert_eq!(broken(&library), Vec::<String>::new());
}

#[test]
fn a_summary_that_is_rendered_anew_keeps_what_it_said_and_others_stay_as_they_were() {
    let older = Older::new();
    let mut library = older.taken();
    // It links what goes, by a bare name.
    library.remove("Storm-notes-v2");
    insta::assert_snapshot!("summary_of_a_title", library.page("wiki/summaries/tides.md").unwrap());
    for untouched in ["wiki/summaries/manual.md", "wiki/summaries/far.md"] {
        assert_eq!(library.page(untouched).unwrap().into_bytes(), older.files[untouched]);
    }
    assert_eq!(broken(&library), Vec::<String>::new());
}

#[test]
fn a_new_version_replaces_the_document_and_the_page_that_others_share_keeps_its_words() {
    let older = Older::new();
    let mut library = older.taken();
    let paper = Paper::new("manual", "The manual, second edition.\n", &[("concepts/tidal-range", true, &[])]);
    library.add(&[&paper]);
    assert!(library.page("wiki/sources/manual.json").is_none(), "what the older text was made of goes with it");
    assert!(library.page("raw/manual.pdf").is_none());
    assert!(library.page("wiki/sources/manual.md").unwrap().contains("second edition"));
    let page = library.page(CONCEPT).unwrap();
    assert!(page.contains(PAID) && page.contains("manual says it so"), "{page}");
    let known = library.base.document(&paper.name).unwrap().unwrap();
    assert_eq!(known.sequence, 3, "it keeps its place");
    assert_eq!(broken(&library), Vec::<String>::new());
}

#[test]
fn rows_that_are_destroyed_are_made_again_to_the_same_bytes() {
    let older = Older::new();
    let home: Arc<dyn Home> = older.home();
    let mut library = older.taken();
    let paper = |n: u32| {
        Paper::new(
            &format!("paper-{n}"),
            "Tides.\n",
            &[("concepts/tidal-range", false, &[]), ("concepts/moon", true, &[])],
        )
    };
    library.add(&[&paper(1)]);
    library.remove("tides");
    let answers = |home: &Arc<dyn Home>| {
        let snapshot = Snapshot::open(home.clone()).unwrap();
        let hits = ["gauge", "storm", "tides", "Ana"].map(|asked| snapshot.search(asked, 20).unwrap());
        format!("{hits:?} {:?} {:?}", snapshot.documents(0, 100).unwrap(), snapshot.counts().unwrap())
    };
    let (had, said) = (library.files(), answers(&home));
    drop(library);
    for file in ["kb.db", "kb.db-wal", "kb.db-shm"] {
        let _ = std::fs::remove_file(older.directory.path().join(".highwater").join(file));
    }
    let held = home.try_lock().unwrap().unwrap();
    drop(highwater_kb::base::rebuild(home.clone(), &held, now()).unwrap());
    drop(held);
    let mut library = Library::open(home.clone());
    assert_eq!(library.files(), had);
    assert_eq!(answers(&home), said);
    // And what comes next comes as it would have.
    let twin = Older::new();
    let mut other = twin.taken();
    other.add(&[&paper(1)]);
    other.remove("tides");
    for library in [&mut library, &mut other] {
        library.add(&[&paper(2)]);
        library.remove("manual");
    }
    assert_eq!(library.page(CONCEPT), other.page(CONCEPT));
    assert_eq!(library.files(), other.files());
}

#[test]
fn a_document_whose_file_is_gone_or_another_comes_by_its_text() {
    let older = Older::with(|files| {
        files.remove("raw/tides.md");
        files.insert("raw/Storm-notes-v2.txt".to_owned(), b"Edited since.\n".to_vec());
    });
    let survey = older.survey();
    insta::assert_snapshot!("by_their_text", survey.notes.join("\n"));
    let mut library = older.taken();
    assert_eq!(older.stands()["raw/Storm-notes-v2.txt"], b"Edited since.\n", "it is a person's");
    let of = |content: &[u8]| library.base.document_of(ContentId::of(content)).unwrap();
    assert_eq!(of(b"Edited since.\n"), None, "it is not taken for what the pages say");
    library.remove("tides");
    assert!(library.page("wiki/sources/tides.md").is_none());
    assert_eq!(broken(&library), Vec::<String>::new());
}

#[test]
fn a_document_that_came_by_its_text_alone_leaves_nothing_behind() {
    let older = Older::with(|files| drop(files.remove("raw/tides.md")));
    let mut library = older.taken();
    library.change("remove", "tides", |draft| {
        highwater_kb::fold::unfold(draft, &highwater_kb::DocName::of_stem("tides"), true).map(drop)
    });
    assert_eq!(library.page("wiki/sources/tides.md"), None, "there is no file of it to be kept");
    assert_eq!(broken(&library), Vec::<String>::new());
}
