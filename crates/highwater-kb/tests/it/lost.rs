//! Objects that are gone or damaged where something is to be put in its place from them: nothing is committed that could not be shown, and
//! nothing is silently left out.

use std::fs;

use highwater_kb::base::{Had, Lost};
use highwater_kb::lint::{Linted, lint, mend};
use highwater_kb::resolve::Side;
use highwater_kb::{ContentId, KbError};

use crate::home::now;
use crate::house::House;
use crate::library::Paper;

const PAGE: &str = "wiki/concepts/tides.md";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Gone,
    Flipped,
    Cut,
}

const WAYS: [How; 3] = [How::Gone, How::Flipped, How::Cut];

impl House {
    /// A page that a person has otherwise at generation 2, and that is the base's own again at generation 4.
    fn settled() -> Self {
        let mut house = Self::furnished();
        house.commit(&[(PAGE, Some("one\n"))]);
        house.write(PAGE, "mine\n");
        house.commit(&[(PAGE, Some("two\n"))]);
        house.resolve(PAGE, Side::Theirs).unwrap();
        house
    }

    fn spoil(&self, bytes: &str, how: How) -> ContentId {
        let id = ContentId::of(bytes.as_bytes());
        let path = self.path(&format!(".highwater/objects/{id}"));
        let was = fs::read(&path).unwrap();
        match how {
            How::Gone => fs::remove_file(path).unwrap(),
            How::Flipped => fs::write(path, was.iter().map(|byte| byte ^ 1).collect::<Vec<_>>()).unwrap(),
            How::Cut => fs::write(path, &was[..was.len() - 1]).unwrap(),
        }
        id
    }

    fn refused(&mut self, generation: u32) -> Vec<Lost> {
        match self.library().under_lock(|base, held| base.undo(held, now(), generation)) {
            Err(KbError::Lost(lost)) => lost,
            other => panic!("{other:?}"),
        }
    }

    fn linted(&self) -> Linted {
        lint(&self.home, true, &mut |_, _| {}).unwrap()
    }
}

fn told(linted: &Linted) -> Vec<String> {
    let found = linted.findings.iter();
    found.map(|finding| format!("{} {} {}", finding.kind.word(), finding.file, finding.what)).collect()
}

#[test]
fn what_a_person_had_and_is_lost_is_told_before_anything_is_changed_and_left_out_where_they_say_so() {
    for how in WAYS {
        let mut house = House::settled();
        let (head, id) = (house.head(), house.spoil("mine\n", how));
        let expected = Lost { of: PAGE.to_owned(), had: Had::Person, object: id, is_damaged: how != How::Gone };
        assert_eq!(house.refused(head - 2), std::slice::from_ref(&expected), "{how:?}");
        assert_eq!((house.head(), house.read(PAGE).as_deref()), (head, Some("two\n")));
        let undone = house.library().under_lock(|base, held| base.undo_partly(held, now(), head - 2)).unwrap();
        assert_eq!((undone.lost, house.head()), (vec![expected], head + 1));
        assert_eq!(house.read(PAGE).as_deref(), Some("one\n"));
        // It goes on from there.
        house.commit(&[(PAGE, Some("three\n"))]);
        assert_eq!(house.read(PAGE).as_deref(), Some("three\n"));
    }
}

#[test]
fn what_is_lost_and_stands_there_is_stored_again() {
    for how in WAYS {
        let mut house = House::settled();
        let head = house.head();
        house.spoil("mine\n", how);
        house.write(PAGE, "mine\n");
        house.undo(head - 2);
        assert_eq!(house.read(PAGE).as_deref(), Some("mine\n"));
        house.undo(head);
        house.undo(head - 2);
        assert_eq!(house.read(PAGE).as_deref(), Some("mine\n"));
    }
}

#[test]
fn what_is_stored_anew_takes_the_place_of_what_is_damaged() {
    for how in WAYS {
        let mut house = House::furnished();
        house.commit(&[(PAGE, Some("one\n"))]);
        house.commit(&[(PAGE, Some("two\n"))]);
        house.spoil("one\n", how);
        house.commit(&[(PAGE, Some("one\n"))]);
        assert_eq!(house.read(PAGE).as_deref(), Some("one\n"), "{how:?}");
        assert_eq!(told(&house.linted()), Vec::<String>::new(), "{how:?}");
        // What was there is kept.
        let kept = fs::read_dir(house.path(".highwater/quarantine")).map_or(0, Iterator::count);
        assert_eq!(kept, if how == How::Gone { 0 } else { 2 }, "{how:?}: the bytes, and why");
    }
}

#[test]
fn what_is_no_file_gives_way_to_what_is_stored_anew() {
    for how in ["directory", "symlink"] {
        let mut house = House::furnished();
        house.commit(&[(PAGE, Some("one\n"))]);
        house.commit(&[(PAGE, Some("two\n"))]);
        let object = house.path(&format!(".highwater/objects/{}", ContentId::of(b"one\n")));
        fs::rename(&object, house.path("elsewhere")).unwrap();
        match how {
            "directory" => fs::create_dir(&object).unwrap(),
            _ => std::os::unix::fs::symlink("../../elsewhere", &object).unwrap(),
        }
        let found = told(&house.linted());
        assert!(matches!(&found[..], [one] if one.ends_with(" is damaged")), "{found:?}");
        house.commit(&[(PAGE, Some("one\n"))]);
        assert_eq!(house.read(PAGE).as_deref(), Some("one\n"), "{how}");
        assert_eq!(told(&house.linted()), Vec::<String>::new(), "{how}");
    }
}

