//! `migrate`: guarded steps through the built binary, on both databases.

use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use highwater_testkit::postgres::Postgres;

use crate::rig::{Ended, Rig, end, signal, wait_until};

/// One server for all tests here; each takes a database of its own.
fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start_with(&[("fsync", "off")]).unwrap())
}

/// A place with a database, migrations and a rollup of events by the hour.
struct Place {
    rig: Rig,
    url: Option<String>,
}

const BOTH: [&str; 2] = ["postgres", "sqlite"];

impl Place {
    fn new(database: &str) -> Self {
        Self::with(database, "")
    }

    fn with(database: &str, more: &str) -> Self {
        let url = (database == "postgres").then(|| {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("migrate_{}", NEXT.fetch_add(1, Ordering::Relaxed));
            let url = server().url();
            let done =
                std::process::Command::new("psql").args([&url, "-c", &format!("CREATE DATABASE {name}")]).output();
            assert!(done.unwrap().status.success());
            format!("{}/{name}", url.rsplit_once('/').unwrap().0)
        });
        let address = url.clone().unwrap_or_else(|| "sqlite:app.db".to_owned());
        let places = if url.is_some() { "$1::timestamptz < $2::timestamptz" } else { "?1 < ?2" };
        let rig = Rig::new(&format!(
            r#"
            [migrate]
            directory = "migrations"
            database = "{address}"
            {more}

            [job.events]
            kind = "rollup"
            database = "{address}"
            source = "event"
            event-time = "at"
            grain = "hour"
            target = "event_hourly"
            keys = {{ model = "model" }}
            aggregates = {{ tokens = {{ sum = "tokens" }}, calls = "count" }}
            lag = "6s"

            [job.own]
            kind = "rollup"
            database = "{address}"
            window = "SELECT 0 WHERE {places}"
            bounds = "SELECT min(at), max(at) FROM event"
            watermark = {{ table = "own_state", column = "watermark_at", key = {{ id = 1 }} }}
            lag = "6s"
            "#
        ));
        std::fs::create_dir(rig.path("migrations")).unwrap();
        let place = Self { rig, url };
        if place.url.is_none() {
            place.sql("PRAGMA journal_mode = WAL");
        }
        place
    }

    fn step(&self, name: &str, sql: &str) {
        self.rig.write(&format!("migrations/{name}"), sql);
    }

    fn sql(&self, sql: &str) -> String {
        match &self.url {
            Some(url) => {
                let asked = ["--no-psqlrc", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql, url];
                let done: Ended = std::process::Command::new("psql").args(asked).output().unwrap().into();
                assert_eq!(done.code, 0, "{sql}: {done:?}");
                done.stdout.trim().to_owned()
            }
            None => {
                let db = rusqlite::Connection::open(self.rig.path("app.db")).unwrap();
                let mut statement = db.prepare(sql).unwrap();
                let mut rows = statement.query([]).unwrap();
                let mut text = String::new();
                while let Some(row) = rows.next().unwrap() {
                    let cell: rusqlite::types::Value = row.get(0).unwrap();
                    text.push_str(&match cell {
                        rusqlite::types::Value::Integer(number) => number.to_string(),
                        rusqlite::types::Value::Text(text) => text,
                        other => format!("{other:?}"),
                    });
                }
                text
            }
        }
    }

    /// The table of events, and with it the rollup's own.
    fn tables(&self) {
        let (number, time) = if self.url.is_some() { ("bigint", "timestamptz") } else { ("INTEGER", "TEXT") };
        let table = format!(
            "CREATE TABLE event (id {number} PRIMARY KEY, model TEXT NOT NULL, tokens {number} NOT NULL, at {time} NOT NULL)"
        );
        self.step("1_event.up.sql", &format!("{table};\nCREATE TABLE old_hourly (hour {time}, tokens {number});"));
        let ddl = self.rig.run(&["rollup", "ddl", "events"]);
        assert_eq!(ddl.code, 0, "{ddl:?}");
        // Nobody writes to the table yet, and so it may be one transaction.
        self.step("2_rollup.up.sql", &ddl.stdout.replace("INDEX CONCURRENTLY", "INDEX"));
    }

    /// Events of three months, one each six hours.
    fn events(&self) {
        let rows = match self.url {
            Some(_) => {
                "INSERT INTO event SELECT n, 'm' || n % 3, n, timestamptz '2025-01-01Z' + n * interval '6 hours'
                 FROM generate_series(1, 360) AS n"
            }
            None => {
                "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 360)
                 INSERT INTO event SELECT n, 'm' || n % 3, n, strftime('%Y-%m-%dT%H:%M:%SZ', '2025-01-01', printf('+%d hours', n * 6)) FROM s"
            }
        };
        self.step("3_events.up.sql", rows);
    }

