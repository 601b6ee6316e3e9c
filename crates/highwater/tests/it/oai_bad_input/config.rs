//! The configuration of both kinds, and commands on jobs that cannot take them.

use crate::oai_targets::kept::refused;
use crate::rig::Rig;

const REPOSITORY: &str = "repository = { base-url = \"https://books.example.org/oai\" }\n";

fn harvest(fields: &str) -> String {
    format!("[job.new]\nkind = \"oai-harvest\"\n{fields}")
}

fn backfill(fields: &str) -> String {
    format!("[job.missing]\nkind = \"oai-backfill\"\n{fields}")
}

/// Refused as it stands in the file.
fn config(text: &str) -> String {
    refused(&Rig::new(text), 2, &["run", "--all"])
}

#[test]
fn r15_a_repository_that_is_not_named_or_no_address() {
    insta::assert_snapshot!(config(&harvest("")), @"
    error[HW-CFG-006]: [DIR]/highwater.toml:1: job.new.repository: found no `repository`, expected a table
      next: add `repository = …`. Which repository, and what of it.
    ");
    insta::assert_snapshot!(config(&backfill("repository = { set = \"books\" }\n")), @"
    error[HW-CFG-006]: [DIR]/highwater.toml:3: job.missing.repository.base-url: found no `base-url`, expected a URL
      next: add `base-url = …`. Where requests go, without a query.
    ");
    insta::assert_snapshot!(config(&harvest("repository = { base-url = \"ftp://books.example.org/oai\" }\n")), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:3: job.new.repository.base-url: found string "ftp://books.example.org/oai", expected an address that starts with http:// or https://
      next: correct the value
    "#);
    insta::assert_snapshot!(config(&backfill("repository = { base-url = \"books.example.org/oai\" }\n")), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:3: job.missing.repository.base-url: found string "books.example.org/oai", expected an address that starts with http:// or https://
      next: correct the value
    "#);
    insta::assert_snapshot!(config(&backfill("repository = \"https://books.example.org/oai\"\n")), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:3: job.missing.repository: found a string, expected a table
      next: write its keys below `[job.missing.repository]`, or remove `repository`
    ");
}

#[test]
fn r15_keys_that_nothing_takes_come_with_a_suggestion() {
    insta::assert_snapshot!(config(&harvest("repositroy = { base-url = \"https://books.example.org/oai\" }\n")), @"
    error[HW-CFG-004]: [DIR]/highwater.toml:3: job.new.repositroy: found a key that is not known here
      next: did you mean `repository`?
    ");
    insta::assert_snapshot!(
        config(&backfill("repository = { base-url = \"https://books.example.org/oai\", metadata-prefx = \"oai_dc\" }\n")),
        @"
    error[HW-CFG-004]: [DIR]/highwater.toml:3: job.missing.repository.metadata-prefx: found a key that is not known here
      next: did you mean `metadata-prefix`?
    "
    );
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}since = \"2026-01-31\"\n"))), @"
    error[HW-CFG-004]: [DIR]/highwater.toml:4: job.missing.since: found a key that is not known here
      next: move it to `[job.NAME]` of kind `oai-harvest`
    ");
    insta::assert_snapshot!(config(&harvest(&format!("{REPOSITORY}order = \"newest-first\"\n"))), @"
    error[HW-CFG-004]: [DIR]/highwater.toml:4: job.new.order: found a key that is not known here
      next: move it to `[job.NAME]` of kind `oai-backfill`
    ");
    insta::assert_snapshot!(
        config(&backfill(&format!("{REPOSITORY}target = {{ have-fiel = \"has.txt\", load = [\"./load\"] }}\n"))),
        @"
    error[HW-CFG-004]: [DIR]/highwater.toml:4: job.missing.target.have-fiel: found a key that is not known here
      next: did you mean `have-file`?
    "
    );
}

#[test]
fn r15_values_that_do_not_fit() {
    insta::assert_snapshot!(config(&harvest(&format!("{REPOSITORY}since = \"31.1.2026\"\n"))), @r#"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.new.since: found "31.1.2026", expected a day such as 2026-01-31
      next: write it as YYYY-MM-DD
    "#);
    insta::assert_snapshot!(config(&harvest(&format!("{REPOSITORY}types = \"book\"\n"))), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.new.types: found string "book", expected a list
      next: correct the value, or remove `types`
    "#);
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}order = \"newest\"\n"))), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.missing.order: found `newest`, expected one of `newest-first`, `oldest-first`, `as-given`
      next: did you mean `newest-first`?
    ");
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}min-recognised = \"120%\"\n"))), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.missing.min-recognised: found string "120%", expected a percentage from "0%" to "100%" with at most two decimals, such as "5%"
      next: correct the value, or remove `min-recognised` for the default, `"99%"`
    "#);
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}number-min = 500\nnumber-max = 20\n"))), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:5: job.missing.number-max: found 20, below `number-min` = 500; no identifier is in between
      next: correct one of the two
    ");
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}number-min = -1\n"))), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.missing.number-min: found integer `-1`, expected a whole number of at least 0
      next: correct the value, or remove `number-min`
    ");
    insta::assert_snapshot!(config(&harvest(&format!("{REPOSITORY}overlap = \"1\"\n"))), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.new.overlap: found string "1", expected a duration with a unit, such as "30s", "5m", "45 min" or "3 days" (no months, no years; at most 10 years)
      next: correct the value, or remove `overlap` for the default, `"1h"`
    "#);
}

