//! The settings of a receiver, `[receiver]`. Owns fields, bounds and defaults.

mod doubtful;
mod restart;

use std::net::SocketAddr;
use std::path::Path;

use highwater_engine::settings::{ByteSize, DurationText, FilePath, Problem, Whole};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::network::Network;
use crate::digest::Sha256Digest;
use crate::gate::GateSettings;
use crate::name::{HostId, NAME_PATTERN, NameError};

/// Most uploads that are received at once.
pub const UPLOADS_MAX: u64 = 4_096;
/// Most connections at once.
pub const CONNECTIONS_MAX: u64 = 65_536;

/// Most uploads that may go on.
pub const OPEN_UPLOADS_MAX: u64 = 65_536;

/// A receiver of episodes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReceiverSettings {
    /// The address and port to listen at.
    #[serde(deserialize_with = "listen_of_text")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The directory that holds `episodes/`, `index.jsonl` and `quarantine/`; it must be there.
    pub root: FilePath,
    /// Serves without TLS at an address that other machines reach, for a proxy that ends TLS.
    pub allow_plain_http: bool,
    /// TLS. Absent: plain HTTP, on loopback alone unless `allow-plain-http` is set.
    pub tls: Option<TlsSettings>,
    /// Bearer tokens and where they may write.
    pub tokens: Vec<TokenSettings>,
    /// Client certificates and where they may write. One that is not named here may write to the host of its own name.
    pub certificates: Vec<CertificateSettings>,
    /// Proxies that end TLS, by address or network: the `identity-header` of theirs says who calls, or without one `Client-Cert`; anyone
    /// else's is ignored. They must set it anew at every request, whatever their client sent.
    pub trusted_proxies: Vec<Network>,
    /// The header in which a trusted proxy names the client certificate: a name, or a distinguished name with a `CN`; no other header is
    /// looked at then. Absent: `Client-Cert`, which has the certificate itself (RFC 9440).
    pub identity_header: Option<HeaderText>,
    /// The header that names the commit of the code.
    pub commit_header: HeaderText,
    /// The header in which older shippers give the SHA-256 of the body, in hexadecimal digits.
    pub digest_header: HeaderText,
    /// Which code's episodes are let in. Absent: all, and their rows say that nothing was judged.
    pub gate: Option<GateSettings>,
    /// How much is taken from clients, and for how long they are waited for.
    pub limits: LimitSettings,
}

impl Default for ReceiverSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8460)),
            root: FilePath::new("received"),
            allow_plain_http: false,
            tls: None,
            tokens: Vec::new(),
            certificates: Vec::new(),
            trusted_proxies: Vec::new(),
            identity_header: None,
            commit_header: HeaderText("x-code-commit".to_owned()),
            digest_header: HeaderText("x-sha256".to_owned()),
            gate: None,
            limits: LimitSettings::default(),
        }
    }
}

/// Where to listen. A name is none: it may have several addresses, or another one tomorrow.
///
/// # Errors
/// What was expected, where the text is no address with a port.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an address and a port, such as 127.0.0.1:8460 or [::1]:8460; a name is none".to_owned())
}

fn listen_of_text<'de, D: Deserializer<'de>>(text: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(text)?;
    listen_address(&text).map_err(|expected| D::Error::custom(format!("found {text:?}, {expected}")))
}

/// TLS of a receiver; the files are read again when they change.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsSettings {
    /// The certificate chain of the receiver, as PEM.
    pub cert: FilePath,
    /// Its private key, as PEM.
    pub key: FilePath,
    /// Who signs the certificates of clients, as PEM. Absent: clients have tokens.
    #[serde(default)]
    pub client_ca: Option<FilePath>,
    /// Which of these are revoked, as PEM; with it, a certificate whose signer has no list here is refused. Absent: none are.
    #[serde(default)]
    pub crl: Option<FilePath>,
    /// Whether a client must have a certificate.
    #[serde(default)]
    pub client_certs: ClientCerts,
}

/// Whether a client must have a certificate, where `client-ca` is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum ClientCerts {
    /// Without one there is no connection.
    #[default]
    Required,
    /// One that is given must be good; who has none has a token.
    Optional,
}

/// A bearer token.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenSettings {
    /// What it is called in answers and in the log.
    pub name: String,
    /// Its SHA-256: `printf %s TOKEN | sha256sum`.
    pub sha256: Sha256Digest,
    /// The hosts that it may write to and read from; `*` for all.
    pub hosts: Vec<HostRule>,
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CertificateSettings {
    /// A DNS name of it; its common name where it has none.
    pub name: String,
    /// The hosts that it may write to and read from; `*` for all.
    pub hosts: Vec<HostRule>,
}

