//! The receiver as a shipper sees it. Owns the requests and what each answer means; when to ask, and what becomes of an episode,
//! is the job's.

mod flow;
mod pong;
mod proof;
mod renewal;
mod resumable;
mod unanswered;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::contact::Contacts;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::name::ResourceName;
use highwater_engine::settings::SecretText;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;

use super::bandwidth::Bandwidth;
use super::evidence::Evidence;
use super::outbox::Parcel;
use super::settings::ShipSettings;
use crate::digest::Sha256Digest;
use crate::gate::Judge;
use crate::index::Commit;
use crate::name::{EpisodeId, HostId};
use crate::pem::{self, PemError};
use crate::wire::{
    CODE_JUDGE_HEADER, CONTENT_SHA256_HEADER, EPISODE_MEDIA_TYPE, RECORDED_COMMIT_HEADER, SHA256_HEADER,
    TUS_RESUMABLE_HEADER,
};

use flow::{Flow, body};
use pong::Pong;
use proof::{elsewhere, not_a_receivers, not_a_receivers_of, taken};

pub use flow::STALL_SECS;
pub(super) use pong::is_pong;
pub(super) use proof::Proved;
pub use renewal::Shown;
pub(super) use resumable::{Asked, Begun, Went};
pub(super) use unanswered::{mends_certificate, tls_error};

/// Most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The receiver, and who asks it.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Its address, without `/v1`.
    pub base: Url,
    /// The resource under which it is contacted.
    pub resource: ResourceName,
    /// Whose episodes are sent.
    pub host: HostId,
    /// The client, with the certificate of the host.
    pub shown: Shown,
    /// The token of the host.
    pub token: Option<SecretText>,
    /// The header of the judged commit.
    pub commit_header: HeaderName,
    /// Which commit that is.
    pub judge: Judge,
    /// How fast uploads send together.
    pub bandwidth: Arc<Bandwidth>,
}

/// What is said of the code of an episode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Code {
    /// The commit that is judged.
    pub judged: Option<Commit>,
    /// The commit that recorded it.
    pub recorded: Option<Commit>,
}

/// A refusal, as the receiver put it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The code of its problem; an older receiver gives none.
    pub code: Option<String>,
    /// What its problem says of this very case.
    pub detail: Option<String>,
    /// What it says of it, for a person.
    pub told: String,
    /// The commands that mend it.
    pub remediation: Vec<String>,
}

/// What a receiver says that it has under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// An episode of this content, which it read just now.
    Named(Sha256Digest),
    /// One of a content that it names, and did not read for that: what a row says was so once.
    Unread,
    /// None that is whole, or one that was withdrawn there; and it is one that would name it.
    Nothing,
    /// It does not say: an older receiver, or one of somebody else's.
    Unsaid,
    /// It says so to others, or this was no receiver.
    Refused,
    /// Whoever answered was asked by a redirect, and is not the receiver.
    Elsewhere,
    /// It cannot say so of this one now: what it answered.
    Unable(u16),
}

impl Held {
    /// The content that it names.
    #[must_use]
    pub fn named(self) -> Option<Sha256Digest> {
        match self {
            Self::Named(content) => Some(content),
            _ => None,
        }
    }
}

/// What an answer means.
#[derive(Debug)]
pub enum Answer {
    /// A ping is accepted.
    Ok,
    /// The receiver has the episode, and names its bytes or what they hold.
    Named(Evidence),
    /// The receiver takes the episode, but its answer does not name it by a hash.
    Unnamed,
    /// 409: another content is stored under the name.
    Conflict(Refusal),
    /// 412, or a 400 of the gate: the code is not accepted.
    Gate(Refusal),
    /// Another 4xx: sent again it would be refused again.
    Refused(Refusal),
    /// 5xx: sent again it may be taken.
    Failed(Refusal),
    /// No answer of a receiver: DNS, connection, TLS, the connection broke, or something else answered.
    Unanswered(String),
}

/// Problem details (RFC 9457), as far as they are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    remediation: Option<Remediation>,
}

/// One command, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Remediation {
    One(String),
    Several(Vec<String>),
}

