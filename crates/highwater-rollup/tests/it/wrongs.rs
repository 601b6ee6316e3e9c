//! The eight wrongs of the pipeline that the crate comes from, each as it comes about there. Red with the rule that it had,
//! green with ours. SQLite has one writer at a time: those that need two at once cannot come about there.

use highwater_db::session::{Dialect, FaultKind, Session};
use highwater_rollup::tick::{Reach, tick};
use highwater_rollup::{bound, drain, recompute, state};

use crate::between::{Act, Between};
use crate::usage::{
    Base, LAG, bound, declaration, differences, drain_all, install, later, run, seeded, stranded, tick_all, tick_to,
    watermark,
};

const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];
const NONE: Vec<String> = Vec::new();

/// A statement that begins a transaction in which each statement sees what is committed by then, as applications have it.
async fn open(session: &mut dyn Session, sql: &str) {
    run(session, &format!("BEGIN; {sql}")).await;
}

const USAGE_OF_TASK_1: &str =
    "INSERT INTO task_usage VALUES (10, 1, 'openai', 'small', 5, 0.25, '2026-01-01T13:00:00Z')";

#[tokio::test]
async fn r07_wrong_1_a_transaction_that_is_open_for_longer_than_the_lag_holds_the_watermark_back() {
    let (base, mut ours) = seeded(Dialect::Postgres).await;
    let mut writer = base.session().await;
    open(&mut *writer, USAGE_OF_TASK_1).await;
    let row = writer.first("SELECT pg_backend_pid()", &[]).await.unwrap().unwrap();
    later(&mut *ours).await;
    later(&mut *ours).await;

    let read = bound::read(&mut *ours, LAG, &[]).await.unwrap();
    let bound::Bound::Until { at, held_by } = read else { panic!("{read:?}") };
    assert_eq!(held_by.map(|holder| holder.pid), row[0].int(), "it says who");
    tick_to(&mut *ours, at).await;
    run(&mut *writer, "COMMIT").await;
    assert_eq!(stranded(&mut *ours).await, 0, "what it wrote is above the watermark");
    let until = bound(&mut *ours).await;
    tick_to(&mut *ours, until).await;
    assert_eq!(differences(&mut *ours).await, NONE, "and found by the next tick");
    assert!(watermark(&mut *ours).await.unwrap() > at);
}

#[tokio::test]
async fn r07_wrong_1_an_open_writer_of_sqlite_lets_nobody_read_a_bound() {
    let (base, mut ours) = seeded(Dialect::Sqlite).await;
    run(&mut *ours, "PRAGMA busy_timeout = 50").await;
    let mut writer = base.session().await;
    run(&mut *writer, &format!("BEGIN; {USAGE_OF_TASK_1}")).await;
    assert_eq!(ours.begin().await.unwrap_err().kind, FaultKind::Contended);
    let reach = Reach {
        until: jiff::Timestamp::MAX,
        span_max: None,
        entries_max: drain::ENTRIES_MAX,
        transactions_max: 10_000,
    };
    let refused = tick(&mut *ours, &declaration(), reach).await.unwrap_err();
    assert!(refused.to_string().contains("locked"), "{refused}");
    assert_eq!(watermark(&mut *ours).await, None, "nothing is stamped");
    run(&mut *writer, "COMMIT").await;
    tick_all(&mut *ours).await;
    assert_eq!(differences(&mut *ours).await, NONE);
}

#[tokio::test]
async fn r07_wrong_2_rows_that_arrive_while_the_last_slice_runs_for_longer_than_the_lag_are_above_the_watermark() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let (mut ours, mut writer) = (base.session().await, base.session().await);
        run(&mut *ours, "INSERT INTO agent VALUES (1, 1); INSERT INTO agent_task_queue VALUES (1, 1, NULL, 1)").await;
        run(&mut *ours, USAGE_OF_TASK_1).await;
        install(&mut *ours).await;
        let extent = recompute::extent(&mut *ours, &declaration()).await.unwrap().unwrap();
        let until = bound(&mut *ours).await;
        ours.begin().await.unwrap();
        recompute::span(&mut *ours, &declaration(), extent).await.unwrap();
        let late = "INSERT INTO task_usage VALUES (11, 1, 'openai', 'small', 5, 0.25, '2026-01-01T13:30:00Z')";
        if dialect == Dialect::Postgres {
            run(&mut *writer, late).await;
            later(&mut *ours).await;
        }
        state::seeded(&mut *ours, &declaration(), until).await.unwrap();
        ours.commit().await.unwrap();
        if dialect == Dialect::Sqlite {
            // Nobody writes beside a slice: just after it is the earliest.
            run(&mut *writer, late).await;
            later(&mut *ours).await;
        }
        tick_to(&mut *ours, until).await;
        assert_eq!(watermark(&mut *ours).await, Some(until), "{dialect:?}");
        tick_all(&mut *ours).await;
        assert_eq!(differences(&mut *ours).await, NONE, "{dialect:?}");
    }
}

