//! Files that are on their way: written, copied, moved. Owns when one has come to rest: it is what it was, for as long as is asked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::State;

/// Files that are on their way, what each was when it was last another, and when that was.
#[derive(Debug, Default)]
pub(super) struct Resting(HashMap<PathBuf, (State, Duration)>);

impl Resting {
    /// Notes what a file is; one that is as it was goes on resting.
    pub(super) fn note(&mut self, file: &Path, state: State, now: Duration) {
        match self.0.get_mut(file) {
            Some((was, _)) if *was == state => {}
            Some(noted) => *noted = (state, now),
            None => drop(self.0.insert(file.to_owned(), (state, now))),
        }
    }

    pub(super) fn forget(&mut self, file: &Path) {
        self.0.remove(file);
    }

    /// The files, as they were noted.
    pub(super) fn files(&self) -> Vec<(PathBuf, State)> {
        self.0.iter().map(|(file, (state, _))| (file.clone(), *state)).collect()
    }

    /// Takes out those that have rested for so long.
    pub(super) fn rested(&mut self, now: Duration, settle: Duration) -> Vec<(PathBuf, State)> {
        let rested = self.0.extract_if(|_, (_, since)| now.saturating_sub(*since) >= settle);
        rested.map(|(file, (state, _))| (file, state)).collect()
    }

    /// When the next of them may have.
    pub(super) fn next(&self, now: Duration, settle: Duration) -> Option<Duration> {
        self.0.values().map(|(_, since)| settle.saturating_sub(now.saturating_sub(*since))).min()
    }
}
