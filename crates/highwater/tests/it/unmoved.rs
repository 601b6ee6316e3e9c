//! What the receiver has and this user cannot move, and an outbox that this user cannot write: told in each pass by name, path and next step,
//! for as long as it takes, and no attempt of any episode's.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use highwater_testkit::not_here::NotHere;

use crate::receive::{Running, config};
use crate::rig::{Ended, Rig};
use crate::ship::job;

/// More passes than an episode has attempts.
const PASSES: usize = 7;

/// A host whose passes run as another user than root, who alone can make things that it cannot write.
struct Host {
    rig: Rig,
    user: u32,
    receiver: Running,
}

impl Host {
    fn new(test: &str) -> Option<Self> {
        let user = nix::unistd::User::from_name("nobody").ok().flatten();
        let Some(user) = user.filter(|_| nix::unistd::geteuid().is_root()) else {
            NotHere("not root, or there is no user `nobody`".to_owned()).say(test);
            return None;
        };
        let rig = Rig::new(&config(&[("t", "lab")]));
        for dir in ["received", "episodes", "outbox", "shipped"] {
            fs::create_dir(rig.path(dir)).unwrap();
        }
        let receiver = Running::start(&rig);
        rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), "recurring = true"));
        fs::copy(crate::rig::HIGHWATER, rig.path("highwater")).unwrap();
        let host = Self { rig, user: user.uid.as_raw(), receiver };
        host.rig.sh("chmod 755 . && chown -R nobody .");
        Some(host)
    }

    fn run(&self, args: &[&str]) -> Ended {
        let mut command = self.rig.command_of(&self.rig.path("highwater"), args);
        command.uid(self.user).gid(self.user).output().unwrap().into()
    }

    /// A pass, and all that it prints.
    fn pass(&self) -> (i32, String) {
        let ended = self.run(&["ship", "send"]);
        (ended.code, format!("{}{}", ended.stdout, ended.stderr))
    }

    fn record(&self, id: &str) {
        let dir = self.rig.path("episodes").join(id);
        fs::create_dir(&dir).unwrap();
        for (name, text) in [("telemetry.csv", id), ("done.marker", "")] {
            fs::write(dir.join(name), text).unwrap();
            chown(dir.join(name), Some(self.user), None).unwrap();
        }
        chown(&dir, Some(self.user), None).unwrap();
    }

    fn mode(&self, dir: &str, mode: u32) {
        fs::set_permissions(self.rig.path(dir), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let names = fs::read_dir(self.rig.path(dir)).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }
}

#[test]
fn r03_an_episode_that_this_user_cannot_move_is_told_in_each_pass_and_never_drained_unmoved() {
    let Some(host) = Host::new("an episode that cannot be moved") else { return };
    host.record("rooted");
    chown(host.rig.path("episodes/rooted"), Some(0), None).unwrap();
    let path = host.rig.path("episodes/rooted").display().to_string();
    for pass in 0..PASSES {
        host.record(&format!("ep-{pass}"));
        let (code, told) = host.pass();
        assert_eq!(code, 3, "pass {pass}: {told}");
        for word in ["note: rooted is not moved to `shipped`", &path, "Permission denied", "chown"] {
            assert!(told.contains(word), "pass {pass}: {word}: {told}");
        }
        assert_eq!(host.names("episodes"), ["rooted"], "it holds up no other: {told}");
    }
    let doctor = host.run(&["doctor"]);
    let told = format!("{}{}", doctor.stdout, doctor.stderr);
    assert!(doctor.code == 2 && told.contains(&format!("{path} cannot be moved")) && told.contains("chown"), "{told}");
    chown(host.rig.path("episodes/rooted"), Some(host.user), None).unwrap();
    let (code, told) = host.pass();
    assert_eq!((code, host.names("episodes").len(), host.names("shipped").len()), (0, 0, PASSES + 1), "{told}");
    assert!(!host.run(&["doctor"]).stdout.contains("cannot be moved"));
    assert_eq!(host.receiver.stop().code, 0);
}

#[test]
fn a_directory_that_this_user_cannot_write_is_named_by_each_pass_and_counts_no_attempt() {
    let Some(host) = Host::new("directories that cannot be written") else { return };
    for (dir, ids) in [("shipped", ["w1", "w2"]), ("outbox", ["x1", "x2"])] {
        // The directories that it has of its own there are made.
        host.record(&format!("first-{dir}"));
        assert_eq!(host.pass().0, 0);
        host.mode(dir, 0o555);
        for id in ids {
            host.record(id);
        }
        let path = host.rig.path(dir).display().to_string();
        for pass in 0..PASSES {
            let (code, told) = host.pass();
            assert!(code == 1 && told.contains("error[HW-EPI-101]"), "pass {pass}: {told}");
            assert!(told.contains(&format!("{path} cannot be written: Permission denied")), "{told}");
            assert!(told.contains(&format!("make {path} readable and writable")), "{told}");
            assert!(!told.contains("hw-partial"), "{told}");
        }
        host.mode(dir, 0o755);
        let (code, told) = host.pass();
        assert!(code == 0 && host.names("episodes").is_empty(), "{told}");
    }
    assert_eq!(host.receiver.stop().code, 0);
}

