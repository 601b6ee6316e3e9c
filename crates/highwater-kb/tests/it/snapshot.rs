//! Readers of one generation, beside whoever writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use highwater_kb::{Base, Directory, Hit, Home, PageKind, PageName, Snapshot};

use crate::home::{file, now};
use crate::library::{Library, Paper};

/// How many generations a reader meets.
const GENERATIONS: u32 = 40;
/// More looks than a reader has while these are made.
const LOOKS_MAX: usize = 100_000;

fn library(directory: &tempfile::TempDir) -> Library {
    Library::new(Arc::new(Directory::open(directory.path()).unwrap()))
}

/// A document that says the same number everywhere.
fn version(n: u32) -> Paper {
    let mut paper = Paper::new("Tides", &format!("This is number n{n}.\n"), &[("concepts/range", true, &[])]);
    paper.compiled.contributions[0].body = format!("Here too it is n{n}.");
    paper.compiled.description = format!("The number n{n}.");
    paper
}

/// The numbers that a reader finds, wherever they stand.
fn numbers(snapshot: &Snapshot, between: impl FnOnce()) -> Vec<String> {
    let number = |text: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        words
            .filter(|word| word.starts_with('n') && word[1..].parse::<u32>().is_ok())
            .map(ToOwned::to_owned)
            .next()
            .unwrap()
    };
    let read = |page: &str| number(&snapshot.page(&page.parse().unwrap()).unwrap().unwrap());
    let first = read("sources/Tides");
    between();
    let index = String::from_utf8(snapshot.read(&file("wiki/index.md")).unwrap().unwrap()).unwrap();
    let hits = snapshot.search("number", 10).unwrap();
    let found = hits.iter().map(|hit| number(&hit.snippet));
    [first, read("summaries/Tides"), read("concepts/range"), number(&index)].into_iter().chain(found).collect()
}

fn is_one(numbers: &[String]) -> bool {
    numbers.len() > 4 && numbers.iter().all(|number| *number == numbers[0])
}

#[test]
fn r08_a_reader_sees_one_generation_however_long_it_reads() {
    let directory = tempfile::tempdir().unwrap();
    let mut library = library(&directory);
    library.add(&[&version(1)]);
    let snapshot = Snapshot::open(library.home.clone()).unwrap();
    let seen = numbers(&snapshot, || library.add(&[&version(2)]));
    assert!(is_one(&seen), "{seen:?}");
    assert_eq!((seen[0].as_str(), snapshot.generation().unwrap().number), ("n1", 2));
    let next = Snapshot::open(library.home.clone()).unwrap();
    let seen = numbers(&next, || {});
    assert!(is_one(&seen) && seen[0] == "n2", "{seen:?}");
}

#[test]
fn r08_readers_beside_a_writer_never_see_two_generations_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut library = library(&directory);
    library.add(&[&version(1)]);
    let ended = AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
            let mut looks = 0;
            let mut newest = 0;
            while looks < LOOKS_MAX && !ended.load(Ordering::Relaxed) {
                let snapshot = Snapshot::open(home.clone()).unwrap();
                let seen = numbers(&snapshot, std::thread::yield_now);
                assert!(is_one(&seen), "{seen:?}");
                let generation = snapshot.generation().unwrap().number;
                assert_eq!(seen[0], format!("n{}", generation - 1));
                assert!(generation >= newest, "generations do not go back");
                newest = generation;
                looks += 1;
            }
            looks
        });
        (2..=GENERATIONS).for_each(|n| library.add(&[&version(n)]));
        ended.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(looks > 0, "the reader never looked");
}

#[test]
fn r08_a_generation_that_does_not_stand_in_the_wiki_yet_is_read_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut library = library(&directory);
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), directory.path().join("wiki/summaries")).unwrap();
    let home = library.home.clone();
    library.let_go();
    let held = home.try_lock().unwrap().unwrap();
    let mut base = Base::open(home.clone(), now()).unwrap();
    let paper = version(1);
    base.commit(&held, now(), "add", "x", |draft| paper.fold(draft)).unwrap_err();
    assert!(!directory.path().join("wiki/sources/Tides.md").exists() || !outside.path().join("Tides.md").exists());
    let seen = numbers(&Snapshot::open(home).unwrap(), || {});
    assert!(is_one(&seen), "{seen:?}");
}

fn places(hits: &[Hit]) -> Vec<String> {
    let place = |hit: &Hit| match hit.lines {
        Some((first, last)) => format!("{}:{first}-{last}", hit.page),
        None => hit.page.to_string(),
    };
    hits.iter().map(place).collect()
}

