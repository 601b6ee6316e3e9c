//! An answer as it comes over the wire. Owns the connection it is read from and how long that may take.

use std::time::Duration;

use highwater_engine::clock::SharedClock;
use jiff::Timestamp;
use reqwest::Response;

use super::fault::{Fault, root};
use super::parse::{Entry, PageEnd, Parser};
use super::{GetRecord, Limits};
use crate::protocol::ProtocolError;

/// An answer whose head is there. Entries are read from it while the rest is on its way.
pub struct Answer {
    parser: Parser,
    /// `None` once all of it has come.
    response: Option<Response>,
    /// What its head says of when it was sent.
    sent_at: Option<Timestamp>,
    /// An error of the protocol that came with the status of a refusal, and was read already.
    refusal: Option<ProtocolError>,
    clock: SharedClock,
    begun: Duration,
    limits: Limits,
    received_bytes: u64,
}

impl Answer {
    pub(super) fn new(
        parser: Parser,
        response: Response,
        sent_at: Option<Timestamp>,
        clock: SharedClock,
        limits: Limits,
    ) -> Self {
        let begun = clock.elapsed();
        Self { parser, response: Some(response), sent_at, refusal: None, clock, begun, limits, received_bytes: 0 }
    }

    /// The same, of which nothing is to be read but this error.
    pub(super) fn refusing(self, error: ProtocolError) -> Self {
        Self { refusal: Some(error), ..self }
    }

    /// The next entry, in the order of the repository; `None` at the end.
    ///
    /// # Errors
    /// [`Fault`] when the answer is an error, cannot be relied on, breaks off, or is more than may be borne with.
    pub async fn next(&mut self) -> Result<Option<Entry>, Fault> {
        self.refuse()?;
        loop {
            if let Some(entry) = self.parser.next()? {
                return Ok(Some(entry));
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    /// What the page said of itself, after [`Answer::next`] said `None`.
    ///
    /// # Errors
    /// [`Fault::Truncated`] when the answer was not read to its end: it might name a token that has not come.
    pub fn end(self) -> Result<PageEnd, Fault> {
        let unread = || Fault::Truncated { at_byte: self.received_bytes, within: "what was read of it".to_owned() };
        let end = self.parser.end().ok_or_else(unread)?;
        Ok(PageEnd { response_date: end.response_date.or(self.sent_at), ..end })
    }

    /// When the repository answered, by its own clock, never by ours: its `responseDate`, known once that much of the answer was
    /// read, else the `Date` of its head.
    #[must_use]
    pub fn response_date(&self) -> Option<Timestamp> {
        self.parser.response_date().or(self.sent_at)
    }

    /// How much of it has come, in bytes, decompressed.
    pub(super) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    fn refuse(&self) -> Result<(), Fault> {
        self.refusal.clone().map_or(Ok(()), |error| Err(Fault::Protocol(error)))
    }

    /// The children of the verb's element, for answers that are no lists of records.
    pub(super) async fn elements(mut self) -> Result<(Vec<String>, PageEnd), Fault> {
        self.refuse()?;
        let mut elements = Vec::new();
        loop {
            while let Some(element) = self.parser.next_element()? {
                elements.push(element);
            }
            if !self.more().await? {
                return Ok((elements, self.end()?));
            }
        }
    }

    /// The record of an answer to `GetRecord`.
    pub(super) async fn only(&mut self, asked: &str) -> Result<GetRecord, Fault> {
        let mut found = GetRecord::Unreadable { why: "the answer holds no record".to_owned() };
        while let Some(entry) = self.next().await? {
            if matches!(found, GetRecord::Unreadable { .. }) {
                found = judge(entry, asked);
            }
        }
        Ok(found)
    }

    /// Takes what comes next from the wire; `false` when that was all.
    async fn more(&mut self) -> Result<bool, Fault> {
        let Some(response) = &mut self.response else { return Ok(false) };
        let chunk = response.chunk().await.map_err(|source| self.interrupted(source))?;
        if self.clock.elapsed().saturating_sub(self.begun) > Duration::from_secs(self.limits.page_secs_max) {
            return Err(Fault::TooSlow { limit_secs: self.limits.page_secs_max });
        }
        match chunk {
            Some(chunk) => {
                self.received_bytes += chunk.len() as u64;
                self.parser.feed(&chunk)?;
            }
            None => {
                self.response = None;
                self.parser.finish();
            }
        }
        Ok(true)
    }

    fn interrupted(&self, source: reqwest::Error) -> Fault {
        if source.is_timeout() {
            return Fault::TooSlow { limit_secs: self.limits.page_secs_max };
        }
        Fault::Interrupted { at_byte: self.received_bytes, why: root(&source) }
    }
}

fn judge(entry: Entry, asked: &str) -> GetRecord {
    match entry {
        Entry::Unreadable { why, .. } => GetRecord::Unreadable { why },
        Entry::Record(record) if record.header.identifier != asked => {
            GetRecord::Unreadable { why: format!("asked for {asked}, it answers {}", record.header.identifier) }
        }
        Entry::Record(record) if record.header.deleted => GetRecord::Deleted(record.header),
        Entry::Record(record) if record.metadata.is_none() => GetRecord::NoMetadata(record.header),
        Entry::Record(record) => GetRecord::Found(record),
    }
}