#[test]
fn r15_filters_that_would_let_nothing_through() {
    insta::assert_snapshot!(config(&harvest(&format!("{REPOSITORY}types = []\n"))), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.new.types: found an empty list, expected at least one type: no record would pass
      next: name the types that are wanted, or remove `types` to take all
    ");
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}types = [\"book\", \"\"]\n"))), @r#"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.missing.types: found "" among the types, expected words such as "book"
      next: name the types that are wanted, or remove `types` to take all
    "#);
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}types = [\"book\", 3]\n"))), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.missing.types: found integer `3`, expected a string
      next: correct the value, or remove `types`
    ");
    let repository = |field: &str| {
        config(&backfill(&format!("repository = {{ base-url = \"https://books.example.org/oai\", {field} }}\n")))
    };
    insta::assert_snapshot!(repository("set = \"\""), @r#"
    error[HW-CFG-011]: [DIR]/highwater.toml:3: job.missing.repository.set: found "", expected a word without white space, such as "books"
      next: correct it, or remove it
    "#);
    insta::assert_snapshot!(repository("identifier-prefix = \"oai:books.example.org: \""), @r#"
    error[HW-CFG-011]: [DIR]/highwater.toml:3: job.missing.repository.identifier-prefix: found "oai:books.example.org: ", expected a word without white space, such as "oai:directory.doabooks.org:"
      next: correct it, or remove it
    "#);
    insta::assert_snapshot!(repository("metadata-prefix = \"\""), @r#"
    error[HW-CFG-011]: [DIR]/highwater.toml:3: job.missing.repository.metadata-prefix: found "", expected a word without white space, such as "oai_dc"
      next: correct it, or remove it
    "#);
    insta::assert_snapshot!(repository("page-time = \"0s\""), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:3: job.missing.repository.page-time: found no time at all, expected at least a second: no page would come to its end
      next: correct it, or remove it for the default
    ");
}

#[test]
fn r15_a_target_that_says_too_little_or_too_much() {
    let target = |fields: &str| config(&backfill(&format!("{REPOSITORY}target = {{ {fields} }}\n")));
    insta::assert_snapshot!(target("load = [\"./load\"]"), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.missing.target: found none or several of `have-file`, `have-command` and `have-sql`, expected exactly one
      next: keep the one that says what the system has
    ");
    insta::assert_snapshot!(target("have-file = \"has.txt\", have-command = [\"./have\"], load = [\"./load\"]"), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.missing.target: found none or several of `have-file`, `have-command` and `have-sql`, expected exactly one
      next: keep the one that says what the system has
    ");
    insta::assert_snapshot!(target("have-sql = \"SELECT id FROM book\", load = [\"./load\"]"), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.missing.target: found one of `have-sql` and `have-database` without the other
      next: name the query and the SQLite database that it is put to
    ");
    insta::assert_snapshot!(target("have-file = \"has.txt\""), @"
    error[HW-CFG-006]: [DIR]/highwater.toml:4: job.missing.target.load: found no `load`, expected a list of strings
      next: add `load = …`. A command that takes one record's XML on stdin, its identifier in `HIGHWATER_ITEM`. Exit codes as with `exec`: 0 loaded, 3 try again, 4 halt, 10 gone, 11 review, 12 there already, any other a failure.
    ");
    insta::assert_snapshot!(target("have-file = \"has.txt\", load = []"), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.missing.target.load: found an empty list, expected a list of strings, the program first, such as ["./load", "{}"]
      next: correct the value
    "#);
    insta::assert_snapshot!(
        config(&backfill(&format!(
            "{REPOSITORY}catalog = \"books.db\"\ntarget = {{ have-file = \"has.txt\", load = [\"./load\"] }}\n"
        ))),
        @"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.missing.catalog: found both `catalog` and `target`, expected one
      next: keep the one that records are loaded into
    "
    );
    insta::assert_snapshot!(
        config(&harvest(&format!("{REPOSITORY}target = {{ have-file = \"has.txt\", load = [\"./load\"] }}\n"))),
        @"
    error[HW-CFG-011]: [DIR]/highwater.toml:1: job.new.since: found a `target` without `since`; expected where the first harvest begins
      next: name the day up to which the system has everything, or do the rest with a job of kind `oai-backfill`
    "
    );
}

#[test]
fn r15_commands_on_jobs_that_cannot_take_them() {
    let rig = Rig::new(&format!("{}\n{}", harvest(REPOSITORY), backfill(REPOSITORY)));
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "discover", "new"]), @"
    error[HW-CMD-020]: [DIR]/highwater.toml:1: job.new.kind: found new, a job of kind `oai-harvest`; expected one of kind `oai-backfill`
      next: name a backfill: it is what compares and drains
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "export", "new", "doab"]), @"
    error[HW-CMD-020]: [DIR]/highwater.toml:1: job.new.kind: found new, a job of kind `oai-harvest`; expected one of kind `oai-backfill`
      next: name a backfill: it is what compares and drains
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "import", "new", "doab"]), @"
    error[HW-CMD-020]: [DIR]/highwater.toml:1: job.new.kind: found new, a job of kind `oai-harvest`; expected one of kind `oai-backfill`
      next: name a backfill: it is what compares and drains
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "discover", "mising"]), @r#"
    error[HW-CFG-014]: [DIR]/highwater.toml: found no job "mising", expected one of `new`, `missing`
      next: did you mean `missing`?
    "#);
}
