//! What nothing refers to, removed in two phases: it is **condemned** first, and goes once it was condemned for a grace period and
//! nothing refers to it still. Owns what is garbage among the objects.
//!
//! Every generation is kept, since one may go back to it; so are the objects that any of them has or changed, and those of a manifest
//! whose COMMIT never came, which a rebuild may take for a generation. Garbage is what crashes, refused documents and abandoned
//! preparations left. A preparation that is on its way puts objects without the base lock, before anything refers to them: the grace
//! period is for these. One that takes longer finds at its commit that they are gone, and is tried anew; a generation never has an
//! object that is missing. What is half written has no such second look, and its name may be another's by now: it goes only where
//! nobody prepares. So do rows that a killed rebuild was making, at once: nobody is at them under the base lock. Where it is lost what a generation changed, any object may be of that: then none is garbage.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::manifest::Manifest;
use super::objects::{Named, Objects};
use super::rows::garbage;
use super::{Base, BaseLock, behind, rows};
use crate::content::ContentId;
use crate::error::KbError;

/// How long something is condemned before it goes, in seconds: longer than a document is prepared.
pub const GRACE_SECS: u64 = 24 * 60 * 60;
/// How long after the end of a round the next one is due, in seconds.
pub const ROUND_SECS: u64 = 24 * 60 * 60;
/// How many names one call looks at.
pub const LOOKED_NAMES_MAX: usize = 100_000;
/// How many manifests one call reads.
const NOTED_MANIFESTS_MAX: u32 = 4096;
/// How many bytes of manifests one call reads, give or take the last.
const NOTED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// More than any name is.
const AFTER_ALL: &str = "\u{10ffff}";

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many objects and partial files were found to be garbage, and wait from now on.
    pub condemned: u64,
    /// How many wait since earlier.
    pub waiting: u64,
    /// How many were removed.
    pub removed: u64,
    /// How large these were, in bytes.
    pub bytes: u64,
    /// Whether this was the end of a round: else there is more to look at, and the next call goes on there.
    pub is_round_end: bool,
    /// Whether it is lost what some generation changed: then every object stays, since it may be of that.
    pub keeps_objects: bool,
}

/// What there is to do with some names.
#[derive(Debug, Default)]
struct Look {
    /// Garbage, found now.
    condemn: Vec<String>,
    /// No longer garbage, or no longer there.
    reprieve: Vec<String>,
    /// Garbage, long enough.
    doomed: Vec<String>,
    waiting: u64,
    keeps_objects: bool,
    /// The last name that was looked at; `None` where it was the last there is.
    last: Option<String>,
}

impl Base {
    /// Whether a collection would not come too soon after the last: a round is open, or the last one ended long ago.
    ///
    /// # Errors
    /// What the rows say.
    pub fn is_collection_due(&self, now: Timestamp) -> Result<bool, KbError> {
        self.sound()?;
        let collection = garbage::collection(&self.rows)?;
        let is_open = !collection.looked.is_empty();
        Ok(is_open || collection.ended.is_none_or(|ended| has_passed(ended, now, Duration::from_secs(ROUND_SECS))))
    }

    /// Goes on with the collection: a bounded part of a round, over [`LOOKED_NAMES_MAX`] names. `alone` says that nobody prepares
    /// documents for this base: then what is half written is nobody's.
    ///
    /// # Errors
    /// As [`Base::finish`]; a manifest that is missing or damaged, and [`KbError::RowsBehind`]: then nothing was removed. What the disk
    /// says while things are removed: those that stay are condemned anew by a later round.
    pub fn collect(
        &mut self,
        held: &BaseLock,
        now: Timestamp,
        grace: Duration,
        alone: bool,
    ) -> Result<Collected, KbError> {
        self.finish(held)?;
        if !self.note_references()? {
            return Ok(Collected::default());
        }
        let after = garbage::collection(&self.rows)?.looked;
        let look = self.look(now, grace, alone, (&after, LOOKED_NAMES_MAX))?;
        // Struck off before it goes: else one that a crash left on the list would cost bytes that come back their grace.
        self.note(|rows| {
            garbage::reprieve(rows, look.reprieve.iter().chain(&look.doomed))?;
            garbage::condemn(rows, &look.condemn, now)?;
            match &look.last {
                Some(last) => garbage::looked(rows, last),
                None => garbage::ended(rows, now),
            }
        })?;
        let mut collected = look.told();
        let objects = self.objects();
        for name in &look.doomed {
            collected.bytes += objects.discard(name)?;
        }
        // Also where nothing went: the sync of an earlier call may have failed.
        objects.settle()?;
        for (file, bytes) in self.home.left_of_rebuilds(held)? {
            self.home.fs().unlink(&file)?;
            collected.removed += 1;
            collected.bytes += bytes;
        }
        Ok(collected)
    }

