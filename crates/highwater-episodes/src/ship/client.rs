//! The receiver as a shipper sees it. Owns the requests and what each answer means; when to ask, and what becomes of an episode,
//! is the job's.

mod resumable;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use highwater_engine::clock::SharedClock;
use highwater_engine::contact::{Contacts, client_builder};
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::Stop;
use highwater_engine::name::ResourceName;
use highwater_engine::settings::SecretText;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use reqwest::{Body, Client, RequestBuilder, Url};
use serde::Deserialize;

use super::outbox::Parcel;
use super::settings::{JudgedCode, ShipSettings, ShipTlsSettings};
use crate::index::Commit;
use crate::name::{EpisodeId, HostId};
use crate::wire::{
    CODE_JUDGE_HEADER, CONTENT_SHA256_HEADER, EPISODE_MEDIA_TYPE, RECORDED_COMMIT_HEADER, SHA256_HEADER,
    TUS_RESUMABLE_HEADER,
};

pub(super) use resumable::{Asked, Begun, Went};

/// Longest time in which no byte of a body moves and no answer comes, in seconds.
pub const STALL_SECS: u64 = 120;
/// How often that is looked at, in seconds.
const STALL_LOOK_SECS: u64 = 5;
/// Most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Most of a PEM file that is read, in bytes.
const PEM_BYTES_MAX: u64 = 1024 * 1024;
/// How much of a body is read at a time, in bytes.
const CHUNK_BYTES: usize = 128 * 1024;

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
    pub http: Client,
    /// The token of the host.
    pub token: Option<SecretText>,
    /// The header of the judged commit.
    pub commit_header: HeaderName,
    /// Which commit that is.
    pub judge: JudgedCode,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// What it says of it, for a person.
    pub told: String,
    /// The commands that mend it.
    pub remediation: Vec<String>,
}

