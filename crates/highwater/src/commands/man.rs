//! `man`: the manual pages, from the same definitions as the command line. Owns what stands in them beside these.

use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use serde::Serialize;

use super::{codes, listing};
use crate::Done;
use crate::cli::{Global, Man};
use crate::manual::{self, Page};
use crate::output::Output;
use crate::put::{self, Put};

/// Everybody may read a page.
const PAGE_MODE: u32 = 0o644;

/// What became of a page, for programs.
#[derive(Serialize)]
struct Told {
    page: String,
    put: Put,
}

pub(crate) fn man(args: &Man, global: &Global) -> Done {
    let output = Output { json: global.json, quiet: global.quiet };
    let done = match &args.dir {
        Some(directory) => write(directory, output),
        None => print(&args.command),
    };
    done.map(|()| ExitCode::Drained).map_err(|error| vec![error])
}

fn print(command: &[String]) -> Result<(), Diagnosis> {
    let wanted = format!("{}.1", [&["highwater".to_owned()], command].concat().join("-"));
    let pages = manual::pages();
    let Some(page) = pages.iter().find(|page| page.name == wanted) else {
        return Err(Diagnosis::refusal(
            codes::NO_PAGE,
            format!("found no command `{}`, which a page could be of", command.join(" ")),
            "`highwater --help` lists the commands",
        ));
    };
    listing::print(&page.roff).map(drop)
}

fn write(directory: &Path, output: Output) -> Result<(), Diagnosis> {
    if !directory.is_dir() {
        let message = "found no directory to write the pages to";
        return Err(
            Diagnosis::refusal(codes::NO_PAGES_THERE, message, "make it, or name another one").in_file(directory)
        );
    }
    let mut told = Vec::new();
    for Page { name, roff } in manual::pages() {
        let path = directory.join(&name);
        let put = put::file(&path, &roff, PAGE_MODE, false).map_err(|error| {
            Diagnosis::failure(
                codes::NO_PAGES_THERE,
                format!("the page cannot be written: {error}"),
                "call it with `sudo`, or name a directory that this user may write in",
            )
            .in_file(&path)
        })?;
        told.push(Told { page: name, put });
    }
    let changed = told.iter().filter(|page| page.put != Put::AsItWas).count();
    let text = format!("{} pages in {}, {changed} of them made or changed", told.len(), directory.display());
    output.answer(&serde_json::json!({ "directory": directory.to_string_lossy(), "pages": told }), text);
    Ok(())
}
