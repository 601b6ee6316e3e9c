//! Where a document comes from: a file, or an address of the web. Owns the one text that says it, which is a document's identity
//! from one addition to the next, and stands in rows, lists and the ledger.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// Where a document comes from: `/home/ana/papers/tides.pdf`, `https://example.org/tides.html`.
///
/// In the text of a file, a byte that is no UTF-8, a control character and `%` are written as `%0A`, so that every name is one line
/// and no two are the same text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// What no document comes from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoOrigin {
    /// Neither a file nor an address.
    #[error("{0:?} says neither a file from `/` on nor an address with http:// or https://")]
    Other(String),
}

impl Origin {
    /// The origin of a file: its path from `/` on, without `.` and `..`, as it is written and not as links lead.
    #[must_use]
    pub fn of_file(path: &Path) -> Self {
        let mut plain = PathBuf::from("/");
        for component in path.components() {
            match component {
                Component::Normal(name) => plain.push(name),
                Component::ParentDir => drop(plain.pop()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        let mut text = String::with_capacity(plain.as_os_str().len());
        for chunk in plain.as_os_str().as_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() || character == '%' {
                    let mut bytes = [0; 4];
                    character.encode_utf8(&mut bytes).bytes().for_each(|byte| escape(&mut text, byte));
                } else {
                    text.push(character);
                }
            }
            chunk.invalid().iter().for_each(|byte| escape(&mut text, *byte));
        }
        Self(text)
    }

    /// The file, where it is one.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        let bytes: Vec<u8> = self.0.starts_with('/').then(|| percent_decode_str(&self.0).collect())?;
        Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
    }

    /// The address, where it is one.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        is_address(&self.0).then_some(self.0.as_str())
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part of it, without its suffix: what a document of it is called at first.
    #[must_use]
    pub fn stem(&self) -> String {
        match self.file() {
            Some(file) => file.file_stem().map(OsStr::to_string_lossy).unwrap_or_default().into_owned(),
            None => {
                let path = self.0.split(['?', '#']).next().unwrap_or_default();
                let decoded = percent_decode_str(path).decode_utf8_lossy().into_owned();
                let (_, host_and_path) = decoded.split_once("://").unwrap_or(("", &decoded));
                let last = host_and_path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                let is_host = !host_and_path.trim_end_matches('/').contains('/');
                match last.rsplit_once('.') {
                    Some((stem, _)) if !is_host && !stem.is_empty() => stem.to_owned(),
                    _ => last.to_owned(),
                }
            }
        }
    }
}

fn escape(text: &mut String, byte: u8) {
    text.push_str(percent_encoding::percent_encode_byte(byte));
}

fn is_address(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    scheme.is_some_and(|(scheme, rest)| matches!(scheme.as_str(), "http" | "https") && !rest.is_empty())
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

impl TryFrom<String> for Origin {
    type Error = NoOrigin;

    fn try_from(text: String) -> Result<Self, NoOrigin> {
        let is_one_line = !text.chars().any(char::is_control);
        if is_one_line && is_address(&text) {
            return Ok(Self(text));
        }
        let origin = Self(text);
        match origin.file() {
            Some(file) if Self::of_file(&file) == origin => Ok(origin),
            _ => Err(NoOrigin::Other(origin.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_of_any_name_is_one_line_and_comes_back() {
        let told = |bytes: &[u8]| Origin::of_file(Path::new(OsStr::from_bytes(bytes))).to_string();
        assert_eq!(told(b"/a/./b/../c.pdf"), "/a/c.pdf");
        assert_eq!(told(b"/a\nb/100%.txt"), "/a%0Ab/100%25.txt");
        assert_eq!(told(b"/\xff\xfe/\xc3\xa9"), "/%FF%FE/\u{e9}");
        assert_eq!(told(b"/a%0Ab"), "/a%250Ab");
        assert_eq!(told(b"/../.."), "/");
        for other in ["", "a/b", "/a/../b", "/a\nb", "/a%0ab", "http://", "ftp://a/b", "/a%41"] {
            assert!(Origin::try_from(other.to_owned()).is_err(), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_leads_back_to_the_file(names in proptest::collection::vec("[^/\0]{1,12}", 0..5), bytes in any::<Vec<u8>>()) {
            let bytes: Vec<u8> = bytes.into_iter().filter(|byte| !matches!(byte, 0 | b'/')).collect();
            let path = names.iter().fold(PathBuf::from("/"), |path, name| path.join(name)).join(OsStr::from_bytes(&bytes));
            let origin = Origin::of_file(&path);
            prop_assert_eq!(Origin::of_file(&origin.file().unwrap()), origin.clone());
            prop_assert!(!origin.as_str().contains(char::is_control));
            prop_assert_eq!(Origin::try_from(origin.to_string()), Ok(origin));
        }
    }

    #[test]
    fn a_document_is_called_by_the_last_part_without_its_suffix() {
        let stem = |text: &str| Origin::try_from(text.to_owned()).unwrap().stem();
        assert_eq!(stem("/papers/tides.v2.pdf"), "tides.v2");
        assert_eq!(stem("/papers/.hidden"), ".hidden");
        assert_eq!(stem("https://example.org/a/The%20tides.html?x=1#top"), "The tides");
        assert_eq!(stem("https://example.org/guide/"), "guide");
        assert_eq!(stem("https://example.org"), "example.org");
        assert_eq!(stem("HTTPS://example.org/"), "example.org");
    }
}
