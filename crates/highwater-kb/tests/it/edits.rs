//! What people do in `wiki/` while generations come.

use highwater_kb::base::Objects;
use highwater_kb::{Committed, ContentId, Draft, Fate, KbError};

use crate::home::{file, now};
use crate::house::House;

impl House {
    /// Changes what a person has at a path, as mending it does.
    fn mend(&mut self, path: &str, to: &str) -> Committed {
        let from = ContentId::of(self.read(path).unwrap().as_bytes());
        let to = Objects::of(&*self.home).put(to.as_bytes()).unwrap();
        let put = |draft: &mut Draft<'_>| {
            draft.edit(file(path), Some(from), Some(to));
            Ok(())
        };
        self.change(put).unwrap().unwrap()
    }

    /// What a person writes, which is an object once it was mended.
    fn write_kept(&self, path: &str, text: &str) {
        self.write(path, text);
        Objects::of(&*self.home).put(text.as_bytes()).unwrap();
    }

    /// What is staged, beside the sign that the newest generation stands.
    fn staged(&self) -> usize {
        let names = std::fs::read_dir(self.path(".highwater/tmp")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| !name.to_string_lossy().ends_with(".shown")).count()
    }
}

const PAGE: &str = "wiki/concepts/tides.md";

#[test]
fn a_generation_stands_in_the_wiki_as_it_was_made() {
    let mut house = House::bare();
    let committed =
        house.commit(&[(PAGE, Some("one\n")), ("raw/a.txt", Some("raw")), ("wiki/index.md", Some("all\n"))]);
    assert_eq!(committed.unwrap().generation, 1);
    assert_eq!(house.fate(PAGE, Some("two\n")), Fate::AsGenerated);
    assert_eq!((house.read(PAGE).as_deref(), house.read("raw/a.txt").as_deref()), (Some("two\n"), Some("raw")));
    assert_eq!(house.fate(PAGE, None), Fate::AsGenerated);
    assert_eq!(house.read(PAGE), None);
    assert_eq!(house.files().len(), 2);
    assert_eq!(house.head(), 3);
    assert_eq!(house.staged(), 0);
}

#[test]
fn what_changes_nothing_is_no_generation() {
    let mut house = House::bare();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    assert_eq!(house.commit(&[(PAGE, Some("one\n")), ("wiki/none.md", None)]), None);
    assert_eq!(house.head(), 1);
}

#[test]
fn an_edit_of_other_lines_is_merged_and_stays_merged() {
    let mut house = House::bare();
    house.commit(&[(PAGE, Some("one\ntwo\nthree\n"))]).unwrap();
    house.write(PAGE, "one\ntwo\nthree\nmine\n");
    assert_eq!(house.fate(PAGE, Some("ONE\ntwo\nthree\n")), Fate::Merged);
    assert_eq!(house.read(PAGE).unwrap(), "ONE\ntwo\nthree\nmine\n");
    assert_eq!(house.fate(PAGE, Some("ONE\ntwo\nthree\n\n")), Fate::Conflict, "both add a last line");
    assert_eq!(house.read(PAGE).unwrap(), "ONE\ntwo\nthree\nmine\n");
}

#[test]
fn an_edit_of_the_same_line_is_kept_and_the_new_version_lies_beside_it() {
    let mut house = House::bare();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    house.write(PAGE, "mine\n");
    assert_eq!(house.fate(PAGE, Some("two\n")), Fate::Conflict);
    assert_eq!(house.read(PAGE).unwrap(), "mine\n");
    assert_eq!(house.read("wiki/concepts/tides.conflict.md").unwrap(), "two\n");
    // What was beside it once is not written over either.
    house.write("wiki/concepts/tides.conflict.md", "mine too\n");
    assert_eq!(house.fate(PAGE, Some("three\n")), Fate::Conflict);
    assert_eq!(house.read("wiki/concepts/tides.conflict.md").unwrap(), "mine too\n");
    assert_eq!(house.read("wiki/concepts/tides.conflict-2.md").unwrap(), "three\n");
}

