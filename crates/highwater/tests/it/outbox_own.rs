//! What lies in an outbox where something of its own belongs: a pass and the doctor name it with what mends it, and what only saves work is
//! done without.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::receive::{Running, config};
use crate::rig::Rig;
use crate::ship::job;

fn record(rig: &Rig, id: &str) {
    let dir = rig.path("episodes").join(id);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("telemetry.csv"), id).unwrap();
    fs::write(dir.join("done.marker"), "").unwrap();
}

fn make(kind: &str, path: &Path) {
    match kind {
        "a file" => fs::write(path, "").unwrap(),
        "a directory" => fs::create_dir(path).unwrap(),
        "a symlink" => symlink("/nowhere", path).unwrap(),
        _ => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[test]
fn what_has_the_place_of_something_of_the_outbox_is_named_with_the_command_that_mends_it() {
    let receiving = config(&[("t", "lab")]);
    for (name, belongs, is_spare) in [
        (".packed", "a directory", false),
        (".parked", "a directory", false),
        (".sending", "a directory", true),
        (".shelf.json", "a file", true),
        (".episodes.json", "a file", false),
    ] {
        let rig = Rig::new(&receiving);
        fs::create_dir(rig.path("received")).unwrap();
        let receiver = Running::start(&rig);
        rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), "keep-size = \"1 GiB\""));
        let kinds = ["a file", "a directory", "a symlink", "a pipe, a socket or a device"];
        for (number, kind) in kinds.into_iter().filter(|kind| *kind != belongs).enumerate() {
            let (id, thing) = (format!("ep-{number}"), rig.path("outbox").join(name));
            fs::create_dir_all(rig.path("outbox")).unwrap();
            let _ = fs::remove_dir_all(&thing).or_else(|_| fs::remove_file(&thing));
            make(kind, &thing);
            record(&rig, &id);
            let told = format!("{} is {kind}, where {belongs} of the outbox belongs", thing.display());
            let mends = format!("mv -n {0} {0}.old", thing.display());
            let said = rig.run(&["doctor"]);
            assert!(said.code == 2 && said.stdout.contains(&told), "{said:?}");
            assert!(said.stdout.contains(&mends) && said.stdout.contains("nothing is lost"), "{said:?}");
            let pass = rig.run(&["ship", "send"]);
            let all = format!("{}{}", pass.stdout, pass.stderr);
            assert!(all.contains(&told) && all.contains(&mends) && all.contains("nothing is lost"), "{pass:?}");
            if is_spare {
                assert!(pass.code == 0 && all.contains("is passed over"), "{pass:?}");
            } else {
                assert!(pass.code == 1 && all.contains("error[HW-EPI-211]"), "{pass:?}");
                assert!(rig.path("episodes").join(&id).exists());
            }
            assert!(is_there(&thing) && fs::symlink_metadata(&thing).unwrap().is_symlink() == (kind == "a symlink"));
            rig.sh(&mends);
            let pass = rig.run(&["ship", "send"]);
            assert!(pass.code == 0 && !pass.stderr.contains(&told), "{pass:?}");
            assert!(
                rig.path("shipped").join(&id).exists() && is_there(&rig.path("outbox").join(format!("{name}.old")))
            );
            let said = rig.run(&["doctor"]);
            assert!(!said.stdout.contains(&told), "{said:?}");
            let _ = fs::remove_dir_all(rig.path("outbox").join(format!("{name}.old")))
                .or_else(|_| fs::remove_file(rig.path("outbox").join(format!("{name}.old"))));
        }
        assert_eq!(receiver.stop().code, 0);
    }
}

#[test]
fn a_note_of_the_outbox_that_is_none_keeps_no_episode_from_being_sent() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), ""));
    fs::create_dir(rig.path("outbox")).unwrap();
    for (number, name) in [".shelf.json", ".episodes.json"].into_iter().enumerate() {
        rig.write(&format!("outbox/{name}"), "junk");
        let said = rig.run(&["doctor"]);
        assert!(said.stdout.contains(&format!("{name} is no note of the outbox: expected value")), "{said:?}");
        record(&rig, &format!("ep-{number}"));
        rig.ok(&["ship", "send"]);
        assert!(rig.path("shipped").join(format!("ep-{number}")).exists());
    }
    assert!(rig.read("outbox/.episodes.json").contains("\"host_id\""));
    assert_eq!(receiver.stop().code, 0);
}
