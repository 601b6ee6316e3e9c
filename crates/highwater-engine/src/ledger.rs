//! The durable store of jobs, passes, worklists, items, resources, overrides and events, as the engine needs it. Owns
//! the trait and its records; knows no SQL. `highwater-store` implements it, and one conformance suite holds every
//! implementation to the comments here.
//!
//! Every method is one transaction: it is whole or it did not happen, and when it returns it would survive a power cut.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ban::Ban;
use crate::name::{ItemKey, JobName, LockEpoch, PassId, ResourceName, WorklistId};
use crate::outcome::{Outcome, OutcomeKind};
use crate::report::{ExitCode, PassCounts, Reason, Spent, StageTimes};
use crate::worklist::{Appended, Input, NewItem, Tally, WorklistRecord};

/// Most rows that one read returns.
pub const PAGE_ROWS_MAX: usize = 1000;
/// Most entries that one [`Ledger::record`] takes.
pub const GROUP_ENTRIES_MAX: usize = 8192;

/// What goes wrong with a ledger, by what a person can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerFault {
    /// A newer pass holds the resource: this one's writes are refused (R16).
    Fenced,
    /// What was asked for is not there, or not in a state that allows it.
    NotThere,
    /// The database file is damaged.
    Damaged,
    /// The disk is full.
    Full,
    /// It may not be read or written: permissions, a read-only disk.
    Denied,
    /// A newer program wrote it.
    Newer,
    /// An older program wrote it, and it was opened to read only.
    Older,
    /// It is of something else, or its migrations were changed.
    Foreign,
    /// Anything else.
    Other,
}

/// A ledger that could not do what it was asked; nothing of it happened.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct LedgerError {
    /// What can be done about it.
    pub fault: LedgerFault,
    /// What was being done, and to what.
    pub message: String,
    /// What the store said.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl LedgerError {
    /// An error with nothing below it.
    #[must_use]
    pub fn new(fault: LedgerFault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), source: None }
    }
}

/// What a ledger's methods return.
pub type LedgerResult<T> = Result<T, LedgerError>;

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
    /// The newest worklist that is pinned or drained; never one that is being discovered.
    pub worklist: Option<WorklistRecord>,
    /// The newest pass.
    pub last_pass: Option<PassRecord>,
    /// When an item of it last became terminal.
    pub last_drained_at: Option<Timestamp>,
    /// The marker that the engine last wrote for it (`done`, `halted`), if any.
    pub marker: Option<String>,
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

/// What is written before an item's effect, so that a crash can be told from a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// Its effect may have begun.
    Started,
    /// It is prepared; the job's own bytes, if it kept any.
    Prepared(Option<Vec<u8>>),
    /// Its outcome is known and waits for its turn.
    Judged(Outcome),
}

/// An item that is still to be drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenItem {
    /// Its position in the worklist, from 0.
    pub position: u64,
    /// Its place in plan order: (attempts + deferrals, position).
    pub rank: u32,
    /// What makes it itself.
    pub key: ItemKey,
    /// What the job pinned with it.
    pub payload: Vec<u8>,
    /// Attempts that counted.
    pub attempts: u32,
    /// An intent that a crash left.
    pub intent: Option<Intent>,
}

/// One thing to record of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// What is about to happen.
    Intent {
        /// The item.
        position: u64,
        /// What.
        intent: Intent,
    },
    /// What became of it; takes its intent away.
    Outcome {
        /// The item.
        position: u64,
        /// What.
        outcome: Outcome,
    },
    /// The item was left as it was, for certain: takes its intent away.
    Withdraw {
        /// The item.
        position: u64,
    },
}

/// What a group of entries became.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The figures after it.
    pub tally: Tally,
    /// The kinds as recorded, in the order of the outcomes given.
    pub kinds: Vec<OutcomeKind>,
}

/// An item as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct ItemRecord {
    /// Its position in the worklist, from 0.
    pub position: u64,
    /// What makes it itself.
    pub key: ItemKey,
    /// Its last outcome; `None` while untried.
    pub outcome: Option<OutcomeKind>,
    /// Why.
    pub detail: Option<String>,
    /// Attempts that counted.
    pub attempts: u32,
    /// Deferrals.
    pub deferrals: u32,
    /// When its outcome was recorded.
    pub recorded_at: Option<Timestamp>,
    /// The how-manieth outcome of the worklist it was, from 1.
    pub recorded_no: Option<u64>,
    /// The pass that recorded it.
    pub pass: Option<PassId>,
}

/// Which items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemFilter {
    /// All.
    All,
    /// Those without a terminal outcome.
    Open,
    /// Those with an outcome that `word()`s so; `retry` takes both retries.
    Outcome(String),
    /// Those with these keys.
    Keys(Vec<ItemKey>),
}

