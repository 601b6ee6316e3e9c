//! Uploads that go on after a break, under `/v1/uploads`. Owns the protocol: its headers, its methods, and which answer each check
//! comes to; the checks themselves, and what an upload becomes, are those of a `PUT`.
//!
//! # Source
//! tus resumable upload protocol 1.0.0, with its extensions creation, checksum, expiration and termination.

mod begin;
mod checksum;
mod finish;
mod go_on;
mod metadata;
mod open;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;

use super::admit::{busy, cannot, pass};
use super::identity::Caller;
use super::problem::{Problem, known};
use super::{Receiver, blocking};
use crate::store::{Partial, Partials, Progress, StoreError, UploadId};
use crate::wire::{
    TUS_RESUMABLE_HEADER, TUS_VERSION, UPLOAD_LENGTH_HEADER, UPLOAD_METADATA_HEADER, UPLOAD_OFFSET_HEADER,
};

use self::open::{About, Hold, Leftover, Looked};

pub use metadata::{METADATA_BYTES_MAX, METADATA_KEYS_MAX, Metadata, MetadataError};
pub(super) use open::OpenUploads;

/// Where uploads are.
const UPLOADS_PATH: &str = "/v1/uploads";
/// What is offered beyond the core of the protocol.
const EXTENSIONS: &str = "creation,checksum,expiration,termination";
/// How long a request that wants an upload waits for the one that has it to let go.
const LET_GO_SECS: u64 = 30;
/// How often those are looked for whose time is over, in seconds.
const SWEEP_SECS: u64 = 600;

type Id = Result<Path<String>, PathRejection>;

/// `/v1/uploads`.
pub(super) async fn all(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    let (head, mut body) = request.into_parts();
    let answered = match method(&head).as_str() {
        "OPTIONS" => Ok(receiver.offer()),
        "POST" => receiver.begin(&head, &mut body).await,
        _ => Err(no_such_method("OPTIONS, POST")),
    };
    receiver.told(&head, body, answered).await
}

/// `/v1/uploads/ID`.
pub(super) async fn one(State(receiver): State<Arc<Receiver>>, id: Id, request: Request) -> Response {
    let (head, mut body) = request.into_parts();
    // What no upload is called is the name of none.
    let id = id.ok().and_then(|Path(id)| id.parse::<UploadId>().ok());
    // On its own, so that what came of a body whose connection breaks is kept whatever becomes of this.
    let answered = tokio::spawn(async move {
        let answered = match method(&head).as_str() {
            "OPTIONS" => Ok(receiver.offer()),
            "HEAD" => receiver.look(&head, id).await,
            "PATCH" => receiver.go_on(&head, id, &mut body).await,
            "DELETE" => receiver.end(&head, id).await,
            _ => Err(no_such_method("OPTIONS, HEAD, PATCH, DELETE")),
        };
        receiver.told(&head, body, answered).await
    });
    answered.await.unwrap_or_else(|error| {
        tracing::error!(error = %error, "a request ends because its work did");
        Problem::new(&known::BUG).into_response()
    })
}

/// The method, or that which a client names that cannot send it.
fn method(head: &Parts) -> Method {
    let named = head.headers.get("x-http-method-override").filter(|_| head.method == Method::POST);
    named.and_then(|named| Method::from_bytes(named.as_bytes()).ok()).unwrap_or_else(|| head.method.clone())
}

fn no_such_method(allow: &'static str) -> Problem {
    Problem::new(&known::NO_SUCH_METHOD).header("allow", allow)
}

fn no_such_upload() -> Problem {
    Problem::new(&known::NO_SUCH_UPLOAD).remediation("begin it anew with POST")
}

fn wrong_offset(bytes: u64) -> Problem {
    let problem = Problem::new(&known::WRONG_OFFSET);
    problem.detail(format!("{bytes} bytes of it are here")).header(UPLOAD_OFFSET_HEADER, bytes)
}

fn bad_field(detail: impl Into<String>) -> Problem {
    Problem::new(&known::BAD_UPLOAD_FIELD).detail(detail)
}

/// A header that is one number.
fn number(headers: &HeaderMap, name: &'static str) -> Result<u64, Problem> {
    let mut values = headers.get_all(name).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (None, _) => return Err(bad_field(format!("expected {name}, found none"))),
        (Some(_), Some(_)) => return Err(bad_field(format!("expected {name} once, found it twice"))),
    };
    let digits = value.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| bad_field(format!("{name} is no number of bytes")))
}

