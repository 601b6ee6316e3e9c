//! Looking: status, items, worklist.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{OK, THREE, assert_refused, json_lines, three};
use crate::rig::{Ended, Flock, Rig, end, signal, wait_until};

#[test]
fn status_works_before_anything_ran_and_makes_nothing() {
    let rig = three();
    assert_eq!(rig.ok(&["status"]).stdout, "load: never run\n");
    let json = rig.ok(&["status", "--json"]).json();
    assert_eq!((&json["jobs"][0]["name"], &json["jobs"][0]["last_pass"]), (&"load".into(), &Value::Null));
    assert_refused(&rig.run(&["items", "load"]), "HW-CMD-002");
    assert_refused(&rig.run(&["worklist", "load"]), "HW-CMD-002");
    assert!(!rig.path(".highwater-state").exists());
}

#[test]
fn status_tells_progress_outcomes_and_the_last_pass() {
    let rig = Rig::load(&THREE, "[ $1 = a ] && exit 10; [ $1 = b ] && exit 3; exit 0", "");
    assert_eq!(rig.pass(), (3, "retry_left".into()));
    let status = rig.ok(&["status"]).stdout;
    for part in ["load: active\n", "2 of 3 (66 %)", "1 done, 1 gone, 1 retry", "1: retry_left, exit 3, "] {
        assert!(status.contains(part), "{part}: {status}");
    }
    let job = &rig.ok(&["status", "load", "--json"]).json()["jobs"][0];
    assert_eq!(job["state"], "active");
    assert_eq!(job["progress"]["terminal"], 2);
    assert_eq!(job["progress"]["sentence"].as_str().map(|text| text.starts_with("2 of 3 (66 %)")), Some(true));
    assert_eq!(job["worklist"]["tally"]["gone"], 1);
    assert_eq!(job["last_pass"]["reason"], "retry_left");
    assert_eq!(job["running"], Value::Null);
}

#[test]
fn status_shows_the_pass_that_runs_also_when_a_newer_one_missed_the_lock() {
    let rig =
        Rig::load(&THREE, "echo $1 >>log; [ $1 = a ] || while [ ! -e go ]; do sleep 0.02; done", "concurrency = 1");
    let pass = rig.start(&["run", "load"]);
    rig.wait_for_log(2);
    assert_eq!(rig.pass(), (3, "lock_held".into()));
    wait_until("the first outcome", || rig.ok(&["status"]).stdout.contains("1 of 3 (33 %)"));
    let status = rig.ok(&["status", "load"]).stdout;
    let held = format!("held by process {} on ", pass.id());
    for part in ["load: active\n", "running    pass 1 for ", "last pass  2: lock_held, exit 3", "lock       r: ", &held]
    {
        assert!(status.contains(part), "{part}: {status}");
    }
    let job = &rig.ok(&["status", "--json"]).json()["jobs"][0];
    assert_eq!((&job["running"]["id"], &job["last_pass"]), (&1.into(), &Value::Null));
    assert_eq!(job["since_then"]["last"]["id"], 2);
    rig.write("go", "");
    assert_eq!(end(pass).code, 0);
    assert!(rig.ok(&["status"]).stdout.starts_with("load: drained\n"));
}