impl Remediation {
    fn commands(self) -> Vec<String> {
        match self {
            Self::One(command) => vec![command],
            Self::Several(commands) => commands,
        }
    }
}

/// What a network answers that wants somebody to log in first (RFC 6585, section 6).
const PORTAL_STATUS: u16 = 511;
/// What code a gate's refusal carries; an older receiver's 400 has none.
const GATE_CODE_PREFIX: &str = "code-";
/// The code of a refusal because no commit was said.
pub(super) const GATE_MISSING: &str = "code-missing";
/// The code of a conflict that is none: the episode was withdrawn.
pub(super) const WITHDRAWN: &str = "withdrawn";

impl Receiver {
    /// The receiver of these settings.
    ///
    /// # Errors
    /// The field of a certificate that cannot be used, and why.
    pub fn new(
        settings: &ShipSettings,
        host: HostId,
        resource: ResourceName,
    ) -> Result<Self, (&'static str, Diagnosis)> {
        let shown = Shown::new(settings, &host)?;
        Ok(Self {
            base: settings.receiver.expose().clone(),
            resource,
            host,
            shown,
            token: settings.token.clone(),
            commit_header: HeaderName::from_bytes(settings.commit_header.as_str().as_bytes())
                .expect("invariant: it is the name of a header"),
            judge: settings.judge,
            bandwidth: Arc::new(Bandwidth::new(settings.bandwidth)),
        })
    }

    /// A body that is about to be sent, as fast as a person says by now.
    fn flow(&self, cx: &ReadCx, from_byte: u64, parcel: &Parcel) -> Flow {
        self.bandwidth.steer(cx.steering().bandwidth);
        Flow::new(parcel.size_bytes - from_byte, parcel.size_bytes, &self.bandwidth, &cx.clock)
    }

