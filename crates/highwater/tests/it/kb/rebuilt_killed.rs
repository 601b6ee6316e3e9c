//! `kill -9` of `kb rebuild --force`, of the first call and of those after it, where only the database knows what some generations changed:
//! in the end nothing is lost of that (R14).

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use highwater_testkit::bind_mount::BindMount;

use super::Desk;
use crate::rig::{KILLED, dice, pause};

/// How many bases there are, each with calls that are killed.
const BASES: usize = 30;
/// How many calls of one base are killed at most.
const KILLS_MAX: usize = 3;
/// What a call takes at most until it is killed, where nothing announces the moment.
const LATEST: Duration = Duration::from_millis(60);
/// How long after its first sign of giving way a call is killed at most.
const AFTER_SIGN: Duration = Duration::from_millis(2);

#[test]
fn r14_what_only_the_database_knew_outlives_kills_of_the_calls_that_make_it_again() {
    let (desk, mut dice) = (Desk::new(), dice("r14_what_only_the_database_knew_outlives_kills"));
    for n in 0..4 {
        let text = format!(
            "# Report {n}\n\nThe tidal range at gauge {n} is {n} metres. A storm surge adds to the tidal range.\n"
        );
        desk.0.write(&format!("in/report-{n}.md"), &text);
        desk.0.ok(&["kb", "add", &format!("in/report-{n}.md"), "--kb", "notes"]);
    }
    let (had, shown) = (desk.answers(), without_log(desk.shown()));
    for generation in [2, 3] {
        let manifest = format!("notes/.highwater/objects/generation-{generation:010}");
        fs::remove_file(desk.0.path(&manifest)).unwrap();
    }
    fs::rename(desk.0.path("notes"), desk.0.path("begin")).unwrap();
    let mut killed = 0;
    for base in 0..BASES {
        let copied = desk.0.sh("rm -rf notes && cp -a begin notes");
        assert_eq!(copied.code, 0, "{copied:?}");
        let mut left = Vec::new();
        for _ in 0..dice.usize(1..=KILLS_MAX) {
            let mut call = desk.0.doom(&["kb", "rebuild", "--force", "--kb", "notes"]);
            if dice.bool() {
                pause(LATEST.mul_f64(dice.f64()));
            } else {
                // What was there is kept, or its log is gone: from now on the new one takes its place.
                let home = desk.0.path("notes/.highwater");
                let has_sign = || fs::read_dir(home.join("quarantine")).is_ok_and(|mut kept| kept.next().is_some());
                while call.runs() && !has_sign() {}
                pause(AFTER_SIGN.mul_f64(dice.f64()));
            }
            if call.kill_9().code == KILLED {
                killed += 1;
                left.push(desk.0.sh("ls -R notes/.highwater | grep -v '^[0-9a-f]*$'").stdout);
            }
        }
        let ended = desk.rebuild(&["--force"]);
        assert!(matches!(ended.code, 0 | 4), "{base}: {ended:?}");
        assert!(ended.stdout.contains("/quarantine/kb.db."), "{base}: what was there is named: {ended:?}");
        assert_eq!(desk.answers(), had, "{base}: {ended:?}, after {left:#?}");
        assert!(without_log(desk.shown()) == shown, "{base}: what stands; {ended:?}, after {left:#?}");
        let log = fs::read_to_string(desk.0.path("notes/wiki/log.md")).unwrap();
        let said = log.matches("what the database knew of generation").count();
        assert_eq!(said, 1, "{base}: {log}, after {left:#?}");
        let linted = desk.0.run(&["kb", "lint", "--kb", "notes", "--json"]);
        assert!(linted.code == 0 && !linted.stdout.contains("\"edited\""), "{base}: {linted:?}, after {left:#?}");
    }
    eprintln!("{killed} kills in {BASES} bases");
}

fn without_log(mut shown: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    shown.retain(|path, _| !path.ends_with("log.md"));
    shown
}

#[test]
fn r14_what_a_call_put_in_the_place_of_the_database_and_did_not_show_is_shown_by_the_next() {
    let desk = Desk::new();
    for n in 0..3 {
        desk.0.write(&format!("in/report-{n}.md"), &format!("# Report {n}\n\nThe tidal range at gauge {n}.\n"));
        desk.0.ok(&["kb", "add", &format!("in/report-{n}.md"), "--kb", "notes"]);
    }
    let had = desk.answers();
    fs::remove_file(desk.0.path("notes/.highwater/objects/generation-0000000003")).unwrap();
    let log = desk.0.path("notes/wiki/log.md");
    let Ok(mount) = BindMount::mount(&log, &log).inspect_err(|not_here| not_here.say("r14_what_a_call_did_not_show"))
    else {
        return;
    };
    let ended = desk.rebuild(&["--force"]);
    assert!(ended.code == 1 && ended.stderr.contains("HW-KB-022"), "{ended:?}");
    drop(mount);
    // As where it was killed before it had planned anything.
    for left in fs::read_dir(desk.0.path("notes/.highwater/tmp")).unwrap() {
        fs::remove_file(left.unwrap().path()).unwrap();
    }
    let ended = desk.rebuild(&["--force"]);
    assert_eq!((ended.code, desk.answers()), (0, had), "{ended:?}");
    let said = fs::read_to_string(&log).unwrap().matches("what the database knew of generation").count();
    assert_eq!(said, 1, "{ended:?}");
    let linted = desk.0.ok(&["kb", "lint", "--kb", "notes", "--json"]);
    assert!(!linted.stdout.contains("\"edited\""), "{linted:?}");
}
