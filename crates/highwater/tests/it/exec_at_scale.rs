//! `highwater exec … -- ./load {}` over long lists: killed five times, and what it costs in memory and in bytes written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::inside::{Inside, assert_sound, beside};
use crate::rig::{Doomed, KILLED, Rig, dice, pause, wait_until};

const ITEMS: usize = 10_000;
const KILLS: usize = 5;
const AT_ONCE: usize = 4;
/// What one kill may make run again: a group of outcomes that is being written, the next one, and what is in hand.
const LOST_ITEMS_MAX: usize = 2 * 256 + AT_ONCE;
/// How many items are begun while one hangs, before the pass is killed.
const HELD_UP_ITEMS_MAX: usize = 1_200;
/// What was alike is less than this many times the other: a cost that grows with what is recorded is nineteen times as much at
/// last, and when SQLite folds its log, or how many outcomes a slow disk lets share a group, is not twice.
const ALIKE: f64 = 2.0;
/// What SQLite may keep of a file that is larger.
const PAGE_CACHES_KIB_MAX: u64 = 40 * 1024;
/// Between two looks at a running pass.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The effect is a file; the log says which pass began it. Whoever finds that its item was begun before looks whether that
/// command still runs. While `hold` is there, one command takes it and does not end by itself.
const LOAD: &str = r#"
set -C
if ! { echo $$ >"began/$1"; } 2>/dev/null; then
    read -r other <"began/$1" || :
    [ -z "$other" ] || ! grep -qszxF "HIGHWATER_ITEM=$1" "/proc/$other/environ" || echo "$1 $other" >>overlaps
    echo $$ >|"began/$1"
fi
echo "$HIGHWATER_PASS $1" >>log
if [ -e hold ] && mv hold held 2>/dev/null; then
    while [ -e held ]; do sleep 0.02; done
    exit 1
fi
: >|"effects/$1"
"#;

/// A list, and `highwater exec` over it without a configuration.
struct Loads {
    rig: Rig,
    keys: Vec<String>,
}

