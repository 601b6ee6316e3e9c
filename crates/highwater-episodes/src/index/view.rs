//! An index as it lies in a file, to look at: nothing is locked, made or mended. Owns which of its lines count.
//!
//! What is appended meanwhile is not seen; rows are never changed, so what is seen was so at one moment.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::hash::BuildHasherDefault;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::jsonl::lines::next_line;
use super::jsonl::{Print, PrintHasher, print_of};
use super::row::{LINE_BYTES_MAX, Row};
use super::{Appended, Figures, Index, IndexError, PAGE_ROWS_MAX, Page, PageAsk, StillHolds};
use crate::name::EpisodeKey;

/// What is read of the file at a time.
const READ_BYTES: usize = 256 << 10;
/// How much of the file is read by one thread at a time.
const PART_BYTES: u64 = 4 << 20;
/// What is read at a time where one row is wanted.
const ROW_READ_BYTES: usize = 1024;

/// An index at one moment.
pub struct View {
    path: PathBuf,
    places: HashMap<Print, u64, BuildHasherDefault<PrintHasher>>,
    figures: Figures,
}

impl View {
    /// Reads the file; one that is not there is an empty index.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read(path: &Path) -> Result<Self, IndexError> {
        let mut view = Self { path: path.to_path_buf(), places: HashMap::default(), figures: Figures::default() };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(view),
            Err(error) => return Err(view.failed(error)),
        };
        view.figures.size_bytes = file.metadata().map_err(|error| view.failed(error))?.len();
        let (mut places, mut unreadable) = (HashMap::default(), 0);
        view.walk(0, |line| {
            match line.row {
                None => unreadable += 1,
                Some(row) if row.removed.is_some() => drop(places.remove(&line.print)),
                Some(_) => drop(places.insert(line.print, line.offset)),
            }
            Ok::<_, IndexError>(true)
        })?;
        (view.places, view.figures.unreadable) = (places, unreadable);
        view.figures.keys = view.places.len() as u64;
        Ok(view)
    }

    /// The rows that count, in the order in which they came; ends at the first that `each` does not want more after.
    ///
    /// # Errors
    /// What the disk says, and what `each` does.
    pub fn each<E: From<IndexError>>(&self, mut each: impl FnMut(Row) -> Result<bool, E>) -> Result<(), E> {
        self.walk(0, |line| match line.row {
            Some(row) if self.places.get(&line.print) == Some(&line.offset) => each(row),
            _ => Ok(true),
        })
    }

    /// Every line from a place on, until no more is wanted; several parts of the file are read at once.
    fn walk<E: From<IndexError>>(&self, from: u64, mut each: impl FnMut(Parsed) -> Result<bool, E>) -> Result<(), E> {
        let at_once = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let (mut from, end) = (from, self.figures.size_bytes);
        while from < end {
            let parts = (0..at_once).map(|part| from + part * PART_BYTES).take_while(|begins| *begins < end);
            let parts: Vec<_> = parts.collect();
            let read: Vec<io::Result<Vec<Parsed>>> = if parts.len() == 1 {
                vec![self.part(from, end)]
            } else {
                std::thread::scope(|threads| {
                    let readers: Vec<_> =
                        parts.iter().map(|begins| threads.spawn(|| self.part(*begins, end))).collect();
                    let ended = |reader: std::thread::ScopedJoinHandle<'_, _>| {
                        reader.join().unwrap_or_else(|_| Err(io::Error::other("a thread that read it has ended")))
                    };
                    readers.into_iter().map(ended).collect()
                })
            };
            for part in read {
                for line in part.map_err(|error| self.failed(error))? {
                    if !each(line)? {
                        return Ok(());
                    }
                }
            }
            from += parts.len() as u64 * PART_BYTES;
        }
        Ok(())
    }

    /// The lines that begin in a part of the file.
    fn part(&self, begins: u64, end: u64) -> io::Result<Vec<Parsed>> {
        let ends = (begins + PART_BYTES).min(end);
        let mut file = File::open(&self.path)?;
        // A line that begins at the very beginning is one of this part: what is before it is its end.
        let before = begins.saturating_sub(1);
        file.seek(SeekFrom::Start(before))?;
        let mut lines = self.lines(file, before);
        if begins > 0
            && next_line(&mut lines.reader, before, &mut lines.kept)?.is_none_or(|line| {
                lines.at = line.end;
                line.end >= ends
            })
        {
            return Ok(Vec::new());
        }
        let mut parsed = Vec::new();
        while lines.at < ends {
            let Some((offset, row)) = lines.next()? else { break };
            let print = row.as_ref().map_or([0, 0], |row| print_of(&row.key()));
            parsed.push(Parsed { offset, print, row });
        }
        Ok(parsed)
    }

    fn lines(&self, file: File, from: u64) -> Lines {
        let reader = BufReader::with_capacity(READ_BYTES, file.take(self.figures.size_bytes.saturating_sub(from)));
        Lines { reader, at: from, kept: Vec::new() }
    }

    fn failed(&self, source: io::Error) -> IndexError {
        IndexError::Unread { path: self.path.clone(), source }
    }
}

