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
fn r15_a_job_or_resource_that_there_is_not() {
    let rig = Rig::load(&["a"], OK, "");
    call(&rig, &["run", "laod"]).is_refused("unknown_job");
    call(&rig, &["run", "load", "zzz"]).is_refused("unknown_job_beside_a_known_one");
    call(&rig, &["halt", "laod", "--why", "x"]).is_refused("unknown_job_to_halt");
    call(&rig, &["pause", "laod"]).is_refused("unknown_job_to_pause");
    call(&rig, &["status", "laod"]).is_refused("unknown_job_to_look_at");
    call(&rig, &["worklist", "laod", "--extend"]).is_refused("unknown_job_to_extend");
    call(&rig, &["ban", "api", "--for", "1h"]).is_refused("unknown_resource");
    call(&rig, &["lift", "api", "--why", "x"]).is_refused("unknown_resource_to_lift");
}

#[test]
fn r15_a_command_line_that_cannot_be_read() {
    let rig = Rig::load(&["a"], OK, "");
    call(&rig, &["run"]).is_refused("run_without_jobs");
    call(&rig, &["run", "load", "--until-draned"]).is_refused("unknown_flag");
    call(&rig, &["rnu", "load"]).is_refused("unknown_command");
    call(&rig, &["worklist", "load", "--extend", "--replace"]).is_refused("flags_that_contradict");
    call(&rig, &["run", "load", "--all"]).is_refused("one_job_and_all");
    call(&rig, &["run", "load", "--max-time", "soon"]).is_refused("bad_max_time");
    call(&rig, &["exec", "-w", "ids.txt", "-P", "0", "--", "./load"]).is_refused("concurrency_out_of_range");
    call(&rig, &["--ledger", "x.db", "--config", "highwater.toml", "status"]).is_refused("ledger_and_config");
}

#[test]
fn r15_a_ban_or_a_time_that_cannot_be_read() {
    let rig = drained();
    call(&rig, &["ban", "r", "--for", "a while"]).is_refused("ban_of_no_duration");
    call(&rig, &["ban", "r", "--for", "0s"]).is_refused("ban_of_no_time");
    call(&rig, &["ban", "r"]).is_refused("ban_without_for");
    call(&rig, &["events", "--since", "yesterday"]).is_refused("events_since_garbage");
}

#[test]
fn r15_a_word_on_items_that_fits_none() {
    let rig = drained();
    call(&rig, &["retry", "load", "a", "zzz"]).is_refused("retry_unknown_key");
    call(&rig, &["retry", "load", "--outcome", "reveiw"]).is_refused("retry_unknown_outcome");
    call(&rig, &["retry", "load"]).is_refused("retry_without_items");
    call(&rig, &["skip", "load", "b"]).is_refused("skip_without_why");
    call(&rig, &["skip", "load", "zzz", "--why", "x"]).is_refused("skip_unknown_key");
    call(&rig, &["skip", "load", "", "--why", "x"]).is_refused("skip_empty_key");
    call(&rig, &["items", "load", "--key", "zzz"]).is_refused("items_unknown_key");
    call(&rig, &["items", "load", "--outcome", "failed"]).is_refused("items_unknown_outcome");
}

#[test]
fn r15_a_word_on_what_is_not_so() {
    let rig = drained();
    call(&rig, &["rearm", "load", "--why", "x"]).is_refused("rearm_not_halted");
    call(&rig, &["resume", "load"]).is_refused("resume_not_paused");
    call(&rig, &["lift", "r", "--why", "x"]).is_refused("lift_not_banned");
    call(&rig, &["import", "markers", "."]).is_refused("markers_of_no_job");
    call(&rig, &["init"]).is_refused("init_over_a_configuration");
}

#[test]
fn r15_items_before_any_pass_has_pinned_some() {
    let rig = Rig::load(&["a"], OK, "");
    call(&rig, &["items", "load"]).is_refused("items_before_a_pass");
    call(&rig, &["retry", "load", "a"]).is_refused("retry_before_a_pass");
    call(&rig, &["worklist", "load"]).is_refused("worklist_before_a_pass");
}

#[test]
fn r15_a_program_reads_the_same_error_as_json() {
    let rig = Rig::load(&["a"], OK, "");
    call(&rig, &["--json", "run", "laod"]).is_refused("unknown_job_as_json");
    rig.write("highwater.toml", "[job.load]\nkind = \"exce\"\n[resource.r]\npase = \"1s\"\n");
    call(&rig, &["--json", "run", "load"]).is_refused("config_mistakes_as_json");
}
