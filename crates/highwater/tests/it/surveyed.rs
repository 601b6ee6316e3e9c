//! Rows that lost their files and files that lost their rows: who says so.

use std::fs;

use crate::receive::{Running, config};
use crate::recorded::store;
use crate::rig::Rig;

const EPISODES: [&str; 4] = ["lab-1/ep-1", "lab-1/ep-2", "lab-1/ep-3", "lab-2/ep-1"];

fn received() -> Rig {
    let rig = Rig::new(&config(&[("t", "lab-1"), ("u", "lab-2")]));
    EPISODES.iter().for_each(|key| store(&rig.path("received/episodes"), key, key, None));
    rig.ok(&["reindex"]);
    rig
}

/// What the doctor says of rows: whether all is well, and what was found.
fn doctor(rig: &Rig) -> Vec<(bool, String)> {
    let json = rig.run(&["doctor", "--json"]).json();
    let findings = json["findings"].as_array().unwrap().iter().filter(|finding| finding["what"] == "rows");
    findings.map(|finding| (finding["ok"] == true, finding["found"].as_str().unwrap().to_owned())).collect()
}

const PASSED_OVER: &str = "passed over: 1 line of the index, line 4: it is no row: expected ident at line 1 column 2";

#[test]
fn a_row_of_another_schema_version_is_none_and_everyone_says_so() {
    let rig = received();
    let index = rig.read("received/index.jsonl");
    let later = index.replacen("\"schema_version\":1", "\"schema_version\":2", 1);
    // Its fields may be others, too.
    for text in [later.clone(), later.replacen("\"size_bytes\"", "\"bytes\"", 1)] {
        rig.write("received/index.jsonl", &text);
        let told = "passed over: 1 line of the index, line 1: it is of schema version 2, expected 1";
        assert!(doctor(&rig).contains(&(true, told.to_owned())), "{:?}", doctor(&rig));
        for call in [&["episodes", "list"][..], &["episodes", "verify"], &["reindex", "--dry-run"], &["reindex"]] {
            let said = rig.run(call);
            assert!(said.stderr.contains(told), "{call:?}: {said:?}");
        }
        // It is kept, and its episode has a row again.
        let now = rig.read("received/index.jsonl");
        assert!(now.starts_with(&text) && now.lines().count() == text.lines().count() + 1, "{now}");
        assert_eq!(rig.run(&["episodes", "verify"]).code, 0);
    }
}

#[test]
fn an_episode_that_lost_its_row_is_named_by_verify_and_doctor_until_reindex_gave_it_back() {
    let rig = received();
    let well = (true, "4 rows; those that were looked at have their file, and no file lacks a row".to_owned());
    assert_eq!(doctor(&rig), std::slice::from_ref(&well));
    assert!(rig.ok(&["episodes", "verify"]).stdout.starts_with("all agree: 4 rows, "));
    let index = rig.read("received/index.jsonl");
    let rest: String = index.split_inclusive('\n').filter(|line| !line.contains("\"ep-2\"")).collect();
    // Taken out, and unreadable: either way it has none.
    for text in [rest.clone(), format!("{rest}no row at all\n")] {
        rig.write("received/index.jsonl", &text);
        let mut told = vec![(false, "1 stored episode has no row, lab-1/ep-2".to_owned())];
        // It may be why.
        told.extend(text.contains("no row at all").then(|| (true, PASSED_OVER.to_owned())));
        assert_eq!(doctor(&rig), told);
        let verified = rig.run(&["episodes", "verify"]);
        assert_eq!(verified.code, 4, "{verified:?}");
        assert_eq!(
            verified.stdout,
            "lab-1/ep-2: stored, and has no row\n3 rows and what is stored agree; 1 stored episode has no row: `highwater reindex` gives it one\n"
        );
        assert_eq!(rig.run(&["episodes", "verify", "--host", "lab-2"]).code, 0, "of another host");
        let json = rig.run(&["episodes", "verify", "--hashes-only", "--json"]);
        assert!(
            json.stdout.contains("\"standing\":\"no-row\"") && json.stdout.contains("\"without_row\":1"),
            "{json:?}"
        );
        rig.ok(&["reindex"]);
        assert_eq!(rig.run(&["episodes", "verify"]).code, 0);
        let told = doctor(&rig);
        assert_eq!(told[0], well);
    }
    assert_eq!(doctor(&rig)[1], (true, PASSED_OVER.to_owned()));
}

