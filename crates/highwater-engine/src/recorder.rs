//! The recorder: writes intents and outcomes to the ledger in groups. Owns when a group is written; what an outcome does to
//! an item is [`crate::worklist::settle`]'s.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::breaker::{self, BreakerRules, Foresight};
use crate::clock::SharedClock;
use crate::job::Stop;
use crate::ledger::{Entry, Fence, GROUP_ENTRIES_MAX, Halt, Intent, Ledger, Recorded, Who, Word};
use crate::name::{JobName, WorklistId};
use crate::outcome::{Outcome, OutcomeKind};
use crate::report::PassCounts;
use crate::stopper::Stopper;
use crate::worklist::Tally;

/// How long a known outcome that waits for its turn may stay unwritten, in milliseconds: a kill repeats it.
pub const JUDGED_DELAY_MS: u64 = 20;
/// Entries that may wait to be written, per outcome of a group.
const QUEUE_GROUPS: usize = 2;
/// Entries in a group, per outcome that fills it: intents go along with the outcomes of others.
const ENTRIES_PER_OUTCOME: usize = 4;

/// How outcomes are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// Most outcomes in a group.
    pub items: usize,
    /// Longest wait of an outcome for its group.
    pub delay: Duration,
}

impl Default for Grouping {
    fn default() -> Self {
        Self { items: 256, delay: Duration::from_millis(100) }
    }
}

enum Message {
    /// Written with the next group; `written` wants it at once.
    Intent {
        position: u64,
        intent: Intent,
        written: Option<oneshot::Sender<()>>,
    },
    Outcome {
        position: u64,
        outcome: Outcome,
    },
    Withdraw {
        position: u64,
    },
    /// Everything before it is to be written at once.
    Flush(oneshot::Sender<()>),
}

/// Where a pass records to.
#[derive(Clone)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Message>,
}

/// What the recorder has to know of its pass.
pub(crate) struct Recording {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: SharedClock,
    pub(crate) job: JobName,
    pub(crate) who: Who,
    pub(crate) fence: Fence,
    pub(crate) worklist: WorklistId,
    pub(crate) attempts_max: u32,
    pub(crate) grouping: Grouping,
    pub(crate) breaker: BreakerRules,
    pub(crate) stopper: Stopper,
    pub(crate) tally: watch::Sender<Tally>,
    pub(crate) foresight: Arc<Foresight>,
    /// Details of the last failing items, for a halt's evidence.
    pub(crate) failing: Failing,
}

/// The last failing items of a pass.
#[derive(Debug, Default, Clone)]
pub(crate) struct Failing(Vec<String>);

impl Failing {
    const KEPT_ITEMS: usize = 5;

    fn note(&mut self, line: String) {
        if self.0.len() == Self::KEPT_ITEMS {
            self.0.remove(0);
        }
        self.0.push(line);
    }

    pub(crate) fn evidence(&self) -> String {
        self.0.join("\n")
    }
}

impl Recorder {
    /// An intent that must be durable before what follows; false when it could not be written, and the pass stops.
    pub(crate) async fn intent_written(&self, position: u64, intent: Intent) -> bool {
        let (written, done) = oneshot::channel();
        self.queue.send(Message::Intent { position, intent, written: Some(written) }).await.is_ok()
            && done.await.is_ok()
    }

    /// An intent that may wait for a group.
    pub(crate) async fn intent(&self, position: u64, intent: Intent) {
        // A recorder that is gone has stopped the pass.
        let _ = self.queue.send(Message::Intent { position, intent, written: None }).await;
    }

    pub(crate) async fn outcome(&self, position: u64, outcome: Outcome) {
        let _ = self.queue.send(Message::Outcome { position, outcome }).await;
    }

    /// The item was left as it was, for certain.
    pub(crate) async fn withdraw(&self, position: u64) {
        let _ = self.queue.send(Message::Withdraw { position }).await;
    }

    /// Ends once everything before it is written; false when it could not be.
    pub(crate) async fn flushed(&self) -> bool {
        let (written, done) = oneshot::channel();
        self.queue.send(Message::Flush(written)).await.is_ok() && done.await.is_ok()
    }
}

/// What was recorded, once the queue is closed.
pub(crate) struct RecordingEnd {
    pub(crate) counts: PassCounts,
    pub(crate) failing: Failing,
}

/// Starts recording; the task ends when every [`Recorder`] is dropped.
pub(crate) fn start(recording: Recording) -> (Recorder, tokio::task::JoinHandle<RecordingEnd>) {
    let (queue, messages) = mpsc::channel(recording.grouping.items.max(1) * QUEUE_GROUPS);
    (Recorder { queue }, tokio::spawn(recording.run(messages)))
}

/// An outcome as it was handed in: position, kind, detail.
type Known = (u64, OutcomeKind, Option<String>);

/// A group as it fills.
#[derive(Default)]
struct Group {
    entries: Vec<Entry>,
    waiters: Vec<oneshot::Sender<()>>,
    outcomes: usize,
    /// By [`crate::clock::Clock::elapsed`].
    due: Option<Duration>,
}

