//! Which seeds a run of the tests tries. Owns the file of those that failed once, which come first, and that every other run tries
//! others: what a run tries is printed, and can be tried again.

use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::ops::Range;

use highwater_testkit::sim_fs::{Scenario, Tally, random_runs};

/// Seeds that failed once: a suite, a seed, and after `#` what it was.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/seeds-that-failed.txt");
/// Seeds in place of a run's own: `FROM..TO`.
const VARIABLE: &str = "HIGHWATER_SEEDS";
/// Fresh ones begin below this, so that they are short enough to be typed.
const FRESH_BELOW: u64 = 1 << 40;
/// The suites that have seeds.
const SUITES: [&str; 6] = ["acts", "documents", "generations", "histories", "mounted", "settling"];

/// One run for each seed that a suite once failed with, and for so many others. One that fails is kept.
pub(crate) fn try_seeds<S: Scenario>(suite: &str, count: u64, make: impl Fn(u64) -> S) -> Tally {
    assert!(SUITES.contains(&suite), "{suite} is no suite");
    let seeds = given().unwrap_or_else(|| {
        let from = fastrand::u64(..FRESH_BELOW);
        from..from + count
    });
    eprintln!("{suite}: {VARIABLE}={}..{} repeats it", seeds.start, seeds.end);
    let mut tally = Tally::default();
    for seed in kept(suite).into_iter().chain(seeds) {
        let of = random_runs(seed..seed + 1, &make).unwrap_or_else(|found| {
            let keeping = keep(suite, seed).err().map_or(String::new(), |why| format!(", but could not be: {why}"));
            panic!("{found}\n  it is kept in {KEPT}{keeping}; {VARIABLE}={seed}..{} tries it alone", seed + 1)
        });
        tally.operations += of.operations;
        tally.disks += of.disks;
    }
    tally
}

fn given() -> Option<Range<u64>> {
    let given = std::env::var(VARIABLE).ok()?;
    let (from, to) = given.split_once("..").expect("HIGHWATER_SEEDS=FROM..TO");
    Some(from.parse().expect("a number")..to.parse().expect("a number"))
}

fn lines() -> Vec<(String, u64)> {
    let kept = fs::read_to_string(KEPT).unwrap();
    let lines = kept.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let pair = |line: &str| {
        let (suite, seed) = line.split_once(' ').unwrap_or_else(|| panic!("no suite and a seed: {line}"));
        (suite.to_owned(), seed.trim().parse().unwrap_or_else(|_| panic!("no seed: {line}")))
    };
    lines.filter(|line| !line.is_empty()).map(pair).collect()
}

fn kept(suite: &str) -> Vec<u64> {
    lines().into_iter().filter(|(of, _)| of == suite).map(|(_, seed)| seed).collect()
}

/// Whoever runs it next tries it first, be that the same run again.
fn keep(suite: &str, seed: u64) -> Result<(), impl Display + use<>> {
    if kept(suite).contains(&seed) {
        return Ok(());
    }
    let file = OpenOptions::new().append(true).open(KEPT);
    file.and_then(|mut file| file.write_all(format!("{suite} {seed}\n").as_bytes()))
}

#[test]
fn every_kept_seed_is_of_a_suite() {
    for (suite, seed) in lines() {
        assert!(SUITES.contains(&suite.as_str()), "{suite} {seed}");
    }
}