#[test]
fn a_disk_that_is_not_mounted_is_told_by_the_doctor_and_by_a_receiver_that_starts_and_receives() {
    let rig = received();
    fs::rename(rig.path("received/episodes/lab-1"), rig.path("elsewhere")).unwrap();
    let told = "3 of 4 rows that were looked at have no stored episode, such as lab-1/ep-1";
    assert_eq!(doctor(&rig), [(false, told.to_owned())]);
    let receiver = Running::start(&rig);
    assert_eq!(receiver.put("lab-2/ep-9", "u", "bytes"), 201);
    let ended = receiver.stop();
    assert!(ended.stderr.contains(&format!("{told}: is the disk of the episodes mounted?")), "{ended:?}");
    fs::rename(rig.path("elsewhere"), rig.path("received/episodes/lab-1")).unwrap();
    let ended = Running::start(&rig).stop();
    assert!(!ended.stderr.contains("mounted"), "{ended:?}");
}

#[test]
fn a_disk_of_episodes_that_is_not_mounted_is_refused_at_the_start_and_one_that_lost_them_is_not() {
    for is_older in [false, true] {
        let rig = Rig::new(&config(&[("t", "lab-1")]));
        fs::create_dir(rig.path("received")).unwrap();
        let receiver = Running::start(&rig);
        let mark = rig.path("received/episodes/.highwater-store");
        assert!(!mark.exists(), "nothing was put there");
        assert_eq!(receiver.put("lab-1/ep-1", "t", "bytes"), 201);
        assert!(mark.exists());
        assert_eq!(receiver.stop().code, 0);
        let mounted = rig.path("received/episodes");
        if is_older {
            // An older version made none; it is made at the start.
            fs::remove_file(&mark).unwrap();
            assert_eq!(Running::start(&rig).stop().code, 0);
            assert!(mark.exists());
        }
        // As where somebody removed the mount point, and as below it.
        let disk = rig.path("disk");
        fs::rename(&mounted, &disk).unwrap();
        for is_there in [false, true] {
            if is_there {
                fs::create_dir(&mounted).unwrap();
            }
            let refused = rig.run(&["receive"]);
            assert_eq!(refused.code, 2, "{refused:?}");
            assert!(
                refused.stderr.contains("error[HW-EPI-107]") && refused.stderr.contains("(1 row looked at)"),
                "{refused:?}"
            );
            assert_eq!(refused.stderr.contains("mkdir"), !is_there, "{refused:?}");
            assert_eq!(doctor(&rig)[0].1.ends_with("is not there, and the index has 1 row"), !is_there);
            assert_eq!(fs::read_dir(&mounted).map_or(0, Iterator::count), 0, "nothing is made there");
        }
        let told = "1 of 1 row that was looked at has no stored episode, such as lab-1/ep-1";
        assert_eq!(doctor(&rig), [(false, told.to_owned())]);
        let verified = rig.run(&["episodes", "verify"]);
        assert!(verified.stderr.contains("error[HW-EPI-107]"), "{verified:?}");
        // On the disk itself one that was lost is told, and taken again.
        fs::remove_dir(&mounted).unwrap();
        fs::rename(&disk, &mounted).unwrap();
        fs::remove_file(mounted.join("lab-1/ep-1.tar.zst")).unwrap();
        let receiver = Running::start(&rig);
        assert_eq!(receiver.put("lab-1/ep-1", "t", "bytes"), 201);
        let ended = receiver.stop();
        assert!(ended.stderr.contains(&format!("{told}: is the disk of the episodes mounted?")), "{ended:?}");
        // What is lost for good is given up, as it is told.
        fs::remove_dir_all(&mounted).unwrap();
        fs::create_dir(&mounted).unwrap();
        assert_eq!(rig.run(&["receive"]).code, 2);
        rig.ok(&["reindex", "--prune", "--force"]);
        let receiver = Running::start(&rig);
        assert_eq!(receiver.put("lab-1/ep-1", "t", "bytes"), 201);
        assert_eq!(receiver.stop().code, 0);
    }
}

