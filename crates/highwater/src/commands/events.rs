//! `events`: the audit trail, oldest first. Owns how `--since` is read.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{Event, EventFilter, Ledger, PAGE_ROWS_MAX};
use highwater_engine::settings::{DURATION_DAYS_MAX, DurationText};
use jiff::Timestamp;
use jiff::fmt::friendly::SpanParser;
use jiff::fmt::temporal::Pieces;

use super::listing::{self, Reader};
use super::{codes, done};
use crate::Done;
use crate::cli::Events;
use crate::site::Site;
use crate::table::{Columns, line, moment};

pub(crate) async fn events(args: Events, site: Site) -> Done {
    done(listed(&args, &site).await)
}

async fn listed(args: &Events, site: &Site) -> Result<(), Diagnosis> {
    let since = args.since.as_deref().map(|text| moment_of(text, site.clock.now())).transpose()?;
    let glance = site.ledger_to_read()?;
    let ledger = &*glance.ledger;
    let job = match &args.job {
        Some(name) => Some(site.job(ledger, name).await?),
        None => None,
    };
    let mut filter = EventFilter { job, since, after: 0 };
    let mut columns = Columns::new(["at", "act", "on", "who", "why"]);
    let mut reader = Reader::There;
    while reader == Reader::There {
        let page = ledger.events(&filter, PAGE_ROWS_MAX).await?;
        let Some(last) = page.last() else { break };
        filter.after = last.no;
        reader = listing::print(&match site.output.json {
            true => listing::json_lines(&page),
            false => columns.page(&page.iter().map(row).collect::<Vec<_>>()).into_bytes(),
        })?;
    }
    if filter.after == 0 {
        site.output.note("no events");
    }
    Ok(())
}

fn row(event: &Event) -> [String; 5] {
    let on = match (&event.job, &event.resource) {
        (Some(job), _) => job.to_string(),
        (None, Some(resource)) => resource.to_string(),
        (None, None) => "-".to_owned(),
    };
    [moment(event.at).to_string(), event.act.clone(), on, event.who.0.clone(), line(&event.why)]
}

/// A moment as a person names it: itself, or how long ago.
pub(super) fn moment_of(text: &str, now: Timestamp) -> Result<Timestamp, Diagnosis> {
    let ago = || text.parse::<DurationText>().ok().and_then(|span| now.checked_sub(span.get()).ok());
    text.parse::<Timestamp>().ok().or_else(ago).ok_or_else(|| {
        Diagnosis::refusal(
            codes::UNREADABLE_TIME,
            format!("found {text:?}, expected a time such as 2026-11-20T12:00:00Z or a span such as \"2 days\""),
            mended(text),
        )
        .at_field("--since")
    })
}

/// What mends a text that is no moment. One that says its zone may be a moment that no file can hold, and a span may be too long.
pub(super) fn mended(text: &str) -> String {
    match Pieces::parse(text) {
        Ok(pieces) if pieces.time().is_some() && pieces.offset().is_some() => {
            let (first, last) = (moment(Timestamp::MIN), moment(Timestamp::MAX));
            return format!("it is beyond what can be written; name one from {first} to {last}");
        }
        Ok(_) => return "correct the time; without a zone it is no moment: end it with `Z` for UTC".to_owned(),
        Err(_) => {}
    }
    let shapes = "a span is a number and a unit, such as \"2 days\", \"90m\" or \"1 week\", without months and years, which have no length";
    // Numbers that no span has room for are read as none of its shape.
    let small: String = text.split_inclusive(|c: char| !c.is_ascii_digit()).map(in_ones).collect();
    match SpanParser::new().parse_span(small.trim()) {
        Ok(span) if span.is_negative() || span.get_years() != 0 || span.get_months() != 0 => shapes.to_owned(),
        Ok(_) => format!("the span is too large: name one of at most {DURATION_DAYS_MAX} days, or a time"),
        Err(_) => format!("{shapes}; a time has a zone, such as 2026-11-20T12:00:00Z"),
    }
}

/// A number, with what is behind it, as the smallest that there is.
fn in_ones(part: &str) -> String {
    let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() == part.len() { part.to_owned() } else { format!("1{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_a_moment_or_a_span() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        for (text, moment) in [
            ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
            ("2026-11-20T10:00:00+02:00", "2026-11-20T08:00:00Z"),
            ("2 days", "2026-11-18T12:00:00Z"),
            ("90m", "2026-11-20T10:30:00Z"),
        ] {
            assert_eq!(moment_of(text, now).unwrap().to_string(), moment, "{text}");
        }
        let (zone, shape) = ("without a zone", "a span is a number and a unit");
        for (text, told) in [
            ("2026-11-20", zone),
            ("2026-11-20T10:00:00", zone),
            ("yesterday", shape),
            ("", shape),
            ("5", shape),
            ("1e9 days", shape),
            ("10000 years", shape),
            ("-2 days", shape),
            ("99999999 days", "too large: name one of at most 3653 days"),
            ("99999999999999999999999 days 7h", "too large"),
            ("3654 days", "too large"),
        ] {
            let refused = moment_of(text, now).unwrap_err();
            assert_eq!(refused.code, codes::UNREADABLE_TIME, "{text}");
            assert!(refused.next.contains(told), "{text}: {}", refused.next);
            assert!(told == zone || !refused.next.contains(zone), "{text}: {}", refused.next);
        }
        for text in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00", "-009999-01-01T00:00:00Z"] {
            let next = moment_of(text, now).unwrap_err().next;
            assert!(
                next.contains("beyond what can be written") && next.contains("9999-12-30T22:00:00Z"),
                "{text}: {next}"
            );
        }
    }
}
