//! Indexing stored episodes anew by a whole process, against `xargs -P | sha256sum` over the same files with the same parallelism, all in the
//! page cache: large episodes, and many small ones, whose rows are synced as they come. Sealed archives, as `ship` packs them; how
//! fast archives of others are unpacked is told beside.
//!
//! `REINDEX_BYTES` is how much is stored as large ones, unpacked (2,000,000,000), `REINDEX_DIR` where.

mod limit;
mod telemetry;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use highwater_engine::clock::{Clock, SystemClock};
use highwater_episodes::archive::{CompressionSettings, Packer, SEAL_BYTES, TreeLimits};
use highwater_episodes::name::EpisodeId;

const BYTES: u64 = 2_000_000_000;
const EPISODE_BYTES: u64 = 50_000_000;
const SMALL: u64 = 2_000;
const SMALL_BYTES: u64 = 100_000;
const ROUNDS: usize = 5;
const RATIO_MIN: f64 = 0.9;

fn main() -> std::process::ExitCode {
    let bytes = std::env::var("REINDEX_BYTES").ok().and_then(|bytes| bytes.parse().ok()).unwrap_or(BYTES);
    let dir = std::env::var_os("REINDEX_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    let clock = SystemClock::new();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut limits = Vec::new();
    for (what, count, size, is_limited) in
        [("large", bytes.div_ceil(EPISODE_BYTES), EPISODE_BYTES, true), ("small", SMALL, SMALL_BYTES, false)]
    {
        let place = Place::new(&dir.path().join(what), cores);
        let stored = place.store(count, size);
        let rounds: Vec<(f64, f64)> = (0..ROUNDS)
            .map(|_| {
                let theirs = timed(&clock, || place.summed(cores));
                (timed(&clock, || place.indexed(count)), theirs)
            })
            .collect();
        let ratio = limit::median(rounds.iter().map(|(ours, theirs)| theirs / ours));
        let rate = limit::median(rounds.iter().map(|(ours, _)| stored as f64 / 1e6 / ours));
        let least = if is_limited { format!(" (limit: {RATIO_MIN})") } else { String::new() };
        println!(
            "reindex: {count} {what} episodes at {rate:.0} MB/s: {ratio:.2} of `xargs -P {cores} sha256sum`{least}, median of {ROUNDS} rounds"
        );
        if is_limited {
            limits.push((ratio >= RATIO_MIN, format!("reindex: {what}: {ratio:.2}, limit {RATIO_MIN}")));
        }
        place.unseal();
        let unpacked = timed(&clock, || place.indexed(count));
        println!("reindex: the same without seals, unpacked, at {:.0} MB/s", stored as f64 / 1e6 / unpacked);
    }
    limit::verdict(&limits)
}

/// A receiver's directory, and a configuration that indexes it.
struct Place {
    dir: PathBuf,
}

impl Place {
    fn new(dir: &Path, concurrency: usize) -> Self {
        fs::create_dir_all(dir.join("root/episodes/lab-1")).expect("a directory");
        let config = format!("[job.rows]\nkind = \"reindex\"\nroot = \"root\"\nconcurrency = {concurrency}\n");
        fs::write(dir.join("highwater.toml"), config).expect("it is written");
        Self { dir: dir.to_owned() }
    }

    /// Stores so many episodes of so many bytes, unpacked; gives how many bytes are stored.
    fn store(&self, count: u64, bytes: u64) -> u64 {
        let mut packer = Packer::new(&CompressionSettings::default(), TreeLimits::default()).expect("memory");
        let mut stored = 0;
        for episode in 0..count {
            let name = format!("ep-{episode:05}");
            let root = self.dir.join(&name);
            fs::create_dir(&root).expect("a directory");
            telemetry::write(&root.join("load.csv"), bytes, episode);
            let out = File::create(self.file(&name)).expect("a file");
            stored += packer.pack(&root, &EpisodeId::new(name).expect("a name"), out).expect("it is packed").size_bytes;
            fs::remove_dir_all(&root).expect("it goes");
        }
        stored
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("root/episodes/lab-1/{name}.tar.zst"))
    }

    /// As others pack.
    fn unseal(&self) {
        for entry in fs::read_dir(self.dir.join("root/episodes/lab-1")).expect("a directory") {
            let file = File::options().write(true).open(entry.expect("an entry").path()).expect("a file");
            let length = file.metadata().expect("a file").len();
            file.set_len(length - SEAL_BYTES as u64).expect("it is cut");
        }
    }

    /// All rows anew, by a process of its own.
    fn indexed(&self, count: u64) {
        fs::remove_dir_all(self.dir.join(".highwater-state")).ok();
        fs::remove_file(self.dir.join("root/index.jsonl")).ok();
        let mut pass = Command::new(env!("CARGO_BIN_EXE_highwater"));
        pass.args(["run", "rows"]).current_dir(&self.dir).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(pass.status().expect("it is started").success());
        let index = fs::read_to_string(self.dir.join("root/index.jsonl")).expect("an index");
        assert_eq!(index.lines().count() as u64, count);
    }

    fn summed(&self, cores: usize) {
        let script = format!("find root/episodes -name '*.tar.zst' -print0 | xargs -0 -n 1 -P {cores} sha256sum");
        let mut sum = Command::new("sh");
        sum.args(["-c", &script]).current_dir(&self.dir).stdout(Stdio::null());
        assert!(sum.status().expect("it is started").success());
    }
}

fn timed(clock: &SystemClock, act: impl FnOnce()) -> f64 {
    let begun = clock.elapsed();
    act();
    (clock.elapsed() - begun).as_secs_f64()
}
