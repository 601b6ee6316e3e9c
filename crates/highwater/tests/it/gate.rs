//! `highwater gate`: what an operator lets in, and that a running receiver takes it up.

use std::process::Command;

use highwater_testkit::not_here::NotHere;

use crate::receive::{Running, config};
use crate::rig::{Ended, Rig, wait_until};

/// A receiver's place with a repository of two commits, of which the newer is accepted; the commits, the newer first.
fn place() -> Option<(Rig, [String; 2])> {
    if Command::new("git").arg("--version").output().is_err() {
        NotHere("there is no git".to_owned()).say("what operators let in");
        return None;
    }
    let gate = "[receiver.gate]\nrepository = \"code\"\nwindow = 1\nremediation = [\"git -C /srv/code pull\"]\n";
    let rig = Rig::new(&format!("{}{gate}", config(&[("t", "lab")])));
    std::fs::create_dir(rig.path("received")).unwrap();
    let made = rig.sh(
        "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
         git init -q code && cd code && git commit -q --allow-empty -m one && git commit -q --allow-empty -m two && git log --format=%H",
    );
    let commits: Vec<_> = made.stdout.lines().map(str::to_owned).collect();
    Some((rig, commits.try_into().unwrap_or_else(|_| panic!("{made:?}"))))
}

fn refused(ended: &Ended, code: &str, exit: i32) {
    assert_eq!(ended.code, exit, "{ended:?}");
    assert!(ended.stderr.contains(&format!("error[{code}]: ")) && ended.stderr.contains("next: "), "{ended:?}");
    assert_eq!(ended.stderr.matches("error[").count(), 1, "one error: {ended:?}");
}

fn acts(rig: &Rig) -> Vec<(String, String)> {
    let lines = rig.ok(&["events", "--json"]).stdout;
    let events = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    events.map(|event| (text(&event["act"]), text(&event["why"]))).collect()
}

