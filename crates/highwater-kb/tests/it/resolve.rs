//! Conflicts that end: one version stays, the other is kept, and what comes is merged as before.

use std::collections::BTreeSet;

use highwater_kb::lint::{Kind, lint};
use highwater_kb::resolve::Side;
use highwater_kb::{Fate, KbError};

use crate::home::file;
use crate::house::House;

const PAGE: &str = "wiki/concepts/tides.md";
const VERSION: &str = "wiki/concepts/tides.conflict.md";

impl House {
    /// A page, which a person edited, and which was then changed where they had.
    fn in_conflict() -> Self {
        let mut house = Self::with_files(&[(PAGE, Some("top\none\ntwo\nthree\nmiddle\nend\n"))]);
        house.write(PAGE, "top\none\ntwo\nthree\nMINE\nend\n");
        assert_eq!(house.fate(PAGE, Some("top\none\ntwo\nthree\nTHEIRS\nend\n")), Fate::Conflict);
        house
    }

    fn with_files(files: &[(&str, Option<&str>)]) -> Self {
        let mut house = Self::bare();
        house.commit(files);
        house
    }

    /// How many conflicts are counted, and which are named; a look at the base tells of the same.
    fn open(&mut self) -> (u64, Vec<String>) {
        let open: Vec<String> = self.base().conflicts().unwrap().iter().map(ToString::to_string).collect();
        let linted = lint(&self.home, false, &mut |_, _| {}).unwrap();
        let versions = linted.findings.iter().filter(|finding| finding.kind == Kind::Conflict);
        let told: BTreeSet<String> =
            versions.map(|version| file(&version.file).lies_beside().unwrap().to_string()).collect();
        assert_eq!(told.into_iter().collect::<Vec<_>>(), open);
        (self.status().conflicts, open)
    }
}

#[test]
fn mine_stays_and_what_comes_is_merged_with_it() {
    let mut house = House::in_conflict();
    assert_eq!(house.open(), (1, vec![PAGE.to_owned()]));
    let resolved = house.resolve(PAGE, Side::Mine).unwrap();
    assert_eq!((resolved.committed.generation, resolved.kept), (3, Vec::new()));
    assert_eq!((house.read(PAGE).as_deref(), house.read(VERSION)), (Some("top\none\ntwo\nthree\nMINE\nend\n"), None));
    assert_eq!(house.open(), (0, Vec::new()));
    assert_eq!(
        house.base().read(&file(PAGE)).unwrap().unwrap(),
        b"top\none\ntwo\nthree\nTHEIRS\nend\n",
        "the base has what was generated"
    );
    assert_eq!(house.fate(PAGE, Some("TOP\none\ntwo\nthree\nTHEIRS\nend\n")), Fate::Merged);
    assert_eq!(house.read(PAGE).unwrap(), "TOP\none\ntwo\nthree\nMINE\nend\n");
    // The same lines again are a conflict again.
    assert_eq!(house.fate(PAGE, Some("TOP\none\ntwo\nthree\nother\nend\n")), Fate::Conflict);
    assert_eq!(house.open(), (1, vec![PAGE.to_owned()]));
}

#[test]
fn theirs_stays_and_mine_is_kept() {
    let mut house = House::in_conflict();
    let resolved = house.resolve(PAGE, Side::Theirs).unwrap();
    assert_eq!((house.read(PAGE).as_deref(), house.read(VERSION)), (Some("top\none\ntwo\nthree\nTHEIRS\nend\n"), None));
    let [(path, kept)] = resolved.kept.as_slice() else { panic!("{resolved:?}") };
    assert_eq!((path, house.read(kept).as_deref()), (&file(PAGE), Some("top\none\ntwo\nthree\nMINE\nend\n")));
    assert!(house.read(&format!("{kept}.reason")).unwrap().contains(PAGE));
    assert_eq!(house.open(), (0, Vec::new()));
    assert_eq!(house.fate(PAGE, Some("top\none\ntwo\nthree\nnew\nend\n")), Fate::AsGenerated);
}

#[test]
fn what_was_settled_is_taken_back() {
    for side in [Side::Mine, Side::Theirs] {
        let mut house = House::in_conflict();
        house.resolve(PAGE, side).unwrap();
        house.undo(2);
        assert_eq!(house.open(), (1, vec![PAGE.to_owned()]), "{side:?}");
        assert_eq!(house.read(PAGE).as_deref(), Some("top\none\ntwo\nthree\nMINE\nend\n"), "{side:?}");
        assert_eq!(house.read(VERSION).as_deref(), Some("top\none\ntwo\nthree\nTHEIRS\nend\n"), "{side:?}");
        house.resolve(PAGE, side).unwrap();
        assert_eq!(house.open(), (0, Vec::new()));
    }
    // Not where a person wrote since.
    let mut house = House::in_conflict();
    house.resolve(PAGE, Side::Theirs).unwrap();
    house.write(PAGE, "mine again\n");
    house.undo(2);
    assert_eq!(house.read(PAGE).as_deref(), Some("mine again\n"));
}

