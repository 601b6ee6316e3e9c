//! The contact: what every request to a far side must hold a permit for. Owns the one place where stop, override, ban,
//! budget and pace are consulted (R2); the HTTP client that carries permits is `contact/http.rs`.

mod bans;
mod http;
mod stop;
mod throttled;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;

use crate::ban::{BanFile, BanRules};
use crate::budget::{Budget, Meter};
use crate::clock::{SharedClock, later, since};
use crate::diagnosis::Diagnosis;
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
use http::{at_next, http_client, may_follow, redirected};
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

    /// Sends a request under a permit of its own. 429 and 503 extend the ban; one no longer than the resource's
    /// `max-retry-after` is waited out once a pass and the request is asked once more, after which the pass ends whatever the
    /// answer.
    ///
    /// # Errors
    /// [`Stop`] as [`Contacts::permit`], and a ban. The inner error is a request without an answer.
    pub async fn send(
        &self,
        resource: &ResourceName,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder + Send + Sync,
    ) -> Result<Result<reqwest::Response, Unanswered>, Stop> {
        self.send_with(resource, None, request).await
    }

    /// The same, where an absent `Retry-After` means `fallback` rather than what the resource's rules say.
    ///
    /// # Errors
    /// As [`Contacts::send`].
    pub async fn send_with(
        &self,
        resource: &ResourceName,
        fallback: Option<Duration>,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder + Send + Sync,
    ) -> Result<Result<reqwest::Response, Unanswered>, Stop> {
        self.send_by(self.http()?, resource, fallback, request).await
    }

    /// The same by a client of the job's own, for a far side that asks who is calling: a [`client_builder`] with a certificate.
    ///
    /// # Errors
    /// As [`Contacts::send`].
    pub async fn send_by(
        &self,
        http: &reqwest::Client,
        resource: &ResourceName,
        fallback: Option<Duration>,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder + Send + Sync,
    ) -> Result<Result<reqwest::Response, Unanswered>, Stop> {
        self.send_within(http, resource, fallback, |_| true, request).await
    }

    /// The same, where a redirect is followed only to where `may_go` lets it; the answer of one that is not is given as it came.
    ///
    /// # Errors
    /// As [`Contacts::send`].
    pub async fn send_within(
        &self,
        http: &reqwest::Client,
        resource: &ResourceName,
        fallback: Option<Duration>,
        may_go: impl Fn(&Url) -> bool + Send + Sync,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder + Send + Sync,
    ) -> Result<Result<reqwest::Response, Unanswered>, Stop> {
        let mut permit = self.permit(resource).await?;
        let mut asked_at: Vec<Url> = Vec::new();
        let mut next: Option<Url> = None;
        loop {
            let sent = match request(http).build() {
                Ok(request) => {
                    let request = at_next(request, next.as_ref());
                    let (method, asked_at) = (request.method().clone(), self.clock.elapsed());
                    let answer = http.execute(request).await;
                    let is_error = answer.as_ref().map_or(true, |answer| answer.status().is_server_error());
                    self.far_side.answered(self.clock.elapsed().saturating_sub(asked_at), is_error);
                    answer.map(|response| (response, method))
                }
                Err(source) => Err(source),
            };
            let (response, method) = match sent {
                Ok(sent) => sent,
                Err(source) => {
                    let address = source.url().map(|url| url.origin().ascii_serialization());
                    return Ok(Err(Unanswered { resource: permit.resource, address, source }));
                }
            };
            asked_at.push(response.url().clone());
            if let Some(there) =
                redirected(&response, &method).filter(|there| may_follow(&asked_at, there) && may_go(there))
            {
                // Paced, counted and bannable like any other.
                next = Some(there);
                permit = self.permit(resource).await?;
                continue;
            }
            if !matches!(response.status().as_u16(), 429 | 503) {
                return Ok(Ok(response));
            }
            let asked = self.asked(resource, fallback, &response);
            // Before the ban is in the ledger, or another item would obey it and end the pass. A ban file rounds up to a second.
            let (waits_out, waited_until) = (self.rules(resource).wait_out_max, whole_second_after(asked.until));
            let wait = since(asked.until, self.clock.now());
            let waited = wait <= waits_out && self.waited_out.set(waited_until).is_ok();
            let stands = self.extend_ban(resource, asked).await?;
            if !waited || stands.until > waited_until {
                return Err(Stop::Ban { resource: permit.resource, until: stands.until });
            }
            tracing::info!(%resource, wait_secs = wait.as_secs(), "waiting the ban out, once");
            let why = "the far side asked for less: a ban was waited out once";
            self.wind_down(Stop::checkpoint(Reason::BannedUntil, why));
            permit = self.permit(resource).await?;
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

    fn http(&self) -> Result<&reqwest::Client, Stop> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let client = http_client().map_err(|e| {
            Stop::Fail(Diagnosis::failure(
                "HW-NET-001",
                format!("the HTTP client cannot start: {e}"),
                "check the machine's TLS certificates and proxy settings",
            ))
        })?;
        Ok(self.http.get_or_init(|| client))
    }
}

/// The next whole second, or `at` itself where it is one.
fn whole_second_after(at: Timestamp) -> Timestamp {
    let second = Timestamp::from_second(at.as_second()).unwrap_or(at);
    if second < at { later(second, Duration::from_secs(1)) } else { at }
}
