//! The buckets that are shown, in a zone. Owns when one begins, that whole cells of the target go into each, and which zones and
//! lengths a grain does not allow.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use super::Refused;
use crate::declare::Grain;

/// Most buckets of a table or a chart.
pub const POINTS_MAX: usize = 1_000;
/// Most buckets of rows that are read page by page: 20 years of hours.
pub const BUCKETS_MAX: usize = 180_000;
/// The days that are shown where nobody says.
pub const LAST_DAYS: u64 = 30;

const HOUR_SECS: i64 = 3600;
/// Where nobody says, a window of so many days is shown by the hour, …
const BY_HOUR_DAYS_MAX: i64 = 2;
/// … one of so many by the day, …
const BY_DAY_DAYS_MAX: i64 = 92;
/// … and one of so many by the week.
const BY_WEEK_DAYS_MAX: i64 = 2 * 366;

/// How long a shown bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// As long as the target's own.
    Grain,
    /// An hour.
    Hour,
    /// A day of the zone: 23 or 25 hours where its clocks change.
    Day,
    /// Seven days from Monday.
    Week,
    /// A month.
    Month,
}

impl Step {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Grain => "grain",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// A beginning or an end, as a person writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The beginning of a day in the zone.
    Day(Date),
    /// A time.
    At(Timestamp),
}

impl When {
    fn time(self, zone: &TimeZone) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Day(day) => beginning(day, zone),
        }
    }
}

/// Which time is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Span {
    /// The beginning; else so long before the end as `last` says.
    pub since: Option<When>,
    /// The end; else now.
    pub until: Option<When>,
    /// So long, where `since` does not say.
    pub last: Option<std::time::Duration>,
}

/// Buckets that meet.
#[derive(Debug, Clone)]
pub struct Buckets {
    zone: TimeZone,
    step: Step,
    grain: Grain,
    /// Their beginnings, and the end of the last.
    edges: Vec<Timestamp>,
    straddle: bool,
}

impl Buckets {
    /// The whole buckets that a span is in. `max` is how many there may be.
    ///
    /// # Errors
    /// The grain does not allow it, there are too many, or the span ends before it begins.
    pub fn of(
        span: &Span,
        step: Option<Step>,
        zone: &TimeZone,
        grain: Grain,
        now: Timestamp,
        max: usize,
    ) -> Result<Self, Refused> {
        let end = span.until.map_or(now, |until| until.time(zone));
        let since = span.since.map(|since| since.time(zone));
        let step = match (step, since) {
            (Some(step), _) => step,
            (None, Some(since)) => fitting(end.duration_since(since), grain),
            (None, None) => fitting(SignedDuration::try_from(span.length()).unwrap_or(SignedDuration::MAX), grain),
        };
        let calendar = Calendar { zone, step, grain, phase: phase(zone, step, grain, since.unwrap_or(end)) };
        if calendar.step_secs_min() < grain.secs() {
            return Err(Refused::Shorter { step, grain });
        }
        // To the end of the bucket that the end is in, so that a span of so many days has so many.
        let until = calendar.ceil(end);
        let since = match since {
            Some(since) => since,
            None => back(until, span.length(), zone),
        };
        let first = calendar.floor(since);
        if first >= until {
            return Err(Refused::NoTime { since, until: end });
        }
        let edges = calendar.edges(first, until, max)?;
        let straddle = edges.iter().any(|edge| edge.as_second() % grain.secs() != 0);
        if straddle && grain.secs() > HOUR_SECS {
            return Err(Refused::Straddles { zone: name(zone), step, grain });
        }
        Ok(Self { zone: zone.clone(), step, grain, edges, straddle })
    }

