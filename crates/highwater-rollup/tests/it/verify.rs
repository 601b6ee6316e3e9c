//! Verifying finds every corruption that is planted and nothing else; repairing mends exactly that.

use highwater_db::session::{Dialect, Session, Value};
use highwater_rollup::recompute;
use highwater_rollup::verify::{Gone, Repaired, Scope, Verified, Wrong, repair, sample, verify};
use jiff::Timestamp;

use crate::usage::{
    bound, declaration, differences, drain_all, later, run, seed, seeded, stranded, tick_all, tick_to, watermark,
};

const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];

async fn verified(ours: &mut dyn Session, until: Option<Timestamp>) -> Verified {
    ours.begin().await.unwrap();
    let verified = verify(ours, &declaration(), until, &Scope::all()).await.unwrap();
    ours.rollback().await.unwrap();
    verified
}

async fn repaired(ours: &mut dyn Session, until: Option<Timestamp>, gone: Gone) -> Repaired {
    ours.begin().await.unwrap();
    let repaired = repair(ours, &declaration(), until, gone, &Scope::all()).await.unwrap();
    ours.commit().await.unwrap();
    repaired
}

fn wrongs(verified: &Verified) -> Vec<Wrong> {
    verified.findings.iter().map(|finding| finding.wrong).collect()
}

/// A cell that no raw row yields.
const EXTRA: &str =
    "INSERT INTO task_usage_hourly VALUES ('2026-01-01T03:00:00Z', 1, 1, 1, NULL, NULL, 'old', 9, 1, NULL, 0, 1, 9)";

/// As a tick of its day left it.
const STAMPED: &str = "UPDATE task_usage_hourly_state SET watermark = '2026-01-02T00:00:00.000000Z'";

#[tokio::test]
async fn a_rollup_that_is_seeded_and_has_no_watermark_is_not_clean() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let found = verified(&mut *ours, None).await;
        assert_eq!(found.unstamped, Some("2026-01-02T00:00:00Z".parse().unwrap()), "{dialect:?}");
        assert!(found.wrong == 0 && !found.is_clean(), "{dialect:?}");
    }
}

#[tokio::test]
async fn what_is_as_it_should_be_is_clean() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let until = bound(&mut *ours).await;
        tick_to(&mut *ours, until).await;
        let found = verified(&mut *ours, Some(until)).await;
        assert_eq!(found, Verified { cells: 3, ..Verified::default() }, "{dialect:?}");
        assert!(found.is_clean());
    }
}

#[tokio::test]
async fn a_wrong_sum_is_found_with_both_values_and_just_it_is_mended() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        run(&mut *ours, "UPDATE task_usage_hourly SET tokens = 11 WHERE runtime_id = 1").await;
        let found = verified(&mut *ours, None).await;
        assert_eq!((found.wrong, found.pending), (1, 0), "{dialect:?}");
        assert_eq!(wrongs(&found), [Wrong::Different], "{dialect:?}");
        let tokens = &found.findings[0].values[0];
        assert_eq!(*tokens, (Value::from("11"), Value::from("10")), "{dialect:?}: stored, fresh");
        assert_eq!(repaired(&mut *ours, None, Gone::Keep).await, Repaired { cells: 1, pulled_back: false });
        let queued = verified(&mut *ours, None).await;
        assert_eq!((queued.wrong, queued.pending), (0, 1), "{dialect:?}: queued is pending");
        assert_eq!(repaired(&mut *ours, None, Gone::Keep).await.cells, 0, "{dialect:?}: and not queued twice");
        // Another cell goes wrong unseen: the drain that mends the first leaves it as it is.
        run(&mut *ours, "UPDATE task_usage_hourly SET calls = 5 WHERE runtime_id = 2").await;
        drain_all(&mut *ours).await;
        let left = verified(&mut *ours, None).await;
        assert_eq!((left.wrong, left.pending), (1, 0), "{dialect:?}");
        assert_eq!(left.findings[0].cell[2], Value::from("2"), "{dialect:?}: the other one");
    }
}

