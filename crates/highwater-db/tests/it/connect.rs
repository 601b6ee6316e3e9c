//! Opening: what is made, what is set, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use highwater_db::sqlite::rusqlite::{Connection, types::FromSql};
use highwater_db::sqlite::{ApplicationId, Database, Error};
use highwater_testkit::power_loss::{Disk, FileSystem};
use highwater_testkit::small_disk::SmallDisk;
use tempfile::TempDir;

use super::scratch::{ID, Scratch, count_rows};

fn pragma<T: FromSql>(connection: &Connection, name: &str) -> T {
    connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
}

#[test]
fn a_new_database_is_its_owners_alone_and_stamped() {
    let scratch = Scratch::new();
    let connection = scratch.database.read_write().unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(scratch.database.path().to_owned()), 0o600);
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    assert_eq!(mode(scratch.directory.path().join("ledger.db-wal")), 0o600);
    drop(connection);
    assert_eq!(scratch.names(), ["ledger.db"], "nothing else is left");
    // The stamp is in the file itself, where `file(1)` finds it.
    assert_eq!(&fs::read(scratch.database.path()).unwrap()[68..72], b"HWts");
}

#[test]
fn a_new_database_has_its_content_before_anyone_can_find_it() {
    let scratch = Scratch::new();
    let path = scratch.database.path();
    let connection = scratch.database.read_write_furnished(|new| {
        assert!(!path.exists());
        new.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").map_err(|error| Error::on(new, error))
    });
    drop(connection.unwrap());
    assert_eq!(scratch.names(), ["ledger.db"], "all of it is in the file itself");
    let content = |connection: &Connection| connection.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0));
    assert_eq!(content(&scratch.database.read_only().unwrap()).unwrap(), 1);
    let again = scratch.database.read_write_furnished(|_| panic!("what is there is not furnished again"));
    assert_eq!(pragma::<String>(&again.unwrap(), "journal_mode"), "wal");
}

#[test]
fn a_database_that_cannot_be_furnished_is_not_made() {
    let scratch = Scratch::new();
    let refused = scratch.database.read_write_furnished(|new| {
        new.execute_batch("CREATE TABLE t (x); SELECT nothing").map_err(|error| Error::on(new, error))
    });
    assert!(refused.is_err());
    assert_eq!(scratch.names(), [] as [&str; 0]);
}

#[test]
fn a_writer_is_durable_and_bounded() {
    let connection = Scratch::new().database.read_write().unwrap();
    assert_eq!(pragma::<String>(&connection, "journal_mode"), "wal");
    assert_eq!(pragma::<i64>(&connection, "synchronous"), 2, "FULL");
    assert_eq!(pragma::<i64>(&connection, "foreign_keys"), 1);
    assert_eq!(pragma::<i64>(&connection, "mmap_size"), 0);
    assert_eq!(pragma::<i64>(&connection, "cache_size"), -8192, "KiB");
    assert_eq!(pragma::<i64>(&connection, "cell_size_check"), 1);
    assert_eq!(pragma::<i64>(&connection, "busy_timeout"), 10_000, "milliseconds");
}

#[test]
fn a_reader_reads_beside_a_live_writer_and_cannot_write() {
    let scratch = Scratch::with_rows();
    let mut writer = scratch.database.read_write().unwrap();
    let open = writer.transaction().unwrap();
    open.execute("DELETE FROM item", []).unwrap();
    let reader = scratch.database.read_only().unwrap();
    assert_eq!(count_rows(&reader), super::scratch::ROWS, "what is not committed is not seen");
    assert!(reader.execute("DELETE FROM item", []).is_err());
    open.commit().unwrap();
    assert_eq!(count_rows(&reader), 0);
}

#[test]
fn a_reader_makes_no_file() {
    let scratch = Scratch::new();
    let error = scratch.database.read_only().unwrap_err();
    assert!(matches!(&error, Error::Missing { path } if path == scratch.database.path()), "{error:?}");
    assert_eq!(scratch.names(), Vec::<String>::new());
}

#[test]
fn a_database_without_a_directory_is_missing() {
    let directory = TempDir::new().unwrap();
    let database = Database::new(directory.path().join("absent/ledger.db"), ID);
    let error = database.read_write().unwrap_err();
    assert!(matches!(&error, Error::Missing { path } if path.ends_with("absent")), "{error:?}");
}

