//! What no row trigger fires for: TRUNCATE, and partitions that come and go with their rows. A tick stops at it where live cells
//! are wrong since, and goes on where none is.

use std::time::Duration;

use highwater_db::session::{Dialect, FaultKind, Session};
use highwater_rollup::declare::Declaration;
use highwater_rollup::guard::{Answer, Subject, block, guard};
use highwater_rollup::tick::{Reach, TickError, Ticked, tick};
use highwater_rollup::verify::{Gone, Scope, Verified, repair, verify};
use highwater_rollup::{ddl, recompute, state};
use jiff::{SignedDuration, Timestamp};

use crate::between::{Act, Between};
use crate::usage::{Base, bound, declaration, differences, later, run, seeded, tick_all};

const NONE: Vec<String> = Vec::new();

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// Usage by model, of a table that is partitioned by day.
fn by_model() -> Declaration {
    toml::from_str(
        "source = 'usage'\nsource-key = ['id', 'at']\nevent-time = 'at'\ngrain = 'hour'\ntarget = 'hourly'\nfreeze-before = '90 days'\n\
         keys = { model = 'model' }\naggregates = { tokens = { sum = 'tokens' } }",
    )
    .unwrap()
}

async fn ticked(ours: &mut dyn Session, declaration: &Declaration) -> Result<Ticked, TickError> {
    later(ours).await;
    let until = bound(ours).await;
    tick(ours, declaration, Reach { until, span_max: None, entries_max: 100, transactions_max: 1_000 }).await
}

async fn proof(ours: &mut dyn Session, declaration: &Declaration) -> Verified {
    ours.begin_reading().await.unwrap();
    let found = verify(ours, declaration, None, &Scope::all()).await.unwrap();
    ours.rollback().await.unwrap();
    found
}

async fn repaired(ours: &mut dyn Session, declaration: &Declaration, gone: Gone) -> u64 {
    ours.begin().await.unwrap();
    let repaired = repair(ours, declaration, None, gone, &Scope::all()).await.unwrap();
    ours.commit().await.unwrap();
    repaired.cells
}

