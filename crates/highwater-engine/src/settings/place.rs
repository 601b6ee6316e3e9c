//! Values that name a place: [`FilePath`], [`LockAddress`], [`HttpUrl`]. Owns their shape; whether something is there
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
}

impl LockAddress {
    /// Makes a relative path absolute, counted from `base`.
    pub fn resolve(&mut self, base: &Path) {
        match self {
            Self::File(path) => path.resolve(base),
        }
    }
}

impl TextValue for LockAddress {
    const EXPECTED: &'static str = "a lock such as \"file:/run/lock/load.lock\"";
}

impl FromStr for LockAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let path = text.strip_prefix("file:").ok_or_else(|| Self::refuse(text))?;
        path.parse().map(Self::File).map_err(|_| Self::refuse(text))
    }
}

impl fmt::Display for LockAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

serialize_as_text!(LockAddress);
text_value!(LockAddress, title: "lock", schema: {
    "type": "string",
    "pattern": r"^file:.|\$\{",
    "examples": ["file:/run/lock/load.lock"],
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
        for text in ["a.lock", "file:", "postgres:42", ""] {
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
