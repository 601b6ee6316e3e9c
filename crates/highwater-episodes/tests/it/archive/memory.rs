//! How much memory packing and reading take, as the kernel counts it, in a process of its own.

use std::io::{self, Read, Write};
use std::time::Duration;

use highwater_testkit::not_here::NotHere;
use highwater_testkit::program::Program;

use super::rig::{Episode, noise, packer, settings};
use super::{bombs, rig};

/// Set for the process that does the work: what it is to do.
const WORK: &str = "HIGHWATER_TEST_MEMORY";
const LIMIT: Duration = Duration::from_secs(120);
/// The episode that is packed and read, in bytes: several times of what may be held.
const EPISODE_BYTES: usize = 192 << 20;

/// The most memory this process ever held, in MiB, without the pages of its program: those are the test's own.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = |field| {
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Some(kib("VmHWM:")?.saturating_sub(kib("RssFile:")?) >> 10)
}

/// Does the work in a process of its own and yields the most memory that it held, in MiB; `None` where no kernel says so.
async fn peak_of(test: &str, work: &str) -> Option<u64> {
    if peak_mib().is_none() {
        NotHere("no /proc/self/status".to_owned()).say(test);
        return None;
    }
    let name = format!("archive::memory::{test}");
    let program = Program::new(std::env::current_exe().unwrap()).args(["--exact", &name, "--nocapture"]);
    let ended = program.env(WORK, work).run(LIMIT).await.unwrap();
    let peak = ended.stdout.lines().find_map(|line| line.split_once("peak ").map(|(_, mib)| mib.to_owned()));
    Some(peak.unwrap_or_else(|| panic!("{ended:?}")).trim().parse().unwrap())
}

fn say_peak() {
    println!("\npeak {}", peak_mib().unwrap());
}

/// A file that compresses by half, without all of it in memory.
fn large(episode: &Episode) {
    let mut file = std::fs::File::create(episode.path("large.bin")).unwrap();
    let mut block = noise(1 << 20, 5);
    for (at, byte) in block.iter_mut().enumerate() {
        *byte = if at % 2 == 0 { *byte } else { 7 };
    }
    for turn in 0..EPISODE_BYTES >> 20 {
        block.rotate_left(turn * 4_099 + 1);
        file.write_all(&block).unwrap();
    }
}

/// Packs into a pipe from which another thread reads, so that nothing is kept.
fn pack_and_read(level: u64, threads: u64) {
    let episode = Episode::empty();
    large(&episode);
    let (reader, writer) = io::pipe().unwrap();
    let (packed, read) = std::thread::scope(|scope| {
        let id = &episode.id;
        let reads = scope.spawn(move || {
            highwater_episodes::archive::Reader::new(Default::default()).unwrap().read(reader, None, id).unwrap()
        });
        let packed = packer(&settings(level, threads)).pack(&episode.root(), &episode.id, writer).unwrap();
        (packed, reads.join().unwrap())
    });
    assert_eq!(packed.content.content_sha256, read.content_sha256);
    assert_eq!(read.bytes, EPISODE_BYTES as u64);
}

#[tokio::test]
async fn an_episode_of_any_size_is_packed_and_read_in_little_memory() {
    const TEST: &str = "an_episode_of_any_size_is_packed_and_read_in_little_memory";
    if let Some(work) = std::env::var_os(WORK) {
        let work = work.into_string().unwrap();
        let (level, threads) = work.split_once(' ').unwrap();
        pack_and_read(level.parse().unwrap(), threads.parse().unwrap());
        return say_peak();
    }
    for (level, threads) in [(1, 0), (3, 0), (1, 8), (3, 2), (3, 8)] {
        let Some(peak) = peak_of(TEST, &format!("{level} {threads}")).await else { return };
        println!("level {level}, {threads} threads: {peak} MiB");
        assert!(peak < 64, "level {level}, {threads} threads: {peak} MiB");
    }
}

#[tokio::test]
async fn a_bomb_costs_little_memory() {
    const TEST: &str = "a_bomb_costs_little_memory";
    if let Some(path) = std::env::var_os(WORK) {
        let file = std::fs::File::open(path).unwrap();
        bombs::read(file, None).unwrap_err();
        return say_peak();
    }
    let dir = tempfile::tempdir().unwrap();
    let names = (0..100_000).fold(rig::Tar::default(), |tar, at| tar.entry(b'0', &format!("ep/{at:070}"), b""));
    let bombs = [
        ("21", bombs::gigabyte(21)),
        ("24", bombs::gigabyte(24)),
        ("names", rig::compressed(&names.entry(b'1', "ep/link", b"").end())),
    ];
    for (name, bomb) in bombs {
        let path = dir.path().join(name);
        std::fs::write(&path, bomb).unwrap();
        let Some(peak) = peak_of(TEST, path.to_str().unwrap()).await else { return };
        println!("bomb {name}: {peak} MiB");
        assert!(peak < 32, "bomb {name}: {peak} MiB");
    }
}

/// A source that says how much was asked of it.
struct Counted<R>(R, u64);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(room)?;
        self.1 += read as u64;
        Ok(read)
    }
}

#[test]
fn a_refused_archive_is_read_no_further() {
    let mut source = Counted(io::repeat(b'x').take(1 << 40), 0);
    bombs::read(&mut source, None).unwrap_err();
    assert!(source.1 <= 256 << 10, "{} bytes were read", source.1);
}
