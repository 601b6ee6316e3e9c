//! The pipeline: items are prepared N at a time and committed in plan order (R13). Owns the window of items in hand, how they come
//! into it, and how a stop winds it down; how they leave it is `commit`'s, and the pass around it is [`crate::pass`]'s.

mod commit;
mod feed;
mod room;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::breaker::Foresight;
use crate::contact::Urgency;
use crate::job::{Attempt, CommitCx, Effects, Job, OnUnknown, ReadCx, Stop, WorkItem};
use crate::ledger::{Intent, Ledger, OpenItem};
use crate::lock::LockWatch;
use crate::name::{PassId, WorklistId};
use crate::outcome::{Outcome, OutcomeKind};
use crate::recorder::Recorder;
use crate::report::Reason;
use crate::stopper::Stopper;

use feed::Feed;
use room::Room;

/// How far preparation whose effects are unordered may run ahead of recording: a slow head holds up this many, not the rest.
pub(crate) const UNORDERED_AHEAD_ITEMS: usize = 4096;
/// Unit in which prepared bytes are counted against `prefetch-bytes`.
const WEIGHT_UNIT_BYTES: u64 = 4096;

/// Most items in hand at once, whatever is set meanwhile.
const IN_HAND_ITEMS_MAX: usize = UNORDERED_AHEAD_ITEMS + 1;
/// How often one who waits for room looks whether a person gave more, in milliseconds.
const LOOK_EVERY_MS: u64 = 250;

/// How much is in hand at once, as configured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Width {
    pub(crate) concurrency: usize,
    pub(crate) prefetch_bytes: u64,
}

/// Time spent in stages, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    pub(crate) prepare_us: AtomicU64,
    pub(crate) commit_us: AtomicU64,
}

