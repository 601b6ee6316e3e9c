//! The breaker: a condition that halts the job until a person re-arms it. Owns the rates; the counts are the worklist's
//! [`Tally`], each item judged once by how it stands, since the last `rearm`.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::outcome::OutcomeKind;
use crate::report::counted;
use crate::worklist::Tally;

/// Below the minimum count, at the end of the worklist, more than this share halts; more than the limit, where that is more.
pub const SHARE_AT_END_MAX: f64 = 0.5;

/// When a job halts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BreakerRules {
    /// Share of `review` and counted `retry` above which it halts, 0.0 to 1.0.
    pub failed: f64,
    /// Judged from this many items on.
    pub failed_after: u64,
    /// Share of `gone` above which it halts, 0.0 to 1.0.
    pub gone: f64,
    /// Judged from this many items on.
    pub gone_after: u64,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { failed: 0.05, failed_after: 50, gone: 0.30, gone_after: 100 }
    }
}

/// Whether the counts halt the job, and in which words. `at_end`: every open item of the worklist was tried.
#[must_use]
pub fn tripped(rules: &BreakerRules, tally: &Tally, at_end: bool) -> Option<String> {
    let judged = tally.judged;
    let check = |what: &str, count: u64, share_max: f64, after: u64, at_end_max: f64| {
        let share_max = match (judged >= after, at_end) {
            (true, _) => share_max,
            (false, true) => at_end_max,
            (false, false) => return None,
        };
        let share = count as f64 / judged.max(1) as f64;
        (share > share_max).then(|| {
            format!(
                "{count} of {} {what} ({:.1} %, limit {:.1} %)",
                counted(judged, "item"),
                share * 100.0,
                share_max * 100.0
            )
        })
    };
    // Who lets more of many fail, or be gone, lets as much of a few.
    let at_end_max = |share: f64| share.max(SHARE_AT_END_MAX);
    check("failed or need review", tally.failed, rules.failed, rules.failed_after, at_end_max(rules.failed))
        .or_else(|| check("are gone", tally.judged_gone, rules.gone, rules.gone_after, at_end_max(rules.gone)))
}

/// What the breaker will see once the outcomes that are known are recorded. Recording is in plan order and in groups, so it
/// trails; without this, a hundred items could begin after the one that trips the breaker.
#[derive(Debug)]
pub(crate) struct Foresight {
    rules: BreakerRules,
    failed: AtomicU64,
    gone: AtomicU64,
    others: AtomicU64,
    figures: watch::Receiver<Tally>,
}

impl Foresight {
    pub(crate) fn new(rules: BreakerRules, figures: watch::Receiver<Tally>) -> Self {
        let zero = || AtomicU64::new(0);
        Self { rules, failed: zero(), gone: zero(), others: zero(), figures }
    }

    fn slot(&self, kind: OutcomeKind) -> Option<&AtomicU64> {
        match kind {
            OutcomeKind::Deferred | OutcomeKind::Skipped => None,
            kind if kind.is_failure() => Some(&self.failed),
            OutcomeKind::Gone => Some(&self.gone),
            _ => Some(&self.others),
        }
    }

    /// An outcome is known.
    pub(crate) fn known(&self, kind: OutcomeKind) {
        if let Some(slot) = self.slot(kind) {
            slot.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// It is in the figures; called while they are changed, so that no reader sees it twice or not at all.
    pub(crate) fn recorded(&self, kind: OutcomeKind) {
        if let Some(slot) = self.slot(kind) {
            slot.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Whether what is known would trip the breaker.
    pub(crate) fn would_trip(&self) -> bool {
        let figures = self.figures.borrow();
        let mut tally = *figures;
        let (failed, gone) = (self.failed.load(Ordering::SeqCst), self.gone.load(Ordering::SeqCst));
        tally.judged += failed + gone + self.others.load(Ordering::SeqCst);
        tally.failed += failed;
        tally.judged_gone += gone;
        tripped(&self.rules, &tally, false).is_some()
    }

    /// Ends once what is known would not trip the breaker; where it would, recording it tells.
    pub(crate) async fn clear(&self) {
        if !self.would_trip() {
            return;
        }
        let mut figures = self.figures.clone();
        while self.would_trip() {
            if figures.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(judged: u64, failed: u64, gone: u64) -> Tally {
        Tally { judged, failed, judged_gone: gone, ..Tally::default() }
    }

    #[test]
    fn rates_are_judged_from_a_count_on_and_at_the_end() {
        let rules = BreakerRules::default();
        assert!(tripped(&rules, &tally(49, 49, 0), false).is_none());
        assert!(tripped(&rules, &tally(50, 3, 0), false).is_some());
        assert!(tripped(&rules, &tally(60, 3, 0), false).is_none());
        assert!(tripped(&rules, &tally(10, 1, 0), true).is_none());
        assert!(tripped(&rules, &tally(10, 5, 0), true).is_none());
        assert!(tripped(&rules, &tally(10, 6, 0), true).is_some());
        let lenient = BreakerRules { failed: 1.0, ..rules };
        assert!(tripped(&lenient, &tally(1, 1, 0), true).is_none());
        assert!(tripped(&rules, &tally(1, 0, 1), true).is_some());
        let unmoved = BreakerRules { gone: 1.0, ..rules };
        assert!(tripped(&unmoved, &tally(1, 0, 1), true).is_none());
        assert!(tripped(&rules, &tally(100, 0, 100), false).is_some());
        assert!(tripped(&rules, &tally(0, 0, 0), true).is_none());
    }
}
