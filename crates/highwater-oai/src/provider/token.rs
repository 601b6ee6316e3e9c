//! Resumption tokens: all that a list needs to go on, signed. Owns how they are written and read; a provider keeps none.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use highwater_engine::clock::later;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use super::repository::Position;
use crate::protocol::{Datestamp, Selection, Verb};

/// How much of the signature is kept.
const SIGNATURE_BYTES: usize = 16;
/// The shape of what is signed; another shape is another number.
const SHAPE: &str = "1";
/// What lies between fields: none of them may have it, see `arguments`.
const BETWEEN: char = '/';

/// What tokens are signed with. By default a key that everyone knows, so that a damaged token is refused and tokens outlive the
/// process; a key of one's own refuses forged ones too. What a token says could be asked without one, so little hangs on it.
#[derive(Clone)]
pub struct TokenKey(Vec<u8>);

impl TokenKey {
    /// This key.
    #[must_use]
    pub fn new(key: impl Into<Vec<u8>>) -> Self {
        Self(key.into())
    }

    fn sign(&self, text: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.0).expect("invariant: a key of any length will do").chain_update(text)
    }
}

impl Default for TokenKey {
    fn default() -> Self {
        Self::new(*b"highwater")
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Which list.
    pub(super) verb: Verb,
    /// Of what, as it was asked.
    pub(super) select: Selection,
    /// The last record that was given.
    pub(super) after: Position,
    /// How long the list was when it was first asked.
    pub(super) complete_list_size: u64,
    /// How many records were given.
    pub(super) cursor: u64,
    /// When it was issued.
    pub(super) issued: Timestamp,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the resumptionToken is not one of this repository's")]
    Unknown,
    #[error("the resumptionToken has expired")]
    Expired,
    #[error("the resumptionToken is another list's")]
    AnotherList,
}

impl Token {
    /// As it is sent: safe in a URL.
    pub(super) fn seal(&self, key: &TokenKey) -> String {
        let Selection { metadata_prefix, set, from, until } = &self.select;
        let at = |stamp: &Option<Datestamp>| stamp.map(|stamp| stamp.to_string()).unwrap_or_default();
        let text = [
            SHAPE.to_owned(),
            self.verb.as_str().to_owned(),
            metadata_prefix.clone(),
            set.clone().unwrap_or_default(),
            at(from),
            at(until),
            self.after.0.to_string(),
            self.after.1.to_string(),
            self.complete_list_size.to_string(),
            self.cursor.to_string(),
            self.issued.as_second().to_string(),
        ]
        .join(&BETWEEN.to_string());
        let mut sealed = key.sign(text.as_bytes()).finalize().into_bytes()[..SIGNATURE_BYTES].to_vec();
        sealed.extend_from_slice(text.as_bytes());
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Reads what [`seal`](Self::seal) wrote, for this list and not too late.
    pub(super) fn open(
        sealed: &str,
        key: &TokenKey,
        verb: Verb,
        now: Timestamp,
        life: Option<Duration>,
    ) -> Result<Self, TokenError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| TokenError::Unknown)?;
        let (signature, text) = bytes.split_at_checked(SIGNATURE_BYTES).ok_or(TokenError::Unknown)?;
        key.sign(text).verify_truncated_left(signature).map_err(|_| TokenError::Unknown)?;
        // Signed, so only another version of this program can have written anything else.
        let token = str::from_utf8(text).ok().and_then(Self::read).ok_or(TokenError::Unknown)?;
        if token.verb != verb {
            return Err(TokenError::AnotherList);
        }
        if token.expires(life).is_some_and(|end| now >= end) {
            return Err(TokenError::Expired);
        }
        Ok(token)
    }

    /// From when it is no longer good.
    pub(super) fn expires(&self, life: Option<Duration>) -> Option<Timestamp> {
        Some(later(self.issued, life?))
    }

    fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(BETWEEN).collect();
        let [SHAPE, verb, prefix, set, from, until, after, row, size, cursor, issued] = fields[..] else { return None };
        let stamp = |text: &str| {
            if text.is_empty() { Some(None) } else { Datestamp::parse(text).ok().map(Some) }
        };
        Some(Self {
            verb: Verb::ALL.into_iter().find(|known| known.as_str() == verb)?,
            select: Selection {
                metadata_prefix: prefix.to_owned(),
                set: (!set.is_empty()).then(|| set.to_owned()),
                from: stamp(from)?,
                until: stamp(until)?,
            },
            after: (Datestamp::parse(after).ok()?, row.parse().ok()?),
            complete_list_size: size.parse().ok()?,
            cursor: cursor.parse().ok()?,
            issued: Timestamp::from_second(issued.parse().ok()?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    fn token() -> Token {
        Token {
            verb: Verb::ListRecords,
            select: Selection {
                metadata_prefix: "oai_dc".to_owned(),
                set: Some("books:law".to_owned()),
                from: Some(Datestamp::parse("2021-02-12").unwrap()),
                until: None,
            },
            after: (Datestamp::parse("2021-02-12T08:44:14Z").unwrap(), -7),
            complete_list_size: 66_038,
            cursor: 100,
            issued: "2026-11-20T00:00:00Z".parse().unwrap(),
        }
    }

    fn open(sealed: &str, at: &str) -> Result<Token, TokenError> {
        let life = Some(Duration::from_secs(60));
        Token::open(sealed, &TokenKey::default(), Verb::ListRecords, at.parse().unwrap(), life)
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_needs_no_escaping() {
        let sealed = token().seal(&TokenKey::default());
        assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{sealed}");
        assert_eq!(open(&sealed, "2026-11-20T00:00:59Z"), Ok(token()));
    }

    #[test]
    fn a_token_with_any_byte_changed_is_refused() {
        let sealed = token().seal(&TokenKey::default());
        for place in 0..sealed.len() {
            let mut damaged = sealed.clone().into_bytes();
            damaged[place] = if damaged[place] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert_eq!(open(&damaged, "2026-11-20T00:00:00Z"), Err(TokenError::Unknown), "{damaged}");
        }
        for damaged in ["", "A", "oai_dc////100", &sealed[..sealed.len() - 1], &format!("{sealed}A")] {
            assert_eq!(open(damaged, "2026-11-20T00:00:00Z"), Err(TokenError::Unknown), "{damaged}");
        }
    }

    #[test]
    fn a_token_signed_with_another_key_is_refused() {
        let forged = token().seal(&TokenKey::new(*b"mine"));
        assert_eq!(open(&forged, "2026-11-20T00:00:00Z"), Err(TokenError::Unknown));
    }

    #[test]
    fn a_token_is_good_until_its_life_ends_and_for_its_own_list() {
        let sealed = token().seal(&TokenKey::default());
        assert_eq!(open(&sealed, "2026-11-20T00:01:00Z"), Err(TokenError::Expired));
        let other = Token::open(&sealed, &TokenKey::default(), Verb::ListIdentifiers, token().issued, None);
        assert_eq!(other, Err(TokenError::AnotherList));
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", TokenKey::new(*b"secret")), "TokenKey(..)");
    }
}
