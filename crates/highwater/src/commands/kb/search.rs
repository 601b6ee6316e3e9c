//! `kb search`: passages that say some words, the best first.

use highwater_engine::report::ExitCode;
use highwater_kb::Hit;
use serde_json::json;

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
    let hits = snapshot.search(&query, usize::from(args.limit)).map_err(|error| one(place.failed(&error)))?;
    if output.json {
        let lines = hits.iter().map(|hit| {
            json!({ "page": hit.page, "path": hit.page.path(), "heading": hit.heading, "lines": hit.lines, "pages": hit.pages,
                "snippet": hit.snippet, "score": hit.score })
        });
        listing::print(&listing::json_lines(lines)).map_err(one)?;
        return Ok(ExitCode::Drained);
    }
    if hits.is_empty() {
        output.note("nothing says that");
    }
    for hit in &hits {
        output.line(format_args!("{}\n  {}", where_it_is(hit), line(&hit.snippet)));
    }
    Ok(ExitCode::Drained)
}

/// Where a place is, in words.
pub(super) fn where_it_is(hit: &Hit) -> String {
    let lines = hit.lines.map(|(first, last)| format!(", lines {first} to {last}")).unwrap_or_default();
    let pages = match hit.pages {
        Some((first, last)) if first == last => format!(", page {first}"),
        Some((first, last)) => format!(", pages {first} to {last}"),
        None => String::new(),
    };
    format!("{}: {}{pages}{lines}", hit.page, line(&hit.heading))
}
