//! `status --watch`, beside a pass that runs.

use super::{OK, THREE, three};
use crate::rig::{Rig, end, signal, wait_until};

/// What a started command printed so far goes to a file, so that it can be looked at while it runs.
fn watching(rig: &Rig, args: &[&str]) -> std::process::Child {
    let file = std::fs::File::create(rig.path("watched")).unwrap();
    rig.command(args).stdout(file).spawn().unwrap()
}

#[test]
fn a_watched_status_follows_the_pass_and_ends_with_0_on_interrupt() {
    let rig =
        Rig::load(&THREE, "echo $1 >>log; [ $1 = a ] || while [ ! -e go ]; do sleep 0.02; done", "concurrency = 1");
    let watch = watching(&rig, &["status", "--watch"]);
    wait_until("the first block", || rig.read("watched").contains("load: never run"));
    let pass = rig.start(&["run", "load"]);
    wait_until("the pass", || rig.read("watched").contains("running    pass 1 "));
    rig.write("go", "");
    assert_eq!(end(pass).code, 0);
    wait_until("its end", || rig.read("watched").contains("load: drained"));
    signal(&watch, "INT");
    assert_eq!(end(watch).code, 0);
    let watched = rig.read("watched");
    assert!(
        watched.starts_with("--- 2") && !watched.contains('\u{1b}'),
        "plain blocks where there is no terminal: {watched}"
    );
}

#[test]
fn a_watched_status_in_json_is_one_object_a_line() {
    let rig = three();
    let watch = watching(&rig, &["status", "load", "--watch", "--json"]);
    wait_until("two lines", || rig.read("watched").lines().count() >= 2);
    signal(&watch, "TERM");
    assert_eq!(end(watch).code, 0);
    for line in rig.read("watched").lines() {
        assert_eq!(serde_json::from_str::<serde_json::Value>(line).unwrap()["jobs"][0]["name"], "load");
    }
}

#[test]
fn a_watched_status_ends_when_its_reader_leaves() {
    let rig = Rig::load(&THREE, OK, "");
    let shell = format!("{} status --watch | head -1", crate::rig::HIGHWATER);
    let out = std::process::Command::new("bash")
        .args(["-o", "pipefail", "-c", &shell])
        .current_dir(rig.dir.path())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(0), "{out:?}");
}
