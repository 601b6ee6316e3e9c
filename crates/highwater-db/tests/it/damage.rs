//! Damaged files are told as damaged, by whichever call meets the damage first.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use highwater_db::sqlite::{Error, quick_check};

use super::scratch::{ID, Scratch};

fn overwrite(path: &Path, at: u64, bytes: usize) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&vec![0xAA; bytes], at).unwrap();
}

#[test]
fn a_whole_database_passes_the_check() {
    let scratch = Scratch::with_rows();
    quick_check(&scratch.database.read_only().unwrap()).unwrap();
}

#[test]
fn r14_bytes_overwritten_in_the_middle_are_found_and_named() {
    let scratch = Scratch::with_rows();
    let length = fs::metadata(scratch.database.path()).unwrap().len();
    overwrite(scratch.database.path(), length / 2, 64 * 1024);
    // The header is whole, so it opens; the check tells.
    let connection = scratch.database.read_only().unwrap();
    let error = quick_check(&connection).unwrap_err();
    let Error::Damaged { path, findings } = &error else { panic!("{error:?}") };
    assert_eq!(path, &fs::canonicalize(scratch.database.path()).unwrap());
    assert!(!findings.is_empty() && findings.iter().all(|finding| finding != "ok"), "{findings:?}");
    assert!(error.is_damage());

    let read = connection.query_one("SELECT sum(length(note)) FROM item", [], |row| row.get::<_, i64>(0));
    let error = Error::on(&connection, read.unwrap_err());
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
}

#[test]
fn r14_what_the_check_finds_is_listed() {
    let scratch = Scratch::with_rows();
    // The count of free pages, which no statement here looks at.
    overwrite(scratch.database.path(), 36, 4);
    let error = quick_check(&scratch.database.read_only().unwrap()).unwrap_err();
    let Error::Damaged { findings, .. } = &error else { panic!("{error:?}") };
    assert!(findings.iter().any(|finding| finding.contains("Freelist")), "{findings:?}");
    assert!(error.to_string().contains("is damaged: "), "{error}");
}

#[test]
fn r14_a_file_cut_short_is_found() {
    let scratch = Scratch::with_rows();
    let length = fs::metadata(scratch.database.path()).unwrap().len();
    OpenOptions::new().write(true).open(scratch.database.path()).unwrap().set_len(length / 2).unwrap();
    let error = scratch.database.read_only().and_then(|connection| quick_check(&connection)).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
}

#[test]
fn r14_a_destroyed_first_page_is_not_a_database_any_more() {
    let scratch = Scratch::with_rows();
    overwrite(scratch.database.path(), 0, 4096);
    let error = scratch.database.read_write().unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error:?}");
    assert!(error.is_damage());
}

#[test]
fn the_path_of_an_error_is_the_files() {
    let scratch = Scratch::new();
    let connection = scratch.database.read_write().unwrap();
    let refused = connection.execute("SELECT nonsense", []).unwrap_err();
    let error = Error::on(&connection, refused);
    assert!(matches!(error, Error::Statement { .. }), "{error:?}");
    assert!(error.to_string().ends_with("ledger.db"), "{error}");
    assert_eq!(scratch.database.application_id(), ID);
}
