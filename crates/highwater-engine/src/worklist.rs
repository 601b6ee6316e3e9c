//! The worklist and what an outcome does to it. Owns [`Tally`] and [`settle`], the one rule by which an outcome changes
//! an item and the figures; every ledger calls it inside its own transaction, so that all ledgers agree.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{ItemKey, JobName, WorklistId};
use crate::outcome::{Outcome, OutcomeKind};

/// Deferrals that are free; later ones count as attempts while others succeed.
pub const DEFERRALS_FREE: u32 = 3;

/// The figures of a worklist, kept in the outcome's own transaction, so that `status` reads one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Items pinned.
    pub total: u64,
    /// Terminal: drained.
    pub done: u64,
    /// Terminal: the source no longer has them.
    pub gone: u64,
    /// Terminal: the target had them.
    pub present: u64,
    /// Terminal: a person said so.
    pub skipped: u64,
    /// Terminal: a person must look.
    pub review: u64,
    /// Open, tried at least once.
    pub retry: u64,
    /// Keys that were given more than once and collapsed.
    pub duplicates: u64,
    /// Items the breaker has judged since the last `rearm`, each once.
    pub judged: u64,
    /// Of those, how many stand as `review` or a counted `retry`.
    pub failed: u64,
    /// Of those, how many stand as `gone`.
    pub judged_gone: u64,
    /// Which count of the breaker this is; `rearm` starts the next.
    pub generation: i64,
    /// Outcomes recorded so far; the next one's number.
    pub recorded: u64,
}

impl Tally {
    /// Items with a terminal outcome.
    #[must_use]
    pub fn terminal(&self) -> u64 {
        self.done + self.gone + self.present + self.skipped + self.review
    }

    /// Items without one.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.total.saturating_sub(self.terminal())
    }

    /// Outcomes that show that the far side works.
    #[must_use]
    pub fn successes(&self) -> u64 {
        self.done + self.gone + self.present
    }

    fn slot(&mut self, kind: OutcomeKind) -> &mut u64 {
        match kind {
            OutcomeKind::Done => &mut self.done,
            OutcomeKind::Gone => &mut self.gone,
            OutcomeKind::Present => &mut self.present,
            OutcomeKind::Skipped => &mut self.skipped,
            OutcomeKind::Review => &mut self.review,
            OutcomeKind::Failed | OutcomeKind::Deferred => &mut self.retry,
        }
    }

    fn leave(&mut self, kind: OutcomeKind) {
        let slot = self.slot(kind);
        *slot = slot.saturating_sub(1);
    }

    /// Starts the breaker's count afresh.
    pub fn start_breaker_afresh(&mut self) {
        self.generation += 1;
        (self.judged, self.failed, self.judged_gone) = (0, 0, 0);
    }
}

/// How an item stands in the ledger, as far as an outcome changes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its last outcome; `None` while untried.
    pub outcome: Option<OutcomeKind>,
    /// Attempts that counted.
    pub attempts: u32,
    /// Deferrals.
    pub deferrals: u32,
    /// [`Tally::successes`] at its first deferral.
    pub successes_at_deferral: u64,
    /// The breaker's count in which it was last judged.
    pub judged_generation: Option<i64>,
    /// What the breaker last made of it: `Failed` for any failure, `Gone`, `Done` for the rest.
    pub judged_as: Option<OutcomeKind>,
}

impl Standing {
    /// Plan order is (rank, position).
    #[must_use]
    pub fn rank(&self) -> u32 {
        self.attempts + self.deferrals
    }
}

