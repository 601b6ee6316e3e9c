//! Whether an upload may begin. Owns the order of the checks: who calls, what it is called, the gate, its size, the disk, a free slot.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use rustix::io::Errno;

use super::gate::{Claim, Judge, Verdict};
use super::identity::{Caller, Peer};
use super::problem::known::Known;
use super::problem::{Problem, known};
use super::slots::{Crowded, Slot};
use super::{CONTENT_HEADER, JUDGE_HEADER, RECORDED_HEADER, Receiver};
use crate::digest::Sha256Digest;
use crate::index::{Commit, Gate};
use crate::name::{EpisodeId, EpisodeKey, HostId};
use crate::odd::Odd;
use crate::store::{ELSEWHERE_NEXT, OtherDisk, StoreError};

/// When one who was turned away for want of room comes again.
pub(super) const BUSY_SECS: u64 = 10;
/// How long it is believed how much room there is.
const ROOM_AGE_MILLIS: u64 = 250;
/// When one comes again who was turned away until a person has made room, on the disk or under a name.
const FULL_SECS: u64 = 300;

/// An upload that may begin.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) key: EpisodeKey,
    pub(super) gate: Option<Gate>,
    /// The commit that recorded it.
    pub(super) commit: Option<Commit>,
    /// The SHA-256 that its body is said to have.
    pub(super) declared: Option<Sha256Digest>,
    /// The content that it is said to have.
    pub(super) content: Option<Sha256Digest>,
    /// How long its body is said to be.
    pub(super) size_bytes: Option<u64>,
    pub(super) slot: Slot,
}

impl Receiver {
    /// Who calls.
    pub(super) fn caller(&self, head: &Parts) -> Result<Caller, Problem> {
        // Of two that differ, each may let in another caller.
        one(&head.headers, header::AUTHORIZATION.as_str(), &known::BAD_AUTHORIZATION, HeaderValue::clone)?;
        self.identities().caller(head.extensions.get::<Peer>(), &head.headers)
    }

    /// An episode that the caller may touch.
    pub(super) fn key_for(&self, caller: &Caller, host: &str, episode: &str) -> Result<EpisodeKey, Problem> {
        if !caller.may(host) {
            let problem = Problem::new(&known::FOREIGN_HOST);
            return Err(problem.detail(format!("{} may not touch the episodes of {:?}", caller.name, shown(host))).remediation(
                "correct the host's name, or let the receiver's operator add it to `hosts` of your token or certificate",
            ));
        }
        let named = |error: crate::name::NameError| Problem::new(&known::BAD_NAME).detail(error.to_string());
        Ok(EpisodeKey { host: HostId::new(host).map_err(named)?, episode: EpisodeId::new(episode).map_err(named)? })
    }

    /// Goes through the checks of an upload, in their order.
    pub(super) async fn admit(&self, head: &Parts, host: &str, episode: &str) -> Result<Admission, Problem> {
        let caller = self.caller(head)?;
        let key = self.key_for(&caller, host, episode)?;
        let (claim, recorded) = self.claim(&head.headers)?;
        let gate = pass(self.on.gate.judge(&claim))?;
        let declared = self.declared(&head.headers)?;
        let content = digits(&head.headers, CONTENT_HEADER)?;
        refuse_encodings(&head.headers)?;
        let size_bytes = length(&head.headers)?;
        let limit = self.settings.limits.size.bytes();
        if let Some(bytes) = size_bytes.filter(|bytes| *bytes > limit) {
            return Err(too_large(bytes, limit));
        }
        let slot = self.slot(&key.host, size_bytes.unwrap_or(0)).await?;
        Ok(Admission { key, gate, commit: recorded, declared, content, size_bytes, slot })
    }

    /// That what is stored lies where the settings say: what is told of another directory is told of something that nobody looks for.
    pub(super) async fn in_its_place(&self) -> Result<(), Problem> {
        let store = Arc::clone(&self.on.store);
        super::blocking(move || store.in_its_place()).await?.map_err(|error| cannot(&error, error.is_full()))
    }

    /// Whether there is room for so many bytes beside those that others have announced.
    pub(super) async fn has_room(&self, bytes: u64) -> Result<(), Problem> {
        let room = self.room_bytes().await?;
        let wanted = bytes.saturating_add(self.slots.announced_bytes());
        if room.saturating_sub(wanted) < self.settings.limits.free.bytes() { Err(disk_full()) } else { Ok(()) }
    }

