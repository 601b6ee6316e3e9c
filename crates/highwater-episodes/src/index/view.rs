//! An index as it lies in a file, to look at, with what is told beside it: nothing is locked, made or mended. Owns which of its lines count.
//!
//! What is appended meanwhile is not seen; rows are never changed, so what is seen was so at one moment.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;

use highwater_engine::diagnosis::with_causes;
use jiff::Timestamp;

use super::jsonl::found_in;
use super::jsonl::lines::next_line;
use super::jsonl::lost::lost_note;
use super::jsonl::places::{Known, Print, Says, print_of};
use super::row::{Found, LINE_BYTES_MAX, Row, RowError};
use super::tombs::{Force, Stored, Tombs, Word};
use super::{
    Appended, Figures, Index, IndexError, PAGE_ROWS_MAX, Page, PageAsk, StillHolds, UnreadableLine, passed_over,
};
use crate::name::EpisodeKey;
use crate::odd::Odd;

/// What is read of the file at a time.
const READ_BYTES: usize = 256 << 10;
/// How much of the file is read by one thread at a time.
const PART_BYTES: u64 = 4 << 20;
/// How many parts a thread may have read that are not looked at yet.
const PARTS_AHEAD_MAX: usize = 2;
/// What is read at a time where one row is wanted.
const ROW_READ_BYTES: usize = 1024;

/// An index at one moment.
pub struct View {
    path: PathBuf,
    places: Known<u64>,
    /// The same places in the order of the file, once somebody reads it through: a key need not be made of each line to know it.
    in_order: OnceLock<Vec<u64>>,
    /// Which of these are tombstones.
    withdrawn: Known<()>,
    /// Tombstones that somebody took out of it, as the file beside it tells: their keys are withdrawn all the same.
    lost: Known<Row>,
    /// When the last of all was written by which something was withdrawn, its name free since or not.
    last_withdrawal: Option<Timestamp>,
    figures: Figures,
}

