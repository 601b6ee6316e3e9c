//! `PATCH`: an upload goes on. Owns what is kept of a body that breaks off, and that nothing is kept of a chunk that is not what it was
//! said to be.

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;

use super::checksum::{self, Checksum};
use super::open::{Hold, Looked};
use super::{about_it, no_such_upload, number, wrong_offset};
use crate::receive::admit::{cannot, length, pass};
use crate::receive::body::{Bounds, Broken, Fault, Sink, pump};
use crate::receive::problem::{Problem, known};
use crate::receive::slots::Slot;
use crate::receive::{Receiver, blocking};
use crate::store::{Partial, Progress, UploadId};
use crate::wire::{TUS_MEDIA_TYPE, UPLOAD_OFFSET_HEADER};

/// What a body is written to.
#[derive(Debug)]
struct Receiving {
    partial: Box<dyn Partial>,
    checksum: Option<Checksum>,
    slot: Slot,
}

impl Sink for Receiving {
    fn write(mut self, chunk: Vec<Bytes>, _: bool) -> Result<Self, Fault> {
        for part in chunk {
            self.partial.append(&part).map_err(Fault::Store)?;
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&part);
            }
            self.slot.written(part.len() as u64);
        }
        Ok(self)
    }
}

fn too_long(more: u64, left: u64) -> Problem {
    let problem = Problem::new(&known::BEYOND_LENGTH);
    problem.detail(format!("found {more} bytes or more, expected at most the {left} that are left"))
}

impl Receiver {
    pub(super) async fn go_on(&self, head: &Parts, id: Option<UploadId>, body: &mut Body) -> Result<Response, Problem> {
        let caller = self.asker(head)?;
        let found = self.find(&caller, id, false).await?;
        let kind = head.headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
        if kind != Some(TUS_MEDIA_TYPE.as_bytes()) {
            let problem = Problem::new(&known::CONTENT_TYPE);
            return Err(problem.detail(format!("expected Content-Type: {TUS_MEDIA_TYPE}")));
        }
        let offset = number(&head.headers, UPLOAD_OFFSET_HEADER)?;
        let checksum = Checksum::of(&head.headers)?;
        let coming = length(&head.headers)?;
        let mut hold = match found {
            Looked::Taken(hold) => hold,
            Looked::Finished(about, ends_at) if offset == about.size_bytes && coming == Some(0) => {
                return Ok(about_it(StatusCode::NO_CONTENT, offset, Some(ends_at)));
            }
            Looked::Finished(about, _) => return Err(wrong_offset(about.size_bytes)),
            Looked::Unknown | Looked::Expired | Looked::Held(_) => return Err(no_such_upload()),
        };
        let gate = pass(self.on.gate.judge(&hold.about.claim()))?;
        let mut partial = self.opened(&mut hold).await?;
        let before = partial.progress().clone();
        if offset != before.bytes() {
            return Err(wrong_offset(before.bytes()));
        }
        let left = hold.about.size_bytes.saturating_sub(offset);
        if let Some(bytes) = coming.filter(|bytes| *bytes > left) {
            return Err(too_long(bytes, left));
        }
        let slot = self.slot(&hold.about.key.host, coming.unwrap_or(left)).await?;
        // What has to be taken back when it is not what it was said to be is not trusted before.
        partial.trust_as_it_comes(checksum.is_none());
        hold.known = None;
        let (partial, problem) = self.take_in(&mut hold, body, Receiving { partial, checksum, slot }, before).await?;
        if let Some(problem) = problem {
            return Err(problem);
        }
        let bytes = partial.progress().bytes();
        drop(partial);
        if bytes == hold.about.size_bytes {
            self.finish(&mut hold, gate).await?;
        }
        Ok(about_it(StatusCode::NO_CONTENT, bytes, Some(hold.ends_at())))
    }

    /// Takes in a body. What came of one that breaks off is durable, and counts, when this returns.
    async fn take_in(
        &self,
        hold: &mut Hold,
        body: &mut Body,
        receiving: Receiving,
        before: Progress,
    ) -> Result<(Box<dyn Partial>, Option<Problem>), Problem> {
        let left = hold.about.size_bytes - before.bytes();
        let bounds = Bounds { bytes_max: left, ..Bounds::of(&self.settings.limits) };
        let asked_for = hold.asked_for();
        let stop = async {
            asked_for.await;
            Problem::new(&known::UPLOAD_TAKEN).remediation("ask where it is with HEAD, and go on from there")
        };
        let (sink, problem) = match pump(body, receiving, bounds, stop).await {
            Ok(sink) => (sink, None),
            // Writing it failed: how far it is, is looked at by the next who asks.
            Err(Broken { problem, sink: None }) => return Err(problem),
            Err(Broken { problem, sink: Some(sink) }) if problem.code() == "too-large" => {
                (sink, Some(too_long(left + 1, left)))
            }
            Err(Broken { problem, sink: Some(sink) }) => (sink, Some(problem)),
        };
        let Receiving { mut partial, checksum, slot } = sink;
        let checked = checksum.as_ref().is_none_or(|checksum| problem.is_none() && checksum.holds());
        let now = self.on.clock.now();
        let settled = blocking(move || {
            let settled = if checked { Ok(()) } else { partial.back_to(before) };
            let settled = settled.and_then(|()| partial.settle(now));
            (partial, settled)
        });
        let (partial, settled) = settled.await?;
        drop(slot);
        if let Err(error) = settled {
            // What a disk did not take cannot be trusted, whatever it says later.
            hold.gone();
            self.forget(vec![hold.id.clone()]).await?;
            return Err(cannot(&error, error.is_full()));
        }
        let came = partial.progress().bytes().saturating_sub(hold.about.size_bytes - left);
        self.counters.received(came);
        if came > 0 {
            hold.touched(now);
        }
        let (id, progress) = (hold.id.clone(), partial.progress().clone());
        hold.known = self.kept(move |partials| partials.known(&id, progress)).await?;
        let mismatch = (!checked && problem.is_none()).then(checksum::mismatch);
        Ok((partial, problem.or(mismatch)))
    }
}
