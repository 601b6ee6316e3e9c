//! Limits of the user. On the size of a file (`ulimit -f`, `LimitFSIZE=`): what is too large for it is refused with the limit's name, and nothing
//! ends. On open files (`ulimit -n`): that is told, and nothing of the outbox is called damaged.

use std::fs;
use std::process::{Child, Stdio};

use crate::receive::{Running, config};
use crate::rig::{Rig, wait_until};
use crate::ship::job;

/// Calls the binary with a limit of 2 or 4 MiB, as the shell counts.
fn limited(rig: &Rig, args: &str) -> Child {
    let script = format!("ulimit -f 4096; exec highwater {args}");
    rig.shell(&script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// More than that, and nothing that a compressor makes smaller.
fn large() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(b'a'..=b'z')).take(6 << 20).collect()
}

#[test]
fn a_receiver_refuses_what_is_larger_than_it_may_write_and_takes_the_rest() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::of(limited(&rig, "receive --json"));
    let large = String::from_utf8(large()).unwrap();
    for _ in 0..2 {
        let (status, put) = receiver.put_with("lab/ep-1", "t", "", &large);
        assert!(status == 507 && put.contains("file-limit") && put.contains("LimitFSIZE="), "{put}");
    }
    assert_eq!(receiver.put("lab/ep-2", "t", "two"), 201);
    let staging = rig.path("received/episodes/.staging");
    wait_until("nothing is left of what was refused", || fs::read_dir(&staging).unwrap().count() == 0);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_shipper_tells_what_is_larger_than_it_may_write_and_sends_the_rest() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), ""));
    for (id, bytes) in [("ep-1", large()), ("ep-2", b"two".to_vec())] {
        let dir = rig.path("episodes").join(id);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("telemetry.csv"), bytes).unwrap();
        fs::write(dir.join("done.marker"), "").unwrap();
    }
    let ended = crate::rig::end(limited(&rig, "ship send"));
    assert_eq!(ended.code, 3, "{ended:?}");
    let items = rig.run(&["items", "send", "--json"]).stdout;
    assert!(items.contains("LimitFSIZE=") && items.contains("ulimit -f"), "{items}");
    assert!(rig.path("episodes/ep-1/done.marker").exists() && rig.path("shipped/ep-2").exists(), "{ended:?}");
    // Without the limit it goes.
    rig.ok(&["ship", "send"]);
    assert!(rig.path("shipped/ep-1").exists());
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn r14_too_few_descriptors_are_told_as_that_and_never_as_a_damaged_note() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), "recurring = true"));
    let record = |id: &str| {
        let dir = rig.path("episodes").join(id);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("telemetry.csv"), id).unwrap();
        fs::write(dir.join("done.marker"), "").unwrap();
    };
    record("ep-0");
    rig.ok(&["ship", "send"]);
    let mut told_so = 0;
    // From too few for the ledger to enough for a pass.
    for descriptors in 10..48 {
        record(&format!("ep-{descriptors}"));
        let ended = rig.sh(&format!("ulimit -n {descriptors}; exec highwater ship send"));
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!all.contains("HW-EPI-211") && !all.contains("is no note"), "{descriptors}: {ended:?}");
        if all.contains("error[HW-ENV-002]") && all.contains("outbox") {
            assert!(
                ended.code == 1 && all.contains("raise") && all.contains("`ulimit -n`"),
                "{descriptors}: {ended:?}"
            );
            told_so += 1;
        }
    }
    assert!(told_so > 0, "some limit leaves enough for the ledger and too few for the outbox");
    rig.ok(&["ship", "send"]);
    assert_eq!(fs::read_dir(rig.path("episodes")).unwrap().count(), 0, "all of them are sent once there are enough");
    assert_eq!(receiver.stop().code, 0);
}

/// What one says of a limit that keeps it from its work: the limit's name, and no panic.
fn is_told_as_limit(ended: &crate::rig::Ended, limit: &str, word: &str) -> bool {
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!all.contains("panicked") && !all.contains("HW-LED-008") && !all.contains("report it"), "{limit}: {all}");
    assert!(!all.contains("mkdir -p") && !all.contains("`tls.key`"), "{limit}: {all}");
    all.contains("error[HW-ENV-002]") && all.contains(word) && ended.code == 1
}

#[test]
fn too_few_descriptors_are_told_as_that_by_a_receiver_and_by_a_ledger_from_the_first_on() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    for descriptors in 5..14 {
        let limit = format!("ulimit -n {descriptors}");
        let ended = rig.sh(&format!("{limit}; exec timeout 5 highwater receive"));
        assert!(is_told_as_limit(&ended, &limit, "`ulimit -n`"), "{limit}: {ended:?}");
    }
    rig.write("highwater.toml", &job("http://127.0.0.1:1", "recurring = true"));
    fs::create_dir(rig.path("episodes")).unwrap();
    for descriptors in 5..18 {
        let limit = format!("ulimit -n {descriptors}");
        let ended = rig.sh(&format!("{limit}; exec highwater ship send"));
        let is_told = is_told_as_limit(&ended, &limit, "`ulimit -n`");
        assert!(is_told || descriptors > 15, "{limit}: {ended:?}");
    }
}

#[test]
fn a_ledger_that_may_not_grow_names_the_limit_on_the_size_of_a_file() {
    let rig = Rig::new("");
    rig.write("highwater.toml", &job("http://127.0.0.1:1", "recurring = true"));
    fs::create_dir(rig.path("episodes")).unwrap();
    rig.ok(&["ship", "send"]);
    for kib in ["4", "20", "40"] {
        // `ulimit -f` counts by 512 bytes in one shell, and by 1024 in another.
        let ended = rig.sh(&format!("ulimit -f {kib}; exec highwater ship send"));
        assert!(is_told_as_limit(&ended, kib, "LimitFSIZE="), "{kib}: {ended:?}");
    }
    rig.ok(&["ship", "send"]);
}
