//! Progress: how far a worklist is, how fast it goes and when it will be drained. Owns the one calculation that the bar,
//! `status` and every other reader share, from ledger rows alone.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::clock::since;
use crate::ledger::JobRecord;
use crate::worklist::Tally;

/// Shortest time over which a rate is told, in milliseconds: before that it would jump.
pub const RATE_AFTER_MS: u64 = 500;

/// The figures of a job as people see them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Items pinned.
    pub total: u64,
    /// Items with a terminal outcome.
    pub terminal: u64,
    /// Items without one.
    pub open: u64,
    /// Outcomes a second in the pass that runs, or ran last.
    pub rate: Option<f64>,
    /// Until everything is terminal, at that rate; only while a pass runs.
    pub eta: Option<Duration>,
    /// Passes that are needed after this one, when a budget of items ends each.
    pub passes_more: Option<u64>,
    /// That budget.
    pub budget_items: Option<u64>,
    /// Whether a pass runs.
    pub running: bool,
}

/// Reads the figures off a job's rows; `pace` is the config's, where it is known.
#[must_use]
pub fn figures(job: &JobRecord, now: Timestamp, pace: Duration) -> Figures {
    let tally = job.worklist.as_ref().map_or(Tally::default(), |w| w.tally);
    let pass = job.last_pass.as_ref();
    let budget_items = pass.and_then(|p| p.budget_items);
    let running = pass.is_some_and(|p| p.ended_at.is_none());
    let recorded = pass.map_or(0, |p| p.counts.all());
    let rate = pass.and_then(|p| {
        let span = since(p.ended_at.unwrap_or(now), p.begun_at);
        (recorded > 0 && span >= Duration::from_millis(RATE_AFTER_MS)).then(|| recorded as f64 / span.as_secs_f64())
    });
    // Before the first outcome the pace alone says how fast it can go at best.
    let paced = (!pace.is_zero()).then(|| 1.0 / pace.as_secs_f64());
    let open = tally.open();
    let left = budget_items.map(|budget| budget.saturating_sub(recorded));
    let eta = match rate.or(paced) {
        Some(rate) if running && open > 0 => {
            Duration::try_from_secs_f64(left.map_or(open, |left| left.min(open)) as f64 / rate).ok()
        }
        _ => None,
    };
    let passes_more = match (budget_items, left) {
        (Some(budget), Some(left)) if budget > 0 && open > left => Some((open - left).div_ceil(budget)),
        _ => None,
    };
    Figures { total: tally.total, terminal: tally.terminal(), open, rate, eta, passes_more, budget_items, running }
}
