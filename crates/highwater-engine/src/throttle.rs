//! The throttle: how fast a pass may go, by how well the far side is. Owns the one control rule over all signals of a job, and
//! that a signal which is missing, failing or stale counts as unhealthy (R17). Who is slowed by it, and how, is the contacts'.
//!
//! Each round reads every signal and takes the worst ratio of reading to limit. Below 40 % of the limit the share of full speed
//! grows, above 70 % it shrinks, at the limit it is halved and the throttle is **closed**: who works in batches waits. While any
//! signal gives no reading the throttle is closed and the share is the smallest; with the next reading it is what it was.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::clock::SharedClock;
use crate::ledger::Ledger;
use crate::name::PassId;
use crate::settings::DurationText;
use crate::signal::{Signal, SignalError};

/// Below this share of its limit a signal lets the pass speed up.
pub const SPEED_UP_BELOW: f64 = 0.4;
/// Above this share of its limit a signal slows the pass down.
pub const SLOW_DOWN_ABOVE: f64 = 0.7;
/// From this share of its limit on the far side is unwell.
pub const UNWELL_FROM: f64 = 1.0;
/// The smallest share of full speed, at which a pass goes whose signals cannot be read.
pub const SHARE_MIN: f64 = 1.0 / 32.0;
/// What a round below [`SPEED_UP_BELOW`] multiplies the share by.
const SPEED_UP: f64 = 1.25;
/// What a round above [`SLOW_DOWN_ABOVE`] multiplies it by.
const SLOW_DOWN: f64 = 0.85;
/// What a round from [`UNWELL_FROM`] on multiplies it by.
const HALVE: f64 = 0.5;
/// How long after its time a round may be, in seconds, before what the last one read is stale.
const ROUND_LATE_SECS: u64 = 30;
/// How often a reading that changed nothing is written for people to see, in seconds.
const NOTE_EVERY_SECS: u64 = 10;

/// The signals of a job, and how they are heeded.
#[derive(Clone)]
pub struct ThrottleSpec {
    /// The signals; with none a pass goes at full speed.
    pub signals: Vec<Arc<dyn Signal>>,
    /// From one round of readings to the next.
    pub every: Duration,
    /// How long the throttle may stay closed before it ends the pass as a checkpoint.
    pub wait: Duration,
}

/// From one round of readings to the next, in seconds, where nothing else is said.
pub const THROTTLE_EVERY_SECS: u64 = 2;
/// How long a throttle may stay closed, in seconds, where nothing else is said.
pub const THROTTLE_WAIT_SECS: u64 = 600;

impl Default for ThrottleSpec {
    fn default() -> Self {
        Self {
            signals: Vec::new(),
            every: Duration::from_secs(THROTTLE_EVERY_SECS),
            wait: Duration::from_secs(THROTTLE_WAIT_SECS),
        }
    }
}

/// A signal as it was last read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalState {
    /// What people call it.
    pub name: String,
    /// The number from which on the far side is unwell.
    pub limit: f64,
    /// What was read, if anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Why nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl SignalState {
    /// How near it is to its limit; `None` without a reading.
    fn ratio(&self) -> Option<f64> {
        self.value.map(|value| value / self.limit)
    }

    /// Whether it closes the throttle.
    #[must_use]
    pub fn is_unwell(&self) -> bool {
        // A ratio that is no number, as of a limit of 0, is none to go by.
        !self.ratio().is_some_and(|ratio| ratio < UNWELL_FROM)
    }

    /// `lock-waiters is 7, its limit is 5`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { name, limit, .. } = self;
        match (self.value, &self.error) {
            (Some(value), _) => format!("{name} is {}, its limit is {limit}", rounded(value)),
            (None, Some(error)) => format!("{name} cannot be read and counts as unhealthy: {error}"),
            (None, None) => format!("{name} was not read yet and counts as unhealthy"),
        }
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// A throttle as of its last round: what `status` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThrottleState {
    /// When it was read.
    pub at: Timestamp,
    /// The share of full speed, up to 1.0.
    pub share: f64,
    /// Since when it is closed, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_since: Option<Timestamp>,
    /// Every signal.
    pub signals: Vec<SignalState>,
}

