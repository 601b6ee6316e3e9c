//! How a pass's contacts, items and batches heed the throttle and what a person set. Owns who waits and for how long; how fast it
//! may go is [`crate::throttle`]'s.
//!
//! Contacts are slowed by their pace, which is stretched. An item that makes no paced contact is slowed before it is begun, and a
//! batch before it is begun, by a rest as long as what it follows. A batch waits besides while the throttle is closed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Contacts, Manners};
use crate::job::Stop;
use crate::ledger::Override;
use crate::pace::Pace;
use crate::report::Reason;
use crate::steering::Steering;
use crate::throttle::{Closed, waited};

/// Work shorter than this counts as this long where it is slowed, in milliseconds: quick work at the smallest share would not
/// be slow.
const WORK_MS_MIN: u64 = 100;
/// Longest rest between two items or two batches, in seconds.
const REST_SECS_MAX: u64 = 60;
/// How often one who rests looks whether the throttle changed, in milliseconds.
const LOOK_EVERY_MS: u64 = 250;

/// When one who goes step by step took the last step.
#[derive(Debug, Default)]
pub(crate) struct Gait(Mutex<Option<Step>>);

#[derive(Debug, Clone, Copy)]
struct Step {
    /// By [`crate::clock::Clock::elapsed`].
    at: Duration,
    /// Contacts made until then.
    contacts: u64,
}

impl Contacts {
    /// What a person set, as of the last time the ledger was asked.
    pub(crate) fn steering(&self) -> Steering {
        self.steering.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Takes note of what a person set.
    pub(super) fn heed(&self, overrides: &std::sync::Arc<[Override]>) {
        let mut steering = self.steering.lock().unwrap_or_else(PoisonError::into_inner);
        if steering.0 != *overrides {
            *steering = (std::sync::Arc::clone(overrides), Steering::of(overrides));
        }
    }

    /// The pace of a resource: a person's as it is, the configured one stretched by the throttle.
    pub(super) fn pace(&self, manners: &Manners) -> Pace {
        let steering = self.steering();
        Pace {
            delay: steering.pace.unwrap_or_else(|| manners.pace.delay.div_f64(self.share())),
            jitter: steering.jitter.map_or(manners.pace.jitter, |jitter| jitter.fraction()),
        }
    }

    /// The share of full speed at which the pass may go.
    pub(super) fn share(&self) -> f64 {
        if self.is_unthrottled() { 1.0 } else { self.throttle.share() }
    }

    /// Whether no signal slows anything.
    pub(crate) fn is_unthrottled(&self) -> bool {
        self.throttle.is_idle() || self.steering().throttle == Some(false)
    }

    fn closed(&self) -> Option<Closed> {
        if self.is_unthrottled() { None } else { self.throttle.closed() }
    }

    /// A throttle that stays closed ends the pass: cron calls again.
    pub(super) fn throttled(&self) -> Result<(), Stop> {
        match self.closed() {
            Some(Closed { span, why }) if span >= self.throttle.wait() => {
                Err(Stop::checkpoint(Reason::Throttled, format!("throttled for {}: {why}", waited(span))))
            }
            _ => Ok(()),
        }
    }

    /// Before an item is begun: rests as the throttle says, unless its contacts are slowed already.
    pub(crate) async fn item_may_begin(&self) -> Result<(), Stop> {
        self.throttled()?;
        self.unless_stopped(self.throttle.first_round()).await?;
        self.throttled()?;
        let paced = self.manners.values().any(|manners| !self.pace(manners).delay.is_zero());
        let contacts = self.meter.spent().contacts;
        let last = *self.items.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !(paced && last.is_some_and(|last| contacts > last.contacts)) {
            self.rest(last).await?;
        }
        self.step(&self.items);
        Ok(())
    }

    /// Before a batch is begun: see [`crate::job::ReadCx::clear`].
    pub(crate) async fn batch_may_begin(&self) -> Result<f64, Stop> {
        self.obey(&self.control().await?)?;
        self.in_time()?;
        if !self.is_unthrottled() {
            self.throttled()?;
            self.unless_stopped(self.throttle.first_round()).await?;
            self.unless_stopped(self.opens()).await?;
            let last = *self.batches.0.lock().unwrap_or_else(PoisonError::into_inner);
            self.rest(last).await?;
        }
        self.step(&self.batches);
        Ok(self.share())
    }

    fn step(&self, gait: &Gait) {
        let step = Step { at: self.clock.elapsed(), contacts: self.meter.spent().contacts };
        *gait.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(step);
    }

    /// Ends once the throttle is open, or a person had it not heeded.
    async fn opens(&self) {
        let look = Duration::from_millis(LOOK_EVERY_MS);
        while self.closed().is_some() {
            tokio::select! {
                () = self.throttle.changed() => {}
                () = self.clock.glance(look) => {}
            }
        }
    }

    /// Rests so long after the work since `last` that both together are as slow as the throttle says.
    async fn rest(&self, last: Option<Step>) -> Result<(), Stop> {
        let begun = self.clock.elapsed();
        let worked = last.map_or(Duration::ZERO, |last| begun.saturating_sub(last.at));
        let worked = worked.max(Duration::from_millis(WORK_MS_MIN)).as_secs_f64();
        let left = || {
            let rest = (worked * (1.0 / self.share() - 1.0)).min(REST_SECS_MAX as f64);
            (begun + Duration::from_secs_f64(rest)).saturating_sub(self.clock.elapsed())
        };
        if left().is_zero() {
            return Ok(());
        }
        let resting = async {
            loop {
                let left = left();
                if left.is_zero() {
                    break;
                }
                tokio::select! {
                    () = self.clock.sleep(left) => {}
                    () = self.clock.glance(Duration::from_millis(LOOK_EVERY_MS)) => {}
                }
            }
        };
        self.unless_stopped(resting).await
    }
}