#[test]
fn what_was_laid_beside_a_page_by_going_back_is_nowhere_before_that() {
    let mut house = House::in_conflict();
    house.resolve(PAGE, Side::Theirs).unwrap();
    // What they write now meets what they had written: that goes beside it.
    house.write(PAGE, "top\none\ntwo\nthree\nSECOND\nend\n");
    house.undo(2);
    let beside = ["wiki/concepts/tides.conflict.md", "wiki/concepts/tides.conflict-2.md"];
    let mine = "top\none\ntwo\nthree\nMINE\nend\n";
    assert!(beside.iter().any(|path| house.read(path).as_deref() == Some(mine)));
    // Taken back alone, it goes again.
    house.undo(3);
    assert_eq!(beside.map(|path| house.read(path)), [None, None]);
    assert_eq!((house.read(PAGE).as_deref(), house.open().0), (Some("top\none\ntwo\nthree\nSECOND\nend\n"), 0));
    // Settled, and taken back with that and with what came before it, it is none either.
    house.undo(2);
    house.resolve(PAGE, Side::Theirs).unwrap();
    house.undo(1);
    assert_eq!(beside.map(|path| house.read(path)), [None, None]);
    assert_eq!(house.open(), (0, Vec::new()));
}

#[test]
fn a_conflict_that_is_settled_is_open_or_settled_however_often_that_is_taken_back() {
    let mut house = House::in_conflict();
    let mut seen = vec![[house.read(PAGE), house.read(VERSION)]];
    house.resolve(PAGE, Side::Theirs).unwrap();
    for generation in 3..9 {
        seen.push([house.read(PAGE), house.read(VERSION)]);
        assert_eq!(seen.last(), seen.get(usize::from(generation % 2 == 1)), "generation {generation}");
        assert_eq!(house.open().0, u64::from(generation % 2 == 0));
        house.undo(generation - 1);
    }
    // Each of them, from wherever one is.
    for generation in (2..9).chain([3, 8, 2, 7]) {
        house.undo(generation);
        assert_eq!([house.read(PAGE), house.read(VERSION)], seen[generation as usize - 2], "generation {generation}");
    }
}

#[test]
fn what_lies_beside_a_page_that_is_as_generated_is_in_conflict_also_once_that_is_taken_back() {
    for side in [Side::Mine, Side::Theirs] {
        let mut house = House::in_conflict();
        house.resolve(PAGE, Side::Theirs).unwrap();
        // Their text of before meets nothing of theirs, and lies there nevertheless.
        let mine = "top\none\ntwo\nthree\nMINE\nend\n";
        house.write(VERSION, mine);
        assert_eq!(house.open(), (1, vec![PAGE.to_owned()]));
        let resolved = house.resolve(PAGE, side).unwrap();
        assert_eq!((house.open(), house.read(VERSION), resolved.kept.len()), ((0, Vec::new()), None, 1));
        house.undo(3);
        assert_eq!((house.open(), house.read(VERSION).as_deref()), ((1, vec![PAGE.to_owned()]), Some(mine)));
        house.resolve(PAGE, side).unwrap();
        assert_eq!((house.open(), house.read(VERSION)), ((0, Vec::new()), None));
    }
}

#[test]
fn every_version_beside_a_page_goes_and_those_that_a_person_wrote_are_kept() {
    let mut house = House::in_conflict();
    house.write(VERSION, "what I made of both\n");
    assert_eq!(house.fate(PAGE, Some("top\none\ntwo\nthree\nthird\nend\n")), Fate::Conflict);
    assert_eq!(house.read("wiki/concepts/tides.conflict-2.md").as_deref(), Some("top\none\ntwo\nthree\nthird\nend\n"));
    let resolved = house.resolve(PAGE, Side::Mine).unwrap();
    let [(path, kept)] = resolved.kept.as_slice() else { panic!("{resolved:?}") };
    assert_eq!((path, house.read(kept).as_deref()), (&file(VERSION), Some("what I made of both\n")));
    assert_eq!((house.read(VERSION), house.read("wiki/concepts/tides.conflict-2.md")), (None, None));
    assert_eq!(house.read(PAGE).as_deref(), Some("top\none\ntwo\nthree\nMINE\nend\n"));
}