/// How much is taken from clients, and for how long they are waited for.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitSettings {
    /// The largest episode.
    pub size: ByteSize,
    /// What stays free on the disk; an upload that would take of it is refused.
    pub free: ByteSize,
    /// Uploads at once; others are told to come again.
    pub uploads: Whole<1, UPLOADS_MAX>,
    /// The same for each host, so that one that drips does not keep the others out.
    pub uploads_per_host: Whole<1, UPLOADS_MAX>,
    /// Resumable uploads that may go on, those that broke off among them; who begins another is told to come again.
    pub open_uploads: Whole<1, OPEN_UPLOADS_MAX>,
    /// The same for each host.
    pub open_uploads_per_host: Whole<1, OPEN_UPLOADS_MAX>,
    /// How long a resumable upload that broke off may go on; after it what came of it is removed.
    pub resume_time: DurationText,
    /// Connections at once; others wait to be accepted.
    pub connections: Whole<1, CONNECTIONS_MAX>,
    /// How long the head of a request may take, and a connection be idle.
    pub head_time: DurationText,
    /// How long a body may stand still, and an answer that its client does not read.
    pub idle_time: DurationText,
    /// How long a body may take.
    pub upload_time: DurationText,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            size: ByteSize::mib(64 << 10),
            free: ByteSize::mib(1 << 10),
            uploads: Whole::new(128).expect("invariant: a default is within its bounds"),
            uploads_per_host: Whole::new(96).expect("invariant: a default is within its bounds"),
            open_uploads: Whole::new(1_024).expect("invariant: a default is within its bounds"),
            open_uploads_per_host: Whole::new(64).expect("invariant: a default is within its bounds"),
            resume_time: DurationText::secs(7 * 24 * 60 * 60),
            connections: Whole::new(4_096).expect("invariant: a default is within its bounds"),
            head_time: DurationText::secs(30),
            idle_time: DurationText::secs(60),
            upload_time: DurationText::secs(12 * 60 * 60),
        }
    }
}

impl ReceiverSettings {
    /// Makes relative paths absolute, counted from the config file's directory.
    pub fn resolve(&mut self, base: &Path) {
        self.root.resolve(base);
        if let Some(tls) = &mut self.tls {
            let optional = [&mut tls.client_ca, &mut tls.crl].into_iter().flatten();
            [&mut tls.cert, &mut tls.key].into_iter().chain(optional).for_each(|path| path.resolve(base));
        }
        self.gate.iter_mut().for_each(|gate| gate.resolve(base));
    }

    /// What is wrong with the settings as a whole.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.tls.is_none() && !self.listen.ip().is_loopback() && !self.allow_plain_http {
            problems.push(Problem::new(
                "listen",
                format!("found {} without `tls`, expected an address of loopback", self.listen),
                "add `[receiver.tls]`, or set `allow-plain-http = true` behind a proxy that ends TLS",
            ));
        }
        if let Some(tls) = &self.tls
            && tls.client_ca.is_none()
            && (tls.crl.is_some() || !self.certificates.is_empty())
            && self.trusted_proxies.is_empty()
        {
            problems.push(Problem::new(
                "tls.client-ca",
                "found certificates of clients, or a list of revoked ones, and nobody who signs them",
                "add `client-ca = \"ca.pem\"`",
            ));
        }
        if self.identity_header.is_some() && self.trusted_proxies.is_empty() {
            problems.push(Problem::new(
                "identity-header",
                "found a header that names clients, and no proxy that is trusted to set it",
                "add `trusted-proxies = [\"127.0.0.1\"]`, or remove it",
            ));
        }
        let nobody = self.tokens.is_empty()
            && self.trusted_proxies.is_empty()
            && self.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none());
        if nobody {
            problems.push(Problem::new(
                "tokens",
                "found nobody who may write: no token, no `tls.client-ca`, no `trusted-proxies`",
                "add a `[[receiver.tokens]]`, or `client-ca` in `[receiver.tls]`",
            ));
        }
        for (field, time) in [
            ("limits.head-time", self.limits.head_time),
            ("limits.idle-time", self.limits.idle_time),
            ("limits.upload-time", self.limits.upload_time),
            ("limits.resume-time", self.limits.resume_time),
        ] {
            if time.get().is_zero() {
                problems.push(Problem::new(
                    field,
                    "found 0s, expected more",
                    "correct it, or remove it for the default",
                ));
            }
        }
        problems.extend(doubtful::tokens(self));
        problems.extend(doubtful::headers(self));
        problems.extend(self.gate.iter().flat_map(GateSettings::problems));
        problems
    }
}

/// A host, or `*` for every one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostRule {
    /// Every host.
    Any,
    /// This one.
    One(HostId),
}

impl HostRule {
    /// Whether it covers the host of this name.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => one.as_str() == host,
        }
    }
}

impl TryFrom<String> for HostRule {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        if text == "*" { Ok(Self::Any) } else { HostId::new(text).map(Self::One) }
    }
}

impl From<HostRule> for String {
    fn from(rule: HostRule) -> Self {
        match rule {
            HostRule::Any => "*".to_owned(),
            HostRule::One(host) => host.into(),
        }
    }
}

impl JsonSchema for HostRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HostRule".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "host", "pattern": format!(r"^\*$|{NAME_PATTERN}") })
    }
}

/// The name of a header, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderText(String);

/// A text that names no header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a header such as \"X-Code-Commit\", found {0:?}")]
pub struct HeaderTextError(String);

impl HeaderText {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HeaderText {
    type Error = HeaderTextError;
    fn try_from(text: String) -> Result<Self, HeaderTextError> {
        match axum::http::HeaderName::try_from(text.as_str()) {
            Ok(name) => Ok(Self(name.as_str().to_owned())),
            Err(_) => Err(HeaderTextError(text)),
        }
    }
}

impl From<HeaderText> for String {
    fn from(name: HeaderText) -> Self {
        name.0
    }
}

impl JsonSchema for HeaderText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HeaderText".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "header", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" })
    }
}
