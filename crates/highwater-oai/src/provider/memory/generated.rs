//! A repository of invented books: as large as one likes, the same every time. Owns what their records say, which is written
//! when it is asked for, so that a hundred thousand of them are a few megabytes of memory.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::later;
use jiff::Timestamp;

use super::{Body, Memory, Row};
use crate::protocol::{Datestamp, Granularity, SetInfo};
use crate::provider::repository::Identity;

/// A prime, so that multiples of it visit every place once and numbers are not in order of datestamps.
const STRIDE: u64 = 1_000_003;
const SUBJECTS: [(&str, &str); 4] =
    [("law", "Law"), ("history", "History"), ("physics", "Physics"), ("music", "Music")];
const SURNAMES: [&str; 8] = ["Müller", "Okafor", "Nguyễn", "García", "O’Brien", "Şahin", "Kowalska", "Rossi"];
const ROLES: [&str; 4] = ["", " (Ed.)", "", " (Hrsg.)"];
const LANGUAGES: [&str; 3] = ["eng", "ger", "fre"];

/// Invented books, numbered from 1. The deleted ones lie evenly among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// How many are there.
    pub live: u64,
    /// How many were deleted.
    pub deleted: u64,
    /// The datestamp of the first.
    pub earliest: Timestamp,
    /// From one datestamp to the next; below a second, several share one.
    pub spacing: Duration,
}

impl Default for Generated {
    /// A hundred books, ten of them deleted, twenty minutes apart.
    fn default() -> Self {
        Self {
            live: 90,
            deleted: 10,
            earliest: "2021-02-12T08:00:00Z".parse().expect("invariant: it is a time"),
            spacing: Duration::from_secs(20 * 60),
        }
    }
}

impl Generated {
    /// What every identifier begins with.
    pub const IDENTIFIER_PREFIX: &'static str = "oai:books.example.org:20.500.12854/";

    /// The identifier of a book.
    #[must_use]
    pub fn identifier(number: u64) -> String {
        format!("{}{number}", Self::IDENTIFIER_PREFIX)
    }

