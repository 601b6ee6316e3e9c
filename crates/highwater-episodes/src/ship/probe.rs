//! Whether an episode would arrive: each step from the name of the receiver to its gate, looked at on its own, so that the one which
//! is wrong has a name. Owns what is asked and what an answer proves; sends no episode and stores nothing anywhere.

mod silent;

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use highwater_engine::clock::SharedClock;
use highwater_engine::diagnosis::with_causes;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, LOCATION, RETRY_AFTER};
use rustls::{CertificateError, InvalidMessage};
use serde::Deserialize;
use tokio::net::TcpStream;

use self::silent::{HELLO_SECS, is_silent};
use super::client::{Code, Receiver, is_pong, mends_certificate, text_of, tls_error};

/// Longest wait for a name, a connection or an answer, in seconds.
pub const PROBE_SECS: u64 = 15;
/// How often a receiver is asked that breaks the connection off without a word.
const ASKS_MAX: u32 = 5;
/// A name that nobody gives an episode or an address.
const NOWHERE: &str = "highwater-ping-of-nothing";
/// How far the two clocks may be apart, in seconds.
pub const CLOCK_SKEW_SECS_MAX: i64 = 60;

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It is as it should be.
    Good,
    /// It is not: what to do.
    Bad(String),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// What it came to.
    pub proof: Proof,
}

/// All steps that could be taken.
#[derive(Debug, Default)]
pub struct Probe {
    /// In their order; the last may be the one that keeps the others from being taken.
    pub steps: Vec<Step>,
    /// The receiver wants no contact for a while: what its `Retry-After` and its `Date` say.
    pub ban: Option<(Option<String>, Option<String>)>,
    /// What it says of why.
    pub why: Option<String>,
}

impl Probe {
    fn good(&mut self, what: &'static str, found: impl Into<String>) {
        self.steps.push(Step { what, found: found.into(), proof: Proof::Good });
    }

    fn bad(&mut self, what: &'static str, found: impl Into<String>, next: impl Into<String>) {
        self.steps.push(Step { what, found: found.into(), proof: Proof::Bad(next.into()) });
    }
}

/// What a ping is answered with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pong {
    you: Option<String>,
    hosts: serde_json::Value,
    clock: Option<String>,
    gate: PongGate,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PongGate {
    verdict: Option<String>,
    detail: Option<String>,
    head_commit: Option<String>,
    /// How it would be let in, where that is not by the window.
    gate: Option<String>,
    remediation: serde_json::Value,
}

/// Problem details, as far as they are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
}

/// Takes the steps, with the code of each of these episodes; the first is asked whoever it is of.
pub async fn probe(receiver: &Receiver, clock: &SharedClock, has_certificate: bool, codes: &[(String, Code)]) -> Probe {
    let mut probe = Probe::default();
    if !reach(receiver, &mut probe).await {
        return probe;
    }
    let none = (String::new(), Code::default());
    let all = if codes.is_empty() { std::slice::from_ref(&none) } else { codes };
    for (at, (of, code)) in all.iter().enumerate() {
        let (asked_at, mut response) = match asked(receiver, clock, code).await {
            Ok(asked) => asked,
            Err(error) if error.is_timeout() && receiver.base.scheme() == "https" && is_silent(receiver).await => {
                let found = format!(
                    "it accepts a connection and says nothing of TLS, in {PROBE_SECS} seconds and in {HELLO_SECS} more"
                );
                let next = "correct `receiver` if it names another port; else look at what listens there: it may hang, or be a proxy whose receiver is away";
                probe.bad("tls", found, next);
                return probe;
            }
            Err(error) => {
                unanswered(&mut probe, receiver, &error, clock.now());
                return probe;
            }
        };
        let answered_at = clock.now();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, date, retry_after) = (response.status().as_u16(), header(DATE), header(RETRY_AFTER));
        if matches!(status, 429 | 503) {
            let after = retry_after.as_deref().map(|after| format!(", Retry-After: {after}")).unwrap_or_default();
            let body = text_of(&mut response).await.unwrap_or_default();
            let Problem { title, detail } = serde_json::from_slice(&body).unwrap_or_default();
            let said = detail.or(title).map(|said| format!(": {said}")).unwrap_or_default();
            let found = format!("{status}: it wants no contact now{after}{said}");
            probe.bad("answer", found, "call again when the ban is over");
            probe.ban = Some((retry_after, date));
            probe.why = Some(format!("{status}, as a ping was answered{said}"));
            return probe;
        }
        let body = text_of(&mut response).await.unwrap_or_default();
        let pong = match status {
            200..=299 => serde_json::from_slice::<Pong>(&body).ok().filter(|_| is_pong(&body)),
            404 | 405 | 501 => {
                if at == 0 {
                    private(&mut probe, receiver);
                    unasked(&mut probe, receiver, status).await;
                    apart(&mut probe, (asked_at, answered_at), date.as_deref(), None);
                }
                return probe;
            }
            _ => {
                if at == 0 {
                    private(&mut probe, receiver);
                }
                let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
                match otherwise(status, location) {
                    Some((found, next)) => probe.bad("answer", found, next),
                    None => refused(&mut probe, receiver, status, has_certificate, &body),
                }
                apart(&mut probe, (asked_at, answered_at), date.as_deref(), None);
                return probe;
            }
        };
        let Some(pong) = pong else {
            probe.bad(
                "answer",
                format!("{status}, and no answer of a receiver"),
                "correct `receiver`: it names something else",
            );
            return probe;
        };
        if at == 0 {
            private(&mut probe, receiver);
            known(&mut probe, receiver, has_certificate, &pong);
            apart(&mut probe, (asked_at, answered_at), date.as_deref(), pong.clock.as_deref());
        }
        judged(&mut probe, of, code, pong.gate);
    }
    unready(&mut probe, receiver).await;
    probe
}

