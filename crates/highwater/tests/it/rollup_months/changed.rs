//! `rollup change`: another declaration takes the place of the installed one, under load and after kills, and nothing is lost.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use super::Months;
use crate::rig::{KILLED, dice, pause, wait_until};

const KEYS: &str = "keys = { model = \"model\" }";

/// Stops the threads of a test, also where it fails.
struct Stops<'s>(&'s AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn regions(months: &Months, rows: i64) {
    months.sql("ALTER TABLE usage ADD region text");
    let values = |id: i64| {
        let at = jiff::Timestamp::from_second(months.hour() - id % 60 * 86_400 - id % 7 * 3600).unwrap();
        format!(
            "({id}, '{at}', 'm{}', {id}, {})",
            id % 3,
            if id % 4 == 0 { "NULL".to_owned() } else { format!("'r{}'", id % 4) }
        )
    };
    let all: Vec<String> = (0..rows).map(values).collect();
    months.sql(&format!("INSERT INTO usage (id, at, model, tokens, region) VALUES {}", all.join(", ")));
}

/// How a grouping that was written by hand differs from the target.
fn differences(months: &Months, keys: &str, hours: i64) -> Vec<Vec<Option<String>>> {
    let secs = hours * 3600;
    let (bucket, stored) = if months.is_postgres() {
        (format!("floor(extract(epoch FROM at) / {secs})::bigint * {secs}"), "extract(epoch FROM bucket)::bigint")
    } else {
        (format!("unixepoch(at) / {secs} * {secs}"), "unixepoch(bucket)")
    };
    let fresh = format!("SELECT {bucket}, {keys}, sum(tokens), count(*) FROM usage GROUP BY {bucket}, {keys}");
    let stored = format!("SELECT {stored}, {keys}, tokens, calls FROM hourly");
    let mut rows = months.rows(&format!("SELECT * FROM ({fresh}) AS f EXCEPT SELECT * FROM ({stored}) AS s"));
    rows.extend(months.rows(&format!("SELECT * FROM ({stored}) AS s EXCEPT SELECT * FROM ({fresh}) AS f")));
    rows
}

fn leftovers(months: &Months) -> String {
    months.one(if months.is_postgres() {
        "SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'hourly_next%' AND relkind IN ('r', 'i') AND relname NOT LIKE '%_pkey')
              + (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'hourly_next%')
              + (SELECT count(*) FROM pg_proc WHERE proname LIKE 'hourly_next%')"
    } else {
        "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'hourly_next%' OR sql LIKE '%hourly_next%'"
    })
}

#[test]
fn r05_a_key_more_under_load_and_kills_loses_nothing_and_readers_see_the_old_or_the_new() {
    for months in Months::both("slice = \"2 days\"\nslice-target = \"50ms\"\nsleep = \"20ms\"") {
        regions(&months, 3_000);
        months.seed();
        if months.is_postgres() {
            months.sql("DROP ROLE IF EXISTS reader; CREATE ROLE reader; GRANT SELECT ON hourly TO reader");
        }
        months.configure(KEYS, "keys = { model = \"model\", region = \"region\" }");
        let (stop, next, reads) = (AtomicBool::new(false), AtomicI64::new(10_000), AtomicI64::new(0));
        let mut rng = dice("a_key_more_under_load");
        thread::scope(|scope| {
            let _stopped = Stops(&stop);
            let writer = scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let id = next.fetch_add(1, Ordering::SeqCst);
                    months.usage(id, id % 500, "'m1'", id);
                    months
                        .sql(&format!("UPDATE usage SET region = 'r9', tokens = tokens + 1 WHERE id = {}", id % 3_000));
                    months.sql(&format!("DELETE FROM usage WHERE id = {}", id * 7 % 3_000));
                }
            });
            let reader = scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let cells = months.one("SELECT count(*) FROM hourly").parse::<i64>().unwrap();
                    assert!(cells >= 400, "a reader sees {cells} cells");
                    reads.fetch_add(1, Ordering::SeqCst);
                }
            });
            let mut killed = 0;
            let mut tries = 0;
            loop {
                tries += 1;
                assert!(tries < 100 && !writer.is_finished() && !reader.is_finished());
                let mut doomed = months.rig.doom(&["rollup", "change", "usage", "--why", "by region"]);
                if killed < 6 {
                    pause(Duration::from_millis(rng.u64(10..250)));
                    if doomed.runs() {
                        doomed.kill_9();
                        killed += 1;
                        continue;
                    }
                }
                let ended = doomed.end();
                match ended.code {
                    0 => break,
                    // The server may not have noticed yet that the killed one is gone.
                    3 => pause(Duration::from_millis(200)),
                    _ => panic!("{ended:?}"),
                }
            }
            // The new one is kept in step under load, too.
            months.rig.run(&["run", "usage"]);
            stop.store(true, Ordering::SeqCst);
            assert!(killed > 0, "kills that never came prove nothing");
        });
        assert!(reads.load(Ordering::SeqCst) > 5);
        months.pass(0);
        months.call(&["verify", "usage"], 0);
        months.call(&["rollup", "diff", "usage"], 0);
        assert_eq!(differences(&months, "model, region", 1), Vec::<Vec<Option<String>>>::new());
        assert_eq!(leftovers(&months), "0");
        if months.is_postgres() {
            assert_eq!(
                months.one("SELECT has_table_privilege('reader', 'hourly', 'SELECT')"),
                "t",
                "who may read may read"
            );
            months.sql("DROP OWNED BY reader; DROP ROLE reader");
        }
        let text = months.call(&["rollup", "change", "usage"], 0);
        assert!(text.contains("there is nothing to change"), "{text}");
        months.call(&["rollup", "uninstall", "usage", "--drop-rows"], 0);
        assert_eq!(installed(&months), "0");
    }
}

