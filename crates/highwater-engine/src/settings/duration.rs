//! [`DurationText`]: a length of time as people write it. Owns the grammar and the longest one.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::fmt::friendly::{SpanParser, SpanPrinter};
use jiff::{Span, SpanRelativeTo};

use super::text::{TextValue, ValueError, serialize_as_text, text_value};

/// Longest duration a setting takes, in days: ten years.
pub const DURATION_DAYS_MAX: u64 = 3_653;

const DAY_SECS: u64 = 86_400;

/// A duration such as `30s`, `45 min` or `3 days`; a day has 24 hours, months and years have no length and are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DurationText(Duration);

impl DurationText {
    /// A duration of whole seconds.
    #[must_use]
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// A duration of whole milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// A duration of whole days of 24 hours.
    #[must_use]
    pub const fn days(days: u64) -> Self {
        Self::secs(days * DAY_SECS)
    }

    /// The duration itself.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<DurationText> for Duration {
    fn from(text: DurationText) -> Self {
        text.0
    }
}

impl TextValue for DurationText {
    const EXPECTED: &'static str = "a duration with a unit, such as \"30s\", \"5m\", \"45 min\" or \"3 days\" (no months, no years; at most 10 years)";
}

impl FromStr for DurationText {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let refuse = || Self::refuse(text);
        let span: Span = SpanParser::new().parse_span(text.trim()).map_err(|_| refuse())?;
        if span.get_years() != 0 || span.get_months() != 0 {
            return Err(refuse());
        }
        let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refuse())?;
        let duration = Duration::try_from(signed).map_err(|_| refuse())?;
        if duration > Self::days(DURATION_DAYS_MAX).get() { Err(refuse()) } else { Ok(Self(duration)) }
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.as_secs() / DAY_SECS;
        let rest = self.0 - Duration::from_secs(days * DAY_SECS);
        match days {
            0 => {}
            1 => f.write_str("1 day")?,
            _ => write!(f, "{days} days")?,
        }
        match (days, rest.is_zero()) {
            (0, _) => f.write_str(&SpanPrinter::new().unsigned_duration_to_string(&rest)),
            (_, true) => Ok(()),
            (_, false) => write!(f, " {}", SpanPrinter::new().unsigned_duration_to_string(&rest)),
        }
    }
}

serialize_as_text!(DurationText);
text_value!(DurationText, title: "duration", schema: {
    "type": "string",
    // The usual labels; the parser takes a few spellings more.
    "pattern": r"^\s*(\d+([.,]\d+)?\s*(w(ee)?ks?|w|d(ays?)?|h((ou)?rs?)?|m(in(ute)?s?)?|s(ec(ond)?s?)?|m(illi)?s(ec(ond)?s?)?|millis?|[uµn]s)[,\s]*)+$|\$\{",
    "examples": ["30s", "5m", "45 min", "3 days"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, secs) in
            [("30s", 30), ("5m", 300), ("45 min", 2_700), ("3 days", 259_200), ("0s", 0), ("1h 30m", 5_400)]
        {
            assert_eq!(text.parse(), Ok(DurationText::secs(secs)), "{text}");
        }
        assert_eq!("250ms".parse(), Ok(DurationText::millis(250)));
        assert_eq!("2 weeks".parse(), Ok(DurationText::days(14)));
    }

    #[test]
    fn durations_without_a_fixed_length_are_refused() {
        for text in ["", "30", "1 month", "2 years", "-5s", "5s ago", "soon", "5M", "4000 days", "PT30S"] {
            assert!(text.parse::<DurationText>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_reads_back_as_it_displays() {
        for (duration, text) in [
            (DurationText::secs(0), "0s"),
            (DurationText::millis(100), "100ms"),
            (DurationText::secs(300), "5m"),
            (DurationText::days(30), "30 days"),
            (DurationText::secs(90_061), "1 day 1h 1m 1s"),
        ] {
            assert_eq!(duration.to_string(), text);
            assert_eq!(text.parse(), Ok(duration));
        }
    }
}
