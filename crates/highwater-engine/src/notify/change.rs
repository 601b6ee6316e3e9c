//! What a pass changed: which of its endings and of the job's record people are told, and the key that makes a change the
//! same change. Owns no delivery and remembers nothing.

use jiff::Timestamp;

use super::message::{Message, shortened};
use crate::clock::since;
use crate::ledger::{JobRecord, JobState, LedgerResult, PAGE_ROWS_MAX};
use crate::pass::Engine;
use crate::report::{ExitCode, PassReport, Reason};
use crate::settings::{DurationText, NotifyEvent};
use crate::spec::JobSpec;
use crate::worklist::{Tally, WorklistState};

/// How many of a job's newest passes are searched for new `review` items: those of passes that were killed are found too.
const REVIEW_PASSES_MAX: usize = 32;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 512;
/// The key of a state that nobody is told of.
pub(super) const GOOD: &str = "";

/// Something to remember of a job, and to tell if it is news.
pub(super) struct Change {
    pub(super) event: NotifyEvent,
    /// The same key is the same change.
    pub(super) key: String,
    /// `None`: remembered only, so that what follows is news again.
    pub(super) message: Option<Message>,
}

/// The word in the ledger.
pub(super) fn word(event: NotifyEvent) -> &'static str {
    match event {
        NotifyEvent::Halted => "halted",
        NotifyEvent::Drained => "drained",
        NotifyEvent::Review => "review",
        NotifyEvent::Failed => "failed",
        NotifyEvent::Silent => "silent",
    }
}

/// Whether a pass that did not fail came far enough to say that what failed before does not fail any more.
pub(super) fn got_on(report: &PassReport) -> bool {
    if report.counts.all() > 0 {
        return true;
    }
    match report.reason {
        Reason::Drained
        | Reason::AlreadyDrained
        | Reason::Pinned
        | Reason::BudgetItems
        | Reason::BudgetContacts
        | Reason::BudgetBytes
        | Reason::BudgetTime
        | Reason::BudgetTokens
        | Reason::RetryLeft
        | Reason::Network
        | Reason::Checkpoint => true,
        Reason::LockHeld
        | Reason::Throttled
        | Reason::Yielded
        | Reason::BannedUntil
        | Reason::Paused
        | Reason::Disarmed
        | Reason::Stopped
        | Reason::LockLost
        | Reason::DryRun
        | Reason::Halted
        | Reason::Refused
        | Reason::Failed => false,
    }
}

/// The key of a failure; `None` for any other ending.
pub(super) fn failure_key(report: &PassReport) -> Option<String> {
    if !matches!(report.exit, ExitCode::Failed | ExitCode::Refused) {
        return None;
    }
    let code = report.diagnosis.as_ref().map_or(report.reason.word(), |diagnosis| diagnosis.code);
    Some(shortened(&format!("{code} {}", report.message), KEY_BYTES_MAX))
}

/// Every change that the report and the job's record show.
pub(super) async fn all(engine: &Engine, spec: &JobSpec, report: &PassReport) -> LedgerResult<Vec<Change>> {
    let Some(record) = engine.ledger.job(&spec.name).await? else { return Ok(Vec::new()) };
    let mut changes = Vec::new();
    changes.extend(failed(engine, spec, report));
    changes.extend(halted(engine, spec, report, &record));
    changes.extend(review(engine, spec, report, &record).await?);
    changes.extend(drained(engine, spec, report, &record));
    changes.extend(silent(engine, spec, report, &record).await?);
    Ok(changes)
}

fn failed(engine: &Engine, spec: &JobSpec, report: &PassReport) -> Option<Change> {
    let event = NotifyEvent::Failed;
    match failure_key(report) {
        Some(key) => Some(Change { event, key, message: failed_message(engine, spec, report) }),
        None => got_on(report).then(|| Change { event, key: GOOD.to_owned(), message: None }),
    }
}

/// What people are told of a pass that failed; `None` for any other.
pub(super) fn failed_message(engine: &Engine, spec: &JobSpec, report: &PassReport) -> Option<Message> {
    failure_key(report)?;
    let next = match &report.diagnosis {
        Some(diagnosis) => diagnosis.next.clone(),
        None => format!("look with `highwater status {}`", spec.handle),
    };
    let text = match &report.diagnosis {
        Some(diagnosis) => format!("{}: {}", diagnosis.code, report.message),
        None => report.message.clone(),
    };
    Some(Message::new(engine, report, NotifyEvent::Failed, &text, &next))
}