/// Applies one outcome to an item and to the figures; returns what was recorded, which is `review` in place of a retry
/// that reached `attempts_max`, and a counted retry in place of a deferral that has had its three, unless it waits for what is around it. An item that a person
/// skipped while it was in hand stays so, unless it succeeded.
pub fn settle(standing: &mut Standing, tally: &mut Tally, outcome: Outcome, attempts_max: u32) -> Outcome {
    let Outcome { mut kind, mut detail, waits } = outcome;
    if let Some(stands) = standing.outcome.filter(|stands| stands.is_terminal())
        && !kind.is_success()
    {
        return Outcome::because(stands, "a person's word stands");
    }
    if kind == OutcomeKind::Deferred {
        if standing.deferrals == 0 {
            standing.successes_at_deferral = tally.successes();
        }
        if !waits && standing.deferrals >= DEFERRALS_FREE && tally.successes() > standing.successes_at_deferral {
            kind = OutcomeKind::Failed;
        } else {
            standing.deferrals += 1;
        }
    }
    if kind != OutcomeKind::Deferred && kind != OutcomeKind::Skipped {
        standing.attempts += 1;
    }
    if kind == OutcomeKind::Failed && standing.attempts >= attempts_max {
        kind = OutcomeKind::Review;
        let last = detail.as_deref().unwrap_or("no detail");
        detail = Some(format!("{} attempts, the last: {last}", standing.attempts));
    }
    judge(standing, tally, kind);
    if let Some(old) = standing.outcome.replace(kind) {
        tally.leave(old);
    }
    *tally.slot(kind) += 1;
    tally.recorded += 1;
    match detail {
        Some(detail) => Outcome::because(kind, detail),
        None => Outcome::plain(kind),
    }
}

/// Puts an item back to untried, as `retry` does; returns whether anything changed.
pub fn reopen(standing: &mut Standing, tally: &mut Tally) -> bool {
    let Some(old) = standing.outcome.take() else { return false };
    tally.leave(old);
    if let (Some(generation), Some(as_kind)) = (standing.judged_generation.take(), standing.judged_as.take())
        && generation == tally.generation
    {
        unjudge(tally, as_kind);
        tally.judged = tally.judged.saturating_sub(1);
    }
    *standing = Standing::default();
    true
}

fn judge(standing: &mut Standing, tally: &mut Tally, kind: OutcomeKind) {
    let verdict = match kind {
        OutcomeKind::Deferred | OutcomeKind::Skipped => return,
        kind if kind.is_failure() => OutcomeKind::Failed,
        OutcomeKind::Gone => OutcomeKind::Gone,
        _ => OutcomeKind::Done,
    };
    match standing.judged_as {
        Some(old) if standing.judged_generation == Some(tally.generation) => unjudge(tally, old),
        _ => tally.judged += 1,
    }
    match verdict {
        OutcomeKind::Failed => tally.failed += 1,
        OutcomeKind::Gone => tally.judged_gone += 1,
        _ => {}
    }
    standing.judged_generation = Some(tally.generation);
    standing.judged_as = Some(verdict);
}

fn unjudge(tally: &mut Tally, verdict: OutcomeKind) {
    match verdict {
        OutcomeKind::Failed => tally.failed = tally.failed.saturating_sub(1),
        OutcomeKind::Gone => tally.judged_gone = tally.judged_gone.saturating_sub(1),
        _ => {}
    }
}

/// Whether a worklist is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorklistState {
    /// Its items are being written.
    Discovering,
    /// It is whole and fixed.
    Pinned,
    /// Every item is terminal and the pass that saw it sealed.
    Drained,
    /// Another took its place.
    Superseded,
}

impl WorklistState {
    /// The word in the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Discovering => "discovering",
            Self::Pinned => "pinned",
            Self::Drained => "drained",
            Self::Superseded => "superseded",
        }
    }
}

/// A worklist's given input, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What it is, for people: the file's path.
    pub source: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// A cheap sign that it did not change (size, mtime, inode); equal means equal bytes, different means: hash it.
    pub sign: String,
}

/// A worklist's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorklistRecord {
    /// Its number.
    pub id: WorklistId,
    /// Whose it is.
    pub job: JobName,
    /// Which round of the job it is, from 1.
    pub round: u32,
    /// Whether it is complete.
    pub state: WorklistState,
    /// The given input it was read from; `None` for a discovered one.
    pub input: Option<Input>,
    /// SHA-256 over its items in order, in hex, once pinned.
    pub sha256: Option<String>,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// When it was pinned.
    pub pinned_at: Option<Timestamp>,
    /// When it was drained or superseded.
    pub closed_at: Option<Timestamp>,
    /// Its figures.
    pub tally: Tally,
}

