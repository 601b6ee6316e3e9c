//! Documents, mutated, against the converters: what comes is refused in one line or converted, and what is converted keeps its
//! promises: its pages begin where it has lines, its images are those that it shows, and the same bytes give the same text. Owns the
//! samples, the mutations and the checks. With the tests it makes the same few hundred cases each time; `make fuzz` goes on for as
//! long as it is told, from a seed that it prints.
//!
//! What a conversion does to its process is not seen here: the tests of the binary spoil documents for the process itself.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::time::Duration;

use fastrand::Rng;
use highwater_engine::clock::{Clock, SystemClock};
use highwater_kb::convert::{Limits, convert};
use highwater_testkit::documents;

/// How many cases the tests make; they are the same each time.
const CASES: u64 = 400;
const SEED: u64 = 1_618_033_988;
/// A case is a document and this many mutations of it.
const MUTATIONS_MAX: usize = 8;
/// Documents grow no further, in bytes.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// While it goes on, it says so every so many seconds.
const NEWS_SECS: u64 = 60;

const LIMITS: Limits = Limits {
    cpu_secs: 1,
    secs_per_mib: 0,
    memory_bytes: 1 << 30,
    document_bytes: DOCUMENT_BYTES_MAX as u64,
    text_bytes: 4 << 20,
    images: 8,
    images_bytes: 1 << 20,
    files_open: 16,
};

/// What is put into documents: what means something in one format or another.
const WORDS: [&str; 40] = [
    "<",
    ">",
    "</p>",
    "<p>",
    "<li id=\"fn1\">",
    "<a href=\"#fn1\">1</a>",
    "<table><tr><td>",
    "<img src=\"data:image/png;base64,AAAA\">",
    "<pre><code>",
    "<svg",
    "<!--",
    "-->",
    "&#0;",
    "&amp;",
    "]]>",
    "[[",
    "]]",
    "](",
    "![",
    "[^1]",
    "[^1]: ",
    "```",
    "|",
    "| --- |",
    "\n\n",
    "    ",
    "---\n",
    "%%",
    "\\",
    "hwnote",
    "hwnoteref1q",
    "obj",
    "endobj",
    "stream\n",
    "endstream",
    "<< /Type /Page >>",
    "0 R",
    "/Count 99999",
    "/Kids [2 0 R]",
    "\u{feff}",
];

const TEXTS: [(&str, &str); 4] = [
    (
        "html",
        "<html><head><title>T</title></head><body><h1>A</h1><p>x<a href=\"#n1\" role=\"doc-noteref\">1</a></p><ol><li id=\"n1\">N</li></ol></body></html>",
    ),
    ("md", "---\ntitle: T\n---\n# A\n\n[a](b) ![c](d) `e` [[f]]\n\n| g | h |\n|---|---|\n| 1 | 2 |\n"),
    ("csv", "a,b,c\n1,\"2\n3\",4\n"),
    ("txt", "TITLE\n=====\n\n<a> & b\n\n  * item\n"),
];

/// A document and its suffix; of one that is an archive a part is mutated, since little else of an archive is read.
fn document(random: &mut Rng) -> (Vec<u8>, &'static str) {
    let (mut bytes, suffix) = match random.u8(..10) {
        0..3 => (documents::pdf(), "pdf"),
        3 => (documents::epub(), "epub"),
        4 => (documents::xlsx(), "xlsx"),
        5 => (documents::pptx(), "pptx"),
        6 => {
            let mut body =
                b"<w:p><w:r><w:t>a</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>".to_vec();
            spoil(random, &mut body);
            return (documents::docx_of(&String::from_utf8_lossy(&body)), "docx");
        }
        _ => {
            let (suffix, text) = *random.choice(&TEXTS).unwrap();
            (text.as_bytes().to_vec(), suffix)
        }
    };
    spoil(random, &mut bytes);
    (bytes, suffix)
}

fn spoil(random: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.usize(..=MUTATIONS_MAX) {
        let at = random.usize(..=bytes.len());
        match random.u8(..8) {
            0..4 => _ = bytes.splice(at..at, random.choice(&WORDS).unwrap().bytes()),
            4 if at < bytes.len() => bytes[at] = random.u8(..),
            5 => _ = bytes.drain(at..(at + random.usize(..40)).min(bytes.len())),
            6 => {
                let part = bytes[at..(at + random.usize(..40)).min(bytes.len())].to_vec();
                let times = if random.u8(..16) == 0 { 500 } else { 2 };
                bytes.splice(at..at, part.repeat(times));
            }
            7 => bytes.truncate(at),
            _ => {}
        }
        bytes.truncate(DOCUMENT_BYTES_MAX);
    }
}

/// Converts it; yields whether it was refused.
fn check(bytes: &[u8], suffix: &str) -> bool {
    let converted = match convert(bytes, suffix, None, &LIMITS) {
        Ok(converted) => converted,
        Err(refusal) => {
            let told = refusal.to_string();
            assert!(told.starts_with("it") && !told.contains(char::is_control), "{told:?}");
            return true;
        }
    };
    assert_eq!(convert(bytes, suffix, None, &LIMITS).as_ref(), Ok(&converted), "the same bytes give the same answer");
    let text = &converted.markdown;
    assert!(text.ends_with('\n') && !text.contains(['\r', '\0']) && text.len() as u64 <= LIMITS.text_bytes + 1);
    let lines = u32::try_from(text.lines().count()).unwrap();
    assert!(converted.page_lines.is_sorted() && converted.page_lines.iter().all(|line| *line < lines));
    for image in &converted.images {
        assert!(text.contains(&format!("](images/{}", image.name)), "{} is shown", image.name);
    }
    if let Some(title) = &converted.title {
        assert!(!title.is_empty() && !title.contains(char::is_control), "{title:?}");
    }
    false
}

/// Tells how a case that fails is shown again.
struct InHand(u64);

impl Drop for InHand {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}; `make fuzz FUZZ_SEED={}` begins with it", self.0, self.0);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value:?}")))
}

#[test]
fn a_mutated_document_is_refused_or_converted_into_what_keeps_its_promises() {
    let clock = SystemClock::new();
    let time = number("HIGHWATER_FUZZ_SECS").map(Duration::from_secs);
    let fresh = if time.is_some() { fastrand::u64(..1 << 40) } else { SEED };
    let first = number("HIGHWATER_FUZZ_SEED").unwrap_or(fresh);
    println!("seed {first}");
    let (begun, mut news, mut case, mut refused) = (clock.elapsed(), NEWS_SECS, 0, 0);
    while time.map_or(case < CASES, |time| clock.elapsed() - begun < time) {
        let seed = first + case;
        let in_hand = InHand(seed);
        let mut random = Rng::with_seed(seed);
        let (bytes, suffix) = document(&mut random);
        refused += u64::from(check(&bytes, suffix));
        drop(in_hand);
        case += 1;
        if (clock.elapsed() - begun).as_secs() >= news {
            println!("{case} documents, {refused} refused, up to seed {seed}");
            news += NEWS_SECS;
        }
    }
    println!("{case} documents, {refused} refused");
    assert!(refused < case, "some are converted");
}
