//! The walk through one list, page after page. Owns which request comes next and when a list is at its end; asking, and
//! storing the walk between two pages, are the caller's.
//!
//! A walk has a bounded size however long the list is: of the tokens and pages that it has seen it keeps the latest few, which
//! finds the short loops at once, and one from further back, which finds any other (Brent's way).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::parse::PageEnd;
use crate::protocol::{Datestamp, ErrorCode, ProtocolError, Request, Selection, Verb};

/// No list has more pages.
const WALK_PAGES_MAX: u64 = 1_000_000;
/// So many pages in a row may be empty and name a token.
const EMPTY_PAGES_MAX: u32 = 10;
/// So many pages of one and the same record are borne with, where they follow each other under new tokens.
const SINGLE_REPEATS_MAX: u32 = 3;
/// So many tokens and pages are remembered one by one.
const RECENT_MAX: usize = 32;

/// A list on the way through its pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Walk {
    start: Start,
    /// Where the list goes on; `None` before the first page.
    token: Option<String>,
    ended: bool,
    pages: u64,
    records: u64,
    /// The smallest size that the repository has said.
    complete_list_size: Option<u64>,
    tokens_seen: Trail,
    pages_seen: Trail,
    empty_in_a_row: u32,
    repeated_in_a_row: u32,
}

/// The list from its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Start {
    list: List,
    metadata_prefix: String,
    set: Option<String>,
    from: Option<String>,
    until: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum List {
    Identifiers,
    Records,
    Sets,
}

/// How far a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is another page.
    More,
    /// That was the last one, and nothing says that any record is missing.
    Complete {
        /// How many there were.
        records: u64,
    },
    /// That was the last one, and the repository had said there were more records.
    ShortOf {
        /// How many it had said, at the least.
        expected: u64,
        /// How many there were.
        got: u64,
    },
}

/// Why a list cannot be walked on. None of it is an end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalkFault {
    /// The token is no longer taken: the list must be walked from its beginning.
    #[error("the resumption token expired after page {pages}, with {records} records read; the list must begin anew")]
    Expired {
        /// Pages so far.
        pages: u64,
        /// Records so far.
        records: u64,
    },
    /// The list goes in a circle.
    #[error("the list goes in a circle: page {page} names a resumption token, or lists records, that came before")]
    Loop {
        /// The page, counted from 1.
        page: u64,
    },
    /// The list has no end.
    #[error("the list has no end: {0}")]
    Endless(String),
    /// The repository refuses the request.
    #[error("the repository refuses: {}: {}", .0.code.as_str(), .0.message)]
    Refused(ProtocolError),
}

impl Walk {
    /// The list of headers.
    #[must_use]
    pub fn identifiers(selection: &Selection) -> Self {
        Self::new(List::Identifiers, selection)
    }

    /// The list of records.
    #[must_use]
    pub fn records(selection: &Selection) -> Self {
        Self::new(List::Records, selection)
    }

    pub(super) fn sets() -> Self {
        Self::new(List::Sets, &Selection::default())
    }

    fn new(list: List, selection: &Selection) -> Self {
        let start = Start {
            list,
            metadata_prefix: selection.metadata_prefix.clone(),
            set: selection.set.clone(),
            from: selection.from.map(|from| from.to_string()),
            until: selection.until.map(|until| until.to_string()),
        };
        Self::from_start(start)
    }

    fn from_start(start: Start) -> Self {
        Self {
            start,
            token: None,
            ended: false,
            pages: 0,
            records: 0,
            complete_list_size: None,
            tokens_seen: Trail::default(),
            pages_seen: Trail::default(),
            empty_in_a_row: 0,
            repeated_in_a_row: 0,
        }
    }