fn halted(engine: &Engine, spec: &JobSpec, report: &PassReport, record: &JobRecord) -> Option<Change> {
    let halt = record.halt.as_ref().filter(|_| report.reason == Reason::Halted)?;
    let job = &spec.handle;
    let text = format!("halted by {}: {}", halt.who.0, halt.why);
    let next = format!("look with `highwater status {job}`, mend the cause, then `highwater rearm {job} --why …`");
    let message = Message { at: halt.at, ..Message::new(engine, report, NotifyEvent::Halted, &text, &next) };
    Some(Change { event: NotifyEvent::Halted, key: halt.at.to_string(), message: Some(message) })
}

/// Keyed by the worklist and when it was drained: one that `retry` or `--extend` opened is drained again.
fn drained(engine: &Engine, spec: &JobSpec, report: &PassReport, record: &JobRecord) -> Option<Change> {
    let worklist = record.worklist.as_ref().filter(|w| report.drained() && w.state == WorklistState::Drained)?;
    // A round of a recurring job that found nothing to do is no news.
    if spec.recurring && worklist.tally.total == 0 {
        return None;
    }
    let Tally { total, done, gone, present, skipped, review, .. } = worklist.tally;
    let counts = [(done, "done"), (gone, "gone"), (present, "present"), (skipped, "skipped"), (review, "to review")];
    let some = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    let text = match total {
        0 => "drained: the worklist has no items".to_owned(),
        _ => format!("{} drained: {}", items(total, ""), some.collect::<Vec<_>>().join(", ")),
    };
    let next = if review > 0 { look_at_review(spec) } else { "nothing".to_owned() };
    let key = match worklist.closed_at {
        Some(at) => format!("worklist {} at {at}", worklist.id),
        None => format!("worklist {}", worklist.id),
    };
    let message = Message::new(engine, report, NotifyEvent::Drained, &text, &next);
    Some(Change { event: NotifyEvent::Drained, key, message: Some(message) })
}

/// `1 new item`, `12 items`.
fn items(count: u64, which: &str) -> String {
    let noun = if count == 1 { "item" } else { "items" };
    format!("{count} {which}{noun}")
}

fn look_at_review(spec: &JobSpec) -> String {
    let job = &spec.handle;
    format!("look with `highwater items {job} --outcome review`, then `highwater retry {job} KEY…` or `skip`")
}

/// Keyed by the newest pass that put items to review.
async fn review(
    engine: &Engine,
    spec: &JobSpec,
    report: &PassReport,
    record: &JobRecord,
) -> LedgerResult<Option<Change>> {
    let all = record.worklist.as_ref().map_or(0, |worklist| worklist.tally.review);
    if all == 0 {
        return Ok(None);
    }
    let passes = engine.ledger.passes(&record.name, REVIEW_PASSES_MAX).await?;
    let newest = passes.iter().find(|pass| pass.ended_at.is_some() && pass.counts.review > 0);
    Ok(newest.map(|pass| {
        let text = format!("{} to review, {all} in all", items(pass.counts.review, "new "));
        let message = Message::new(engine, report, NotifyEvent::Review, &text, &look_at_review(spec));
        Change { event: NotifyEvent::Review, key: format!("pass {}", pass.id), message: Some(message) }
    }))
}

/// Keyed by the moment from which nothing was drained.
async fn silent(
    engine: &Engine,
    spec: &JobSpec,
    report: &PassReport,
    record: &JobRecord,
) -> LedgerResult<Option<Change>> {
    let Some(after) = spec.silent_after else { return Ok(None) };
    let whole = record.worklist.as_ref().is_some_and(|worklist| worklist.state == WorklistState::Drained);
    let nothing_left = !spec.recurring && (whole || record.state == JobState::Drained);
    if nothing_left || matches!(report.reason, Reason::Disarmed | Reason::DryRun) {
        return Ok(None);
    }
    let (from, key) = match last_sign(spec, record) {
        Some(at) => (at, at.to_string()),
        None => match engine.ledger.passes(&record.name, PAGE_ROWS_MAX).await?.last() {
            // Not the pass's time: as old passes are forgotten, it moves.
            Some(first) => (first.begun_at, "never drained".to_owned()),
            None => return Ok(None),
        },
    };
    if since(engine.clock.now(), from) < after {
        return Ok(None);
    }
    let text = format!(
        "nothing was drained for {}, since {from:.0}; the last pass: {}",
        DurationText::secs(after.as_secs()),
        report.message
    );
    let next = format!("see what stands in the way with `highwater status {}`", spec.handle);
    let message = Message::new(engine, report, NotifyEvent::Silent, &text, &next);
    Ok(Some(Change { event: NotifyEvent::Silent, key, message: Some(message) }))
}

/// When the job was last seen to get on: an item became terminal, or a finite job's list was pinned.
fn last_sign(spec: &JobSpec, record: &JobRecord) -> Option<Timestamp> {
    let pinned = record.worklist.as_ref().filter(|_| !spec.recurring).and_then(|worklist| worklist.pinned_at);
    record.last_drained_at.max(pinned)
}