#[test]
fn somebody_elses_database_is_refused_untouched() {
    let scratch = Scratch::new();
    let path = scratch.database.path();
    Connection::open(path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = fs::read(path).unwrap();
    for error in [scratch.database.read_write().unwrap_err(), scratch.database.read_only().unwrap_err()] {
        let none = ApplicationId([0; 4]);
        assert!(matches!(error, Error::WrongApplicationId { expected: ID, found, .. } if found == none), "{error:?}");
        assert!(error.to_string().ends_with("its application id is none, expected HWts"), "{error}");
    }
    assert_eq!(fs::read(path).unwrap(), before);
    assert_eq!(scratch.names(), ["ledger.db"]);

    let ours_otherwise = Database::new(scratch.directory.path().join("catalog.db"), ApplicationId(*b"HWct"));
    drop(ours_otherwise.read_write().unwrap());
    let error = Database::new(ours_otherwise.path(), ID).read_write().unwrap_err();
    assert!(error.to_string().ends_with("its application id is HWct, expected HWts"), "{error}");
}

#[test]
fn an_empty_file_is_refused_and_not_taken_for_a_new_database() {
    let scratch = Scratch::new();
    fs::write(scratch.database.path(), "").unwrap();
    for error in [scratch.database.read_write().unwrap_err(), scratch.database.read_only().unwrap_err()] {
        assert!(matches!(error, Error::NotADatabase { .. }), "{error:?}");
        assert!(error.to_string().ends_with("is not a SQLite database: it is empty (0 bytes)"), "{error}");
    }
    assert_eq!(fs::metadata(scratch.database.path()).unwrap().len(), 0);
}

#[test]
fn a_text_file_and_a_directory_are_refused_untouched() {
    let scratch = Scratch::new();
    let text = "id,title\n".repeat(1000);
    fs::write(scratch.database.path(), &text).unwrap();
    for error in [scratch.database.read_write().unwrap_err(), scratch.database.read_only().unwrap_err()] {
        assert!(matches!(error, Error::NotADatabase { .. }), "{error:?}");
    }
    assert_eq!(fs::read_to_string(scratch.database.path()).unwrap(), text);

    let error = Database::new(scratch.directory.path(), ID).read_write().unwrap_err();
    assert!(error.to_string().ends_with("it is not a file"), "{error}");
}

#[test]
fn a_held_lock_is_busy_after_the_timeout() {
    let scratch = Scratch::with_rows();
    let mut holder = scratch.database.read_write().unwrap();
    let held =
        holder.transaction_with_behavior(highwater_db::sqlite::rusqlite::TransactionBehavior::Immediate).unwrap();
    let waiter = scratch.database.clone().busy_timeout(Duration::from_millis(1)).read_write().unwrap();
    let refused = waiter.execute("DELETE FROM item", []).unwrap_err();
    let error = Error::on(&waiter, refused);
    assert!(matches!(error, Error::Busy { .. }), "{error:?}");
    drop(held);
    waiter.execute("DELETE FROM item", []).unwrap();
}

/// SQLite takes a name that begins with "file:" for a URI, here one of a database in memory.
#[test]
fn no_name_is_taken_for_a_uri() {
    let database = Database::new("file:x?mode=memory", ID);
    assert_eq!(database.path(), std::env::current_dir().unwrap().join("file:x?mode=memory"));
}

#[test]
fn many_who_create_at_once_share_one_database() {
    let scratch = Scratch::new();
    std::thread::scope(|scope| {
        for row in 0..8 {
            let database = &scratch.database;
            scope.spawn(move || {
                let connection = database.read_write().unwrap();
                connection.execute_batch("CREATE TABLE IF NOT EXISTS t (x)").unwrap();
                connection.execute("INSERT INTO t VALUES (?1)", [row]).unwrap();
            });
        }
    });
    let connection = scratch.database.read_only().unwrap();
    let rows: i64 = connection.query_one("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 8);
    drop(connection);
    assert_eq!(scratch.names().iter().filter(|name| name.starts_with('.')).count(), 0, "{:?}", scratch.names());
}

#[test]
fn what_a_killed_creation_left_is_swept_away() {
    let scratch = Scratch::new();
    let leftover = scratch.directory.path().join(".ledger.db.new-Ab12Cd");
    fs::create_dir(&leftover).unwrap();
    fs::write(leftover.join("ledger.db"), "half").unwrap();
    drop(scratch.database.read_write().unwrap());
    assert_eq!(scratch.names(), ["ledger.db"]);
}

/// SQLite would open such a file to read, and fail at the first write.
#[test]
fn r15_a_read_only_file_in_a_writable_directory_is_no_access() {
    let check = |directory: &Path, protect: &dyn Fn(&Path, bool)| {
        let database = Database::new(directory.join("ledger.db"), ID);
        drop(database.read_write().unwrap());
        protect(database.path(), true);
        let error = database.read_write().unwrap_err();
        assert!(matches!(error, Error::NoAccess { .. }), "{error:?}");
        drop(database.read_only().unwrap());
        protect(database.path(), false);
        drop(database.read_write().unwrap());
    };
    if !rustix::process::geteuid().is_root() {
        let directory = TempDir::new().unwrap();
        return check(directory.path(), &|path, on| {
            fs::set_permissions(path, fs::Permissions::from_mode(if on { 0o400 } else { 0o600 })).unwrap();
        });
    }
    // Permission bits do not bind root; ext4's immutable flag does.
    match Disk::mount(FileSystem::Ext4) {
        Ok(disk) => check(disk.path(), &|path, on| {
            let set = Command::new("chattr").arg(if on { "+i" } else { "-i" }).arg(path).status().unwrap();
            assert!(set.success());
        }),
        Err(not_here) => not_here.say("r15_a_read_only_file_in_a_writable_directory_is_no_access"),
    }
}

/// Where permission bits do not bind us, the file system itself is made read-only.
#[test]
fn r15_a_read_only_directory_is_no_access_and_nothing_is_changed() {
    let check = |directory: &Path, make_read_only: &dyn Fn()| {
        let database = Database::new(directory.join("ledger.db"), ID);
        drop(database.read_write().unwrap());
        make_read_only();
        let error = database.read_write().unwrap_err();
        assert!(matches!(error, Error::NoAccess { .. }), "{error:?}");
        let error = Database::new(directory.join("another.db"), ID).read_write().unwrap_err();
        assert!(matches!(error, Error::NoAccess { .. }), "{error:?}");
        assert_eq!(super::scratch::names(directory), ["ledger.db"]);
    };
    match SmallDisk::mount(1 << 20) {
        Ok(disk) => check(disk.path(), &|| disk.set_read_only(true).unwrap()),
        Err(_) => {
            let directory = TempDir::new().unwrap();
            let set_mode = |mode| fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
            check(directory.path(), &|| set_mode(0o500));
            set_mode(0o700);
        }
    }
}
