//! `kb list`: the documents of a base, in the order in which they were added.

use highwater_engine::report::ExitCode;
use indicatif::DecimalBytes;
use serde_json::json;

use super::super::listing::{self, Reader};
use super::place::Place;
use crate::Done;
use crate::bar::counted;
use crate::cli::KbWhich;
use crate::output::Output;
use crate::table::{Columns, Rows, line};

/// Documents that are read at a time.
const PAGE_DOCUMENTS: u32 = 500;

pub(super) fn list(which: &KbWhich, output: Output) -> Done {
    let one = |error| vec![error];
    let place = Place::find(which.kb.as_deref()).map_err(one)?;
    let snapshot = place.snapshot().map_err(one)?;
    let mut columns = Columns::new(["document", "title", "size", "pages", "from"]);
    let (mut after, mut documents) = (0, 0);
    loop {
        let page = snapshot.documents(after, PAGE_DOCUMENTS).map_err(|error| one(place.failed(&error)))?;
        let Some((_, last)) = page.last() else { break };
        after = last.sequence;
        documents += page.len() as u64;
        let text = match output.json {
            true => listing::json_lines(page.iter().map(|(name, document)| {
                json!({ "name": name, "title": document.title, "origin": document.origin, "bytes": document.bytes,
                    "pages": document.pages, "sha256": document.sha256, "raw": document.raw, "full_text": document.full_text,
                    "converter": document.converter, "compiler": document.compiler })
            })),
            false => {
                let mut rows = Rows::default();
                for (name, document) in &page {
                    rows.cell(line(name.as_str()));
                    rows.cell(line(&document.title));
                    rows.cell(DecimalBytes(document.bytes));
                    rows.cell(document.pages.map_or_else(|| "-".to_owned(), |pages| pages.to_string()));
                    rows.cell(line(document.origin.as_str()));
                }
                columns.rows(&rows).into_bytes()
            }
        };
        if listing::print(&text).map_err(one)? == Reader::Gone {
            return Ok(ExitCode::Drained);
        }
    }
    let counts = snapshot.counts().map_err(|error| one(place.failed(&error)))?;
    output.note(format!(
        "{}, {}, {}",
        counted(documents, "document"),
        counted(counts.concepts, "concept"),
        if counts.entities == 1 { "1 entity".to_owned() } else { format!("{} entities", counts.entities) }
    ));
    Ok(ExitCode::Drained)
}
