//! What is said beside the figures: whether they are final, and what they do not show. Owns that nothing unfinished is told as
//! if it were final.

use highwater_rollup::show::{Buckets, Heat, Kind, Question, Shown, Standing, Step};
use jiff::Timestamp;

use super::super::Named;
use crate::bar::{grouped, span};
use crate::table::line;

/// A label, and what it says.
pub(super) type Note = (&'static str, String);

/// `usage: tokens by model`.
pub(super) fn title(job: &str, question: &Question<'_>) -> String {
    let by = question.by().map(|by| format!(" by {by}")).unwrap_or_default();
    format!("{}: {}{by}", line(job), question.value())
}

/// `by day, 2026-10-23 to 2026-11-21, Europe/Berlin`.
pub(super) fn window(buckets: &Buckets) -> String {
    let (first, last) = buckets.days();
    format!("by {}, {first} to {last}, {}", buckets.each(), buckets.zone_name())
}

/// A bucket's name.
pub(super) fn bucket(buckets: &Buckets, begin: Timestamp) -> String {
    let local = buckets.local(begin);
    let format = match buckets.step() {
        Step::Grain | Step::Hour => "%Y-%m-%d %H:%M%:z",
        Step::Day => "%Y-%m-%d",
        Step::Week => "the week of %Y-%m-%d",
        Step::Month => "%Y-%m",
    };
    offset(local.strftime(format).to_string())
}

/// UTC has a letter.
pub(super) fn offset(time: String) -> String {
    time.strip_suffix("+00:00").map_or_else(|| time.clone(), |utc| format!("{utc}Z"))
}

/// A time to the second, with the zone's offset.
pub(super) fn moment(buckets: &Buckets, time: Timestamp) -> String {
    offset(buckets.local(time).strftime("%Y-%m-%d %H:%M:%S%:z").to_string())
}

/// What goes with a table or a chart.
pub(super) fn of_series(named: &Named<'_>, shown: &Shown, standing: &Standing) -> Vec<Note> {
    let buckets = &shown.buckets;
    let mut notes = vec![state(named, buckets, standing)];
    if standing.complete_until().is_some() && shown.complete < buckets.count() {
        notes.push(("unfinished", unfinished(shown, standing)));
    }
    if buckets.straddle() {
        notes.push((
            "straddling",
            format!(
                "a {} begins within a bucket of the rollup, which is then counted where it begins: {} is not whole hours off UTC",
                buckets.step(),
                buckets.zone_name()
            ),
        ));
    }
    if shown.left_out > 0 {
        let more = grouped(shown.left_out);
        notes.push(("left out", format!("{more} more keys: different values cannot be added up (`--top` shows more)")));
    }
    notes.extend(empty(buckets, standing));
    notes
}

/// What goes with a heatmap.
pub(super) fn of_heat(named: &Named<'_>, heat: &Heat, standing: &Standing) -> Vec<Note> {
    let buckets = &heat.buckets;
    let mut notes = vec![state(named, buckets, standing)];
    let out = buckets.count() - heat.complete;
    if out > 0 && standing.complete_until().is_some() {
        notes.push(("left out", format!("{} hours that are not complete yet", grouped(out as u64))));
    }
    if heat.straddle {
        let why = "an hour begins within a bucket of the rollup, which is then counted where it begins";
        notes.push(("straddling", format!("{why}: {} is not whole hours off UTC", buckets.zone_name())));
    }
    notes.extend(empty(buckets, standing));
    notes
}

/// What a figure of a heatmap is.
pub(super) fn per_hour(kind: Kind) -> &'static str {
    match kind {
        Kind::Adds | Kind::Distinct => "per hour, on average",
        Kind::Mean => "on average",
        Kind::Min => "the smallest",
        Kind::Max => "the largest",
    }
}

fn state(named: &Named<'_>, buckets: &Buckets, standing: &Standing) -> Note {
    let name = named.job.name.as_str();
    let Some((watermark, behind)) = standing.watermark.zip(standing.behind()) else {
        return (
            "not seeded",
            format!("no bucket is known to be complete, and any may be missing: `highwater run {name}`"),
        );
    };
    let at = moment(buckets, watermark);
    let far = match behind {
        ahead if ahead.is_negative() => format!("later than the database's clock: `highwater verify {name}`"),
        behind => format!("{} behind the database's clock", span(behind.unsigned_abs())),
    };
    match (standing.seeded_at, standing.seeded_from) {
        (Some(_), Some(begun)) if buckets.since() < begun => (
            "seeded in part",
            format!(
                "from {} on; any bucket before that may be missing: `highwater run {name}`; watermark {at}, {far}",
                moment(buckets, begun)
            ),
        ),
        (Some(_), _) => ("watermark", format!("{at}, {far}; seeded")),
        (None, _) => {
            ("not seeded", format!("any bucket may be missing: `highwater run {name}`; watermark {at}, {far}"))
        }
    }
}

fn unfinished(shown: &Shown, standing: &Standing) -> String {
    let buckets = &shown.buckets;
    let begins = &buckets.edges()[shown.complete..buckets.count()];
    let first = bucket(buckets, begins[0]);
    let after = |count: usize| match count {
        0 => String::new(),
        1 => "1 bucket begins after the watermark".to_owned(),
        count => format!("{} buckets begin after the watermark", grouped(count as u64)),
    };
    let known = match standing.complete_until() {
        Some(watermark) if watermark > begins[0] => {
            let known = format!("{first} is complete up to {} only", moment(buckets, watermark));
            if begins.len() == 1 { known } else { format!("{known}, and {}", after(begins.len() - 1)) }
        }
        _ => format!("{}, from {first} on", after(begins.len())),
    };
    format!("{known}: counted in totals, not in the smallest and largest")
}

fn empty(buckets: &Buckets, standing: &Standing) -> Option<Note> {
    let says = match standing.extent {
        None => "the rollup has no cells yet".to_owned(),
        Some(extent) if extent.to <= buckets.since() || extent.from >= buckets.until() => format!(
            "no cell is of this time: the rollup has cells from {} to {}",
            moment(buckets, extent.from),
            moment(buckets, extent.to)
        ),
        Some(_) => return None,
    };
    Some(("empty", says))
}
