//! Who calls, and where they may write. Owns how a certificate, a proxy's word and a token become a [`Caller`]; that a certificate is
//! good was checked when its connection was made.
//!
//! # Source
//! RFC 9440 (Client-Cert HTTP Header Field); RFC 6750 (bearer tokens).

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::network::Network;
use super::problem::{Problem, known};
use super::settings::{HostRule, ReceiverSettings};
use crate::digest::Sha256Digest;
use crate::name::HostId;

/// Where a proxy puts the certificate that it has seen.
pub const CLIENT_CERT_HEADER: &str = "client-cert";
/// Longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 4_096;
/// Most names of a certificate that are looked at.
pub const CERTIFICATE_NAMES_MAX: usize = 64;
/// `commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// From where it calls.
    pub address: SocketAddr,
    /// The names of its certificate; none where it showed none.
    pub certificate: Option<Vec<String>>,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What it is called in answers and in the log.
    pub name: String,
    /// Each of these lists must cover a host: a certificate's, a token's.
    rules: Vec<Vec<HostRule>>,
}

impl Caller {
    /// Whether it may write to, and read from, the host of this name.
    #[must_use]
    pub fn may(&self, host: &str) -> bool {
        !self.rules.is_empty() && self.rules.iter().all(|rules| rules.iter().any(|rule| rule.covers(host)))
    }

    /// The hosts, for those who ask; `None` where it is every one.
    #[must_use]
    pub fn hosts(&self) -> Option<Vec<HostId>> {
        let named = self.rules.iter().flatten().filter_map(|rule| match rule {
            HostRule::One(host) => Some(host.clone()),
            HostRule::Any => None,
        });
        let mut hosts: Vec<_> = named.filter(|host| self.may(host.as_str())).collect();
        hosts.sort();
        hosts.dedup();
        let any = !self.rules.is_empty() && self.rules.iter().all(|rules| rules.contains(&HostRule::Any));
        (!any).then_some(hosts)
    }
}

/// Everyone who may call.
#[derive(Debug)]
pub struct Identities {
    tokens: Vec<Token>,
    certificates: HashMap<String, Vec<HostRule>>,
    proxies: Vec<Network>,
    identity_header: Option<String>,
}

#[derive(Debug)]
struct Token {
    name: String,
    sha256: Sha256Digest,
    hosts: Vec<HostRule>,
}

impl Identities {
    /// Those of these settings.
    #[must_use]
    pub fn of(settings: &ReceiverSettings) -> Self {
        let mut certificates: HashMap<String, Vec<HostRule>> = HashMap::new();
        for certificate in &settings.certificates {
            certificates.entry(certificate.name.to_ascii_lowercase()).or_default().extend(certificate.hosts.clone());
        }
        let tokens = settings.tokens.iter().map(|token| Token {
            name: token.name.clone(),
            sha256: token.sha256,
            hosts: token.hosts.clone(),
        });
        Self {
            tokens: tokens.collect(),
            certificates,
            proxies: settings.trusted_proxies.clone(),
            identity_header: settings.identity_header.as_ref().map(|header| header.as_str().to_owned()),
        }
    }

    /// Who sent these headers.
    pub(super) fn caller(&self, peer: Option<&Peer>, headers: &HeaderMap) -> Result<Caller, Problem> {
        let by_proxy = peer.is_some_and(|peer| self.proxies.iter().any(|proxy| proxy.contains(peer.address.ip())));
        // A proxy's own certificate says who the proxy is, not who calls.
        let names = if by_proxy { self.forwarded(headers)? } else { peer.and_then(|peer| peer.certificate.clone()) };
        let mut caller = Caller { name: String::new(), rules: Vec::new() };
        if let Some(names) = names {
            caller.name = names.first().cloned().unwrap_or_default();
            caller.rules.push(self.of_certificate(&names));
        }
        if let Some(given) = headers.get(header::AUTHORIZATION) {
            let token = bearer(given.as_bytes()).and_then(|token| self.of_token(token));
            let token = token.ok_or_else(|| nobody("the token is not known here"))?;
            caller.name =
                if caller.name.is_empty() { token.name.clone() } else { format!("{} ({})", caller.name, token.name) };
            caller.rules.push(token.hosts.clone());
        }
        if caller.rules.is_empty() {
            Err(nobody("neither a client certificate nor a token was given"))
        } else {
            Ok(caller)
        }
    }

