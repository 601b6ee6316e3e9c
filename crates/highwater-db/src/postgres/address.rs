//! Where a PostgreSQL server is and how it is to be trusted: a URL as libpq takes it. Owns `sslmode` up to `verify-full`,
//! `sslrootcert`, `sslcert` and `sslkey`, which the client library does not know.
//!
//! # Source
//! <https://www.postgresql.org/docs/current/libpq-ssl.html>

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode as Negotiation};

/// Longest wait for a connection, in seconds.
pub const CONNECT_TIMEOUT_SECS: u64 = 15;
/// Idle time after which the network is asked whether the server is still there, in seconds.
const KEEPALIVE_IDLE_SECS: u64 = 30;
/// Pause between such questions, in seconds.
const KEEPALIVE_EVERY_SECS: u64 = 10;
/// Questions without an answer after which the session is lost.
const KEEPALIVE_TRIES: u32 = 3;
/// How long sent data may stay unacknowledged, in seconds.
const TCP_USER_TIMEOUT_SECS: u64 = 60;

/// How far the server's certificate is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Whatever it shows, and none at all where the server has none (`disable`, `prefer`).
    Any,
    /// Whatever it shows, but encrypted (`require` without `sslrootcert`).
    Encrypted,
    /// Signed by a root that is known (`verify-ca`, and every mode but `disable` with `sslrootcert`).
    Authority,
    /// The same, and issued for this host (`verify-full`).
    Host,
}

/// A server, a database and a role on it.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Box<Config>,
    pub(super) trust: Trust,
    /// How the line is to be, where the server does not let it be as it should.
    otherwise: Option<Negotiation>,
    pub(super) root: Option<PathBuf>,
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// What is wrong with an address. Never shows it: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It does not begin as it should.
    #[error("expected `postgres://USER@HOST:PORT/DATABASE`")]
    Scheme,
    /// A parameter has a value that means nothing.
    #[error("`{name}` is `{found}`, expected {expected}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What it says.
        found: String,
        /// What it may say.
        expected: &'static str,
    },
    /// A client certificate without its key, or the other way round.
    #[error("`sslcert` and `sslkey` belong together, expected both or none")]
    HalfIdentity,
    /// The client library refuses it.
    #[error("it cannot be read")]
    Refused(#[source] tokio_postgres::Error),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(url: &str) -> Result<Self, AddressError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(AddressError::Scheme);
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut root, mut certificate, mut key, mut rest) = (None, None, None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = || percent_decoded(value);
            match name {
                "sslmode" => mode = Some(text()),
                // The roots that the system trusts, which are also looked at where none is named.
                "sslrootcert" if value == "system" => {}
                "sslrootcert" => root = Some(PathBuf::from(text())),
                "sslcert" => certificate = Some(PathBuf::from(text())),
                "sslkey" => key = Some(PathBuf::from(text())),
                _ => rest.push(pair),
            }
        }
        let otherwise = match mode.as_deref() {
            None | Some("prefer") => Some(Negotiation::Disable),
            Some("allow") => Some(Negotiation::Require),
            Some(_) => None,
        };
        let (negotiation, trust) = match mode.as_deref() {
            Some("disable") => (Negotiation::Disable, Trust::Any),
            // As libpq does: a root that is named is there to be checked.
            Some("allow") => (Negotiation::Disable, if root.is_some() { Trust::Authority } else { Trust::Any }),
            None | Some("prefer") => (Negotiation::Prefer, if root.is_some() { Trust::Authority } else { Trust::Any }),
            Some("require") if root.is_some() => (Negotiation::Require, Trust::Authority),
            Some("require") => (Negotiation::Require, Trust::Encrypted),
            Some("verify-ca") => (Negotiation::Require, Trust::Authority),
            Some("verify-full") => (Negotiation::Require, Trust::Host),
            Some(other) => {
                let expected = "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`";
                return Err(AddressError::Parameter { name: "sslmode", found: other.to_owned(), expected });
            }
        };
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(AddressError::HalfIdentity),
        };
        let separator = if rest.is_empty() { "" } else { "?" };
        let mut config: Config =
            format!("{base}{separator}{}", rest.join("&")).parse().map_err(AddressError::Refused)?;
        config
            .ssl_mode(negotiation)
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(KEEPALIVE_IDLE_SECS))
            .keepalives_interval(Duration::from_secs(KEEPALIVE_EVERY_SECS))
            .keepalives_retries(KEEPALIVE_TRIES)
            .tcp_user_timeout(Duration::from_secs(TCP_USER_TIMEOUT_SECS));
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_SECS));
        }
        if config.get_application_name().is_none() {
            config.application_name("highwater");
        }
        let is_local =
            !config.get_hosts().is_empty() && config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_)));
        if is_local {
            // As libpq does: a socket of this host needs no TLS, whatever the mode.
            config.ssl_mode(Negotiation::Disable);
        }
        Ok(Self { config: Box::new(config), trust, otherwise: otherwise.filter(|_| !is_local), root, identity })
    }
}

impl Address {
    /// How long opening a session may take, however many hosts are tried.
    pub(super) fn connect_limit(&self) -> Duration {
        let each = self.config.get_connect_timeout().copied().unwrap_or(Duration::from_secs(CONNECT_TIMEOUT_SECS));
        each.saturating_mul(u32::try_from(self.config.get_hosts().len().max(1)).unwrap_or(u32::MAX))
    }

    /// What `prefer` and `allow` fall back on.
    pub(super) fn otherwise(&self) -> Option<Config> {
        let mut config = (*self.config).clone();
        config.ssl_mode(self.otherwise?);
        Some(config)
    }

    /// The server and the database, whoever connects: `host:5432/database`.
    #[must_use]
    pub fn place(&self) -> String {
        let shown = self.to_string();
        let rest = shown.strip_prefix("postgres://").unwrap_or(&shown);
        rest.rsplit_once('@').map_or(rest, |(_, place)| place).to_owned()
    }
}

/// Without its password: `postgres://role@host:5432/database`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let user = self.config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        write!(f, "postgres://{user}{host}:{port}/{database}")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self}, {:?})", self.trust)
    }
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address, String> {
        url.parse::<Address>().map_err(|error| error.to_string())
    }

    #[test]
    fn a_password_is_never_shown() {
        let address = read("postgres://ann:s3cret@db.example:6432/usage?sslmode=require&application_name=x").unwrap();
        assert_eq!(address.to_string(), "postgres://ann@db.example:6432/usage");
        assert!(!format!("{address:?}").contains("s3cret"));
        assert!(!read("mysql://ann:s3cret@db/usage").unwrap_err().contains("s3cret"));
    }

    #[test]
    fn each_ssl_mode_trusts_as_libpq_does() {
        let trust = |query: &str| read(&format!("postgres://db/usage{query}")).map(|address| address.trust);
        assert_eq!(trust(""), Ok(Trust::Any));
        assert_eq!(trust("?sslmode=require"), Ok(Trust::Encrypted));
        assert_eq!(trust("?sslmode=require&sslrootcert=/etc/ssl/root.pem"), Ok(Trust::Authority));
        assert_eq!(trust("?sslmode=verify-ca"), Ok(Trust::Authority));
        assert_eq!(trust("?sslmode=verify-full"), Ok(Trust::Host));
        assert_eq!(trust("?sslmode=verify-full&sslrootcert=system"), Ok(Trust::Host));
        assert!(trust("?sslmode=verify").unwrap_err().contains("verify-full"));
        assert!(trust("?sslcert=/etc/ssl/me.pem").unwrap_err().contains("sslkey"));
    }
}
