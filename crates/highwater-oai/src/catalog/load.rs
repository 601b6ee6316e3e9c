//! Loading records: reading them, and deciding what becomes of each beside what is there. Owns the order of datestamps and
//! the figures; the rows of a work are [`super::shelve`]'s.

use std::io;

use highwater_db::sqlite::rusqlite::{
    self, Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params,
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::dublin_core::read;
use super::element::Unreadable;
use super::identifier;
use super::raw::{Packer, Unpacker};
use super::reading::{List, ListOf, State, columns, datestamp};
use super::shelve;
use super::work::{Work, push_new};
use crate::protocol::{Datestamp, Granularity, Header, Record};

/// Records that one transaction takes.
pub const LOAD_RECORDS_MAX: usize = 4_096;

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

/// Reads and packs records.
pub(super) fn prepare(records: Vec<Record>) -> io::Result<Vec<Prepared>> {
    let mut packer = Packer::new()?;
    records.into_iter().map(|record| prepare_one(&mut packer, record)).collect()
}

fn prepare_one(packer: &mut Packer, record: Record) -> io::Result<Prepared> {
    let hash = hash(&record);
    let Record { header, metadata } = record;
    if header.deleted {
        return Ok(Prepared { header, hash, content: Content::Tombstone });
    }
    let read = metadata.as_deref().map_or(Err(Unreadable::Nothing), read);
    let raw = match metadata {
        Some(metadata) => Some(Raw { packed: packer.pack(&metadata)?, metadata }),
        None => None,
    };
    let content = match (read, raw) {
        (Ok(mut work), Some(raw)) => {
            let own = identifier::of_repository(&header.identifier);
            work.identifiers.retain(|identifier| *identifier != own);
            work.identifiers.insert(0, own);
            Content::Work { work: Box::new(work), raw }
        }
        (Err(why), raw) => Content::Unreadable { why: why.to_string(), raw },
        (Ok(_), None) => unreachable!("only metadata can be read"),
    };
    Ok(Prepared { header, hash, content })
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

/// Loads records in one transaction, with a savepoint each.
pub(super) fn load(db: &mut Connection, records: &[Prepared], at: Timestamp) -> rusqlite::Result<Vec<Loaded>> {
    let mut transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut loaded = Vec::with_capacity(records.len());
    let mut change = Change::default();
    for record in records {
        let savepoint = transaction.savepoint()?;
        let (became, changed) = match load_one(&savepoint, record, at) {
            Ok(done) => {
                savepoint.commit()?;
                done
            }
            Err(error) if is_of_the_record(&error) => {
                // Dropped, and with it all that the record has written.
                drop(savepoint);
                let savepoint = transaction.savepoint()?;
                let why = format!("the database does not take it: {error}");
                let done = set_aside(&savepoint, record, &why, at)?;
                savepoint.commit()?;
                done
            }
            Err(error) => return Err(error),
        };
        loaded.push(became);
        change.add(changed);
    }
    change.write(&transaction)?;
    transaction.commit()?;
    Ok(loaded)
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
        Content::Work { raw, .. } if is_same && before == Some(State::Live) && is_whole(db, old.as_ref(), raw)? => {
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
    let (second, by_day) = columns(*datestamp);
    if let Some(old) = &old {
        shelve::leave_sets(db, old.id, old.datestamp, &old.sets)?;
        shelve::remove_work(db, old.id)?;
    }
    let suffix = identifier::parts(oai_id).1;
    let number = identifier::number(oai_id);
    let id = db.prepare_cached(include_str!("load/put.sql"))?.query_row(
        params![oai_id, suffix, number, second, by_day, ListOf(sets), state, review, new.hash, at.as_second()],
        |row| row.get(0),
    )?;
    if state != State::Review {
        shelve::join_sets(db, id, *datestamp, sets)?;
    }
    Ok(id)
}

/// Whether what is stored can be read back; a record whose metadata was damaged is loaded as if it were another (R14).
fn is_whole(db: &Connection, old: Option<&Old>, raw: &Raw) -> rusqlite::Result<bool> {
    let Some(old) = old else { return Ok(false) };
    let Some((bytes, packed)) = shelve::metadata(db, old.id)? else { return Ok(false) };
    let unpacked = Unpacker::new().ok().and_then(|mut unpacker| unpacker.unpack(&packed, bytes));
    Ok(unpacked.as_ref() == Some(&raw.metadata))
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
    sets: Vec<String>,
    state: State,
    hash: [u8; 32],
}

impl Old {
    fn find(db: &Connection, oai_id: &str) -> rusqlite::Result<Option<Self>> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Self {
                id: row.get(0)?,
                datestamp: datestamp(row, 1)?,
                sets: row.get::<_, List>(3)?.0,
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
}
