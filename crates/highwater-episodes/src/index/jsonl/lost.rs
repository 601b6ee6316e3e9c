//! Rows that somebody took out of an index that is in use. Owns which keys they were of, what ends that, and the file beside the index that
//! tells others of it.
//!
//! A tombstone that is lost is not forgotten: nothing that is sent takes its place, also after a restart, for the file holds its line,
//! which `reindex` puts back. Of another row no more is known than what it said, and only until the receiver is started again or a person gives it up.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use highwater_fs::{FileId, Fs, FsError, Mode, Op, RelPath, publish};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lines::next_line;
use super::places::{Known, Places, Print, Says, print_of};
use crate::index::row::Row;
use crate::index::tombs::{Tombs, Word};
use crate::index::{IndexError, Missed};
use crate::odd::Odd;

/// How the file is called, after the index.
pub(in crate::index) const LOST_SUFFIX: &str = ".lost";
/// Most tombstones whose line is kept; of further ones it is known that they are lost, and not what they said.
const TOMBSTONES_KEPT_MAX: usize = 100_000;

/// The first line of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// How many rows were lost that are no tombstones; those are given up where this is none.
    lost_rows: u64,
}

/// What the file beside an index tells of rows that are missed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LostNote {
    /// How many were missed, when it was written, that are no tombstones.
    pub rows: u64,
    /// The tombstones that were.
    pub tombstones: Vec<Row>,
}

/// Reads what is told beside an index; `None` where nothing is.
///
/// # Errors
/// What the disk says.
pub fn lost_note(index: &Path) -> Result<Option<LostNote>, IndexError> {
    let path = beside(index);
    Odd::is_none_at(&path)?;
    match File::open(&path).and_then(told_by) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(IndexError::Unread { path, source }),
        Ok((head, tombstones)) => Ok(Some(LostNote { rows: head.lost_rows, tombstones })),
    }
}

fn beside(index: &Path) -> PathBuf {
    let mut path = index.as_os_str().to_owned();
    path.push(LOST_SUFFIX);
    PathBuf::from(path)
}

/// Which of an index and what is told beside it are symlinks: both are read all the same, and no receiver starts.
#[must_use]
pub fn linked(index: &Path) -> Vec<Odd> {
    [index.to_path_buf(), beside(index)].iter().filter_map(|path| Odd::in_place_of_rows(path)).collect()
}

fn told_by(file: impl Read) -> io::Result<(Head, Vec<Row>)> {
    let mut reader = BufReader::new(file);
    let (mut line, mut at, mut head, mut tombstones) = (Vec::new(), 0, Head::default(), Vec::new());
    while let Some(found) = next_line(&mut reader, at, &mut line)? {
        if at == 0 {
            head = serde_json::from_slice(&line).unwrap_or_default();
        } else if let Ok(row) = Row::from_line(&line)
            && row.says() == Some(Says::WITHDRAWN)
            && tombstones.len() < TOMBSTONES_KEPT_MAX
        {
            tombstones.push(row);
        }
        at = found.end;
    }
    Ok((head, tombstones))
}

/// The file as it was read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Noted {
    id: FileId,
    head: Head,
    tombstones: usize,
}

/// How the file is since it was read or written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// It tells what is missed.
    Same,
    /// It does not.
    Unnoted,
    /// A person gave up, by another process, the rows that are missed here.
    GivenUp,
}

/// What was said of a key and is no longer said.
#[derive(Clone, Copy)]
struct Missing {
    says: Says,
    /// A row that says so was read since.
    is_seen: bool,
}

/// What is lost.
#[derive(Clone, Default)]
pub(super) struct Lost {
    said: Known<Missing>,
    /// How many of these were withdrawn.
    withdrawn: u64,
    /// The tombstones that count, or are lost.
    tombstones: Known<Row>,
    noted: Option<Noted>,
    /// Rows are missed by this process: it is the one that tells of them.
    is_first_hand: bool,
}

impl Lost {
    /// What is to be found anew after the file was changed: all that it said.
    pub(super) fn all_of(places: &Places, before: &Self) -> Self {
        let mut before = before.clone();
        for (print, says) in places.said() {
            // What is missed already stays missed: what is in its place is an older row that came to light.
            if !before.said.contains_key(&print) {
                before.misses(print, says);
            }
        }
        before
    }

