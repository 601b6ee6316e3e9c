//! The index as a file, `index.jsonl`: one row a line, appended and never changed. Owns how it is appended to beside other
//! processes, what becomes of a torn end and of lines that cannot be read, and where the row of a key is.
//!
//! In memory is the place of each key's row, with what it says in eight bytes: 48 bytes a key, and the tombstones. The row itself is read
//! when it is asked for. Where somebody changed the file, it is shorter, does not end as it did, is another one, has other times than the
//! last change of ours gave it, or a row is not where it was: it is read anew, and while rows that counted are not there any more there are
//! no pages, for a list that lacks them would be taken for all there is. What is missed then is [`lost`]'s, and which pages there are is
//! [`pages`]'.
//!
//! What is here of a process that died may not have been synced by it, so the file is synced once after what others wrote was
//! read. After a sync of ours that failed, the rows of that append are cut off again before anything else is done, for the
//! kernel calls their bytes clean without having saved them; until that succeeds the lock is kept.

pub(super) mod lines;
pub(super) mod lost;
mod pages;
pub(super) mod places;
mod rows;
mod state;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use highwater_fs::{Fs, FsError, FsFile, Mode, Op, Quarantine, Quarantined, RelPath};
use jiff::Timestamp;

use self::lines::{Line, next_line};
use self::lost::{Compared, LOST_SUFFIX, Lost};
use self::places::{Print, Says, print_of};
pub use self::rows::Rows;
pub(super) use self::state::found_in;
use self::state::{State, stands_against};
use super::lock::{HeldLock, IndexLock};
use super::row::{Found, LINE_BYTES_MAX, Row, RowError};
use super::{Appended, Cursor, Figures, Index, IndexError, LOST_NEXT, Missed, Page, PageAsk, StillHolds};
use crate::name::EpisodeKey;
use crate::odd::Odd;

/// Longest torn end that is moved to quarantine; a longer one stays, as a line that cannot be read.
pub const TORN_BYTES_MAX: u64 = 16 << 20;
/// Most lines that cannot be read which are named; all are counted.
pub const UNREADABLE_NAMED_MAX: usize = 100;
/// What is read of the file at a time.
const READ_BYTES: usize = 256 * 1024;
/// How much of the end of what is known is compared before what was appended is taken up.
const END_BYTES: u64 = 256;
/// What is read at a time where one row is wanted.
const ROW_READ_BYTES: usize = 1024;

/// An index in a file.
pub struct JsonlIndex<F> {
    fs: F,
    path: RelPath,
    quarantine: RelPath,
    /// What tells others of rows that are missed.
    lost: RelPath,
    lock: IndexLock,
    state: Mutex<State>,
}

/// What was found when the index was opened.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// Keys with a row.
    pub keys: u64,
    /// How many lines are no row: all of them are kept and skipped.
    pub unreadable: u64,
    /// The first [`UNREADABLE_NAMED_MAX`] of these.
    pub named: Vec<UnreadableLine>,
    /// Where the torn end lies that was cut off.
    pub torn: Option<Quarantined>,
}

/// A line that is no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableLine {
    /// Which, counted from 1.
    pub line: u64,
    /// Why.
    pub why: String,
}

fn print_of_key(key: &EpisodeKey) -> Print {
    print_of(key.host.as_str(), key.episode.as_str())
}

