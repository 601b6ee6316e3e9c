//! The axis of time: which hours, days, months or years of the zone are named. Owns that names are as many as fit.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, Zoned};

use super::COLUMN_PX;
use crate::show::{Buckets, Step};

/// What is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Hours(i8),
    Days(i8),
    Mondays,
    Months(i8),
    Years(i16),
}

/// From the finest; years go on.
const UNITS: [Unit; 15] = [
    Unit::Hours(1),
    Unit::Hours(2),
    Unit::Hours(3),
    Unit::Hours(6),
    Unit::Hours(12),
    Unit::Days(1),
    Unit::Days(2),
    Unit::Mondays,
    Unit::Months(1),
    Unit::Months(3),
    Unit::Months(6),
    Unit::Years(1),
    Unit::Years(2),
    Unit::Years(5),
    Unit::Years(10),
];

/// Widest name of the upper row, with the space to the next, in pixels.
const HOUR_PX: f64 = 44.0;
const DAY_PX: f64 = 21.0;
const MONTH_PX: f64 = 36.0;
const YEAR_PX: f64 = 42.0;
/// Space between two names of the lower row.
const BELOW_GAP_PX: f64 = 10.0;
/// Days that are looked at for names; longer windows are named by the year.
const DAYS_MAX: i64 = 4 * 366;

/// A name on the axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Where it is.
    pub(super) at: Timestamp,
    /// What it is called.
    pub(super) name: String,
    /// What it is part of, at the first of its kind.
    pub(super) below: Option<String>,
}

/// Names of a window that is so wide, and whether they name buckets rather than their beginnings.
pub(super) fn ticks(buckets: &Buckets, width: f64) -> (Vec<Tick>, bool) {
    let span = buckets.until().duration_since(buckets.since()).as_secs_f64();
    let mut units = UNITS.into_iter().filter(|unit| is_fitting(*unit, buckets.step()));
    let found = units.find_map(|unit| {
        let times = times(unit, buckets)?;
        let room = times.len() as f64 * px(unit) <= width;
        (room && (!times.is_empty() || matches!(unit, Unit::Years(_)))).then_some((unit, times))
    });
    let (unit, times) = found.unwrap_or((Unit::Years(10), Vec::new()));
    let names_buckets = matches!(
        (unit, buckets.step()),
        (Unit::Days(_), Step::Day) | (Unit::Mondays, Step::Week) | (Unit::Months(_), Step::Month)
    );
    let place = |time: Timestamp| time.duration_since(buckets.since()).as_secs_f64() / span * width;
    let mut ticks: Vec<Tick> = Vec::new();
    let mut part = None;
    for time in times {
        let local = buckets.local(time);
        let (name, whole) = names(unit, &local);
        let below = (part.as_ref() != Some(&whole) && !whole.is_empty()).then(|| whole.clone());
        if let Some(below) = &below
            && let Some(before) = ticks.iter_mut().rev().find(|tick| tick.below.is_some())
            && place(time) - place(before.at) < below.len() as f64 * COLUMN_PX + BELOW_GAP_PX
        {
            // The later one says more: it begins there.
            before.below = None;
        }
        part = Some(whole);
        ticks.push(Tick { at: time, name, below });
    }
    (ticks, names_buckets)
}

/// What is finer than a bucket is not named.
fn is_fitting(unit: Unit, step: Step) -> bool {
    match step {
        Step::Grain | Step::Hour => true,
        Step::Day => !matches!(unit, Unit::Hours(_)),
        Step::Week => !matches!(unit, Unit::Hours(_) | Unit::Days(_)),
        Step::Month => matches!(unit, Unit::Months(_) | Unit::Years(_)),
    }
}

fn px(unit: Unit) -> f64 {
    match unit {
        Unit::Hours(_) => HOUR_PX,
        Unit::Days(_) | Unit::Mondays => DAY_PX,
        Unit::Months(_) => MONTH_PX,
        Unit::Years(_) => YEAR_PX,
    }
}

fn names(unit: Unit, local: &Zoned) -> (String, String) {
    let text = |format: &str| local.strftime(format).to_string();
    match unit {
        Unit::Hours(_) => (text("%H:%M"), text("%b %-d")),
        Unit::Days(_) | Unit::Mondays => (text("%-d"), text("%b %Y")),
        Unit::Months(_) => (text("%b"), text("%Y")),
        Unit::Years(_) => (text("%Y"), String::new()),
    }
}

/// The times of a unit that are in the window; `None` where there would be far too many.
fn times(unit: Unit, buckets: &Buckets) -> Option<Vec<Timestamp>> {
    let (first, last) = buckets.days();
    let years = i16::from(matches!(unit, Unit::Years(_)));
    let days = i64::from(first.until(last).map_or(i32::MAX, |span| span.get_days()));
    if days > DAYS_MAX && years == 0 && !matches!(unit, Unit::Months(_)) {
        return None;
    }
    let mut times = Vec::new();
    let mut day = first;
    let mut push = |time: Option<Timestamp>| {
        let within = |time: &Timestamp| *time >= buckets.since() && *time < buckets.until();
        times.extend(time.filter(within));
    };
    while day <= last {
        let begin = |hour: i8| {
            let begin = day.at(hour, 0, 0, 0).to_zoned(buckets.zone().clone()).ok()?;
            // An hour that a clock skips has no name.
            (begin.hour() == hour || hour == 0).then(|| begin.timestamp())
        };
        let next = match unit {
            Unit::Hours(each) => {
                (0..24).step_by(usize::from(each.unsigned_abs())).for_each(|hour| push(begin(hour)));
                day.tomorrow().ok()
            }
            Unit::Days(each) => {
                // The last of a month and the first of the next would be side by side.
                let is_named = (day.day() - 1) % each == 0 && (each == 1 || day.day() < 31);
                push(is_named.then(|| begin(0)).flatten());
                day.tomorrow().ok()
            }
            Unit::Mondays => {
                push((day.weekday() == jiff::civil::Weekday::Monday).then(|| begin(0)).flatten());
                day.tomorrow().ok()
            }
            Unit::Months(each) => {
                push((day.day() == 1 && (day.month() - 1) % each == 0).then(|| begin(0)).flatten());
                day.first_of_month().checked_add(1.month()).ok()
            }
            Unit::Years(each) => {
                push((day.day_of_year() == 1 && day.year() % each == 0).then(|| begin(0)).flatten());
                Date::new(day.year().saturating_add(1), 1, 1).ok()
            }
        };
        let Some(next) = next else { break };
        day = next;
    }
    Some(times)
}
