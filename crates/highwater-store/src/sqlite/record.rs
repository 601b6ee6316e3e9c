//! Recording: a group of intents and outcomes as one transaction. What an outcome does to an item and the figures is
//! [`settle`]'s.

use std::collections::HashSet;

use highwater_engine::ledger::{Entry, Fence, GROUP_ENTRIES_MAX, Recorded};
use highwater_engine::name::WorklistId;
use highwater_engine::report::PassCounts;
use highwater_engine::worklist::settle;
use jiff::Timestamp;
use rusqlite::Connection;

use super::fault::{Failure, Step};
use super::intent::Intents;
use super::standing::Standings;
use super::{fence, job, pass, worklist};

/// What is to be recorded together.
pub(super) struct Group {
    pub(super) fence: Fence,
    pub(super) worklist: WorklistId,
    pub(super) at: Timestamp,
    pub(super) attempts_max: u32,
    pub(super) entries: Vec<Entry>,
}

pub(super) fn record(db: &Connection, group: Group) -> Step<Recorded> {
    let Group { fence, worklist: id, at, attempts_max, entries } = group;
    if entries.len() > GROUP_ENTRIES_MAX {
        return Err(Failure::too_many("entries", entries.len(), GROUP_ENTRIES_MAX));
    }
    fence::check(db, &fence)?;
    let record = worklist::whole(db, id)?;
    let (mut tally, before) = (record.tally, record.tally);
    let mut standings = Standings::of(db, id, at)?;
    let mut intents = Intents::of(db, id)?;
    standings.foresee(entries.iter().filter_map(|entry| match entry {
        Entry::Outcome { position, .. } => Some(*position),
        Entry::Intent { .. } | Entry::Withdraw { .. } => None,
    }))?;
    let (mut kinds, mut counts, mut drained) = (Vec::new(), PassCounts::default(), false);

    for (entry, superseded) in with_superseded(entries) {
        match entry {
            Entry::Intent { .. } if superseded => {}
            Entry::Intent { position, intent } => intents.set(position, intent)?,
            Entry::Withdraw { position } => intents.settle(position),
            Entry::Outcome { position, outcome } => {
                let mut taken = standings.take(position, &mut tally)?;
                let recorded_before = tally.recorded;
                let outcome = settle(&mut taken.standing, &mut tally, outcome, attempts_max);
                // A person's word that stands is not recorded again.
                if tally.recorded > recorded_before {
                    standings.set(&taken, &outcome, &tally, Some(fence.pass))?;
                    drained |= outcome.kind.is_terminal();
                }
                intents.settle(position);
                counts.count(outcome.kind);
                kinds.push(outcome.kind);
            }
        }
    }

    intents.finish()?;
    if tally != before {
        worklist::set_tally(db, id, &tally)?;
    }
    if counts != PassCounts::default() {
        pass::count(db, fence.pass, &counts)?;
    }
    if drained {
        job::set_last_drained(db, &record.job, at)?;
    }
    Ok(Recorded { tally, kinds })
}

/// Each entry, and whether a later one of the same item makes an intent needless.
fn with_superseded(entries: Vec<Entry>) -> impl Iterator<Item = (Entry, bool)> {
    let mut later = HashSet::with_capacity(entries.len());
    let mut superseded: Vec<bool> = entries
        .iter()
        .rev()
        .map(|entry| match entry {
            Entry::Intent { position, .. } | Entry::Withdraw { position } | Entry::Outcome { position, .. } => {
                !later.insert(*position)
            }
        })
        .collect();
    superseded.reverse();
    entries.into_iter().zip(superseded)
}
