//! `doctor` where episodes are received and sent from: well, and with one fault planted at a time.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use highwater_testkit::certificates::{Authority, Terms};
use highwater_testkit::not_here::NotHere;
use nix::unistd::geteuid;

use super::house::{Code, House};
use crate::rig::{Ended, Rig};

/// What needs a fix: the word and what was found. Each has what to do.
fn fixes(rig: &Rig) -> Vec<(String, String)> {
    let ended = rig.run(&["doctor", "--json"]);
    let json = ended.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let lines = json["findings"].as_array().unwrap_or_else(|| panic!("{ended:?}")).iter();
    let wrong: Vec<_> = lines
        .filter(|line| line["ok"] != true)
        .inspect(|line| assert!(!text(&line["fix"]).is_empty(), "{line}"))
        .map(|line| (text(&line["what"]), text(&line["found"])))
        .collect();
    assert_eq!(ended.code, if wrong.is_empty() { 0 } else { 2 }, "{ended:?}");
    wrong
}

fn told(rig: &Rig, what: &str, found: &str) {
    let fixes = fixes(rig);
    assert!(fixes.len() == 1 && fixes[0].0 == what && fixes[0].1.contains(found), "{what}, {found}: {fixes:?}");
}

fn gated() -> House {
    let house = House::new("limits.free = \"1 MB\"\n", "[receiver.gate]\nrepository = \"code\"\nwindow = 1\n");
    Code::new(&house.rig.path("code"), 2);
    house
}

#[test]
fn a_receiver_that_is_well_has_a_line_for_each_of_its_parts() {
    let house = gated();
    assert_eq!(fixes(&house.rig), []);
    let said = house.rig.ok(&["doctor"]).stdout;
    for line in ["certificate", "client-ca", "crl", "store", "disk", "gate"] {
        assert!(said.contains(&format!("\nok   {line} ")), "{line}: {said}");
    }
    assert_eq!(fs::read_dir(house.root()).unwrap().count(), 0, "it makes nothing");
}

