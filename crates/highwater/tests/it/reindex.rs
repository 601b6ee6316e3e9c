//! `highwater reindex`: with and without a configuration, as a person calls it.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;

use crate::receive::{Running, config};
use crate::recorded::store;
use crate::rig::{Ended, Rig, wait_until};

/// A directory of hosts without a configuration, and how it is called.
fn bare() -> Rig {
    let rig = Rig::new("this is no configuration");
    for (key, text) in [("lab-1/ep-1", "a"), ("lab-1/ep-2", "b"), ("lab-2/ep-1", "c")] {
        store(&rig.path("data/hosts"), key, text, None);
    }
    rig
}

const BARE: [&str; 5] = ["reindex", "--episodes-root", "data/hosts", "--index", "data/rows.jsonl"];

fn bare_with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&BARE[..], more].concat()
}

/// Keys in force, as the index's own lines say.
fn keys(rig: &Rig, index: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for line in rig.read(index).lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let key = format!("{}/{}", row["host_id"].as_str().unwrap(), row["episode_id"].as_str().unwrap());
        let there = row.get("removed").is_none() && row.get("withdrawn").is_none();
        if there {
            keys.insert(key)
        } else {
            keys.remove(&key)
        };
    }
    keys
}

fn refused(ended: &Ended, code: &str, exit: i32) {
    assert_eq!(ended.code, exit, "{ended:?}");
    assert!(ended.stderr.contains(&format!("error[{code}]: ")) && ended.stderr.contains("next: "), "{ended:?}");
}

fn listing(rig: &Rig) -> BTreeSet<(String, u64, i64)> {
    let mut all = BTreeSet::new();
    let mut dirs = vec![rig.dir.path().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            all.insert((entry.path().display().to_string(), meta.len(), meta.mtime_nsec()));
            if meta.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    all
}

#[test]
fn r10_without_a_configuration_rows_and_episodes_are_the_same_set_at_each_call() {
    let rig = bare();
    let first = rig.ok(&BARE);
    assert!(first.stdout.contains("3 done"), "{first:?}");
    assert_eq!(keys(&rig, "data/rows.jsonl").len(), 3);
    // Again, there is nothing to do; and what came since is taken up, though it was drained before.
    let lines = rig.read("data/rows.jsonl");
    rig.ok(&BARE);
    assert_eq!(rig.read("data/rows.jsonl"), lines);
    store(&rig.path("data/hosts"), "lab-2/ep-2", "d", None);
    rig.ok(&bare_with(&["--host", "lab-1"]));
    assert_eq!(keys(&rig, "data/rows.jsonl").len(), 3, "of the other host nothing was asked");
    rig.ok(&BARE);
    assert_eq!(keys(&rig, "data/rows.jsonl").len(), 4);
    // Its ledger lies beside the index, and answers.
    let status = rig.ok(&["--ledger", "data/rows.jsonl.highwater.db", "status"]);
    assert!(status.stdout.contains("reindex"), "{status:?}");
    assert!(!rig.path("data/index.jsonl").exists());
    // Without `--index` it is beside the directory of hosts.
    rig.ok(&["reindex", "--episodes-root", "data/hosts"]);
    assert_eq!(keys(&rig, "data/index.jsonl").len(), 4);
}

#[test]
fn a_dry_run_lists_what_would_be_done_and_writes_nothing() {
    let rig = bare();
    let before = listing(&rig);
    let dry = rig.run(&bare_with(&["--dry-run"]));
    assert_eq!(dry.code, 3, "{dry:?}");
    assert_eq!(dry.stdout, "index  lab-1/ep-1\nindex  lab-1/ep-2\nindex  lab-2/ep-1\n");
    assert!(dry.stderr.contains("3 episodes to index; nothing was written"), "{dry:?}");
    assert_eq!(listing(&rig), before);
    rig.ok(&BARE);
    // A torn end stays torn, and a lost episode is told.
    let lines = rig.read("data/rows.jsonl");
    rig.write("data/rows.jsonl", &lines[..lines.len() - 30]);
    std::fs::remove_file(rig.path("data/hosts/lab-1/ep-1.tar.zst")).unwrap();
    let before = listing(&rig);
    let dry = rig.run(&bare_with(&["--dry-run", "--verify", "--json"]));
    assert_eq!(dry.code, 3, "{dry:?}");
    let would: Vec<_> = dry
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| format!("{} {}", line["would"].as_str().unwrap(), line["episode_id"].as_str().unwrap()))
        .collect();
    assert_eq!(would, ["verify ep-2", "index ep-1", "orphan ep-1"]);
    assert_eq!(listing(&rig), before);
    rig.ok(&bare_with(&["--prune"]));
    assert_eq!(rig.ok(&bare_with(&["--dry-run"])).stdout, "");
}

