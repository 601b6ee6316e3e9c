//! Notices: what people are told at the end of a pass. Owns that each change is told once, that what could not be told is tried
//! again, and what a round of deliveries may cost. Where changes and waiting notices are remembered is the ledger's; what a
//! pass did is its report's.
//!
//! A notice is claimed for [`LEASE_SECS`] before it is delivered, so that two processes whose passes end together deliver it
//! once. One that is killed between the delivery and its record leaves the lease to lapse and the notice is delivered again:
//! at least once there, once everywhere else.

mod change;
mod command;
mod cron;
mod message;
mod target;
mod webhook;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;

use self::change::Change;
use self::target::Undelivered;
use crate::clock::{later, since};
use crate::contact::Urgency;
use crate::diagnosis::with_causes;
use crate::ledger::{LedgerError, LedgerResult, Notice};
use crate::pass::Engine;
use crate::report::PassReport;
use crate::settings::NotifyEvent;
use crate::spec::JobSpec;

pub use self::cron::cron_prints;
pub use self::message::{Figures, MESSAGE_BYTES_MAX, Message};
pub use self::target::Target;

/// Most notices that one round claims.
pub const NOTICES_PER_ROUND_MAX: usize = 128;
/// Longest round of deliveries, in seconds, whatever the targets' own time-outs.
pub const DELIVERY_SECS_MAX: u64 = 30;
/// How long a claimed notice is this process's alone, in seconds: a round and ample time to record it.
pub const LEASE_SECS: u64 = 120;
/// The wait after a notice's first failed delivery, in seconds; each further failure doubles it.
pub const RETRY_SECS_FIRST: u64 = 60;
/// The longest wait after a failed delivery, in seconds.
pub const RETRY_SECS_MAX: u64 = 3_600;
/// A notice that is older than this when its delivery fails is given up, in days.
pub const NOTICE_AGE_DAYS_MAX: u64 = 7;

const DAY_SECS: u64 = 86_400;

/// Tells people what passes changed.
#[derive(Debug, Default)]
pub struct Notifier {
    targets: Vec<Target>,
    http: OnceLock<reqwest::Client>,
}

impl Notifier {
    /// A notifier of these targets, in the order of the config's `[[notify]]` entries. Without any it still remembers what
    /// changed, so that a target added later is not told of old changes.
    #[must_use]
    pub fn new(targets: Vec<Target>) -> Self {
        Self { targets, http: OnceLock::new() }
    }

    /// Queues what the pass changed and delivers what waits, of every job in the ledger. To be called after the pass let its
    /// locks go, and never after a dry run. Whatever goes wrong is logged and returned as notes for people; the pass is as it
    /// was.
    pub async fn after_pass(&self, engine: &Engine, spec: &JobSpec, report: &PassReport) -> Vec<String> {
        match self.queue(engine, spec, report).await {
            Ok(()) => self.deliver_waiting(engine).await,
            Err(error) => self.tell_unremembered(engine, spec, report, &error).await,
        }
    }

    async fn queue(&self, engine: &Engine, spec: &JobSpec, report: &PassReport) -> LedgerResult<()> {
        for Change { event, key, message } in change::all(engine, spec, report).await? {
            let (targets, body) = match &message {
                Some(message) => (self.wanting(event).collect(), message.to_json()),
                None => (Vec::new(), String::new()),
            };
            let at = engine.clock.now();
            engine.ledger.queue_notice(&spec.name, change::word(event), &key, &targets, &body, at).await?;
        }
        Ok(())
    }

    /// The targets that are told of a change, by position.
    fn wanting(&self, event: NotifyEvent) -> impl Iterator<Item = u32> {
        (0..).zip(&self.targets).filter(move |(_, target)| target.wants(event)).map(|(position, _)| position)
    }

    /// A pass that failed in a ledger that cannot remember that it was told (a full disk) is told each time: rather twice
    /// than never. Every other change is still in the ledger for the next pass to see.
    async fn tell_unremembered(
        &self,
        engine: &Engine,
        spec: &JobSpec,
        report: &PassReport,
        error: &LedgerError,
    ) -> Vec<String> {
        tracing::warn!(job = %report.job, error = error as &dyn std::error::Error, "changes could not be queued for notice");
        let mut notes = vec![format!("what this pass changed could not be queued for notice: {error}")];
        let Some(message) = change::failed_message(engine, spec, report) else { return notes };
        let notices = self.wanting(NotifyEvent::Failed).map(|target| Notice {
            no: 0,
            job: report.job.clone(),
            target,
            change: change::word(NotifyEvent::Failed).to_owned(),
            body: message.to_json(),
            queued_at: message.at,
            attempts: 0,
            last_error: None,
        });
        let deliveries = notices.map(async |notice| self.deliver(engine, &notice).await.err());
        for error in unless_stopped(engine, join_all(deliveries)).await.into_iter().flatten().flatten() {
            tracing::warn!(job = %report.job, error = &error as &dyn std::error::Error, "people could not be told");
            notes.push(format!("a notice could not be delivered: {}", with_causes(&error)));
        }
        notes
    }

