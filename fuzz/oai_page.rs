//! Pages of OAI-PMH, mutated, against the parser: what comes is refused or read, and what is read means the same when it is
//! written again. Owns the samples, the mutations and the checks. With the tests it makes the same few thousand cases each
//! time; `make fuzz` goes on for as long as it is told, from a seed that it prints.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

#[path = "oai_page/mutation.rs"]
mod mutation;
#[path = "oai_page/sample.rs"]
mod sample;

use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use highwater_engine::clock::{Clock, SystemClock};
use highwater_oai::client::parse::Parser;
use highwater_oai::client::{Entry, Fault, Limits, PageEnd};
use highwater_oai::protocol::{Record, Verb};
use highwater_oai::provider::record_document;
use highwater_testkit::not_here::NotHere;

/// How many cases the tests make; they are the same each time.
const CASES: u64 = 1_500;
const SEED: u64 = 2_718_281_828;
/// A case is a page and this many mutations of it.
const MUTATIONS_MAX: usize = 6;
/// Pages grow no further, in bytes; below the limit of the parser, as a page beyond it is refused before or after its first records.
const PAGE_BYTES_MAX: usize = 5 << 20;
/// While it goes on, it says so every so many seconds.
const NEWS_SECS: u64 = 60;

const LIMITS: Limits =
    Limits { page_bytes_max: 6 << 20, record_bytes_max: 16 << 10, page_records_max: 200, page_secs_max: 1 };
/// What the parser may hold beyond a few records and the piece that came: a tag of a MiB that has no end, in room that doubles.
const TAG_HELD_BYTES_MAX: usize = 3 << 20;
/// What may be added to a record: every `&` mended, and namespaces declared, in bytes.
const RECORD_READ_BYTES_MAX: usize = 5 * (16 << 10) + 64 * (4 << 10) * 6;

/// What was read of a page.
#[derive(Debug, PartialEq)]
struct Read {
    entries: Vec<Entry>,
    end: Result<Option<PageEnd>, String>,
}

/// Reads a page that comes in pieces, and looks at what is held on the way.
fn read<'b>(verb: Verb, limits: Limits, pieces: impl Iterator<Item = &'b [u8]>) -> Read {
    let mut parser = Parser::new(verb, limits);
    let mut entries = Vec::new();
    let mut drain = |parser: &mut Parser| -> Result<(), Fault> {
        while let Some(entry) = parser.next()? {
            entries.push(entry);
        }
        Ok(())
    };
    let run = |parser: &mut Parser| -> Result<(), Fault> {
        for piece in pieces {
            parser.feed(piece)?;
            drain(parser)?;
            let most = 4 * (usize::try_from(limits.record_bytes_max).unwrap() + piece.len()) + TAG_HELD_BYTES_MAX;
            assert!(parser.held_bytes() <= most, "{} bytes are held, more than {most}", parser.held_bytes());
        }
        parser.finish();
        drain(parser)
    };
    let end = run(&mut parser).map_err(|fault| fault.to_string());
    Read { entries, end: end.map(|()| parser.end()) }
}

