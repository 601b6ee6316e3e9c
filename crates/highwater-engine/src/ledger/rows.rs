//! What is read from a ledger and written to it: the rows as the engine and people see them. Owns their shape, no rule.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ban::Ban;
use crate::name::{JobName, LockEpoch, PassId, ResourceName};
use crate::report::{ExitCode, PassCounts, Reason, Spent, StageTimes};
use crate::throttle::ThrottleState;
use crate::worklist::{Input, WorklistRecord};

/// Who did something: `alice@host`, `pass 12`, `marker`, `import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Who(pub String);

/// A person's or a pass's word with its reason (R18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Who,
    /// Why.
    pub why: String,
}

/// One key that a person set, until it is unset; which there are and what they take is [`crate::steering`]'s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The key: `pace`.
    pub key: String,
    /// The value as it was typed: `5s`.
    pub value: String,
    /// Since when.
    pub at: Timestamp,
    /// Who set it.
    pub who: Who,
    /// Why; may be empty.
    pub why: String,
}

/// Why a job is halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Since when.
    pub at: Timestamp,
    /// Who halted it.
    pub who: Who,
    /// One sentence.
    pub why: String,
    /// What a person needs to judge it: the last failing items, the end of stderr.
    pub evidence: String,
    /// What would mend it, in the job's own words; absent where only a person re-arms it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A job's state, which outlives passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Passes may run.
    Active,
    /// Until `rearm`.
    Halted,
    /// Every item of its worklist is terminal.
    Drained,
}

impl JobState {
    /// The word of DESIGN §2.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Halted => "halted",
            Self::Drained => "drained",
        }
    }
}

/// A job's row, with its open or last worklist and its last pass.
#[derive(Debug, Clone, Serialize)]
pub struct JobRecord {
    /// Its name.
    pub name: JobName,
    /// Its kind.
    pub kind: String,
    /// Its state.
    pub state: JobState,
    /// The halt, while it stands; a halted job may be drained too, `state` says halted.
    pub halt: Option<Halt>,
    /// The pause, while it stands.
    pub paused: Option<Halt>,
    /// What people set of it, by key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// The newest worklist that is pinned or drained; never one that is being discovered.
    pub worklist: Option<WorklistRecord>,
    /// The newest pass.
    pub last_pass: Option<PassRecord>,
    /// When an item of it last became terminal.
    pub last_drained_at: Option<Timestamp>,
    /// The marker that the engine last wrote for it (`done`, `halted`), if any.
    pub marker: Option<String>,
    /// Damaged rows of its worklist that were set aside; `None` where none ever was.
    pub quarantined: Option<Quarantined>,
}

/// Rows of the ledger that could not be read and were set aside (R14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// How many.
    pub rows: u64,
    /// When the last one was.
    pub last_at: Timestamp,
}

impl Quarantined {
    /// What a person is told of it; `job` is how they name the job to a command.
    #[must_use]
    pub fn sentence(&self, job: &str) -> String {
        let rows = if self.rows == 1 { "1 damaged row".to_owned() } else { format!("{} damaged rows", self.rows) };
        format!(
            "{rows} of the ledger set aside, the last at {:.0}: their items are tried again, or are in review where the row was the \
             item; `highwater events --job {job}` names each; check the disk, then the items",
            self.last_at
        )
    }
}

/// Who holds a resource's lock, or held it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The host's name.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
    /// For which job.
    pub job: JobName,
    /// In which pass.
    pub pass: PassId,
}

/// A resource's row.
#[derive(Debug, Clone, Serialize)]
pub struct ResourceRecord {
    /// Its name.
    pub name: ResourceName,
    /// How often its lock was taken.
    pub epoch: LockEpoch,
    /// Who holds it; `None` once the pass let it go. One that was killed stays until the next pass takes over.
    pub holder: Option<Holder>,
    /// Its ban, also one that is over.
    pub ban: Option<Ban>,
}

/// A pass that waits for a resource and goes before those that do not wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ticket {
    /// The job that waits.
    pub job: JobName,
    /// Its host.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
    /// When it lapses unless it is renewed.
    pub lapses_at: Timestamp,
}

/// What a pass may write under: its number and the epochs of the locks it holds (R16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The pass.
    pub pass: PassId,
    /// One epoch per resource.
    pub epochs: Vec<(ResourceName, LockEpoch)>,
}