impl<F: Fs> JsonlIndex<F> {
    /// Opens the index at `path`, which is made when it is not there; a torn end is moved to the directory `quarantine`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(fs: F, path: RelPath, quarantine: RelPath, lock: IndexLock) -> Result<(Self, Recovered), IndexError> {
        let lost = beside(&fs, &path, LOST_SUFFIX)?;
        let index = Self { fs, path, quarantine, lost, lock, state: Mutex::default() };
        let mut found = Recovered::default();
        {
            let mut state = index.state();
            let held = index.lock.hold()?;
            index.follow(&mut state, &held, &mut found)?;
            let State { lost, tombs, .. } = &mut *state;
            lost.read(&index.fs, &index.lost, tombs)?;
            found.keys = state.places.len() as u64;
            found.unreadable = state.unreadable;
        }
        Ok((index, found))
    }

    /// Every line from a place on, as it is now, also those that a newer row took the place of.
    ///
    /// # Errors
    /// What the disk says.
    pub fn rows(&self, from: Cursor) -> Result<Rows, IndexError> {
        let known = self.current()?.known_bytes;
        let from = from.at.min(known);
        let reader = self.fs.reader_from(&self.path, from)?;
        Ok(Rows::new(reader, from, known, self.fs.locate(&self.path)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, with what others appended.
    fn current(&self) -> Result<MutexGuard<'_, State>, IndexError> {
        let mut state = self.state();
        let stat = self.fs.stat(&self.path)?;
        let unchanged = stat.is_some_and(|stat| state.is_as_known(&stat));
        if !unchanged || state.doubtful.is_some() {
            let held = match state.doubtful.take() {
                Some(held) => self.cut_back(&mut state, held)?,
                None => self.lock.hold()?,
            };
            self.follow(&mut state, &held, &mut Recovered::default())?;
            self.note_lost(&mut state);
        } else if !state.lost.is_noted(&self.fs, &self.lost).unwrap_or(false) {
            let _held = self.lock.hold()?;
            self.note_lost(&mut state);
        }
        Ok(state)
    }

    /// Makes the file beside the index tell what is lost, once it is known whether somebody gave that up. Where it cannot be written, this
    /// process knows it all the same, and the next look tries again. Under the lock.
    fn note_lost(&self, state: &mut State) {
        let noted = state.lost.compare(&self.fs, &self.lost).and_then(|compared| {
            if compared == Compared::GivenUp {
                let rows = state.lost.give_up();
                tracing::warn!(index.lost = rows, "rows that were taken out of the index are given up");
            }
            Ok(state.lost.note(&self.fs, &self.lost)?)
        });
        match noted {
            Ok(()) => state.is_unnoted = false,
            // Told once: each look tries again.
            Err(error) if !std::mem::replace(&mut state.is_unnoted, true) => {
                let error = highwater_engine::diagnosis::with_causes(&error);
                tracing::warn!(error, "which rows are missing cannot be noted beside the index");
            }
            Err(_) => {}
        }
    }

    /// Takes up what is in the file and not known yet. Under the lock, so nobody is writing.
    fn follow(&self, state: &mut State, held: &HeldLock, found: &mut Recovered) -> Result<(), IndexError> {
        let stat = match self.fs.stat(&self.path)? {
            Some(stat) => stat,
            None => {
                self.fs.create(&self.path, Mode::Umask)?;
                self.fs.sync_dir(&self.path.parent().unwrap_or_default())?;
                self.fs.stat(&self.path)?.ok_or_else(|| self.vanished())?
            }
        };
        Odd::is_none_of(&self.fs, &self.path, &stat)?;
        match state.id {
            None => state.id = Some(stat.id),
            Some(id) if id != stat.id || stat.len < state.known_bytes => return self.reread(state, held),
            Some(_) if state.is_as_known(&stat) => return Ok(()),
            // As long as before, and changed: whoever wrote into it may have put any row in the place of another.
            Some(_) if stat.len == state.known_bytes => return self.reread(state, held),
            Some(_) if !self.ends_as_known(state)? => return self.reread(state, held),
            Some(_) => {}
        }
        state.changed = Some(stat.changed);
        if stat.len == state.known_bytes {
            return Ok(());
        }
        let reader = self.fs.reader_from(&self.path, state.known_bytes)?;
        let mut reader = BufReader::with_capacity(READ_BYTES, reader);
        let mut kept = Vec::new();
        let failed = |source| FsError::Io { op: Op::Read, path: self.fs.locate(&self.path), source };
        let mut at = state.known_bytes;
        let mut torn = None;
        while let Some(line) = next_line(&mut reader, at, &mut kept).map_err(failed)? {
            at = line.end;
            if !line.whole {
                torn = Some(line);
                break;
            }
            state.take(&line, found_in(&line, &kept), found, |print, place| self.written_at(print, place));
        }
        drop(reader);
        let mut file = self.fs.append(&self.path)?;
        if let Some(line) = torn {
            at = self.mend(state, &mut file, line, found_in(&line, &kept), found)?;
            self.was_changed(state);
        }
        // Whoever wrote this may have died before its sync.
        file.sync()?;
        state.file = Some(file);
        state.known_bytes = at;
        state.end = self.end_before(at)?;
        Ok(())
    }

    /// We changed the file ourselves. Under the lock.
    fn was_changed(&self, state: &mut State) {
        state.changed = self.fs.stat(&self.path).ok().flatten().map(|stat| stat.changed);
    }

    /// The last bytes of what is known, as they are now.
    fn end_before(&self, known_bytes: u64) -> Result<Vec<u8>, IndexError> {
        let from = known_bytes.saturating_sub(END_BYTES);
        let mut end = Vec::new();
        let reader = self.fs.reader_from(&self.path, from)?;
        reader.take(known_bytes - from).read_to_end(&mut end).map_err(|source| FsError::Io {
            op: Op::Read,
            path: self.fs.locate(&self.path),
            source,
        })?;
        Ok(end)
    }

    /// Whether what is known still ends as it did: who took a row out before moved all that is behind it.
    fn ends_as_known(&self, state: &State) -> Result<bool, IndexError> {
        Ok(self.end_before(state.known_bytes)? == state.end)
    }

    /// Ends the last line, or cuts it off; says where the file ends then.
    fn mend(
        &self,
        state: &mut State,
        file: &mut FsFile,
        line: Line,
        row: Result<Found<'_>, RowError>,
        found: &mut Recovered,
    ) -> Result<u64, IndexError> {
        let torn_bytes = line.end - line.offset;
        if row.is_ok() || torn_bytes > TORN_BYTES_MAX {
            // A row that lacks nothing but its end, or more than is moved about: it stays, and has its end from here on.
            file.append(b"\n")?;
            let whole = Line { end: line.end + 1, whole: true, ..line };
            state.take(&whole, row, found, |print, place| self.written_at(print, place));
            return Ok(whole.end);
        }
        let mut bytes = Vec::new();
        let mut reader = self.fs.reader_from(&self.path, line.offset)?.take(TORN_BYTES_MAX);
        reader.read_to_end(&mut bytes).map_err(|source| FsError::Io {
            op: Op::Read,
            path: self.fs.locate(&self.path),
            source,
        })?;
        let name = self.path.split().map(|(_, name)| name.to_string_lossy().into_owned()).unwrap_or_default();
        let why = format!("the torn end of {name}, {torn_bytes} bytes from byte {}", line.offset);
        found.torn = Some(Quarantine::new(&self.fs, self.quarantine.clone()).keep(&name, &bytes, &why)?);
        file.truncate(line.offset)?;
        Ok(line.offset)
    }

    /// Cuts off what a failed append left; the lock is kept where that fails too.
    fn cut_back(&self, state: &mut State, held: HeldLock) -> Result<HeldLock, IndexError> {
        state.file = None;
        let cut = self.fs.append(&self.path).and_then(|mut file| {
            file.truncate(state.known_bytes)?;
            file.sync()?;
            Ok(file)
        });
        match cut {
            Ok(file) => {
                state.file = Some(file);
                self.was_changed(state);
                Ok(held)
            }
            Err(error) => {
                state.doubtful = Some(held);
                Err(error.into())
            }
        }
    }

    fn write(&self, state: &mut State, lines: &[u8]) -> Result<(), FsError> {
        let file = match &mut state.file {
            Some(file) => file,
            empty => empty.insert(self.fs.append(&self.path)?),
        };
        file.append(lines)?;
        file.sync()
    }

    /// What the line at a place holds, where it is a row.
    fn read_at<T>(&self, place: u64, take: impl FnOnce(Found<'_>) -> Option<T>) -> Result<Option<T>, IndexError> {
        let reader = self.fs.reader_from(&self.path, place)?;
        let mut reader = BufReader::with_capacity(ROW_READ_BYTES, reader.take(LINE_BYTES_MAX as u64 + 1));
        let mut kept = Vec::new();
        let failed = |source| FsError::Io { op: Op::Read, path: self.fs.locate(&self.path), source };
        let line = next_line(&mut reader, place, &mut kept).map_err(failed)?;
        Ok(line.filter(|line| line.whole).and_then(|line| found_in(&line, &kept).ok()).and_then(take))
    }

    /// The row at a place, if it is this key's.
    fn row_at(&self, key: &EpisodeKey, place: u64) -> Result<Option<Row>, IndexError> {
        self.read_at(place, |found| Some(found.row()).filter(|row| row.key() == *key))
    }

    /// When the row at a place was written, if it is this key's. Where it is not there any more the file is read anew at the next look.
    fn written_at(&self, print: Print, place: u64) -> Option<Timestamp> {
        let at = |found: Found<'_>| (found.print() == print).then(|| found.received_at_wall());
        self.read_at(place, at).ok().flatten()
    }

    fn in_force(&self, state: &State, key: &EpisodeKey) -> Result<Option<Row>, IndexError> {
        let print = print_of_key(key);
        let Some(place) = state.places.get(&print) else { return Ok(None) };
        // Another row of its key may stand there: who turned the lines moved them all.
        let row = self.row_at(key, place)?.filter(|row| row.says() == state.places.says(&print));
        row.map(Some).ok_or_else(|| IndexError::Moved(key.clone()))
    }

    /// The same; where the row is not there any more, everything is read anew. Under the lock.
    fn in_force_anew(&self, state: &mut State, held: &HeldLock, key: &EpisodeKey) -> Result<Option<Row>, IndexError> {
        match self.in_force(state, key) {
            Err(IndexError::Moved(_)) => {
                self.reread(state, held)?;
                self.in_force(state, key)
            }
            found => found,
        }
    }

    /// Reads everything anew, because somebody changed the file, and keeps what it said and says no longer. Under the lock.
    fn reread(&self, state: &mut State, held: &HeldLock) -> Result<(), IndexError> {
        let lost = Lost::all_of(&state.places, &state.lost);
        let mut fresh = State { lost, is_anew: true, ..State::default() };
        self.follow(&mut fresh, held, &mut Recovered::default())?;
        fresh.is_anew = false;
        let State { lost, places, .. } = &mut fresh;
        lost.is_complete(places);
        let (lost, known) = (fresh.lost.len(), state.lost.len());
        *state = fresh;
        self.note_lost(state);
        if lost > known {
            tracing::error!(
                index.lost = lost,
                index.lost_withdrawn = state.lost.withdrawn(),
                "{} was changed by hand, and rows of it are missing: no page of the list is answered until they are back or given up; {LOST_NEXT}",
                self.fs.locate(&self.path).display()
            );
        }
        Ok(())
    }

    fn vanished(&self) -> FsError {
        FsError::Io { op: Op::Stat, path: self.fs.locate(&self.path), source: io::ErrorKind::NotFound.into() }
    }
}

/// A file beside the index, of its name and a suffix.
fn beside(fs: &impl Fs, path: &RelPath, suffix: &str) -> Result<RelPath, FsError> {
    let failed = |source| FsError::Io { op: Op::Enter, path: fs.locate(path), source };
    let name = path.split().map(|(_, name)| name.to_string_lossy().into_owned()).unwrap_or_default();
    let joined = path.parent().unwrap_or_default().join(format!("{name}{suffix}"));
    joined.map_err(|error| failed(io::Error::other(error)))
}

impl<F: Fs> Index for JsonlIndex<F> {
    fn find(&self, key: &EpisodeKey) -> Result<Option<Row>, IndexError> {
        let mut state = self.current()?;
        match self.in_force(&state, key) {
            // Somebody wrote another file in the place of this one, as long and with the same number.
            Err(IndexError::Moved(_)) => {
                let held = self.lock.hold()?;
                self.in_force_anew(&mut state, &held, key)
            }
            found => found,
        }
    }

    fn append_where(&self, rows: &[Row], holds: &mut StillHolds<'_>) -> Result<Vec<Appended>, IndexError> {
        let mut state = self.state();
        let held = match state.doubtful.take() {
            Some(held) => self.cut_back(&mut state, held)?,
            None => self.lock.hold()?,
        };
        self.follow(&mut state, &held, &mut Recovered::default())?;
        let mut lines = Vec::new();
        let mut appended: Vec<(u64, Print, Row)> = Vec::new();
        let mut latest: HashMap<Print, usize> = HashMap::new();
        let mut became = Vec::with_capacity(rows.len());
        for row in rows {
            let print = print_of(row.host_id.as_str(), row.episode_id.as_str());
            let (against, before) = match latest.get(&print).map(|at| &appended[*at].2) {
                Some(before) => (
                    stands_against(Some(before).filter(|before| before.removed.is_none()), row),
                    Some(before.received_at_wall),
                ),
                None => {
                    let before = self.in_force_anew(&mut state, &held, &row.key())?;
                    let against = state.missed_against(&print, row);
                    let lost = state.lost.withdrawn_at(&print).filter(|_| row.removed.is_some());
                    let at = before.as_ref().map(|before| before.received_at_wall);
                    (against.unwrap_or_else(|| stands_against(before.as_ref(), row)), at.max(lost))
                }
            };
            if let Some(against) = against {
                became.push(against);
                continue;
            }
            if !holds(row)? {
                became.push(Appended::Outrun);
                continue;
            }
            let row = state.tombs.dated(&print, row, before);
            let at = lines.len() as u64;
            lines.extend_from_slice(row.to_line().as_bytes());
            latest.insert(print, appended.len());
            appended.push((at, print, row));
            became.push(Appended::New);
        }
        if lines.is_empty() {
            return Ok(became);
        }
        if let Err(error) = self.write(&mut state, &lines) {
            // At once: nobody may see these rows before the lock is let go.
            let _ = self.cut_back(&mut state, held);
            return Err(error.into());
        }
        self.was_changed(&mut state);
        let end = state.known_bytes;
        state.known_bytes += lines.len() as u64;
        state.ends_with(&lines);
        state.lines += appended.len() as u64;
        for (below, print, row) in appended {
            let (says, word) = (row.says(), row.word());
            let tombstone = (says == Some(Says::WITHDRAWN)).then_some(row);
            state.came((print, end + below), (says, word), tombstone, |place| self.written_at(print, place));
        }
        self.note_lost(&mut state);
        Ok(became)
    }

    fn page(&self, ask: &PageAsk) -> Result<Page, IndexError> {
        self.page_of(ask)
    }

    fn figures(&self) -> Result<Figures, IndexError> {
        let state = self.current()?;
        Ok(Figures {
            keys: state.places.len() as u64,
            unreadable: state.unreadable,
            lost: state.lost.len(),
            lost_withdrawn: state.lost.withdrawn(),
            size_bytes: state.known_bytes,
        })
    }

    fn missed(&self, key: &EpisodeKey) -> Result<Option<Missed>, IndexError> {
        Ok(self.current()?.lost.missed(&print_of_key(key)))
    }

    fn lost_tombstones(&self) -> Result<Vec<Row>, IndexError> {
        Ok(self.current()?.lost.tombstones())
    }

    fn give_up_lost(&self) -> Result<u64, IndexError> {
        let mut state = self.current()?;
        let _held = self.lock.hold()?;
        let rows = state.lost.give_up();
        state.lost.note(&self.fs, &self.lost)?;
        Ok(rows)
    }
}

impl<F> fmt::Debug for JsonlIndex<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonlIndex").field("path", &self.path).finish_non_exhaustive()
    }
}
