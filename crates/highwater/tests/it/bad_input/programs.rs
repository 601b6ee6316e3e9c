//! Commands: one that cannot be named or started.

use super::call::{Leaves, call};
use crate::rig::Rig;

/// One job over two items.
fn job(command: &str, more: &str) -> Rig {
    let rig = Rig::new(&format!(
        "[job.load]\nkind = \"exec\"\nworklist = \"ids.txt\"\ncommand = {command}\nresources = [\"r\"]\n{more}\n[resource.r]\nlock = \"file:r.lock\"\n"
    ));
    rig.list(&["a", "b"]);
    rig
}

#[test]
fn r15_exec_without_what_it_needs() {
    let rig = Rig::new("");
    rig.list(&["a"]);
    call(&rig, &["exec", "--", "true"]).refused("exec_no_lock_no_worklist");
    call(&rig, &["exec", "-w", "ids.txt"]).refused("exec_no_command");
    call(&rig, &["exec", "-w", "ids.txt", "--", ""]).refused("exec_empty_command");
    call(&rig, &["exec", "-w", "ids.txt", "--ledger", "no/where.db", "--", "true"])
        .refused("exec_ledger_in_no_directory");
    let homeless = call(&rig, &["exec", "--lock", "x.lock", "--", "true"]).without("HOME").without("XDG_STATE_HOME");
    homeless.refused("exec_no_home_for_its_ledger");
}

#[test]
fn r15_a_program_that_cannot_be_started_halts_before_any_item() {
    for (case, command, more) in [
        ("program_missing", "[\"./laod\", \"{}\"]", ""),
        // A directory of the caller's own path may be closed to them, which is another error.
        ("program_not_on_the_path", "[\"highwater-no-such-program\"]", "env = { PATH = \"/usr/bin:/bin\" }"),
        ("program_in_no_directory", "[\"true\"]", "directory = \"nowhere\""),
    ] {
        let rig = job(command, more);
        call(&rig, &["run", "load"]).ends(case, 4, Leaves::Halt);
        call(&rig, &["run", "load"]).ends(&format!("{case}_again"), 4, Leaves::Row);
    }
}

#[test]
fn r15_a_pass_whose_program_cannot_be_started_halts() {
    let rig = Rig::new("[job.load]\nkind = \"exec\"\ncommand = [\"./load\"]\n");
    call(&rig, &["run", "load"]).ends("program_missing_as_a_pass", 4, Leaves::Halt);
}

#[test]
fn r15_a_file_that_is_no_program_halts_before_any_item() {
    let rig = job("[\"./load\"]", "");
    rig.write("load", "#!/bin/sh\necho >>log\n");
    call(&rig, &["run", "load"]).ends("program_not_executable", 4, Leaves::Halt);
}

#[test]
fn r15_an_interpreter_that_is_missing_halts_before_any_item() {
    let rig = job("[\"./load\"]", "");
    rig.script("load", "");
    rig.write("load", "#!/no/such/interpreter\n");
    call(&rig, &["run", "load"]).ends("program_without_interpreter", 4, Leaves::Halt);
}
