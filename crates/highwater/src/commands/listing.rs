//! A list that is printed page by page, however long it is. Owns that a reader who went away ends it and that a disk which
//! is full fails it: a list that is cut off must not end with exit 0.

use std::io::{self, ErrorKind, Seek, Write};

use highwater_engine::diagnosis::Diagnosis;
use serde::Serialize;

use super::codes;

/// Whether anyone still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// The next page is wanted.
    There,
    /// As in `| head`: nothing more is wanted.
    Gone,
}

/// Prints one page to stdout as it is.
pub(super) fn print(page: &[u8]) -> Result<Reader, Diagnosis> {
    let mut stdout = io::stdout().lock();
    reader(stdout.write_all(page).and_then(|()| stdout.flush()))
}

/// Prints a file from its beginning as it is.
pub(super) fn copy(mut file: std::fs::File) -> Result<Reader, Diagnosis> {
    let mut stdout = io::stdout().lock();
    let copied = file.rewind().and_then(|()| io::copy(&mut file, &mut stdout));
    reader(copied.and_then(|_| stdout.flush()))
}

/// What a write says of the one who reads.
pub(super) fn reader(written: io::Result<()>) -> Result<Reader, Diagnosis> {
    match written {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(unprinted(&error.to_string())),
    }
}

/// An answer that is not whole.
pub(crate) fn unprinted(why: &str) -> Diagnosis {
    Diagnosis::failure(
        codes::CANNOT_PRINT,
        format!("the answer could not be printed to its end: {why}"),
        "free space where it is printed to, and call again",
    )
}

/// Rows as lines of JSON.
pub(super) fn json_lines<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut page = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut page, &row)
            .expect("invariant: a row is texts and numbers, and a Vec takes every write");
        page.push(b'\n');
    }
    page
}