/// That the client speaks this version of the protocol.
fn same_version(head: &Parts) -> Result<(), Problem> {
    let said = head.headers.get(TUS_RESUMABLE_HEADER);
    if said.is_some_and(|said| said.as_bytes() == TUS_VERSION.as_bytes()) {
        return Ok(());
    }
    let problem = Problem::new(&known::TUS_VERSION);
    Err(problem.detail(format!("expected {TUS_RESUMABLE_HEADER}: {TUS_VERSION}")).header("tus-version", TUS_VERSION))
}

fn date(at: Timestamp) -> HeaderValue {
    HeaderValue::try_from(httpdate::fmt_http_date(at.into())).expect("invariant: a date is printable")
}

/// An answer about an upload.
fn about_it(status: StatusCode, bytes: u64, ends_at: Option<Timestamp>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(UPLOAD_OFFSET_HEADER, HeaderValue::from(bytes));
    if let Some(ends_at) = ends_at {
        headers.insert("upload-expires", date(ends_at));
    }
    response
}

impl Receiver {
    /// Forgets the uploads whose time is over, for ever.
    pub async fn keep_swept(self: Arc<Self>) {
        loop {
            if let Err(problem) = self.sweep().await {
                tracing::warn!(code = problem.code(), "uploads whose time is over could not be forgotten");
            }
            self.on.clock.glance(Duration::from_secs(SWEEP_SECS)).await;
        }
    }

    async fn sweep(&self) -> Result<(), Problem> {
        let over = self.uploads().await?.sweep(self.on.clock.now());
        if over.is_empty() {
            return Ok(());
        }
        tracing::info!(uploads = over.len(), "uploads whose time is over are forgotten");
        self.forget(over).await
    }

    /// What is offered; asked without a name, since it is the same for everybody.
    fn offer(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert("tus-version", HeaderValue::from_static(TUS_VERSION));
        headers.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
        headers.insert("tus-max-size", HeaderValue::from(self.settings.limits.size.bytes()));
        headers.insert("tus-checksum-algorithm", HeaderValue::from_static(checksum::ALGORITHMS));
        response
    }