    /// A place among the uploads, for so many bytes of a host.
    pub(super) async fn slot(&self, host: &HostId, bytes: u64) -> Result<Slot, Problem> {
        self.has_room(bytes).await?;
        self.unroomed_slot(host, bytes)
    }

    /// The same, whether there is room for so many bytes or not.
    pub(super) fn unroomed_slot(&self, host: &HostId, bytes: u64) -> Result<Slot, Problem> {
        self.slots.take(host, bytes).map_err(|crowded| match crowded {
            Crowded::Host => busy("as many uploads of the host are in hand as it may have"),
            Crowded::All => busy("as many uploads as it takes are in hand"),
        })
    }

    /// How much can be stored, as it was asked a moment ago: what stays free is a margin that a moment does not use up.
    pub(super) async fn room_bytes(&self) -> Result<u64, Problem> {
        let now = self.on.clock.elapsed();
        let known = *self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, bytes)) = known
            && now.saturating_sub(asked) < Duration::from_millis(ROOM_AGE_MILLIS)
        {
            return Ok(bytes);
        }
        let store = Arc::clone(&self.on.store);
        let room = super::blocking(move || store.room_bytes()).await?;
        let bytes = room.map_err(|error| cannot(&error, error.is_full()))?;
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, bytes));
        Ok(bytes)
    }

    /// What is said of the code: what the gate judges, and what recorded the episode.
    pub(super) fn claim(&self, headers: &HeaderMap) -> Result<(Claim, Option<Commit>), Problem> {
        let text = |name: &str, refused: &'static Known| {
            one(headers, name, refused, |value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
        };
        let judge = match text(JUDGE_HEADER, &known::BAD_JUDGE)? {
            None => Judge::default(),
            Some(word) => Judge::read(&word).ok_or_else(|| {
                Problem::new(&known::BAD_JUDGE)
                    .detail(format!("found {JUDGE_HEADER}: {:?}, expected `recorded` or `ships`", shown(&word)))
            })?,
        };
        let commit = text(self.settings.commit_header.as_str(), &known::CODE_MALFORMED)?;
        // Whoever is to be judged, and whether anybody is: one that is no commit is refused.
        let recorded = text(RECORDED_HEADER, &known::BAD_RECORDED_COMMIT)?;
        let recorded = recorded.map(|commit| recorded_commit(&commit)).transpose()?;
        let recorded = match judge {
            // What the gate makes of one that is none is the gate's to say.
            Judge::Recorded => commit.as_ref().and_then(|commit| commit.parse().ok()),
            Judge::Ships => recorded,
        };
        Ok((Claim { commit, judge }, recorded))
    }

    /// The SHA-256 that a body is said to have, in whichever headers say it; they agree.
    pub(super) fn declared(&self, headers: &HeaderMap) -> Result<Option<Sha256Digest>, Problem> {
        let mut declared: Option<Sha256Digest> = None;
        let mut agree = |found: Sha256Digest| match declared.replace(found) {
            Some(before) if before != found => Err(bad_digest("the headers give different SHA-256 digests".to_owned())),
            _ => Ok(()),
        };
        let mut unverified = None;
        for name in ["content-digest", "repr-digest"] {
            let lines: Vec<_> =
                headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("\u{fffd}")).collect();
            if lines.is_empty() {
                continue;
            }
            // Lines of one field are one list.
            let found = Sha256Digest::from_field(&lines.join(", ")).map_err(|e| bad_digest(format!("{name}: {e}")))?;
            match found {
                Some(found) => agree(found)?,
                None => unverified = Some(name),
            }
        }
        digits(headers, self.settings.digest_header.as_str())?.map_or(Ok(()), &mut agree)?;
        match unverified.filter(|_| declared.is_none()) {
            // Whoever declares a digest relies on it, and nobody would look at this one.
            Some(name) => Err(bad_digest(format!(
                "{name}: expected a `sha-256`, which is what is verified, found other algorithms alone"
            ))
            .remediation(
                "declare the body's SHA-256 as `sha-256=:BASE64:`, beside others or alone, or send no digest",
            )),
            None => Ok(declared),
        }
    }
}

