//! How items leave the pipeline: committed or recorded, in plan order, those that are ready together as one where their job wants
//! that. Owns that order, and what is asked before a commit; preparations are the pipeline's.

use std::pin::{Pin, pin};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{Drain, Finished, Shared, Slot, Stages, Work};
use crate::contact::Urgency;
use crate::diagnosis::Diagnosis;
use crate::job::{CommitCx, Job, OnUnknown, Stop};
use crate::ledger::Intent;
use crate::outcome::Outcome;
use crate::report::Reason;

/// An item whose preparation has ended, in plan order.
struct Leaving<J: Job> {
    position: u64,
    number: u64,
    item: Arc<J::Item>,
    way: Way<J::Prepared>,
    /// What it holds until it has left.
    _held: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

/// How an item leaves.
enum Way<P> {
    /// It is committed; what was prepared is here until its commit begins.
    Commit(Option<P>),
    /// It is recorded.
    Record(Outcome),
    /// It stays as it was: the pass stops.
    Stay,
}

impl<J: Job> Drain<J> {
    /// Commits or records what is in hand, in plan order.
    pub(super) async fn commit(&self, shared: &Shared<J>, mut in_hand: mpsc::Receiver<Slot<J>>, cx: &mut CommitCx) {
        let mut must_end_now = pin!(self.must_end_now());
        let mut next = None;
        let mut group = Vec::new();
        loop {
            let slot = match next.take() {
                Some(slot) => Some(slot),
                None => in_hand.recv().await,
            };
            let Some(slot) = slot else { return };
            let Some(first) = self.ended(slot, must_end_now.as_mut()).await else {
                in_hand.close();
                return;
            };
            group.push(first);
            // Where what is known may end the pass, each is judged alone.
            while group.len() < self.job.group_items_max() && !self.foresight.would_trip() {
                match in_hand.try_recv() {
                    Ok(slot) if slot.work.has_ended() => group.extend(self.ended(slot, must_end_now.as_mut()).await),
                    Ok(slot) => {
                        next = Some(slot);
                        break;
                    }
                    Err(_) => break,
                }
            }
            let last = group.last().map_or(0, |leaving| leaving.number);
            self.leave(&mut group, cx).await;
            shared.head.send_replace(last + 1);
        }
    }

    /// The item of a slot, once its preparation has ended; `None` when the pass must end before that.
    async fn ended(&self, slot: Slot<J>, must_end_now: Pin<&mut impl Future<Output = ()>>) -> Option<Leaving<J>> {
        let Slot { position, number, item, work, _window } = slot;
        let finished = match work {
            Work::Known(finished) => finished,
            Work::Task(mut task) => tokio::select! {
                biased;
                joined = &mut task.0 => joined.unwrap_or_else(|e| self.broken(position, &e)),
                () = must_end_now => return None,
            },
        };
        let (way, weight) = match finished {
            Finished::Ready { ready, _weight } => (Way::Commit(Some(ready)), _weight),
            Finished::Judged(outcome) => (Way::Record(outcome), None),
            Finished::Stopped => (Way::Stay, None),
        };
        Some(Leaving { position, number, item, way, _held: (_window, weight) })
    }

    /// A second signal: preparations are dropped, what is done is recorded.
    async fn must_end_now(&self) {
        self.cx.stop().raised(Urgency::Now).await;
        self.stopper.stop(Stop::checkpoint(Reason::Stopped, "stopped at once by a second signal"));
    }

    fn broken(&self, position: u64, error: &tokio::task::JoinError) -> Finished<J::Prepared> {
        self.stopper.stop(Stop::Fail(Diagnosis::failure(
            "HW-BUG-001",
            format!("preparing item {} broke off: {error}", position + 1),
            "report it with this message; the item is untried and the next pass goes on",
        )));
        Finished::Stopped
    }

