//! The small texts that come from outside, mutated: names of hosts and episodes, digest fields, lines of an index, `meta.json`, seals. What
//! comes is refused, or means the same when it is written again. With the tests it makes the same cases each time; `make fuzz`
//! goes on for as long as it is told, from a seed that it prints.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::time::Duration;

use fastrand::Rng;
use highwater_engine::clock::{Clock, SystemClock};
use highwater_episodes::archive::{Seal, meta};
use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::index::Row;
use highwater_episodes::name::{EpisodeId, EpisodeKey};

/// How many cases the tests make; they are the same each time.
const CASES: u64 = 60_000;
const SEED: u64 = 1_618_033_988;
const MUTATIONS_MAX: usize = 5;
/// While it goes on, it says so every so many seconds.
const NEWS_SECS: u64 = 60;

const SAMPLES: [&str; 8] = [
    "lab-1/ep-2026.08.11_7",
    "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
    "sha-512=:AAAA:;x=1, sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
    r#"{"backfilled":true,"commit":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","episode_id":"ep-1","gate":"off","host_id":"lab-1","received_at_wall":"2026-08-11T10:15:00.25Z","schema_version":1,"sha256":"0202020202020202020202020202020202020202020202020202020202020202","size_bytes":123}"#,
    r#"{"content_sha256":"0101010101010101010101010101010101010101010101010101010101010101","episode_id":"ep-1","host_id":"lab-1","received_at_wall":"2024-05-01T00:00:00+00:00","schema_version":1,"sha256":"ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB","size_bytes":5,"withdrawn":"why"}"#,
    r#"{"code_version":{"commit":"0123456789abcdef0123456789ABCDEF01234567","dirty":false},"n":[1.5e9,null,"\u00e4"]}"#,
    "44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38",
    "",
];
const WORDS: [&str; 20] = [
    "..",
    "/",
    "%2e",
    "\0",
    "\"",
    "\\",
    "\\u0000",
    "{",
    "}",
    "[",
    "null",
    "1e999",
    "-1",
    ":",
    "sha-256=",
    ",",
    "\u{feff}",
    "\n",
    "=",
    "99999999999999999999",
];

/// The last frame of some archive.
fn seal(random: &mut Rng) -> Vec<u8> {
    let mut digest = || Sha256Digest::of(&[random.u8(..)]);
    let (before_sha256, content_sha256) = (digest(), digest());
    let commit = random.bool().then(|| "ab".repeat(20 + 12 * random.usize(..2)).parse().unwrap());
    Seal { episode: EpisodeId::new("ep-1").unwrap(), before_sha256, content_sha256, commit }.frame()
}

fn mutate(random: &mut Rng, text: &mut Vec<u8>) {
    let at = random.usize(..=text.len());
    match random.u8(..8) {
        0..3 => {
            let word = *random.choice(&WORDS).unwrap();
            text.splice(at..at, word.bytes());
        }
        3 if at < text.len() => text[at] = random.u8(..),
        4 if at < text.len() => text[at] ^= 1 << random.u8(..8),
        5 => _ = text.drain(at..(at + random.usize(..30)).min(text.len())),
        6 => {
            let part = text[at..(at + random.usize(..30)).min(text.len())].to_vec();
            let times = if random.u8(..16) == 0 { 2_000 } else { 1 };
            text.splice(at..at, part.repeat(times));
        }
        7 => {
            let other = *random.choice(&SAMPLES).unwrap();
            text.splice(at..at, other.bytes());
        }
        _ => {}
    }
}

/// Reads the text as everything that it could be; yields how often it was something.
fn check(bytes: &[u8]) -> u64 {
    let mut read = 0;
    if let Ok(row) = Row::from_line(bytes) {
        let line = row.to_line();
        assert_eq!(line.find('\n'), Some(line.len() - 1), "a row is one line");
        // An old line may be as long as it likes in fields that are not kept, and never longer when it is written.
        assert_eq!(Row::from_line(line.trim_end().as_bytes()).unwrap(), row);
        read += 1;
    }
    if let Ok(Some(commit)) = meta::recorded_commit(bytes) {
        assert!(
            matches!(commit.as_str().len(), 40 | 64) && !commit.as_str().contains(|c: char| c.is_ascii_uppercase())
        );
        read += 1;
    }
    if let Some(seal) = Seal::read(bytes) {
        assert_eq!(seal.frame(), bytes, "a seal has one form");
        read += 1;
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return read };
    if let Ok(key) = text.parse::<EpisodeKey>() {
        assert_eq!(key.to_string(), text);
        let name = |name: &str| {
            name != "." && name != ".." && !name.contains(['/', '\0', '%']) && !name.starts_with(['.', '-'])
        };
        assert!(name(key.host.as_str()) && name(key.episode.as_str()), "{key}");
        read += 1;
    }
    if let Ok(Some(digest)) = Sha256Digest::from_field(text) {
        assert_eq!(Sha256Digest::from_field(&digest.to_field()), Ok(Some(digest)));
        read += 1;
    }
    if let Ok(digest) = text.parse::<Sha256Digest>() {
        assert_eq!(digest.to_string(), text.to_ascii_lowercase());
        read += 1;
    }
    read
}

/// Tells how a case that fails is shown again.
struct InHand<'c> {
    seed: u64,
    text: &'c [u8],
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "seed {}: {:?}; `make fuzz FUZZ_SEED={}` begins with it",
                self.seed,
                String::from_utf8_lossy(self.text),
                self.seed
            );
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value:?}")))
}

#[test]
fn a_mutated_text_is_refused_or_means_the_same_when_it_is_written_again() {
    let clock = SystemClock::new();
    let time = number("HIGHWATER_FUZZ_SECS").map(Duration::from_secs);
    let fresh = if time.is_some() { fastrand::u64(..1 << 40) } else { SEED };
    let first = number("HIGHWATER_FUZZ_SEED").unwrap_or(fresh);
    println!("seed {first}");
    let (begun, mut news, mut case, mut read) = (clock.elapsed(), NEWS_SECS, 0, 0);
    while time.map_or(case < CASES, |time| clock.elapsed() - begun < time) {
        let seed = first + case;
        let mut random = Rng::with_seed(seed);
        let mut text = random.choice(&SAMPLES).unwrap().as_bytes().to_vec();
        if random.u8(..8) == 0 {
            text = seal(&mut random);
        }
        for _ in 0..random.usize(..=MUTATIONS_MAX) {
            mutate(&mut random, &mut text);
        }
        let in_hand = InHand { seed, text: &text };
        read += check(in_hand.text);
        case += 1;
        if (clock.elapsed() - begun).as_secs() >= news {
            news += NEWS_SECS;
            println!("{} s: {case} texts", (clock.elapsed() - begun).as_secs());
        }
    }
    println!("{case} texts, {read} of them read: no finding");
    assert!(read * 20 > case, "hardly any is read: the mutations are too coarse to find anything");
}
