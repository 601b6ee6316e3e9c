//! Rows that are made again of a base of which something is damaged or lost (R14).

use std::sync::Arc;

use highwater_kb::base::{Anew, Health, Rebuilt, examine};
use highwater_kb::{Directory, Home, KbError, Snapshot};
use highwater_testkit::small_disk::SmallDisk;

use crate::home::now;
use crate::library::{Library, Paper};

/// A base of three documents in generations 2, 3 and 4, whose rows are gone.
struct Ruin {
    directory: tempfile::TempDir,
    home: Arc<dyn Home>,
}

/// What is on the disk under a name.
type Stands = std::collections::BTreeMap<String, String>;

fn of(n: u32) -> Paper {
    let own = format!("entities/own-{n}");
    Paper::new(
        &format!("paper-{n}"),
        &format!("# Paper {n}\n\nWords of paper {n}.\n"),
        &[("concepts/tides", false, &[]), (&own, true, &[])],
    )
}

impl Ruin {
    fn new() -> (Self, Stands) {
        let directory = tempfile::tempdir().unwrap();
        let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
        let mut library = Library::new(home.clone());
        (1..=3).for_each(|n| library.add(&[&of(n)]));
        let had = library.files();
        drop(library);
        let ruin = Self { directory, home };
        ruin.lose_rows();
        (ruin, had)
    }

    fn lose_rows(&self) {
        for file in ["kb.db", "kb.db-wal", "kb.db-shm"] {
            let _ = std::fs::remove_file(self.path(".highwater").join(file));
        }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path)
    }

    fn manifest(&self, generation: u32) -> std::path::PathBuf {
        self.path(&format!(".highwater/objects/generation-{generation:010}"))
    }

    fn object(&self, id: highwater_kb::ContentId) -> std::path::PathBuf {
        self.path(&format!(".highwater/objects/{id}"))
    }

    fn rebuild(&self) -> (Rebuilt, Vec<String>) {
        let held = self.home.try_lock().unwrap().unwrap();
        let rebuilt = highwater_kb::base::rebuild(self.home.clone(), &held, now()).unwrap();
        let aside = rebuilt.aside.iter().map(|aside| format!("{}: {}", aside.what, aside.why)).collect();
        (rebuilt, aside)
    }

    /// Whether a base takes in a document, and has it.
    fn goes_on(&self, n: u32) -> Library {
        let mut library = Library::open(self.home.clone());
        library.add(&[&of(n)]);
        assert!(library.page("wiki/concepts/tides.md").unwrap().contains(&format!("paper-{n} says it so")));
        library
    }
}

#[test]
fn r14_a_generation_that_is_lost_leaves_a_gap_and_the_rest_is_back() {
    let (ruin, had) = Ruin::new();
    std::fs::remove_file(ruin.manifest(3)).unwrap();
    let (rebuilt, aside) = ruin.rebuild();
    assert_eq!(aside, ["generation 3: what it changed is not stored"]);
    assert_eq!((rebuilt.generations, rebuilt.documents), (3, 2), "paper 2 came with it");
    assert_eq!(rebuilt.base.head().unwrap().unwrap().number, 4);
    let name = |n: u32| of(n).name;
    assert!(rebuilt.base.document(&name(1)).unwrap().is_some() && rebuilt.base.document(&name(2)).unwrap().is_none());
    // What stands in wiki/ is as it was, and what is lost can be added again.
    assert_eq!(
        std::fs::read_to_string(ruin.path("wiki/summaries/paper-2.md")).unwrap(),
        had["wiki/summaries/paper-2.md"]
    );
    drop(rebuilt);
    let library = ruin.goes_on(2);
    let page = library.page("wiki/concepts/tides.md").unwrap();
    assert!((1..=3).all(|n| page.contains(&format!("paper-{n} says it so"))), "{page}");
    assert!(!ruin.path("wiki/summaries/paper-2.conflict.md").exists());
}

#[test]
fn r14_what_a_generation_changed_and_is_damaged_is_set_aside() {
    for damage in [b"{ no json".to_vec(), Vec::new()] {
        let (ruin, _) = Ruin::new();
        std::fs::write(ruin.manifest(2), &damage).unwrap();
        let (rebuilt, aside) = ruin.rebuild();
        assert_eq!(aside.len(), 1, "{aside:?}");
        assert!(aside[0].starts_with("generation 2: "), "{aside:?}");
        assert_eq!(std::fs::read(ruin.path(".highwater/quarantine/generation-0000000002.0")).unwrap(), damage);
        assert_eq!((rebuilt.generations, rebuilt.documents), (3, 2));
    }
    // One that can be read, and is not the one that the next names.
    let (ruin, _) = Ruin::new();
    let text =
        std::fs::read_to_string(ruin.manifest(2)).unwrap().replace("\"text\":\"paper-1\"", "\"text\":\"paper-9\"");
    std::fs::write(ruin.manifest(2), text).unwrap();
    let (rebuilt, aside) = ruin.rebuild();
    assert_eq!(aside, ["generation 2: it is another than the generation after it names"]);
    assert_eq!(rebuilt.documents, 2);
    // The newest is vouched for by none: where it cannot be read, history ends before it.
    let (ruin, _) = Ruin::new();
    std::fs::write(ruin.manifest(4), b"torn").unwrap();
    let (rebuilt, aside) = ruin.rebuild();
    assert_eq!((aside.len(), rebuilt.base.head().unwrap().unwrap().number, rebuilt.documents), (1, 3, 2));
    drop(rebuilt);
    ruin.goes_on(3);
}