#[tokio::test]
async fn a_tick_takes_repairs_however_new_they_are() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let until = bound(&mut *ours).await;
        run(&mut *ours, "UPDATE task_usage_hourly SET tokens = 11").await;
        assert_eq!(repaired(&mut *ours, None, Gone::Keep).await.cells, 3, "{dialect:?}");
        tick_to(&mut *ours, until).await;
        assert_eq!(differences(&mut *ours).await, Vec::<String>::new(), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_missing_cell_and_one_that_is_there_twice_are_found_and_mended() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        run(&mut *ours, STAMPED).await;
        run(&mut *ours, "DELETE FROM task_usage_hourly WHERE runtime_id IS NULL").await;
        let mut expected = vec![Wrong::Missing];
        if dialect == Dialect::Postgres {
            // SQLite's index on cells is unique, NULL or not.
            let again = "INSERT INTO task_usage_hourly SELECT * FROM task_usage_hourly WHERE runtime_id = 2";
            run(&mut *ours, again).await;
            expected.push(Wrong::Different);
        }
        let found = verified(&mut *ours, None).await;
        let twice: Vec<u64> = found.findings.iter().map(|finding| finding.times).collect();
        assert_eq!(twice.iter().max(), Some(&if dialect == Dialect::Postgres { 2 } else { 0 }), "{dialect:?}");
        let mut wrongs = wrongs(&found);
        wrongs.sort_by_key(|wrong| *wrong == Wrong::Different);
        assert_eq!(wrongs, expected, "{dialect:?}");
        repaired(&mut *ours, None, Gone::Keep).await;
        drain_all(&mut *ours).await;
        assert!(verified(&mut *ours, None).await.is_clean(), "{dialect:?}");
        assert_eq!(differences(&mut *ours).await, Vec::<String>::new(), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_cell_without_raw_rows_is_found_and_stays_until_one_says_remove() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        run(&mut *ours, STAMPED).await;
        run(&mut *ours, EXTRA).await;
        run(&mut *ours, "UPDATE task_usage_hourly SET tokens = 0 WHERE runtime_id = 2").await;
        let found = verified(&mut *ours, None).await;
        assert_eq!(wrongs(&found), [Wrong::Extra, Wrong::Different], "{dialect:?}");
        assert_eq!(repaired(&mut *ours, None, Gone::Keep).await.cells, 1, "{dialect:?}");
        drain_all(&mut *ours).await;
        assert_eq!(wrongs(&verified(&mut *ours, None).await), [Wrong::Extra], "{dialect:?}: it is told, and there");
        assert_eq!(repaired(&mut *ours, None, Gone::Remove).await.cells, 1, "{dialect:?}");
        drain_all(&mut *ours).await;
        assert!(verified(&mut *ours, None).await.is_clean(), "{dialect:?}");
        assert_eq!(differences(&mut *ours).await, Vec::<String>::new(), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_change_that_is_queued_is_pending_and_not_wrong_whatever_changed() {
    for dialect in BOTH {
        let changes = [
            ("UPDATE task_usage SET tokens = 99 WHERE id = 1", 1),
            ("UPDATE agent_task_queue SET runtime_id = 5 WHERE id = 2", 2),
            ("UPDATE issue SET project_id = NULL WHERE id = 1", 4),
            ("DELETE FROM agent WHERE id = 1", 2),
        ];
        for (change, pending) in changes {
            let (_base, mut ours) = seeded(dialect).await;
            run(&mut *ours, STAMPED).await;
            run(&mut *ours, change).await;
            let found = verified(&mut *ours, None).await;
            assert_eq!((found.wrong, found.pending), (0, pending), "{dialect:?}: {change}");
            assert!(found.is_clean());
            assert_eq!(repaired(&mut *ours, None, Gone::Remove).await.cells, 0, "{dialect:?}: {change}");
            drain_all(&mut *ours).await;
            assert_eq!(verified(&mut *ours, None).await.pending, 0, "{dialect:?}: {change}");
        }
    }
}

#[tokio::test]
async fn r07_a_stranded_entry_and_a_watermark_that_is_ahead_are_found_and_mended() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        run(&mut *ours, "UPDATE task_usage SET tokens = 99 WHERE id = 1").await;
        later(&mut *ours).await;
        let until = bound(&mut *ours).await;
        run(&mut *ours, &format!("UPDATE task_usage_hourly_state SET watermark = '{until:.6}'")).await;
        let found = verified(&mut *ours, Some(until)).await;
        assert_eq!((found.stranded, found.ahead, found.wrong), (3, None, 0), "{dialect:?}: old, without and new");
        assert!(!found.is_clean(), "{dialect:?}");

        run(&mut *ours, "UPDATE task_usage_hourly_state SET watermark = '2999-01-01T00:00:00.000000Z'").await;
        let found = verified(&mut *ours, Some(until)).await;
        assert_eq!(found.ahead, Some("2999-01-01T00:00:00Z".parse().unwrap()), "{dialect:?}");
        if dialect == Dialect::Postgres {
            run(&mut *ours, "UPDATE task_usage_hourly_state SET watermark = 'infinity'").await;
            let found = verified(&mut *ours, Some(until)).await;
            assert!(found.ahead.is_some() && !found.is_clean(), "{found:?}");
        }
        let mended = repaired(&mut *ours, Some(until), Gone::Keep).await;
        assert_eq!(mended, Repaired { cells: 0, pulled_back: true }, "{dialect:?}");
        assert_eq!(watermark(&mut *ours).await, Some(until), "{dialect:?}");
        tick_all(&mut *ours).await;
        assert_eq!(stranded(&mut *ours).await, 0, "{dialect:?}");
        let until = bound(&mut *ours).await;
        assert!(verified(&mut *ours, Some(until)).await.is_clean(), "{dialect:?}");
    }
}

#[tokio::test]
async fn sums_that_are_not_finite_are_compared_like_any_other() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let (infinite, negative) = match dialect {
            Dialect::Postgres => ("'Infinity'", "'-Infinity'"),
            Dialect::Sqlite => ("9e999", "-9e999"),
        };
        let mut values = vec![infinite, negative];
        // SQLite keeps NULL in its place.
        values.extend((dialect == Dialect::Postgres).then_some("'NaN'"));
        for value in values {
            run(&mut *ours, &format!("UPDATE task_usage SET cost = {value} WHERE id = 1")).await;
            drain_all(&mut *ours).await;
            assert_eq!(verified(&mut *ours, None).await.wrong, 0, "{dialect:?}: {value} is {value}");
            for wrong in [infinite, negative, "5", "NULL"].into_iter().filter(|wrong| *wrong != value) {
                run(&mut *ours, &format!("UPDATE task_usage_hourly SET cost_sum = {wrong} WHERE runtime_id = 1")).await;
                let found = verified(&mut *ours, None).await;
                assert_eq!(wrongs(&found), [Wrong::Different], "{dialect:?}: {wrong}, and should be {value}");
                repaired(&mut *ours, None, Gone::Keep).await;
                drain_all(&mut *ours).await;
            }
        }
    }
}

