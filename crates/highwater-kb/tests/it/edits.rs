//! What people do in `wiki/` while generations come.

use std::path::Path;
use std::sync::Arc;

use highwater_kb::{Base, Committed, ContentId, Directory, Fate, Home};

use crate::home::{file, now};

/// A base in a directory of its own.
struct House {
    directory: tempfile::TempDir,
    home: Arc<dyn Home>,
    base: Base,
}

impl House {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
        let base = Base::init(home.clone(), now()).unwrap();
        Self { directory, home, base }
    }

    /// Commits these files; `None` is nothing.
    fn commit(&mut self, files: &[(&str, Option<&str>)]) -> Option<Committed> {
        let held = self.home.try_lock().unwrap().unwrap();
        let draft = |draft: &mut highwater_kb::Draft<'_>| {
            for (path, text) in files {
                match text {
                    Some(text) => draft.write(file(path), text.as_bytes())?,
                    None => draft.remove(file(path)),
                }
            }
            Ok(())
        };
        self.base.commit(&held, now(), "add", "a test", draft).unwrap()
    }

    fn fate(&mut self, path: &str, text: Option<&str>) -> Fate {
        self.commit(&[(path, text)]).unwrap().fates[&file(path)]
    }

    /// Changes what a person has at a path, as mending it does.
    fn mend(&mut self, path: &str, to: &str) -> Committed {
        let from = ContentId::of(self.read(path).unwrap().as_bytes());
        let to = highwater_kb::base::Objects::of(&*self.home).put(to.as_bytes()).unwrap();
        let held = self.home.try_lock().unwrap().unwrap();
        // What was there is an object, for whoever takes this back.
        let put = |draft: &mut highwater_kb::Draft<'_>| {
            draft.edit(file(path), Some(from), Some(to));
            Ok(())
        };
        self.base.commit(&held, now(), "lint --fix", "a test", put).unwrap().unwrap()
    }

    fn undo(&mut self, generation: u32) -> Committed {
        let held = self.home.try_lock().unwrap().unwrap();
        self.base.undo(&held, now(), generation).unwrap().unwrap()
    }

    /// What a person writes, which is an object once it was mended.
    fn write_kept(&self, path: &str, text: &str) {
        self.write(path, text);
        highwater_kb::base::Objects::of(&*self.home).put(text.as_bytes()).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.directory.path().join(path)).ok()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.directory.path().join(path)).unwrap();
    }

    /// What is staged.
    fn staged(&self) -> usize {
        std::fs::read_dir(self.directory.path().join(".highwater/tmp")).unwrap().count()
    }
}

const PAGE: &str = "wiki/concepts/tides.md";

#[test]
fn a_generation_stands_in_the_wiki_as_it_was_made() {
    let mut house = House::new();
    let committed =
        house.commit(&[(PAGE, Some("one\n")), ("raw/a.txt", Some("raw")), ("wiki/index.md", Some("all\n"))]);
    assert_eq!(committed.unwrap().generation, 1);
    assert_eq!(house.fate(PAGE, Some("two\n")), Fate::AsGenerated);
    assert_eq!((house.read(PAGE).as_deref(), house.read("raw/a.txt").as_deref()), (Some("two\n"), Some("raw")));
    assert_eq!(house.fate(PAGE, None), Fate::AsGenerated);
    assert_eq!(house.read(PAGE), None);
    assert_eq!(house.base.files().unwrap().len(), 2);
    assert_eq!(house.base.head().unwrap().unwrap().number, 3);
    assert_eq!(house.staged(), 0);
}

#[test]
fn what_changes_nothing_is_no_generation() {
    let mut house = House::new();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    assert_eq!(house.commit(&[(PAGE, Some("one\n")), ("wiki/none.md", None)]), None);
    assert_eq!(house.base.head().unwrap().unwrap().number, 1);
}

