//! A body on its way into the store. Owns reading it in bounded memory, hashing, and its limits in bytes and time; reading goes on
//! while what came before is written.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use sha2::Digest as _;
use tokio::task::JoinHandle;

use super::admit::{cannot, disk_full, too_large};
use super::problem::{Problem, known};
use super::settings::LimitSettings;
use super::slots::Slot;
use crate::digest::Sha256Digest;
use crate::store::{Staging, Store, StoreError};

/// What is gathered of a body before it is written; twice as much is held.
const CHUNK_BYTES: usize = 512 * 1024;
/// After so many bytes of a body of unknown length the disk is asked again.
const ROOM_EVERY_BYTES: u64 = 64 << 20;

/// After a body is told to stop, it is read on while more comes within so many milliseconds: what is on its way already is not sent
/// twice then.
const AFTER_STOP_MILLIS: u64 = 100;
/// But no more than this.
const AFTER_STOP_BYTES_MAX: u64 = 16 << 20;

/// A copy that goes when nobody needs it any more.
#[derive(Debug)]
pub(super) struct Kept {
    store: Arc<dyn Store>,
    staging: Option<Box<dyn Staging>>,
}

impl Kept {
    pub(super) fn new(store: Arc<dyn Store>, staging: Option<Box<dyn Staging>>) -> Self {
        Self { store, staging }
    }

    /// The copy, to be discarded by whoever takes it.
    pub(super) fn take(&mut self) -> Option<Box<dyn Staging>> {
        self.staging.take()
    }

    /// The copy, which is begun when there is none.
    pub(super) fn open(&mut self) -> Result<&mut Box<dyn Staging>, StoreError> {
        match &mut self.staging {
            Some(staging) => Ok(staging),
            empty => Ok(empty.insert(self.store.stage()?)),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(staging) = self.staging.take() {
            self.store.discard(staging);
        }
    }
}

/// A body that was read to its end: synced, hashed, seen by nobody.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) kept: Kept,
    pub(super) sha256: Sha256Digest,
    pub(super) size_bytes: u64,
}

/// What is written so far.
struct Written {
    kept: Kept,
    hash: sha2::Sha256,
    bytes: u64,
    slot: Slot,
    /// Of a body whose length nobody said: what must stay free.
    watched_bytes: Option<u64>,
    looked_bytes: u64,
}

/// What went wrong with a body.
pub(super) enum Fault {
    Store(StoreError),
    Full,
}

impl Sink for Written {
    fn write(mut self, chunk: Vec<Bytes>, last: bool) -> Result<Self, Fault> {
        let staging = self.kept.open().map_err(Fault::Store)?;
        let mut bytes = 0;
        for part in chunk {
            self.hash.update(&part);
            staging.append(&part).map_err(Fault::Store)?;
            bytes += part.len() as u64;
        }
        if last {
            staging.sync().map_err(Fault::Store)?;
        }
        self.bytes += bytes;
        self.slot.written(bytes);
        if let Some(free) = self.watched_bytes
            && self.bytes - self.looked_bytes >= ROOM_EVERY_BYTES
        {
            self.looked_bytes = self.bytes;
            if self.kept.store.room_bytes().map_err(Fault::Store)? < free {
                return Err(Fault::Full);
            }
        }
        Ok(self)
    }
}

/// Where the chunks of a body go.
pub(super) trait Sink: Sized + Send + 'static {
    /// Takes a chunk, on a thread that may wait for a disk; `last` is the end of the body.
    fn write(self, chunk: Vec<Bytes>, last: bool) -> Result<Self, Fault>;
}

/// How much of a body is taken, and for how long it is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes_max: u64,
    pub(super) idle_time: Duration,
    pub(super) whole_time: Duration,
}

impl Bounds {
    pub(super) fn of(limits: &LimitSettings) -> Self {
        Self { bytes_max: limits.size.bytes(), idle_time: limits.idle_time.get(), whole_time: limits.upload_time.get() }
    }
}

/// A body that did not come to its end.
#[derive(Debug)]
pub(super) struct Broken<S> {
    pub(super) problem: Problem,
    /// With all that came, unless writing it was what failed.
    pub(super) sink: Option<S>,
}

