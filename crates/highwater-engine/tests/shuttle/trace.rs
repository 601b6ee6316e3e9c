//! What happened in one schedule, in the order in which it happened, and what must hold of that in every schedule.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use highwater_engine::job::{Effects, OnUnknown};
use highwater_engine::ledger::Intent;
use highwater_engine::outcome::OutcomeKind;

use crate::house::{Fate, Plan};

/// One thing that happened; items by their position.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Did {
    PrepareBegan(u64),
    PrepareEnded(u64),
    CommitBegan(Vec<u64>),
    CommitEnded(Vec<u64>),
    /// The ledger has an intent.
    Intended(u64, Intent),
    /// The ledger has an outcome.
    Recorded(u64, OutcomeKind),
    /// The ledger refused to record.
    Refused,
    /// A preparation, or the commit of those up to this one, answers with a stop.
    StopSaid(u64),
    /// A person has raised the signal.
    Raised,
    /// The lock is lost.
    LockLost,
}

/// What happened so far.
#[derive(Default)]
pub(crate) struct Trace(Mutex<Vec<Did>>);

impl Trace {
    pub(crate) fn note(&self, did: Did) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(did);
    }

    pub(crate) fn take(&self) -> Vec<Did> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What happened, to be judged.
pub(crate) struct Course<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) did: Vec<Did>,
    /// Items that the ledger holds for begun, after the pass.
    pub(crate) started: Vec<u64>,
}

impl Course<'_> {
    /// Whatever came between.
    pub(crate) fn holds(&self) {
        self.commits_are_in_plan_order();
        self.outcomes_are_recorded_in_plan_order();
        self.nothing_is_recorded_before_it_happened();
        self.intents_come_first();
        self.nothing_follows_a_stop();
    }

    /// The same, of a pass that nothing stopped: each item in scope has the outcome that is its fate.
    pub(crate) fn is_whole(&self) {
        let recorded: BTreeSet<u64> = self.recorded().map(|(position, _)| position).collect();
        let fates = (0..).zip(&self.plan.fates);
        let expected = fates.filter(|(_, fate)| **fate != Fate::OutOfScope).map(|(position, _)| position);
        assert_eq!(recorded, expected.collect(), "{:?}", self.did);
        assert_eq!(self.started, [0; 0], "all is recorded");
    }

    fn fate(&self, position: u64) -> Fate {
        self.plan.fates[usize::try_from(position).unwrap()]
    }

    pub(crate) fn committed(&self) -> impl Iterator<Item = u64> {
        self.did
            .iter()
            .filter_map(|did| if let Did::CommitBegan(group) = did { Some(group) } else { None })
            .flatten()
            .copied()
    }

    pub(crate) fn recorded(&self) -> impl Iterator<Item = (u64, OutcomeKind)> {
        self.did
            .iter()
            .filter_map(|did| if let Did::Recorded(position, kind) = did { Some((*position, *kind)) } else { None })
    }

    fn at(&self, did: impl Fn(&Did) -> bool) -> Option<usize> {
        self.did.iter().position(did)
    }

    fn commits_begun_after(&self, at: usize) -> Vec<&Did> {
        self.did[at..].iter().filter(|did| matches!(did, Did::CommitBegan(_))).collect()
    }

    /// Each item once. That no two overlap, the job itself sees.
    fn commits_are_in_plan_order(&self) {
        let committed: Vec<u64> = self.committed().collect();
        assert!(committed.is_sorted_by(|a, b| a < b), "committed {committed:?}: {:?}", self.did);
    }

    /// A row that cannot be read is the exception: it never comes into hand, and is recorded as it is found. That none is recorded
    /// twice, the ledger sees.
    fn outcomes_are_recorded_in_plan_order(&self) {
        let recorded = self.recorded().map(|(position, _)| position);
        let recorded: Vec<u64> = recorded.filter(|position| self.fate(*position) != Fate::Damaged).collect();
        assert!(recorded.is_sorted_by(|a, b| a < b), "recorded {recorded:?}: {:?}", self.did);
    }

    fn nothing_is_recorded_before_it_happened(&self) {
        for (at, did) in (0..).zip(&self.did) {
            let Did::Recorded(position, kind) = did else { continue };
            let before = &self.did[..at];
            let (cause, expected) = match self.fate(*position) {
                Fate::Committed(kind) => {
                    let ended = |did: &Did| matches!(did, Did::CommitEnded(group) if group.contains(position));
                    (before.iter().any(ended), kind)
                }
                Fate::Judged(kind) => (before.contains(&Did::PrepareEnded(*position)), kind),
                Fate::Damaged => (true, OutcomeKind::Review),
                other => panic!("item {position} is recorded, whose fate is {other:?}: {:?}", self.did),
            };
            assert!(cause, "item {position} is recorded before it happened: {:?}", self.did);
            assert_eq!(*kind, expected, "of item {position}");
        }
        // And nothing that was committed is forgotten, unless it could not be written.
        if self.did.contains(&Did::Refused) {
            return;
        }
        for did in &self.did {
            if let Did::CommitEnded(group) = did {
                for position in group {
                    assert!(self.recorded().any(|(recorded, _)| recorded == *position), "{position}: {:?}", self.did);
                }
            }
        }
    }

    fn intents_come_first(&self) {
        let review = self.plan.on_unknown == OnUnknown::Review;
        for (at, did) in (0..).zip(&self.did) {
            let intended = |position: &u64, intent: Intent| self.did[..at].contains(&Did::Intended(*position, intent));
            match did {
                Did::PrepareBegan(position) if review && self.plan.effects == Effects::InPrepare => {
                    assert!(intended(position, Intent::Started), "{position}: {:?}", self.did);
                }
                Did::CommitBegan(group) => {
                    for position in group {
                        assert!(intended(position, Intent::Prepared(None)), "{position}: {:?}", self.did);
                        assert!(!review || intended(position, Intent::Started), "{position}: {:?}", self.did);
                    }
                }
                _ => {}
            }
        }
        // Where effects are in `commit`, the pass knows at its end of each of them whether it happened.
        if self.plan.effects == Effects::InCommit && !self.did.contains(&Did::Refused) {
            assert_eq!(self.started, [0; 0], "{:?}", self.did);
        }
    }

    fn nothing_follows_a_stop(&self) {
        for (at, did) in (0..).zip(&self.did) {
            let after = self.commits_begun_after(at);
            match did {
                Did::StopSaid(position) => {
                    let beyond = self.committed().filter(|committed| committed > position).collect::<Vec<_>>();
                    assert_eq!(beyond, [0; 0], "behind the stop of item {position}: {:?}", self.did);
                }
                // The one for which everything was asked before that.
                Did::Raised | Did::LockLost => assert!(after.len() <= 1, "after {did:?}: {:?}", self.did),
                _ => {}
            }
        }
        if let Some(refused) = self.at(|did| *did == Did::Refused) {
            let late = self.did[refused..].iter().find(|did| matches!(did, Did::Recorded(..) | Did::Intended(..)));
            assert_eq!(late, None, "{:?}", self.did);
        }
    }
}