#[test]
fn an_edit_of_other_lines_is_merged_and_stays_merged() {
    let mut house = House::new();
    house.commit(&[(PAGE, Some("one\ntwo\nthree\n"))]).unwrap();
    house.write(PAGE, "one\ntwo\nthree\nmine\n");
    assert_eq!(house.fate(PAGE, Some("ONE\ntwo\nthree\n")), Fate::Merged);
    assert_eq!(house.read(PAGE).unwrap(), "ONE\ntwo\nthree\nmine\n");
    assert_eq!(house.fate(PAGE, Some("ONE\ntwo\nthree\n\n")), Fate::Conflict, "both add a last line");
    assert_eq!(house.read(PAGE).unwrap(), "ONE\ntwo\nthree\nmine\n");
}

#[test]
fn an_edit_of_the_same_line_is_kept_and_the_new_version_lies_beside_it() {
    let mut house = House::new();
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
    let mut house = House::new();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    house.remove(PAGE);
    assert_eq!(house.fate(PAGE, Some("two\n")), Fate::Deleted);
    assert_eq!(house.fate(PAGE, Some("three\n")), Fate::Deleted);
    assert_eq!(house.read(PAGE), None);
}

#[test]
fn a_page_that_a_person_had_before_us_is_theirs() {
    let mut house = House::new();
    house.write(PAGE, "mine\n");
    assert_eq!(house.fate(PAGE, Some("ours\n")), Fate::Conflict);
    assert_eq!(house.read(PAGE).unwrap(), "mine\n");
    assert_eq!(house.read("wiki/concepts/tides.conflict.md").unwrap(), "ours\n");
}

#[test]
fn an_edited_page_that_is_to_go_stays() {
    let mut house = House::new();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    house.write(PAGE, "mine\n");
    assert_eq!(house.fate(PAGE, None), Fate::Kept);
    assert_eq!(house.read(PAGE).unwrap(), "mine\n");
}

#[test]
fn a_directory_or_a_symlink_in_the_place_of_a_page_is_a_persons() {
    let mut house = House::new();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    house.remove(PAGE);
    house.write("elsewhere.md", "mine\n");
    std::os::unix::fs::symlink("../../elsewhere.md", house.directory.path().join(PAGE)).unwrap();
    assert_eq!(house.fate(PAGE, Some("two\n")), Fate::Conflict);
    assert_eq!(house.read("elsewhere.md").unwrap(), "mine\n");
    house.write("wiki/taken/x.md", "mine\n");
    assert_eq!(house.fate("wiki/taken", Some("ours\n")), Fate::Conflict);
    assert_eq!(house.read("wiki/taken.conflict").unwrap(), "ours\n");
}

#[test]
fn a_directory_that_leads_out_is_never_entered() {
    let mut house = House::new();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), house.directory.path().join("wiki/concepts")).unwrap();
    let held = house.home.try_lock().unwrap().unwrap();
    let error = house.base.commit(&held, now(), "add", "x", |draft| draft.write(file(PAGE), b"one\n")).unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("wiki/concepts"), "{why}");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    // What is committed is read all the same, and stands there once the way is free.
    assert_eq!(house.base.read(&file(PAGE)).unwrap().unwrap(), b"one\n");
    std::fs::remove_file(house.directory.path().join("wiki/concepts")).unwrap();
    house.base.finish(&held).unwrap().unwrap();
    assert_eq!(house.read(PAGE).unwrap(), "one\n");
}

#[test]
fn what_is_not_shown_yet_is_shown_before_anything_else_is_changed() {
    let mut house = House::new();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), house.directory.path().join("wiki/concepts")).unwrap();
    let held = house.home.try_lock().unwrap().unwrap();
    let mut next = |path: &str| house.base.commit(&held, now(), "add", "x", |draft| draft.write(file(path), b"one\n"));
    for path in [PAGE, "wiki/other.md"] {
        assert!(matches!(next(path), Err(highwater_kb::KbError::Unapplied { generation: 1, .. })), "{path}");
    }
    std::fs::remove_file(house.directory.path().join("wiki/concepts")).unwrap();
    assert_eq!(next("wiki/other.md").unwrap().unwrap().generation, 2);
    drop(held);
    assert_eq!((house.read(PAGE).as_deref(), house.read("wiki/other.md").as_deref()), (Some("one\n"), Some("one\n")));
}

