//! Documents that a pass leaves to be tried again. Owns what is told of them: which they are, why, and when that is.

use std::mem;
use std::sync::{Mutex, PoisonError};

use highwater_engine::outcome::{Outcome, OutcomeKind};

use crate::page::plain::one_line;

/// How many are told of with their reason.
const TOLD_DOCUMENTS_MAX: usize = 8;

/// What a pass has put off so far.
#[derive(Debug, Default)]
pub(crate) struct PutOff(Mutex<Those>);

#[derive(Debug, Default)]
struct Those {
    first: Vec<String>,
    count: usize,
}

impl PutOff {
    /// Notes a document, as people call it, if this is what became of it.
    pub(crate) fn note(&self, document: &str, outcome: &Outcome) {
        if !matches!(outcome.kind, OutcomeKind::Deferred | OutcomeKind::Failed) {
            return;
        }
        let mut those = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        those.count += 1;
        if those.first.len() < TOLD_DOCUMENTS_MAX {
            let why = outcome.detail.as_deref().map(|why| format!(": {}", one_line(why))).unwrap_or_default();
            those.first.push(format!("{} is tried again by the next pass{why}", one_line(document)));
        }
    }

    /// What a person should know of them, a sentence each; afterwards there are none.
    pub(crate) fn told(&self) -> Vec<String> {
        let Those { first: mut told, count } = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        told.sort();
        match count - told.len() {
            0 => {}
            1 => told.push("1 more document is tried again by the next pass".to_owned()),
            more => told.push(format!("{more} more documents are tried again by the next pass")),
        }
        told
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
        for kind in [OutcomeKind::Done, OutcomeKind::Present, OutcomeKind::Review, OutcomeKind::Gone] {
            note(1, kind);
        }
        let told =
            [2, 3].map(|n| format!("https://example.org/{n} is tried again by the next pass: it did not answer"));
        assert_eq!(put_off.told(), told);
        assert!(put_off.told().is_empty(), "they were told of");
        for n in 0..=TOLD_DOCUMENTS_MAX {
            note(n, OutcomeKind::Deferred);
        }
        assert_eq!(put_off.told().last().unwrap(), "1 more document is tried again by the next pass");
        for n in 0..TOLD_DOCUMENTS_MAX + 4 {
            note(n, OutcomeKind::Deferred);
        }
        assert_eq!(put_off.told().last().unwrap(), "4 more documents are tried again by the next pass");
    }
}