    /// The hours that begin in the days of a span, and the first and the last of these, for a heatmap.
    ///
    /// # Errors
    /// As [`Buckets::of`].
    pub fn hours(span: &Span, zone: &TimeZone, grain: Grain, now: Timestamp) -> Result<(Self, (Date, Date)), Refused> {
        if grain.secs() > HOUR_SECS {
            return Err(Refused::Shorter { step: Step::Hour, grain });
        }
        let days = Self::of(span, Some(Step::Day), zone, grain, now, BUCKETS_MAX)?;
        let whole = Span { since: Some(When::At(days.since())), until: Some(When::At(days.until())), last: None };
        let mut hours = Self::of(&whole, Some(Step::Hour), zone, grain, now, BUCKETS_MAX)?;
        // Hours that are not the zone's own begin a little before the first day.
        if hours.since() < days.since() {
            hours.edges.remove(0);
        }
        Ok((hours, days.days()))
    }

    /// The zone.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The zone's name.
    #[must_use]
    pub fn zone_name(&self) -> String {
        name(&self.zone)
    }

    /// How long each is.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// How long each is, in words.
    #[must_use]
    pub fn each(&self) -> String {
        match self.step {
            Step::Grain => String::from(self.grain),
            step => step.word().to_owned(),
        }
    }

    /// Their beginnings, and the end of the last.
    #[must_use]
    pub fn edges(&self) -> &[Timestamp] {
        &self.edges
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.edges.len() - 1
    }

    /// The beginning of the first.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.edges[0]
    }

    /// The end of the last.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.edges[self.edges.len() - 1]
    }

    /// Whether a cell of the target may be partly in one bucket and partly in the next; then it is in the one it begins in.
    #[must_use]
    pub fn straddle(&self) -> bool {
        self.straddle
    }

    /// Whether each is one bucket of the target.
    #[must_use]
    pub fn are_the_targets(&self) -> bool {
        let secs = SignedDuration::from_secs(self.grain.secs());
        !self.straddle && self.edges.windows(2).all(|pair| pair[1].duration_since(pair[0]) == secs)
    }

    /// How many of them, from the first on, end at `watermark` or before: the others are not complete yet.
    #[must_use]
    pub fn complete(&self, watermark: Option<Timestamp>) -> usize {
        watermark.map_or(0, |watermark| self.edges[1..].partition_point(|end| *end <= watermark))
    }

    /// A time as the zone's clocks show it.
    #[must_use]
    pub fn local(&self, time: Timestamp) -> Zoned {
        time.to_zoned(self.zone.clone())
    }

    /// The first day and the last, each included.
    #[must_use]
    pub fn days(&self) -> (Date, Date) {
        let last = self.until() - SignedDuration::from_nanos(1);
        (self.local(self.since()).date(), self.local(last).date())
    }
}

/// `Europe/Berlin`.
#[must_use]
pub fn name(zone: &TimeZone) -> String {
    zone.iana_name().map_or_else(|| "UTC".to_owned(), str::to_owned)
}

impl Span {
    fn length(&self) -> std::time::Duration {
        self.last.unwrap_or(std::time::Duration::from_secs(LAST_DAYS * 86_400))
    }
}

/// The beginning of a day; at the ends of the calendar a zone's first and last are no times that can be written.
fn beginning(day: Date, zone: &TimeZone) -> Timestamp {
    let nearest = if day.year() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    day.to_zoned(zone.clone()).map_or(nearest, |begin| begin.timestamp())
}

/// So long before a time; whole days are the zone's.
fn back(until: Timestamp, length: std::time::Duration, zone: &TimeZone) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    let secs = length.as_secs();
    if secs % 86_400 == 0
        && let Ok(since) = until.to_zoned(zone.clone()).checked_sub((secs / 86_400).days())
    {
        return since.timestamp();
    }
    until.checked_sub(length).unwrap_or(Timestamp::MIN)
}

/// The step of a window for which nobody says one.
fn fitting(length: SignedDuration, grain: Grain) -> Step {
    let days = length.as_hours() / 24;
    let longest = [(BY_HOUR_DAYS_MAX, Step::Hour), (BY_DAY_DAYS_MAX, Step::Day), (BY_WEEK_DAYS_MAX, Step::Week)];
    let fits = |(most, step): &(i64, Step)| days <= *most && (*step != Step::Hour || grain.secs() <= HOUR_SECS);
    longest.into_iter().find(fits).map_or(Step::Month, |(_, step)| step)
}

