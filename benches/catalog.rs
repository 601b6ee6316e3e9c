//! Loading records into the catalogue, searching it and listing it, at the scale of a real repository.

mod limit;

use std::path::Path;
use std::process::ExitCode;

use highwater_engine::clock::{Clock, SystemClock};
use highwater_oai::catalog::{Access, Catalog, Cursor, Loaded};
use highwater_oai::protocol::{Datestamp, Granularity, Header, Record, Selection};
use jiff::{SignedDuration, Timestamp};

const RECORDS: usize = 125_000;
const GROUP_RECORDS: usize = 256;
const PAGE_RECORDS: usize = 100;
const SEARCHES: usize = 5;
const HITS: usize = 20;
const PER_SEC_MIN: f64 = 5_000.0;
const SEARCH_MS_MAX: f64 = 50.0;

/// What people type, and what is in every record.
const QUERIES: [&str; 8] =
    ["history", "of", "the history of europe", "\"history of\"", "eur*", "a*", "smith economics", "nothing-has-this"];

const WORDS: [&str; 24] = [
    "the",
    "of",
    "and",
    "in",
    "history",
    "Europe",
    "economics",
    "culture",
    "law",
    "society",
    "politics",
    "medicine",
    "Müller",
    "Smith",
    "García",
    "language",
    "art",
    "religion",
    "war",
    "education",
    "environment",
    "science",
    "theory",
    "work",
];

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let clock = SystemClock::new();
    let dir = tempfile::tempdir().expect("a directory");
    runtime.block_on(async {
        let path = dir.path().join("catalog.db");
        let catalog = Catalog::open(&path, clock.now(), Access::ReadWrite).expect("a catalogue");
        let per_sec = load(&catalog, &clock).await;
        println!("file: {:.2} KB a record", kilobytes(&path) / RECORDS as f64);
        let search_ms = search(&catalog, &clock).await;
        list(&catalog, &clock).await;
        limit::verdict(&[
            (per_sec >= PER_SEC_MIN, format!("load: {per_sec:.0} records/s, limit {PER_SEC_MIN:.0}/s")),
            (search_ms < SEARCH_MS_MAX, format!("search: {search_ms:.1} ms, limit {SEARCH_MS_MAX:.0} ms")),
        ])
    })
}

/// Records a second.
async fn load(catalog: &Catalog, clock: &SystemClock) -> f64 {
    let at = clock.now();
    let mut random = fastrand::Rng::with_seed(7);
    let (mut took, mut bytes) = (0.0, 0);
    for first in (0..RECORDS).step_by(GROUP_RECORDS) {
        let group: Vec<Record> =
            (first..RECORDS.min(first + GROUP_RECORDS)).map(|number| record(&mut random, number, at)).collect();
        bytes += group.iter().filter_map(|record| record.metadata.as_ref()).map(String::len).sum::<usize>();
        let begun = clock.elapsed();
        let loaded = catalog.load(group, at).await.expect("a load");
        took += (clock.elapsed() - begun).as_secs_f64();
        assert!(loaded.iter().all(|became| *became == Loaded::New));
    }
    let per_sec = RECORDS as f64 / took;
    println!(
        "load: {per_sec:.0} records/s of {} bytes each, in groups of {GROUP_RECORDS} (limit: {PER_SEC_MIN:.0}/s)",
        bytes / RECORDS
    );
    per_sec
}

/// Milliseconds of the slowest query, each the median of its searches.
async fn search(catalog: &Catalog, clock: &SystemClock) -> f64 {
    let mut worst = 0.0_f64;
    for query in QUERIES {
        let (mut rounds, mut total) = (Vec::new(), 0);
        for _ in 0..SEARCHES {
            let begun = clock.elapsed();
            total = catalog.search(query, HITS, 0).await.expect("a search").total;
            rounds.push((clock.elapsed() - begun).as_secs_f64() * 1000.0);
        }
        let median = limit::median(rounds);
        println!("search {query:?}: {median:.1} ms, {total} works");
        worst = worst.max(median);
    }
    println!("search: {worst:.1} ms at worst in {RECORDS} records (limit: {SEARCH_MS_MAX:.0} ms)");
    worst
}

