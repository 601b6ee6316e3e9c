//! What lies where a file of a receiver's belongs, and is none: who names it, and that nothing is concluded from it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::receive::{Running, config, sha256};
use crate::recorded::store;
use crate::rig::{Ended, Rig, wait_until};

/// A receiver's directory with two episodes and their rows.
fn received() -> Rig {
    let rig = Rig::new(&config(&[("t", "lab")]));
    ["lab/ep-1", "lab/ep-2"].iter().for_each(|key| store(&rig.path("received/episodes"), key, key, None));
    rig.ok(&["reindex"]);
    rig
}

/// What the doctor says of rows: what was found, and what is done about it.
fn doctor(rig: &Rig) -> Vec<(String, String)> {
    let json = rig.run(&["doctor", "--json"]).json();
    let findings = json["findings"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let wrong = findings.filter(|finding| finding["what"] == "rows" && finding["ok"] == false);
    wrong.map(|finding| (text(&finding["found"]), text(&finding["fix"]))).collect()
}

fn make(kind: &str, path: &Path) {
    match kind {
        "a directory" => fs::create_dir(path).unwrap(),
        "a symlink" => symlink("/etc/passwd", path).unwrap(),
        _ => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
    }
}

fn needs_a_person(ended: &Ended, told: &str) {
    assert!(ended.code == 4, "{ended:?}");
    assert!(format!("{}{}", ended.stdout, ended.stderr).contains(told), "{told}: {ended:?}");
}

#[test]
fn what_has_an_episodes_place_is_named_by_all_that_look_and_the_row_is_not_given_up_for_it() {
    for kind in ["a directory", "a symlink", "a pipe, a socket or a device"] {
        let rig = received();
        let file = rig.path("received/episodes/lab/ep-1.tar.zst");
        let bytes = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        make(kind, &file);
        let index = rig.read("received/index.jsonl");
        let told = format!("{} is {kind}, where a file belongs", file.display());
        let found = doctor(&rig);
        assert!(found.len() == 1 && found[0].0 == told, "{found:?}");
        assert!(found[0].1.starts_with("move ") && found[0].1.contains("put its episode's file back"), "{found:?}");
        needs_a_person(&rig.run(&["episodes", "verify"]), &format!("lab/ep-1: {told}: move "));
        needs_a_person(&rig.run(&["reindex"]), &told);
        needs_a_person(&rig.run(&["reindex", "--dry-run", "--prune"]), &format!("leave {told}\n"));
        let pruned = rig.run(&["reindex", "--prune", "--force"]);
        needs_a_person(&pruned, &told);
        assert!(!pruned.stderr.contains("no stored episode"), "{pruned:?}");
        assert_eq!(rig.read("received/index.jsonl"), index, "its row stays");
        for args in [&["episodes", "show", "lab/ep-1"][..], &["episodes", "withdraw", "lab/ep-1", "--why", "x"]] {
            let ended = rig.run(args);
            assert!(
                ended.code == 1 && ended.stderr.contains(&told) && ended.stderr.contains("next: move "),
                "{ended:?}"
            );
        }
        assert_eq!(rig.read("received/index.jsonl"), index, "nothing is withdrawn of which nobody knows what it is");
        // One without a row, and one in the place of a host.
        let bare = rig.path("received/episodes/lab/ep-7.tar.zst");
        make(kind, &bare);
        let host = rig.path("received/episodes/lab-9");
        let hosts = u64::from(kind != "a directory");
        if hosts > 0 {
            make(kind, &host);
        }
        let verified = rig.run(&["episodes", "verify", "--json"]);
        assert!(verified.stdout.contains(&format!("\"odd\":{}", 1 + hosts)), "{verified:?}");
        assert!(verified.stdout.contains("ep-7.tar.zst"), "{verified:?}");
        assert_eq!(doctor(&rig).len() as u64, 2 + hosts);
        needs_a_person(&rig.run(&["reindex"]), "ep-7.tar.zst");
        assert_eq!(rig.run(&["reindex", "--host", "lab"]).code, 4);
        // The receiver says so in its log, and waits.
        let receiver = Running::start(&rig);
        assert_eq!(receiver.put("lab/ep-1", "t", "bytes"), 507);
        for odd in [&file, &bare, &host] {
            let _ = fs::remove_dir(odd).or_else(|_| fs::remove_file(odd));
        }
        fs::write(&file, &bytes).unwrap();
        assert_eq!(receiver.put("lab/ep-7", "t", "seven"), 201);
        let ended = receiver.stop();
        assert!(ended.stderr.contains(&told), "{ended:?}");
        assert!(doctor(&rig).is_empty());
        assert_eq!(rig.run(&["episodes", "verify", "--hashes-only"]).code, 0);
        rig.ok(&["reindex"]);
    }
}

#[test]
fn a_plain_file_in_the_place_of_a_host_that_has_rows_is_named_and_one_beside_the_hosts_is_in_nobodys_way() {
    let rig = received();
    rig.write("received/episodes/README", "these are episodes");
    assert!(doctor(&rig).is_empty());
    rig.ok(&["reindex"]);
    let host = rig.path("received/episodes/lab");
    fs::rename(&host, rig.path("kept")).unwrap();
    rig.write("received/episodes/lab", "");
    let told = format!("{} is a file, where a directory belongs", host.display());
    let found = doctor(&rig);
    assert!(found.len() == 1 && found[0].0 == told, "{found:?}");
    needs_a_person(&rig.run(&["episodes", "verify"]), &format!("lab/ep-1: {told}: move "));
    let index = rig.read("received/index.jsonl");
    rig.run(&["reindex", "--prune", "--force"]);
    assert_eq!(rig.read("received/index.jsonl"), index, "its rows stay");
}

#[test]
fn what_has_the_place_of_the_copies_is_told_by_all_that_look_and_one_that_is_gone_is_made_again() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    let staging = rig.path("received/episodes/.staging");
    // What was placed is swept out of it a moment later.
    let take_away = || wait_until("it is gone", || fs::remove_dir_all(&staging).is_ok());
    let of_store = || {
        let json = rig.run(&["doctor", "--json"]).json();
        let findings = json["findings"].as_array().unwrap().clone();
        let wrong = findings.iter().filter(|finding| finding["what"] == "store" && finding["ok"] == false);
        wrong.map(|finding| format!("{}; {}", finding["found"], finding["fix"])).collect::<Vec<_>>()
    };
    let begin_upload = || {
        let digest = BASE64_STANDARD.encode(sha256("one"));
        let of = format!("Upload-Length: 3\r\nUpload-Metadata: host bGFi,episode ZXAtOQ==,sha256 {digest}\r\n");
        receiver.post("/v1/uploads", "t", &format!("Tus-Resumable: 1.0.0\r\n{of}"), "").0
    };
    assert_eq!(receiver.put("lab/ep-0", "t", "zero"), 201);
    take_away();
    assert_eq!(receiver.get("/readyz", "t").0, 200, "it is made when it is needed");
    assert_eq!(receiver.put("lab/ep-1", "t", "one"), 201);
    assert!(staging.is_dir());
    take_away();
    assert_eq!(begin_upload(), 201);
    take_away();
    for (n, kind) in ["a file", "a symlink", "a pipe, a socket or a device"].into_iter().enumerate() {
        if kind == "a file" {
            fs::write(&staging, "").unwrap()
        } else {
            make(kind, &staging)
        }
        let told = format!("{} is {kind}, where a directory belongs", staging.display());
        let (status, ready) = receiver.get("/readyz", "t");
        assert!(status == 503 && ready.contains(&told) && ready.contains("move "), "{ready}");
        let (status, put) = receiver.put_with(&format!("lab/kind-{n}"), "t", "", "bytes");
        assert!(status == 503 && put.contains(&told) && put.contains("remediation"), "{put}");
        let found = of_store();
        assert!(found.len() == 1 && found[0].contains(&told) && found[0].contains("move "), "{found:?}");
        fs::remove_file(&staging).unwrap();
        assert!(of_store().is_empty());
        assert_eq!(receiver.put(&format!("lab/kind-{n}"), "t", "bytes"), 201);
        take_away();
    }
    receiver.stop();
    fs::write(&staging, "").unwrap();
    let ended = rig.run(&["receive"]);
    assert!(ended.code == 1 && ended.stderr.contains("error[HW-EPI-001]"), "{ended:?}");
    assert!(ended.stderr.contains("next: move ") && ended.stderr.contains(".staging"), "{ended:?}");
    fs::remove_file(&staging).unwrap();
    assert_eq!(Running::start(&rig).put("lab/ep-2", "t", "two"), 201);
}

