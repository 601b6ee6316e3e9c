//! A file or a directory of a receiver's that its user cannot read: who names it, and that it holds up no other.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;

use highwater_testkit::not_here::NotHere;

use crate::receive::{Running, config};
use crate::recorded::store;
use crate::rig::{Ended, Rig};

/// A receiver's directory of another user's than root, who alone can make things that it cannot read.
struct Theirs {
    rig: Rig,
    user: u32,
}

impl Theirs {
    fn with(test: &str, keys: &[&str]) -> Option<Self> {
        let user = nix::unistd::User::from_name("nobody").ok().flatten();
        let Some(user) = user.filter(|_| nix::unistd::geteuid().is_root()) else {
            NotHere("not root, or there is no user `nobody`".to_owned()).say(test);
            return None;
        };
        let rig = Rig::new(&config(&[("t", "lab")]));
        fs::create_dir_all(rig.path("received/episodes")).unwrap();
        keys.iter().for_each(|key| store(&rig.path("received/episodes"), key, key, None));
        fs::copy(crate::rig::HIGHWATER, rig.path("highwater")).unwrap();
        let theirs = Self { rig, user: user.uid.as_raw() };
        theirs.rig.sh("chmod 755 . && chown -R nobody .");
        Some(theirs)
    }

    /// A call as that user.
    fn run(&self, args: &[&str]) -> Ended {
        let mut command = self.rig.command_of(&self.rig.path("highwater"), args);
        command.uid(self.user).gid(self.user).output().unwrap().into()
    }

    fn keys(&self) -> Vec<String> {
        let index = fs::read_to_string(self.rig.path("received/index.jsonl")).unwrap_or_default();
        let row = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let key =
            |row: serde_json::Value| format!("{}/{}", row["host_id"].as_str()?, row["episode_id"].as_str()?).into();
        let mut keys: Vec<String> = index.lines().map(row).filter_map(key).collect();
        keys.sort();
        keys
    }

