//! A large episode from one process to another, packed, sent and stored: by a plain PUT, and by an upload in parts; and the most memory that
//! either end took.
//!
//! `SHIP_BYTES` is how large the episode is (5,000,000,000, for which the limit is meant), `SHIP_DIR` where three times as much is written.

#[expect(dead_code, reason = "there is one round, and no median")]
mod limit;
mod receiver;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use highwater_engine::clock::{Clock, SystemClock};
use receiver::{Receiver, TOKEN, peak_mib};

const BYTES: u64 = 5_000_000_000;
const MEMORY_MIB_MAX: u64 = 64;
const PART_BYTES: usize = 256 << 10;
/// How often the shipper's memory is looked at.
const LOOK_MILLIS: u64 = 50;

fn main() -> ExitCode {
    let bytes = std::env::var("SHIP_BYTES").ok().and_then(|bytes| bytes.parse().ok()).unwrap_or(BYTES);
    let dir = std::env::var_os("SHIP_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    let time = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let clock = SystemClock::new();
    let (lab, receiver) = (dir.path().join("lab"), dir.path().join("receiver"));
    let receiver = Receiver::start(&receiver);
    let mut limits = Vec::new();
    noise(&lab.join("episodes/ep"), bytes);
    for (what, resume_above) in [("by PUT", "1TiB"), ("in parts", "1MiB")] {
        let config = format!(
            "[job.send]\nkind = \"ship\"\nreceiver = \"http://{}\"\nhost-id = \"lab-1\"\ntoken = \"{TOKEN}\"\nresume-above = \"{resume_above}\"\n",
            receiver.address
        );
        fs::write(lab.join("highwater.toml"), config).expect("it is written");
        let begun = clock.elapsed();
        let mut shipper = Command::new(env!("CARGO_BIN_EXE_highwater"))
            .args(["ship", "send"])
            .current_dir(&lab)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is started");
        let mut peak = 0;
        let ended = loop {
            peak = peak_mib(&shipper).unwrap_or(peak);
            if let Some(ended) = shipper.try_wait().expect("a child") {
                break ended;
            }
            time.block_on(async { clock.sleep(Duration::from_millis(LOOK_MILLIS)).await });
        };
        assert!(ended.success(), "{what}: {ended}");
        let rate = bytes as f64 / 1e6 / (clock.elapsed() - begun).as_secs_f64();
        let theirs = receiver.peak_mib();
        println!(
            "ship: {:.1} GB {what} at {rate:.0} MB/s, packed, sent and durable: {peak} MiB at the shipper, {theirs} MiB at the receiver (limit: \
             {MEMORY_MIB_MAX} MiB)",
            bytes as f64 / 1e9
        );
        for (end, peak) in [("shipper", peak), ("receiver", theirs)] {
            limits
                .push((peak < MEMORY_MIB_MAX, format!("ship: {what}: {end}: {peak} MiB, limit {MEMORY_MIB_MAX} MiB")));
        }
        // The same once more, to a receiver that has made room for it.
        fs::remove_file(receiver.root.join("episodes/lab-1/ep.tar.zst")).expect("it goes");
        fs::rename(lab.join("shipped/ep"), lab.join("episodes/ep")).expect("it is moved");
    }
    limit::verdict(&limits)
}

/// An episode that does not compress.
fn noise(episode: &Path, bytes: u64) {
    fs::create_dir_all(episode).expect("a directory");
    let mut file = File::create(episode.join("noise.bin")).expect("a file");
    let (mut random, mut part, mut left) = (fastrand::Rng::with_seed(7), vec![0; PART_BYTES], bytes);
    while left > 0 {
        random.fill(&mut part);
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(PART_BYTES);
        file.write_all(&part[..now]).expect("it is written");
        left -= now as u64;
    }
    fs::write(episode.join("done.marker"), "").expect("it is written");
}
