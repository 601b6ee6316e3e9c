//! What a kind of backlog has to say of itself: the [`Job`] trait, and what it is lent to say it with. Owns the seam
//! between the engine and every kind; nothing of the pass itself.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use jiff::Timestamp;

use crate::clock::SharedClock;
use crate::contact::{CONTROL_EVERY_MS, Contacts, StopSignal, Urgency};
use crate::diagnosis::{Diagnosis, mends_limit, with_causes};
use crate::ledger::{DonePage, DonePlace, LedgerError, LedgerFault, PassRecord};
use crate::lock::{Held, Probe};
use crate::name::{ItemKey, JobName, PassId, ResourceName};
use crate::outcome::Outcome;
use crate::report::{PassReport, Reason};
use crate::steering::Steering;
use crate::worklist::{Input, Tally};

/// Why a pass stops. It leaves the item in hand unattempted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A resource is banned.
    Ban {
        /// Which.
        resource: ResourceName,
        /// Until when.
        until: Timestamp,
    },
    /// Call again.
    Checkpoint {
        /// Why.
        reason: Reason,
        /// In words.
        message: String,
    },
    /// A person must look.
    Halt {
        /// One sentence.
        why: String,
        /// What a person needs to judge it.
        evidence: String,
        /// What would mend it, in the job's own words, for its [`Job::mended`]; most halts wait for a person alone.
        until: Option<String>,
    },
    /// The job is halted already, by a person or another pass.
    Halted,
    /// Exit 2 or 1, as the diagnosis says.
    Fail(Diagnosis),
}

impl Stop {
    /// A checkpoint in words.
    #[must_use]
    pub fn checkpoint(reason: Reason, message: impl Into<String>) -> Self {
        Self::Checkpoint { reason, message: message.into() }
    }
}

impl From<Diagnosis> for Stop {
    fn from(diagnosis: Diagnosis) -> Self {
        Self::Fail(diagnosis)
    }
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        if error.fault == LedgerFault::Fenced {
            return Self::checkpoint(Reason::LockLost, error.to_string());
        }
        Self::Fail(Diagnosis::from(error))
    }
}

impl From<LedgerError> for Diagnosis {
    fn from(error: LedgerError) -> Self {
        let message = with_causes(&error);
        match error.fault {
            LedgerFault::Fenced => {
                Self::failure("HW-LED-001", message, "nothing: a newer pass holds the lock and goes on")
            }
            LedgerFault::NotThere => {
                Self::refusal("HW-LED-002", message, "look with `highwater items JOB` or `highwater status`")
            }
            LedgerFault::Damaged => Self::failure(
                "HW-LED-003",
                message,
                "stop all passes, move the file away and put the newest good backup from `backups/` in its place (`highwater doctor` names it)",
            ),
            LedgerFault::Full => {
                Self::failure("HW-LED-004", message, "free space on that disk and call again: nothing is lost")
            }
            LedgerFault::Denied => Self::failure(
                "HW-LED-005",
                message,
                "make the state directory and the files in it writable for this user (`highwater doctor`)",
            ),
            LedgerFault::Newer => {
                Self::refusal("HW-LED-006", message, "use the highwater that wrote this ledger, or a newer one")
            }
            LedgerFault::Foreign => Self::refusal(
                "HW-LED-007",
                message,
                "use the program that made it, name another `state-dir`, or move that file away",
            ),
            LedgerFault::Older => Self::refusal(
                "HW-LED-009",
                message,
                "let a command that writes bring it up to date, such as `highwater run`: it backs the ledger up first",
            ),
            LedgerFault::Other => match mends_limit(&error) {
                Some(mend) => Self::failure(
                    "HW-ENV-002",
                    message,
                    format!("{mend}, and call again: the ledger is not damaged by it"),
                ),
                None => Self::failure(
                    "HW-LED-008",
                    message,
                    "call again; if it stays, run `highwater doctor` and report it with this message",
                ),
            },
        }
    }
}