#[test]
fn passes_that_came_to_nothing_do_not_hide_the_one_that_worked() {
    let rig = Rig::load(&THREE, "[ $1 = a ] && exit 10; [ $1 = b ] && exit 3; exit 0", "");
    assert_eq!(rig.pass(), (3, "retry_left".into()));
    let json = || rig.ok(&["status", "--json"]).json()["jobs"][0].clone();
    assert_eq!((&json()["since_then"], &json()["waiting"]), (&Value::Null, &json!([])), "the fields are always there");
    {
        let _held = Flock::hold(&rig.path("r.lock"));
        for _ in 0..2 {
            assert_eq!(rig.pass(), (3, "lock_held".into()));
        }
    }
    rig.ok(&["pause", "load"]);
    assert_eq!(rig.pass(), (3, "paused".into()));
    let status = rig.ok(&["status"]).stdout;
    for part in [
        "last pass  1: retry_left, exit 3, ",
        "since then 3 passes came to nothing (2 lock_held, 1 paused), the last (4) ",
    ] {
        assert!(status.contains(part), "{part}: {status}");
    }
    let job = json();
    assert_eq!((&job["last_pass"]["id"], &job["since_then"]["last"]["id"]), (&1.into(), &4.into()));
    assert_eq!(job["since_then"]["passes"], 3);
    assert_eq!(job["since_then"]["reasons"], json!({"lock_held": 2, "paused": 1}));
    rig.ok(&["resume", "load"]);
    rig.script("load", "");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.pass(), (0, "already_drained".into()));
    let status = rig.ok(&["status"]).stdout;
    assert!(status.contains("last pass  5: drained"), "{status}");
    assert!(status.contains("since then 1 pass came to nothing (already_drained), "), "{status}");
}

#[test]
fn r14_damaged_rows_are_named_in_the_report_in_status_and_by_doctor() {
    let rig = Rig::load(&THREE, "[ $1 = b ] && exit 3; exit 0", "");
    assert_eq!(rig.pass(), (3, "retry_left".into()));
    let ledger = rig.path(".highwater-state/ledger.db");
    let damaged = "UPDATE standing SET attempts = -7 WHERE outcome IN ('failed', 'deferred')";
    assert_eq!(rusqlite::Connection::open(&ledger).unwrap().execute(damaged, []).unwrap(), 1);
    let said = rig.run(&["run", "load", "--json"]);
    let told = "1 damaged row of the ledger set aside";
    let report = said.json();
    assert!(report["notes"][0].as_str().unwrap().contains(told), "{report}");
    let status = rig.ok(&["status"]).stdout;
    assert!(status.contains(told) && status.contains("`highwater events --job load`"), "{status}");
    assert_eq!(rig.ok(&["status", "--json"]).json()["jobs"][0]["quarantined"]["rows"], 1);
    let doctor = rig.run(&["doctor"]);
    assert!(doctor.code == 2 && doctor.stdout.contains("fix  damage     load: 1 damaged row"), "{doctor:?}");
    assert!(rig.ok(&["events", "--job", "load"]).stdout.contains("quarantined"));
}

#[test]
fn r05_an_item_whose_untried_row_a_hand_moved_is_drained_all_the_same() {
    for moved in
        ["UPDATE untried SET position = 99 WHERE position = 1", "UPDATE untried SET position = 0 WHERE position = 1"]
    {
        let rig = Rig::load(&THREE, "echo $1 >>log", "concurrency = 1");
        assert_eq!(rig.pass_with(&["--max-items", "1"]), (3, "budget_items".into()));
        let db = rusqlite::Connection::open(rig.path(".highwater-state/ledger.db")).unwrap();
        assert_eq!(db.execute(moved, []).unwrap(), 1, "{moved}");
        assert_eq!(rig.pass(), (0, "drained".into()), "{moved}");
        assert_eq!(rig.log(), ["a", "c", "b"], "{moved}: each once");
        assert_eq!(rig.tally(), json!({"done": 3}), "{moved}");
        assert!(rig.ok(&["events"]).stdout.contains("repair"), "{moved}");
    }
}

