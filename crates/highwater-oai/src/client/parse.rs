//! Reading an answer: bytes in as they come, records out as they are whole. Owns no connection and no clock, so that it can be
//! measured and fuzzed by itself; its memory is bounded by the largest record it may meet, not by the answer.

mod describe;
mod element;
mod markup;
mod mend;
mod page;
mod record;
mod scope;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

pub(in crate::client) use self::describe::{format, identify, set};
use self::mend::mend;
use self::page::{Child, Page};
use super::Limits;
use super::fault::Fault;
use super::filter::Filter;
use crate::protocol::{ErrorCode, Header, ProtocolError, Record, ResumptionToken, Verb};

/// One of a list, in the order of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A record; without metadata where headers were asked for.
    Record(Record),
    /// One that cannot be read. The others can.
    Unreadable {
        /// Its identifier, if that much could be read.
        identifier: Option<String>,
        /// All of its header, if that much could be read.
        header: Option<Box<Header>>,
        /// What is wrong with it.
        why: String,
    },
}

impl Entry {
    /// Its identifier, if that much could be read.
    #[must_use]
    pub fn identifier(&self) -> Option<&str> {
        match self {
            Self::Record(record) => Some(&record.header.identifier),
            Self::Unreadable { identifier, .. } => identifier.as_deref(),
        }
    }
}

/// What a page said of itself and of the list it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageEnd {
    /// When the repository answered, by its own clock.
    pub response_date: Option<Timestamp>,
    /// Where the list goes on; `None` at its end.
    pub token: Option<ResumptionToken>,
    /// How long the repository says the list is; said on a last page too.
    pub complete_list_size: Option<u64>,
    /// How many it says came before; some repositories count pages.
    pub cursor: Option<u64>,
    /// How many entries there were, unreadable ones included.
    pub records: u64,
    /// How many of them were unreadable.
    pub unreadable: u64,
    /// How many bytes there were, decompressed.
    pub bytes: u64,
    /// How many characters were replaced because XML forbids them or because they were none.
    pub replaced: u64,
    /// The same for pages that list the same identifiers in the same order.
    pub fingerprint: u64,
}

/// An answer on its way.
pub struct Parser {
    limits: Limits,
    filter: Filter,
    page: Page,
    bytes: u64,
    records: u64,
    unreadable: u64,
    /// Children of a list that are neither records nor headers.
    strangers: u64,
    identifiers: Sha256,
    failed: bool,
}

impl Parser {
    /// A reader of the answer to a request with this verb.
    #[must_use]
    pub fn new(verb: Verb, limits: Limits) -> Self {
        Self::with_charset(verb, limits, None)
    }

    /// The same, where `Content-Type` named a charset.
    #[must_use]
    pub fn with_charset(verb: Verb, limits: Limits, charset: Option<&str>) -> Self {
        Self {
            limits,
            filter: Filter::new(charset),
            page: Page::new(verb, limits.record_bytes_max),
            bytes: 0,
            records: 0,
            unreadable: 0,
            strangers: 0,
            identifiers: Sha256::new(),
            failed: false,
        }
    }

