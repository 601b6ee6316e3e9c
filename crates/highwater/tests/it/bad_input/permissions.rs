//! Permissions: what this user may not read or write, and whose a ledger is.

use std::fs;

use super::call::{Leaves, NOBODY, OTHER, call, call_by, call_unprivileged, given_to, mode, of_root, unprivileged};
use super::traces::small_disk;
use crate::rig::Rig;

const OK: &str = "echo $1 >>log";

fn place() -> Rig {
    Rig::load(&["a", "b"], OK, "")
}

/// A place whose ledger is there, for a user without rights.
fn drained() -> Rig {
    let rig = place();
    unprivileged(&rig);
    assert_eq!(rig.pass(), (0, "drained".into()));
    rig
}

#[test]
fn r15_a_configuration_or_a_list_that_may_not_be_read() {
    let rig = place();
    unprivileged(&rig);
    mode(&rig.path("highwater.toml"), 0o000);
    call_unprivileged(&rig, &["run", "load"]).refused("config_unreadable");
    mode(&rig.path("highwater.toml"), 0o644);
    mode(&rig.path("ids.txt"), 0o000);
    call_unprivileged(&rig, &["run", "load"]).refuses_the_pass("list_unreadable");
}

#[test]
fn r15_another_user_is_told_the_line_that_works() {
    let test = "r15_another_user_is_told_the_line_that_works";
    let Some(rig) = given_to(NOBODY, place(), test) else { return };
    assert_eq!(rig.pass(), (0, "drained".into()), "root drops to the owner");
    call_by(&rig, OTHER, &["retry", "load", "a b", "--why", "it's mended"]).refused("owner_is_another");
    call_by(&rig, OTHER, &["status"]).refused("owner_is_another_to_look");
    // Also where only the configuration's directory says whose the ledger will be.
    let Some(rig) = given_to(NOBODY, place(), test) else { return };
    call_by(&rig, OTHER, &["run", "load"]).refused("owner_is_another_before_a_ledger");
}

#[test]
fn root_leaves_nothing_of_its_own() {
    let log = "log-file = \"hw.log\"\n";
    let config = |rig: &Rig| rig.write("highwater.toml", &(log.to_owned() + &rig.read("highwater.toml")));
    let rig = place();
    config(&rig);
    let Some(rig) = given_to(NOBODY, rig, "root_leaves_nothing_of_its_own") else { return };
    assert_eq!(rig.pass(), (0, "drained".into()));
    for words in
        [&["retry", "load", "a"][..], &["ban", "r", "--for", "1s"], &["worklist", "load", "--replace"], &["status"]]
    {
        rig.ok(words);
    }
    call(&rig, &["run", "laod"]).ends("unknown_job_as_root", 2, Leaves::Work);
    assert_eq!(of_root(rig.dir.path()), Vec::<String>::new());
}

#[test]
fn root_leaves_nothing_of_its_own_without_a_configuration() {
    let test = "root_leaves_nothing_of_its_own_without_a_configuration";
    let rig = place();
    fs::remove_file(rig.path("highwater.toml")).unwrap();
    let Some(rig) = given_to(NOBODY, rig, test) else { return };
    let said = rig.run(&["exec", "-w", "ids.txt", "--dry-run", "--", "true", "{}"]);
    assert_eq!(of_root(rig.dir.path()), Vec::<String>::new(), "{said:?}");
    rig.ok(&["exec", "-w", "ids.txt", "--", "sh", "-c", "touch ran-$0", "{}"]);
    assert!(rig.path("ids.txt.highwater.db").exists() && rig.path("ran-a").exists());
    rig.ok(&["--ledger", "ids.txt.highwater.db", "status"]);
    rig.ok(&["--ledger", "ids.txt.highwater.db", "halt", "exec", "--why", "x"]);
    assert_eq!(of_root(rig.dir.path()), Vec::<String>::new());

    // Nor in a home that `sudo` kept, nor where a directory is to be made.
    let once = rig
        .command(&["exec", "--lock", "once.lock", "--", "true"])
        .env("HOME", rig.dir.path())
        .env_remove("XDG_STATE_HOME")
        .output()
        .unwrap();
    assert_eq!(once.status.code(), Some(0), "{once:?}");
    assert!(rig.path(".local/state/highwater/exec.db").exists());
    rig.ok(&["exec", "-w", "ids.txt", "--ledger", "other.db", "--lock", "other.lock", "--", "true", "{}"]);
    rig.ok(&["init", "new/place"]);
    rig.ok(&["run", "--all", "--config", "new/place/highwater.toml"]);
    assert_eq!(of_root(rig.dir.path()), Vec::<String>::new());
}