/// Nobody judges it, so it is refused here: a row that lacks it would say that nobody knows.
fn recorded_commit(text: &str) -> Result<Commit, Problem> {
    text.parse().map_err(|_| {
        Problem::new(&known::BAD_RECORDED_COMMIT)
            .detail(format!(
                "found {RECORDED_HEADER}: {:?}, expected the 40 or 64 hexadecimal digits of a commit",
                shown(text)
            ))
            .remediation("send the whole commit as `git rev-parse HEAD` prints it, or leave the header out")
    })
}

/// A digest in a header of its own.
pub(super) fn digits(headers: &HeaderMap, name: &str) -> Result<Option<Sha256Digest>, Problem> {
    let read = |value: &HeaderValue| value.to_str().unwrap_or_default().trim().parse::<Sha256Digest>();
    let found = one(headers, name, &known::BAD_DIGEST_FIELD, read)?;
    found.transpose().map_err(|error| bad_digest(format!("{name}: {error}")))
}

/// What a header says; there may be more than one line of it where all say the same. By which of two that differ an upload is judged
/// would depend on who reads them.
fn one<T: PartialEq>(
    headers: &HeaderMap,
    name: &str,
    refused: &'static Known,
    read: impl Fn(&HeaderValue) -> T,
) -> Result<Option<T>, Problem> {
    let mut lines = headers.get_all(name).iter().map(read);
    let first = lines.next();
    if lines.any(|line| Some(line) != first) {
        let problem = Problem::new(refused).detail(format!("found {name} twice, and not with the same value"));
        return Err(problem.remediation(format!("send {name} once")));
    }
    Ok(first)
}

fn bad_digest(detail: String) -> Problem {
    Problem::new(&known::BAD_DIGEST_FIELD).detail(detail)
}

/// How long a body is said to be.
pub(super) fn length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
    let bytes = value.to_str().ok().and_then(|text| text.parse().ok());
    bytes.map(Some).ok_or_else(|| Problem::new(&known::BAD_LENGTH))
}

/// What is stored is what was sent, so it has no other form on the way.
pub(super) fn refuse_encodings(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::CONTENT_RANGE) {
        let problem = Problem::new(&known::PARTIAL_PUT);
        return Err(problem.detail("found a Content-Range"));
    }
    match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => Ok(()),
        Some(_) => Err(Problem::new(&known::CONTENT_ENCODING).detail("found a Content-Encoding")),
    }
}

/// What the gate says, as an answer.
pub(super) fn pass(verdict: Verdict) -> Result<Option<Gate>, Problem> {
    let mended = |problem: Problem, remediation: Option<String>| match remediation {
        Some(remediation) => problem.remediation(remediation),
        None => problem,
    };
    match verdict {
        Verdict::Accepted { gate } => Ok(gate),
        Verdict::Missing { remediation } => {
            let problem = Problem::new(&known::CODE_MISSING);
            let detail = "found no commit; expected that of the code that recorded the episode, which a shipper finds in its `meta.json`, as \
                          `code_version.commit`";
            Err(mended(problem.detail(detail), remediation))
        }
        Verdict::Malformed { detail, remediation } => {
            let problem = Problem::new(&known::CODE_MALFORMED);
            Err(mended(problem.detail(detail), remediation))
        }
        Verdict::Outdated { your_commit, head_commit, remediation } => {
            let problem = Problem::new(&known::CODE_OUTDATED);
            Err(mended(problem.commits(&your_commit, &head_commit), remediation))
        }
        Verdict::Unready { retry_after } => {
            Err(Problem::new(&known::GATE_UNREADY).retry_after(retry_after.as_secs().max(1)))
        }
    }
}

pub(super) fn too_large(bytes: u64, limit: u64) -> Problem {
    Problem::new(&known::TOO_LARGE)
        .detail(format!("found {bytes} bytes or more, expected at most {limit}"))
        .remediation("let the receiver's operator raise `size` in `[receiver.limits]`, or record less in one episode")
}

pub(super) fn disk_full() -> Problem {
    Problem::new(&known::DISK_FULL)
        .remediation("let the receiver's operator free space, or lower `free` in `[receiver.limits]`")
        .retry_after(FULL_SECS)
}

pub(super) fn busy(detail: &str) -> Problem {
    Problem::new(&known::BUSY).detail(detail).retry_after(BUSY_SECS)
}

