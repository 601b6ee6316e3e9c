//! Readers beside a writer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use highwater_db::sqlite::{Error, Reader};

use super::scratch::{ROWS, Scratch, count_rows};

#[test]
fn a_reader_sees_what_others_commit_and_its_probe_tells_when() {
    let scratch = Scratch::with_rows();
    let writer = scratch.database.read_write().unwrap();
    let reader = Reader::open(&scratch.database).unwrap();
    assert_eq!(reader.read(count_rows), ROWS);
    let before = reader.data_version().unwrap();
    assert_eq!(reader.data_version().unwrap(), before, "nothing was committed");

    writer.execute_batch("BEGIN; DELETE FROM item WHERE key = 'item-1'").unwrap();
    assert_eq!(reader.data_version().unwrap(), before, "nothing was committed yet");
    writer.execute_batch("COMMIT").unwrap();
    let after = reader.data_version().unwrap();
    assert_ne!(after, before);
    assert_eq!(reader.read(count_rows), ROWS - 1);
    assert_eq!(reader.data_version().unwrap(), after);
}

#[test]
fn a_panicking_look_does_not_spoil_the_reader() {
    let scratch = Scratch::with_rows();
    let reader = Reader::open(&scratch.database).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| reader.read(|_| panic!("looked away"))));
    assert!(panicked.is_err());
    assert_eq!(reader.read(count_rows), ROWS);
}

#[test]
fn a_reader_of_nothing_is_refused() {
    let scratch = Scratch::new();
    let error = Reader::open(&scratch.database).unwrap_err();
    assert!(matches!(&error, Error::Missing { path } if path == scratch.database.path()), "{error:?}");
}
