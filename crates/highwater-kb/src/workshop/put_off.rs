//! Documents that a pass leaves to be tried again, and those that it leaves to a person. Owns what is told of them: which they are, and why.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, PoisonError};

use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::PassCounts;

use crate::page::plain::one_line;

/// How many are told of with their reason.
const TOLD_DOCUMENTS_MAX: usize = 8;

/// What a pass has put off so far.
#[derive(Debug, Default)]
pub(crate) struct PutOff(Mutex<Those>);

#[derive(Debug, Default)]
struct Those {
    /// The first that are to be tried again, as far as their job knows, and why.
    first: Vec<(String, String)>,
    /// How many these are.
    count: usize,
    /// By why they are for a person to look at: one of them, and how many there are.
    looked_at: BTreeMap<String, (String, usize)>,
    /// How many more there are, for other reasons.
    looked_at_more: usize,
    /// How many were told of by an earlier pass.
    known: usize,
}

impl PutOff {
    /// Notes a document, as people call it, if this is what became of it.
    pub(crate) fn note(&self, document: &str, outcome: &Outcome) {
        let mut those = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let why = outcome.detail.as_deref().map(one_line);
        match outcome.kind {
            OutcomeKind::Deferred | OutcomeKind::Failed => {
                those.count += 1;
                if those.first.len() < TOLD_DOCUMENTS_MAX {
                    those.first.push((one_line(document), why.unwrap_or_default()));
                }
            }
            OutcomeKind::Review => those.leaves_to_look_at(document, why.unwrap_or_default()),
            _ => {}
        }
    }

