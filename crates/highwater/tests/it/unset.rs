//! A `${NAME}` whose variable is not set here: it keeps nobody from what does not need its value, and whoever needs it is told
//! the file, the line and the field.

use highwater_testkit::faulty_http::{Answer, FaultyHttp};
use serde_json::json;

use crate::rig::Rig;

const NTFY: &str = "[[notify]]\nurl = \"${HW_TEST_NTFY_URL}\"\non = [\"drained\"]\n";
/// What everyone who cannot use the target is told.
const WHERE: &str =
    "notify[0].url: found `${HW_TEST_NTFY_URL}`, but the environment variable `HW_TEST_NTFY_URL` is not set";

/// One job, and a target of notices without an address.
fn unreachable() -> Rig {
    let rig = Rig::load(&["a", "b"], "", "");
    rig.write("highwater.toml", &(rig.read("highwater.toml") + NTFY));
    rig
}

/// `load`, which works, after `secret`, whose environment lacks a variable.
fn two_jobs() -> Rig {
    let rig = Rig::load(&["a", "b"], "", "");
    let secret = "[job.secret]\nkind = \"exec\"\nworklist = \"ids.txt\"\ncommand = [\"./load\", \"{}\"]\nenv = { TOKEN = \"${HW_TEST_TOKEN}\" }\nresources = [\"r\"]\n";
    rig.write("highwater.toml", &format!("{secret}{}", rig.read("highwater.toml")));
    rig
}

