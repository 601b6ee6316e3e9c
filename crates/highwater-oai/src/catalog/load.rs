//! Loading records: reading them, and deciding what becomes of each beside what is there. Owns the order of datestamps and
//! the figures; the rows of a work are [`super::shelve`]'s.

use std::io;
use std::num::NonZero;
use std::thread;

use highwater_db::sqlite::rusqlite::{
    self, Connection, ErrorCode, OptionalExtension as _, Transaction, TransactionBehavior, params,
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::dublin_core::read;
use super::element::Unreadable;
use super::error::CatalogError;
use super::identifier;
use super::raw::{Packer, Unpacker};
use super::reading::{List, ListOf, State, columns, datestamp, is_row_damage};
use super::work::{Work, push_new};
use super::{shelve, shown};
use crate::protocol::{Datestamp, Granularity, Header, Record};

/// Records that one transaction takes.
pub const LOAD_RECORDS_MAX: usize = 4_096;
/// Threads that read the records of one group at most: beyond, the one that writes is what is waited for.
const PREPARE_THREADS_MAX: usize = 4;
/// Fewer records are not worth a thread.
const PREPARE_RECORDS_MIN: usize = 32;

/// What became of a record that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// It was not live in the catalogue, and is now.
    New,
    /// It was live, and is now another.
    Changed,
    /// It is as it was.
    Same,
    /// What is there has a later datestamp, and stays.
    Older,
    /// It was unknown or live, and is a tombstone now.
    Deleted,
    /// It is a tombstone, as it was.
    AlreadyDeleted,
    /// It cannot be read; what came is stored, with this reason, and is no work.
    Review(String),
}

/// A record with all that can be done before the database is needed.
pub(super) struct Prepared {
    header: Header,
    hash: [u8; 32],
    content: Content,
}

enum Content {
    Tombstone,
    Work { work: Box<Work>, raw: Raw },
    Unreadable { why: String, raw: Option<Raw> },
}

/// Metadata as it came, and packed.
struct Raw {
    metadata: String,
    packed: Vec<u8>,
}

/// Reads and packs records, on as many threads as is worth it, and gives them in their order.
pub(super) async fn prepare(records: Vec<Record>, doing: &'static str) -> Result<Vec<Prepared>, CatalogError> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(PREPARE_THREADS_MAX);
    let share = records.len().div_ceil(threads).max(PREPARE_RECORDS_MIN);
    let mut prepared = Vec::with_capacity(records.len());
    let mut records = records.into_iter();
    let mut parts = Vec::with_capacity(threads);
    while records.len() > 0 {
        let part: Vec<Record> = records.by_ref().take(share).collect();
        parts.push(spawn_blocking(move || prepare_part(part)));
    }
    for part in parts {
        let part = part.await.map_err(|source| CatalogError::Thread { doing, source })?;
        prepared.extend(part.map_err(|source| CatalogError::Packing { doing, source })?);
    }
    Ok(prepared)
}

fn prepare_part(records: Vec<Record>) -> io::Result<Vec<Prepared>> {
    let mut packer = Packer::new()?;
    records.into_iter().map(|record| prepare_one(&mut packer, record)).collect()
}

fn prepare_one(packer: &mut Packer, record: Record) -> io::Result<Prepared> {
    let hash = hash(&record);
    let Record { header, metadata } = record;
    if header.deleted {
        return Ok(Prepared { header, hash, content: Content::Tombstone });
    }
    let Some(metadata) = metadata else {
        let content = Content::Unreadable { why: Unreadable::Nothing.to_string(), raw: None };
        return Ok(Prepared { header, hash, content });
    };
    let read = read(&metadata);
    let raw = Raw { packed: packer.pack(&metadata)?, metadata };
    let content = match read {
        Ok(mut work) => {
            let own = identifier::of_repository(&header.identifier);
            work.identifiers.retain(|identifier| *identifier != own);
            work.identifiers.insert(0, own);
            Content::Work { work: Box::new(work), raw }
        }
        Err(why) => Content::Unreadable { why: why.to_string(), raw: Some(raw) },
    };
    Ok(Prepared { header, hash, content })
}