    /// Puts on every answer what belongs there.
    async fn told(&self, head: &Parts, body: Body, answered: Result<Response, Problem>) -> Response {
        let mut response = match answered {
            Ok(mut response) => {
                // Where its body ended was told in two ways, maybe: nothing more is read here.
                if head.headers.contains_key(header::TRANSFER_ENCODING) {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
            Err(problem) => {
                self.counters.ended(problem.code());
                let (status, code) = (problem.status().as_u16(), problem.code());
                tracing::info!(status, code, path = head.uri.path(), "a request for an upload is refused");
                problem.refuse(head, body).await
            }
        };
        let version = HeaderValue::from_static(TUS_VERSION);
        response.headers_mut().insert(HeaderName::from_static(TUS_RESUMABLE_HEADER), version);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// Works on what the store keeps of uploads, where waiting holds nobody up.
    async fn kept<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Partials) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let store = Arc::clone(&self.on.store);
        let done = blocking(move || store.partials().map(work)).await?;
        let Some(done) = done else {
            let problem = Problem::new(&known::NOT_RESUMABLE);
            return Err(problem.detail("the receiver's store keeps none that broke off").remediation("send it by PUT"));
        };
        done.map_err(|error| cannot(&error, error.is_full()))
    }

    /// The uploads, with those that an earlier run has left.
    async fn uploads(&self) -> Result<&Arc<OpenUploads>, Problem> {
        let load = async || {
            let found = self.kept(|partials| partials.found()).await?;
            let Leftover { nothing, damaged } = self.open.load(found, self.on.clock.now());
            self.kept(move |partials| damaged.iter().try_for_each(|(id, why)| partials.set_aside(id, why))).await?;
            self.forget(nothing).await
        };
        self.open_loaded.get_or_try_init(load).await?;
        Ok(&self.open)
    }

    async fn forget(&self, ids: Vec<UploadId>) -> Result<(), Problem> {
        if ids.is_empty() {
            return Ok(());
        }
        self.kept(move |partials| ids.iter().try_for_each(|id| partials.forget(id))).await
    }

    /// Who asks, in the protocol's order: the caller, then the version.
    fn asker(&self, head: &Parts) -> Result<Caller, Problem> {
        let caller = self.caller(head)?;
        same_version(head).map(|()| caller)
    }

    /// Looks for an upload; one that has it in hand is asked to let go where that is wanted.
    async fn find(&self, caller: &Caller, id: Option<UploadId>, is_to_let_go: bool) -> Result<Looked, Problem> {
        self.in_its_place().await?;
        let uploads = self.uploads().await?;
        let id = id.ok_or_else(no_such_upload)?;
        let is_held = || {
            let problem = Problem::new(&known::UPLOAD_HELD);
            problem.remediation("ask where it is with HEAD, and go on from there").retry_after(super::admit::BUSY_SECS)
        };
        let mut asked = false;
        loop {
            match uploads.look(&id, &caller.name, self.on.clock.now()) {
                Looked::Unknown => return Err(no_such_upload()),
                Looked::Expired => {
                    let problem = Problem::new(&known::UPLOAD_EXPIRED);
                    return Err(problem.remediation("begin it anew with POST"));
                }
                Looked::Held(_) if asked || !is_to_let_go => return Err(is_held()),
                Looked::Held(holder) => {
                    asked = true;
                    holder.send_replace(true);
                    let let_go = tokio::time::timeout(Duration::from_secs(LET_GO_SECS), holder.closed());
                    let_go.await.map_err(|_| is_held())?;
                }
                Looked::Finished(about, ends_at) => {
                    self.may(caller, &about)?;
                    return Ok(Looked::Finished(about, ends_at));
                }
                Looked::Taken(hold) => {
                    self.may(caller, &hold.about)?;
                    return Ok(Looked::Taken(hold));
                }
            }
        }
    }

    /// The host is still the caller's.
    fn may(&self, caller: &Caller, about: &About) -> Result<(), Problem> {
        let key = &about.key;
        self.key_for(caller, key.host.as_str(), key.episode.as_str()).map(|_| ())
    }

    /// Opens what is in hand; from here on it is known how far it is.
    async fn opened(&self, hold: &mut Hold) -> Result<Box<dyn Partial>, Problem> {
        let (id, known, now) = (hold.id.clone(), hold.known.take(), self.on.clock.now());
        let opened = self.kept(move |partials| partials.resume(&id, known, now)).await?;
        let Some(partial) = opened else {
            hold.gone();
            return Err(no_such_upload());
        };
        hold.known = Some(partial.progress().clone());
        Ok(partial)
    }

    /// `HEAD`: where an upload is. One that is whole and came to no end is brought to it first, so that nobody takes it for stored
    /// before it is.
    async fn look(&self, head: &Parts, id: Option<UploadId>) -> Result<Response, Problem> {
        let caller = self.asker(head)?;
        let (about, bytes, ends_at) = match self.find(&caller, id, true).await? {
            Looked::Taken(mut hold) => {
                let known = hold.known.as_ref().map(Progress::bytes);
                let bytes = match known {
                    Some(bytes) if bytes < hold.about.size_bytes => bytes,
                    _ => {
                        let bytes = self.opened(&mut hold).await?.progress().bytes();
                        if bytes == hold.about.size_bytes {
                            let gate = pass(self.on.gate.judge(&hold.about.claim()))?;
                            self.finish(&mut hold, gate).await?;
                        }
                        bytes
                    }
                };
                (Arc::clone(&hold.about), bytes, hold.ends_at())
            }
            Looked::Finished(about, ends_at) => {
                let bytes = about.size_bytes;
                (about, bytes, ends_at)
            }
            Looked::Unknown | Looked::Expired | Looked::Held(_) => return Err(no_such_upload()),
        };
        let mut response = about_it(StatusCode::OK, bytes, Some(ends_at));
        response.headers_mut().insert(UPLOAD_LENGTH_HEADER, HeaderValue::from(about.size_bytes));
        if !about.metadata.is_empty() {
            let metadata = HeaderValue::from_str(&about.metadata).map_err(|_| busy("its metadata cannot be told"))?;
            response.headers_mut().insert(UPLOAD_METADATA_HEADER, metadata);
        }
        Ok(response)
    }

    /// `DELETE`: the upload is not wanted any more. What is stored stays.
    async fn end(&self, head: &Parts, id: Option<UploadId>) -> Result<Response, Problem> {
        let caller = self.asker(head)?;
        let named = id.clone();
        match self.find(&caller, id, true).await? {
            Looked::Taken(mut hold) => {
                self.forget(vec![hold.id.clone()]).await?;
                hold.gone();
            }
            _ => {
                named.iter().for_each(|id| self.open.take_out(id));
                self.forget(named.into_iter().collect()).await?;
            }
        }
        Ok(StatusCode::NO_CONTENT.into_response())
    }
}
