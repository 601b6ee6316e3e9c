//! `episodes export`: rows as a file for other programs. Owns that the file is there whole or not at all.

mod mark;
mod parquet;
mod place;

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_episodes::index::{PageAsk, Row, View};
use highwater_episodes::reindex::Files;
use tempfile::NamedTempFile;

use self::parquet::{Sheet, misfit};
use super::super::codes;
use super::super::listing::reader;
use super::{COLUMNS, Ended, asked, check_hosts, csv_lines, fields, files, view};
use crate::Done;
use crate::bar::counted;
use crate::cli::{EpisodesExport, ExportFormat, Global};
use crate::output::Output;

/// What a file may be read by, where the mask of the user does not forbid it.
const FILE_MODE: u32 = 0o644;

pub(super) fn export(args: &EpisodesExport, global: &Global, output: Output) -> Done {
    let one = |error| vec![error];
    let out = args.out.as_deref().filter(|out| *out != Path::new("-"));
    if args.format == ExportFormat::Parquet && out.is_none() && io::stdout().is_terminal() {
        let message = "Parquet is no text, and this is a terminal";
        let next = "name a file with `--out`, or pass it on to a program";
        return Err(one(Diagnosis::refusal(codes::NO_TEXT, message, next).at_field("--format")));
    }
    let asked = asked(&args.which).map_err(one)?;
    let files = files(args.which.root.as_deref(), global)?;
    if let Some(path) = out {
        place::free(path, &files).map_err(one)?;
    }
    let view = view(&files, output).map_err(one)?;
    check_hosts(&asked, &files, &view).map_err(one)?;
    if args.format == ExportFormat::Parquet {
        // Before the first byte: what is written to a program cannot be taken back.
        all_fit(&view, &asked, &files).map_err(|ended| one(ended.diagnosis()))?;
    }
    let exported = match out {
        Some(path) => to_file(&view, &asked, args.format, path),
        None => {
            let mut stdout = BufWriter::new(io::stdout());
            match write(&view, &asked, args.format, b"", &mut stdout) {
                Ok(rows) => reader(stdout.flush()).map(|_| rows).map_err(Ended::Told),
                Err(Fault::Io(error)) => reader(Err(error)).map(|_| 0).map_err(Ended::Told),
                Err(Fault::Ended(ended)) => Err(ended),
            }
        }
    };
    let rows = exported.map_err(|ended| one(ended.diagnosis()))?;
    if let Some(path) = out {
        output.answer(
            &serde_json::json!({ "rows": rows, "file": path.to_string_lossy() }),
            format_args!("{} in {}", counted(rows, "row"), path.display()),
        );
    }
    Ok(ExitCode::Drained)
}

/// That a sheet has a place for every row.
fn all_fit(view: &View, asked: &PageAsk, files: &Files) -> Result<(), Ended> {
    view.each(asked, |row| misfit(&row), |misfit| {
        let Some(misfit) = misfit else { return Ok(true) };
        let message = format!("{misfit}, the largest number that Parquet has for it; nothing was written");
        let next = "no file is so large: correct that line, or take `--format csv` or `--format json`, which write it as it is";
        Err(Ended::Told(Diagnosis::failure(codes::CANNOT_EXPORT, message, next).in_file(&files.index)))
    })
}

enum Fault {
    Io(io::Error),
    Ended(Ended),
}

impl From<highwater_episodes::index::IndexError> for Fault {
    fn from(error: highwater_episodes::index::IndexError) -> Self {
        Self::Ended(error.into())
    }
}

fn write(
    view: &View,
    asked: &PageAsk,
    format: ExportFormat,
    mark: &'static [u8],
    to: &mut (impl Write + Send),
) -> Result<u64, Fault> {
    let mut rows = 0;
    let text: Box<dyn Fn(Row) -> Vec<u8> + Sync> = match format {
        ExportFormat::Json => Box::new(move |row| [mark, row.to_line().as_bytes()].concat()),
        ExportFormat::Csv => {
            to.write_all(&csv_lines([COLUMNS])).map_err(Fault::Io)?;
            Box::new(|row| csv_lines([fields(&row)]))
        }
        ExportFormat::Parquet => {
            let mut sheet = Sheet::begin(to).map_err(Fault::Io)?;
            let same = |row| row;
            view.each(asked, same, |row| {
                rows += 1;
                sheet.add(row).map_err(Fault::Io).map(|()| true)
            })?;
            return sheet.end().map_err(Fault::Io).map(|()| rows);
        }
    };
    view.each(asked, text, |text| {
        rows += 1;
        to.write_all(&text).map_err(Fault::Io).map(|()| true)
    })?;
    Ok(rows)
}

fn to_file(view: &View, asked: &PageAsk, format: ExportFormat, path: &Path) -> Result<u64, Ended> {
    let cannot = |error: io::Error| {
        let next = "name a file in a directory that this user can write, with room for it";
        let message = format!("it cannot be written: {error}; what was there is as it was");
        Ended::Told(Diagnosis::failure(codes::CANNOT_EXPORT, message, next).in_file(path).at_field("--out"))
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(FILE_MODE);
    let file = tempfile::Builder::new().prefix(".export-").permissions(mode).tempfile_in(dir).map_err(cannot)?;
    let mut file: BufWriter<NamedTempFile> = BufWriter::new(file);
    let rows = write(view, asked, format, mark::JSON, &mut file).map_err(|fault| match fault {
        Fault::Io(error) => cannot(error),
        Fault::Ended(ended) => ended,
    })?;
    let file = file.into_inner().map_err(|error| cannot(error.into_error()))?;
    file.as_file().sync_all().map_err(cannot)?;
    file.persist(path).map_err(|error| cannot(error.error))?;
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(cannot)?;
    Ok(rows)
}
