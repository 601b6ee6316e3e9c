//! A system of its own: this machine's files below a layer that goes with the test, a systemd that runs them, and nothing of the
//! machine changed. There the installer makes a real user, and the services run as confined as their units say.

use std::path::Path;
use std::process::Command;

use highwater_testkit::not_here::NotHere;

use crate::rig::{Ended, HIGHWATER, Rig};

/// Makes the namespaces, the layer and the system; `$1` is the place for what is told, `$2` the program.
const OUTSIDE: &str = include_str!("system/outside.sh");
/// Installs both roles, before systemd starts.
const SETUP: &str = include_str!("system/setup.sh");
/// What is tried once it runs, each with a line `NAME=VALUE`.
const TRIED: &str = include_str!("system/tried.sh");

#[test]
fn the_installed_services_do_their_work_as_confined_as_their_units_say() {
    let test = "services under a systemd of their own";
    if !super::is_root() {
        return NotHere("not root".to_owned()).say(test);
    }
    let systemd =
        ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"].into_iter().find(|path| Path::new(path).exists());
    let Some(systemd) = systemd else { return NotHere("there is no systemd".to_owned()).say(test) };
    let rig = Rig::new("");
    rig.script("outside", OUTSIDE);
    rig.script("setup", SETUP);
    rig.script("tried", TRIED);
    let place = rig.dir.path().to_str().unwrap();
    let ended = Ended::from(Command::new(rig.path("outside")).args([place, HIGHWATER, systemd]).output().unwrap());
    let (setup, told) = (rig.read("setup.log"), rig.read("told"));
    if !told.contains("up=yes") {
        return NotHere(format!("a systemd of one's own does not start: {}", ended.stderr.trim())).say(test);
    }
    let said = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{name}: {told}\n{setup}")).to_owned()
    };
    for (name, expected) in [
        ("installed", "0"),
        ("again", "nothing changed"),
        ("owner", "highwater:highwater 700"),
        ("receive", "active"),
        ("ship", "active"),
        ("shipped", "by a rename"),
        ("stored", "yes"),
        ("writes-elsewhere", "no"),
        ("capabilities", "0000000000000000"),
        ("privileges", "1"),
        ("syscalls", "2"),
        ("rows", "success"),
        ("row", "yes"),
        ("checkpoint", "success"),
        ("halted", "exit-code"),
        ("reloaded", "active"),
        ("timer", "active"),
        ("receive-ended", "success"),
        ("ship-ended", "success"),
    ] {
        assert_eq!(said(name), expected, "{name}: {told}\n{setup}");
    }
}
