//! A million items: memory while they are pinned and resumed, and how long `status` takes on that ledger.

use std::path::Path;
use std::process::{Command, Stdio};

use highwater_engine::clock::{Clock, SystemClock};
use nix::sys::resource::{UsageWho, getrusage};

const ITEMS: usize = 1_000_000;
const STATUS_ROUNDS: usize = 9;
const KIB_PER_MIB: i64 = 1024;

fn main() {
    let highwater = env!("CARGO_BIN_EXE_highwater");
    let clock = SystemClock::new();
    let dir = tempfile::tempdir().expect("a directory");
    let lines: String = (0..ITEMS).map(|n| format!("oai:directory.example.org:20.500.12854/{n}\n")).collect();
    std::fs::write(dir.path().join("ids.txt"), lines).expect("a list");
    let config = "[job.load]\nkind = \"exec\"\nworklist = \"ids.txt\"\ncommand = [\"true\", \"{}\"]\n";
    std::fs::write(dir.path().join("highwater.toml"), config).expect("a configuration");

    for what in ["pinning", "resuming"] {
        let begun = clock.elapsed();
        let code = run(highwater, dir.path(), &["run", "load", "--max-items", "1000", "-q"]);
        assert_eq!(code, Some(3));
        // The largest child so far: pinning comes first and is the larger.
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage").max_rss() / KIB_PER_MIB;
        println!(
            "{what} {ITEMS} items: {:.1} s, at most {peak} MiB (limit: 100 MB)",
            (clock.elapsed() - begun).as_secs_f64()
        );
    }
    let mut times: Vec<f64> = (0..STATUS_ROUNDS)
        .map(|_| {
            let begun = clock.elapsed();
            assert_eq!(run(highwater, dir.path(), &["status", "load"]), Some(0));
            (clock.elapsed() - begun).as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("status: median {:.1} ms on {ITEMS} items (limit: 50 ms)", times[STATUS_ROUNDS / 2]);
}

fn run(highwater: &str, dir: &Path, args: &[&str]) -> Option<i32> {
    Command::new(highwater).args(args).current_dir(dir).stdout(Stdio::null()).status().expect("it starts").code()
}
