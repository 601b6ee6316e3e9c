//! Reading answers with the filter in front, on one core: real records where the shared data is there, and invented ones.

mod limit;

use std::path::PathBuf;
use std::process::ExitCode;

use highwater_engine::clock::{Clock, SystemClock};
use highwater_oai::client::Limits;
use highwater_oai::client::parse::Parser;
use highwater_oai::protocol::{Selection, Verb};
use highwater_oai::provider::{Generated, Repository as _, record_document};

/// A round reads so much, in bytes, page after page.
const ROUND_BYTES: usize = 200_000_000;
/// What a socket gives at once.
const PIECE_BYTES: usize = 16 * 1024;
const ROUNDS: usize = 5;
const MB_PER_SEC_MIN: f64 = 120.0;
const BOOKS: u64 = 1_000;
const REAL: &str = "doab-listrecords-100.xml";

fn main() -> ExitCode {
    let clock = SystemClock::new();
    let mut limits = Vec::new();
    for (what, page, records) in
        [real().map(|page| ("real", page, 100)), Some(("invented", books(), BOOKS))].into_iter().flatten()
    {
        let rounds = (0..ROUNDS).map(|_| {
            let begun = clock.elapsed();
            let times = ROUND_BYTES / page.len();
            (0..times).for_each(|_| assert_eq!(read(&page), records));
            (times * page.len()) as f64 / 1e6 / (clock.elapsed() - begun).as_secs_f64()
        });
        let per_sec = limit::median(rounds);
        println!(
            "parse: {per_sec:.0} MB/s a core of {what} records in pages of {} KB, median of {ROUNDS} rounds (limit: \
             {MB_PER_SEC_MIN:.0} MB/s)",
            page.len() / 1000
        );
        let missed = format!("parse: {per_sec:.0} MB/s of {what} records, limit {MB_PER_SEC_MIN:.0} MB/s");
        limits.push((per_sec >= MB_PER_SEC_MIN, missed));
    }
    limit::verdict(&limits)
}

/// How many records a page has.
fn read(page: &[u8]) -> u64 {
    let mut parser = Parser::new(Verb::ListRecords, Limits::default());
    for piece in page.chunks(PIECE_BYTES) {
        parser.feed(piece).expect("it is not too large");
        while parser.next().expect("it is an answer").is_some() {}
    }
    parser.finish();
    while parser.next().expect("it is an answer").is_some() {}
    let end = parser.end().expect("it is whole");
    assert_eq!(end.unreadable, 0);
    end.records
}

fn real() -> Option<Vec<u8>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let data = std::env::var_os("HIGHWATER_SHARED_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = data.join(REAL);
    let read = std::fs::read(&path);
    read.inspect_err(|error| println!("parse: no real records here: {}: {error}", path.display())).ok()
}

fn books() -> Vec<u8> {
    let repository = Generated { live: BOOKS, deleted: 0, ..Generated::default() }.repository();
    let limit = usize::try_from(BOOKS).expect("invariant: it is small");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let page = runtime.block_on(repository.page(&Selection::default(), None, limit, true)).expect("a page");
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<OAI-PMH><ListRecords>".to_owned();
    for (_, record) in page {
        let document = record_document(&record);
        text.push_str(document.split_once("?>").expect("invariant: it has a prolog").1);
    }
    (text + "</ListRecords></OAI-PMH>").into_bytes()
}
