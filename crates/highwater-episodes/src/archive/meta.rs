//! What an episode's `meta.json` says of the code that recorded it, and of what it is called. Owns the fields that are read,
//! `code_version.commit`, `host_id` and `episode_id`; all else in the file is its recorder's own business and is passed over unread.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::index::{Commit, CommitError, Row};

/// The file's name within the episode.
pub const META_NAME: &str = "meta.json";
/// Longest `meta.json` that is read, in bytes.
pub const META_BYTES_MAX: usize = 1 << 20;
/// Most of what stands in the place of a commit that is told, in characters.
const FOUND_CHARS_MAX: usize = 80;

/// A `meta.json` that does not say which commit recorded the episode, though it should.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// Longer than one can be.
    #[error("{META_NAME} is longer than {META_BYTES_MAX} bytes")]
    TooLong,
    /// No JSON object.
    #[error("{META_NAME} is no JSON object")]
    Json(#[source] serde_json::Error),
    /// Something there that is no commit.
    #[error("code_version.commit of {META_NAME} is no commit")]
    Commit {
        /// What stands there, cut off where it is long.
        found: String,
        /// What is wrong with it.
        source: CommitError,
    },
    /// There, but no text.
    #[error("code_version.commit of {META_NAME}: expected a text of 40 or 64 hexadecimal digits")]
    NoText,
}

/// The commit of the code that recorded the episode: `None` where the file does not speak of one, or says `null`.
///
/// # Errors
/// When it is no JSON object, or what stands there is no commit.
pub fn recorded_commit(meta: &[u8]) -> Result<Option<Commit>, MetaError> {
    if meta.len() > META_BYTES_MAX {
        return Err(MetaError::TooLong);
    }
    let meta = meta.strip_prefix(b"\xef\xbb\xbf").unwrap_or(meta);
    let Some(version) = field(meta, "code_version").map_err(MetaError::Json)? else { return Ok(None) };
    // A recorder that tells in another way which code it ran says nothing of a commit.
    let Ok(Some(commit)) = field(version.get().as_bytes(), "commit") else { return Ok(None) };
    match serde_json::from_str::<Option<Cow<'_, str>>>(commit.get()) {
        Ok(None) => Ok(None),
        Ok(Some(text)) => text.parse().map(Some).map_err(|source| {
            let found = text.chars().take(FOUND_CHARS_MAX).collect();
            MetaError::Commit { found, source }
        }),
        Err(_) => Err(MetaError::NoText),
    }
}

/// What the file says that the episode's row says otherwise. What only one of the two speaks of contradicts nothing.
#[must_use]
pub fn contradiction(meta: &[u8], row: &Row) -> Option<String> {
    let differ = |name: &str, found: &str, said: &str| {
        let found: String = found.chars().take(FOUND_CHARS_MAX).collect();
        format!("{name} of its {META_NAME} is {found:?}; the row says {said:?}")
    };
    let commit = recorded_commit(meta).ok().flatten();
    if let (Some(found), Some(said)) = (&commit, &row.commit)
        && found != said
    {
        return Some(differ("code_version.commit", &found.to_string(), &said.to_string()));
    }
    let meta = meta.strip_prefix(b"\xef\xbb\xbf").unwrap_or(meta);
    [("host_id", row.host_id.as_str()), ("episode_id", row.episode_id.as_str())].into_iter().find_map(|(name, said)| {
        let found = field(meta, name).ok()??;
        let found: Cow<'_, str> = serde_json::from_str(found.get()).ok()?;
        (found != said).then(|| differ(name, &found, said))
    })
}

/// The field of that name of a JSON object, unread; of several the last, as most readers have it.
fn field<'j>(object: &'j [u8], name: &str) -> Result<Option<&'j RawValue>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(object);
    let found = reader.deserialize_map(FieldOf(name))?;
    reader.end()?;
    Ok(found)
}

struct FieldOf<'n>(&'n str);

impl<'j> Visitor<'j> for FieldOf<'_> {
    type Value = Option<&'j RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'j>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789ABCDEF01234567";

    fn commit(meta: &str) -> Result<Option<String>, String> {
        recorded_commit(meta.as_bytes()).map(|found| found.map(Into::into)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_commit_is_found_among_whatever_else_is_there() {
        let lower = Some(COMMIT.to_ascii_lowercase());
        for meta in [
            format!(r#"{{"code_version": {{"commit": "{COMMIT}"}}}}"#),
            format!(
                "\u{feff}{{\"a\":[1e999,{{}}],\"code_version\":{{\"dirty\":true,\"commit\":\"{COMMIT}\"}},\"z\":null}}\n"
            ),
            format!(r#"{{"code_version": {{"commit": "no"}}, "code_version": {{"commit": 7, "commit": "{COMMIT}"}}}}"#),
            format!(r#"{{"code\u005fversion": {{"commit": "\u0030{}"}}}}"#, &COMMIT[1..]),
        ] {
            assert_eq!(commit(&meta), Ok(lower.clone()), "{meta}");
        }
    }

    #[test]
    fn a_meta_json_that_does_not_speak_of_a_commit_is_no_fault() {
        for meta in [
            "{}",
            r#"{"code_version": null}"#,
            r#"{"code_version": "v1.2"}"#,
            r#"{"code_version": {"commit": null}}"#,
            r#"{"commit": "0123", "x": {"code_version": {"commit": "0123"}}}"#,
        ] {
            assert_eq!(commit(meta), Ok(None), "{meta}");
        }
    }

    #[test]
    fn what_file_and_row_both_speak_of_is_the_same() {
        let line = format!(
            r#"{{"commit":"{}","episode_id":"ep","host_id":"lab","received_at_wall":"2026-11-20T10:00:00Z","schema_version":1,"sha256":"{}","size_bytes":1}}"#,
            COMMIT.to_ascii_lowercase(),
            "0".repeat(64)
        );
        let row = Row::from_line(line.as_bytes()).unwrap();
        let told = |meta: &str| contradiction(meta.as_bytes(), &row);
        for meta in ["", "{}", r#"{"host":"x","episode_id":7}"#, r#"{"host_id":"lab","episode_id":"ep"}"#] {
            assert_eq!(told(meta), None, "{meta}");
        }
        assert_eq!(told(&format!(r#"{{"code_version":{{"commit":"{COMMIT}"}}}}"#)), None);
        assert_eq!(
            told(r#"{"host_id":"other"}"#).unwrap(),
            r#"host_id of its meta.json is "other"; the row says "lab""#
        );
        assert!(told(r#"{"episode_id":"ep-2"}"#).unwrap().starts_with("episode_id of its"));
        let code = format!(r#"{{"code_version":{{"commit":"{}"}}}}"#, "f".repeat(40));
        assert!(told(&code).unwrap().starts_with("code_version.commit of its"));
    }

    #[test]
    fn what_is_no_commit_is_not_passed_over() {
        let said = |meta: &str| commit(meta).unwrap_err();
        assert_eq!(said(r#"{"code_version": {"commit": "HEAD"}}"#), "code_version.commit of meta.json is no commit");
        assert!(said(r#"{"code_version": {"commit": 7}}"#).contains("expected a text"));
        for meta in ["", "[]", "{", "{} {}", "{\"a\": }", "\0"] {
            assert_eq!(said(meta), "meta.json is no JSON object", "{meta:?}");
        }
        assert!(said(&"[".repeat(100_000)).contains("no JSON object"));
        assert!(said(&format!("{{\"a\":{}", "[".repeat(100_000))).contains("no JSON object"));
        assert!(said(&" ".repeat(META_BYTES_MAX + 1)).contains("is longer than 1048576 bytes"));
    }
}
