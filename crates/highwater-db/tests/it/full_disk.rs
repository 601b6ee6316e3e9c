//! A full disk, as root on a small file system; named as not run elsewhere.

use std::fs;

use highwater_db::sqlite::rusqlite::params;
use highwater_db::sqlite::{Backups, Database, Error, quick_check};
use highwater_testkit::small_disk::SmallDisk;
use jiff::Timestamp;

use super::scratch::{ID, Scratch, names};

const DISK_BYTES: u64 = 512 * 1024;

fn small_disk(test: &str) -> Option<SmallDisk> {
    SmallDisk::mount(DISK_BYTES).inspect_err(|not_here| not_here.say(test)).ok()
}

#[test]
fn r05_a_full_disk_is_told_and_what_was_committed_stays() {
    let Some(disk) = small_disk("r05_a_full_disk_is_told_and_what_was_committed_stays") else { return };
    let database = Database::new(disk.path().join("ledger.db"), ID);
    let connection = database.read_write().unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
    let large = vec![0u8; 2 * usize::try_from(DISK_BYTES).unwrap()];
    let refused = connection.execute("INSERT INTO t VALUES (?1)", params![large]).unwrap_err();
    let error = Error::on(&connection, refused);
    assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
    let rows = || connection.query_one("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(rows(), 1);
    connection.execute("INSERT INTO t VALUES (2)", []).unwrap();
    assert_eq!(rows(), 2);
    quick_check(&connection).unwrap();
}

#[test]
fn r05_a_database_is_not_half_made_on_a_full_disk() {
    let Some(disk) = small_disk("r05_a_database_is_not_half_made_on_a_full_disk") else { return };
    disk.fill().unwrap();
    let database = Database::new(disk.path().join("ledger.db"), ID);
    let error = database.read_write().unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
    disk.free().unwrap();
    assert_eq!(names(disk.path()), Vec::<String>::new());
    database.read_write().unwrap();
}

#[test]
fn an_existing_database_that_cannot_be_opened_for_want_of_space_says_so() {
    let Some(disk) = small_disk("an_existing_database_that_cannot_be_opened_for_want_of_space_says_so") else { return };
    let database = Database::new(disk.path().join("ledger.db"), ID);
    drop(database.read_write().unwrap());
    disk.fill().unwrap();
    let refused = database.read_write().and_then(|connection| {
        connection.execute_batch("CREATE TABLE t (x)").map_err(|error| Error::on(&connection, error))
    });
    let error = refused.unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
}

#[test]
fn r05_a_full_disk_leaves_no_half_backup() {
    let Some(disk) = small_disk("r05_a_full_disk_leaves_no_half_backup") else { return };
    let scratch = Scratch::with_rows();
    assert!(fs::metadata(scratch.database.path()).unwrap().len() > DISK_BYTES, "it would fit");
    let backups = Backups::new(&scratch.database, disk.path());
    let error = backups.take(Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(matches!(&error, Error::DiskFull { path, .. } if path.starts_with(disk.path())), "{error:?}");
    assert_eq!(names(disk.path()), Vec::<String>::new());
}