    fn guarded(&self, job: &str) {
        self.step("4_drop.up.sql", &format!("-- highwater:requires {job}\nDROP TABLE old_hourly;"));
    }

    fn up(&self) -> Ended {
        self.rig.run(&["--json", "migrate", "up"])
    }
}

#[test]
fn r07_a_run_straight_through_seeds_what_a_step_requires_and_the_next_finds_it_current() {
    for database in BOTH {
        let place = Place::new(database);
        place.tables();
        place.events();
        place.guarded("events");
        let ended = place.up();
        assert_eq!(ended.code, 0, "{ended:?}");
        let applied = &ended.json()["applied"];
        assert_eq!(applied.as_array().unwrap().len(), 4, "{applied}");
        let required = &applied[3]["required"][0];
        assert_eq!(
            (required["job"].as_str(), required["why"].as_str()),
            (Some("events"), Some("walked")),
            "{required}"
        );
        assert_eq!(required["rows"].as_u64(), Some(360), "{required}");
        assert!(required["slices"].as_u64().unwrap() >= 3, "{required}: months");
        assert_eq!(place.sql("SELECT sum(tokens) FROM event_hourly"), (360 * 361 / 2).to_string());
        assert_eq!(place.rig.run(&["verify", "events"]).code, 0);

        place.step("5_again.up.sql", "-- highwater:requires events\nSELECT 1");
        let ended = place.up();
        assert_eq!(ended.json()["applied"][0]["required"][0]["why"], "watermark_within_threshold", "{ended:?}");
        let again = place.rig.run(&["migrate", "up"]);
        assert!(again.stdout.contains("nothing to apply, 5 steps applied before"), "{again:?}");
        let events = place.rig.run(&["events"]);
        assert!(events.stdout.contains("4_drop.up.sql"), "{events:?}");
    }
}

#[test]
fn r07_a_rollup_that_was_seeded_in_part_is_seeded_whole_before_a_step_that_requires_it() {
    for database in BOTH {
        let place = Place::new(database);
        place.tables();
        place.events();
        assert_eq!(place.up().code, 0);
        let part = place.rig.run(&["run", "events", "--since", "2025-03-01", "--force-partial"]);
        assert_eq!(part.code, 0, "{part:?}");
        place.guarded("events");
        let ended = place.up();
        assert_eq!(ended.code, 0, "{ended:?}");
        let required = &ended.json()["applied"][0]["required"][0];
        assert_eq!(required["why"].as_str(), Some("walked"), "{required}");
        assert_eq!(place.sql("SELECT sum(tokens) FROM event_hourly"), (360 * 361 / 2).to_string());
        assert_eq!(place.rig.run(&["verify", "events"]).code, 0);
    }
}

#[test]
fn r07_a_source_that_was_emptied_by_truncate_lets_no_step_pass_before_somebody_looked() {
    let place = Place::new("postgres");
    place.tables();
    place.events();
    assert_eq!(place.up().code, 0);
    assert_eq!(place.rig.run(&["run", "events"]).code, 0);
    place.sql("TRUNCATE event");
    place.guarded("events");
    let ended = place.up();
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(format!("{ended:?}").contains("TRUNCATE emptied event at 20"), "{ended:?}");
    assert_eq!(place.sql("SELECT count(*) FROM old_hourly"), "0", "it is there");
    let guard = place.rig.run(&["rollup", "guard", "events"]);
    assert_eq!(guard.code, 4, "{guard:?}");
    assert!(guard.stdout.contains("next: `highwater run events` settles it, or halts"), "{guard:?}");
}

#[test]
fn r04_a_rollup_that_is_halted_lets_no_step_pass_however_current_it_is() {
    for database in BOTH {
        let place = Place::new(database);
        place.tables();
        place.events();
        place.guarded("events");
        assert_eq!(place.up().code, 0);
        assert_eq!(place.rig.run(&["halt", "events", "--why", "cells look wrong"]).code, 0);
        place.step("5_again.up.sql", "-- highwater:requires events\nCREATE TABLE again (id int)");
        let ended = place.up();
        assert_eq!(ended.code, 4, "{ended:?}");
        assert!(ended.stdout.contains("cells look wrong"), "{ended:?}");
        assert!(place.rig.run(&["migrate", "list"]).stdout.contains("5 pending"), "{database}");
        assert_eq!(place.rig.run(&["rearm", "events", "--why", "they are not"]).code, 0);
        let ended = place.up();
        assert_eq!(ended.json()["applied"][0]["required"][0]["why"], "watermark_within_threshold", "{ended:?}");
    }
}

