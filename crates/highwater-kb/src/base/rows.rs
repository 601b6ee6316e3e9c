//! The rows of a base. Owns every statement on what a generation is; those on what follows from it are in the rooms below.

pub(crate) mod derived;
pub(crate) mod garbage;
pub(crate) mod passages;
pub(crate) mod registry;
pub(crate) mod survey;

use std::collections::BTreeMap;

use highwater_db::sqlite::rusqlite::{
    self, Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, named_params,
};
use highwater_db::sqlite::{Error, Migration};

use super::Generation;
use super::manifest::{FileChange, Manifest};
use super::objects::Objects;
use super::project::Fate;
use crate::content::ContentId;
use crate::document::Document;
use crate::error::KbError;
use crate::path::FilePath;

/// The schema, step by step. A released step never changes.
pub const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "base", sql: include_str!("migrations/0001_base.sql") },
    Migration { number: 2, name: "pages", sql: include_str!("migrations/0002_pages.sql") },
    Migration { number: 3, name: "garbage", sql: include_str!("migrations/0003_garbage.sql") },
    Migration { number: 4, name: "own", sql: include_str!("migrations/0004_own.sql") },
];

/// Where the base stands.
pub(super) struct Standing {
    pub(super) head: u32,
    pub(super) applied: u32,
}

pub(super) fn standing(rows: &Connection) -> Result<Standing, KbError> {
    one(rows, "say where it stands", "SELECT head, applied FROM base", [], |row| {
        Ok(Standing { head: row.get(0)?, applied: row.get(1)? })
    })?
    .ok_or(KbError::Rows { doing: "say where it stands", source: nothing(rows) })
}

pub(super) fn head(rows: &Connection) -> Result<Option<Generation>, KbError> {
    Ok(generations(rows, 1)?.pop())
}

/// The newest generations, the newest first.
pub(super) fn generations(rows: &Connection, limit: u32) -> Result<Vec<Generation>, KbError> {
    const SQL: &str = "SELECT number, at, op, text, manifest FROM generation ORDER BY number DESC LIMIT ?1";
    let read = || -> rusqlite::Result<Vec<Generation>> {
        let mut list = rows.prepare_cached(SQL)?;
        let read = list.query_map([limit], |row| {
            let at: String = row.get(1)?;
            let at = at.parse().map_err(|error: jiff::Error| unreadable(1, error))?;
            Ok(Generation { number: row.get(0)?, at, op: row.get(2)?, text: row.get(3)?, manifest: row.get(4)? })
        })?;
        read.collect()
    };
    read().map_err(|error| told(rows, "name its newest generation", error))
}

pub(super) fn manifest(rows: &Connection, generation: u32) -> Result<Option<ContentId>, KbError> {
    const SQL: &str = "SELECT manifest FROM generation WHERE number = ?1";
    one(rows, "look up a generation", SQL, [generation], |row| row.get(0))
}

pub(crate) fn file(rows: &Connection, path: &FilePath) -> Result<Option<ContentId>, KbError> {
    one(rows, "look up a file", "SELECT content FROM file WHERE path = ?1", [path], |row| row.get(0))
}

/// What the newest generation has at a path, and whether that is known to lie beside what a person has there.
pub(crate) fn in_conflict(rows: &Connection, path: &FilePath) -> Result<Option<(ContentId, bool)>, KbError> {
    one(rows, "look up a file", IN_CONFLICT, [path], |row| Ok((row.get(0)?, row.get(1)?)))
}

const IN_CONFLICT: &str = "SELECT content, fate = 'conflict' FROM file WHERE path = ?1";

pub(super) fn files(rows: &Connection) -> Result<Vec<(FilePath, ContentId)>, KbError> {
    all(rows, "list its files", "SELECT path, content FROM file ORDER BY path", |row| Ok((row.get(0)?, row.get(1)?)))
}

pub(super) fn document(rows: &Connection, name: &str) -> Result<Option<serde_json::Value>, KbError> {
    one(rows, "look up a document", "SELECT record FROM document WHERE name = ?1", [name], |row| {
        let record: String = row.get(0)?;
        serde_json::from_str(&record).map_err(|error| unreadable(0, error))
    })
}

