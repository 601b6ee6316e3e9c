//! How an item stands: untried, or after its last outcome. Owns that a pinned item has exactly one of the two rows, and that
//! the figures go with them.

use std::collections::HashSet;

use highwater_engine::name::{PassId, WorklistId};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::worklist::{Standing, Tally};
use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::column::{Count, Keyword, Micros, Number};
use super::fault::{Failure, Step, is_row_damage};
use super::run::Runs;
use super::{quarantine, worklist};

/// An item that was taken to get an outcome.
pub(super) struct Taken {
    pub(super) position: u64,
    pub(super) standing: Standing,
    /// It has no row of its own yet: one statement for both cases costs three times as much.
    was_untried: bool,
}

/// The standings of one worklist, to be changed in one transaction.
pub(super) struct Standings<'c> {
    db: &'c Connection,
    worklist: WorklistId,
    at: Timestamp,
    take_untried: CachedStatement<'c>,
    /// Untried items of the group at hand, their rows gone already.
    foreseen: HashSet<u64>,
    get: CachedStatement<'c>,
    add: CachedStatement<'c>,
    set: CachedStatement<'c>,
    drop_intent: CachedStatement<'c>,
}

impl<'c> Standings<'c> {
    pub(super) fn of(db: &'c Connection, worklist: WorklistId, at: Timestamp) -> Step<Self> {
        Ok(Self {
            db,
            worklist,
            at,
            take_untried: db.prepare_cached(include_str!("standing/take_untried.sql"))?,
            foreseen: HashSet::new(),
            get: db.prepare_cached(include_str!("standing/get.sql"))?,
            add: db.prepare_cached(include_str!("standing/add.sql"))?,
            set: db.prepare_cached(include_str!("standing/set.sql"))?,
            drop_intent: db.prepare_cached(include_str!("intent/drop.sql"))?,
        })
    }

    /// Drops the untried rows of all items that are to be taken now, a run of neighbours at a time: a group in plan order is
    /// one run.
    pub(super) fn foresee(&mut self, positions: impl IntoIterator<Item = u64>) -> Step<()> {
        for run in Runs::of(positions) {
            let bounds = params![Number(self.worklist), Count(*run.start()), Count(*run.end())];
            let mut list = self.db.prepare_cached(include_str!("standing/list_untried.sql"))?;
            let mut rows = list.query(bounds)?;
            while let Some(row) = rows.next()? {
                self.foreseen.insert(row.get::<_, Count>(0)?.0);
            }
            self.db.prepare_cached(include_str!("standing/drop_untried.sql"))?.execute(bounds)?;
        }
        Ok(())
    }

    /// Takes an item to give it an outcome: an untried one is no longer so, and [`Standings::set`] must follow.
    ///
    /// A row that cannot be read is set aside and the item is as if untried (R14); the figures are then counted anew.
    pub(super) fn take(&mut self, position: u64, tally: &mut Tally) -> Step<Taken> {
        if position >= tally.total {
            return Err(self.no_item(position));
        }
        let untried = Taken { position, standing: Standing::default(), was_untried: true };
        if self.foreseen.remove(&position) || self.take_untried(position)? {
            return Ok(untried);
        }
        match self.read(position) {
            Ok(Some(standing)) => Ok(Taken { standing, was_untried: false, ..untried }),
            Ok(None) => Err(self.no_item(position)),
            Err(error) if is_row_damage(&error) => {
                quarantine::standing(self.db, self.worklist, position, self.at, &error.to_string())?;
                *tally = worklist::recount(self.db, self.worklist, tally)?;
                self.take_untried(position)?;
                Ok(untried)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes how an item stands that was taken, as the outcome numbered `tally.recorded`.
    pub(super) fn set(&mut self, taken: &Taken, outcome: &Outcome, tally: &Tally, pass: Option<PassId>) -> Step<()> {
        let Taken { position, standing, was_untried } = taken;
        let write = if *was_untried { &mut self.add } else { &mut self.set };
        write.execute(params![
            Number(self.worklist),
            Count(*position),
            Keyword(outcome.kind),
            standing.attempts,
            standing.deferrals,
            Count(standing.successes_at_deferral),
            standing.judged_generation,
            standing.judged_as.map(Keyword),
            Micros(self.at),
            Count(tally.recorded),
            pass.map(Number),
            outcome.detail,
        ])?;
        Ok(())
    }

    pub(super) fn drop_intent(&mut self, position: u64) -> Step<()> {
        self.drop_intent.execute(params![Number(self.worklist), Count(position)])?;
        Ok(())
    }

    fn take_untried(&mut self, position: u64) -> Step<bool> {
        Ok(self.take_untried.execute(params![Number(self.worklist), Count(position)])? > 0)
    }

    fn read(&mut self, position: u64) -> rusqlite::Result<Option<Standing>> {
        let row = self.get.query_row(params![Number(self.worklist), Count(position)], |row| {
            Ok(Standing {
                outcome: Some(row.get::<_, Keyword<OutcomeKind>>(0)?.0),
                attempts: row.get(1)?,
                deferrals: row.get(2)?,
                successes_at_deferral: row.get::<_, Count>(3)?.0,
                judged_generation: row.get(4)?,
                judged_as: row.get::<_, Option<Keyword<OutcomeKind>>>(5)?.map(|kind| kind.0),
            })
        });
        row.optional()
    }

    fn no_item(&self, position: u64) -> Failure {
        Failure::not_there(format!("worklist {} has no item at position {position}", self.worklist))
    }
}

/// Makes an item untried that was taken or whose standing is to go.
pub(super) fn make_untried(db: &Connection, worklist: WorklistId, position: u64) -> Step<()> {
    let item = params![Number(worklist), Count(position)];
    db.prepare_cached(include_str!("standing/drop.sql"))?.execute(item)?;
    db.prepare_cached(include_str!("standing/add_untried.sql"))?.execute(item)?;
    Ok(())
}
