//! The gate of a receiver that runs, while its repository goes away, is pushed to, and comes back as another user's. That it may be
//! missing at first is a part of the whole life.

use std::fs;
use std::process::Command;

use highwater_testkit::not_here::NotHere;

use super::house::{Code, House};
use super::rows;
use crate::rig::wait_until;

#[test]
fn r12_what_was_read_holds_while_the_repository_is_away_and_a_push_is_taken_up_without_a_restart() {
    let mut house = House::new("limits.free = \"1 MB\"\n", "[receiver.gate]\nrepository = \"code\"\nwindow = 2\n");
    let (developer, commits) = Code::new(&house.rig.path("developer"), 3);
    let (code, elsewhere) = (house.rig.path("code"), house.rig.path("elsewhere"));
    developer.git(&["clone", "--quiet", "--bare", ".", code.to_str().unwrap()]);
    house.open();
    let put = |episode: &str, commit: &str| house.put(episode, &format!("X-Code-Commit: {commit}\r\n"), b"bytes").0;
    assert_eq!(
        [put("a", &commits[2]), put("b", &commits[1]), put("c", &commits[0]), put("c", "HEAD")],
        [201, 201, 412, 400]
    );

    fs::rename(&code, &elsewhere).unwrap();
    wait_until("a repository that is away", || house.log().contains("the last reading stays in force"));
    assert_eq!(
        [put("c", &commits[2]), put("d", &commits[1]), put("e", &commits[0])],
        [201, 201, 412],
        "it knows what it knew"
    );

    let pushed = developer.commit();
    developer.git(&["push", "--quiet", elsewhere.to_str().unwrap(), "main"]);
    assert_eq!(put("e", &pushed), 412, "nobody has read it yet");
    if nix::unistd::geteuid().is_root() {
        let given = Command::new("chown").args(["-R", "65534:65534"]).arg(&elsewhere).status().unwrap();
        assert!(given.success());
    } else {
        NotHere("only root can give files away".to_owned()).say("a gate's repository that is another user's");
    }
    fs::rename(&elsewhere, &code).unwrap();
    wait_until("a push that is taken up", || put("e", &pushed) == 201);
    assert_eq!([put("f", &commits[2]), put("g", &commits[1])], [201, 412], "and what left the window is out");
    wait_until("a word of it", || house.log().contains("the version gate is read again"));
    assert_eq!(house.log().matches("could not be read").count(), 1, "told once: {}", house.log());
    assert_eq!(house.indexed(), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(rows(&house.root())[4]["commit"].as_str(), Some(pushed.as_str()));
    assert_eq!(house.close(), Some(0));
}