    /// Delivers what waits and is due, for at most [`DELIVERY_SECS_MAX`]. Returns notes for people: what could not be
    /// delivered, once a target.
    pub async fn deliver_waiting(&self, engine: &Engine) -> Vec<String> {
        if self.targets.is_empty() {
            return Vec::new();
        }
        let lease = Duration::from_secs(LEASE_SECS);
        let claimed = engine.ledger.claim_notices(engine.clock.now(), lease, NOTICES_PER_ROUND_MAX).await;
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "waiting notices could not be claimed");
                return vec![format!("waiting notices could not be claimed: {error}")];
            }
        };
        let mut lines: BTreeMap<u32, Vec<Notice>> = BTreeMap::new();
        for notice in claimed {
            lines.entry(notice.target).or_default().push(notice);
        }
        let deadline = engine.clock.elapsed() + Duration::from_secs(DELIVERY_SECS_MAX);
        let lines = lines.into_iter().map(|(target, line)| self.deliver_line(engine, target, line, deadline));
        let notes = unless_stopped(engine, join_all(lines)).await;
        notes.into_iter().flatten().flatten().collect()
    }

    /// Delivers one target's notices, oldest first, while there is time for another and up to the first that fails: a target
    /// that is down costs a round one time-out. Those behind it come due again when the lease lapses.
    async fn deliver_line(
        &self,
        engine: &Engine,
        target: u32,
        mut line: Vec<Notice>,
        deadline: Duration,
    ) -> Option<String> {
        line.sort_by_key(|notice| notice.no);
        let span = self.target(target).map_or(Duration::ZERO, Target::span);
        for (delivered, notice) in line.iter().enumerate() {
            if delivered > 0 && engine.clock.elapsed() + span > deadline {
                return None;
            }
            let result = self.deliver(engine, notice).await;
            let at = engine.clock.now();
            let (result, note) = match result {
                Ok(()) => (Ok(()), None),
                Err(error) => failed(notice, &error, at),
            };
            if let Err(error) = engine.ledger.settle_notice(notice.no, at, result).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    notice.no,
                    error,
                    "what became of a notice could not be recorded; it may be delivered again"
                );
                return Some(format!("what became of notice {} could not be recorded: {error}", notice.no));
            }
            if note.is_some() {
                return note;
            }
        }
        None
    }

    fn target(&self, position: u32) -> Option<&Target> {
        self.targets.get(usize::try_from(position).ok()?)
    }

    async fn deliver(&self, engine: &Engine, notice: &Notice) -> Result<(), Undelivered> {
        match self.target(notice.target) {
            Some(target) => target.deliver(&*engine.clock, &self.http, notice).await,
            None => Err(Undelivered::NoTarget { number: u64::from(notice.target) + 1 }),
        }
    }
}

/// A second signal ends deliveries at once; what was claimed comes due again when the lease lapses.
async fn unless_stopped<T>(engine: &Engine, deliveries: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = deliveries => Some(done),
        () = engine.stop.raised(Urgency::Now) => None,
    }
}

/// What the ledger and what people are told of a delivery that failed.
fn failed(notice: &Notice, error: &Undelivered, now: Timestamp) -> (Result<(), (String, Timestamp)>, Option<String>) {
    let why = with_causes(error);
    let tells = format!("notice {} ({} {})", notice.no, notice.job, notice.change);
    let told_before = matches!(error, Undelivered::OutOfReach { .. });
    if since(now, notice.queued_at) >= Duration::from_secs(NOTICE_AGE_DAYS_MAX * DAY_SECS) {
        tracing::error!(notice.no, job = %notice.job, error = why, "a notice is given up, {NOTICE_AGE_DAYS_MAX} days old");
        return (Ok(()), Some(format!("{tells} is given up after {NOTICE_AGE_DAYS_MAX} days: {why}")));
    }
    let due = later(now, retry_wait(notice.attempts).max(error.asked_wait()));
    // A person gets the note; the log file has it as well.
    tracing::info!(notice.no, job = %notice.job, notice.due = %due, error = why, "people could not be told; tried again later");
    let note = format!("{tells} could not be delivered and is tried again from {due:.0}: {why}");
    (Err((why, due)), (!told_before).then_some(note))
}

/// The wait before the next try of a notice that failed `attempts` times before this one.
fn retry_wait(attempts: u32) -> Duration {
    let secs = 1_u64.checked_shl(attempts).and_then(|factor| RETRY_SECS_FIRST.checked_mul(factor));
    Duration::from_secs(secs.unwrap_or(RETRY_SECS_MAX).min(RETRY_SECS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_a_minute_to_an_hour() {
        let waits: Vec<_> = [0, 1, 2, 5, 6, 7, 58, 59, 63, 64, u32::MAX].map(|n| retry_wait(n).as_secs()).into();
        assert_eq!(waits, [60, 120, 240, 1920, 3600, 3600, 3600, 3600, 3600, 3600, 3600]);
    }
}
