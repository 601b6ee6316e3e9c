//! Where a base stands.

use std::sync::Arc;

use highwater_kb::status::status;
use highwater_kb::{Base, Directory, Home};

use crate::home::now;
use crate::lint::Desk;

#[test]
fn figures_are_those_of_the_newest_generation() {
    let desk = Desk::new();
    let told = status(&desk.home()).unwrap();
    let figures = (told.documents, told.concepts, told.entities, told.explorations, told.reports);
    assert_eq!(figures, (3, 2, 3, 1, 0));
    assert_eq!((told.generation.unwrap().number, told.applied), (3, true));
    assert_eq!((told.conflicts, told.edited, told.deleted), (0, 0, 0));
    let bytes: u64 =
        desk.library.base.files().unwrap().iter().filter(|(path, _)| path.as_str().starts_with("raw/")).count() as u64;
    assert_eq!(bytes, 3);
    assert!(told.raw_bytes > 100, "{}", told.raw_bytes);
    let empty = tempfile::tempdir().unwrap();
    let home: Arc<dyn Home> = Arc::new(Directory::open(empty.path()).unwrap());
    drop(Base::init(home.clone(), now()).unwrap());
    let told = status(&home).unwrap();
    assert_eq!((told.generation, told.documents, told.applied), (None, 0, true));
}