/// A store or an index that refused: told here, logged here, and the client comes again.
pub(super) fn cannot(error: &(dyn std::error::Error + 'static), is_full: bool) -> Problem {
    let not_ready = |detail: String| Problem::new(&known::NOT_READY).detail(detail).retry_after(BUSY_SECS);
    // Logged where it is found, once.
    if let Some(elsewhere @ StoreError::Elsewhere { .. }) = of_store(error) {
        return not_ready(elsewhere.to_string()).remediation(format!("let the receiver's operator {ELSEWHERE_NEXT}"));
    }
    tracing::error!(error = %highwater_engine::diagnosis::with_causes(error), "an episode cannot be received");
    if is_full {
        return disk_full();
    }
    if disk_says(error, is_over_limit) {
        return Problem::new(&known::FILE_LIMIT)
            .detail("a file of the receiver's would become larger than its limit on the size of a file")
            .remediation("let the receiver's operator raise that limit (`LimitFSIZE=` of its unit, `ulimit -f`)")
            .retry_after(FULL_SECS);
    }
    if disk_says(error, is_for_want) {
        return busy("the receiver has no open files, or no memory, to spare");
    }
    let remediation = |odd: &Odd| format!("let the receiver's operator {}", odd.next());
    match of_store(error) {
        // Of this name alone, so it keeps nobody from sending the next one, as an answer would that the whole receiver is not well.
        Some(StoreError::Odd(odd)) => {
            let problem = Problem::new(&known::PLACE_TAKEN).detail(odd.to_string());
            return problem.remediation(remediation(odd)).retry_after(FULL_SECS);
        }
        // As much of this name alone, and nobody knows what is stored: it is neither the same nor another.
        Some(StoreError::Shut(shut)) => {
            let problem = Problem::new(&known::PLACE_UNREADABLE).detail(shut.to_string());
            return problem.remediation(format!("let the receiver's operator {}", shut.next())).retry_after(FULL_SECS);
        }
        Some(unread @ StoreError::Unread { source, .. }) => {
            let problem = Problem::new(&known::PLACE_UNREADABLE).detail(format!("{unread}: {source}"));
            return problem.remediation("let the receiver's operator check the disk").retry_after(FULL_SECS);
        }
        Some(StoreError::OtherDisk(apart)) => return other_disk(apart),
        _ => {}
    }
    if let Some(odd) = Odd::of(error) {
        return not_ready(odd.to_string()).remediation(remediation(odd));
    }
    Problem::new(&known::STORAGE).remediation("look into the receiver's log; what was sent may be sent again")
}

/// Of one host alone, too.
pub(super) fn other_disk(apart: &OtherDisk) -> Problem {
    Problem::new(&known::OTHER_DISK)
        .detail(apart.to_string())
        .remediation(format!("let the receiver's operator {}", apart.next()))
        .retry_after(FULL_SECS)
}

/// Whether the disk said that, or something beside it.
fn disk_says(error: &(dyn std::error::Error + 'static), that: fn(&io::Error) -> bool) -> bool {
    std::iter::successors(Some(error), |error| (*error).source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(that)
}

/// A file would have become larger than this process may write one.
fn is_over_limit(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::FileTooLarge
}

/// This process, or the machine, had none left of what all share: a moment later it may have.
fn is_for_want(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

/// What the store said, in whatever it lies: those who wait for a round share its error.
fn of_store<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e StoreError> {
    let next = |error: &&'e (dyn std::error::Error + 'static)| (*error).source();
    let shared = |cause: &'e (dyn std::error::Error + 'static)| cause.downcast_ref::<Arc<StoreError>>();
    std::iter::successors(Some(error), next)
        .find_map(|cause| cause.downcast_ref().or_else(|| shared(cause).map(|error| &**error)))
}

/// A text of a client's, for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(crate::name::NAME_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use highwater_fs::{FsError, Op};

    use super::*;

    #[test]
    fn what_failed_for_want_of_open_files_may_come_again_soon() {
        let after = |errno: Errno| {
            let error = StoreError::Disk(FsError::Io { op: Op::Read, path: "a".into(), source: errno.into() });
            let answer = cannot(&error, error.is_full()).into_response();
            (answer.status().as_u16(), answer.headers().contains_key(header::RETRY_AFTER))
        };
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert_eq!(after(errno), (503, true), "{errno}");
        }
        assert_eq!(after(Errno::IO), (500, false));
    }
}