#[test]
fn r12_what_an_operator_lets_in_is_taken_up_by_a_running_receiver_and_can_be_taken_back() {
    let Some((rig, [head, old])) = place() else { return };
    let receiver = Running::start(&rig);
    let put = |episode: &str, commit: &str| {
        let header = format!("X-Code-Commit: {commit}\r\n");
        receiver.put_with(&format!("lab/{episode}"), "t", &header, "bytes").0
    };
    assert_eq!((put("a", &head), put("b", &old)), (201, 412));

    let said = rig.ok(&["gate", "allow", &old, "--until", "1 days", "--why", "recorded before the upgrade"]);
    assert!(said.stdout.contains(&old) && said.stdout.contains("within 5 seconds"), "{said:?}");
    wait_until("the receiver lets it in", || put("b", &old) == 201);
    let index = rig.read("received/index.jsonl");
    assert!(index.lines().last().unwrap().contains("\"gate\":\"allowed\""), "{index}");

    let listed = rig.ok(&["gate", "list"]).stdout;
    for part in [&head, &old, "until 20", "recorded before the upgrade", "the newest 1 commit of HEAD"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    let json = rig.ok(&["gate", "list", "--json"]).json();
    assert_eq!(json["gate"]["head"], head.as_str());
    assert_eq!((&json["allowed"][0]["commit"], &json["allowed"][0]["stands"]), (&old.as_str().into(), &true.into()));

    rig.ok(&["gate", "revoke", &old, "--why", "all of it has arrived"]);
    wait_until("the receiver refuses it", || put("c", &old) == 412);
    refused(&rig.run(&["gate", "revoke", &old, "--why", "again"]), "HW-CMD-053", 2);
    let acts = acts(&rig);
    assert_eq!(acts.len(), 2, "what is refused is no event: {acts:?}");
    assert!(acts[0].0 == "gate-allow" && acts[0].1.contains(&old) && acts[0].1.ends_with("before the upgrade"));
    assert_eq!((acts[1].0.as_str(), &acts[1].1), ("gate-revoke", &format!("{old}: all of it has arrived")));
}

#[test]
fn r12_an_episode_that_names_no_commit_is_told_as_such_and_nobody_is_sent_for_newer_code() {
    let Some((rig, _)) = place() else { return };
    let receiver = Running::start(&rig);
    assert!(
        receiver.put_with("lab/a", "t", "", "bytes").1.contains("`code_version.commit`"),
        "who sends by hand is told, too"
    );
    rig.write("highwater.toml", &crate::ship::job(&format!("http://{}", receiver.address), ""));
    std::fs::create_dir_all(rig.path("episodes/ep-1")).unwrap();
    rig.write("episodes/ep-1/telemetry.csv", "1,2");
    rig.write("episodes/ep-1/done.marker", "");
    for call in [&["ship", "send"][..], &["items", "send"], &["episodes", "resolve"], &["ship", "send", "--ping"]] {
        let said = rig.run(call);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(all.contains("code_version.commit") && all.contains("meta.json"), "{call:?}: {said:?}");
        assert!(!all.contains("git -C"), "{call:?}: {said:?}");
    }
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn r15_what_cannot_be_let_in_is_one_clear_error_and_changes_nothing() {
    let Some((rig, [head, old])) = place() else { return };
    let unchanged = |rig: &Rig| assert!(!rig.path("received/gate-allowed.jsonl").exists() && acts(rig).is_empty());
    for (commit, until, code) in [
        ("HEAD", "1 days", "HW-CMD-050"),
        (&old[..12], "1 days", "HW-CMD-050"),
        ("'; rm -rf /", "1 days", "HW-CMD-050"),
        (&"f".repeat(100_000), "1 days", "HW-CMD-050"),
        (&old, "2001-01-01T00:00:00Z", "HW-CMD-051"),
        (&old, "0s", "HW-CMD-051"),
        (&old, "soon", "HW-CMD-009"),
        (&old, "999999999999 days", "HW-CMD-009"),
    ] {
        let ended = rig.run(&["gate", "allow", commit, "--until", until]);
        refused(&ended, code, 2);
        assert!(ended.stderr.len() < 600, "{ended:?}");
        unchanged(&rig);
    }
    let allow = ["gate", "allow", &old, "--until", "1 days"];
    let without = Rig::new("");
    refused(&without.run(&allow), "HW-CFG-021", 2);
    refused(&without.run(&["gate", "list"]), "HW-CFG-021", 2);
    let off = Rig::new(&config(&[("t", "lab")]));
    refused(&off.run(&allow), "HW-CMD-052", 2);
    unchanged(&off);
    assert!(off.ok(&["gate", "list"]).stdout.contains("the gate is off"));
    // The receiver's directory is not there.
    std::fs::remove_dir(rig.path("received")).unwrap();
    refused(&rig.run(&allow), "HW-CMD-054", 1);
    assert_eq!(acts(&rig).last().unwrap().0, "gate-failed", "the event before it does not stand alone");
    std::fs::create_dir(rig.path("received")).unwrap();
    // A line that is none of ours would keep the gate from reading: it is named, and nothing is added.
    rig.write("received/gate-allowed.jsonl", "{\"commit\":\n");
    let ended = rig.run(&allow);
    refused(&ended, "HW-CMD-054", 1);
    assert!(ended.stderr.contains("gate-allowed.jsonl line 1"), "{ended:?}");
    assert_eq!(rig.read("received/gate-allowed.jsonl"), "{\"commit\":\n");
    rig.write("received/gate-allowed.jsonl", "");
    // Without the repository the rest is shown, and that it cannot be read.
    rig.ok(&["gate", "allow", &head, "--until", "1 days", "--why", "two\nlines \u{1b}[2J"]);
    std::fs::rename(rig.path("code"), rig.path("gone")).unwrap();
    let ended = rig.run(&["gate", "list"]);
    refused(&ended, "HW-CMD-055", 1);
    assert!(ended.stdout.contains(&head) && ended.stdout.contains("two\\nlines \\u{1b}[2J"), "{ended:?}");
    rig.ok(&allow);
}

#[test]
fn r14_a_torn_end_is_ended_or_set_aside_and_what_follows_is_let_in() {
    let Some((rig, [_, old])) = place() else { return };
    let file = "received/gate-allowed.jsonl";
    rig.ok(&["gate", "allow", &old, "--until", "1 days"]);
    let whole = rig.read(file);
    rig.write(file, &format!("{whole}{{\"commit\":\"{}", &old[..7]));
    rig.ok(&["gate", "allow", &"a".repeat(40), "--until", "1 days"]);
    assert_eq!(rig.read("received/quarantine/gate-allowed.jsonl.0"), format!("{{\"commit\":\"{}", &old[..7]));
    let lines = rig.read(file);
    rig.write(file, lines.trim_end());
    rig.ok(&["gate", "allow", &"b".repeat(40), "--until", "1 days"]);
    let json = rig.ok(&["gate", "list", "--json"]).json();
    assert_eq!(json["allowed"].as_array().unwrap().len(), 3, "{json}");
}

#[test]
fn what_is_no_file_in_the_place_of_what_is_let_in_is_named_with_what_to_do() {
    let Some((rig, [head, _])) = place() else { return };
    let at = rig.path("received/gate-allowed.jsonl");
    for (kind, make) in [("a directory", "mkdir"), ("a pipe, a socket or a device", "mkfifo")] {
        assert!(Command::new(make).arg(&at).status().unwrap().success());
        let told = format!("{} is {kind}, where a file belongs", at.display());
        for args in [&["gate", "list"][..], &["gate", "allow", &head, "--until", "1 day", "--why", "x"]] {
            let ended = rig.run(args);
            refused(&ended, "HW-CMD-054", 1);
            let next = format!("next: move {} away, out of the receiver's directory; then put back", at.display());
            assert!(ended.stderr.contains(&told) && ended.stderr.contains(&next), "{ended:?}");
        }
        let doctor = rig.run(&["doctor"]).stdout;
        assert!(doctor.contains(&told) && doctor.contains("`highwater gate allow` again for each commit"), "{doctor}");
        assert!(Command::new("rm").arg("-r").arg(&at).status().unwrap().success());
    }
    rig.ok(&["gate", "list"]);
}