#[test]
fn what_the_base_had_and_is_lost_is_named_and_needed() {
    for how in WAYS {
        let mut house = House::furnished();
        house.commit(&[(PAGE, Some("one\n"))]);
        house.commit(&[(PAGE, Some("two\n"))]);
        let head = house.head();
        let id = house.spoil("one\n", how);
        let expected = Lost { of: PAGE.to_owned(), had: Had::Base, object: id, is_damaged: how != How::Gone };
        assert_eq!(house.refused(head - 1), std::slice::from_ref(&expected));
        let undone = house.library().under_lock(|base, held| base.undo_partly(held, now(), head - 1));
        assert!(matches!(undone, Err(KbError::Lost(lost)) if lost == [expected]));
        assert_eq!((house.head(), house.read(PAGE).as_deref()), (head, Some("two\n")));
    }
}

#[test]
fn what_was_compiled_from_a_document_that_comes_back_is_named_by_the_document() {
    let mut house = House::furnished();
    let paper = Paper::new("one", "The bay has tides.\n", &[("entities/bay-of-fundy", true, &[])]);
    house.library().add(&[&paper]);
    let name = highwater_kb::DocName::of_stem("one");
    let compiled = house.base().document(&name).unwrap().unwrap().compiled;
    house.library().remove("one");
    fs::remove_file(house.path(&format!(".highwater/objects/{compiled}"))).unwrap();
    let head = house.head();
    let lost = house.refused(head - 1);
    assert_eq!(lost, [Lost { of: "one".to_owned(), had: Had::Compiled, object: compiled, is_damaged: false }]);
    let told = KbError::Lost(lost).to_string();
    let expected = "what was compiled from the document one is not stored any more (.highwater/objects/";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn a_conflict_whose_generated_version_is_damaged_stays_open() {
    let mut house = House::furnished();
    house.commit(&[(PAGE, Some("one\n"))]);
    house.write(PAGE, "mine\n");
    house.commit(&[(PAGE, Some("two\n"))]);
    let head = house.head();
    house.spoil("two\n", How::Flipped);
    let refused = house.resolve(PAGE, Side::Theirs);
    assert!(
        matches!(&refused, Err(KbError::Lost(lost)) if lost[0].of == PAGE && lost[0].had == Had::Base),
        "{refused:?}"
    );
    assert_eq!((house.head(), house.read(PAGE).as_deref()), (head, Some("mine\n")));
    house.resolve(PAGE, Side::Mine).unwrap();
}

#[test]
fn all_that_any_generation_had_is_looked_at_and_told_with_the_generations_that_had_it() {
    for how in WAYS {
        let is = if how == How::Gone { "is not there" } else { "is damaged" };
        let house = House::settled();
        assert_eq!(told(&house.linted()), [""; 0]);
        // What a person had, what the base had, and what it has.
        let mine = house.spoil("mine\n", how);
        let one = house.spoil("one\n", how);
        let linted = house.linted();
        let expected = [
            format!("history-lost {PAGE} what generation 2 had there, as the object {one}, {is}"),
            format!("history-lost {PAGE} what generations 2 and 3 had there, as the object {mine}, {is}"),
        ];
        let mut found = told(&linted);
        found.sort_by_key(|found| found.contains("generations"));
        assert_eq!((found.as_slice(), linted.faults()), (expected.as_slice(), 0));
        // Without the bytes of everything, nothing is said of what is not needed now.
        assert_eq!(told(&lint(&house.home, false, &mut |_, _| {}).unwrap()), [""; 0]);
        let two = house.spoil("two\n", how);
        let linted = house.linted();
        assert_eq!((linted.faults(), linted.notes()), (1, 2), "{two}: {:?}", told(&linted));
    }
}

#[test]
fn what_stands_there_and_is_lost_is_a_fault_and_stored_again() {
    for how in WAYS {
        let mut house = House::furnished();
        house.commit(&[(PAGE, Some("one\n"))]);
        house.write(PAGE, "mine\n");
        house.commit(&[(PAGE, Some("two\n"))]);
        house.spoil("mine\n", how);
        let linted = house.linted();
        let lost: Vec<_> = linted.findings.iter().filter(|finding| finding.fix).collect();
        assert!(lost.len() == 1 && lost[0].file == PAGE && lost[0].kind.is_fault(), "{lost:?}");
        let mended = house.library().under_lock(|base, held| mend(base, held, now(), &linted, true, false)).unwrap();
        assert_eq!(mended.findings.len(), 1);
        house.resolve(PAGE, Side::Theirs).unwrap();
        house.undo(3);
        assert_eq!(house.read(PAGE).as_deref(), Some("mine\n"));
    }
}

#[test]
fn what_a_generation_changed_is_named_as_its_file_is() {
    for how in [How::Gone, How::Flipped] {
        let mut house = House::settled();
        let path = house.path(".highwater/objects/generation-0000000003");
        match how {
            How::Gone => fs::remove_file(path).unwrap(),
            _ => fs::write(path, "{}").unwrap(),
        }
        let refused = house.library().under_lock(|base, held| base.undo(held, now(), 2)).unwrap_err().to_string();
        let is = if how == How::Gone { "is not there" } else { "is damaged" };
        assert_eq!(refused, format!("what generation 3 changed {is}: .highwater/objects/generation-0000000003"));
    }
}