#[test]
fn verify_finds_what_differs_from_its_row_and_changes_nothing() {
    let rig = bare();
    rig.ok(&BARE);
    let lines = rig.read("data/rows.jsonl");
    store(&rig.path("data/hosts"), "lab-1/ep-2", "altered", None);
    let plain = rig.ok(&BARE);
    assert!(!plain.stdout.contains("review"), "{plain:?}");
    let verified = rig.ok(&bare_with(&["--verify"]));
    assert!(verified.stdout.contains("1 review"), "{verified:?}");
    assert_eq!(rig.read("data/rows.jsonl"), lines);
    let items = rig.ok(&["--ledger", "data/rows.jsonl.highwater.db", "items", "reindex", "--outcome", "review"]);
    assert!(items.stdout.contains("lab-1/ep-2") && items.stdout.contains("its row says"), "{items:?}");
}

#[test]
fn r10_prune_removes_rows_without_an_episode_by_tombstones_and_leaves_the_name_free() {
    let rig = bare();
    rig.ok(&BARE);
    let file = rig.path("data/hosts/lab-1/ep-1.tar.zst");
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let told = rig.ok(&BARE);
    assert!(told.stderr.contains("1 row has no stored episode: lab-1/ep-1"), "{told:?}");
    assert_eq!(keys(&rig, "data/rows.jsonl").len(), 3, "by explicit word alone");
    let lines = rig.read("data/rows.jsonl");
    let pruned = rig.ok(&bare_with(&["--prune"]));
    assert!(pruned.stderr.contains("1 row has no stored episode and was removed: lab-1/ep-1"), "{pruned:?}");
    assert_eq!(keys(&rig, "data/rows.jsonl"), ["lab-1/ep-2", "lab-2/ep-1"].map(str::to_owned).into());
    assert!(rig.read("data/rows.jsonl").starts_with(&lines), "nothing before it was changed");
    let again = rig.ok(&bare_with(&["--prune"]));
    assert!(!again.stderr.contains("no stored episode"), "{again:?}");
    // It turned up again.
    std::fs::write(&file, kept).unwrap();
    rig.ok(&BARE);
    assert_eq!(keys(&rig, "data/rows.jsonl").len(), 3);
}

#[test]
fn prune_refuses_where_most_rows_would_go_unless_it_is_forced() {
    let rig = bare();
    for n in 10..20 {
        store(&rig.path("data/hosts"), &format!("lab-3/ep-{n}"), "x", None);
    }
    rig.ok(&BARE);
    let lines = rig.read("data/rows.jsonl");
    // As where a disk is not mounted.
    std::fs::rename(rig.path("data/hosts"), rig.path("data/elsewhere")).unwrap();
    std::fs::create_dir(rig.path("data/hosts")).unwrap();
    refused(&rig.run(&bare_with(&["--prune"])), "HW-EPI-107", 2);
    // As where a part of it is not.
    std::fs::create_dir(rig.path("data/hosts/lab-3")).unwrap();
    std::fs::rename(rig.path("data/elsewhere/lab-3/ep-10.tar.zst"), rig.path("data/hosts/lab-3/ep-10.tar.zst"))
        .unwrap();
    refused(&rig.run(&bare_with(&["--prune"])), "HW-EPI-204", 2);
    assert_eq!(rig.read("data/rows.jsonl"), lines);
    std::fs::remove_dir_all(rig.path("data/hosts/lab-3")).unwrap();
    rig.ok(&bare_with(&["--prune", "--force"]));
    assert!(keys(&rig, "data/rows.jsonl").is_empty());
}