    /// What is told of no answer.
    fn untold(&self, contacts: &Contacts, error: &(dyn std::error::Error + 'static)) -> String {
        unanswered::told(error, self.shown.certificate(), contacts.now())
    }

    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    pub(super) fn signed(&self, request: RequestBuilder, code: &Code) -> RequestBuilder {
        let mut request = request.header(CODE_JUDGE_HEADER, self.judge.word());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(judged) = &code.judged {
            request = request.header(&self.commit_header, judged.as_str());
        }
        if let Some(recorded) = &code.recorded {
            request = request.header(RECORDED_COMMIT_HEADER, recorded.as_str());
        }
        request
    }

    /// Asks whether an episode of such code would be taken. `None` where the receiver is too old to say.
    ///
    /// # Errors
    /// As [`Contacts::send_by`].
    pub async fn ping(&self, contacts: &Contacts, code: &Code) -> Result<Option<Answer>, Stop> {
        let url = self.url(&["v1", "ping"]);
        let http = self.shown.http();
        let sent = contacts
            .send_by(&http, &self.resource, None, |http| {
                self.signed(http.post(url.clone()), code).timeout(Duration::from_secs(STALL_SECS))
            })
            .await?;
        match sent {
            Ok(response) if matches!(response.status().as_u16(), 404 | 405 | 501) => Ok(None),
            // A server of uploads alone takes whatever it is asked for one of its own requests.
            Ok(response) if response.headers().contains_key(TUS_RESUMABLE_HEADER) => Ok(None),
            Ok(mut response) if response.status().is_success() => {
                let pong = match text_of(&mut response).await {
                    Ok(text) if !elsewhere(&url, &response) => Pong::read(&text),
                    Ok(_) => None,
                    Err(broke) => return Ok(Some(Answer::Unanswered(with_causes(&broke)))),
                };
                let Some(pong) = pong else {
                    return Ok(Some(not_a_receivers(&url, &response, "JSON with `hosts` and `gate`")));
                };
                if let Some(why) = pong.unready() {
                    // An upload would meet 503: it is the same, before a byte is sent.
                    tracing::info!(resource = %self.resource, "{why}");
                    let until = contacts.ban_because(&self.resource, &response, why).await?.until;
                    return Err(Stop::Ban { resource: self.resource.clone(), until });
                }
                Ok(Some(pong.answer(&self.host)))
            }
            Ok(response) => Ok(Some(answer(&url, response).await)),
            Err(no_answer) => Ok(Some(Answer::Unanswered(self.untold(contacts, &no_answer)))),
        }
    }

    /// Sends an episode.
    ///
    /// # Errors
    /// As [`Contacts::send_by`].
    pub async fn put(
        &self,
        cx: &ReadCx,
        episode: &EpisodeId,
        archive: &Path,
        parcel: &Parcel,
        code: &Code,
    ) -> Result<Answer, Stop> {
        let url = self.url(&["v1", "episodes", self.host.as_str(), episode.as_str()]);
        let flow = self.flow(cx, 0, parcel);
        let http = self.shown.http();
        let sending = cx.contacts.send_by(&http, &self.resource, None, |http| {
            self.signed(http.put(url.clone()), code)
                .header(CONTENT_TYPE, EPISODE_MEDIA_TYPE)
                .header(CONTENT_LENGTH, parcel.size_bytes)
                .header("content-digest", parcel.sha256.to_field())
                .header(SHA256_HEADER, parcel.sha256.to_string())
                .header(CONTENT_SHA256_HEADER, parcel.content_sha256.to_string())
                .body(body(archive.to_path_buf(), 0, flow.clone()))
        });
        let sent = tokio::select! {
            sent = sending => sent?,
            patience = flow.stalls() => {
                return Ok(Answer::Unanswered(format!("nothing moved for {} seconds", patience.as_secs())));
            }
            never = flow.is_steered(cx) => match never {},
        };
        match sent {
            Ok(response) if response.status().is_success() => Ok(taken(&url, response, parcel).await),
            Ok(response) => Ok(answer(&url, response).await),
            Err(no_answer) => Ok(Answer::Unanswered(self.untold(&cx.contacts, &no_answer))),
        }
    }
}

fn pem_of(path: &Path, field: &'static str) -> Result<Vec<u8>, (&'static str, Diagnosis)> {
    pem::bytes(path).map_err(|error| unfit(path, field, "a PEM file", &error))
}

fn unfit(path: &Path, field: &'static str, expected: &str, error: &PemError) -> (&'static str, Diagnosis) {
    let (field, diagnosis) = unusable(path, field, expected, error);
    (field, Diagnosis { next: error.next.clone(), ..diagnosis })
}

fn unusable(
    path: &Path,
    field: &'static str,
    expected: &str,
    error: &(dyn std::error::Error + 'static),
) -> (&'static str, Diagnosis) {
    let message =
        format!("found {} with which nothing can be done, expected {expected}: {}", path.display(), with_causes(error));
    (field, Diagnosis::refusal("HW-EPI-104", message, "name a PEM file that this user can read"))
}

/// The body of an answer, as far as it is read.
///
/// # Errors
/// When it breaks off.
pub(super) async fn text_of(response: &mut reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = ANSWER_BYTES_MAX - text.len();
        text.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if text.len() == ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(text)
}

/// What an answer that is no 2xx means. A refusal that breaks off is still one: its status is what counts.
async fn answer(asked: &Url, mut response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    if status < 400 || status == PORTAL_STATUS {
        return not_a_receivers_of(&response);
    }
    // The token does not go where a redirect leads: what is refused there says nothing of this host.
    if response.url().origin() != asked.origin() {
        return not_a_receivers(asked, &response, "an answer of the address in `receiver`");
    }
    let text = text_of(&mut response).await.unwrap_or_default();
    let Problem { title, detail, code, remediation } = serde_json::from_slice(&text).unwrap_or_default();
    let said: Vec<String> = [title, detail.clone()].into_iter().flatten().collect();
    let told = if said.is_empty() { format!("{status}") } else { format!("{status}: {}", said.join(": ")) };
    let of_gate = code.as_ref().is_some_and(|code| code.starts_with(GATE_CODE_PREFIX));
    let remediation = remediation.map(Remediation::commands).unwrap_or_default();
    let refusal = Refusal { status, code, detail, told, remediation };
    match status {
        409 => Answer::Conflict(refusal),
        412 => Answer::Gate(refusal),
        400 if of_gate => Answer::Gate(refusal),
        500.. => Answer::Failed(refusal),
        _ => Answer::Refused(refusal),
    }
}