#[test]
fn rows_that_were_taken_out_come_back_or_are_given_up_while_the_receiver_runs() {
    let rig = received();
    let receiver = Running::start(&rig);
    rig.ok(&["episodes", "withdraw", "lab-1/ep-1", "--why", "lens cap"]);
    let ready = || receiver.get("/readyz", "");
    assert_eq!(ready().0, 200);
    // As a log is rotated.
    fs::rename(rig.path("received/index.jsonl"), rig.path("received/index.jsonl.1")).unwrap();
    let (status, told) = ready();
    assert!(status == 503 && told.contains("4 rows, 1 of them of a withdrawn episode, were taken out"), "{told}");
    assert!(told.contains("`highwater reindex`") && told.contains("`highwater reindex --prune`"), "{told}");
    assert_eq!(receiver.put("lab-1/ep-1", "t", "another"), 409, "it was withdrawn");
    let found = doctor(&rig);
    assert!(
        found
            .iter()
            .any(|(_, found)| found.contains("1 tombstone was taken out of the index, such as that of lab-1/ep-1")),
        "{found:?}"
    );
    assert!(found.iter().any(|(_, found)| found.contains("found that 3 rows were taken out")), "{found:?}");
    let dry = rig.run(&["reindex", "--dry-run"]);
    assert!(dry.code == 3 && dry.stdout.contains("put-back lab-1/ep-1"), "{dry:?}");
    let back = rig.ok(&["reindex"]);
    assert!(
        format!("{}{}", back.stdout, back.stderr).contains("1 tombstone that was taken out of the index is back"),
        "{back:?}"
    );
    assert_eq!((ready().0, receiver.put("lab-1/ep-1", "t", "another")), (200, 409));
    assert!(doctor(&rig).iter().all(|(ok, _)| *ok), "{:?}", doctor(&rig));

    // Row and file both: nothing gives it back but the very episode.
    let rows = rig.read("received/index.jsonl");
    let rest: String = rows.split_inclusive('\n').filter(|line| !line.contains("\"ep-2\"")).collect();
    rig.write("received/index.jsonl", &rest);
    fs::remove_file(rig.path("received/episodes/lab-1/ep-2.tar.zst")).unwrap();
    assert_eq!((ready().0, receiver.put("lab-1/ep-2", "t", "another")), (503, 409));
    rig.ok(&["reindex"]);
    assert_eq!(ready().0, 503, "it is missed still");
    let pruned = rig.ok(&["reindex", "--prune"]);
    assert!(format!("{}{}", pruned.stdout, pruned.stderr).contains("is given up"), "{pruned:?}");
    assert_eq!((ready().0, receiver.put("lab-1/ep-2", "t", "another")), (200, 201));
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_withdrawn_episode_that_is_put_back_by_hand_is_told_by_all_that_look_until_it_is_withdrawn_again() {
    let rig = received();
    let file = rig.path("received/episodes/lab-1/ep-2.tar.zst");
    let bytes = fs::read(&file).unwrap();
    let withdraw = ["episodes", "withdraw", "lab-1/ep-2", "--why", "lens cap"];
    rig.ok(&withdraw);
    rig.ok(&["reindex"]);
    assert!(doctor(&rig)[0].0);
    fs::write(&file, bytes).unwrap();
    assert_eq!(doctor(&rig), [(false, "1 withdrawn episode is stored all the same, lab-1/ep-2".to_owned())]);
    let text = rig.run(&["doctor"]).stdout;
    assert!(text.contains("next: `highwater episodes withdraw lab-1/ep-2 --why"), "{text}");
    let index = rig.read("received/index.jsonl");
    for args in [&["reindex"][..], &["reindex", "--verify"], &["reindex", "--prune"], &["reindex", "--host", "lab-1"]] {
        let told = rig.run(args);
        assert_eq!(told.code, 4, "{told:?}");
        assert!(told.stderr.contains("1 episode was withdrawn and is stored all the same: lab-1/ep-2;"), "{told:?}");
        assert!(told.stderr.contains("`highwater episodes withdraw"), "{told:?}");
    }
    let dry = rig.run(&["reindex", "--dry-run"]);
    assert!(
        dry.code == 4 && dry.stdout == "leave lab-1/ep-2: it was withdrawn, and is stored all the same\n",
        "{dry:?}"
    );
    assert_eq!(rig.read("received/index.jsonl"), index);
    assert_eq!(rig.run(&["reindex", "--host", "lab-2"]).code, 0, "of another host");
    rig.ok(&withdraw);
    assert!(!file.exists() && doctor(&rig)[0].0);
    rig.ok(&["reindex"]);
}
