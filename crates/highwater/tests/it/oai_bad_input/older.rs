//! What older programs left: the state of a backfill, and a file that says when to come again.

use std::fs;

use crate::oai_targets::far_side::{FarSide, PREFIX};
use crate::oai_targets::kept::refused;
use crate::rig::Rig;

const STATE: &str = "{\"outcomes\": {\"20.500.12854/1\": \"ok\"}}";
const IDS: &str = "20.500.12854/1\n20.500.12854/2\n";

/// A place where an older backfill left a state that can be taken over.
fn older() -> (FarSide, Rig) {
    let far = FarSide::new(5, 0);
    let rig = Rig::new(&far.backfill(""));
    rig.write("old.json", STATE);
    rig.write("old.ids", IDS);
    (far, rig)
}

fn import(rig: &Rig) -> String {
    refused(rig, 2, &["import", "backfill-state", "old.json"])
}

#[test]
fn r15_a_state_that_is_none_is_not_taken_over() {
    let (far, rig) = older();
    insta::assert_snapshot!(refused(&rig, 2, &["import", "backfill-state", "odl.json"]), @"
    error[HW-OAI-013]: [DIR]/odl.json: it cannot be read: No such file or directory (os error 2)
      next: name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over
    ");
    rig.write("old.json", "");
    insta::assert_snapshot!(import(&rig), @"
    error[HW-OAI-013]: [DIR]/old.json:1: found EOF while parsing a value; expected JSON
      next: name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over
    ");
    rig.write("old.json", "{\"outcomes\": {\"20.500.12854/1\": \"ok\",\n}");
    insta::assert_snapshot!(import(&rig), @"
    error[HW-OAI-013]: [DIR]/old.json:2: found trailing comma; expected JSON
      next: name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over
    ");
    rig.write("old.json", "[1, 2]");
    insta::assert_snapshot!(import(&rig), @"
    error[HW-OAI-013]: [DIR]/old.json: found no outcomes by identifier; expected them under one of outcomes, items, records, results, ids
      next: name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over
    ");
    rig.write("old.json", "{\"outcomes\": {\"20.500.12854/1\": \"okay\"}}");
    insta::assert_snapshot!(import(&rig), @r#"
    error[HW-OAI-013]: [DIR]/old.json: found the outcome "okay" for 20.500.12854/1, expected ok, present_locally, gone, error_review, or pending, retry, error for what is to be tried again
      next: name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over
    "#);
    rig.write("old.json", "{\"outcomes\": {\"20.500.12854/1\": 7}}");
    insta::assert_snapshot!(import(&rig), @"
    error[HW-OAI-013]: [DIR]/old.json: found 7 for 20.500.12854/1, expected a word
      next: name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over
    ");
    rig.write("old.json", "{\"outcomes\": [{\"outcome\": \"ok\"}]}");
    insta::assert_snapshot!(import(&rig), @r#"
    error[HW-OAI-013]: [DIR]/old.json: found {"outcome":"ok"}, expected an object with an `id`
      next: name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over
    "#);
    assert_eq!(far.contacts(), 0);
}

#[test]
fn r15_lists_beside_a_state_that_are_none_take_nothing_over() {
    let (far, rig) = older();
    rig.write("old.ids", "20.500.12854/1\n20.500.12854/2 Emma\n");
    insta::assert_snapshot!(import(&rig), @r#"
    error[HW-OAI-013]: [DIR]/old.ids:2: found "20.500.12854/2 Emma", expected an identifier without white space
      next: name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over
    "#);
    fs::write(rig.path("old.ids"), b"20.500.12854/1\n20.500.12854/\xE9\n").unwrap();
    insta::assert_snapshot!(import(&rig), @"
    error[HW-OAI-013]: [DIR]/old.ids:2: found bytes that are no UTF-8, expected an identifier
      next: name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over
    ");
    rig.write("old.ids", "");
    insta::assert_snapshot!(import(&rig), @"
    error[HW-OAI-013]: [DIR]/old.ids: found no identifier, expected the older backfill's worklist
      next: name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over
    ");
    fs::remove_file(rig.path("old.ids")).unwrap();
    insta::assert_snapshot!(import(&rig), @"
    error[HW-OAI-013]: [DIR]/old.ids: it cannot be read: No such file or directory (os error 2); expected the older backfill's worklist
      next: name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over
    ");
    rig.write("old.ids", IDS);
    rig.write("old.active", IDS);
    rig.write("old.deleted", &format!("{PREFIX}20.500.12854/2\n"));
    insta::assert_snapshot!(import(&rig), @r#"
    error[HW-OAI-005]: [DIR]/old.deleted:1: found "20.500.12854/2", which the file of live records has too; a record is live or deleted, not both
      next: these are files of two crawls: take both from one
    "#);
    rig.write("old.deleted", "20.500.12854/9 Emma\n");
    insta::assert_snapshot!(import(&rig), @r#"
    error[HW-OAI-005]: [DIR]/old.deleted:1: found "20.500.12854/9 Emma", expected one identifier and the end of the line
      next: export the snapshot again where it was crawled, and copy all three files
    "#);
    assert_eq!(far.contacts(), 0);
}

#[test]
fn r15_a_state_that_no_job_or_several_may_take() {
    let far = FarSide::new(5, 0);
    let rig = Rig::new("[job.load]\nkind = \"exec\"\nworklist = \"ids.txt\"\ncommand = [\"true\"]\n");
    rig.write("old.json", STATE);
    rig.write("old.ids", IDS);
    insta::assert_snapshot!(import(&rig), @"
    error[HW-CMD-020]: [DIR]/highwater.toml: found no job of kind `oai-backfill`, expected the one that takes the state over
      next: add one of the same repository to the configuration
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["import", "backfill-state", "old.json", "--job", "load"]), @"
    error[HW-CMD-020]: [DIR]/highwater.toml:1: job.load.kind: found load, a job of kind `exec`; expected one of kind `oai-backfill`
      next: name a backfill: it is what compares and drains
    ");
    let missing = far.backfill("");
    let job = &missing[missing.find("[job.").unwrap()..];
    rig.write("highwater.toml", &format!("{missing}\n{}", job.replace("job.missing", "job.second")));
    insta::assert_snapshot!(import(&rig), @"
    error[HW-CMD-020]: [DIR]/highwater.toml: found 2 jobs of kind `oai-backfill`, expected one, or `--job`
      next: name the job that takes the state over: `--job NAME`
    ");
}

#[test]
fn r15_a_ban_file_that_says_no_time_keeps_everybody_away() {
    let far = FarSide::new(5, 0);
    let config = far.backfill("").replace("pace = \"0s\"", "pace = \"0s\"\nban-file = \"retry-after\"");
    let rig = Rig::new(&config);
    let run = || refused(&rig, 2, &["run", "missing"]);
    rig.write("retry-after", "tomorrow\n");
    insta::assert_snapshot!(run(), @r#"
    missing: refused (pass 1, exit 2)
    error[HW-BAN-001]: [DIR]/retry-after: ban-file: found "tomorrow"; expected one line such as 2026-11-20T12:00:00Z, or no file
      next: correct the file, or `highwater lift RESOURCE --why …`; until then nothing is contacted
    "#);
    rig.write("retry-after", "3600\n");
    insta::assert_snapshot!(run(), @r#"
    missing: refused (pass 2, exit 2)
    error[HW-BAN-001]: [DIR]/retry-after: ban-file: found "3600"; expected one line such as 2026-11-20T12:00:00Z, or no file
      next: correct the file, or `highwater lift RESOURCE --why …`; until then nothing is contacted
    "#);
    rig.write("retry-after", "2026-11-20T12:00:00Z\n2026-11-21T12:00:00Z\n");
    insta::assert_snapshot!(run(), @r#"
    missing: refused (pass 3, exit 2)
    error[HW-BAN-001]: [DIR]/retry-after: ban-file: found "2026-11-20T12:00:00Z\n2026-11-21T12:00:00Z"; expected one line such as 2026-11-20T12:00:00Z, or no file
      next: correct the file, or `highwater lift RESOURCE --why …`; until then nothing is contacted
    "#);
    fs::write(rig.path("retry-after"), b"\xFF\xFE2\0").unwrap();
    insta::assert_snapshot!(run(), @r#"
    missing: refused (pass 4, exit 2)
    error[HW-BAN-001]: [DIR]/retry-after: ban-file: found "��2\0"; expected one line such as 2026-11-20T12:00:00Z, or no file
      next: correct the file, or `highwater lift RESOURCE --why …`; until then nothing is contacted
    "#);
    fs::remove_file(rig.path("retry-after")).unwrap();
    fs::create_dir(rig.path("retry-after")).unwrap();
    insta::assert_snapshot!(run(), @"
    missing: refused (pass 5, exit 2)
    error[HW-BAN-001]: [DIR]/retry-after: ban-file: Is a directory (os error 21); expected one line such as 2026-11-20T12:00:00Z, or no file
      next: correct the file, or `highwater lift RESOURCE --why …`; until then nothing is contacted
    ");
    assert_eq!(far.contacts(), 0);
    fs::remove_dir(rig.path("retry-after")).unwrap();
    rig.ok(&["run", "missing"]);
}
