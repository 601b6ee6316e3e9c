//! How a tar is changed: by bytes, by blocks, and in the fields of its headers, whose checksums are mostly made right again, since
//! what lies behind a wrong one is never looked at.

use fastrand::Rng;

use crate::sample;

const BLOCK_BYTES: usize = 512;
/// Tars grow no further, in bytes.
const TAR_BYTES_MAX: usize = 1 << 20;
/// Fields of a header, and how long they are: name, mode, size, time, kind, magic, prefix.
const FIELDS: [(usize, usize); 7] = [(0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (257, 8), (345, 155)];
const WORDS: &[&[u8]] = &[
    b"..",
    b"/",
    b"//",
    b"\0",
    b"ep/",
    b"./",
    b"77777777777",
    b"\x80\0\0\0\0\0\0\x01\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"-1",
    b" ",
    b"00000000777",
    b"x",
    b"L",
    b"5",
    b"path=",
    b"99999 path=x\n",
    b"12 size=9\n",
    b"ustar\x0000",
    b"9",
];

/// Changes the tar in one way.
pub(crate) fn mutate(random: &mut Rng, tar: &mut Vec<u8>) {
    let blocks = tar.len() / BLOCK_BYTES;
    if blocks == 0 {
        sample::put(random, tar, b'0', b"ep/x");
        return;
    }
    let block = random.usize(..blocks) * BLOCK_BYTES;
    match random.u8(..12) {
        0..5 => {
            let (at, len) = *random.choice(&FIELDS).unwrap();
            let word = *random.choice(WORDS).unwrap();
            let from = block + at + if random.bool() { 0 } else { random.usize(..len) };
            let len = word.len().min(block + at + len - from);
            tar[from..from + len].copy_from_slice(&word[..len]);
            if random.u8(..8) > 0 {
                sample::sign(&mut tar[block..block + BLOCK_BYTES]);
            }
        }
        5 | 6 => {
            let at = random.usize(..tar.len());
            tar[at] = random.u8(..);
        }
        7 => {
            let kind = *random.choice(b"05xgL12").unwrap();
            let mut entry = Vec::new();
            sample::put(random, &mut entry, kind, b"ep/new");
            tar.splice(block..block, entry);
        }
        8 => _ = tar.drain(block..block + BLOCK_BYTES),
        9 => {
            let to = (block + BLOCK_BYTES * random.usize(1..6)).min(tar.len());
            let part = tar[block..to].to_vec();
            let times = if random.u8(..8) == 0 { 200 } else { 1 };
            tar.splice(block..block, part.repeat(times));
        }
        10 => tar.truncate(random.usize(..=tar.len())),
        _ => {
            let at = random.usize(..=tar.len());
            let word = *random.choice(WORDS).unwrap();
            tar.splice(at..at, word.iter().copied());
        }
    }
    tar.truncate(TAR_BYTES_MAX);
}
