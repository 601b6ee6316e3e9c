//! `PUT` of an episode, from its first check to its answer. Owns what is compared when the name is taken.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use highwater_engine::diagnosis::with_causes;
use serde_json::json;
use sha2::Digest as _;

use super::admit::{Admission, busy, cannot};
use super::body::{Kept, Read};
use super::commit::{Became, CommitError, Wish};
use super::problem::{Problem, known};
use super::{Receiver, blocking, body};
use crate::digest::Sha256Digest;
use crate::index::{Row, SCHEMA_VERSION};
use crate::store::{ContentHash, Staging, Store, StoreError};

/// How long an upload waits for its round before its sender is told to come again; the round goes on.
const ROUND_SECS: u64 = 120;
/// What is read of a stored episode at a time.
const COMPARE_BUFFER_BYTES: usize = 256 * 1024;

/// The two names of a path.
pub(super) type Names = Result<Path<(String, String)>, PathRejection>;

/// An upload that is in the store.
pub(super) struct Received {
    row: Row,
    pub(super) how: How,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Stored,
    Present,
    Repaired,
}

impl How {
    /// As it is counted.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Present => "present",
            Self::Repaired => "repaired",
        }
    }
}

pub(super) async fn put(State(receiver): State<Arc<Receiver>>, names: Names, request: Request) -> Response {
    let (head, mut body) = request.into_parts();
    match receiver.receive(&head, names, &mut body).await {
        Ok(received) => {
            receiver.counters.ended(received.how.word());
            let mut response = answer(&received);
            // Where its body ended was told in two ways, maybe: nothing more is read here.
            if head.headers.contains_key(header::TRANSFER_ENCODING) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
        Err(problem) => {
            receiver.counters.ended(problem.code());
            tracing::info!(
                status = problem.status().as_u16(),
                code = problem.code(),
                path = head.uri.path(),
                "an upload is refused"
            );
            problem.refuse(&head, body).await
        }
    }
}

fn answer(Received { row, how }: &Received) -> Response {
    let status = if *how == How::Stored { StatusCode::CREATED } else { StatusCode::OK };
    let told = json!({
        "host_id": row.host_id,
        "episode_id": row.episode_id,
        "sha256": row.sha256,
        "content_sha256": row.content_sha256,
        "size_bytes": row.size_bytes,
        "stored": *how == How::Stored,
        "repaired": *how == How::Repaired,
    });
    let place = format!("/v1/episodes/{}/{}", row.host_id, row.episode_id);
    let mut response = (status, format!("{told}\n")).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::LOCATION, HeaderValue::try_from(place).expect("invariant: names are plain"));
    response
}

impl Receiver {
    async fn receive(&self, head: &Parts, names: Names, body: &mut Body) -> Result<Received, Problem> {
        let (host, episode) = match names {
            Ok(Path(names)) => names,
            // Whoever calls is asked first, whatever the path is made of.
            Err(rejected) => {
                self.caller(head)?;
                let problem = Problem::new(&known::BAD_NAME);
                return Err(problem.detail(rejected.body_text()));
            }
        };
        let Admission { key, gate, commit, declared, content, size_bytes, slot } =
            self.admit(head, &host, &episode).await?;
        let store = Arc::clone(&self.on.store);
        let (read, _slot) = body::read(body, store, slot, size_bytes, &self.settings.limits).await?;
        let Read { mut kept, sha256, size_bytes } = read;
        self.counters.received(size_bytes);
        if let Some(declared) = declared.filter(|declared| *declared != sha256) {
            return Err(wrong_digest(sha256, declared));
        }
        let row = Row {
            backfilled: false,
            commit,
            content_sha256: content,
            episode_id: key.episode,
            gate,
            host_id: key.host,
            received_at_wall: self.on.clock.now(),
            removed: None,
            schema_version: SCHEMA_VERSION,
            sha256,
            size_bytes,
            withdrawn: None,
        };
        let staging = kept.take().expect("invariant: a body that was read has its copy");
        self.place(staging, row).await
    }

    /// Makes a synced copy the episode of its row's key, unless there is one.
    pub(super) async fn place(&self, staging: Box<dyn Staging>, row: Row) -> Result<Received, Problem> {
        match self.in_a_round(Wish::Place { staging, row: row.clone() }).await? {
            Became::Stored => Ok(Received { row, how: How::Stored }),
            Became::Present { .. } => Ok(Received { row, how: How::Present }),
            Became::Withdrawn { why } => Err(withdrawn(&why)),
            Became::Occupied { staging, row: in_force } => {
                let kept = Kept::new(Arc::clone(&self.on.store), Some(staging));
                self.beside(kept, row, in_force.map(|row| *row)).await
            }
        }
    }

    /// Waits for a round.
    pub(super) async fn in_a_round(&self, wish: Wish) -> Result<Became, Problem> {
        let committed = tokio::time::timeout(Duration::from_secs(ROUND_SECS), self.committer.commit(wish));
        match committed.await {
            Ok(Ok(became)) => Ok(became),
            Ok(Err(CommitError::Ended)) => Err(busy("the receiver is ending")),
            Ok(Err(error)) => Err(cannot(&error, error.is_full())),
            Err(_) => Err(busy("its disk, or who holds the lock of its index, is slow")),
        }
    }