/// What is known of a document, as what it is.
pub(super) fn record(rows: &Connection, name: &str) -> Result<Option<Document>, KbError> {
    derived::record_of(rows, name)
}

/// What people had made of a file when it was taken out: the version that they began from, and whether they had deleted it.
pub(super) fn own(rows: &Connection, path: &FilePath) -> Result<Option<(ContentId, bool)>, KbError> {
    one(rows, "look up a file", OWN, [path], |row| Ok((row.get(0)?, row.get(1)?)))
}

const OWN: &str = "SELECT began, deleted FROM own WHERE path = ?1";

/// The paths of files that begin so, in their order.
pub(crate) fn files_below(rows: &Connection, prefix: &str) -> Result<Vec<FilePath>, KbError> {
    // No path has the largest character.
    let list = || -> rusqlite::Result<Vec<FilePath>> {
        let mut list = rows.prepare_cached(FILES_BELOW)?;
        list.query_map((prefix, format!("{prefix}\u{10ffff}")), |row| row.get(0))?.collect()
    };
    list().map_err(|error| told(rows, "list its files", error))
}

const FILES_BELOW: &str = "SELECT path FROM file WHERE path >= ?1 AND path < ?2 ORDER BY path";

/// What the generation that is not applied yet changes.
pub(super) fn changes(rows: &Connection) -> Result<Vec<FileChange>, KbError> {
    all(rows, "list what is to be written", "SELECT path, base, new, began FROM change ORDER BY path", |row| {
        Ok(FileChange { began: row.get(3)?, ..FileChange::new(row.get(0)?, row.get(1)?, row.get(2)?) })
    })
}

pub(super) fn begin(rows: &mut Connection) -> Result<Transaction<'_>, KbError> {
    let path = rows.path().map(std::path::PathBuf::from).unwrap_or_default();
    rows.transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| KbError::Rows { doing: "begin a change", source: Error::from_sqlite(&path, error) })
}

/// Commits something that changes nothing. What lay in the log behind the last commit that is known cannot be read any more then: each
/// part of it is checked with all that lies before it.
///
/// # Source
/// <https://sqlite.org/fileformat2.html#walformat>
pub(super) fn write_over_log(rows: &mut Connection) -> Result<(), KbError> {
    let transaction = begin(rows)?;
    // What is only set to what it is, is not written.
    let written = transaction
        .execute("INSERT INTO change (path) VALUES ('')", [])
        .and_then(|_| transaction.execute("DELETE FROM change WHERE path = ''", []));
    written.map_err(|error| told(&transaction, "begin a change", error))?;
    commit(transaction)
}

/// Writes a generation down, with what follows from it; its documents and its entries of the log are in their rows already.
pub(super) fn write(
    rows: &Transaction<'_>,
    objects: Objects<'_>,
    manifest: &Manifest,
    id: ContentId,
) -> Result<(), KbError> {
    change(rows, manifest, id)?;
    derived::derive(rows, objects, manifest)
}

fn change(rows: &Transaction<'_>, manifest: &Manifest, id: ContentId) -> Result<(), KbError> {
    let write = || -> rusqlite::Result<()> {
        rows.prepare_cached("INSERT INTO generation VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
            manifest.generation,
            manifest.at.to_string(),
            &manifest.op,
            &manifest.text,
            id,
        ))?;
        // Where a person's own version is changed in the place of a file, that is what is to be written.
        let mut change =
            rows.prepare_cached("INSERT OR IGNORE INTO change (path, base, new, began) VALUES (?1, ?2, ?3, ?4)")?;
        for edit in &manifest.edits {
            change.execute((&edit.path, edit.base, edit.new, edit.began))?;
        }
        let mut put = rows.prepare_cached(PUT_FILE)?;
        let mut remove = rows.prepare_cached("DELETE FROM file WHERE path = ?1")?;
        let mut note = rows.prepare_cached("INSERT OR REPLACE INTO own VALUES (?1, ?2, ?3)")?;
        let mut forget = rows.prepare_cached("DELETE FROM own WHERE path = ?1")?;
        for file in &manifest.files {
            change.execute((&file.path, file.base, file.new, file.began))?;
            match file.new {
                Some(new) => put.execute((&file.path, new))?,
                None => remove.execute([&file.path])?,
            };
            match file.began.filter(|_| file.new.is_none()) {
                Some(began) => note.execute((&file.path, began, file.deleted))?,
                None => forget.execute([&file.path])?,
            };
        }
        let mut put = rows.prepare_cached("INSERT OR REPLACE INTO document VALUES (?1, ?2)")?;
        let mut remove = rows.prepare_cached("DELETE FROM document WHERE name = ?1")?;
        for (name, (_, after)) in &manifest.documents {
            match after {
                Some(record) => put.execute((name, record.to_string()))?,
                None => remove.execute([name])?,
            };
        }
        rows.prepare_cached("UPDATE base SET head = ?1")?.execute([manifest.generation])?;
        Ok(())
    };
    write().map_err(|error| told(rows, "write a generation down", error))
}

