//! Faults of how an answer is sent: cut off, slow, or without end.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use futures::{StreamExt as _, stream};
use highwater_engine::clock::SharedClock;

use super::damage::{find, share};
use super::fault::Fault;

/// Marks an answer that goes out as it is: compression would gather what is to come piece by piece.
#[derive(Debug, Clone, Copy)]
pub(in crate::provider) struct AsIs;

impl Fault {
    /// The document as this fault sends it, if it is one of sending.
    pub(in crate::provider) fn deliver(&self, document: &Bytes, clock: &SharedClock) -> Option<Response<Body>> {
        let mut length = None;
        let body = match self {
            Self::Cut(percent) => {
                length = Some(document.len());
                cut(document.slice(..share(document.len(), *percent)))
            }
            Self::Slow(pause) => slow(document.clone(), *pause, SharedClock::clone(clock)),
            Self::Endless => endless(document)?,
            _ => return None,
        };
        let mut response = Response::new(body);
        response.extensions_mut().insert(AsIs);
        if let Some(length) = length {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        Some(response)
    }
}

/// A response of which nothing comes: the connection closes first.
pub(in crate::provider) fn hang_up() -> Response<Body> {
    // The server writes the head together with the first piece of the body, so without one it is never sent.
    let mut response = Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(gone()) })));
    response.extensions_mut().insert(AsIs);
    response
}

fn cut(beginning: Bytes) -> Body {
    let end = stream::once(async {
        // Once around the runtime, so that the beginning is sent before the connection goes.
        tokio::task::yield_now().await;
        Err(gone())
    });
    Body::from_stream(stream::iter([Ok(beginning)]).chain(end))
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

fn slow(document: Bytes, pause: Duration, clock: SharedClock) -> Body {
    Body::from_stream(stream::unfold((document, clock), move |(mut rest, clock)| async move {
        if rest.is_empty() {
            return None;
        }
        clock.sleep(pause).await;
        let byte = rest.split_to(1);
        Some((Ok::<_, Infallible>(byte), (rest, clock)))
    }))
}

/// All up to the first record, and then that record for ever.
fn endless(document: &Bytes) -> Option<Body> {
    let (tag, end) = [("<record>", "</record>"), ("<header", "</header>")]
        .into_iter()
        .find(|(tag, _)| find(document, tag.as_bytes()).is_some())?;
    let first = find(document, tag.as_bytes())?;
    let last = first + find(&document[first..], end.as_bytes())? + end.len();
    let (beginning, record) = (document.slice(..first), document.slice(first..last));
    Some(Body::from_stream(stream::iter([beginning]).chain(stream::repeat(record)).map(Ok::<_, Infallible>)))
}