    /// An episode has the name: it is the same, or it is not.
    async fn beside(&self, mut kept: Kept, row: Row, in_force: Option<Row>) -> Result<Received, Problem> {
        let (store, content) = (Arc::clone(&self.on.store), self.on.content.clone());
        let compared = blocking(move || {
            let staging = kept.take().expect("invariant: an occupied name gives the copy back");
            let compared = compare(&*store, content.as_deref(), &*staging, row, in_force);
            store.discard(staging);
            compared
        });
        let same = match compared.await?.map_err(|error| cannot(&error, error.is_full()))? {
            Compared::Same(row) => *row,
            Compared::Other(problem) => return Err(*problem),
            Compared::Gone => return Err(busy("the episode went while it was compared")),
        };
        match self.in_a_round(Wish::Keep { row: same.clone() }).await? {
            Became::Present { repaired } => {
                Ok(Received { row: same, how: if repaired { How::Repaired } else { How::Present } })
            }
            Became::Withdrawn { why } => Err(withdrawn(&why)),
            Became::Stored | Became::Occupied { .. } => Err(busy("the episode changed while it was compared")),
        }
    }
}

pub(super) fn withdrawn(why: &str) -> Problem {
    Problem::new(&known::WITHDRAWN)
        .detail(why)
        .remediation("it is not wanted any more: keep it, or remove it, but do not send it again")
}

pub(super) fn wrong_digest(sha256: Sha256Digest, declared: Sha256Digest) -> Problem {
    Problem::new(&known::WRONG_DIGEST)
        .digests(("sha256", sha256), ("declared_sha256", declared))
        .remediation("send it again; if it happens again, the file changed or is damaged")
}

/// Two episodes of one name, by their bytes.
pub(super) fn conflict(sent: Sha256Digest, stored: Sha256Digest) -> Problem {
    Problem::new(&known::CONFLICT)
        .digests(("sha256", sent), ("stored_sha256", stored))
        .remediation("compare the two: both are kept, one here and one where it was recorded")
}

enum Compared {
    /// The episode is this one, and this is its row.
    Same(Box<Row>),
    /// It is not.
    Other(Box<Problem>),
    /// There is none any more.
    Gone,
}

/// Compares what was sent with what is there: bytes first, then, where they differ, what each of them holds.
fn compare(
    store: &dyn Store,
    content: Option<&dyn ContentHash>,
    staging: &dyn Staging,
    row: Row,
    in_force: Option<Row>,
) -> Result<Compared, StoreError> {
    let key = row.key();
    let Some(size_bytes) = store.stat(&key)? else { return Ok(Compared::Gone) };
    // A row that does not fit what is there says nothing about it.
    let in_force = in_force.filter(|row| row.size_bytes == size_bytes);
    let stored_sha256 = match &in_force {
        Some(row) => row.sha256,
        None => match sha256_of(store, &row)? {
            Some(sha256) => sha256,
            None => return Ok(Compared::Gone),
        },
    };
    if (stored_sha256, size_bytes) == (row.sha256, row.size_bytes) {
        return Ok(Compared::Same(Box::new(row)));
    }
    let problem = conflict(row.sha256, stored_sha256);
    let Some(content) = content else { return Ok(Compared::Other(Box::new(problem))) };
    let mut stored = match store.read(&key, 0)? {
        Some(stored) => stored,
        None => return Ok(Compared::Gone),
    };
    let mut sent = store.read_staged(staging)?;
    Ok(match (content.of(&key.episode, &mut *sent), content.of(&key.episode, &mut *stored)) {
        (Ok(sent), Ok(stored)) if sent == stored => {
            let known = in_force.unwrap_or(Row { sha256: stored_sha256, size_bytes, ..row });
            Compared::Same(Box::new(Row { content_sha256: known.content_sha256.or(Some(stored)), ..known }))
        }
        (Ok(sent), Ok(stored)) => Compared::Other(Box::new(
            problem
                .digests(("content_sha256", sent), ("stored_content_sha256", stored))
                .detail("they hold different things"),
        )),
        (Err(error), _) => {
            Compared::Other(Box::new(problem.detail(format!("what was sent is no episode: {}", with_causes(&error)))))
        }
        (_, Err(error)) => {
            Compared::Other(Box::new(problem.detail(format!("what is stored is no episode: {}", with_causes(&error)))))
        }
    })
}

/// The SHA-256 of what is stored under a row's key.
fn sha256_of(store: &dyn Store, row: &Row) -> Result<Option<Sha256Digest>, StoreError> {
    let key = row.key();
    let Some(mut stored) = store.read(&key, 0)? else { return Ok(None) };
    let (mut hash, mut buffer) = (sha2::Sha256::new(), vec![0; COMPARE_BUFFER_BYTES]);
    loop {
        match stored.read(&mut buffer) {
            Ok(0) => return Ok(Some(Sha256Digest::new(hash.finalize().into()))),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(StoreError::Unread { key, source }),
        }
    }
}
