//! Small archives that unpack to a lot.

use std::io::{Read, Write as _};

use highwater_episodes::archive::{Extent, Limits, ReadError, Reader};
use highwater_episodes::name::EpisodeId;
use zstd::stream::raw::CParameter;

use super::rig::{Episode, Tar, noise, settings};

/// A gigabyte of zeros as the file of an episode, in some 36 KB.
pub(crate) fn gigabyte(window_log: u32) -> Vec<u8> {
    zeros(1 << 30, window_log)
}

fn zeros(bytes: usize, window_log: u32) -> Vec<u8> {
    let mut bomb = zstd::Encoder::new(Vec::new(), 3).unwrap();
    bomb.set_parameter(CParameter::WindowLog(window_log)).unwrap();
    bomb.write_all(&header(bytes)).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        bomb.write_all(&zeros).unwrap();
    }
    bomb.write_all(&[0; 1024]).unwrap();
    bomb.finish().unwrap()
}

fn header(bytes: usize) -> Vec<u8> {
    let mut block: [u8; 512] = Tar::default().entry(b'0', "ep/zeros", b"").0.try_into().unwrap();
    block[124..135].copy_from_slice(format!("{bytes:011o}").as_bytes());
    super::rig::signed(block).to_vec()
}

pub(crate) fn read(source: impl Read, size_bytes: Option<u64>) -> Result<u64, ReadError> {
    let episode = EpisodeId::new("ep").unwrap();
    Reader::new(Limits::default()).unwrap().read(source, size_bytes, &episode).map(|archive| archive.bytes)
}

#[test]
fn a_bomb_stops_at_its_ratio() {
    let bomb = gigabyte(21);
    assert!((20_000..100_000).contains(&bomb.len()), "{}", bomb.len());
    for size in [None, Some(bomb.len() as u64)] {
        let error = read(&bomb[..], size).unwrap_err();
        assert!(matches!(error, ReadError::Ratio { limit: 1_000 }) && error.is_of_archive(), "{error}");
    }
}

#[test]
fn r11_what_was_packed_here_is_read_however_well_it_compresses_and_a_bomb_without_its_seal_is_not() {
    let episode = Episode::empty();
    let zeros = 100 << 20;
    std::fs::File::create(episode.path("disk.img")).unwrap().set_len(zeros).unwrap();
    let mut reader = Reader::new(Limits::default()).unwrap();
    let mut held = Vec::new();
    for level in [1, 3, 9] {
        let (bytes, packed) = episode.pack_with(&settings(level, 0));
        let size_bytes = bytes.len() as u64;
        assert!(size_bytes * 1_000 < zeros, "level {level}: {size_bytes}");
        let sealed = Extent { size_bytes, is_sealed: true };
        let read = reader.read_whole(&bytes[..], sealed, &episode.id).unwrap();
        assert_eq!((read.content_sha256, read.bytes), (packed.content.content_sha256, zeros));
        held.push(read.content_sha256);
        let error = reader.read_whole(&bytes[..], Extent { is_sealed: false, ..sealed }, &episode.id).unwrap_err();
        assert!(matches!(error, ReadError::Ratio { .. }), "{error}");
    }
    assert!(held.iter().all(|content| *content == held[0]));
    let more = Limits { bytes: 64 << 20, ..Limits::default() };
    let (bytes, _) = episode.pack();
    let sealed = Extent { size_bytes: bytes.len() as u64, is_sealed: true };
    let error = Reader::new(more).unwrap().read_whole(&bytes[..], sealed, &episode.id).unwrap_err();
    assert!(matches!(error, ReadError::Bytes { .. }), "a seal is no word about how much: {error}");
}

#[test]
fn an_episode_of_zeros_that_is_no_bomb_is_read() {
    assert_eq!(read(&zeros(60 << 20, 21)[..], None).unwrap(), 60 << 20);
}

#[test]
fn a_quiet_beginning_is_no_fault_where_the_size_is_known() {
    // A hundred megabytes of silence, and then enough that it is a thousandth.
    let mut archive = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let loud = noise(200_000, 1);
    archive.write_all(&header((100 << 20) + loud.len())).unwrap();
    archive.write_all(&vec![0; 100 << 20]).unwrap();
    archive.write_all(&loud).unwrap();
    let end = (100_usize << 20) + loud.len();
    archive.write_all(&vec![0; end.next_multiple_of(512) - end + 1024]).unwrap();
    let archive = archive.finish().unwrap();
    assert!(matches!(read(&archive[..], None), Err(ReadError::Ratio { .. })));
    assert_eq!(read(&archive[..], Some(archive.len() as u64)).unwrap(), end as u64);
}

#[test]
fn a_window_larger_than_sixteen_mib_is_refused_before_it_is_made() {
    let error = read(&gigabyte(25)[..], None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it was compressed with a window of more than 16 MiB; pack it again without --long or --ultra"
    );
    assert!(matches!(read(&gigabyte(24)[..], None), Err(ReadError::Ratio { .. })));
}

#[test]
fn a_bomb_of_entries_stops_at_their_number() {
    let episode = EpisodeId::new("ep").unwrap();
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for entry in 0..=100_000 {
        bomb.write_all(&Tar::default().entry(b'0', &format!("ep/{entry}"), b"").0).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    let error = Reader::new(Limits::default()).unwrap().read(&bomb[..], None, &episode).unwrap_err();
    assert!(matches!(error, ReadError::Entries { limit: 100_000 }), "{error}");
}
