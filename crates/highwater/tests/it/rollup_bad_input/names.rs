//! Names: those that cannot be, those that are taken, and those that only look odd.

use super::rig::Place;

const TARGET: &str = "target = \"usage_hourly\"";
const KEYS: &str = "keys = { model = \"model\", agent = \"task.agent\" }";

#[test]
fn r15_names_that_the_configuration_cannot_hold() {
    let file = Place::sqlite("");
    let install = |with: &[(&str, &str)]| file.refused(with);
    insta::assert_snapshot!(install(&[("source = \"usage\"", "source = \"Nutzungs-Größe\"")]), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.usage.source: `Nutzungs-Größe` is no name: expected at most 63 of the letters a to z and A to Z, digits and `_`, no digit first
      next: correct the value, or remove `source`
    ");
    insta::assert_snapshot!(install(&[(KEYS, "keys = { model = \"mo del\" }")]), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:9: job.usage.keys: `mo del` is no name: expected at most 63 of the letters a to z and A to Z, digits and `_`, no digit first
      next: correct the value, or remove `keys` for the default, `{}`
    ");
    insta::assert_snapshot!(install(&[(KEYS, "keys = { model = \"task.id.x\" }")]), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:9: job.usage.keys: `id.x` is no name: expected at most 63 of the letters a to z and A to Z, digits and `_`, no digit first
      next: correct the value, or remove `keys` for the default, `{}`
    ");
    insta::assert_snapshot!(install(&[(TARGET, "target = \"usage_by_hour_and_model_and_agent_and_workspace\"")]), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:7: job.usage.target: `usage_by_hour_and_model_and_agent_and_workspace` is too long beside `task`, expected at most 44 letters
      next: correct the declaration
    ");
    insta::assert_snapshot!(install(&[(KEYS, "keys = { Bucket = \"model\" }")]), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:7: job.usage.target: two columns are called `Bucket`, expected a name for each, by more than upper and lower case
      next: correct the declaration
    ");
    insta::assert_snapshot!(install(&[(KEYS, "keys = { model = \"model\", Model = \"task.agent\" }")]), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:7: job.usage.target: two columns are called `Model`, expected a name for each, by more than upper and lower case
      next: correct the declaration
    ");
    let long = format!("{} = {{ avg = \"tokens\" }}", "a".repeat(60));
    insta::assert_snapshot!(install(&[("tokens = { sum = \"tokens\" }", &long)]), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:10: job.usage.aggregates: the column `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_sum` is too long, expected at most 63 letters
      next: correct the declaration
    ");
    insta::assert_snapshot!(install(&[("grain = \"hour\"", "grain = \"7 minutes\"")]), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:6: job.usage.grain: `7 minutes` is no grain: expected `hour`, `day` or `N minutes` that divide a day
      next: correct the value, or remove `grain`
    ");
    insta::assert_snapshot!(install(&[("grain = \"hour\"", "grain = \"2 days\"")]), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:6: job.usage.grain: `2 days` is no grain: expected `hour`, `day` or `N minutes` that divide a day
      next: correct the value, or remove `grain`
    ");
    insta::assert_snapshot!(install(&[(TARGET, "target = \"usage\"")]), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:7: job.usage.target: usage is read by the rollup, expected a table of its own
      next: correct the declaration
    ");
}

#[test]
fn r15_a_target_that_is_somebody_elses_is_neither_used_nor_dropped() {
    let [file, server] = Place::both("CREATE TABLE usage_hourly (x INTEGER)", "CREATE TABLE usage_hourly (x integer)");
    for place in [&file, &server] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(place.refused(&[]), @"
            error[HW-ROL-048]: [DIR]/highwater.toml:7: job.usage.target: found usage_hourly there already, and nothing else of this rollup: it is somebody else's
              next: name another target; or drop it yourself, if its rows may go
            ");
            insta::assert_snapshot!(place.refuses(&["rollup", "uninstall", "usage", "--drop-rows"]), @"
            error[HW-ROL-048]: [DIR]/highwater.toml:7: job.usage.target: found usage_hourly and nothing else of this rollup: it is somebody else's, and stays
              next: drop it yourself, if it may go
            ");
        }
    }
    let view = Place::postgres("CREATE VIEW usage_hourly AS SELECT 1");
    assert!(view.refused(&[]).contains("it is somebody else's"));
    let kind = Place::postgres("CREATE TYPE usage_hourly AS ENUM ('a')");
    insta::assert_snapshot!(kind.refused(&[]), @"
    error[HW-ROL-048]: [DIR]/highwater.toml:7: job.usage.target: found a type called usage_hourly, which no table can be called then
      next: name another target
    ");
}

/// Words of SQL, upper case, and a schema: all of it is quoted.
#[test]
fn words_of_sql_and_upper_case_are_names_like_others() {
    let [file, server] = Place::both(
        "CREATE TABLE \"order\" (\"primary\" INTEGER PRIMARY KEY, \"Group\" TEXT, \"from\" TEXT, \"select\" INTEGER, \"table\" INTEGER);
         INSERT INTO \"order\" VALUES (1, 'a', '2026-01-01T12:00:00Z', 5, 1);
         CREATE TABLE \"User\" (\"where\" INTEGER PRIMARY KEY, \"having\" TEXT); INSERT INTO \"User\" VALUES (1, 'x')",
        "CREATE TABLE \"order\" (\"primary\" bigint PRIMARY KEY, \"Group\" text, \"from\" timestamptz, \"select\" bigint, \"table\" bigint);
         INSERT INTO \"order\" VALUES (1, 'a', '2026-01-01T12:00:00Z', 5, 1);
         CREATE TABLE \"User\" (\"where\" bigint PRIMARY KEY, \"having\" text); INSERT INTO \"User\" VALUES (1, 'x')",
    );
    let with = [
        ("source = \"usage\"", "source = \"order\"\nsource-key = [\"primary\"]"),
        ("event-time = \"at\"", "event-time = \"from\""),
        (
            "join.task = { table = \"task\", on = { id = \"task_id\" } }",
            "join.task = { table = \"User\", on = { where = \"table\" } }",
        ),
        (KEYS, "keys = { Group = \"Group\", end = \"task.having\" }"),
        ("tokens = { sum = \"tokens\" }", "values = { sum = \"select\" }"),
        (TARGET, "target = \"Table\""),
    ];
    for place in [file, server] {
        place.configure(&with);
        place.rig.ok(&["rollup", "install", "usage"]);
        assert_eq!(place.rig.run(&["rollup", "diff", "usage"]).code, 0);
        place.rig.ok(&["run", "usage"]);
        place.rig.ok(&["verify", "usage"]);
        assert_eq!(place.text("SELECT \"Group\" || \"end\" || CAST(\"values\" AS text) FROM \"Table\""), "ax5");
        place.rig.ok(&["rollup", "uninstall", "usage", "--drop-rows"]);
    }
}

/// SQLite compares names without case; what it takes, no drift is told of.
#[test]
fn sqlite_takes_a_name_in_any_case() {
    let file = Place::sqlite("");
    file.taken(&[
        ("source = \"usage\"", "source = \"Usage\""),
        ("event-time = \"at\"", "event-time = \"AT\""),
        (KEYS, "keys = { model = \"MODEL\" }"),
    ]);
    file.sql("UPDATE usage SET model = 'small'");
    file.drain();
    assert_eq!(file.text("SELECT model FROM usage_hourly"), "small");
}
