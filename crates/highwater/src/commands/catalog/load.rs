//! `catalog load`: saved answers of a repository, without any contact. Owns the reading of such files.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_oai::catalog::{Catalog, Loaded};
use highwater_oai::client::parse::Parser;
use highwater_oai::client::{Entry, Fault, Limits};
use highwater_oai::protocol::{Record, Verb};
use jiff::Timestamp;
use serde::Serialize;

use super::super::codes;
use crate::bar::grouped;
use crate::output::Output;

/// How much of a file is read at a time, in bytes.
const READ_BYTES: usize = 256 * 1024;
/// Records that are loaded together.
const LOAD_RECORDS: usize = 256;

#[derive(Debug, Default, Serialize)]
struct Answer {
    loaded: u64,
    unchanged: u64,
    deleted: u64,
    review: u64,
}

pub(super) async fn load(
    catalog: &Catalog,
    files: &[PathBuf],
    now: Timestamp,
    output: Output,
) -> Result<(), Diagnosis> {
    let mut answer = Answer::default();
    for file in files {
        load_file(catalog, file, now, &mut answer, output).await?;
    }
    let text = format!(
        "{} records loaded, {} unchanged, {} deleted, {} for a person to look at",
        grouped(answer.loaded),
        grouped(answer.unchanged),
        grouped(answer.deleted),
        grouped(answer.review)
    );
    output.answer(&answer, text);
    Ok(())
}

async fn load_file(
    catalog: &Catalog,
    path: &Path,
    now: Timestamp,
    answer: &mut Answer,
    output: Output,
) -> Result<(), Diagnosis> {
    let unread = |what: String| {
        Diagnosis::refusal(
            codes::UNREADABLE_RECORDS,
            format!("{what}; expected a saved answer to ListRecords or GetRecord"),
            "save the answer whole, as the repository sent it; what came before in the file is loaded",
        )
        .in_file(path)
    };
    let faulty = |fault: Fault| unread(with_causes(&fault));
    let mut file = File::open(path).map_err(|e| unread(format!("it cannot be read: {e}")))?;
    let mut parser =
        Parser::new(verb_of(path).map_err(|e| unread(format!("it cannot be read: {e}")))?, Limits::default());
    let mut buffer = vec![0; READ_BYTES];
    let mut records = Vec::new();
    loop {
        let read = file.read(&mut buffer).map_err(|e| unread(format!("it cannot be read: {e}")))?;
        match read {
            0 => parser.finish(),
            read => parser.feed(&buffer[..read]).map_err(faulty)?,
        }
        while let Some(entry) = parser.next().map_err(faulty)? {
            match entry {
                Entry::Record(record) => records.push(record),
                Entry::Unreadable { identifier, why } => {
                    answer.review += 1;
                    output.note(format_args!("  {}: {why}", identifier.unwrap_or_default()));
                }
            }
            if records.len() >= LOAD_RECORDS {
                load_group(catalog, std::mem::take(&mut records), now, answer, output).await?;
            }
        }
        if read == 0 {
            return load_group(catalog, records, now, answer, output).await;
        }
    }
}

/// Which answer a file holds, by the first verb's element in it.
fn verb_of(path: &Path) -> std::io::Result<Verb> {
    let mut start = String::new();
    let mut bytes = Vec::new();
    File::open(path)?.take(READ_BYTES as u64).read_to_end(&mut bytes)?;
    start.push_str(&String::from_utf8_lossy(&bytes));
    let at = |verb: Verb| start.find(&format!("<{}", verb.as_str())).unwrap_or(usize::MAX);
    Ok(if at(Verb::GetRecord) < at(Verb::ListRecords) { Verb::GetRecord } else { Verb::ListRecords })
}

async fn load_group(
    catalog: &Catalog,
    records: Vec<Record>,
    now: Timestamp,
    answer: &mut Answer,
    output: Output,
) -> Result<(), Diagnosis> {
    let identifiers: Vec<String> = records.iter().map(|record| record.header.identifier.clone()).collect();
    for (identifier, loaded) in identifiers.iter().zip(catalog.load(records, now).await?) {
        match loaded {
            Loaded::New | Loaded::Changed => answer.loaded += 1,
            Loaded::Same | Loaded::Older => answer.unchanged += 1,
            Loaded::Deleted | Loaded::AlreadyDeleted => answer.deleted += 1,
            Loaded::Review(why) => {
                answer.review += 1;
                output.note(format_args!("  {identifier}: {why}"));
            }
        }
    }
    Ok(())
}