/// What an answer means.
#[derive(Debug)]
pub enum Answer {
    /// 2xx.
    Ok,
    /// 409: another content is stored under the name.
    Conflict(Refusal),
    /// 412, or a 400 of the gate: the code is not accepted.
    Gate(Refusal),
    /// Another 4xx: sent again it would be refused again.
    Refused(Refusal),
    /// 5xx: sent again it may be taken.
    Failed(Refusal),
    /// No answer: DNS, connection, TLS, or the connection broke.
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

/// What code a gate's refusal carries; an older receiver's 400 has none.
const GATE_CODE_PREFIX: &str = "code-";

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
        let mut client = client_builder();
        let ShipTlsSettings { ca, certificate, key } = &settings.tls;
        if let Some(path) = ca {
            let authorities = reqwest::Certificate::from_pem_bundle(&pem(path, "tls.ca")?)
                .map_err(|error| unusable(path, "tls.ca", "certificates", &error))?;
            if authorities.is_empty() {
                return Err(unusable(path, "tls.ca", "certificates", &io::Error::other("there is none in it")));
            }
            client = client.tls_certs_only(authorities);
        }
        if let (Some(certificate), Some(key)) = (certificate, key) {
            let mut chain = pem(certificate, "tls.certificate")?;
            chain.push(b'\n');
            chain.extend(pem(key, "tls.key")?);
            let identity = reqwest::Identity::from_pem(&chain)
                .map_err(|error| unusable(certificate, "tls.certificate", "a certificate and its key", &error))?;
            client = client.identity(identity);
        }
        let http = client.build().map_err(|error| {
            let message = format!("the HTTP client cannot start: {}", with_causes(&error));
            let next = "check that `tls.key` is the key of `tls.certificate`, and the machine's TLS certificates";
            ("tls", Diagnosis::refusal("HW-EPI-104", message, next))
        })?;
        Ok(Self {
            base: settings.receiver.expose().clone(),
            resource,
            host,
            http,
            token: settings.token.clone(),
            commit_header: HeaderName::from_bytes(settings.commit_header.as_str().as_bytes())
                .expect("invariant: it is the name of a header"),
            judge: settings.judge,
        })
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
        let sent = contacts
            .send_by(&self.http, &self.resource, None, |http| {
                self.signed(http.post(url.clone()), code).timeout(Duration::from_secs(STALL_SECS))
            })
            .await?;
        match sent {
            Ok(response) if matches!(response.status().as_u16(), 404 | 405 | 501) => Ok(None),
            // A server of uploads alone takes whatever it is asked for one of its own requests.
            Ok(response) if response.headers().contains_key(TUS_RESUMABLE_HEADER) => Ok(None),
            Ok(mut response) if response.status().is_success() => {
                let pong: Pong = serde_json::from_slice(&text_of(&mut response).await).unwrap_or_default();
                if pong.is_unready() {
                    // An upload would meet 503: it is the same, before a byte is sent.
                    tracing::info!(resource = %self.resource, "the receiver's gate has read no commits yet");
                    let until = contacts.ban(&self.resource, None, &response).await?.until;
                    return Err(Stop::Ban { resource: self.resource.clone(), until });
                }
                Ok(Some(pong.answer(&self.host)))
            }
            Ok(response) => Ok(Some(answer(response).await)),
            Err(unanswered) => Ok(Some(Answer::Unanswered(with_causes(&unanswered)))),
        }
    }

    /// Sends an episode.
    ///
    /// # Errors
    /// As [`Contacts::send_by`].
    pub async fn put(
        &self,
        contacts: &Contacts,
        clock: &SharedClock,
        episode: &EpisodeId,
        archive: PathBuf,
        parcel: &Parcel,
        code: &Code,
    ) -> Result<Answer, Stop> {
        let url = self.url(&["v1", "episodes", self.host.as_str(), episode.as_str()]);
        let moved = Moved::default();
        let sending = contacts.send_by(&self.http, &self.resource, None, |http| {
            self.signed(http.put(url.clone()), code)
                .header(CONTENT_TYPE, EPISODE_MEDIA_TYPE)
                .header(CONTENT_LENGTH, parcel.size_bytes)
                .header("content-digest", parcel.sha256.to_field())
                .header(SHA256_HEADER, parcel.sha256.to_string())
                .header(CONTENT_SHA256_HEADER, parcel.content_sha256.to_string())
                .body(body(archive.clone(), 0, moved.clone()))
        });
        let sent = tokio::select! {
            sent = sending => sent?,
            () = moved.stalls(clock) => {
                return Ok(Answer::Unanswered(format!("nothing moved for {STALL_SECS} seconds")));
            }
        };
        match sent {
            Ok(response) => Ok(answer(response).await),
            Err(unanswered) => Ok(Answer::Unanswered(with_causes(&unanswered))),
        }
    }
}

fn pem(path: &Path, field: &'static str) -> Result<Vec<u8>, (&'static str, Diagnosis)> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|error| unusable(path, field, "a PEM file", &error)).map(|_| bytes)
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

/// How much of a body moved.
#[derive(Debug, Clone, Default)]
struct Moved(Arc<AtomicU64>);

impl Moved {
    /// Ends once nothing moves for [`STALL_SECS`] after the first byte did.
    async fn stalls(&self, clock: &SharedClock) {
        let (mut known, mut since) = (0, clock.elapsed());
        loop {
            clock.glance(Duration::from_secs(STALL_LOOK_SECS)).await;
            let moved = self.0.load(Ordering::Relaxed);
            if moved != known || moved == 0 {
                (known, since) = (moved, clock.elapsed());
            } else if clock.elapsed().saturating_sub(since) >= Duration::from_secs(STALL_SECS) {
                return;
            }
        }
    }
}

