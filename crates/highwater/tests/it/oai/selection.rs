//! What a job wants is changed by a person: another set, other types. What was harvested or dropped before says nothing of what
//! is wanted now, so no record is lost by it (R7).

use std::sync::Arc;

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_oai::protocol::{Datestamp, Granularity, Header, Record, SetInfo};
use highwater_oai::provider::{Identity, Memory, ProviderSettings, Repository};
use jiff::{SignedDuration, Timestamp};

use super::{FarSide, Lines, assert_the_same, config, in_catalog};
use crate::rig::Rig;

const RECORDS: i64 = 30;
const LAW: &str = ", set = \"law\"";
const BOOKS: &str = "types = [\"book\"]";
const BOTH: &str = "types = [\"chapter\", \"book\"]";

/// A repository of a year, a third of it of the set `law`, another third chapters.
struct Library {
    far: FarSide,
    repository: Arc<Memory>,
    rig: Rig,
}

impl Library {
    fn with(lines: Lines<'_>) -> Self {
        let earliest = SystemClock::new().now() - SignedDuration::from_hours(365 * 24);
        let repository = Arc::new(library(earliest, earliest));
        let far = FarSide::of(Arc::clone(&repository) as Arc<dyn Repository>, ProviderSettings::default());
        let rig = Rig::new(&config(&far.url(), lines));
        Self { far, repository, rig }
    }

    fn now_with(&self, lines: Lines<'_>) {
        self.rig.write("highwater.toml", &config(&self.far.url(), lines));
    }

    /// How many records the catalogue has after a pass that drains.
    async fn drained(&self, job: &str) -> usize {
        let pass = self.rig.oai_pass(job, &[]);
        assert_eq!((pass.code(), pass.reason()), (0, "drained"), "{:?}", pass.ended);
        self.here().await
    }

    async fn here(&self) -> usize {
        in_catalog(&self.rig.path(".highwater-state/catalog.db")).await.len()
    }

    async fn is_whole(&self) {
        assert_the_same(&self.rig.path(".highwater-state/catalog.db"), &*self.repository).await;
    }
}

/// Its records come from `first` on, and it says that none is older than `earliest`.
fn library(first: Timestamp, earliest: Timestamp) -> Memory {
    let identity = Identity {
        name: "A library".to_owned(),
        admin_emails: vec!["library@example.org".to_owned()],
        earliest: Datestamp::new(earliest, Granularity::Second),
    };
    let memory = Memory::new(identity).with_sets([SetInfo { spec: "law".to_owned(), name: "Law".to_owned() }]);
    for number in 0..RECORDS {
        let kind = if number % 3 == 1 { "chapter" } else { "book" };
        let at = first + SignedDuration::from_hours(number * 24 * 10);
        memory.put(Record {
            header: Header {
                identifier: format!("oai:library.example.org:{number}"),
                datestamp: Datestamp::new(at, Granularity::Second),
                sets: if number % 3 == 0 { vec!["law".to_owned()] } else { Vec::new() },
                deleted: false,
            },
            metadata: Some(format!(
                "<oai_dc:dc xmlns:oai_dc=\"http://www.openarchives.org/OAI/2.0/oai_dc/\" \
                 xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:title>Book {number}</dc:title>\
                 <dc:type>{kind}</dc:type></oai_dc:dc>"
            )),
        });
    }
    memory
}

#[tokio::test]
async fn r07_a_harvest_of_another_set_begins_anew() {
    let library = Library::with(Lines { repository: LAW, ..Lines::default() });
    assert_eq!(library.drained("harvest").await, 10);
    library.now_with(Lines::default());
    assert_eq!(library.drained("harvest").await, 30, "what is not of the set is older than the watermark");
    library.is_whole().await;

    // Its watermark is its own again, and so is the first one's.
    for lines in [Lines::default(), Lines { repository: LAW, ..Lines::default() }] {
        library.now_with(lines);
        let pass = library.rig.oai_pass("harvest", &[]);
        assert_eq!((pass.reason(), pass.contacts()), ("drained", 1), "{:?}", pass.ended);
    }
}

#[tokio::test]
async fn r07_a_harvest_of_more_types_begins_anew() {
    let library = Library::with(Lines { both: BOOKS, ..Lines::default() });
    assert_eq!(library.drained("harvest").await, 20);
    library.now_with(Lines { both: BOTH, ..Lines::default() });
    assert_eq!(library.drained("harvest").await, 30);
    library.now_with(Lines { both: "types = [\"Book\", \"CHAPTER\"]", ..Lines::default() });
    assert_eq!(library.rig.oai_pass("harvest", &[]).contacts(), 1, "the same types, written otherwise");
}