    /// What a whole round would do now, without removing or condemning anything.
    ///
    /// # Errors
    /// As [`Base::collect`].
    pub fn garbage(
        &mut self,
        held: &BaseLock,
        now: Timestamp,
        grace: Duration,
        alone: bool,
    ) -> Result<Collected, KbError> {
        self.finish(held)?;
        while !self.note_references()? {}
        let look = self.look(now, grace, alone, ("", usize::MAX))?;
        let mut found = look.told();
        let objects = self.objects();
        for name in &look.doomed {
            found.bytes += objects.bytes_of(name)?;
        }
        for (_, bytes) in self.home.left_of_rebuilds(held)? {
            found.removed += 1;
            found.bytes += bytes;
        }
        Ok(found)
    }

    /// Notes what generations refer to that were not noted yet, a limited number of them. Whether all are noted.
    fn note_references(&mut self) -> Result<bool, KbError> {
        let head = rows::standing(&self.rows)?.head;
        let noted = garbage::collection(&self.rows)?.noted;
        let last = head.min(noted.saturating_add(NOTED_MANIFESTS_MAX));
        let (mut refers_to, mut bytes, mut now_noted) = (BTreeSet::new(), 0, noted);
        for generation in noted + 1..=last {
            now_noted = generation;
            // One that is lost leaves a gap in rows that were made again.
            let Some(id) = rows::manifest(&self.rows, generation)? else { continue };
            let read = Manifest::bytes(self.objects(), generation, id)?;
            refers_to.extend(Manifest::read(generation, &read)?.refers_to());
            bytes += read.len();
            if bytes > NOTED_BYTES_MAX {
                break;
            }
        }
        if now_noted > noted {
            self.note(|rows| garbage::note(rows, now_noted, &refers_to))?;
        }
        Ok(now_noted == head)
    }

    /// Looks at the names after one, at most so many.
    fn look(
        &self,
        now: Timestamp,
        grace: Duration,
        alone: bool,
        (after, names_max): (&str, usize),
    ) -> Result<Look, KbError> {
        let head = rows::standing(&self.rows)?.head;
        behind::refuse(self.objects(), || Ok(head))?;
        let names = self.objects().names()?;
        let manifest = |name: &String| match Named::of(name) {
            Named::Manifest(generation) => Some(generation),
            _ => None,
        };
        // Only the manifest of the next generation may be there, from an attempt that never came to its COMMIT.
        if names.iter().filter_map(manifest).any(|found| found > head + 1) {
            return Err(KbError::RowsBehind { head });
        }
        let next = attempted(self.objects(), head + 1)?;
        let keeps_objects = garbage::is_any_lost(&self.rows)?;
        let rest = &names[names.partition_point(|name| name.as_str() <= after)..];
        let looked = &rest[..rest.len().min(names_max)];
        let last = looked.last().filter(|_| looked.len() < rest.len()).cloned();
        let of = last.as_deref().unwrap_or(AFTER_ALL);
        let mut condemned: BTreeMap<String, Timestamp> =
            garbage::condemned(&self.rows, after, of)?.into_iter().collect();
        let mut look = Look { last, keeps_objects, ..Look::default() };
        for name in looked {
            let is_garbage = match Named::of(name) {
                Named::Object(_) if keeps_objects => false,
                Named::Object(id) => !next.contains(&id) && !garbage::is_referenced(&self.rows, id)?,
                Named::Partial => alone,
                // What is not called as one of ours is not ours.
                Named::Manifest(_) | Named::Other => false,
            };
            if !is_garbage {
                continue;
            }
            let name = name.clone();
            match condemned.remove(&name) {
                // A clock that was ahead counts for nothing.
                Some(since) if since > now => {
                    look.reprieve.push(name.clone());
                    look.condemn.push(name);
                }
                since if has_passed(since.unwrap_or(now), now, grace) => look.doomed.push(name),
                Some(_) => look.waiting += 1,
                None => look.condemn.push(name),
            }
        }
        look.reprieve.extend(condemned.into_keys());
        Ok(look)
    }
}

impl Look {
    fn told(&self) -> Collected {
        Collected {
            condemned: self.condemn.len() as u64,
            waiting: self.waiting,
            removed: self.doomed.len() as u64,
            bytes: 0,
            is_round_end: self.last.is_none(),
            keeps_objects: self.keeps_objects,
        }
    }
}

/// What a generation refers to whose COMMIT never came.
fn attempted(objects: Objects<'_>, generation: u32) -> Result<BTreeSet<ContentId>, KbError> {
    match objects.manifest(generation)? {
        Some(bytes) => Ok(Manifest::read(generation, &bytes)?.refers_to()),
        None => Ok(BTreeSet::new()),
    }
}

fn has_passed(since: Timestamp, now: Timestamp, span: Duration) -> bool {
    now.duration_since(since) >= SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX)
}
