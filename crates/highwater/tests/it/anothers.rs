//! Things of another user among a shipper's: each is told, and holds up no other episode.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;

use highwater_testkit::not_here::NotHere;
use nix::unistd::{User, geteuid};

use crate::receive::{Running, config};
use crate::rig::{Ended, HIGHWATER, Rig};

/// A lab host whose passes are nobody's, and its receiver.
struct Lab {
    rig: Rig,
    _receiver: Running,
    nobody: User,
}

impl Lab {
    fn new(test: &str, more: &str) -> Option<Self> {
        if !geteuid().is_root() {
            NotHere("only root can give a directory to another user".to_owned()).say(test);
            return None;
        }
        let nobody = User::from_name("nobody").unwrap().unwrap();
        let rig = Rig::new(&config(&[("t", "lab")]));
        fs::create_dir(rig.path("received")).unwrap();
        let receiver = Running::start(&rig);
        rig.write("highwater.toml", &crate::ship::job(&format!("http://{}", receiver.address), more));
        fs::copy(HIGHWATER, rig.path("highwater")).unwrap();
        fs::set_permissions(rig.dir.path(), Permissions::from_mode(0o777)).unwrap();
        for dir in ["episodes", "outbox", "shipped"] {
            fs::create_dir(rig.path(dir)).unwrap();
        }
        let lab = Self { rig, _receiver: receiver, nobody };
        ["", "episodes", "outbox", "shipped"].iter().for_each(|dir| lab.give(dir));
        Some(lab)
    }

    fn give(&self, path: &str) {
        chown(self.rig.path(path), Some(self.nobody.uid.as_raw()), Some(self.nobody.gid.as_raw())).unwrap();
    }

    /// A finished episode of nobody's.
    fn record(&self, id: &str) {
        fs::create_dir(self.rig.path(&format!("episodes/{id}"))).unwrap();
        for file in ["data.txt", "done.marker"] {
            self.rig.write(&format!("episodes/{id}/{file}"), id);
            self.give(&format!("episodes/{id}/{file}"));
        }
        self.give(&format!("episodes/{id}"));
    }

    fn shut(&self, path: &str) {
        chown(self.rig.path(path), Some(0), Some(0)).unwrap();
        let mode = if self.rig.path(path).is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(self.rig.path(path), Permissions::from_mode(mode)).unwrap();
    }

    fn call(&self, args: &[&str]) -> Ended {
        let mut command = self.rig.command_of(&self.rig.path("highwater"), args);
        command.uid(self.nobody.uid.as_raw()).gid(self.nobody.gid.as_raw());
        Ended::from(command.output().unwrap())
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.rig.path(dir)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }
}

#[test]
fn what_another_user_put_among_the_episodes_is_told_and_the_others_are_sent() {
    let Some(lab) = Lab::new("episodes of another user", "") else { return };
    for id in ["a-1", "b-file", "c-marker", "d-shut", "e-sub", "z-1"] {
        lab.record(id);
    }
    fs::create_dir(lab.rig.path("episodes/lost+found")).unwrap();
    fs::create_dir(lab.rig.path("episodes/f-recording")).unwrap();
    fs::create_dir(lab.rig.path("episodes/e-sub/sub")).unwrap();
    for path in ["b-file/data.txt", "c-marker/done.marker", "d-shut", "e-sub/sub", "lost+found", "f-recording"] {
        lab.shut(&format!("episodes/{path}"));
    }
    let pass = lab.call(&["ship", "send"]);
    assert_eq!(lab.names("shipped"), ["a-1", "z-1"], "{pass:?}");
    assert_eq!(pass.code, 3, "{pass:?}");
    for told in ["b-file is not sent", "data.txt", "c-marker is not sent", "e-sub is not sent", "d-shut", "f-recording"]
    {
        assert!(pass.stderr.contains(told), "{told}: {pass:?}");
    }
    assert!(!pass.stderr.contains("lost+found"), "no episode can be called so: {pass:?}");
    let doctor = lab.call(&["doctor"]);
    for told in ["d-shut cannot be read", "f-recording cannot be read"] {
        assert!(doctor.stdout.contains(told), "{doctor:?}");
    }
    lab.record("a-2");
    let again = lab.call(&["ship", "send"]);
    assert_eq!(lab.names("shipped"), ["a-1", "a-2", "z-1"], "{again:?}");
    for path in ["b-file/data.txt", "c-marker/done.marker", "d-shut", "e-sub/sub"] {
        lab.give(&format!("episodes/{path}"));
    }
    let mended = lab.call(&["ship", "send"]);
    assert_eq!(lab.names("shipped"), ["a-1", "a-2", "b-file", "c-marker", "d-shut", "e-sub", "z-1"], "{mended:?}");
}

