//! A body on its way into the store. Owns reading it in bounded memory, hashing, and its limits in bytes and time; reading goes on
//! while what came before is written.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use sha2::Digest as _;
use tokio::task::JoinHandle;

use super::admit::{Slot, cannot, disk_full, too_large};
use super::problem::Problem;
use super::settings::LimitSettings;
use crate::digest::Sha256Digest;
use crate::store::{Staging, Store, StoreError};

/// What is gathered of a body before it is written; twice as much is held.
const CHUNK_BYTES: usize = 512 * 1024;
/// After so many bytes of a body of unknown length the disk is asked again.
const ROOM_EVERY_BYTES: u64 = 64 << 20;

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

    fn open(&mut self) -> Result<&mut Box<dyn Staging>, StoreError> {
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
enum Fault {
    Store(StoreError),
    Full,
}

impl Written {
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
    let reading = pump(body, written, limits);
    let written = match tokio::time::timeout(limits.upload_time.get(), reading).await {
        Ok(written) => written?,
        Err(_) => return Err(too_slow("the body took too long")),
    };
    let Written { kept, hash, bytes, slot, .. } = written;
    Ok((Read { kept, sha256: Sha256Digest::new(hash.finalize().into()), size_bytes: bytes }, slot))
}

async fn pump(body: &mut Body, written: Written, limits: &LimitSettings) -> Result<Written, Problem> {
    let (limit, idle): (u64, Duration) = (limits.size.bytes(), limits.idle_time.get());
    let mut at_work: Option<JoinHandle<Result<Written, Fault>>> = None;
    let mut written = Some(written);
    let mut total = 0_u64;
    loop {
        let mut chunk: Vec<Bytes> = Vec::new();
        let mut chunk_bytes = 0;
        let mut last = false;
        while chunk_bytes < CHUNK_BYTES {
            let Ok(frame) = tokio::time::timeout(idle, body.frame()).await else {
                return Err(too_slow("the body stood still"));
            };
            let Some(frame) = frame else {
                last = true;
                break;
            };
            let frame = frame.map_err(|error| {
                Problem::new(StatusCode::BAD_REQUEST, "broken-body", "The body broke off").detail(error.to_string())
            })?;
            // Trailers are not asked for, and say nothing here.
            let Ok(bytes) = frame.into_data() else { continue };
            total += bytes.len() as u64;
            if total > limit {
                return Err(too_large(total, limit));
            }
            chunk_bytes += bytes.len();
            chunk.push(bytes);
        }
        let before = match at_work.take() {
            Some(work) => finish(work).await?,
            None => written.take().expect("invariant: it is at work or here"),
        };
        let work = tokio::task::spawn_blocking(move || before.write(chunk, last));
        if last {
            return finish(work).await;
        }
        at_work = Some(work);
    }
}

async fn finish(work: JoinHandle<Result<Written, Fault>>) -> Result<Written, Problem> {
    match work.await {
        Ok(Ok(written)) => Ok(written),
        Ok(Err(Fault::Store(error))) => Err(cannot(&error, error.is_full())),
        Ok(Err(Fault::Full)) => Err(disk_full()),
        Err(error) => {
            tracing::error!(error = %error, "an upload ends because its writing did");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", "The receiver has failed at this request"))
        }
    }
}

fn too_slow(detail: &str) -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The upload was too slow").detail(detail)
}