#[test]
fn an_empty_source_is_stamped_and_missing_tables_are_nothing_to_do() {
    for database in BOTH {
        let place = Place::new(database);
        place.tables();
        place.guarded("events");
        let ended = place.up();
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(ended.json()["applied"][2]["required"][0]["why"], "source_empty", "{ended:?}");
        assert_eq!(place.sql("SELECT count(*) FROM event_hourly_state WHERE watermark IS NOT NULL"), "1", "{database}");

        let place = Place::new(database);
        place.step("1_a.up.sql", "-- highwater:requires events own\nCREATE TABLE a (id int)");
        let required = place.up().json()["applied"][0]["required"].clone();
        assert_eq!(
            (&required[0]["why"], &required[1]["why"]),
            (&"rollup_state_missing".into(), &"rollup_state_missing".into())
        );
    }
}

#[test]
fn r07_a_state_row_that_is_missing_ends_the_run_with_the_statement_that_mends_it() {
    for database in BOTH {
        let place = Place::new(database);
        place.tables();
        place.events();
        let time = if database == "postgres" { "timestamptz" } else { "TEXT" };
        place.step("33_state.up.sql", &format!("CREATE TABLE own_state (id int, watermark_at {time})"));
        place.step("4_drop.up.sql", "SELECT 1");
        place.step("44_drop.up.sql", "-- highwater:requires own\nDROP TABLE old_hourly;");
        let ended = place.up();
        assert_eq!(ended.code, 4, "{ended:?}");
        assert!(ended.stdout.contains("HW-MIG-008"), "{ended:?}");
        let mend =
            "INSERT INTO \\\"own_state\\\" (\\\"id\\\", \\\"watermark_at\\\") VALUES (1, '1970-01-01T00:00:00Z');";
        assert!(ended.stdout.contains(mend), "{ended:?}");
        place.sql(&mend.replace('\\', ""));
        assert_eq!(place.sql("SELECT count(*) FROM old_hourly"), "0", "it is still there");
        let ended = place.up();
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(ended.json()["applied"][0]["required"][0]["why"], "walked", "{ended:?}");
    }
}

#[test]
fn a_walk_that_cannot_be_made_ends_the_run_there_with_what_was_applied() {
    for database in BOTH {
        let place = Place::with(database, "lock-wait = \"1s\"");
        place.tables();
        place.events();
        place.guarded("events");
        place.step("5_after.up.sql", "CREATE TABLE after_it (id int)");
        // Somebody else holds the rollup's lock, as its own program would.
        let (lock, mut holder) = place.hold();
        let ended = place.up();
        drop(lock);
        if let Some(holder) = &mut holder {
            holder.kill().unwrap();
            holder.wait().unwrap();
        }
        assert_eq!(ended.code, 3, "{ended:?}");
        assert!(
            ended.stdout.contains("3_events.up.sql") && ended.stdout.contains("4_drop.up.sql was not run"),
            "{ended:?}"
        );
        let listed = place.rig.run(&["migrate", "list"]);
        assert_eq!(listed.code, 0, "{listed:?}");
        assert!(listed.stdout.contains("4 pending") && listed.stdout.contains("3 applied"), "{}", listed.stdout);
        assert_eq!(place.up().code, 0);
    }
}

impl Place {
    /// Takes the lock of the rollup: a file's, or an advisory one by psql.
    fn hold(&self) -> (Option<std::fs::File>, Option<std::process::Child>) {
        let shown = self.rig.run(&["--json", "config", "show"]).json();
        let lock = shown["values"].as_array().unwrap().iter();
        let mut lock = lock.filter(|one| {
            one["field"].as_str().is_some_and(|field| field.contains("events") && field.ends_with("lock"))
        });
        let lock = lock.next().unwrap_or_else(|| panic!("{shown}"))["value"].as_str().unwrap().to_owned();
        match lock.strip_prefix("file:") {
            Some(path) => {
                std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
                let file = std::fs::File::create(path).unwrap();
                file.lock().unwrap();
                (Some(file), None)
            }
            None => {
                let key =
                    lock.strip_prefix("postgres:").unwrap().parse::<highwater_db::postgres::AdvisoryKey>().unwrap();
                let sql = format!("SELECT pg_advisory_lock({}); SELECT 'held'", key.number());
                let mut psql = std::process::Command::new("psql");
                psql.args(["--no-psqlrc", "-At", self.url.as_deref().unwrap()])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped());
                let mut holder = psql.spawn().unwrap();
                std::io::Write::write_all(holder.stdin.as_mut().unwrap(), sql.replace("; ", ";\n").as_bytes()).unwrap();
                std::io::Write::write_all(holder.stdin.as_mut().unwrap(), b";\n").unwrap();
                let mut lines = std::io::BufRead::lines(std::io::BufReader::new(holder.stdout.take().unwrap()));
                assert!(lines.any(|line| line.unwrap() == "held"));
                (None, Some(holder))
            }
        }
    }
}