    /// How many books there are, deleted ones too.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.live + self.deleted
    }

    /// Whether a book is deleted.
    #[must_use]
    pub fn is_deleted(&self, number: u64) -> bool {
        // As a line of that slope is drawn: a step where the share grows by one.
        let deleted_before = |n: u64| u128::from(n) * u128::from(self.deleted) / u128::from(self.total().max(1));
        deleted_before(number) > deleted_before(number.saturating_sub(1))
    }

    /// The books as a repository.
    #[must_use]
    pub fn repository(&self) -> Memory {
        let identity = Identity {
            name: "Books of nowhere".to_owned(),
            admin_emails: vec!["books@example.org".to_owned()],
            earliest: Datestamp::new(self.earliest, Granularity::Second),
        };
        let memory = Memory::new(identity).with_sets(sets());
        let specs: Vec<Arc<[String]>> = SUBJECTS.iter().map(|(spec, _)| Arc::from([format!("books:{spec}")])).collect();
        let mut records = memory.write();
        for number in 1..=self.total() {
            let body = if self.is_deleted(number) { Body::Deleted } else { Body::Book(number) };
            let row = Row {
                identifier: Self::identifier(number).into(),
                sets: Arc::clone(&specs[pick(number, specs.len())]),
                body,
            };
            records.place(row, Datestamp::new(self.datestamp(number), Granularity::Second));
        }
        drop(records);
        memory
    }

    fn datestamp(&self, number: u64) -> Timestamp {
        let rank = number.wrapping_mul(STRIDE) % self.total().max(1);
        let nanos = self.spacing.as_nanos().saturating_mul(u128::from(rank));
        later(self.earliest, Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

fn sets() -> Vec<SetInfo> {
    let of_subject = |(spec, name): &(&str, &str)| SetInfo { spec: format!("books:{spec}"), name: (*name).to_owned() };
    let books = SetInfo { spec: "books".to_owned(), name: "Books".to_owned() };
    [books].into_iter().chain(SUBJECTS.iter().map(of_subject)).collect()
}

fn pick(number: u64, among: usize) -> usize {
    usize::try_from(number % among as u64).expect("invariant: it is less than a usize")
}

/// The metadata of a book.
pub(super) fn book(number: u64) -> String {
    let mut out = String::with_capacity(1024);
    out.push_str(
        "<oai_dc:dc xmlns:oai_dc=\"http://www.openarchives.org/OAI/2.0/oai_dc/\" \
         xmlns:dc=\"http://purl.org/dc/elements/1.1/\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:schemaLocation=\"http://www.openarchives.org/OAI/2.0/oai_dc/ http://www.openarchives.org/OAI/2.0/oai_dc.xsd\">",
    );
    let (_, subject) = SUBJECTS[pick(number, SUBJECTS.len())];
    let mut element = |name: &str, text: &str| {
        // Nothing here needs escaping but what is escaped already.
        write!(out, "\n<dc:{name}>{text}</dc:{name}>").expect("invariant: a string takes all");
    };
    element("title", &format!("{subject} &amp; its readers, volume {number}"));
    for nth in 0..=number % 3 {
        let surname = SURNAMES[pick(number / 2 + nth, SURNAMES.len())];
        element("creator", &format!("{surname}, A.{}", ROLES[pick(number, ROLES.len())]));
    }
    element("subject", subject);
    element("publisher", &format!("Press no. {}", number % 97));
    element("date", &(1950 + number % 75).to_string());
    element("type", "book");
    element("language", LANGUAGES[pick(number, LANGUAGES.len())]);
    element("identifier", &format!("https://books.example.org/handle/20.500.12854/{number}"));
    element("identifier", &format!("ISBN:{}", isbn(number)));
    element("identifier", &format!("https://doi.org/10.5555/book.{number}"));
    element("rights", "https://creativecommons.org/licenses/by/4.0/");
    out.push_str("\n</oai_dc:dc>");
    out
}

/// An ISBN of a book's own, with its check digit.
fn isbn(number: u64) -> String {
    let digits = format!("9780{:08}", number % 100_000_000);
    let weighed =
        digits.bytes().zip([1, 3].into_iter().cycle()).map(|(digit, weight)| u32::from(digit - b'0') * weight);
    format!("{digits}{}", (10 - weighed.sum::<u32>() % 10) % 10)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn there_are_as_many_as_were_asked_for_each_once_and_the_same_again() {
        let books = Generated { live: 1107, deleted: 148, ..Generated::default() };
        let headers = books.repository().headers();
        assert_eq!(headers.iter().filter(|header| header.deleted).count(), 148);
        let identifiers: HashSet<String> = headers.iter().map(|header| header.identifier.clone()).collect();
        assert_eq!(identifiers, (1..=1255).map(Generated::identifier).collect());
        assert!(headers.windows(2).all(|pair| pair[0].datestamp < pair[1].datestamp));
        assert!(headers[0].datestamp.at() >= books.earliest);
        assert_eq!(headers, books.repository().headers());
    }

    #[test]
    fn every_book_is_well_formed_and_has_an_isbn_whose_digits_check() {
        for number in [1, 2, 3, 42, 99_999_999] {
            let text = book(number);
            let document = roxmltree::Document::parse(&text).unwrap();
            assert!(document.root_element().has_tag_name(("http://www.openarchives.org/OAI/2.0/oai_dc/", "dc")));
            let isbn = document.descendants().find_map(|node| node.text()?.strip_prefix("ISBN:")).unwrap();
            let sum: u32 = isbn.bytes().enumerate().map(|(n, d)| u32::from(d - b'0') * [1, 3][n % 2]).sum();
            assert_eq!((isbn.len(), sum % 10), (13, 0), "{isbn}");
        }
        assert_eq!(isbn(30_640_615), "9780306406157");
    }
}
