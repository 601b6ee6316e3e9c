//! `Upload-Metadata`: what an upload says of itself. Owns how it is written and which of its keys mean what our headers mean.
//!
//! # Source
//! tus 1.0.0, Creation: comma-separated pairs of a key and its value in base64, where a value may be absent.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::receive::{CONTENT_HEADER, JUDGE_HEADER, RECORDED_HEADER};

/// Longest metadata, in bytes.
pub const METADATA_BYTES_MAX: usize = 4 * 1024;
/// Most keys of it.
pub const METADATA_KEYS_MAX: usize = 32;

/// What an upload says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<String, String>);

/// A text that is no metadata of an upload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It is longer than anyone's.
    #[error("it is longer than {METADATA_BYTES_MAX} bytes, or has more than {METADATA_KEYS_MAX} keys")]
    TooLong,
    /// A key is missing, or holds what may not be in one.
    #[error(
        "expected keys of visible ASCII, each with its value in base64 behind one space; pair {0} is something else"
    )]
    Pair(usize),
    /// The same key twice.
    #[error("the key of pair {0} was there before")]
    Twice(usize),
    /// A header says something else.
    #[error("its `{0}` is not what the header {1} says")]
    Differs(&'static str, String),
    /// A value that cannot be a header's.
    #[error("its `{0}` holds what may not be in it")]
    Value(&'static str),
}

impl Metadata {
    /// Reads the value of the header. Values that are no text are passed over: none of ours is.
    ///
    /// # Errors
    /// When it is too long, or not what it should be.
    pub fn read(text: &str) -> Result<Self, MetadataError> {
        if text.len() > METADATA_BYTES_MAX {
            return Err(MetadataError::TooLong);
        }
        let mut found = BTreeMap::new();
        if text.trim().is_empty() {
            return Ok(Self(found));
        }
        for (at, pair) in text.split(',').enumerate() {
            if at == METADATA_KEYS_MAX {
                return Err(MetadataError::TooLong);
            }
            let pair = pair.trim_matches(' ');
            let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
            if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(MetadataError::Pair(at + 1));
            }
            let value = BASE64_STANDARD.decode(value).map_err(|_| MetadataError::Pair(at + 1))?;
            let value = String::from_utf8(value).unwrap_or_default();
            if found.insert(key.to_owned(), value).is_some() {
                return Err(MetadataError::Twice(at + 1));
            }
        }
        Ok(Self(found))
    }

    /// The value of a key, where it is there and says something.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The headers with what only the metadata says: for clients that cannot set headers.
    ///
    /// # Errors
    /// When both say it, and not the same.
    pub(super) fn over(
        &self,
        mut headers: HeaderMap,
        commit_header: &str,
        digest_header: &str,
    ) -> Result<HeaderMap, MetadataError> {
        for (key, header) in [
            ("sha256", digest_header),
            ("content-sha256", CONTENT_HEADER),
            ("commit", commit_header),
            ("judge", JUDGE_HEADER),
            ("recorded-commit", RECORDED_HEADER),
        ] {
            let Some(value) = self.get(key) else { continue };
            match headers.get(header) {
                Some(said) if said.as_bytes() == value.as_bytes() => {}
                Some(_) => return Err(MetadataError::Differs(key, header.to_owned())),
                None => {
                    let name = HeaderName::try_from(header).expect("invariant: it is the name of a header");
                    headers.insert(name, HeaderValue::from_str(value).map_err(|_| MetadataError::Value(key))?);
                }
            }
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> String {
        let pair = |(key, value): &(&str, &str)| format!("{key} {}", BASE64_STANDARD.encode(value));
        pairs.iter().map(pair).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn the_example_of_the_standard_is_read() {
        let read = Metadata::read("filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential").unwrap();
        assert_eq!(read.get("filename"), Some("world_domination_plan.pdf"));
        assert_eq!((read.get("is_confidential"), read.get("host")), (None, None));
        assert_eq!(Metadata::read(""), Ok(Metadata::default()));
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        use MetadataError::{Pair, TooLong, Twice};
        for (bad, error) in [
            (",", Pair(1)),
            ("host ****", Pair(1)),
            ("host bGFi==", Pair(1)),
            ("host bGFi extra", Pair(1)),
            ("host bGFi,", Pair(2)),
            ("höst bGFi", Pair(1)),
            ("a\tb bGFi", Pair(1)),
            ("host bGFi,host bGFi", Twice(2)),
            ("host bGFi,host", Twice(2)),
            (&"a".repeat(METADATA_BYTES_MAX + 1), TooLong),
            (&(0..=METADATA_KEYS_MAX).map(|n| format!("k{n}")).collect::<Vec<_>>().join(","), TooLong),
        ] {
            assert_eq!(Metadata::read(bad), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn what_only_the_metadata_says_counts_as_a_header_and_both_agree() {
        let commit = "a".repeat(40);
        let read = Metadata::read(&of(&[("commit", &commit), ("judge", "ships"), ("host", "lab")])).unwrap();
        let headers = read.over(HeaderMap::new(), "x-code-commit", "x-sha256").unwrap();
        assert_eq!(headers["x-code-commit"], commit);
        assert_eq!((headers.len(), &headers[JUDGE_HEADER]), (2, &HeaderValue::from_static("ships")));
        assert_eq!(read.over(headers.clone(), "x-code-commit", "x-sha256"), Ok(headers));
        let other = HeaderMap::from_iter([(HeaderName::from_static("x-code-commit"), HeaderValue::from_static("b"))]);
        let differs = MetadataError::Differs("commit", "x-code-commit".to_owned());
        assert_eq!(read.over(other, "x-code-commit", "x-sha256"), Err(differs));
        let torn = Metadata::read(&of(&[("sha256", "a\nb")])).unwrap();
        assert_eq!(torn.over(HeaderMap::new(), "x", "x-sha256"), Err(MetadataError::Value("sha256")));
    }
}
