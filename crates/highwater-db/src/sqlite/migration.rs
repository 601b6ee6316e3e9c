//! Numbered migrations, forward only, each with the checksum it was applied with.
//!
//! Owns the table `schema_migration`. Does not own any other table, and never reads the clock.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};

use super::error::{Error, path_of};

const RECORD_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    number     INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    applied_at TEXT NOT NULL
) STRICT";

/// One step of a schema. Once released it never changes; what comes later gets the next number.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// 1 for the first, then without a gap.
    pub number: u32,
    /// What it does, for people.
    pub name: &'static str,
    /// The statements, without `BEGIN` and `COMMIT`.
    pub sql: &'static str,
}

impl Migration {
    /// SHA-256 of the statements, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.sql))
    }
}

/// What is about to be applied to a database that has content; see [`migrate`].
#[derive(Debug)]
pub struct Pending<'a> {
    /// The database file.
    pub path: &'a Path,
    /// The highest migration it has.
    pub applied: u32,
    /// The migrations to come.
    pub migrations: &'a [Migration],
}

/// The migrations of `known` that the database does not have yet; reads only, so that a reader can refuse a schema that it
/// does not know.
///
/// # Errors
/// [`Error::Newer`], [`Error::MigrationChanged`] or [`Error::MigrationGap`] where the database was migrated by something
/// else than `known`; otherwise what kept SQLite from reading.
pub fn pending<'a>(connection: &Connection, known: &'a [Migration]) -> Result<&'a [Migration], Error> {
    let applied = applied(connection).map_err(|error| Error::on(connection, error))?;
    let newest_known = known.last().map_or(0, |migration| migration.number);
    if let Some(newest) = applied.last().filter(|newest| newest.number > newest_known) {
        return Err(Error::Newer { path: path_of(connection), found: newest.number, known: newest_known });
    }
    for (migration, record) in known.iter().zip(&applied) {
        if record.number != migration.number {
            return Err(Error::MigrationGap { path: path_of(connection), number: migration.number });
        }
        let expected = migration.sha256();
        if record.sha256 != expected {
            return Err(Error::MigrationChanged {
                path: path_of(connection),
                number: migration.number,
                name: migration.name,
                recorded: record.sha256.clone(),
                expected,
            });
        }
    }
    Ok(known.get(applied.len()..).unwrap_or_default())
}

/// Applies what is pending, all of it or nothing, in one transaction, and returns how many that were.
///
/// Where the database has content, `before` is called first, under the write lock: nobody else can write between the backup
/// it takes (on a connection of its own, see [`super::Backups::take`]) and the first statement. An error from it ends the
/// matter. Foreign keys are not enforced while migrations run, so that a table can be rebuilt; they are checked before the
/// commit.
///
/// # Errors
/// As for [`pending`]; [`Error::DanglingReferences`]; [`Error::Busy`] where another process migrates for longer than the
/// busy timeout; otherwise what SQLite or `before` says. The database is then as it was.
///
/// # Panics
/// If `known` is not numbered 1, 2, 3 …, or a migration ends the transaction: both are faults of the program.
pub fn migrate(
    connection: &mut Connection,
    known: &[Migration],
    now: Timestamp,
    before: impl FnOnce(&Pending<'_>) -> Result<(), Error>,
) -> Result<usize, Error> {
    assert!(
        (1..).zip(known).all(|(number, migration)| number == migration.number),
        "invariant: migrations are numbered 1, 2, 3 and so on"
    );
    // Most of the time there is nothing to do, and then no lock is taken.
    if pending(connection, known)?.is_empty() {
        return Ok(0);
    }
    let path = path_of(connection);
    enforce_foreign_keys(connection, &path, false)?;
    let applied = apply(connection, &path, known, now, before);
    enforce_foreign_keys(connection, &path, true)?;
    applied
}

fn apply(
    connection: &mut Connection,
    path: &PathBuf,
    known: &[Migration],
    now: Timestamp,
    before: impl FnOnce(&Pending<'_>) -> Result<(), Error>,
) -> Result<usize, Error> {
    let refused = |error| Error::from_sqlite(path, error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(refused)?;
    // Again, under the lock: another process may have been first.
    let migrations = pending(&transaction, known)?;
    let Some(first) = migrations.first() else {
        return Ok(0);
    };
    let applied = first.number - 1;
    if applied > 0 {
        before(&Pending { path, applied, migrations })?;
    }
    transaction.execute_batch(RECORD_TABLE).map_err(refused)?;
    for migration in migrations {
        run(&transaction, migration, now).map_err(refused)?;
        assert!(!transaction.is_autocommit(), "invariant: migration {} leaves the transaction open", migration.number);
        tracing::info!(
            db.path = %path.display(),
            migration.number,
            migration.name,
            "a migration is applied, to be committed with the others",
        );
    }
    if let Some(table) = dangling_table(&transaction).map_err(refused)? {
        return Err(Error::DanglingReferences { path: path.clone(), table });
    }
    transaction.commit().map_err(refused)?;
    Ok(migrations.len())
}

fn run(transaction: &Transaction<'_>, migration: &Migration, now: Timestamp) -> rusqlite::Result<()> {
    transaction.execute_batch(migration.sql)?;
    transaction.execute(
        "INSERT INTO schema_migration (number, name, sha256, applied_at) VALUES (?1, ?2, ?3, ?4)",
        params![migration.number, migration.name, migration.sha256(), now.to_string()],
    )?;
    Ok(())
}

/// The first table with a row that refers to a row that is not there.
fn dangling_table(transaction: &Transaction<'_>) -> rusqlite::Result<Option<String>> {
    let mut statement = transaction.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

/// Cannot be changed within a transaction, where SQLite ignores it without a word.
fn enforce_foreign_keys(connection: &Connection, path: &Path, enforce: bool) -> Result<(), Error> {
    connection.pragma_update(None, "foreign_keys", enforce).map_err(|error| Error::from_sqlite(path, error))
}

/// A migration as the database remembers it.
struct Applied {
    number: u32,
    sha256: String,
}

fn applied(connection: &Connection) -> rusqlite::Result<Vec<Applied>> {
    // Asked with a statement: SQLite's own question for a table answers from what the connection last knew of the schema,
    // and would not see the table that another process has made since.
    if !connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migration'")?.exists([])? {
        return Ok(Vec::new());
    }
    connection
        .prepare("SELECT number, sha256 FROM schema_migration ORDER BY number")?
        .query_map([], |row| Ok(Applied { number: row.get(0)?, sha256: row.get(1)? }))?
        .collect()
}
