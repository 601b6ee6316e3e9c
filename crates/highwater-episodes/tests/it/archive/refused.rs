//! Archives that are refused, each with what is wrong and at which entry.

use highwater_episodes::archive::{EntryFault, Limits, ReadError, Reader, SEAL_BYTES};
use highwater_episodes::name::EpisodeId;

use super::rig::{Episode, Tar, compressed, noise, read, unpacked};

fn refusal(tar: Tar) -> ReadError {
    read(&compressed(&tar.end()), &EpisodeId::new("ep").unwrap()).unwrap_err()
}

/// What is wrong with the second entry.
fn second(add: impl FnOnce(Tar) -> Tar) -> EntryFault {
    let error = refusal(add(Tar::default().entry(b'0', "ep/a", b"1")));
    let ReadError::Entry { entry: 2, fault, .. } = error else { panic!("{error:?}") };
    fault
}

fn path(path: &str) -> EntryFault {
    let fault = second(|tar| tar.entry(b'0', path, b""));
    // However the path is said.
    assert_eq!(second(|tar| tar.pax(b'x', "path", path).entry(b'0', "ep/b", b"")), fault);
    assert_eq!(second(|tar| tar.entry(b'L', "././@LongLink", path.as_bytes()).entry(b'0', "ep/b", b"")), fault);
    fault
}

#[test]
fn a_path_that_leads_elsewhere_is_refused() {
    for upwards in ["../x", "ep/../x", "ep/..", "..", "./../ep/x", "ep/b/../../../x"] {
        assert_eq!(path(upwards), EntryFault::Parent, "{upwards}");
    }
    for absolute in ["/ep/x", "//ep/x", "/"] {
        assert_eq!(path(absolute), EntryFault::Absolute, "{absolute}");
    }
    for empty in ["ep//x", "ep/./x", ".", "./", "././ep/x", "ep/b//", ""] {
        assert_eq!(path(empty), EntryFault::Component, "{empty:?}");
    }
    for outside in ["x", "ep2/x", "e", "ep", "Ep/x", "./x"] {
        let found = outside.trim_start_matches("./").split('/').next().map(str::to_owned);
        assert_eq!(path(outside), EntryFault::Outside { top: "ep".to_owned(), found }, "{outside}");
    }
    assert_eq!(second(|tar| tar.pax(b'x', "path", "ep/b\0c").entry(b'0', "ep/b", b"")), EntryFault::Nul);
    assert_eq!(second(|tar| tar.entry(b'L', "", b"ep/b\0c\0").entry(b'0', "ep/b", b"")), EntryFault::Nul);
    let long = format!("ep/{}", "b/".repeat(2_100));
    assert_eq!(
        second(|tar| tar.pax(b'x', "path", &long).entry(b'5', "ep/b", b"")),
        EntryFault::PathBytes { limit: 4096 }
    );
}

#[test]
fn what_is_neither_a_file_nor_a_directory_is_refused() {
    for kind in [b'1', b'2', b'K'] {
        assert_eq!(second(|tar| tar.entry(kind, "ep/b", b"")), EntryFault::Link);
    }
    for kind in [b'3', b'4', b'6'] {
        assert_eq!(second(|tar| tar.entry(kind, "ep/b", b"")), EntryFault::Device);
    }
    for kind in [b'7', b'D', b'M', b'V', b'X', b'Z', 0xff] {
        assert_eq!(second(|tar| tar.entry(kind, "ep/b", b"")), EntryFault::Foreign(char::from(kind)));
    }
    assert_eq!(second(|tar| tar.entry(b'S', "ep/b", b"")), EntryFault::Sparse);
    assert_eq!(second(|tar| tar.pax(b'x', "GNU.sparse.major", "1").entry(b'0', "ep/b", b"")), EntryFault::Sparse);
    assert_eq!(second(|tar| tar.entry(b'5', "ep/b", b"x")), EntryFault::DirBytes(1));
    assert_eq!(second(|tar| tar.entry(b'0', "ep/b/", b"x")), EntryFault::DirBytes(1));
}

#[test]
fn a_path_that_is_there_twice_is_refused_at_the_second() {
    assert_eq!(second(|tar| tar.entry(b'0', "ep/a", b"2")), EntryFault::Duplicate);
    assert_eq!(second(|tar| tar.entry(b'0', "./ep/a", b"2")), EntryFault::Duplicate);
    assert_eq!(second(|tar| tar.entry(b'5', "ep/a/", b"")), EntryFault::Duplicate);
    assert_eq!(second(|tar| tar.entry(b'0', "ep/a/b", b"")), EntryFault::BelowFile);
    assert_eq!(second(|tar| tar.entry(b'0', "ep/a/b/c/d", b"").entry(b'0', "ep/a.", b"")), EntryFault::BelowFile);
}