#[tokio::test]
async fn an_event_that_is_dated_to_infinity_is_in_no_bucket() {
    let (_base, mut ours) = seeded(Dialect::Postgres).await;
    run(
        &mut *ours,
        "INSERT INTO task_usage VALUES (10, 1, 'openai', 'small', 5, 0.25, 'infinity'),
             (11, 2, 'openai', 'small', 5, 0.25, '-infinity')",
    )
    .await;
    drain_all(&mut *ours).await;
    let found = verified(&mut *ours, None).await;
    assert_eq!((found.cells, found.wrong, found.pending), (3, 0, 0), "{:?}", found.findings);
    assert_eq!(found.unplaced, 2, "and is counted");
    ours.begin().await.unwrap();
    let (drawn, _) = sample(&mut *ours, &declaration(), &Scope::all(), 10, None).await.unwrap();
    ours.rollback().await.unwrap();
    assert_eq!(drawn.buckets.map(|buckets| buckets.len()), Some(1));
    // It gets a time, and is counted.
    run(&mut *ours, "UPDATE task_usage SET created_at = '2026-01-01T13:00:00Z' WHERE id IN (10, 11)").await;
    drain_all(&mut *ours).await;
    assert_eq!(verified(&mut *ours, None).await.cells, 5);
    assert_eq!(differences(&mut *ours).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_rollup_without_its_state_row_is_not_clean() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        run(&mut *ours, "DELETE FROM task_usage_hourly_state").await;
        let found = verified(&mut *ours, None).await;
        assert_eq!(found, Verified { cells: 3, stateless: true, ..Verified::default() }, "{dialect:?}");
        assert!(!found.is_clean(), "{dialect:?}: nobody knows how far it is");
    }
}