/// Pieces of sizes between one byte and a few thousand.
fn pieces<'b>(random: &mut Rng, bytes: &'b [u8]) -> Vec<&'b [u8]> {
    let largest = 1 << random.u32(0..14);
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(random.usize(1..=largest).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// One case: reads the page whole and in pieces, and what was read once more.
fn check(random: &mut Rng, bytes: &[u8]) {
    let verb = if random.u8(..8) == 0 { *random.choice(Verb::ALL.iter()).unwrap() } else { Verb::ListRecords };
    let whole = read(verb, LIMITS, std::iter::once(bytes));
    let chopped = pieces(random, bytes);
    assert_eq!(read(verb, LIMITS, chopped.into_iter()), whole, "in pieces it is read otherwise");

    let records: Vec<&Record> = whole.entries.iter().filter_map(|entry| readable(entry)).collect();
    for record in &records {
        let metadata = record.metadata.as_deref().unwrap_or_default();
        assert!(metadata.len() <= RECORD_READ_BYTES_MAX, "the metadata became {} bytes", metadata.len());
    }
    let again = read(Verb::ListRecords, Limits::default(), std::iter::once(written(&records).as_bytes()));
    let end = again.end.as_ref().unwrap_or_else(|fault| panic!("what was read cannot be written and read: {fault}"));
    assert_eq!(end.as_ref().unwrap().replaced, 0, "what was read has characters that XML forbids");
    assert_eq!(again.entries.len(), records.len());
    for (again, record) in again.entries.iter().zip(records) {
        let again = readable(again).unwrap_or_else(|| panic!("it is read no more: {again:?}"));
        assert_eq!(again.header, record.header, "written and read again it is another");
        let (metadata, before) = (again.metadata.as_deref(), record.metadata.as_deref());
        assert!(
            metadata == before || metadata == before.map(of_no_namespace).as_deref(),
            "written and read again it is another: {metadata:?}, and was {before:?}"
        );
    }
}

/// The metadata with the word that its elements are of no namespace, which is what it means without a word.
fn of_no_namespace(metadata: &str) -> String {
    let name_end = metadata.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).unwrap();
    [&metadata[..name_end], " xmlns=\"\"", &metadata[name_end..]].concat()
}

fn readable(entry: &Entry) -> Option<&Record> {
    match entry {
        Entry::Record(record) => Some(record),
        Entry::Unreadable { .. } => None,
    }
}

/// A page of these records, each as the provider writes it, in the namespace of the protocol.
fn written(records: &[&Record]) -> String {
    let mut page = "<OAI-PMH><ListRecords>".to_owned();
    for record in records {
        let document = record_document(record);
        let (_, element) = document.split_once("?>").unwrap();
        page.push_str(element);
    }
    page + "</ListRecords></OAI-PMH>"
}

/// Tells how a case that fails is shown again, and keeps its page.
struct InHand<'c> {
    seed: u64,
    page: &'c [u8],
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = std::env::temp_dir().join(format!("highwater-fuzz-{}.xml", self.seed));
            let kept = std::fs::write(&path, self.page).map(|()| path.display().to_string());
            eprintln!("seed {}: the page is {kept:?}; `make fuzz FUZZ_SEED={}` begins with it", self.seed, self.seed);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value:?}")))
}

/// The hundred records, where this machine has them.
fn real() -> Option<Vec<u8>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let data = std::env::var_os("HIGHWATER_SHARED_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = data.join("doab-listrecords-100.xml");
    let read = std::fs::read(&path);
    read.map_err(|error| NotHere(format!("{}: {error}", path.display())).say("fuzz: real pages")).ok()
}

#[test]
fn a_mutated_page_is_refused_or_means_the_same_when_it_is_written_again() {
    let clock = SystemClock::new();
    let time = number("HIGHWATER_FUZZ_SECS").map(Duration::from_secs);
    let fresh = if time.is_some() { fastrand::u64(..1 << 40) } else { SEED };
    let first = number("HIGHWATER_FUZZ_SEED").unwrap_or(fresh);
    println!("seed {first}");
    let samples = sample::samples(real());
    let (begun, mut news, mut case, mut bytes) = (clock.elapsed(), NEWS_SECS, 0, 0);
    while time.map_or(case < CASES, |time| clock.elapsed() - begun < time) {
        let seed = first + case;
        let mut random = Rng::with_seed(seed);
        let mut page = sample::page(&mut random, &samples);
        for _ in 0..random.usize(..=MUTATIONS_MAX) {
            mutation::mutate(&mut random, &mut page, &samples, PAGE_BYTES_MAX);
        }
        let in_hand = InHand { seed, page: &page };
        check(&mut random, in_hand.page);
        case += 1;
        bytes += page.len();
        if (clock.elapsed() - begun).as_secs() >= news {
            news += NEWS_SECS;
            println!("{} s: {case} pages, {} MB", (clock.elapsed() - begun).as_secs(), bytes / 1_000_000);
        }
    }
    println!("{case} pages, {} MB: no finding", bytes / 1_000_000);
}