    /// The same list from its beginning, for one whose token expired.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::from_start(self.start.clone())
    }

    /// The next request; `None` at the end of the list.
    #[must_use]
    pub fn request(&self) -> Option<Request> {
        if self.ended {
            return None;
        }
        let verb = match self.start.list {
            List::Identifiers => Verb::ListIdentifiers,
            List::Records => Verb::ListRecords,
            List::Sets => Verb::ListSets,
        };
        Some(match (&self.token, self.start.list) {
            (Some(token), _) => Request::Resume { verb, token: token.clone() },
            (None, List::Identifiers) => Request::ListIdentifiers(self.start.selection()),
            (None, List::Records) => Request::ListRecords(self.start.selection()),
            (None, List::Sets) => Request::ListSets,
        })
    }

    /// How many pages were walked.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// How many entries they had.
    #[must_use]
    pub fn records_seen(&self) -> u64 {
        self.records
    }

    /// How long the repository says the list is, the smallest it has said.
    #[must_use]
    pub fn complete_list_size(&self) -> Option<u64> {
        self.complete_list_size
    }

    /// Takes a page that was read to its end.
    ///
    /// `cursor` is not looked at: some repositories count pages with it. A `completeListSize` that is passed was wrong and means
    /// nothing; one that is not reached is told.
    ///
    /// # Errors
    /// [`WalkFault`] when the list goes in a circle or has no end. The walk is as it was.
    pub fn page(&mut self, end: &PageEnd) -> Result<Progress, WalkFault> {
        let mut next = self.clone();
        let progress = next.take(end)?;
        *self = next;
        Ok(progress)
    }

    fn take(&mut self, end: &PageEnd) -> Result<Progress, WalkFault> {
        self.pages += 1;
        self.records += end.records;
        self.complete_list_size = match (self.complete_list_size, end.complete_list_size) {
            (Some(known), Some(said)) => Some(known.min(said)),
            (known, said) => known.or(said),
        };
        let Some(token) = &end.token else { return Ok(self.end()) };
        if self.pages >= WALK_PAGES_MAX {
            return Err(WalkFault::Endless(format!("{WALK_PAGES_MAX} pages, and still a token")));
        }
        let circle = WalkFault::Loop { page: self.pages };
        if self.tokens_seen.step(hash(&token.value)) {
            return Err(circle);
        }
        let repeated = end.records > 0 && self.start.list != List::Sets && self.pages_seen.step(end.fingerprint);
        self.empty_in_a_row = if end.records == 0 { self.empty_in_a_row + 1 } else { 0 };
        self.repeated_in_a_row = if repeated { self.repeated_in_a_row + 1 } else { 0 };
        // The same single record may stand on two pages: lists are read while they change.
        if repeated && (end.records > 1 || self.repeated_in_a_row >= SINGLE_REPEATS_MAX) {
            return Err(circle);
        }
        if self.empty_in_a_row > EMPTY_PAGES_MAX {
            return Err(WalkFault::Endless(format!("{} empty pages in a row, and still a token", self.empty_in_a_row)));
        }
        self.token = Some(token.value.clone());
        Ok(Progress::More)
    }

    /// Takes an error of the protocol in the place of a page: nothing matches is the end of a list, and an empty one when it
    /// comes first.
    ///
    /// # Errors
    /// [`WalkFault::Expired`] when a token is not taken, [`WalkFault::Refused`] for any other. The walk is as it was.
    pub fn refused(&mut self, error: &ProtocolError) -> Result<Progress, WalkFault> {
        match error.code {
            ErrorCode::NoRecordsMatch => Ok(self.end()),
            ErrorCode::BadResumptionToken if self.token.is_some() => {
                Err(WalkFault::Expired { pages: self.pages, records: self.records })
            }
            _ => Err(WalkFault::Refused(error.clone())),
        }
    }

    fn end(&mut self) -> Progress {
        self.ended = true;
        match self.complete_list_size {
            Some(expected) if expected > self.records => Progress::ShortOf { expected, got: self.records },
            _ => Progress::Complete { records: self.records },
        }
    }
}

impl Start {
    fn selection(&self) -> Selection {
        let datestamp = |text: &Option<String>| text.as_deref().and_then(|text| Datestamp::parse(text).ok());
        Selection {
            metadata_prefix: self.metadata_prefix.clone(),
            set: self.set.clone(),
            from: datestamp(&self.from),
            until: datestamp(&self.until),
        }
    }
}

/// What came before, in bounded space.
///
/// # Source
/// R. P. Brent, "An improved Monte Carlo factorization algorithm", BIT 20 (1980): the one from further back is moved up at every
/// power of two, so a loop of any length is found, within steps in proportion to it and to what came before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Trail {
    steps: u64,
    further_back: u64,
    recent: VecDeque<u64>,
}

impl Trail {
    /// Takes a step; whether it leads to where the trail has been.
    fn step(&mut self, to: u64) -> bool {
        let been = self.recent.contains(&to) || (self.steps > 0 && self.further_back == to);
        self.steps += 1;
        if self.steps.is_power_of_two() {
            self.further_back = to;
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(to);
        been
    }
}

fn hash(token: &str) -> u64 {
    let digest = Sha256::digest(token);
    let (first, _) = digest.split_first_chunk().expect("invariant: SHA-256 has 32 bytes");
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests;
