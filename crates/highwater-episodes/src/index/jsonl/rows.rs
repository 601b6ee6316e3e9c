//! The lines of an index as they are read one after the other. Owns what is a line there; which of them count is the index's.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use highwater_fs::{FsError, Op};

use super::lines::next_line;
use super::{READ_BYTES, found_in};
use crate::index::row::{Found, Row, RowError};
use crate::index::{Cursor, IndexError};

/// The lines of an index, one at a time: each is a row, or why it is none.
pub struct Rows {
    reader: BufReader<io::Take<Box<dyn Read + Send>>>,
    at: u64,
    pub(super) until: u64,
    kept: Vec<u8>,
    path: PathBuf,
}

impl Rows {
    /// Those from a place on until another, of a reader that begins at the first.
    pub(super) fn new(reader: Box<dyn Read + Send>, from: u64, until: u64, path: PathBuf) -> Self {
        let reader = BufReader::with_capacity(READ_BYTES, reader.take(until - from));
        Self { reader, at: from, until, kept: Vec::new(), path }
    }

    /// Where the next line begins.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { at: self.at, after: None }
    }

    /// The next line, without its row being made.
    pub(super) fn found(&mut self) -> Result<Option<Result<Found<'_>, RowError>>, IndexError> {
        let read = next_line(&mut self.reader, self.at, &mut self.kept);
        let read = read.map_err(|source| FsError::Io { op: Op::Read, path: self.path.clone(), source })?;
        let Some(line) = read.filter(|line| line.whole) else { return Ok(None) };
        self.at = line.end;
        Ok(Some(found_in(&line, &self.kept)))
    }
}

impl Iterator for Rows {
    type Item = Result<Result<Row, RowError>, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.found().transpose()?;
        Some(found.map(|found| found.map(Found::row)))
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("at", &self.at).finish_non_exhaustive()
    }
}
