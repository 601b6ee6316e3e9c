//! `catalog`: looks into a catalogue, loads files into it, exports it. Owns which catalogue that is and how it is printed.

mod load;

use std::io::Write as _;
use std::path::PathBuf;

use highwater_engine::clock::SystemClock;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_oai::catalog::{Access, Catalog, Reviewed, Shown, export, view};
use serde_json::json;

use super::codes;
use crate::bar::grouped;
use crate::cli::{Catalog as Args, CatalogSearch, CatalogVerb, Global};
use crate::output::Output;
use crate::table::line;
use crate::wiring::oai::{CATALOG_FILE, open_catalog};
use crate::{Done, in_runtime, logging, owner, site};

/// Works that are read at a time for an export.
const EXPORT_WORKS: usize = 500;
/// Records in review that are read at a time, each with what came.
const REVIEW_RECORDS: usize = 50;

pub(crate) fn catalog(args: Args, global: &Global) -> Done {
    let one = |e| vec![e];
    let path = match args.catalog {
        Some(path) => path,
        None => site::configuration(global)?.state_dir().join(CATALOG_FILE),
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    owner::become_owner(&[&path, path.parent().unwrap_or(&path)]).map_err(one)?;
    logging::start(global.log_file.as_deref(), global.log_format.unwrap_or_default(), global).map_err(one)?;
    let output = Output { json: global.json, quiet: global.quiet };
    in_runtime(async move {
        let done = looked(args.verb, path, output).await;
        done.map(|()| ExitCode::Drained).map_err(one)
    })
}

async fn looked(verb: CatalogVerb, path: PathBuf, output: Output) -> Result<(), Diagnosis> {
    let now = SystemClock::shared().now();
    let open = |access| open_catalog(&path, now, access);
    match verb {
        CatalogVerb::Search(args) => search(&open(Access::ReadOnly)?, &args, output).await,
        CatalogVerb::Show { id } => show(&open(Access::ReadOnly)?, &id, output).await,
        CatalogVerb::Export { csv } => exported(&open(Access::ReadOnly)?, csv).await,
        CatalogVerb::Load { files } => load::load(&open(Access::ReadWrite)?, &files, now, output).await,
        CatalogVerb::Review => review(&open(Access::ReadOnly)?, output).await,
        CatalogVerb::Figures => {
            let figures = open(Access::ReadOnly)?.figures().await?;
            let text = format!(
                "{} live records, {} deleted, {} for a person to look at",
                grouped(figures.live),
                grouped(figures.deleted),
                grouped(figures.review)
            );
            output.answer(&figures, text);
            Ok(())
        }
    }
}

async fn search(catalog: &Catalog, args: &CatalogSearch, output: Output) -> Result<(), Diagnosis> {
    let query = args.query.join(" ");
    let page = catalog.search(&query, args.limit, args.offset).await?;
    let mut text = String::new();
    for hit in &page.hits {
        text.push_str(&format!("{}\n    {}\n", line(&hit.title), line(&hit.id)));
    }
    text.push_str(&match (page.hits.len() as u64, page.total) {
        (_, 0) => format!("nothing matches {query:?}"),
        (shown, all) if shown < all => format!("{} of {}", grouped(shown), grouped(all)),
        (_, all) => format!("{} in all", grouped(all)),
    });
    output.answer(&page, text);
    Ok(())
}

async fn review(catalog: &Catalog, output: Output) -> Result<(), Diagnosis> {
    let (mut after, mut none) = (None, true);
    loop {
        let page = catalog.in_review(after, REVIEW_RECORDS).await?;
        for Reviewed { header, why, metadata } in page.records {
            none = false;
            let (id, datestamp) = (&header.identifier, header.datestamp.to_string());
            output.answer(
                &json!({ "id": id, "datestamp": datestamp, "why": why, "metadata": metadata }),
                format_args!("{}: {}", line(id), line(&why)),
            );
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if none && !output.json {
        output.line("no record is for a person to look at");
    }
    Ok(())
}

async fn show(catalog: &Catalog, id: &str, output: Output) -> Result<(), Diagnosis> {
    match catalog.show(id).await? {
        Some(Shown::Work(work)) => output.answer(&*work, view::text(&work).trim_end()),
        Some(Shown::Deleted(header)) => {
            let text = format!("{}: deleted in the repository, {}", line(&header.identifier), header.datestamp);
            output.answer(&json!({ "id": header.identifier, "deleted": header.datestamp.to_string() }), text);
        }
        Some(Shown::Review { header, why }) => {
            let text = format!("{}: for a person to look at: {}", line(&header.identifier), line(&why));
            output.answer(&json!({ "id": header.identifier, "review": why }), text);
        }
        None => {
            return Err(Diagnosis::refusal(
                codes::UNKNOWN_WORK,
                format!("nothing in the catalogue is called {id:?}"),
                "name an OAI identifier, what comes after its prefix, an ISBN or a DOI, or search: `highwater catalog search …`",
            )
            .in_file(catalog.path()));
        }
    }
    Ok(())
}

async fn exported(catalog: &Catalog, csv: bool) -> Result<(), Diagnosis> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut print = |text: &str| match out.write_all(text.as_bytes()) {
        // Whoever read has read enough.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => {
            Err(Diagnosis::failure(codes::CANNOT_PRINT, format!("the export cannot be printed: {e}"), "free space"))
        }
        Ok(()) => Ok(true),
    };
    if csv && !print(&export::csv_header())? {
        return Ok(());
    }
    let mut after = None;
    loop {
        let page = catalog.export_page(after, EXPORT_WORKS).await?;
        for damaged in &page.damaged {
            tracing::warn!(%damaged, "a damaged work is left out of the export");
        }
        for work in &page.works {
            let text = if csv { export::csv_row(work) } else { export::json_line(work) };
            if !print(&text)? {
                return Ok(());
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    match out.flush() {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Diagnosis::failure(codes::CANNOT_PRINT, format!("the export cannot be printed: {e}"), "free space"))
        }
        _ => Ok(()),
    }
}