impl View {
    /// Reads the file; one that is not there is an empty index.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read(path: &Path) -> Result<Self, IndexError> {
        let mut view = Self {
            path: path.to_path_buf(),
            places: Known::default(),
            in_order: OnceLock::new(),
            withdrawn: Known::default(),
            lost: Known::default(),
            last_withdrawal: None,
            figures: Figures::default(),
        };
        // One that is a pipe would not be opened before somebody writes into it.
        Odd::is_none_at(path)?;
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(view),
            Err(error) => return Err(view.failed(error)),
        };
        view.figures.size_bytes = file.metadata().map_err(|error| view.failed(error))?.len();
        let (mut places, mut tombs, mut unreadable) = (Known::<u64>::default(), Tombs::default(), 0);
        let (mut withdrawn, mut last_withdrawal) = (Known::default(), None);
        view.walk(
            |all: &mut Vec<Taken>, offset, found| match found {
                Err(RowError::Empty) => {}
                Err(_) => all.push(Taken::Nothing),
                Ok(found) => all.push(Taken::Row(found.print(), (offset, found.says(), found.word()))),
            },
            |all| {
                for taken in all {
                    match taken {
                        Taken::Nothing => unreadable += 1,
                        Taken::Row(print, line) => {
                            if let Word::Withdrawn(at) | Word::Removed { at, frees: true } = line.2 {
                                last_withdrawal = last_withdrawal.max(Some(at));
                            }
                            let before = || view.stored_at(print, *places.get(&print)?);
                            let Some(force) = tombs.takes(print, line, before) else { continue };
                            withdrawn.remove(&print);
                            match force {
                                Force::Free => drop(places.remove(&print)),
                                Force::Line { place, says } => {
                                    places.insert(print, place);
                                    if says == Says::WITHDRAWN {
                                        withdrawn.insert(print, ());
                                    }
                                }
                            }
                        }
                    }
                }
                Ok::<_, IndexError>(true)
            },
        )?;
        for row in lost_note(path)?.unwrap_or_default().tombstones {
            let print = print_of(row.host_id.as_str(), row.episode_id.as_str());
            last_withdrawal = last_withdrawal.max(Some(row.received_at_wall));
            if !tombs.knows(&print, row.received_at_wall) {
                places.remove(&print);
                view.lost.insert(print, row);
            }
        }
        (view.places, view.withdrawn, view.figures.unreadable) = (places, withdrawn, unreadable);
        view.last_withdrawal = last_withdrawal;
        view.figures.keys = (view.places.len() + view.lost.len()) as u64;
        Ok(view)
    }

    /// The first of the lines that are no rows.
    ///
    /// # Errors
    /// What the disk says.
    pub fn first_unreadable(&self) -> Result<Option<UnreadableLine>, IndexError> {
        if self.figures.unreadable == 0 {
            return Ok(None);
        }
        let first = || -> io::Result<Option<UnreadableLine>> {
            let mut lines = self.lines(File::open(&self.path)?, 0);
            let mut number = 0;
            while let Some((_, found)) = lines.next()? {
                number += 1;
                if let Some(error) = found.err().filter(|error| !matches!(error, RowError::Empty)) {
                    return Ok(Some(UnreadableLine { line: number, why: with_causes(&error) }));
                }
            }
            Ok(None)
        };
        first().map_err(|error| self.failed(error))
    }

    /// What is told of its lines that are no rows; `None` where there are none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn passed_over(&self) -> Result<Option<String>, IndexError> {
        Ok(passed_over(self.figures.unreadable, self.first_unreadable()?.as_ref()))
    }

    /// Whether a row counts for a key.
    #[must_use]
    pub fn has(&self, key: &EpisodeKey) -> bool {
        let print = print_of(key.host.as_str(), key.episode.as_str());
        self.places.contains_key(&print) || self.lost.contains_key(&print)
    }

    /// When something was last withdrawn, whether its name was made free by that, or since, or not.
    #[must_use]
    pub fn last_withdrawal(&self) -> Option<Timestamp> {
        self.last_withdrawal
    }

    /// Whether a key is withdrawn.
    #[must_use]
    pub fn is_withdrawn(&self, key: &EpisodeKey) -> bool {
        let print = print_of(key.host.as_str(), key.episode.as_str());
        self.withdrawn.contains_key(&print) || self.lost.contains_key(&print)
    }

    /// What `make` makes of each row that counts and is asked for, in the order in which they came; ends at the first that `each` does
    /// not want more after. Several rows are made into something at once.
    ///
    /// # Errors
    /// What the disk says, and what `each` does.
    pub fn each<T: Send, E: From<IndexError>>(
        &self,
        ask: &PageAsk,
        make: impl Fn(Row) -> T + Sync,
        mut each: impl FnMut(T) -> Result<bool, E>,
    ) -> Result<(), E> {
        let add = |all: &mut Vec<T>, found: Found<'_>| all.push(make(found.row()));
        self.fold(ask, add, |all| {
            for made in all {
                if !each(made)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// The rows that count and are asked for, a part of the file at a time: `add` gathers those of a part, several parts at once, and
    /// `each` gets what was gathered, in the order of the parts, until it wants no more. Tombstones that are not in the file come last.
    ///
    /// # Errors
    /// What the disk says, and what `each` does.
    pub fn fold<A: Default + Send, E: From<IndexError>>(
        &self,
        ask: &PageAsk,
        add: impl Fn(&mut A, Found<'_>) + Sync,
        mut each: impl FnMut(A) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut wants_more = true;
        let in_order = self.in_order.get_or_init(|| {
            let mut places: Vec<u64> = self.places.values().copied().collect();
            places.sort_unstable();
            places
        });
        let counts = |offset: u64| in_order.binary_search(&offset).is_ok();
        self.walk(
            |all: &mut A, offset, found| {
                if let Some(found) = found.ok().filter(|found| found.is_wanted(ask) && counts(offset)) {
                    add(all, found);
                }
            },
            |all| {
                wants_more = each(all)?;
                Ok::<_, E>(wants_more)
            },
        )?;
        let mut all = A::default();
        for found in self.lost_rows().into_iter().map(Found::of).filter(|found| found.is_wanted(ask)) {
            add(&mut all, found);
        }
        if wants_more && !self.lost.is_empty() {
            each(all)?;
        }
        Ok(())
    }

    fn lost_rows(&self) -> Vec<Row> {
        let mut rows: Vec<_> = self.lost.values().cloned().collect();
        rows.sort_by_key(Row::key);
        rows
    }

    /// What `add` gathers of every line of a part, until no more is wanted; several parts of the file are read at once, and the next
    /// ones while `each` looks at what was made of those before.
    fn walk<A: Default + Send, E: From<IndexError>>(
        &self,
        add: impl Fn(&mut A, u64, Result<Found<'_>, RowError>) + Sync,
        mut each: impl FnMut(A) -> Result<bool, E>,
    ) -> Result<(), E> {
        let end = self.figures.size_bytes;
        let at_once = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let parts = end.div_ceil(PART_BYTES);
        if parts <= 1 || at_once == 1 {
            for part in 0..parts {
                if !each(self.part(part * PART_BYTES, end, &add).map_err(|error| self.failed(error))?)? {
                    break;
                }
            }
            return Ok(());
        }
        std::thread::scope(|threads| {
            // Each reader has its own queue, and takes every so-manieth part: so their parts are in order, and none runs far ahead.
            let readers = (0..at_once.min(parts)).map(|first| {
                let (sender, receiver) = sync_channel(PARTS_AHEAD_MAX);
                let add = &add;
                threads.spawn(move || {
                    for part in (first..parts).step_by(at_once as usize) {
                        if sender.send(self.part(part * PART_BYTES, end, add)).is_err() {
                            break;
                        }
                    }
                });
                receiver
            });
            let readers: Vec<_> = readers.collect();
            for part in 0..parts {
                let read = readers[(part % at_once) as usize].recv();
                let read = read.unwrap_or_else(|_| Err(io::Error::other("a thread that read it has ended")));
                if !each(read.map_err(|error| self.failed(error))?)? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// What is gathered of the lines that begin in a part of the file.
    fn part<A: Default>(
        &self,
        begins: u64,
        end: u64,
        add: &impl Fn(&mut A, u64, Result<Found<'_>, RowError>),
    ) -> io::Result<A> {
        let ends = (begins + PART_BYTES).min(end);
        let mut file = File::open(&self.path)?;
        // A line that begins at the very beginning is one of this part: what is before it is its end.
        let before = begins.saturating_sub(1);
        file.seek(SeekFrom::Start(before))?;
        let mut lines = self.lines(file, before);
        let mut all = A::default();
        if begins > 0
            && next_line(&mut lines.reader, before, &mut lines.kept)?.is_none_or(|line| {
                lines.at = line.end;
                line.end >= ends
            })
        {
            return Ok(all);
        }
        while lines.at < ends {
            let Some((offset, found)) = lines.next()? else { break };
            add(&mut all, offset, found);
        }
        Ok(all)
    }

    /// What the line at a place holds, where it is a row.
    fn read_at<T>(&self, place: u64, take: impl FnOnce(Found<'_>) -> Option<T>) -> io::Result<Option<T>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(place))?;
        let mut reader = BufReader::with_capacity(ROW_READ_BYTES, file.take(LINE_BYTES_MAX as u64 + 1));
        let mut kept = Vec::new();
        next_line(&mut reader, place, &mut kept)?;
        Ok(Found::read(&kept).ok().and_then(take))
    }

    /// What the row at a place says, if it is this key's and says that something is stored.
    fn stored_at(&self, print: Print, place: u64) -> Option<Stored> {
        let stored = |found: Found<'_>| {
            let says = found.says().filter(|_| found.print() == print)?;
            Some(Stored { at: found.received_at_wall(), place, says })
        };
        self.read_at(place, stored).ok().flatten()
    }

    fn lines(&self, file: File, from: u64) -> Lines {
        let reader = BufReader::with_capacity(READ_BYTES, file.take(self.figures.size_bytes.saturating_sub(from)));
        Lines { reader, at: from, kept: Vec::new() }
    }

    fn failed(&self, source: io::Error) -> IndexError {
        IndexError::Unread { path: self.path.clone(), source }
    }
}

/// Whether a file is an index as far as its first bytes show: it has a row there, or is empty, or not there.
///
/// # Errors
/// What the disk says.
pub fn begins_with_rows(path: &Path, bytes_max: u64) -> Result<bool, IndexError> {
    Odd::is_none_at(path)?;
    let failed = |source| IndexError::Unread { path: path.to_path_buf(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(failed(error)),
    };
    let mut reader = BufReader::with_capacity(READ_BYTES, file.take(bytes_max));
    let (mut at, mut kept) = (0, Vec::new());
    while let Some(line) = next_line(&mut reader, at, &mut kept).map_err(failed)? {
        if !line.too_long && Found::read(&kept).is_ok() {
            return Ok(true);
        }
        at = line.end;
    }
    Ok(at == 0)
}

impl Index for View {
    fn find(&self, key: &EpisodeKey) -> Result<Option<Row>, IndexError> {
        let print = print_of(key.host.as_str(), key.episode.as_str());
        if let Some(lost) = self.lost.get(&print) {
            return Ok(Some(lost.clone()));
        }
        let Some(place) = self.places.get(&print) else { return Ok(None) };
        let row = self.read_at(*place, |found| Some(found.row()).filter(|row| row.key() == *key));
        row.map_err(|error| self.failed(error))?.map(Some).ok_or_else(|| IndexError::Moved(key.clone()))
    }

    fn append_where(&self, rows: &[Row], _: &mut StillHolds<'_>) -> Result<Vec<Appended>, IndexError> {
        if rows.is_empty() { Ok(Vec::new()) } else { Err(IndexError::ReadOnly) }
    }

    fn page(&self, ask: &PageAsk) -> Result<Page, IndexError> {
        let mut page = Page { next: ask.cursor, complete: true, ..Page::default() };
        if ask.cursor.at >= self.figures.size_bytes {
            return Ok(page);
        }
        let mut file = File::open(&self.path).map_err(|error| self.failed(error))?;
        file.seek(SeekFrom::Start(ask.cursor.at)).map_err(|error| self.failed(error))?;
        let mut lines = self.lines(file, ask.cursor.at);
        let rows_max = ask.rows_max.clamp(1, PAGE_ROWS_MAX);
        while let Some((offset, found)) = lines.next().map_err(|error| self.failed(error))? {
            let row =
                found.ok().filter(|found| found.is_wanted(ask) && self.places.get(&found.print()) == Some(&offset));
            page.rows.extend(row.map(|found| found.row()));
            page.next.at = lines.at;
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

    /// Those that the file beside the index tells of and the index does not say.
    fn lost_tombstones(&self) -> Result<Vec<Row>, IndexError> {
        Ok(self.lost_rows())
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What a line means for its key.
enum Taken {
    Row(Print, (u64, Option<Says>, Word)),
    /// It is no row.
    Nothing,
}

/// Lines with where they begin.
struct Lines {
    reader: BufReader<io::Take<File>>,
    at: u64,
    kept: Vec<u8>,
}

impl Lines {
    /// The next line: its row, or why it is none. What is torn at the end is no line, unless it lacks nothing but its end.
    fn next(&mut self) -> io::Result<Option<(u64, Result<Found<'_>, RowError>)>> {
        let Some(line) = next_line(&mut self.reader, self.at, &mut self.kept)? else { return Ok(None) };
        self.at = line.end;
        let found = found_in(&line, &self.kept);
        Ok((line.whole || found.is_ok()).then_some((line.offset, found)))
    }
}
