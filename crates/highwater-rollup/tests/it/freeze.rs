//! Freezing: what is old stays as it was computed, whatever happens to its raw rows and to whatever they join to; what is not is
//! kept in step as ever; and the limit only moves forward.

use highwater_db::session::{Dialect, Session, Value};
use highwater_rollup::declare::Declaration;
use highwater_rollup::recompute::Span;
use highwater_rollup::tick::{Reach, Ticked, tick};
use highwater_rollup::verify::{Gone, Scope, Verified, repair, verify};
use highwater_rollup::{drain, freeze, recompute, state};
use jiff::{SignedDuration, Timestamp};

use crate::usage::{Base, bound, declaration, install, later, run, watermark};

const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];

fn freezing(days: Option<u64>) -> Declaration {
    let freeze_before = days.map(highwater_engine::settings::DurationText::days);
    Declaration { freeze_before, ..declaration() }
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// A usage each 200, 100, 95, 60 and 10 days ago, of task 1; and the beginning of the hour that is now.
async fn aged(dialect: Dialect) -> (Base, Box<dyn Session>, Timestamp) {
    let base = Base::new(dialect).await;
    let mut ours = base.session().await;
    let now = declaration().grain.begin(bound(&mut *ours).await);
    run(&mut *ours, "INSERT INTO agent VALUES (1, 1); INSERT INTO agent_task_queue VALUES (1, 1, NULL, 1)").await;
    for (id, age) in [(200, 200), (100, 100), (95, 95), (60, 60), (10, 10)] {
        usage(&mut *ours, id, now - days(age)).await;
    }
    install(&mut *ours).await;
    (base, ours, now)
}

/// A usage of ten tokens.
async fn usage(ours: &mut dyn Session, id: i64, at: Timestamp) {
    run(ours, &format!("INSERT INTO task_usage VALUES ({id}, 1, 'openai', 'small', 10, 1, '{at}')")).await;
}

async fn seed(ours: &mut dyn Session, declaration: &Declaration) {
    let extent = recompute::extent(ours, declaration).await.unwrap().unwrap();
    ours.begin().await.unwrap();
    recompute::span(ours, declaration, extent).await.unwrap();
    ours.commit().await.unwrap();
    ours.begin().await.unwrap();
    state::seeded(ours, declaration, extent.to).await.unwrap();
    ours.commit().await.unwrap();
}

async fn ticked(ours: &mut dyn Session, declaration: &Declaration) -> Ticked {
    later(ours).await;
    let until = bound(ours).await;
    let reach = Reach { until, span_max: None, entries_max: drain::ENTRIES_MAX, transactions_max: 100 };
    let ticked = tick(ours, declaration, reach).await.unwrap();
    assert!(ticked.drained);
    let left = "SELECT (SELECT count(*) FROM task_usage_hourly_dirty_source) + (SELECT count(*) FROM task_usage_hourly_dirty_agent)
                + (SELECT count(*) FROM task_usage_hourly_repair)";
    assert_eq!(
        ours.first(left, &[]).await.unwrap().unwrap()[0],
        Value::Int(0),
        "entries are taken, whatever they are about"
    );
    ticked
}

async fn limit(ours: &mut dyn Session) -> Option<Timestamp> {
    state::read(ours, &declaration()).await.unwrap().unwrap().frozen_before
}

async fn freeze_at(ours: &mut dyn Session, at: Timestamp) {
    run(ours, &format!("UPDATE task_usage_hourly_state SET frozen_before = '{at:.6}'")).await;
}

async fn proof(ours: &mut dyn Session, declaration: &Declaration) -> Verified {
    ours.begin_reading().await.unwrap();
    let found = verify(ours, declaration, None, &Scope::all()).await.unwrap();
    ours.rollback().await.unwrap();
    found
}

/// How many cells were queued.
async fn repaired(ours: &mut dyn Session, declaration: &Declaration, gone: Gone) -> u64 {
    ours.begin().await.unwrap();
    let repaired = repair(ours, declaration, None, gone, &Scope::all()).await.unwrap();
    ours.commit().await.unwrap();
    repaired.cells
}

/// The target as it is, a line a cell: how old it is in days, workspace, tokens.
async fn cells(ours: &mut dyn Session, now: Timestamp) -> Vec<(i64, String)> {
    let bucket = match ours.dialect() {
        Dialect::Postgres => "extract(epoch FROM bucket)::bigint",
        Dialect::Sqlite => "unixepoch(bucket)",
    };
    let sql = format!(
        "SELECT {bucket}, CAST(workspace_id AS text), CAST(tokens AS text) FROM task_usage_hourly ORDER BY 1, 2"
    );
    let rows = ours.query(&sql, &[]).await.unwrap();
    let line =
        |row: &Vec<Value>| ((now.as_second() - row[0].int().unwrap()) / 86_400, format!("{}: {}", row[1], row[2]));
    rows.iter().map(line).collect()
}

fn tens(ages: &[i64]) -> Vec<(i64, String)> {
    ages.iter().map(|age| (*age, "1: 10".to_owned())).collect()
}

#[tokio::test]
async fn raw_rows_that_retention_deletes_are_missed_by_nobody() {
    for dialect in BOTH {
        let (_base, mut ours, now) = aged(dialect).await;
        let declared = freezing(Some(90));
        seed(&mut *ours, &declared).await;
        assert_eq!(
            cells(&mut *ours, now).await,
            tens(&[200, 100, 95, 60, 10]),
            "{dialect:?}: what is old is seeded once"
        );
        ticked(&mut *ours, &declared).await;
        run(&mut *ours, &format!("DELETE FROM task_usage WHERE created_at < '{}'", now - days(90))).await;
        let done = ticked(&mut *ours, &declared).await;
        assert_eq!((done.cells, done.late), (0, 0), "{dialect:?}");
        assert_eq!(cells(&mut *ours, now).await, tens(&[200, 100, 95, 60, 10]), "{dialect:?}");

        let found = proof(&mut *ours, &declared).await;
        assert!(found.is_clean(), "{dialect:?}: {found:?}");
        assert_eq!((found.cells, found.frozen, found.pending), (2, 3, 0), "{dialect:?}");
        assert_eq!(repaired(&mut *ours, &declared, Gone::Remove).await, 0, "{dialect:?}");
        // A repair by hand, of a cell that is frozen.
        run(
            &mut *ours,
            "INSERT INTO task_usage_hourly_repair (c0, c1, c2, c3, c4, c5, c6)
             SELECT bucket, workspace_id, runtime_id, agent_id, project_id, provider, model FROM task_usage_hourly",
        )
        .await;
        ticked(&mut *ours, &declared).await;
        // And a seed of everything.
        let all = Span { from: now - days(300), to: now };
        ours.begin().await.unwrap();
        recompute::span(&mut *ours, &declared, all).await.unwrap();
        ours.commit().await.unwrap();
        assert_eq!(cells(&mut *ours, now).await, tens(&[200, 100, 95, 60, 10]), "{dialect:?}");
        // What is live is kept in step as ever.
        run(&mut *ours, "DELETE FROM task_usage WHERE id = 60").await;
        ticked(&mut *ours, &declared).await;
        assert_eq!(cells(&mut *ours, now).await, tens(&[200, 100, 95, 10]), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_week_without_highwater_while_retention_goes_on_loses_nothing() {
    for dialect in BOTH {
        let (_base, mut ours, now) = aged(dialect).await;
        let declared = freezing(Some(90));
        seed(&mut *ours, &declared).await;
        // As it was a week ago: what is 95 days old was live.
        let then = now - days(7);
        run(
            &mut *ours,
            &format!("UPDATE task_usage_hourly_state SET watermark = '{then:.6}', installed_at = '{then:.6}'"),
        )
        .await;
        freeze_at(&mut *ours, then - days(90)).await;
        run(&mut *ours, &format!("DELETE FROM task_usage WHERE created_at < '{}'", now - days(90))).await;
        assert!(proof(&mut *ours, &declared).await.is_clean(), "{dialect:?}: verify sees where the limit is due");
        assert_eq!(limit(&mut *ours).await, Some(then - days(90)), "{dialect:?}: and moves nothing");
        ticked(&mut *ours, &declared).await;
        assert_eq!(cells(&mut *ours, now).await, tens(&[200, 100, 95, 60, 10]), "{dialect:?}");
        assert!(limit(&mut *ours).await > Some(then - days(90)), "{dialect:?}");
    }
}

#[tokio::test]
async fn the_limit_is_moved_by_the_transaction_that_obeys_it() {
    for dialect in BOTH {
        let (_base, mut ours, now) = aged(dialect).await;
        let declared = freezing(Some(90));
        seed(&mut *ours, &declared).await;
        run(&mut *ours, "UPDATE task_usage SET tokens = 11").await;
        ours.begin().await.unwrap();
        drain::drain(&mut *ours, &declared, drain::Due::default()).await.unwrap();
        assert!(limit(&mut *ours).await.is_some(), "{dialect:?}");
        ours.rollback().await.unwrap();
        assert_eq!(limit(&mut *ours).await, None, "{dialect:?}");
        assert_eq!(cells(&mut *ours, now).await, tens(&[200, 100, 95, 60, 10]), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_bucket_is_frozen_up_to_the_limit_and_live_from_it_on() {
    for dialect in BOTH {
        let (_base, mut ours, now) = aged(dialect).await;
        let (declared, limit) = (freezing(Some(90)), now - days(30));
        let (second, hour) = (SignedDuration::from_secs(1), SignedDuration::from_hours(1));
        for (id, at) in [(1, limit - hour), (2, limit - second), (3, limit), (4, limit + hour - second)] {
            usage(&mut *ours, id, at).await;
        }
        seed(&mut *ours, &declared).await;
        freeze_at(&mut *ours, limit).await;
        run(&mut *ours, "UPDATE task_usage SET tokens = 11 WHERE id < 10").await;
        let done = ticked(&mut *ours, &declared).await;
        assert_eq!(done.late, 2, "{dialect:?}");
        let found: Vec<(i64, String)> =
            cells(&mut *ours, now).await.into_iter().filter(|(age, _)| [29, 30].contains(age)).collect();
        let expected = [(30, "1: 20".to_owned()), (30, "1: 22".to_owned())];
        assert_eq!(found, expected, "{dialect:?}");
    }
}

#[tokio::test]
async fn a_row_that_moves_across_the_limit_leaves_the_frozen_side_as_it_was() {
    for dialect in BOTH {
        let (_base, mut ours, now) = aged(dialect).await;
        let declared = freezing(Some(90));
        seed(&mut *ours, &declared).await;
        ticked(&mut *ours, &declared).await;
        // From frozen to live, from live to frozen.
        run(&mut *ours, &format!("UPDATE task_usage SET created_at = '{}' WHERE id = 100", now - days(20))).await;
        run(&mut *ours, &format!("UPDATE task_usage SET created_at = '{}' WHERE id = 60", now - days(150))).await;
        let done = ticked(&mut *ours, &declared).await;
        assert_eq!(done.late, 1, "{dialect:?}: the one that came to a frozen bucket");
        assert_eq!(cells(&mut *ours, now).await, tens(&[200, 100, 95, 20, 10]), "{dialect:?}");
        let found = proof(&mut *ours, &declared).await;
        assert_eq!((found.is_clean(), found.frozen), (true, 3), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_change_of_what_is_joined_to_reaches_live_cells_alone() {
    for dialect in BOTH {
        let (_base, mut ours, now) = aged(dialect).await;
        let declared = freezing(Some(90));
        seed(&mut *ours, &declared).await;
        ticked(&mut *ours, &declared).await;
        run(&mut *ours, "UPDATE agent SET workspace_id = 5").await;
        let done = ticked(&mut *ours, &declared).await;
        assert_eq!((done.cells, done.late), (2, 0), "{dialect:?}");
        let mut expected = tens(&[200, 100, 95]);
        expected.extend([(60, "5: 10".to_owned()), (10, "5: 10".to_owned())]);
        assert_eq!(cells(&mut *ours, now).await, expected, "{dialect:?}");
        assert!(proof(&mut *ours, &declared).await.is_clean(), "{dialect:?}");
        run(&mut *ours, "DELETE FROM agent_task_queue").await;
        ticked(&mut *ours, &declared).await;
        assert_eq!(cells(&mut *ours, now).await, tens(&[200, 100, 95]), "{dialect:?}: a cascade of deletes");
    }
}

#[tokio::test]
async fn the_limit_only_moves_forward_whatever_the_setting_says() {
    for dialect in BOTH {
        let (_base, mut ours, now) = aged(dialect).await;
        seed(&mut *ours, &freezing(None)).await;
        ticked(&mut *ours, &freezing(None)).await;
        assert_eq!(limit(&mut *ours).await, None, "{dialect:?}: never set");
        ticked(&mut *ours, &freezing(Some(150))).await;
        let added = limit(&mut *ours).await.unwrap();
        assert!(added >= now - days(150) && added < now - days(149), "{dialect:?}: added later");
        ticked(&mut *ours, &freezing(Some(90))).await;
        let lowered = limit(&mut *ours).await.unwrap();
        assert!(lowered >= now - days(90) && lowered < now - days(89), "{dialect:?}: lowered");
        for (other, what) in [(Some(150), "raised"), (None, "removed")] {
            run(&mut *ours, "DELETE FROM task_usage WHERE id = 95; UPDATE task_usage SET tokens = 99 WHERE id = 100")
                .await;
            ticked(&mut *ours, &freezing(other)).await;
            assert_eq!(limit(&mut *ours).await, Some(lowered), "{dialect:?}: {what}");
            assert_eq!(cells(&mut *ours, now).await, tens(&[200, 100, 95, 60, 10]), "{dialect:?}: {what}");
            assert_eq!(proof(&mut *ours, &freezing(other)).await.frozen, 3, "{dialect:?}: {what}");
        }
        // As if the clock had been set back.
        freeze_at(&mut *ours, now + days(1)).await;
        run(&mut *ours, "DELETE FROM task_usage").await;
        ticked(&mut *ours, &freezing(Some(90))).await;
        assert_eq!(limit(&mut *ours).await, Some(now + days(1)), "{dialect:?}");
        assert_eq!(cells(&mut *ours, now).await, tens(&[200, 100, 95, 60, 10]), "{dialect:?}");
    }
}

#[tokio::test]
async fn r07_what_was_never_computed_is_not_frozen_however_old_it_is() {
    for dialect in BOTH {
        let (_base, mut ours, now) = aged(dialect).await;
        let declared = freezing(Some(90));
        // Before the seed is over, a drain computes what is old, too.
        ours.begin().await.unwrap();
        drain::drain(&mut *ours, &declared, drain::Due::default()).await.unwrap();
        recompute::span(&mut *ours, &declared, Span { from: now - days(300), to: now - days(98) }).await.unwrap();
        ours.commit().await.unwrap();
        assert_eq!((limit(&mut *ours).await, cells(&mut *ours, now).await), (None, tens(&[200, 100])), "{dialect:?}");
        seed(&mut *ours, &declared).await;
        // A highwater that was down for a hundred days: events of then were never rolled up.
        let then = now - days(100);
        run(
            &mut *ours,
            &format!("UPDATE task_usage_hourly_state SET watermark = '{then:.6}', installed_at = '{then:.6}'"),
        )
        .await;
        run(&mut *ours, "DELETE FROM task_usage_hourly WHERE bucket > (SELECT min(bucket) FROM task_usage_hourly)")
            .await;
        run(&mut *ours, "UPDATE task_usage SET tokens = 10 + id WHERE id < 200; UPDATE task_usage SET tokens = 10")
            .await;
        ticked(&mut *ours, &declared).await;
        assert_eq!(cells(&mut *ours, now).await, tens(&[200, 100, 95, 60, 10]), "{dialect:?}");
        assert!(watermark(&mut *ours).await > Some(now - days(1)));
        assert_eq!(limit(&mut *ours).await, Some(then), "{dialect:?}");
        ticked(&mut *ours, &declared).await;
        assert!(limit(&mut *ours).await > Some(then), "{dialect:?}: and the next does");
    }
}

#[tokio::test]
async fn a_state_row_that_is_put_back_keeps_what_is_old() {
    for dialect in BOTH {
        let (_base, mut ours, now) = aged(dialect).await;
        let declared = freezing(Some(90));
        seed(&mut *ours, &declared).await;
        ticked(&mut *ours, &declared).await;
        run(&mut *ours, "DELETE FROM task_usage_hourly_state; DELETE FROM task_usage WHERE id >= 95").await;
        let mend = freeze::state_row(&mut *ours, &declared).await.unwrap();
        run(&mut *ours, &mend).await;
        seed(&mut *ours, &declared).await;
        ticked(&mut *ours, &declared).await;
        assert_eq!(cells(&mut *ours, now).await, tens(&[200, 100, 95, 60, 10]), "{dialect:?}");
        let plain = freeze::state_row(&mut *ours, &declaration()).await.unwrap();
        assert_eq!(plain, "INSERT INTO \"task_usage_hourly_state\" (one) VALUES (1);", "{dialect:?}");
    }
}
