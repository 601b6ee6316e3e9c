//! Changes that came to their manifest and not to their COMMIT: what is made of the manifest when the rows are lost.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use highwater_db::sqlite::rusqlite::Connection;
use highwater_kb::base::{Anew, Health, Objects, examine};
use highwater_kb::{Base, Directory, Draft, Home as _, KbError};

use crate::home::{file, now};
use crate::house::House;
use crate::library::Paper;

const INDEX: &str = "wiki/index.md";

fn of(n: u32) -> Paper {
    let own = format!("entities/own-{n}");
    let text = format!("# Paper {n}\n\nWords of paper {n}.\n");
    Paper::new(&format!("paper-{n}"), &text, &[("concepts/tides", false, &[]), (&own, true, &[])])
}

impl House {
    /// A base of three documents, each with a generation of its own: 2, 3 and 4.
    fn full() -> Self {
        let mut house = Self::furnished();
        (1..=3).for_each(|n| house.library().add(&[&of(n)]));
        house
    }

    fn manifest_of(&self, generation: u32) -> std::path::PathBuf {
        self.path(&format!(".highwater/objects/generation-{generation:010}"))
    }
}

#[test]
fn a_change_that_fails_before_its_commit_leaves_nothing_that_speaks_of_a_generation() {
    let mut house = House::full();
    // What the first generation had there is damaged: to go back to it cannot be written down.
    let was = house.base().manifest(1).unwrap().unwrap();
    let was = was.files.iter().find(|change| change.path.as_str() == INDEX).unwrap().new.unwrap();
    let whole = Objects::of(&*house.home).read(was, 1 << 20).unwrap();
    fs::write(house.path(&format!(".highwater/objects/{was}")), vec![b'x'; whole.len()]).unwrap();
    let refused = house.library().under_lock(|base, held| base.undo(held, now(), 1)).map(drop);
    assert!(matches!(refused, Err(KbError::ObjectDamaged { .. } | KbError::Lost(_))), "{refused:?}");
    assert!(!house.manifest_of(5).exists());
    assert_eq!(house.head(), 4);
    // And the base goes on.
    house.library().add(&[&of(4)]);
    assert!(house.manifest_of(5).exists());
}