    /// Takes it away from them, or gives it back.
    fn shut(&self, path: &Path, is_shut: bool) {
        chown(path, Some(if is_shut { 0 } else { self.user }), None).unwrap();
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// It ends as what a person must see to, and names what that is.
fn needs_a_person(ended: &Ended, told: &str) {
    assert!(ended.code == 4 && format!("{}{}", ended.stdout, ended.stderr).contains(told), "{told}: {ended:?}");
}

#[test]
fn one_stored_file_that_cannot_be_read_keeps_no_other_from_its_row() {
    let keys = ["lab/ep-1", "lab/ep-2", "lab/ep-3", "lab/ep-4"];
    let Some(theirs) = Theirs::with("a stored file that cannot be read", &keys) else { return };
    let file = theirs.rig.path("received/episodes/lab/ep-2.tar.zst");
    theirs.shut(&file, true);
    let told = format!("{} cannot be read: Permission denied", file.display());
    let outlook = theirs.run(&["reindex", "--dry-run"]);
    needs_a_person(&outlook, &format!("leave {told}"));
    assert!(outlook.stdout.contains("index  lab/ep-4"), "{outlook:?}");
    for _ in 0..2 {
        let ended = theirs.run(&["reindex"]);
        needs_a_person(&ended, &told);
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains("let this user read it"), "{ended:?}");
        assert_eq!(theirs.keys(), ["lab/ep-1", "lab/ep-3", "lab/ep-4"]);
    }
    needs_a_person(&theirs.run(&["reindex", "--verify"]), &told);
    theirs.shut(&file, false);
    assert_eq!(theirs.run(&["reindex"]).code, 0);
    assert_eq!(theirs.keys(), keys);
    // One that has its row is told of as well, and keeps it.
    theirs.shut(&file, true);
    needs_a_person(&theirs.run(&["reindex", "--verify"]), &told);
    needs_a_person(&theirs.run(&["episodes", "verify"]), &format!("lab/ep-2: cannot be read: {}", file.display()));
    assert_eq!(theirs.run(&["reindex", "--prune", "--force"]).code, 0);
    assert_eq!(theirs.keys(), keys);
}

#[test]
fn what_is_sent_under_the_name_of_a_file_that_cannot_be_read_is_put_off_and_the_others_are_stored() {
    let Some(theirs) = Theirs::with("a stored file that cannot be read, and is sent again", &[]) else { return };
    let start = || {
        let mut command = theirs.rig.command_of(&theirs.rig.path("highwater"), &["receive", "--json"]);
        command.uid(theirs.user).gid(theirs.user).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::of(command.spawn().unwrap())
    };
    let receiver = start();
    assert_eq!(receiver.put("lab/ep-1", "t", "one"), 201);
    let file = theirs.rig.path("received/episodes/lab/ep-1.tar.zst");
    theirs.shut(&file, true);
    let told = format!("{} cannot be read: Permission denied", file.display());
    for body in ["one", "another"] {
        let (status, said) = receiver.put_with("lab/ep-1", "t", "", body);
        assert_eq!(status, 507, "{said}");
        assert!(said.contains("\"place-unreadable\"") && said.contains(&told), "{said}");
        assert!(said.to_lowercase().contains("retry-after: ") && said.contains("let this user read"), "{said}");
    }
    assert_eq!(receiver.get("/v1/episodes/lab/ep-1", "t").0, 507);
    assert_eq!(receiver.put("lab/ep-2", "t", "two"), 201);
    theirs.shut(&file, false);
    assert_eq!(receiver.put("lab/ep-1", "t", "one"), 200);
    assert_eq!(receiver.put("lab/ep-1", "t", "another"), 409);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn one_hosts_directory_that_cannot_be_read_is_passed_over_and_its_rows_stay() {
    let before = ["lab-7/ep-1", "lab-7/ep-2", "lab/ep-1", "lab/ep-2"];
    let Some(theirs) = Theirs::with("a host's directory that cannot be read", &before) else { return };
    assert_eq!(theirs.run(&["reindex"]).code, 0);
    let episodes = theirs.rig.path("received/episodes");
    store(&episodes, "lab/ep-3", "three", None);
    let host = episodes.join("lab-7");
    theirs.shut(&host, true);
    // As `mkfs.ext4` leaves it: no host is called so.
    fs::create_dir(episodes.join("lost+found")).unwrap();
    theirs.shut(&episodes.join("lost+found"), true);
    let told = format!("{} cannot be read: Permission denied", host.display());
    needs_a_person(&theirs.run(&["reindex", "--dry-run"]), &format!("leave {told}"));
    let ended = theirs.run(&["reindex"]);
    needs_a_person(&ended, &told);
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("lost+found"), "{ended:?}");
    let keys = ["lab-7/ep-1", "lab-7/ep-2", "lab/ep-1", "lab/ep-2", "lab/ep-3"];
    assert_eq!(theirs.keys(), keys, "the others get theirs");
    let verified = theirs.run(&["episodes", "verify"]);
    needs_a_person(&verified, &told);
    assert!(verified.stdout.contains("lab-7/ep-1: cannot be read: "), "{verified:?}");
    let json = theirs.run(&["episodes", "verify", "--json"]);
    assert!(json.stdout.contains("\"unlisted\":1"), "{json:?}");
    let doctor = theirs.run(&["doctor"]);
    assert!(doctor.stdout.contains(&told), "{doctor:?}");
    // What another host has lost goes; of these nobody knows.
    fs::remove_file(episodes.join("lab/ep-2.tar.zst")).unwrap();
    needs_a_person(&theirs.run(&["reindex", "--prune", "--force"]), &told);
    let rows = theirs.rig.read("received/index.jsonl");
    let removed: Vec<&str> = rows.lines().filter(|line| line.contains("\"removed\"")).collect();
    assert!(removed.len() == 1 && removed[0].contains("ep-2") && removed[0].contains("\"lab\""), "{removed:?}");
    assert_eq!(theirs.run(&["reindex", "--host", "lab"]).code, 0, "it was not meant");
    theirs.shut(&host, false);
    assert_eq!(theirs.run(&["reindex"]).code, 0);
}

#[test]
fn a_directory_of_episodes_that_cannot_be_entered_ends_the_pass_and_nothing_is_given_up() {
    let Some(theirs) = Theirs::with("episodes that cannot be entered", &["lab/ep-1", "lab/ep-2"]) else { return };
    assert_eq!(theirs.run(&["reindex"]).code, 0);
    let index = theirs.rig.read("received/index.jsonl");
    theirs.shut(&theirs.rig.path("received/episodes"), true);
    for args in [&["reindex"][..], &["reindex", "--prune", "--force"], &["episodes", "verify"]] {
        let ended = theirs.run(args);
        assert!((1..=2).contains(&ended.code), "{ended:?}");
    }
    assert_eq!(theirs.rig.read("received/index.jsonl"), index);
}

#[test]
fn a_receivers_directory_that_cannot_be_entered_is_told_as_that_and_not_as_one_of_something_else() {
    let Some(theirs) = Theirs::with("a receiver's directory that cannot be entered", &["lab/ep-1"]) else { return };
    assert_eq!(theirs.run(&["reindex"]).code, 0);
    let root = theirs.rig.path("received");
    theirs.shut(&root, true);
    for args in
        [&["episodes", "list"][..], &["episodes", "list", "--missing"], &["episodes", "export", "--format", "csv"]]
    {
        for args in [args.to_vec(), [args, &["--root", "received"]].concat()] {
            let ended = theirs.run(&args);
            assert!(ended.code == 1 && ended.stderr.contains("error[HW-CMD-057]"), "{args:?}: {ended:?}");
            let told = format!("{}: it cannot be looked into: Permission denied", root.display());
            assert!(ended.stderr.contains(&told), "{args:?}: {ended:?}");
            assert!(ended.stderr.contains("let this user read"), "{args:?}: {ended:?}");
        }
    }
    theirs.shut(&root, false);
    // What is none of a receiver's is still told as that.
    fs::create_dir(theirs.rig.path("other")).unwrap();
    let ended = theirs.run(&["episodes", "list", "--root", "other"]);
    assert!(ended.code == 2 && ended.stderr.contains("neither an index nor a directory of episodes"), "{ended:?}");
}