#[test]
fn r15_what_cannot_be_run_is_refused_with_its_file_and_nothing_is_made() {
    for database in BOTH {
        let place = Place::new(database);
        place.step("1_a.up.sql", "CREATE TABLE a (id int)");
        for (sql, code, told) in [
            ("SELECT 1;\nCOMMIT;", "HW-MIG-002", "2_b.up.sql: line 2: COMMIT would end"),
            ("-- highwater:requires nobody\nSELECT 1", "HW-MIG-002", "it requires nobody: found no job \"nobody\""),
        ] {
            place.step("2_b.up.sql", sql);
            let ended = place.rig.run(&["migrate", "up"]);
            assert_eq!(ended.code, 2, "{ended:?}");
            assert!(ended.stderr.contains(code) && ended.stderr.contains(told), "{ended:?}");
        }
        place.step("2_b.up.sql", "SELECT 1");
        place.step("02_c.up.sql", "SELECT 1");
        let ended = place.rig.run(&["migrate", "up"]);
        assert!(ended.code == 2 && ended.stderr.contains("HW-MIG-001"), "{ended:?}");
        std::fs::remove_file(place.rig.path("migrations/02_c.up.sql")).unwrap();
        assert_eq!(place.up().json()["applied"].as_array().unwrap().len(), 2, "{database}: nothing was applied before");
        place.step("2_b.up.sql", "SELECT 2");
        let ended = place.rig.run(&["migrate", "up"]);
        assert!(ended.code == 2 && ended.stderr.contains("HW-MIG-003"), "{ended:?}");
        let listed = place.rig.run(&["migrate", "list"]);
        assert!(listed.code == 4 && listed.stdout.contains("2 changed"), "{listed:?}");
    }
    let rig = Rig::new("");
    let ended = rig.run(&["migrate", "up"]);
    assert!(ended.code == 2 && ended.stderr.contains("HW-CFG-020"), "{ended:?}");
}

#[test]
fn an_existing_history_is_taken_over_and_gone_on_with() {
    for database in BOTH {
        let place = Place::new(database);
        place.sql("CREATE TABLE schema_migrations (version TEXT PRIMARY KEY)");
        place.sql("INSERT INTO schema_migrations VALUES ('1_a'), ('2_b')");
        place.step("1_a.up.sql", "CREATE TABLE never (id int)");
        place.step("2_b.up.sql", "CREATE TABLE never (id int)");
        place.step("3_c.up.sql", "CREATE TABLE c (id int)");
        let refused = place.rig.run(&["migrate", "baseline", "3", "--table", "schema_migrations"]);
        assert!(refused.code == 2 && refused.stderr.contains("HW-MIG-012"), "{refused:?}");
        let taken = place.rig.run(&["migrate", "baseline", "2", "--table", "schema_migrations"]);
        assert!(taken.code == 0 && taken.stdout.contains("2 steps taken over"), "{taken:?}");
        let applied = place.up().json()["applied"].clone();
        assert_eq!((applied.as_array().unwrap().len(), &applied[0]["number"]), (1, &3.into()), "{database}");
        assert_eq!(place.sql("SELECT count(*) FROM schema_migrations"), "2", "{database}");
    }
}

#[test]
fn r05_a_signal_ends_a_step_and_the_server_s_work_on_it_and_the_next_run_goes_on() {
    let place = Place::new("postgres");
    place.step("1_a.up.sql", "CREATE TABLE a (id int)");
    place.step("2_b.up.sql", "CREATE TABLE b (id int); SELECT pg_sleep(600)");
    let up = place.rig.command(&["migrate", "up"]).stderr(Stdio::piped()).spawn().unwrap();
    let working =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
    wait_until("the step is run", || place.sql(working) == "1");
    signal(&up, "TERM");
    let ended = end(up);
    assert!(ended.code == 3 && ended.stderr.contains("HW-CMD-034"), "{ended:?}");
    wait_until("the server gave it up", || place.sql(working) == "0");
    place.step("2_b.up.sql", "CREATE TABLE b (id int)");
    let applied = place.up().json()["applied"].clone();
    assert_eq!((applied.as_array().unwrap().len(), &applied[0]["number"]), (1, &2.into()));
}