/// A file from a byte on as a body, which is opened when it is wanted.
fn body(archive: PathBuf, from_byte: u64, moved: Moved) -> Body {
    let opened = futures::stream::once(async move {
        let mut file = tokio::fs::File::open(archive).await?;
        tokio::io::AsyncSeekExt::seek(&mut file, io::SeekFrom::Start(from_byte)).await?;
        Ok::<_, io::Error>(file)
    });
    let chunks = opened.flat_map(move |file| {
        let moved = moved.clone();
        futures::stream::try_unfold(Some(file), move |file| {
            let moved = moved.clone();
            async move {
                let Some(file) = file else { return Ok(None) };
                let mut file = file?;
                let mut chunk = Vec::with_capacity(CHUNK_BYTES);
                let mut part = tokio::io::AsyncReadExt::take(&mut file, CHUNK_BYTES as u64);
                let read = tokio::io::AsyncReadExt::read_to_end(&mut part, &mut chunk).await?;
                moved.0.fetch_add(read as u64, Ordering::Relaxed);
                Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), Some(Ok(file)))))
            }
        })
    });
    Body::wrap_stream(chunks)
}

/// What a ping is answered with, as far as it is read; a receiver that says nothing of a part has nothing against it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pong {
    /// The hosts that this one may write to: a list, or `"*"`.
    hosts: Option<Hosts>,
    gate: PongGate,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Hosts {
    Listed(Vec<String>),
    #[expect(dead_code, reason = "whatever the word is, it is no list")]
    All(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PongGate {
    verdict: Option<String>,
    detail: Option<String>,
    your_commit: Option<String>,
    head_commit: Option<String>,
    remediation: Option<Remediation>,
}

impl Pong {
    /// Whether the gate puts everybody off until it has read its repository.
    fn is_unready(&self) -> bool {
        self.gate.verdict.as_deref() == Some("unready")
    }

    fn answer(self, host: &HostId) -> Answer {
        let Self { hosts, gate } = self;
        if let Some(Hosts::Listed(hosts)) = &hosts
            && !hosts.iter().any(|listed| listed == host.as_str())
        {
            let told = format!("403: this host may write to {}, not to {host}", hosts.join(", "));
            return Answer::Refused(Refusal { status: 403, told, remediation: Vec::new() });
        }
        let remediation = gate.remediation.map(Remediation::commands).unwrap_or_default();
        let refused = |status: u16, told: String| Refusal { status, told, remediation };
        match gate.verdict.as_deref() {
            Some("outdated") => {
                let unsaid = || "not said".to_owned();
                let (yours, head) = (gate.your_commit.unwrap_or_else(unsaid), gate.head_commit.unwrap_or_else(unsaid));
                let told =
                    format!("412: the code is out of date: commit {yours}; the newest that is accepted is {head}");
                Answer::Gate(refused(412, told))
            }
            Some(verdict @ ("missing" | "malformed")) => {
                let detail = gate.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
                Answer::Gate(refused(400, format!("400: the commit of the code is {verdict}{detail}")))
            }
            _ => Answer::Ok,
        }
    }
}

/// The body of an answer. One that breaks off is still an answer: its status is what counts.
pub(super) async fn text_of(response: &mut reqwest::Response) -> Vec<u8> {
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ANSWER_BYTES_MAX - text.len();
        text.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if text.len() == ANSWER_BYTES_MAX {
            break;
        }
    }
    text
}

async fn answer(response: reqwest::Response) -> Answer {
    coded(response).await.0
}

/// What an answer means, and the code of the problem where it is one.
async fn coded(mut response: reqwest::Response) -> (Answer, Option<String>) {
    let status = response.status().as_u16();
    let text = text_of(&mut response).await;
    if (200..300).contains(&status) {
        return (Answer::Ok, None);
    }
    let problem: Problem = serde_json::from_slice(&text).unwrap_or_default();
    let said: Vec<String> = [problem.title, problem.detail].into_iter().flatten().collect();
    let told = if said.is_empty() { format!("{status}") } else { format!("{status}: {}", said.join(": ")) };
    let of_gate = problem.code.as_ref().is_some_and(|code| code.starts_with(GATE_CODE_PREFIX));
    let remediation = problem.remediation.map(Remediation::commands).unwrap_or_default();
    let refusal = Refusal { status, told, remediation };
    let answer = match status {
        409 => Answer::Conflict(refusal),
        412 => Answer::Gate(refusal),
        400 if of_gate => Answer::Gate(refusal),
        500.. => Answer::Failed(refusal),
        _ => Answer::Refused(refusal),
    };
    (answer, problem.code)
}