#[test]
fn another_grain_or_aggregate_halts_a_pass_and_a_change_sees_to_it() {
    let grain = ("grain = \"hour\"", "grain = \"day\"", 24);
    let aggregate = ("{ sum = \"tokens\" }", "{ max = \"tokens\" }", 1);
    for (from, to, hours) in [grain, aggregate] {
        for months in Months::both("") {
            regions(&months, 100);
            months.seed();
            months.configure(from, to);
            let text = months.call(&["rollup", "diff", "usage"], 4);
            assert!(text.contains("it was installed with another `"), "{text}");
            let text = months.call(&["verify", "usage", "--repair"], 2);
            assert!(text.contains("error[HW-ROL-034]"), "{text}");
            let before = months.target();
            months.usage(5_000, 3, "'m1'", 7);
            let ended = months.pass(4);
            let status = format!("{ended:?}{}", months.call(&["status", "usage"], 0));
            assert!(status.contains("highwater rollup change usage"), "{status}");
            assert_eq!(months.target(), before, "nothing is mixed");
            months.call(&["rearm", "usage", "--why", "it is meant so"], 0);
            months.call(&["rollup", "change", "usage"], 0);
            months.pass(0);
            months.call(&["verify", "usage"], 0);
            if hours == 24 {
                assert_eq!(differences(&months, "model", 24), Vec::<Vec<Option<String>>>::new());
            } else {
                let sql = "SELECT max(tokens) FROM hourly";
                assert_eq!(months.one(sql), months.one("SELECT max(tokens) FROM usage"));
            }
            assert_eq!(leftovers(&months), "0");
        }
    }
}

#[test]
fn r15_what_would_be_lost_with_the_old_target_refuses_the_change_and_is_named() {
    let months = Months::postgres("");
    regions(&months, 50);
    months.seed();
    months.configure(KEYS, "keys = { region = \"region\" }");
    let before = months.target();
    months.sql("CREATE VIEW daily AS SELECT sum(tokens) FROM hourly; CREATE INDEX by_tokens ON hourly (tokens)");
    let text = months.call(&["rollup", "change", "usage"], 2);
    assert!(
        text.contains("error[HW-ROL-030]")
            && text.contains("the index by_tokens, the view daily on hourly would be lost"),
        "{text}"
    );
    assert_eq!((months.target(), leftovers(&months).as_str()), (before, "0"), "nothing was changed");
    months.sql("DROP VIEW daily; DROP INDEX by_tokens");
    months.call(&["rollup", "change", "usage"], 0);
    months.call(&["verify", "usage"], 0);

    // In SQLite a view asks for its table by name.
    let months = Months::sqlite("");
    regions(&months, 50);
    months.seed();
    months.configure(KEYS, "keys = { region = \"region\" }");
    months.sql(
        "CREATE VIEW daily AS SELECT sum(tokens) AS tokens FROM hourly; CREATE INDEX by_tokens ON hourly (tokens)",
    );
    let text = months.call(&["rollup", "change", "usage"], 2);
    assert!(text.contains("the index by_tokens on hourly would be lost"), "{text}");
    months.sql("DROP INDEX by_tokens");
    months.call(&["rollup", "change", "usage"], 0);
    assert_eq!(months.one("SELECT tokens FROM daily"), months.one("SELECT sum(tokens) FROM usage"));
}

