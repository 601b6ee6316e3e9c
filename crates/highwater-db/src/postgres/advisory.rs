//! Advisory locks: the key of a lock, and what it is in SQL. Owns the rule by which a name becomes a key.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// Longest name of a lock.
pub const NAME_BYTES_MAX: usize = 128;

/// The key of an advisory lock: a number that other programs take too, or a name.
///
/// A name stands for the first eight bytes of its SHA-256, as a big-endian signed number; `highwater config show` prints it, so
/// that SQL can take the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AdvisoryKey {
    number: i64,
    name: Option<String>,
}

/// A key that is neither a number nor a name.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{found}` is no key of an advisory lock: expected a whole number or a name of letters, digits, `-`, `_`, `.` and `:`"
)]
pub struct KeyError {
    found: String,
}

impl AdvisoryKey {
    /// The number that PostgreSQL is asked for.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.number
    }
}

impl FromStr for AdvisoryKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if let Ok(number) = text.parse() {
            return Ok(Self { number, name: None });
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        if !begins || text.len() > NAME_BYTES_MAX || !text.bytes().all(is_name) {
            return Err(KeyError { found: text.to_owned() });
        }
        let digest = Sha256::digest(text.as_bytes());
        let first: [u8; 8] = digest[..8].try_into().expect("invariant: a SHA-256 has 32 bytes");
        Ok(Self { number: i64::from_be_bytes(first), name: Some(text.to_owned()) })
    }
}

impl fmt::Display for AdvisoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_itself_and_a_name_is_hashed_by_a_rule_that_stays() {
        let key = |text: &str| text.parse::<AdvisoryKey>();
        assert_eq!(key("4246").unwrap().number(), 4246);
        assert_eq!(key("-1").unwrap().number(), -1);
        // SHA-256 of "usage", first eight bytes.
        let digest = Sha256::digest(b"usage");
        let expected = i64::from_be_bytes(digest[..8].try_into().unwrap());
        assert_eq!((key("usage").unwrap().number(), key("usage").unwrap().to_string()), (expected, "usage".to_owned()));
        for bad in ["", "4246x", "a b", "ü", "99999999999999999999"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
