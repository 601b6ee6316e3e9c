//! `PUT` of an episode, from its first check to its answer. Owns what is compared when the name is taken.

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

use super::admit::{Admission, busy, cannot};
use super::body::{Kept, Read};
use super::commit::{Became, CommitError, Wish};
use super::problem::{Problem, known};
use super::{Receiver, blocking, body};
use crate::digest::Sha256Digest;
use crate::index::{LOST_NEXT, Row, SCHEMA_VERSION};
use crate::store::{
    ContentHash, ContentHashError, Staging, Store, StoreError, extent, extent_staged, hash, hash_staged,
};

/// How long an upload waits for its round before its sender is told to come again; the round goes on.
const ROUND_SECS: u64 = 120;

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
    /// It was there, and its row was not.
    Repaired,
    /// It was there damaged, and is there whole now.
    Mended,
}

impl How {
    /// As it is counted.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Present => "present",
            Self::Repaired => "repaired",
            Self::Mended => "mended",
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
        "repaired": matches!(how, How::Repaired | How::Mended),
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
            Became::Present { row, .. } => Ok(Received { row: *row, how: How::Present }),
            Became::Withdrawn { why } => Err(withdrawn(&why)),
            Became::Missed => Err(missed()),
            Became::Gone => Err(gone()),
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

    /// An episode has the name: it is the same, or it is not, or it is no longer what its row says.
    async fn beside(&self, kept: Kept, row: Row, in_force: Option<Row>) -> Result<Received, Problem> {
        let (mut kept, mut compared) = self.compared(kept, row.clone(), in_force.clone()).await?;
        if let Compared::Damaged { .. } = compared {
            // One at a time: what another has put in its place meanwhile is not set aside once more.
            let _alone = self.mending.lock().await;
            (kept, compared) = self.compared(kept, row.clone(), in_force).await?;
            if let Compared::Damaged { of, why } = compared {
                let row = Row { content_sha256: row.content_sha256.or(of.content_sha256), ..row };
                return self.mend(kept, row, of, why).await;
            }
        }
        drop(kept);
        let same = match compared {
            Compared::Same(row) => *row,
            Compared::Other(problem) => return Err(*problem),
            Compared::Damaged { .. } | Compared::Gone => return Err(busy("the episode went while it was compared")),
        };
        match self.in_a_round(Wish::Keep { row: same.clone() }).await? {
            Became::Present { repaired, .. } => {
                Ok(Received { row: same, how: if repaired { How::Repaired } else { How::Present } })
            }
            Became::Withdrawn { why } => Err(withdrawn(&why)),
            Became::Missed => Err(missed()),
            Became::Gone => Err(gone()),
            Became::Stored | Became::Occupied { .. } => Err(changed()),
        }
    }

    /// Puts a copy in the place of a damaged episode.
    async fn mend(&self, mut kept: Kept, row: Row, damaged: Box<Row>, why: String) -> Result<Received, Problem> {
        let staging = kept.take().expect("invariant: comparing leaves the copy");
        match self.in_a_round(Wish::Mend { staging, row: row.clone(), damaged, why }).await? {
            Became::Stored => Ok(Received { row, how: How::Mended }),
            Became::Withdrawn { why } => Err(withdrawn(&why)),
            Became::Missed => Err(missed()),
            Became::Gone => Err(gone()),
            Became::Present { .. } => Err(changed()),
            Became::Occupied { staging, .. } => {
                drop(Kept::new(Arc::clone(&self.on.store), Some(staging)));
                Err(changed())
            }
        }
    }

    /// Compares a copy with what is there, where waiting holds nobody up.
    async fn compared(&self, mut kept: Kept, row: Row, in_force: Option<Row>) -> Result<(Kept, Compared), Problem> {
        let (store, content) = (Arc::clone(&self.on.store), self.on.content.clone());
        let compared = blocking(move || {
            let compared =
                kept.open().and_then(|staging| compare(&*store, content.as_deref(), &**staging, row, in_force));
            (kept, compared)
        });
        let (kept, compared) = compared.await?;
        Ok((kept, compared.map_err(|error| cannot(&error, error.is_full()))?))
    }
}

fn changed() -> Problem {
    busy("the episode changed while it was compared")
}

/// A person made the name free between the upload's taking it and its row.
pub(super) fn gone() -> Problem {
    busy("the name was made free while it was taken, and what was stored under it is set aside")
}

pub(super) fn withdrawn(why: &str) -> Problem {
    Problem::new(&known::WITHDRAWN)
        .detail(why)
        .remediation("it is not wanted any more: keep it, or remove it, but do not send it again")
}

/// What is sent is not the episode of which the receiver knows that its row is missing.
pub(super) fn missed() -> Problem {
    Problem::new(&known::CONFLICT)
        .detail(
            "its row was taken out of the index at the receiver, and said something else: until the line is put back there, or \
             `highwater reindex --prune` gives it up, nothing else is taken under this name; then `retry` sends it",
        )
        .remediation(format!("let the receiver's operator {LOST_NEXT}; then send it again"))
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
    /// What is there is not what its row says, and what was sent is.
    Damaged {
        /// The row.
        of: Box<Row>,
        /// What is wrong with it.
        why: String,
    },
    /// There is none any more, or what was sent is no longer as it came.
    Gone,
}

