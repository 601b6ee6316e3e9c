//! `highwater exec --lock PATH -- COMMAND`: a pass is the command. What its exit codes come to on the command line and in the
//! next pass, and what of it outlives the pass.

use std::process::Command;

use crate::rig::{Ended, Rig};

/// A command without a list and without a configuration; its ledger is in the user's state directory.
fn exec(rig: &Rig, more: &[&str]) -> Ended {
    let mut command = rig.command(&["--json", "exec", "--lock", "the.lock", "--"]);
    command.args(more).env("XDG_STATE_HOME", rig.dir.path()).output().unwrap().into()
}

fn reason(ended: &Ended) -> (i32, String) {
    (ended.code, ended.json()["reason"].as_str().unwrap().to_owned())
}

fn runs(pid: &str) -> bool {
    !std::fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default().is_empty()
}

#[test]
fn every_exit_code_has_its_ending_and_the_next_pass_keeps_to_it() {
    for (end, first, next, starts) in [
        ("exit 0", (0, "drained"), (0, "already_drained"), 1),
        ("exit 3", (3, "checkpoint"), (3, "checkpoint"), 2),
        ("exit 4", (4, "halted"), (4, "halted"), 1),
        ("exit 5", (4, "halted"), (4, "halted"), 1),
        ("exit 126", (4, "halted"), (4, "halted"), 1),
        ("exit 127", (4, "halted"), (4, "halted"), 1),
        ("kill -KILL $$", (4, "halted"), (4, "halted"), 1),
    ] {
        let rig = Rig::new("");
        rig.script("job", &format!("echo x >>log; [ -e mended ] && exit 0; echo 'row 7' >&2; {end}"));
        let passes = [exec(&rig, &["./job"]), exec(&rig, &["./job"])];
        let expected = [first, next].map(|(code, reason)| (code, reason.to_owned()));
        assert_eq!([reason(&passes[0]), reason(&passes[1])], expected, "{end}: {passes:?}");
        assert_eq!(rig.log().len(), starts, "{end}");
        if first.0 != 4 {
            continue;
        }
        let job = passes[0].json()["job"].as_str().unwrap().to_owned();
        let ledger = ["--ledger", "highwater/exec.db"];
        let status = rig.ok(&[&ledger[..], &["status", &job]].concat()).stdout;
        assert!(status.contains("row 7"), "{end}: the evidence is shown: {status}");
        rig.write("mended", "");
        rig.ok(&[&ledger[..], &["rearm", &job, "--why", "mended"]].concat());
        assert_eq!(reason(&exec(&rig, &["./job"])), (0, "drained".to_owned()), "{end}");
    }
}

#[test]
fn a_drained_command_says_how_it_would_run_at_every_call() {
    let rig = Rig::new("");
    rig.script("job", "echo x >>log");
    assert_eq!(reason(&exec(&rig, &["./job"])), (0, "drained".to_owned()));
    let second = exec(&rig, &["./job"]).stdout;
    assert!(second.contains("`--recurring` runs it at every call"), "{second}");
    rig.write("ids", "a\n");
    let list = ["exec", "-w", "ids", "--", "./job"];
    rig.ok(&list);
    let second = rig.ok(&list);
    assert!(second.stdout.contains("nothing to do"), "{}", second.stdout);
    assert!(!second.stdout.contains("--recurring"), "a list is drained once: {}", second.stdout);
}

#[test]
fn a_command_that_cannot_start_halts() {
    let rig = Rig::new("");
    rig.write("job", "not executable");
    for program in ["./none", "./job"] {
        for _ in 0..2 {
            assert_eq!(reason(&exec(&rig, &[program])), (4, "halted".to_owned()), "{program}");
        }
    }
}

#[test]
fn the_pass_s_time_ends_the_command_with_all_its_children() {
    let rig = Rig::new(
        "[job.load]\nkind = \"exec\"\ncommand = [\"./load\"]\ngrace = \"100ms\"\nbudget = { max-time = \"2s\" }\n",
    );
    rig.script("load", "sh -c 'trap \"\" TERM; echo $$ >stubborn; while :; do sleep 0.05; done' & echo $$ >pid; wait");
    assert_eq!(rig.pass(), (3, "budget_time".into()));
    let pids = [rig.read("pid"), rig.read("stubborn")];
    assert!(pids.iter().all(|pid| !pid.is_empty() && !runs(pid)), "{pids:?}");
}

#[test]
fn r01_what_a_command_left_behind_does_not_hold_the_lock() {
    let rig = Rig::new(
        "[job.load]\nkind = \"exec\"\ncommand = [\"./load\"]\nrecurring = true\nresources = [\"r\"]\n[resource.r]\nlock = \"file:r.lock\"\n",
    );
    rig.script("load", "sleep 600 >/dev/null 2>&1 & echo $! >>daemons");
    assert_eq!(rig.pass(), (0, "drained".into()));
    let flock = Command::new("flock").arg("-n").arg(rig.path("r.lock")).arg("true").status().unwrap();
    assert_eq!((flock.code(), rig.pass()), (Some(0), (0, "drained".into())));
    for daemon in rig.read("daemons").lines() {
        assert!(runs(daemon), "it outlived its pass");
        assert!(Command::new("kill").arg(daemon).status().unwrap().success());
    }
}