impl Stages {
    fn add(slot: &AtomicU64, span: Duration) {
        slot.fetch_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// The drain of one pass.
pub(crate) struct Drain<J: Job> {
    pub(crate) job: Arc<J>,
    pub(crate) cx: ReadCx,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) worklist: WorklistId,
    pub(crate) pass: PassId,
    pub(crate) locks: LockWatch,
    pub(crate) recorder: Recorder,
    pub(crate) stopper: Stopper,
    pub(crate) width: Width,
    pub(crate) stages: Arc<Stages>,
    pub(crate) foresight: Arc<Foresight>,
}

/// What a preparation came to.
enum Finished<P> {
    Ready {
        ready: P,
        _weight: Option<OwnedSemaphorePermit>,
    },
    Judged(Outcome),
    /// The stop is in the [`Stopper`]; the item stays unattempted.
    Stopped,
}

/// An item in hand, in plan order.
struct Slot<J: Job> {
    position: u64,
    number: u64,
    item: Arc<J::Item>,
    work: Work<J::Prepared>,
    _window: OwnedSemaphorePermit,
}

enum Work<P> {
    Task(AbortOnDrop<Finished<P>>),
    Known(Finished<P>),
}

/// A task that ends with whoever wants it.
pub(crate) struct AbortOnDrop<T>(pub(crate) JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What preparations share.
struct Shared<J: Job> {
    job: Arc<J>,
    cx: ReadCx,
    recorder: Recorder,
    stopper: Stopper,
    stages: Arc<Stages>,
    foresight: Arc<Foresight>,
    weight: Arc<Semaphore>,
    weight_units_max: u32,
    /// The number of the next item to be committed or recorded.
    head: watch::Sender<u64>,
}

impl<J: Job> Drain<J> {
    /// Drains until the list or the pass ends; the reason is in the stopper.
    pub(crate) async fn run(self, commit_cx: &mut CommitCx) {
        let weight_units_max = u32::try_from((self.width.prefetch_bytes / WEIGHT_UNIT_BYTES).max(1))
            .unwrap_or(u32::MAX >> 4)
            .min(u32::MAX >> 4);
        let shared = Arc::new(Shared {
            job: Arc::clone(&self.job),
            cx: self.cx.clone(),
            recorder: self.recorder.clone(),
            stopper: self.stopper.clone(),
            stages: Arc::clone(&self.stages),
            foresight: Arc::clone(&self.foresight),
            weight: Arc::new(Semaphore::new(weight_units_max as usize)),
            weight_units_max,
            head: watch::channel(0).0,
        });
        // The window is what bounds it.
        let (slots, in_hand) = mpsc::channel(IN_HAND_ITEMS_MAX);
        tokio::join!(self.feed(&shared, slots), self.commit(&shared, in_hand, commit_cx));
    }

    /// Items prepared at once, as of now: a person may have set it.
    fn concurrency(&self) -> usize {
        self.cx.steering().concurrency.map_or(self.width.concurrency, |set| set.as_usize())
    }

    /// How many items may be in hand, of which so many are prepared at once.
    fn ahead(&self, concurrency: usize) -> usize {
        match self.job.effects() {
            Effects::InCommit => concurrency + self.job.group_items_max().max(1),
            Effects::InPrepare => concurrency.max(UNORDERED_AHEAD_ITEMS),
        }
    }

    /// Starts preparations in plan order until the list ends or something stops the pass.
    async fn feed(&self, shared: &Arc<Shared<J>>, slots: mpsc::Sender<Slot<J>>) {
        let mut concurrency = self.concurrency();
        let (mut window, mut running) = (Room::new(self.ahead(concurrency)), Room::new(concurrency));
        let mut feed = Feed::new(self);
        // One each for many items: to wait anew for each would cost more than most of them.
        let mut told_to_end = pin!(self.told_to_end());
        let mut set = Box::pin(self.set_otherwise(concurrency));
        loop {
            if concurrency != self.concurrency() {
                concurrency = self.concurrency();
                window.resize(self.ahead(concurrency));
                running.resize(concurrency);
                set = Box::pin(self.set_otherwise(concurrency));
            }
            let room = async {
                let held = window.take().await;
                let run = running.take().await;
                self.foresight.clear().await;
                (held, run)
            };
            // Room first: who finds it at once need not be woken by what ends the pass, and looks at that below.
            let (held, run) = tokio::select! {
                biased;
                permits = room => permits,
                () = &mut told_to_end => return,
                stopped = &mut set => match stopped {
                    Ok(()) => {
                        set = Box::pin(self.set_otherwise(concurrency));
                        continue;
                    }
                    Err(stop) => return self.stopper.stop(stop),
                },
            };
            if self.stopper.is_stopped() || self.cx.stop().urgency() > Urgency::None {
                return told_to_end.await;
            }
            let next = match feed.next().await {
                Ok(Some(item)) => item,
                Ok(None) => {
                    drop((held, run));
                    match self.look_again(&window, &mut feed).await {
                        Ok(true) => continue,
                        Ok(false) => return,
                        Err(stop) => return self.stopper.stop(stop),
                    }
                }
                Err(stop) => return self.stopper.stop(stop),
            };
            let slot = match self.begin(shared, next, feed.number, held, run).await {
                Ok(Some(slot)) => slot,
                Ok(None) => continue,
                Err(stop) => return self.stopper.stop(stop),
            };
            feed.number += 1;
            if slots.send(slot).await.is_err() {
                return;
            }
        }
    }

    /// Ends once no item is to begin any more: a pass that waits for a slow item is told, too.
    async fn told_to_end(&self) {
        tokio::select! {
            biased;
            () = self.stopper.winds_down() => {}
            () = self.cx.stop().raised(Urgency::Soon) => {
                self.stopper.stop(Stop::checkpoint(Reason::Stopped, "stopped by a signal"));
            }
        }
    }

    /// Ends once a person has set another concurrency: one who waits for a slow item should not have to wait for its end.
    async fn set_otherwise(&self, concurrency: usize) -> Result<(), Stop> {
        loop {
            self.cx.clock.glance(Duration::from_millis(LOOK_EVERY_MS)).await;
            self.cx.contacts.control_lately().await?;
            if self.concurrency() != concurrency {
                return Ok(());
            }
        }
    }

    /// At the end of the list: waits until all in hand is recorded, then looks whether a person put items back.
    async fn look_again(&self, window: &Room, feed: &mut Feed<'_, J>) -> Result<bool, Stop> {
        tokio::select! {
            () = self.stopper.winds_down() => return Ok(false),
            () = window.empty() => {}
        }
        if !self.recorder.flushed().await {
            return Ok(false);
        }
        let version = self.cx.contacts.control().await?.version;
        if feed.left_at.replace(version) == Some(version) {
            // What is still open is out of scope, and nobody changed anything since it was left.
            return Ok(false);
        }
        feed.begin_anew().await?;
        Ok(!feed.is_empty())
    }

    async fn begin(
        &self,
        shared: &Arc<Shared<J>>,
        open: OpenItem,
        number: u64,
        window: OwnedSemaphorePermit,
        run: OwnedSemaphorePermit,
    ) -> Result<Option<Slot<J>>, Stop> {
        let OpenItem { position, key, payload, intent, rank, .. } = open;
        let tried = rank > 0 || intent.is_some();
        let item = match J::Item::decode(&key, &payload) {
            Ok(item) => Arc::new(item),
            // A damaged row stops nothing (R14): it is recorded without being decoded.
            Err(why) => {
                let outcome =
                    Outcome::because(OutcomeKind::Review, format!("its row in the ledger cannot be read: {why}"));
                self.foresight.known(outcome.kind);
                self.recorder.outcome(position, outcome).await;
                return Ok(None);
            }
        };
        if !self.job.in_scope(&item) {
            // It stays open: the pass leaves it to one that takes in more.
            return Ok(None);
        }
        let known = match intent {
            Some(Intent::Judged(outcome)) => Some(Finished::Judged(outcome)),
            Some(Intent::Prepared(kept)) => kept
                .and_then(|kept| self.job.recall(&item, &kept))
                .map(|ready| Finished::Ready { ready, _weight: None }),
            Some(Intent::Started) if self.job.on_unknown() == OnUnknown::Review => {
                Some(Finished::Judged(Outcome::because(
                    OutcomeKind::Review,
                    "a pass was killed while this item was in hand: whether its effect happened is unknown",
                )))
            }
            Some(Intent::Started) | None => None,
        };
        if let Some(Finished::Judged(outcome)) = &known {
            self.foresight.known(outcome.kind);
        }
        let work = match known {
            Some(known) => Work::Known(known),
            None => {
                if !self.cx.contacts.is_unthrottled() {
                    tokio::select! {
                        biased;
                        // Others end the pass: nothing is begun any more.
                        () = self.stopper.winds_down() => return Ok(None),
                        may = self.cx.contacts.item_may_begin() => may?,
                    }
                }
                self.may_begin()?;
                if self.job.effects() == Effects::InPrepare
                    && self.job.on_unknown() == OnUnknown::Review
                    && !self.recorder.intent_written(position, Intent::Started).await
                {
                    // The recorder said why.
                    return Ok(None);
                }
                let task = Arc::clone(shared).prepare(position, number, Arc::clone(&item), tried, run);
                Work::Task(AbortOnDrop(tokio::spawn(task)))
            }
        };
        Ok(Some(Slot { position, number, item, work, _window: window }))
    }

    /// Before an item is begun: time, items, locks.
    fn may_begin(&self) -> Result<(), Stop> {
        self.cx.contacts.in_time()?;
        self.locks_held()?;
        self.cx.contacts.meter().item(&self.cx.contacts.budget()).map_err(|reason| {
            Stop::checkpoint(
                reason,
                if reason == Reason::BudgetItems { "the pass's items are spent" } else { "the pass's bytes are spent" },
            )
        })
    }

    fn locks_held(&self) -> Result<(), Stop> {
        if self.locks.held(&*self.cx.clock) {
            Ok(())
        } else {
            Err(Stop::checkpoint(Reason::LockLost, "the lock was lost while it was held"))
        }
    }
}

impl<J: Job> Shared<J> {
    async fn prepare(
        self: Arc<Self>,
        position: u64,
        number: u64,
        item: Arc<J::Item>,
        tried: bool,
        run: OwnedSemaphorePermit,
    ) -> Finished<J::Prepared> {
        let begun = self.cx.clock.elapsed();
        let cx = ReadCx { tried, deadline: self.cx.contacts.deadline(), ..self.cx.clone() };
        let attempt = self.job.prepare(cx, item).await;
        Stages::add(&self.stages.prepare_us, self.cx.clock.elapsed().saturating_sub(begun));
        if let Err(stop) = &attempt {
            // Before the slot is free, so that no other item begins.
            self.stopper.stop(stop.clone());
        }
        let attempt = match attempt {
            Ok(Attempt::Ready(ready)) => {
                let units = self.job.weight(&ready).div_ceil(WEIGHT_UNIT_BYTES).min(u64::from(self.weight_units_max));
                let units = u32::try_from(units).unwrap_or(self.weight_units_max);
                let mut head = self.head.subscribe();
                let weight = tokio::select! {
                    biased;
                    // The head must get through, or those behind it would hold all the weight for ever.
                    _ = head.wait_for(|head| *head >= number) => None,
                    weight = Arc::clone(&self.weight).acquire_many_owned(units) => weight.ok(),
                };
                Ok((ready, weight))
            }
            Ok(Attempt::Outcome(outcome)) => {
                self.foresight.known(outcome.kind);
                Err(Some(outcome))
            }
            Err(_) => Err(None),
        };
        drop(run);
        match attempt {
            Ok((ready, weight)) => {
                let kept = self.job.keep(&ready);
                if self.recorder.intent_written(position, Intent::Prepared(kept)).await {
                    Finished::Ready { ready, _weight: weight }
                } else {
                    Finished::Stopped
                }
            }
            Err(Some(outcome)) => {
                if *self.head.borrow() != number {
                    self.recorder.intent(position, Intent::Judged(outcome.clone())).await;
                }
                Finished::Judged(outcome)
            }
            Err(None) => {
                if self.job.on_unknown() == OnUnknown::Review {
                    self.recorder.withdraw(position).await;
                }
                Finished::Stopped
            }
        }
    }
}