/// Writes a generation down that follows one which is taken to be applied.
pub(super) fn replay(rows: &Transaction<'_>, manifest: &Manifest, id: ContentId) -> Result<(), KbError> {
    let before = || {
        rows.prepare_cached("DELETE FROM change")?.execute([])?;
        // The one before it may not be known.
        rows.prepare_cached("UPDATE base SET head = ?1, applied = ?1")?.execute([manifest.generation - 1])
    };
    before().map_err(|error| told(rows, "write a generation down", error))?;
    manifest.entries.iter().try_for_each(|entry| derived::log(rows, manifest.at, entry))?;
    for (_, after) in manifest.documents.values() {
        let sequence = after.as_ref().and_then(|record| record.get("sequence")).and_then(serde_json::Value::as_u64);
        sequence.map_or(Ok(()), |sequence| registry::given(rows, sequence))?;
    }
    change(rows, manifest, id)
}

/// Says what the newest generation has at a path.
pub(super) fn put_file(rows: &Connection, path: &FilePath, content: ContentId) -> Result<(), KbError> {
    let put = || rows.prepare_cached(PUT_FILE)?.execute((path, content));
    put().map(drop).map_err(|error| told(rows, "write a file down", error))
}

const PUT_FILE: &str =
    "INSERT INTO file (path, content) VALUES (?1, ?2) ON CONFLICT (path) DO UPDATE SET content = excluded.content";

/// Says which generation is the newest, all of which stands.
pub(super) fn stand_at(rows: &Connection, head: u32) -> Result<(), KbError> {
    let stand = || rows.prepare_cached("UPDATE base SET head = ?1, applied = ?1")?.execute([head]);
    stand().map(drop).map_err(|error| told(rows, "say where it stands", error))
}

/// Leaves out what is to be written at these paths.
pub(super) fn leave_out(rows: &Transaction<'_>, paths: &[FilePath]) -> Result<(), KbError> {
    let leave = || -> rusqlite::Result<()> {
        let mut leave = rows.prepare_cached("DELETE FROM change WHERE path = ?1")?;
        paths.iter().try_for_each(|path| leave.execute([path]).map(drop))
    };
    leave().map_err(|error| told(rows, "write a generation down", error))
}

/// Notes what people had made of these files.
pub(super) fn fated(rows: &Transaction<'_>, fates: &[(FilePath, Fate)]) -> Result<(), KbError> {
    let note = || -> rusqlite::Result<()> {
        let mut note = rows.prepare_cached("UPDATE file SET fate = ?2 WHERE path = ?1")?;
        fates.iter().try_for_each(|(path, fate)| note.execute((path, fate.as_str())).map(drop))
    };
    note().map_err(|error| told(rows, "note what stands in wiki/", error))
}

pub(super) fn commit(transaction: Transaction<'_>) -> Result<(), KbError> {
    let path = transaction.path().map(std::path::PathBuf::from).unwrap_or_default();
    transaction
        .commit()
        .map_err(|error| KbError::Rows { doing: "commit a change", source: Error::from_sqlite(&path, error) })
}

