//! Worklists: one that is no list, or whose line is no item, refuses the pass before anything is pinned or started.

use std::process::Command;

use super::call::{Leaves, call};
use crate::rig::Rig;

const OK: &str = "echo \"$@\" >>log";

/// A job whose worklist is `list`, and whose command is `./load WORD`.
fn job(list: &str, word: &str, more: &str) -> Rig {
    let rig = Rig::new(&format!(
        "[job.load]\nkind = \"exec\"\nworklist = \"{list}\"\ncommand = [\"./load\", \"{word}\"]\nresources = [\"r\"]\n{more}\n[resource.r]\nlock = \"file:r.lock\"\n"
    ));
    rig.script("load", OK);
    rig
}

fn refused(case: &str, list: &str, bytes: &[u8], more: &str) {
    let rig = job(list, "{}", more);
    std::fs::write(rig.path(list), bytes).unwrap();
    call(&rig, &["run", "load"]).refuses_the_pass(case);
}

#[test]
fn r15_a_list_that_is_no_file_to_be_read_twice() {
    let rig = job("ids.txt", "{}", "");
    call(&rig, &["run", "load"]).refuses_the_pass("list_missing");
    std::fs::create_dir(rig.path("ids.txt")).unwrap();
    call(&rig, &["run", "load"]).refuses_the_pass("list_a_directory");
    std::fs::remove_dir(rig.path("ids.txt")).unwrap();
    assert!(Command::new("mkfifo").arg(rig.path("ids.txt")).status().unwrap().success());
    call(&rig, &["run", "load"]).refuses_the_pass("list_a_fifo");
}

#[test]
fn r03_a_list_without_items_is_refused_instead_of_freezing_as_complete() {
    refused("list_empty", "ids.txt", b"", "");
    refused("list_of_empty_lines", "ids.txt", b"\n\r\n\n", "");
    refused("list_csv_of_a_header", "ids.csv", b"id,title\n", "");
}

#[test]
fn r15_a_line_that_is_no_item() {
    refused("list_nul", "ids.txt", b"a\nb\0c\n", "");
    refused("list_not_utf8", "ids.txt", b"a\nb\n\xFF\xFE\n", "");
    refused("list_utf16", "ids.txt", b"\xFF\xFEa\0\n\0", "");
    refused("list_line_too_long", "ids.txt", format!("a\n{}\n", "x".repeat(2 << 20)).as_bytes(), "");
    refused("list_key_too_long", "ids.txt", format!("a\n{}\n", "x".repeat(5000)).as_bytes(), "");
}

#[test]
fn r15_a_table_that_is_not_one() {
    refused("list_csv_ragged", "ids.csv", b"id,title\n1,Emma\n2\n", "");
    refused("list_csv_no_such_key", "ids.csv", b"number,title\n1,Emma\n", "key = \"id\"");
    refused("list_csv_no_key_in_a_row", "ids.csv", b"id,title\n1,Emma\n,Persuasion\n", "");
    refused("list_csv_column_twice", "ids.csv", b"id,id\n1,2\n", "");
    refused("list_csv_open_quote", "ids.csv", b"id,title\n1,\"Emma\n2,Persuasion\n", "");
}

#[test]
fn r15_json_lines_that_are_none() {
    refused("list_jsonl_not_an_object", "ids.jsonl", b"{\"id\": 1}\n[2]\n", "");
    refused("list_jsonl_not_json", "ids.jsonl", b"{\"id\": 1}\n{\"id\": 2,}\n", "");
    refused("list_jsonl_missing_id", "ids.jsonl", b"{\"id\": 1}\n{\"title\": \"Emma\"}\n", "");
    refused("list_jsonl_id_is_no_text", "ids.jsonl", b"{\"id\": 1}\n{\"id\": [2]}\n", "");
}

#[test]
fn r15_a_placeholder_that_is_no_column() {
    let rig = job("ids.csv", "{titel}", "");
    rig.write("ids.csv", "id,title\n1,Emma\n");
    call(&rig, &["run", "load"]).refuses_the_pass("list_placeholder_of_no_column");
    let rig = job("ids.txt", "{titel}", "");
    rig.write("ids.txt", "1\n");
    call(&rig, &["run", "load"]).refuses_the_pass("list_placeholder_of_no_line");
}

#[test]
fn r06_a_list_that_changed_under_its_pin() {
    let rig = job("ids.txt", "{}", "budget = { max-items = 1 }");
    rig.list(&["a", "b"]);
    assert_eq!(rig.pass().0, 3);
    rig.list(&["a", "b", "c"]);
    call(&rig, &["run", "load"]).refuses_the_pass("list_changed_under_its_pin");
    std::fs::remove_file(rig.path("ids.txt")).unwrap();
    call(&rig, &["run", "load"]).refuses_the_pass("list_gone_under_its_pin");
    rig.list(&["a", ""]);
    std::fs::write(rig.path("ids.txt"), b"a\n\0\n").unwrap();
    call(&rig, &["worklist", "load", "--extend"]).refuses_the_pass("list_to_extend_is_none");
}

#[test]
fn r15_a_list_of_exec_without_a_configuration() {
    let rig = Rig::new("");
    rig.script("load", OK);
    call(&rig, &["exec", "-w", "nowhere.txt", "--", "./load"]).refused("exec_list_missing");
    call(&rig, &["exec", "-w", "no/where.txt", "--", "./load"]).refused("exec_list_in_no_directory");
    call(&rig, &["exec", "-w", "-", "--", "./load"]).refused("exec_list_is_stdin");
    call(&rig, &["exec", "-w", ".", "--", "./load"]).refused("exec_list_a_directory");
    rig.write("ids.csv", "id,title\n1,Emma\n2\n");
    call(&rig, &["exec", "-w", "ids.csv", "--", "./load"]).refuses_the_pass("exec_list_ragged");
    call(&rig, &["exec", "-w", "ids.csv", "--dry-run", "--", "./load"]).ends(
        "exec_dry_run_of_a_ragged_list",
        2,
        Leaves::Nothing,
    );
}