#[test]
fn of_two_file_systems_the_one_that_is_mounted_to_read_alone_is_named() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    for dir in ["received", "episodes"] {
        fs::create_dir(rig.path(dir)).unwrap();
    }
    let episodes = rig.path("episodes");
    let mount = |args: &[&str]| {
        let done = Command::new("mount").args(args).arg(&episodes).output();
        done.is_ok_and(|done| done.status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=1m", "none"]) {
        return NotHere("no other file system can be mounted".to_owned()).say("one that is mounted to read alone");
    }
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), "recurring = true"));
    fs::create_dir(episodes.join("ep-1")).unwrap();
    fs::write(episodes.join("ep-1/telemetry.csv"), "1,2").unwrap();
    fs::write(episodes.join("ep-1/done.marker"), "").unwrap();
    assert!(mount(&["-o", "remount,ro"]));
    let ended = rig.run(&["ship", "send"]);
    assert!(mount(&["-o", "remount,rw"]));
    let mended = rig.run(&["ship", "send"]);
    let names = fs::read_dir(rig.path("shipped")).unwrap().count();
    Command::new("umount").arg(&episodes).status().unwrap();
    let told = format!("{}{}", ended.stdout, ended.stderr);
    let next = format!("make {} writable: its file system is mounted to read alone", episodes.display());
    assert!(ended.code == 1 && told.contains("error[HW-EPI-101]") && told.contains(&next), "{told}");
    assert!(mended.code == 0 && names > 0, "{mended:?}");
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn an_episode_that_is_put_back_while_its_round_is_open_is_sent_by_the_next_round() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    for dir in ["received", "episodes"] {
        fs::create_dir(rig.path(dir)).unwrap();
    }
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), "recurring = true"));
    for id in ["ep-1", "ep-2"] {
        fs::create_dir(rig.path(&format!("episodes/{id}"))).unwrap();
        fs::write(rig.path(&format!("episodes/{id}/telemetry.csv")), "1,2").unwrap();
        fs::write(rig.path(&format!("episodes/{id}/done.marker")), "").unwrap();
    }
    let in_the_way = rig.path("received/episodes/lab/ep-2.tar.zst");
    fs::create_dir_all(&in_the_way).unwrap();
    assert_eq!(rig.run(&["ship", "send"]).code, 3);
    fs::rename(rig.path("shipped/ep-1"), rig.path("episodes/ep-1")).unwrap();
    fs::remove_dir(&in_the_way).unwrap();
    // What a round has sent is not of that round again.
    let ended = rig.ok(&["ship", "send"]);
    assert!(rig.path("episodes/ep-1").is_dir() && rig.path("shipped/ep-2").is_dir(), "{ended:?}");
    let next = rig.ok(&["ship", "send"]);
    assert_eq!(fs::read_dir(rig.path("episodes")).unwrap().count(), 0, "{next:?}");
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_ban_says_what_the_receiver_said_of_it() {
    let gate = "[receiver.gate]\nrepository = \"not-yet\"\n";
    let rig = Rig::new(&format!("{}{gate}", config(&[("t", "lab")])));
    for dir in ["received", "episodes", "episodes/ep-1"] {
        fs::create_dir(rig.path(dir)).unwrap();
    }
    fs::write(rig.path("episodes/ep-1/telemetry.csv"), "1,2").unwrap();
    fs::write(rig.path("episodes/ep-1/done.marker"), "").unwrap();
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), "recurring = true"));
    let says = "gate has";
    let ping = rig.run(&["ship", "send", "--ping"]);
    assert!(ping.code != 0 && ping.stdout.contains(says), "{ping:?}");
    let pass = rig.run(&["ship", "send"]);
    assert!(pass.code == 3 && pass.stdout.contains("is banned until") && pass.stdout.contains(says), "{pass:?}");
    let ping = rig.run(&["ship", "send", "--ping"]);
    assert!(ping.stdout.contains("is not contacted before") && ping.stdout.contains(says), "{ping:?}");
    assert_eq!(receiver.stop().code, 0);
}