#[test]
fn permissions_that_a_person_gave_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut house = House::new();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    let path = house.directory.path().join(PAGE);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    house.commit(&[(PAGE, Some("two\n"))]).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_object_whose_bytes_are_others_is_given_to_nobody() {
    let mut house = House::new();
    house.commit(&[(PAGE, Some("one\n"))]).unwrap();
    let object = house.directory.path().join(".highwater/objects").join(ContentId::of(b"one\n").to_string());
    std::fs::write(&object, "two\n").unwrap();
    let error = house.base.read(&file(PAGE)).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    std::fs::remove_file(&object).unwrap();
    assert!(house.base.read(&file(PAGE)).unwrap_err().to_string().contains("not there"));
}

#[test]
fn two_handles_on_one_base_take_turns() {
    let house = House::new();
    let held = house.home.try_lock().unwrap().unwrap();
    assert!(house.home.try_lock().unwrap().is_none());
    drop(held);
    assert!(house.home.try_lock().unwrap().is_some());
    assert!(Path::new(&house.directory.path().join(".highwater/base.lock")).exists());
}

#[test]
fn going_back_gives_the_bytes_of_then_and_is_a_generation_of_its_own() {
    let mut house = House::new();
    let states = [
        vec![(PAGE, Some("one\n")), ("raw/a.txt", Some("a"))],
        vec![(PAGE, Some("two\n")), ("wiki/b.md", Some("b\n"))],
        vec![(PAGE, None), ("raw/a.txt", None), ("wiki/c.md", Some("c\n"))],
    ];
    let mut were = vec![house.base.files().unwrap()];
    for files in &states {
        house.commit(files).unwrap();
        were.push(house.base.files().unwrap());
    }
    let held = house.home.try_lock().unwrap().unwrap();
    for back in [2, 0, 3, 1] {
        house.base.undo(&held, now(), back).unwrap().unwrap();
        assert_eq!(house.base.files().unwrap(), were[back as usize], "back to {back}");
    }
    assert_eq!(house.base.head().unwrap().unwrap().number, 7);
    assert_eq!((house.read(PAGE).as_deref(), house.read("wiki/c.md")), (Some("one\n"), None));
    assert_eq!(house.base.undo(&held, now(), 7).unwrap(), None);
    let none = house.base.undo(&held, now(), 8).unwrap_err().to_string();
    assert_eq!(none, "there is no generation 8: the newest is 7");
}

#[test]
fn rows_that_are_destroyed_are_made_again_from_the_manifests() {
    let mut house = House::new();
    house.commit(&[(PAGE, Some("one\n")), ("raw/a.txt", Some("a"))]).unwrap();
    house.commit(&[(PAGE, Some("two\n")), ("wiki/b.md", Some("b\n"))]).unwrap();
    house.remove("wiki/b.md");
    house.write(PAGE, "mine\n");
    let (had, head) = (house.base.files().unwrap(), house.base.head().unwrap());
    let House { directory, home, base } = house;
    drop(base);
    for file in ["kb.db", "kb.db-wal", "kb.db-shm"] {
        let _ = std::fs::remove_file(directory.path().join(".highwater").join(file));
    }
    let held = home.try_lock().unwrap().unwrap();
    let base = highwater_kb::base::rebuild(home.clone(), &held, now()).unwrap().base;
    assert_eq!((base.files().unwrap(), base.head().unwrap()), (had, head));
    assert_eq!(std::fs::read_to_string(directory.path().join(PAGE)).unwrap(), "mine\n");
}

const OWN: &str = "wiki/explorations/mine.md";

/// A page of a person's that was mended, written in, and mended again: by then it is one of generation 3.
fn written_between_two_mends(between: &str, mended: &str) -> House {
    let mut house = House::new();
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
    let undone = house.undo(1);
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
