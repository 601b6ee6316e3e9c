//! The pace: delay and jitter between contacts. Owns the waiting line of a resource; when waiting ends early is the contact's
//! business.

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
    last: Mutex<Option<Turn>>,
}

/// A turn that was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Turn {
    /// When, by [`Clock::elapsed`].
    at: Duration,
    /// Where in the jitter the wait after it lies, -1.0 to 1.0.
    swing: f64,
}

impl Turn {
    /// When the next contact may be.
    fn next(self, pace: Pace) -> Duration {
        self.at + pace.delay.mul_f64((1.0 + pace.jitter * self.swing).clamp(0.0, 2.0))
    }
}

/// How often one who waits looks whether the pace has changed, in milliseconds.
const LOOK_EVERY_MS: u64 = 250;

impl Pacer {
    /// Waits for a turn and takes it. Turns come in the order they are asked for; one that is no longer waited for is left to
    /// the next in line. The pace is asked again while it waits: a person or the throttle may change it.
    pub async fn turn(&self, pace: impl Fn() -> Pace, clock: &dyn Clock) {
        // Whoever is first in line waits with the lock held: the line is the lock's.
        let mut last = self.last.lock().await;
        let mut at = clock.elapsed();
        if let Some(turn) = *last {
            let asked = pace();
            let (mut now, mut next) = (at, turn.next(asked));
            while next > now {
                tokio::select! {
                    () = clock.sleep(next - now) => {}
                    () = clock.glance(Duration::from_millis(LOOK_EVERY_MS)) => {}
                }
                (now, next) = (clock.elapsed(), turn.next(pace()));
            }
            // On time it is the time that was due, so that waking late adds up to nothing.
            at = if pace() == asked { at.max(next) } else { now };
        }
        *last = Some(Turn { at, swing: fastrand::f64() * 2.0 - 1.0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn a_turn_that_is_no_longer_waited_for_is_left_to_the_next_in_line() {
        let (pacer, clock) = (Pacer::default(), SystemClock::new());
        let hour = Pace { delay: Duration::from_secs(3600), jitter: 0.0 };
        pacer.turn(|| hour, &clock).await;
        let last = *pacer.last.lock().await;
        for _ in 0..4 {
            let gives_up = tokio::task::yield_now();
            tokio::select! {
                biased;
                () = pacer.turn(|| hour, &clock) => panic!("an hour early"),
                () = gives_up => {}
            }
        }
        assert_eq!(*pacer.last.lock().await, last, "nobody took it");
    }
}