    /// Takes bytes of the answer. What has come is best read with [`Parser::next`] before more is fed: until then it is held.
    ///
    /// # Errors
    /// [`Fault::TooLarge`] when the answer is larger than it may be.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limits.page_bytes_max {
            self.failed = true;
            return Err(Fault::TooLarge { what: "bytes", limit: self.limits.page_bytes_max });
        }
        if self.page.is_done() {
            // What comes after the end of the root is counted and has no meaning.
            self.filter.feed(bytes, &mut String::new());
        } else {
            self.filter.feed(bytes, self.page.room());
        }
        Ok(())
    }

    /// Says that no more bytes will come; [`Parser::next`] then gives what is left, and `None` only if the answer was whole.
    pub fn finish(&mut self) {
        self.filter.finish(self.page.room());
        self.page.close();
    }

    /// The next entry; `None` when more bytes must be fed, or at the end.
    ///
    /// # Errors
    /// [`Fault`] when the answer is an error, cannot be relied on or breaks off; it is over then.
    #[expect(clippy::should_implement_trait, reason = "`None` is not the end of it while more may be fed")]
    pub fn next(&mut self) -> Result<Option<Entry>, Fault> {
        self.guarded(Self::next_entry)
    }

    /// The next child of the verb's element, as text that can be read alone; for answers that are no lists of records.
    pub(in crate::client) fn next_element(&mut self) -> Result<Option<String>, Fault> {
        self.guarded(|parser| {
            while let Some(child) = parser.page.next()? {
                if let Child::Whole(range) = child {
                    parser.count()?;
                    return Ok(Some(mend(&parser.page.text[range]).into_owned()));
                }
            }
            parser.verdict().map(|()| None)
        })
    }

    /// How much memory the text takes that has come and is not let go, in bytes: no more than a few times the largest record, or
    /// a prolog, and what was fed last.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.page.text.capacity()
    }

    /// When the repository answered, by its own clock, if that was read.
    #[must_use]
    pub fn response_date(&self) -> Option<Timestamp> {
        self.page.said.response_date
    }

    /// What the page said of itself, once it was read to its end.
    #[must_use]
    pub fn end(&self) -> Option<PageEnd> {
        if self.failed || !self.page.is_done() {
            return None;
        }
        let said = &self.page.said;
        let digest = self.identifiers.clone().finalize();
        let (first, _) = digest.split_first_chunk().expect("invariant: SHA-256 has 32 bytes");
        Some(PageEnd {
            response_date: said.response_date,
            token: said.token.clone(),
            complete_list_size: said.complete_list_size,
            cursor: said.cursor,
            records: self.records,
            unreadable: self.unreadable,
            bytes: self.bytes,
            replaced: self.filter.replaced(),
            fingerprint: u64::from_be_bytes(*first),
        })
    }

    fn guarded<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.failed {
            let what = "it is read on after a fault".to_owned();
            return Err(Fault::Malformed { at_byte: self.page.position(), what });
        }
        let result = read(self);
        self.failed = result.is_err();
        result
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        while let Some(child) = self.page.next()? {
            if !matches!(self.page.child_name(), "record" | "header") {
                self.strangers += 1;
                continue;
            }
            self.count()?;
            let entry = match child {
                Child::Whole(range) => record::read(&self.page.text[range], &mut self.page.scope),
                Child::TooLarge { identifier, header } => {
                    let why = format!("it has more than {} bytes", self.limits.record_bytes_max);
                    Entry::Unreadable { identifier, header, why }
                }
            };
            self.unreadable += u64::from(matches!(entry, Entry::Unreadable { .. }));
            self.identifiers.update(entry.identifier().unwrap_or_default());
            self.identifiers.update([0]);
            return Ok(Some(entry));
        }
        self.verdict().map(|()| None)
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.records += 1;
        if self.records > self.limits.page_records_max {
            return Err(Fault::TooLarge { what: "records", limit: self.limits.page_records_max });
        }
        Ok(())
    }

    /// At its end: whether it is an answer at all, and not an error.
    fn verdict(&self) -> Result<(), Fault> {
        if !self.page.is_done() {
            return Ok(());
        }
        let malformed = |what: String| Err(Fault::Malformed { at_byte: self.page.position(), what });
        match self.page.said.errors.split_first() {
            Some((first, _)) if self.records > 0 => {
                malformed(format!("after {} records it says {}: {}", self.records, first.code.as_str(), first.message))
            }
            Some((first, rest)) => Err(Fault::Protocol(most_telling(first, rest))),
            None if !self.page.said.answered => malformed("it has neither an answer nor an error".to_owned()),
            None if self.records == 0 && self.strangers > 0 => {
                malformed(format!("none of its {} elements is a record", self.strangers))
            }
            None => Ok(()),
        }
    }
}

