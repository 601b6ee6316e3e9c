//! `kill -9` of a shipper while its open round takes in what was finished since (R5): one item, one upload and one retirement of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use highwater_testkit::not_here::NotHere;
use serde_json::Value;

use super::{TOKEN, free_port, listening, names, receiver, rows};
use crate::inside::{Inside, assert_sound, beside};
use crate::rig::{HIGHWATER, Rig};

/// What was finished since the round was pinned.
const NEW: [&str; 3] = ["new-1", "new-2", "new-3"];
/// After so many transactions a pass is over in any case.
const TRANSACTIONS_MAX: usize = 60;
/// Passes without a kill that may be needed after one.
const PASSES_MAX: usize = 5;

fn record(rig: &Rig, id: &str) {
    let dir = rig.path(&format!("episodes/{id}"));
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("telemetry.csv"), id).unwrap();
    fs::write(dir.join("done.marker"), "").unwrap();
}

/// A host whose round stays open: `stuck` cannot be retired, `mended` could not be packed and now can, and three are new.
fn lab(port: u16) -> Rig {
    let rig = Rig::new("");
    let root = rig.path("received");
    fs::create_dir(&root).unwrap();
    let ship = format!(
        "[job.send]\nkind = \"ship\"\nreceiver = \"http://127.0.0.1:{port}\"\nhost-id = \"lab-1\"\ntoken = \"{TOKEN}\"\n"
    );
    rig.write("highwater.toml", &(receiver(port, &root) + &ship));
    fs::create_dir(rig.path("shipped")).unwrap();
    fs::write(rig.path("shipped/stuck"), "no directory").unwrap();
    record(&rig, "stuck");
    record(&rig, "mended");
    std::os::unix::fs::symlink("/", rig.path("episodes/mended/link")).unwrap();
    rig
}

/// A pass that is killed when it has written so many transactions to its ledger; whether it was.
fn is_killed_at(rig: &Rig, transaction: usize) -> bool {
    let ended = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-P"])
        .arg(beside(&ledger(rig), "-wal"))
        .args(["-e", &format!("inject=fsync,fdatasync:signal=KILL:when={transaction}")])
        .args([HIGHWATER, "run", "send"])
        .current_dir(rig.path(""))
        .env_remove("HIGHWATER_CONFIG")
        .output()
        .unwrap();
    match std::os::unix::process::ExitStatusExt::signal(&ended.status) {
        Some(9) => true,
        None if ended.status.code() == Some(3) => false,
        _ => panic!("{ended:?}"),
    }
}

/// What an open round holds, by key: the words of its items.
fn items(rig: &Rig) -> BTreeMap<String, String> {
    let mut items = BTreeMap::new();
    for line in rig.ok(&["--json", "items", "send"]).stdout.lines() {
        let item: Value = serde_json::from_str(line).unwrap();
        let (key, outcome) = (item["key"].as_str().unwrap(), item["outcome"].to_string());
        assert_eq!(items.insert(key.to_owned(), outcome), None, "one item each");
    }
    items
}

fn ledger(rig: &Rig) -> std::path::PathBuf {
    rig.path(".highwater-state/ledger.db")
}

/// How many archives ever began to be packed: none before the round was extended.
fn packed(outbox: &Path) -> usize {
    names(outbox).iter().filter(|name| name.starts_with("new-") || name.starts_with("mended")).count()
}

#[test]
fn r05_a_round_whose_extension_is_killed_at_any_of_its_steps_has_each_episode_once() {
    let traced = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    if !traced.is_ok_and(|ended| ended.status.success()) {
        return NotHere("no strace, or not allowed".to_owned()).say("a kill at each step of a round's extension");
    }
    let (mut listed, mut pinned, mut again) = (0, 0, 0);
    for at in 1..TRANSACTIONS_MAX {
        let port = free_port();
        let rig = lab(port);
        let far = listening(&rig, port);
        assert_eq!(rig.run(&["run", "send"]).code, 3, "its round stays open");
        assert_eq!(items(&rig).len(), 2);
        fs::remove_file(rig.path("episodes/mended/link")).unwrap();
        fs::write(rig.path("episodes/mended/done.marker"), "mended").unwrap();
        NEW.iter().for_each(|id| record(&rig, id));
        let was_killed = is_killed_at(&rig, at);
        assert_sound(&ledger(&rig));
        let left = Inside::of(&ledger(&rig)).unwrap().items();
        let has_packed = packed(&rig.path("outbox")) > 0;
        match left {
            (_, 1..) => listed += 1,
            (5.., 0) if !has_packed && items(&rig)["mended"].contains("review") => pinned += 1,
            (5.., 0) if !has_packed => again += 1,
            _ => {}
        }
        // What stands in the way goes, and passes follow until all is shipped.
        fs::remove_file(rig.path("shipped/stuck")).unwrap();
        // A kill between pinning what is new and putting back what is mended may let the round end without the latter: it is the next one's.
        let all = ["mended", NEW[0], NEW[1], NEW[2], "stuck"];
        let mut passes = Vec::new();
        while !names(&rig.path("episodes")).is_empty() {
            assert!(passes.len() < PASSES_MAX, "{at}: {passes:?}");
            passes.push(rig.run(&["run", "send"]));
            assert!(items(&rig).keys().all(|key| all.contains(&key.as_str())), "{at}: one item each");
        }
        assert_eq!(names(&rig.path("shipped")), all, "{at}: one retirement each");
        let mut stored: Vec<String> =
            rows(&rig.path("received")).iter().map(|row| row["episode_id"].as_str().unwrap().to_owned()).collect();
        stored.sort();
        assert_eq!(stored, all, "{at}: one upload each");
        assert_sound(&ledger(&rig));
        far.kill_9();
        if !was_killed || has_packed {
            break;
        }
    }
    eprintln!("killed while listed: {listed}, once pinned: {pinned}, once put back: {again}");
    assert!(listed > 0 && pinned > 0 && again > 0, "a kill met each step of the extension");
}
