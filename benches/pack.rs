//! Packing episodes, against `tar | zstd` at the same level and with as many threads, on files that are in the page cache:
//!
//! - one large episode; neither side syncs;
//! - a thousand small ones, each synced into its place, against one pair of processes an episode, which sync nothing; and against
//!   such pairs at level 19;
//! - the memory of packing the large one, and of reading it back; how fast it is read is told beside `sha256sum`.
//!
//! `PACK_BYTES` is how large the large one is (1,000,000,000), `PACK_DIR` where it lies.

mod limit;
mod telemetry;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use highwater_engine::clock::{Clock, SystemClock};
use highwater_episodes::archive::{CompressionSettings, Level, Limits, Packer, Reader, Threads, TreeLimits};
use highwater_episodes::name::EpisodeId;

const BYTES: u64 = 1_000_000_000;
const FILE_BYTES: u64 = 100_000_000;
const ROUNDS: usize = 3;
/// Level and threads; 0 is the thread that packs, which is zstd's `--single-thread`.
const LARGE: [(u64, u64); 3] = [(1, 0), (3, 0), (3, 2)];
const LARGE_RATIO_MIN: f64 = 0.95;
const SMALL: usize = 1_000;
const SMALL_FILES: usize = 20;
const SMALL_FILE_BYTES: usize = 5_000;
const SMALL_RATIO_MIN: f64 = 2.0;
const OLD_LEVEL: u64 = 19;
const OLD_RATIO_MIN: f64 = 15.0;
const MEMORY_MIB_MAX: u64 = 64;
/// What the process is to do that is started for its memory.
const PACK: &str = "pack-for-memory";
const READ: &str = "read-for-memory";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, work, path, ..] = arguments.as_slice()
        && (work == PACK || work == READ)
    {
        return for_memory(work, Path::new(path));
    }
    let bytes = std::env::var("PACK_BYTES").ok().and_then(|bytes| bytes.parse().ok()).unwrap_or(BYTES);
    let dir = std::env::var_os("PACK_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    let clock = SystemClock::new();
    let mut limits = large(dir.path(), bytes, &clock);
    limits.extend(small(dir.path(), &clock));
    limit::verdict(&limits)
}

fn large(dir: &Path, bytes: u64, clock: &SystemClock) -> Vec<(bool, String)> {
    let mut limits = Vec::new();
    let root = dir.join("large");
    fs::create_dir(&root).expect("a directory");
    let mut left = bytes;
    for file in 0.. {
        if left == 0 {
            break;
        }
        telemetry::write(&root.join(format!("part-{file:03}.csv")), left.min(FILE_BYTES), file);
        left -= left.min(FILE_BYTES);
    }
    for (level, threads) in LARGE {
        let (ours, theirs) = (dir.join("ours.tar.zst"), dir.join("theirs.tar.zst"));
        let rounds: Vec<(f64, f64)> = (0..ROUNDS)
            .map(|_| {
                let theirs = timed(clock, || pair(&root, level, threads, &theirs));
                let ours = timed(clock, || {
                    let out = File::create(&ours).expect("a file");
                    packer(level, threads).pack(&root, &id("large"), out).expect("it is packed");
                });
                (ours.as_secs_f64(), theirs.as_secs_f64())
            })
            .collect();
        let rate = limit::median(rounds.iter().map(|(ours, _)| bytes as f64 / 1e6 / ours));
        let ratio = limit::median(rounds.iter().map(|(ours, theirs)| theirs / ours));
        let what = format!("level {level}, {threads} threads");
        println!(
            "pack: {rate:.0} MB/s of one large episode, {what}: {ratio:.2} of `tar | zstd` (limit: {LARGE_RATIO_MIN}), \
             {:.3} of its size, median of {ROUNDS} rounds",
            length(&ours) / length(&theirs)
        );
        limits.push((ratio >= LARGE_RATIO_MIN, format!("pack: {what}: {ratio:.2}, limit {LARGE_RATIO_MIN}")));
    }
    let archive = dir.join("ours.tar.zst");
    for (what, path) in [(PACK, &root), (READ, &archive)] {
        let program = std::env::current_exe().expect("this program");
        let output = Command::new(program).arg(what).arg(path).output().expect("it is started");
        let peak: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("how much memory it took");
        println!("{what}: {peak} MiB for {:.1} GB (limit: {MEMORY_MIB_MAX} MiB)", bytes as f64 / 1e9);
        limits.push((peak < MEMORY_MIB_MAX, format!("{what}: {peak} MiB, limit {MEMORY_MIB_MAX} MiB")));
    }
    let read = timed(clock, || {
        Reader::new(Limits::default())
            .and_then(|mut reader| reader.read(File::open(&archive).expect("a file"), None, &id("large")))
            .expect("it is read");
    });
    let summed = timed(clock, || done(Command::new("sha256sum").arg(&archive).stdout(Stdio::null())));
    println!(
        "pack: read at {:.0} MB/s unpacked, {:.0} MB/s of the archive; sha256sum reads it at {:.0} MB/s",
        bytes as f64 / 1e6 / read.as_secs_f64(),
        length(&archive) / 1e6 / read.as_secs_f64(),
        length(&archive) / 1e6 / summed.as_secs_f64()
    );
    limits
}