#[tokio::test]
async fn r07_an_earlier_since_is_harvested() {
    let day = |ago: i64| (SystemClock::new().now() - SignedDuration::from_hours(ago * 24)).strftime("%Y-%m-%d");
    let since = |ago: i64| format!("since = \"{}\"", day(ago));
    let library = Library::with(Lines { harvest: &since(200), ..Lines::default() });
    let late = library.drained("harvest").await;
    assert!(late < 20, "{late}");
    library.now_with(Lines { harvest: &since(400), ..Lines::default() });
    assert_eq!(library.drained("harvest").await, 30);
}

#[tokio::test]
async fn r07_a_harvest_into_another_catalogue_begins_anew() {
    let library = Library::with(Lines { harvest: "catalog = \"old.db\"", ..Lines::default() });
    library.rig.oai_pass("harvest", &[]);
    library.now_with(Lines::default());
    assert_eq!(library.drained("harvest").await, 30);
}

#[tokio::test]
async fn r06_a_round_in_hand_is_not_gone_on_with_by_other_settings() {
    let library = Library::with(Lines { repository: LAW, ..Lines::default() });
    let pass = library.rig.oai_pass("harvest", &["--max-contacts", "6"]);
    assert_eq!(pass.code(), 3, "{:?}", pass.ended);
    library.now_with(Lines::default());
    let asked = library.far.asked();
    let refused = library.rig.run(&["run", "harvest"]);
    assert_eq!((refused.code, library.far.asked()), (2, asked), "{refused:?}");
    insta::assert_snapshot!(refused.stderr, @"
    error[HW-OAI-015]: the round in hand of harvest was begun with other settings: expected the repository, the set, the types, `since` and the target of then
      next: put them back, or begin a round with these: `highwater worklist harvest --replace`
    ");
    library.rig.ok(&["worklist", "harvest", "--replace"]);
    assert_eq!(library.drained("harvest").await, 30);
    library.is_whole().await;
}

#[tokio::test]
async fn r07_a_round_that_was_fetched_by_other_settings_stamps_no_watermark_of_these() {
    let library = Library::with(Lines { repository: LAW, ..Lines::default() });
    let pass = library.rig.oai_pass("harvest", &["--max-contacts", "6"]);
    assert_eq!(pass.code(), 3, "{:?}", pass.ended);
    for slice in library.rig.oai_items("harvest", &["--outcome", "open"]) {
        library.rig.ok(&["skip", "harvest", slice["key"].as_str().unwrap(), "--why", "not wanted"]);
    }
    library.now_with(Lines::default());
    assert!(library.drained("harvest").await < 30);
    assert_eq!(library.drained("harvest").await, 30);
    library.is_whole().await;
}

#[tokio::test]
async fn a_first_harvest_that_finds_nothing_says_so() {
    let library = Library::with(Lines { repository: ", set = \"lwa\"", ..Lines::default() });
    let empty = library.rig.run(&["run", "harvest"]);
    assert_eq!(empty.code, 0, "{empty:?}");
    assert!(empty.stderr.contains("not one record"), "{empty:?}");
    library.now_with(Lines { repository: LAW, ..Lines::default() });
    assert_eq!(library.drained("harvest").await, 10);
}

#[tokio::test]
async fn r07_records_from_before_the_earliest_datestamp_that_the_repository_names_are_harvested() {
    let now = SystemClock::new().now();
    let (first, earliest) = (now - SignedDuration::from_hours(365 * 24), now - SignedDuration::from_hours(100 * 24));
    let repository = Arc::new(library(first, earliest));
    let far = FarSide::of(Arc::clone(&repository) as Arc<dyn Repository>, ProviderSettings::default());
    let rig = Rig::new(&config(&far.url(), Lines::default()));
    let pass = rig.oai_pass("harvest", &[]);
    assert_eq!(pass.code(), 0, "{:?}", pass.ended);
    assert_the_same(&rig.path(".highwater-state/catalog.db"), &*repository).await;
}

#[tokio::test]
async fn a_backfill_of_more_types_asks_for_those_that_it_dropped() {
    let library = Library::with(Lines { both: BOOKS, ..Lines::default() });
    assert_eq!(library.drained("backfill").await, 20);
    library.rig.ok(&["oai", "discover", "backfill", "--recrawl"]);
    let none = library.rig.oai_pass("backfill", &[]);
    assert_eq!((none.code(), none.contacts()), (0, 0), "those it dropped are known: {:?}", none.ended);
    library.now_with(Lines { both: BOTH, ..Lines::default() });
    library.rig.ok(&["oai", "discover", "backfill", "--recrawl"]);
    assert_eq!(library.drained("backfill").await, 30);
    library.is_whole().await;
}
