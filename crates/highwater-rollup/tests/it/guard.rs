//! The guard, of both kinds of rollup: as it answers, and as SQL that refuses on its own.

use std::time::Duration;

use highwater_db::session::{Dialect, FaultKind, Session, Value};
use highwater_rollup::guard::{Answer, Subject, block, guard};
use highwater_rollup::state;
use highwater_rollup::window::{ReadError, Window};

use crate::usage::{Base, bound, declaration, install, run, seed, seeded, tick_all, tick_to};

const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];
const HOUR: Duration = Duration::from_secs(3600);
/// What the SQL says for [`Answer::is_complete`].
type Refusal = Option<String>;

async fn declared(ours: &mut dyn Session) -> (Answer, Refusal) {
    let declaration = declaration();
    asked(ours, Subject::Declared(&declaration)).await
}

/// The answer, and what the SQL says, which refuses what the answer calls incomplete.
async fn asked(ours: &mut dyn Session, subject: Subject<'_>) -> (Answer, Refusal) {
    let answer = guard(ours, subject, HOUR).await.unwrap();
    let sql = block(ours.dialect(), subject, "usage's", HOUR);
    let refusal = ours.batch(&sql).await.err().map(|fault| fault.message);
    // SQLite cannot look whether a table is there before it compiles a statement about it.
    let is_refused = refusal.is_some();
    let is_there = !matches!(answer, Answer::NotInstalled { .. }) || ours.dialect() == Dialect::Postgres;
    assert!(!is_there || is_refused != answer.is_complete(), "{answer}: {refusal:?}");
    (answer, refusal)
}

#[tokio::test]
async fn a_declared_rollup_is_complete_from_its_seed_and_first_tick_on() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let not_there = |answer: &Answer, events: bool| match answer {
            Answer::NotInstalled { table, has_events } => {
                assert_eq!((table.as_str(), *has_events), ("task_usage_hourly_state", events));
            }
            other => panic!("{dialect:?}: {other:?}"),
        };
        not_there(&declared(&mut *ours).await.0, false);
        install(&mut *ours).await;
        assert_eq!(declared(&mut *ours).await.0, Answer::SourceEmpty, "{dialect:?}");
        run(&mut *ours, &highwater_rollup::ddl::uninstall(dialect, &declaration())).await;

        run(&mut *ours, USAGE).await;
        not_there(&declared(&mut *ours).await.0, true);
        install(&mut *ours).await;
        let (answer, refusal) = declared(&mut *ours).await;
        assert_eq!(answer, Answer::NotSeeded { newest: Some("2026-01-02T00:00:00Z".parse().unwrap()) }, "{dialect:?}");
        assert!(refusal.unwrap().starts_with("rollup usage's is not seeded"), "{dialect:?}");
        seed(&mut *ours).await;
        assert!(matches!(declared(&mut *ours).await.0, Answer::NotStamped { .. }), "{dialect:?}: no watermark yet");
        tick_to(&mut *ours, "2026-01-01T22:59:59Z".parse().unwrap()).await;
        let (answer, refusal) = declared(&mut *ours).await;
        let text = "watermark 2026-01-01T22:59:59Z, newest event 2026-01-02T00:00:00Z";
        assert_eq!(answer.to_string(), format!("behind by 1h 1s: {text}"), "{dialect:?}");
        let refusal = refusal.unwrap();
        if dialect == Dialect::Postgres {
            assert!(refusal.contains("behind by 01:00:01: watermark 2026-01-01 22:59:59+00"), "{refusal}");
        } else {
            assert!(refusal.contains("rollup usage's is behind: highwater rollup guard usage's"), "{refusal}");
        }
        tick_to(&mut *ours, "2026-01-01T23:00:00Z".parse().unwrap()).await;
        assert!(declared(&mut *ours).await.0.is_complete(), "{dialect:?}");
    }
}

const USAGE: &str = "INSERT INTO agent VALUES (1, 1);
    INSERT INTO agent_task_queue VALUES (1, 1, NULL, 1);
    INSERT INTO task_usage VALUES (1, 1, NULL, 'large', 10, NULL, '2026-01-02T00:00:00Z');";