fn small(dir: &Path, clock: &SystemClock) -> Vec<(bool, String)> {
    let (episodes, outbox) = (dir.join("episodes"), dir.join("outbox"));
    fs::create_dir(&outbox).expect("a directory");
    for episode in 0..SMALL {
        let root = episodes.join(format!("ep-{episode}"));
        fs::create_dir_all(&root).expect("a directory");
        for file in 0..SMALL_FILES {
            telemetry::write(
                &root.join(format!("{file}.csv")),
                SMALL_FILE_BYTES as u64,
                (episode * SMALL_FILES + file) as u64,
            );
        }
    }
    let each = |act: &mut dyn FnMut(&Path, &Path)| {
        for episode in 0..SMALL {
            let name = format!("ep-{episode}");
            act(&episodes.join(&name), &outbox.join(name + ".tar.zst"));
        }
    };
    let pairs = |level| timed(clock, || each(&mut |root, out| pair(root, level, 0, out)));
    let rounds: Vec<(f64, f64, f64)> = (0..ROUNDS)
        .map(|_| {
            let theirs = pairs(3);
            let mut packer = packer(3, 0);
            let ours = timed(clock, || {
                each(&mut |root, out| {
                    let partial = out.with_extension("partial");
                    let file = File::create(&partial).expect("a file");
                    let name = root.file_name().and_then(|name| name.to_str()).expect("a name");
                    packer.pack(root, &id(name), &file).expect("it is packed");
                    file.sync_all().expect("it is synced");
                    fs::rename(&partial, out).expect("it is renamed");
                    File::open(&outbox).and_then(|dir| dir.sync_all()).expect("it is synced");
                });
            });
            let unsynced = timed(clock, || {
                each(&mut |root, out| {
                    let name = root.file_name().and_then(|name| name.to_str()).expect("a name");
                    packer.pack(root, &id(name), File::create(out).expect("a file")).expect("it is packed");
                });
            });
            (ours.as_secs_f64(), theirs.as_secs_f64(), unsynced.as_secs_f64())
        })
        .collect();
    let old = pairs(OLD_LEVEL).as_secs_f64();
    let per_sec = limit::median(rounds.iter().map(|(ours, ..)| SMALL as f64 / ours));
    let unsynced = limit::median(rounds.iter().map(|(.., unsynced)| SMALL as f64 / unsynced));
    let ratio = limit::median(rounds.iter().map(|(ours, theirs, _)| theirs / ours));
    let old = limit::median(rounds.iter().map(|(ours, ..)| old / ours));
    println!(
        "pack: {per_sec:.0} small episodes/s, each synced ({unsynced:.0} without): {ratio:.1} of a pair of processes an episode (limit: \
         {SMALL_RATIO_MIN}), {old:.1} of such at level {OLD_LEVEL} (limit: {OLD_RATIO_MIN})"
    );
    vec![
        (ratio >= SMALL_RATIO_MIN, format!("pack: {ratio:.1} of a pair an episode, limit {SMALL_RATIO_MIN}")),
        (old >= OLD_RATIO_MIN, format!("pack: {old:.1} of a pair at level {OLD_LEVEL}, limit {OLD_RATIO_MIN}")),
    ]
}

/// One `tar | zstd`, as a shell would start them.
fn pair(root: &Path, level: u64, threads: u64, out: &Path) {
    let name = root.file_name().expect("a name");
    let mut tar = Command::new("tar")
        .args(["--create", "--file=-", "--directory"])
        .arg(root.parent().expect("a parent"))
        .arg(name)
        .stdout(Stdio::piped())
        .spawn()
        .expect("tar is started");
    let threads = if threads == 0 { "--single-thread".to_owned() } else { format!("-T{threads}") };
    let mut zstd = Command::new("zstd");
    zstd.args(["--quiet", "--force", &threads, &format!("-{level}"), "-o"]).arg(out);
    done(zstd.stdin(tar.stdout.take().expect("its output")));
    assert!(tar.wait().expect("tar ends").success());
}

fn done(command: &mut Command) {
    assert!(command.status().expect("it is started").success(), "{command:?}");
}

/// Does one thing and prints the most memory that it took, in MiB.
fn for_memory(work: &str, path: &Path) -> ExitCode {
    if work == PACK {
        packer(3, 0).pack(path, &id("large"), std::io::sink()).expect("it is packed");
    } else {
        let file = File::open(path).expect("a file");
        Reader::new(Limits::default())
            .and_then(|mut reader| reader.read(file, None, &id("large")))
            .expect("it is read");
    }
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
    println!("{}", peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a figure") >> 10);
    ExitCode::SUCCESS
}

fn packer(level: u64, threads: u64) -> Packer {
    let bounded = "it is within the bounds";
    let (level, threads) = (Level::new(level).expect(bounded), Threads::new(threads).expect(bounded));
    Packer::new(&CompressionSettings { level, threads, long: None }, TreeLimits::default()).expect("memory")
}

fn id(name: &str) -> EpisodeId {
    EpisodeId::new(name).expect("a name")
}

fn length(path: &Path) -> f64 {
    fs::metadata(path).expect("a file").len() as f64
}

fn timed(clock: &SystemClock, act: impl FnOnce()) -> Duration {
    let begun = clock.elapsed();
    act();
    clock.elapsed() - begun
}
