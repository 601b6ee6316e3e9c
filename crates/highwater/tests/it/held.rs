//! What another process holds meanwhile: an outbox in which somebody's pass works, whose configuration or state directory is another one.

use std::fs;

use crate::receive::{Running, config};
use crate::rig::{Flock, Rig};
use crate::ship::job;

/// A host whose `ep-1` is in a conflict, since `shipped` has another one of its name.
fn conflicted() -> (Rig, Running) {
    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), ""));
    for (dir, file) in
        [("episodes/ep-1", "data.csv"), ("episodes/ep-1", "done.marker"), ("shipped/ep-1", "telemetry.csv")]
    {
        fs::create_dir_all(rig.path(dir)).unwrap();
        rig.write(&format!("{dir}/{file}"), "");
    }
    assert!(rig.ok(&["run", "send"]).stdout.contains("1 review"));
    (rig, receiver)
}

#[test]
fn r01_a_conflict_is_not_resolved_while_another_works_in_the_outbox() {
    let (rig, receiver) = conflicted();
    let holder = Flock::hold(&rig.path("outbox"));
    let resolve = ["episodes", "resolve", "ep-1", "--keep", "remote"];
    let said = rig.run(&resolve);
    let told = format!(
        "a pass holds the outbox {}: call again when it is over; nothing was changed",
        rig.path("outbox").display()
    );
    assert!(said.code == 3 && said.stdout.contains(&told), "{said:?}");
    let json = rig.run(&[&resolve[..], &["--json"]].concat()).json();
    assert_eq!((&json["resolved"], &json["reason"]), (&false.into(), &"lock_held".into()), "{json}");
    assert!(rig.path("shipped/ep-1/telemetry.csv").exists() && !rig.path("shipped/.review").exists());
    drop(holder);
    rig.ok(&resolve);
    assert!(rig.path("shipped/.review/ep-1.0").exists());
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn an_outbox_in_which_somebody_works_is_told_by_the_doctor_and_the_ping_as_well() {
    let (rig, receiver) = conflicted();
    rig.ok(&["episodes", "resolve", "ep-1", "--keep", "remote"]);
    rig.ok(&["ship", "send"]);
    let told = format!("send: {} is held by process ", rig.path("outbox").display());
    for call in [&["doctor"][..], &["ship", "send", "--ping"]] {
        let said = rig.ok(call).stdout;
        assert!(!said.contains(&told), "{said}");
        let holder = Flock::hold(&rig.path("outbox"));
        let said = rig.ok(call).stdout;
        assert!(said.contains(&told) && said.contains("ok   outbox"), "{said}");
        drop(holder);
    }
    assert_eq!(receiver.stop().code, 0);
}
