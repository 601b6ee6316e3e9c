//! The durable store of jobs, passes, worklists, items, resources, overrides and events, as the engine needs it. Owns
//! the trait (its rows are in `ledger/rows.rs` and `ledger/items.rs`); knows no SQL. `highwater-store` implements it, and one conformance suite holds every
//! implementation to the comments here.
//!
//! Every method is one transaction: it is whole or it did not happen, and when it returns it would survive a power cut.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::ban::Ban;
use crate::name::{ItemKey, JobName, PassId, ResourceName, WorklistId};
use crate::throttle::ThrottleState;
use crate::worklist::{Appended, NewItem, WorklistRecord};

mod items;
mod rows;

pub use items::*;
pub use rows::*;

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
    async fn halt(&self, job: &JobName, word: &Word, evidence: &str) -> LedgerResult<bool> {
        self.halt_until(job, word, evidence, None).await
    }
    /// The same, with what would mend it in the job's own words.
    async fn halt_until(&self, job: &JobName, word: &Word, evidence: &str, until: Option<&str>) -> LedgerResult<bool>;
    /// Clears a halt, starts the breaker's count afresh, with an event. Returns false, without an event, when it is not halted.
    /// The job is then active, or drained if its worklist is.
    async fn rearm(&self, job: &JobName, word: &Word) -> LedgerResult<bool>;
    /// Pauses the job until `resume`, with an event; false when it is paused already.
    async fn pause(&self, job: &JobName, word: &Word) -> LedgerResult<bool>;
    /// Ends a pause, with an event; false when there is none.
    async fn resume(&self, job: &JobName, word: &Word) -> LedgerResult<bool>;
    /// Sets keys of the job, each with an event; a key that is set gets the new value. What keys there are is the caller's to know.
    async fn set_overrides(&self, job: &JobName, values: &[(String, String)], word: &Word) -> LedgerResult<()>;
    /// Unsets these keys, or every key where none is named, each with an event. Returns those that were set.
    async fn unset_overrides(&self, job: &JobName, keys: &[String], word: &Word) -> LedgerResult<Vec<String>>;
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
    /// Writes into a pass's row what its throttle has come to.
    async fn note_throttle(&self, pass: PassId, throttle: &ThrottleState) -> LedgerResult<()>;
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
    /// Items of the job that are `done`, of all its worklists that are not forgotten, in the order in which their worklists were begun and
    /// their outcomes recorded; at most `rows_max`, and of a bounded number of worklists a call. A row that cannot be read is left out.
    async fn done_items(&self, job: &JobName, after: DonePlace, rows_max: usize) -> LedgerResult<DonePage>;
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