impl House {
    /// Everything below these, by its path from the root.
    fn tree(&self, below: &[&str]) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut tree = BTreeMap::new();
        let mut directories: Vec<PathBuf> = below.iter().map(|below| self.path(below)).collect();
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    let name = path.strip_prefix(self.directory.path()).unwrap().to_owned();
                    tree.insert(name, fs::read(path).unwrap());
                }
            }
        }
        tree
    }

    /// What people see.
    fn shown(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.tree(&["wiki", "raw"])
    }

    /// Puts back what people see, as somebody does who keeps it elsewhere, too.
    fn show(&self, tree: &BTreeMap<PathBuf, Vec<u8>>) {
        self.shown().keys().for_each(|path| fs::remove_file(self.directory.path().join(path)).unwrap());
        for (path, bytes) in tree {
            let path = self.directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// Does something whose COMMIT never comes: nothing is left of it but what is stored.
    fn tried(&mut self, act: impl FnOnce(&mut Self)) {
        self.leave();
        let is_object = |path: &PathBuf| path.starts_with(".highwater/objects");
        let before = self.tree(&["."]).into_iter().filter(|(path, _)| !is_object(path));
        let before: BTreeMap<_, _> = before.collect();
        self.enter();
        act(self);
        self.leave();
        for path in self.tree(&["."]).into_keys().filter(|path| !is_object(path)) {
            fs::remove_file(self.directory.path().join(path)).unwrap();
        }
        for (path, bytes) in before {
            fs::write(self.directory.path().join(path), bytes).unwrap();
        }
    }

    /// Leaves it as a version of the program does that left no signs.
    fn forget_signs(&mut self) {
        self.leave();
        self.tree(&[".highwater/tmp"])
            .keys()
            .for_each(|path| fs::remove_file(self.directory.path().join(path)).unwrap());
    }

    fn lose_rows(&mut self) {
        self.leave();
        ["kb.db", "kb.db-wal", "kb.db-shm"]
            .iter()
            .for_each(|file| drop(fs::remove_file(self.path(".highwater").join(file))));
    }

    /// Its rows are made again, as a person asks for it. Says with which generation they end, and what was lost.
    fn remade(&mut self) -> (u32, Vec<String>) {
        self.leave();
        let home = Directory::open(self.directory.path()).unwrap();
        let held = home.try_lock().unwrap().unwrap();
        let found = examine(&home).unwrap();
        let rebuilt = Anew::make(&home, &held, now(), &found).unwrap().put(&held, now(), "a test").unwrap();
        let lost = rebuilt.aside.iter().map(|aside| format!("{}: {}; {}", aside.what, aside.why, aside.next));
        (rebuilt.base.head().unwrap().unwrap().number, lost.collect())
    }
}

/// A change, as it is told.
type Change = (&'static str, fn(&mut House));

/// Those that would take most away.
const TRIED: [Change; 2] = [
    ("undo back to generation 1", |house| drop(house.undo(1))),
    ("remove paper-2", |house| house.library().remove("paper-2")),
];

#[test]
fn r14_a_change_that_was_never_committed_is_not_made_by_a_rebuild() {
    for (doing, act) in TRIED {
        for (signs, rows) in [(true, false), (false, false), (true, true), (false, true)] {
            let mut house = House::full();
            house.tried(act);
            let before = house.shown();
            if !signs {
                house.forget_signs();
            }
            if !rows {
                house.lose_rows();
            }
            let what = format!("{doing}, with signs: {signs}, with rows: {rows}");
            let (head, lost) = house.remade();
            assert!(house.shown() == before, "{what}");
            assert_eq!((head, lost.len()), (4, 1), "{what}: {lost:?}");
            assert!(lost[0].starts_with("generation 5: it was begun"), "{lost:?}");
            assert!(lost[0].ends_with(&format!("; do again what it was to do: {doing}")), "{lost:?}");
            assert!(
                !house.manifest_of(5).exists() && house.path(".highwater/quarantine/generation-0000000005.0").exists()
            );
            // And it can be done again.
            house.enter();
            act(&mut house);
            assert_eq!(house.head(), 5, "{what}");
        }
    }
}

#[test]
fn r14_what_people_made_of_files_says_nothing_where_rows_or_signs_say_what_was_committed() {
    let edited: fn(&House) = |house| {
        house.shown().keys().for_each(|path| fs::write(house.directory.path().join(path), "mine\n").unwrap());
    };
    let gone: fn(&House) = |house| house.show(&BTreeMap::new());
    for made in [edited, gone] {
        for rows in [false, true] {
            let mut house = House::full();
            made(&house);
            house.tried(TRIED[0].1);
            let before = house.shown();
            if !rows {
                house.lose_rows();
            }
            let (head, lost) = house.remade();
            assert_eq!((head, lost.len()), (4, 1), "{lost:?}");
            assert!(house.shown() == before);
        }
        // Without either, it is believed: it may have been acknowledged.
        let mut house = House::full();
        house.tried(TRIED[0].1);
        made(&house);
        house.forget_signs();
        house.lose_rows();
        assert_eq!(house.remade(), (5, Vec::new()));
    }
}

#[test]
fn r14_what_was_acknowledged_is_back_whatever_a_person_made_of_the_files() {
    let mut house = House::full();
    let before = house.shown();
    house.library().add(&[&of(4)]);
    // As one does who keeps `wiki/` and `raw/` under version control.
    house.show(&before);
    house.lose_rows();
    assert_eq!(house.remade(), (5, Vec::new()));
    assert!(house.shown() == before, "what people made of the files stays");
    house.enter();
    assert!(house.base().document(&of(4).name).unwrap().is_some());
}

#[test]
fn r14_what_was_told_as_committed_and_could_not_be_shown_is_back_and_shown() {
    let mut house = House::full();
    let before = house.shown();
    // What has the place of a directory.
    let away = house.path("away");
    fs::rename(house.path("raw"), &away).unwrap();
    fs::write(house.path("raw"), "in the way\n").unwrap();
    let told = house.change(|draft| of(4).fold(draft));
    assert!(matches!(told, Err(KbError::Unapplied { generation: 5, .. })), "{told:?}");
    fs::remove_file(house.path("raw")).unwrap();
    fs::rename(away, house.path("raw")).unwrap();
    assert!(house.shown() == before);
    house.lose_rows();
    assert_eq!(house.remade(), (5, Vec::new()));
    assert!(house.read("raw/paper-4.txt").is_some() && house.read("wiki/summaries/paper-4.md").is_some());
}

#[test]
fn r14_a_sign_speaks_of_no_generation_that_comes_after() {
    let mut house = House::full();
    // The last is lost, and with it what its sign spoke of.
    house.leave();
    fs::write(house.manifest_of(4), "damaged").unwrap();
    house.lose_rows();
    assert_eq!(house.remade().0, 3);
    house.enter();
    house.tried(|house| drop(house.undo(1)));
    let before = house.shown();
    house.lose_rows();
    let (head, lost) = house.remade();
    assert_eq!((head, lost.len()), (3, 1), "{lost:?}");
    assert!(house.shown() == before);
}

#[test]
fn rows_of_an_earlier_time_are_known_by_what_was_told_as_committed() {
    let mut house = House::full();
    house.leave();
    let rows = fs::read(house.path(".highwater/kb.db")).unwrap();
    house.enter();
    let log = house.read("wiki/log.md").unwrap();
    house.library().add(&[&of(4)]);
    house.lose_rows();
    // The log does not say it.
    house.write("wiki/log.md", &log);
    fs::write(house.path(".highwater/kb.db"), rows).unwrap();
    assert!(matches!(examine(&*house.home).unwrap(), Health::Unusable(why) if why.contains("end with generation 4")));
    assert_eq!(house.remade(), (5, Vec::new()));
}

/// The rows as whoever opens them first after all have closed them finds them.
fn head_after_all(house: &House) -> u32 {
    let image = tempfile::tempdir().unwrap();
    for file in ["kb.db", "kb.db-wal"] {
        fs::copy(house.path(".highwater").join(file), image.path().join(file)).unwrap();
    }
    let rows = Connection::open(image.path().join("kb.db")).unwrap();
    rows.query_row("SELECT head FROM base", [], |row| row.get(0)).unwrap()
}

/// Killed between the last byte of its COMMIT and the word to the others that it is there, while another has the rows open.
#[test]
fn r05_a_commit_that_was_cut_off_comes_to_life_no_more_once_another_goes_on() {
    let mut house = House::full();
    let (shown, signs) = (house.shown(), house.path(".highwater/tmp"));
    let said = house.path(".highwater/kb.db-shm");
    let before = fs::read(&said).unwrap();
    house.library().add(&[&of(4)]);
    fs::OpenOptions::new().write(true).open(&said).unwrap().write_all(&before).unwrap();
    fs::rename(signs.join("5.shown"), signs.join("4.shown")).unwrap();
    house.show(&shown);
    assert_eq!(head_after_all(&house), 5, "it is whole");
    let home = Arc::clone(&house.home);
    let mut another = Base::open(Arc::clone(&home), now()).unwrap();
    assert_eq!(another.head().unwrap().map(|head| head.number), Some(4), "and nobody knows of it");
    // What another is about to do begins so; then its own manifest is written over the one that is there.
    house.library().let_go();
    let held = home.try_lock().unwrap().unwrap();
    assert!(another.finish(&held).unwrap().is_none());
    assert_eq!(head_after_all(&house), 4);
    let own = |draft: &mut Draft<'_>| draft.write(file("wiki/explorations/own.md"), b"# Own\n");
    another.commit(&held, now(), "query", "another", own).unwrap().unwrap();
    assert_eq!(head_after_all(&house), 5);
    let manifest = another.manifest(5).unwrap().unwrap();
    assert_eq!(manifest.text, "another");
}