#[test]
fn a_page_that_a_person_deleted_stays_deleted() {
    let mut house = House::bare();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    house.remove(PAGE);
    assert_eq!(house.fate(PAGE, Some("two\n")), Fate::Deleted);
    assert_eq!(house.fate(PAGE, Some("three\n")), Fate::Deleted);
    assert_eq!(house.read(PAGE), None);
}

#[test]
fn a_page_that_a_person_had_before_us_is_theirs() {
    let mut house = House::bare();
    house.write(PAGE, "mine\n");
    assert_eq!(house.fate(PAGE, Some("ours\n")), Fate::Conflict);
    assert_eq!(house.read(PAGE).unwrap(), "mine\n");
    assert_eq!(house.read("wiki/concepts/tides.conflict.md").unwrap(), "ours\n");
}

#[test]
fn an_edited_page_that_is_to_go_stays() {
    let mut house = House::bare();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    house.write(PAGE, "mine\n");
    assert_eq!(house.fate(PAGE, None), Fate::Kept);
    assert_eq!(house.read(PAGE).unwrap(), "mine\n");
}

#[test]
fn a_directory_or_a_symlink_in_the_place_of_a_page_is_a_persons() {
    let mut house = House::bare();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    house.remove(PAGE);
    house.write("elsewhere.md", "mine\n");
    std::os::unix::fs::symlink("../../elsewhere.md", house.path(PAGE)).unwrap();
    assert_eq!(house.fate(PAGE, Some("two\n")), Fate::Conflict);
    assert_eq!(house.read("elsewhere.md").unwrap(), "mine\n");
    house.write("wiki/taken/x.md", "mine\n");
    assert_eq!(house.fate("wiki/taken", Some("ours\n")), Fate::Conflict);
    assert_eq!(house.read("wiki/taken.conflict").unwrap(), "ours\n");
}

#[test]
fn a_directory_that_leads_out_is_never_entered() {
    let mut house = House::bare();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), house.path("wiki/concepts")).unwrap();
    let error = house.change(|draft| draft.write(file(PAGE), b"one\n")).unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("wiki/concepts"), "{why}");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    // What is committed is read all the same, and stands there once the way is free.
    assert_eq!(house.base().read(&file(PAGE)).unwrap().unwrap(), b"one\n");
    std::fs::remove_file(house.path("wiki/concepts")).unwrap();
    house.library().under_lock(|base, held| base.finish(held)).unwrap().unwrap();
    assert_eq!(house.read(PAGE).unwrap(), "one\n");
}

#[test]
fn what_is_not_shown_yet_is_shown_before_anything_else_is_changed() {
    let mut house = House::bare();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), house.path("wiki/concepts")).unwrap();
    let next = |house: &mut House, path: &str| house.change(|draft| draft.write(file(path), b"one\n"));
    for path in [PAGE, "wiki/other.md"] {
        assert!(matches!(next(&mut house, path), Err(KbError::Unapplied { generation: 1, .. })), "{path}");
    }
    std::fs::remove_file(house.path("wiki/concepts")).unwrap();
    assert_eq!(next(&mut house, "wiki/other.md").unwrap().unwrap().generation, 2);
    assert_eq!((house.read(PAGE).as_deref(), house.read("wiki/other.md").as_deref()), (Some("one\n"), Some("one\n")));
}

#[test]
fn permissions_that_a_person_gave_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut house = House::bare();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    let path = house.path(PAGE);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    house.commit(&[(PAGE, Some("two\n"))]).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_object_whose_bytes_are_others_is_given_to_nobody() {
    let mut house = House::bare();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    let object = house.path(".highwater/objects").join(ContentId::of(b"one\n").to_string());
    std::fs::write(&object, "two\n").unwrap();
    let error = house.base().read(&file(PAGE)).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    std::fs::remove_file(&object).unwrap();
    assert!(house.base().read(&file(PAGE)).unwrap_err().to_string().contains("not there"));
}

#[test]
fn two_handles_on_one_base_take_turns() {
    let mut house = House::bare();
    house.leave();
    let held = house.home.try_lock().unwrap().unwrap();
    assert!(house.home.try_lock().unwrap().is_none());
    drop(held);
    assert!(house.home.try_lock().unwrap().is_some());
    assert!(house.path(".highwater/base.lock").exists());
}