/// A receiver that answers, and says that it takes nothing now: its disk is full, its gate has no commits. What else has its address for that
/// question, or none, is no fault.
async fn unready(probe: &mut Probe, receiver: &Receiver) {
    let request = receiver.signed(receiver.shown.http().get(receiver.url(&["readyz"])), &Code::default());
    let Ok(mut response) = request.timeout(Duration::from_secs(PROBE_SECS)).send().await else { return };
    if response.status().as_u16() != 503 {
        return;
    }
    let body = text_of(&mut response).await.unwrap_or_default();
    let Some(why) = serde_json::from_slice::<Problem>(&body).ok().and_then(|problem| problem.detail) else { return };
    probe.bad(
        "ready",
        format!("the receiver is not ready: {why}"),
        "let its operator see to it (`highwater doctor` there); what is finished here stays until then",
    );
}

/// A far side that knows no ping: one of an older kind, if it answers for an episode otherwise than for what is nowhere.
async fn unasked(probe: &mut Probe, receiver: &Receiver, status: u16) {
    let nowhere = looked(receiver, &["v1", NOWHERE]).await;
    let episode = looked(receiver, &["v1", "episodes", receiver.host.as_str(), NOWHERE]).await;
    match (episode, nowhere) {
        // It has no such address, and has one for episodes: another method is meant, or somebody else may.
        (Some(401 | 403 | 405 | 501), Some(404)) => {
            probe.good("answer", format!("{status}: it is too old to be asked; an upload shows the rest"));
        }
        _ => probe.bad(
            "answer",
            format!("{status}: it answers no ping, and whether it is an older receiver or something else cannot be told without an upload"),
            "correct `receiver` if it names something else; else ship one episode (`highwater ship --once`): its answer says whether it arrived",
        ),
    }
}

/// What an address is answered with that is only looked at.
async fn looked(receiver: &Receiver, path: &[&str]) -> Option<u16> {
    let request = receiver.signed(receiver.shown.http().get(receiver.url(path)), &Code::default());
    let response = request.timeout(Duration::from_secs(PROBE_SECS)).send().await.ok()?;
    Some(response.status().as_u16())
}

