//! Tables that are not there, are none, or whose rows are not all seen.

use super::rig::Place;

const TABLE: (&str, &str) = ("source = \"usage\"", "source = \"usgae\"");
const JOINED: (&str, &str) = ("table = \"task\"", "table = \"tasks\"");

#[test]
fn r15_a_table_that_is_not_there_comes_with_the_near_one() {
    let [file, server] = Place::both("", "CREATE SCHEMA app; CREATE TABLE app.events (id int)");
    insta::assert_snapshot!(file.refused(&[TABLE, JOINED]), @"");
    insta::assert_snapshot!(server.refused(&[TABLE, JOINED]), @"");
    insta::assert_snapshot!(server.refused(&[("source = \"usage\"", "source = \"events\"")]), @"");
    insta::assert_snapshot!(server.refused(&[("source = \"usage\"", "source = \"Usage\"")]), @"");
    insta::assert_snapshot!(file.refused(&[("source = \"usage\"", "source = \"main.usage\"")]), @"");
    insta::assert_snapshot!(file.refused(&[("target = \"usage_hourly\"", "target = \"main.usage_hourly\"")]), @"");
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
    insta::assert_snapshot!(refused(&file, "recent"), @"");
    insta::assert_snapshot!(refused(&file, "words"), @"");
    insta::assert_snapshot!(refused(&file, "words_data"), @"");
    insta::assert_snapshot!(refused(&file, "sqlite_schema"), @"");
    insta::assert_snapshot!(refused(&server, "recent"), @"");
    insta::assert_snapshot!(refused(&server, "frozen"), @"");
    insta::assert_snapshot!(refused(&server, "remote"), @"");
    insta::assert_snapshot!(refused(&server, "numbers"), @"");
    insta::assert_snapshot!(refused(&server, "pg_class"), @"");
    insta::assert_snapshot!(server.refused(&[("table = \"task\"", "table = \"recent\"")]), @"");
}

#[tokio::test]
async fn r15_a_temporary_table_is_of_another_session() {
    let place = tokio::task::spawn_blocking(|| Place::postgres("")).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&place.url("postgres"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE TEMP TABLE staged (id bigint PRIMARY KEY)").await.unwrap();
    let told = tokio::task::spawn_blocking(move || refused(&place, "staged")).await.unwrap();
    insta::assert_snapshot!(told, @"");
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
    insta::assert_snapshot!(refused(&server, "usage"), @"");
    insta::assert_snapshot!(refused(&server, "parts"), @"");
    insta::assert_snapshot!(refused(&server, "copied"), @"");
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
