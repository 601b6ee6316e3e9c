//! The gate of a receiver that runs, while its repository is not there yet, is pushed to, goes away and comes back as another user's.

use std::fs;
use std::process::Command;

use highwater_testkit::not_here::NotHere;

use super::house::{Code, House, TOKEN};
use super::rows;
use crate::rig::wait_until;

#[test]
fn r12_a_push_is_taken_up_without_a_restart_and_what_was_read_holds_while_the_repository_is_away() {
    let mut house = House::new("limits.free = \"1 MB\"\n", "[receiver.gate]\nrepository = \"code\"\nwindow = 2\n");
    let (developer, commits) = Code::new(&house.rig.path("developer"), 3);
    let (code, elsewhere) = (house.rig.path("code"), house.rig.path("elsewhere"));
    let push = || {
        let commit = developer.commit();
        developer.git(&["push", "--quiet", elsewhere.to_str().unwrap(), "main"]);
        commit
    };
    house.open();
    let put = |episode: &str, commit: &str| house.put(episode, &format!("X-Code-Commit: {commit}\r\n"), b"bytes").0;
    let unready = |commit: &str| {
        let (status, said) = house.put("a", &format!("X-Code-Commit: {commit}\r\n"), b"bytes");
        status == 503 && said.to_lowercase().contains("\r\nretry-after: ")
    };
    // It refuses nobody, and takes nothing, before it knows.
    assert!(unready(&commits[2]) && unready(&"0".repeat(40)) && unready("HEAD"));
    assert!(house.log().contains("uploads are put off"), "{}", house.log());
    assert_eq!(house.indexed(), [""; 0]);

    developer.git(&["clone", "--quiet", "--bare", ".", elsewhere.to_str().unwrap()]);
    fs::rename(&elsewhere, &code).unwrap();
    wait_until("a repository that is there", || put("a", &commits[2]) == 201);
    assert_eq!((put("b", &commits[1]), put("c", &commits[0]), put("c", "HEAD")), (201, 412, 400));

    let ask = format!("Authorization: Bearer {TOKEN}\r\nX-Code-Commit: ");
    let pushed = developer.commit();
    developer.git(&["push", "--quiet", code.to_str().unwrap(), "main"]);
    wait_until("a push that is taken up", || {
        house.ask(None, "POST", "/v1/ping", &format!("{ask}{pushed}\r\n"), b"").1.contains("\"accepted\"")
    });
    assert_eq!((put("c", &pushed), put("d", &commits[2]), put("e", &commits[1])), (201, 201, 412));

    fs::rename(&code, &elsewhere).unwrap();
    wait_until("a repository that is away", || house.log().contains("the last reading stays in force"));
    assert_eq!((put("e", &pushed), put("f", &commits[1])), (201, 412), "it knows what it knew");
    let later = push();
    if nix::unistd::geteuid().is_root() {
        let given = Command::new("chown").args(["-R", "65534:65534"]).arg(&elsewhere).status().unwrap();
        assert!(given.success());
    } else {
        NotHere("only root can give files away".to_owned()).say("a gate's repository that is another user's");
    }
    fs::rename(&elsewhere, &code).unwrap();
    wait_until("a repository that came back", || put("g", &later) == 201);
    assert!(house.log().contains("the version gate is read again"), "{}", house.log());
    assert_eq!(house.log().matches("could not be read").count(), 2, "each is told once: {}", house.log());
    assert_eq!(house.indexed(), ["a", "b", "c", "d", "e", "g"]);
    let commits: Vec<_> = rows(&house.root()).iter().map(|row| row["commit"].as_str().unwrap().to_owned()).collect();
    assert_eq!((&commits[2], &commits[5]), (&pushed, &later));
    assert_eq!(house.close(), Some(0));
}
