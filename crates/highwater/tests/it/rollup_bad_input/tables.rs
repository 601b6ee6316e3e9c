//! Tables that are not there, are none, or whose rows are not all seen.

use super::rig::Place;

const TABLE: (&str, &str) = ("source = \"usage\"", "source = \"usgae\"");
const JOINED: (&str, &str) = ("table = \"task\"", "table = \"tasks\"");

#[test]
fn r15_a_table_that_is_not_there_comes_with_the_near_one() {
    let [file, server] = Place::both("", "CREATE SCHEMA app; CREATE TABLE app.events (id int)");
    insta::assert_snapshot!(file.refused(&[TABLE, JOINED]), @"
    error[HW-ROL-041]: [DIR]/highwater.toml:4: job.usage.source: found no table usgae in this SQLite database
      next: did you mean `usage`?
    error[HW-ROL-041]: [DIR]/highwater.toml:8: job.usage.join.task.table: found no table tasks in this SQLite database
      next: did you mean `task`?
    ");
    insta::assert_snapshot!(server.refused(&[TABLE, JOINED]), @"
    error[HW-ROL-041]: [DIR]/highwater.toml:4: job.usage.source: found no table usgae in this PostgreSQL database
      next: did you mean `usage`?
    error[HW-ROL-041]: [DIR]/highwater.toml:8: job.usage.join.task.table: found no table tasks in this PostgreSQL database
      next: did you mean `task`?
    ");
    insta::assert_snapshot!(server.refused(&[("source = \"usage\"", "source = \"events\"")]), @"
    error[HW-ROL-041]: [DIR]/highwater.toml:4: job.usage.source: found no table events in this PostgreSQL database
      next: did you mean `app.events`? The role's search path does not lead there
    ");
    insta::assert_snapshot!(server.refused(&[("source = \"usage\"", "source = \"Usage\"")]), @"
    error[HW-ROL-041]: [DIR]/highwater.toml:4: job.usage.source: found no table Usage in this PostgreSQL database
      next: did you mean `usage`?
    ");
    insta::assert_snapshot!(file.refused(&[("source = \"usage\"", "source = \"main.usage\"")]), @"
    error[HW-ROL-041]: [DIR]/highwater.toml:4: job.usage.source: found main.usage, expected a table of the file itself: SQLite's triggers reach into no other
      next: write `usage`
    ");
    insta::assert_snapshot!(file.refused(&[("target = \"usage_hourly\"", "target = \"main.usage_hourly\"")]), @"
    error[HW-ROL-041]: [DIR]/highwater.toml:7: job.usage.target: found main.usage_hourly, expected a table of the file itself: SQLite's triggers reach into no other
      next: write `usage_hourly`
    ");
}

fn of(table: &str) -> [(&'static str, String); 1] {
    [("source = \"usage\"", format!("source = \"{table}\""))]
}

fn refused(place: &Place, table: &str) -> String {
    let with = of(table);
    place.refused(&[(with[0].0, &with[0].1)])
}

#[test]
fn r15_what_is_no_table() {
    let [file, server] = Place::both(
        "CREATE VIEW recent AS SELECT * FROM usage; CREATE VIRTUAL TABLE words USING fts5(text)",
        "CREATE VIEW recent AS SELECT * FROM usage;
         CREATE MATERIALIZED VIEW frozen AS SELECT * FROM usage;
         CREATE FOREIGN DATA WRAPPER nowhere;
         CREATE SERVER other FOREIGN DATA WRAPPER nowhere;
         CREATE FOREIGN TABLE remote (id bigint) SERVER other;
         CREATE SEQUENCE numbers",
    );
    insta::assert_snapshot!(refused(&file, "recent"), @"
    error[HW-ROL-043]: [DIR]/highwater.toml:4: job.usage.source: found recent, a view; expected a table: only on a table triggers notice every change
      next: name the table that its rows come from, or drive a window of your own: `window`, `bounds` and `watermark`
    ");
    insta::assert_snapshot!(refused(&file, "words"), @"
    error[HW-ROL-043]: [DIR]/highwater.toml:4: job.usage.source: found words, a virtual table; expected a table: only on a table triggers notice every change
      next: name the table that its rows come from, or drive a window of your own: `window`, `bounds` and `watermark`
    ");
    insta::assert_snapshot!(refused(&file, "words_data"), @"
    error[HW-ROL-043]: [DIR]/highwater.toml:4: job.usage.source: found words_data, a table of a virtual table's own; expected a table: only on a table triggers notice every change
      next: name the table that its rows come from, or drive a window of your own: `window`, `bounds` and `watermark`
    ");
    insta::assert_snapshot!(refused(&file, "sqlite_schema"), @"
    error[HW-ROL-043]: [DIR]/highwater.toml:4: job.usage.source: found sqlite_schema, a table of the system; expected a table: only on a table triggers notice every change
      next: name the table that its rows come from, or drive a window of your own: `window`, `bounds` and `watermark`
    ");
    insta::assert_snapshot!(refused(&server, "recent"), @"
    error[HW-ROL-043]: [DIR]/highwater.toml:4: job.usage.source: found recent, a view; expected a table: only on a table triggers notice every change
      next: name the table that its rows come from, or drive a window of your own: `window`, `bounds` and `watermark`
    ");
    insta::assert_snapshot!(refused(&server, "frozen"), @"
    error[HW-ROL-043]: [DIR]/highwater.toml:4: job.usage.source: found frozen, a materialized view; expected a table: only on a table triggers notice every change
      next: name the table that its rows come from, or drive a window of your own: `window`, `bounds` and `watermark`
    ");
    insta::assert_snapshot!(refused(&server, "remote"), @"
    error[HW-ROL-043]: [DIR]/highwater.toml:4: job.usage.source: found remote, a foreign table; expected a table: only on a table triggers notice every change
      next: name the table that its rows come from, or drive a window of your own: `window`, `bounds` and `watermark`
    ");
    insta::assert_snapshot!(refused(&server, "numbers"), @"
    error[HW-ROL-043]: [DIR]/highwater.toml:4: job.usage.source: found numbers, a sequence; expected a table: only on a table triggers notice every change
      next: name the table that its rows come from, or drive a window of your own: `window`, `bounds` and `watermark`
    ");
    insta::assert_snapshot!(refused(&server, "pg_class"), @"
    error[HW-ROL-043]: [DIR]/highwater.toml:4: job.usage.source: found pg_class, a table of the system; expected a table: only on a table triggers notice every change
      next: name the table that its rows come from, or drive a window of your own: `window`, `bounds` and `watermark`
    ");
    insta::assert_snapshot!(server.refused(&[("table = \"task\"", "table = \"recent\"")]), @"
    error[HW-ROL-043]: [DIR]/highwater.toml:8: job.usage.join.task.table: found recent, a view; expected a table: only on a table triggers notice every change
      next: name the table that its rows come from, or drive a window of your own: `window`, `bounds` and `watermark`
    ");
}

#[tokio::test]
async fn r15_a_temporary_table_is_of_another_session() {
    let place = tokio::task::spawn_blocking(|| Place::postgres("")).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&place.url("postgres"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE TEMP TABLE staged (id bigint PRIMARY KEY)").await.unwrap();
    let told = tokio::task::spawn_blocking(move || refused(&place, "staged")).await.unwrap();
    insta::assert_snapshot!(told, @"
    error[HW-ROL-041]: [DIR]/highwater.toml:4: job.usage.source: found no table staged in this PostgreSQL database, but a temporary one of another session, which nobody else sees
      next: name a table that lasts
    ");
    drop(client);
}

#[test]
fn r15_rows_that_no_trigger_of_the_table_sees() {
    let server = Place::postgres(
        "CREATE TABLE old_usage () INHERITS (usage);
         CREATE TABLE parts (LIKE usage) PARTITION BY RANGE (at);
         CREATE FOREIGN DATA WRAPPER nowhere;
         CREATE SERVER other FOREIGN DATA WRAPPER nowhere;
         CREATE FOREIGN TABLE part PARTITION OF parts FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') SERVER other;
         CREATE TABLE copied (LIKE usage INCLUDING ALL);
         SET allow_system_table_mods = on;
         INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate) VALUES (1, 'copied'::regclass, 'r')",
    );
    insta::assert_snapshot!(refused(&server, "usage"), @"
    error[HW-ROL-049]: [DIR]/highwater.toml:4: job.usage.source: found tables that inherit from usage: its rows are theirs too, and its triggers do not fire for them
      next: make them partitions of a partitioned table, or drive a window of your own
    ");
    insta::assert_snapshot!(refused(&server, "parts"), @"
    error[HW-ROL-049]: [DIR]/highwater.toml:4: job.usage.source: found a foreign table among the partitions of parts: what changes on its server fires no trigger here
      next: take it out of the partitioned table, or drive a window of your own
    ");
    insta::assert_snapshot!(refused(&server, "copied"), @"
    error[HW-ROL-049]: [DIR]/highwater.toml:4: job.usage.source: found copied filled by a subscription: logical replication fires no ordinary trigger
      next: run the rollup on the publisher, or drive a window of your own here
    ");
}

#[test]
fn a_partitioned_table_and_those_without_rowid_or_strict_are_tables_like_others() {
    let [file, server] = Place::both(
        "CREATE TABLE without_rowid (id TEXT PRIMARY KEY, task_id INTEGER, at INTEGER, model TEXT, tokens REAL) WITHOUT ROWID;
         CREATE INDEX without_rowid_task ON without_rowid (task_id);
         INSERT INTO without_rowid VALUES ('a', 1, 1767268800, 'large', 1.5), ('b', 1, NULL, 'large', 1);
         CREATE TABLE strictly (id INTEGER PRIMARY KEY, task_id INTEGER, at ANY, model ANY, tokens ANY) STRICT;
         INSERT INTO strictly VALUES (1, 1, '2026-01-01 12:00:00', 7, 1.5)",
        "CREATE TABLE parts (id bigint, task_id bigint, at timestamptz, model text, tokens bigint, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
         CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
         CREATE TABLE part_2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
         INSERT INTO parts VALUES (1, 1, '2026-01-31T12:00:00Z', 'large', 1)",
    );
    let not_null = ("source = \"usage\"", "source = \"without_rowid\"");
    file.taken(&[not_null]);
    file.sql("UPDATE without_rowid SET at = at + 3600; INSERT OR REPLACE INTO without_rowid VALUES ('a', 1, 1767268800, 'small', 2)");
    file.drain();
    file.rig.ok(&["rollup", "uninstall", "usage", "--drop-rows"]);
    file.taken(&[("source = \"usage\"", "source = \"strictly\"")]);

    let key = ("source = \"usage\"", "source = \"parts\"\nsource-key = [\"id\", \"at\"]");
    server.taken(&[key]);
    // From one partition to the other: a row is deleted here and inserted there.
    server.sql("UPDATE parts SET at = '2026-02-01T12:00:00Z'");
    server.drain();
    assert_eq!(server.text("SELECT string_agg(bucket::text, ',') FROM usage_hourly"), "2026-02-01 12:00:00+00");
}