impl Index for View {
    fn find(&self, key: &EpisodeKey) -> Result<Option<Row>, IndexError> {
        let Some(place) = self.places.get(&print_of(key)) else { return Ok(None) };
        let mut file = File::open(&self.path).map_err(|error| self.failed(error))?;
        file.seek(SeekFrom::Start(*place)).map_err(|error| self.failed(error))?;
        let mut reader = BufReader::with_capacity(ROW_READ_BYTES, file.take(LINE_BYTES_MAX as u64 + 1));
        let mut kept = Vec::new();
        next_line(&mut reader, *place, &mut kept).map_err(|error| self.failed(error))?;
        let row = Row::from_line(&kept).ok().filter(|row| row.key() == *key);
        row.map(Some).ok_or_else(|| IndexError::Moved(key.clone()))
    }

    fn append_where(&self, rows: &[Row], _: &mut StillHolds<'_>) -> Result<Vec<Appended>, IndexError> {
        if rows.is_empty() { Ok(Vec::new()) } else { Err(IndexError::ReadOnly) }
    }

    fn page(&self, ask: &PageAsk) -> Result<Page, IndexError> {
        let mut page = Page { next: ask.cursor, complete: true, ..Page::default() };
        if ask.cursor.0 >= self.figures.size_bytes {
            return Ok(page);
        }
        let mut file = File::open(&self.path).map_err(|error| self.failed(error))?;
        file.seek(SeekFrom::Start(ask.cursor.0)).map_err(|error| self.failed(error))?;
        let mut lines = self.lines(file, ask.cursor.0);
        let rows_max = ask.rows_max.clamp(1, PAGE_ROWS_MAX);
        while let Some((offset, row)) = lines.next().map_err(|error| self.failed(error))? {
            page.next.0 = lines.at;
            let Some(row) = row.filter(|row| ask.wants(row)) else { continue };
            if self.places.get(&print_of(&row.key())) == Some(&offset) {
                page.rows.push(row);
            }
            if page.rows.len() == rows_max {
                page.complete = lines.at >= self.figures.size_bytes;
                break;
            }
        }
        Ok(page)
    }

    fn figures(&self) -> Result<Figures, IndexError> {
        Ok(self.figures)
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A line: its row, or none where it is none.
struct Parsed {
    offset: u64,
    print: Print,
    row: Option<Row>,
}

/// Lines with where they begin.
struct Lines {
    reader: BufReader<io::Take<File>>,
    at: u64,
    kept: Vec<u8>,
}

impl Lines {
    /// The next line: its row, or none where it is none. What is torn at the end is no line, unless it lacks nothing but its end.
    fn next(&mut self) -> io::Result<Option<(u64, Option<Row>)>> {
        let Some(line) = next_line(&mut self.reader, self.at, &mut self.kept)? else { return Ok(None) };
        self.at = line.end;
        let row = if line.too_long { None } else { Row::from_line(&self.kept).ok() };
        Ok((line.whole || row.is_some()).then_some((line.offset, row)))
    }
}