impl Loads {
    fn new(keys: Vec<String>, script: &str) -> Self {
        let rig = Rig::new("");
        std::fs::remove_file(rig.path("highwater.toml")).unwrap();
        rig.list(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        rig.script("load", script);
        Self { rig, keys }
    }

    fn numbered(items: usize, script: &str) -> Self {
        Self::new((0..items).map(|n| format!("id-{n:06}")).collect(), script)
    }

    fn ledger(&self) -> PathBuf {
        self.rig.path("ids.txt.highwater.db")
    }

    fn start(&self, more: &[&str]) -> Doomed {
        let at_once = AT_ONCE.to_string();
        let args = ["--json", "exec", "-w", "ids.txt", "-P", &at_once];
        let command = ["--", "./load", "{}"];
        self.rig.doom(&args.iter().chain(more).chain(&command).copied().collect::<Vec<_>>())
    }

    /// What `items` says of each, in this order.
    fn items(&self, more: &[&str]) -> Vec<Value> {
        let args: Vec<&str> =
            ["--ledger", "ids.txt.highwater.db", "--json", "items", "exec"].iter().chain(more).copied().collect();
        self.rig.ok(&args).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// (pass, position) of every command that was begun.
    fn begun(&self) -> Vec<(u64, usize)> {
        let positions: BTreeMap<&str, usize> = self.keys.iter().enumerate().map(|(n, key)| (key.as_str(), n)).collect();
        let log = self.rig.log();
        let lines = log.iter().map(|line| line.split_once(' ').unwrap_or_else(|| panic!("a torn line: {line:?}")));
        lines.map(|(pass, key)| (pass.parse().unwrap(), positions[key])).collect()
    }
}

/// What a kill left.
struct Left {
    pass: u64,
    /// Items whose outcome is recorded, or known and kept.
    known: BTreeSet<usize>,
}

#[test]
fn r05_ten_thousand_items_survive_five_kills() {
    let mut dice = dice("r05_ten_thousand_items_survive_five_kills");
    let mut keys: Vec<String> = (0..ITEMS).map(|n| format!("id-{n:05}")).collect();
    dice.shuffle(&mut keys);
    let loads = Loads::new(keys, LOAD);
    for directory in ["began", "effects"] {
        std::fs::create_dir(loads.rig.path(directory)).unwrap();
    }
    let mut points: Vec<usize> =
        (0..KILLS).map(|_| dice.usize(100..ITEMS - KILLS.div_ceil(2) * HELD_UP_ITEMS_MAX)).collect();
    points.sort_unstable();

    let mut left = Vec::new();
    for (kill, point) in points.iter().enumerate() {
        let pass = loads.start(&[]);
        wait_until("the commands before a kill", || loads.rig.log().len() >= *point);
        // Every second time, the last time too, one command hangs: it holds up recording, which what others did survives, and it
        // outlives its pass.
        if kill % 2 == 0 {
            loads.rig.write("hold", "");
            wait_until("a command that hangs", || !loads.rig.path("hold").exists());
            let enough = loads.rig.log().len() + dice.usize(LOST_ITEMS_MAX + 1..HELD_UP_ITEMS_MAX);
            wait_until("commands that end beside it", || loads.rig.log().len() >= enough);
        }
        let killed = pass.kill_9();
        assert_eq!(killed.code, KILLED, "{killed:?}");
        left.push(what_is_left(&loads));
    }
    let last = loads.start(&[]).end();
    assert_eq!(last.code, 0, "{last:?}");
    // Every effect happened, and no two commands of one item ran at a time.
    let effects = std::fs::read_dir(loads.rig.path("effects")).unwrap().count();
    assert_eq!(effects, ITEMS);
    assert_eq!(loads.rig.read("overlaps"), "");
    let notes = last.json()["notes"].to_string();
    let killed = left.last().unwrap().pass;
    assert!(notes.contains("ended ") && notes.contains(&format!("that pass {killed} left running")), "{notes}");
    // The outcomes are complete, and R13: an untried item's turn is its position, so over all passes, however they ended, outcomes
    // were recorded in the order of the list.
    let recorded = loads.items(&["--recorded"]);
    assert!(recorded.iter().all(|item| item["outcome"] == "done" && item["attempts"] == 1 && item["deferrals"] == 0));
    let order: Vec<&str> = recorded.iter().map(|item| item["key"].as_str().unwrap()).collect();
    assert!(order == loads.keys, "outcomes are not in the order of the list");
    let passes: Vec<u64> = recorded.iter().map(|item| item["pass"].as_u64().unwrap()).collect();
    assert!(passes.is_sorted(), "each pass recorded a stretch of the list");
    assert_sound(&loads.ledger());
    nothing_ran_in_vain(&loads.begun(), &left);
    let nobody = std::process::Command::new("pgrep").arg("-f").arg(loads.rig.dir.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&nobody.stdout), "", "no command outlives it");

    // A rerun starts nothing.
    let begun = loads.rig.log().len();
    let again = loads.start(&[]).end();
    assert_eq!((again.code, again.json()["reason"].as_str()), (0, Some("already_drained")), "{again:?}");
    assert_eq!(loads.rig.log().len(), begun);
}

fn what_is_left(loads: &Loads) -> Left {
    assert_sound(&loads.ledger());
    let inside = Inside::of(&loads.ledger()).unwrap();
    let known = inside.outcomes().into_keys().map(|position| usize::try_from(position).unwrap()).collect();
    Left { pass: inside.newest_pass(), known }
}

/// What was known at a kill never ran again, and what was not is no more than a group and what was in hand.
fn nothing_ran_in_vain(begun: &[(u64, usize)], left: &[Left]) {
    let mut lost = Vec::new();
    for Left { pass, known } in left {
        let again: Vec<_> = begun.iter().filter(|(of, position)| of > pass && known.contains(position)).collect();
        assert!(again.is_empty(), "known when pass {pass} was killed, and begun again: {again:?}");
        lost.push(begun.iter().filter(|(of, position)| of == pass && !known.contains(position)).count());
    }
    let repeats = begun.len() - begun.iter().map(|(_, position)| position).collect::<BTreeSet<_>>().len();
    eprintln!("{repeats} of {} commands ran again; each kill left unknown: {lost:?}", begun.len());
    assert!(lost.iter().all(|items| *items <= LOST_ITEMS_MAX), "{lost:?}");
    assert!(repeats <= lost.iter().sum(), "{repeats} ran again");
}

#[test]
fn memory_is_flat_however_long_the_list() {
    let watched = |items: usize, more: &[&str], code: i32| {
        let loads = Loads::numbered(items, ":");
        Watched::to_its_end(&loads.ledger(), loads.start(more), code).memory_kib
    };
    let (short, long) = (watched(1_000, &[], 0), watched(ITEMS, &[], 0));
    let longest = watched(300_000, &["--max-items", "1000"], 3);
    eprintln!("at most {short} KiB for 1,000 items, {long} for 10,000, {longest} for the first 1,000 of 300,000");
    assert!(long * 2 < short * 3, "{short} KiB for 1,000 items, {long} for 10,000");
    // A list that SQLite's page caches do not hold fills them, once.
    assert!(longest < short + PAGE_CACHES_KIB_MAX, "{short} KiB for 1,000 items, {longest} for a list of 300,000");
}

#[test]
fn as_many_bytes_are_written_for_the_last_thousand_items_as_for_the_first() {
    let end = ITEMS as f64;
    let of = |watched: &Watched| (watched.bytes(10.0, 1000.0), watched.bytes(end - 1000.0, end - 1.0));

    // How many outcomes share a group depends on how fast the commands end; what a group costs does not.
    let loads = Loads::numbered(ITEMS, ":");
    assert_eq!(loads.start(&["--max-items", "1"]).end().code, 3, "pinned, and its log folded into the ledger");
    let (first, last) = of(&Watched::to_its_end(&loads.ledger(), loads.start(&[]), 0));
    eprintln!("an item, 4 at a time: {:.0} bytes at first, {:.0} at last", first.an_outcome, last.an_outcome);
    assert_alike("a group, 4 at a time", first.a_group, last.a_group);

    // In groups of one size, what an item costs.
    let grouped = "concurrency = 1\nrecord-items = 20\nrecord-delay = \"1h\"";
    let rig = Rig::load(&loads.keys.iter().map(String::as_str).collect::<Vec<_>>(), ":", grouped);
    assert_eq!(rig.pass_with(&["--max-items", "1"]).0, 3);
    let pass = rig.doom(&["--json", "run", "load"]);
    let (first, last) = of(&Watched::to_its_end(&rig.path(".highwater-state/ledger.db"), pass, 0));
    assert_alike("an item, in groups of 20", first.an_outcome, last.an_outcome);
}

/// What outcomes cost in bytes written.
struct Bytes {
    an_outcome: f64,
    a_group: f64,
}

/// What a running pass had cost when so many outcomes were durable.
#[derive(Debug, Clone, Copy)]
struct Cost {
    outcomes: f64,
    bytes: f64,
    groups: f64,
}

/// A pass, watched until its end.
struct Watched {
    costs: Vec<Cost>,
    memory_kib: u64,
}

impl Watched {
    /// Watches a pass that ends by itself, with this exit code.
    fn to_its_end(ledger: &Path, mut pass: Doomed, code: i32) -> Self {
        let (mut costs, mut memory_kib, mut inside) = (Vec::new(), 0, None);
        while pass.runs() {
            pause(LOOK_EVERY);
            let proc = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", pass.pid())).unwrap_or_default();
            // What has ended has no figures, and what they were before is kept.
            let Some(peak) = figure(&proc("status"), "VmHWM:") else { continue };
            memory_kib = peak;
            inside = inside.or_else(|| Inside::of(ledger));
            let (Some(inside), Some(bytes)) = (&inside, figure(&proc("io"), "write_bytes:")) else { continue };
            let cost = Cost { outcomes: inside.recorded() as f64, bytes: bytes as f64, groups: groups(ledger) };
            if costs.last().is_none_or(|last: &Cost| last.outcomes < cost.outcomes) {
                costs.push(cost);
            }
        }
        let ended = pass.end();
        assert_eq!(ended.code, code, "{ended:?}");
        Self { costs, memory_kib }
    }