#[test]
fn a_search_finds_the_end_of_a_very_long_text() {
    let directory = tempfile::tempdir().unwrap();
    let mut library = library(&directory);
    let rule = format!("{}\n", "=".repeat(4_000));
    let text = format!("# Log\n\n{}\nThe last eddy was seen at the pier.\n", rule.repeat(5_000));
    library.add(&[&Paper::new("Log", &text, &[])]);
    let snapshot = Snapshot::open(library.home.clone()).unwrap();
    let hits = snapshot.search("eddy pier", 5).unwrap();
    assert_eq!(places(&hits).len(), 1, "{hits:?}");
    let (first, last) = hits[0].lines.unwrap();
    assert!(snapshot.lines(&hits[0].page, first, last).unwrap().unwrap().contains("The last eddy"));
}

#[test]
fn a_search_finds_parts_of_texts_with_their_lines_and_pages() {
    let directory = tempfile::tempdir().unwrap();
    let mut library = library(&directory);
    let filler = "Nothing of interest is said here, at some length.\n".repeat(60);
    let text = format!("# Tides\n\n{filler}\n# Currents\n\nThe eddies of a strait run in rings.\n");
    let begin = u32::try_from(text.lines().position(|line| line == "# Currents").unwrap()).unwrap();
    let long = Paper::new("Sea", &text, &[("concepts/strait", true, &[])])
        .with_section("Tides", 0, begin)
        .with_section("Currents", begin, begin + 3);
    let japanese = Paper::new("Tokyo", "東京タワーは高い塔です。\n", &[]);
    library.add(&[&long, &japanese]);
    let snapshot = Snapshot::open(library.home.clone()).unwrap();

    let hits = snapshot.search("eddy rings", 5).unwrap();
    assert_eq!(hits[0].page, PageName::of_document(PageKind::Source, &long.name));
    assert_eq!((hits[0].heading.as_str(), hits[0].pages), ("Currents", Some((begin + 1, begin + 3))));
    assert!(hits[0].snippet.contains("The eddies of a strait run in rings."), "{hits:?}");
    let (first, last) = hits[0].lines.unwrap();
    let lines = snapshot.lines(&hits[0].page, first, last).unwrap().unwrap();
    assert_eq!(lines, "# Currents\n\nThe eddies of a strait run in rings.\n");

    assert_eq!(snapshot.search("strait", 1).unwrap()[0].page.to_string(), "concepts/strait", "a title counts more");
    for asked in ["タワー", "東京", "塔", "Tokyo 高い"] {
        let found = places(&snapshot.search(asked, 5).unwrap());
        assert!(found.iter().any(|place| place.starts_with("sources/Tokyo:")), "{asked}: {found:?}");
    }
    assert!(snapshot.search("京東", 5).unwrap().is_empty());
    // Some of the words, where no place has all of them.
    assert!(!snapshot.search("eddies nowhere", 5).unwrap().is_empty());
    for nothing in ["", "?!", "\"", "NEAR(", "* OR", "zzz"] {
        assert!(snapshot.search(nothing, 5).unwrap().is_empty(), "{nothing:?}");
    }
    library.remove("Sea");
    assert!(places(&Snapshot::open(library.home.clone()).unwrap().search("eddy strait", 5).unwrap()).is_empty());
}

#[test]
fn documents_are_listed_in_the_order_in_which_they_came() {
    let directory = tempfile::tempdir().unwrap();
    let mut library = library(&directory);
    let papers = ["c", "a", "b"].map(|stem| Paper::new(stem, stem, &[]));
    library.add(&papers.iter().collect::<Vec<_>>());
    let snapshot = Snapshot::open(library.home.clone()).unwrap();
    let names = |after, limit| -> Vec<String> {
        snapshot.documents(after, limit).unwrap().into_iter().map(|(name, _)| name.to_string()).collect()
    };
    assert_eq!(
        (names(0, 10), names(0, 1), names(2, 10)),
        (vec!["c".to_owned(), "a".to_owned(), "b".to_owned()], vec!["c".to_owned()], vec!["b".to_owned()])
    );
    assert_eq!(snapshot.counts().unwrap().documents, 3);
    assert_eq!(snapshot.document_at(2).unwrap(), Some(papers[1].name.clone()));
    assert_eq!(snapshot.document_called("B").unwrap(), Some(papers[2].name.clone()));
}