    fn misses(&mut self, print: Print, says: Says) {
        if self.said.insert(print, Missing { says, is_seen: false }).is_none() {
            self.withdrawn += u64::from(says == Says::WITHDRAWN);
        }
    }

    fn finds(&mut self, print: &Print) {
        if self.said.remove(print).is_some_and(|missing| missing.says == Says::WITHDRAWN) {
            self.withdrawn -= 1;
        }
    }

    /// A row was read, and counts for what is in force of its key, `is_in_force`. `is_new`: it was appended just now, so it is somebody's word
    /// after the loss; else all is being read anew, and [`Lost::is_complete`] says what is there again.
    pub(super) fn sees(&mut self, print: Print, (says, word): (Option<Says>, Word), is_new: bool, is_in_force: bool) {
        let Some(lost) = self.said.get_mut(&print) else { return };
        let is_over = if lost.says == Says::WITHDRAWN {
            let since = self.tombstones.get(&print).map(|lost| lost.received_at_wall);
            // Nothing ends it but that very tombstone, or a later one, or a person's word that came later: neither an older one, nor what
            // is sent under its name, nor that nothing is stored there.
            match word {
                Word::Withdrawn(at) => since.is_none_or(|since| since <= at),
                Word::Removed { at, frees } => frees && since.map_or(is_new, |since| since <= at),
                Word::Stored(_) => false,
            }
        } else {
            lost.is_seen |= says == Some(lost.says);
            // A row that is older than what took its key's place is no word.
            is_new && (is_in_force || !matches!(word, Word::Stored(_)))
        };
        if is_over {
            self.finds(&print);
        }
    }

    /// What counts for a key now: the line of a tombstone is kept.
    pub(super) fn keeps(&mut self, print: Print, tombstone: Option<Row>) {
        match tombstone {
            // An older one, in force while the one that is missed is.
            Some(row) if self.withdrawn_at(&print).is_some_and(|lost| lost > row.received_at_wall) => {}
            Some(row) if self.tombstones.len() < TOMBSTONES_KEPT_MAX || self.tombstones.contains_key(&print) => {
                self.tombstones.insert(print, row);
            }
            None if !self.said.contains_key(&print) => drop(self.tombstones.remove(&print)),
            _ => {}
        }
    }

    /// All was read anew: what was not found is lost, and so is what was found and is not in force, where nothing is that took its place.
    pub(super) fn is_complete(&mut self, places: &Places) {
        self.said.retain(|print, missing| {
            missing.says == Says::WITHDRAWN || !std::mem::take(&mut missing.is_seen) || places.says(print).is_none()
        });
        self.said.shrink_to_fit();
        self.is_first_hand |= self.rows() > 0;
    }

    pub(super) fn len(&self) -> u64 {
        self.said.len() as u64
    }

    /// How many of them were withdrawn.
    pub(super) fn withdrawn(&self) -> u64 {
        self.withdrawn
    }

    /// How many were not.
    fn rows(&self) -> u64 {
        self.len() - self.withdrawn
    }

    /// Whether rows are missed that are no tombstones, by this process or by another.
    pub(super) fn are_missed(&self) -> bool {
        self.rows() > 0 || self.noted.is_some_and(|noted| noted.head.lost_rows > 0)
    }

    pub(super) fn says(&self, print: &Print) -> Option<Says> {
        self.said.get(print).map(|missing| missing.says)
    }

    /// When a lost tombstone was written.
    pub(super) fn withdrawn_at(&self, print: &Print) -> Option<Timestamp> {
        self.said.get(print).filter(|missing| missing.says == Says::WITHDRAWN)?;
        Some(self.tombstones.get(print)?.received_at_wall)
    }

    /// What is missed of a key.
    pub(super) fn missed(&self, print: &Print) -> Option<Missed> {
        Some(match self.says(print)? {
            Says::WITHDRAWN => {
                let row = self.tombstones.get(print).cloned().map(Box::new);
                Missed::Withdrawn { why: row.as_ref().and_then(|row| row.withdrawn.clone()).unwrap_or_default(), row }
            }
            says => Missed::Row(says),
        })
    }

    /// The lost tombstones, by their names.
    pub(super) fn tombstones(&self) -> Vec<Row> {
        let lost = self.said.iter().filter(|(_, missing)| missing.says == Says::WITHDRAWN);
        let mut rows: Vec<Row> = lost.filter_map(|(print, _)| self.tombstones.get(print).cloned()).collect();
        rows.sort_by_key(Row::key);
        rows
    }

