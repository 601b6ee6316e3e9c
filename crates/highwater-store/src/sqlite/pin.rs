//! Pinning: how items come into a worklist. Owns that a worklist becomes visible by one update (R6), and that what an
//! unfinished one left goes.

use highwater_engine::ledger::{Fence, Pin, PinMode, Word};
use highwater_engine::name::{ItemKey, JobName, WorklistId};
use highwater_engine::worklist::{Appended, NewItem, WorklistRecord, WorklistState};
use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, TransactionBehavior, params};

use super::column::{Count, Keyword, Micros, Name, Number};
use super::fault::{Failure, Step};
use super::{event, fence, item, job, prune, seen, worklist};

/// Most items that one call adds.
pub(super) const APPEND_ITEMS_MAX: usize = 8192;
/// Rows of an unfinished worklist that go in one transaction.
const CLEAR_ROWS: usize = 5000;

/// How far a worklist is written.
struct Progress {
    job: JobName,
    state: WorklistState,
    /// Items pinned.
    total: u64,
    /// Items after them that are not.
    unpinned: u64,
    duplicates: u64,
}

/// Removes a bounded part of what an unfinished worklist or an unfinished `Extend` of the job left; true when nothing is left.
pub(super) fn clear_unfinished(db: &Connection, fence: &Fence, name: &JobName) -> Step<bool> {
    fence::check(db, fence)?;
    let mut discovering = db.prepare_cached(include_str!("pin/discovering.sql"))?;
    if let Some(Number(id)) = discovering.query_row([Name(name)], |row| row.get(0)).optional()? {
        if prune::drop_rows(db, id, CLEAR_ROWS)? == 0 {
            db.prepare_cached(include_str!("pin/drop_worklist.sql"))?.execute([Number(id)])?;
        }
        return Ok(false);
    }
    let Some(id) = job::known(db, name)?.worklist else { return Ok(true) };
    let progress = progress(db, id)?;
    if progress.unpinned == 0 {
        set_progress(db, id, 0, 0)?;
        return Ok(true);
    }
    let left = clear_last_unpinned(db, id, &progress)?;
    set_progress(db, id, left, progress.duplicates)?;
    Ok(false)
}

/// Removes the last unpinned items of a worklist, and their entries in the index by key. Returns how many are left.
fn clear_last_unpinned(db: &Connection, id: WorklistId, progress: &Progress) -> Step<u64> {
    let first = progress.total + progress.unpinned.saturating_sub(CLEAR_ROWS as u64);
    let mut keys = db.prepare_cached(include_str!("pin/keys_from.sql"))?;
    let mut drop_key = db.prepare_cached(include_str!("pin/drop_key.sql"))?;
    let mut rows = keys.query(params![Number(id), Count(first)])?;
    while let Some(row) = rows.next()? {
        let hash = seen::hash(&row.get::<_, String>(1)?);
        drop_key.execute(params![Number(id), hash, row.get::<_, Count>(0)?])?;
    }
    let from = params![Number(id), Count(first)];
    db.prepare_cached(include_str!("pin/drop_items_from.sql"))?.execute(from)?;
    db.prepare_cached(include_str!("pin/drop_untried_from.sql"))?.execute(from)?;
    Ok(first - progress.total)
}

pub(super) fn begin(db: &Connection, fence: &Fence, name: &JobName, mode: PinMode, at: Timestamp) -> Step<WorklistId> {
    fence::check(db, fence)?;
    let current = job::known(db, name)?.worklist.map(|id| worklist::known(db, id)).transpose()?;
    match (mode, current) {
        (PinMode::Extend, None) => Err(Failure::not_there(format!("job {name} has no worklist to extend"))),
        (PinMode::Extend, Some(current)) => {
            worklist::refuse_forgotten(db, &current)?;
            Ok(current.id)
        }
        (PinMode::Begin, Some(current)) if current.closed_at.is_none() => Err(has_open(&current)),
        (PinMode::Begin | PinMode::Replace, _) => {
            let mut insert = db.prepare_cached(include_str!("pin/begin.sql"))?;
            let id: Number<WorklistId> = insert.query_row(params![Name(name), Micros(at)], |row| row.get(0))?;
            Ok(id.0)
        }
    }
}

/// Adds items after those that are there.
pub(super) fn append(connection: &mut Connection, fence: &Fence, id: WorklistId, items: &[NewItem]) -> Step<Appended> {
    if items.len() > APPEND_ITEMS_MAX {
        return Err(Failure::too_many("items", items.len(), APPEND_ITEMS_MAX));
    }
    seen::attach(connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    fence::check(&transaction, fence)?;
    let before = progress(&transaction, id)?;
    if before.state == WorklistState::Superseded {
        return Err(Failure::not_there(format!("worklist {id} of job {} is superseded", before.job)));
    }
    seen::bring_up_to_date(&transaction, id, before.total, before.unpinned)?;
    let appended = Append::to(&transaction, id, before)?.all(items)?;
    transaction.commit()?;
    Ok(appended)
}

/// A batch on its way into a worklist.
struct Append<'c> {
    db: &'c Connection,
    id: WorklistId,
    add_item: CachedStatement<'c>,
    progress: Progress,
    appended: Appended,
}

impl<'c> Append<'c> {
    fn to(db: &'c Connection, id: WorklistId, progress: Progress) -> Step<Self> {
        let add_item = db.prepare_cached(include_str!("pin/add_item.sql"))?;
        Ok(Self { db, id, add_item, progress, appended: Appended::default() })
    }

