//! One mistake a test, and what a person reads (R15).

use insta::assert_snapshot;

use super::refused;

#[test]
fn an_unknown_key_is_refused_with_a_suggestion() {
    assert_snapshot!(refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nworklst = \"ids.txt\"\n"), @"
    error[HW-CFG-004]: /hw/highwater.toml:4: job.load.worklst: found a key that is not known here
      next: did you mean `worklist`?
    (an editor marks it)
    ");
}

#[test]
fn an_unknown_key_without_a_likeness_is_sent_to_the_schema() {
    assert_snapshot!(refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nzzz = 1\n"), @"
    error[HW-CFG-004]: /hw/highwater.toml:4: job.load.zzz: found a key that is not known here
      next: remove it; `highwater config schema` lists every key
    (an editor marks it)
    ");
}

#[test]
fn an_unknown_table_is_refused_with_a_suggestion() {
    assert_snapshot!(refused("[jobs.load]\nkind = \"exec\"\ncommand = [\"true\"]\n"), @"
    error[HW-CFG-004]: /hw/highwater.toml:1: jobs: found a key that is not known here
      next: did you mean `job`?
    (an editor marks it)
    ");
}

#[test]
fn an_unknown_key_in_a_nested_table_names_its_whole_field() {
    assert_snapshot!(
        refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\n\n[job.load.budget]\nmax-item = 5\n"),
        @"
    error[HW-CFG-004]: /hw/highwater.toml:6: job.load.budget.max-item: found a key that is not known here
      next: did you mean `max-items`?
    (an editor marks it)
    "
    );
}

#[test]
fn a_key_of_another_table_lists_what_is_known_here() {
    assert_snapshot!(refused("[resource.api]\ncommand = [\"true\"]\n"), @"
    error[HW-CFG-004]: /hw/highwater.toml:2: resource.api.command: found a key that is not known here
      next: move it to `[job.NAME]` of kind `exec` or to `[[notify]]`
    (an editor marks it)
    ");
}

#[test]
fn a_key_in_the_wrong_table_is_sent_to_its_own() {
    let job = "[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\n";
    assert_snapshot!(refused(&format!("{job}pace = \"2s\"\nmax-items = 5\nkeep-days = 5\n")), @"
    error[HW-CFG-004]: /hw/highwater.toml:4: job.load.pace: found a key that is not known here
      next: move it to `[resource.NAME]`
    error[HW-CFG-004]: /hw/highwater.toml:5: job.load.max-items: found a key that is not known here
      next: move it to `budget` of `[job.NAME]`
    error[HW-CFG-004]: /hw/highwater.toml:6: job.load.keep-days: found a key that is not known here
      next: move it to the top of the file, above the first table
    (an editor marks it)
    ");
}

#[test]
fn a_key_that_is_cut_short_is_completed_before_it_is_sent_to_another_table() {
    let job =
        "[job.send]\nkind = \"ship\"\nreceiver = \"https://r/\"\nepisodes = \"e\"\noutbox = \"o\"\nshipped = \"s\"\n";
    assert_snapshot!(refused(&format!("{job}tls.cert = \"c.pem\"\ntls.key = \"k.pem\"\n")), @"
    error[HW-CFG-004]: /hw/highwater.toml:7: job.send.tls.cert: found a key that is not known here
      next: did you mean `certificate`?
    (an editor marks it)
    ");
}

#[test]
fn an_underscore_where_a_hyphen_belongs_is_suggested() {
    assert_snapshot!(refused("state_dir = \"state\"\n"), @"
    error[HW-CFG-004]: /hw/highwater.toml:1: state_dir: found a key that is not known here
      next: did you mean `state-dir`?
    (an editor marks it)
    ");
}

#[test]
fn a_number_out_of_bounds_names_the_bounds_and_the_default() {
    assert_snapshot!(refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nconcurrency = 0\n"), @"
    error[HW-CFG-005]: /hw/highwater.toml:4: job.load.concurrency: found integer `0`, expected a whole number from 1 to 1024
      next: correct the value, or remove `concurrency` for the default, `2`
    (an editor marks it)
    ");
}

#[test]
fn a_number_as_text_is_refused() {
    assert_snapshot!(refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nconcurrency = \"two\"\n"), @r#"
    error[HW-CFG-005]: /hw/highwater.toml:4: job.load.concurrency: found string "two", expected a whole number from 1 to 1024
      next: correct the value, or remove `concurrency` for the default, `2`
    (an editor marks it)
    "#);
}

#[test]
fn a_negative_number_is_refused() {
    assert_snapshot!(
        refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nbudget = { max-items = -5 }\n"),
        @"
    error[HW-CFG-005]: /hw/highwater.toml:4: job.load.budget.max-items: found integer `-5`, expected a whole number of at least 1
      next: correct the value, or remove `max-items`
    (an editor marks it)
    "
    );
}

#[test]
fn a_duration_without_a_unit_is_refused() {
    assert_snapshot!(refused("[resource.api]\npace = 5\n"), @r#"
    error[HW-CFG-005]: /hw/highwater.toml:2: resource.api.pace: found integer `5`, expected a duration with a unit, such as "30s", "5m", "45 min" or "3 days" (no months, no years; at most 10 years)
      next: correct the value, or remove `pace` for the default, `"0s"`
    (an editor marks it)
    "#);
}

#[test]
fn a_duration_of_months_is_refused() {
    assert_snapshot!(refused("[resource.api]\nban-max = \"2 months\"\n"), @r#"
    error[HW-CFG-005]: /hw/highwater.toml:2: resource.api.ban-max: found string "2 months", expected a duration with a unit, such as "30s", "5m", "45 min" or "3 days" (no months, no years; at most 10 years)
      next: correct the value, or remove `ban-max` for the default, `"30 days"`
    (an editor marks it)
    "#);
}

#[test]
fn a_size_without_a_unit_is_refused() {
    assert_snapshot!(refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nprefetch-bytes = \"64M\"\n"), @r#"
    error[HW-CFG-005]: /hw/highwater.toml:4: job.load.prefetch-bytes: found string "64M", expected a size of at least one byte, such as "64MiB", "5 GB" or a whole number of bytes
      next: correct the value, or remove `prefetch-bytes` for the default, `"64MiB"`
    (an editor marks it)
    "#);
}

#[test]
fn a_percentage_above_all_is_refused() {
    assert_snapshot!(
        refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nbreaker.failed = \"120%\"\n"),
        @r#"
    error[HW-CFG-005]: /hw/highwater.toml:4: job.load.breaker.failed: found string "120%", expected a percentage from "0%" to "100%" with at most two decimals, such as "5%"
      next: correct the value, or remove `failed` for the default, `"5%"`
    (an editor marks it)
    "#
    );
}

#[test]
fn a_command_as_one_text_is_refused() {
    assert_snapshot!(refused("[job.load]\nkind = \"exec\"\ncommand = \"./load {}\"\n"), @r#"
    error[HW-CFG-005]: /hw/highwater.toml:3: job.load.command: found string "./load {}", expected a list of strings, the program first, such as ["./load", "{}"]
      next: correct the value
    (an editor marks it)
    "#);
}

#[test]
fn a_command_without_a_program_is_refused() {
    assert_snapshot!(refused("[job.load]\nkind = \"exec\"\ncommand = []\n"), @r#"
    error[HW-CFG-005]: /hw/highwater.toml:3: job.load.command: found an empty list, expected a list of strings, the program first, such as ["./load", "{}"]
      next: correct the value
    (an editor marks it)
    "#);
}

#[test]
fn a_wrong_word_of_a_command_is_told_at_its_own_line() {
    assert_snapshot!(refused("[job.load]\nkind = \"exec\"\ncommand = [\n  \"./load\",\n  42,\n]\n"), @"
    error[HW-CFG-005]: /hw/highwater.toml:5: job.load.command: found integer `42`, expected a string
      next: correct the value
    (an editor marks it)
    ");
}

#[test]
fn a_missing_command_is_told_at_its_table() {
    assert_snapshot!(refused("[job.load]\nkind = \"exec\"\nworklist = \"ids.txt\"\n"), @"
    error[HW-CFG-006]: /hw/highwater.toml:1: job.load.command: found no `command`, expected a list of strings
      next: add `command = …`. The program and its arguments, without a shell. With a worklist `{}` is the item's key and `{name}` one of its fields (a line has one, `id`, which is the key); where neither stands and `stdin` is `none`, the key comes last.
    (an editor marks it)
    ");
}

#[test]
fn a_missing_kind_names_the_kinds() {
    assert_snapshot!(refused("[job.load]\ncommand = [\"true\"]\n"), @r#"
    error[HW-CFG-006]: /hw/highwater.toml:1: job.load.kind: found no `kind`, expected one of `exec`, `oai-harvest`, `oai-backfill`, `rollup`, `ship`, `reindex`, `kb-add`
      next: add `kind = "exec"`
    (an editor marks it)
    "#);
}

#[test]
fn an_unknown_kind_lists_the_known_ones() {
    assert_snapshot!(refused("[job.load]\nkind = \"exce\"\ncommand = [\"true\"]\n"), @r#"
    error[HW-CFG-007]: /hw/highwater.toml:2: job.load.kind: found the kind "exce", expected one of `exec`, `oai-harvest`, `oai-backfill`, `rollup`, `ship`, `reindex`, `kb-add`
      next: did you mean `exec`?
    (an editor marks it)
    "#);
}

#[test]
fn a_word_outside_its_choices_is_refused_with_a_suggestion() {
    assert_snapshot!(
        refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\", \"{}\"]\nworklist = \"a\"\nformat = \"jsnl\"\n"),
        @"
    error[HW-CFG-005]: /hw/highwater.toml:5: job.load.format: found `jsnl`, expected one of `lines`, `csv`, `jsonl`
      next: did you mean `jsonl`?
    (an editor marks it)
    "
    );
}

#[test]
fn a_value_where_a_table_belongs_is_refused() {
    assert_snapshot!(refused("[job]\nload = \"./load\"\n"), @"
    error[HW-CFG-005]: /hw/highwater.toml:2: job.load: found a string, expected a table
      next: write `[job.load]` on a line of its own, its keys on the lines below
    (an editor marks it)
    ");
    assert_snapshot!(refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nbudget = 100\n"), @"
    error[HW-CFG-005]: /hw/highwater.toml:4: job.load.budget: found an integer, expected a table
      next: write its keys below `[job.load.budget]`, or remove `budget`
    (an editor marks it)
    ");
}

#[test]
fn a_name_that_cannot_be_one_is_refused() {
    assert_snapshot!(refused("[job.\"nightly load\"]\nkind = \"exec\"\ncommand = [\"true\"]\n"), @r#"
    error[HW-CFG-013]: /hw/highwater.toml:1: job."nightly load": found "nightly load" as the name of a job, expected a letter or digit, then up to 127 of letters, digits, `.`, `_`, `-`
      next: rename the job
    (an editor marks it)
    "#);
}

#[test]
fn text_that_is_not_toml_is_told_with_its_column() {
    assert_snapshot!(refused("[job.load]\nkind = exec\n"), @"
    error[HW-CFG-003]: /hw/highwater.toml:2: column 8: not TOML: string values must be quoted, expected literal string
      next: correct the line; a text stands in quotes, a table's name in brackets, a key once
    ");
}

#[test]
fn a_key_given_twice_is_refused() {
    assert_snapshot!(refused("keep-days = 5\nkeep-days = 6\n"), @"
    error[HW-CFG-003]: /hw/highwater.toml:2: column 1: not TOML: duplicate key
      next: correct the line; a text stands in quotes, a table's name in brackets, a key once
    ");
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    assert_snapshot!(refused("[[notify]]\nurl = \"https://example.org/${WEBHOOK}\"\n"), @"
    error[HW-CFG-008]: /hw/highwater.toml:2: notify[0].url: found `${WEBHOOK}`, but the environment variable `WEBHOOK` is not set
      next: set it before starting highwater (`export WEBHOOK=…`), or write `$${WEBHOOK}` for the text itself
    (an editor accepts it)
    ");
}

#[test]
fn a_dollar_brace_that_names_no_variable_is_explained() {
    assert_snapshot!(
        refused("[job.load]\nkind = \"exec\"\ncommand = [\"sh\", \"-c\", \"echo ${1:-none}\"]\n"),
        @"
    error[HW-CFG-008]: /hw/highwater.toml:3: job.load.command: found `${1:-none}`, expected the name of an environment variable between the braces
      next: name a variable, or write `$${1:-none}` if a shell is to read it
    (an editor accepts it)
    "
    );
}

#[test]
fn a_secret_that_does_not_fit_is_not_printed() {
    let told = refused("[resource.api]\npace = \"${TOKEN}\"\n");
    assert!(!told.contains("s3cret"), "{told}");
    assert_snapshot!(told, @r#"
    error[HW-CFG-005]: /hw/highwater.toml:2: resource.api.pace: found "${TOKEN}", whose value does not fit; expected a duration with a unit, such as "30s", "5m", "45 min" or "3 days" (no months, no years; at most 10 years)
      next: correct the value, or remove `pace` for the default, `"0s"`
    (an editor accepts it)
    "#);
}

#[test]
fn a_secret_is_not_printed_where_it_names_something() {
    let job = "[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nresources = [\"${TOKEN}\"]\n";
    let told = [refused(job), refused("log-file = \"${TOKEN}/x.log\"\n")].join("\n");
    assert!(!told.contains("s3cret"), "{told}");
    assert_snapshot!(told, @"
    error[HW-CFG-009]: /hw/highwater.toml:4: job.load.resources: found the resource `${TOKEN}`, which no `[resource.…]` declares
      next: add `[resource.${TOKEN}]`; its keys all have defaults
    (an editor accepts it)
    error[HW-CFG-012]: /hw/highwater.toml:1: log-file: found a log file in /hw/${TOKEN}, which is no directory; expected one that exists
      next: create it (`mkdir -p /hw/${TOKEN}`), or correct the path
    (an editor accepts it)
    ");
}

#[test]
fn an_undeclared_resource_is_refused_with_a_suggestion() {
    assert_snapshot!(
        refused("[resource.catalogue]\n[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nresources = [\"catalog\"]\n"),
        @"
    error[HW-CFG-009]: /hw/highwater.toml:5: job.load.resources: found the resource `catalog`, which no `[resource.…]` declares
      next: did you mean `catalogue`?
    (an editor accepts it)
    "
    );
}

#[test]
fn an_undeclared_resource_without_a_likeness_is_to_be_declared() {
    assert_snapshot!(
        refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nresources = [\"api\", \"api\"]\n"),
        @"
    error[HW-CFG-009]: /hw/highwater.toml:4: job.load.resources: found the resource `api`, which no `[resource.…]` declares
      next: add `[resource.api]`; its keys all have defaults
    error[HW-CFG-011]: /hw/highwater.toml:4: job.load.resources: found `api` twice, expected each resource once
      next: remove the second
    (an editor marks it)
    "
    );
}

#[test]
fn the_resource_that_another_job_owns_cannot_be_named() {
    let toml = "[job.a]\nkind = \"exec\"\ncommand = [\"true\"]\n\n[job.b]\nkind = \"exec\"\ncommand = [\"true\"]\nresources = [\"job:a\"]\n";
    assert_snapshot!(refused(toml), @"
    error[HW-CFG-009]: /hw/highwater.toml:8: job.b.resources: found the resource `job:a`, which no `[resource.…]` declares
      next: add a `[resource.NAME]`, and name it in every job that shares it
    (an editor accepts it)
    ");
}

#[test]
fn a_notification_has_one_target() {
    assert_snapshot!(refused("[[notify]]\ntemplate = \"slack\"\n"), @r#"
    error[HW-CFG-011]: /hw/highwater.toml:1: notify[0].url: found neither `url` nor `command`, expected exactly one of them
      next: add `url = "https://…"` to POST to, or `command = ["…"]` to start
    (an editor marks it)
    "#);
    assert_snapshot!(
        refused("[[notify]]\nurl = \"https://example.org/\"\n\n[[notify]]\nurl = \"https://example.org/\"\ncommand = [\"true\"]\n"),
        @"
    error[HW-CFG-011]: /hw/highwater.toml:6: notify[1].command: found both `url` and `command`, expected exactly one of them
      next: keep one here and move the other to a `[[notify]]` of its own
    (an editor marks it)
    "
    );
}

#[test]
fn a_notification_that_may_take_longer_than_a_round_of_them_is_refused() {
    assert_snapshot!(refused("[[notify]]\nurl = \"https://example.org/\"\ntimeout = \"31s\"\n"), @"
    error[HW-CFG-011]: /hw/highwater.toml:3: notify[0].timeout: found 31s, expected more than 0s and at most 30s
      next: a command that needs longer can go on in the background: end at once, and start it there
    (an editor accepts it)
    ");
    assert_snapshot!(refused("[[notify]]\nurl = \"https://example.org/\"\ntimeout = \"0s\"\n"), @"
    error[HW-CFG-011]: /hw/highwater.toml:3: notify[0].timeout: found 0s, expected more than 0s and at most 30s
      next: a command that needs longer can go on in the background: end at once, and start it there
    (an editor accepts it)
    ");
}

#[test]
fn a_single_bracket_around_notify_is_explained() {
    assert_snapshot!(refused("[notify]\nurl = \"https://example.org/\"\n"), @"
    error[HW-CFG-005]: /hw/highwater.toml:1: notify: found a table, expected a list of tables
      next: write `[[notify]]`, with two brackets, above the keys of each
    (an editor marks it)
    ");
}

#[test]
fn an_address_of_another_scheme_is_refused() {
    assert_snapshot!(refused("[[notify]]\nurl = \"ftp://example.org/\"\n"), @r#"
    error[HW-CFG-005]: /hw/highwater.toml:2: notify[0].url: found string "ftp://example.org/", expected an address that starts with http:// or https://
      next: correct the value, or remove `url`
    (an editor marks it)
    "#);
}

#[test]
fn headers_need_an_address() {
    assert_snapshot!(refused("[[notify]]\ncommand = [\"true\"]\nheaders = { Authorization = \"x\" }\n"), @"
    error[HW-CFG-011]: /hw/highwater.toml:3: notify[0].headers: found headers without a `url` to send them to
      next: remove `headers`, or add `url`
    (an editor accepts it)
    ");
}

#[test]
fn fields_of_items_need_a_worklist() {
    assert_snapshot!(refused("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\nkey = \"isbn\"\n"), @r#"
    error[HW-CFG-011]: /hw/highwater.toml:4: job.load.key: found `key` without a `worklist`, where it has no meaning
      next: add `worklist = "FILE"`, or remove `key`
    (an editor accepts it)
    "#);
}

#[test]
fn a_lock_of_another_scheme_is_refused() {
    assert_snapshot!(refused("[resource.api]\nlock = \"/run/lock/api.lock\"\n"), @r#"
    error[HW-CFG-005]: /hw/highwater.toml:2: resource.api.lock: found string "/run/lock/api.lock", expected a lock such as "file:/run/lock/load.lock" or "postgres:4246"
      next: correct the value, or remove `lock`
    (an editor marks it)
    "#);
}

#[test]
fn a_log_file_in_no_directory_is_refused() {
    assert_snapshot!(refused("log-file = \"logs/highwater.log\"\n"), @"
    error[HW-CFG-012]: /hw/highwater.toml:1: log-file: found a log file in /hw/logs, which is no directory; expected one that exists
      next: create it (`mkdir -p /hw/logs`), or correct the path
    (an editor accepts it)
    ");
}

#[test]
fn r15_every_mistake_of_a_file_is_told_in_its_order() {
    assert_snapshot!(
        refused(
            "keep-days = \"400\"\n\n[resource.api]\npace = \"fast\"\n\n[job.load]\nkind = \"exec\"\nconcurency = 4\n\n\
             [job.load.breaker]\nfailed = 5\n"
        ),
        @r#"
    error[HW-CFG-005]: /hw/highwater.toml:1: keep-days: found string "400", expected a whole number from 1 to 36525
      next: correct the value, or remove `keep-days` for the default, `400`
    error[HW-CFG-005]: /hw/highwater.toml:4: resource.api.pace: found string "fast", expected a duration with a unit, such as "30s", "5m", "45 min" or "3 days" (no months, no years; at most 10 years)
      next: correct the value, or remove `pace` for the default, `"0s"`
    error[HW-CFG-006]: /hw/highwater.toml:6: job.load.command: found no `command`, expected a list of strings
      next: add `command = …`. The program and its arguments, without a shell. With a worklist `{}` is the item's key and `{name}` one of its fields (a line has one, `id`, which is the key); where neither stands and `stdin` is `none`, the key comes last.
    error[HW-CFG-004]: /hw/highwater.toml:8: job.load.concurency: found a key that is not known here
      next: did you mean `concurrency`?
    error[HW-CFG-005]: /hw/highwater.toml:11: job.load.breaker.failed: found integer `5`, expected a percentage from "0%" to "100%" with at most two decimals, such as "5%"
      next: correct the value, or remove `failed` for the default, `"5%"`
    (an editor marks it)
    "#
    );
}
