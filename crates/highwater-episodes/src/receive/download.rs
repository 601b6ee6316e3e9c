//! `GET` and `HEAD` of an episode: what is stored, as it is stored, whole or from a byte on. Owns the headers that describe it.

use std::io::Read;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::admit::cannot;
use super::problem::{Problem, known};
use super::upload::Names;
use super::verified::{self, Seen};
use super::{Receiver, blocking};
use crate::index::Missed;
use crate::wire::{READ, VERIFIED_HEADER};

/// What is read of an episode at a time.
const BUFFER_BYTES: usize = 256 * 1024;

type Bytewise = Box<dyn Read + Send>;

pub(super) async fn get(State(receiver): State<Arc<Receiver>>, names: Names, request: Request) -> Response {
    let head = request.into_parts().0;
    receiver.show(&head, names, true).await.unwrap_or_else(|problem| of_now(problem.into_response()))
}

pub(super) async fn head(State(receiver): State<Arc<Receiver>>, names: Names, request: Request) -> Response {
    let head = request.into_parts().0;
    of_now(receiver.show(&head, names, false).await.unwrap_or_else(Problem::into_response))
}

/// Who asks may let go of a copy for the answer: it is of now alone.
fn of_now(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Receiver {
    async fn show(&self, head: &Parts, names: Names, body: bool) -> Result<Response, Problem> {
        let caller = self.caller(head)?;
        let Path((host, episode)) =
            names.map_err(|rejected| Problem::new(&known::BAD_NAME).detail(rejected.body_text()))?;
        let key = self.key_for(&caller, &host, &episode)?;
        let on = self.on.clone();
        self.in_its_place().await?;
        let found = blocking(move || {
            let row = on.index.find(&key).map_err(|error| cannot(&error, error.is_full()))?;
            if let Some(Missed::Withdrawn { why, row }) =
                on.index.missed(&key).map_err(|error| cannot(&error, false))?
            {
                return Err(withdrawn(why, row.map(|row| Seen::from(*row))));
            }
            let size = on.store.stat(&key).map_err(|error| cannot(&error, error.is_full()))?;
            Ok::<_, Problem>((key, row, size))
        });
        let (key, row, size) = found.await??;
        // Also while its bytes are on their way to quarantine.
        if let Some((why, row)) = row.as_ref().and_then(|row| Some((row.withdrawn.clone()?, row))) {
            return Err(withdrawn(why, Some(Seen::from(row.clone()))));
        }
        let Some(size) = size else { return Err(Problem::new(&known::NO_SUCH_EPISODE)) };
        if !body && verified::is_asked(&head.headers) {
            let seen = self.verified(key, row).await?;
            let mut response = Response::new(Body::empty());
            describe(response.headers_mut(), seen.size_bytes, None, Some(seen));
            response.headers_mut().insert(VERIFIED_HEADER, HeaderValue::from_static(READ));
            return Ok(response);
        }
        let range = wanted(&head.headers, size)?;
        let (from, to) = range.unwrap_or((0, size));
        let content = if body {
            let store = Arc::clone(&self.on.store);
            let opened = blocking(move || store.read(&key, from)).await?;
            let opened = opened.map_err(|error| cannot(&error, error.is_full()))?;
            let gone = || Problem::new(&known::NO_SUCH_EPISODE);
            flow(Box::new(opened.ok_or_else(gone)?.take(to - from)))
        } else {
            Body::empty()
        };
        let mut response = Response::new(content);
        if range.is_some() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        describe(response.headers_mut(), size, range, row.map(Seen::from));
        Ok(response)
    }
}

/// What is told of an episode that was withdrawn; also which one that was, for another may have been sent under its name.
pub(super) fn withdrawn(why: String, what: Option<Seen>) -> Problem {
    let problem = Problem::new(&known::IS_WITHDRAWN).detail(why);
    match what {
        Some(what) => named(&what).into_iter().fold(problem, |problem, (name, value)| problem.header(name, value)),
        None => problem,
    }
}

/// The headers that name what an episode is, and what it holds.
fn named(Seen { sha256, content_sha256, .. }: &Seen) -> Vec<(&'static str, HeaderValue)> {
    let text = |text: String| HeaderValue::try_from(text).expect("invariant: digits and names are printable");
    let mut named = vec![("etag", text(format!("\"{sha256}\""))), ("repr-digest", text(sha256.to_field()))];
    named.extend(content_sha256.map(|content| (super::CONTENT_HEADER, text(content.to_string()))));
    named
}

fn describe(headers: &mut HeaderMap, size: u64, range: Option<(u64, u64)>, what: Option<Seen>) {
    let text = |text: String| HeaderValue::try_from(text).expect("invariant: digits and names are printable");
    let (from, to) = range.unwrap_or((0, size));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zstd"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if range.is_some() {
        headers.insert(header::CONTENT_RANGE, text(format!("bytes {from}-{}/{size}", to - 1)));
    }
    let what = what.filter(|what| what.size_bytes == size);
    what.iter().flat_map(named).for_each(|(name, value)| drop(headers.insert(name, value)));
}

/// The one range that is asked for: its first byte, and the one behind its last. What is no single range of bytes is not obeyed.
fn wanted(headers: &HeaderMap, size: u64) -> Result<Option<(u64, u64)>, Problem> {
    let Some(range) = headers.get(header::RANGE).and_then(|range| range.to_str().ok()) else { return Ok(None) };
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let read = |text: &str| text.trim().parse::<u64>();
    let (from, to) = match (read(first), read(last)) {
        (Ok(from), Ok(last)) if from <= last => (from, last.saturating_add(1).min(size)),
        (Ok(from), Err(_)) if last.trim().is_empty() => (from, size),
        (Err(_), Ok(most)) if first.trim().is_empty() => (size.saturating_sub(most), size),
        _ => return Ok(None),
    };
    if from < to {
        return Ok(Some((from, to)));
    }
    let problem = Problem::new(&known::NO_SUCH_RANGE);
    Err(problem.detail(format!("it has {size} bytes")))
}

/// A body that is read as its reader takes it.
fn flow(reader: Bytewise) -> Body {
    let next = |reader: Option<Bytewise>| async move {
        let mut reader = reader?;
        let read = tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; BUFFER_BYTES];
            let read = loop {
                match reader.read(&mut buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    read => break read,
                }
            };
            (reader, buffer, read)
        });
        match read.await {
            Ok((_, _, Ok(0))) => None,
            Ok((reader, mut buffer, Ok(read))) => {
                buffer.truncate(read);
                Some((Ok(Bytes::from(buffer)), Some(reader)))
            }
            // Cut short, so that nobody takes it for whole.
            Ok((_, _, Err(error))) => Some((Err(error), None)),
            Err(error) => Some((Err(std::io::Error::other(error)), None)),
        }
    };
    Body::from_stream(futures::stream::unfold(Some(reader), next))
}