#[test]
fn with_a_configuration_it_indexes_the_job_that_is_meant_or_what_the_receiver_stores() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    store(&rig.path("received/episodes"), "lab/ep-1", "a", None);
    let receiver = Running::start(&rig);
    assert_eq!(receiver.put("lab/ep-2", "t", "bytes"), 201);
    rig.ok(&["reindex"]);
    assert_eq!(keys(&rig, "received/index.jsonl").len(), 2);
    assert_eq!(receiver.put("lab/ep-3", "t", "bytes"), 201);
    // What is pruned may be sent again, to the receiver that runs.
    std::fs::remove_file(rig.path("received/episodes/lab/ep-3.tar.zst")).unwrap();
    rig.ok(&["reindex", "--prune"]);
    assert_eq!(keys(&rig, "received/index.jsonl").len(), 2);
    wait_until("the receiver takes it", || receiver.put("lab/ep-3", "t", "bytes") == 201);
    assert_eq!(keys(&rig, "received/index.jsonl").len(), 3);
    assert_eq!(receiver.stop().code, 0);

    let job = |name: &str| format!("[job.{name}]\nkind = \"reindex\"\nroot = \"{name}\"\n");
    let rig = Rig::new(&job("a"));
    store(&rig.path("a/episodes"), "lab/ep-1", "a", None);
    rig.ok(&["reindex"]);
    assert_eq!(keys(&rig, "a/index.jsonl").len(), 1);
    store(&rig.path("a/episodes"), "lab/ep-2", "a", None);
    // Of the job itself drained is an end; the word looks anew.
    rig.ok(&["run", "a"]);
    assert_eq!(keys(&rig, "a/index.jsonl").len(), 1);
    rig.ok(&["reindex", "a", "-P", "4"]);
    assert_eq!(keys(&rig, "a/index.jsonl").len(), 2);
    rig.write("highwater.toml", &format!("{}{}", job("a"), job("b")));
    refused(&rig.run(&["reindex"]), "HW-CMD-056", 2);
}

#[test]
fn r15_rows_are_appended_to_an_index_alone() {
    let rig = bare();
    rig.ok(&BARE);
    let row = rig.read("data/rows.jsonl").lines().next().unwrap().to_owned();
    let others = ["Dear all,\nplease find the rows below.\n", "{\"a\":1}\n", "no end", "\n", "a,b\n1,2\n"];
    for text in others.iter().map(|text| (*text).to_owned()).chain(["x".repeat(100_000)]) {
        rig.write("data/note", &text);
        let before = listing(&rig);
        for more in [&[][..], &["--dry-run"], &["--prune"]] {
            let args = [&["reindex", "--episodes-root", "data/hosts", "--index", "data/note"], more].concat();
            let ended = rig.run(&args);
            refused(&ended, "HW-EPI-209", 2);
            assert!(ended.stderr.contains("data/note: --index: found a file of which no line is a row"), "{ended:?}");
        }
        assert_eq!((rig.read("data/note"), listing(&rig)), (text, before), "nothing is made, and nothing changed");
    }
    // What holds a row is an index, whatever else it holds, and so is what holds nothing.
    for text in [format!("Dear all,\n{row}\n"), row.clone(), String::new()] {
        rig.write("data/note", &text);
        rig.ok(&["reindex", "--episodes-root", "data/hosts", "--index", "data/note"]);
        assert_eq!(rig.read("data/note").matches("\"episode_id\"").count(), 3);
        std::fs::remove_file(rig.path("data/note.highwater.db")).unwrap();
    }
}