#[test]
fn where_there_is_no_conflict_nothing_is_done() {
    let mut house = House::with_files(&[(PAGE, Some("one\n"))]);
    house.write("wiki/other.md", "mine\n");
    for path in [PAGE, "wiki/other.md", "wiki/none.md"] {
        for side in [Side::Mine, Side::Theirs] {
            let refused = house.resolve(path, side);
            assert!(matches!(refused, Err(KbError::NoConflict(_))), "{refused:?}");
        }
    }
    // An edit alone is no conflict, and stays.
    house.write(PAGE, "mine\n");
    assert!(matches!(house.resolve(PAGE, Side::Theirs), Err(KbError::NoConflict(_))));
    assert_eq!(house.read(PAGE).as_deref(), Some("mine\n"));
    assert_eq!(house.head(), 1);
}

#[test]
fn what_the_base_has_itself_is_no_version_of_another_file() {
    let mut house = House::with_files(&[(PAGE, Some("one\n")), (VERSION, Some("a page\n"))]);
    assert_eq!(house.open(), (0, Vec::new()));
    for side in [Side::Mine, Side::Theirs] {
        assert!(matches!(house.resolve(PAGE, side), Err(KbError::NoConflict(_))));
    }
    // A version finds another place, and goes without it.
    house.write(PAGE, "mine\n");
    assert_eq!(house.fate(PAGE, Some("two\n")), Fate::Conflict);
    assert_eq!(house.open(), (1, vec![PAGE.to_owned()]));
    house.resolve(PAGE, Side::Mine).unwrap();
    assert_eq!(house.open(), (0, Vec::new()));
    assert_eq!(house.read(VERSION).as_deref(), Some("a page\n"));
    // Such a page can be in a conflict of its own.
    house.write(VERSION, "mine\n");
    assert_eq!(house.fate(VERSION, Some("another page\n")), Fate::Conflict);
    assert_eq!(house.open(), (1, vec![VERSION.to_owned()]));
    house.resolve(VERSION, Side::Mine).unwrap();
    assert_eq!(house.open(), (0, Vec::new()));
}

#[test]
fn a_file_that_a_person_called_as_a_version_is_theirs() {
    let mut house = House::with_files(&[(PAGE, Some("one\n"))]);
    house.write(VERSION, "mine\n");
    // Neither beside a page that nobody edited, nor beside one that a person did.
    for text in ["one\n", "edited\n"] {
        house.write(PAGE, text);
        assert_eq!(house.open(), (0, Vec::new()), "{text}");
        for side in [Side::Mine, Side::Theirs] {
            assert!(matches!(house.resolve(PAGE, side), Err(KbError::NoConflict(_))), "{text}");
        }
    }
    let foreign = |house: &House| {
        let linted = lint(&house.home, false, &mut |_, _| {}).unwrap();
        linted.findings.iter().any(|finding| finding.kind == Kind::Foreign && finding.file == VERSION)
    };
    assert!(foreign(&house));
    // What they copied beside a page that is as it was is theirs, too.
    house.write(PAGE, "one\n");
    house.write(VERSION, "one\n");
    assert_eq!((house.open(), foreign(&house)), ((0, Vec::new()), true));
    assert!(matches!(house.resolve(PAGE, Side::Mine), Err(KbError::NoConflict(_))));
    assert_eq!(house.read(VERSION).as_deref(), Some("one\n"));
}

#[test]
fn what_a_person_wrote_is_kept_also_where_it_was_mended_once() {
    let mut house = House::with_files(&[(PAGE, Some("top\none\n"))]);
    house.write(VERSION, "# Mine\n\nIt is only called so: [[nowhere]].\n");
    let objects = highwater_kb::base::Objects::of(&*house.home);
    let [from, to] = ["# Mine\n\nIt is only called so: [[nowhere]].\n", "# Mine\n\nIt is only called so: nowhere.\n"]
        .map(|text| objects.put(text.as_bytes()).unwrap());
    let mend = |draft: &mut highwater_kb::Draft<'_>| {
        draft.edit(file(VERSION), Some(from), Some(to));
        Ok(())
    };
    house.change(mend).unwrap().unwrap();
    house.write(PAGE, "top\nMINE\n");
    assert_eq!(house.fate(PAGE, Some("top\nTHEIRS\n")), Fate::Conflict);
    let resolved = house.resolve(PAGE, Side::Mine).unwrap();
    let kept: Vec<String> = resolved.kept.iter().map(|(_, place)| house.read(place).unwrap()).collect();
    assert_eq!(kept, ["# Mine\n\nIt is only called so: nowhere.\n"], "and not what the base has itself");
}