    /// Notes one that is for a person to look at, as they were told.
    pub(crate) fn note_known(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).known += 1;
    }

    /// What a person should know of them, a sentence each; afterwards there are none. Whose tries are spent is for them to look at,
    /// which only what the ledger counted tells.
    pub(crate) fn told(&self, counts: &PassCounts) -> Vec<String> {
        let mut those = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let spent = usize::try_from(counts.review).unwrap_or(usize::MAX).saturating_sub(those.left_to_look_at());
        if spent > 0 && spent >= those.count {
            those.are_spent();
        }
        let Those { first, count, looked_at, looked_at_more, .. } = those;
        let again = match spent {
            0 => "tried again by the next pass",
            _ => "tried again by the next pass, unless its tries are spent",
        };
        let more = count - first.len();
        let mut told: Vec<String> =
            first.into_iter().map(|(document, why)| format!("{document} is {again}{}", because(&why))).collect();
        told.sort();
        match more {
            0 => {}
            1 => told.push(format!("1 more document is {again}")),
            more => told.push(format!("{more} more documents are {}", again.replace("its", "their"))),
        }
        told.extend(looked_at.into_iter().map(|(why, (document, count))| {
            let those = match count {
                1 => format!("{document} is"),
                count => format!("{document} and {} more are", count - 1),
            };
            format!("{those} for you to look at{}", because(&why))
        }));
        match looked_at_more {
            0 => {}
            1 => told.push("1 more document is for you to look at".to_owned()),
            more => told.push(format!("{more} more documents are for you to look at")),
        }
        told
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

impl Those {
    /// How many a person is to look at.
    fn left_to_look_at(&self) -> usize {
        self.looked_at.values().map(|(_, count)| count).sum::<usize>() + self.looked_at_more + self.known
    }

    /// None of them is tried again.
    fn are_spent(&mut self) {
        let first = mem::take(&mut self.first);
        self.looked_at_more += mem::take(&mut self.count) - first.len();
        first.into_iter().for_each(|(document, why)| self.leaves_to_look_at(&document, why));
    }

    fn leaves_to_look_at(&mut self, document: &str, why: String) {
        let is_full = self.looked_at.len() >= TOLD_DOCUMENTS_MAX;
        let document = one_line(document);
        match self.looked_at.get_mut(&why) {
            Some((first, count)) => {
                *count += 1;
                // Whichever was ready first.
                if document < *first {
                    *first = document;
                }
            }
            None if is_full => self.looked_at_more += 1,
            None => drop(self.looked_at.insert(why, (document, 1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_told_of_with_their_reasons_and_how_many_more_there_are() {
        let put_off = PutOff::default();
        let note = |n: usize, kind: OutcomeKind| {
            put_off.note(&format!("https://example.org/{n}"), &Outcome::because(kind, "it did\nnot answer"));
        };
        note(3, OutcomeKind::Failed);
        note(2, OutcomeKind::Deferred);
        for kind in [OutcomeKind::Done, OutcomeKind::Present, OutcomeKind::Gone] {
            note(1, kind);
        }
        let told =
            [2, 3].map(|n| format!("https://example.org/{n} is tried again by the next pass: it did not answer"));
        assert_eq!(put_off.told(&PassCounts::default()), told);
        assert!(put_off.told(&PassCounts::default()).is_empty(), "they were told of");
        for n in 0..=TOLD_DOCUMENTS_MAX {
            note(n, OutcomeKind::Deferred);
        }
        assert_eq!(
            put_off.told(&PassCounts::default()).last().unwrap(),
            "1 more document is tried again by the next pass"
        );
        for n in 0..TOLD_DOCUMENTS_MAX + 4 {
            note(n, OutcomeKind::Deferred);
        }
        assert_eq!(
            put_off.told(&PassCounts::default()).last().unwrap(),
            "4 more documents are tried again by the next pass"
        );
    }

    #[test]
    fn those_that_a_person_is_to_look_at_are_told_by_why() {
        let put_off = PutOff::default();
        for document in ["b", "a", "c"] {
            put_off.note(document, &Outcome::because(OutcomeKind::Review, "the index is in conflict"));
        }
        put_off.note("d", &Outcome::because(OutcomeKind::Review, "it says nothing"));
        let told = [
            "d is for you to look at: it says nothing",
            "a and 2 more are for you to look at: the index is in conflict",
        ];
        assert_eq!(put_off.told(&PassCounts::default()), told);
        assert!(put_off.told(&PassCounts::default()).is_empty(), "they were told of");
        for n in 0..TOLD_DOCUMENTS_MAX + 2 {
            put_off.note("e", &Outcome::because(OutcomeKind::Review, format!("{n}")));
        }
        assert_eq!(put_off.told(&PassCounts::default()).last().unwrap(), "2 more documents are for you to look at");
    }

    #[test]
    fn whose_tries_are_spent_is_for_a_person_and_not_tried_again() {
        let put_off = PutOff::default();
        let note = |documents: &[&str], kind: OutcomeKind| {
            documents.iter().for_each(|document| put_off.note(document, &Outcome::because(kind, "no answer")));
        };
        let counts = |review: u64, retry: u64| PassCounts { review, retry, ..PassCounts::default() };
        note(&["b", "a"], OutcomeKind::Failed);
        assert_eq!(put_off.told(&counts(2, 0)), ["a and 1 more are for you to look at: no answer"]);
        note(&["b", "a"], OutcomeKind::Failed);
        note(&["c"], OutcomeKind::Review);
        let told = put_off.told(&counts(1, 2));
        assert_eq!(told[0], "a is tried again by the next pass: no answer");
        assert_eq!(told[2], "c is for you to look at: no answer");
        // Which of them it is, is not known here.
        note(&["b", "a"], OutcomeKind::Failed);
        let told = put_off.told(&counts(1, 1));
        assert_eq!(told[1], "b is tried again by the next pass, unless its tries are spent: no answer");
        for n in 0..TOLD_DOCUMENTS_MAX + 4 {
            note(&[&n.to_string()], OutcomeKind::Failed);
        }
        let told = put_off.told(&counts(TOLD_DOCUMENTS_MAX as u64 + 4, 0));
        assert_eq!(told, ["0 and 7 more are for you to look at: no answer", "4 more documents are for you to look at"]);
    }
}
