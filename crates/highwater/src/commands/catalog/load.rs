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
    // All of it is read before any of it counts: an answer that breaks off loads nothing.
    for file in files {
        let mut saved = Saved::open(file)?;
        while saved.next()?.is_some() {}
    }
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
    let mut saved = Saved::open(path)?;
    let mut records = Vec::new();
    while let Some(entry) = saved.next()? {
        match entry {
            Entry::Record(record) => records.push(record),
            Entry::Unreadable { identifier, header, why } => {
                answer.review += 1;
                output.note(format_args!("  {}: {why}", identifier.unwrap_or_default()));
                if let Some(header) = header {
                    load_group(catalog, std::mem::take(&mut records), now, answer, output).await?;
                    catalog.set_aside(vec![(*header, why)], now).await?;
                }
            }
        }
        if records.len() >= LOAD_RECORDS {
            load_group(catalog, std::mem::take(&mut records), now, answer, output).await?;
        }
    }
    load_group(catalog, records, now, answer, output).await
}

/// A saved answer, on the way through it.
struct Saved<'p> {
    path: &'p Path,
    file: File,
    parser: Parser,
    buffer: Vec<u8>,
    at_end: bool,
}

impl<'p> Saved<'p> {
    fn open(path: &'p Path) -> Result<Self, Diagnosis> {
        let cannot = |e: std::io::Error| unread(path, format!("it cannot be read: {e}"));
        let file = File::open(path).map_err(cannot)?;
        let parser = Parser::new(verb_of(path).map_err(cannot)?, Limits::default());
        Ok(Self { path, file, parser, buffer: vec![0; READ_BYTES], at_end: false })
    }

    fn next(&mut self) -> Result<Option<Entry>, Diagnosis> {
        let faulty = |fault: Fault| unread(self.path, with_causes(&fault));
        loop {
            if let Some(entry) = self.parser.next().map_err(faulty)? {
                return Ok(Some(entry));
            }
            if self.at_end {
                return Ok(None);
            }
            match self.file.read(&mut self.buffer) {
                Ok(0) => {
                    self.at_end = true;
                    self.parser.finish();
                }
                Ok(read) => self.parser.feed(&self.buffer[..read]).map_err(faulty)?,
                Err(e) => return Err(unread(self.path, format!("it cannot be read: {e}"))),
            }
        }
    }
}

fn unread(path: &Path, what: String) -> Diagnosis {
    Diagnosis::refusal(
        codes::UNREADABLE_RECORDS,
        format!("{what}; expected a saved answer to ListRecords or GetRecord"),
        "save the answer whole, as the repository sent it; nothing was loaded",
    )
    .in_file(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
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