fn said(stopped: Result<Ticked, TickError>) -> String {
    match stopped {
        Err(error @ TickError::Bypassed { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn count(ours: &mut dyn Session, what: &str) -> i64 {
    ours.first(&format!("SELECT count(*) FROM {what}"), &[]).await.unwrap().unwrap()[0].int().unwrap()
}

#[tokio::test]
async fn a_truncate_in_the_live_range_stops_the_tick_until_somebody_repairs() {
    for gone in [Gone::Keep, Gone::Remove] {
        let (base, mut ours) = seeded(Dialect::Postgres).await;
        run(&mut *ours, "DROP ROLE IF EXISTS emptier; CREATE ROLE emptier; GRANT TRUNCATE ON task_usage TO emptier")
            .await;
        let mut other = base.session().await;
        run(&mut *other, "SET ROLE emptier; TRUNCATE task_usage").await;
        run(&mut *ours, "DROP OWNED BY emptier; DROP ROLE emptier").await;
        for _ in 0..2 {
            let why = said(ticked(&mut *ours, &declaration()).await);
            assert!(why.starts_with("TRUNCATE emptied task_usage at 20"), "{why}");
            assert!(why.ends_with("and 3 live cells of task_usage_hourly are not what the raw rows yield"), "{why}");
        }
        assert_eq!(
            state::read(&mut *ours, &declaration()).await.unwrap().unwrap().watermark,
            None,
            "nothing is stamped"
        );
        assert_eq!(proof(&mut *ours, &declaration()).await.wrong, 3);
        assert_eq!(repaired(&mut *ours, &declaration(), gone).await, if gone == Gone::Keep { 0 } else { 3 });
        tick_all(&mut *ours).await;
        assert_eq!(count(&mut *ours, "task_usage_hourly").await, if gone == Gone::Keep { 3 } else { 0 });
        // It is known now; another one is not.
        run(&mut *ours, "INSERT INTO task_usage VALUES (9, 1, NULL, 'small', 1, 1, '2026-01-01T12:00:00Z')").await;
        tick_all(&mut *ours).await;
        run(&mut *ours, "TRUNCATE task_usage").await;
        said(ticked(&mut *ours, &declaration()).await);
    }
}

#[tokio::test]
async fn a_truncate_of_what_is_joined_to_is_noticed_too_and_one_that_changes_nothing_stops_nothing() {
    let (_base, mut ours) = seeded(Dialect::Postgres).await;
    run(&mut *ours, "TRUNCATE issue; INSERT INTO issue VALUES (1, 7)").await;
    assert!(ticked(&mut *ours, &declaration()).await.unwrap().drained, "it is as it was");
    assert_eq!(count(&mut *ours, "task_usage_hourly_bypass").await, 0);
    run(&mut *ours, "TRUNCATE issue; INSERT INTO issue VALUES (1, 8)").await;
    let why = said(ticked(&mut *ours, &declaration()).await);
    assert!(why.starts_with("TRUNCATE emptied issue at"), "{why}");
    repaired(&mut *ours, &declaration(), Gone::Remove).await;
    tick_all(&mut *ours).await;
    assert_eq!(differences(&mut *ours).await, NONE);
}

#[tokio::test]
async fn a_rewrite_by_vacuum_full_stops_nothing() {
    let (_base, mut ours) = seeded(Dialect::Postgres).await;
    run(&mut *ours, "VACUUM FULL task_usage").await;
    tick_all(&mut *ours).await;
}

#[tokio::test]
async fn in_sqlite_a_delete_of_all_rows_fires_for_each() {
    let (_base, mut ours) = seeded(Dialect::Sqlite).await;
    run(&mut *ours, "DELETE FROM task_usage").await;
    assert_eq!(count(&mut *ours, "task_usage_hourly_dirty_source").await, 6, "the row and its key, three times");
    tick_all(&mut *ours).await;
    assert_eq!(count(&mut *ours, "task_usage_hourly").await, 0);
    assert_eq!(differences(&mut *ours).await, NONE);
}

/// A table with a partition of 100 days ago and one each of yesterday and today, ten tokens in each; seeded. And midnight.
async fn partitioned() -> (Base, Box<dyn Session>, Timestamp) {
    let base = Base::new(Dialect::Postgres).await;
    let mut ours = base.session().await;
    let now = bound(&mut *ours).await;
    let today = Timestamp::from_second(now.as_second().div_euclid(86_400) * 86_400).unwrap();
    run(&mut *ours, "CREATE TABLE usage (id bigint, at timestamptz, model text, tokens bigint, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)").await;
    for (name, age) in [("old", 100), ("yesterday", 1), ("today", 0)] {
        let (from, to) = (today - days(age), today - days(age - 1));
        run(
            &mut *ours,
            &format!("CREATE TABLE usage_{name} PARTITION OF usage FOR VALUES FROM ('{from}') TO ('{to}')"),
        )
        .await;
        run(&mut *ours, &format!("INSERT INTO usage VALUES ({age}, '{from}', 'a', 10)")).await;
    }
    let declared = by_model();
    ddl::apply(&mut *ours, &declared).await.unwrap();
    let extent = recompute::extent(&mut *ours, &declared).await.unwrap().unwrap();
    ours.begin().await.unwrap();
    recompute::span(&mut *ours, &declared, extent).await.unwrap();
    state::seeded(&mut *ours, &declared, now).await.unwrap();
    ours.commit().await.unwrap();
    ticked(&mut *ours, &declared).await.unwrap();
    ticked(&mut *ours, &declared).await.unwrap();
    (base, ours, today)
}

async fn tokens(ours: &mut dyn Session) -> Vec<String> {
    let sql = "SELECT model || ' ' || tokens FROM hourly ORDER BY bucket, model";
    ours.query(sql, &[]).await.unwrap().iter().map(|row| row[0].to_string()).collect()
}

#[tokio::test]
async fn rows_are_noticed_through_the_parent_and_in_a_partition_and_when_they_move_between() {
    let (_base, mut ours, today) = partitioned().await;
    let hour = SignedDuration::from_hours(1);
    run(&mut *ours, &format!("INSERT INTO usage VALUES (1, '{today}', 'b', 1)")).await;
    run(&mut *ours, &format!("INSERT INTO usage_today VALUES (2, '{}', 'c', 2)", today + hour)).await;
    run(&mut *ours, &format!("UPDATE usage SET at = '{}' WHERE id = 1 AND model = 'a'", today + hour)).await;
    ticked(&mut *ours, &by_model()).await.unwrap();
    assert_eq!(tokens(&mut *ours).await, ["a 10", "a 10", "b 1", "a 10", "c 2"]);
    assert!(proof(&mut *ours, &by_model()).await.is_clean());
    // One that is made with its rows coming through the triggers is like any other.
    let (from, to) = (today + days(1), today + days(2));
    run(&mut *ours, &format!("CREATE TABLE usage_tomorrow PARTITION OF usage FOR VALUES FROM ('{from}') TO ('{to}')"))
        .await;
    ticked(&mut *ours, &by_model()).await.unwrap();
    run(&mut *ours, &format!("INSERT INTO usage VALUES (3, '{from}', 'd', 3)")).await;
    ticked(&mut *ours, &by_model()).await.unwrap();
    assert_eq!(tokens(&mut *ours).await.last().unwrap(), "d 3");
    // And dropped again, empty.
    run(&mut *ours, "DELETE FROM usage_tomorrow").await;
    ticked(&mut *ours, &by_model()).await.unwrap();
    run(&mut *ours, "DROP TABLE usage_tomorrow").await;
    ticked(&mut *ours, &by_model()).await.unwrap();
}

#[tokio::test]
async fn a_partition_that_is_attached_detached_dropped_or_emptied_with_live_rows_stops_the_tick() {
    let cases = [
        ("ALTER TABLE usage DETACH PARTITION usage_today", "the partition usage_today was detached or dropped: "),
        ("DROP TABLE usage_yesterday", "the partition usage_yesterday was detached or dropped: "),
        ("TRUNCATE usage_today", "the partition usage_today was emptied by TRUNCATE, or rewritten: "),
        ("ATTACH", "the partition \"Usage new\" was attached: "),
    ];
    for (change, sentence) in cases {
        let (_base, mut ours, today) = partitioned().await;
        let (from, to) = (today - days(3), today - days(2));
        let attach = format!(
            "CREATE TABLE \"Usage new\" (LIKE usage INCLUDING ALL); INSERT INTO \"Usage new\" VALUES (7, '{from}', 'a', 7);
             ALTER TABLE usage ATTACH PARTITION \"Usage new\" FOR VALUES FROM ('{from}') TO ('{to}')"
        );
        run(&mut *ours, if change == "ATTACH" { &attach } else { change }).await;
        let why = said(ticked(&mut *ours, &by_model()).await);
        assert!(why.starts_with(&sentence.replace('"', "")), "{change}: {why}");
        assert!(why.contains("and 1 live cells of hourly"), "{change}: {why}");
        said(ticked(&mut *ours, &by_model()).await);
        assert_eq!(
            repaired(&mut *ours, &by_model(), Gone::Keep).await,
            i64::from(change == "ATTACH") as u64,
            "{change}"
        );
        ticked(&mut *ours, &by_model()).await.unwrap();
        let expected: &[&str] =
            if change == "ATTACH" { &["a 10", "a 7", "a 10", "a 10"] } else { &["a 10", "a 10", "a 10"] };
        assert_eq!(tokens(&mut *ours).await, expected, "{change}: nothing is removed");
    }
}

#[tokio::test]
async fn partitions_of_frozen_rows_come_and_go_and_nothing_of_the_rollup_does() {
    for change in [
        "DROP TABLE usage_old",
        "ALTER TABLE usage DETACH PARTITION usage_old",
        "TRUNCATE usage_old",
        "VACUUM FULL usage_today",
    ] {
        let (_base, mut ours, today) = partitioned().await;
        run(&mut *ours, change).await;
        let (from, to) = (today - days(120), today - days(110));
        run(
            &mut *ours,
            &format!(
                "CREATE TABLE usage_older (LIKE usage INCLUDING ALL); INSERT INTO usage_older VALUES (7, '{from}', 'a', 7);
                 ALTER TABLE usage ATTACH PARTITION usage_older FOR VALUES FROM ('{from}') TO ('{to}')"
            ),
        )
        .await;
        ticked(&mut *ours, &by_model()).await.unwrap();
        assert_eq!(tokens(&mut *ours).await, ["a 10", "a 10", "a 10"], "{change}");
        assert!(proof(&mut *ours, &by_model()).await.is_clean(), "{change}");
        let known = ours.first("SELECT leaves FROM hourly_state", &[]).await.unwrap().unwrap()[0].to_string();
        assert!(known.contains("usage_older"), "{change}: it is known now: {known}");
    }
}

#[tokio::test]
async fn a_table_that_is_partitioned_by_something_else_is_looked_at_whole() {
    let base = Base::new(Dialect::Postgres).await;
    let mut ours = base.session().await;
    let now = bound(&mut *ours).await;
    run(
        &mut *ours,
        "CREATE TABLE usage (id bigint, at timestamptz, model text, tokens bigint, PRIMARY KEY (id, at, model)) PARTITION BY LIST (model);
         CREATE TABLE usage_a PARTITION OF usage FOR VALUES IN ('a'); CREATE TABLE usage_b PARTITION OF usage FOR VALUES IN ('b')",
    )
    .await;
    run(&mut *ours, &format!("INSERT INTO usage VALUES (1, '{now}', 'a', 1), (2, '{now}', 'b', 2)")).await;
    let declared = by_model();
    ddl::apply(&mut *ours, &declared).await.unwrap();
    run(&mut *ours, "UPDATE usage SET tokens = tokens + 10").await;
    state::seeded(&mut *ours, &declared, now).await.unwrap();
    ticked(&mut *ours, &declared).await.unwrap();
    assert_eq!(tokens(&mut *ours).await, ["a 11", "b 12"]);
    run(&mut *ours, "ALTER TABLE usage DETACH PARTITION usage_b").await;
    let why = said(ticked(&mut *ours, &declared).await);
    assert!(why.contains("usage_b was detached") && why.contains("and 1 live cells"), "{why}");
    assert_eq!(repaired(&mut *ours, &declared, Gone::Remove).await, 1);
    ticked(&mut *ours, &declared).await.unwrap();
    assert_eq!(tokens(&mut *ours).await, ["a 11"]);
}

#[tokio::test]
async fn a_truncate_between_a_tick_s_snapshot_and_its_look_leaves_all_to_the_next() {
    let (base, mut ours) = seeded(Dialect::Postgres).await;
    run(&mut *ours, "UPDATE task_usage SET tokens = 11 WHERE id = 1").await;
    later(&mut *ours).await;
    let until = bound(&mut *ours).await;
    let (mut locked, mut other) = (base.locked().await, base.session().await);
    let truncate = "TRUNCATE task_usage".to_owned();
    let mut first = Between::new(&mut *locked, "LOCK TABLE", 0, Act::Elsewhere(&mut *other, truncate));
    let reach = Reach { until, span_max: None, entries_max: 100, transactions_max: 10 };
    match tick(&mut first, &declaration(), reach).await {
        Err(TickError::Fault(fault)) if fault.kind == FaultKind::Contended => {}
        other => panic!("{other:?}"),
    }
    assert!(first.happened());
    assert_eq!(count(&mut *ours, "task_usage_hourly").await, 3, "no cell is computed from what is gone");
    said(ticked(&mut *locked, &declaration()).await);
}

/// What the guard says within an hour, and the SQL with it: nothing, where it is complete.
async fn guarded(ours: &mut dyn Session, declaration: &Declaration) -> Option<String> {
    let (subject, hour) = (Subject::Declared(declaration), Duration::from_secs(3600));
    let answer = guard(ours, subject, hour).await.unwrap();
    let refusal = ours.batch(&block(Dialect::Postgres, subject, "usage", hour)).await.err();
    match (&answer, refusal) {
        (answer, None) if answer.is_complete() => None,
        (Answer::Unsettled { what }, Some(refusal)) => {
            assert!(refusal.message.contains(what), "{refusal}");
            Some(what.clone())
        }
        (answer, refusal) => panic!("{answer}: {refusal:?}"),
    }
}

#[tokio::test]
async fn what_was_emptied_and_is_not_settled_is_not_complete_however_new_it_is_and_with_no_event_left() {
    for more in ["", "; INSERT INTO task_usage VALUES (9, 1, NULL, 'large', 1, NULL, '2026-01-01T12:00:00Z')"] {
        let (_base, mut ours) = seeded(Dialect::Postgres).await;
        tick_all(&mut *ours).await;
        assert_eq!(guarded(&mut *ours, &declaration()).await, None);
        run(&mut *ours, &format!("TRUNCATE task_usage{more}")).await;
        run(&mut *ours, "DELETE FROM task_usage_hourly_dirty_source").await;
        let what = guarded(&mut *ours, &declaration()).await.unwrap();
        assert!(what.starts_with("TRUNCATE emptied task_usage at 20"), "{what}");
        assert_eq!(count(&mut *ours, "task_usage_hourly_bypass").await, 1, "it is asked, and nothing is changed");
        repaired(&mut *ours, &declaration(), Gone::Remove).await;
        tick_all(&mut *ours).await;
        assert_eq!(guarded(&mut *ours, &declaration()).await, None);
    }
}

#[tokio::test]
async fn what_was_emptied_after_the_snapshot_of_the_guard_s_transaction_is_not_complete() {
    let (base, mut ours) = seeded(Dialect::Postgres).await;
    tick_all(&mut *ours).await;
    run(&mut *ours, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM agent").await;
    run(&mut *base.session().await, "TRUNCATE task_usage").await;
    let declaration = declaration();
    let sql = block(Dialect::Postgres, Subject::Declared(&declaration), "usage", Duration::from_secs(3600));
    let refusal = ours.batch(&sql).await.unwrap_err().message;
    assert!(refusal.contains("the table task_usage was emptied or rewritten at this moment"), "{refusal}");
    ours.rollback().await.unwrap();
}

#[tokio::test]
async fn partitions_that_came_or_went_are_not_complete_before_a_tick_has_looked() {
    let (_base, mut ours, now) = partitioned().await;
    ticked(&mut *ours, &by_model()).await.unwrap();
    assert_eq!(guarded(&mut *ours, &by_model()).await, None);
    // Names and bounds read otherwise in a session of another zone and another path, and mean the same.
    let subject = by_model();
    let sql = block(Dialect::Postgres, Subject::Declared(&subject), "usage", Duration::from_secs(3600));
    run(&mut *ours, &format!("SET TIME ZONE 'Asia/Kolkata'; SET search_path = pg_catalog, public; {sql}")).await;
    run(&mut *ours, "SET TIME ZONE 'UTC'; RESET search_path").await;
    let bounds = format!("FOR VALUES FROM ('{}') TO ('{now}')", now - days(1));
    for (change, told) in [
        ("TRUNCATE usage_yesterday", "the partition usage_yesterday was emptied by TRUNCATE, or rewritten"),
        ("ALTER TABLE usage DETACH PARTITION usage_yesterday", "the partition usage_yesterday was detached or dropped"),
        (
            &format!("ALTER TABLE usage ATTACH PARTITION usage_yesterday {bounds}"),
            "the partition usage_yesterday was attached",
        ),
        ("DROP TABLE usage_yesterday", "the partition usage_yesterday was detached or dropped"),
    ] {
        run(&mut *ours, change).await;
        let what = guarded(&mut *ours, &by_model()).await;
        assert_eq!(what.as_deref(), Some(told), "{change}");
        repaired(&mut *ours, &by_model(), Gone::Remove).await;
        ticked(&mut *ours, &by_model()).await.unwrap();
        assert_eq!(guarded(&mut *ours, &by_model()).await, None, "{change}");
    }
}