#[test]
fn what_another_user_put_into_the_outbox_holds_up_its_own_episode_alone() {
    let Some(lab) = Lab::new("an outbox with another user's files", "") else { return };
    ["a-1", "b-1", "z-1"].iter().for_each(|id| lab.record(id));
    lab.rig.write("outbox/b-1.tar.zst", "restored by root");
    lab.shut("outbox/b-1.tar.zst");
    // Of one whose directory is gone.
    lab.rig.write("outbox/c-1.tar.zst", "restored by root");
    lab.shut("outbox/c-1.tar.zst");
    let pass = lab.call(&["ship", "send"]);
    assert_eq!(lab.names("shipped"), ["a-1", "z-1"], "{pass:?}");
    assert!(pass.stderr.contains("b-1 is not sent") && pass.stderr.contains("c-1 is not sent"), "{pass:?}");
    lab.record("a-2");
    lab.call(&["ship", "send"]);
    assert_eq!(lab.names("shipped"), ["a-1", "a-2", "z-1"]);
}

#[test]
fn what_cannot_be_removed_after_its_time_holds_up_no_other() {
    let Some(lab) = Lab::new("a shipped episode with another user's directory", "keep-size = \"1 B\"") else { return };
    lab.record("a-1");
    for n in 0..8 {
        fs::create_dir(lab.rig.path(&format!("episodes/a-1/sub-{n}"))).unwrap();
        lab.rig.write(&format!("episodes/a-1/sub-{n}/data.txt"), "a container's");
    }
    lab.rig.write("episodes/a-1/done.marker", "");
    // It can be read, and not emptied.
    lab.call(&["ship", "send"]);
    for n in 2..4 {
        lab.record(&format!("a-{n}"));
        let pass = lab.call(&["ship", "send"]);
        assert_eq!(lab.names("episodes"), Vec::<String>::new(), "{pass:?}");
        assert_eq!(lab.names("shipped"), Vec::<String>::new(), "{pass:?}");
        assert!(pass.stderr.contains("cannot be removed") && pass.stderr.contains(".removing/a-1"), "{pass:?}");
        let left = lab.rig.path("shipped/.removing/a-1");
        assert!(left.exists() && !left.join("done.marker").exists(), "what is left is no finished episode");
    }
}

#[test]
fn what_of_the_outbox_is_another_users_is_named_and_given_back() {
    let Some(lab) = Lab::new("something of the outbox that is another user's", "keep-size = \"1 GiB\"") else { return };
    lab.record("a-1");
    assert_eq!(lab.call(&["ship", "send"]).code, 0);
    for (number, (name, is_spare)) in
        [(".packed", false), (".parked", false), (".sending", true), (".shelf.json", true), (".episodes.json", false)]
            .into_iter()
            .enumerate()
    {
        let (path, id) = (format!("outbox/{name}"), format!("b-{number}"));
        let thing = lab.rig.path(&path);
        lab.shut(&path);
        lab.record(&id);
        let told = format!("{} cannot be read and written by this user: Permission denied", thing.display());
        let doctor = lab.call(&["doctor"]);
        assert!(doctor.stdout.contains(&told), "{doctor:?}");
        let pass = lab.call(&["ship", "send"]);
        let all = format!("{}{}", pass.stdout, pass.stderr);
        assert!(all.contains(&told) && all.contains(&format!("chown USER {}", thing.display())), "{pass:?}");
        assert!(pass.code == if is_spare { 0 } else { 1 }, "{pass:?}");
        assert!(is_spare || all.contains("error[HW-EPI-211]"), "{pass:?}");
        lab.give(&path);
        let pass = lab.call(&["ship", "send"]);
        assert!(pass.code == 0 && lab.rig.path(&format!("shipped/{id}")).exists(), "{pass:?}");
    }
}
