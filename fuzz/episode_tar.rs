//! Archives of episodes, mutated, against the reader: what comes is refused or read, however it comes in pieces, and what is read
//! keeps to the limits and to what GNU tar could have meant. Owns the samples, the mutations and the checks. With the tests it
//! makes the same few thousand cases each time; `make fuzz` goes on for as long as it is told, from a seed that it prints.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

#[path = "episode_tar/mutation.rs"]
mod mutation;
#[path = "episode_tar/sample.rs"]
mod sample;

use std::io::{self, Read};
use std::time::Duration;

use fastrand::Rng;
use highwater_engine::clock::{Clock, SystemClock};
use highwater_episodes::archive::{Archive, Limits, ReadError, Reader, meta};
use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::name::EpisodeId;

/// How many cases the tests make; they are the same each time.
const CASES: u64 = 3_000;
const SEED: u64 = 3_141_592_653;
/// A case is an archive and this many mutations of it.
const MUTATIONS_MAX: usize = 6;
/// While it goes on, it says so every so many seconds.
const NEWS_SECS: u64 = 60;
/// Below what some of the mutated archives hold.
const LIMITS: Limits =
    Limits { bytes: 256 << 10, ratio: 1_000, entries: 40, window_log: 20, path_bytes: 300, paths_bytes: 2_000 };

/// A source that gives its bytes in pieces, and counts them.
struct Pieces<'b> {
    bytes: &'b [u8],
    largest: usize,
    random: Rng,
    given: u64,
}

impl Read for Pieces<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let most = self.random.usize(1..=self.largest).min(room.len());
        let read = (&self.bytes[..self.bytes.len().min(most)]).read(room)?;
        self.bytes = &self.bytes[read..];
        self.given += read as u64;
        Ok(read)
    }
}

fn plain(read: Result<Archive, ReadError>) -> Result<Archive, String> {
    read.map_err(|error| {
        assert!(error.is_of_archive(), "{error:?}");
        error.to_string()
    })
}

/// One case: reads the archive whole and in pieces, and looks at what is said of it.
fn check(random: &mut Rng, reader: &mut Reader, episode: &EpisodeId, archive: &[u8]) {
    let whole = plain(reader.read(archive, Some(archive.len() as u64), episode));
    let mut pieces = Pieces { bytes: archive, largest: 1 << random.u32(0..14), random: random.fork(), given: 0 };
    let chopped = plain(reader.read(&mut pieces, None, episode));
    match (&whole, &chopped) {
        // Where it was noticed depends on how the bytes came.
        (Err(_), Err(_)) => {}
        _ => assert_eq!(whole, chopped, "in pieces it is read otherwise"),
    }
    assert!(pieces.given <= archive.len() as u64);
    let Ok(read) = whole else { return };
    assert_eq!((read.sha256, read.size_bytes), (Sha256Digest::of(archive), archive.len() as u64));
    assert!(read.entries <= LIMITS.entries && read.bytes <= LIMITS.bytes && read.files <= read.entries, "{read:?}");
    if let Some(meta) = &read.meta {
        let _ = meta::recorded_commit(meta);
    }
}

/// Tells how a case that fails is shown again, and keeps its archive.
struct InHand<'c> {
    seed: u64,
    archive: &'c [u8],
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = std::env::temp_dir().join(format!("highwater-fuzz-{}.tar.zst", self.seed));
            let kept = std::fs::write(&path, self.archive).map(|()| path.display().to_string());
            eprintln!(
                "seed {}: the archive is {kept:?}; `make fuzz FUZZ_SEED={}` begins with it",
                self.seed, self.seed
            );
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value:?}")))
}

#[test]
fn a_mutated_archive_is_refused_or_read_within_the_limits() {
    let clock = SystemClock::new();
    let time = number("HIGHWATER_FUZZ_SECS").map(Duration::from_secs);
    let fresh = if time.is_some() { fastrand::u64(..1 << 40) } else { SEED };
    let first = number("HIGHWATER_FUZZ_SEED").unwrap_or(fresh);
    println!("seed {first}");
    let episode = EpisodeId::new(sample::EPISODE).unwrap();
    let mut reader = Reader::new(LIMITS).unwrap();
    let (begun, mut news, mut case, mut read) = (clock.elapsed(), NEWS_SECS, 0, 0);
    while time.map_or(case < CASES, |time| clock.elapsed() - begun < time) {
        let seed = first + case;
        let mut random = Rng::with_seed(seed);
        let mut tar = sample::tar(&mut random);
        for _ in 0..random.usize(..=MUTATIONS_MAX) {
            mutation::mutate(&mut random, &mut tar);
        }
        let archive = sample::archive(&mut random, &tar);
        let in_hand = InHand { seed, archive: &archive };
        check(&mut random, &mut reader, &episode, in_hand.archive);
        read += u64::from(reader.read(&archive[..], None, &episode).is_ok());
        case += 1;
        if (clock.elapsed() - begun).as_secs() >= news {
            news += NEWS_SECS;
            println!("{} s: {case} archives", (clock.elapsed() - begun).as_secs());
        }
    }
    println!("{case} archives, {read} of them read: no finding");
    assert!(read * 50 > case, "hardly any is read: the mutations are too coarse to find anything");
}
