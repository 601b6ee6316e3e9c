//! The contact: what every request to a far side must hold a permit for. Owns the one place where stop, override, ban,
//! budget and pace are consulted (R2); what is sent under one is `contact/send.rs`, the HTTP client that carries it `contact/http.rs`.

mod bans;
mod http;
mod problem;
mod send;
mod stop;
mod throttled;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::ban::{BanFile, BanRules};
use crate::budget::{Budget, Meter};
use crate::clock::{SharedClock, since};
use crate::job::Stop;
use crate::ledger::{Control, DonePage, DonePlace, Ledger, Override, Who, Word};
use crate::name::{JobName, ResourceName};
use crate::pace::{Pace, Pacer};
use crate::report::Reason;
use crate::signal::far_side::FarSide;
use crate::steering::Steering;
use crate::stopper::Stopper;
use crate::throttle::{Throttle, ThrottleSpec};
use crate::worklist::Tally;

pub(crate) use http::http_client_builder;
pub use http::{CONNECT_TIMEOUT_SECS, READ_TIMEOUT_SECS, client_builder};
pub use stop::{StopSignal, Urgency};
use throttled::Gait;

/// How old an answer may be that is obeyed between items, in milliseconds: items faster than this share one.
pub(crate) const CONTROL_AGE_MS: u64 = 1;

/// How often one who waits for a turn looks whether the pass is to end, in milliseconds.
pub(crate) const CONTROL_EVERY_MS: u64 = 250;

/// How one resource is treated.
#[derive(Debug, Clone)]
pub struct Manners {
    /// Delay and jitter between contacts.
    pub pace: Pace,
    /// How `Retry-After` is read.
    pub ban: BanRules,
    /// Where the ban is shared with other programs.
    pub ban_file: Option<BanFile>,
    /// Its waiting line, shared by all passes of the process.
    pub pacer: Arc<Pacer>,
}

/// Leave to contact a resource once; every request spends one.
#[derive(Debug)]
pub struct Permit {
    resource: ResourceName,
}

impl Permit {
    /// The resource it is for.
    #[must_use]
    pub fn resource(&self) -> &ResourceName {
        &self.resource
    }
}

/// A request that got no answer: DNS, connect, TLS, time-out. It counts a deferral, not an attempt.
#[derive(Debug, thiserror::Error)]
#[error("{resource}{} did not answer", .address.as_ref().map(|address| format!(", {address},")).unwrap_or_default())]
pub struct Unanswered {
    /// The resource.
    pub resource: ResourceName,
    /// Who did not, where the client knows: scheme, host and port.
    pub address: Option<String>,
    /// What the client said.
    #[source]
    pub source: reqwest::Error,
}

/// What the contacts of one pass are made of, besides whose they are.
pub(crate) struct Terms {
    pub(crate) manners: BTreeMap<ResourceName, Manners>,
    pub(crate) budget: Budget,
    pub(crate) throttle: ThrottleSpec,
    pub(crate) far_side: Arc<FarSide>,
}

/// The contacts of one pass.
pub struct Contacts {
    job: JobName,
    who: Who,
    ledger: Arc<dyn Ledger>,
    clock: SharedClock,
    stop: StopSignal,
    manners: BTreeMap<ResourceName, Manners>,
    names: Vec<ResourceName>,
    budget: Budget,
    meter: Meter,
    /// When the pass began, by [`crate::clock::Clock::elapsed`].
    begun: Duration,
    stopper: Stopper,
    throttle: Throttle,
    far_side: Arc<FarSide>,
    items: Gait,
    batches: Gait,
    /// What a person set, as it was last read, and what it comes to.
    steering: Mutex<(Arc<[Override]>, Steering)>,
    /// When the ban ends that the pass waits out, once.
    waited_out: OnceLock<Timestamp>,
    /// The last answer, and when it was asked for.
    lately: Mutex<Option<(Duration, Control)>>,
    http: OnceLock<reqwest::Client>,
}

impl Contacts {
    pub(crate) fn new(
        job: JobName,
        who: Who,
        ledger: Arc<dyn Ledger>,
        clock: SharedClock,
        stop: StopSignal,
        terms: Terms,
    ) -> Self {
        let Terms { manners, budget, throttle, far_side } = terms;
        Self {
            job,
            who,
            ledger,
            stop,
            names: manners.keys().cloned().collect(),
            manners,
            budget,
            meter: Meter::default(),
            begun: clock.elapsed(),
            stopper: Stopper::default(),
            throttle: Throttle::new(throttle, Arc::clone(&clock)),
            far_side,
            items: Gait::default(),
            batches: Gait::default(),
            steering: Mutex::default(),
            clock,
            waited_out: OnceLock::new(),
            lately: Mutex::new(None),
            http: OnceLock::new(),
        }
    }

    /// The signal that a person wants the pass to end.
    #[must_use]
    pub fn stop(&self) -> &StopSignal {
        &self.stop
    }

    /// What time it is, by the pass's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the pass has spent.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What the pass may spend, as of now: a person may have set it.
    pub(crate) fn budget(&self) -> Budget {
        self.steering().budget(&self.budget)
    }