/// An item to be pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    /// What makes it itself.
    pub key: ItemKey,
    /// What the job needs to know of it, in the job's own encoding.
    pub payload: Vec<u8>,
}

/// What a batch of items became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// Items that are new.
    pub added: u64,
    /// Items whose key was there.
    pub duplicates: u64,
    /// The first key that was there with another payload: the first one given stands.
    pub conflict: Option<ItemKey>,
    /// How many keys were there with another payload.
    pub conflicts: u64,
}

/// What a person is told of lines that repeat a key.
#[must_use]
pub fn repeated(lines: u64) -> String {
    let (repeat, their) = if lines == 1 { ("repeats", "its") } else { ("repeat", "their") };
    format!("{} {repeat} a key that was there: {their} item is the first one's", crate::report::counted(lines, "line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(kind: OutcomeKind) -> Outcome {
        Outcome::because(kind, "no answer")
    }

    #[test]
    fn an_item_that_fails_each_time_ends_in_review_and_is_judged_once() {
        let (mut item, mut tally) = (Standing::default(), Tally { total: 1, ..Tally::default() });
        for n in 1..5 {
            assert_eq!(settle(&mut item, &mut tally, retry(OutcomeKind::Failed), 5).kind, OutcomeKind::Failed);
            assert_eq!((item.attempts, tally.retry, tally.judged, tally.failed), (n, 1, 1, 1));
        }
        let last = settle(&mut item, &mut tally, retry(OutcomeKind::Failed), 5);
        assert_eq!(last.kind, OutcomeKind::Review);
        assert_eq!(last.detail.as_deref(), Some("5 attempts, the last: no answer"));
        assert_eq!((tally.review, tally.retry, tally.judged, tally.failed, tally.open()), (1, 0, 1, 1, 0));
    }

    #[test]
    fn deferrals_count_only_after_three_while_others_succeed() {
        let (mut item, mut tally) = (Standing::default(), Tally { total: 2, ..Tally::default() });
        for _ in 0..10 {
            assert_eq!(settle(&mut item, &mut tally, retry(OutcomeKind::Deferred), 5).kind, OutcomeKind::Deferred);
        }
        assert_eq!((item.attempts, item.deferrals, tally.judged), (0, 10, 0));
        settle(&mut Standing::default(), &mut tally, Outcome::done(), 5);
        for _ in 0..4 {
            assert_eq!(settle(&mut item, &mut tally, retry(OutcomeKind::Deferred), 5).kind, OutcomeKind::Failed);
        }
        assert_eq!(settle(&mut item, &mut tally, retry(OutcomeKind::Deferred), 5).kind, OutcomeKind::Review);
    }

    #[test]
    fn what_waits_for_its_surroundings_is_never_counted_whatever_others_do() {
        let (mut item, mut tally) = (Standing::default(), Tally { total: 20, ..Tally::default() });
        for _ in 0..10 {
            settle(&mut Standing::default(), &mut tally, Outcome::done(), 5);
            let waits = settle(&mut item, &mut tally, Outcome::waiting("its disk is full"), 5);
            assert_eq!((waits.kind, item.attempts), (OutcomeKind::Deferred, 0));
        }
        assert_eq!(item.rank(), 10, "and it goes to the back");
    }

    #[test]
    fn rearm_counts_afresh_and_reopen_takes_the_count_back() {
        let (mut item, mut tally) = (Standing::default(), Tally { total: 1, ..Tally::default() });
        settle(&mut item, &mut tally, retry(OutcomeKind::Review), 5);
        tally.start_breaker_afresh();
        assert_eq!((tally.judged, tally.failed, tally.review), (0, 0, 1));
        assert!(reopen(&mut item, &mut tally));
        assert_eq!((tally.judged, tally.failed, tally.review, tally.open()), (0, 0, 0, 1));
        settle(&mut item, &mut tally, retry(OutcomeKind::Failed), 5);
        settle(&mut item, &mut tally, Outcome::done(), 5);
        assert_eq!((tally.judged, tally.failed, tally.done, tally.retry), (1, 0, 1, 0));
    }
}
