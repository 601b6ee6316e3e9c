//! The index: what was stored, a row an episode. Owns the rows and what an index promises; where its rows lie is told by those
//! that keep the promise: [`JsonlIndex`] in a file.

mod jsonl;
mod lock;
mod row;
mod tombs;
mod view;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use highwater_engine::report::counted;
use highwater_fs::FsError;
use jiff::Timestamp;

use crate::name::{EpisodeKey, HostId};
use crate::odd::Odd;

pub use jsonl::lost::{LostNote, linked, lost_note};
pub use jsonl::places::Says;
pub use jsonl::{JsonlIndex, Recovered, Rows, TORN_BYTES_MAX, UNREADABLE_NAMED_MAX, UnreadableLine};
pub use lock::{IndexLock, LOCK_WAIT_SECS};
pub use row::{Commit, CommitError, Found, Gate, LINE_BYTES_MAX, Row, RowError, SCHEMA_VERSION};
pub use view::{View, begins_with_rows};

/// Most rows of one page.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// Most bytes of the index that are looked through for one page.
pub const PAGE_SCAN_BYTES_MAX: u64 = 16 << 20;

/// What a person does about rows that were taken out of an index.
pub const LOST_NEXT: &str = "put the lines back into the index, or call `highwater reindex`, which gives what is stored its row again and \
                             what was withdrawn its tombstone, and `highwater reindex --prune` for what is left: it gives up rows of which \
                             nothing is stored";

/// What was stored, for whoever receives, indexes anew and lists. Its calls wait for a disk or a server, so they belong on a
/// thread that may.
///
/// Of one key the row counts that was written last by its own time, and a tombstone that says `withdrawn` until a person makes the name free.
/// Any number of processes may append beside each other.
pub trait Index: Send + Sync + fmt::Debug {
    /// The row that counts for a key, also one that another process appended; it would survive a power cut.
    ///
    /// # Errors
    /// The index cannot be read.
    fn find(&self, key: &EpisodeKey) -> Result<Option<Row>, IndexError>;

    /// Appends rows, all of them durable when it returns; one that says what the row in force says already is left out, and each is
    /// given a later time than all of its key, where the clock says otherwise. What became of each is told in their order.
    ///
    /// # Errors
    /// The index cannot be written. None of these rows counts then, and all may be appended again.
    fn append(&self, rows: &[Row]) -> Result<Vec<Appended>, IndexError> {
        self.append_where(rows, &mut |_| Ok(true))
    }

    /// The same for those of which `holds` is still true while nobody else can append. It must not ask this index.
    ///
    /// # Errors
    /// As [`Index::append`], and what `holds` says.
    fn append_where(&self, rows: &[Row], holds: &mut StillHolds<'_>) -> Result<Vec<Appended>, IndexError>;

    /// The rows in force in the order in which they came, from a place on.
    ///
    /// # Errors
    /// The index cannot be read.
    fn page(&self, ask: &PageAsk) -> Result<Page, IndexError>;

    /// How much there is.
    ///
    /// # Errors
    /// The index cannot be read.
    fn figures(&self) -> Result<Figures, IndexError>;

    /// What is known of a key's row that counted and that somebody took out of the index. An index that nobody else can change misses none.
    ///
    /// # Errors
    /// The index cannot be read.
    fn missed(&self, _: &EpisodeKey) -> Result<Option<Missed>, IndexError> {
        Ok(None)
    }

    /// The tombstones that somebody took out of the index, by their keys.
    ///
    /// # Errors
    /// The index cannot be read.
    fn lost_tombstones(&self) -> Result<Vec<Row>, IndexError> {
        Ok(Vec::new())
    }

    /// Misses the rows no longer that somebody took out of the index, by a person's word, and tells the other processes so; says how many
    /// they were. Tombstones are never given up.
    ///
    /// # Errors
    /// What tells the others cannot be written.
    fn give_up_lost(&self) -> Result<u64, IndexError> {
        Ok(0)
    }
}

/// A row that counted, and was taken out of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missed {
    /// The episode was withdrawn.
    Withdrawn {
        /// Why, as far as it is known.
        why: String,
        /// Its tombstone, where that is known: which one it was.
        row: Option<Box<Row>>,
    },
    /// It was stored, and what of it.
    Row(Says),
}

impl Missed {
    /// Whether a row says what is missed.
    #[must_use]
    pub fn is_said_by(&self, row: &Row) -> bool {
        matches!(self, Self::Row(says) if row.says() == Some(*says))
    }
}