#[tokio::test]
async fn a_state_row_that_was_lost_is_named_with_the_statement_that_puts_it_back() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        tick_all(&mut *ours).await;
        run(&mut *ours, "DELETE FROM task_usage_hourly_state").await;
        let Answer::StateMissing { table, is_null: false, mend } = declared(&mut *ours).await.0 else { panic!() };
        assert_eq!(table, "task_usage_hourly_state");
        run(&mut *ours, &mend).await;
        assert!(matches!(declared(&mut *ours).await.0, Answer::NotSeeded { .. }), "{dialect:?}");
    }
}

#[tokio::test]
async fn r07_a_change_that_waits_in_a_queue_is_told_though_its_event_is_old() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        tick_all(&mut *ours).await;
        assert!(declared(&mut *ours).await.0.is_complete(), "{dialect:?}");
        run(&mut *ours, "UPDATE task_usage SET tokens = 9 WHERE id = 1").await;
        assert!(declared(&mut *ours).await.0.is_complete(), "{dialect:?}: it waits for less than the threshold");
        let back = match dialect {
            Dialect::Postgres => "now() - interval '2 hours'",
            Dialect::Sqlite => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours')",
        };
        run(&mut *ours, &format!("UPDATE task_usage_hourly_dirty_source SET changed_at = {back}")).await;
        let (answer, _) = declared(&mut *ours).await;
        let Answer::Behind { figures, by } = answer else { panic!("{dialect:?}: {answer}") };
        assert!(figures.queued.is_some() && by.as_hours() == 2, "{dialect:?}: {figures} {by}");
    }
}

#[tokio::test]
async fn r07_an_empty_source_is_complete_only_while_no_change_waits_longer_than_the_threshold() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        tick_all(&mut *ours).await;
        run(&mut *ours, "DELETE FROM task_usage").await;
        assert_eq!(declared(&mut *ours).await.0, Answer::SourceEmpty, "{dialect:?}: they wait for less");
        let back = match dialect {
            Dialect::Postgres => "now() - interval '2 hours'",
            Dialect::Sqlite => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours')",
        };
        run(&mut *ours, &format!("UPDATE task_usage_hourly_dirty_source SET changed_at = {back}")).await;
        let (answer, _) = declared(&mut *ours).await;
        assert!(answer.to_string().contains(", no event, oldest queued change "), "{dialect:?}: {answer}");
        run(&mut *ours, "UPDATE task_usage_hourly_state SET seeded_at = NULL").await;
        assert_eq!(declared(&mut *ours).await.0, Answer::NotSeeded { newest: None }, "{dialect:?}");
        run(&mut *ours, "UPDATE task_usage_hourly_state SET seeded_at = installed_at").await;
        tick_all(&mut *ours).await;
        assert_eq!(declared(&mut *ours).await.0, Answer::SourceEmpty, "{dialect:?}");
    }
}

#[tokio::test]
async fn r07_a_seed_that_began_later_than_the_first_event_is_not_complete_however_fresh_its_watermark_is() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        tick_all(&mut *ours).await;
        assert!(declared(&mut *ours).await.0.is_complete(), "{dialect:?}");
        run(&mut *ours, "UPDATE task_usage_hourly_state SET seeded_from = '2026-01-01T13:00:00.000000Z'").await;
        let (answer, refusal) = declared(&mut *ours).await;
        let text = "seeded in part: from 2026-01-01T13:00:00Z on, and the earliest event is of 2026-01-01T12:00:00Z; the buckets \
                    before that were never computed";
        assert_eq!(answer.to_string(), text, "{dialect:?}");
        assert!(refusal.unwrap().contains("usage's is seeded in part"), "{dialect:?}");
        // Retention took what was never seeded: nothing is missing.
        run(&mut *ours, "DELETE FROM task_usage; INSERT INTO task_usage VALUES (9, 1, NULL, 'large', 10, NULL, '2026-01-01T13:00:00Z')")
            .await;
        assert!(declared(&mut *ours).await.0.is_complete(), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_state_table_of_an_older_version_is_read_and_given_what_it_lacks() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        tick_all(&mut *ours).await;
        run(&mut *ours, "ALTER TABLE task_usage_hourly_state DROP COLUMN seeded_from").await;
        let answer = guard(&mut *ours, Subject::Declared(&declaration()), HOUR).await.unwrap();
        assert!(answer.is_complete(), "{dialect:?}: nobody can tell: {answer}");
        let lacks = ["table task_usage_hourly_state has no column seeded_from"];
        assert_eq!(highwater_rollup::ddl::diff(&mut *ours, &declaration()).await.unwrap(), lacks, "{dialect:?}");
        for _ in 0..2 {
            state::bring_up(&mut *ours, &declaration()).await.unwrap();
        }
        let none: [&str; 0] = [];
        assert_eq!(highwater_rollup::ddl::diff(&mut *ours, &declaration()).await.unwrap(), none, "{dialect:?}");
        assert!(declared(&mut *ours).await.0.is_complete(), "{dialect:?}");
    }
}

