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
    /// When the next contact may be, by [`Clock::elapsed`].
    next: Mutex<Duration>,
}

impl Pacer {
    /// Waits for a turn and takes it. Turns come in the order they are asked for; one that is no longer waited for is left to
    /// the next in line.
    pub async fn turn(&self, pace: Pace, clock: &dyn Clock) {
        // Whoever is first in line waits with the lock held: the line is the lock's.
        let mut next = self.next.lock().await;
        let now = clock.elapsed();
        let at = now.max(*next);
        if at > now {
            clock.sleep(at - now).await;
        }
        let swing = 1.0 + pace.jitter * (fastrand::f64() * 2.0 - 1.0);
        *next = at + pace.delay.mul_f64(swing.clamp(0.0, 2.0));
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
        pacer.turn(hour, &clock).await;
        let next = *pacer.next.lock().await;
        for _ in 0..4 {
            let gives_up = tokio::task::yield_now();
            tokio::select! {
                biased;
                () = pacer.turn(hour, &clock) => panic!("an hour early"),
                () = gives_up => {}
            }
        }
        assert_eq!(*pacer.next.lock().await, next, "nobody took it");
    }
}