#[tokio::test]
async fn r07_wrong_2_rows_that_arrive_while_the_last_drain_runs_are_above_the_watermark() {
    let (base, mut ours) = seeded(Dialect::Postgres).await;
    let mut writer = base.session().await;
    run(&mut *writer, USAGE_OF_TASK_1).await;
    later(&mut *ours).await;
    let until = bound(&mut *ours).await;
    let late = "INSERT INTO task_usage VALUES (11, 1, 'openai', 'small', 5, 0.25, '2026-01-01T13:30:00Z');
                SELECT pg_sleep(1.1)";
    let mut slow = Between::new(
        &mut *ours,
        "DELETE FROM \"task_usage_hourly_dirty",
        0,
        Act::Elsewhere(&mut *writer, late.to_owned()),
    );
    let reach = Reach { until, span_max: None, entries_max: drain::ENTRIES_MAX, transactions_max: 10_000 };
    tick(&mut slow, &declaration(), reach).await.unwrap();
    assert!(slow.happened());
    assert_eq!(stranded(&mut *ours).await, 0);
    tick_all(&mut *ours).await;
    assert_eq!(differences(&mut *ours).await, NONE);
}

#[tokio::test]
async fn r07_wrong_4_an_entry_that_is_queued_between_the_recompute_and_the_delete_stays() {
    let (base, mut ours) = seeded(Dialect::Postgres).await;
    let mut writer = base.session().await;
    run(&mut *writer, "UPDATE task_usage SET tokens = 11 WHERE id = 1").await;
    let between = "UPDATE task_usage SET tokens = 21 WHERE id = 2; UPDATE agent SET workspace_id = 2 WHERE id = 2";
    drain_with(&mut *ours, "DELETE FROM \"task_usage_hourly_dirty", &mut *writer, between).await;
    drain_all(&mut *ours).await;
    assert_eq!(differences(&mut *ours).await, NONE);
}

#[tokio::test]
async fn r07_wrong_5_the_clock_of_the_application_may_be_an_hour_ahead_or_behind() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let until = bound(&mut *ours).await;
        tick_to(&mut *ours, until).await;
        for (id, hours) in [(10, 1), (11, -1), (12, 0)] {
            let now = match dialect {
                Dialect::Postgres => format!("now() + interval '{hours} hours'"),
                Dialect::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{hours} hours')"),
            };
            run(&mut *ours, &format!("INSERT INTO task_usage VALUES ({id}, 1, NULL, 'small', 1, NULL, {now})")).await;
        }
        assert_eq!(stranded(&mut *ours).await, 0, "{dialect:?}: by its own clock it is behind, not by the database's");
        tick_all(&mut *ours).await;
        assert_eq!(differences(&mut *ours).await, NONE, "{dialect:?}");
    }
}