#[tokio::test]
async fn whoever_does_not_own_the_state_of_an_older_version_is_told_so_and_nothing_is_changed() {
    let (_base, mut ours) = seeded(Dialect::Postgres).await;
    run(&mut *ours, "ALTER TABLE task_usage_hourly_state DROP COLUMN seeded_from").await;
    run(
        &mut *ours,
        "DROP ROLE IF EXISTS no_owner; CREATE ROLE no_owner; GRANT SELECT ON task_usage_hourly_state TO no_owner",
    )
    .await;
    run(&mut *ours, "SET ROLE no_owner").await;
    let refused = state::bring_up(&mut *ours, &declaration()).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Denied, "{refused}");
    run(&mut *ours, "RESET ROLE; DROP OWNED BY no_owner; DROP ROLE no_owner").await;
    run(&mut *ours, &state::brings_up(Dialect::Postgres, &declaration())).await;
    let none: [&str; 0] = [];
    assert_eq!(highwater_rollup::ddl::diff(&mut *ours, &declaration()).await.unwrap(), none);
}

#[tokio::test]
async fn an_event_of_the_future_asks_for_a_fresh_watermark_and_for_no_more() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let until = bound(&mut *ours).await - jiff::SignedDuration::from_hours(3);
        tick_to(&mut *ours, until).await;
        assert!(declared(&mut *ours).await.0.is_complete(), "{dialect:?}: nothing happened since");
        run(&mut *ours, "UPDATE task_usage SET created_at = '2099-01-01T00:00:00Z' WHERE id = 1").await;
        let (answer, _) = declared(&mut *ours).await;
        let Answer::Behind { figures, by } = answer else { panic!("{dialect:?}: {answer}") };
        assert_eq!((figures.newest, by.as_hours()), (Some(figures.now), 3), "{dialect:?}");
        assert_eq!(figures.ahead, Some("2099-01-01T00:00:00Z".parse().unwrap()), "{dialect:?}");
        tick_all(&mut *ours).await;
        assert!(declared(&mut *ours).await.0.is_complete(), "{dialect:?}");
    }
}

#[tokio::test]
async fn r07_a_watermark_of_the_future_proves_nothing() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        run(&mut *ours, "UPDATE task_usage_hourly_state SET watermark = '2099-01-01T00:00:00.000000Z'").await;
        let (answer, refusal) = declared(&mut *ours).await;
        assert!(matches!(answer, Answer::Ahead(_)), "{dialect:?}: {answer}");
        assert!(refusal.unwrap().contains("is not proved complete"), "{dialect:?}");
    }
}

/// A pipeline of somebody's own, with a comment and a semicolon at the end of its query, as people write them.
fn window() -> Window {
    let text = r#"
        window = "SELECT 0 WHERE $1 <> $2 OR ?1 <> ?2"
        bounds = "SELECT min(created_at), max(created_at) FROM task_usage -- of {all} 'tasks' $guard$ \\ ;"
        watermark = { table = "rollup_state", column = "watermark_at", key = { name = "it's", live = true } }
    "#;
    toml::from_str(text).unwrap()
}