/// In which order items are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemOrder {
    /// The list's.
    Position,
    /// The order in which their outcomes were recorded; items without one are left out.
    Recorded,
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
    /// What was done: `halt`, `rearm`, `pause`, `resume`, `ban`, `lift`, `retry`, `skip`, `pin`, `extend`, `replace`, `drained`, `import`.
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

/// The ledger.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    // ── jobs ──

    /// Makes the job's row if there is none, and sets its kind.
    async fn register_job(&self, job: &JobName, kind: &str) -> LedgerResult<()>;
    /// The job's row; `None` when no pass and no command ever named it.
    async fn job(&self, job: &JobName) -> LedgerResult<Option<JobRecord>>;
    /// All jobs, by name.
    async fn jobs(&self) -> LedgerResult<Vec<JobRecord>>;
    /// Halts the job, with an event. A job that is halted keeps its first evidence and returns false.
    async fn halt(&self, job: &JobName, word: &Word, evidence: &str) -> LedgerResult<bool>;
    /// Clears a halt, starts the breaker's count afresh, with an event. Returns false, without an event, when it is not halted.
    /// The job is then active, or drained if its worklist is.
    async fn rearm(&self, job: &JobName, word: &Word) -> LedgerResult<bool>;
    /// Pauses the job until `resume`, with an event; false when it is paused already.
    async fn pause(&self, job: &JobName, word: &Word) -> LedgerResult<bool>;
    /// Ends a pause, with an event; false when there is none.
    async fn resume(&self, job: &JobName, word: &Word) -> LedgerResult<bool>;
    /// Marks the job drained without a worklist, as an older wrapper's `.done` says; with an event.
    async fn mark_drained(&self, job: &JobName, word: &Word) -> LedgerResult<()>;
    /// Opens a drained job again: its worklist is superseded and the next pass pins anew; with an event. A halt stays.
    async fn reopen_job(&self, job: &JobName, word: &Word) -> LedgerResult<()>;
    /// Remembers which marker file the engine wrote.
    async fn set_marker(&self, job: &JobName, marker: Option<&str>) -> LedgerResult<()>;

    // ── resources ──

    /// Makes the resource's row if there is none and returns it.
    async fn resource(&self, resource: &ResourceName) -> LedgerResult<ResourceRecord>;
    /// All resources, by name.
    async fn resources(&self) -> LedgerResult<Vec<ResourceRecord>>;
    /// Extends the ban to `until`, with an event when that is later than it was; a ban is never shortened (R2). Returns what
    /// stands.
    async fn extend_ban(&self, resource: &ResourceName, until: Timestamp, word: &Word) -> LedgerResult<Ban>;
    /// Lifts the ban, with an event: the only way to shorten one. False when none stands at `word.at`.
    async fn lift_ban(&self, resource: &ResourceName, word: &Word) -> LedgerResult<bool>;
    /// Leaves or renews a ticket; (host, pid, job) makes it itself.
    async fn leave_ticket(&self, resource: &ResourceName, ticket: &Ticket) -> LedgerResult<()>;
    /// Takes a ticket back.
    async fn take_back_ticket(&self, resource: &ResourceName, host: &str, pid: u32, job: &JobName) -> LedgerResult<()>;
    /// Tickets that have not lapsed at `now`, oldest first.
    async fn tickets(&self, resource: &ResourceName, now: Timestamp) -> LedgerResult<Vec<Ticket>>;

    // ── passes ──

    /// Writes the pass's row: once it holds its locks, or just before it ends without them.
    async fn begin_pass(&self, begin: &Begin) -> LedgerResult<PassId>;
    /// Counts up the epochs of the resources, whose locks the caller holds, and names the holder.
    async fn take_epochs(&self, pass: PassId, resources: &[ResourceName], holder: &Holder) -> LedgerResult<Fence>;
    /// Writes how the pass ended, and lets go of the resources it still holds.
    async fn end_pass(&self, pass: PassId, end: &End) -> LedgerResult<()>;
    /// The newest passes of a job, newest first.
    async fn passes(&self, job: &JobName, rows_max: usize) -> LedgerResult<Vec<PassRecord>>;
    /// Passes of the job that began before `pass` and have no end: they were killed.
    async fn passes_unended(&self, job: &JobName, before: PassId) -> LedgerResult<Vec<PassRecord>>;
    /// Writes into the rows of those passes that they were killed, so that they are reported once.
    async fn close_unended(&self, job: &JobName, before: PassId, at: Timestamp) -> LedgerResult<()>;

    // ── worklists ──

    /// Begins to write a worklist; one of this job that was left discovering goes, and so do items that an unfinished
    /// `Extend` left. For `Extend` it is the job's own.
    async fn begin_worklist(
        &self,
        fence: &Fence,
        job: &JobName,
        mode: PinMode,
        at: Timestamp,
    ) -> LedgerResult<WorklistId>;
    /// Adds items in order; a key that is there collapses and is counted.
    async fn append_items(&self, fence: &Fence, worklist: WorklistId, items: &[NewItem]) -> LedgerResult<Appended>;
    /// Pins by one update, with an event; the worklist it replaces is superseded by the same; the job becomes active unless halted.
    async fn pin(&self, fence: &Fence, worklist: WorklistId, pin: &Pin, word: &Word) -> LedgerResult<WorklistRecord>;
    /// Notes that the input's sign changed while its bytes did not.
    async fn set_input_sign(&self, fence: &Fence, worklist: WorklistId, sign: &str) -> LedgerResult<()>;
    /// The pinned items without a terminal outcome that `fence.pass` has not tried, in plan order, after (rank, position).
    async fn open_items(
        &self,
        worklist: WorklistId,
        pass: PassId,
        after: Option<(u32, u64)>,
        rows_max: usize,
    ) -> LedgerResult<Vec<OpenItem>>;
    /// Records intents and outcomes, in order; an intent replaces the item's older one. The counts of `fence.pass` go with it, so that
    /// they are live. All of it with the figures (see [`crate::worklist::settle`]).
    async fn record(
        &self,
        fence: &Fence,
        worklist: WorklistId,
        at: Timestamp,
        attempts_max: u32,
        entries: Vec<Entry>,
    ) -> LedgerResult<Recorded>;
    /// The worklist is drained: it, the job (unless halted) and the watermarks by one transaction, with an event.
    async fn seal_drained(
        &self,
        fence: &Fence,
        worklist: WorklistId,
        watermarks: &[(String, Timestamp)],
        word: &Word,
    ) -> LedgerResult<()>;
    /// A job's watermark.
    async fn watermark(&self, job: &JobName, name: &str) -> LedgerResult<Option<Timestamp>>;
    /// Stamps a watermark in mid-pass.
    async fn stamp_watermark(&self, fence: &Fence, job: &JobName, name: &str, value: Timestamp) -> LedgerResult<()>;

    // ── items, for people ──

    /// Items of a worklist, a page at a time; `after` is the position or the recorded number of the last one seen.
    async fn items(
        &self,
        worklist: WorklistId,
        filter: &ItemFilter,
        order: ItemOrder,
        after: Option<u64>,
        rows_max: usize,
    ) -> LedgerResult<Vec<ItemRecord>>;
    /// Puts items back to untried (`ItemFilter::Keys` or `Outcome`), with an event that names how many; the worklist and the
    /// job are open again. Unknown keys: [`LedgerFault::NotThere`], nothing is changed.
    async fn retry_items(&self, job: &JobName, filter: &ItemFilter, word: &Word) -> LedgerResult<u64>;
    /// Gives items without a success the outcome `skipped`, with an event. Unknown keys: [`LedgerFault::NotThere`], nothing is changed.
    async fn skip_items(&self, job: &JobName, keys: &[ItemKey], word: &Word) -> LedgerResult<u64>;

    // ── what a pass obeys, what people read ──

    /// What the pass must obey. Cheap enough to ask before every item.
    async fn control(&self, job: &JobName, resources: &[ResourceName]) -> LedgerResult<Control>;
    /// Events, oldest first.
    async fn events(&self, filter: &EventFilter, rows_max: usize) -> LedgerResult<Vec<Event>>;
    /// Adds an event that no other method makes.
    async fn add_event(
        &self,
        act: &str,
        job: Option<&JobName>,
        resource: Option<&ResourceName>,
        word: &Word,
    ) -> LedgerResult<()>;

    // ── notices ──

    /// Queues a notice for each target if `change_key` differs from the last one queued for (job, change): once per change.
    /// Returns whether it differed; with no targets it only remembers the key.
    async fn queue_notice(
        &self,
        job: &JobName,
        change: &str,
        change_key: &str,
        targets: &[u32],
        body: &str,
        at: Timestamp,
    ) -> LedgerResult<bool>;
    /// Takes undelivered notices for `lease`, so that no other process delivers them meanwhile; those whose retry is not due yet stay.
    async fn claim_notices(&self, now: Timestamp, lease: Duration, rows_max: usize) -> LedgerResult<Vec<Notice>>;
    /// A claimed notice was delivered (`Ok`), or failed and is due again at the given time.
    async fn settle_notice(&self, no: i64, at: Timestamp, result: Result<(), (String, Timestamp)>) -> LedgerResult<()>;
    /// Notices that are not delivered.
    async fn notices_waiting(&self) -> LedgerResult<Vec<Notice>>;

    // ── upkeep ──

    /// Forgets passes, and items of drained or superseded worklists, that are older than `before`, at most `rows_max` rows a
    /// call; open worklists and events stay. Returns how many rows went.
    async fn prune(&self, before: Timestamp, rows_max: usize) -> LedgerResult<u64>;
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