#[test]
fn a_notify_target_without_its_variable_stops_no_command() {
    let rig = unreachable();
    for args in [
        &["status"][..],
        &["items", "load"],
        &["events"],
        &["bans"],
        &["halt", "load", "--why", "x"],
        &["rearm", "load", "--why", "x"],
        &["pause", "load"],
        &["resume", "load"],
        &["ban", "r", "--for", "1h"],
        &["lift", "r", "--why", "x"],
        &["worklist", "load", "--replace"],
        &["worklist", "load"],
        &["config", "show"],
    ] {
        let ended = rig.run(args);
        let before_a_pass = args == ["items", "load"];
        assert_eq!(ended.code, if before_a_pass { 2 } else { 0 }, "{args:?}: {ended:?}");
        assert!(!ended.stderr.contains("HW-CFG-008"), "{args:?}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notify_target_without_its_variable_is_one_that_cannot_be_reached() {
    let rig = unreachable();
    let said = rig.ok(&["run", "load"]);
    assert!(said.stdout.starts_with("load: drained"), "{said:?}");
    assert_eq!(said.stderr.matches(WHERE).count(), 1, "told once: {said:?}");
    assert!(said.stderr.contains(WHERE) && said.stderr.contains("highwater.toml:10"), "{said:?}");
    let waiting = rig.ok(&["status", "--json"]).json()["jobs"][0]["notices"].clone();
    assert_eq!((&waiting[0]["change"], &waiting[0]["target"]), (&json!("drained"), &json!(0)), "it waits");

    let server = FaultyHttp::start(|_| Answer::ok("")).await.unwrap();
    let db = rusqlite::Connection::open(rig.path(".highwater-state/ledger.db")).unwrap();
    db.execute("UPDATE notice SET due_at = 0", []).unwrap();
    let pass = rig.command(&["run", "load"]).env("HW_TEST_NTFY_URL", server.url("/topic")).output().unwrap();
    assert_eq!(pass.status.code(), Some(0), "{pass:?}");
    assert_eq!(server.requests().len(), 1, "and is delivered when the variable is set");
}

#[test]
fn config_check_and_doctor_tell_an_unset_variable_as_a_fault() {
    let rig = unreachable();
    let check = rig.run(&["config", "check"]);
    assert_eq!(check.code, 2, "{check:?}");
    assert!(check.stderr.contains(WHERE) && check.stderr.contains("highwater.toml:10"), "{check:?}");
    let doctor = rig.run(&["doctor"]);
    assert_eq!(doctor.code, 2, "{doctor:?}");
    assert!(doctor.stdout.contains(WHERE) && doctor.stdout.contains("highwater.toml:10"), "{doctor:?}");
    assert!(doctor.stdout.contains("worklist"), "and looks at the rest: {doctor:?}");
}

#[test]
fn cron_runs_without_the_target_and_tells_it_once_a_change() {
    let rig = unreachable();
    let cron = || rig.run(&["run", "load", "--cron"]);
    let first = cron();
    assert_eq!(first.code, 0);
    assert!(first.stderr.contains(WHERE), "{first:?}");
    assert!(rig.ok(&["status"]).stdout.contains("load: drained"), "it ran");
    let second = cron();
    assert_eq!((second.code, &*second.stdout, &*second.stderr), (0, "", ""), "once");
    let set = rig.command(&["run", "load", "--cron"]).env("HW_TEST_NTFY_URL", "http://127.0.0.1:9/").output().unwrap();
    assert_eq!(set.status.code(), Some(0));
    let again = cron();
    assert!(again.stderr.contains(WHERE), "it was set meanwhile, so this is a change: {again:?}");
}

#[test]
fn a_jobs_own_unset_variable_refuses_that_job_alone() {
    let rig = two_jobs();
    let all = rig.run(&["run", "--all"]);
    assert_eq!(all.code, 2, "{all:?}");
    let fault = "highwater.toml:5: job.secret.env.TOKEN: found `${HW_TEST_TOKEN}`, but the environment variable `HW_TEST_TOKEN` is not set";
    assert!(all.stderr.contains(fault), "{all:?}");
    assert!(all.stdout.contains("load: drained"), "the other runs: {all:?}");
    let status = rig.ok(&["status"]).stdout;
    assert!(status.contains("secret: ") && status.contains("refused, exit 2"), "the ending has its row: {status}");
    let names: Vec<_> = rig.ok(&["status", "--json"]).json()["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["name"].clone())
        .collect();
    assert_eq!(names, ["secret", "load"], "in file order");
    for args in [
        &["halt", "secret", "--why", "x"][..],
        &["rearm", "secret", "--why", "x"],
        &["pause", "secret"],
        &["status", "secret"],
    ] {
        rig.ok(args);
    }
    let pin = rig.run(&["worklist", "secret", "--replace"]);
    assert_eq!(pin.code, 2);
    assert!(pin.stderr.contains(fault), "{pin:?}");
    let dry = rig.run(&["run", "secret", "--dry-run"]);
    assert_eq!(dry.code, 2);
    assert!(dry.stderr.contains(fault), "{dry:?}");
    let show = rig.ok(&["config", "show"]).stdout;
    assert!(show.contains("[job.secret]") && show.contains("${HW_TEST_TOKEN}"), "{show}");
    assert_eq!(rig.run(&["config", "check"]).code, 2);
}

#[test]
fn a_resource_with_an_unset_variable_refuses_the_jobs_that_name_it() {
    let rig = Rig::load(&["a"], "", "");
    let config = rig.read("highwater.toml").replace("file:r.lock", "file:${HW_TEST_LOCKS}/r.lock");
    rig.write("highwater.toml", &(config + "[job.free]\nkind = \"exec\"\ncommand = [\"true\"]\n"));
    let all = rig.run(&["run", "--all"]);
    assert_eq!(all.code, 2, "{all:?}");
    assert!(
        all.stderr.contains("resource.r.lock: found `file:${HW_TEST_LOCKS}/r.lock`")
            || all.stderr.contains("resource.r.lock: found `${HW_TEST_LOCKS}`"),
        "{all:?}"
    );
    assert!(all.stdout.contains("free: drained"), "{all:?}");
    rig.ok(&["ban", "r", "--for", "1h"]);
    rig.ok(&["lift", "r", "--why", "x"]);
}

#[test]
fn what_everything_needs_stays_a_refusal_of_everything() {
    let rig = Rig::load(&["a"], "", "");
    rig.write("highwater.toml", &format!("state-dir = \"${{HW_TEST_STATE}}\"\n{}", rig.read("highwater.toml")));
    let ended = rig.run(&["status"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("highwater.toml:1: state-dir: found `${HW_TEST_STATE}`"), "{ended:?}");
}
