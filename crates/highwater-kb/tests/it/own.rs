//! What people made of files that go and come again: what they deleted stays deleted, and what they edited is their edit still.

use std::fs;

use highwater_kb::resolve::Side;

use crate::house::House;
use crate::library::Paper;

const PAGE: &str = "wiki/concepts/tides.md";
const VERSION: &str = "wiki/concepts/tides.conflict.md";

impl House {
    /// A page that a generation has.
    fn with(text: &str) -> Self {
        let mut house = Self::furnished();
        house.set(Some(text));
        house
    }

    /// Commits the page; `None` takes it out.
    fn set(&mut self, text: Option<&str>) {
        self.commit(&[(PAGE, text)]);
    }

    /// Goes so many generations back.
    fn back(&mut self, generations: u32) {
        let to = self.head() - generations;
        self.undo(to);
    }

    fn theirs(&mut self, path: &str) {
        self.resolve(path, Side::Theirs).unwrap();
    }

    /// The names beside the page.
    fn pages(&self) -> Vec<String> {
        let list = fs::read_dir(self.path("wiki/concepts")).unwrap();
        let mut names: Vec<String> = list.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// How many files are told of: deleted, edited, in conflict.
    fn told(&self) -> (u64, u64, u64) {
        let status = self.status();
        (status.deleted, status.edited, status.conflicts)
    }

    fn manifest(&self, generation: u32) -> String {
        self.read(&format!(".highwater/objects/generation-{generation:010}")).unwrap()
    }
}

fn naming(name: &str) -> Paper {
    Paper::new(name, "The bay has tides.\n", &[("entities/bay-of-fundy", false, &[])])
}

#[test]
fn a_page_that_a_person_deleted_stays_away_when_it_had_nothing_to_be_of_for_a_while() {
    const BAY: &str = "wiki/entities/bay-of-fundy.md";
    for loses_rows in [false, true] {
        let mut house = House::furnished();
        house.library().add(&[&naming("one"), &naming("two")]);
        house.remove(BAY);
        house.library().add(&[&Paper::new("two", "Nothing of it.\n", &[])]);
        assert!(house.library().page(BAY).is_none());
        assert_eq!(house.told(), (0, 0, 0), "it is told of while the generation has it");
        if loses_rows {
            house.rebuild();
        }
        house.library().add(&[&naming("two")]);
        assert!(house.library().page(BAY).is_some() && house.read(BAY).is_none());
        assert_eq!(house.told(), (1, 0, 0));
        // It stays away from what comes next, and until they want it.
        house.library().add(&[&naming("three")]);
        assert!(house.read(BAY).is_none());
        house.theirs(BAY);
        assert_eq!((house.read(BAY), house.told()), (house.library().page(BAY), (0, 0, 0)));
        for name in ["two", "three"] {
            house.library().remove(name);
        }
        assert!(house.read(BAY).is_none());
        house.library().add(&[&naming("two")]);
        assert!(house.read(BAY).is_some(), "nobody deleted it since");
    }
}

#[test]
fn a_document_that_comes_again_brings_none_of_the_files_that_a_person_had_deleted() {
    let mut house = House::furnished();
    house.library().add(&[&naming("one")]);
    let deleted = ["wiki/summaries/one.md", "raw/one.txt"];
    deleted.iter().for_each(|path| house.remove(path));
    house.library().remove("one");
    house.library().add(&[&naming("one")]);
    assert!(house.read("wiki/sources/one.md").is_some());
    assert!(deleted.iter().all(|path| house.read(path).is_none()));
    assert_eq!(house.told(), (2, 0, 0));
    house.theirs("raw/one.txt");
    assert_eq!((house.read("raw/one.txt"), house.told()), (house.library().page("raw/one.txt"), (1, 0, 0)));
}

#[test]
fn what_was_deleted_when_its_document_was_removed_is_deleted_once_that_is_taken_back() {
    let mut house = House::furnished();
    house.library().add(&[&naming("one")]);
    house.remove("wiki/summaries/one.md");
    house.library().remove("one");
    let removal = house.head();
    house.back(1);
    assert!(house.read("wiki/sources/one.md").is_some() && house.read("wiki/summaries/one.md").is_none());
    assert_eq!(house.told(), (1, 0, 0));
    // And again.
    house.undo(removal);
    house.back(1);
    assert!(house.read("wiki/summaries/one.md").is_none());
    // The manifests that say so can be read by no older program, and all others by any.
    for generation in 1..=house.head() {
        let manifest = house.manifest(generation);
        let says = manifest.contains("\"stands\"");
        assert_eq!(says, generation >= removal, "{manifest}");
        assert!(manifest.starts_with(if says { "{\"format\":3," } else { "{\"format\":1," }), "{manifest}");
    }
    house.rebuild();
    assert_eq!(house.told(), (1, 0, 0));
}

#[test]
fn what_a_person_puts_where_they_had_deleted_a_page_is_theirs() {
    let mut house = House::with("one\n");
    house.remove(PAGE);
    house.set(None);
    house.write(PAGE, "mine\n");
    house.set(Some("one\n"));
    assert_eq!((house.read(PAGE).as_deref(), house.read(VERSION).as_deref()), (Some("mine\n"), Some("one\n")));
    assert_eq!(house.told(), (0, 0, 1));
}

#[test]
fn an_edited_page_that_went_and_comes_back_is_edited_and_no_more() {
    for loses_rows in [false, true] {
        let mut house = House::with("one\ntwo\nthree\nfour\n");
        house.write(PAGE, "one\ntwo\nthree\nMINE\n");
        house.set(None);
        if loses_rows {
            house.rebuild();
        }
        house.back(1);
        assert_eq!((house.read(PAGE).as_deref(), house.pages().len()), (Some("one\ntwo\nthree\nMINE\n"), 1));
        assert_eq!(house.told(), (0, 1, 0));
        // Another version of it is merged into what they have.
        house.set(None);
        house.set(Some("ONE\ntwo\nthree\nfour\n"));
        assert_eq!((house.read(PAGE).as_deref(), house.pages().len()), (Some("ONE\ntwo\nthree\nMINE\n"), 1));
        // What is left of it they may take away: it comes again.
        house.set(None);
        house.remove(PAGE);
        house.set(Some("new\n"));
        assert_eq!((house.read(PAGE).as_deref(), house.told()), (Some("new\n"), (0, 0, 0)));
    }
}

#[test]
fn a_conflict_that_was_open_when_its_page_went_is_open_when_it_comes_back() {
    let mut house = House::with("one\n");
    house.write(PAGE, "mine\n");
    house.set(Some("two\n"));
    house.set(None);
    house.back(1);
    assert_eq!(house.pages(), ["tides.conflict.md", "tides.md"]);
    assert_eq!((house.read(VERSION).as_deref(), house.told()), (Some("two\n"), (0, 0, 1)));
}

#[test]
fn a_change_that_is_taken_back_takes_away_what_it_laid_beside_an_edit() {
    let mut house = House::with("one\n");
    house.write(PAGE, "mine\n");
    house.set(Some("two\n"));
    house.set(Some("three\n"));
    // One version lies beside an edit, the newest.
    assert_eq!((house.pages().len(), house.read(VERSION).as_deref()), (2, Some("three\n")));
    house.back(1);
    assert_eq!((house.pages().len(), house.read(VERSION).as_deref()), (2, Some("two\n")));
    assert_eq!((house.read(PAGE).as_deref(), house.told()), (Some("mine\n"), (0, 0, 1)));
    let conflict = house.head();
    house.back(3);
    assert_eq!((house.pages(), house.told()), (vec!["tides.md".to_owned()], (0, 1, 0)));
    assert_eq!(house.read(PAGE).as_deref(), Some("mine\n"));
    // Once that is taken back, too, it is a conflict again, and one.
    house.undo(conflict);
    assert_eq!((house.pages().len(), house.read(VERSION).as_deref()), (2, Some("two\n")));
    assert_eq!((house.read(PAGE).as_deref(), house.told()), (Some("mine\n"), (0, 0, 1)));
}

#[test]
fn a_version_beside_a_page_that_a_person_wrote_in_stays_when_the_change_is_taken_back() {
    let mut house = House::with("one\n");
    house.write(PAGE, "mine\n");
    house.set(Some("two\n"));
    house.write(VERSION, "two, and mine\n");
    house.back(1);
    assert_eq!(
        (house.read(PAGE).as_deref(), house.read(VERSION).as_deref()),
        (Some("mine\n"), Some("two, and mine\n"))
    );
}

#[test]
fn a_page_that_came_where_a_person_had_one_goes_from_beside_it() {
    let mut house = House::furnished();
    fs::create_dir_all(house.path("wiki/concepts")).unwrap();
    house.write(PAGE, "mine\n");
    house.set(Some("ours\n"));
    house.back(1);
    assert_eq!((house.pages(), house.read(PAGE).as_deref()), (vec!["tides.md".to_owned()], Some("mine\n")));
    house.back(1);
    assert_eq!((house.pages().len(), house.read(VERSION).as_deref()), (2, Some("ours\n")));
}

#[test]
fn a_conflict_that_was_settled_is_none_before_the_change_that_made_it() {
    let mut house = House::with("one\n");
    house.write(PAGE, "mine\n");
    house.set(Some("two\n"));
    house.resolve(PAGE, Side::Mine).unwrap();
    house.back(2);
    assert_eq!((house.pages(), house.told()), (vec!["tides.md".to_owned()], (0, 1, 0)));
    assert_eq!(house.read(PAGE).as_deref(), Some("mine\n"));
}

#[test]
fn a_conflict_in_which_a_person_wrote_is_open_when_the_change_after_it_is_taken_back() {
    let mut house = House::with("one\n");
    house.write(PAGE, "mine\n");
    house.set(Some("two\n"));
    house.write(VERSION, "two\nand what they wrote there\n");
    house.set(Some("three\n"));
    assert_eq!(house.pages().len(), 3);
    house.back(1);
    assert_eq!((house.read(PAGE).as_deref(), house.pages().len()), (Some("mine\n"), 2));
    assert_eq!(house.told().2, 1, "it is in conflict as before");
    house.theirs(PAGE);
    assert_eq!((house.read(PAGE).as_deref(), house.told().2), (Some("two\n"), 0));
}

#[test]
fn a_conflict_that_was_settled_for_theirs_is_an_edit_again_before_the_change_that_made_it() {
    let mut house = House::with("one\n");
    house.write(PAGE, "mine\n");
    house.set(Some("two\n"));
    house.set(Some("three\n"));
    house.theirs(PAGE);
    house.back(3);
    assert_eq!((house.read(PAGE).as_deref(), house.told()), (Some("mine\n"), (0, 1, 0)));
    assert_eq!(house.pages(), ["tides.md"]);
    house.back(1);
    assert_eq!((house.read(PAGE).as_deref(), house.told()), (Some("three\n"), (0, 0, 0)));
}

#[test]
fn a_conflict_that_was_settled_for_mine_is_open_again_when_that_is_taken_back_with_what_came_before_it() {
    let mut house = House::with("one\n");
    house.write(PAGE, "mine\n");
    house.set(Some("two\n"));
    house.set(Some("three\n"));
    house.resolve(PAGE, Side::Mine).unwrap();
    house.back(2);
    assert_eq!((house.read(PAGE).as_deref(), house.read(VERSION).as_deref()), (Some("mine\n"), Some("two\n")));
    assert_eq!((house.pages().len(), house.told().2), (2, 1));
}

#[test]
fn a_page_that_was_deleted_after_its_conflict_was_settled_stays_away() {
    for side in [Side::Mine, Side::Theirs] {
        let mut house = House::with("one\n");
        house.write(PAGE, "mine\n");
        house.set(Some("two\n"));
        house.resolve(PAGE, side).unwrap();
        house.remove(PAGE);
        // All of it is taken back, and that as well.
        house.back(3);
        assert_eq!(house.read(PAGE), None);
        house.back(1);
        assert_eq!((house.read(PAGE), house.told().0), (None, 1), "{side:?}");
        house.rebuild();
        assert_eq!((house.read(PAGE), house.told().0), (None, 1), "{side:?}");
    }
}

#[test]
fn a_conflict_that_comes_again_lies_there_once_whatever_the_file_is_called() {
    // One that is written before its version, and one that is written after it.
    for (raw, beside) in [("raw/a.bin", "raw/a.conflict.bin"), ("raw/a.txt", "raw/a.conflict.txt")] {
        let mut house = House::furnished();
        let set = |house: &mut House, text: &str| {
            house.commit(&[(raw, Some(text))]);
        };
        set(&mut house, "one\n");
        house.write(raw, "mine\n");
        set(&mut house, "two\n");
        house.back(1);
        assert_eq!((house.read(raw).as_deref(), house.read(beside)), (Some("mine\n"), None));
        house.back(1);
        assert_eq!((house.read(raw).as_deref(), house.read(beside).as_deref()), (Some("mine\n"), Some("two\n")));
        assert_eq!(fs::read_dir(house.path("raw")).unwrap().count(), 2);
    }
}