#[test]
fn r14_what_is_no_file_in_a_manifests_place_is_set_aside() {
    let odd: [fn(&std::path::Path); 3] = [
        |path| std::fs::create_dir(path).unwrap(),
        |path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap(),
        |path| rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap(),
    ];
    for put in odd {
        for (generation, head) in [(2, 4), (4, 3)] {
            let (ruin, _) = Ruin::new();
            std::fs::remove_file(ruin.manifest(generation)).unwrap();
            put(&ruin.manifest(generation));
            let (rebuilt, aside) = ruin.rebuild();
            assert_eq!(aside, [format!("generation {generation}: what has its place is no file")]);
            assert_eq!((rebuilt.base.head().unwrap().unwrap().number, rebuilt.documents), (head, 2));
            assert!(std::fs::symlink_metadata(ruin.manifest(generation)).is_err(), "it is set aside");
        }
    }
}

#[test]
fn r14_the_newest_generation_is_known_by_its_sign_where_its_manifest_is_lost() {
    let (ruin, _) = Ruin::new();
    drop(ruin.rebuild());
    let copy = ruin.path("copy.db");
    std::fs::copy(ruin.path(".highwater/kb.db"), &copy).unwrap();
    drop(ruin.goes_on(4));
    std::fs::remove_file(ruin.manifest(5)).unwrap();
    // Rows of the time before it are not believed.
    ruin.lose_rows();
    std::fs::copy(&copy, ruin.path(".highwater/kb.db")).unwrap();
    assert!(matches!(examine(&*ruin.home).unwrap(), Health::Unusable(why) if why.contains("end with generation 4")));
    ruin.lose_rows();
    let (rebuilt, aside) = ruin.rebuild();
    assert_eq!(aside, ["generation 5: what it changed is not stored"]);
    assert_eq!(rebuilt.documents, 3);
}

#[test]
fn r14_the_newest_manifest_is_not_believed_where_its_sign_names_another() {
    let (ruin, _) = Ruin::new();
    let text = std::fs::read_to_string(ruin.manifest(4)).unwrap();
    std::fs::write(ruin.manifest(4), text.replace("paper-3", "paper-7")).unwrap();
    let (rebuilt, aside) = ruin.rebuild();
    assert_eq!(aside, ["generation 4: it is another than its sign names"]);
    assert_eq!((rebuilt.base.head().unwrap().unwrap().number, rebuilt.documents), (3, 2));
}

#[test]
fn what_is_no_file_in_the_place_of_the_next_generation_gives_way_to_it() {
    let (ruin, _) = Ruin::new();
    drop(ruin.rebuild());
    std::fs::create_dir(ruin.manifest(5)).unwrap();
    assert_eq!(examine(&*ruin.home).unwrap(), Health::Whole(4));
    drop(ruin.goes_on(4));
    assert!(ruin.manifest(5).is_file());
    assert_eq!(examine(&*ruin.home).unwrap(), Health::Whole(5));
}

#[test]
fn r14_a_manifest_that_the_rows_know_as_another_is_not_believed() {
    // The newest, for which no later one vouches, and one whose successor is lost.
    for (altered, lost) in [(4, None), (2, Some(3))] {
        let (ruin, _) = Ruin::new();
        drop(ruin.rebuild());
        let text = std::fs::read_to_string(ruin.manifest(altered)).unwrap();
        let of = format!("paper-{}", altered - 1);
        std::fs::write(ruin.manifest(altered), text.replace(&of, "paper-7")).unwrap();
        lost.iter().for_each(|lost| std::fs::remove_file(ruin.manifest(*lost)).unwrap());
        let home = Directory::open(ruin.directory.path()).unwrap();
        let held = home.try_lock().unwrap().unwrap();
        let found = examine(&home).unwrap();
        assert_eq!(found, Health::Whole(4));
        let rebuilt = Anew::make(&home, &held, now(), &found).unwrap().put(&held, now(), "a test").unwrap();
        let told: Vec<&str> = rebuilt.aside.iter().map(|aside| aside.why.as_str()).collect();
        assert!(told.contains(&"it is another than the database names"), "{altered}: {told:?}");
        let papers = Snapshot::open(ruin.home.clone()).unwrap().documents(0, 10).unwrap();
        assert!(papers.iter().all(|(name, _)| name.as_str() != "paper-7"), "{papers:?}");
    }
}

