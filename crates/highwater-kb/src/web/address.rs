//! An address that a document is fetched from. Owns which there are, and the one way in which each is written.

use std::fmt;

use highwater_engine::name::{ITEM_KEY_BYTES_MAX, ResourceName};
use reqwest::Url;

use crate::origin::Origin;

/// An address of the web: `https://example.org/tides.html`. It has no fragment, which no server is told, and no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Url);

/// What no document is fetched from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// It cannot be read.
    #[error("{text:?} is no address: {why}")]
    Unreadable {
        /// What was said.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is for another protocol.
    #[error("{0:?} is no address that is fetched: found `{1}://`, expected `http://` or `https://`")]
    Scheme(String, String),
    /// It says a name or a password, which would stand on pages and in lists.
    #[error(
        "an address of {0} has a user name or a password before its host, which would stand in the base for all to read"
    )]
    Secret(String),
    /// It is longer than what the ledger knows a document by.
    #[error("an address of {host} has {bytes} bytes, more than {ITEM_KEY_BYTES_MAX}")]
    Long {
        /// Its host.
        host: String,
        /// How long it is.
        bytes: usize,
    },
}

impl Address {
    /// Whether a word is meant as an address, and not as a path.
    #[must_use]
    pub fn is_meant(word: &str) -> bool {
        let scheme = word.split_once("://").map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        })
    }

    /// The address that a word says.
    ///
    /// # Errors
    /// [`NoAddress`].
    pub fn parse(word: &str) -> Result<Self, NoAddress> {
        let unreadable = |why: &str| NoAddress::Unreadable { text: told(word), why: why.to_owned() };
        let mut url = Url::parse(word.trim()).map_err(|error| unreadable(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NoAddress::Scheme(told(word), url.scheme().to_owned()));
        }
        let host = url.host_str().ok_or_else(|| unreadable("it has no host"))?.to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NoAddress::Secret(host));
        }
        url.set_fragment(None);
        let bytes = url.as_str().len();
        if bytes > ITEM_KEY_BYTES_MAX {
            return Err(NoAddress::Long { host, bytes });
        }
        Ok(Self(url))
    }

    /// As a request takes it.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Its host, as names are compared.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().expect("invariant: an address has a host")
    }

    /// What its host is banned, paced and locked by, for whoever has no other name for it: `web:example.org`.
    #[must_use]
    pub fn resource(&self) -> ResourceName {
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        ResourceName::new(format!("web:{}{port}", self.host())).expect("invariant: a host is short and plain")
    }

    /// Where its document comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::try_from(self.0.to_string()).expect("invariant: an address is one line")
    }
}

/// A word as it may be shown: without what may be a password in it.
fn told(word: &str) -> String {
    match word.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.find("://").map_or("", |at| &before[..at + 3]);
            format!("{scheme}…@{after}")
        }
        None => word.to_owned(),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_written_in_one_way() {
        let told = |word: &str| Address::parse(word).unwrap().origin().to_string();
        assert_eq!(told("HTTPS://Example.ORG:443/a/../Tides.html#top"), "https://example.org/Tides.html");
        assert_eq!(told("http://example.org"), "http://example.org/");
        assert_eq!(told("http://example.org/a b?q=\u{e9}"), "http://example.org/a%20b?q=%C3%A9");
        assert_eq!(told("http://ex\u{e4}mple.org/"), "http://xn--exmple-cua.org/");
        assert_eq!(told("http://0x7f.1/"), "http://127.0.0.1/");
        let resource = |word: &str| Address::parse(word).unwrap().resource().to_string();
        assert_eq!(resource("https://Example.org/a"), "web:example.org");
        assert_eq!(resource("http://example.org:8080/"), "web:example.org:8080");
        assert_eq!(resource("http://[::1]/"), "web:[::1]");
    }

    #[test]
    fn what_is_no_address_is_named() {
        for (word, says) in [
            ("ftp://example.org/a", "found `ftp://`"),
            ("file:///etc/passwd", "found `file://`"),
            ("https://", "is no address"),
            ("https://exa mple.org/", "is no address"),
            ("https://ana:secret@example.org/", "a user name or a password"),
            ("ftp://ana:secret@example.org/", "found `ftp://`"),
            ("https://ana:secret@exa mple.org/", "is no address"),
            ("https://ana@example.org/", "a user name or a password"),
        ] {
            let said = Address::parse(word).unwrap_err().to_string();
            assert!(said.contains(says) && !said.contains("secret"), "{word}: {said}");
        }
        let long = format!("https://example.org/{}", "a".repeat(ITEM_KEY_BYTES_MAX));
        assert!(matches!(Address::parse(&long), Err(NoAddress::Long { .. })));
    }

    #[test]
    fn a_word_is_an_address_by_what_it_begins_with() {
        for word in ["http://a", "HTTPS://a", "ftp://a", "git+ssh://a"] {
            assert!(Address::is_meant(word), "{word}");
        }
        for word in ["a.md", "/a://b", "./http:/a", "://a", "1://a", "c:\\a", "a b://c"] {
            assert!(!Address::is_meant(word), "{word}");
        }
    }
}
