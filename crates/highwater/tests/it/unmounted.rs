//! A disk of episodes that is not mounted: who refuses to do anything about what is stored, and that nothing is changed.

use std::fs;
use std::path::PathBuf;

use highwater_testkit::bind_mount::BindMount;
use highwater_testkit::small_disk::SmallDisk;

use crate::receive::{Running, config};
use crate::recorded::store;
use crate::rig::{Ended, Rig, wait_until};

/// A receiver's directory with three episodes, whose disk is mounted.
fn received() -> Rig {
    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    for id in ["ep-1", "ep-2", "ep-3"] {
        assert_eq!(receiver.put(&format!("lab/{id}"), "t", id), 201);
    }
    assert_eq!(receiver.stop().code, 0);
    rig
}

fn episodes(rig: &Rig) -> PathBuf {
    rig.path("received/episodes")
}

/// Takes the disk away; an empty mount point is left.
fn unmount(rig: &Rig) {
    fs::rename(episodes(rig), rig.path("disk")).unwrap();
    fs::create_dir(episodes(rig)).unwrap();
}

fn mount(rig: &Rig) {
    fs::remove_dir(episodes(rig)).unwrap();
    fs::rename(rig.path("disk"), episodes(rig)).unwrap();
}

fn is_refused(rig: &Rig, ended: &Ended, what: &str) {
    assert!(ended.code == 2 && ended.stderr.contains("error[HW-EPI-107]"), "{what}: {ended:?}");
    assert_eq!(fs::read_dir(episodes(rig)).unwrap().count(), 0, "{what}: nothing is made there");
}

