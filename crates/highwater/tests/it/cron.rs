//! `run --cron` where nothing can be run: one line per change, though no ledger is there to remember the last one.

use crate::rig::{Ended, Rig};

fn cron(rig: &Rig) -> Ended {
    let ended = rig.run(&["run", "load", "--cron"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    ended
}

fn silent(ended: &Ended) -> bool {
    ended.stdout.is_empty() && ended.stderr.is_empty()
}

#[test]
fn a_configuration_that_cannot_be_read_is_told_once_per_change() {
    let rig = Rig::load(&["a"], "", "");
    rig.ok(&["run", "load"]);
    let good = rig.read("highwater.toml");
    let bad = good.replace("command", "comand");
    rig.write("highwater.toml", &bad);
    assert!(cron(&rig).stderr.contains("comand"));
    assert!(silent(&cron(&rig)), "once");
    rig.write("highwater.toml", &bad.replace("kind", "knd"));
    assert!(cron(&rig).stderr.contains("knd"), "another mistake is another change");
    assert!(silent(&cron(&rig)));
    rig.write("highwater.toml", &good);
    assert!(silent(&cron(&rig)), "mended: nothing to tell");
    rig.write("highwater.toml", &bad);
    assert!(cron(&rig).stderr.contains("comand"), "and broken again: a change");
}

#[test]
fn the_state_directory_that_a_broken_configuration_names_is_found() {
    let rig = Rig::load(&["a"], "", "");
    rig.write("highwater.toml", &format!("state-dir = \"elsewhere\"\n{}", rig.read("highwater.toml")));
    rig.ok(&["run", "load"]);
    rig.write("highwater.toml", &rig.read("highwater.toml").replace("command", "comand"));
    assert!(cron(&rig).stderr.contains("comand"));
    assert!(silent(&cron(&rig)), "once");
}

#[test]
fn a_ledger_that_cannot_be_opened_is_told_once_per_change() {
    let rig = Rig::load(&["a"], "", "");
    rig.ok(&["run", "load"]);
    let ledger = rig.path(".highwater-state/ledger.db");
    let whole = std::fs::read(&ledger).unwrap();
    std::fs::write(&ledger, "no ledger").unwrap();
    assert!(cron(&rig).stderr.contains("error[HW-LED"));
    assert!(silent(&cron(&rig)), "once");
    std::fs::write(&ledger, whole).unwrap();
    assert!(silent(&cron(&rig)), "mended");
    std::fs::write(&ledger, "no ledger").unwrap();
    assert!(cron(&rig).stderr.contains("error[HW-LED"), "again");
}

#[test]
fn a_call_that_is_refused_does_not_make_its_neighbour_forget() {
    let rig = Rig::load(&["a"], "", "");
    let wrong = || rig.run(&["run", "laod", "--cron"]);
    rig.ok(&["run", "load"]);
    assert!(wrong().stderr.contains("laod"));
    assert!(silent(&cron(&rig)));
    assert!(silent(&wrong()), "once, whatever the other line of the crontab does");
}

#[test]
fn where_nothing_can_be_remembered_it_is_told_each_time() {
    let rig = Rig::load(&["a"], "", "");
    rig.write("highwater.toml", "what");
    for _ in 0..2 {
        assert!(!silent(&cron(&rig)), "there is no state directory yet");
    }
    assert!(!rig.path(".highwater-state").exists(), "and none is made for it");
}