#[test]
fn certificates_that_cannot_be_used_or_end_are_told() {
    let house = gated();
    let good = house.servers.server(Terms::default()).unwrap();
    let with = |paper: &highwater_testkit::certificates::Paper, found: &str| {
        house.serves_as(paper);
        told(&house.rig, "certificate", found);
        house.serves_as(&good);
    };
    with(&house.servers.server(Terms { serial: 3, until_year: 2020 }).unwrap(), "ended at 2020-01-01T00:00:00Z");
    let others = house.servers.server(Terms::default()).unwrap();
    with(
        &highwater_testkit::certificates::Paper { key: others.key, ..good.clone() },
        "receiver.pem cannot be served with",
    );
    house.pki("ca.pem", "no certificate\n");
    told(&house.rig, "client-ca", "ca.pem holds no list of those who sign");
    house.pki("ca.pem", &house.hosts.pem());
    house.pki("crl.pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    told(&house.rig, "crl", "crl.pem");
    house.pki("crl.pem", &Authority::new("others").unwrap().revoking(&[]).unwrap());
    told(&house.rig, "crl", "crl.pem has no list by who is in `client-ca`: whom one of these signed is refused");
    // Beside one of theirs it does no harm.
    let both = house.hosts.revoking(&[]).unwrap() + &Authority::new("others").unwrap().revoking(&[]).unwrap();
    house.pki("crl.pem", &both);
    assert_eq!(fixes(&house.rig), []);
    fs::remove_file(house.rig.path("pki/receiver.key")).unwrap();
    told(&house.rig, "certificate", "receiver.key cannot be read as a private key");
}

#[test]
fn an_index_of_an_earlier_time_is_told_by_the_withdrawals_that_it_lacks() {
    let mut house = gated();
    house.configure("limits.free = \"1 MB\"\n", "");
    house.open();
    let host = house.host("lab-1");
    for episode in ["ep-1", "ep-2", "ep-3"] {
        host.record("episodes", episode, b"x", None);
    }
    host.rig.ok(&["ship", "send"]);
    assert_eq!(house.close(), Some(0));
    let withdraw = |key: &str, more: &[&str]| {
        house.rig.ok(&[&["episodes", "withdraw", key, "--why", "a test"], more].concat());
    };
    let index = house.root().join("index.jsonl");
    withdraw("lab-1/ep-1", &[]);
    let earlier = fs::read(&index).unwrap();
    withdraw("lab-1/ep-2", &[]);
    assert_eq!(fixes(&house.rig), []);
    let later = fs::read(&index).unwrap();
    fs::write(&index, earlier).unwrap();
    let is_told =
        || fixes(&house.rig).iter().any(|(_, found)| found.contains("the index knows of no withdrawal since "));
    assert!(is_told(), "{:?}", fixes(&house.rig));
    fs::write(&index, &later).unwrap();
    // A name that was made free keeps no tombstone.
    withdraw("lab-1/ep-2", &["--make-room"]);
    assert_eq!(fixes(&house.rig), []);
    // And yet it is known when that was.
    let latest = fs::read(&index).unwrap();
    fs::write(&index, later).unwrap();
    assert!(is_told(), "{:?}", fixes(&house.rig));
    fs::write(&index, latest).unwrap();
    assert_eq!(fixes(&house.rig), []);
}

#[test]
fn a_store_and_a_gate_that_cannot_be_used_are_told() {
    let house = gated();
    fs::rename(house.root(), house.rig.path("elsewhere")).unwrap();
    told(&house.rig, "store", "cannot be received into");
    fs::rename(house.rig.path("elsewhere"), house.root()).unwrap();
    fs::rename(house.rig.path("code"), house.rig.path("other-code")).unwrap();
    told(&house.rig, "gate", "cannot be opened");
    fs::rename(house.rig.path("other-code"), house.rig.path("code")).unwrap();
    house.rig.write("received/gate-allowed.jsonl", "no line of ours\n");
    told(&house.rig, "gate", "gate-allowed.jsonl line 1");
    fs::remove_file(house.rig.path("received/gate-allowed.jsonl")).unwrap();
    house.configure("limits.free = \"900 TB\"\n", "");
    told(&house.rig, "disk", "MiB free on the disk of");
}

#[test]
fn the_directories_of_a_shipper_are_looked_at() {
    let house = gated();
    let host = house.host("lab-1");
    fs::create_dir_all(host.rig.path("episodes")).unwrap();
    assert_eq!(fixes(&host.rig), []);
    assert!(!host.rig.path("outbox").exists(), "it makes nothing");
    fs::remove_dir(host.rig.path("episodes")).unwrap();
    told(&host.rig, "episodes", "episodes cannot be read");
    fs::create_dir(host.rig.path("episodes")).unwrap();
    fs::write(host.rig.path("shipped"), "").unwrap();
    told(&host.rig, "episodes", "shipped is something else");
    fs::remove_file(host.rig.path("shipped")).unwrap();
    // What a pass noted of those that the receiver lost: one of them is gone here, too.
    ["outbox", "shipped/e1", "shipped/e2"].iter().for_each(|dir| fs::create_dir_all(host.rig.path(dir)).unwrap());
    let lost = |episode: &str| {
        let place = serde_json::json!({ "worklist": 1, "recorded_no": 1 });
        serde_json::json!({ "place": place, "episode": episode, "lost": true, "asked": "2026-11-20T12:00:00Z" })
    };
    let nowhere = serde_json::json!({ "worklist": 0, "recorded_no": 0 });
    let shelf = serde_json::json!({
        "removed": nowhere, "counted": nowhere, "bytes": 0, "counted_since": "2026-11-20T12:00:00Z",
        "waiting": [lost("e1"), lost("e2"), lost("e3")],
    });
    fs::write(host.rig.path("outbox/.shelf.json"), shelf.to_string()).unwrap();
    // Nothing goes and nothing is asked: it is no call for a mend for ever.
    assert_eq!(fixes(&host.rig), []);
    let config = fs::read_to_string(host.rig.path("highwater.toml")).unwrap();
    let keeping = config.replace("host-id =", "keep-time = \"30 days\"\nhost-id =");
    fs::write(host.rig.path("highwater.toml"), keeping).unwrap();
    let said = "the receiver does not have 2 episodes of `shipped` any more: e1, e2, as it said when it was asked last, on 2026-11-20";
    told(&host.rig, "episodes", said);
    fs::remove_file(host.rig.path("outbox/.shelf.json")).unwrap();
    // The code that sends, where a receiver judges that.
    let plain = fs::read_to_string(host.rig.path("highwater.toml")).unwrap();
    let judged = plain.replace("host-id =", "judge = \"ships\"\ncode-commit = \"COMMIT\"\nhost-id =");
    fs::write(host.rig.path("highwater.toml"), judged).unwrap();
    told(&host.rig, "code", "COMMIT");
    fs::write(host.rig.path("COMMIT"), "").unwrap();
    told(&host.rig, "code", "it is empty, expected a commit");
    fs::write(host.rig.path("COMMIT"), "a".repeat(40)).unwrap();
    assert_eq!(fixes(&host.rig), []);
    fs::write(host.rig.path("highwater.toml"), plain).unwrap();
    let expired = house.hosts.client("lab-1", Terms { serial: 2, until_year: 2020 }).unwrap();
    expired.write(host.rig.dir.path(), "lab-1").unwrap();
    told(&host.rig, "certificate", "lab-1.pem ended at 2020");
}

#[test]
fn what_the_user_of_the_passes_may_not_write_is_told() {
    const NOBODY: u32 = 65_534;
    if !geteuid().is_root() {
        NotHere("only root can give a directory to another user".to_owned())
            .say("what_the_user_of_the_passes_may_not_write_is_told");
        return;
    }
    let rig = Rig::new(&crate::receive::config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    fs::set_permissions(rig.dir.path(), Permissions::from_mode(0o755)).unwrap();
    for path in ["", "highwater.toml"] {
        std::os::unix::fs::chown(rig.path(path), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    // The directory is root's, and passes are nobody's.
    told(&rig, "store", "received cannot be written by nobody");
    std::os::unix::fs::chown(rig.path("received"), Some(NOBODY), Some(NOBODY)).unwrap();
    assert_eq!(fixes(&rig), []);
}

/// A file system in memory, taken away at the end.
struct Small(std::path::PathBuf);

impl Small {
    fn mounted(at: std::path::PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mut mount = Command::new("mount");
        let done: Option<Ended> =
            mount.args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(&at).output().ok().map(Into::into);
        done.is_some_and(|done| done.code == 0).then_some(Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_and_one_that_is_read_only_are_told() {
    let rig = Rig::new(&crate::receive::config(&[("t", "lab")]).replace("1 MB", "100 KB"));
    let Some(small) = Small::mounted(rig.path("received")) else {
        NotHere("a file system cannot be mounted here".to_owned())
            .say("a_full_disk_and_one_that_is_read_only_are_told");
        return;
    };
    assert_eq!(fixes(&rig), []);
    fs::write(small.0.join("ballast"), vec![1; 1_000_000]).unwrap();
    told(&rig, "disk", "0 MiB free on the disk of");
    fs::remove_file(small.0.join("ballast")).unwrap();
    let again = Command::new("mount").args(["-o", "remount,ro"]).arg(&small.0).status().unwrap();
    assert!(again.success());
    told(&rig, "store", "Read-only file system");
}

#[test]
fn a_disk_that_refuses_is_told_with_what_mends_that() {
    let rig = Rig::new(&crate::receive::config(&[("t", "lab")]));
    let Some(small) = Small::mounted(rig.path("received")) else {
        NotHere("a file system cannot be mounted here".to_owned())
            .say("a_disk_that_refuses_is_told_with_what_mends_that");
        return;
    };
    let place = small.0.display().to_string();
    let told = |ended: &Ended, code: &str, next: &str| {
        assert!(ended.stderr.contains(&format!("error[{code}]: ")) && ended.stderr.contains(next), "{ended:?}");
    };
    fs::write(small.0.join("ballast"), vec![1; 2_000_000]).unwrap_err();
    rig.write("highwater-exec", "");
    let program = rig.path("highwater-exec").display().to_string();
    let units = rig.run(&["systemd", "--write", "received", "--user", "root", "--program", &program]);
    told(&units, "HW-UNI-002", "next: free space on the disk of ");

    // A shipper whose outbox is full: the episode waits, and says what for.
    let job = crate::ship::job("http://127.0.0.1:1", "outbox = \"received\"");
    rig.write("highwater.toml", &job);
    fs::create_dir_all(rig.path("episodes/ep-1")).unwrap();
    let noise: Vec<u8> = (0..600_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(rig.path("episodes/ep-1/telemetry"), noise).unwrap();
    fs::write(rig.path("episodes/ep-1/done.marker"), "").unwrap();
    let ended = rig.run(&["run", "send"]);
    let items = rig.run(&["items", "send", "--json"]).stdout;
    let said = format!("{}{}{items}", ended.stdout, ended.stderr);
    assert!(said.contains(&format!("free space on the disk of {place}")), "{said}");
    // Each pass, however often, and the episode's attempts are not spent by it.
    for _ in 0..6 {
        let again = rig.run(&["run", "send"]);
        assert_eq!(again.code, 1, "{again:?}");
        told(&again, "HW-EPI-101", "next: free space on the disk of ");
    }

    fs::remove_file(small.0.join("ballast")).unwrap();
    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&small.0).status().unwrap().success());
    let ended = rig.run(&["run", "send"]);
    told(&ended, "HW-EPI-101", &format!("next: make {place} writable: its file system is mounted to read alone"));
    rig.write("highwater.toml", &crate::receive::config(&[("t", "lab")]));
    let ended = rig.run(&["receive"]);
    told(&ended, "HW-EPI-001", &format!("next: make {place} writable"));
}
