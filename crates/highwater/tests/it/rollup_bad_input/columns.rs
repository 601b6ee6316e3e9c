//! Columns that are not there, or are not what is made of them.

use super::rig::Place;

const KEYS: &str = "keys = { model = \"model\", agent = \"task.agent\" }";
const SUM: &str = "tokens = { sum = \"tokens\" }";
const AT: &str = "event-time = \"at\"";
const ON: &str = "on = { id = \"task_id\" }";

#[test]
fn r15_columns_that_are_not_there_are_all_told_with_the_near_ones() {
    let with = [
        (AT, "event-time = \"att\"\nsource-key = [\"idd\"]"),
        (KEYS, "keys = { model = \"modle\", agent = \"task.agnet\" }"),
        (SUM, "tokens = { sum = \"tokns\" }"),
        (ON, "on = { id = \"taskid\" }"),
    ];
    let [file, server] = Place::both("", "");
    insta::assert_snapshot!(file.refused(&with), @"
    error[HW-ROL-042]: [DIR]/highwater.toml:6: job.usage.source-key: found no column idd in usage
      next: did you mean `id`?
    error[HW-ROL-042]: [DIR]/highwater.toml:5: job.usage.event-time: found no column att in usage
      next: did you mean `at`?
    error[HW-ROL-042]: [DIR]/highwater.toml:9: job.usage.join.task.on.id: found no column taskid in usage
      next: did you mean `task_id`?
    error[HW-ROL-042]: [DIR]/highwater.toml:10: job.usage.keys.model: found no column modle in usage
      next: did you mean `model`?
    error[HW-ROL-042]: [DIR]/highwater.toml:10: job.usage.keys.agent: found no column agnet in task
      next: did you mean `agent`?
    error[HW-ROL-042]: [DIR]/highwater.toml:11: job.usage.aggregates.tokens: found no column tokns in usage
      next: did you mean `tokens`?
    ");
    assert_eq!(server.refused(&with), file.refused(&with), "both say the same");
    insta::assert_snapshot!(server.refused(&[(KEYS, "keys = { model = \"Model\", agent = \"task.xyz\" }")]), @"
    error[HW-ROL-042]: [DIR]/highwater.toml:9: job.usage.keys.model: found no column Model in usage
      next: did you mean `model`?
    error[HW-ROL-042]: [DIR]/highwater.toml:9: job.usage.keys.agent: found no column xyz in task
      next: there are `id`, `agent`: name one of them
    ");
}

#[test]
fn r15_an_event_time_that_is_no_time() {
    let server =
        Place::postgres("ALTER TABLE usage ADD ms bigint, ADD clock time, ADD about interval, ADD whole jsonb");
    for column in ["model", "clock", "about", "whole"] {
        let to = format!("event-time = \"{column}\"");
        assert!(server.refused(&[(AT, &to)]).contains("expected `timestamptz`, `timestamp` or `date`"), "{column}");
    }
    insta::assert_snapshot!(server.refused(&[(AT, "event-time = \"model\"")]), @"
    error[HW-ROL-044]: [DIR]/highwater.toml:5: job.usage.event-time: found usage.model of type text, expected `timestamptz`, `timestamp` or `date`
      next: name the column that says when
    ");
    insta::assert_snapshot!(server.refused(&[(AT, "event-time = \"ms\"")]), @"
    error[HW-ROL-044]: [DIR]/highwater.toml:5: job.usage.event-time: found usage.ms of type bigint, expected `timestamptz`, `timestamp` or `date`
      next: where it holds seconds since the epoch, make a column of the time: `ADD COLUMN happened_at timestamptz GENERATED ALWAYS AS (to_timestamp(ms)) STORED`, and name that
    ");

    let file = Place::sqlite(
        "CREATE TABLE ms AS SELECT id, task_id, 1767225600000 AS at, model, tokens FROM usage;
         CREATE UNIQUE INDEX ms_id ON ms (id);
         CREATE TABLE words AS SELECT id, task_id, '31.12.2026' AS at, model, tokens FROM usage;
         CREATE UNIQUE INDEX words_id ON words (id);
         CREATE TABLE bytes AS SELECT id, task_id, x'00' AS at, model, tokens FROM usage;
         CREATE UNIQUE INDEX bytes_id ON bytes (id);
         CREATE TABLE later (id INTEGER PRIMARY KEY, task_id INTEGER, at, model TEXT, tokens INTEGER);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO later SELECT i, 1, iif(i < 4990, '2026-01-01T00:00:00Z', 'now'), 'm', 1 FROM n",
    );
    let of = |table: &str| file.refused(&[("source = \"usage\"", &format!("source = \"{table}\""))]);
    insta::assert_snapshot!(of("ms"), @"
    error[HW-ROL-044]: [DIR]/highwater.toml:5: job.usage.event-time: found integer `1767225600000` in ms.at: it looks like milliseconds; expected times such as `2026-01-31T12:00:00Z`, or seconds since the epoch
      next: name the column that says when, or write its values so; a generated column can be one
    ");
    insta::assert_snapshot!(of("words"), @"
    error[HW-ROL-044]: [DIR]/highwater.toml:5: job.usage.event-time: found text `31.12.2026` in words.at; expected times such as `2026-01-31T12:00:00Z`, or seconds since the epoch
      next: name the column that says when, or write its values so; a generated column can be one
    ");
    insta::assert_snapshot!(of("bytes"), @"
    error[HW-ROL-044]: [DIR]/highwater.toml:5: job.usage.event-time: found a blob in bytes.at; expected times such as `2026-01-31T12:00:00Z`, or seconds since the epoch
      next: name the column that says when, or write its values so; a generated column can be one
    ");
    insta::assert_snapshot!(of("later"), @"
    error[HW-ROL-044]: [DIR]/highwater.toml:5: job.usage.event-time: found text `now` in later.at; expected times such as `2026-01-31T12:00:00Z`, or seconds since the epoch
      next: name the column that says when, or write its values so; a generated column can be one
    ");
}

#[test]
fn r15_sums_of_what_is_no_number() {
    let [file, server] = Place::both(
        "ALTER TABLE usage ADD note; UPDATE usage SET note = 'twelve'; CREATE TABLE empty (id INTEGER PRIMARY KEY)",
        "ALTER TABLE usage ADD took interval, ADD price money, ADD flag boolean, ADD tag uuid, ADD whole json",
    );
    let sum = |place: &Place, column: &str| place.refused(&[(SUM, &format!("tokens = {{ sum = \"{column}\" }}"))]);
    insta::assert_snapshot!(sum(&file, "model"), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:10: job.usage.aggregates.tokens: found usage.model of type TEXT, expected numbers for `sum`
      next: name a column of numbers; `count-distinct`, `min` and `max` are for others too
    ");
    insta::assert_snapshot!(sum(&file, "note"), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:10: job.usage.aggregates.tokens: found text `twelve` in usage.note, expected numbers for `sum`: SQLite sums what is none as nothing
      next: name a column of numbers; `count-distinct`, `min` and `max` are for others too
    ");
    insta::assert_snapshot!(sum(&server, "model"), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:10: job.usage.aggregates.tokens: found usage.model of type text, expected numbers for `sum`
      next: name a column of numbers; `count-distinct`, `min` and `max` are for others too
    ");
    insta::assert_snapshot!(sum(&server, "took"), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:10: job.usage.aggregates.tokens: found usage.took of type interval, expected numbers for `sum`
      next: name a column of numbers; `count-distinct`, `min` and `max` are for others too
    ");
    insta::assert_snapshot!(sum(&server, "price"), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:10: job.usage.aggregates.tokens: found usage.price of type money, expected numbers for `sum`
      next: name a column of numbers; `count-distinct`, `min` and `max` are for others too
    ");
    let made = |place: &Place, made: &str| place.refused(&[(SUM, &format!("tokens = {{ {made} }}"))]);
    insta::assert_snapshot!(made(&server, "avg = \"flag\""), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:10: job.usage.aggregates.tokens: found usage.flag of type boolean, expected numbers for `avg`
      next: name a column of numbers; `count-distinct`, `min` and `max` are for others too
    ");
    insta::assert_snapshot!(made(&server, "max = \"flag\""), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:10: job.usage.aggregates.tokens: found usage.flag of type boolean, of which there is no `max`: function max(boolean) does not exist
      next: name a column whose values can be compared
    ");
    insta::assert_snapshot!(made(&server, "min = \"whole\""), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:10: job.usage.aggregates.tokens: found usage.whole of type json, of which there is no `min`: function min(json) does not exist
      next: name a column whose values can be compared
    ");
    insta::assert_snapshot!(made(&server, "count-distinct = \"whole\""), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:10: job.usage.aggregates.tokens: found usage.whole of type json, of which there is no `count-distinct`: could not identify an equality operator for type json
      next: name a column whose values can be compared
    ");
    insta::assert_snapshot!(made(&file, "avg = \"task.agent\""), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:10: job.usage.aggregates.tokens: found task.agent of type TEXT, expected numbers for `avg`
      next: name a column of numbers; `count-distinct`, `min` and `max` are for others too
    ");
}

#[test]
fn r15_keys_that_cannot_be_compared() {
    let server = Place::postgres("ALTER TABLE usage ADD whole json, ADD page xml, ADD place point, ADD thing jsonb");
    let key =
        |column: &str| server.refused(&[(KEYS, &format!("keys = {{ model = \"{column}\", agent = \"task.agent\" }}"))]);
    insta::assert_snapshot!(key("whole"), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:9: job.usage.keys.model: found usage.whole of type json, which is no key: could not identify an ordering operator for type json
      next: name a column whose values can be compared and ordered
    ");
    insta::assert_snapshot!(key("page"), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:9: job.usage.keys.model: found usage.page of type xml, which is no key: could not identify an ordering operator for type xml
      next: name a column whose values can be compared and ordered
    ");
    insta::assert_snapshot!(key("place"), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:9: job.usage.keys.model: found usage.place of type point, which is no key: could not identify an ordering operator for type point
      next: name a column whose values can be compared and ordered
    ");
    server.taken(&[(KEYS, "keys = { model = \"thing\", agent = \"task.agent\" }")]);

    let file = Place::sqlite("CREATE TABLE folded (id INTEGER PRIMARY KEY, agent TEXT COLLATE NOCASE)");
    insta::assert_snapshot!(file.refused(&[("table = \"task\"", "table = \"folded\"")]), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:9: job.usage.keys.agent: found folded.agent with a collation by which different texts are equal, expected one by bytes (BINARY)
      next: name a column that has none; a generated column such as `lower(…)` can be one
    ");
}

#[test]
fn r15_what_makes_no_row_itself() {
    let [file, server] = Place::both(
        "CREATE TABLE loose (id INTEGER, task_id INTEGER, at TEXT, model TEXT, tokens INTEGER);
         CREATE UNIQUE INDEX partly ON loose (id) WHERE tokens > 0; CREATE UNIQUE INDEX made ON loose (abs(id))",
        "CREATE TABLE loose (id bigint, task_id bigint, at timestamptz, model text, tokens bigint);
         CREATE UNIQUE INDEX partly ON loose (id) WHERE tokens > 0; CREATE UNIQUE INDEX made ON loose (abs(id))",
    );
    let loose = ("source = \"usage\"", "source = \"loose\"");
    insta::assert_snapshot!(file.refused(&[loose]), @r#"
    error[HW-ROL-046]: [DIR]/highwater.toml:1: job.usage.source-key: found no primary key and no unique index on loose (id)
      next: name the columns that make a row itself, or CREATE UNIQUE INDEX "loose_id" ON "loose" ("id");
    "#);
    insta::assert_snapshot!(server.refused(&[loose]), @r#"
    error[HW-ROL-046]: [DIR]/highwater.toml:1: job.usage.source-key: found loose.id, which may be NULL: a row without it cannot be found again
      next: ALTER TABLE "loose" ALTER "id" SET NOT NULL; or name other columns
    error[HW-ROL-046]: [DIR]/highwater.toml:1: job.usage.source-key: found no primary key and no unique index on loose (id)
      next: name the columns that make a row itself, or CREATE UNIQUE INDEX ON "loose" ("id");
    "#);
    server.sql("CREATE UNIQUE INDEX whole ON loose (id)");
    insta::assert_snapshot!(server.refused(&[loose]), @r#"
    error[HW-ROL-046]: [DIR]/highwater.toml:1: job.usage.source-key: found loose.id, which may be NULL: a row without it cannot be found again
      next: ALTER TABLE "loose" ALTER "id" SET NOT NULL; or name other columns
    "#);
    insta::assert_snapshot!(server.refused(&[("source = \"usage\"", "source = \"usage\"\nsource-key = [\"model\"]")]), @r#"
    error[HW-ROL-046]: [DIR]/highwater.toml:5: job.usage.source-key: found usage.model, which may be NULL: a row without it cannot be found again
      next: ALTER TABLE "usage" ALTER "model" SET NOT NULL; or name other columns
    error[HW-ROL-046]: [DIR]/highwater.toml:5: job.usage.source-key: found no primary key and no unique index on usage (model)
      next: name the columns that make a row itself, or CREATE UNIQUE INDEX ON "usage" ("model");
    "#);
}

#[test]
fn r15_joins_that_find_two_rows_or_do_not_compare() {
    let [file, server] = Place::both("", "");
    let by_name = [(ON, "on = { agent = \"model\" }")];
    insta::assert_snapshot!(file.refused(&by_name), @r#"
    error[HW-ROL-046]: [DIR]/highwater.toml:8: job.usage.join.task.on: found no unique index on task (agent): where it finds two rows, everything is counted twice
      next: join by columns that find one row at most, or CREATE UNIQUE INDEX "task_agent" ON "task" ("agent");
    "#);
    insta::assert_snapshot!(server.refused(&by_name), @r#"
    error[HW-ROL-046]: [DIR]/highwater.toml:8: job.usage.join.task.on: found no unique index on task (agent): where it finds two rows, everything is counted twice
      next: join by columns that find one row at most, or CREATE UNIQUE INDEX ON "task" ("agent");
    "#);
    let mixed = [(ON, "on = { id = \"model\" }")];
    insta::assert_snapshot!(file.refused(&mixed), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:8: job.usage.join.task.on.id: found task.id of type INTEGER and usage.model of type TEXT, which do not compare: values of the two are stored differently
      next: join by columns of one type
    ");
    insta::assert_snapshot!(server.refused(&mixed), @"
    error[HW-ROL-045]: [DIR]/highwater.toml:8: job.usage.join.task.on.id: found task.id of type bigint and usage.model of type text, which do not compare: operator does not exist: bigint = text
      next: join by columns of one type
    ");
    // Part of a key that has more columns finds many.
    let more = "CREATE TABLE version (id INTEGER, no INTEGER, agent TEXT, PRIMARY KEY (id, no))";
    for place in Place::both(more, more) {
        let told = place.refused(&[("table = \"task\"", "table = \"version\"")]);
        assert!(told.contains("found no unique index on version (id)"), "{told}");
    }
}

#[test]
fn what_a_change_would_read_whole_is_told_with_the_index_that_helps() {
    let [file, server] = Place::both("DROP INDEX usage_task", "DROP INDEX usage_task");
    insta::assert_snapshot!(file.taken(&[]), @r#"
    usage: installed in sqlite:[DIR]/usage.db: 5 tables, 2 indexes, 10 triggers for usage_hourly
      next: `highwater run usage` seeds it
      note: `join.task.on`: a change of task reads all of usage to find what hangs on it, for want of an index: CREATE INDEX "usage_task_id" ON "usage" ("task_id");
    "#);
    insta::assert_snapshot!(server.taken(&[]), @r#"
    usage: installed in postgres://postgres@127.0.0.1:[PORT]/[NAME]: 6 tables, 2 indexes, 2 functions, 8 triggers for usage_hourly
      next: `highwater run usage` seeds it
      note: `join.task.on`: a change of task reads all of usage to find what hangs on it, for want of an index: CREATE INDEX CONCURRENTLY ON "usage" ("task_id");
    usage: no index leads to public.usage by at: making usage_hourly_event CONCURRENTLY, which keeps no writer waiting, and waits itself for transactions that are open; on a large table it takes long
    "#);
}

#[test]
fn a_replace_by_another_unique_index_is_told_of() {
    let file = Place::sqlite("CREATE UNIQUE INDEX usage_request ON usage (task_id, model)");
    insta::assert_snapshot!(file.taken(&[]), @"
    usage: installed in sqlite:[DIR]/usage.db: 5 tables, 2 indexes, 10 triggers for usage_hourly
      next: `highwater run usage` seeds it
      note: `source`: a REPLACE that meets a row of usage by its UNIQUE (task_id, model) removes it, and SQLite fires no trigger for that unless the writer sets `PRAGMA recursive_triggers = ON`; INSERT … ON CONFLICT DO UPDATE is noticed
    ");
}

/// What fires no trigger is noticed by none; the writer's own setting makes it fire.
#[test]
fn a_replace_fires_its_triggers_where_the_writer_wants_it() {
    let file = Place::sqlite("CREATE UNIQUE INDEX usage_request ON usage (task_id, model)");
    file.taken(&[]);
    file.sql("PRAGMA recursive_triggers = ON; INSERT OR REPLACE INTO usage VALUES (7, 1, '2026-01-02T12:00:00Z', 'large', 3)");
    file.drain();
    assert_eq!(file.text("SELECT group_concat(bucket || ' ' || tokens) FROM usage_hourly"), "2026-01-02T12:00:00Z 3");
}

#[test]
fn a_time_without_a_zone_is_utc_and_a_day_is_one_too() {
    let server = Place::postgres(
        "ALTER TABLE usage ADD local timestamp, ADD day date;
         UPDATE usage SET local = '2026-01-01 23:30', day = '2026-01-02';
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Kolkata''', current_database()); END $$",
    );
    insta::assert_snapshot!(server.taken(&[(AT, "event-time = \"local\"")]), @"
    usage: installed in postgres://postgres@127.0.0.1:[PORT]/[NAME]: 6 tables, 2 indexes, 2 functions, 8 triggers for usage_hourly
      next: `highwater run usage` seeds it
      note: `event-time`: usage.local has no time zone, and its times are taken as UTC; if they are not, make it `timestamptz`
    usage: no index leads to public.usage by local: making usage_hourly_event CONCURRENTLY, which keeps no writer waiting, and waits itself for transactions that are open; on a large table it takes long
    ");
    let bucket = "SELECT string_agg((bucket AT TIME ZONE 'UTC')::text, ',') FROM usage_hourly";
    assert_eq!(server.text(bucket), "2026-01-01 23:00:00");
    server.sql("UPDATE usage SET local = '2026-01-01 18:15'");
    server.drain();
    assert_eq!(server.text(bucket), "2026-01-01 18:00:00");
    server.rig.ok(&["rollup", "uninstall", "usage", "--drop-rows"]);
    server.taken(&[(AT, "event-time = \"day\"")]);
    assert_eq!(server.text(bucket), "2026-01-02 00:00:00");
}

#[test]
fn a_generated_column_is_a_column_like_others() {
    let [file, server] = Place::both(
        "CREATE TABLE made (id INTEGER PRIMARY KEY, task_id INTEGER, ms INTEGER, name TEXT, tokens INTEGER,
             at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%SZ', ms / 1000, 'unixepoch')) VIRTUAL,
             model TEXT AS (lower(name)) STORED);
         INSERT INTO made VALUES (1, 1, 1767268800000, 'Large', 1)",
        "CREATE TABLE made (id bigint PRIMARY KEY, task_id bigint, ms bigint, name text, tokens bigint,
             at timestamptz GENERATED ALWAYS AS (to_timestamp(ms / 1000)) STORED,
             model text GENERATED ALWAYS AS (lower(name)) STORED);
         INSERT INTO made VALUES (1, 1, 1767268800000, 'Large', 1)",
    );
    for place in [file, server] {
        place.taken(&[("source = \"usage\"", "source = \"made\"")]);
        place.sql("UPDATE made SET ms = ms + 7200000, name = 'SMALL'");
        place.drain();
        assert_eq!(place.text("SELECT model FROM usage_hourly"), "small");
    }
}
