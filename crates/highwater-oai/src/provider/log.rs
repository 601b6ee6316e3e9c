//! What was served. Owns the bounded log that tests read and the access log that outlives the process.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::protocol::Verb;

/// How many requests are kept; older ones are forgotten, and still counted.
pub const LOG_REQUESTS_MAX: usize = 50_000;

/// A request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// When it came.
    pub at: Timestamp,
    /// Its arguments, as they were escaped.
    pub query: String,
    /// Its verb, if it is one.
    pub verb: Option<Verb>,
    /// The record it names.
    pub identifier: Option<String>,
    /// The resumption token it carries.
    pub token: Option<String>,
    /// The status of the answer; `None` where a fault withheld it.
    pub status: Option<u16>,
    /// The faults that it met.
    pub faults: Vec<&'static str>,
}

impl fmt::Display for Served {
    /// A line of the access log: time, status, faults, request, between tabs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{}\t{status}\t", self.at)?,
            None => write!(f, "{}\t-\t", self.at)?,
        }
        let faults = if self.faults.is_empty() { "-".to_owned() } else { self.faults.join("+") };
        // A body may carry anything; one request stays one line.
        write!(f, "{faults}\t{}", self.query.replace(char::is_control, " "))
    }
}

/// The requests that a provider served.
#[derive(Debug, Default)]
pub struct ProviderLog {
    kept: Mutex<Kept>,
    file: Option<Mutex<File>>,
}

#[derive(Debug, Default)]
struct Kept {
    requests: VecDeque<Served>,
    count: u64,
}

impl ProviderLog {
    /// A log that also appends a line a request to a file: time, status, faults, request, between tabs.
    ///
    /// The line is written before the answer is sent, so that who has the answer finds the line.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn appending_to(path: &Path) -> io::Result<Self> {
        let file = File::options().append(true).create(true).open(path)?;
        Ok(Self { kept: Mutex::default(), file: Some(Mutex::new(file)) })
    }

    /// The last [`LOG_REQUESTS_MAX`] requests, in order of their answers.
    #[must_use]
    pub fn requests(&self) -> Vec<Served> {
        lock(&self.kept).requests.iter().cloned().collect()
    }

    /// How many requests there were in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        lock(&self.kept).count
    }

    pub(super) fn add(&self, served: Served) {
        if let Some(file) = &self.file
            && let Err(error) = lock(file).write_all(format!("{served}\n").as_bytes())
        {
            tracing::error!(error = %error, "a line of the access log is lost");
        }
        let mut kept = lock(&self.kept);
        kept.count += 1;
        if kept.requests.len() == LOG_REQUESTS_MAX {
            kept.requests.pop_front();
        }
        kept.requests.push_back(served);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    fn served(query: &str) -> Served {
        Served {
            at: "2026-11-20T00:00:00Z".parse().unwrap(),
            query: query.to_owned(),
            verb: Some(Verb::Identify),
            identifier: None,
            token: None,
            status: Some(200),
            faults: vec!["html", "slow"],
        }
    }

    #[test]
    fn the_log_keeps_the_last_requests_and_counts_them_all() {
        let log = ProviderLog::default();
        for n in 0..=LOG_REQUESTS_MAX {
            log.add(served(&n.to_string()));
        }
        assert_eq!(log.count(), LOG_REQUESTS_MAX as u64 + 1);
        let kept = log.requests();
        assert_eq!(kept.len(), LOG_REQUESTS_MAX);
        assert_eq!(kept[0].query, "1");
    }

    #[test]
    fn a_request_is_one_line_of_the_access_log_whatever_it_carries() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("access.log");
        ProviderLog::appending_to(&path).unwrap().add(served("verb=Identify\n200\tforged"));
        let log = ProviderLog::appending_to(&path).unwrap();
        log.add(Served { status: None, faults: vec![], ..served("verb=ListSets") });
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "2026-11-20T00:00:00Z\t200\thtml+slow\tverb=Identify 200 forged\n2026-11-20T00:00:00Z\t-\t-\tverb=ListSets\n"
        );
    }
}