impl ThrottleState {
    /// The signal that decides: one without a reading before any with one, then the one nearest to its limit.
    #[must_use]
    pub fn worst(&self) -> Option<&SignalState> {
        let ratio = |signal: &&SignalState| signal.ratio().unwrap_or(f64::INFINITY);
        self.signals.iter().max_by(|a, b| ratio(a).total_cmp(&ratio(b)))
    }
}

/// What a round makes of the share of full speed; `worst` is the worst ratio of reading to limit.
fn next_share(share: f64, worst: f64) -> f64 {
    let factor = if worst < SPEED_UP_BELOW {
        SPEED_UP
    } else if worst >= UNWELL_FROM {
        HALVE
    } else if worst > SLOW_DOWN_ABOVE {
        SLOW_DOWN
    } else {
        1.0
    };
    (share * factor).clamp(SHARE_MIN, 1.0)
}

/// The throttle of one pass.
pub(crate) struct Throttle {
    spec: ThrottleSpec,
    clock: SharedClock,
    now: watch::Sender<Now>,
}

/// What is known.
#[derive(Debug, Clone)]
struct Now {
    /// Whether the pass heeds it.
    begun: bool,
    /// The share that the rule has come to.
    share: f64,
    /// When the last round was done, by [`crate::clock::Clock::elapsed`].
    read_at: Option<Duration>,
    /// Since when it is closed.
    closed_since: Option<(Duration, Timestamp)>,
    signals: Vec<SignalState>,
}

/// A throttle that is closed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Closed {
    /// For how long.
    pub(crate) span: Duration,
    /// Which signal, and why.
    pub(crate) why: String,
}

impl Throttle {
    pub(crate) fn new(spec: ThrottleSpec, clock: SharedClock) -> Self {
        let unread = |signal: &Arc<dyn Signal>| SignalState {
            name: signal.name().to_owned(),
            limit: signal.limit(),
            value: None,
            error: None,
        };
        let signals: Vec<_> = spec.signals.iter().map(unread).collect();
        let (now, _) = watch::channel(Now { begun: false, share: 1.0, read_at: None, closed_since: None, signals });
        Self { spec, clock, now }
    }

    /// Begins to heed the signals: closed until the first round.
    pub(crate) fn begin(&self) {
        let since = (self.clock.elapsed(), self.clock.now());
        self.now.send_modify(|now| {
            now.begun = !now.signals.is_empty();
            now.closed_since = now.begun.then_some(since);
        });
    }

    /// Whether there is nothing to heed: no signal, or the pass has not begun.
    pub(crate) fn is_idle(&self) -> bool {
        !self.now.borrow().begun
    }

    /// How long it may stay closed.
    pub(crate) fn wait(&self) -> Duration {
        self.spec.wait
    }

    /// The share of full speed, as of now.
    pub(crate) fn share(&self) -> f64 {
        if self.is_idle() {
            return 1.0;
        }
        let now = self.now.borrow();
        let unreadable = now.signals.iter().any(|signal| signal.value.is_none());
        if unreadable || self.is_late(&now) { SHARE_MIN } else { now.share }
    }

    /// Whether it is closed, for how long and why.
    pub(crate) fn closed(&self) -> Option<Closed> {
        if self.is_idle() {
            return None;
        }
        let now = self.now.borrow();
        let at = self.clock.elapsed();
        if let Some((since, _)) = now.closed_since {
            let worst = state(&now, Timestamp::UNIX_EPOCH, 0.0).worst().map(SignalState::sentence);
            return Some(Closed { span: at.saturating_sub(since), why: worst.unwrap_or_default() });
        }
        self.is_late(&now).then(|| Closed {
            span: at.saturating_sub(self.stale_from(&now)),
            why: "no signal was read for too long: what was read is stale, and counts as unhealthy".to_owned(),
        })
    }

    /// Ends after the next round.
    pub(crate) async fn changed(&self) {
        // The sender is ours, so it cannot be gone.
        let _ = self.now.subscribe().changed().await;
    }

    /// Ends once every signal was asked.
    pub(crate) async fn first_round(&self) {
        if !self.is_idle() {
            let _ = self.now.subscribe().wait_for(|now| now.read_at.is_some()).await;
        }
    }