#[test]
fn going_back_gives_the_bytes_of_then_and_is_a_generation_of_its_own() {
    let mut house = House::bare();
    let states = [
        vec![(PAGE, Some("one\n")), ("raw/a.txt", Some("a"))],
        vec![(PAGE, Some("two\n")), ("wiki/b.md", Some("b\n"))],
        vec![(PAGE, None), ("raw/a.txt", None), ("wiki/c.md", Some("c\n"))],
    ];
    let mut were = vec![house.files()];
    for files in &states {
        house.commit(files).unwrap();
        were.push(house.files());
    }
    for back in [2, 0, 3, 1] {
        house.undo(back).unwrap();
        assert_eq!(house.files(), were[back as usize], "back to {back}");
    }
    assert_eq!(house.head(), 7);
    assert_eq!((house.read(PAGE).as_deref(), house.read("wiki/c.md")), (Some("one\n"), None));
    assert_eq!(house.undo(7), None);
    let none = house.library().under_lock(|base, held| base.undo(held, now(), 8)).unwrap_err();
    assert_eq!(none.to_string(), "there is no generation 8: the newest is 7");
}

#[test]
fn rows_that_are_destroyed_are_made_again_from_the_manifests() {
    let mut house = House::furnished();
    house.commit(&[(PAGE, Some("one\n")), ("raw/a.txt", Some("a"))]).unwrap();
    house.commit(&[(PAGE, Some("two\n")), ("wiki/b.md", Some("b\n"))]).unwrap();
    house.remove("wiki/b.md");
    house.write(PAGE, "mine\n");
    let (had, head) = (house.files(), house.base().head().unwrap());
    house.rebuild();
    assert_eq!((house.files(), house.base().head().unwrap()), (had, head));
    assert_eq!((house.read(PAGE).as_deref(), house.read("wiki/b.md")), (Some("mine\n"), None));
}

const OWN: &str = "wiki/explorations/mine.md";

/// A page of a person's that was mended, written in, and mended again: by then it is one of generation 3.
fn written_between_two_mends(between: &str, mended: &str) -> House {
    let mut house = House::bare();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    house.write_kept(OWN, "one\ntwo\nthree\nfour\nfive\n");
    house.mend(OWN, "ONE\ntwo\nthree\nfour\nfive\n");
    house.write_kept(OWN, between);
    assert_eq!(house.mend(OWN, mended).generation, 3);
    house
}

#[test]
fn what_a_person_wrote_between_two_edits_is_there_when_both_are_taken_back() {
    let mine = "ONE\ntwo\nthree\nfour\nfive\nmine\n";
    for generation in [1, 0] {
        let mut house = written_between_two_mends(mine, "ONE\ntwo\nTHREE\nfour\nfive\nmine\n");
        house.undo(generation);
        assert_eq!(house.read(OWN).unwrap(), "one\ntwo\nthree\nfour\nfive\nmine\n");
        assert_eq!(house.read("wiki/explorations/mine.conflict.md"), None);
        // And as it was before that was taken back.
        house.undo(3);
        assert_eq!(house.read(OWN).unwrap(), "ONE\ntwo\nTHREE\nfour\nfive\nmine\n");
    }
}

#[test]
fn where_a_person_wrote_in_the_lines_of_an_edit_that_is_taken_back_theirs_stays() {
    let mended = "ONE and mine\ntwo\nTHREE\nfour\nfive\n";
    let mut house = written_between_two_mends("ONE and mine\ntwo\nthree\nfour\nfive\n", mended);
    let undone = house.undo(1).unwrap();
    assert_eq!(undone.fates[&file(OWN)], Fate::Conflict);
    assert_eq!(house.read(OWN).unwrap(), mended);
    assert_eq!(house.read("wiki/explorations/mine.conflict.md").unwrap(), "one\ntwo\nthree\nfour\nfive\n");
}

#[test]
fn a_page_that_a_person_removed_and_made_anew_between_two_edits_is_the_new_one() {
    let mut house = written_between_two_mends("all of it is new\n", "ALL of it is new\n");
    house.undo(1);
    let read = house.read(OWN).unwrap();
    assert!(read.to_lowercase().contains("all of it is new"), "{read}");
}
