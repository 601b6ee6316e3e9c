//! The configuration: every mistake is told with its file, line and field, before anything is opened or made.

use std::os::unix::fs::symlink;

use super::call::call;
use crate::rig::Rig;

/// A job that would run.
fn shipping(more: &str) -> String {
    format!("[job.send]\nkind = \"ship\"\nreceiver = \"http://127.0.0.1:1\"\nhost-id = \"lab\"\n{more}\n")
}

const JOB: &str = "[job.load]\nkind = \"exec\"\ncommand = [\"./load\"]\n";

/// Refused as it stands in the file.
fn refused(case: &str, config: &str) {
    let rig = Rig::new(config);
    rig.script("load", "echo >>log");
    call(&rig, &["run", "--all"]).refused(case);
}

#[test]
fn r15_a_configuration_that_is_not_there() {
    let rig = Rig::new(JOB);
    call(&rig, &["run", "--all", "--config", "nowhere.toml"]).refused("config_missing");
    call(&rig, &["run", "--all"]).env("HIGHWATER_CONFIG", "nowhere.toml").refused("config_missing_by_variable");
    std::fs::remove_file(rig.path("highwater.toml")).unwrap();
    call(&rig, &["run", "--all"]).refused("config_none_found");
}

#[test]
fn r15_a_configuration_that_is_no_file_of_text() {
    let rig = Rig::new(JOB);
    call(&rig, &["run", "--all", "--config", "."]).refused("config_a_directory");
    call(&rig, &["run", "--all", "--config", "/dev/zero"]).refused("config_a_device");
    std::fs::write(rig.path("highwater.toml"), b"[job.load]\nkind = \"ex\xE9c\"\n").unwrap();
    call(&rig, &["run", "--all"]).refused("config_not_utf8");
    rig.write("highwater.toml", &"# a worklist, by mistake\n".repeat(50_000));
    call(&rig, &["run", "--all"]).refused("config_too_large");
}

#[test]
fn r15_toml_that_is_none() {
    refused("config_syntax", &format!("{JOB}resources = [\"r\"\n\n[resource.r]\n"));
    refused("config_key_twice", &format!("{JOB}command = [\"./other\"]\n"));
}

#[test]
fn r15_a_table_that_is_empty_or_of_no_known_kind() {
    refused("config_empty", "");
    refused("config_empty_job", "[job.load]\n");
    refused("config_no_command", "[job.load]\nkind = \"exec\"\n");
    refused("config_unknown_kind", "[job.load]\nkind = \"exce\"\ncommand = [\"./load\"]\n");
    refused("config_name_that_is_none", "[job.\"two words\"]\nkind = \"exec\"\ncommand = [\"./load\"]\n");
}

#[test]
fn r15_a_key_that_nothing_takes() {
    refused("config_unknown_key", &format!("{JOB}worklst = \"ids.txt\"\n"));
    refused("config_unknown_key_at_top", &format!("sate-dir = \"state\"\n{JOB}"));
    refused("config_key_in_the_wrong_table", &format!("{JOB}pace = \"3s\"\n"));
}

#[test]
fn r15_a_value_that_does_not_fit() {
    refused("config_wrong_type", &format!("{JOB}concurrency = \"four\"\n"));
    refused("config_out_of_range", &format!("{JOB}concurrency = 5000\n"));
    refused("config_bad_duration", &format!("{JOB}timeout = \"5 fortnights\"\n"));
    refused("config_fields_that_contradict", &format!("{JOB}key = \"id\"\n"));
    refused("config_bandwidth_too_low", &shipping("bandwidth = \"1kB/s\""));
    refused("config_bandwidth_too_low_for_its_archives", &shipping("bandwidth = \"16KiB/s\"\nresume-above = \"1GiB\""));
    refused("config_kept_longer_than_it_is_remembered", &shipping("keep-time = \"400 days\""));
    refused("config_kept_for_no_time", &shipping("keep-time = \"0s\""));
    refused("config_empty_command", "[job.load]\nkind = \"exec\"\ncommand = []\n");
}