    /// The names that a trusted proxy gives.
    fn forwarded(&self, headers: &HeaderMap) -> Result<Option<Vec<String>>, Problem> {
        let one = |name: &str| {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (Some(value), None) => value.to_str().map(Some).map_err(|_| forged(name)),
                (None, _) => Ok(None),
                // What the proxy added and what the client sent cannot be told apart.
                (Some(_), Some(_)) => Err(forged(name)),
            }
        };
        // A proxy passes on what it does not know, so of all headers only the one that it is known to set says who calls.
        let told_in = self.identity_header.as_deref().unwrap_or(CLIENT_CERT_HEADER);
        let Some(said) = one(told_in)? else { return Ok(None) };
        if told_in.eq_ignore_ascii_case(CLIENT_CERT_HEADER) {
            let bytes = said.trim().strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
            let der = bytes.and_then(|bytes| BASE64_STANDARD.decode(bytes).ok());
            let names = der.and_then(|der| names_of(&der)).ok_or_else(|| forged(CLIENT_CERT_HEADER))?;
            return Ok(Some(names));
        }
        if said.starts_with('/') {
            return Err(Problem::new(&known::NO_IDENTITY)
                .detail(format!("the proxy's {told_in} is a distinguished name with slashes, in which one part can hold what looks like others"))
                .remediation("let the proxy write it as RFC 4514 has it (`CN=lab-1,O=Lab`), or the common name alone"));
        }
        let name = common_name_in(said);
        Ok((!name.is_empty()).then(|| vec![name]))
    }

    fn of_certificate(&self, names: &[String]) -> Vec<HostRule> {
        let mut rules = Vec::new();
        for name in names {
            match self.certificates.get(&name.to_ascii_lowercase()) {
                Some(hosts) => rules.extend(hosts.iter().cloned()),
                None => rules.extend(HostId::new(name).map(HostRule::One)),
            }
        }
        rules
    }

    /// Compares with every token, each in the same time, so that how long it takes tells nothing.
    fn of_token(&self, given: &[u8]) -> Option<&Token> {
        let given = Sha256Digest::of(given);
        let mut found = u64::MAX;
        for (at, token) in self.tokens.iter().enumerate() {
            let same: Choice = given.as_bytes().ct_eq(token.sha256.as_bytes());
            found.conditional_assign(&(at as u64), same);
        }
        usize::try_from(found).ok().and_then(|at| self.tokens.get(at))
    }
}

fn nobody(detail: &str) -> Problem {
    Problem::new(&known::NO_IDENTITY).detail(detail).remediation(
        "send `Authorization: Bearer TOKEN` with a token of `[[receiver.tokens]]`, or a client certificate",
    )
}

/// A certificate that was good when its connection was made, and is not any more; the connection ends with it.
pub(super) fn no_longer(error: &rustls::Error) -> Problem {
    Problem::new(&known::NO_IDENTITY)
        .detail(format!("the client certificate is not accepted any more: {error}"))
        .remediation("get this host another certificate; the next connection shows it")
        .header("connection", "close")
}

fn forged(header: &str) -> Problem {
    Problem::new(&known::NO_IDENTITY)
        .detail(format!("the proxy's {header} is given more than once, or cannot be read"))
        .remediation("let the proxy set the header anew, whatever its client sent")
}

fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = field.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && (1..=TOKEN_BYTES_MAX).contains(&token.len())).then_some(token)
}

/// The `CN` of a distinguished name as proxies write it (`CN=lab-1,O=Lab`); else the text itself. Nothing where there are two, or where
/// something is escaped: what was a part and what was a text cannot be told apart then.
fn common_name_in(text: &str) -> String {
    if text.contains(['\\', '"']) {
        return String::new();
    }
    let parts = text.split([',', '+']).map(str::trim);
    let mut names = parts.filter_map(|part| part.strip_prefix("CN=").or_else(|| part.strip_prefix("cn=")));
    match (names.next(), names.next()) {
        (Some(name), None) => name.to_owned(),
        (None, _) if !text.contains('=') => text.trim().to_owned(),
        _ => String::new(),
    }
}

/// The names of a certificate: its DNS names, else its common name. `None` where it cannot be read.
#[must_use]
pub fn names_of(der: &[u8]) -> Option<Vec<String>> {
    let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
    let mut names = Vec::new();
    if let Some((_, SubjectAltName(general))) = certificate.get::<SubjectAltName>().ok()? {
        names.extend(general.into_iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            _ => None,
        }));
    }
    if names.is_empty() {
        let attributes = certificate.subject.0.iter().flat_map(|part| part.0.iter());
        let common = attributes.filter(|attribute| attribute.oid == COMMON_NAME).find_map(|attribute| {
            let utf8 = attribute.value.decode_as::<Utf8StringRef<'_>>().map(|text| text.to_string());
            utf8.or_else(|_| attribute.value.decode_as::<PrintableStringRef<'_>>().map(|text| text.to_string())).ok()
        });
        names.extend(common);
    }
    names.truncate(CERTIFICATE_NAMES_MAX);
    Some(names)
}
