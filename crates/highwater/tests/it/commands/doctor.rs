//! `doctor`: well, and with one fault planted at a time; it changes nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use highwater_testkit::not_here::NotHere;
use nix::unistd::geteuid;
use serde_json::Value;

use super::three;
use crate::rig::{Ended, Flock, Rig};

/// A user without any rights of their own.
const NOBODY: u32 = 65_534;

fn drained() -> Rig {
    let rig = three();
    assert_eq!(rig.pass(), (0, "drained".into()));
    rig
}

fn findings(ended: &Ended) -> Vec<Value> {
    ended.json()["findings"].as_array().unwrap_or_else(|| panic!("{ended:?}")).clone()
}

/// Asserts that exactly these lines need a fix, each with the text that it has and a next step.
fn assert_fixes(rig: &Rig, fixes: &[(&str, &str)]) {
    let ended = rig.run(&["doctor", "--json"]);
    let found = findings(&ended);
    let wrong: Vec<_> = found.iter().filter(|line| line["ok"] == false).collect();
    assert_eq!(wrong.len(), fixes.len(), "{wrong:#?}");
    for ((what, text), line) in fixes.iter().zip(wrong) {
        assert_eq!(line["what"], *what, "{line}");
        assert!(line["found"].as_str().unwrap().contains(text), "{text}: {line}");
        assert!(!line["fix"].as_str().unwrap_or_default().is_empty(), "{line}");
    }
    assert_eq!(ended.code, if fixes.is_empty() { 0 } else { 2 });
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_well_host_is_ok_before_and_after_the_first_pass() {
    let rig = three();
    assert_fixes(&rig, &[]);
    assert!(!rig.path(".highwater-state").exists(), "it makes nothing");
    rig.pass();
    assert_fixes(&rig, &[]);
    let text = rig.ok(&["doctor"]).stdout;
    assert!(
        text.ends_with("all is well\n") && text.lines().all(|line| line.starts_with("ok ") || line == "all is well"),
        "{text}"
    );
}

#[test]
fn a_broken_configuration_is_told_and_the_ledger_is_looked_at_all_the_same() {
    let rig = drained();
    let config = rig.read("highwater.toml").replace("worklist", "worklst");
    rig.write("highwater.toml", &config);
    let ended = rig.run(&["doctor", "--json"]);
    assert_eq!(ended.code, 2);
    let found = findings(&ended);
    assert!(
        found.iter().any(|line| line["what"] == "config" && line["found"].as_str().unwrap().contains("HW-CFG-004"))
    );
    assert!(found.iter().any(|line| line["what"] == "ledger" && line["ok"] == true), "{found:#?}");
    rig.write("highwater.toml", "[");
    assert_eq!(rig.run(&["doctor"]).code, 2);
    let nowhere = rig.run(&["doctor", "--config", "nowhere.toml"]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stdout.contains("HW-CFG-002"), "{nowhere:?}");
}

#[test]
fn a_missing_list_and_a_missing_program_are_told() {
    let rig = three();
    fs::remove_file(rig.path("ids.txt")).unwrap();
    fs::remove_file(rig.path("load")).unwrap();
    assert_fixes(&rig, &[("worklist", "ids.txt cannot be read"), ("config", "HW-CFG-018")]);
}

#[test]
fn lock_paths_are_told() {
    let rig = drained();
    let holder = Flock::hold(&rig.path("r.lock"));
    let held = findings(&rig.ok(&["doctor", "--json"]));
    assert!(held.iter().any(|line| line["found"].as_str().unwrap().contains("held by process")), "{held:#?}");
    drop(holder);
    let config = rig.read("highwater.toml").replace("file:r.lock", "file:nowhere/r.lock");
    rig.write("highwater.toml", &config);
    assert_fixes(&rig, &[("lock", "its directory is not there")]);
}

#[test]
fn a_damaged_ledger_is_told_with_the_backup_that_is_good() {
    let rig = drained();
    let ledger = rig.path(".highwater-state/ledger.db");
    let mut bytes = fs::read(&ledger).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xA5);
    fs::write(&ledger, bytes).unwrap();
    let ended = rig.run(&["doctor", "--json"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    let found = findings(&ended);
    assert!(found.iter().any(|line| line["what"] == "ledger" && line["ok"] == false), "{found:#?}");
    assert!(
        found.iter().any(|line| line["what"] == "backup" && line["found"].as_str().unwrap().contains("is whole")),
        "{found:#?}"
    );
    fs::write(&ledger, "no database at all").unwrap();
    assert_eq!(rig.run(&["doctor"]).code, 2);
}

#[test]
fn figures_that_are_not_what_a_count_gives_are_told() {
    let rig = drained();
    let db = rusqlite::Connection::open(rig.path(".highwater-state/ledger.db")).unwrap();
    db.execute("UPDATE worklist SET done = done + 1", []).unwrap();
    drop(db);
    assert_fixes(&rig, &[("ledger", "figures")]);
}

#[test]
fn a_clock_that_went_back_is_told() {
    let rig = drained();
    let db = rusqlite::Connection::open(rig.path(".highwater-state/ledger.db")).unwrap();
    db.execute("UPDATE event SET at = at + 86400000000", []).unwrap();
    drop(db);
    assert_fixes(&rig, &[("clock", "it went back")]);
}

#[test]
fn a_clock_that_went_back_is_told_with_the_latest_that_the_ledger_knows_of() {
    let rig = drained();
    rig.ok(&["pause", "load", "--why", "a test"]);
    rig.ok(&["resume", "load", "--why", "a test"]);
    let db = rusqlite::Connection::open(rig.path(".highwater-state/ledger.db")).unwrap();
    // In 2098 all, in 2099 one in between.
    db.execute("UPDATE event SET at = 4039372800000000", []).unwrap();
    db.execute("UPDATE event SET at = 4070908800000000 WHERE act = 'pause'", []).unwrap();
    db.execute("UPDATE event SET no = no + 1000 WHERE act = 'resume'", []).unwrap();
    drop(db);
    assert_fixes(&rig, &[("clock", "the ledger knows of 2099-01-01T00:00:00Z")]);
}

#[test]
fn a_ledger_that_others_may_read_and_a_directory_that_others_may_write_are_told() {
    let rig = drained();
    // SQLite gives its `-wal` and `-shm`, which even a reader needs, the mode of the file.
    let ledger = |to| {
        let files = fs::read_dir(rig.path(".highwater-state")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.display().to_string().contains("ledger.db")).for_each(|path| mode(&path, to));
    };
    ledger(0o644);
    assert_fixes(&rig, &[("state", "others may read or write")]);
    ledger(0o600);
    mode(&rig.path(".highwater-state"), 0o777);
    assert_fixes(&rig, &[("state", "others than its owner may write")]);
    mode(&rig.path(".highwater-state"), 0o700);
    mode(&rig.path("highwater.toml"), 0o666);
    assert_fixes(&rig, &[("config", "everyone may write")]);
}

#[test]
fn undelivered_notices_are_told() {
    let rig = three();
    let config = rig.read("highwater.toml") + "[[notify]]\ncommand = [\"false\"]\n";
    rig.write("highwater.toml", &config);
    rig.pass();
    assert_fixes(&rig, &[("notify", "load: drained to [[notify]] entry 1, not delivered after 1 attempt: ")]);
    assert!(rig.ok(&["status"]).stdout.contains("1 not delivered"));
}

/// A drained place that belongs to nobody; `None`, named, where this user cannot give things away.
fn nobodys(test: &str) -> Option<Rig> {
    if !geteuid().is_root() {
        NotHere("only root can give a directory to another user".to_owned()).say(test);
        return None;
    }
    let rig = three();
    // Below /tmp others may pass.
    mode(rig.dir.path(), 0o755);
    let files: Vec<_> = fs::read_dir(rig.dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in files.iter().map(|path| path.as_path()).chain([rig.dir.path()]) {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    assert_eq!(rig.pass(), (0, "drained".into()), "root drops to the owner");
    Some(rig)
}

#[test]
fn root_leaves_nothing_of_its_own_and_is_told_of_what_is() {
    let Some(rig) = nobodys("root_leaves_nothing_of_its_own_and_is_told_of_what_is") else { return };
    for command in [&["status"][..], &["items", "load"], &["pause", "load"], &["resume", "load"], &["doctor"]] {
        rig.ok(command);
    }
    let of_root = Command::new("find").arg(rig.dir.path()).args(["-user", "root"]).output().unwrap();
    assert!(of_root.stdout.is_empty(), "{of_root:?}");
    rig.write(".highwater-state/stray", "");
    assert_fixes(&rig, &[("state", "1 file not of nobody")]);
}

#[test]
fn another_user_is_told_the_sudo_line_and_the_rest() {
    let Some(rig) = nobodys("another_user_is_told_the_sudo_line_and_the_rest") else { return };
    const OTHER: u32 = 65_533;
    // The binary may lie where others cannot reach it.
    let binary = rig.path("hw");
    fs::copy(crate::rig::HIGHWATER, &binary).unwrap();
    let mut doctor = Command::new(&binary);
    std::os::unix::process::CommandExt::uid(&mut doctor, OTHER);
    let ended: Ended = doctor.args(["doctor", "--json"]).current_dir(rig.dir.path()).output().unwrap().into();
    assert_eq!(ended.code, 2, "{ended:?}");
    let found = findings(&ended);
    let owner = found.iter().find(|line| line["what"] == "owner").unwrap();
    assert!(owner["fix"].as_str().unwrap().starts_with("sudo -u nobody highwater doctor"), "{owner}");
    assert!(found.iter().any(|line| line["what"] == "lock"), "{found:#?}");
}