/// The smallest thing that is drained.
pub trait WorkItem: Send + Sync + Sized + 'static {
    /// What makes it itself in the ledger.
    fn key(&self) -> ItemKey;
    /// What is pinned with it.
    fn encode(&self) -> Vec<u8>;
    /// The item from what was pinned.
    ///
    /// # Errors
    /// In words, when the bytes are not what [`WorkItem::encode`] writes; the item then goes to review (R14).
    fn decode(key: &ItemKey, payload: &[u8]) -> Result<Self, String>;
    /// What a dry run says of it besides its key, such as how large it is.
    fn estimate(&self) -> Option<String> {
        None
    }
}

/// What preparing an item came to.
#[derive(Debug)]
pub enum Attempt<P> {
    /// It is ready to be committed.
    Ready(P),
    /// There is nothing to commit: this is what became of it.
    Outcome(Outcome),
}

/// Where a job's effects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effects {
    /// In `commit`, in plan order.
    InCommit,
    /// In `prepare`, unordered; only recording is ordered (R13).
    InPrepare,
}

/// What becomes of an item that was in hand when a pass was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknown {
    /// It runs again: its effect is idempotent.
    Rerun,
    /// A person must look. A durable intent is then written before each effect.
    Review,
}

/// One kind of backlog. The engine owns lock, ban, breaker, budget, pace, ledger and progress.
pub trait Job: Send + Sync + 'static {
    /// What is drained.
    type Item: WorkItem;
    /// What `prepare` hands to `commit`.
    type Prepared: Send + Sync + 'static;

    /// Where its effects are.
    fn effects(&self) -> Effects {
        Effects::InCommit
    }

    /// What becomes of an item whose effect may have happened.
    fn on_unknown(&self) -> OnUnknown {
        OnUnknown::Rerun
    }

    /// The given input its worklist is read from, if it has one. `known` is what was pinned: where its sign is still the
    /// same, the bytes need not be hashed again.
    fn input(&self, cx: &ReadCx, known: Option<&Input>) -> impl Future<Output = Result<Option<Input>, Stop>> + Send {
        let _ = (cx, known);
        async { Ok(None) }
    }

    /// Whether what a halt of this job waits for has come true: the event that re-arms it, in words. Asked under the lock, before
    /// anything else, and without contact.
    fn mended(&self, cx: &ReadCx, until: &str) -> impl Future<Output = Result<Option<String>, Stop>> + Send {
        let _ = (cx, until);
        async { Ok(None) }
    }

    /// Finishes what a crash left behind, under the lock, without contact.
    fn recover(&self, cx: &mut CommitCx) -> impl Future<Output = Result<(), Stop>> + Send {
        let _ = cx;
        async { Ok(()) }
    }

    /// Lists what there is to do, in commit order; reads only.
    fn plan(&self, cx: ReadCx) -> impl Stream<Item = Result<Self::Item, Stop>> + Send;

    /// Whether a round of a recurring job takes what is listed since, at each pass, so that one that fails again and again holds up no
    /// other, and that a round which a person opened again is not drained while others wait.
    fn rounds_stay_open(&self) -> bool {
        false
    }

    /// Whether passes of this configuration drain the item at all; one that they leave stays open, and the pass ends as a
    /// checkpoint.
    fn in_scope(&self, item: &Self::Item) -> bool {
        let _ = item;
        true
    }

    /// Whether a pass would find, by reading alone, that nothing is to be done for an item; asked of each by a dry run, which leaves those
    /// out.
    fn is_present(&self, item: &Self::Item) -> impl Future<Output = Result<bool, Stop>> + Send {
        let _ = item;
        async { Ok(false) }
    }

    /// The slow part of one item; many run at once, each spawned, so it writes nothing shared. Dropped when the pass must
    /// end at once.
    fn prepare(
        &self,
        cx: ReadCx,
        item: Arc<Self::Item>,
    ) -> impl Future<Output = Result<Attempt<Self::Prepared>, Stop>> + Send;

    /// How many bytes a preparation holds in memory; counted against `prefetch-bytes`.
    fn weight(&self, ready: &Self::Prepared) -> u64 {
        let _ = ready;
        0
    }

    /// What to keep of a preparation, so that a kill does not make it run again.
    fn keep(&self, ready: &Self::Prepared) -> Option<Vec<u8>> {
        let _ = ready;
        None
    }

    /// A preparation from what was kept; `None` prepares again.
    fn recall(&self, item: &Self::Item, kept: &[u8]) -> Option<Self::Prepared> {
        let _ = (item, kept);
        None
    }

    /// Applies one item, in plan order, under the lock; idempotent per key.
    fn commit(
        &self,
        cx: &mut CommitCx,
        item: &Self::Item,
        ready: Self::Prepared,
    ) -> impl Future<Output = Result<Outcome, Stop>> + Send;

    /// Most items whose effects are one change: as many neighbours in plan order as are ready at the same moment are handed to
    /// [`Job::commit_group`] together. With 1 each is committed alone.
    fn group_items_max(&self) -> usize {
        1
    }

    /// Applies several items as one change, in plan order, under the lock; idempotent per key. Answers with one outcome for each, in
    /// that order; a stop leaves all of them unattempted. A single item goes to [`Job::commit`].
    fn commit_group(
        &self,
        cx: &mut CommitCx,
        group: Vec<(Arc<Self::Item>, Self::Prepared)>,
    ) -> impl Future<Output = Result<Vec<Outcome>, Stop>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(group.len());
            for (item, ready) in group {
                outcomes.push(self.commit(cx, &item, ready).await?);
            }
            Ok(outcomes)
        }
    }

    /// Closes the pass, once, before the lock is let go. `report.drained()` says whether every item is terminal.
    fn seal(&self, cx: &mut CommitCx, report: &PassReport) -> impl Future<Output = Result<(), Stop>> + Send {
        let _ = (cx, report);
        async { Ok(()) }
    }
}

