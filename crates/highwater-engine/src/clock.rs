//! Time, passed in. The only room that reads the machine's clocks or sleeps; everything else is given a [`Clock`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// A future that ends when time has passed.
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The time of day, the time that passes, and waiting.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time of day, as the machine believes it; may jump.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment; never goes back.
    fn elapsed(&self) -> Duration;
    /// Ends after `span`.
    fn sleep(&self, span: Duration) -> Sleep<'_>;
    /// The same for one who waits for something else and only looks whether to go on waiting: simulated time that passes by being
    /// slept through does not pass for them.
    fn glance(&self, span: Duration) -> Sleep<'_>;
}

/// A clock that many own.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

impl SystemClock {
    /// The machine's clocks; [`Clock::elapsed`] counts from here.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    #[must_use]
    pub fn new() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// The same, shared.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
    fn sleep(&self, span: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(span))
    }

    fn glance(&self, span: Duration) -> Sleep<'_> {
        self.sleep(span)
    }
}

/// `at + span`, held at the end of time rather than overflowing.
#[must_use]
pub fn later(at: Timestamp, span: Duration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// The time from `earlier` to `at`, zero when `at` is not later.
#[must_use]
pub fn since(at: Timestamp, earlier: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(earlier)).unwrap_or_default()
}
