//! `episodes list` and its like over an index of a million rows of seven hosts, by whole processes, and a receiver that opens it and tells of it
//! page by page; and over one that a receiver of another make wrote. Beside each is how long `wc -l` takes over the same file, in the page cache, in the same round.
//!
//! `LISTING_ROWS` is how many rows there are (1,000,000); the limit is of a million.

mod limit;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use highwater_engine::clock::{Clock, SystemClock};
use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::index::{Index as _, IndexLock, JsonlIndex, PAGE_ROWS_MAX, PageAsk, Row, SCHEMA_VERSION};
use highwater_episodes::name::{EpisodeId, EpisodeKey, HostId};
use highwater_fs::{RealFs, RelPath};
use jiff::{SignedDuration, Timestamp};

const ROWS: u64 = 1_000_000;
const HOSTS: u64 = 7;
const ROUNDS: usize = 5;
/// What an answer may take.
const SECS_MAX: f64 = 1.0;
/// Most bytes of memory a row of the index may cost a receiver.
const ROW_BYTES_MAX: u64 = 100;

fn main() -> std::process::ExitCode {
    let rows = std::env::var("LISTING_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(ROWS);
    let dir = tempfile::tempdir().expect("a directory");
    let episodes = dir.path().join("episodes");
    std::fs::create_dir(&episodes).expect("a directory");
    // Its mark, for it is not one whose disk is not mounted.
    std::fs::write(episodes.join(".highwater-store"), "").expect("it is written");
    let index = dir.path().join("index.jsonl");
    let last = write(&index, rows, Row::to_line);
    let clock = SystemClock::new();
    let mut limits = Vec::new();
    let since = (at(rows) - SignedDuration::from_hours(48)).to_string();
    let theirs = dir.path().join("theirs");
    std::fs::create_dir_all(theirs.join("episodes")).expect("a directory");
    std::fs::copy(episodes.join(".highwater-store"), theirs.join("episodes/.highwater-store")).expect("it is copied");
    write(&theirs.join("index.jsonl"), rows, of_another_make);
    let asked: [(&str, &[&str]); 12] = [
        ("list", &["list"]),
        ("list, rows of another make", &["list", "--root", "theirs"]),
        ("list --host", &["list", "--host", "lab-3"]),
        ("list --since, the last two days", &["list", "--since", &since]),
        ("list --csv", &["list", "--csv"]),
        ("list --json", &["list", "--json"]),
        ("list --by host", &["list", "--by", "host"]),
        ("list --by day", &["list", "--by", "day"]),
        ("list --missing", &["list", "--missing"]),
        ("show", &["show", &last]),
        ("export --format csv", &["export", "--format", "csv"]),
        ("export --format parquet", &["export", "--format", "parquet"]),
    ];
    for (what, arguments) in asked {
        let rounds: Vec<(f64, f64)> = (0..ROUNDS)
            .map(|_| {
                let theirs = timed(&clock, || ran(Command::new("wc").arg("-l").arg(&index), dir.path(), 0));
                let mut ours = Command::new(env!("CARGO_BIN_EXE_highwater"));
                ours.arg("episodes").args(arguments).arg("--quiet");
                if !arguments.contains(&"--root") {
                    ours.args(["--root", "."]);
                }
                // There is a row and no archive: `show` says so by its exit.
                let code = if what == "show" { 4 } else { 0 };
                (timed(&clock, || ran(&mut ours, dir.path(), code)), theirs)
            })
            .collect();
        let secs = limit::median(rounds.iter().map(|(ours, _)| *ours));
        let ratio = limit::median(rounds.iter().map(|(ours, theirs)| ours / theirs));
        // A million lines of CSV are a file, not an answer.
        let is_limited = arguments[0] != "export" && !arguments.contains(&"--csv");
        let most = if is_limited { format!(" (limit: {SECS_MAX} s)") } else { String::new() };
        println!("listing: {what}: {secs:.2} s{most}, {ratio:.1} times `wc -l`, median of {ROUNDS} rounds");
        if is_limited {
            limits.push((secs < SECS_MAX, format!("listing: {what}: {secs:.2} s, limit {SECS_MAX} s")));
        }
    }
    limits.extend(received(&clock, dir.path(), rows));
    limit::verdict(&limits)
}

/// What a receiver does with it: opens it, and tells of it.
fn received(clock: &SystemClock, dir: &Path, rows: u64) -> Vec<(bool, String)> {
    let path = |name: &str| RelPath::new(name).expect("a path");
    let before = resident_bytes();
    let begun = clock.elapsed();
    let fs = RealFs::open(dir).expect("a directory");
    let opened = JsonlIndex::open(fs, path("index.jsonl"), path("quarantine"), IndexLock::alone());
    let (index, found) = opened.expect("an index");
    let secs = (clock.elapsed() - begun).as_secs_f64();
    let row_bytes = resident_bytes().saturating_sub(before) / rows;
    assert_eq!(found.keys, rows);
    println!(
        "listing: a receiver opens it in {secs:.2} s (limit: {SECS_MAX} s), with {row_bytes} bytes of memory a row (limit: {ROW_BYTES_MAX})"
    );
    let mut limits = vec![
        (secs < SECS_MAX, format!("listing: open: {secs:.2} s, limit {SECS_MAX} s")),
        (row_bytes < ROW_BYTES_MAX, format!("listing: memory: {row_bytes} bytes a row, limit {ROW_BYTES_MAX}")),
    ];
    let host = Some(vec![HostId::new("lab-3").expect("a name")]);
    let since = Some(at(rows) - SignedDuration::from_hours(1));
    for (what, hosts, since) in
        [("first page", None, None), ("of a host", host, None), ("of the last hour", None, since)]
    {
        let rounds = (0..ROUNDS).map(|_| {
            let begun = clock.elapsed();
            let mut ask = PageAsk { hosts: hosts.clone(), since, rows_max: PAGE_ROWS_MAX, ..PageAsk::default() };
            // As a client does that wants something to look at.
            loop {
                let page = index.page(&ask).expect("a page");
                if !page.rows.is_empty() || page.complete {
                    break;
                }
                ask.cursor = page.next;
            }
            (clock.elapsed() - begun).as_secs_f64()
        });
        let secs = limit::median(rounds);
        println!("listing: GET /v1/episodes, {what}: {:.1} ms (limit: {SECS_MAX} s)", secs * 1e3);
        limits.push((secs < SECS_MAX, format!("listing: page, {what}: {secs:.2} s, limit {SECS_MAX} s")));
    }
    limits
}

/// When a row of the index was received.
fn at(row: u64) -> Timestamp {
    let first: Timestamp = "2025-11-01T00:00:00.123456Z".parse().expect("a time");
    first + SignedDuration::from_secs(33 * i64::try_from(row).expect("a small number"))
}

/// A row as the receivers before this one wrote it: without what is newer, in another order, with spaces, its time otherwise.
fn of_another_make(row: &Row) -> String {
    let at = row.received_at_wall.to_string().replace('Z', "+00:00");
    let Row { host_id, episode_id, sha256, size_bytes, .. } = row;
    format!(
        "{{\"schema_version\": 1, \"host_id\": \"{host_id}\", \"episode_id\": \"{episode_id}\", \"sha256\": \"{sha256}\", \"size_bytes\": {size_bytes}, \"received_at_wall\": \"{at}\", \"storage\": \"local\"}}\n"
    )
}

/// An index of so many rows, each in the line that `line` makes of it; says what the last is called.
fn write(path: &Path, rows: u64, line: impl Fn(&Row) -> String) -> String {
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    let mut last = String::new();
    for n in 0..rows {
        let mut commit = String::new();
        Sha256Digest::of(&(n / 5_000).to_le_bytes()).as_bytes()[..20]
            .iter()
            .for_each(|byte| write!(commit, "{byte:02x}").expect("a String takes it"));
        let row = Row {
            backfilled: n % 1_000 == 0,
            commit: Some(commit.parse().expect("a commit")),
            content_sha256: Some(Sha256Digest::of(&(n ^ 1).to_le_bytes())),
            episode_id: EpisodeId::new(format!("ep-{:07}", n / HOSTS)).expect("a name"),
            gate: None,
            host_id: HostId::new(format!("lab-{}", n % HOSTS)).expect("a name"),
            received_at_wall: at(n),
            removed: None,
            schema_version: SCHEMA_VERSION,
            sha256: Sha256Digest::of(&n.to_le_bytes()),
            size_bytes: 1_000_000 + n * 37 % 9_000_000,
            withdrawn: None,
        };
        file.write_all(line(&row).as_bytes()).expect("it is written");
        let EpisodeKey { host, episode } = row.key();
        last = format!("{host}/{episode}");
    }
    file.flush().expect("it is written");
    last
}

fn ran(command: &mut Command, dir: &Path, code: i32) {
    let ended = command.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it is started");
    assert_eq!(ended.code(), Some(code), "{command:?}");
}

fn timed(clock: &SystemClock, act: impl FnOnce()) -> f64 {
    let begun = clock.elapsed();
    act();
    (clock.elapsed() - begun).as_secs_f64()
}

/// What this process has in memory.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}
