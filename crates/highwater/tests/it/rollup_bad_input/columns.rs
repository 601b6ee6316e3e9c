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
    insta::assert_snapshot!(file.refused(&with), @"");
    assert_eq!(server.refused(&with), file.refused(&with), "both say the same");
    insta::assert_snapshot!(server.refused(&[(KEYS, "keys = { model = \"Model\", agent = \"task.xyz\" }")]), @"");
}

#[test]
fn r15_an_event_time_that_is_no_time() {
    let server =
        Place::postgres("ALTER TABLE usage ADD ms bigint, ADD clock time, ADD about interval, ADD whole jsonb");
    for column in ["model", "clock", "about", "whole"] {
        let to = format!("event-time = \"{column}\"");
        assert!(server.refused(&[(AT, &to)]).contains("expected `timestamptz`, `timestamp` or `date`"), "{column}");
    }
    insta::assert_snapshot!(server.refused(&[(AT, "event-time = \"model\"")]), @"");
    insta::assert_snapshot!(server.refused(&[(AT, "event-time = \"ms\"")]), @"");

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
    insta::assert_snapshot!(of("ms"), @"");
    insta::assert_snapshot!(of("words"), @"");
    insta::assert_snapshot!(of("bytes"), @"");
    insta::assert_snapshot!(of("later"), @"");
}

#[test]
fn r15_sums_of_what_is_no_number() {
    let [file, server] = Place::both(
        "ALTER TABLE usage ADD note; UPDATE usage SET note = 'twelve'; CREATE TABLE empty (id INTEGER PRIMARY KEY)",
        "ALTER TABLE usage ADD took interval, ADD price money, ADD flag boolean, ADD tag uuid, ADD whole json",
    );
    let sum = |place: &Place, column: &str| place.refused(&[(SUM, &format!("tokens = {{ sum = \"{column}\" }}"))]);
    insta::assert_snapshot!(sum(&file, "model"), @"");
    insta::assert_snapshot!(sum(&file, "note"), @"");
    insta::assert_snapshot!(sum(&server, "model"), @"");
    insta::assert_snapshot!(sum(&server, "took"), @"");
    insta::assert_snapshot!(sum(&server, "price"), @"");
    let made = |place: &Place, made: &str| place.refused(&[(SUM, &format!("tokens = {{ {made} }}"))]);
    insta::assert_snapshot!(made(&server, "avg = \"flag\""), @"");
    insta::assert_snapshot!(made(&server, "max = \"flag\""), @"");
    insta::assert_snapshot!(made(&server, "min = \"whole\""), @"");
    insta::assert_snapshot!(made(&server, "count-distinct = \"whole\""), @"");
    insta::assert_snapshot!(made(&file, "avg = \"task.agent\""), @"");
}

#[test]
fn r15_keys_that_cannot_be_compared() {
    let server = Place::postgres("ALTER TABLE usage ADD whole json, ADD page xml, ADD place point, ADD thing jsonb");
    let key =
        |column: &str| server.refused(&[(KEYS, &format!("keys = {{ model = \"{column}\", agent = \"task.agent\" }}"))]);
    insta::assert_snapshot!(key("whole"), @"");
    insta::assert_snapshot!(key("page"), @"");
    insta::assert_snapshot!(key("place"), @"");
    server.taken(&[(KEYS, "keys = { model = \"thing\", agent = \"task.agent\" }")]);

    let file = Place::sqlite("CREATE TABLE folded (id INTEGER PRIMARY KEY, agent TEXT COLLATE NOCASE)");
    insta::assert_snapshot!(file.refused(&[("table = \"task\"", "table = \"folded\"")]), @"");
}

#[test]
fn r15_what_makes_no_row_itself() {
    let [file, server] = Place::both(
        "CREATE TABLE loose (id INTEGER, task_id INTEGER, at TEXT, model TEXT, tokens INTEGER);
         CREATE UNIQUE INDEX some ON loose (id) WHERE tokens > 0; CREATE UNIQUE INDEX made ON loose (abs(id))",
        "CREATE TABLE loose (id bigint, task_id bigint, at timestamptz, model text, tokens bigint);
         CREATE UNIQUE INDEX some ON loose (id) WHERE tokens > 0; CREATE UNIQUE INDEX made ON loose (abs(id))",
    );
    let loose = ("source = \"usage\"", "source = \"loose\"");
    insta::assert_snapshot!(file.refused(&[loose]), @"");
    insta::assert_snapshot!(server.refused(&[loose]), @"");
    server.sql("CREATE UNIQUE INDEX whole ON loose (id)");
    insta::assert_snapshot!(server.refused(&[loose]), @"");
    insta::assert_snapshot!(server.refused(&[("source = \"usage\"", "source = \"usage\"\nsource-key = [\"model\"]")]), @"");
}

#[test]
fn r15_joins_that_find_two_rows_or_do_not_compare() {
    let [file, server] = Place::both("", "");
    let by_name = [(ON, "on = { agent = \"model\" }")];
    insta::assert_snapshot!(file.refused(&by_name), @"");
    insta::assert_snapshot!(server.refused(&by_name), @"");
    let mixed = [(ON, "on = { id = \"model\" }")];
    insta::assert_snapshot!(file.refused(&mixed), @"");
    insta::assert_snapshot!(server.refused(&mixed), @"");
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
    insta::assert_snapshot!(file.taken(&[]), @"");
    insta::assert_snapshot!(server.taken(&[]), @"");
}

#[test]
fn a_replace_by_another_unique_index_is_told_of() {
    let file = Place::sqlite("CREATE UNIQUE INDEX usage_request ON usage (task_id, model)");
    insta::assert_snapshot!(file.taken(&[]), @"");
}

#[test]
fn a_time_without_a_zone_is_utc_and_a_day_is_one_too() {
    let server = Place::postgres(
        "ALTER TABLE usage ADD local timestamp, ADD day date;
         UPDATE usage SET local = '2026-01-01 23:30', day = '2026-01-02';
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Kolkata''', current_database()); END $$",
    );
    insta::assert_snapshot!(server.taken(&[(AT, "event-time = \"local\"")]), @"");
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