    /// Between the looks around that outcome.
    fn at(&self, outcomes: f64) -> Cost {
        let after = self.costs.iter().position(|cost| cost.outcomes >= outcomes).unwrap();
        let (a, b) = (self.costs[after.saturating_sub(1)], self.costs[after]);
        let share = if after == 0 { 1.0 } else { (outcomes - a.outcomes) / (b.outcomes - a.outcomes) };
        let between = |a: f64, b: f64| a + (b - a) * share;
        Cost { outcomes, bytes: between(a.bytes, b.bytes), groups: between(a.groups, b.groups) }
    }

    fn bytes(&self, from: f64, to: f64) -> Bytes {
        let (a, b) = (self.at(from), self.at(to));
        Bytes { an_outcome: (b.bytes - a.bytes) / (to - from), a_group: (b.bytes - a.bytes) / (b.groups - a.groups) }
    }
}

fn figure(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// How often the ledger was written: the counter in the head of its wal-index.
///
/// # Source
/// <https://sqlite.org/walformat.html#walidxfmt>, `iChange`
fn groups(ledger: &Path) -> f64 {
    let head = std::fs::read(beside(ledger, "-shm")).unwrap_or_default();
    head.get(8..12).map_or(0.0, |bytes| f64::from(u32::from_ne_bytes(bytes.try_into().unwrap())))
}

fn assert_alike(what: &str, first: f64, last: f64) {
    eprintln!("{what}: {first:.0} bytes at first, {last:.0} at last");
    assert!((1.0 / ALIKE..=ALIKE).contains(&(last / first)), "{what}: {first:.0} bytes at first, {last:.0} at last");
}