async fn of_window(ours: &mut dyn Session) -> (Answer, Refusal) {
    let window = window();
    asked(ours, Subject::Window(&window)).await
}

#[tokio::test]
async fn a_window_is_judged_by_its_own_state_table_and_query() {
    for dialect in BOTH {
        // In SQLite a column of times is text or seconds, by who made it.
        for time in if dialect == Dialect::Postgres { ["timestamptz", "timestamp"] } else { ["TEXT", "INTEGER"] } {
            let base = Base::new(dialect).await;
            let mut ours = base.session().await;
            if dialect == Dialect::Postgres {
                // A person's session has a zone, and a time without one is UTC's all the same.
                run(&mut *ours, "SET TIME ZONE 'Asia/Kolkata'").await;
            }
            run(&mut *ours, USAGE).await;
            let (answer, _) = of_window(&mut *ours).await;
            let expected = Answer::NotInstalled { table: "rollup_state".to_owned(), has_events: true };
            assert_eq!(answer, expected, "{dialect:?}");
            let table = format!("CREATE TABLE rollup_state (name TEXT, live boolean, watermark_at {time})");
            run(&mut *ours, &table).await;

            let (answer, refusal) = of_window(&mut *ours).await;
            let Answer::StateMissing { is_null: false, mend, .. } = answer else { panic!("{dialect:?}: {answer}") };
            assert!(refusal.unwrap().contains("not known, since no row holds its watermark"), "{dialect:?}");
            run(&mut *ours, &mend).await;
            let (answer, _) = of_window(&mut *ours).await;
            assert_eq!(answer.to_string(), format!("behind by 490920h: {BEHIND}"), "{dialect:?} {time}: {mend}");

            run(&mut *ours, "UPDATE rollup_state SET watermark_at = NULL").await;
            let Answer::StateMissing { is_null: true, mend, .. } = of_window(&mut *ours).await.0 else { panic!() };
            run(&mut *ours, &mend).await;
            assert!(of_window(&mut *ours).await.0.to_string().ends_with(BEHIND), "{dialect:?} {time}: {mend}");

            let current = if time == "INTEGER" { "1767308400" } else { "'2026-01-01T23:00:00Z'" };
            run(&mut *ours, &format!("UPDATE rollup_state SET watermark_at = {current}")).await;
            assert!(of_window(&mut *ours).await.0.is_complete(), "{dialect:?} {time}");

            run(&mut *ours, "INSERT INTO rollup_state SELECT * FROM rollup_state").await;
            let window = window();
            let refused = guard(&mut *ours, Subject::Window(&window), HOUR).await.unwrap_err();
            assert!(matches!(refused, ReadError::ManyRows { .. }), "{dialect:?}: {refused}");

            run(&mut *ours, "DELETE FROM task_usage").await;
            run(&mut *ours, "DELETE FROM rollup_state").await;
            assert_eq!(of_window(&mut *ours).await.0, Answer::SourceEmpty, "{dialect:?}");
        }
    }
}

const BEHIND: &str = "watermark 1970-01-01T00:00:00Z, newest event 2026-01-02T00:00:00Z";

#[tokio::test]
async fn a_window_that_did_nothing_yet_may_say_so_by_infinity() {
    let base = Base::new(Dialect::Postgres).await;
    let mut ours = base.session().await;
    run(&mut *ours, USAGE).await;
    run(&mut *ours, "CREATE TABLE rollup_state (name TEXT, live boolean, watermark_at timestamptz)").await;
    run(&mut *ours, "INSERT INTO rollup_state VALUES ('it''s', true, '-infinity')").await;
    assert!(matches!(of_window(&mut *ours).await.0, Answer::Behind { .. }));
    run(&mut *ours, "UPDATE rollup_state SET watermark_at = 'infinity'").await;
    assert!(matches!(of_window(&mut *ours).await.0, Answer::Ahead(_)));
}

