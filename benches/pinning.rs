//! A million items: memory while they are pinned and resumed, and how long `status` takes on that ledger.

mod limit;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use highwater_engine::clock::{Clock, SystemClock};
use nix::sys::resource::{UsageWho, getrusage};

const ITEMS: usize = 1_000_000;
const STATUS_ROUNDS: usize = 9;
const PEAK_MB_MAX: f64 = 100.0;
const STATUS_MS_MAX: f64 = 50.0;
const KIB_PER_MB: f64 = 1_000_000.0 / 1024.0;

fn main() -> ExitCode {
    let highwater = env!("CARGO_BIN_EXE_highwater");
    let clock = SystemClock::new();
    let dir = tempfile::tempdir().expect("a directory");
    let lines: String = (0..ITEMS).map(|n| format!("oai:directory.example.org:20.500.12854/{n}\n")).collect();
    std::fs::write(dir.path().join("ids.txt"), lines).expect("a list");
    let config = "[job.load]\nkind = \"exec\"\nworklist = \"ids.txt\"\ncommand = [\"true\", \"{}\"]\n";
    std::fs::write(dir.path().join("highwater.toml"), config).expect("a configuration");

    let mut peak = 0.0;
    for what in ["pinning", "resuming"] {
        let begun = clock.elapsed();
        let code = run(highwater, dir.path(), &["run", "load", "--max-items", "1000", "-q"]);
        assert_eq!(code, Some(3));
        // The largest child so far: pinning comes first and is the larger.
        peak = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage").max_rss() as f64 / KIB_PER_MB;
        println!(
            "{what} {ITEMS} items: {:.1} s, at most {peak:.0} MB (limit: {PEAK_MB_MAX:.0} MB)",
            (clock.elapsed() - begun).as_secs_f64()
        );
    }
    let status = limit::median((0..STATUS_ROUNDS).map(|_| {
        let begun = clock.elapsed();
        assert_eq!(run(highwater, dir.path(), &["status", "load"]), Some(0));
        (clock.elapsed() - begun).as_secs_f64() * 1000.0
    }));
    println!("status: median {status:.1} ms on {ITEMS} items (limit: {STATUS_MS_MAX:.0} ms)");
    limit::verdict(&[
        (peak <= PEAK_MB_MAX, format!("pinning: {peak:.0} MB, limit {PEAK_MB_MAX:.0} MB")),
        (status <= STATUS_MS_MAX, format!("status: {status:.1} ms, limit {STATUS_MS_MAX:.0} ms")),
    ])
}

fn run(highwater: &str, dir: &Path, args: &[&str]) -> Option<i32> {
    Command::new(highwater).args(args).current_dir(dir).stdout(Stdio::null()).status().expect("it starts").code()
}