/// Of several errors one that is not just "nothing matches": that alone would mean an empty list.
fn most_telling(first: &ProtocolError, rest: &[ProtocolError]) -> ProtocolError {
    let telling = |error: &&ProtocolError| error.code != ErrorCode::NoRecordsMatch;
    std::iter::once(first).chain(rest).find(telling).unwrap_or(first).clone()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    const CHUNK_BYTES: usize = 4096;
    const RECORD: &str =
        "<record><header><identifier>a</identifier><datestamp>2021-02-12</datestamp></header></record>";

    /// Reads a list whose inside is `piece` again and again; how many entries, and the most text that was held.
    fn held(piece: &str, times: usize) -> (u64, usize) {
        let limits = Limits { record_bytes_max: 20_000, page_records_max: u64::MAX, ..Limits::default() };
        let mut parser = Parser::new(Verb::ListRecords, limits);
        let text = format!("<OAI-PMH><ListRecords>{}</ListRecords></OAI-PMH>", piece.repeat(times));
        assert!(text.len() > 1_000_000);
        let mut most = 0;
        for chunk in text.as_bytes().chunks(CHUNK_BYTES) {
            parser.feed(chunk).unwrap();
            while parser.next().unwrap().is_some() {}
            most = most.max(parser.held_bytes());
        }
        parser.finish();
        assert_eq!(parser.next().unwrap(), None);
        (parser.end().unwrap().records, most)
    }

    #[test]
    fn references_in_a_namespace_of_the_root_or_the_list_are_mended_too() {
        let record = RECORD.replace("</header>", "</header><metadata><p:a q:b=''/></metadata>");
        let page = format!(
            "<OAI-PMH xmlns:p='urn:R&D&lol;'><ListRecords xmlns:q='&#0;&amp;'>{record}</ListRecords></OAI-PMH>"
        );
        let mut parser = Parser::new(Verb::ListRecords, Limits::default());
        parser.feed(page.as_bytes()).unwrap();
        let Some(Entry::Record(record)) = parser.next().unwrap() else { panic!("it is readable") };
        assert_eq!(
            record.metadata.unwrap(),
            "<p:a xmlns:p=\"urn:R&amp;D&amp;lol;\" xmlns:q=\"\u{FFFD}&amp;\" q:b=''/>"
        );
    }

    #[test]
    fn a_tag_without_end_is_held_no_further_than_a_tag_may_be_long() {
        let long = "x".repeat(8_000_000);
        for begun in ["<a b='", "</a", "<a ", "</ "] {
            let mut parser = Parser::new(Verb::ListRecords, Limits { record_bytes_max: 20_000, ..Limits::default() });
            let text = format!("<OAI-PMH><ListRecords><record>{begun}{long}");
            let mut most = 0;
            for chunk in text.as_bytes().chunks(CHUNK_BYTES) {
                parser.feed(chunk).unwrap();
                assert_eq!(parser.next().unwrap(), None);
                most = most.max(parser.held_bytes());
            }
            assert!(most < 3 * 1024 * 1024, "{most} bytes held of {begun}");
        }
    }

    #[test]
    fn what_is_held_is_bounded_by_a_record_and_not_by_the_answer() {
        let long = "x".repeat(2_000_000);
        let in_record = |inside: &str| RECORD.replace("</header>", &format!("</header>{inside}"));
        for (piece, times, records) in [
            (RECORD.to_owned(), 20_000, 20_000),
            (in_record(&long), 1, 1),
            (in_record(&format!("<!-- {long} -->")), 1, 1),
            (in_record(&format!("<![CDATA[{long}]]>")), 1, 1),
            (in_record(&"<a>".repeat(500_000)), 1, 1),
            (format!("{RECORD}<!-- {long} -->{long}"), 1, 1),
        ] {
            let (read, most) = held(&piece, times);
            assert_eq!(read, records);
            assert!(most < 4 * (20_000 + CHUNK_BYTES), "{most} bytes held of {:.60}", piece);
        }
    }
}
