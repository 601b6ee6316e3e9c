//! `kill -9` of the program at any moment, and of its commands (R5): nothing is lost, nothing is counted twice, nothing is torn.

mod hands;
mod lists;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::inside::{Inside, assert_sound};
use crate::rig::{KILLED, Rig, dice, pause, wait_until};

const ITEMS: usize = 7_000;
const KILLS: usize = 40;
const ATTEMPTS_MAX: u64 = 3;
/// What one kill may make run again: a group of outcomes that is being written, the next one, and three in hand.
const LOST_ITEMS_MAX: u64 = 2 * 256 + 3;

/// Of ten items six are done, one each gone, to review, failing for ever, and put off the first time.
const LOAD: &str = r#"
echo "$HIGHWATER_PASS $1" >>log
case $1 in
*6) exit 10 ;;
*7) exit 11 ;;
*8) exit 1 ;;
*9) [ -e "seen/$1" ] || { : >"seen/$1"; exit 3; } ;;
esac
"#;

fn ledger(rig: &Rig) -> PathBuf {
    rig.path(".highwater-state/ledger.db")
}

fn numbered(items: usize) -> Vec<String> {
    (0..items).map(|n| format!("{n}")).collect()
}

fn load(items: usize, script: &str, more: &str) -> Rig {
    let keys = numbered(items);
    Rig::load(&keys.iter().map(String::as_str).collect::<Vec<_>>(), script, more)
}

/// `items` in the order of the list.
fn items(rig: &Rig) -> Vec<Value> {
    let listed = rig.ok(&["--json", "items", "load"]).stdout;
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a kill left.
struct Left {
    /// The newest pass.
    pass: u64,
    /// How many outcomes each item has had, those too that are known and wait for their turn.
    outcomes: BTreeMap<u64, u64>,
    waiting: BTreeSet<u64>,
}

#[test]
fn r05_forty_kills_lose_nothing_and_count_nothing_twice() {
    let mut dice = dice("r05_forty_kills_lose_nothing_and_count_nothing_twice");
    let rig = load(
        ITEMS,
        LOAD,
        &format!("concurrency = 3\nattempts-max = {ATTEMPTS_MAX}\nbreaker = {{ failed = \"100%\", gone = \"100%\" }}"),
    );
    std::fs::create_dir(rig.path("seen")).unwrap();
    let mut left = Vec::new();
    for kill in 0..KILLS {
        let mut pass = rig.doom(&["--json", "run", "load"]);
        // One in four while it opens, takes the lock, pins or recovers; the others among commands.
        if kill % 4 == 0 {
            pause(Duration::from_millis(dice.u64(0..80)));
        } else {
            let begun = rig.log().len() + dice.usize(1..400);
            wait_until("the commands before a kill", || !pass.runs() || rig.log().len() >= begun);
            pause(Duration::from_millis(dice.u64(0..30)));
        }
        if pass.kill_9().code != KILLED {
            // It ended by itself: all is tried, and the next one tries again what is left.
            continue;
        }
        if let Some(inside) = Inside::of(&ledger(&rig)) {
            assert_sound(&ledger(&rig));
            left.push(Left {
                pass: inside.newest_pass(),
                outcomes: inside.outcomes(),
                waiting: inside.intents("judged"),
            });
        }
    }
    let passes = (0..20).map(|_| rig.pass()).take_while(|(code, _)| *code == 3).count();
    assert_eq!(rig.pass(), (0, "already_drained".into()), "after {passes} passes more");
    assert!(left.len() > KILLS / 2, "only {} passes were killed", left.len());
    assert_sound(&ledger(&rig));
    let lost = lost(&rig, &left);
    for item in items(&rig) {
        let position = item["position"].as_u64().unwrap();
        let counted = (item["attempts"].as_u64().unwrap(), item["deferrals"].as_u64().unwrap());
        let (outcome, expected) = match position % 10 {
            6 => ("gone", (1, 0)),
            7 => ("review", (1, 0)),
            8 => ("review", (ATTEMPTS_MAX, 0)),
            // Its one deferral may be what a kill made unknown.
            9 if lost.contains_key(&position) => ("done", (1, counted.1.min(1))),
            9 => ("done", (1, 1)),
            _ => ("done", (1, 0)),
        };
        assert_eq!((item["outcome"].as_str(), counted), (Some(outcome), expected), "{item}");
    }
}

/// How many runs of each item no outcome was counted for. Each is of an item that a killed pass had begun and whose outcome was
/// not known when it was killed.
fn lost(rig: &Rig, left: &[Left]) -> BTreeMap<u64, u64> {
    let begun: Vec<(u64, u64)> = rig
        .log()
        .iter()
        .map(|line| line.split_once(' ').unwrap_or_else(|| panic!("a torn line: {line:?}")))
        .map(|(pass, key)| (pass.parse().unwrap(), key.parse().unwrap()))
        .collect();
    let outcomes = Inside::of(&ledger(rig)).unwrap().outcomes();
    let end = Left { pass: i64::MAX as u64, outcomes, waiting: BTreeSet::new() };
    let (mut before, mut each_kill) = (BTreeMap::new(), Vec::new());
    for Left { pass, outcomes, waiting } in left.iter().chain([&end]) {
        let again = begun.iter().find(|(of, position)| *of == pass + 1 && waiting.contains(position));
        assert_eq!(again, None, "its outcome was known and kept when pass {pass} was killed");
        let mut runs: BTreeMap<u64, u64> = BTreeMap::new();
        for (_, position) in begun.iter().filter(|(of, _)| of <= pass) {
            *runs.entry(*position).or_default() += 1;
        }
        let mut lost = BTreeMap::new();
        for position in 0..ITEMS as u64 {
            let [runs, counted, lost_before] =
                [&runs, outcomes, &before].map(|of: &BTreeMap<u64, u64>| of.get(&position).copied().unwrap_or(0));
            let in_hand = u64::from(begun.contains(&(*pass, position)));
            let now = runs
                .checked_sub(counted)
                .unwrap_or_else(|| panic!("item {position} ran {runs} times, counted {counted}"));
            assert!(
                (lost_before..=lost_before + in_hand).contains(&now),
                "item {position}, pass {pass} killed: {runs} runs, {counted} outcomes, {lost_before} lost before"
            );
            if now > 0 {
                lost.insert(position, now);
            }
        }
        each_kill.push(lost.values().sum::<u64>() - before.values().sum::<u64>());
        before = lost;
    }
    eprintln!("{} kills, {} commands; each kill left unknown: {each_kill:?}", left.len(), begun.len());
    assert!(each_kill.iter().all(|lost| *lost <= LOST_ITEMS_MAX), "{each_kill:?}");
    before
}