/// By how much hours begin later than UTC's. Those of a zone that is half an hour off are its own where the grain is fine enough
/// to tell them apart; else they are UTC's, which its clocks show as 00:30.
fn phase(zone: &TimeZone, step: Step, grain: Grain, at: Timestamp) -> i64 {
    let own = i64::from(zone.to_offset(at).seconds()).rem_euclid(HOUR_SECS);
    match step {
        Step::Hour if (HOUR_SECS - own) % grain.secs() == 0 => (HOUR_SECS - own) % HOUR_SECS,
        _ => 0,
    }
}

/// When buckets begin.
struct Calendar<'z> {
    zone: &'z TimeZone,
    step: Step,
    grain: Grain,
    phase: i64,
}

impl Calendar<'_> {
    /// A length that no bucket is shorter than, but for the hours that a clock skips.
    fn step_secs_min(&self) -> i64 {
        match self.step {
            Step::Grain => self.grain.secs(),
            Step::Hour => HOUR_SECS,
            Step::Day | Step::Week | Step::Month => 86_400,
        }
    }

    /// The beginning of the bucket that a time is in.
    fn floor(&self, time: Timestamp) -> Timestamp {
        let secs = match self.step {
            Step::Grain => self.grain.secs(),
            Step::Hour => HOUR_SECS,
            Step::Day | Step::Week | Step::Month => return self.begin(self.day(time)),
        };
        let second = time.as_second() - i64::from(time.subsec_nanosecond() < 0);
        let begin = (second - self.phase).div_euclid(secs) * secs + self.phase;
        Timestamp::from_second(begin).unwrap_or(Timestamp::MIN)
    }

    /// The day that the bucket of a time begins with.
    fn day(&self, time: Timestamp) -> Date {
        let day = time.to_zoned(self.zone.clone()).date();
        match self.step {
            Step::Week => {
                let after_monday = day.weekday().to_monday_zero_offset();
                day.checked_sub(i64::from(after_monday).days()).unwrap_or(Date::MIN)
            }
            Step::Month => day.first_of_month(),
            _ => day,
        }
    }

    fn begin(&self, day: Date) -> Timestamp {
        beginning(day, self.zone)
    }

    /// The end of the bucket that begins at a time.
    fn next(&self, begin: Timestamp) -> Timestamp {
        let secs = match self.step {
            Step::Grain => self.grain.secs(),
            Step::Hour => HOUR_SECS,
            Step::Day | Step::Week | Step::Month => {
                let mut day = self.day(begin);
                // A zone may skip a whole day.
                loop {
                    let span = match self.step {
                        Step::Week => 7.days(),
                        Step::Month => 1.months(),
                        _ => 1.days(),
                    };
                    let Ok(after) = day.checked_add(span) else { return Timestamp::MAX };
                    day = after;
                    let next = self.begin(day);
                    if next > begin {
                        return next;
                    }
                }
            }
        };
        begin.checked_add(SignedDuration::from_secs(secs)).unwrap_or(Timestamp::MAX)
    }

    /// The end of the bucket that a time is in; of a time that a bucket begins at, itself.
    fn ceil(&self, time: Timestamp) -> Timestamp {
        let begin = self.floor(time);
        if begin == time { time } else { self.next(begin) }
    }

    fn edges(&self, first: Timestamp, until: Timestamp, max: usize) -> Result<Vec<Timestamp>, Refused> {
        let mut edges = vec![first];
        let mut edge = first;
        while edge < until {
            if edges.len() > max {
                return Err(Refused::TooMany { step: self.step, max });
            }
            edge = self.next(edge);
            edges.push(edge);
        }
        Ok(edges)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests;