/// Reads a body into the store.
pub(super) async fn read(
    body: &mut Body,
    store: Arc<dyn Store>,
    slot: Slot,
    size_bytes: Option<u64>,
    limits: &LimitSettings,
) -> Result<(Read, Slot), Problem> {
    let written = Written {
        kept: Kept::new(store, None),
        hash: sha2::Sha256::new(),
        bytes: 0,
        slot,
        watched_bytes: size_bytes.is_none().then_some(limits.free.bytes()),
        looked_bytes: 0,
    };
    let written = pump(body, written, Bounds::of(limits), pending()).await.map_err(|broken| broken.problem)?;
    let Written { kept, hash, bytes, slot, .. } = written;
    Ok((Read { kept, sha256: Sha256Digest::new(hash.finalize().into()), size_bytes: bytes }, slot))
}

/// Reads a body into a sink, until its end, or `stop` and what is on its way then.
pub(super) async fn pump<S: Sink>(
    body: &mut Body,
    sink: S,
    bounds: Bounds,
    stop: impl Future<Output = Problem> + Send,
) -> Result<S, Broken<S>> {
    let mut at_work: Option<JoinHandle<Result<S, Fault>>> = None;
    let mut resting = Some(sink);
    let mut total = 0_u64;
    let mut stop = pin!(stop);
    let mut stopped: Option<(Problem, u64)> = None;
    let mut late = pin!(tokio::time::timeout(bounds.whole_time, pending::<()>()));
    loop {
        let mut chunk: Vec<Bytes> = Vec::new();
        let mut chunk_bytes = 0;
        let mut end = None;
        while chunk_bytes < CHUNK_BYTES && end.is_none() {
            let idle_time = stopped.as_ref().map_or(bounds.idle_time, |_| Duration::from_millis(AFTER_STOP_MILLIS));
            let frame = tokio::select! {
                frame = tokio::time::timeout(idle_time, body.frame()) => frame,
                problem = &mut stop, if stopped.is_none() => {
                    stopped = Some((problem, total.saturating_add(AFTER_STOP_BYTES_MAX)));
                    continue;
                }
                _ = &mut late => {
                    end = Some(Err(too_slow("the body took too long")));
                    break;
                }
            };
            match (frame, &stopped) {
                (Err(_) | Ok(Some(Err(_))), Some((problem, _))) => end = Some(Err(problem.clone())),
                (_, Some((problem, most))) if total > *most => end = Some(Err(problem.clone())),
                (Err(_), None) => end = Some(Err(too_slow("the body stood still"))),
                (Ok(None), _) => end = Some(Ok(())),
                (Ok(Some(Err(error))), None) => {
                    let problem = Problem::new(&known::BROKEN_BODY);
                    end = Some(Err(problem.detail(error.to_string())));
                }
                // Trailers are not asked for, and say nothing here.
                (Ok(Some(Ok(frame))), _) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    total += bytes.len() as u64;
                    if total > bounds.bytes_max {
                        end = Some(Err(too_large(total, bounds.bytes_max)));
                    } else {
                        chunk_bytes += bytes.len();
                        chunk.push(bytes);
                    }
                }
            }
        }
        let before = match at_work.take() {
            Some(work) => finish(work).await.map_err(|problem| Broken { problem, sink: None })?,
            None => resting.take().expect("invariant: it is at work or here"),
        };
        let last = matches!(end, Some(Ok(())));
        let work = tokio::task::spawn_blocking(move || before.write(chunk, last));
        match end {
            None => at_work = Some(work),
            Some(end) => {
                let sink = finish(work).await.map_err(|problem| Broken { problem, sink: None })?;
                return match end {
                    Ok(()) => Ok(sink),
                    Err(problem) => Err(Broken { problem, sink: Some(sink) }),
                };
            }
        }
    }
}

async fn finish<S>(work: JoinHandle<Result<S, Fault>>) -> Result<S, Problem> {
    match work.await {
        Ok(Ok(sink)) => Ok(sink),
        Ok(Err(Fault::Store(error))) => Err(cannot(&error, error.is_full())),
        Ok(Err(Fault::Full)) => Err(disk_full()),
        Err(error) => {
            tracing::error!(error = %error, "an upload ends because its writing did");
            Err(Problem::new(&known::BUG))
        }
    }
}

fn too_slow(detail: &str) -> Problem {
    Problem::new(&known::TOO_SLOW).detail(detail)
}