/// A record of which no more than the header could be read, with the reason.
pub(super) fn unread(header: Header, why: String) -> Prepared {
    let record = Record { header, metadata: None };
    Prepared { hash: hash(&record), header: record.header, content: Content::Unreadable { why, raw: None } }
}

/// Of everything in a record: one that differs in its sets alone is another.
fn hash(record: &Record) -> [u8; 32] {
    let Header { identifier, datestamp, sets, deleted } = &record.header;
    let mut hash = Sha256::new();
    let mut field = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    field(identifier);
    field(&datestamp.to_string());
    field(if *deleted { "deleted" } else { "" });
    field(&sets.len().to_string());
    sets.iter().for_each(|set| field(set));
    record.metadata.iter().for_each(|metadata| field(metadata));
    hash.finalize().into()
}

/// Loads records in one transaction. A record that the database does not take costs itself alone.
///
/// That hardly ever happens, and a savepoint each costs a third of the time: so they are taken only once it has.
pub(super) fn load(db: &mut Connection, records: &[Prepared], at: Timestamp) -> rusqlite::Result<Vec<Loaded>> {
    match load_with(db, records, |transaction, record| load_one(transaction, record, at)) {
        Err(error) if is_of_the_record(&error) => {
            load_with(db, records, |transaction, record| load_apart(transaction, record, at))
        }
        loaded => loaded,
    }
}

/// Loads each record by `load`, in one transaction that counts them.
fn load_with(
    db: &mut Connection,
    records: &[Prepared],
    load: impl Fn(&mut Transaction<'_>, &Prepared) -> rusqlite::Result<Done>,
) -> rusqlite::Result<Vec<Loaded>> {
    let mut transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut loaded = Vec::with_capacity(records.len());
    let mut change = Change::default();
    for record in records {
        let (became, changed) = load(&mut transaction, record)?;
        loaded.push(became);
        change.add(changed);
    }
    change.write(&transaction)?;
    transaction.commit()?;
    Ok(loaded)
}

/// Loads a record in a savepoint of its own, or sets it aside.
fn load_apart(transaction: &mut Transaction<'_>, record: &Prepared, at: Timestamp) -> rusqlite::Result<Done> {
    let savepoint = transaction.savepoint()?;
    match load_one(&savepoint, record, at) {
        Ok(done) => {
            savepoint.commit()?;
            Ok(done)
        }
        Err(error) if is_of_the_record(&error) => {
            // Dropped, and with it all that the record has written.
            drop(savepoint);
            set_aside(transaction, record, &format!("the database does not take it: {error}"), at)
        }
        Err(error) => Err(error),
    }
}

/// Whether the next record may still be taken.
fn is_of_the_record(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
    )
}

type Done = (Loaded, Change);

fn load_one(db: &Connection, new: &Prepared, at: Timestamp) -> rusqlite::Result<Done> {
    let old = Old::find(db, &new.header.identifier)?;
    if old.as_ref().is_some_and(|old| is_older(new.header.datestamp, old.datestamp)) {
        return Ok((Loaded::Older, Change::default()));
    }
    let before = old.as_ref().map(|old| old.state);
    let is_same = old.as_ref().is_some_and(|old| old.hash == new.hash);
    match &new.content {
        Content::Tombstone if is_same && before == Some(State::Deleted) => {
            Ok((Loaded::AlreadyDeleted, Change::default()))
        }
        Content::Work { work, raw } if is_same && is_whole(db, old.as_ref(), work, raw)? => {
            Ok((Loaded::Same, Change::default()))
        }
        Content::Tombstone => {
            let id = write(db, new, old, State::Deleted, None, at)?;
            shelve::remove_metadata(db, id)?;
            let became = if before == Some(State::Deleted) { Loaded::AlreadyDeleted } else { Loaded::Deleted };
            Ok((became, Change::of(before, State::Deleted)))
        }
        Content::Work { work, raw } => {
            let id = write(db, new, old, State::Live, None, at)?;
            shelve::put_metadata(db, id, raw.metadata.len(), &raw.packed)?;
            shelve::put_work(db, id, work)?;
            let became = if before == Some(State::Live) { Loaded::Changed } else { Loaded::New };
            Ok((became, Change::of(before, State::Live)))
        }
        Content::Unreadable { why, .. } => set_aside(db, new, why, at),
    }
}