#[test]
fn an_index_or_what_is_told_beside_it_that_is_no_file_is_named_with_what_to_do() {
    for name in ["index.jsonl", "index.jsonl.lost"] {
        for kind in ["a directory", "a pipe, a socket or a device"] {
            let rig = received();
            let (at, kept) = (rig.path("received").join(name), rig.path("kept"));
            if name == "index.jsonl" {
                fs::rename(&at, &kept).unwrap();
            }
            make(kind, &at);
            let told = format!("{} is {kind}, where a file belongs", at.display());
            let found = doctor(&rig);
            assert!(found.len() == 1 && found[0].0.contains(&told) && found[0].1.starts_with("move "), "{found:?}");
            for args in [
                &["episodes", "list"][..],
                &["episodes", "verify"],
                &["episodes", "withdraw", "lab/ep-1", "--why", "x"],
                &["reindex"],
                &["reindex", "--dry-run"],
                &["receive"],
            ] {
                let ended = rig.run(args);
                assert!(ended.code != 0 && ended.stderr.contains(&told), "{args:?}: {ended:?}");
                let next = format!("next: move {} away", at.display());
                assert!(ended.stderr.contains(&next), "{args:?}: {ended:?}");
            }
            let _ = fs::remove_dir(&at).or_else(|_| fs::remove_file(&at));
            if name == "index.jsonl" {
                fs::rename(&kept, &at).unwrap();
            }
            rig.ok(&["reindex"]);
            assert!(doctor(&rig).is_empty());
        }
    }
}

