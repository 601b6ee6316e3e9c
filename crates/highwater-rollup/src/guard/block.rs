//! The guard as SQL, for the tools that others migrate with: a statement that fails where the rollup is not complete, so that
//! the migration it stands in front of does not run. Owns that it says what [`guard`](super::guard()) says.

use std::time::Duration;

use highwater_db::session::Dialect;

use super::Subject;
use crate::state;

/// The SQL, to be put in front of what a migration takes away; `job` is what the messages call the rollup.
///
/// In PostgreSQL it is one `DO` block, that raises `object_not_in_prerequisite_state` (55000) with the figures. SQLite can only
/// raise in a trigger, and says what is wrong without the figures; and there the rollup's tables must exist.
#[must_use]
pub fn block(dialect: Dialect, subject: Subject<'_>, job: &str, threshold: Duration) -> String {
    let empty = match subject {
        Subject::Declared(_) => "not seeded, or has no watermark",
        Subject::Window(_) => "not known, since no row holds its watermark",
    };
    let (watermark, newest, oldest_queued) =
        (watermark(dialect, subject), newest(dialect, subject), oldest_queued(dialect, subject));
    let (seeded_from, first) = (seeded_from(dialect, subject), first(dialect, subject));
    let unsettled = subject.unsettled_sql(dialect).unwrap_or_else(|| "SELECT NULL::text".to_owned());
    let comment = job.replace(['\n', '\r'], " ");
    let threshold = threshold.as_secs().to_string();
    let tag = tag(&[job, &watermark, &newest, &oldest_queued, &seeded_from, &first, &unsettled]);
    match dialect {
        Dialect::Postgres => filled(
            include_str!("postgres.sql"),
            &[
                ("{comment}", &comment),
                ("{threshold}", &threshold),
                ("{empty}", empty),
                ("{job}", &literal(job)),
                ("{table}", &literal(&subject.table().to_string())),
                ("{quoted}", &literal(&subject.table().quoted())),
                ("{mark}", &literal(&watermark)),
                ("{newest}", &literal(&newest)),
                ("{queued}", &literal(&oldest_queued)),
                ("{unsettled}", &literal(&unsettled)),
                ("{begun}", &literal(&seeded_from)),
                ("{first}", &literal(&first)),
                ("$guard$", &tag),
            ],
        ),
        Dialect::Sqlite => {
            let says = |what: &str| quoted(&format!("rollup {job} is {what}: highwater rollup guard {job}"));
            filled(
                include_str!("sqlite.sql"),
                &[
                    ("{comment}", &comment),
                    ("{threshold}", &threshold),
                    ("{unknown}", &says(empty)),
                    ("{ahead}", &says("not proved complete, its watermark is later than the clock")),
                    ("{behind}", &says("behind")),
                    ("{partial}", &says("seeded in part")),
                    ("{begun}", &seeded_from),
                    ("{first}", &first),
                    ("{mark}", &watermark),
                    ("{newest}", &newest),
                    ("{queued}", &oldest_queued),
                ],
            )
        }
    }
}

/// Fills in all places at once, so that nothing that is filled in is taken for a place.
fn filled(text: &str, places: &[(&str, &str)]) -> String {
    let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(['{', '$']) {
        filled.push_str(&rest[..at]);
        let place = places.iter().find(|(place, _)| rest[at..].starts_with(place));
        let (place, value) = place.expect("invariant: every place of the text has a value");
        filled.push_str(value);
        rest = &rest[at + place.len()..];
    }
    filled + rest
}

/// A query of one time, as the dialect compares it: PostgreSQL's own type, seconds in SQLite.
fn time(dialect: Dialect, expression: &str) -> String {
    match dialect {
        // The epoch of a time without a zone is that of the same time in UTC, whatever the session's zone is.
        Dialect::Postgres => format!("to_timestamp(extract(epoch FROM {expression}))"),
        Dialect::Sqlite => {
            format!(
                "CASE WHEN typeof({expression}) = 'text' THEN unixepoch({expression}, 'subsec') ELSE {expression} END"
            )
        }
    }
}

fn watermark(dialect: Dialect, subject: Subject<'_>) -> String {
    match subject {
        Subject::Declared(declaration) => format!(
            "SELECT {} FROM {} WHERE seeded_at IS NOT NULL",
            time(dialect, "watermark"),
            state::name(declaration).quoted()
        ),
        Subject::Window(window) => {
            let at = &window.watermark;
            // Of several rows, which are a mistake, the one that is least complete.
            format!("SELECT min({}) FROM {}", time(dialect, &at.expression()), at.row())
        }
    }
}

fn newest(dialect: Dialect, subject: Subject<'_>) -> String {
    let last = match dialect {
        Dialect::Postgres => time(dialect, "b.last"),
        // What cannot be read as a time is later than all times, and asks for a fresh watermark.
        Dialect::Sqlite => format!("CASE WHEN b.last IS NOT NULL THEN coalesce({}, 9e99) END", time(dialect, "b.last")),
    };
    format!("{} SELECT {last} FROM b", subject.bounds(dialect))
}

/// The earliest event.
fn first(dialect: Dialect, subject: Subject<'_>) -> String {
    format!("{} SELECT {} FROM b", subject.bounds(dialect), time(dialect, "b.first"))
}

/// Where the seed began, if that was later than it had to be.
fn seeded_from(dialect: Dialect, subject: Subject<'_>) -> String {
    let Subject::Declared(declaration) = subject else { return "SELECT NULL".to_owned() };
    let begun = time(dialect, &state::seeded_from(dialect));
    format!("SELECT {begun} FROM {} AS state", state::name(declaration).quoted())
}

fn oldest_queued(dialect: Dialect, subject: Subject<'_>) -> String {
    match subject.oldest_queued(dialect) {
        Some(sql) => format!("SELECT {} FROM ({sql}) AS q", time(dialect, "q.at")),
        None => "SELECT NULL".to_owned(),
    }
}

/// A text as SQL writes it, whatever `standard_conforming_strings` says.
fn literal(text: &str) -> String {
    if text.contains('\\') { format!("E{}", quoted(&text.replace('\\', "\\\\"))) } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A quote that none of the texts holds.
fn tag(texts: &[&str]) -> String {
    let free = |tag: &String| !texts.iter().any(|text| text.contains(tag.as_str()));
    let tag =
        (0..).map(|number| if number == 0 { "$guard$".to_owned() } else { format!("$guard{number}$") }).find(free);
    tag.expect("invariant: a text does not hold every number")
}
