//! An archive on its way as a body. Owns how it is read and slowed, and that one which stands still is noticed.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use highwater_engine::clock::SharedClock;
use highwater_engine::job::ReadCx;
use reqwest::Body;

use crate::ship::bandwidth::Bandwidth;

/// Longest time in which no byte of a body moves and no answer comes, in seconds. Once the whole body went, a receiver has longer: see
/// [`answer_patience`].
pub const STALL_SECS: u64 = 120;
/// How fast a receiver at least reads what it has before it answers, in bytes a second: an episode that it has already is read whole
/// before it is called present, and so is one that came in parts.
const ANSWER_BYTES_PER_SEC: u64 = 16 << 20;
/// How often that is looked at, in seconds.
const STALL_LOOK_SECS: u64 = 5;
/// How often an upload looks what a person set, in seconds.
const STEERING_LOOK_SECS: u64 = 2;

/// A body on its way: how much of it moved, and how fast it may.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    moved: Arc<AtomicU64>,
    body_bytes: u64,
    archive_bytes: u64,
    bandwidth: Arc<Bandwidth>,
    clock: SharedClock,
}

impl Flow {
    /// Of a body of so many bytes, which is the end of an archive of so many.
    pub(super) fn new(body_bytes: u64, archive_bytes: u64, bandwidth: &Arc<Bandwidth>, clock: &SharedClock) -> Self {
        let (bandwidth, clock) = (Arc::clone(bandwidth), Arc::clone(clock));
        Self { moved: Arc::default(), body_bytes, archive_bytes, bandwidth, clock }
    }

    /// Takes, for as long as it is waited for, what a person sets of the bandwidth.
    pub(super) async fn is_steered(&self, cx: &ReadCx) -> Infallible {
        loop {
            self.clock.glance(Duration::from_secs(STEERING_LOOK_SECS)).await;
            // A ledger that cannot be read ends the pass at the next contact; here the rate stays what it was.
            if let Ok(steering) = cx.steering_now().await {
                self.bandwidth.steer(steering.bandwidth);
            }
        }
    }

    /// Ends once nothing moves for [`STALL_SECS`] after the first byte did, or no answer comes for [`answer_patience`] after the last.
    /// What it gives is that time.
    pub(super) async fn stalls(&self) -> Duration {
        let clock = &self.clock;
        let (mut known, mut since) = (0, clock.elapsed());
        loop {
            clock.glance(Duration::from_secs(STALL_LOOK_SECS)).await;
            let moved = self.moved.load(Ordering::Relaxed);
            let patience = if moved < self.body_bytes {
                Duration::from_secs(STALL_SECS)
            } else {
                answer_patience(self.archive_bytes)
            };
            if moved != known || moved == 0 {
                (known, since) = (moved, clock.elapsed());
            } else if clock.elapsed().saturating_sub(since) >= patience {
                return patience;
            }
        }
    }
}

/// How long a receiver that has the whole body may take to answer: [`STALL_SECS`], and the time to read the archive once.
pub(super) fn answer_patience(archive_bytes: u64) -> Duration {
    Duration::from_secs(STALL_SECS + archive_bytes / ANSWER_BYTES_PER_SEC)
}

/// A file from a byte on as a body, which is opened when it is wanted.
pub(super) fn body(archive: PathBuf, from_byte: u64, flow: Flow) -> Body {
    let opened = futures::stream::once(async move {
        let mut file = tokio::fs::File::open(archive).await?;
        tokio::io::AsyncSeekExt::seek(&mut file, io::SeekFrom::Start(from_byte)).await?;
        Ok::<_, io::Error>(file)
    });
    let chunks = opened.flat_map(move |file| {
        let flow = flow.clone();
        futures::stream::try_unfold(Some(file), move |file| {
            let flow = flow.clone();
            async move {
                let Some(file) = file else { return Ok(None) };
                let mut file = file?;
                let chunk_bytes = flow.bandwidth.chunk_bytes();
                let mut chunk = Vec::with_capacity(chunk_bytes);
                let mut part = tokio::io::AsyncReadExt::take(&mut file, chunk_bytes as u64);
                let read = tokio::io::AsyncReadExt::read_to_end(&mut part, &mut chunk).await?;
                flow.bandwidth.draw(read, &*flow.clock).await;
                flow.moved.fetch_add(read as u64, Ordering::Relaxed);
                Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), Some(Ok(file)))))
            }
        })
    });
    Body::wrap_stream(chunks)
}

#[cfg(test)]
mod tests {
    use highwater_testkit::sim_clock::SimClock;

    use super::*;

    const GIB: u64 = 1 << 30;

    /// How long a flow of which so many bytes moved, and then none, is waited for, in seconds.
    async fn waited_secs(moved: u64, body_bytes: u64, archive_bytes: u64) -> u64 {
        let clock = SimClock::standing("2026-11-20T12:00:00Z".parse().unwrap());
        let flow = Flow::new(body_bytes, archive_bytes, &Arc::new(Bandwidth::new(None)), &clock.shared());
        flow.moved.store(moved, Ordering::Relaxed);
        let mut stalls = Box::pin(flow.stalls());
        for waited in (0..10_000).step_by(usize::try_from(STALL_LOOK_SECS).unwrap()) {
            if let Some(patience) = futures::FutureExt::now_or_never(&mut stalls) {
                assert!(Duration::from_secs(waited) >= patience, "told {patience:?} after {waited} s");
                return waited;
            }
            clock.advance(Duration::from_secs(STALL_LOOK_SECS));
            tokio::task::yield_now().await;
        }
        panic!("it is waited for without end");
    }

    #[tokio::test]
    async fn a_body_that_stands_still_is_given_up_and_one_that_went_whole_is_given_the_time_to_be_read() {
        let stall = STALL_SECS..STALL_SECS + 3 * STALL_LOOK_SECS;
        assert!(stall.contains(&waited_secs(GIB, 20 * GIB, 20 * GIB).await), "half way");
        assert!(stall.contains(&waited_secs(1, 1, 1).await), "a small one");
        // 20 GiB at 16 MiB a second: a receiver that has it reads it before it answers 200.
        let read = STALL_SECS + 20 * 64;
        assert!((read..read + 3 * STALL_LOOK_SECS).contains(&waited_secs(20 * GIB, 20 * GIB, 20 * GIB).await), "whole");
        assert!((read..read + 3 * STALL_LOOK_SECS).contains(&waited_secs(GIB, GIB, 20 * GIB).await), "the rest of it");
    }
}