    /// Commits what of a group is to be committed, and records all of it in plan order.
    async fn leave(&self, group: &mut Vec<Leaving<J>>, cx: &mut CommitCx) {
        let ready = group.iter_mut().filter_map(|leaving| match &mut leaving.way {
            Way::Commit(ready) => Some((leaving.position, Arc::clone(&leaving.item), ready.take()?)),
            Way::Record(_) | Way::Stay => None,
        });
        let ready: Vec<_> = ready.collect();
        let mut committed = match ready.is_empty() || self.stopper.breaks_off() {
            true => Vec::new(),
            false => self.commit_those(ready, cx).await.unwrap_or_else(|stop| {
                self.stopper.stop(stop);
                Vec::new()
            }),
        }
        .into_iter();
        for leaving in group.drain(..) {
            let outcome = match leaving.way {
                Way::Commit(_) => committed.next(),
                Way::Record(outcome) => Some(outcome),
                Way::Stay => None,
            };
            if let Some(outcome) = outcome {
                self.recorder.outcome(leaving.position, outcome).await;
            }
        }
    }

    /// Their outcomes, in the same order; none of them where something is in the way.
    async fn commit_those(
        &self,
        ready: Vec<(u64, Arc<J::Item>, J::Prepared)>,
        cx: &mut CommitCx,
    ) -> Result<Vec<Outcome>, Stop> {
        if self.foresight.would_trip() {
            // What stands before these in plan order is with the recorder by now, and trips the breaker or does not. What stands
            // behind them waits for them, and cannot be waited for.
            if !self.recorder.flushed().await || self.stopper.is_stopped() {
                return Ok(Vec::new());
            }
        }
        self.cx.contacts.obey(&self.cx.contacts.control_lately().await?)?;
        self.locks_held()?;
        let positions: Vec<u64> = ready.iter().map(|(position, ..)| *position).collect();
        if self.job.on_unknown() == OnUnknown::Review {
            for position in &positions {
                self.recorder.intent(*position, Intent::Started).await;
            }
            if !self.recorder.flushed().await {
                return Ok(Vec::new());
            }
        }
        let begun = self.cx.clock.elapsed();
        cx.read.deadline = self.cx.contacts.deadline();
        let outcomes = match self.committed(ready, cx).await {
            Ok(outcomes) => outcomes,
            Err(stop) => {
                // What the job kept of its preparation stays for the next pass; a word that it was begun does not.
                if self.job.on_unknown() == OnUnknown::Review {
                    for position in positions {
                        self.recorder.withdraw(position).await;
                    }
                }
                return Err(stop);
            }
        };
        outcomes.iter().for_each(|outcome| self.foresight.known(outcome.kind));
        Stages::add(&self.stages.commit_us, self.cx.clock.elapsed().saturating_sub(begun));
        Ok(outcomes)
    }

    async fn committed(
        &self,
        mut ready: Vec<(u64, Arc<J::Item>, J::Prepared)>,
        cx: &mut CommitCx,
    ) -> Result<Vec<Outcome>, Stop> {
        if ready.len() == 1
            && let Some((_, item, prepared)) = ready.pop()
        {
            return Ok(vec![self.job.commit(cx, &item, prepared).await?]);
        }
        let items = ready.len();
        let group = ready.into_iter().map(|(_, item, prepared)| (item, prepared)).collect();
        let outcomes = self.job.commit_group(cx, group).await?;
        if outcomes.len() == items {
            return Ok(outcomes);
        }
        Err(Stop::Fail(Diagnosis::failure(
            "HW-BUG-001",
            format!("a commit of {items} items answered with {} outcomes", outcomes.len()),
            "report it with this message; the items are untried and the next pass goes on",
        )))
    }
}

impl<P> Work<P> {
    /// Whether nobody has to wait for it.
    fn has_ended(&self) -> bool {
        match self {
            Self::Known(_) => true,
            Self::Task(task) => task.0.is_finished(),
        }
    }
}
