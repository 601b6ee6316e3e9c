//! The pace: delay and jitter between contacts. Owns the waiting line of a resource; that waiting ends early for a signal is
//! the contact's business.

use std::time::Duration;

use tokio::sync::Mutex;

use crate::clock::Clock;

/// How far apart contacts are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    /// From one contact to the next.
    pub delay: Duration,
    /// The delay varies by up to this much of itself either way, 0.0 to 1.0.
    pub jitter: f64,
}

/// The waiting line of one resource; shared by all passes of a process, so that the pace holds between them too.
#[derive(Debug, Default)]
pub struct Pacer {
    /// When the next contact may be, by [`Clock::elapsed`].
    next: Mutex<Duration>,
}

impl Pacer {
    /// Takes the next turn and returns how long to wait for it. Turns are given in the order they are asked for.
    pub async fn turn(&self, pace: Pace, clock: &dyn Clock) -> Duration {
        let mut next = self.next.lock().await;
        let now = clock.elapsed();
        let at = now.max(*next);
        let swing = 1.0 + pace.jitter * (fastrand::f64() * 2.0 - 1.0);
        *next = at + pace.delay.mul_f64(swing.clamp(0.0, 2.0));
        at - now
    }
}