/// An event of the audit trail (R18).
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Its number, counted up.
    pub no: i64,
    /// When.
    pub at: Timestamp,
    /// The job, if it concerns one.
    pub job: Option<JobName>,
    /// The resource, if it concerns one.
    pub resource: Option<ResourceName>,
    /// What was done: `halt`, `rearm`, `pause`, `resume`, `set`, `unset`, `ban`, `lift`, `retry`, `skip`, `pin`, `extend`, `replace`, `drained`, `import`, `remove`.
    pub act: String,
    /// Who.
    pub who: Who,
    /// Why.
    pub why: String,
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this job only.
    pub job: Option<JobName>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// After this number.
    pub after: i64,
}

/// A pass's row.
#[derive(Debug, Clone, Serialize)]
pub struct PassRecord {
    /// Its number.
    pub id: PassId,
    /// Its job.
    pub job: JobName,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it ended; `None` while it runs, or when it was killed.
    pub ended_at: Option<Timestamp>,
    /// Its host.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Who started it.
    pub who: Who,
    /// How many items it may begin, if that is bounded.
    pub budget_items: Option<u64>,
    /// Why it ended.
    pub reason: Option<Reason>,
    /// With which exit code.
    pub exit: Option<ExitCode>,
    /// One sentence.
    pub message: Option<String>,
    /// Its outcomes.
    pub counts: PassCounts,
    /// What it spent.
    pub spent: Spent,
    /// Where its time went.
    pub times: StageTimes,
    /// Its throttle as of its last round, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<ThrottleState>,
}

impl PassRecord {
    /// Whether it did anything, or ended in a way that says something of its own: not one that a lock, a ban, a pause or a
    /// state that was there before kept from beginning.
    #[must_use]
    pub fn did_anything(&self) -> bool {
        let came_to_nothing = match self.reason {
            Some(
                Reason::AlreadyDrained
                | Reason::LockHeld
                | Reason::Yielded
                | Reason::BannedUntil
                | Reason::Paused
                | Reason::Disarmed
                | Reason::Stopped
                | Reason::LockLost
                | Reason::DryRun
                | Reason::Halted,
            ) => true,
            Some(
                Reason::Drained
                | Reason::BudgetItems
                | Reason::BudgetContacts
                | Reason::BudgetBytes
                | Reason::BudgetTime
                | Reason::BudgetTokens
                | Reason::RetryLeft
                | Reason::Throttled
                | Reason::Network
                | Reason::Checkpoint
                | Reason::Pinned
                | Reason::Refused
                | Reason::Failed,
            )
            | None => false,
        };
        !came_to_nothing || self.counts.all() > 0 || self.spent != Spent::default()
    }
}

/// Who begins a pass, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// The job.
    pub job: JobName,
    /// When.
    pub at: Timestamp,
    /// On which host.
    pub host: String,
    /// In which process.
    pub pid: u32,
    /// Started by whom.
    pub who: Who,
    /// How many items it may begin, if that is bounded.
    pub budget_items: Option<u64>,
}

/// How a pass ends.
#[derive(Debug, Clone)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// With which exit code.
    pub exit: ExitCode,
    /// One sentence.
    pub message: String,
    /// Its outcomes.
    pub counts: PassCounts,
    /// What it spent.
    pub spent: Spent,
    /// Where its time went.
    pub times: StageTimes,
}

/// Why a worklist is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinMode {
    /// The job has no open worklist: its first, or the next round.
    Begin,
    /// In place of the one it has.
    Replace,
    /// More items for the one it has; outcomes stay.
    Extend,
}

/// What a running pass must obey before each item and each contact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    /// The job is halted.
    pub halted: bool,
    /// The job is paused.
    pub paused: bool,
    /// Bans of the job's resources; some may be over.
    pub bans: Vec<(ResourceName, Ban)>,
    /// What people set of the job.
    pub overrides: Arc<[Override]>,
    /// Counts what people changed about items (`retry`, `skip`) in this ledger; recording does not move it. A pass that sees
    /// it move reads its page of open items again.
    pub version: u64,
}

/// A message to people that waits to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Its number.
    pub no: i64,
    /// The job it speaks of.
    pub job: JobName,
    /// To which `[[notify]]` entry, by its position in the config, from 0.
    pub target: u32,
    /// What changed: `halted`, `drained`, `review`, `failed`, `silent`.
    pub change: String,
    /// The body, as JSON.
    pub body: String,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// Deliveries that failed.
    pub attempts: u32,
    /// What the last one said.
    pub last_error: Option<String>,
}

/// What fixes a worklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The given input, if there is one.
    pub input: Option<Input>,
    /// SHA-256 over the items in order, in hex.
    pub sha256: String,
    /// How it was begun.
    pub mode: PinMode,
}
