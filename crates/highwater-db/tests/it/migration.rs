//! Migrations: once, in order, all or none, and never on a schema that is not ours.

use std::cell::RefCell;
use std::process::Command;

use highwater_db::sqlite::rusqlite::Connection;
use highwater_db::sqlite::{Backups, Database, Error, Migration, migrate, pending};
use jiff::Timestamp;

use super::scratch::{ID, Scratch};

const FIRST: Migration =
    Migration { number: 1, name: "jobs", sql: "CREATE TABLE job (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT" };
const SECOND: Migration = Migration {
    number: 2,
    name: "items",
    sql: "CREATE TABLE item (key TEXT PRIMARY KEY, job INTEGER NOT NULL REFERENCES job (id)) STRICT;
          INSERT INTO job VALUES (1, 'born in a migration');
          INSERT INTO item VALUES ('a', 1);",
};
const BOTH: &[Migration] = &[FIRST, SECOND];

fn noon() -> Timestamp {
    "2026-08-01T12:00:00Z".parse().unwrap()
}

fn apply(connection: &mut Connection, known: &[Migration]) -> Result<usize, Error> {
    migrate(connection, known, noon(), |_| Ok(()))
}

/// The record, and the names of all tables, which is all that a migration may have changed.
fn picture(connection: &Connection) -> String {
    connection
        .query_one("SELECT group_concat(name || coalesce(sql, ''), ';' ORDER BY name) FROM sqlite_schema", [], |row| {
            row.get::<_, Option<String>>(0)
        })
        .unwrap()
        .unwrap_or_default()
}