    /// Takes up the tombstones of which the file tells and the index does not.
    pub(super) fn read(&mut self, fs: &dyn Fs, path: &RelPath, tombs: &Tombs) -> Result<(), IndexError> {
        let Some(stat) = fs.stat(path)? else { return Ok(()) };
        Odd::is_none_of(fs, path, &stat)?;
        let failed = |source| FsError::Io { op: Op::Read, path: fs.locate(path), source };
        let (head, tombstones) = told_by(fs.reader(path)?).map_err(failed)?;
        self.noted = Some(Noted { id: stat.id, head, tombstones: tombstones.len() });
        for row in tombstones {
            let print = print_of(row.host_id.as_str(), row.episode_id.as_str());
            if !tombs.knows(&print, row.received_at_wall) {
                self.misses(print, Says::WITHDRAWN);
                self.tombstones.insert(print, row);
            }
        }
        Ok(())
    }

    /// Whether the file is the one that this process knows, where anything is missed. A look at its name alone.
    pub(super) fn is_noted(&self, fs: &dyn Fs, path: &RelPath) -> Result<bool, FsError> {
        if self.said.is_empty() {
            return Ok(true);
        }
        let Some(noted) = self.noted else { return Ok(false) };
        Ok(fs.stat(path)?.is_some_and(|stat| stat.id == noted.id))
    }

    /// What became of the file: somebody else may have written it anew, and one that could not be written, or was removed while a tombstone
    /// is missed, is to be written again. To be called when what is in the index is known.
    pub(super) fn compare(&mut self, fs: &dyn Fs, path: &RelPath) -> Result<Compared, IndexError> {
        if self.is_noted(fs, path)? {
            return Ok(Compared::Same);
        }
        let had_rows = self.rows() > 0 && self.noted.is_some_and(|noted| noted.head.lost_rows > 0);
        let mut now = Self::default();
        now.read(fs, path, &Tombs::default())?;
        self.noted = now.noted;
        match self.noted {
            // Nobody who gives rows up removes it while a tombstone is missed.
            None if self.withdrawn > 0 => Ok(Compared::Unnoted),
            now if had_rows && now.is_none_or(|now| now.head.lost_rows == 0) => Ok(Compared::GivenUp),
            None => Ok(Compared::Unnoted),
            Some(now) if (now.tombstones as u64) < self.withdrawn => Ok(Compared::Unnoted),
            Some(_) => Ok(Compared::Same),
        }
    }

    /// Gives up the rows that are no tombstones, whoever missed them; says how many they are.
    pub(super) fn give_up(&mut self) -> u64 {
        let mine = self.rows();
        self.said.retain(|_, missing| missing.says == Says::WITHDRAWN);
        self.is_first_hand = false;
        let told = self.noted.as_mut().map_or(0, |noted| std::mem::take(&mut noted.head.lost_rows));
        self.noted = self.noted.map(|noted| Noted { tombstones: usize::MAX, ..noted });
        mine.max(told)
    }

    /// Makes the file tell what is lost now; it is there only while something is. Under the lock of the index.
    pub(super) fn note(&mut self, fs: &dyn Fs, path: &RelPath) -> Result<(), FsError> {
        let (rows, told) = (self.rows(), self.noted.map_or(0, |noted| noted.head.lost_rows));
        // What another process misses is not this one's to forget.
        let head = Head { lost_rows: if self.is_first_hand { rows } else { told } };
        self.is_first_hand &= rows > 0;
        if head.lost_rows == 0 && self.withdrawn == 0 {
            if self.noted.take().is_some() && fs.stat(path)?.is_some() {
                fs.unlink(path)?;
                fs.sync_dir(&path.parent().unwrap_or_default())?;
            }
            return Ok(());
        }
        let tombstones = self.withdrawn as usize;
        // It is not written anew for each row that comes back.
        let is_told = |noted: Noted| noted.tombstones == tombstones && noted.head.lost_rows >= head.lost_rows;
        if self.noted.is_some_and(is_told) {
            return Ok(());
        }
        let mut text = serde_json::to_string(&head).expect("invariant: a number");
        text.push('\n');
        self.tombstones().iter().for_each(|row| text.push_str(&row.to_line()));
        publish(fs, path, text.as_bytes(), Mode::Umask)?;
        self.noted = fs.stat(path)?.map(|stat| Noted { id: stat.id, head, tombstones });
        Ok(())
    }
}
