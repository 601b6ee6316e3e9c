//! `kb search`: passages that say some words, the best first.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_kb::{Hit, KbError, Stands};
use serde_json::{Value, json};

use super::super::listing;
use super::place::Place;
use crate::Done;
use crate::cli::KbSearch;
use crate::output::Output;
use crate::table::line;

pub(super) fn search(args: &KbSearch, output: Output) -> Done {
    let one = |error| vec![error];
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let snapshot = place.snapshot().map_err(one)?;
    let query = args.words.join(" ");
    let failed = |error: KbError| one(place.failed(&error));
    let hits = snapshot.search(&query, usize::from(args.limit)).map_err(failed)?;
    if output.json {
        let lines = hits.iter().map(|hit| {
            let stands = snapshot.stands(&hit.page).map_err(failed)?;
            Ok(json!({ "page": hit.page, "path": hit.page.path(), "heading": hit.heading, "lines": hit.lines, "pages": hit.pages,
                "stands": stands, "snippet": hit.snippet, "score": hit.score }))
        });
        let lines: Vec<Value> = lines.collect::<Result<_, Vec<Diagnosis>>>()?;
        listing::print(&listing::json_lines(lines)).map_err(one)?;
        return Ok(ExitCode::Drained);
    }
    if hits.is_empty() {
        output.note("nothing says that");
    }
    for hit in &hits {
        let place = where_it_is(hit, snapshot.stands(&hit.page).map_err(failed)?);
        output.line(format_args!("{place}\n  {}", line(&hit.snippet)));
    }
    Ok(ExitCode::Drained)
}

/// Where a place is, in words: in what the base has, which people may have changed.
pub(super) fn where_it_is(hit: &Hit, stands: Stands) -> String {
    let lines = hit.lines.map(|(first, last)| format!(", lines {first} to {last}")).unwrap_or_default();
    let pages = match hit.pages {
        Some((first, last)) if first == last => format!(", page {first}"),
        Some((first, last)) => format!(", pages {first} to {last}"),
        None => String::new(),
    };
    let since = match stands {
        Stands::AsGenerated => "",
        Stands::Edited => " (before a person edited the page)",
        Stands::Gone => " (a person deleted the page)",
    };
    format!("{}: {}{pages}{lines}{since}", hit.page, line(&hit.heading))
}