#[test]
fn a_page_that_a_person_deleted_comes_back_where_they_say_so() {
    let mut house = House::with_files(&[(PAGE, Some("one\n")), ("raw/a.txt", Some("a"))]);
    house.remove(PAGE);
    assert_eq!(house.fate(PAGE, Some("two\n")), Fate::Deleted);
    assert_eq!(house.status().deleted, 1);
    assert!(matches!(house.resolve(PAGE, Side::Mine), Err(KbError::NoConflict(_))));
    house.resolve(PAGE, Side::Theirs).unwrap();
    assert_eq!(house.read(PAGE).as_deref(), Some("two\n"));
    assert_eq!(house.status().deleted, 0);
    assert_eq!(house.fate(PAGE, Some("three\n")), Fate::AsGenerated);
    house.remove("raw/a.txt");
    house.resolve("raw/a.txt", Side::Theirs).unwrap();
    assert_eq!(house.read("raw/a.txt").as_deref(), Some("a"));
}

#[test]
fn a_conflict_stays_one_until_it_is_settled_whatever_comes() {
    let mut house = House::in_conflict();
    assert_eq!(house.fate(PAGE, Some("TOP\none\ntwo\nthree\nTHEIRS\nend\n")), Fate::Merged);
    assert_eq!(house.read(PAGE).as_deref(), Some("TOP\none\ntwo\nthree\nMINE\nend\n"));
    assert_eq!(house.open(), (1, vec![PAGE.to_owned()]));
    house.resolve(PAGE, Side::Mine).unwrap();
    assert_eq!(house.open(), (0, Vec::new()));
    // So it does where the page is deleted, and a change meets that.
    let mut house = House::in_conflict();
    house.remove(PAGE);
    assert_eq!(house.fate(PAGE, Some("new\n")), Fate::Deleted);
    assert_eq!(house.open(), (1, vec![PAGE.to_owned()]));
    house.resolve(PAGE, Side::Mine).unwrap();
    assert_eq!((house.open(), house.read(PAGE)), ((0, Vec::new()), None));
    // One that a person settles by hand is none.
    let mut house = House::in_conflict();
    house.remove(VERSION);
    assert_eq!(house.open(), (0, Vec::new()));
}

#[test]
fn a_document_that_is_no_text_is_settled_as_any_file() {
    let raw = "raw/report.pdf";
    for (side, stays) in [(Side::Mine, b"\xff mine".as_slice()), (Side::Theirs, b"two")] {
        let mut house = House::with_files(&[(raw, Some("one"))]);
        std::fs::write(house.path(raw), b"\xff mine").unwrap();
        assert_eq!(house.fate(raw, Some("two")), Fate::Conflict);
        house.resolve(raw, side).unwrap();
        assert_eq!(std::fs::read(house.path(raw)).unwrap(), stays);
        assert_eq!(house.open(), (0, Vec::new()));
    }
}

#[test]
fn a_conflict_of_a_page_that_the_base_no_longer_has_ends_too() {
    for (side, stays) in [(Side::Mine, Some("top\none\ntwo\nthree\nMINE\nend\n")), (Side::Theirs, None)] {
        let mut house = House::in_conflict();
        assert_eq!(house.fate(PAGE, None), Fate::Kept);
        assert_eq!(house.open(), (1, vec![PAGE.to_owned()]));
        let resolved = house.resolve(PAGE, side).unwrap();
        assert_eq!((house.read(PAGE).as_deref(), house.read(VERSION)), (stays, None));
        let theirs = usize::from(stays.is_none());
        assert_eq!(
            resolved.kept.len(),
            theirs + 1,
            "the version beside it, which the base no longer has, is kept, too"
        );
    }
}

#[test]
fn what_is_no_file_is_moved_by_nobody() {
    let mut house = House::in_conflict();
    house.remove(PAGE);
    std::fs::create_dir(house.path(PAGE)).unwrap();
    assert!(matches!(house.resolve(PAGE, Side::Theirs), Err(KbError::NoFile(_))));
    assert_eq!(house.open(), (1, vec![PAGE.to_owned()]));
    house.resolve(PAGE, Side::Mine).unwrap();
    assert!(house.path(PAGE).is_dir());
    assert_eq!(house.open(), (0, Vec::new()));
}