    /// When the last round is stale from, by [`crate::clock::Clock::elapsed`].
    fn stale_from(&self, now: &Now) -> Duration {
        let longest = self.spec.signals.iter().map(|signal| signal.timeout()).max().unwrap_or_default();
        now.read_at.unwrap_or_default() + self.spec.every + longest + Duration::from_secs(ROUND_LATE_SECS)
    }

    /// Rounds come late only where the machine stood still, or the one who reads is gone.
    fn is_late(&self, now: &Now) -> bool {
        now.read_at.is_some() && self.clock.elapsed() > self.stale_from(now)
    }

    /// Reads every signal, round after round, until it is dropped; writes to the pass's row what people should see.
    pub(crate) async fn watch(&self, ledger: &dyn Ledger, pass: PassId) {
        let mut noted: Option<ThrottleState> = None;
        loop {
            let state = self.round().await;
            if noted.as_ref().is_none_or(|noted| is_news(noted, &state)) {
                // People see it later then; the pass is slowed all the same.
                match ledger.note_throttle(pass, &state).await {
                    Ok(()) => noted = Some(state),
                    Err(error) => {
                        tracing::debug!(error = &error as &dyn std::error::Error, "the throttle cannot be noted");
                    }
                }
            }
            self.clock.sleep(self.spec.every).await;
        }
    }

    /// Reads every signal once and applies the rule.
    async fn round(&self) -> ThrottleState {
        let signals = join_all(self.spec.signals.iter().map(|signal| self.read(&**signal))).await;
        let (at, elapsed) = (self.clock.now(), self.clock.elapsed());
        self.now.send_modify(|now| {
            let was_closed = now.closed_since.filter(|_| now.read_at.is_some());
            let ratios: Option<Vec<f64>> = signals.iter().map(SignalState::ratio).collect();
            if let Some(worst) = ratios.map(|ratios| ratios.into_iter().fold(0.0, f64::max)) {
                now.share = next_share(now.share, worst);
            }
            let closed = signals.iter().any(SignalState::is_unwell);
            now.closed_since = closed.then(|| now.closed_since.unwrap_or((elapsed, at)));
            now.signals = signals;
            now.read_at = Some(elapsed);
            tell(was_closed, now);
        });
        let share = self.share();
        state(&self.now.borrow(), at, share)
    }

    async fn read(&self, signal: &dyn Signal) -> SignalState {
        let timeout = signal.timeout();
        let read = tokio::select! {
            biased;
            read = signal.read() => read,
            () = self.clock.sleep(timeout) => Err(SignalError::Late { after: timeout }),
        };
        let limit = signal.stale_after();
        let read = read.and_then(|reading| match reading.age > limit {
            true => Err(SignalError::Stale { age: reading.age, limit }),
            false => Ok(reading.value),
        });
        let (value, error) = match read {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error.told())),
        };
        SignalState { name: signal.name().to_owned(), limit: signal.limit(), value, error }
    }
}

fn state(now: &Now, at: Timestamp, share: f64) -> ThrottleState {
    ThrottleState { at, share, closed_since: now.closed_since.map(|(_, since)| since), signals: now.signals.clone() }
}

/// Logged when it closes and when it opens, and not at each round.
fn tell(was_closed: Option<(Duration, Timestamp)>, now: &Now) {
    match (was_closed, now.closed_since) {
        (None, Some(_)) => {
            let worst = state(now, Timestamp::UNIX_EPOCH, 0.0).worst().map(SignalState::sentence).unwrap_or_default();
            tracing::info!("the throttle is closed: {worst}");
        }
        (Some(_), None) => tracing::info!("the throttle is open again"),
        _ => {}
    }
}

/// Whether people should see it: something changed but the numbers, or these are old.
fn is_news(noted: &ThrottleState, state: &ThrottleState) -> bool {
    let old = crate::clock::since(state.at, noted.at) >= Duration::from_secs(NOTE_EVERY_SECS);
    let errors = |state: &ThrottleState| state.signals.iter().map(|s| s.error.clone()).collect::<Vec<_>>();
    old || noted.share != state.share || noted.closed_since != state.closed_since || errors(noted) != errors(state)
}

/// `4m`, for the sentence of an ending.
pub(crate) fn waited(span: Duration) -> String {
    DurationText::secs(span.as_secs().max(1)).to_string()
}

#[cfg(test)]
mod tests;