/// A conflict stays one until it is settled, or known to be none.
const NOTE_FATE: &str = "UPDATE file SET fate = :fate WHERE path = :path AND fate <> :fate
      AND (fate <> 'conflict' OR :fate <> 'merged' OR :is_known
           OR EXISTS (SELECT 1 FROM change WHERE change.path = :path
                      AND (change.base IS change.new OR ifnull(change.began = change.new, 0))))";

/// Notes that a generation stands in `wiki/` and `raw/`, and what people had made of its files; of those in `known` this is all there is.
pub(super) fn applied(
    rows: &mut Connection,
    generation: u32,
    fates: &BTreeMap<FilePath, Fate>,
    known: &BTreeMap<FilePath, Fate>,
) -> Result<(), KbError> {
    let transaction = begin(rows)?;
    let note = || -> rusqlite::Result<()> {
        let mut note = transaction.prepare_cached(NOTE_FATE)?;
        for (path, fate) in fates {
            let (fate, is_known) = known.get(path).map_or((fate, false), |known| (known, true));
            note.execute(named_params! { ":path": path, ":fate": fate.as_str(), ":is_known": is_known })?;
        }
        transaction.prepare_cached("DELETE FROM change")?.execute([])?;
        transaction.prepare_cached("UPDATE base SET applied = ?1")?.execute([generation])?;
        Ok(())
    };
    note().map_err(|error| told(&transaction, "note what stands in wiki/", error))?;
    commit(transaction)
}

fn one<T>(
    rows: &Connection,
    doing: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, KbError> {
    let found = rows.prepare_cached(sql).and_then(|mut look| look.query_row(params, read).optional());
    found.map_err(|error| told(rows, doing, error))
}

fn all<T>(
    rows: &Connection,
    doing: &'static str,
    sql: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, KbError> {
    let list = || -> rusqlite::Result<Vec<T>> { rows.prepare_cached(sql)?.query_map([], |row| read(row))?.collect() };
    list().map_err(|error| told(rows, doing, error))
}

pub(crate) fn told(rows: &Connection, doing: &'static str, error: rusqlite::Error) -> KbError {
    KbError::Rows { doing, source: Error::on(rows, error) }
}

fn nothing(rows: &Connection) -> Error {
    Error::on(rows, rusqlite::Error::QueryReturnedNoRows)
}

pub(crate) fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

/// A number as SQLite has numbers.
pub(crate) fn int(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A number that is never negative.
pub(crate) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    number.try_into().map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

#[cfg(test)]
mod tests {
    use highwater_db::sqlite::migrate;

    use super::*;
    use crate::base::snapshot::SEARCH;
    use crate::fold;

    fn rows() -> Connection {
        let mut rows = Connection::open_in_memory().unwrap();
        migrate(&mut rows, MIGRATIONS, "2026-11-21T12:00:00Z".parse().unwrap(), |_| Ok(())).unwrap();
        rows
    }

    fn plan(rows: &Connection, sql: &str) -> Vec<String> {
        let mut explain = rows.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan = explain.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>();
        plan.unwrap()
    }

    #[test]
    fn nothing_that_a_change_or_a_search_asks_scans_what_grows() {
        let rows = rows();
        let asked = [
            registry::LOOKUPS,
            derived::LOOKUPS,
            passages::LOOKUPS,
            fold::LOOKUPS,
            survey::LOOKUPS,
            garbage::LOOKUPS,
            &[FILES_BELOW, IN_CONFLICT, NOTE_FATE, OWN],
        ]
        .concat();
        for sql in asked {
            for step in plan(&rows, sql) {
                let bounded = !step.starts_with("SCAN") || step.contains("SCAN own") || step.contains("(subquery");
                assert!(bounded, "{sql}: {step}");
            }
        }
        // What is ranked is bounded; it is what is sorted, and no table is walked through.
        for step in plan(&rows, SEARCH) {
            let bounded =
                !step.starts_with("SCAN") || step.contains("VIRTUAL TABLE INDEX") || step.contains("SCAN found");
            assert!(bounded, "{step}");
        }
        assert!(plan(&rows, "SELECT * FROM page").iter().any(|step| step.starts_with("SCAN")), "scans are told");
    }
}
