//! The ban: "do not contact before T". Owns how `Retry-After` is read and how long a ban may be; that a ban is only ever
//! extended is held by the ledger (R2).

mod file;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::later;
use crate::ledger::Who;

pub use file::BanFile;

/// A resource's ban.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// No contact before this.
    pub until: Timestamp,
    /// When it was last extended.
    pub at: Timestamp,
    /// By whom.
    pub who: Who,
    /// Why.
    pub why: String,
}

impl Ban {
    /// Whether it stands at `now`.
    #[must_use]
    pub fn stands(&self, now: Timestamp) -> bool {
        self.until > now
    }
}

/// How a resource reads `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BanRules {
    /// What an absent, unreadable, zero or past one means.
    pub fallback: Duration,
    /// No ban is longer than this from now.
    pub max: Duration,
    /// One no longer than this is waited out, once a pass.
    pub wait_out_max: Duration,
}

impl Default for BanRules {
    fn default() -> Self {
        Self {
            fallback: Duration::from_secs(60),
            max: Duration::from_secs(30 * 24 * 3600),
            wait_out_max: Duration::from_secs(300),
        }
    }
}

/// How long a response asks to be left alone.
///
/// `retry_after` is delta-seconds or an HTTP-date; a date is measured against the response's own `date`, else `now`.
/// Absent, unreadable, zero or past falls back; above the maximum it is capped.
///
/// # Source
/// RFC 9110 §10.2.3.
#[must_use]
pub fn retry_after(value: Option<&str>, date: Option<&str>, now: Timestamp, rules: &BanRules) -> Duration {
    let asked = value.map(str::trim).and_then(|text| {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            // More digits than a u64 holds are still a number of seconds: capped below.
            return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
        }
        let then = httpdate::parse_http_date(text).ok()?;
        let from = date.and_then(|d| httpdate::parse_http_date(d).ok()).unwrap_or_else(|| now.into());
        then.duration_since(from).ok()
    });
    asked.filter(|wait| !wait.is_zero()).unwrap_or(rules.fallback).min(rules.max)
}

/// When a ban of `wait` from `now` ends.
#[must_use]
pub fn until(now: Timestamp, wait: Duration) -> Timestamp {
    later(now, wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r02_retry_after_is_read_as_seconds_or_date_and_falls_back() {
        let rules = BanRules::default();
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let wait = |value, date| retry_after(value, date, now, &rules).as_secs();
        assert_eq!(wait(Some("120"), None), 120);
        assert_eq!(wait(Some(" 7 "), None), 7);
        assert_eq!(wait(Some("86400"), None), 86_400);
        assert_eq!(wait(Some("99999999999999999999999"), None), rules.max.as_secs());
        for fallback in
            [None, Some(""), Some("0"), Some("-5"), Some("1.5"), Some("soon"), Some("Fri, 20 Nov 2026 11:00:00 GMT")]
        {
            assert_eq!(wait(fallback, None), 60, "{fallback:?}");
        }
        assert_eq!(wait(Some("Fri, 20 Nov 2026 12:10:00 GMT"), None), 600);
        // The server's clock is an hour ahead; its own Date says how long it means.
        assert_eq!(wait(Some("Fri, 20 Nov 2026 13:10:00 GMT"), Some("Fri, 20 Nov 2026 13:00:00 GMT")), 600);
    }
}
