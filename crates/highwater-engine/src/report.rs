//! How a pass ended: exit codes, reasons and the report. Owns what an ending is called and which exit code it has.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{JobName, PassId};
use crate::outcome::OutcomeKind;
use crate::worklist::Tally;

/// The exit codes of DESIGN §2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitCode {
    /// 0: drained or nothing to do.
    Drained,
    /// 3: call me again.
    Checkpoint,
    /// 1: a bug or an environment failure.
    Failed,
    /// 2: usage, configuration or a refusal.
    Refused,
    /// 4: a person must look.
    Halted,
}

impl ExitCode {
    /// The number a process ends with.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Drained => 0,
            Self::Failed => 1,
            Self::Refused => 2,
            Self::Checkpoint => 3,
            Self::Halted => 4,
        }
    }

    /// Of several jobs the worst wins: 4 > 2 > 1 > 3 > 0.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        let rank = |code: Self| match code {
            Self::Drained => 0,
            Self::Checkpoint => 1,
            Self::Failed => 2,
            Self::Refused => 3,
            Self::Halted => 4,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

/// Why a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Every item is terminal.
    Drained,
    /// A finite job was drained before the pass began.
    AlreadyDrained,
    /// Another pass, or another program, holds a lock.
    LockHeld,
    /// A waiting pass goes first.
    Yielded,
    /// A resource is banned.
    BannedUntil,
    /// A person paused the job.
    Paused,
    /// This host's config keeps the job from running.
    Disarmed,
    /// The pass's items are spent.
    BudgetItems,
    /// The pass's contacts are spent.
    BudgetContacts,
    /// The pass's bytes are spent.
    BudgetBytes,
    /// The pass's time is spent.
    BudgetTime,
    /// The tokens of a language model that the pass may pay are spent.
    BudgetTokens,
    /// Every open item was tried once; some are to be tried again.
    RetryLeft,
    /// Signals kept the throttle closed for longer than `throttle-wait`.
    Throttled,
    /// The far side did not answer.
    Network,
    /// The job asked for another call.
    Checkpoint,
    /// A signal, or a person's word.
    Stopped,
    /// The lock was lost while it was held.
    LockLost,
    /// A dry run left things undone.
    DryRun,
    /// The worklist is pinned, as asked; nothing was drained.
    Pinned,
    /// A breaker, the job or a person halted it.
    Halted,
    /// The pass was refused.
    Refused,
    /// The pass failed.
    Failed,
}

impl Reason {
    /// The word in reports and in the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::AlreadyDrained => "already_drained",
            Self::LockHeld => "lock_held",
            Self::Yielded => "yielded",
            Self::BannedUntil => "banned_until",
            Self::Paused => "paused",
            Self::Disarmed => "disarmed",
            Self::BudgetItems => "budget_items",
            Self::BudgetContacts => "budget_contacts",
            Self::BudgetBytes => "budget_bytes",
            Self::BudgetTime => "budget_time",
            Self::BudgetTokens => "budget_tokens",
            Self::RetryLeft => "retry_left",
            Self::Throttled => "throttled",
            Self::Network => "network",
            Self::Checkpoint => "checkpoint",
            Self::Stopped => "stopped",
            Self::LockLost => "lock_lost",
            Self::DryRun => "dry_run",
            Self::Pinned => "pinned",
            Self::Halted => "halted",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// The exit code that goes with it.
    #[must_use]
    pub fn exit(self) -> ExitCode {
        match self {
            Self::Drained | Self::AlreadyDrained | Self::Pinned => ExitCode::Drained,
            Self::Halted => ExitCode::Halted,
            Self::Refused => ExitCode::Refused,
            Self::Failed => ExitCode::Failed,
            _ => ExitCode::Checkpoint,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How many items a pass gave each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassCounts {
    /// Items drained.
    pub done: u64,
    /// Items the source no longer has.
    pub gone: u64,
    /// Items the target had.
    pub present: u64,
    /// Items a person must look at.
    pub review: u64,
    /// Items to be tried again.
    pub retry: u64,
}

impl PassCounts {
    /// Counts one outcome.
    pub fn count(&mut self, kind: OutcomeKind) {
        match kind {
            OutcomeKind::Done => self.done += 1,
            OutcomeKind::Gone => self.gone += 1,
            OutcomeKind::Present => self.present += 1,
            OutcomeKind::Review => self.review += 1,
            OutcomeKind::Failed | OutcomeKind::Deferred => self.retry += 1,
            OutcomeKind::Skipped => {}
        }
    }

    /// All outcomes.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.done + self.gone + self.present + self.review + self.retry
    }
}

/// Time spent in each stage of a pass, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTimes {
    /// Waiting for locks.
    pub lock_us: u64,
    /// Recovering and planning.
    pub plan_us: u64,
    /// Preparing, summed over all items.
    pub prepare_us: u64,
    /// Committing, summed over all items.
    pub commit_us: u64,
    /// Sealing.
    pub seal_us: u64,
}

/// What a pass spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Items begun.
    pub items: u64,
    /// Contacts made.
    pub contacts: u64,
    /// Bytes moved.
    pub bytes: u64,
}

/// How a pass ended: what the line for people, the JSON for programs and the row in the ledger are made of.
#[derive(Debug, Clone, Serialize)]
pub struct PassReport {
    /// The job.
    pub job: JobName,
    /// The pass, if one began in the ledger.
    pub pass: Option<PassId>,
    /// Why it ended.
    pub reason: Reason,
    /// The exit code.
    pub exit: ExitCode,
    /// One sentence for people.
    pub message: String,
    /// When it may be worth calling again, for a ban.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Outcomes of this pass.
    pub counts: PassCounts,
    /// The worklist's figures after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
    /// What it spent.
    pub spent: Spent,
    /// Where its time went.
    pub times: StageTimes,
    /// How long it took in all.
    pub took: Duration,
    /// What a person should know besides: set-aside rows, ended left-overs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The error, for a refusal or a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<crate::diagnosis::Diagnosis>,
}

/// `1 item`, `2 items`.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

impl PassReport {
    /// Whether every item of the worklist is terminal and the pass says so.
    #[must_use]
    pub fn drained(&self) -> bool {
        matches!(self.reason, Reason::Drained | Reason::AlreadyDrained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "item")), ["0 items", "1 item", "2 items"]);
    }

    #[test]
    fn the_worst_exit_code_wins() {
        use ExitCode::*;
        let order = [Drained, Checkpoint, Failed, Refused, Halted];
        for (i, a) in order.into_iter().enumerate() {
            for (j, b) in order.into_iter().enumerate() {
                assert_eq!(a.worst(b), order[i.max(j)]);
            }
        }
    }
}