#[test]
fn frozen_buckets_are_carried_over_where_they_tell_enough_and_else_go_only_when_a_person_says_so() {
    for months in Months::both("freeze-before = \"90 days\"") {
        months.sql("ALTER TABLE usage ADD region text");
        for (id, days, model) in [(1, 300, "'a'"), (2, 300, "'b'"), (3, 200, "NULL"), (4, 20, "'a'"), (5, 20, "'b'")] {
            months.usage(id, days * 24, model, id);
        }
        months.seed();
        months.pass(0);
        months.sql("DELETE FROM usage WHERE id <= 3");
        months.pass(0);
        // A key more is not in the old cells.
        months.configure(KEYS, "keys = { model = \"model\", region = \"region\" }");
        let before = months.target();
        let text = months.call(&["rollup", "change", "usage"], 2);
        assert!(
            text.contains("error[HW-ROL-031]")
                && text.contains("3 frozen cells cannot be carried over: they do not tell the key `region`"),
            "{text}"
        );
        assert_eq!((months.target(), leftovers(&months).as_str()), (before, "0"));
        // A key less is: its cells add up.
        months.configure("keys = { model = \"model\", region = \"region\" }\n", "");
        months.call(&["rollup", "change", "usage"], 0);
        let sums = "SELECT tokens FROM hourly ORDER BY bucket";
        assert_eq!(months.rows(sums).concat(), ["3", "3", "9"].map(|sum| Some(sum.to_owned())), "1 + 2, 3, 4 + 5");
        let text = months.call(&["verify", "usage"], 0);
        assert!(text.contains("1 cells, 0 wrong, 2 frozen before"), "{text}");
        // And they may go.
        months.configure("aggregates =", "keys = { region = \"region\" }\naggregates =");
        months.call(&["rollup", "change", "usage", "--drop-frozen", "--why", "nobody reads them"], 0);
        assert_eq!(months.rows(sums).concat(), [Some("9".to_owned())]);
        months.usage(9, 300 * 24, "'a'", 9);
        months.pass(0);
        assert_eq!(months.rows(sums).concat(), [Some("9".to_owned())], "what is old stays out");
        let events = months.call(&["events", "--job", "usage"], 0);
        assert!(events.contains("frozen buckets may go: nobody reads them"), "{events}");
    }
}

/// A change that is killed in the middle.
fn begun(months: &Months) {
    let mut doomed = months.rig.doom(&["rollup", "change", "usage"]);
    wait_until("something beside", || leftovers(months) != "0");
    wait_until("a slice beside", || months.one("SELECT count(*) FROM hourly_next") != "0");
    assert!(doomed.runs());
    assert_eq!(doomed.kill_9().code, KILLED);
    pause(Duration::from_millis(500));
}

#[test]
fn a_change_that_is_given_up_is_taken_away_and_the_installed_one_goes_on() {
    for months in Months::both("sleep = \"2s\"\nslice-target = \"1ms\"") {
        regions(&months, 100);
        months.configure("sleep = \"2s\"", "sleep = \"0s\"");
        months.seed();
        months.configure("sleep = \"0s\"", "sleep = \"2s\"");
        months.configure(KEYS, "keys = { region = \"region\" }");
        begun(&months);
        months.configure("keys = { region = \"region\" }", KEYS);
        let text = months.call(&["rollup", "change", "usage"], 0);
        assert!(text.contains("what an unfinished change had built beside was taken away"), "{text}");
        assert_eq!(leftovers(&months), "0");
        months.usage(5_000, 3, "'m1'", 7);
        months.pass(0);
        months.pass(0);
        assert_eq!(differences(&months, "model", 1), Vec::<Vec<Option<String>>>::new());

        // And one that another takes the place of.
        months.configure(KEYS, "keys = { region = \"region\" }");
        begun(&months);
        months.configure("keys = { region = \"region\" }", "keys = { region = \"region\", model = \"model\" }");
        months.configure("sleep = \"2s\"", "sleep = \"0s\"");
        let ended = months.rig.run(&["run", "usage"]);
        assert_eq!(ended.code, 4, "{ended:?}");
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains("the declaration changed again"), "{ended:?}");
        months.call(&["rearm", "usage", "--why", "another one"], 0);
        months.call(&["rollup", "change", "usage"], 0);
        assert_eq!(differences(&months, "region, model", 1), Vec::<Vec<Option<String>>>::new());
        assert_eq!(leftovers(&months), "0");
    }
}