    /// When the pass's time is spent, by [`crate::clock::Clock::elapsed`].
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.budget().time.map(|time| self.begun + time)
    }

    /// The signals, and how fast they let the pass go.
    pub(crate) fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Why the pass stops.
    pub(crate) fn stopper(&self) -> &Stopper {
        &self.stopper
    }

    pub(crate) async fn control(&self) -> Result<Control, Stop> {
        let mut control = self.ledger.control(&self.job, &self.names).await?;
        self.heed(&control.overrides);
        self.add_file_bans(&mut control)?;
        Ok(control)
    }

    /// What [`Contacts::control`] says, or said no longer than [`CONTROL_AGE_MS`] ago: what a pass obeys between items. A contact asks anew.
    pub(crate) async fn control_lately(&self) -> Result<Control, Stop> {
        let now = self.clock.elapsed();
        let fresh = |(at, control): &(Duration, Control)| {
            (now.saturating_sub(*at) < Duration::from_millis(CONTROL_AGE_MS)).then(|| control.clone())
        };
        let known = self.lately.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(fresh);
        if let Some(control) = known {
            return Ok(control);
        }
        let control = self.control().await?;
        *self.lately.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, control.clone()));
        Ok(control)
    }

    /// What a pass must obey before each item and each contact: the signal, a halt, a pause, a ban but the one it waits out.
    pub(crate) fn obey(&self, control: &Control) -> Result<(), Stop> {
        if self.stop.urgency() > Urgency::None {
            return Err(Stop::checkpoint(Reason::Stopped, "stopped by a signal"));
        }
        if control.halted {
            return Err(Stop::Halted);
        }
        if control.paused {
            return Err(Stop::checkpoint(Reason::Paused, "paused"));
        }
        match self.standing_ban(control) {
            Some((resource, ban)) if self.waited_out.get().is_none_or(|waited_out| ban.until > *waited_out) => {
                Err(Stop::Ban { resource: resource.clone(), until: ban.until })
            }
            _ => Ok(()),
        }
    }

    /// Waits for the resource's turn and gives leave for one contact.
    ///
    /// # Errors
    /// [`Stop`] when a signal, a halt, a pause, a ban, the budget or another stop of the pass forbids it, before or during the
    /// wait.
    pub async fn permit(&self, resource: &ResourceName) -> Result<Permit, Stop> {
        let mut control = self.control().await?;
        self.obey(&control)?;
        let spent = |reason| Stop::checkpoint(reason, "the pass's contacts are spent");
        let contact = self.meter.contact(&self.budget()).map_err(spent)?;
        self.in_time()?;
        self.throttled()?;
        let paced = self.manners.get(resource).filter(|manners| !self.pace(manners).delay.is_zero());
        let mut turn = paced;
        loop {
            if let Some((_, ban)) = self.standing_ban(&control) {
                // The one that the pass waits out; after it, the turn is another.
                self.unless_stopped(self.clock.sleep(since(ban.until, self.clock.now()))).await?;
                turn = paced;
            } else if let Some(manners) = turn.take() {
                self.unless_stopped(manners.pacer.turn(|| self.pace(manners), &*self.clock)).await?;
            } else {
                break;
            }
            control = self.control().await?;
            self.obey(&control)?;
        }
        self.in_time()?;
        contact.made();
        Ok(Permit { resource: resource.clone() })
    }

    /// Whether the pass's time is not spent.
    pub(crate) fn in_time(&self) -> Result<(), Stop> {
        match self.deadline() {
            Some(deadline) if self.clock.elapsed() >= deadline => {
                Err(Stop::checkpoint(Reason::BudgetTime, "the pass's time is spent"))
            }
            _ => Ok(()),
        }
    }

    /// Waits to the end, unless the pass is to stop first: by a signal, a person's word, a ban, its deadline, a throttle that
    /// stays closed, or because an item that is not this one broke it off.
    async fn unless_stopped(&self, wait: impl Future<Output = ()>) -> Result<(), Stop> {
        let mut wait = pin!(wait);
        loop {
            let left = self.deadline().map_or(Duration::MAX, |deadline| deadline.saturating_sub(self.clock.elapsed()));
            tokio::select! {
                biased;
                () = self.stop.raised(Urgency::Soon) => {}
                stop = self.stopper.broken_off() => return Err(stop),
                () = &mut wait => return Ok(()),
                () = self.clock.sleep(left.min(Duration::from_millis(CONTROL_EVERY_MS))) => {}
            }
            self.obey(&self.control_lately().await?)?;
            self.in_time()?;
            self.throttled()?;
        }
    }

    /// Lets the items in hand come to their ends, and no other begin: the far side asked for less, or does not answer. Of several
    /// reasons the first counts.
    pub fn wind_down(&self, stop: Stop) {
        self.stopper.wind_down(stop);
    }

    pub(crate) async fn watermark(&self, name: &str) -> Result<Option<Timestamp>, Stop> {
        Ok(self.ledger.watermark(&self.job, name).await?)
    }

    pub(crate) async fn tally(&self) -> Result<Option<Tally>, Stop> {
        let record = self.ledger.job(&self.job).await?;
        Ok(record.and_then(|record| record.worklist).map(|worklist| worklist.tally))
    }

    pub(crate) async fn done_items(&self, after: DonePlace, rows_max: usize) -> Result<DonePage, Stop> {
        Ok(self.ledger.done_items(&self.job, after, rows_max).await?)
    }

    pub(crate) async fn add_event(&self, act: &str, why: &str) -> Result<(), Stop> {
        let word = Word { at: self.clock.now(), who: self.who.clone(), why: why.to_owned() };
        Ok(self.ledger.add_event(act, Some(&self.job), None, &word).await?)
    }
}
