//! The file of a session. Owns that a turn which was written is there after a crash, that a torn or damaged line stops nothing, and that one
//! conversation at a time goes on in a file.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::query::{Before, Passage};

/// How much of a session is read: its end.
pub const SESSION_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// A conversation is its owner's alone.
const DIRECTORY_MODE: u32 = 0o700;
/// And so is its file.
const FILE_MODE: u32 = 0o600;
/// How its file's name ends.
const SUFFIX: &str = "jsonl";

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Turn {
    /// When it was answered.
    pub at: Timestamp,
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
    /// Where the answer is from, by the numbers in it.
    pub sources: Vec<(u32, Passage)>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Somebody else has it open.
    #[error("another conversation goes on in it")]
    Busy,
    /// The disk refused.
    #[error("it cannot {doing}")]
    Disk {
        /// What was tried, as a verb.
        doing: &'static str,
        /// What the disk says.
        source: io::Error,
    },
}

fn disk(doing: &'static str) -> impl Fn(io::Error) -> SessionError {
    move |source| SessionError::Disk { doing, source }
}

/// A session that is open.
#[derive(Debug)]
pub struct Session {
    path: PathBuf,
    file: File,
    turns: Vec<Turn>,
    damaged: u64,
    ends_in_a_line: bool,
}

impl Session {
    /// Opens the session of this name, which is one name of a file, below a directory; it is made where it is not there.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn open(directory: &Path, name: &str) -> Result<Self, SessionError> {
        let failed = disk("be opened");
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory).map_err(&failed)?;
        let path = directory.join(format!("{name}.{SUFFIX}"));
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).mode(FILE_MODE).open(&path).map_err(&failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(SessionError::Busy),
            Err(errno) => return Err(failed(errno.into())),
        }
        // Its name is to survive, whoever made it.
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(&failed)?;
        let (turns, damaged, ends_in_a_line) = read(&mut file).map_err(disk("be read"))?;
        Ok(Self { path, file, turns, damaged, ends_in_a_line })
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was said, as far as it is read, the newest last.
    #[must_use]
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// How many lines cannot be read; they stay where they are.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// What was said, for the next question.
    #[must_use]
    pub fn before(&self) -> Vec<Before> {
        let said = |turn: &Turn| Before { question: turn.question.clone(), answer: turn.answer.clone() };
        self.turns.iter().map(said).collect()
    }

    /// Adds a turn. It is there after a crash once this has returned.
    ///
    /// # Errors
    /// [`SessionError`]; the turn may be there in part, which the next who opens it passes over.
    pub fn add(&mut self, turn: Turn) -> Result<(), SessionError> {
        let mut line = serde_json::to_string(&turn).expect("invariant: a turn is JSON");
        line.push('\n');
        if !self.ends_in_a_line {
            // What is torn stays a line of its own.
            line.insert(0, '\n');
        }
        self.ends_in_a_line = false;
        self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()).map_err(disk("be written"))?;
        self.ends_in_a_line = true;
        self.turns.push(turn);
        Ok(())
    }

    /// The names of the sessions below a directory, in order.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn names(directory: &Path) -> Result<Vec<String>, SessionError> {
        let failed = disk("be listed");
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(&failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(&failed)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.strip_suffix('.'));
            names.extend(name.map(ToOwned::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// What a file has: its turns, how many lines are none, and whether it ends in a line's end.
fn read(file: &mut File) -> io::Result<(Vec<Turn>, u64, bool)> {
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(SESSION_BYTES_MAX);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(SESSION_BYTES_MAX).read_to_end(&mut bytes)?;
    let ends_in_a_line = bytes.last().is_none_or(|last| *last == b'\n');
    let text = String::from_utf8_lossy(&bytes);
    // The first line of an end may be the end of a line.
    let lines = text.lines().skip(usize::from(skipped > 0)).filter(|line| !line.trim().is_empty());
    let (mut turns, mut damaged) = (Vec::new(), 0);
    for line in lines {
        match serde_json::from_str(line) {
            Ok(turn) => turns.push(turn),
            Err(_) => damaged += 1,
        }
    }
    Ok((turns, damaged, ends_in_a_line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(n: i64) -> Turn {
        Turn {
            at: Timestamp::from_second(n).unwrap(),
            question: format!("question {n}"),
            answer: "line\nline".to_owned(),
            sources: Vec::new(),
        }
    }

    #[test]
    fn a_session_goes_on_where_it_was_left_whatever_of_its_last_line_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("chat");
        let mut session = Session::open(&below, "a").unwrap();
        assert!(matches!(Session::open(&below, "a"), Err(SessionError::Busy)));
        session.add(turn(1)).unwrap();
        session.add(turn(2)).unwrap();
        drop(session);
        let path = below.join("a.jsonl");
        let whole = fs::read(&path).unwrap();
        let second = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for length in second..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut session = Session::open(&below, "a").unwrap();
            let known = session.turns().len();
            let is_whole = length + 1 >= whole.len();
            assert_eq!((known, session.damaged()), if is_whole { (2, 0) } else { (1, u64::from(length > second)) });
            session.add(turn(3)).unwrap();
            drop(session);
            let session = Session::open(&below, "a").unwrap();
            assert_eq!(session.turns().len(), known + 1, "{length}");
            assert_eq!(session.turns().last(), Some(&turn(3)));
        }
        assert_eq!(Session::names(&below).unwrap(), ["a"]);
        assert!(Session::names(&below.join("none")).unwrap().is_empty());
    }

    #[test]
    fn of_a_long_session_the_end_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let mut session = Session::open(directory.path(), "a").unwrap();
        let long = Turn { answer: "x".repeat(1024 * 1024), ..turn(1) };
        for _ in 0..6 {
            session.add(long.clone()).unwrap();
        }
        drop(session);
        let session = Session::open(directory.path(), "a").unwrap();
        assert_eq!((session.turns().len(), session.damaged()), (3, 0));
    }
}
