//! The tombstones of each key. Owns which of them is in force: that is said by when they were written, and by nothing but a person's word;
//! not by where their lines stand in a file, which whoever edits it may turn.
//!
//! A key that is withdrawn stays so, whatever rows stand behind its tombstone: none is ever appended there. What ends it is a row with both
//! `removed` and `withdrawn`, by which a person made the name free, and which was not written before the tombstone. One with `removed`
//! alone, as `reindex --prune` writes it and as older versions did for a person, ends it only where it stands behind it too.

use jiff::{SignedDuration, Timestamp};

use super::jsonl::places::{Known, Print};
use super::row::Row;

/// By how much a tombstone is later than the one before it of its key, where the clock says otherwise, in microseconds.
const STEP_MICROS: i64 = 1;

/// What a row says to those who look for tombstones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// The episode is stored.
    Stored,
    /// It is withdrawn.
    Withdrawn(Timestamp),
    /// Nothing is stored under the name.
    Removed {
        /// When that was written.
        at: Timestamp,
        /// A person made the name free of what was withdrawn.
        frees: bool,
    },
}

/// What is known of one key.
#[derive(Debug, Clone, Copy, Default)]
struct Tomb {
    /// When it was withdrawn last.
    withdrawn: Option<Timestamp>,
    /// When its name was made free last.
    freed: Option<Timestamp>,
    /// When a tombstone of it was written last, of either kind.
    last: Option<Timestamp>,
    stands: bool,
}

/// The tombstones, by keys. What is held is O(tombstones).
#[derive(Default)]
pub(super) struct Tombs(Known<Tomb>);

impl Tombs {
    /// Takes in a row, in the order of the file; whether it counts for its key.
    pub(super) fn takes(&mut self, print: Print, word: Word) -> bool {
        match word {
            Word::Stored => !self.stands(&print),
            Word::Withdrawn(at) => {
                let tomb = self.0.entry(print).or_default();
                tomb.last = tomb.last.max(Some(at));
                if tomb.freed.is_some_and(|freed| freed > at) {
                    return false;
                }
                tomb.withdrawn = tomb.withdrawn.max(Some(at));
                tomb.stands = true;
                true
            }
            Word::Removed { at, frees } => {
                let tomb = self.0.entry(print).or_default();
                tomb.last = tomb.last.max(Some(at));
                if frees {
                    tomb.freed = tomb.freed.max(Some(at));
                }
                if tomb.stands && tomb.withdrawn.is_some_and(|withdrawn| withdrawn > at) {
                    return false;
                }
                tomb.stands = false;
                true
            }
        }
    }

    /// Whether a key is withdrawn.
    pub(super) fn stands(&self, print: &Print) -> bool {
        self.0.get(print).is_some_and(|tomb| tomb.stands)
    }

    /// Whether a name was made free after it was withdrawn then.
    pub(super) fn is_freed_since(&self, print: &Print, withdrawn: Timestamp) -> bool {
        self.0.get(print).and_then(|tomb| tomb.freed).is_some_and(|freed| freed >= withdrawn)
    }

    /// A row as it is to be appended: a tombstone is later than all of its key before it, whatever the clock says. `lost`: when one was
    /// written that is known, and not in the file.
    pub(super) fn dated(&self, print: &Print, row: &Row, lost: Option<Timestamp>) -> Row {
        let last = self.0.get(print).and_then(|tomb| tomb.last).max(lost.filter(|_| row.removed.is_some()));
        match (row.word(), last) {
            (Word::Stored, _) | (_, None) => row.clone(),
            (Word::Withdrawn(_) | Word::Removed { .. }, Some(last)) => {
                let after = last.checked_add(SignedDuration::from_micros(STEP_MICROS)).unwrap_or(last);
                Row { received_at_wall: row.received_at_wall.max(after), ..row.clone() }
            }
        }
    }
}