#[test]
fn r15_what_cannot_be_indexed_is_one_clear_error_and_changes_nothing() {
    let rig = bare();
    rig.write("data/note", "");
    let before = listing(&rig);
    refused(&rig.run(&["reindex"]), "HW-CFG-003", 2);
    for root in ["nowhere", "data/note", "/", "data/hosts/lab-1/ep-1.tar.zst"] {
        let ended = rig.run(&["reindex", "--episodes-root", root]);
        refused(&ended, "HW-EPI-203", 2);
        assert_eq!(ended.stderr.matches(&rig.path(root).display().to_string()).count().max(1), 1, "{ended:?}");
    }
    refused(&rig.run(&["reindex", "--episodes-root", "data/hosts", "--index", "nowhere/index.jsonl"]), "HW-EPI-203", 2);
    refused(&rig.run(&["reindex", "--episodes-root", "data/hosts", "--index", "/"]), "HW-EPI-203", 2);
    let ended = rig.run(&["reindex", "--episodes-root", "data/hosts", "--index", "/dev/null"]);
    refused(&ended, "HW-EPI-203", 2);
    assert!(ended.stderr.contains("next: name a file of its own") && !ended.stderr.contains("away"), "{ended:?}");
    for bad in ["../lab", "", "a/b", &"x".repeat(129)] {
        assert_eq!(rig.run(&bare_with(&["--host", bad])).code, 2, "{bad}");
    }
    assert_eq!(rig.run(&["reindex", "a", "--episodes-root", "data/hosts"]).code, 2);
    assert_eq!(rig.run(&["reindex", "--index", "x"]).code, 2);
    assert_eq!(rig.run(&bare_with(&["--force"])).code, 2);
    assert_eq!(listing(&rig), before);
}

#[test]
fn r15_a_directory_of_another_level_or_of_a_host_that_ships_is_refused_and_nothing_is_left_in_it() {
    let rig = bare();
    for dir in ["received", "lab/shipped/ep-1", "lab/episodes/ep-2", "lab/outbox"] {
        std::fs::create_dir_all(rig.path(dir)).unwrap();
    }
    rig.write("received/index.jsonl", "");
    store(&rig.path("received/episodes"), "lab-1/ep-1", "a", None);
    rig.write("lab/shipped/ep-1/meta.json", "{}");
    rig.write("lab/episodes/ep-2/meta.json", "{}");
    rig.write("lab/outbox/ep-2.tar.zst", "");
    let before = listing(&rig);
    for root in ["received", "received/episodes/lab-1", "lab", "lab/shipped", "lab/outbox", "lab/episodes"] {
        for more in [&[][..], &["--dry-run"]] {
            let ended = rig.run(&[&["reindex", "--episodes-root", root], more].concat());
            refused(&ended, "HW-EPI-203", 2);
            assert!(ended.stderr.contains("HOST/EPISODE.tar.zst"), "{ended:?}");
        }
    }
    assert_eq!(listing(&rig), before);
    // An empty one is a receiver's that has nothing yet.
    std::fs::create_dir_all(rig.path("new/episodes/lab-1")).unwrap();
    rig.ok(&["reindex", "--episodes-root", "new/episodes"]);
}

#[test]
fn another_user_than_the_owner_is_told_the_line_that_works() {
    if !nix::unistd::geteuid().is_root() {
        highwater_testkit::not_here::NotHere("not root".to_owned()).say("reindexing another user's files");
        return;
    }
    let rig = bare();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    rig.ok(&BARE);
    let bin = rig.path("highwater");
    std::fs::copy(crate::rig::HIGHWATER, &bin).unwrap();
    rig.sh("chmod -R a+rX . && chmod 755 .");
    let mut command = rig.command_of(&bin, &BARE);
    std::os::unix::process::CommandExt::uid(&mut command, nobody.uid.as_raw());
    std::os::unix::process::CommandExt::gid(&mut command, nobody.gid.as_raw());
    let ended = Ended::from(command.output().unwrap());
    refused(&ended, "HW-OWN-001", 2);
    assert!(ended.stderr.contains("sudo -u root highwater reindex --episodes-root data/hosts"), "{ended:?}");
}

#[test]
fn r05_killed_at_any_moment_it_goes_on_where_it_was() {
    let rig = bare();
    for n in 0..60 {
        store(&rig.path("data/hosts"), &format!("lab-4/ep-{n}"), &"x".repeat(n), None);
    }
    for round in 0..8 {
        let doomed = rig.doom(&bare_with(&["-P", "1"]));
        crate::rig::pause(std::time::Duration::from_millis(10 + 15 * round));
        doomed.kill_9();
    }
    rig.ok(&BARE);
    let lines = rig.read("data/rows.jsonl");
    assert_eq!((lines.lines().count(), keys(&rig, "data/rows.jsonl").len()), (63, 63), "each once");
}