#[tokio::test]
async fn an_event_of_a_year_that_nobody_can_write_is_in_no_bucket_and_is_counted() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let far = match dialect {
            Dialect::Postgres => {
                ["'0044-03-15 BC'", "'0001-12-31 23:59:59+00 BC'", "'10000-01-01'", "'9999-12-31'", "'infinity'"]
            }
            // Milliseconds for seconds, text that is no time, a year of five digits.
            Dialect::Sqlite => ["1767268800000", "'0000-06-01'", "'10000-01-01'", "'soon'", "'9999-12-31'"],
        };
        for (id, at) in (10..).zip(far) {
            run(&mut *ours, &format!("INSERT INTO task_usage VALUES ({id}, 1, 'openai', 'small', 5, 0.25, {at})"))
                .await;
        }
        drain_all(&mut *ours).await;
        seed(&mut *ours).await;
        let found = verified(&mut *ours, None).await;
        assert_eq!((found.cells, found.wrong, found.unplaced), (3, 0, 5), "{dialect:?}: {:?}", found.findings);
        let extent = recompute::extent(&mut *ours, &declaration()).await.unwrap().unwrap();
        assert_eq!(extent.to, "2026-01-01T13:00:00Z".parse().unwrap(), "{dialect:?}");
        // The first and the last that can be written are placed.
        run(&mut *ours, "UPDATE task_usage SET created_at = '0001-01-01T00:00:00Z' WHERE id = 10").await;
        run(&mut *ours, "UPDATE task_usage SET created_at = '9999-12-29T23:59:59Z' WHERE id = 11").await;
        run(&mut *ours, "DELETE FROM task_usage WHERE id > 11").await;
        drain_all(&mut *ours).await;
        let found = verified(&mut *ours, None).await;
        assert_eq!((found.cells, found.wrong, found.unplaced), (5, 0, 0), "{dialect:?}: {:?}", found.findings);
        seed(&mut *ours).await;
        assert_eq!(verified(&mut *ours, None).await.wrong, 0, "{dialect:?}");
    }
}

#[tokio::test]
async fn r15_a_sum_that_is_beyond_what_sqlite_adds_names_the_rollup_and_the_column() {
    let (_base, mut ours) = seeded(Dialect::Sqlite).await;
    run(
        &mut *ours,
        "INSERT INTO task_usage VALUES (10, 1, 'x', 'y', 9223372036854775807, 1, '2026-01-01T12:00:00Z'),
             (11, 1, 'x', 'y', 1, 1, '2026-01-01T12:00:00Z')",
    )
    .await;
    let expected = "one of the sums `tokens` (of source.tokens), `cost` (of source.cost) of task_usage_hourly is beyond 64 bits, and \
                    SQLite adds whole numbers no further: sum a column of a larger unit, or one of type REAL (a generated column can be \
                    one), or have a shorter grain or more keys, so that a cell is smaller";
    let declaration = declaration();
    ours.begin().await.unwrap();
    let drained = highwater_rollup::drain::drain(&mut *ours, &declaration, Default::default()).await;
    ours.rollback().await.unwrap();
    assert_eq!(drained.unwrap_err().message, expected);
    let extent = recompute::extent(&mut *ours, &declaration).await.unwrap().unwrap();
    ours.begin().await.unwrap();
    let seeded = recompute::span(&mut *ours, &declaration, extent).await;
    ours.rollback().await.unwrap();
    assert_eq!(seeded.unwrap_err().message, expected);
    ours.begin_reading().await.unwrap();
    let compared = verify(&mut *ours, &declaration, None, &Scope::all()).await;
    ours.rollback().await.unwrap();
    assert_eq!(compared.unwrap_err().message, expected);
}