#[test]
fn a_receiver_whose_disk_is_not_mounted_is_refused_also_while_a_tombstone_is_missed() {
    let rig = received();
    let receiver = Running::start(&rig);
    rig.ok(&["episodes", "withdraw", "lab/ep-2", "--why", "lens cap"]);
    assert_eq!(receiver.get("/v1/episodes", "t").0, 200);
    let index = rig.read("received/index.jsonl");
    let rest: String = index.split_inclusive('\n').filter(|line| !line.contains("lens cap")).collect();
    rig.write("received/index.jsonl", &rest);
    assert_eq!(receiver.get("/readyz", "").0, 503);
    assert_eq!(receiver.stop().code, 0);
    assert!(rig.read("received/index.jsonl.lost").contains("lens cap"));
    unmount(&rig);
    for again in ["at the first start", "at the next"] {
        is_refused(&rig, &rig.run(&["receive"]), again);
    }
    // Mounted, it starts, and misses what it missed.
    mount(&rig);
    let receiver = Running::start(&rig);
    assert_eq!(receiver.put("lab/ep-2", "t", "another"), 409);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn what_comes_while_the_disk_of_a_running_receiver_is_away_is_put_off_and_stored_nowhere() {
    let rig = received();
    let receiver = Running::start(&rig);
    for (what, dirs) in [("an empty mount point", &[][..]), ("one that looks like a store", &[".staging", "lab"])] {
        unmount(&rig);
        dirs.iter().for_each(|dir| fs::create_dir(episodes(&rig).join(dir)).unwrap());
        // How much room there is was asked a moment ago.
        wait_until("it is told", || receiver.get("/readyz", "").0 == 503);
        assert!(receiver.get("/readyz", "").1.contains("is its disk mounted?"), "{what}");
        assert_eq!(receiver.put("lab/ep-9", "t", "nine"), 503, "{what}");
        assert_eq!(receiver.get("/v1/episodes/lab/ep-1", "t").0, 503, "{what}");
        for dir in dirs {
            assert_eq!(fs::read_dir(episodes(&rig).join(dir)).unwrap().count(), 0, "{what}");
        }
        assert_eq!(fs::read_dir(episodes(&rig)).unwrap().count(), dirs.len(), "{what}");
        fs::remove_dir_all(episodes(&rig)).unwrap();
        fs::rename(rig.path("disk"), episodes(&rig)).unwrap();
        wait_until("it is back", || receiver.get("/readyz", "").0 == 200);
        assert_eq!(receiver.get("/v1/episodes/lab/ep-1", "t").0, 200, "{what}");
    }
    assert_eq!(receiver.put("lab/ep-9", "t", "nine"), 201);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_receiver_that_has_another_directory_than_is_at_its_path_now_is_told_by_the_doctor() {
    let rig = received();
    let receiver = Running::start(&rig);
    let listens = rig.read("highwater.toml").replace("127.0.0.1:0", &receiver.address);
    let told = |rig: &Rig| {
        let said = rig.run(&["doctor"]).stdout;
        let found = format!(
            "something listens at {}, and no receiver has the directory that is at {} now",
            receiver.address,
            rig.path("received").display()
        );
        assert!(!said.contains(&found) || said.contains("or restart it, and it takes what is there now"), "{said}");
        said.contains(&found)
    };
    rig.write("highwater.toml", &listens);
    assert!(!told(&rig));
    rig.sh("cp -a received older");
    fs::rename(rig.path("received"), rig.path("moved")).unwrap();
    for put in ["", "mkdir received", "rmdir received; cp -a older received"] {
        assert_eq!(rig.sh(put).code, 0, "{put}");
        assert!(told(&rig), "{put:?}");
    }
    fs::remove_dir_all(rig.path("received")).unwrap();
    fs::rename(rig.path("moved"), rig.path("received")).unwrap();
    assert!(!told(&rig));
    // At every address is at this one, too.
    rig.write(
        "highwater.toml",
        &listens.replace("127.0.0.1:", "0.0.0.0:").replace("root =", "allow-plain-http = true\nroot ="),
    );
    assert!(!told(&rig));
    fs::rename(rig.path("received"), rig.path("moved")).unwrap();
    assert!(told(&rig));
    rig.write("highwater.toml", &listens);
    let stopped = receiver.stop();
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(!rig.run(&["doctor"]).stdout.contains("something listens"));
}

#[test]
fn a_receiver_whose_directory_was_moved_away_says_so_once_in_its_log_with_the_way_out() {
    let rig = received();
    let receiver = Running::start(&rig);
    fs::rename(rig.path("received"), rig.path("moved")).unwrap();
    let (status, ready) = receiver.get("/readyz", "");
    let told = format!("{} is not the directory that the store was opened with", rig.path("received").display());
    assert!(status == 503 && ready.contains(&told) && ready.contains("or restart the receiver"), "{ready}");
    for episode in ["ep-1", "ep-8", "ep-9"] {
        assert_eq!(receiver.put(&format!("lab/{episode}"), "t", episode), 503);
    }
    fs::rename(rig.path("moved"), rig.path("received")).unwrap();
    assert_eq!(receiver.put("lab/ep-9", "t", "nine"), 201);
    let log = receiver.stop().stderr;
    assert_eq!(log.matches("nothing is received: ").count(), 1, "{log}");
    assert!(log.contains(&told) && log.contains("next: put it back") && !log.contains("cannot be received"), "{log}");
}

#[test]
fn nothing_is_withdrawn_indexed_given_up_or_compared_on_a_disk_that_is_not_mounted() {
    let rig = received();
    unmount(&rig);
    let index = rig.read("received/index.jsonl");
    let call = |args: &[&str]| {
        let ended = rig.run(args);
        let next = ended.stderr.split_once("next: ").map(|(_, next)| next).unwrap_or_default();
        assert!(next.starts_with("mount the disk of the episodes"), "{args:?}: {ended:?}");
        is_refused(&rig, &ended, &args.join(" "));
        assert_eq!(rig.read("received/index.jsonl"), index, "{args:?}");
    };
    let withdraw = ["episodes", "withdraw", "lab/ep-1", "--why", "lens cap"];
    call(&withdraw);
    call(&[&withdraw[..], &["--make-room"]].concat());
    call(&[&withdraw[..], &["--dry-run"]].concat());
    call(&["reindex"]);
    call(&["reindex", "--prune"]);
    call(&["reindex", "--dry-run"]);
    call(&["reindex", "--dry-run", "--prune"]);
    call(&["reindex", "--episodes-root", "received/episodes", "--index", "received/index.jsonl", "--prune"]);
    call(&["episodes", "verify"]);
    call(&["episodes", "show", "lab/ep-1"]);
    assert!(!rig.run(&["events"]).stdout.contains("lens cap"), "what is refused is no event");
    // These are of the rows alone.
    assert_eq!(rig.ok(&["episodes", "list", "--csv"]).stdout.lines().count(), 4);
    rig.ok(&["episodes", "export", "--format", "csv", "--out", "rows.csv"]);
    // And the doctor tells the same way out.
    let doctor = rig.run(&["doctor"]).stdout;
    assert!(doctor.contains("next: mount the disk of the episodes"), "{doctor}");
    assert!(!doctor.contains("`highwater reindex --prune` gives up"), "{doctor}");
    mount(&rig);
    let said = rig.ok(&withdraw).stdout;
    assert!(said.contains("its archive lies in"), "{said}");
}

#[test]
fn by_a_persons_word_rows_of_what_is_really_gone_are_given_up() {
    let rig = received();
    unmount(&rig);
    let dry = rig.run(&["reindex", "--prune", "--force", "--dry-run"]);
    assert!(dry.code == 3 && dry.stdout.matches("orphan").count() == 3, "{dry:?}");
    rig.ok(&["reindex", "--prune", "--force"]);
    let receiver = Running::start(&rig);
    assert_eq!(receiver.put("lab/ep-1", "t", "another"), 201);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_directory_of_an_older_version_without_a_mark_is_looked_at_as_ever() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    for key in ["lab/ep-1", "lab/ep-2"] {
        store(&episodes(&rig), key, key, None);
    }
    rig.ok(&["reindex"]);
    assert!(!episodes(&rig).join(".highwater-store").exists());
    fs::remove_file(episodes(&rig).join("lab/ep-1.tar.zst")).unwrap();
    let said = rig.run(&["episodes", "verify"]);
    assert!(said.code == 4 && said.stdout.contains("lab/ep-1: not stored"), "{said:?}");
    assert_eq!(rig.run(&["episodes", "show", "lab/ep-1"]).code, 4);
    rig.ok(&["episodes", "withdraw", "lab/ep-1", "--why", "lens cap"]);
}

#[test]
fn only_a_plain_file_is_the_mark_of_a_store() {
    for what in ["directory", "symlink to nowhere", "symlink to a mark"] {
        let rig = received();
        unmount(&rig);
        let mark = episodes(&rig).join(".highwater-store");
        match what {
            "directory" => fs::create_dir(&mark).unwrap(),
            "symlink to nowhere" => std::os::unix::fs::symlink("nowhere", &mark).unwrap(),
            _ => std::os::unix::fs::symlink("../../disk/.highwater-store", &mark).unwrap(),
        }
        let refused = rig.run(&["receive"]);
        assert!(refused.code == 2 && refused.stderr.contains("error[HW-EPI-107]"), "{what}: {refused:?}");
        assert_eq!(fs::read_dir(episodes(&rig)).unwrap().count(), 1, "{what}: nothing is made there");
        // On the disk itself it keeps nothing from being received; it is told, and stays.
        let of_disk = rig.path("disk/.highwater-store");
        fs::remove_file(&of_disk).unwrap();
        fs::rename(&mark, &of_disk).unwrap();
        mount(&rig);
        let receiver = Running::start(&rig);
        assert_eq!(receiver.put("lab/ep-4", "t", "ep-4"), 201, "{what}");
        let ended = receiver.stop();
        assert!(ended.stderr.contains("is no mark of a store"), "{what}: {ended:?}");
    }
}

#[test]
fn a_host_whose_directory_is_a_file_system_of_its_own_is_told_so_and_keeps_no_other_from_sending() {
    const TEST: &str = "a_host_whose_directory_is_a_file_system_of_its_own_is_told_so_and_keeps_no_other_from_sending";
    let rig = Rig::new(&config(&[("t", "lab"), ("u", "lab2")]));
    let host = episodes(&rig).join("lab");
    fs::create_dir_all(&host).unwrap();
    let disk = SmallDisk::mount(1 << 20).and_then(|disk| Ok((BindMount::mount(disk.path(), &host)?, disk)));
    let mounted = match disk {
        Ok(mounted) => mounted,
        Err(not_here) => return not_here.say(TEST),
    };
    let receiver = Running::start(&rig);
    let staging = episodes(&rig).join(".staging");
    let told = format!("{} is on another file system than {}", host.display(), staging.display());
    let next = format!("mount that file system on {}", episodes(&rig).display());
    let (status, put) = receiver.put_with("lab/ep-1", "t", "", "one");
    assert!(status == 507 && put.contains("other-disk") && put.contains(&told) && put.contains(&next), "{put}");
    let (status, ping) = receiver.post("/v1/ping", "t", "", "");
    assert!(status == 507 && ping.contains(&told), "{ping}");
    let (status, ready) = receiver.get("/readyz", "");
    assert!(status == 200 && ready.contains(&told) && ready.contains(&next), "{ready}");
    let doctor = rig.run(&["doctor"]).stdout;
    assert!(doctor.contains(&told) && doctor.contains(&next), "{doctor}");
    // Who sends for another host has nothing to do with it.
    assert_eq!(receiver.post("/v1/ping", "u", "", "").0, 200);
    assert_eq!(receiver.put("lab2/ep-1", "u", "one"), 201);
    wait_until("nothing is left of what could not be stored", || fs::read_dir(&staging).unwrap().count() == 0);
    drop(mounted);
    assert_eq!(receiver.put("lab/ep-1", "t", "one"), 201);
    assert_eq!(receiver.post("/v1/ping", "t", "", "").0, 200);
    assert!(!receiver.get("/readyz", "").1.contains("another file system"));
    assert_eq!(receiver.stop().code, 0);
}