async fn list(catalog: &Catalog, clock: &SystemClock) {
    for (what, with_metadata) in [("headers", false), ("records", true)] {
        let select =
            Selection { metadata_prefix: "oai_dc".to_owned(), set: Some("a".to_owned()), ..Selection::default() };
        let begun = clock.elapsed();
        let (mut after, mut listed): (Option<Cursor>, usize) = (None, 0);
        loop {
            let page = catalog.records(&select, after, PAGE_RECORDS, with_metadata).await.expect("a page");
            listed += page.records.len();
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        let took = (clock.elapsed() - begun).as_secs_f64();
        println!("list: {:.0} {what}/s in pages of {PAGE_RECORDS}", listed as f64 / took);
    }
}

fn kilobytes(path: &Path) -> f64 {
    std::fs::metadata(path).expect("a file").len() as f64 / 1024.0
}

/// A record as large and as varied as the real ones are on average.
fn record(random: &mut fastrand::Rng, number: usize, at: Timestamp) -> Record {
    let mut words = |count: usize| {
        let mut text = String::new();
        for _ in 0..count {
            text.push_str(WORDS[random.usize(..WORDS.len())]);
            // Most words of a language are rare.
            text.push_str(&format!(" w{} ", random.u32(..200_000)));
        }
        text
    };
    let mut elements = format!("<datacite:title>{}</datacite:title>\n", words(4));
    for _ in 0..3 {
        elements.push_str(&format!("<datacite:creator>{}</datacite:creator>\n", words(1)));
    }
    for _ in 0..9 {
        elements.push_str(&format!("<datacite:subject>{}</datacite:subject>\n", words(1)));
    }
    elements.push_str(&format!("<dc:description>{}</dc:description>\n", words(120)));
    let metadata = format!(
        "<oai_dc:dc xmlns:oai_dc=\"http://www.openarchives.org/OAI/2.0/oai_dc/\" xmlns:doc=\"http://www.lyncode.com/xoai\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:datacite=\"https://schema.datacite.org/meta/kernel-4.1/metadata.xsd\" \
         xmlns:oaire=\"https://raw.githubusercontent.com/rcic/openaire4/master/schemas/4.0/oaire.xsd\" \
         xmlns:oapen=\"http://purl.org/dc/elements/1.1/\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n{elements}\
         <dc:date>2021-02-12T08:41:45Z</dc:date>\n<datacite:date type=\"Issued\">2009</datacite:date>\n\
         <oaire:resourceType>book</oaire:resourceType>\n<dc:identifier>{number}</dc:identifier>\n\
         <datacite:alternateIdentifier type=\"ISBN\">9783428532544</datacite:alternateIdentifier>\n\
         <datacite:identifier type=\"URL\">https://directory.doabooks.org/handle/20.500.12854/{number}</datacite:identifier>\n\
         <dc:language>ger</dc:language>\n<oaire:licenseCondition uri=\"https://creativecommons.org/licenses/by-nc-nd/4.0/\">\n\
         Attribution-NonCommercial-NoDerivatives 4.0 International\n</oaire:licenseCondition>\n\
         <dc:identifier>https://press.example/download/{number}.pdf</dc:identifier>\n<dc:publisher>Press</dc:publisher>\n\
         <datacite:alternateIdentifier type=\"DOI\">10.3790/978-{number}</datacite:alternateIdentifier>\n\
         <oapen:identifierdoi>10.3790/978-{number}</oapen:identifierdoi>\n</oai_dc:dc>"
    );
    let seconds = i64::try_from(number).expect("invariant: numbers are small");
    Record {
        header: Header {
            identifier: format!("oai:directory.doabooks.org:20.500.12854/{number}"),
            datestamp: Datestamp::new(
                at.saturating_sub(SignedDuration::from_secs(seconds)).unwrap_or(at),
                Granularity::Second,
            ),
            sets: vec!["a:b".to_owned(), "c".to_owned()],
            deleted: false,
        },
        metadata: Some(metadata),
    }
}