#[test]
fn r15_a_signal_that_is_none() {
    let throttle = |lines: &str| format!("{JOB}\n[[job.load.throttle]]\n{lines}\n");
    refused("config_throttle_no_list", &format!("{JOB}\n[job.load.throttle]\nsignal = \"file\"\n"));
    refused("config_throttle_empty", &throttle(""));
    refused("config_throttle_unknown_signal", &throttle("signal = \"lock-waters\"\nlimit = 5"));
    refused("config_throttle_unknown_key", &throttle("signal = \"file\"\nlimti = 5\npath = \"load\""));
    refused("config_throttle_limit_of_nothing", &throttle("signal = \"file\"\nlimit = 0\npath = \"load\""));
    refused("config_throttle_without_its_field", &throttle("signal = \"command\"\nlimit = 5\npath = \"load\""));
    refused("config_throttle_unseen_contacts", &throttle("signal = \"latency\"\nlimit = 2"));
    refused("config_throttle_no_database", &throttle("signal = \"lock-waiters\"\nlimit = 5"));
    refused(
        "config_throttle_database_of_another_kind",
        &throttle("signal = \"lock-waiters\"\nlimit = 5\ndatabase = \"sqlite:a.db\""),
    );
    refused(
        "config_throttle_no_address",
        &throttle("signal = \"sql\"\nlimit = 5\nquery = \"SELECT 1\"\ndatabase = \"mysql://a:s3cret@db/x\""),
    );
    refused("config_throttle_too_often", &format!("{JOB}throttle-every = \"5ms\"\nthrottle-wait = \"0s\"\n"));
    let second = "signal = \"file\"\nlimit = 5\npath = \"a\"\n\n[[job.load.throttle]]\nsignal = \"file\"\nlimit = \"9\"\npath = \"b\"";
    refused("config_throttle_the_second_of_two", &throttle(second));
}

#[test]
fn r15_a_variable_that_is_not_set_and_a_secret_that_does_not_fit() {
    let rig = Rig::new(&format!("{JOB}env = {{ TOKEN = \"${{HW_TEST_TOKEN}}\" }}\n"));
    call(&rig, &["run", "--all"]).without("HW_TEST_TOKEN").refuses_the_pass("config_variable_not_set");
    let rig = Rig::new(&format!("{JOB}timeout = \"${{HW_TEST_TOKEN}}\"\n"));
    let said = call(&rig, &["run", "--all"]).env("HW_TEST_TOKEN", "hunter2").refused("config_secret_that_does_not_fit");
    assert!(!format!("{}{}", said.stdout, said.stderr).contains("hunter2"), "a secret is never printed: {said:?}");
    let rig = Rig::new(JOB);
    call(&rig, &["run", "--all"])
        .env("HIGHWATER_LOG_FORMAT", "xml")
        .refused("config_variable_of_its_own_that_does_not_fit");
}

#[test]
fn r15_two_resources_with_one_lock() {
    let config = |second: &str| {
        format!(
            "{JOB}resources = [\"r\", \"s\"]\n\n[resource.r]\nlock = \"file:r.lock\"\n\n[resource.s]\nlock = \"file:{second}\"\n"
        )
    };
    let rig = Rig::new(&config("./r.lock"));
    call(&rig, &["run", "--all"]).refused("config_one_lock_by_path");
    rig.write("highwater.toml", &config("s.lock"));
    symlink("r.lock", rig.path("s.lock")).unwrap();
    call(&rig, &["run", "--all"]).refused("config_one_lock_by_symbolic_link");
    std::fs::remove_file(rig.path("s.lock")).unwrap();
    rig.write("r.lock", "");
    std::fs::hard_link(rig.path("r.lock"), rig.path("s.lock")).unwrap();
    call(&rig, &["run", "--all"]).refused("config_one_lock_by_hard_link");
}

#[test]
fn r15_names_that_lead_nowhere() {
    refused("config_undeclared_resource", &format!("{JOB}resources = [\"apj\"]\n\n[resource.api]\n"));
    refused("config_resource_named_twice", &format!("{JOB}resources = [\"api\", \"api\"]\n\n[resource.api]\n"));
    refused("config_log_file_in_no_directory", &format!("log-file = \"logs/highwater.log\"\n{JOB}"));
}

#[test]
fn r15_two_notify_targets_that_are_wrong() {
    refused(
        "config_two_notify_targets_wrong",
        &format!("{JOB}\n[[notify]]\nwebhook = \"ftp://example.org/\"\n\n[[notify]]\non = [\"halted\"]\n"),
    );
}

#[test]
fn r15_every_mistake_of_a_file_is_told_at_once() {
    refused(
        "config_several_mistakes",
        "keep-days = 0\n\n[job.load]\nkind = \"exec\"\ncommand = \"./load\"\nconcurency = 4\n\n[resource.api]\npace = 3\n",
    );
}
