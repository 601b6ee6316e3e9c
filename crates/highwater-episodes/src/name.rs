//! Who recorded an episode and what it is called. Owns what such a name may look like: it becomes a directory and a file of the
//! receiver, and a part of an address.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Longest name of a host or an episode, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// What a name looks like, as a regular expression.
pub const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$";
/// What a name looks like, in words.
const EXPECTED: &str = "1 to 128 of A-Z a-z 0-9 . _ -, the first a letter or a digit";
/// What an episode is called where there are several hosts, in words.
const EXPECTED_KEY: &str = "HOST/ID, such as lab-1/ep-1";
/// Most of a wrong name that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, found {found}")]
pub struct NameError {
    /// What was to be named: `host` or `episode`.
    pub what: &'static str,
    /// What its name looks like, in words.
    pub expected: &'static str,
    /// What was given, quoted and shortened.
    pub found: String,
}

/// Whether a text is a name of a host or an episode.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain) && text.as_bytes()[0].is_ascii_alphanumeric()
}

fn checked(what: &'static str, text: &str) -> Result<(), NameError> {
    if is_name(text) { Ok(()) } else { Err(NameError { what, expected: EXPECTED, found: shown(text) }) }
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("{shown:?}")
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks the name.
            ///
            /// # Errors
            /// When it is empty, too long, or holds what may not be in it.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                checked($what, text.as_ref()).map(|()| Self(text.as_ref().into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": NAME_PATTERN })
            }
        }
    };
}

name!(
    /// The host that recorded an episode; decides where its uploads may be written.
    HostId,
    "host"
);
name!(
    /// An episode of one host.
    EpisodeId,
    "episode"
);

/// An episode, everywhere: the same id of two hosts is two episodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpisodeKey {
    /// Who recorded it.
    pub host: HostId,
    /// Which of that host's it is.
    pub episode: EpisodeId,
}

impl EpisodeKey {
    /// Checks both names.
    ///
    /// # Errors
    /// When one of them cannot be a name.
    pub fn new(host: impl AsRef<str>, episode: impl AsRef<str>) -> Result<Self, NameError> {
        Ok(Self { host: HostId::new(host)?, episode: EpisodeId::new(episode)? })
    }
}

impl fmt::Display for EpisodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.episode)
    }
}

impl FromStr for EpisodeKey {
    type Err = NameError;

    /// Reads `HOST/EPISODE`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (host, episode) = text.split_once('/').ok_or_else(|| NameError {
            what: "episode",
            expected: EXPECTED_KEY,
            found: shown(text),
        })?;
        Self::new(host, episode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_component_of_a_path() {
        for good in ["a", "0", "lab-3.local", "20260811T101500_run-2", &"x".repeat(128)] {
            assert_eq!(HostId::new(good).unwrap().as_str(), good);
        }
        for bad in
            ["", ".", "..", ".hidden", "-rf", "_x", "a/b", "a\\b", "a b", "a\0", "ä", "a\n", "%2e%2e", &"x".repeat(129)]
        {
            assert!(EpisodeId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_names_host_and_episode() {
        let key: EpisodeKey = "lab-1/ep.7".parse().unwrap();
        assert_eq!((key.to_string().as_str(), key.host.as_str()), ("lab-1/ep.7", "lab-1"));
        for bad in ["lab-1", "lab-1/", "/ep", "lab-1/a/b", "../ep"] {
            assert!(bad.parse::<EpisodeKey>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_found_and_what_a_name_is() {
        let error = HostId::new("../".repeat(40)).unwrap_err().to_string();
        assert!(error.starts_with("host: expected 1 to 128 of") && error.ends_with("…\""), "{error}");
    }
}