/// Stores a record that is no work, with the reason.
fn set_aside(db: &Connection, new: &Prepared, why: &str, at: Timestamp) -> rusqlite::Result<Done> {
    let old = Old::find(db, &new.header.identifier)?;
    let before = old.as_ref().map(|old| old.state);
    let id = write(db, new, old, State::Review, Some(why), at)?;
    let raw = match &new.content {
        Content::Tombstone => None,
        Content::Work { raw, .. } => Some(raw),
        Content::Unreadable { raw, .. } => raw.as_ref(),
    };
    match raw {
        Some(raw) => shelve::put_metadata(db, id, raw.metadata.len(), &raw.packed)?,
        None => shelve::remove_metadata(db, id)?,
    }
    Ok((Loaded::Review(why.to_owned()), Change::of(before, State::Review)))
}

/// Writes the record's own row and its memberships, and takes away the work that was there. Returns the row's id.
fn write(
    db: &Connection,
    new: &Prepared,
    old: Option<Old>,
    state: State,
    review: Option<&str>,
    at: Timestamp,
) -> rusqlite::Result<i64> {
    let Header { identifier: oai_id, datestamp, sets, .. } = &new.header;
    let ((second, by_day), sets_json, loaded_at) = (columns(*datestamp), ListOf(sets), at.as_second());
    // One or the other, where an upsert would do: around one of those SQLite takes a savepoint, which writes out the index
    // of words each time.
    let id = if let Some(old) = old {
        shelve::leave_sets(db, old.id, old.datestamp, old.sets.as_deref())?;
        shelve::remove_work(db, old.id)?;
        db.prepare_cached(include_str!("load/change.sql"))?
            .execute(params![old.id, second, by_day, sets_json, state, review, new.hash, loaded_at])?;
        old.id
    } else {
        let (suffix, number) = (identifier::parts(oai_id).1, identifier::number(oai_id));
        db.prepare_cached(include_str!("load/add.sql"))?
            .insert(params![oai_id, suffix, number, second, by_day, sets_json, state, review, new.hash, loaded_at])?
    };
    if state != State::Review {
        shelve::join_sets(db, id, *datestamp, sets)?;
    }
    Ok(id)
}

/// Whether what is stored is what was loaded. Where it is damaged (R14), or was read by a program that understood less, the
/// record is loaded as if it were another.
fn is_whole(db: &Connection, old: Option<&Old>, work: &Work, raw: &Raw) -> rusqlite::Result<bool> {
    let Some(old) = old.filter(|old| old.state == State::Live && old.sets.is_some()) else { return Ok(false) };
    let Some((bytes, packed)) = shelve::metadata(db, old.id)? else { return Ok(false) };
    let unpacked = Unpacker::new().ok().and_then(|mut unpacker| unpacker.unpack(&packed, bytes));
    if unpacked.as_ref() != Some(&raw.metadata) {
        return Ok(false);
    }
    match shown::work(db, old.id) {
        Ok(stored) => Ok(stored == *work),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(false),
        Err(error) if is_row_damage(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether `new` is from before `old`, as far as the coarser of the two tells.
fn is_older(new: Datestamp, old: Datestamp) -> bool {
    let coarser = new.granularity().min(old.granularity());
    debug_assert!(Granularity::Day < Granularity::Second);
    Datestamp::new(new.at(), coarser) < Datestamp::new(old.at(), coarser)
}

/// What there is of a record.
struct Old {
    id: i64,
    datestamp: Datestamp,
    /// `None` where they are damaged.
    sets: Option<Vec<String>>,
    state: State,
    hash: [u8; 32],
}

impl Old {
    fn find(db: &Connection, oai_id: &str) -> rusqlite::Result<Option<Self>> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Self {
                id: row.get(0)?,
                datestamp: datestamp(row, 1)?,
                sets: row.get::<_, List>(3).ok().map(|sets| sets.0),
                state: row.get(4)?,
                hash: row.get(5)?,
            })
        };
        db.prepare_cached(include_str!("load/find.sql"))?.query_row([oai_id], read).optional()
    }
}