/// What is asked of a row just before it is appended.
pub type StillHolds<'h> = dyn FnMut(&Row) -> Result<bool, IndexError> + 'h;

/// What became of a row that was to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is there now.
    New,
    /// The row in force says the same.
    Present,
    /// The episode was withdrawn, and stays so.
    Withdrawn,
    /// What it says no longer holds.
    Outrun,
}

/// A place between two rows, from which a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Its byte.
    pub at: u64,
    /// What the rows before it said when it was told, as a number; without it nobody vouches for them.
    pub after: Option<u64>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            Some(after) => write!(f, "{}-{after:016x}", self.at),
            None => write!(f, "{}", self.at),
        }
    }
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the `next` of a page")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let digits = |text: &str, radix| {
            let is_plain =
                text.bytes().all(|byte| byte.is_ascii_digit() || (radix == 16 && (b'a'..=b'f').contains(&byte)));
            u64::from_str_radix(text, radix).ok().filter(|_| is_plain).ok_or(CursorError)
        };
        match text.split_once('-') {
            None => Ok(Self { at: digits(text, 10)?, after: None }),
            Some((at, after)) if after.len() == 16 => Ok(Self { at: digits(at, 10)?, after: Some(digits(after, 16)?) }),
            Some(_) => Err(CursorError),
        }
    }
}

/// Which rows are asked for.
#[derive(Debug, Clone, Default)]
pub struct PageAsk {
    /// Of these hosts; of all where it is absent.
    pub hosts: Option<Vec<HostId>>,
    /// Received then or later.
    pub since: Option<Timestamp>,
    /// From where on.
    pub cursor: Cursor,
    /// How many, at most [`PAGE_ROWS_MAX`].
    pub rows_max: usize,
}

impl PageAsk {
    /// Whether a row is asked for.
    #[must_use]
    pub fn wants(&self, row: &Row) -> bool {
        self.wants_those(row.host_id.as_str(), row.received_at_wall)
    }

    /// Whether rows of a host that were received then are.
    fn wants_those(&self, host: &str, received: Timestamp) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|wanted| wanted.as_str() == host))
            && self.since.is_none_or(|since| received >= since)
    }
}

/// Some rows, and where the next ones are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where to go on, also for what is yet to come.
    pub next: Cursor,
    /// Nothing lies beyond it now.
    pub complete: bool,
}

/// How much an index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Keys with a row.
    pub keys: u64,
    /// Lines that are no row.
    pub unreadable: u64,
    /// Keys of which the row that counted was taken out of the index by somebody.
    pub lost: u64,
    /// How many of these were withdrawn.
    pub lost_withdrawn: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// An index that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The disk refused.
    #[error("the index cannot be used")]
    Disk(#[from] FsError),
    /// Its lock cannot be taken.
    #[error("the lock of the index, {}, cannot be taken", .path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is no file has its place, or that of what is told beside it.
    #[error("the index cannot be used")]
    Odd(#[from] Odd),
    /// It is looked at, not written.
    #[error("the index is opened to read alone")]
    ReadOnly,
    /// What is asked of a row before it is appended cannot be told.
    #[error("whether a row still holds cannot be told")]
    Unsure(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The rows before a cursor are not those that they were when it was told.
    #[error("the index was written anew since this cursor was told")]
    Outdated,
    /// Somebody changed the file, and rows that counted are not in it.
    #[error("{} was changed by hand: {lost} of its rows {} not there any more", .path.display(), if *.lost == 1 { "is" } else { "are" })]
    Edited {
        /// The file.
        path: PathBuf,
        /// How many; 0 where it is being changed now.
        lost: u64,
    },
    /// A row is not where it was found before.
    #[error("the index changed while it was read: the row of {0} is not where it was")]
    Moved(EpisodeKey),
}

impl IndexError {
    /// Whether the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Disk(error) if is_full(error))
    }
}

/// Whether a disk refused because it is full, or because this user's share of it is.
pub(crate) fn is_full(error: &FsError) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What is told of the lines of an index that are no rows: how many are passed over, which is the first, and why; `None` where there are none.
#[must_use]
pub fn passed_over(lines: u64, first: Option<&UnreadableLine>) -> Option<String> {
    let told = format!("passed over: {} of the index", counted(lines, "line"));
    (lines > 0).then(|| match first {
        Some(UnreadableLine { line, why }) if lines == 1 => format!("{told}, line {line}: {why}"),
        Some(UnreadableLine { line, why }) => format!("{told}, the first of them line {line}: {why}"),
        // Somebody mended it meanwhile.
        None => told,
    })
}
