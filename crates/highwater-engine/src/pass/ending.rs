//! How a pass ends, before it is written down: its reason, its sentence, and what each stop comes to.

use jiff::Timestamp;

use super::Pass;
use crate::diagnosis::Diagnosis;
use crate::job::Stop;
use crate::ledger::Halt;
use crate::name::ResourceName;
use crate::recorder;
use crate::report::{ExitCode, Reason};

/// How a pass ends, before it is written down.
pub(super) struct Ending {
    pub(super) reason: Reason,
    pub(super) message: String,
    pub(super) until: Option<Timestamp>,
    pub(super) diagnosis: Option<Diagnosis>,
}

impl Ending {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), until: None, diagnosis: None }
    }

    pub(super) fn failed(diagnosis: Diagnosis) -> Self {
        let reason = if diagnosis.exit == ExitCode::Refused { Reason::Refused } else { Reason::Failed };
        Self { diagnosis: Some(diagnosis.clone()), ..Self::new(reason, diagnosis.message) }
    }
}

impl Pass<'_> {
    /// Why a resource is banned, where the ledger says so.
    async fn why_banned(&self, resource: &ResourceName, until: Timestamp) -> Option<String> {
        let known = self.engine.ledger.resources().await.ok()?;
        let ban = known.into_iter().find(|known| known.name == *resource)?.ban?;
        (ban.until == until && !ban.why.is_empty()).then_some(ban.why)
    }

    /// What a stop is as an ending; a halt is in the ledger before this returns.
    pub(super) async fn stopped(&self, stop: Stop) -> Ending {
        match stop {
            Stop::Ban { resource, until } => {
                let why = self.why_banned(&resource, until).await.map(|why| format!(": {why}")).unwrap_or_default();
                let message = format!("{resource} is banned until {until:.0}{why}");
                Ending { until: Some(until), ..Ending::new(Reason::BannedUntil, message) }
            }
            Stop::Checkpoint { reason: Reason::Paused, message } => {
                let record = self.engine.ledger.job(&self.spec.name).await.ok().flatten();
                Ending::new(Reason::Paused, record.and_then(|r| r.paused).map_or(message, |pause| paused(&pause)))
            }
            Stop::Checkpoint { reason, message } => Ending::new(reason, message),
            Stop::Halt { why, evidence, until } => {
                let who = self.who();
                let engine = self.engine;
                let written =
                    recorder::halt(&*engine.ledger, &self.spec.name, &who, &engine.clock, why.clone(), evidence, until)
                        .await;
                match written {
                    Stop::Fail(diagnosis) => Ending::failed(diagnosis),
                    _ => halted(&self.spec.handle, &why),
                }
            }
            Stop::Halted => {
                let why = match self.engine.ledger.job(&self.spec.name).await {
                    Ok(record) => record.and_then(|r| r.halt).map(|h| format!("by {}: {}", h.who.0, h.why)),
                    Err(_) => None,
                };
                halted(&self.spec.handle, &why.unwrap_or_else(|| "by another".to_owned()))
            }
            Stop::Fail(diagnosis) => Ending::failed(diagnosis),
        }
    }
}

pub(super) fn halted(job: &str, why: &str) -> Ending {
    Ending::new(
        Reason::Halted,
        format!("halted: {why}; look with `highwater status {job}`, then `highwater rearm {job} --why …`"),
    )
}

pub(super) fn paused(pause: &Halt) -> String {
    let why = if pause.why.is_empty() { String::new() } else { format!(": {}", pause.why) };
    format!("paused by {} since {:.0}{why}", pause.who.0, pause.at)
}

/// Stops that stand even when every item is terminal.
pub(super) fn is_final(stop: &Stop) -> bool {
    match stop {
        Stop::Halt { .. } | Stop::Halted | Stop::Fail(_) => true,
        Stop::Checkpoint { reason, .. } => *reason == Reason::LockLost,
        Stop::Ban { .. } => false,
    }
}