/// By how much the figures change.
#[derive(Debug, Clone, Copy, Default)]
struct Change {
    live: i64,
    deleted: i64,
    review: i64,
}

impl Change {
    fn of(before: Option<State>, after: State) -> Self {
        let mut change = Self::default();
        if let Some(before) = before {
            *change.figure(before) -= 1;
        }
        *change.figure(after) += 1;
        change
    }

    fn figure(&mut self, state: State) -> &mut i64 {
        match state {
            State::Live => &mut self.live,
            State::Deleted => &mut self.deleted,
            State::Review => &mut self.review,
        }
    }

    fn add(&mut self, other: Self) {
        self.live += other.live;
        self.deleted += other.deleted;
        self.review += other.review;
    }

    /// A live record is a work.
    fn write(self, db: &Connection) -> rusqlite::Result<()> {
        db.execute(include_str!("load/count.sql"), [self.live, self.deleted, self.review, self.live])?;
        Ok(())
    }
}

/// The sets that a record of these is in: they themselves, and those above them.
pub(super) fn with_ancestors(sets: &[String]) -> Vec<&str> {
    let mut all = Vec::new();
    for set in sets {
        for (colon, _) in set.match_indices(':').take(SET_LEVELS_MAX) {
            push_new(&mut all, &set[..colon]);
        }
        push_new(&mut all, set.as_str());
    }
    all
}

/// Levels above a set that are known as sets; repositories have two or three.
const SET_LEVELS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    #[test]
    fn a_day_is_not_older_than_a_second_of_it() {
        let stamp = |text| Datestamp::parse(text).unwrap();
        let older = |new, old| is_older(stamp(new), stamp(old));
        assert!(!older("2021-02-12", "2021-02-12T08:44:14Z"));
        assert!(!older("2021-02-12T08:44:14Z", "2021-02-12"));
        assert!(older("2021-02-11", "2021-02-12T08:44:14Z"));
        assert!(older("2021-02-12T08:44:13Z", "2021-02-12T08:44:14Z"));
        assert!(!older("2021-02-12T08:44:14Z", "2021-02-12T08:44:14Z"));
    }

    #[test]
    fn a_record_of_a_set_is_in_those_above_it() {
        let sets = ["a:b:c".to_owned(), "a".to_owned(), "d".to_owned()];
        assert_eq!(with_ancestors(&sets), ["a", "a:b", "a:b:c", "d"]);
    }

    #[tokio::test]
    async fn records_are_prepared_in_their_order_on_however_many_threads() {
        let record = |number: usize| Record {
            header: Header {
                identifier: format!("oai:a:{number}"),
                datestamp: Datestamp::parse("2021-02-12").unwrap(),
                sets: Vec::new(),
                deleted: true,
            },
            metadata: None,
        };
        for count in [0, 1, PREPARE_RECORDS_MIN, 2 * PREPARE_RECORDS_MIN + 1, 1_000] {
            let prepared = prepare((0..count).map(record).collect(), "load records").await.unwrap();
            let identifiers: Vec<String> = prepared.into_iter().map(|record| record.header.identifier).collect();
            let expected: Vec<String> = (0..count).map(|number| record(number).header.identifier).collect();
            assert_eq!(identifiers, expected);
        }
    }
}