/// Compares what was sent with what is there: bytes first, then, where they differ, what each of them holds. What is there is read, for
/// a row tells only what it was once.
fn compare(
    store: &dyn Store,
    content: Option<&dyn ContentHash>,
    staging: &dyn Staging,
    row: Row,
    in_force: Option<Row>,
) -> Result<Compared, StoreError> {
    let key = row.key();
    let Some(stored) = hash(store, &key)? else {
        return match in_force {
            Some(of) => compare_with_row(store, content, staging, &row, of),
            None => Ok(Compared::Gone),
        };
    };
    if stored == (row.sha256, row.size_bytes) {
        // What the row says counts, whatever the sender claims of its content now.
        let known = in_force.filter(|known| (known.sha256, known.size_bytes) == stored);
        return Ok(Compared::Same(Box::new(known.unwrap_or(row))));
    }
    let (stored_sha256, size_bytes) = stored;
    let has_row = in_force.is_some();
    let (in_force, damaged) = match in_force {
        Some(known) if (known.sha256, known.size_bytes) == stored => (Some(known), None),
        damaged => (None, damaged),
    };
    let came = (row.sha256, row.size_bytes);
    let mendable = |of: Row| {
        // An upload in parts that was placed before is the same file by another name, and damaged with it.
        if hash_staged(store, staging)? != came {
            return Ok(Compared::Gone);
        }
        let why = format!(
            "damaged: its row says sha256 {} and {} bytes, found sha256 {stored_sha256} and {size_bytes} bytes",
            of.sha256, of.size_bytes
        );
        Ok(Compared::Damaged { of: Box::new(of), why })
    };
    let mut problem = conflict(row.sha256, stored_sha256);
    if let Some(of) = &damaged {
        if (of.sha256, of.size_bytes) == came {
            return mendable(of.clone());
        }
        problem = problem.detail(format!("what is stored is damaged: its row says sha256 {}", of.sha256));
    }
    let Some(content) = content else { return Ok(Compared::Other(Box::new(problem))) };
    let Some(extent) = extent(store, &key)? else { return Ok(Compared::Gone) };
    let Some(mut stored) = store.read(&key, 0)? else { return Ok(Compared::Gone) };
    let sent = held_by_copy(store, content, staging, &row)?;
    Ok(match (sent, content.of(&key.episode, &mut *stored, extent)) {
        (Ok(sent), Ok(stored)) if sent == stored => {
            let known = in_force.unwrap_or(Row { sha256: stored_sha256, size_bytes, ..row });
            Compared::Same(Box::new(Row { content_sha256: known.content_sha256.or(Some(stored)), ..known }))
        }
        // The same episode, packed otherwise: what it holds is what the row says, and what is there no longer is.
        (Ok(sent), _) if damaged.as_ref().is_some_and(|of| of.content_sha256 == Some(sent)) => {
            return mendable(damaged.expect("invariant: it was looked at"));
        }
        (Ok(sent), Ok(stored)) if damaged.is_some() => {
            let digests = (("content_sha256", sent), ("stored_content_sha256", stored));
            Compared::Other(Box::new(problem.digests(digests.0, digests.1)))
        }
        (Ok(sent), Ok(stored)) => Compared::Other(Box::new(
            problem
                .digests(("content_sha256", sent), ("stored_content_sha256", stored))
                .detail("they hold different things"),
        )),
        (Err(error), _) => {
            Compared::Other(Box::new(problem.detail(format!("what was sent is no episode: {}", with_causes(&error)))))
        }
        (_, Err(error)) => Compared::Other(Box::new(no_episode(problem, &with_causes(&error), !has_row))),
    })
}

/// What a copy holds.
fn held_by_copy(
    store: &dyn Store,
    content: &dyn ContentHash,
    staging: &dyn Staging,
    row: &Row,
) -> Result<Result<Sha256Digest, ContentHashError>, StoreError> {
    let extent = extent_staged(store, staging, row.size_bytes, &row.episode_id)?;
    Ok(content.of(&row.episode_id, &mut *store.read_staged(staging, 0)?, extent))
}

/// What is stored is none; where it has no row, `reindex` is what takes it out of the way.
fn no_episode(problem: Problem, why: &str, is_rowless: bool) -> Problem {
    if !is_rowless {
        return problem.detail(format!("what is stored is no episode: {why}"));
    }
    let detail = format!(
        "what is stored is no episode and has no row: {why}; `highwater reindex` at the receiver sets it aside, then `retry` sends this one"
    );
    problem.detail(detail).remediation(
        "let the receiver's operator call `highwater reindex`, which sets aside what is stored; then send it again: a shipper by `highwater retry`",
    )
}

/// Compares what was sent with what a row says whose episode is gone: what holds the same is what was promised.
fn compare_with_row(
    store: &dyn Store,
    content: Option<&dyn ContentHash>,
    staging: &dyn Staging,
    row: &Row,
    of: Row,
) -> Result<Compared, StoreError> {
    let why = format!("lost: its row says sha256 {} and {} bytes, and nothing is stored", of.sha256, of.size_bytes);
    if (of.sha256, of.size_bytes) == (row.sha256, row.size_bytes) {
        return Ok(Compared::Damaged { of: Box::new(of), why });
    }
    let sent = match content {
        Some(content) => held_by_copy(store, content, staging, row)?.ok(),
        None => None,
    };
    if sent.is_some() && sent == of.content_sha256 {
        return Ok(Compared::Damaged { of: Box::new(of), why });
    }
    let problem = conflict(row.sha256, of.sha256)
        .detail(
            "its row at the receiver says other content, of which the file is gone: sending that mends it; where nobody has it any more, \
             `highwater reindex --prune` there gives it up, then `retry` sends this one",
        )
        .remediation(
            "send the episode that was stored; or let the receiver's operator mount its disk, or give up what is lost by `highwater reindex \
             --prune`, and send this one again: a shipper by `highwater retry`",
        );
    Ok(Compared::Other(Box::new(match (sent, of.content_sha256) {
        (Some(sent), Some(stored)) => problem.digests(("content_sha256", sent), ("stored_content_sha256", stored)),
        _ => problem,
    })))
}
