//! How fast a job's uploads send together. Owns the line in which their chunks wait; what the rate is comes from the configuration and
//! from what a person set, also in the middle of an upload.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use highwater_engine::clock::Clock;
use highwater_engine::settings::ByteRate;
use tokio::sync::Mutex;

/// How much of a body is read at a time, in bytes, where nothing slows it.
const CHUNK_BYTES_MAX: u64 = 128 * 1024;
/// A slowed body comes in so many chunks a second at least: far more often than a receiver, or a proxy, takes for standing still.
const CHUNKS_A_SECOND: u64 = 8;
/// How much of the time that an upload waited for something else it may make good, in milliseconds.
const CATCH_UP_MILLIS: u64 = 250;
/// What stands for no limit.
const UNLIMITED: u64 = 0;

/// The line of all uploads of a job.
#[derive(Debug)]
pub struct Bandwidth {
    configured: Option<ByteRate>,
    bytes_per_second: AtomicU64,
    /// When the next chunk may go, by [`Clock::elapsed`].
    due: Mutex<Duration>,
}

impl Bandwidth {
    /// A line of this rate; without one nobody waits.
    #[must_use]
    pub fn new(configured: Option<ByteRate>) -> Self {
        let bandwidth = Self { configured, bytes_per_second: AtomicU64::new(UNLIMITED), due: Mutex::default() };
        bandwidth.steer(None);
        bandwidth
    }

    /// Takes what a person set; without it the configuration's holds. What moves already obeys with its next chunk.
    pub fn steer(&self, set: Option<ByteRate>) {
        let rate = set.or(self.configured).map_or(UNLIMITED, ByteRate::bytes);
        self.bytes_per_second.store(rate, Ordering::Relaxed);
    }

    /// How much is read at a time.
    #[must_use]
    pub fn chunk_bytes(&self) -> usize {
        let bytes = match self.bytes_per_second.load(Ordering::Relaxed) {
            UNLIMITED => CHUNK_BYTES_MAX,
            rate => (rate / CHUNKS_A_SECOND).clamp(1, CHUNK_BYTES_MAX),
        };
        usize::try_from(bytes).expect("invariant: a chunk fits in memory")
    }

    /// Waits until so many bytes may go. Chunks go in the order in which they came, whichever upload they are of.
    pub async fn draw(&self, bytes: usize, clock: &dyn Clock) {
        if self.bytes_per_second.load(Ordering::Relaxed) == UNLIMITED {
            return;
        }
        // Whoever is first in line waits with the lock held: the line is the lock's.
        let mut due = self.due.lock().await;
        let wait = due.saturating_sub(clock.elapsed());
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
        let rate = self.bytes_per_second.load(Ordering::Relaxed);
        if rate == UNLIMITED {
            *due = Duration::ZERO;
            return;
        }
        let begins = (*due).max(clock.elapsed().saturating_sub(Duration::from_millis(CATCH_UP_MILLIS)));
        let lasts = u128::from(bytes as u64) * 1_000_000_000 / u128::from(rate);
        *due = begins + Duration::from_nanos(u64::try_from(lasts).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use highwater_testkit::sim_clock::SimClock;

    use super::*;

    fn rate(text: &str) -> Option<ByteRate> {
        Some(text.parse().unwrap())
    }

    fn clock() -> Arc<SimClock> {
        SimClock::running("2026-11-20T12:00:00Z".parse().unwrap())
    }

    /// Sends so many bytes, and gives how long it took in milliseconds, and the most that went in any second.
    async fn send(bandwidth: &Bandwidth, clock: &SimClock, bytes: usize) -> (u128, usize) {
        let begun = clock.elapsed();
        let (mut left, mut gone) = (bytes, Vec::new());
        while left > 0 {
            let chunk = bandwidth.chunk_bytes().min(left);
            bandwidth.draw(chunk, clock).await;
            gone.push((clock.elapsed() - begun, chunk));
            left -= chunk;
        }
        let within = |from: Duration| {
            let second = gone.iter().filter(|(at, _)| *at >= from && *at < from + Duration::from_secs(1));
            second.map(|(_, chunk)| chunk).sum()
        };
        let most = gone.iter().map(|(at, _)| within(*at)).max().unwrap();
        ((clock.elapsed() - begun).as_millis(), most)
    }

    #[tokio::test]
    async fn bytes_go_at_the_rate_and_evenly() {
        for (text, bytes, secs) in
            [("1MiB/s", 10 << 20, 10), ("16KiB/s", 160 << 10, 10), ("100MB/s", 1_000_000_000, 10)]
        {
            let (bandwidth, clock) = (Bandwidth::new(rate(text)), clock());
            let (millis, most) = send(&bandwidth, &clock, bytes).await;
            let whole: u128 = secs * 1000;
            assert!(millis <= whole && millis + 250 + 130 >= whole, "{text}: {millis} ms");
            let second = bytes / usize::try_from(secs).unwrap();
            assert!(most <= second * 4 / 3, "{text}: {most} bytes in one second");
            assert!(bandwidth.chunk_bytes() <= (second / 8).max(1), "{text}");
        }
    }

    #[tokio::test]
    async fn uploads_share_it() {
        let (bandwidth, clock) = (Bandwidth::new(rate("1MiB/s")), clock());
        let (one, other) = tokio::join!(send(&bandwidth, &clock, 4 << 20), send(&bandwidth, &clock, 4 << 20));
        assert!(one.0.max(other.0) > 7_500, "{one:?} {other:?}");
        assert!(one.0.min(other.0) > 7_000, "neither goes before the other: {one:?} {other:?}");
    }

    #[tokio::test]
    async fn what_was_idle_does_not_make_up_for_it() {
        let (bandwidth, clock) = (Bandwidth::new(rate("1MiB/s")), clock());
        send(&bandwidth, &clock, 1 << 20).await;
        clock.advance(Duration::from_secs(3600));
        let (millis, _) = send(&bandwidth, &clock, 4 << 20).await;
        assert!(millis > 3_500, "{millis} ms");
    }

    #[tokio::test]
    async fn a_person_changes_it_on_the_way_and_takes_it_back() {
        let (bandwidth, clock) = (Bandwidth::new(None), clock());
        assert_eq!(send(&bandwidth, &clock, 100 << 20).await.0, 0, "without a rate nobody waits");
        bandwidth.steer(rate("64KiB/s"));
        let (slow, _) = send(&bandwidth, &clock, 640 << 10).await;
        assert!((9_000..=10_000).contains(&slow), "{slow} ms");
        bandwidth.steer(rate("1GiB/s"));
        assert!(send(&bandwidth, &clock, 100 << 20).await.0 < 500);
        bandwidth.steer(None);
        assert_eq!(bandwidth.chunk_bytes(), 128 * 1024);
        let configured = Bandwidth::new(rate("16KiB/s"));
        configured.steer(rate("1MiB/s"));
        assert_eq!(configured.chunk_bytes(), 128 * 1024);
        configured.steer(None);
        assert_eq!(configured.chunk_bytes(), 2048, "the configuration's holds again");
    }
}
