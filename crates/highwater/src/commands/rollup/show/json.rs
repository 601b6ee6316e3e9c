//! The answer for programs. Figures are text, so that none of their digits is lost on the way.

use highwater_rollup::show::{Buckets, Heat, Key, Question, Series, Shown, Standing};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::table::exact;
use super::words::{Note, offset};

/// Days of the week, as they are called.
pub(super) const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub(super) fn series(
    title: &str,
    question: &Question<'_>,
    shown: &Shown,
    standing: &Standing,
    notes: &[Note],
) -> Value {
    let buckets = &shown.buckets;
    let mut answer = head(title, question, buckets, standing, notes);
    answer.insert("bucket".to_owned(), json!(buckets.each()));
    let each = buckets.edges().windows(2).enumerate().map(|(at, pair)| {
        json!({
            "since": moment(buckets, pair[0]),
            "until": moment(buckets, pair[1]),
            "complete": at < shown.complete,
        })
    });
    answer.insert("buckets".to_owned(), each.collect());
    answer.insert("series".to_owned(), shown.series.iter().map(one).collect());
    answer.insert("total".to_owned(), json!(exact(&shown.total)));
    answer.insert("left_out".to_owned(), json!(shown.left_out));
    Value::Object(answer)
}

pub(super) fn heat(title: &str, question: &Question<'_>, heat: &Heat, standing: &Standing, notes: &[Note]) -> Value {
    let mut answer = head(title, question, &heat.buckets, standing, notes);
    let days = WEEKDAYS.iter().zip(heat.figures.iter().zip(&heat.hours)).map(|(day, (figures, hours))| {
        let figures: Vec<_> = figures.iter().map(exact).collect();
        json!({ "weekday": day, "figures": figures, "hours": hours })
    });
    answer.insert("weekdays".to_owned(), days.collect());
    Value::Object(answer)
}

fn head(
    title: &str,
    question: &Question<'_>,
    buckets: &Buckets,
    standing: &Standing,
    notes: &[Note],
) -> Map<String, Value> {
    let notes: Vec<String> = notes.iter().map(|(label, says)| format!("{label}: {says}")).collect();
    let head = json!({
        "title": title,
        "value": question.value(),
        "by": question.by(),
        "zone": buckets.zone_name(),
        "since": moment(buckets, buckets.since()),
        "until": moment(buckets, buckets.until()),
        "watermark": standing.watermark,
        "seeded_at": standing.seeded_at,
        "seeded_from": standing.seeded_from,
        "behind_secs": standing.behind().map(|behind| behind.as_secs()),
        "notes": notes,
    });
    match head {
        Value::Object(head) => head,
        _ => Map::new(),
    }
}

/// `key` is absent where there is none, and of the sum of all others.
fn one(series: &Series) -> Value {
    let mut one = Map::new();
    match &series.key {
        Key::All => None,
        Key::Value(text) => one.insert("key".to_owned(), json!(text)),
        Key::Null => one.insert("key".to_owned(), Value::Null),
        Key::Others(count) => one.insert("others".to_owned(), json!(count)),
    };
    one.insert("total".to_owned(), json!(exact(&series.total)));
    one.insert("points".to_owned(), series.points.iter().map(exact).collect());
    Value::Object(one)
}

/// RFC 3339 with the zone's offset.
pub(super) fn moment(buckets: &Buckets, time: Timestamp) -> String {
    offset(buckets.local(time).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}
