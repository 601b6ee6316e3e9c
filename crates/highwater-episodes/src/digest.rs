//! SHA-256 digests: of bytes as they are sent, and of what an episode holds. Owns how one is written in a row, in the digest
//! fields of a request, and in the header of older shippers.
//!
//! # Source
//! RFC 9530 (Digest Fields), section 2 and 3; RFC 9651 (Structured Fields), section 3.2.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Length of a digest, in bytes.
pub const DIGEST_BYTES: usize = 32;
/// Longest digest field that is read, in bytes: room for every algorithm that is registered.
pub const FIELD_BYTES_MAX: usize = 2048;

/// The SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Digest([u8; DIGEST_BYTES]);

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not 64 hexadecimal digits.
    #[error("expected the 64 hexadecimal digits of a SHA-256, found {0} characters that are not")]
    Hex(usize),
    /// No dictionary of byte sequences.
    #[error("expected a field like sha-256=:BASE64:, found {0}")]
    Field(&'static str),
    /// Two values that differ.
    #[error("it gives two SHA-256 digests that differ")]
    TwoValues,
}

impl Sha256Digest {
    /// Of a finished hash.
    #[must_use]
    pub fn new(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }

    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The digest itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }

    /// As the value of `Content-Digest` or `Repr-Digest`.
    #[must_use]
    pub fn to_field(&self) -> String {
        format!("sha-256=:{}:", BASE64_STANDARD.encode(self.0))
    }

    /// Reads `Content-Digest` or `Repr-Digest`: the SHA-256 it gives, `None` where it gives others alone, by which nothing is verified.
    ///
    /// # Errors
    /// When it is no dictionary of byte sequences, or its SHA-256 is not 32 bytes.
    pub fn from_field(field: &str) -> Result<Option<Self>, DigestError> {
        if field.len() > FIELD_BYTES_MAX {
            return Err(DigestError::Field("one too long"));
        }
        let mut found = None;
        for member in field.split(',') {
            let (algorithm, value) =
                member.trim_matches([' ', '\t']).split_once('=').ok_or(DigestError::Field("no ="))?;
            let known = !algorithm.is_empty()
                && algorithm.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(&b));
            if !known {
                return Err(DigestError::Field("an algorithm that is no key"));
            }
            // Parameters of a member are ignored, as their field defines none.
            let value = value.strip_prefix(':').ok_or(DigestError::Field("no byte sequence"))?;
            let (value, parameters) = value.split_once(':').ok_or(DigestError::Field("a byte sequence without end"))?;
            if !parameters.is_empty() && !parameters.starts_with(';') {
                return Err(DigestError::Field("something behind a byte sequence"));
            }
            let bytes = BASE64_STANDARD.decode(value).map_err(|_| DigestError::Field("what is not base64"))?;
            if algorithm == "sha-256" {
                let bytes = bytes.try_into().map_err(|_| DigestError::Field("a SHA-256 that is not 32 bytes"))?;
                // A dictionary's last member counts; one that differs is no mistake to guess about.
                if found.replace(Self(bytes)).is_some_and(|first| first.0 != bytes) {
                    return Err(DigestError::TwoValues);
                }
            }
        }
        Ok(found)
    }
}

impl JsonSchema for Sha256Digest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sha256Digest".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "SHA-256", "pattern": "^[0-9A-Fa-f]{64}$" })
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256Digest {
    type Err = DigestError;

    /// Reads 64 hexadecimal digits, of either case.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; DIGEST_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError::Hex(text.len()))?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 9530, appendix B: the representation `{"hello": "world"}` with a newline.
    const EXAMPLE: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";

    #[test]
    fn the_example_of_the_standard_is_read_and_written() {
        let digest = Sha256Digest::of(b"{\"hello\": \"world\"}\n");
        assert_eq!(digest.to_field(), EXAMPLE);
        assert_eq!(Sha256Digest::from_field(EXAMPLE), Ok(Some(digest)));
        assert_eq!(digest.to_string().to_uppercase().parse(), Ok(digest));
    }

    #[test]
    fn other_algorithms_beside_it_are_passed_over() {
        let both = format!("sha-512=:AAAA:, {EXAMPLE};x=1");
        assert_eq!(Sha256Digest::from_field(&both), Sha256Digest::from_field(EXAMPLE));
        assert_eq!(Sha256Digest::from_field("sha-512=:AAAA:"), Ok(None));
    }

    #[test]
    fn what_is_no_digest_field_is_refused() {
        let zero = Sha256Digest::new([0; 32]).to_field();
        assert_eq!(Sha256Digest::from_field(&format!("{EXAMPLE},{zero}")), Err(DigestError::TwoValues));
        for bad in
            ["", "sha-256", "sha-256=abc", "sha-256=:AAAA:", "sha-256=:****:", "SHA-256=:AAAA:", "sha-256=:AAAA", ","]
        {
            assert!(Sha256Digest::from_field(bad).is_err(), "{bad:?}");
        }
        assert!(Sha256Digest::from_field(&"a".repeat(FIELD_BYTES_MAX + 1)).is_err());
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(65)] {
            assert!(bad.parse::<Sha256Digest>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_digest_comes_back_from_each_of_its_forms(bytes: [u8; 32]) {
            let digest = Sha256Digest::new(bytes);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
            prop_assert_eq!(Sha256Digest::from_field(&digest.to_field()), Ok(Some(digest)));
        }

        #[test]
        fn no_field_makes_it_panic(field in "\\PC*") {
            let _ = Sha256Digest::from_field(&field);
        }
    }
}