/// What planning and preparing are lent: contacts, the clock, the signal to stop. Cheap to clone.
#[derive(Clone)]
pub struct ReadCx {
    /// The job.
    pub job: JobName,
    /// The pass; `None` in a dry run.
    pub pass: Option<PassId>,
    /// The clock.
    pub clock: SharedClock,
    /// When the pass's time is spent, by [`crate::clock::Clock::elapsed`].
    pub deadline: Option<Duration>,
    /// Permits to contact, and the HTTP client that carries them.
    pub contacts: Arc<Contacts>,
    /// In `prepare`: this worklist tried the item before, or had it in hand when a pass was killed, so that its effect may have
    /// happened in part.
    pub tried: bool,
}

impl ReadCx {
    /// The signal that a person wants the pass to end.
    #[must_use]
    pub fn stop(&self) -> &StopSignal {
        self.contacts.stop()
    }

    /// Before a batch of a job whose item is several: waits while the throttle is closed and rests as it says, and gives the
    /// share of full speed, above 0.0 and up to 1.0, for [`BatchSize::shrink`](crate::batch::BatchSize::shrink). It obeys all
    /// that a contact obeys, so that an item of many batches is stopped between two of them.
    ///
    /// # Errors
    /// [`Stop`] when a signal, a halt, a pause, a ban, the budget of time, another stop of the pass, or a throttle that stays
    /// closed forbids it.
    pub async fn clear(&self) -> Result<f64, Stop> {
        self.contacts.batch_may_begin().await
    }

    /// What a person set of the job, as of the last contact, item or [`ReadCx::clear`].
    #[must_use]
    pub fn steering(&self) -> Steering {
        self.contacts.steering()
    }

    /// A watermark of the job, as it was last stamped.
    ///
    /// # Errors
    /// [`Stop`] when the ledger cannot be read.
    pub async fn watermark(&self, name: &str) -> Result<Option<Timestamp>, Stop> {
        self.contacts.watermark(name).await
    }

    /// What a job that commits an item by several transactions asks before each of them: whether a signal, a halt, a pause, a ban
    /// or the end of the pass's time is in the way.
    ///
    /// # Errors
    /// [`Stop`], which the job gives on.
    pub async fn obey(&self) -> Result<(), Stop> {
        if self.deadline.is_some_and(|deadline| self.clock.elapsed() >= deadline) {
            return Err(Stop::checkpoint(Reason::BudgetTime, "the pass's time is spent"));
        }
        self.contacts.obey(&self.contacts.control_lately().await?)
    }

