//! Values that name a place: [`FilePath`], [`LockAddress`], [`DatabaseUrl`], [`HttpUrl`]. Owns their shape; whether something is there
//! is asked by whoever uses it.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::text::{TextValue, ValueError, serialize_as_text, text_value};

/// A path; a relative one counts from the directory of the config file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FilePath(PathBuf);

impl FilePath {
    /// A path as it is.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Makes a relative path absolute, counted from `base`.
    pub fn resolve(&mut self, base: &Path) {
        self.0 = base.join(&self.0).components().collect();
    }
}

impl Deref for FilePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl TextValue for FilePath {
    const EXPECTED: &'static str = "a path without NUL, such as \"ids.txt\"";
}

impl FromStr for FilePath {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.is_empty() || text.contains('\0') { Err(Self::refuse(text)) } else { Ok(Self::new(text)) }
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

serialize_as_text!(FilePath);
text_value!(FilePath, title: "path", schema: {"type": "string", "minLength": 1});

/// Where a resource's lock is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LockAddress {
    /// `file:PATH`: flock(2) on that file, shared with every program that locks the same path.
    File(FilePath),
    /// `postgres:KEY`: an advisory lock, shared with all SQL that takes the same key.
    Advisory(AdvisoryKeyText),
}

impl LockAddress {
    /// Makes a relative path absolute, counted from `base`.
    pub fn resolve(&mut self, base: &Path) {
        match self {
            Self::File(path) => path.resolve(base),
            Self::Advisory(_) => {}
        }
    }
}

impl TextValue for LockAddress {
    const EXPECTED: &'static str = "a lock such as \"file:/run/lock/load.lock\" or \"postgres:4246\"";
}

impl FromStr for LockAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let refuse = || Self::refuse(text);
        if let Some(key) = text.strip_prefix("postgres:") {
            return AdvisoryKeyText::new(key).map(Self::Advisory).ok_or_else(refuse);
        }
        let path = text.strip_prefix("file:").ok_or_else(refuse)?;
        path.parse().map(Self::File).map_err(|_| refuse())
    }
}

impl fmt::Display for LockAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{path}"),
            Self::Advisory(key) => write!(f, "postgres:{key}"),
        }
    }
}

serialize_as_text!(LockAddress);
text_value!(LockAddress, title: "lock", schema: {
    "type": "string",
    "pattern": r"^file:.|^postgres:(-?[0-9]+|[A-Za-z][A-Za-z0-9_.:-]*)$|\$\{",
    "examples": ["file:/run/lock/load.lock", "postgres:4246"],
});

/// The key of an advisory lock as a person writes it: a whole number of 64 bits, or a name of letters, digits, `-`, `_`, `.` and
/// `:` that the database's crate hashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AdvisoryKeyText(String);

/// Longest name of an advisory lock.
const KEY_BYTES_MAX: usize = 128;

impl AdvisoryKeyText {
    /// A key, if it is one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let is_name = begins
            && text.len() <= KEY_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
        (is_name || text.parse::<i64>().is_ok()).then(|| Self(text.to_owned()))
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AdvisoryKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A database: `sqlite:PATH` or a `postgres://` URL, as the database's crate reads it. It may hold a password, so `Debug` and
/// `Display` show what comes before the first `:` alone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole address, to connect with and never to print.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Makes a relative path absolute, counted from `base`.
    pub fn resolve(&mut self, base: &Path) {
        if let Some(path) = self.0.strip_prefix("sqlite:") {
            let path = base.join(path.strip_prefix("//").unwrap_or(path)).components().collect::<PathBuf>();
            self.0 = format!("sqlite:{}", path.display());
        }
    }
}

impl TextValue for DatabaseUrl {
    const EXPECTED: &'static str = "\"sqlite:PATH\" or \"postgres://USER@HOST:PORT/DATABASE\"";
}

impl FromStr for DatabaseUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let known = ["sqlite:", "postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty() && !rest.contains('\0')));
        // What is refused is not shown: it may hold a password.
        if known { Ok(Self(text.to_owned())) } else { Err(Self::refuse("another text")) }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.strip_prefix("sqlite:") {
            Some(path) => write!(f, "sqlite:{path}"),
            None => f.write_str("postgres://…"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serialize_as_text!(DatabaseUrl);
text_value!(DatabaseUrl, title: "database", schema: {
    "type": "string",
    "pattern": r"^sqlite:.|^postgres(ql)?://.|\$\{",
    "examples": ["sqlite:usage.db", "${DATABASE_URL}"],
});

/// An `http://` or `https://` address. Its path may be a secret, so `Debug` and `Display` show the host alone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HttpUrl(reqwest::Url);

impl HttpUrl {
    /// The whole address, to make a request with and never to print.
    #[must_use]
    pub fn expose(&self) -> &reqwest::Url {
        &self.0
    }
}

impl TextValue for HttpUrl {
    const EXPECTED: &'static str = "an address that starts with http:// or https://";
}

impl FromStr for HttpUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let url = reqwest::Url::parse(text).map_err(|_| Self::refuse(text))?;
        if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(Self(url)) } else { Err(Self::refuse(text)) }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serialize_as_text!(HttpUrl);
text_value!(HttpUrl, title: "URL", schema: {"type": "string", "pattern": r"^https?://.|\$\{"});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_counts_from_the_base_and_an_absolute_one_stays() {
        for (text, resolved) in [("./ids.txt", "/etc/hw/ids.txt"), ("../x", "/etc/hw/../x"), ("/a/b", "/a/b")] {
            let mut path = FilePath::new(text);
            path.resolve(Path::new("/etc/hw"));
            assert_eq!(path, FilePath::new(resolved), "{text}");
        }
    }

    #[test]
    fn a_lock_is_named_by_its_scheme() {
        assert_eq!("file:a.lock".parse(), Ok(LockAddress::File(FilePath::new("a.lock"))));
        let advisory = |key| Ok(LockAddress::Advisory(AdvisoryKeyText::new(key).expect("a key")));
        assert_eq!("postgres:4246".parse(), advisory("4246"));
        assert_eq!("postgres:usage".parse(), advisory("usage"));
        for text in ["a.lock", "file:", "postgres:", "postgres:4 2", "postgres:42x", "postgres://db/usage", ""] {
            assert!(text.parse::<LockAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_never_prints_its_path() {
        let url: HttpUrl = "https://hooks.example/services/T0/secret?k=v".parse().expect("an address");
        assert_eq!(format!("{url:?} {url}"), "https://hooks.example/… https://hooks.example/…");
        for text in ["hooks.example", "ftp://example/", "http://", "file:///etc/passwd"] {
            assert!(text.parse::<HttpUrl>().is_err(), "{text}");
        }
    }
}
