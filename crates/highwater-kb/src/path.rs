//! A file that a base shows: below `wiki/` or `raw/`, and nowhere else. Owns that promise, which whatever reads a path from a row
//! or a file makes by making a [`FilePath`].

use std::fmt;

use highwater_db::sqlite::rusqlite;
use highwater_db::sqlite::rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use highwater_fs::{ConfineError, RelPath};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where the pages are.
pub const WIKI: &str = "wiki";
/// Where the documents are, as they were given.
pub const RAW: &str = "raw";

/// The mark of a version that lies beside a person's own: `tides.conflict.md`, `tides.conflict-2.md`.
const CONFLICT: &str = "conflict";

/// The path of a file that a base shows, from the base's root: `wiki/concepts/tides.md`, `raw/report.pdf`. It is UTF-8, its own
/// shortest form, and cannot lead out of those two directories.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(String);

/// A path that is none of a file that a base shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It leads out, or is no path.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// It is elsewhere.
    #[error("{0:?} is not below wiki/ or raw/")]
    Elsewhere(String),
    /// It is written in a longer form than it needs, so that two texts would be one file.
    #[error("{0:?} is not the shortest form of its path")]
    Roundabout(String),
}

impl FilePath {
    /// Reads a path from the base's root.
    ///
    /// # Errors
    /// [`PathFault`].
    pub fn new(path: impl Into<String>) -> Result<Self, PathFault> {
        let path = path.into();
        let confined = RelPath::new(&path)?;
        let text = confined.to_string();
        if text != path {
            return Err(PathFault::Roundabout(path));
        }
        match path.split_once('/') {
            Some((WIKI | RAW, _)) => Ok(Self(path)),
            _ => Err(PathFault::Elsewhere(path)),
        }
    }

    /// The path as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as a disk takes it.
    #[must_use]
    pub fn to_rel(&self) -> RelPath {
        RelPath::new(&self.0).expect("invariant: it was confined when it was made")
    }

    /// The directory it lies in.
    #[must_use]
    pub fn directory(&self) -> RelPath {
        self.to_rel().parent().unwrap_or_default()
    }

    /// The same file with `mark` before its last suffix: `tides.md` becomes `tides.conflict.md`.
    ///
    /// # Errors
    /// A name that becomes too long.
    pub fn marked(&self, mark: &str) -> Result<Self, PathFault> {
        let name = self.0.rfind('/').map_or(0, |slash| slash + 1);
        let dot = self.0[name..].rfind('.').filter(|dot| *dot > 0).map_or(self.0.len(), |dot| name + dot);
        Self::new(format!("{}.{mark}{}", &self.0[..dot], &self.0[dot..]))
    }

    /// Where the `n`th version goes that cannot be at this path, from 1.
    ///
    /// # Errors
    /// A name that becomes too long.
    pub(crate) fn beside(&self, n: u32) -> Result<Self, PathFault> {
        self.marked(&if n == 1 { CONFLICT.to_owned() } else { format!("{CONFLICT}-{n}") })
    }

    /// The path that this one lies beside, if its name says that it is such a version.
    #[must_use]
    pub fn lies_beside(&self) -> Option<Self> {
        let name = self.0.rfind('/').map_or(0, |slash| slash + 1);
        let (before, last) = self.0[name..].rsplit_once('.').filter(|(before, _)| !before.is_empty())?;
        let marked = before.rsplit_once('.').filter(|(stem, mark)| !stem.is_empty() && is_mark(mark));
        let stem = match marked {
            Some((stem, _)) => format!("{stem}.{last}"),
            None if is_mark(last) => before.to_owned(),
            None => return None,
        };
        Self::new(format!("{}{stem}", &self.0[..name])).ok()
    }
}

/// Whether a part of a name marks a version that lies beside another file: `conflict`, `conflict-2`.
pub(crate) fn is_mark(part: &str) -> bool {
    let digits = |n: &str| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit());
    part.strip_prefix(CONFLICT).is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(digits))
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for FilePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl ToSql for FilePath {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_str()))
    }
}

impl FromSql for FilePath {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::new(value.as_str()?).map_err(|fault| FromSqlError::Other(Box::new(fault)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_base_shows_has_a_path() {
        for shown in ["wiki/index.md", "wiki/concepts/é.md", "raw/a b.pdf", "wiki/sources/images/x/1.png"] {
            assert_eq!(FilePath::new(shown).unwrap().as_str(), shown);
        }
        for other in [
            "",
            "wiki",
            "wiki/",
            "/wiki/a",
            "wiki/../a",
            "raw/..",
            ".highwater/kb.db",
            "wiki//a",
            "./wiki/a",
            "wiki/a/",
            "other/a",
            "wikia/b",
            "wiki/a\0b",
        ] {
            assert!(FilePath::new(other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_mark_goes_before_the_last_suffix() {
        let marked = |path: &str| FilePath::new(path).unwrap().marked("conflict").unwrap().as_str().to_owned();
        assert_eq!(marked("wiki/concepts/a.b.md"), "wiki/concepts/a.b.conflict.md");
        assert_eq!(marked("raw/plain"), "raw/plain.conflict");
        assert_eq!(marked("raw/v1.2/plain"), "raw/v1.2/plain.conflict");
        assert_eq!(marked("raw/.hidden"), "raw/.hidden.conflict");
    }

    #[test]
    fn a_version_that_lies_beside_a_file_says_beside_which() {
        for path in ["wiki/concepts/a.b.md", "raw/plain", "raw/v1.2/plain", "raw/.hidden", "wiki/a.conflict.md"] {
            let path = FilePath::new(path).unwrap();
            for n in [1, 2, 100] {
                assert_eq!(path.beside(n).unwrap().lies_beside(), Some(path.clone()), "{n}");
            }
        }
        for other in ["wiki/a.md", "wiki/conflict.md", "wiki/a.conflict-.md", "wiki/a.conflict-x.md", "wiki/.conflict"]
        {
            assert_eq!(FilePath::new(other).unwrap().lies_beside(), None, "{other}");
        }
    }
}
