//! [`SliceLength`]: how long the slices of a seed are. Owns where slices begin and end.

use std::time::Duration;

use highwater_engine::settings::DurationText;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// Shortest slice, in seconds.
const SLICE_SECS_MIN: u64 = 3600;

/// How long the slices of a seed are: calendar months in UTC, or as long as this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SliceLength {
    /// A calendar month.
    #[default]
    Month,
    /// So long, counted from the epoch.
    Span(DurationText),
}

impl SliceLength {
    /// The beginning of the slice that a time is in.
    #[must_use]
    pub fn begin(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Month => {
                let day = at.to_zoned(TimeZone::UTC).first_of_month();
                let begin = day.and_then(|day| day.start_of_day()).map(|day| day.timestamp());
                begin.unwrap_or(Timestamp::MIN)
            }
            Self::Span(length) => {
                let secs = secs(length.get());
                Timestamp::from_second(at.as_second().div_euclid(secs) * secs).unwrap_or(Timestamp::MIN)
            }
        }
    }

    /// The end of the slice that begins then.
    #[must_use]
    pub fn end(self, begin: Timestamp) -> Timestamp {
        match self {
            Self::Month => {
                let month: Span = 1.month();
                let next = begin.to_zoned(TimeZone::UTC).checked_add(month);
                next.map_or(Timestamp::MAX, |next| next.timestamp())
            }
            Self::Span(length) => {
                begin.checked_add(SignedDuration::from_secs(secs(length.get()))).unwrap_or(Timestamp::MAX)
            }
        }
    }
}

fn secs(length: Duration) -> i64 {
    i64::try_from(length.as_secs()).unwrap_or(i64::MAX).max(1)
}

impl TryFrom<String> for SliceLength {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "month" {
            return Ok(Self::Month);
        }
        match text.parse::<DurationText>() {
            Ok(length) if length.get() >= Duration::from_secs(SLICE_SECS_MIN) && length.get().subsec_nanos() == 0 => {
                Ok(Self::Span(length))
            }
            _ => Err(format!(
                "`{text}` is no length of a slice: expected `month`, or a duration of at least an hour, such as \"7 days\""
            )),
        }
    }
}

impl From<SliceLength> for String {
    fn from(slice: SliceLength) -> Self {
        match slice {
            SliceLength::Month => "month".to_owned(),
            SliceLength::Span(length) => length.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn slices_meet_whatever_their_length() {
        for text in ["month", "7 days", "1 hour", "36 hours"] {
            let slice = SliceLength::try_from(text.to_owned()).unwrap();
            let mut begin = slice.begin(time("2024-01-31T23:59:59Z"));
            for _ in 0..40 {
                let end = slice.end(begin);
                assert!(end > begin, "{text}");
                assert_eq!(slice.begin(end), end, "{text}");
                begin = end;
            }
        }
    }

    #[test]
    fn a_month_is_a_calendar_month() {
        let begin = SliceLength::Month.begin(time("2024-02-29T12:00:00Z"));
        assert_eq!(
            (begin, SliceLength::Month.end(begin)),
            (time("2024-02-01T00:00:00Z"), time("2024-03-01T00:00:00Z"))
        );
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in ["", "year", "59 minutes", "0s", "-1 day", "1.5 s"] {
            assert!(SliceLength::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