#[tokio::test]
async fn r07_wrong_6_a_rename_of_a_key_a_cascade_and_a_re_attribution_during_the_walk_strand_nothing() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        run(&mut *ours, "INSERT INTO task_usage VALUES (4, 1, 'openai', 'small', 3, 1, '2026-01-01T15:00:00Z')").await;
        drain_all(&mut *ours).await;
        let declaration = declaration();
        let extent = recompute::extent(&mut *ours, &declaration).await.unwrap().unwrap();
        let noon = recompute::Span { to: "2026-01-01T13:00:00Z".parse().unwrap(), ..extent };
        let rest = recompute::Span { from: noon.to, ..extent };
        // The walk is past noon when that changes.
        for (slice, then) in [
            (noon, "UPDATE issue SET project_id = 8 WHERE id = 1"),
            (noon, "UPDATE agent_task_queue SET issue_id = NULL, runtime_id = 9 WHERE id = 1"),
            (noon, "UPDATE task_usage SET created_at = '2026-01-01T14:10:00Z', model = 'huge' WHERE id = 2"),
            (rest, "DELETE FROM issue WHERE id = 1; INSERT INTO issue VALUES (1, 9)"),
            (rest, "DELETE FROM agent WHERE id = 2"),
            (rest, "INSERT INTO agent VALUES (5, 6); UPDATE agent_task_queue SET agent_id = 5 WHERE id = 1"),
        ] {
            ours.begin().await.unwrap();
            recompute::span(&mut *ours, &declaration, slice).await.unwrap();
            ours.commit().await.unwrap();
            run(&mut *ours, then).await;
            let entries = drain_count(&mut *ours).await;
            assert_eq!(differences(&mut *ours).await, NONE, "{dialect:?}: {then}");
            assert!(entries > 0, "{dialect:?}: {then}");
            assert_eq!(drain_count(&mut *ours).await, 0, "{dialect:?}: nothing is left behind");
        }
    }
}

#[tokio::test]
async fn r07_wrong_7_an_insert_beside_a_re_attribution_of_what_it_joins_to_is_in_the_right_cell() {
    for drained_between in [false, true] {
        let (base, mut ours) = seeded(Dialect::Postgres).await;
        let (mut inserts, mut moves) = (base.session().await, base.session().await);
        open(&mut *inserts, USAGE_OF_TASK_1).await;
        run(&mut *moves, "UPDATE agent_task_queue SET runtime_id = 2 WHERE id = 1").await;
        if drained_between {
            drain_all(&mut *ours).await;
        }
        run(&mut *inserts, "COMMIT").await;
        drain_all(&mut *ours).await;
        assert_eq!(differences(&mut *ours).await, NONE, "drained between: {drained_between}");
    }
}

#[tokio::test]
async fn r07_wrong_7_a_re_attribution_that_commits_after_the_insert_that_it_did_not_see_moves_it_too() {
    let (base, mut ours) = seeded(Dialect::Postgres).await;
    let (mut inserts, mut moves) = (base.session().await, base.session().await);
    open(&mut *moves, "UPDATE agent_task_queue SET runtime_id = 2 WHERE id = 1").await;
    run(&mut *inserts, USAGE_OF_TASK_1).await;
    drain_all(&mut *ours).await;
    run(&mut *moves, "COMMIT").await;
    drain_all(&mut *ours).await;
    assert_eq!(differences(&mut *ours).await, NONE);
}

#[tokio::test]
async fn r07_wrong_8_a_change_to_what_is_queued_already_that_commits_during_the_drain_is_kept() {
    let again = "UPDATE task_usage SET tokens = 12 WHERE id = 1;
                 UPDATE agent_task_queue SET runtime_id = 4 WHERE id = 2";
    let statements = [
        "SELECT count(*), max(id)",
        "INSERT INTO \"task_usage_hourly\"",
        "DELETE FROM \"task_usage_hourly_dirty",
        "COMMIT",
    ];
    for before in statements {
        let (base, mut ours) = seeded(Dialect::Postgres).await;
        let mut writer = base.session().await;
        run(&mut *writer, "SET lock_timeout = '5s'").await;
        run(&mut *writer, "UPDATE task_usage SET tokens = 11 WHERE id = 1").await;
        run(&mut *writer, "UPDATE agent_task_queue SET runtime_id = 3 WHERE id = 2").await;
        drain_with(&mut *ours, before, &mut *writer, again).await;
        drain_all(&mut *ours).await;
        assert_eq!(differences(&mut *ours).await, NONE, "before {before}");
    }
}

/// A drain; before one of its statements another session commits something.
async fn drain_with(ours: &mut dyn Session, before: &str, writer: &mut dyn Session, sql: &str) {
    let mut between = Between::new(ours, before, 0, Act::Elsewhere(writer, sql.to_owned()));
    between.begin().await.unwrap();
    drain::drain(&mut between, &declaration(), drain::Due::default()).await.unwrap();
    between.commit().await.unwrap();
    assert!(between.happened(), "{before}");
}

async fn drain_count(ours: &mut dyn Session) -> u64 {
    ours.begin().await.unwrap();
    let drained = drain::drain(ours, &declaration(), drain::Due::default()).await.unwrap();
    ours.commit().await.unwrap();
    drained.entries
}