#[test]
fn what_is_applied_is_recorded_with_its_checksum_and_the_given_time() {
    let mut connection = Scratch::new().database.read_write().unwrap();
    assert_eq!(apply(&mut connection, BOTH).unwrap(), 2);
    let rows: Vec<(u32, String, String, String)> = connection
        .prepare("SELECT number, name, sha256, applied_at FROM schema_migration ORDER BY number")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let at = "2026-08-01T12:00:00Z".to_owned();
    assert_eq!(
        rows,
        [(1, "jobs".to_owned(), FIRST.sha256(), at.clone()), (2, "items".to_owned(), SECOND.sha256(), at)]
    );
    assert_eq!(
        Migration { number: 1, name: "", sql: "abc" }.sha256(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn a_second_time_there_is_nothing_to_do() {
    let mut connection = Scratch::new().database.read_write().unwrap();
    assert_eq!(apply(&mut connection, &BOTH[..1]).unwrap(), 1);
    assert_eq!(apply(&mut connection, BOTH).unwrap(), 1);
    let changes = connection.total_changes();
    assert_eq!(apply(&mut connection, BOTH).unwrap(), 0);
    assert_eq!(connection.total_changes(), changes);
}

#[test]
fn nothing_to_do_takes_no_lock() {
    let scratch = Scratch::new();
    let mut writer = scratch.database.read_write().unwrap();
    apply(&mut writer, BOTH).unwrap();
    let mut second = scratch.database.read_write().unwrap();
    let held =
        writer.transaction_with_behavior(highwater_db::sqlite::rusqlite::TransactionBehavior::Immediate).unwrap();
    assert_eq!(apply(&mut second, BOTH).unwrap(), 0);
    drop(held);
}

#[test]
fn a_failing_migration_leaves_the_database_as_it_was() {
    let mut connection = Scratch::new().database.read_write().unwrap();
    apply(&mut connection, &BOTH[..1]).unwrap();
    let before = picture(&connection);
    let broken =
        Migration { number: 3, name: "broken", sql: "CREATE TABLE kept_out (x); INSERT INTO nowhere VALUES (1)" };
    let error = apply(&mut connection, &[FIRST, SECOND, broken]).unwrap_err();
    assert!(matches!(error, Error::Statement { .. }), "{error:?}");
    assert_eq!(picture(&connection), before);
    let enforced: bool = connection.pragma_query_value(None, "foreign_keys", |row| row.get(0)).unwrap();
    assert!(enforced, "foreign keys are on again");
    assert_eq!(apply(&mut connection, BOTH).unwrap(), 1);
}

#[test]
fn a_table_can_be_rebuilt_while_others_refer_to_it() {
    let mut connection = Scratch::new().database.read_write().unwrap();
    apply(&mut connection, BOTH).unwrap();
    let rebuild = Migration {
        number: 3,
        name: "jobs with a kind",
        sql: "CREATE TABLE job_new (id INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL) STRICT;
              INSERT INTO job_new SELECT id, name, 'exec' FROM job;
              DROP TABLE job;
              ALTER TABLE job_new RENAME TO job;",
    };
    assert_eq!(apply(&mut connection, &[FIRST, SECOND, rebuild]).unwrap(), 1);
    let job: String =
        connection.query_one("SELECT kind FROM item JOIN job ON job.id = item.job", [], |row| row.get(0)).unwrap();
    assert_eq!(job, "exec");
}

#[test]
fn a_migration_that_leaves_dangling_references_is_refused() {
    let mut connection = Scratch::new().database.read_write().unwrap();
    apply(&mut connection, BOTH).unwrap();
    let before = picture(&connection);
    let careless = Migration { number: 3, name: "careless", sql: "DELETE FROM job" };
    let error = apply(&mut connection, &[FIRST, SECOND, careless]).unwrap_err();
    assert!(matches!(&error, Error::DanglingReferences { table, .. } if table == "item"), "{error:?}");
    assert_eq!(picture(&connection), before);
    let jobs: i64 = connection.query_one("SELECT count(*) FROM job", [], |row| row.get(0)).unwrap();
    assert_eq!(jobs, 1);
}

#[test]
fn an_older_program_refuses_a_newer_database_to_write_and_to_read() {
    let scratch = Scratch::new();
    let mut connection = scratch.database.read_write().unwrap();
    apply(&mut connection, BOTH).unwrap();
    let reader = scratch.database.read_only().unwrap();
    for error in [apply(&mut connection, &BOTH[..1]).unwrap_err(), pending(&reader, &BOTH[..1]).unwrap_err()] {
        assert!(matches!(error, Error::Newer { found: 2, known: 1, .. }), "{error:?}");
        assert!(error.to_string().contains("ledger.db is at migration 2, and this program knows"), "{error}");
    }
    assert!(matches!(pending(&reader, &[]), Err(Error::Newer { found: 2, known: 0, .. })));
}

#[test]
fn an_applied_migration_that_was_changed_is_refused_with_both_checksums() {
    let mut connection = Scratch::new().database.read_write().unwrap();
    apply(&mut connection, &BOTH[..1]).unwrap();
    let before = picture(&connection);
    let edited = Migration { sql: "CREATE TABLE job (id INTEGER PRIMARY KEY) STRICT", ..FIRST };
    let error = apply(&mut connection, &[edited, SECOND]).unwrap_err();
    let Error::MigrationChanged { number: 1, name: "jobs", recorded, expected, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((recorded, expected), (&FIRST.sha256(), &edited.sha256()));
    assert_eq!(picture(&connection), before);
}

#[test]
fn a_record_with_a_gap_is_refused() {
    let mut connection = Scratch::new().database.read_write().unwrap();
    apply(&mut connection, BOTH).unwrap();
    connection.execute("DELETE FROM schema_migration WHERE number = 1", []).unwrap();
    let error = apply(&mut connection, BOTH).unwrap_err();
    assert!(matches!(error, Error::MigrationGap { number: 1, .. }), "{error:?}");
}

#[test]
fn a_reader_is_told_what_is_pending() {
    let scratch = Scratch::new();
    let mut connection = scratch.database.read_write().unwrap();
    apply(&mut connection, &BOTH[..1]).unwrap();
    let reader = scratch.database.read_only().unwrap();
    let numbers: Vec<u32> = pending(&reader, BOTH).unwrap().iter().map(|migration| migration.number).collect();
    assert_eq!(numbers, [2]);
}

#[test]
fn the_hook_backs_up_what_has_content_and_is_spared_otherwise() {
    let scratch = Scratch::new();
    let mut connection = scratch.database.read_write().unwrap();
    let backups = Backups::new(&scratch.database, scratch.directory.path().join("backups"));
    let told = RefCell::new(Vec::new());
    let mut step = |known| {
        migrate(&mut connection, known, noon(), |pending| {
            let numbers: Vec<u32> = pending.migrations.iter().map(|migration| migration.number).collect();
            told.borrow_mut().push((pending.applied, numbers));
            backups.take(noon()).map(drop)
        })
    };
    step(&BOTH[..1]).unwrap();
    assert!(told.borrow().is_empty(), "a new database has nothing to lose");
    step(BOTH).unwrap();
    step(BOTH).unwrap();
    assert_eq!(*told.borrow(), [(1, vec![2])]);
    // The backup is from before.
    let backup = backups.newest_good_backup().unwrap().unwrap();
    let backup = scratch.database.at(backup.path).read_only().unwrap();
    assert_eq!(pending(&backup, BOTH).unwrap().len(), 1);
}

#[test]
fn a_hook_that_fails_keeps_the_migration_from_happening() {
    let scratch = Scratch::new();
    let mut connection = scratch.database.read_write().unwrap();
    apply(&mut connection, &BOTH[..1]).unwrap();
    let before = picture(&connection);
    let refused =
        migrate(&mut connection, BOTH, noon(), |pending| Err(Error::Missing { path: pending.path.to_owned() }));
    assert!(matches!(refused, Err(Error::Missing { .. })), "{refused:?}");
    assert_eq!(picture(&connection), before);
    assert_eq!(apply(&mut connection, BOTH).unwrap(), 1);
}

#[test]
#[should_panic(expected = "invariant: migrations are numbered 1, 2, 3 and so on")]
fn migrations_out_of_order_are_a_fault_of_the_program() {
    let _ = apply(&mut Scratch::new().database.read_write().unwrap(), &[SECOND, FIRST]);
}

#[test]
fn threads_that_migrate_at_once_apply_each_migration_once() {
    let scratch = Scratch::new();
    let applied: usize = std::thread::scope(|scope| {
        let racers: Vec<_> =
            (0..6).map(|_| scope.spawn(|| apply(&mut scratch.database.read_write().unwrap(), BOTH).unwrap())).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    assert_eq!(applied, BOTH.len());
}

/// The test is its own child: each of several processes migrates the same file and says how many it applied.
#[test]
fn processes_that_migrate_at_once_apply_each_migration_once() {
    const PATH: &str = "HIGHWATER_TEST_MIGRATE";
    if let Some(path) = std::env::var_os(PATH) {
        let mut connection = Database::new(path, ID).read_write().unwrap();
        println!("\napplied {}", apply(&mut connection, BOTH).unwrap());
        return;
    }
    let scratch = Scratch::new();
    let racers: Vec<_> = (0..6)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "migration::processes_that_migrate_at_once_apply_each_migration_once", "--nocapture"])
                .env(PATH, scratch.database.path())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let applied: Vec<usize> = racers
        .into_iter()
        .map(|racer| {
            let output = racer.wait_with_output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines()
                .find_map(|line| line.strip_prefix("applied "))
                .unwrap_or_else(|| panic!("{text}"))
                .parse()
                .unwrap()
        })
        .collect();
    assert_eq!(applied.iter().sum::<usize>(), BOTH.len(), "{applied:?}");
}