#[test]
fn r14_a_document_of_which_something_is_lost_is_back_and_named() {
    let (ruin, had) = Ruin::new();
    let (rebuilt, _) = ruin.rebuild();
    let record = |n: u32| rebuilt.base.document(&of(n).name).unwrap().unwrap();
    let (compiled, damaged) = (record(1).compiled, record(2).compiled);
    let page = highwater_kb::ContentId::of(had["wiki/sources/paper-3.md"].as_bytes());
    drop(rebuilt);
    ruin.lose_rows();
    std::fs::remove_file(ruin.object(compiled)).unwrap();
    std::fs::write(ruin.object(damaged), b"{}").unwrap();
    std::fs::remove_file(ruin.object(page)).unwrap();
    let (rebuilt, aside) = ruin.rebuild();
    let whats: Vec<&str> = aside.iter().filter_map(|aside| aside.split(": ").next()).collect();
    assert_eq!(
        whats,
        [
            "what was compiled from the document paper-1",
            "what was compiled from the document paper-2",
            "wiki/sources/paper-3.md"
        ]
    );
    assert!(rebuilt.aside[0].next.contains("highwater kb recompile paper-1"));
    assert!(!ruin.object(damaged).exists(), "damaged bytes stand in nobody's way");
    assert_eq!((rebuilt.documents, rebuilt.more), (3, 0));
    drop(rebuilt);
    let library = ruin.goes_on(4);
    let page = library.page("wiki/concepts/tides.md").unwrap();
    assert!(page.contains("paper-3 says it so") && !page.contains("paper-1 says it so"), "{page}");
    // Added again, it says again what it said.
    drop(library);
    let library = ruin.goes_on(1);
    assert!(library.page("wiki/entities/own-1.md").is_some());
}

