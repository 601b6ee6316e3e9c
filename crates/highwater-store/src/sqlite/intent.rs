//! Intents: what is about to happen to an item. Owns their encoding.

use std::collections::HashSet;

use highwater_engine::ledger::Intent;
use highwater_engine::name::WorklistId;
use rusqlite::types::Type;
use rusqlite::{CachedStatement, Connection, Row, params};

use super::column::{Count, Number};
use super::fault::Step;
use super::run::Runs;

const STARTED: &str = "started";
const PREPARED: &str = "prepared";
const JUDGED: &str = "judged";

/// The intents of one worklist, to be written in one transaction.
pub(super) struct Intents<'c> {
    worklist: WorklistId,
    set: CachedStatement<'c>,
    set_run: CachedStatement<'c>,
    drop_run: CachedStatement<'c>,
    /// Intents of a word alone, to be written a run at a time: a group in plan order is one run.
    plain: [(&'static str, HashSet<u64>); 2],
    /// What is settled, to be dropped a run at a time.
    settled: HashSet<u64>,
}

impl<'c> Intents<'c> {
    pub(super) fn of(db: &'c Connection, worklist: WorklistId) -> Step<Self> {
        Ok(Self {
            worklist,
            set: db.prepare_cached(include_str!("intent/set.sql"))?,
            set_run: db.prepare_cached(include_str!("intent/set_run.sql"))?,
            drop_run: db.prepare_cached(include_str!("intent/drop_run.sql"))?,
            plain: [STARTED, PREPARED].map(|word| (word, HashSet::new())),
            settled: HashSet::new(),
        })
    }

    /// Writes an item's intent in place of an older one; [`Intents::finish`] must follow.
    pub(super) fn set(&mut self, position: u64, intent: Intent) -> Step<()> {
        self.settle(position);
        self.settled.remove(&position);
        let (kind, body) = match intent {
            Intent::Started => {
                self.set_plain(STARTED, position);
                return Ok(());
            }
            Intent::Prepared(None) => {
                self.set_plain(PREPARED, position);
                return Ok(());
            }
            Intent::Prepared(Some(bytes)) => (PREPARED, bytes),
            Intent::Judged(outcome) => {
                (JUDGED, serde_json::to_vec(&outcome).expect("invariant: an outcome is words and text"))
            }
        };
        self.set.execute(params![Number(self.worklist), Count(position), kind, body])?;
        Ok(())
    }

    fn set_plain(&mut self, word: &str, position: u64) {
        for (_, set) in self.plain.iter_mut().filter(|(of, _)| *of == word) {
            set.insert(position);
        }
    }

    /// The item's intent, if there is one, is to go; [`Intents::finish`] must follow.
    pub(super) fn settle(&mut self, position: u64) {
        for (_, set) in &mut self.plain {
            set.remove(&position);
        }
        self.settled.insert(position);
    }

    /// Writes what was set and drops what was settled, as the last word on each item says.
    pub(super) fn finish(mut self) -> Step<()> {
        let worklist = Number(self.worklist);
        for (word, set) in self.plain {
            for run in Runs::of(set) {
                self.set_run.execute(params![worklist, Count(*run.start()), Count(*run.end()), word])?;
            }
        }
        for run in Runs::of(self.settled) {
            self.drop_run.execute(params![worklist, Count(*run.start()), Count(*run.end())])?;
        }
        Ok(())
    }
}

/// The intent in the columns `kind` and `body`, both NULL where there is none.
pub(super) fn read(row: &Row<'_>, kind: usize, body: usize) -> rusqlite::Result<Option<Intent>> {
    let Some(word) = row.get::<_, Option<String>>(kind)? else { return Ok(None) };
    let bytes: Option<Vec<u8>> = row.get(body)?;
    match word.as_str() {
        STARTED => Ok(Some(Intent::Started)),
        PREPARED => Ok(Some(Intent::Prepared(bytes))),
        JUDGED => serde_json::from_slice(&bytes.unwrap_or_default())
            .map(|outcome| Some(Intent::Judged(outcome)))
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(body, Type::Blob, Box::new(error))),
        other => {
            let error = format!("expected {STARTED}, {PREPARED} or {JUDGED}, found {other:?}");
            Err(rusqlite::Error::FromSqlConversionFailure(kind, Type::Text, error.into()))
        }
    }
}
