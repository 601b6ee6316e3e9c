//! Where the row of each key is in a file that is appended to. Owns that a key has one place, that what counts between two places can be
//! told, and which keys had a row that is no longer found.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use sha2::Digest as _;

/// Of a place whose row counts no more.
const PASSED: u64 = 1 << 63;

/// The first half of a key's SHA-256: as good as the key, and short.
pub(in crate::index) type Print = [u64; 2];

pub(in crate::index) fn print_of(host: &str, episode: &str) -> Print {
    let mut hash = sha2::Sha256::new();
    hash.update(host);
    hash.update(b"/");
    hash.update(episode);
    let digest: [u8; 32] = hash.finalize().into();
    let half = |at: usize| u64::from_le_bytes(digest[at..at + 8].try_into().expect("invariant: eight bytes"));
    [half(0), half(8)]
}

/// A print is a hash already.
#[derive(Default)]
pub(in crate::index) struct PrintHasher(u64);

impl Hasher for PrintHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for (at, byte) in bytes.iter().enumerate() {
            self.0 ^= u64::from(*byte) << (at % 8 * 8);
        }
    }
    fn write_u64(&mut self, half: u64) {
        self.0 ^= half;
    }
}

type Known<T> = HashMap<Print, T, BuildHasherDefault<PrintHasher>>;

/// The places.
#[derive(Default)]
pub(super) struct Places {
    of: Known<u64>,
    /// The same in the order of the file, and among them those that were passed over since.
    in_order: Vec<u64>,
    /// Keys that had a row, which somebody took out of the file.
    lost: HashSet<Print, BuildHasherDefault<PrintHasher>>,
}

impl Places {
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    pub(super) fn get(&self, print: &Print) -> Option<u64> {
        self.of.get(print).copied()
    }

    /// A row counts for its key from here on, or the key has none. Rows come in the order of the file.
    pub(super) fn counts(&mut self, print: Print, place: u64, is_removal: bool) {
        self.lost.remove(&print);
        let before = if is_removal {
            self.of.remove(&print)
        } else {
            self.in_order.push(place);
            self.of.insert(print, place)
        };
        if let Some(at) =
            before.and_then(|before| self.in_order.binary_search_by_key(&before, |place| place & !PASSED).ok())
        {
            self.in_order[at] |= PASSED;
        }
    }

    /// Whether every row that counts and lies there is among those that were seen, which are in order.
    pub(super) fn are_all_of(&self, range: Range<u64>, seen: &[u64]) -> bool {
        let from = self.in_order.partition_point(|place| place & !PASSED < range.start);
        let there = self.in_order[from..].iter().take_while(|place| *place & !PASSED < range.end);
        let mut seen = seen.iter();
        there.filter(|place| *place & PASSED == 0).all(|place| seen.any(|found| found == place))
    }

    /// Keeps which keys had a row before and have none now.
    pub(super) fn miss_those_of(&mut self, before: &Self) {
        let had = before.of.keys().chain(&before.lost);
        self.lost = had.filter(|print| !self.of.contains_key(*print)).copied().collect();
    }

    /// How many keys had a row that is no longer there.
    pub(super) fn lost(&self) -> u64 {
        self.lost.len() as u64
    }
}
