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

/// Longest time in which no byte of a body moves and no answer comes, in seconds.
pub const STALL_SECS: u64 = 120;
/// How often that is looked at, in seconds.
const STALL_LOOK_SECS: u64 = 5;
/// How often an upload looks what a person set, in seconds.
const STEERING_LOOK_SECS: u64 = 2;

/// A body on its way: how much of it moved, and how fast it may.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    moved: Arc<AtomicU64>,
    bandwidth: Arc<Bandwidth>,
    clock: SharedClock,
}

impl Flow {
    pub(super) fn new(bandwidth: &Arc<Bandwidth>, clock: &SharedClock) -> Self {
        Self { moved: Arc::default(), bandwidth: Arc::clone(bandwidth), clock: Arc::clone(clock) }
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

    /// Ends once nothing moves for [`STALL_SECS`] after the first byte did.
    pub(super) async fn stalls(&self) {
        let clock = &self.clock;
        let (mut known, mut since) = (0, clock.elapsed());
        loop {
            clock.glance(Duration::from_secs(STALL_LOOK_SECS)).await;
            let moved = self.moved.load(Ordering::Relaxed);
            if moved != known || moved == 0 {
                (known, since) = (moved, clock.elapsed());
            } else if clock.elapsed().saturating_sub(since) >= Duration::from_secs(STALL_SECS) {
                return;
            }
        }
    }
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