#[test]
fn r14_what_is_no_file_in_an_objects_place_is_told_and_set_aside() {
    let (ruin, _) = Ruin::new();
    let (rebuilt, _) = ruin.rebuild();
    let compiled = [1, 2].map(|n| rebuilt.base.document(&of(n).name).unwrap().unwrap().compiled);
    drop(rebuilt);
    ruin.lose_rows();
    let object = |n: usize| ruin.object(compiled[n - 1]);
    std::fs::remove_file(object(1)).unwrap();
    std::fs::create_dir(object(1)).unwrap();
    std::fs::rename(object(2), ruin.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../../elsewhere", object(2)).unwrap();
    let (rebuilt, aside) = ruin.rebuild();
    assert_eq!(aside.len(), 2, "{aside:?}");
    assert!(aside[0].ends_with("is damaged: a directory has its place"), "{aside:?}");
    assert!(aside[1].ends_with("is damaged: a symlink has its place"), "{aside:?}");
    drop(rebuilt);
    ruin.goes_on(1);
    assert!(object(1).is_file());
}

#[test]
fn r14_what_the_newest_generation_cannot_show_holds_nobody_up() {
    let (ruin, had) = Ruin::new();
    let page = "wiki/sources/paper-3.md";
    std::fs::remove_file(ruin.object(highwater_kb::ContentId::of(had[page].as_bytes()))).unwrap();
    std::fs::remove_file(ruin.path(page)).unwrap();
    let (rebuilt, aside) = ruin.rebuild();
    assert_eq!(aside.len(), 1, "{aside:?}");
    drop(rebuilt);
    ruin.goes_on(4);
}

#[test]
fn rows_that_are_gone_or_of_an_earlier_time_are_made_by_nobody_but_a_rebuild() {
    let (ruin, _) = Ruin::new();
    let open = || highwater_kb::Base::open(ruin.home.clone(), now()).map(drop);
    assert!(matches!(open(), Err(KbError::RowsGone)));
    assert!(matches!(highwater_kb::Base::init(ruin.home.clone(), now()), Err(KbError::RowsGone)));
    assert!(!ruin.path(".highwater/kb.db").exists());
    assert_eq!(examine(&*ruin.home).unwrap(), Health::Gone);
    drop(ruin.rebuild());
    assert_eq!(examine(&*ruin.home).unwrap(), Health::Whole(4));
    let copy = ruin.path("copy.db");
    std::fs::copy(ruin.path(".highwater/kb.db"), &copy).unwrap();
    (4..7).for_each(|n| drop(ruin.goes_on(n)));
    ruin.lose_rows();
    std::fs::copy(&copy, ruin.path(".highwater/kb.db")).unwrap();
    assert!(matches!(open(), Err(KbError::RowsBehind { head: 4 })));
    assert!(matches!(examine(&*ruin.home).unwrap(), Health::Unusable(why) if why.contains("end with generation 4")));
    // No generation at all: there is nothing to begin with.
    ruin.lose_rows();
    for generation in 1..=7 {
        std::fs::remove_file(ruin.manifest(generation)).unwrap();
    }
    let held = ruin.home.try_lock().unwrap().unwrap();
    let none = highwater_kb::base::rebuild(ruin.home.clone(), &held, now());
    assert!(matches!(none, Err(KbError::NoGenerations)), "{none:?}");
    assert!(!ruin.path(".highwater/kb.db").exists());
}

#[test]
fn rows_that_are_replaced_are_kept_and_who_had_them_open_changes_nothing() {
    let (ruin, _) = Ruin::new();
    drop(ruin.rebuild());
    let mut late = Library::open(ruin.home.clone());
    late.let_go();
    let home = Directory::open(ruin.directory.path()).unwrap();
    let held = home.try_lock().unwrap().unwrap();
    std::fs::write(ruin.path(".highwater/kb.db.anew"), b"what an attempt left").unwrap();
    let replaced = Anew::make(&home, &held, now(), &Health::Whole(4)).unwrap().put(&held, now(), "a test").unwrap();
    assert!(replaced.replaced.contains(&".highwater/quarantine/kb.db.0".to_owned()), "{:?}", replaced.replaced);
    assert_eq!((replaced.generations, replaced.documents, replaced.aside.len()), (4, 3, 0));
    let refused = late.base.commit(&held, now(), "add", "late", |draft| of(4).fold(draft));
    assert!(matches!(refused, Err(KbError::RowsReplaced)), "{refused:?}");
    assert!(!ruin.manifest(5).exists());
    drop((late, replaced, held));
    ruin.goes_on(4);
    assert!(!ruin.path(".highwater/kb.db.anew").exists());
}

#[test]
fn what_people_had_made_of_files_is_found_again() {
    let (ruin, _) = Ruin::new();
    drop(ruin.rebuild());
    std::fs::write(ruin.path("wiki/entities/own-1.md"), "mine\n").unwrap();
    std::fs::write(ruin.path("wiki/concepts/tides.md"), "mine too\n").unwrap();
    std::fs::write(ruin.path("wiki/entities/own-3.conflict.md"), "a file of their own\n").unwrap();
    std::fs::remove_file(ruin.path("wiki/entities/own-2.md")).unwrap();
    drop(ruin.goes_on(4));
    assert!(ruin.path("wiki/concepts/tides.conflict.md").exists());
    // One generation more, which touches none of these.
    let mut library = Library::open(ruin.home.clone());
    library.change("query", "kept", |draft| draft.write(crate::home::file("wiki/explorations/q.md"), b"# Q\n"));
    drop(library);
    ruin.lose_rows();
    drop(ruin.rebuild());
    let told = highwater_kb::status::status(&ruin.home).unwrap();
    assert_eq!((told.conflicts, told.edited, told.deleted), (1, 1, 1));
}

#[test]
fn rows_that_the_disk_has_no_room_for_are_an_error_of_the_disk() {
    const TEST: &str = "rows_that_the_disk_has_no_room_for_are_an_error_of_the_disk";
    let small = match SmallDisk::mount(8 << 20) {
        Ok(small) => small,
        Err(not_here) => return not_here.say(TEST),
    };
    let root = small.path().join("base");
    std::fs::create_dir(&root).unwrap();
    let home: Arc<dyn Home> = Arc::new(Directory::open(&root).unwrap());
    let mut library = Library::new(home.clone());
    (1..=12).for_each(|n| library.add(&[&of(n)]));
    drop(library);
    drop(home);
    let (mut refused, mut room) = (0, 0);
    let filler = small.path().join(".filler");
    loop {
        let home = Directory::open(&root).unwrap();
        let held = home.try_lock().unwrap().unwrap();
        let found = examine(&home).unwrap();
        small.fill().unwrap();
        let filled = std::fs::File::options().write(true).open(&filler).unwrap();
        let bytes = filled.metadata().unwrap().len();
        filled.set_len(bytes - room).unwrap();
        let made = Anew::make(&home, &held, now(), &found).and_then(|mut anew| anew.put(&held, now(), "a test"));
        small.free().unwrap();
        match made {
            Ok(_) => break,
            Err(KbError::RowsOpen) => panic!("another is blamed, with room for {room} bytes"),
            Err(_) => refused += 1,
        }
        room += 8 << 10;
    }
    assert!(refused > 10, "{refused}");
    assert_eq!(examine(&Directory::open(&root).unwrap()).unwrap(), Health::Whole(13));
}