    fn all(mut self, items: &[NewItem]) -> Step<Appended> {
        let first = self.progress.total + self.progress.unpinned;
        for item in items {
            self.one(item)?;
        }
        let (db, id, progress) = (self.db, self.id, &self.progress);
        db.prepare_cached(include_str!("pin/add_untried.sql"))?.execute(params![Number(id), Count(first)])?;
        seen::set_items(db, id, progress.unpinned)?;
        set_progress(db, id, progress.unpinned, progress.duplicates)?;
        Ok(self.appended)
    }

    fn one(&mut self, item: &NewItem) -> Step<()> {
        let hash = seen::hash(item.key.as_str());
        let position = self.progress.total + self.progress.unpinned;
        if self.progress.total > 0
            && let Some(pinned) = item::position_of(self.db, self.id, &item.key)?
        {
            return self.duplicate(item, pinned);
        }
        if let Some(seen) = seen::add(self.db, self.id, &hash, position)? {
            // One that was pinned before was not given twice: whoever extends a list gives it whole.
            self.progress.duplicates += 1;
            return self.duplicate(item, seen);
        }
        self.add_item.execute(params![Number(self.id), Count(position), Name(&item.key), item.payload])?;
        self.progress.unpinned += 1;
        self.appended.added += 1;
        Ok(())
    }

    fn duplicate(&mut self, given: &NewItem, position: u64) -> Step<()> {
        let mut there = self.db.prepare_cached(include_str!("pin/item.sql"))?;
        let (key, payload): (Name<ItemKey>, Vec<u8>) =
            there.query_row(params![Number(self.id), Count(position)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if key.0 != given.key {
            return Err(Failure::not_there(format!(
                "keys {} and {} have one hash and cannot be told apart",
                key.0, given.key
            )));
        }
        self.appended.duplicates += 1;
        if payload != given.payload {
            self.appended.conflicts += 1;
            self.appended.conflict.get_or_insert_with(|| given.key.clone());
        }
        Ok(())
    }
}

/// Prepares the pin: the keys that are in no index yet are known to [`seen`].
pub(super) fn prepare(connection: &mut Connection, fence: &Fence, id: WorklistId) -> Step<()> {
    seen::attach(connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    fence::check(&transaction, fence)?;
    let progress = progress(&transaction, id)?;
    seen::bring_up_to_date(&transaction, id, progress.total, progress.unpinned)?;
    transaction.commit()?;
    Ok(())
}

/// Makes the items visible and fixed, in place of the worklist that this one replaces.
pub(super) fn pin(db: &Connection, fence: &Fence, id: WorklistId, pin: &Pin, word: &Word) -> Step<WorklistRecord> {
    fence::check(db, fence)?;
    let progress = progress(db, id)?;
    let name = &progress.job;
    let current = job::known(db, name)?.worklist;
    let act = match (pin.mode, progress.state, current) {
        (PinMode::Extend, WorklistState::Pinned | WorklistState::Drained, Some(current)) if current == id => "extend",
        (PinMode::Begin, WorklistState::Discovering, current) => {
            let current = current.map(|id| worklist::known(db, id)).transpose()?;
            if let Some(open) = current.filter(|current| current.closed_at.is_none()) {
                return Err(has_open(&open));
            }
            "pin"
        }
        (PinMode::Replace, WorklistState::Discovering, current) => {
            current.map(|old| worklist::supersede(db, old, word.at)).transpose()?;
            "replace"
        }
        (mode, state, _) => {
            return Err(Failure::not_there(format!(
                "worklist {id} of job {name} is {} and cannot be pinned to {}",
                state.word(),
                match mode {
                    PinMode::Begin => "begin",
                    PinMode::Replace => "replace another",
                    PinMode::Extend => "extend it",
                }
            )));
        }
    };
    let input = pin.input.as_ref();
    db.prepare_cached(include_str!("pin/pin.sql"))?.execute(params![
        Number(id),
        Micros(word.at),
        pin.sha256,
        input.map(|input| &input.source),
        input.map(|input| &input.sha256),
        input.map(|input| &input.sign),
    ])?;
    job::set_worklist(db, name, Some(id))?;
    event::add(db, act, Some(name), None, word)?;
    worklist::known(db, id)
}

fn has_open(current: &WorklistRecord) -> Failure {
    Failure::not_there(format!("job {} has an open worklist, {}: extend it or replace it", current.job, current.id))
}

fn progress(db: &Connection, id: WorklistId) -> Step<Progress> {
    let mut row = db.prepare_cached(include_str!("pin/progress.sql"))?;
    let row = row.query_row([Number(id)], |row| {
        Ok(Progress {
            job: row.get::<_, Name<JobName>>(0)?.0,
            state: row.get::<_, Keyword<WorklistState>>(1)?.0,
            total: row.get::<_, Count>(2)?.0,
            unpinned: row.get::<_, Count>(3)?.0,
            duplicates: row.get::<_, Count>(4)?.0,
        })
    });
    row.optional()?.ok_or_else(|| Failure::not_there(format!("there is no worklist {id} in the ledger")))
}

fn set_progress(db: &Connection, id: WorklistId, unpinned: u64, duplicates: u64) -> Step<()> {
    let values = params![Number(id), Count(unpinned), Count(duplicates)];
    db.prepare_cached(include_str!("pin/set_progress.sql"))?.execute(values)?;
    Ok(())
}
