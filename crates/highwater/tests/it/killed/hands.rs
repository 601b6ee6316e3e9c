//! What was in hand: commands that are killed, and items that may not run again once their outcome is unknown.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::{items, ledger, load};
use crate::inside::{Inside, assert_sound};
use crate::rig::{KILLED, Rig, dice, pause, wait_until};

const AT_ONCE: usize = 3;
/// Each begun command says so; one that finds `hold` says so, too, and stays until it is gone.
const LOAD: &str = "echo $1 >>log; while [ -e hold ]; do [ $said ] || echo $1 >>held; said=1; sleep 0.02; done";

fn may_not_run_again(items: usize) -> Rig {
    load(items, LOAD, "concurrency = 3\non-unknown = \"review\"\nbreaker = { failed = \"100%\" }")
}

#[test]
fn a_command_that_is_killed_failed_and_its_item_is_tried_again() {
    let rig = load(6, "echo $1 $$ >>log; while [ ! -e go ]; do sleep 0.02; done", "concurrency = 2");
    let pass = rig.doom(&["--json", "run", "load"]);
    rig.wait_for_log(2);
    let killed: Vec<String> = rig.log().iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    assert!(Command::new("kill").arg("-9").args(&killed).status().unwrap().success());
    // The pass goes on with others.
    rig.wait_for_log(4);
    rig.write("go", "");
    let ended = pass.end();
    assert_eq!((ended.code, ended.json()["reason"].as_str()), (3, Some("retry_left")), "{ended:?}");
    assert_eq!(rig.tally(), json!({"done": 4, "retry": 2}));
    for item in &items(&rig)[..2] {
        let detail = item["detail"].as_str().unwrap();
        assert!(item["attempts"] == 1 && detail.contains("SIGKILL"), "{item}");
    }
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert!(items(&rig)[..2].iter().all(|item| item["outcome"] == "done" && item["attempts"] == 2));
}

#[test]
fn r05_exactly_what_was_in_hand_goes_to_review_where_it_may_not_run_again() {
    const ITEMS: usize = 600;
    const KILLS: usize = 5;
    let mut dice = dice("r05_exactly_what_was_in_hand_goes_to_review_where_it_may_not_run_again");
    let rig = may_not_run_again(ITEMS);
    let mut in_hand = BTreeSet::new();
    for kill in 1..=KILLS {
        let begun = rig.log().len() + dice.usize(0..60);
        let mut pass = rig.doom(&["--json", "run", "load"]);
        wait_until("the commands before a kill", || !pass.runs() || rig.log().len() >= begun);
        rig.write("hold", "");
        wait_until("three that stay", || !pass.runs() || rig.read("held").lines().count() == kill * AT_ONCE);
        let inside = Inside::of(&ledger(&rig)).unwrap();
        let waiting = || inside.intents("judged").len();
        wait_until("all other outcomes", || inside.recorded() as usize + waiting() + AT_ONCE == rig.log().len());
        let killed = pass.kill_9();
        assert_eq!(killed.code, KILLED, "{killed:?}");
        in_hand.extend(rig.read("held").lines().map(|key| key.parse::<u64>().unwrap()));
        assert_eq!(in_hand.len(), kill * AT_ONCE);
        std::fs::remove_file(rig.path("hold")).unwrap();
    }
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_reviewed(&rig, &in_hand);
    assert_eq!(rig.log().len(), ITEMS, "each was begun, and none twice");
}

#[test]
fn r05_no_command_runs_twice_that_may_not() {
    const ITEMS: usize = 1_500;
    const KILLS: usize = 15;
    let mut dice = dice("r05_no_command_runs_twice_that_may_not");
    let rig = may_not_run_again(ITEMS);
    let (mut unknown, mut each_kill) = (BTreeSet::new(), Vec::new());
    for _ in 0..KILLS {
        let begun = rig.log().len() + dice.usize(1..80);
        let mut pass = rig.doom(&["--json", "run", "load"]);
        wait_until("the commands before a kill", || !pass.runs() || rig.log().len() >= begun);
        pause(Duration::from_millis(dice.u64(0..40)));
        let killed = pass.kill_9();
        assert_eq!(killed.code, KILLED, "{killed:?}");
        assert_sound(&ledger(&rig));
        let before = unknown.len();
        unknown.extend(Inside::of(&ledger(&rig)).unwrap().intents("started"));
        each_kill.push(unknown.len() - before);
        // Those in hand, and whose end was not heard of when the next was begun.
        assert!(unknown.len() - before <= 2 * AT_ONCE, "{each_kill:?}");
    }
    assert_eq!(rig.pass(), (0, "drained".into()));
    eprintln!("{KILLS} kills; each left in hand: {each_kill:?}");
    assert_reviewed(&rig, &unknown);
    let log = rig.log();
    assert_eq!(log.len(), log.iter().collect::<BTreeSet<_>>().len(), "none was begun twice");
}

/// These are in review, and all others done.
fn assert_reviewed(rig: &Rig, expected: &BTreeSet<u64>) {
    assert_sound(&ledger(rig));
    for item in items(rig) {
        let outcome = if expected.contains(&item["position"].as_u64().unwrap()) { "review" } else { "done" };
        assert_eq!((item["outcome"].as_str(), &item["attempts"]), (Some(outcome), &json!(1)), "{item}");
    }
}
