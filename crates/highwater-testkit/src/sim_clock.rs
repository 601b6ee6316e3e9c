//! A clock that a test moves. Owns simulated time; nothing waits for real.

use std::sync::Mutex;
use std::time::Duration;

use highwater_engine::clock::{Clock, SharedClock, Sleep, later};
use jiff::Timestamp;
use tokio::sync::watch;

/// Simulated time: a sleep ends when the test has moved the clock far enough, or at once where the clock moves itself.
#[derive(Debug)]
pub struct SimClock {
    start: Timestamp,
    elapsed: watch::Sender<Duration>,
    moves_itself: bool,
    jump: Mutex<i64>,
}

impl SimClock {
    /// A clock that stands still until [`SimClock::advance`].
    #[must_use]
    pub fn standing(start: Timestamp) -> std::sync::Arc<Self> {
        Self::new(start, false)
    }

    /// A clock on which every sleep ends at once and moves the time on.
    #[must_use]
    pub fn running(start: Timestamp) -> std::sync::Arc<Self> {
        Self::new(start, true)
    }

    fn new(start: Timestamp, moves_itself: bool) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self {
            start,
            elapsed: watch::Sender::new(Duration::ZERO),
            moves_itself,
            jump: Mutex::new(0),
        })
    }

    /// The same as the engine takes it.
    #[must_use]
    pub fn shared(self: &std::sync::Arc<Self>) -> SharedClock {
        std::sync::Arc::clone(self) as SharedClock
    }

    /// Moves the time on.
    pub fn advance(&self, span: Duration) {
        self.elapsed.send_modify(|now| *now += span);
    }

    /// Makes the time of day jump, forwards or back, as an administrator or NTP does; elapsed time does not.
    pub fn jump_secs(&self, secs: i64) {
        *self.jump.lock().expect("invariant: no panic while it is held") += secs;
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let jump = *self.jump.lock().expect("invariant: no panic while it is held");
        let at = later(self.start, *self.elapsed.borrow());
        at.checked_add(jiff::SignedDuration::from_secs(jump)).unwrap_or(at)
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.borrow()
    }

    fn sleep(&self, span: Duration) -> Sleep<'_> {
        Box::pin(async move {
            let end = self.elapsed() + span;
            if self.moves_itself {
                tokio::task::yield_now().await;
                self.elapsed.send_modify(|now| *now = (*now).max(end));
                return;
            }
            let mut moved = self.elapsed.subscribe();
            // The sender is ours, so it cannot be gone.
            let _ = moved.wait_for(|now| *now >= end).await;
        })
    }

    fn glance(&self, span: Duration) -> Sleep<'_> {
        if self.moves_itself { Box::pin(std::future::pending()) } else { self.sleep(span) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_standing_clock_wakes_a_sleeper_only_when_it_is_moved() {
        let clock = SimClock::standing("2026-11-20T00:00:00Z".parse().unwrap());
        let sleeper = tokio::spawn({
            let clock = clock.shared();
            async move {
                clock.sleep(Duration::from_secs(10)).await;
                clock.now()
            }
        });
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(11));
        assert_eq!(sleeper.await.unwrap().to_string(), "2026-11-20T00:00:11Z");
    }
}