#[test]
fn r15_a_state_directory_that_takes_no_ledger() {
    let rig = place();
    rig.write("state", "");
    unprivileged(&rig);
    call_unprivileged(&rig, &["run", "load", "--state-dir", "state"]).fails("state_directory_is_a_file");
    fs::create_dir(rig.path("closed")).unwrap();
    unprivileged(&rig);
    mode(&rig.path("closed"), 0o555);
    call_unprivileged(&rig, &["run", "load", "--state-dir", "closed/state"]).fails("state_directory_cannot_be_made");
    call_unprivileged(&rig, &["run", "load", "--state-dir", "closed"]).fails("state_directory_takes_no_file");
}

#[test]
fn r15_a_state_directory_that_is_read_only() {
    let rig = drained();
    mode(&rig.path(".highwater-state"), 0o555);
    call_unprivileged(&rig, &["run", "load"]).fails("state_directory_read_only");
    call_unprivileged(&rig, &["retry", "load", "a"]).fails("state_directory_read_only_to_retry");
    mode(&rig.path(".highwater-state"), 0o700);
    mode(&rig.path(".highwater-state/ledger.db"), 0o400);
    call_unprivileged(&rig, &["run", "load"]).fails("ledger_read_only");
    mode(&rig.path(".highwater-state/ledger.db"), 0o000);
    call_unprivileged(&rig, &["status"]).fails("ledger_unreadable");
}

#[test]
fn r15_a_file_system_that_is_read_only() {
    let Some(disk) = small_disk(4 << 20, "r15_a_file_system_that_is_read_only") else { return };
    let rig = place();
    let state = disk.path().join("state").display().to_string();
    rig.ok(&["run", "load", "--state-dir", &state]);
    disk.set_read_only(true).unwrap();
    call(&rig, &["run", "load", "--state-dir", &state]).beside(disk.path(), "[DISK]").fails("file_system_read_only");
    let before = rig.log();
    disk.set_read_only(false).unwrap();
    rig.ok(&["run", "load", "--state-dir", &state]);
    assert_eq!(rig.log(), before, "and nothing was lost by it");
}

#[test]
fn r15_a_lock_that_cannot_be_taken() {
    let rig = place();
    unprivileged(&rig);
    let config = rig.read("highwater.toml");
    rig.write("highwater.toml", &config.replace("file:r.lock", "file:nowhere/r.lock"));
    call_unprivileged(&rig, &["run", "load"]).refuses_the_pass("lock_in_no_directory");
    rig.write("highwater.toml", &config);
    rig.write("r.lock", "");
    unprivileged(&rig);
    mode(&rig.path("r.lock"), 0o000);
    call_unprivileged(&rig, &["run", "load"]).refuses_the_pass("lock_unreadable");
}

#[test]
fn r15_a_marker_that_cannot_be_written_is_told_and_takes_nothing_back() {
    let rig = Rig::load(&["a"], OK, "markers = \"nowhere/load\"");
    call(&rig, &["run", "load"]).ends("marker_in_no_directory", 0, Leaves::Work);
    assert_eq!(rig.pass(), (0, "already_drained".into()));
    fs::create_dir(rig.path("nowhere")).unwrap();
    rig.pass();
    assert!(rig.path("nowhere/load.done").exists(), "the next pass writes it");
}

#[test]
fn r15_a_directory_that_takes_no_configuration() {
    let rig = place();
    fs::create_dir(rig.path("closed")).unwrap();
    unprivileged(&rig);
    mode(&rig.path("closed"), 0o555);
    call_unprivileged(&rig, &["init", "closed"]).fails("init_in_a_closed_directory");
}

#[test]
fn r15_a_log_file_that_may_not_be_written() {
    let rig = place();
    fs::create_dir(rig.path("logs")).unwrap();
    unprivileged(&rig);
    mode(&rig.path("logs"), 0o555);
    call_unprivileged(&rig, &["run", "load", "--log-file", "logs/hw.log"]).refused("log_file_not_writable");
}
