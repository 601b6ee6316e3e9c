//! A host that is asked about and that there is not: who says so.

use std::fs;

use crate::receive::config;
use crate::recorded::store;
use crate::rig::Rig;

fn refused(rig: &Rig, args: &[&str], there_are: &str) {
    let ended = rig.run(args);
    assert!(
        ended.code == 2 && ended.stderr.contains("error[HW-EPI-210]: --host: found lab-7, "),
        "{args:?}: {ended:?}"
    );
    assert!(ended.stderr.contains(&format!("{there_are}\n")) && ended.stderr.contains("next: "), "{args:?}: {ended:?}");
    assert!(ended.stdout.is_empty(), "{args:?}: {ended:?}");
}

#[test]
fn a_host_that_there_is_not_is_refused_with_those_that_there_are() {
    let rig = Rig::new(&config(&[("t", "lab-1")]));
    ["lab-1/ep-1", "lab-2/ep-1"].iter().for_each(|key| store(&rig.path("received/episodes"), key, key, None));
    rig.ok(&["reindex"]);
    // It has rows alone.
    fs::remove_dir_all(rig.path("received/episodes/lab-2")).unwrap();
    let index = rig.read("received/index.jsonl");
    for args in [
        &["episodes", "list", "--host", "lab-1", "--host", "lab-7"][..],
        &["episodes", "list", "--by", "day", "--host", "lab-7"],
        &["episodes", "verify", "--host", "lab-7"],
        &["episodes", "export", "--format", "csv", "--host", "lab-7"],
        &["episodes", "export", "--format", "csv", "--host", "lab-7", "--out", "rows.csv"],
        &["reindex", "--host", "lab-7"],
        &["reindex", "--dry-run", "--host", "lab-7"],
        &["reindex", "--prune", "--force", "--host", "lab-7"],
        &["reindex", "--episodes-root", "received/episodes", "--host", "lab-7"],
    ] {
        refused(&rig, args, "there are lab-1, lab-2");
    }
    assert!(rig.read("received/index.jsonl") == index && !rig.path("rows.csv").exists());
    assert_eq!(rig.ok(&["episodes", "list", "--host", "lab-2", "--csv"]).stdout.lines().count(), 2);
    // One that has a directory and no row yet is one.
    fs::create_dir(rig.path("received/episodes/lab-7")).unwrap();
    for args in [&["episodes", "list", "--host", "lab-7"][..], &["episodes", "verify", "--host", "lab-7"]] {
        rig.ok(args);
    }
    rig.ok(&["reindex", "--host", "lab-7"]);
}

#[test]
fn of_many_hosts_some_are_named_and_of_none_it_is_said() {
    let rig = Rig::new(&config(&[("t", "lab-1")]));
    fs::create_dir_all(rig.path("received/episodes")).unwrap();
    refused(&rig, &["episodes", "verify", "--host", "lab-7"], "there is no host yet");
    (10..30).for_each(|n| fs::create_dir(rig.path(&format!("received/episodes/lab-{n}"))).unwrap());
    refused(
        &rig,
        &["episodes", "verify", "--host", "lab-7"],
        "there are lab-10, lab-11, lab-12, lab-13, lab-14, lab-15, lab-16, lab-17, lab-18, lab-19, …",
    );
}
