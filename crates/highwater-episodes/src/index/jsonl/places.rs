//! Where the row of each key is in a file that is appended to. Owns that a key has one place, that what counts between two places can be
//! told, and whether what lies before a place is still what it was.

use std::collections::HashMap;
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

pub(in crate::index) type Known<T> = HashMap<Print, T, BuildHasherDefault<PrintHasher>>;

/// What a row says of its key, as far as it matters that another one would say otherwise: that it is withdrawn, or which bytes are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Says(u64);

impl Says {
    /// A tombstone's, of whatever bytes.
    pub(in crate::index) const WITHDRAWN: Self = Self(1);

    /// Of a row that stands for the bytes of which this is the beginning of the SHA-256; even, so that it is no tombstone's.
    pub(in crate::index) fn stored(begin: u64) -> Self {
        Self(begin & !1)
    }
}

/// The places.
#[derive(Default)]
pub(super) struct Places {
    of: Known<(u64, Says)>,
    /// Those that came, in the order of the file, and among them those that do not count.
    in_order: Vec<u64>,
    /// What the file says up to each of these and with it: the same as long as nothing before it was changed.
    story: Vec<u64>,
}

impl Places {
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    pub(super) fn get(&self, print: &Print) -> Option<u64> {
        self.of.get(print).map(|(place, _)| *place)
    }

    /// The place of a key, and what is said of it.
    pub(super) fn of(&self, print: &Print) -> Option<(u64, Says)> {
        self.of.get(print).copied()
    }

    /// What is said of a key.
    pub(super) fn says(&self, print: &Print) -> Option<Says> {
        self.of.get(print).map(|(_, says)| *says)
    }

    /// What is said of each key.
    pub(super) fn said(&self) -> impl Iterator<Item = (Print, Says)> {
        self.of.iter().map(|(print, (_, says))| (*print, *says))
    }

    /// A row is there that may count. Rows come in the order of the file.
    pub(super) fn came(&mut self, print: Print, place: u64, says: Says) {
        self.in_order.push(place | PASSED);
        let before = self.story.last().copied().unwrap_or_default();
        self.story.push([print[0], print[1], place, says.0].into_iter().fold(before, told));
    }

    /// One of those that came counts for its key from here on, or the key has none.
    pub(super) fn counts(&mut self, print: Print, row: Option<(u64, Says)>) {
        let before = match row {
            None => self.of.remove(&print),
            Some((place, says)) => self.of.insert(print, (place, says)),
        };
        if let Some(at) = before.and_then(|(before, _)| self.at(before)) {
            self.in_order[at] |= PASSED;
        }
        if let Some(at) = row.and_then(|(place, _)| self.at(place)) {
            self.in_order[at] &= !PASSED;
        }
    }

    /// Where a row is among those that came.
    fn at(&self, place: u64) -> Option<usize> {
        let last = self.in_order.len().checked_sub(1)?;
        if self.in_order[last] & !PASSED == place {
            return Some(last);
        }
        self.in_order.binary_search_by_key(&place, |place| place & !PASSED).ok()
    }

    /// What the rows say that lie before a place.
    pub(super) fn story_before(&self, place: u64) -> u64 {
        let rows = self.in_order.partition_point(|row| row & !PASSED < place);
        rows.checked_sub(1).map_or(0, |last| self.story[last])
    }

    /// Whether every row that counts and lies there is among those that were seen, which are in order.
    pub(super) fn are_all_of(&self, range: Range<u64>, seen: &[u64]) -> bool {
        let from = self.in_order.partition_point(|place| place & !PASSED < range.start);
        let there = self.in_order[from..].iter().take_while(|place| *place & !PASSED < range.end);
        let mut seen = seen.iter();
        there.filter(|place| *place & PASSED == 0).all(|place| seen.any(|found| found == place))
    }
}

/// What was told, and this after it (a step of SplitMix64).
fn told(before: u64, this: u64) -> u64 {
    let mut mixed = (before ^ this).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
