//! Datestamps: UTC, to the day or to the second. Owns both spellings.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// How fine datestamps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granularity {
    /// `YYYY-MM-DD`.
    Day,
    /// `YYYY-MM-DDThh:mm:ssZ`.
    Second,
}

impl Granularity {
    /// As `Identify` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "YYYY-MM-DD",
            Self::Second => "YYYY-MM-DDThh:mm:ssZ",
        }
    }
}

/// A time as the protocol writes it. Ordered by time, the coarser first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Datestamp {
    at: Timestamp,
    granularity: Granularity,
}

/// Text that is no datestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}, expected `YYYY-MM-DD` or `YYYY-MM-DDThh:mm:ssZ`")]
pub struct DatestampError {
    /// The text.
    pub found: String,
}

impl Datestamp {
    /// The time, cut to the granularity.
    ///
    /// # Panics
    /// Never: cutting a time that exists gives one that exists.
    #[must_use]
    pub fn new(at: Timestamp, granularity: Granularity) -> Self {
        let cut = match granularity {
            Granularity::Second => Timestamp::from_second(at.as_second()).expect("invariant: it was within bounds"),
            Granularity::Day => midnight(at.to_zoned(TimeZone::UTC).date()).unwrap_or(at),
        };
        Self { at: cut, granularity }
    }

    /// Reads either spelling; fractions of a second and offsets, which some repositories write, are taken too.
    ///
    /// # Errors
    /// [`DatestampError`] when it is neither.
    pub fn parse(text: &str) -> Result<Self, DatestampError> {
        let text = text.trim();
        if text.len() == 10
            && let Some(at) = text.parse::<Date>().ok().and_then(midnight)
        {
            return Ok(Self { at, granularity: Granularity::Day });
        }
        match text.parse::<Timestamp>() {
            Ok(at) => Ok(Self::new(at, Granularity::Second)),
            Err(_) => Err(DatestampError { found: text.to_owned() }),
        }
    }

    /// The moment; a day's is its first.
    #[must_use]
    pub fn at(self) -> Timestamp {
        self.at
    }

    /// How fine it is.
    #[must_use]
    pub fn granularity(self) -> Granularity {
        self.granularity
    }
}

/// The first moment of a day; none of the last day that there is, which is over before it ends.
fn midnight(date: Date) -> Option<Timestamp> {
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

impl fmt::Display for Datestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.granularity {
            Granularity::Second => self.at.fmt(f),
            Granularity::Day => self.at.to_zoned(TimeZone::UTC).date().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    #[test]
    fn both_spellings_are_read_and_written_as_they_were() {
        for text in ["2021-02-12", "2021-02-12T08:44:14Z"] {
            assert_eq!(Datestamp::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Datestamp::parse("2021-02-12T08:44:14.123+01:00").unwrap().to_string(), "2021-02-12T07:44:14Z");
    }

    #[test]
    fn what_is_no_datestamp_is_told() {
        for text in ["", "2021-02-30", "yesterday", "2021-2-1", "2021-02-12T25:00:00Z", "9999-12-31"] {
            assert_eq!(Datestamp::parse(text).unwrap_err().found, text);
        }
    }
}
