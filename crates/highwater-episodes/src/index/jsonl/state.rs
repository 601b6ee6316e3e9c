//! What is known of an index in a file: how much of it, where its rows are, what is missed. Owns what a line does to that, and what keeps a
//! row from being appended after another.

use highwater_fs::{Changed, FileId, FsFile, Stat};
use jiff::Timestamp;

use super::lines::Line;
use super::lost::Lost;
use super::places::{Places, Print, Says};
use super::{END_BYTES, Recovered, UNREADABLE_NAMED_MAX, UnreadableLine};
use crate::index::Appended;
use crate::index::lock::HeldLock;
use crate::index::row::{Found, Row, RowError};
use crate::index::tombs::{Force, Stored, Tombs, Word};

/// What is known of the file.
#[derive(Default)]
pub(super) struct State {
    pub(super) file: Option<FsFile>,
    pub(super) id: Option<FileId>,
    /// When that was changed last, as far as it is known; `None` where that could not be seen after a change of ours.
    pub(super) changed: Option<Changed>,
    /// How much of the file is known and durable.
    pub(super) known_bytes: u64,
    /// The last [`END_BYTES`] of that.
    pub(super) end: Vec<u8>,
    pub(super) lines: u64,
    pub(super) unreadable: u64,
    pub(super) places: Places,
    pub(super) tombs: Tombs,
    pub(super) lost: Lost,
    /// It is being read anew, after somebody changed the file.
    pub(super) is_anew: bool,
    /// What is lost could not be noted, and that is told.
    pub(super) is_unnoted: bool,
    /// An append of ours failed, and what it left beyond `known_bytes` is not cut off yet.
    pub(super) doubtful: Option<HeldLock>,
}

impl State {
    /// Whether the file is the one that is known, as long as it was and not changed since.
    pub(super) fn is_as_known(&self, stat: &Stat) -> bool {
        stat.len == self.known_bytes && Some(stat.id) == self.id && Some(stat.changed) == self.changed
    }

    /// These bytes were appended to what is known.
    pub(super) fn ends_with(&mut self, lines: &[u8]) {
        self.end.extend_from_slice(&lines[lines.len().saturating_sub(END_BYTES as usize)..]);
        let more = self.end.len().saturating_sub(END_BYTES as usize);
        self.end.drain(..more);
    }

    /// A row is there. `stored_at`: when the row at a place was written, which is asked for where its key has another that counts.
    pub(super) fn came(
        &mut self,
        (print, place): (Print, u64),
        (says, word): (Option<Says>, Word),
        tombstone: Option<Row>,
        stored_at: impl FnOnce(u64) -> Option<Timestamp>,
    ) {
        if let Some(says) = says {
            self.places.came(print, place, says);
        }
        let before = || {
            let (place, says) = self.places.of(&print)?;
            Some(Stored { at: stored_at(place)?, place, says })
        };
        let now = self.tombs.takes(print, (place, says, word), before);
        match now {
            None => {}
            Some(Force::Free) => self.places.counts(print, None),
            Some(Force::Line { place, says }) => self.places.counts(print, Some((place, says))),
        }
        let is_in_force = self.places.of(&print).is_some_and(|(at, _)| at == place);
        self.lost.sees(print, (says, word), !self.is_anew, is_in_force);
        if let Some(force) = now {
            let stands = matches!(force, Force::Line { says: Says::WITHDRAWN, .. });
            self.lost.keeps(print, tombstone.filter(|_| stands));
        }
    }

    /// What is missed keeps a row from being appended, or lets one be that nothing else calls for.
    pub(super) fn missed_against(&self, print: &Print, row: &Row) -> Option<Option<Appended>> {
        let is_withdrawal = row.says() == Some(Says::WITHDRAWN);
        let Some(lost) = self.lost.says(print) else {
            // Another process misses rows, and does not tell which.
            return (is_withdrawal && self.lost.are_missed()).then_some(None);
        };
        match (lost, row.says()) {
            (Says::WITHDRAWN, Some(says)) if says != Says::WITHDRAWN => Some(Some(Appended::Withdrawn)),
            // What frees no name of what was withdrawn is no word on it.
            (Says::WITHDRAWN, None) if row.withdrawn.is_none() => Some(Some(Appended::Withdrawn)),
            // A word on what is missed is also one on what comes back of it.
            (_, None | Some(Says::WITHDRAWN)) => Some(None),
            _ => None,
        }
    }

    /// Takes a line up.
    pub(super) fn take(
        &mut self,
        line: &Line,
        row: Result<Found<'_>, RowError>,
        found: &mut Recovered,
        stored_at: impl FnOnce(Print, u64) -> Option<Timestamp>,
    ) {
        self.lines += 1;
        match row {
            Ok(row) => {
                let (print, says, word) = (row.print(), row.says(), row.word());
                let tombstone = (says == Some(Says::WITHDRAWN)).then(|| row.row());
                self.came((print, line.offset), (says, word), tombstone, |place| stored_at(print, place));
            }
            // There is nothing that it could have been.
            Err(RowError::Empty) => {}
            Err(error) => {
                self.unreadable += 1;
                if found.named.len() < UNREADABLE_NAMED_MAX {
                    let why = highwater_engine::diagnosis::with_causes(&error);
                    found.named.push(UnreadableLine { line: self.lines, why });
                }
            }
        }
    }
}

/// What a line holds that was kept.
pub(in crate::index) fn found_in<'l>(line: &Line, kept: &'l [u8]) -> Result<Found<'l>, RowError> {
    if line.too_long { Err(RowError::TooLong) } else { Found::read(kept) }
}

/// What keeps a row from being appended after the one in force.
pub(super) fn stands_against(before: Option<&Row>, row: &Row) -> Option<Appended> {
    let known = |of: &Row| (of.sha256, of.size_bytes, of.withdrawn.is_some(), of.removed.is_some());
    match before {
        // Nothing is there that could be removed.
        None => row.removed.is_some().then_some(Appended::Present),
        Some(before) if known(before) == known(row) => Some(Appended::Present),
        // What frees no name of what was withdrawn is no word on it.
        Some(before) if before.withdrawn.is_some() && row.withdrawn.is_none() => Some(Appended::Withdrawn),
        Some(_) => None,
    }
}
