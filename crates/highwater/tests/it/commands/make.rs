//! What needs no ledger, or makes something new: init, config, completions, import.

use super::{OK, THREE, assert_refused, events, three};
use crate::rig::Rig;

#[test]
fn init_makes_a_configuration_that_runs_as_it_is() {
    let rig = Rig::new("");
    let made = rig.ok(&["init", "new"]);
    assert!(
        made.stdout.contains("new/highwater.toml") && made.stdout.contains("highwater run --all --config"),
        "{made:?}"
    );
    let config = rig.path("new/highwater.toml").display().to_string();
    let ran = rig.ok(&["run", "--all", "--config", &config]);
    assert!(ran.stdout.contains("drained"), "{ran:?}");
    assert_refused(&rig.run(&["init", "new"]), "HW-CFG-015");
    let json = rig.ok(&["init", "other", "--json"]).json();
    assert_eq!(json["config"], "other/highwater.toml");
}

#[test]
fn config_check_says_ok_warns_and_makes_nothing() {
    let rig = three();
    let ok = rig.ok(&["config", "check"]);
    assert!(ok.stdout.starts_with("ok: ") && ok.stdout.ends_with("highwater.toml: 1 job\n"), "{ok:?}");
    std::fs::remove_file(rig.path("load")).unwrap();
    let warned = rig.ok(&["config", "check"]);
    assert!(warned.stdout.contains("warning[HW-CFG-018]: "), "{warned:?}");
    let json = rig.ok(&["config", "check", "--json"]).json();
    assert_eq!((&json["jobs"], &json["warnings"][0]["code"]), (&1.into(), &"HW-CFG-018".into()));

    rig.write("highwater.toml", "[job.load]\nkind = \"exce\"\n[resource.r]\npase = \"1s\"\n");
    let wrong = rig.run(&["config", "check"]);
    assert_refused(&wrong, "HW-CFG-004");
    assert!(wrong.stderr.contains("HW-CFG-007"), "every mistake is told: {wrong:?}");
    assert!(!rig.path(".highwater-state").exists());
}

#[test]
fn config_show_and_schema_are_readable_by_people_and_programs() {
    let rig = three();
    let shown = rig.ok(&["config", "show"]).stdout;
    assert!(shown.contains("[job.load]") && shown.contains("# highwater.toml:"), "{shown}");
    let json = rig.ok(&["config", "show", "--json"]).json();
    assert!(json["values"].as_array().unwrap().iter().any(|value| value["field"] == "job.load.worklist"));
    let schema: serde_json::Value = serde_json::from_str(&rig.ok(&["config", "schema"]).stdout).unwrap();
    assert!(jsonschema::validator_for(&schema).is_ok());
}

#[test]
fn completions_are_scripts_that_their_shells_read() {
    let rig = Rig::new("");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(rig.ok(&["completions", shell]).stdout.contains("worklist"), "{shell}");
    }
    rig.write("completion.bash", &rig.ok(&["completions", "bash"]).stdout);
    let read = std::process::Command::new("bash").arg("-n").arg(rig.path("completion.bash")).status().unwrap();
    assert!(read.success());
}

#[test]
fn markers_of_an_older_wrapper_are_taken_over() {
    let rig = Rig::load(&THREE, OK, "markers = \"old\"");
    std::fs::create_dir(rig.path("old")).unwrap();
    let none = rig.run(&["import", "markers", "old"]);
    assert_refused(&none, "HW-MRK-002");
    rig.write("old/.halted", "record 7 is broken\n");
    let taken = rig.ok(&["import", "markers", "old"]);
    assert!(taken.stdout.contains("load: halted"), "{taken:?}");
    assert!(rig.ok(&["status", "load"]).stdout.contains("record 7 is broken"));
    assert_eq!(rig.pass(), (4, "halted".into()));
    std::fs::remove_file(rig.path("old/.halted")).unwrap();
    assert_eq!(rig.pass(), (0, "drained".into()), "deleting .halted re-arms");
    assert!(events(&rig).iter().any(|[act, ..]| act == "rearm"));
}

#[test]
fn markers_need_one_job_and_one_place() {
    let rig = Rig::load(&THREE, OK, "markers = \"old\"");
    for directory in ["old", "elsewhere"] {
        std::fs::create_dir(rig.path(directory)).unwrap();
        rig.write(&format!("{directory}/.done"), "");
    }
    let unknown = rig.run(&["import", "markers", "elsewhere"]);
    assert_refused(&unknown, "HW-CMD-010");
    let contradicted = rig.run(&["import", "markers", "elsewhere", "--job", "load"]);
    assert_refused(&contradicted, "HW-CMD-010");
    assert!(contradicted.stderr.contains("/old"), "{contradicted:?}");
    let json = rig.ok(&["import", "markers", "old", "--json"]).json();
    assert_eq!((&json["job"], &json["state"]), (&"load".into(), &"drained".into()));
    assert_eq!(rig.pass(), (0, "already_drained".into()));
}

#[test]
fn a_bare_ledger_answers_without_a_configuration() {
    let rig = Rig::new("");
    std::fs::remove_file(rig.path("highwater.toml")).unwrap();
    rig.list(&THREE);
    rig.script("load", OK);
    rig.ok(&["exec", "--worklist", "ids.txt", "--", "./load", "{}"]);
    let ledger = "ids.txt.highwater.db";
    let status = rig.ok(&["--ledger", ledger, "status"]).stdout;
    assert!(status.contains(": drained\n") && status.contains("3 of 3"), "{status}");
    let job = rig.ok(&["--ledger", ledger, "status", "--json"]).json()["jobs"][0]["name"].as_str().unwrap().to_owned();
    assert_eq!(rig.ok(&["--ledger", ledger, "items", &job, "--json"]).stdout.lines().count(), 3);
    let said = rig.ok(&["--ledger", ledger, "retry", &job, "a"]);
    assert!(said.stdout.contains("the next `highwater exec` takes it up"), "{said:?}");
    let halted = rig.ok(&["--ledger", ledger, "halt", &job, "--why", "look"]);
    assert!(halted.stdout.contains(&format!("highwater --ledger {ledger} rearm {job}")), "{halted:?}");
    assert_refused(&rig.run(&["--ledger", ledger, "run", &job]), "HW-CMD-001");
    assert_refused(&rig.run(&["--ledger", ledger, "worklist", &job, "--extend"]), "HW-CMD-001");
}