#[test]
fn a_list_of_one_reads_well() {
    let rig = Rig::load(&["a"], "exit 11", "");
    let said = rig.run(&["run", "load", "--dry-run"]);
    assert!(said.stdout.contains("would drain 1 item of"), "{said:?}");
    rig.list(&["a", "a"]);
    let said = rig.run(&["worklist", "load", "--replace"]);
    assert!(
        said.stdout.contains("load: 1 item pinned, all open") && said.stderr.contains("1 line repeats a key"),
        "{said:?}"
    );
    assert!(rig.ok(&["worklist", "load"]).stdout.contains("1 line repeats a key"));
    let events = rig.ok(&["events"]).stdout;
    assert!(events.contains("1 item from "), "{events}");
    let said = rig.run(&["run", "load"]);
    assert!(said.stdout.contains("1 of 1 item failed or need") || said.stdout.contains("drained"), "{said:?}");
    rig.ok(&["pause", "load"]);
    let again = rig.ok(&["pause", "load"]).stdout;
    assert!(again.trim_end().ends_with(|c: char| c.is_ascii_alphanumeric()), "no why was given: {again:?}");
    rig.ok(&["ban", "r", "--for", "2h"]);
    let again = rig.ok(&["ban", "r", "--for", "1h"]).stdout;
    assert!(again.contains("already (") && !again.contains(": )"), "{again}");
}

#[test]
fn a_job_that_waits_for_its_lock_is_shown_waiting() {
    let rig = Rig::load(&THREE, "", "lock-wait = \"1h\"");
    let _held = Flock::hold(&rig.path("r.lock"));
    let pass = rig.start(&["run", "load"]);
    wait_until("its ticket", || rig.ok(&["status", "--json"]).json()["jobs"][0]["waiting"] != json!([]));
    let status = rig.ok(&["status"]).stdout;
    assert!(status.starts_with("load: waiting\n"), "{status}");
    assert!(status.contains(&format!("waiting    for r: process {} on ", pass.id())), "{status}");
    signal(&pass, "TERM");
    assert_eq!(end(pass).code, 3);
    let status = rig.ok(&["status"]).stdout;
    assert!(status.contains("last pass  1: stopped, exit 3") && !status.contains("  waiting"), "{status}");
}