#[test]
fn what_was_built_wrong_never_takes_the_place_of_what_is_right() {
    for months in Months::both("sleep = \"2s\"\nslice-target = \"1ms\"") {
        regions(&months, 100);
        months.configure("sleep = \"2s\"", "sleep = \"0s\"");
        months.seed();
        months.configure("sleep = \"0s\"", "sleep = \"2s\"");
        months.configure(KEYS, "keys = { region = \"region\" }");
        begun(&months);
        months.configure("sleep = \"2s\"", "sleep = \"0s\"");
        months
            .sql("INSERT INTO hourly_next (bucket, region, tokens, calls) VALUES ('2020-01-01T00:00:00Z', 'r1', 5, 1)");
        let before = months.target();
        let ended = months.rig.run(&["rollup", "change", "usage"]);
        assert_eq!(ended.code, 4, "{ended:?}");
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains("1 of "), "{ended:?}");
        let status = months.call(&["status", "usage"], 0);
        assert!(status.contains("Extra 2020-01-01"), "{status}");
        assert_eq!((months.target(), leftovers(&months).as_str()), (before, "0"));
        months.call(&["rearm", "usage", "--why", "again"], 0);
        months.call(&["rollup", "change", "usage"], 0);
        assert_eq!(differences(&months, "region", 1), Vec::<Vec<Option<String>>>::new());

        months.configure("keys = { region = \"region\" }", KEYS);
        months.configure("sleep = \"0s\"", "sleep = \"2s\"");
        begun(&months);
        months.call(&["rollup", "uninstall", "usage", "--drop-rows"], 0);
        assert_eq!(installed(&months), "0", "what a change has begun goes with it");
    }
}

fn installed(months: &Months) -> String {
    months.one(if months.is_postgres() {
        "SELECT count(*) FROM pg_class WHERE relname LIKE 'hourly%'"
    } else {
        "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'hourly%'"
    })
}

#[test]
fn a_change_of_the_event_time_brings_its_own_index_unless_one_is_there() {
    for months in Months::both("") {
        for id in 0..5 {
            months.usage(id, id * 30, "'m1'", id);
        }
        months.sql(if months.is_postgres() {
            "ALTER TABLE usage ADD made timestamptz"
        } else {
            "ALTER TABLE usage ADD made TEXT"
        });
        months.sql("UPDATE usage SET made = at");
        months.seed();
        let indexes = || {
            months.one(if months.is_postgres() {
                "SELECT string_agg(substring(indexdef FROM 'INDEX (.*)'), '; ' ORDER BY indexname) FROM pg_indexes
                 WHERE tablename = 'usage' AND indexname NOT LIKE '%pkey'"
            } else {
                "SELECT group_concat(name || ' by ' || CASE WHEN sql LIKE '%\"made\"%' THEN 'made' ELSE 'at' END, '; ') FROM sqlite_schema
                 WHERE type = 'index' AND tbl_name = 'usage' AND sql IS NOT NULL"
            })
        };
        months.configure("event-time = \"at\"", "event-time = \"made\"");
        months.call(&["rollup", "change", "usage", "--why", "made is when"], 0);
        let found = indexes();
        let expected = if months.is_postgres() {
            "hourly_event ON public.usage USING btree (made)"
        } else {
            "hourly_event by made"
        };
        assert!(found.contains(expected) && !found.contains("at)") && !found.contains("by at"), "{found}");
        months.call(&["rollup", "diff", "usage"], 0);
        months.call(&["verify", "usage"], 0);

        // And back, where somebody has one of their own by now.
        let at = "CAST(CASE WHEN typeof(\"at\") = 'text' THEN strftime('%s', \"at\") ELSE \"at\" END AS INTEGER)";
        months.sql(&format!("CREATE INDEX theirs ON usage ({})", if months.is_postgres() { "at" } else { at }));
        months.configure("event-time = \"made\"", "event-time = \"at\"");
        months.call(&["rollup", "change", "usage", "--why", "at is when"], 0);
        let found = indexes();
        assert!(found.contains("theirs") && !found.contains("hourly"), "{found}");
        months.call(&["rollup", "diff", "usage"], 0);
        months.call(&["rollup", "uninstall", "usage", "--drop-rows"], 0);
        assert!(indexes().contains("theirs"));
    }
}