#[tokio::test]
async fn r15_a_misspelt_column_or_a_watermark_that_is_no_time_is_an_error_and_never_an_answer() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        run(&mut *ours, USAGE).await;
        run(&mut *ours, "CREATE TABLE rollup_state (name TEXT, live boolean, watermark_at TEXT)").await;
        run(&mut *ours, "INSERT INTO rollup_state VALUES ('it''s', true, 'yesterday')").await;
        let good = window();
        let refused = guard(&mut *ours, Subject::Window(&good), HOUR).await.unwrap_err();
        if dialect == Dialect::Sqlite {
            let text = "rollup_state.watermark_at is `yesterday`, expected a time";
            assert_eq!(refused.to_string(), text, "{dialect:?}");
        }
        run(&mut *ours, "UPDATE rollup_state SET watermark_at = '2026-01-01T23:00:00Z'").await;
        for (from, to) in [("watermark_at", "watermark"), ("max(created_at)", "max(made_at)"), ("task_usage", "usage")]
        {
            let text = toml::to_string(&good).unwrap().replace(from, to);
            let window: Window = toml::from_str(&text).unwrap();
            let refused = guard(&mut *ours, Subject::Window(&window), HOUR).await.unwrap_err();
            assert!(matches!(refused, ReadError::Fault(fault) if fault.kind != FaultKind::Lost), "{dialect:?}: {to}");
        }
    }
}

#[tokio::test]
async fn a_window_of_one_s_own_takes_times_as_its_function_declares_them() {
    let base = Base::new(Dialect::Postgres).await;
    let mut ours = base.session().await;
    for (of, expected) in [
        ("timestamptz", "2026-01-02 03:04:05.000006+00|1969-12-31 23:59:59.5+00"),
        ("timestamp", "2026-01-02 03:04:05.000006|1969-12-31 23:59:59.5"),
        ("text", "2026-01-02T03:04:05.000006Z|1969-12-31T23:59:59.5Z"),
    ] {
        let makes = format!(
            "CREATE FUNCTION told_{of}({of}, {of}) RETURNS text LANGUAGE sql AS $$ SELECT $1::text || '|' || $2::text $$"
        );
        run(&mut *ours, &makes).await;
        let times = ["2026-01-02T03:04:05.000006Z", "1969-12-31T23:59:59.5Z"].map(Value::from);
        let row = ours.first(&format!("SELECT told_{of}($1, $2)"), &times).await.unwrap().unwrap();
        assert_eq!(row[0].text(), Some(expected), "{of}");
    }
    let refused = ours.first("SELECT told_timestamptz($1, $2)", &["soon", "later"].map(Value::from)).await;
    assert!(refused.is_err(), "no time");
}

#[tokio::test]
async fn the_block_refuses_on_its_own_in_psql() {
    let base = Base::new(Dialect::Postgres).await;
    let mut ours = base.session().await;
    run(&mut *ours, USAGE).await;
    install(&mut *ours).await;
    let sql = block(Dialect::Postgres, Subject::Declared(&declaration()), "usage", HOUR);
    let psql = || {
        let mut command = std::process::Command::new("psql");
        command.args(["--no-psqlrc", "-v", "VERBOSITY=verbose", "-v", "ON_ERROR_STOP=1", "-c", &sql]);
        command.args(["-c", "DROP TABLE task_usage CASCADE", base.url().unwrap()]).output().unwrap()
    };
    let refused = psql();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("55000: rollup usage is not seeded"), "{told}");
    assert!(told.contains("HINT:  Run: highwater run usage"), "{told}");
    seed(&mut *ours).await;
    tick_all(&mut *ours).await;
    let passed = psql();
    assert!(passed.status.success(), "{}", String::from_utf8_lossy(&passed.stderr));
}

#[test]
fn the_guard_reads_as_it_is_printed() {
    let (declaration, window) = (declaration(), window());
    for (dialect, name) in [(Dialect::Postgres, "postgresql"), (Dialect::Sqlite, "sqlite")] {
        insta::assert_snapshot!(
            format!("guard_declared_{name}"),
            block(dialect, Subject::Declared(&declaration), "usage", HOUR)
        );
        insta::assert_snapshot!(
            format!("guard_window_{name}"),
            block(dialect, Subject::Window(&window), "usage", HOUR)
        );
    }
}