#[test]
fn status_says_that_a_pass_was_killed() {
    let rig = Rig::load(&THREE, "echo $1 >>log; while [ ! -e go ]; do sleep 0.02; done", "");
    // Its commands live on: they must not hold a pipe that this test reads to its end.
    let mut pass = rig.command(&["run", "load"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    rig.wait_for_log(1);
    signal(&pass, "KILL");
    let killed = pass.id();
    pass.wait().unwrap();
    let status = rig.ok(&["status"]).stdout;
    assert!(status.contains(&format!("killed     pass 1 (process {killed} on ")), "{status}");
    assert!(status.contains("was killed, or could not write its end; the next pass takes over"), "{status}");
    assert!(!status.contains("ETA"), "nothing runs: {status}");
    rig.write("go", "");
    assert_eq!(rig.pass(), (0, "drained".into()));
    let status = rig.ok(&["status"]).stdout;
    assert!(!status.contains("killed"), "{status}");
}

#[test]
fn status_of_one_job_shows_the_whole_evidence_and_of_all_one_line() {
    let rig = Rig::load(&THREE, "echo 'field 856 is missing' >&2; exit 4", "");
    assert_eq!(rig.pass(), (4, "halted".into()));
    let one = rig.ok(&["status", "load"]).stdout;
    assert!(one.contains("evidence ") && one.contains("field 856 is missing"), "{one}");
    assert!(!rig.ok(&["status"]).stdout.contains("evidence "));
    assert!(rig.ok(&["status", "--json"]).json()["jobs"][0]["halt"]["evidence"].as_str().unwrap().contains("856"));
}

#[test]
fn status_names_jobs_that_the_configuration_lost_or_disarmed() {
    let rig = three();
    rig.pass();
    let config = rig.read("highwater.toml").replace("[job.load]", "[job.other]\narmed = false");
    rig.write("highwater.toml", &config);
    let status = rig.ok(&["status"]).stdout;
    assert!(status.contains("other: never run, disarmed on this host"), "{status}");
    assert!(status.contains("load: drained, not in this configuration"), "{status}");
    assert_refused(&rig.run(&["status", "laod"]), "HW-CFG-014");
}

#[test]
fn items_are_listed_as_a_table_as_csv_and_as_json() {
    let rig =
        Rig::load(&["a", "b,\"c\"", "d"], "[ $1 = a ] && { echo 'no, not' >&2; exit 11; }; exit 0", "concurrency = 1");
    assert_eq!(rig.pass(), (0, "drained".into()));
    let table = rig.ok(&["items", "load"]).stdout;
    assert!(table.starts_with("POSITION  KEY    OUTCOME  ATTEMPTS"), "{table}");
    assert_eq!(table.lines().count(), 4);
    let csv = rig.ok(&["items", "load", "--csv"]).stdout;
    assert!(csv.starts_with("position,key,outcome,attempts,"), "{csv}");
    assert!(csv.contains("\n1,\"b,\"\"c\"\"\",done,1,0,"), "{csv}");
    let lines = json_lines(&rig.ok(&["items", "load", "--json"]));
    assert_eq!(lines.iter().map(|item| &item["key"]).collect::<Vec<_>>(), ["a", "b,\"c\"", "d"]);
    assert!(lines[0]["detail"].as_str().unwrap().contains("no, not"), "{lines:?}");

    let keys = |args: &[&str]| -> Vec<Value> {
        let args: Vec<&str> = ["items", "load", "--json"].iter().chain(args).copied().collect();
        json_lines(&rig.ok(&args)).into_iter().map(|item| item["key"].clone()).collect()
    };
    assert_eq!(keys(&["--outcome", "review"]), ["a"]);
    assert_eq!(keys(&["--outcome", "open"]), [] as [&str; 0]);
    assert_eq!(keys(&["--key", "d", "--key", "a"]), ["a", "d"]);
    assert_eq!(keys(&["--limit", "2"]), ["a", "b,\"c\""]);
    let numbers = json_lines(&rig.ok(&["items", "load", "--json", "--recorded"]));
    assert_eq!(numbers.iter().map(|item| &item["recorded_no"]).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn items_that_are_not_there_and_words_that_are_none_are_refused() {
    let rig = three();
    rig.pass();
    let typo = rig.run(&["items", "load", "--outcome", "reveiw"]);
    assert_refused(&typo, "HW-CMD-003");
    assert!(typo.stderr.contains("did you mean `review`?"), "{typo:?}");
    assert_refused(&rig.run(&["retry", "load", "--outcome", "open"]), "HW-CMD-003");
    let half = rig.run(&["items", "load", "--key", "a", "--key", "nobody", "--json"]);
    assert_eq!(half.code, 2);
    assert_eq!(half.stdout.lines().count(), 2, "what was found, and the refusal: {half:?}");
    assert_eq!(half.json()["error"]["code"], "HW-CMD-004");
}

#[test]
fn a_long_list_comes_whole_in_its_order_and_its_reader_may_leave() {
    let many: Vec<String> = (0..2_500).map(|n| format!("item {n}")).collect();
    let rig = Rig::load(&many.iter().map(String::as_str).collect::<Vec<_>>(), OK, "");
    let pinned = rig.ok(&["worklist", "load", "--replace"]);
    assert!(pinned.stdout.contains("2,500 items pinned"), "{pinned:?}");
    let lines = json_lines(&rig.ok(&["items", "load", "--json"]));
    assert_eq!(lines.iter().map(|item| item["key"].as_str().unwrap()).collect::<Vec<_>>(), many);
    let csv = rig.ok(&["items", "load", "--csv"]).stdout;
    assert_eq!(csv.lines().count(), 2_501);
    let shell = format!("{} items load | head -1", crate::rig::HIGHWATER);
    let out = std::process::Command::new("bash")
        .args(["-o", "pipefail", "-c", &shell])
        .current_dir(rig.dir.path())
        .output()
        .unwrap();
    assert_eq!((out.status.code(), out.stderr.len()), (Some(0), 0), "{out:?}");
    if std::path::Path::new("/dev/full").exists() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended: crate::rig::Ended = rig.command(&["items", "load", "--csv"]).stdout(full).output().unwrap().into();
        assert_eq!(ended.code, 1, "a list that is cut off is no success: {ended:?}");
        assert!(ended.stderr.contains("HW-CMD-011"), "{ended:?}");
    }
}

#[test]
fn a_worklist_says_what_it_came_from_and_grows_by_extend() {
    let rig = Rig::load(&["a", "b", "a"], OK, "concurrency = 1");
    rig.pass();
    let shown = rig.ok(&["worklist", "load"]).stdout;
    for part in ["load: round 1, drained\n", "ids.txt", "SHA-256 ", "2\n", "1 line repeats a key", "2 done"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let record = rig.ok(&["worklist", "load", "--show", "--json"]).json();
    assert_eq!((&record["tally"]["total"], &record["state"]), (&2.into(), &"drained".into()));

    rig.list(&["a", "b", "c", "d"]);
    assert_eq!(rig.pass(), (2, "refused".into()));
    let extended = rig.ok(&["worklist", "load", "--extend"]);
    assert!(
        extended.stdout.contains("2 items added, 4 in all, 2 open") && extended.stdout.contains("highwater run load"),
        "{extended:?}"
    );
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log(), ["a", "b", "c", "d"]);
    let replaced = rig.ok(&["worklist", "load", "--replace", "--json"]).json();
    assert_eq!(
        (&replaced["added"], &replaced["reason"], &replaced["exit"]),
        (&json!(4), &json!("pinned"), &json!("drained"))
    );
    assert_eq!(rig.tally(), json!({"open": 4}));
}

#[test]
fn a_worklist_that_is_held_is_not_pinned_beside_it() {
    let rig = Rig::load(&THREE, "echo $1 >>log; while [ ! -e go ]; do sleep 0.02; done", "");
    let pass = rig.start(&["run", "load"]);
    rig.wait_for_log(1);
    let refused = rig.run(&["worklist", "load", "--replace"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stdout.contains("is held"), "{refused:?}");
    rig.write("go", "");
    assert_eq!(end(pass).code, 0);
}

#[test]
fn a_directory_whose_name_is_no_text_is_told_in_json_too() {
    let rig = Rig::new("");
    let here = rig.path("").join(OsStr::from_bytes(b"lab\xff"));
    fs::create_dir_all(here.join("received/episodes")).unwrap();
    fs::write(here.join("received/episodes/.highwater-store"), "").unwrap();
    fs::write(here.join("received/index.jsonl"), "").unwrap();
    let told = |args: &[&str], code: i32| {
        let absolute = here.join("made");
        let mut command = rig.command(&[]);
        command.current_dir(&here).args(args.iter().map(|arg| match *arg {
            "HERE" => absolute.as_os_str(),
            arg => OsStr::new(arg),
        }));
        let ended: Ended = command.arg("--json").output().unwrap().into();
        assert_eq!(ended.code, code, "{args:?}: {ended:?}");
        ended.json()
    };
    assert_eq!(told(&["init"], 0)["config"], "./highwater.toml");
    assert!(told(&["status"], 0)["ledger"].as_str().unwrap().contains("lab\u{fffd}"));
    let export = ["episodes", "export", "--root", "received", "--format", "csv", "--out", "HERE"];
    assert!(told(&export, 0)["file"].as_str().unwrap().ends_with("lab\u{fffd}/made"));
    assert!(told(&["man", "--dir", "HERE"], 2)["error"]["file"].as_str().unwrap().ends_with("lab\u{fffd}/made"));
    fs::remove_file(here.join("made")).unwrap();
    fs::create_dir(here.join("made")).unwrap();
    assert!(told(&["man", "--dir", "HERE"], 0)["directory"].as_str().unwrap().ends_with("lab\u{fffd}/made"));
}
