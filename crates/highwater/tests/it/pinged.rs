//! `ship --ping` and a pass where nothing would be sent although the way is free: the job is halted, the receiver has no room, a directory
//! of the shipper cannot be.

use std::fs;
use std::net::TcpListener;

use crate::receive::{Running, config};
use crate::rig::{Ended, Rig};
use crate::ship::job;

/// A receiver that keeps so much free, and a host that sends to it.
fn pair(free: &str) -> (Rig, Running, String) {
    let rig =
        Rig::new(&config(&[("t", "lab")]).replace("limits.free = \"1 MB\"", &format!("limits.free = \"{free}\"")));
    fs::create_dir(rig.path("received")).unwrap();
    fs::create_dir(rig.path("episodes")).unwrap();
    let receiver = Running::start(&rig);
    let toml = job(&format!("http://{}", receiver.address), "");
    rig.write("highwater.toml", &toml);
    (rig, receiver, toml)
}

/// The one line of a ping that needs a fix: what, what was found, what to do.
fn fix(ended: &Ended) -> [String; 3] {
    let json = ended.json();
    let fixes: Vec<_> = json["findings"].as_array().unwrap().iter().filter(|line| line["ok"] != true).collect();
    assert!(ended.code == 4 && fixes.len() == 1, "{ended:?}");
    ["what", "found", "fix"].map(|word| fixes[0][word].as_str().unwrap_or_default().to_owned())
}

fn ping(rig: &Rig) -> Ended {
    rig.run(&["ship", "send", "--ping", "--json"])
}

#[test]
fn r04_a_ping_of_a_halted_job_says_that_nothing_is_sent() {
    let (rig, receiver, _) = pair("1 MB");
    rig.ok(&["ship", "send"]);
    rig.ok(&["halt", "send", "--why", "the camera was moved"]);
    let [what, found, next] = fix(&ping(&rig));
    assert!(what == "job" && found.contains("halted: the camera was moved"), "{what} {found}");
    assert!(next.contains("highwater rearm send --why"), "{next}");
    rig.ok(&["rearm", "send", "--why", "it stands again"]);
    assert_eq!(ping(&rig).code, 0);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_ping_of_a_receiver_without_room_says_what_it_says_of_itself() {
    let (rig, receiver, _) = pair("900 TiB");
    let [what, found, next] = fix(&ping(&rig));
    assert!(what == "ready" && found.contains("its disk is as full as it may be"), "{what} {found}");
    assert!(next.contains("operator"), "{next}");
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_port_that_accepts_and_says_nothing_of_tls_fails_at_tls_and_one_that_does_at_the_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Nobody accepts, and the connections come about all the same.
    let rig = Rig::new(&job(&format!("https://127.0.0.1:{port}"), ""));
    fs::create_dir(rig.path("episodes")).unwrap();
    let [what, found, next] = fix(&ping(&rig));
    assert!(what == "tls" && found.contains("says nothing of TLS"), "{what} {found}");
    assert!(next.contains("`receiver`"), "{next}");
    // Of plain HTTP there is no such step.
    rig.write("highwater.toml", &job(&format!("http://127.0.0.1:{port}"), ""));
    let [what, found, _] = fix(&ping(&rig));
    assert!(what == "answer", "{what} {found}");
    drop(listener);
}

#[test]
fn r15_an_outbox_that_cannot_be_a_directory_is_told_by_the_pass_the_ping_and_the_doctor_with_what_is_in_the_way() {
    let (rig, receiver, toml) = pair("1 MB");
    fs::write(rig.path("a-file"), "mine").unwrap();
    let file = rig.path("a-file").display().to_string();
    for (outbox, in_the_way) in [("/dev/null", "/dev/null"), ("a-file", &*file), ("a-file/outbox", &*file)] {
        rig.write("highwater.toml", &toml.replace("host-id", &format!("outbox = \"{outbox}\"\nhost-id")));
        let told = format!("{in_the_way} is something else, expected a directory");
        let pass = rig.run(&["ship", "send"]);
        let all = format!("{}{}", pass.stdout, pass.stderr);
        assert!(pass.code == 2 && all.contains("error[HW-EPI-102]") && all.contains(&told), "{pass:?}");
        assert!(all.contains("name a directory there, or move away what is in its place"), "{pass:?}");
        let [what, found, next] = fix(&ping(&rig));
        assert!(what == "episodes" && found == told && next.contains("name a directory there"), "{found} {next}");
        if outbox != "a-file/outbox" {
            let said = rig.run(&["doctor"]).stdout;
            assert!(said.contains(&told) && said.contains("name a directory there"), "{said}");
        }
    }
    assert_eq!(rig.read("a-file"), "mine");
    assert_eq!(receiver.stop().code, 0);
}