impl Group {
    fn take(&mut self, message: Message, now: Duration, grouping: &Grouping) {
        let mut due_in = |wait: Duration| {
            let at = now + wait;
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        };
        match message {
            Message::Intent { position, intent, written } => {
                due_in(if written.is_some() { Duration::ZERO } else { Duration::from_millis(JUDGED_DELAY_MS) });
                self.entries.push(Entry::Intent { position, intent });
                self.waiters.extend(written);
            }
            Message::Outcome { position, outcome } => {
                due_in(grouping.delay);
                self.outcomes += 1;
                self.entries.push(Entry::Outcome { position, outcome });
            }
            Message::Withdraw { position } => {
                due_in(grouping.delay);
                self.entries.push(Entry::Withdraw { position });
            }
            Message::Flush(written) => {
                due_in(Duration::ZERO);
                self.waiters.push(written);
            }
        }
    }

    /// An intent whose outcome is in the same group need not be written.
    fn without_settled_intents(&mut self) -> Vec<Entry> {
        let settled: HashSet<u64> = self
            .entries
            .iter()
            .filter_map(|e| match e {
                Entry::Outcome { position, .. } => Some(*position),
                Entry::Intent { .. } | Entry::Withdraw { .. } => None,
            })
            .collect();
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|e| !matches!(e, Entry::Intent { position, .. } if settled.contains(position)));
        entries
    }
}

impl Recording {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) -> RecordingEnd {
        let mut counts = PassCounts::default();
        let mut group = Group::default();
        let mut open = true;
        while open || !group.entries.is_empty() || !group.waiters.is_empty() {
            open = self.fill(&mut group, &mut messages, open).await;
            let full = std::mem::take(&mut group);
            if !self.write(full, &mut counts).await {
                // Whoever waits sees its sender dropped; nothing more is written by this pass.
                messages.close();
                while messages.recv().await.is_some() {}
                break;
            }
        }
        RecordingEnd { counts, failing: self.failing }
    }

    /// Takes messages until the group is full or due; false once the queue is closed.
    async fn fill(&self, group: &mut Group, messages: &mut mpsc::Receiver<Message>, open: bool) -> bool {
        if !open {
            return false;
        }
        loop {
            let full = self.grouping.items.max(1);
            if group.outcomes >= full || group.entries.len() >= GROUP_ENTRIES_MAX.min(full * ENTRIES_PER_OUTCOME) {
                return true;
            }
            let now = self.clock.elapsed();
            let message = match group.due {
                None => messages.recv().await,
                // What has arrived already shares the group: that is what makes one sync serve many.
                Some(due) if due <= now => match messages.try_recv() {
                    Ok(message) => Some(message),
                    Err(mpsc::error::TryRecvError::Empty) => return true,
                    Err(mpsc::error::TryRecvError::Disconnected) => None,
                },
                Some(due) => tokio::select! {
                    biased;
                    message = messages.recv() => message,
                    () = self.clock.sleep(due - now) => continue,
                },
            };
            match message {
                Some(message) => group.take(message, self.clock.elapsed(), &self.grouping),
                None => return false,
            }
        }
    }

    async fn write(&mut self, mut group: Group, counts: &mut PassCounts) -> bool {
        let entries = group.without_settled_intents();
        if !entries.is_empty() {
            let outcomes: Vec<Known> = entries
                .iter()
                .filter_map(|e| match e {
                    Entry::Outcome { position, outcome } => Some((*position, outcome.kind, outcome.detail.clone())),
                    Entry::Intent { .. } | Entry::Withdraw { .. } => None,
                })
                .collect();
            let at = self.clock.now();
            match self.ledger.record(&self.fence, self.worklist, at, self.attempts_max, entries).await {
                Ok(recorded) => self.recorded(recorded, &outcomes, counts).await,
                Err(error) => {
                    self.stopper.stop(Stop::from(error));
                    return false;
                }
            }
        }
        for waiter in group.waiters {
            // Whoever waited may have been aborted meanwhile.
            let _ = waiter.send(());
        }
        true
    }

    async fn recorded(&mut self, recorded: Recorded, outcomes: &[Known], counts: &mut PassCounts) {
        for (kind, (position, _, detail)) in recorded.kinds.iter().zip(outcomes) {
            counts.count(*kind);
            if kind.is_failure() {
                let detail = detail.as_deref().unwrap_or("no detail");
                self.failing.note(format!("item {}: {}: {detail}", position + 1, kind.word()));
            }
        }
        self.tally.send_modify(|tally| {
            *tally = recorded.tally;
            outcomes.iter().for_each(|(_, kind, _)| self.foresight.recorded(*kind));
        });
        if let Some(why) = breaker::tripped(&self.breaker, &recorded.tally, false) {
            let evidence = self.failing.evidence();
            self.stopper.stop(halt(&*self.ledger, &self.job, &self.who, &self.clock, why, evidence, None).await);
        }
    }
}

/// Halts the job in the ledger before anything acts on it, and returns the stop that goes with it.
pub(crate) async fn halt(
    ledger: &dyn Ledger,
    job: &JobName,
    who: &Who,
    clock: &SharedClock,
    why: String,
    evidence: String,
    until: Option<String>,
) -> Stop {
    let halt = Halt { at: clock.now(), who: who.clone(), why, evidence, until };
    let word = Word { at: halt.at, who: halt.who, why: halt.why.clone() };
    match ledger.halt_until(job, &word, &halt.evidence, halt.until.as_deref()).await {
        Ok(_) => Stop::Halt { why: halt.why, evidence: halt.evidence, until: halt.until },
        Err(error) => Stop::from(error),
    }
}
