//! The job of the kind `rollup`: a seed in slices, then ticks. Owns the order of these, and that all of a pass runs on the session
//! that holds its lock; what a slice or a tick does is written beside it.
//!
//! A slice that fails stops the pass and stays where it is in the list. So what comes after all slices, the stamp, never runs
//! while one of them is undone.

mod change;
mod fault;
mod finish;
mod plan;
mod session;
mod step;
mod walk;

use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt};
use highwater_db::address::DatabaseAddress;
use highwater_db::session::Dialect;
use highwater_db::sqlite::SqliteSession;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::name::ResourceName;
use highwater_engine::outcome::Outcome;
use highwater_engine::report::PassReport;
use jiff::Timestamp;

use crate::recompute::Span;
use crate::settings::{RollupSettings, Subject};

pub use step::{Step, TICK_KEY};

/// The ledger's name of a rollup's watermark.
pub const WATERMARK: &str = "rollup";

/// What a person asked of this call besides the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Only a tick, whatever there is to seed.
    pub tick: bool,
    /// A seed from here on, whatever was seeded before.
    pub since: Option<Timestamp>,
    /// Whether that was given as a number of months.
    pub months_back: bool,
    /// That buckets before `since` may stay without their events.
    pub force_partial: bool,
    /// That what is declared now takes the place of what is installed.
    pub change: Option<Change>,
}

impl Asked {
    /// The flag that says where a seed begins.
    fn since_flag(self) -> &'static str {
        if self.months_back { "--months-back" } else { "--since" }
    }
}

/// How what is installed is to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whether frozen buckets may go that the new declaration cannot be made of.
    pub drop_frozen: bool,
}

/// Seeds a rollup and keeps it in step.
#[derive(Debug)]
pub struct Rollup {
    settings: RollupSettings,
    subject: Subject,
    address: DatabaseAddress,
    /// Where the lock is that lends its session.
    resources: Vec<ResourceName>,
    /// How a person names the job.
    handle: String,
    asked: Asked,
    /// The session of a SQLite file, where the lock lends none.
    own: tokio::sync::Mutex<Option<SqliteSession>>,
    /// How much of a slice one transaction takes, in seconds of events.
    part_secs: Mutex<Option<u64>>,
    /// What the last transaction of a slice computed besides, of those after it.
    ahead: Mutex<Option<Span>>,
    stamped: Mutex<Option<Timestamp>>,
    /// What was found under the lock that there is to do, for the plan.
    surveyed: Mutex<Option<Result<Vec<Step>, Stop>>>,
    walked: Mutex<Walked>,
}

/// What passes of a rollup computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Walked {
    /// Slices, the tick's among them.
    pub slices: u64,
    /// Rows of the target that were touched.
    pub rows: u64,
}

impl Rollup {
    /// A rollup of these settings; what a person asked besides goes with this call.
    ///
    /// # Errors
    /// What is wrong with the settings as a whole.
    pub fn new(
        settings: RollupSettings,
        handle: String,
        resources: Vec<ResourceName>,
        asked: Asked,
    ) -> Result<Self, Diagnosis> {
        let refused = |problem: highwater_engine::settings::Problem| {
            Diagnosis::refusal("HW-ROL-001", problem.message, problem.next).at_field(problem.field)
        };
        let (subject, address) = (settings.subject().map_err(refused)?, settings.address().map_err(refused)?);
        Ok(Self {
            settings,
            subject,
            address,
            resources,
            handle,
            asked,
            own: tokio::sync::Mutex::default(),
            part_secs: Mutex::default(),
            ahead: Mutex::default(),
            stamped: Mutex::default(),
            surveyed: Mutex::default(),
            walked: Mutex::default(),
        })
    }

    /// What passes of this very job computed so far.
    #[must_use]
    pub fn walked(&self) -> Walked {
        *self.walked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, rows: u64) {
        let mut walked = self.walked.lock().unwrap_or_else(PoisonError::into_inner);
        walked.slices += 1;
        walked.rows += rows;
    }

    fn dialect(&self) -> Dialect {
        self.address.dialect()
    }

    fn stamped(&self) -> std::sync::MutexGuard<'_, Option<Timestamp>> {
        self.stamped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job for Rollup {
    type Item = Step;
    type Prepared = ();

    /// Looks at the database on the session that holds the lock, for the plan.
    async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        // Of another pass, which may be long ago.
        self.take_ahead();
        let steps = {
            let mut lent = self.lent(cx).await?;
            self.bring_up(lent.session()).await?;
            // What is in the way of a new list may be just what an open one is about to change.
            self.survey(lent.session()).await
        };
        *self.surveyed.lock().unwrap_or_else(PoisonError::into_inner) = Some(steps);
        Ok(())
    }

    fn plan(&self, cx: ReadCx) -> impl Stream<Item = Result<Step, Stop>> + Send {
        futures::stream::once(self.planned(cx)).flat_map(|planned| match planned {
            Ok(steps) => futures::stream::iter(steps.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(stop) => futures::stream::iter(vec![Err(stop)]),
        })
    }

    /// Of a call for a tick alone, the slices of an open seed stay for another.
    fn in_scope(&self, step: &Step) -> bool {
        !self.asked.tick || *step == Step::Tick
    }

    async fn prepare(&self, _: ReadCx, _: Arc<Step>) -> Result<Attempt<()>, Stop> {
        Ok(Attempt::Ready(()))
    }

    async fn commit(&self, cx: &mut CommitCx, step: &Step, (): ()) -> Result<Outcome, Stop> {
        let mut said = Vec::new();
        let outcome = match step {
            Step::Slice { from, to, .. } => self.slice(cx, *from, *to).await,
            Step::Finish { from, of, since } => self.finish(cx, (*from, *of, *since), &mut said).await,
            Step::Tick => self.tick(cx, &mut said).await,
            Step::Beside | Step::Build { .. } | Step::Swap { .. } => self.changed(cx, step, &mut said).await,
        };
        cx.notes.append(&mut said);
        outcome
    }

    async fn seal(&self, cx: &mut CommitCx, _: &PassReport) -> Result<(), Stop> {
        if let Some(stamped) = self.stamped().take() {
            cx.stamp_watermark(WATERMARK, stamped);
        }
        Ok(())
    }
}
