//! `highwater exec` of a command that does nothing, against `xargs -P` with the same command, items and parallelism; and a
//! pass with nothing to do.

mod limit;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use highwater_engine::clock::{Clock, SystemClock};

const ITEMS: usize = 5_000;
const AT_ONCE: &str = "4";
const ROUNDS: usize = 5;
const RATIO_MIN: f64 = 0.70;
const NOTHING_TO_DO_MS_MAX: f64 = 30.0;

fn main() -> ExitCode {
    let highwater = env!("CARGO_BIN_EXE_highwater");
    let clock = SystemClock::new();
    let (mut ratios, mut agains) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let dir = tempfile::tempdir().expect("a directory");
        let list = dir.path().join("ids.txt");
        let lines: String = (0..ITEMS).map(|n| format!("{n}\n")).collect();
        std::fs::write(&list, lines).expect("a list");
        let xargs = seconds(&clock, Command::new("xargs").args(["-a"]).arg(&list).args(["-P", AT_ONCE, "-n1", "true"]));
        let took = seconds(&clock, &mut exec(highwater, &list));
        let again = seconds(&clock, &mut exec(highwater, &list));
        let ratio = xargs / took;
        println!(
            "round {round}: exec {:.0}/s, xargs {:.0}/s, ratio {ratio:.2}; a pass with nothing to do {:.1} ms",
            ITEMS as f64 / took,
            ITEMS as f64 / xargs,
            again * 1000.0
        );
        ratios.push(ratio);
        agains.push(again * 1000.0);
    }
    let ratio = limit::median(ratios);
    let again = limit::median(agains);
    println!(
        "exec: {ratio:.2} x xargs -P, nothing to do {again:.1} ms, medians of {ROUNDS} rounds (limits: {RATIO_MIN:.2} x, \
         {NOTHING_TO_DO_MS_MAX:.0} ms)"
    );
    limit::verdict(&[
        (ratio >= RATIO_MIN, format!("exec: {ratio:.3} x xargs -P, limit {RATIO_MIN:.2} x")),
        (again <= NOTHING_TO_DO_MS_MAX, format!("nothing to do: {again:.1} ms, limit {NOTHING_TO_DO_MS_MAX:.0} ms")),
    ])
}

fn exec(highwater: &str, list: &Path) -> Command {
    let mut command = Command::new(highwater);
    command.args(["exec", "-q", "-P", AT_ONCE, "-w"]).arg(list).args(["--", "true", "{}"]);
    command
}

fn seconds(clock: &SystemClock, command: &mut Command) -> f64 {
    let begun = clock.elapsed();
    let status = command.stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{status}");
    (clock.elapsed() - begun).as_secs_f64()
}