#[test]
fn a_receiver_whose_index_is_no_file_any_more_puts_off_what_is_sent() {
    let rig = received();
    let receiver = Running::start(&rig);
    let (index, kept) = (rig.path("received/index.jsonl"), rig.path("kept"));
    fs::rename(&index, &kept).unwrap();
    fs::create_dir(&index).unwrap();
    assert_eq!(receiver.put("lab/ep-3", "t", "three"), 503);
    assert!(receiver.get("/readyz", "").1.contains("is a directory, where a file belongs"));
    fs::remove_dir(&index).unwrap();
    fs::rename(&kept, &index).unwrap();
    assert_eq!(receiver.put("lab/ep-3", "t", "three"), 201);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn what_has_the_place_of_the_quarantine_is_named_before_anything_is_set_aside() {
    let rig = received();
    let quarantine = rig.path("received/quarantine");
    let _ = fs::remove_dir_all(&quarantine);
    for kind in ["a file", "a symlink"] {
        match kind {
            "a file" => fs::write(&quarantine, "").unwrap(),
            kind => make(kind, &quarantine),
        }
        let told = format!("{} is {kind}, where a directory belongs", quarantine.display());
        let doctor = rig.run(&["doctor"]);
        assert!(doctor.code != 0 && doctor.stdout.contains(&told), "{doctor:?}");
        let receiver = Running::start(&rig);
        assert_eq!(receiver.put("lab/ep-7", "t", kind), if kind == "a file" { 201 } else { 409 }, "it receives");
        let ended = receiver.stop();
        assert!(ended.stderr.contains(&told) && ended.stderr.contains("move "), "{ended:?}");
        // Where it is needed at the start, it is what keeps the receiver from starting.
        let index = rig.read("received/index.jsonl");
        rig.write("received/index.jsonl", &format!("{index}{{\"torn"));
        let refused = rig.run(&["receive"]);
        assert!(
            refused.code == 1 && refused.stderr.contains(&format!("next: move {}", quarantine.display())),
            "{refused:?}"
        );
        rig.write("received/index.jsonl", &index);
        fs::remove_file(&quarantine).unwrap();
    }
    rig.ok(&["doctor"]);
}

#[test]
fn a_pass_of_the_job_ends_for_a_person_as_the_word_does() {
    let rig = received();
    fs::write(rig.path("highwater.toml"), "[job.idx]\nkind = \"reindex\"\nroot = \"received\"\n").unwrap();
    let odd = rig.path("received/episodes/lab/ep-9.tar.zst");
    fs::create_dir(&odd).unwrap();
    let told = format!("{} is a directory, where a file belongs", odd.display());
    needs_a_person(&rig.run(&["run", "idx"]), &told);
    needs_a_person(&rig.run(&["reindex", "idx"]), &told);
    fs::remove_dir(&odd).unwrap();
    rig.ok(&["reindex", "idx"]);
    rig.ok(&["run", "idx"]);
}

/// The command that a text quotes.
fn command(text: &str) -> String {
    text.split('`').find(|part| part.starts_with("cp ")).unwrap_or_else(|| panic!("no command: {text}")).to_owned()
}

#[test]
fn an_index_that_is_a_symlink_is_put_in_its_place_by_the_command_that_is_told_and_what_was_withdrawn_stays_so() {
    let rig = received();
    rig.ok(&["episodes", "withdraw", "lab/ep-1", "--why", "lens cap on"]);
    let (index, disk) = (rig.path("received/index.jsonl"), rig.path("other disk"));
    fs::create_dir(&disk).unwrap();
    fs::rename(&index, disk.join("i.jsonl")).unwrap();
    symlink(disk.join("i.jsonl"), &index).unwrap();
    let ended = rig.run(&["receive"]);
    assert!(ended.code == 1 && ended.stderr.contains("is a symlink, where a file belongs"), "{ended:?}");
    let next = ended.stderr.lines().find_map(|line| line.trim().strip_prefix("next: ")).unwrap();
    assert!(!next.contains("away"), "{next}");
    let found = doctor(&rig);
    assert!(found.len() == 1 && found[0].0.contains("is a symlink, where a file belongs"), "{found:?}");
    assert_eq!(found[0].1, next);
    assert!(Command::new("sh").arg("-c").arg(command(next)).status().unwrap().success());
    assert!(doctor(&rig).is_empty());
    assert!(fs::symlink_metadata(&index).unwrap().is_file() && !index.with_extension("jsonl.new").exists());
    let receiver = Running::start(&rig);
    assert_eq!(receiver.put("lab/ep-1", "t", "one"), 409);
    assert_eq!(receiver.put("lab/ep-3", "t", "three"), 201);
}

#[test]
fn an_index_or_what_is_told_beside_it_that_leads_nowhere_is_named_with_what_is_lost_if_it_is_moved_away() {
    for name in ["index.jsonl", "index.jsonl.lost"] {
        let rig = received();
        let (at, kept) = (rig.path("received").join(name), rig.path("kept"));
        if name == "index.jsonl" {
            fs::rename(&at, &kept).unwrap();
        }
        symlink("nowhere", &at).unwrap();
        let leads_to = rig.path("received/nowhere");
        for told in [doctor(&rig)[0].1.clone(), rig.run(&["receive"]).stderr] {
            assert!(told.contains(&format!("mount what {} lies on", leads_to.display())), "{told}");
            assert!(told.contains("what was withdrawn can be received again"), "{told}");
        }
        fs::remove_file(&at).unwrap();
        if name == "index.jsonl" {
            fs::rename(&kept, &at).unwrap();
        }
        assert!(doctor(&rig).is_empty());
    }
}
