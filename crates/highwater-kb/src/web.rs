//! Documents of the web. Owns how one is fetched: which addresses are taken, where a redirect may lead, how much is read and for how
//! long, and what each answer means for the document. What comes of it is a private copy, like that of a file.

mod address;
mod answer;
mod guard;
mod media;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use highwater_engine::contact::client_builder;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::name::ResourceName;
use highwater_engine::outcome::OutcomeKind;
use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use tokio::sync::mpsc;

pub use self::address::{Address, NoAddress};
use self::guard::{Guard, Private};
use crate::convert::{ConvertError, Limits, Staged};
use crate::workshop::Unready;

/// Longest time from a request to the end of its answer, in seconds.
pub const ANSWER_SECS_MAX: u64 = 600;
/// Longest silence in the middle of an answer, in seconds.
pub const SILENCE_SECS_MAX: u64 = 60;
/// Parts of a body that wait for the disk.
const PARTS_MAX: usize = 8;
/// What a page is asked to be.
const WANTED: &str = "text/html,application/xhtml+xml,application/pdf;q=0.9,*/*;q=0.8";

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From a request to the end of its answer: [`ANSWER_SECS_MAX`].
    pub answer: Duration,
    /// For the next part of it: [`SILENCE_SECS_MAX`].
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (answer, silence) = (ANSWER_SECS_MAX, SILENCE_SECS_MAX);
        Self { answer: Duration::from_secs(answer), silence: Duration::from_secs(silence) }
    }
}

/// What fetches documents.
#[derive(Debug)]
pub(crate) struct Web {
    client: reqwest::Client,
    patience: Patience,
    guard: Arc<Guard>,
    resources: BTreeSet<ResourceName>,
    /// For hosts that have no resource of their own.
    otherwise: ResourceName,
}

/// A document that was fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) staged: Staged,
    /// What its bytes are, as a suffix; empty where nobody said.
    pub(crate) suffix: String,
}

impl Web {
    /// A client for these addresses, whose contacts are made on these resources.
    ///
    /// # Errors
    /// [`Stop`] where no client can start, or there is no resource.
    pub(crate) fn new(addresses: &[Address], resources: &[ResourceName], patience: Patience) -> Result<Self, Stop> {
        let no_client = |why: String| {
            let next = "check the machine's TLS certificates and proxy settings";
            Stop::Fail(Diagnosis::failure("HW-NET-001", format!("the HTTP client cannot start: {why}"), next))
        };
        let otherwise = resources.first().ok_or_else(|| no_client("the job has no resource".to_owned()))?.clone();
        let guard = Arc::new(Guard::new(addresses));
        let client = client_builder()
            .read_timeout(patience.silence)
            .dns_resolver(Arc::clone(&guard))
            .build()
            .map_err(|error| no_client(with_causes(&error)))?;
        Ok(Self { client, patience, guard, resources: resources.iter().cloned().collect(), otherwise })
    }

    /// Fetches a document into a directory of its own below `into`.
    ///
    /// # Errors
    /// What becomes of a document that is not to be had, and [`Stop`] as [`highwater_engine::contact::Contacts::send`].
    pub(crate) async fn fetch(
        &self,
        cx: &ReadCx,
        address: &Address,
        into: &Path,
        limits: &Limits,
    ) -> Result<Fetched, Unready> {
        let own = address.resource();
        let resource = self.resources.get(&own).unwrap_or(&self.otherwise);
        let sent = cx.contacts.send_within(
            &self.client,
            resource,
            None,
            |there| self.guard.may_go(there),
            |http| {
                let request = http.get(address.url().clone()).header(ACCEPT, WANTED);
                request.timeout(self.patience.answer)
            },
        );
        let response = sent.await?.map_err(|unanswered| match Private::in_causes(&unanswered) {
            Some(private) => Unready::because(OutcomeKind::Review, private.to_string()),
            None => Unready::because(OutcomeKind::Deferred, with_causes(&unanswered)),
        })?;
        if let Some((kind, why)) = answer::refused(&response, |there| self.guard.may_go(there)) {
            return Err(Unready::because(kind, why));
        }
        let suffix = media::suffix(header(&response, CONTENT_TYPE), response.url());
        let suffix = suffix.map_err(|why| Unready::because(OutcomeKind::Review, why))?;
        if let Some(bytes) = response.content_length().filter(|bytes| *bytes > limits.document_bytes) {
            return Err(ConvertError::Large { bytes, limit: limits.document_bytes }.into());
        }
        let staged = self.body(cx, response, &suffix, into, limits).await?;
        Ok(Fetched { staged, suffix })
    }

    /// The body as a private copy; it is read no further than what a document may have.
    async fn body(
        &self,
        cx: &ReadCx,
        mut response: Response,
        suffix: &str,
        into: &Path,
        limits: &Limits,
    ) -> Result<Staged, Unready> {
        let (parts, from) = mpsc::channel(PARTS_MAX);
        let (into, path, limits) = (into.to_owned(), called(suffix), *limits);
        let copy = tokio::task::spawn_blocking(move || Staged::copy_kept(Parts::new(from), &path, &into, &limits));
        let broke = loop {
            match response.chunk().await {
                Ok(Some(part)) => {
                    cx.contacts.meter().bytes(part.len() as u64);
                    // Whoever copies has enough of it, or cannot go on.
                    if parts.send(Ok(part)).await.is_err() {
                        break None;
                    }
                }
                Ok(None) => break None,
                Err(error) => {
                    // What came is not the document, and no copy of it is left.
                    let _ = parts.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
                    break Some(error);
                }
            }
        };
        drop(parts);
        let staged = copy.await.map_err(|error| {
            Stop::Fail(Diagnosis::failure("HW-BUG-001", error.to_string(), "report it with this message"))
        })?;
        match broke {
            // A server that always breaks off is looked at by a person in the end.
            Some(error) if error.is_timeout() => {
                let Patience { answer, silence } = self.patience;
                let told =
                    format!("it did not come within {} s, or was silent for {} s", answer.as_secs(), silence.as_secs());
                Err(Unready::because(OutcomeKind::Failed, told))
            }
            Some(error) => Err(Unready::because(OutcomeKind::Failed, format!("it broke off: {}", with_causes(&error)))),
            None => Ok(staged?),
        }
    }
}

/// A path that says a suffix, and lies nowhere: what a page of the web shows does not lie beside it.
pub(crate) fn called(suffix: &str) -> PathBuf {
    let dot = if suffix.is_empty() { "" } else { "." };
    PathBuf::from(format!("fetched{dot}{suffix}"))
}

fn header(response: &Response, name: reqwest::header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// The parts of a body, as they come, for a thread that reads.
struct Parts {
    from: mpsc::Receiver<io::Result<Bytes>>,
    part: Bytes,
}

impl Parts {
    fn new(from: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self { from, part: Bytes::new() }
    }
}

impl Read for Parts {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            match self.from.blocking_recv() {
                Some(part) => self.part = part?,
                None => return Ok(0),
            }
        }
        let count = self.part.len().min(to.len());
        self.part.copy_to_slice(&mut to[..count]);
        Ok(count)
    }
}