#[test]
fn headers_that_are_none_are_refused() {
    let good = Tar::default().entry(b'0', "ep/a", b"").entry(b'0', "ep/b", b"");
    let said = |at: usize, bytes: &[u8], sign: bool| {
        let mut tar = good.0.clone();
        tar[512 + at..512 + at + bytes.len()].copy_from_slice(bytes);
        if sign {
            let block = super::rig::signed(tar[512..].try_into().unwrap());
            tar.truncate(512);
            tar.extend_from_slice(&block);
        }
        refusal(Tar(tar)).to_string()
    };
    assert_eq!(said(0, b"f", false), "entry 2: its header has a wrong checksum");
    assert_eq!(said(257, b"rates", true), "entry 2: its header is of no known format");
    assert_eq!(said(124, b"eight", true), "entry 2: the size in its header is no number");
    assert_eq!(said(124, &[0xff; 12], true), "entry 2: the size in its header is no number");
    assert_eq!(said(136, b"-1", true), "entry 2, \"ep/b\": the time in its header is no number");
    assert_eq!(said(100, b"rwx", true), "entry 2, \"ep/b\": the mode in its header is no number");
    // A size beyond all reason ends with the archive.
    assert!(said(124, b"77777777777", true).starts_with("it ends after "));
    assert!(said(124, b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", true).starts_with("it ends after "));
}

#[test]
fn headers_that_extend_are_bounded_and_understood() {
    assert_eq!(
        second(|tar| tar.pax(b'x', "comment", &"x".repeat(300_000)).entry(b'0', "ep/b", b"")),
        EntryFault::ExtensionBytes { limit: 262_144 }
    );
    assert_eq!(
        second(|tar| tar.entry(b'L', "", &noise(5_000, 1)).entry(b'0', "ep/b", b"")),
        EntryFault::ExtensionBytes { limit: 4_097 }
    );
    let many = |tar: Tar| (0..5).fold(tar, |tar, _| tar.pax(b'x', "comment", "x")).entry(b'0', "ep/b", b"");
    assert_eq!(second(many), EntryFault::Extensions { limit: 4 });
    assert_eq!(second(|tar| tar.pax(b'x', "comment", "x")), EntryFault::Missing);
    assert_eq!(second(|tar| tar.entry(b'x', "", b"5 x\n").entry(b'0', "ep/b", b"")), EntryFault::Pax("header"));
    assert_eq!(second(|tar| tar.pax(b'x', "size", "-1").entry(b'0', "ep/b", b"")), EntryFault::Pax("size"));
    assert_eq!(second(|tar| tar.pax(b'x', "mtime", "now").entry(b'0', "ep/b", b"")), EntryFault::Pax("mtime"));
    for key in ["path", "size", "mtime", "GNU.sparse.name"] {
        let all = second(|tar| tar.pax(b'g', key, "1").entry(b'0', "ep/b", b""));
        assert_eq!(all, EntryFault::Pax("header for all entries"), "{key}");
    }
    let harmless = Tar::default().pax(b'g', "comment", "0123").pax(b'x', "atime", "1.5").entry(b'0', "ep/a", b"1");
    let plain = Tar::default().entry(b'0', "ep/a", b"1");
    let content = |tar: Tar| read(&compressed(&tar.end()), &EpisodeId::new("ep").unwrap()).unwrap().content_sha256;
    assert_eq!(content(harmless), content(plain));
}

#[test]
fn an_archive_that_was_cut_anywhere_is_refused() {
    let episode = Episode::empty();
    episode.file("a", noise(3_000, 1));
    episode.file("b", "b");
    let (bytes, _) = episode.pack();
    // The seal says of the archive what is in it; without it the archive is whole.
    let sealed = bytes.len() - SEAL_BYTES;
    assert!(episode.read(&bytes[..sealed]).is_ok());
    for cut in (0..bytes.len()).filter(|cut| *cut != sealed) {
        let error = episode.read(&bytes[..cut]).unwrap_err();
        assert!(matches!(error, ReadError::Truncated { .. }), "{cut}: {error}");
        assert!(error.is_of_archive());
    }
    let tar = unpacked(&bytes);
    for cut in 0..tar.len() {
        let error = episode.read(&compressed(&tar[..cut])).unwrap_err();
        assert!(matches!(error, ReadError::Truncated { .. }), "{cut}: {error}");
    }
}

#[test]
fn something_behind_the_end_is_refused_and_zeros_are_not() {
    let episode = Episode::recorded();
    let (bytes, packed) = episode.pack();
    let tar = unpacked(&bytes);
    let with = |more: &[u8]| episode.read(&compressed(&[&tar, more].concat()));
    assert!(matches!(with(b"x"), Err(ReadError::Trailing)));
    assert!(matches!(with(&tar), Err(ReadError::Trailing)));
    assert!(matches!(with(&vec![0; (1 << 20) + 1]), Err(ReadError::Trailing)));
    assert_eq!(with(&vec![0; 1 << 20]).unwrap().content_sha256, packed.content.content_sha256);
    let error = episode.read(&[&bytes[..], b"garbage"].concat()).unwrap_err();
    assert!(matches!(error, ReadError::Zstd { .. }), "{error}");
    let one = &tar[..tar.len() - 512];
    assert!(matches!(episode.read(&compressed(one)), Err(ReadError::Truncated { .. })));
    assert!(matches!(episode.read(&compressed(&[one, &[1; 512]].concat())), Err(ReadError::Trailing)));
}

#[test]
fn what_is_no_zstd_or_was_damaged_is_refused() {
    let episode = Episode::recorded();
    let said = |bytes: &[u8]| episode.read(bytes).unwrap_err().to_string();
    assert_eq!(said(b"{\"not\": \"an archive\"}"), "it is no zstd, or damaged, at byte 0: Unknown frame descriptor");
    assert_eq!(said(b""), "it ends after 0 bytes, in the middle of entry 1");
    let mut bytes = episode.pack().0;
    bytes.truncate(bytes.len() - SEAL_BYTES);
    for at in [100, 1_000, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(episode.read(&damaged).is_err(), "{at}");
    }
    let mut checksum = bytes.clone();
    *checksum.last_mut().unwrap() ^= 1;
    assert!(said(&checksum).ends_with("Restored data doesn't match checksum"));
}

#[test]
fn frames_one_behind_the_other_are_one_archive() {
    let episode = Episode::recorded();
    let (bytes, packed) = episode.pack();
    let tar = unpacked(&bytes);
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let frames = [&skippable[..], &compressed(&tar[..700]), &compressed(b""), &skippable, &compressed(&tar[700..])];
    let read = episode.read(&frames.concat()).unwrap();
    assert_eq!((read.content_sha256, read.meta), (packed.content.content_sha256, packed.content.meta));
}

#[test]
fn each_limit_of_a_read_is_one() {
    let episode = Episode::recorded();
    let (bytes, _) = episode.pack();
    let tar = u64::try_from(unpacked(&bytes).len()).unwrap();
    let read = |limits: Limits| Reader::new(limits).unwrap().read(&bytes[..], None, &episode.id);
    let most = Limits { bytes: tar, entries: 9, path_bytes: 23, paths_bytes: 160, ..Limits::default() };
    read(most).unwrap();
    let said = |limits: Limits| read(limits).unwrap_err().to_string();
    assert_eq!(said(Limits { bytes: tar - 1, ..most }), format!("it unpacks to more than {} bytes", tar - 1));
    assert_eq!(said(Limits { entries: 8, ..most }), "it has more than 8 entries");
    assert!(said(Limits { path_bytes: 21, ..most }).ends_with("its path is longer than 21 bytes"));
    assert_eq!(said(Limits { paths_bytes: 100, ..most }), "its paths are longer than 100 bytes together");
}

#[test]
fn a_source_that_fails_says_nothing_of_the_archive() {
    struct Broken<'b>(&'b [u8]);
    impl std::io::Read for Broken<'_> {
        fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
            match std::io::Read::read(&mut self.0, room)? {
                0 => Err(std::io::Error::other("the disk is gone")),
                read => Ok(read),
            }
        }
    }
    let episode = Episode::recorded();
    let (bytes, _) = episode.pack();
    let mut reader = Reader::new(Limits::default()).unwrap();
    let error = reader.read(Broken(&bytes[..1000]), None, &episode.id).unwrap_err();
    assert!(matches!(error, ReadError::Io(_)) && !error.is_of_archive());
    // And nothing of it is left for the next.
    assert_eq!(reader.read(&bytes[..], None, &episode.id).unwrap(), episode.read(&bytes).unwrap());
}

#[test]
fn meta_json_counts_where_it_is_meant_and_nowhere_else() {
    let episode = EpisodeId::new("ep").unwrap();
    let meta = |tar: Tar| read(&compressed(&tar.end()), &episode).unwrap().meta;
    let elsewhere = Tar::default().entry(b'0', "ep/x/meta.json", b"{}").entry(b'0', "ep/META.json", b"{}");
    assert_eq!(meta(elsewhere), None);
    assert_eq!(meta(Tar::default().entry(b'5', "ep/meta.json", b"")), None);
    assert_eq!(meta(Tar::default().entry(b'0', "./ep/meta.json", b"{}")), Some(b"{}".to_vec()));
    let long = meta(Tar::default().entry(b'0', "ep/meta.json", &vec![b' '; 3 << 20])).unwrap();
    assert_eq!(long.len(), (1 << 20) + 1);
    let error = highwater_episodes::archive::meta::recorded_commit(&long).unwrap_err().to_string();
    assert_eq!(error, "meta.json is longer than 1048576 bytes");
}
