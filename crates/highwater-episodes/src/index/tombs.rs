//! Which line of each key is in force. Owns that this is said by when they were written, and by nothing but a person's word; not by where
//! they stand in a file, which whoever edits it may turn: of two lines the later by its time counts, and of two of one time that further down.
//!
//! A key that is withdrawn stays so, whatever other lines it has. What ends it is a row with both `removed` and `withdrawn`, by which a
//! person made the name free, and which was not written before the tombstone; one with `removed` alone, as `reindex --prune` writes it, is
//! no word on it. Neither kind takes away what was stored after it.

use jiff::{SignedDuration, Timestamp};

use super::jsonl::places::{Known, Print, Says};
use super::row::Row;

/// By how much a line is later than the one before it of its key, where the clock says otherwise, in microseconds.
const STEP_MICROS: i64 = 1;

/// What a row says of what was before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// The episode is stored.
    Stored(Timestamp),
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

/// When a line was written, and where it stands: what makes one later than another.
type When = (Timestamp, u64);

/// A line that says that something is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) at: Timestamp,
    pub(super) place: u64,
    pub(super) says: Says,
}

impl Stored {
    fn when(&self) -> When {
        (self.at, self.place)
    }
}

/// What is in force of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Force {
    /// What this line says.
    Line { place: u64, says: Says },
    /// Nothing: its name is free.
    Free,
}

/// What is known of a key that has a tombstone: the latest line of each kind.
#[derive(Debug, Clone, Copy, Default)]
struct Tomb {
    stored: Option<Stored>,
    withdrawn: Option<When>,
    /// Of those by which a person made the name free.
    freed: Option<When>,
    /// Of these and of those that removed a row.
    removed: Option<When>,
}

impl Tomb {
    fn stands(&self) -> bool {
        self.withdrawn.is_some() && self.withdrawn > self.freed
    }

    fn force(&self) -> Force {
        match (self.withdrawn, self.stored) {
            (Some((_, place)), _) if self.stands() => Force::Line { place, says: Says::WITHDRAWN },
            (_, Some(Stored { place, says, .. })) if self.stored.map(|stored| stored.when()) > self.removed => {
                Force::Line { place, says }
            }
            _ => Force::Free,
        }
    }

    /// When the latest line was written, of whatever kind.
    fn last(&self) -> Option<Timestamp> {
        let stored = self.stored.map(|stored| stored.when());
        stored.max(self.withdrawn).max(self.removed).map(|(at, _)| at)
    }
}

/// The tombstones, by keys. What is held is O(tombstones).
#[derive(Default)]
pub(super) struct Tombs(Known<Tomb>);

impl Tombs {
    /// Takes a line in; what is in force of its key from here on, where that is not what it was. `before`: the line that was in force, where
    /// one was; it is asked for where the key has no tombstone yet.
    pub(super) fn takes(
        &mut self,
        print: Print,
        (place, says, word): (u64, Option<Says>, Word),
        before: impl FnOnce() -> Option<Stored>,
    ) -> Option<Force> {
        if let (Word::Stored(at), Some(says), false) = (word, says, self.0.contains_key(&print)) {
            let is_later = before().is_none_or(|before| before.when() < (at, place));
            return is_later.then_some(Force::Line { place, says });
        }
        let tomb = self.0.entry(print).or_insert_with(|| Tomb { stored: before(), ..Tomb::default() });
        let was = tomb.force();
        match word {
            Word::Stored(at) => {
                let this = says.map(|says| Stored { at, place, says });
                let is_later = tomb.stored.map(|stored| stored.when()) < this.map(|this| this.when());
                tomb.stored = if is_later { this } else { tomb.stored };
            }
            Word::Withdrawn(at) => tomb.withdrawn = tomb.withdrawn.max(Some((at, place))),
            Word::Removed { at, frees } => {
                tomb.removed = tomb.removed.max(Some((at, place)));
                tomb.freed = if frees { tomb.freed.max(Some((at, place))) } else { tomb.freed };
            }
        }
        let now = tomb.force();
        (now != was).then_some(now)
    }

    /// Whether a tombstone that was written then is there, or what came of it later: another one, or a person's word that the name is free.
    pub(super) fn knows(&self, print: &Print, withdrawn: Timestamp) -> bool {
        self.0.get(print).and_then(|tomb| tomb.withdrawn.max(tomb.freed)).is_some_and(|(at, _)| at >= withdrawn)
    }

    /// A row as it is to be appended: it is later than all of its key before it, whatever the clock says. `before`: when the latest of them
    /// was written that is known otherwise.
    pub(super) fn dated(&self, print: &Print, row: &Row, before: Option<Timestamp>) -> Row {
        let Some(last) = self.0.get(print).and_then(Tomb::last).max(before) else { return row.clone() };
        let after = last.checked_add(SignedDuration::from_micros(STEP_MICROS)).unwrap_or(last);
        Row { received_at_wall: row.received_at_wall.max(after), ..row.clone() }
    }
}
