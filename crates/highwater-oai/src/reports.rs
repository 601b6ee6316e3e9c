//! Reports of a difference: `missing`, `stale`, `orphans`, each a CSV of identifiers, and `difference.json` with the counts.
//! Owns the files; what is in them is the spool's.

use std::path::Path;

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_fs::{Mode, publish_at};
use jiff::Timestamp;
use serde::Serialize;

use crate::spool::{Crawl, Difference, Identifiers, ReportKind, Spool};

/// What `difference.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Summary<'c> {
    crawl: &'c str,
    base_url: &'c str,
    set: &'c str,
    finished_at: Option<Timestamp>,
    #[serde(flatten)]
    difference: Difference,
}

/// Writes the reports of a difference that was just computed.
///
/// # Errors
/// [`Diagnosis`] when a file cannot be written.
pub async fn keep(spool: &Spool, crawl: &Crawl, difference: &Difference, dir: &Path) -> Result<(), Diagnosis> {
    std::fs::create_dir_all(dir).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => Diagnosis::failure(
            "HW-OAI-007",
            "found a file where the directory of the reports should be",
            "move that file away",
        )
        .in_file(dir),
        _ => unwritable(dir, &e.to_string()),
    })?;
    for kind in ReportKind::ALL {
        let path = dir.join(format!("{}.csv", kind.word()));
        let csv = spool.with_reported(crawl.id, kind, csv).await??;
        publish_at(&path, &csv, Mode::Umask).map_err(|e| unwritable(&path, &with_causes(&e)))?;
    }
    let summary = Summary {
        crawl: &crawl.new.name,
        base_url: &crawl.new.base_url,
        set: &crawl.new.set,
        finished_at: crawl.finished_at,
        difference: *difference,
    };
    let mut text = serde_json::to_string_pretty(&summary).expect("invariant: a summary is text and numbers");
    text.push('\n');
    let path = dir.join("difference.json");
    publish_at(&path, text.as_bytes(), Mode::Umask).map_err(|e| unwritable(&path, &with_causes(&e)))
}

fn csv(identifiers: &mut Identifiers<'_>) -> Result<Vec<u8>, Diagnosis> {
    let mut writer = csv::Writer::from_writer(b"identifier\n".to_vec());
    for identifier in identifiers {
        writer.write_record([identifier?]).map_err(|e| unwritable(Path::new("report"), &e.to_string()))?;
    }
    writer.into_inner().map_err(|e| unwritable(Path::new("report"), &e.to_string()))
}

fn unwritable(path: &Path, what: &str) -> Diagnosis {
    Diagnosis::failure(
        "HW-OAI-007",
        format!("the report cannot be written: {what}"),
        "free space, or let this user write there",
    )
    .in_file(path)
}
