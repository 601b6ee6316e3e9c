//! How much a provider answers: so many requests in so long, from all clients together. Owns the count; knows no HTTP.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many requests in so long; as many may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub requests: NonZeroU32,
    /// In how long.
    pub per: Duration,
}

/// Holds requests to a rate: each pushes the moment of the next one on, which may not run too far ahead.
///
/// # Source
/// The generic cell rate algorithm, ITU-T I.371.
#[derive(Debug)]
pub(super) struct Bucket {
    interval: Duration,
    ahead_max: Duration,
    /// When the next request were due if they came evenly.
    due: Mutex<Duration>,
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        let interval = rate.per / rate.requests.get();
        Self { interval, ahead_max: rate.per.saturating_sub(interval), due: Mutex::new(Duration::ZERO) }
    }

    /// Lets a request in at `elapsed`, or says how long to wait.
    pub(super) fn admit(&self, elapsed: Duration) -> Result<(), Duration> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let now_due = (*due).max(elapsed);
        let ahead = now_due - elapsed;
        if ahead > self.ahead_max {
            return Err(ahead - self.ahead_max);
        }
        *due = now_due + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    #[test]
    fn as_many_as_are_allowed_may_come_at_once_and_then_one_each_interval() {
        let bucket = Bucket::new(Rate { requests: NonZeroU32::new(3).unwrap(), per: Duration::from_secs(30) });
        for _ in 0..3 {
            assert_eq!(bucket.admit(Duration::from_secs(100)), Ok(()));
        }
        assert_eq!(bucket.admit(Duration::from_secs(100)), Err(Duration::from_secs(10)));
        assert_eq!(bucket.admit(Duration::from_secs(109)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.admit(Duration::from_secs(110)), Ok(()));
        assert_eq!(bucket.admit(Duration::from_secs(110)), Err(Duration::from_secs(10)));
    }
}