/// Asks, and says when. In TLS 1.3 a receiver refuses this host's certificate after the handshake, and the end of the connection
/// may be noticed before the refusal is read: then it is asked again, for the reason.
async fn asked(
    receiver: &Receiver,
    clock: &SharedClock,
    code: &Code,
) -> Result<(Timestamp, reqwest::Response), reqwest::Error> {
    let mut asks = 1;
    loop {
        let request = receiver.signed(receiver.shown.http().post(receiver.url(&["v1", "ping"])), code);
        let asked_at = clock.now();
        match request.timeout(Duration::from_secs(PROBE_SECS)).send().await {
            Ok(response) => return Ok((asked_at, response)),
            Err(error) if asks < ASKS_MAX && broke_off(&error) => asks += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Whether a connection that had been made went away without a word.
fn broke_off(error: &reqwest::Error) -> bool {
    let told = error.source().and_then(|source| tls_error(source)).is_some();
    error.is_request() && !error.is_timeout() && !error.is_connect() && !told
}

/// From the name to a connection.
async fn reach(receiver: &Receiver, probe: &mut Probe) -> bool {
    let wait = Duration::from_secs(PROBE_SECS);
    let name = receiver.base.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = receiver.base.port_or_known_default().unwrap_or_default();
    let looked_up = tokio::time::timeout(wait, tokio::net::lookup_host((name.as_str(), port))).await;
    let addresses: Vec<SocketAddr> = match looked_up {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => {
            probe.bad(
                "dns",
                format!("{name} is not found: {error}"),
                "correct `receiver`, or this host's name servers (`getent hosts NAME`)",
            );
            return false;
        }
        Err(_) => {
            probe.bad(
                "dns",
                format!("nobody said in {PROBE_SECS} seconds where {name} is"),
                "mend this host's name servers",
            );
            return false;
        }
    };
    let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    probe.good("dns", format!("{name} is {}", shown.join(", ")));
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in &addresses {
        match tokio::time::timeout(wait, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {
                probe.good("connect", address.to_string());
                return true;
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {PROBE_SECS} seconds")),
        }
    }
    probe.bad("connect", format!("port {port}: {last}"), "start the receiver, or open the port between the two");
    false
}

fn private(probe: &mut Probe, receiver: &Receiver) {
    match receiver.base.scheme() {
        "https" => probe.good("tls", "the receiver is who it says"),
        _ => probe.good("tls", "none: plain HTTP"),
    }
}

fn unanswered(probe: &mut Probe, receiver: &Receiver, error: &reqwest::Error, now: Timestamp) {
    let Some(tls) = error.source().and_then(|source| tls_error(source)) else {
        // What a port of TLS says to plain HTTP is no HTTP.
        if receiver.base.scheme() == "http"
            && !error.is_timeout()
            && error.is_request()
            && with_causes(error).contains("HTTP version")
        {
            let next = "write https:// in `receiver`, or the port of plain HTTP";
            return probe.bad("tls", "it does not speak plain HTTP at this port; it may speak TLS", next);
        }
        let next = "look at the receiver's log; a proxy between the two may break the connection off";
        return probe.bad("answer", with_causes(error), next);
    };
    let found = match tls {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("{tls}: who signed the receiver's certificate is not known here, or its chain is not complete")
        }
        _ => tls.to_string(),
    };
    match tls {
        rustls::Error::InvalidCertificate(why) => {
            let next = match why {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "renew the receiver's certificate, or set this host's clock"
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "set this host's clock (`timedatectl`)"
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "write in `receiver` a name that is in its certificate"
                }
                // It says no more: whoever signed it may be another, or one that an authority known here signed.
                CertificateError::UnknownIssuer => {
                    "name in `tls.ca` the authority that signed the receiver's certificate; where one in between signed it, the receiver has to \
                     show that one's too: its operator puts it into the file of `receiver.tls.cert`, after its own"
                }
                // Of an authority that was made anew under its old name.
                CertificateError::BadSignature => {
                    "name in `tls.ca` the authority that signed the receiver's certificate"
                }
                _ => "look at the receiver's certificate: `openssl s_client -connect HOST:PORT -showcerts`",
            };
            probe.bad("tls", found, next);
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            probe.bad(
                "tls",
                "it does not speak TLS at this port",
                "write http:// where it is meant to be plain, or the port of TLS",
            );
        }
        rustls::Error::AlertReceived(alert) => {
            let Some(next) = mends_certificate(*alert, receiver.shown.certificate(), now) else {
                return probe.bad("tls", found, "the two have no TLS in common: look into the receiver's log");
            };
            private(probe, receiver);
            probe.bad("certificate", format!("the receiver refuses this host's: {alert:?}"), next);
        }
        _ => probe.bad("tls", found, "look into the receiver's log"),
    }
}

/// What is no receiver's own answer: what was found, and what mends it.
fn otherwise(status: u16, location: &str) -> Option<(String, String)> {
    match status {
        300..400 => {
            let to = if location.is_empty() { "elsewhere".to_owned() } else { format!("to {location}") };
            Some((
                format!("{status}: it sends whoever asks {to}"),
                "name in `receiver` the address of the receiver itself; where a network wants a login first, log in"
                    .to_owned(),
            ))
        }
        511 => Some((
            format!("{status}: the network wants a login first"),
            "log in to the network (a captive portal), and call again".to_owned(),
        )),
        502 | 504 => Some((
            format!("{status}: a proxy between the two gets no answer of the receiver"),
            "start the receiver, or correct the address that the proxy has of it; its log says which".to_owned(),
        )),
        _ => None,
    }
}

fn refused(probe: &mut Probe, receiver: &Receiver, status: u16, has_certificate: bool, body: &[u8]) {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let said: Vec<_> = [problem.title, problem.detail].into_iter().flatten().collect();
    let found = format!("{status}{}{}", if said.is_empty() { "" } else { ": " }, said.join(": "));
    match status {
        401 if receiver.token.is_some() => {
            probe.bad("token", found, "correct `token`: its SHA-256 must be one of `[[receiver.tokens]]`")
        }
        401 if has_certificate => {
            probe.bad("certificate", found, "name the certificate in `[[receiver.certificates]]`, or show a `token`")
        }
        401 => probe.bad("token", found, "name a `token`, or a certificate in `tls`"),
        403 => probe.bad(
            "host",
            found,
            "let this host write there, in `hosts` of its token or certificate, or correct `host-id`",
        ),
        _ => probe.bad("answer", found, "look into the receiver's log"),
    }
}

/// Who the receiver takes this host for, and where it may write.
fn known(probe: &mut Probe, receiver: &Receiver, has_certificate: bool, pong: &Pong) {
    let you = pong.you.as_deref().unwrap_or("somebody it knows");
    if has_certificate {
        probe.good("certificate", format!("the receiver takes this host for {you}"));
    }
    if receiver.token.is_some() {
        probe.good("token", format!("the receiver takes this host for {you}"));
    }
    let host = receiver.host.as_str();
    match &pong.hosts {
        serde_json::Value::Array(hosts) if !hosts.iter().any(|listed| listed == host) => {
            let listed: Vec<_> = hosts.iter().filter_map(|host| host.as_str()).collect();
            let found = format!(
                "it may write to {}, not to {host}",
                if listed.is_empty() { "no host".to_owned() } else { listed.join(", ") }
            );
            probe.bad("host", found, "set `host-id`, or let it write there in `hosts` of its token or certificate");
        }
        _ => probe.good("host", format!("its episodes are stored under {host}")),
    }
}

/// How far the clocks are apart: no more than is known for sure, since the answer took its time.
fn apart(probe: &mut Probe, (asked_at, answered_at): (Timestamp, Timestamp), date: Option<&str>, clock: Option<&str>) {
    let exact = clock.and_then(|clock| clock.parse::<Timestamp>().ok()).map(|theirs| (theirs, theirs));
    let dated = || {
        let theirs = jiff::fmt::rfc2822::parse(date?).ok()?.timestamp();
        Some((theirs, theirs.checked_add(SignedDuration::from_secs(1)).ok()?))
    };
    let Some((from, to)) = exact.or_else(dated) else {
        return probe.good("clock", "the receiver does not say what time it is");
    };
    let (ahead, behind) = (from.duration_since(answered_at), asked_at.duration_since(to));
    let skew = ahead.max(behind).max(SignedDuration::ZERO);
    if skew.as_secs() <= CLOCK_SKEW_SECS_MAX {
        return probe.good("clock", "the two agree");
    }
    let word = if ahead > behind { "behind" } else { "ahead of" };
    let found = format!("this host's is {} seconds {word} the receiver's", skew.as_secs());
    probe.bad("clock", found, "set the one that is wrong (`timedatectl set-ntp true`)");
}

fn judged(probe: &mut Probe, of: &str, code: &Code, gate: PongGate) {
    let commit = code.judged.as_ref().map_or_else(|| "no commit".to_owned(), ToString::to_string);
    let of = if of.is_empty() { String::new() } else { format!(" ({of})") };
    let mend = match gate.remediation {
        serde_json::Value::String(command) => command,
        serde_json::Value::Array(commands) => {
            commands.iter().filter_map(|command| command.as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    };
    let or = |otherwise: &str| if mend.is_empty() { otherwise.to_owned() } else { mend.clone() };
    match gate.verdict.as_deref() {
        Some("outdated") => {
            let head = gate.head_commit.unwrap_or_else(|| "not said".to_owned());
            let next = or(
                "bring this host's code up to date, or let it in: `highwater gate allow COMMIT --until …` at the receiver",
            );
            probe.bad("gate", format!("{commit}{of} is out of date; the newest that is accepted is {head}"), next);
        }
        Some("missing") if code.judged.is_none() && of.is_empty() => {
            probe.good("gate", "it judges code; no finished episode is here to ask for");
        }
        // No code that is newer gives an episode its commit.
        Some("missing") if code.judged.is_none() => probe.bad(
            "gate",
            format!("its `meta.json` has no `code_version.commit` of 40 or 64 hex digits{of}"),
            "correct it, and let the recorder write it: the receiver takes no episode without",
        ),
        Some(verdict @ ("missing" | "malformed")) => {
            let detail = gate.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
            probe.bad(
                "gate",
                format!("the commit{of} is {verdict}{detail}"),
                or("let the recorder write `code_version.commit` into meta.json"),
            );
        }
        Some("unready") => probe.bad(
            "gate",
            format!(
                "it has read no commits yet{}",
                gate.detail.map(|detail| format!(": {detail}")).unwrap_or_default()
            ),
            "call again; if it stays so, look at `highwater gate list` at the receiver",
        ),
        Some("accepted") if gate.gate.as_deref() == Some("off") => probe.good("gate", "the receiver judges no code"),
        Some(_) => probe.good("gate", format!("it accepts {commit}{of}")),
        None => probe.good("gate", "the receiver says nothing of one"),
    }
}