    /// Rests so long, unless something is in the way of going on.
    ///
    /// # Errors
    /// [`Stop`], as [`ReadCx::obey`].
    pub async fn rest(&self, pause: Duration) -> Result<(), Stop> {
        let until = self.clock.elapsed() + pause;
        loop {
            self.obey().await?;
            let left = until.saturating_sub(self.clock.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            let step = left.min(Duration::from_millis(CONTROL_EVERY_MS));
            tokio::select! {
                () = self.clock.sleep(step) => {}
                () = self.stop().raised(Urgency::Soon) => {}
            }
        }
    }

    /// What a person set of the job, as the ledger has it now: for work that makes no contact for a long time.
    ///
    /// # Errors
    /// [`Stop`] when the ledger cannot be read.
    pub async fn steering_now(&self) -> Result<Steering, Stop> {
        self.contacts.control_lately().await?;
        Ok(self.steering())
    }

    /// What this job has done, in all its worklists, after a place: see [`crate::ledger::Ledger::done_items`].
    ///
    /// # Errors
    /// [`Stop`] when the ledger cannot be read.
    pub async fn done_items(&self, after: DonePlace, rows_max: usize) -> Result<DonePage, Stop> {
        self.contacts.done_items(after, rows_max).await
    }

    /// Adds an event of the job that the engine does not make itself.
    ///
    /// # Errors
    /// [`Stop`] when the ledger cannot be written.
    pub async fn add_event(&self, act: &str, why: &str) -> Result<(), Stop> {
        self.contacts.add_event(act, why).await
    }

    /// The figures of the worklist, as the ledger has them now; outcomes that are still being recorded are not in them.
    ///
    /// # Errors
    /// [`Stop`] when the ledger cannot be read.
    pub async fn tally(&self) -> Result<Option<Tally>, Stop> {
        self.contacts.tally().await
    }
}

/// What recovering, committing and sealing are lent besides: the held locks and their sessions.
pub struct CommitCx {
    /// All that planning is lent.
    pub read: ReadCx,
    /// Passes of this job that were killed; in `recover` only.
    pub killed: Vec<PassRecord>,
    /// What a person should know besides; printed with the report.
    pub notes: Vec<String>,
    held: BTreeMap<ResourceName, Box<dyn Held>>,
    kept: Vec<Box<dyn Any + Send>>,
    watermarks: Vec<(String, Timestamp)>,
}

impl CommitCx {
    pub(crate) fn new(read: ReadCx, held: BTreeMap<ResourceName, Box<dyn Held>>) -> Self {
        Self { read, killed: Vec::new(), notes: Vec::new(), held, kept: Vec::new(), watermarks: Vec::new() }
    }

    /// Keeps something until the pass is over, however it ends: a lock of the job's own, which is none of a resource.
    pub fn keep(&mut self, kept: impl Any + Send) {
        self.kept.push(Box::new(kept));
    }

    /// The session that holds the lock of `resource`, for work that must be fenced by it; `None` when the lock's session is
    /// of another type.
    pub fn session<S: 'static>(&mut self, resource: &ResourceName) -> Option<&mut S> {
        self.held.get_mut(resource)?.session().downcast_mut()
    }

    /// In `seal`: stamps a watermark by the same transaction that marks the worklist drained.
    pub fn stamp_watermark(&mut self, name: impl Into<String>, value: Timestamp) {
        self.watermarks.push((name.into(), value));
    }

    /// Lets all locks go, and ends when they are gone.
    pub(crate) async fn release(mut self) {
        for (_, held) in std::mem::take(&mut self.held) {
            held.release().await;
        }
    }

    /// Before a batch: see [`ReadCx::clear`]. Who has the session of a lock in hand meanwhile asks by a clone of `read`.
    ///
    /// # Errors
    /// As there.
    pub async fn clear(&mut self) -> Result<f64, Stop> {
        self.read.clear().await
    }

    /// What a person set of the job: see [`ReadCx::steering`].
    #[must_use]
    pub fn steering(&self) -> Steering {
        self.read.steering()
    }

    pub(crate) fn probes(&self) -> Vec<Probe> {
        self.held.values().map(|held| held.probe()).collect()
    }

    pub(crate) fn watermarks(&self) -> &[(String, Timestamp)] {
        &self.watermarks
    }
}
