//! `set` and `unset`, typed beside a pass that runs: what it obeys, what is told of it, and what is left when it is unset.

use serde_json::json;

use crate::rig::{Rig, UNTIL_GO, end, wait_until};

/// Items that are at work until the test lets them go.
fn at_work(items: &[&str], more: &str) -> Rig {
    Rig::load(items, &format!("echo $1 >>log; {UNTIL_GO}"), more)
}

fn events(rig: &Rig) -> Vec<[String; 2]> {
    let listed = rig.ok(&["events", "--json"]).stdout;
    let lines = listed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let of_set = |event: &serde_json::Value| matches!(event["act"].as_str(), Some("set" | "unset"));
    lines.filter(of_set).map(|event| [text(&event["act"]), text(&event["why"])]).collect()
}

#[test]
fn a_running_pass_obeys_what_is_set_and_status_shows_it_until_it_is_unset() {
    let rig = at_work(&["a", "b", "c", "d"], "concurrency = 1");
    let pass = rig.start(&["run", "load", "--json"]);
    rig.wait_for_log(1);
    let said = rig.ok(&["set", "load", "concurrency=3", "pace=0s", "--why", "the night is short"]);
    let told = "load: set concurrency=3, pace=0s, until `highwater unset load`; pass 1 sees it before its next item\n";
    assert_eq!(said.stdout, told);
    // Nothing ended meanwhile: it is not the next pass, nor the next item, that has room for more.
    rig.wait_for_log(3);

    let text = rig.ok(&["status"]).stdout;
    assert!(text.contains("set        concurrency=3 since ") && text.contains(": the night is short"), "{text}");
    let job = rig.ok(&["status", "--json"]).json()["jobs"][0].clone();
    let set = job["overrides"].as_array().unwrap().iter().map(|o| json!([o["key"], o["value"], o["why"]]));
    assert_eq!(
        set.collect::<Vec<_>>(),
        [json!(["concurrency", "3", "the night is short"]), json!(["pace", "0s", "the night is short"])]
    );

    let said = rig.ok(&["unset", "load", "pace", "--json"]).json();
    assert_eq!((&said["unset"], said["overrides"].as_array().unwrap().len()), (&json!(["pace"]), 1));
    let said = rig.ok(&["unset", "load"]).stdout;
    assert!(said.starts_with("load: unset concurrency; pass 1 sees it"), "{said}");
    let job = rig.ok(&["status", "--json"]).json()["jobs"][0].clone();
    assert!(job["overrides"].is_null(), "{job}");
    assert!(!rig.ok(&["status"]).stdout.contains("concurrency="));
    rig.write("go", "");
    assert_eq!(end(pass).code, 0);
    assert_eq!(
        events(&rig),
        [
            ["set", "concurrency=3: the night is short"],
            ["set", "pace=0s: the night is short"],
            ["unset", "pace, which was 0s"],
            ["unset", "concurrency, which was 3"],
        ]
    );
}

#[test]
fn a_pace_that_is_set_slows_and_speeds_a_pass_that_waits() {
    let rig = Rig::load(&["a", "b", "c"], "echo $1 >>log", "concurrency = 1");
    rig.ok(&["set", "load", "pace=1h"]);
    let pass = rig.start(&["run", "load", "--json"]);
    rig.wait_for_log(1);
    let status = || rig.ok(&["status", "--json"]).json()["jobs"][0].clone();
    wait_until("a pass that waits an hour", || status()["running"]["counts"]["done"] == 1);
    assert_eq!(rig.log(), ["a"]);
    rig.ok(&["set", "load", "pace=1ms"]);
    assert_eq!(end(pass).code, 0);
    assert_eq!(rig.log(), ["a", "b", "c"]);
}

#[test]
fn what_is_set_stands_above_the_configuration_and_the_flags_in_every_pass() {
    let rig = Rig::load(&["a", "b", "c", "d"], "echo $1 >>log", "concurrency = 1\nbudget = { max-items = 3 }");
    rig.ok(&["set", "load", "max-items=1"]);
    assert_eq!(rig.pass(), (3, "budget_items".into()));
    assert_eq!(rig.pass_with(&["--max-items", "4"]), (3, "budget_items".into()));
    assert_eq!(rig.log(), ["a", "b"]);
    rig.ok(&["unset", "load", "max-items"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log(), ["a", "b", "c", "d"]);
}

#[test]
fn what_is_set_is_set_before_the_first_pass_and_beside_a_bare_ledger() {
    let rig = Rig::load(&["a", "b"], "echo $1 >>log", "");
    let said = rig.ok(&["set", "load", "max-time=1h"]).stdout;
    assert!(said.contains("the next pass takes it up: `highwater run load`"), "{said}");
    assert!(rig.ok(&["status"]).stdout.contains("max-time=1h since "));

    let exec = |more: &[&str]| {
        let args = ["exec", "--json", "--ledger", "l.db", "-w", "ids.txt", "--"];
        rig.run(&[&args[..], more].concat())
    };
    assert_eq!(exec(&["./load", "{}"]).code, 0);
    let ids = rig.ok(&["--ledger", "l.db", "status", "--json"]).json()["jobs"][0]["name"].as_str().unwrap().to_owned();
    let said = rig.ok(&["--ledger", "l.db", "set", &ids, "max-items=1"]).stdout;
    assert!(said.contains("`highwater --ledger ") && said.contains("the next `highwater exec` takes it up"), "{said}");
    rig.list(&["a", "b", "c", "d"]);
    let args = ["exec", "--json", "--extend", "--ledger", "l.db", "-w", "ids.txt", "--", "./load", "{}"];
    assert_eq!(rig.run(&args).json()["reason"], "budget_items");
}
