//! The command line: what names nothing, contradicts itself or cannot be read.

use super::call::call;
use crate::rig::Rig;

const OK: &str = "echo $1 >>log";

/// A job of three items whose second is in review, drained.
fn drained() -> Rig {
    let rig = Rig::load(&["a", "b", "c"], "[ $1 != b ] || exit 11", "");
    assert_eq!(rig.pass(), (0, "drained".into()));
    rig
}

#[test]
fn r15_what_cannot_be_set() {
    let rig = Rig::new("[job.load]\nkind = \"exec\"\ncommand = [\"./load\"]\n");
    let refused = |case: &str, args: &[&str]| {
        let args: Vec<&str> = ["set", "load"].iter().chain(args).copied().collect();
        call(&rig, &args).refused(case);
    };
    refused("set_unknown_key", &["concurency=4"]);
    refused("set_no_value", &["pace"]);
    refused("set_bad_value", &["pace=5"]);
    refused("set_bad_value_beside_a_good_one", &["pace=5s", "concurrency=0"]);
    refused("set_bad_switch", &["throttle=no"]);
    call(&rig, &["set", "load"]).refused("set_nothing");
    call(&rig, &["set", "laod", "pace=5s"]).refused("set_of_no_job");
    refused("set_slice_without_slices", &["slice=7d"]);
    refused("set_bandwidth_without_uploads", &["bandwidth=2MiB/s"]);
    refused("set_bandwidth_too_low", &["bandwidth=1kB/s"]);
    call(&rig, &["unset", "load", "pase"]).refused("unset_unknown_key");
    call(&rig, &["unset", "load"]).refused("unset_nothing");
    call(&rig, &["unset", "load", "pace"]).refused("unset_what_is_not_set");
}

#[test]
fn r15_a_job_or_resource_that_there_is_not() {
    let rig = Rig::load(&["a"], OK, "");
    call(&rig, &["run", "laod"]).refused("unknown_job");
    call(&rig, &["run", "load", "zzz"]).refused("unknown_job_beside_a_known_one");
    call(&rig, &["halt", "laod", "--why", "x"]).refused("unknown_job_to_halt");
    call(&rig, &["pause", "laod"]).refused("unknown_job_to_pause");
    call(&rig, &["status", "laod"]).refused("unknown_job_to_look_at");
    call(&rig, &["worklist", "laod", "--extend"]).refused("unknown_job_to_extend");
    call(&rig, &["ban", "api", "--for", "1h"]).refused("unknown_resource");
    call(&rig, &["lift", "api", "--why", "x"]).refused("unknown_resource_to_lift");
}

#[test]
fn r15_a_command_line_that_cannot_be_read() {
    let rig = Rig::load(&["a"], OK, "");
    call(&rig, &["run"]).refused("run_without_jobs");
    call(&rig, &["run", "load", "--until-draned"]).refused("unknown_flag");
    call(&rig, &["rnu", "load"]).refused("unknown_command");
    call(&rig, &["worklist", "load", "--extend", "--replace"]).refused("flags_that_contradict");
    call(&rig, &["run", "load", "--all"]).refused("one_job_and_all");
    call(&rig, &["run", "load", "--max-time", "soon"]).refused("bad_max_time");
    call(&rig, &["exec", "-w", "ids.txt", "-P", "0", "--", "./load"]).refused("concurrency_out_of_range");
    call(&rig, &["--ledger", "x.db", "--config", "highwater.toml", "status"]).refused("ledger_and_config");
}

#[test]
fn r15_a_ban_or_a_time_that_cannot_be_read() {
    let rig = drained();
    call(&rig, &["ban", "r", "--for", "a while"]).refused("ban_of_no_duration");
    call(&rig, &["ban", "r", "--for", "0s"]).refused("ban_of_no_time");
    call(&rig, &["ban", "r"]).refused("ban_without_for");
    call(&rig, &["events", "--since", "yesterday"]).refused("events_since_garbage");
}

