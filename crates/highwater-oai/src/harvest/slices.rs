//! Slices: the stretches of time that a round is cut into. Owns the cut, and that nothing is outside it: slices meet, and the last
//! one has no end.

use std::time::Duration;

use highwater_engine::job::WorkItem;
use highwater_engine::name::ItemKey;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// A round from further back than so many days is cut into months.
const DAYS_MAX: i64 = 62;
/// Most slices of a round; the last takes what is left.
const SLICES_MAX: usize = 10_000;

/// A stretch of datestamps, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends; open where absent.
    pub until: Option<Timestamp>,
}

const BETWEEN: &str = "..";

impl Slice {
    /// As it is written: `2026-11-20T00:00:00Z..2026-11-20T23:59:59Z`.
    #[must_use]
    pub fn text(&self) -> String {
        let until = self.until.map(|until| until.to_string()).unwrap_or_default();
        format!("{}{BETWEEN}{until}", self.from)
    }

    fn parse(text: &str) -> Option<Self> {
        let (from, until) = text.split_once(BETWEEN)?;
        let until = if until.is_empty() { None } else { Some(until.parse().ok()?) };
        Some(Self { from: from.parse().ok()?, until })
    }
}

impl WorkItem for Slice {
    fn key(&self) -> ItemKey {
        ItemKey::new(self.text()).expect("invariant: two times and two dots can be a key")
    }

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(key: &ItemKey, _: &[u8]) -> Result<Self, String> {
        Self::parse(key.as_str()).ok_or_else(|| format!("found {key}, expected two times and `..` between"))
    }
}

/// The slices of a round from `from` on, about as far as `now`: as long as a person `set` them, else days, or calendar months where
/// the history is long or unknown.
pub(super) fn of_round(from: Timestamp, now: Timestamp, first: bool, set: Option<Duration>) -> Vec<Slice> {
    let from = Timestamp::from_second(from.as_second()).unwrap_or(from);
    let long = now.duration_since(from) > SignedDuration::from_hours(24 * DAYS_MAX);
    let mut slices = Vec::new();
    let mut begin = from;
    while slices.len() + 1 < SLICES_MAX {
        let next = match set {
            Some(length) => begin.checked_add(Duration::from_secs(length.as_secs().max(1))).ok(),
            None if first || long => month_after(from, slices.len() + 1),
            None => day_after(begin),
        };
        // The last has no end: what changes while the round runs is in it.
        let Some(next) = next.filter(|next| *next < now) else { break };
        slices.push(Slice { from: begin, until: Some(next - SignedDuration::from_secs(1)) });
        begin = next;
    }
    slices.push(Slice { from: begin, until: None });
    slices
}

fn day_after(at: Timestamp) -> Option<Timestamp> {
    at.checked_add(SignedDuration::from_hours(24)).ok()
}

/// So many calendar months later, counted from where the round begins, so that the 31st is not lost in February.
fn month_after(from: Timestamp, months: usize) -> Option<Timestamp> {
    let months = Span::new().try_months(i64::try_from(months).ok()?).ok()?;
    Some(from.to_zoned(TimeZone::UTC).checked_add(months).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn texts(from: &str, now: &str, first: bool) -> Vec<String> {
        of_round(at(from), at(now), first, None).iter().map(Slice::text).collect()
    }

    #[test]
    fn a_month_after_the_31st_of_january_is_the_end_of_february_and_march_has_its_31st_again() {
        assert_eq!(
            texts("2026-01-31T00:00:00Z", "2026-04-15T00:00:00Z", true),
            [
                "2026-01-31T00:00:00Z..2026-02-27T23:59:59Z",
                "2026-02-28T00:00:00Z..2026-03-30T23:59:59Z",
                "2026-03-31T00:00:00Z.."
            ]
        );
    }

    #[test]
    fn a_night_is_one_slice_without_an_end_and_a_week_is_days() {
        assert_eq!(texts("2026-11-19T02:00:00Z", "2026-11-20T02:00:00Z", false), ["2026-11-19T02:00:00Z.."]);
        let week = texts("2026-11-13T02:00:00Z", "2026-11-20T12:00:00Z", false);
        assert_eq!((week.len(), week[0].as_str()), (8, "2026-11-13T02:00:00Z..2026-11-14T01:59:59Z"));
        // A clock that stands wrong loses nothing: there is always a slice without an end.
        assert_eq!(texts("2026-11-13T02:00:00Z", "2020-01-01T00:00:00Z", false), ["2026-11-13T02:00:00Z.."]);
    }

    #[test]
    fn slices_are_as_long_as_a_person_set_them() {
        let week = Some(Duration::from_secs(7 * 86_400));
        for first in [false, true] {
            let slices = of_round(at("2026-11-01T02:00:00Z"), at("2026-11-20T02:00:00Z"), first, week);
            let texts: Vec<_> = slices.iter().map(Slice::text).collect();
            assert_eq!(
                texts,
                [
                    "2026-11-01T02:00:00Z..2026-11-08T01:59:59Z",
                    "2026-11-08T02:00:00Z..2026-11-15T01:59:59Z",
                    "2026-11-15T02:00:00Z.."
                ]
            );
        }
    }

    #[test]
    fn nothing_is_between_two_slices_and_each_is_read_back_as_it_was_written() {
        for (from, now, first) in [
            ("1999-12-31T23:59:59Z", "2026-11-20T12:00:00Z", true),
            ("2026-08-01T10:11:12Z", "2026-11-20T12:00:00Z", false),
            ("2026-11-10T10:11:12Z", "2026-11-20T12:00:00Z", false),
        ] {
            let slices = of_round(at(from), at(now), first, None);
            assert_eq!(slices[0].from, at(from));
            for pair in slices.windows(2) {
                assert_eq!(pair[0].until.unwrap() + SignedDuration::from_secs(1), pair[1].from);
            }
            assert_eq!(slices.last().unwrap().until, None);
            for slice in slices {
                assert_eq!(Slice::decode(&slice.key(), &[]), Ok(slice));
            }
        }
    }
}
