//! The archives that are mutated: entries of every kind that a tar has, as ours, GNU tar and others write them.

use fastrand::Rng;

pub(crate) const EPISODE: &str = "ep";
/// Kinds of entries, those that are read more often than those that are refused.
const KINDS: &[u8] = b"0000005555\x0001234567xgLKSDMVXZ";
const PATHS: &[&str] = &[
    "ep/",
    "ep/meta.json",
    "ep/done.marker",
    "./ep/a",
    "ep/a/b/c",
    "ep/a/",
    "ep/b",
    "../ep/x",
    "/ep/x",
    "ep//x",
    "ep/./x",
    "ep/..",
    "ep",
    "other/x",
    "",
    ".",
    "ep/\u{e4}",
    "ep/-rf",
    "ep/x\n",
];
const RECORDS: &[&str] = &[
    "path=ep/long/name",
    "size=7",
    "mtime=-1.5",
    "mtime=1754907300.25",
    "path=",
    "size=18446744073709551615",
    "atime=1",
    "comment=x",
    "GNU.sparse.major=1",
    "uid=99999999",
    "path=../x",
    "size=-1",
    "hdrcharset=BINARY",
];
const BODY_BYTES_MAX: usize = 3_000;
const META: &str = r#"{"code_version": {"commit": "0123456789abcdef0123456789abcdef01234567"}, "x": [1, "a"]}"#;

/// A tar of a few entries; half of them are as an episode should be.
pub(crate) fn tar(random: &mut Rng) -> Vec<u8> {
    let mut tar = Vec::new();
    if random.bool() {
        for entry in 0..random.usize(..8) {
            let path = format!("ep/{entry}{}", "/deep".repeat(random.usize(..3)));
            put(random, &mut tar, b'0', path.as_bytes());
        }
        put(random, &mut tar, b'0', b"ep/meta.json");
    } else {
        for _ in 0..random.usize(..10) {
            let kind = *random.choice(KINDS).unwrap();
            let path = *random.choice(PATHS).unwrap();
            put(random, &mut tar, kind, path.as_bytes());
        }
    }
    let end = random.choice([1024, 1024, 1024, 10_240, 512, 0]).unwrap();
    tar.resize(tar.len() + end, 0);
    tar
}

/// Adds an entry.
pub(crate) fn put(random: &mut Rng, tar: &mut Vec<u8>, kind: u8, path: &[u8]) {
    let body: Vec<u8> = match kind {
        b'x' | b'g' => {
            let records = (0..random.usize(..3)).map(|_| record(random.choice(RECORDS).unwrap()));
            records.collect::<String>().into_bytes()
        }
        b'L' => [random.choice(PATHS).unwrap().as_bytes(), b"\0"].concat(),
        b'0' | 0 if path == b"ep/meta.json" => META.into(),
        b'0' | 0 => vec![random.u8(..); random.usize(..BODY_BYTES_MAX)],
        _ => Vec::new(),
    };
    let mut block = [0; 512];
    let mut write = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    write(0, &path[..path.len().min(100)]);
    write(100, random.choice([b"0000755\0", b"0100644\0", b"    644\0"]).unwrap());
    write(124, format!("{:011o}", body.len()).as_bytes());
    write(136, random.choice([b"15046344444\0", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf0"]).unwrap());
    write(156, &[kind]);
    write(257, random.choice([b"ustar\x0000", b"ustar  \0", b"\0\0\0\0\0\0\0\0"]).unwrap());
    sign(&mut block);
    tar.extend_from_slice(&block);
    tar.extend_from_slice(&body);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn record(text: &str) -> String {
    let rest = text.len() + 2;
    let length = (rest..).find(|length| length.to_string().len() + rest == *length).unwrap();
    format!("{length} {text}\n")
}

/// Makes the checksum right.
pub(crate) fn sign(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// The tar compressed, in one frame or several; sometimes damaged after that.
pub(crate) fn archive(random: &mut Rng, tar: &[u8]) -> Vec<u8> {
    let cut = random.usize(..=tar.len());
    let frames = if random.u8(..4) == 0 { vec![&tar[..cut], &tar[cut..]] } else { vec![tar] };
    let mut archive: Vec<u8> = frames.into_iter().flat_map(|frame| zstd::encode_all(frame, 1).unwrap()).collect();
    match random.u8(..16) {
        0 => archive.truncate(random.usize(..=archive.len())),
        1 => archive.extend_from_slice(b"more"),
        2 | 3 if !archive.is_empty() => {
            let at = random.usize(..archive.len());
            archive[at] ^= 1 << random.u8(..8);
        }
        _ => {}
    }
    archive
}