#[test]
fn r15_a_word_on_items_that_fits_none() {
    let rig = drained();
    call(&rig, &["retry", "load", "a", "zzz"]).refused("retry_unknown_key");
    call(&rig, &["retry", "load", "--outcome", "reveiw"]).refused("retry_unknown_outcome");
    call(&rig, &["retry", "load"]).refused("retry_without_items");
    call(&rig, &["skip", "load", "b"]).refused("skip_without_why");
    call(&rig, &["skip", "load", "zzz", "--why", "x"]).refused("skip_unknown_key");
    call(&rig, &["skip", "load", "", "--why", "x"]).refused("skip_empty_key");
    call(&rig, &["items", "load", "--key", "zzz"]).refused("items_unknown_key");
    call(&rig, &["items", "load", "--outcome", "failed"]).refused("items_unknown_outcome");
}

#[test]
fn r15_a_word_on_what_is_not_so() {
    let rig = drained();
    call(&rig, &["rearm", "load", "--why", "x"]).refused("rearm_not_halted");
    call(&rig, &["resume", "load"]).refused("resume_not_paused");
    call(&rig, &["lift", "r", "--why", "x"]).refused("lift_not_banned");
    call(&rig, &["import", "markers", "."]).refused("markers_of_no_job");
    call(&rig, &["import", "markers", ".", "--job", "load"]).refused("markers_that_are_not_there");
    call(&rig, &["init"]).refused("init_over_a_configuration");
}

#[test]
fn r15_a_reason_that_is_blank() {
    let rig = drained();
    call(&rig, &["halt", "load", "--why", " "]).refused("blank_why");
    for said in [["skip", "load", "b"].as_slice(), &["halt", "load"], &["rearm", "load"], &["lift", "r"]] {
        for blank in ["", "\t \n"] {
            let ended = rig.run(&[said, &["--why", blank]].concat());
            assert_eq!(ended.code, 2, "{said:?} {blank:?}");
            assert!(ended.stderr.contains("expected a reason"), "{said:?} {blank:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_list_that_is_cut_off_is_not_exit_0() {
    let rig = drained();
    if std::path::Path::new("/dev/full").exists() {
        call(&rig, &["items", "load"]).into_file("/dev/full").fails("items_to_a_full_disk");
        call(&rig, &["events", "--json"]).into_file("/dev/full").fails("events_to_a_full_disk");
        // Nor is one answer that is not there, and what a command did is done.
        for said in [
            ["status"].as_slice(),
            &["status", "--json"],
            &["bans", "--json"],
            &["doctor"],
            &["config", "check"],
            &["halt", "load", "--why", "a test"],
            &["rearm", "load", "--why", "a test", "--json"],
            &["run", "load", "--json"],
            &["--help"],
            &["kb", "add", "-h"],
            &["help", "run"],
            &["--version"],
        ] {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            let ended: crate::rig::Ended = rig.command(said).stdout(full).output().unwrap().into();
            assert_eq!((ended.code, ended.stderr.contains("HW-CMD-011")), (1, true), "{said:?}: {ended:?}");
        }
        assert_eq!(rig.ok(&["status", "load", "--json"]).json()["jobs"][0]["state"], "drained");
    }
}

#[test]
fn r15_items_before_any_pass_has_pinned_some() {
    let rig = Rig::load(&["a"], OK, "");
    call(&rig, &["items", "load"]).refused("items_before_a_pass");
    call(&rig, &["retry", "load", "a"]).refused("retry_before_a_pass");
    call(&rig, &["worklist", "load"]).refused("worklist_before_a_pass");
}

#[test]
fn r15_a_program_reads_the_same_error_as_json() {
    let rig = Rig::load(&["a"], OK, "");
    call(&rig, &["--json", "run", "laod"]).refused("unknown_job_as_json");
    rig.write("highwater.toml", "[job.load]\nkind = \"exce\"\n[resource.r]\npase = \"1s\"\n");
    call(&rig, &["--json", "run", "load"]).refused("config_mistakes_as_json");
}
