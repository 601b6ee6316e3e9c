//! The tick: from one watermark to the next. Owns the rule that a watermark is stamped by the transaction that took the last
//! entry below it, and to no later time than a bound that was read before that transaction's snapshot (R7).

use std::time::Duration;

use highwater_db::session::{Dialect, Fault, Session};
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use crate::bypass::{self, Bypassed};
use crate::ddl::Silent;
use crate::ddl::silent::silent;
use crate::declare::Declaration;
use crate::{drain, state};

/// Most triggers that do not fire that a person is told.
const SILENT_TOLD_MAX: usize = 3;

/// How far a tick may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The bound, as it was read before.
    pub until: Timestamp,
    /// By how much the watermark moves at most; without a limit where it is `None`, and where there is no watermark yet.
    pub span_max: Option<Duration>,
    /// How many entries of each queue are taken by one transaction.
    pub entries_max: u32,
    /// After so many transactions the tick ends, with what is left for the next.
    pub transactions_max: u32,
}

/// What a tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ticked {
    /// Entries that were taken from the queues.
    pub entries: u64,
    /// Cells that were computed anew.
    pub cells: u64,
    /// Transactions that were committed.
    pub transactions: u32,
    /// Where the watermark is now; as it was where [`Reach::transactions_max`] came first.
    pub watermark: Option<Timestamp>,
    /// Rows of frozen buckets that came or changed, and are not in the target.
    pub late: u64,
    /// Whether all that is due was drained, and the watermark stamped.
    pub drained: bool,
    /// Whether the watermark is short of the reach.
    pub more: bool,
}

/// Why there is no tick.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    /// The database refused, or is gone. Nothing is stamped that is not true.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The row that holds the watermark is not there.
    #[error("{target} has no state row, so that nobody knows how far it is: seed it again, or put the row back")]
    NoState {
        /// The target.
        target: String,
    },
    /// Another declaration was installed, and these cells would be mixed with its.
    #[error("{target} was installed with another {fields}")]
    Changed {
        /// The target.
        target: String,
        /// What differs.
        fields: String,
    },
    /// Changes are not noticed, and what a tick would stamp was not true.
    #[error("{}: nothing is stamped while changes may go unnoticed", told(silent))]
    Silent {
        /// The triggers that do not fire.
        silent: Vec<Silent>,
    },
    /// Rows came or went past the triggers, and buckets are wrong since.
    #[error("{}: {}", .bypassed.what.join("; "), wrong(.target, .bypassed))]
    Bypassed {
        /// The target.
        target: String,
        /// What it was.
        bypassed: Bypassed,
    },
    /// Buckets are missing yet, and a watermark would deny it.
    #[error("{target} is not seeded: a watermark comes after the last slice")]
    NotSeeded {
        /// The target.
        target: String,
    },
}

fn told(silent: &[Silent]) -> String {
    let mut told: Vec<String> = silent.iter().take(SILENT_TOLD_MAX).map(ToString::to_string).collect();
    if silent.len() > SILENT_TOLD_MAX {
        told.push(format!("and {} more", silent.len() - SILENT_TOLD_MAX));
    }
    told.join("; ")
}

fn wrong(target: &str, bypassed: &Bypassed) -> String {
    match bypassed.wrong {
        Some(wrong) => {
            format!("no trigger fires for that, and {wrong} live cells of {target} are not what the raw rows yield")
        }
        None => {
            format!("no trigger fires for that, and the time-out came before the live cells of {target} were compared")
        }
    }
}

/// Drains what was queued before the new watermark, by as many transactions as that takes, and stamps it by the last of them.
/// No transaction may be open. The caller holds the lock, on this very session.
///
/// # Errors
/// [`TickError`]; what was drained before stays drained.
pub async fn tick(session: &mut dyn Session, declaration: &Declaration, reach: Reach) -> Result<Ticked, TickError> {
    let target = || declaration.target.to_string();
    let state = state::read(session, declaration).await?.ok_or_else(|| TickError::NoState { target: target() })?;
    if state.seeded_at.is_none() {
        return Err(TickError::NotSeeded { target: target() });
    }
    let fields = state.declared.map(|declared| declared.differing(declaration)).unwrap_or_default();
    if !fields.is_empty() {
        return Err(TickError::Changed { target: target(), fields: format!("`{}`", fields.join("`, `")) });
    }
    let silent = silent(session, declaration).await?;
    if !silent.is_empty() {
        return Err(TickError::Silent { silent });
    }
    let reach = Reach { until: floor(session.dialect(), reach.until), ..reach };
    let to = destination(session.dialect(), state.watermark, reach);
    let due = drain::Due { before: Some(to), entries_max: reach.entries_max };
    let mut ticked = Ticked { watermark: state.watermark, more: true, ..Ticked::default() };
    while ticked.transactions < reach.transactions_max {
        let drained = match round(session, declaration, due).await {
            Ok(Ok(drained)) => drained,
            Ok(Err(bypassed)) => {
                session.rollback().await?;
                return Err(TickError::Bypassed { target: target(), bypassed });
            }
            Err(fault) => {
                // The connection may be gone; then so is the transaction.
                session.rollback().await.ok();
                return Err(fault.into());
            }
        };
        ticked.transactions += 1;
        ticked.entries += drained.entries;
        ticked.cells += drained.cells;
        ticked.late += drained.late;
        if !drained.more {
            ticked.drained = true;
            ticked.watermark = Some(to);
            ticked.more = to < reach.until;
            break;
        }
    }
    Ok(ticked)
}

/// One transaction: some of what is due, and the stamp where that was all.
async fn round(
    session: &mut dyn Session,
    declaration: &Declaration,
    due: drain::Due,
) -> Result<Result<drain::Drained, Bypassed>, Fault> {
    session.begin().await?;
    if let Some(bypassed) = bypass::settle(session, declaration).await? {
        return Ok(Err(bypassed));
    }
    let drained = drain::drain(session, declaration, due).await?;
    if let (false, Some(to)) = (drained.more, due.before) {
        state::stamp(session, declaration, to).await?;
    }
    session.commit().await?;
    Ok(Ok(drained))
}

/// A time in the unit that entries are dated in: a watermark within such a unit would pass entries that are not due.
fn floor(dialect: Dialect, time: Timestamp) -> Timestamp {
    let unit = match dialect {
        Dialect::Postgres => Unit::Microsecond,
        Dialect::Sqlite => Unit::Millisecond,
    };
    let down = TimestampRound::new().smallest(unit).mode(RoundMode::Floor);
    time.round(down).unwrap_or(time)
}

/// The new watermark; never before the old one.
fn destination(dialect: Dialect, from: Option<Timestamp>, reach: Reach) -> Timestamp {
    let Some(from) = from else { return reach.until };
    let span = reach.span_max.and_then(|span| SignedDuration::try_from(span).ok());
    let farthest = span.and_then(|span| from.checked_add(span).ok()).unwrap_or(Timestamp::MAX);
    floor(dialect, reach.until.min(farthest)).max(from)
}
