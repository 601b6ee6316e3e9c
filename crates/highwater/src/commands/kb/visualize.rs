//! `kb visualize`: the link graph as one HTML page. Owns where it is written, and that nothing else is written over.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use highwater_engine::diagnosis::{Diagnosis, mends_disk, with_causes};
use highwater_engine::report::ExitCode;
use highwater_fs::{Mode, publish_at};
use highwater_kb::graph::{Graph, MARK};
use serde_json::json;

use super::NOT_DRAWN;
use super::place::Place;
use crate::Done;
use crate::bar::counted;
use crate::cli::KbVisualize;
use crate::output::Output;

/// By how much of a file it is known what it is.
const HEAD_BYTES: u64 = 4096;

pub(super) fn visualize(args: &KbVisualize, output: Output) -> Done {
    drawn(args, output).map_err(|error| vec![error])
}

fn drawn(args: &KbVisualize, output: Output) -> Result<ExitCode, Diagnosis> {
    let place = Place::find(args.which.kb.as_deref())?;
    let out = &args.out;
    let next = "name another: `--out FILE`; or write over it: `--force`";
    if !args.force && !is_free(out)? {
        let message = "there is a file already that `kb visualize` did not write";
        return Err(Diagnosis::refusal(NOT_DRAWN, message, next).in_file(out));
    }
    let snapshot = place.snapshot()?;
    let graph = Graph::read(&snapshot, args.pages as usize).map_err(|error| place.failed(&error))?;
    let title = place.root.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned());
    publish_at(out, graph.html(&title).as_bytes(), Mode::Umask).map_err(|error| {
        let message = format!("the page cannot be written: {}", with_causes(&error));
        let is_full =
            matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge);
        let diagnosis = match mends_disk(&error, out).filter(|_| is_full) {
            Some(mends) => Diagnosis::failure(NOT_DRAWN, message, format!("{mends}, and call again")),
            None => Diagnosis::refusal(NOT_DRAWN, message, "name a file in a directory of yours: `--out FILE`"),
        };
        diagnosis.in_file_once(out)
    })?;
    let (pages, links) = (graph.pages.len(), graph.links.len());
    let json = json!({ "out": std::path::absolute(out).ok(), "pages": pages, "links": links, "all": graph.all });
    let mut told = format!("{}: {}, {}", out.display(), counted(pages as u64, "page"), counted(links as u64, "link"));
    if pages < graph.all {
        told.push_str(&format!(", of {} those with the most links", counted(graph.all as u64, "page")));
    }
    output.answer(&json, told);
    Ok(ExitCode::Drained)
}

/// Whether nothing is there, or a page that was drawn before.
fn is_free(out: &Path) -> Result<bool, Diagnosis> {
    let mut head = Vec::new();
    match File::open(out).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head)) {
        Ok(_) => Ok(String::from_utf8_lossy(&head).contains(MARK)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => {
            let message = format!("the page cannot be written: {error}");
            Err(Diagnosis::refusal(NOT_DRAWN, message, "name another file: `--out FILE`").in_file(out))
        }
    }
}
