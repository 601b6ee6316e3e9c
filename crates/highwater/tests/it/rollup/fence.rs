//! A pass that lost its lock writes nothing more (R16).

use super::rig::{Lines, driven};

/// A window that lets go of the lock it runs under, once: what a pooler, or a careless author, does to a session.
const CARELESS: &str = "DO $$ BEGIN
         -- One that takes no lock of its own: that would still be held at the commit.
         EXECUTE replace(pg_get_functiondef('rollup_task_usage_hourly_window'::regproc), 'pg_try_advisory_xact_lock(4246)', 'true');
     END $$;
     CREATE TABLE careless (once boolean);
     INSERT INTO careless VALUES (true);
     CREATE FUNCTION careless_window(p_from timestamptz, p_to timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
     DECLARE
         v_rows bigint := rollup_task_usage_hourly_window(p_from, p_to);
     BEGIN
         IF p_to > now() - interval '1 year' AND (SELECT once FROM careless) THEN
             PERFORM pg_advisory_unlock(4246);
         END IF;
         RETURN v_rows;
     END $$;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r16_what_ran_while_the_lock_was_lost_is_not_committed_and_nothing_after_it() {
    let (base, rig) = driven("SELECT careless_window($1, $2)", Lines::default()).await;
    base.two_years().await;
    base.run(CARELESS).await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(3, "lock_lost"), "{pass:?}");
    assert!(pass.message.contains("the advisory lock 4246 is not held by this session any more"), "{}", pass.message);
    let newer: i64 =
        base.one("SELECT count(*) FROM task_usage_hourly WHERE bucket_hour > now() - interval '11 months'").await;
    assert_eq!(newer, 0, "nothing after it");
    let older: i64 =
        base.one("SELECT count(*) FROM task_usage_hourly WHERE bucket_hour < now() - interval '13 months'").await;
    assert!(older > 1_000, "what was committed before stays");
    assert_eq!(base.watermark().await.unwrap(), "1970-01-01T00:00:00Z");
    assert_eq!(rig.ledger_watermark(), None);

    base.run("UPDATE careless SET once = false").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!(base.wrong_cells().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r16_the_part_that_stamps_does_not_stamp_when_it_lost_the_lock() {
    let (base, rig) = driven("SELECT careless_window($1, $2)", Lines::default()).await;
    // One part, and it is the last.
    base.usage("now() - interval '1 hour'", "now() - interval '30 minutes'").await;
    base.run(CARELESS).await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(3, "lock_lost"), "{pass:?}");
    assert_eq!((base.cells().await, base.watermark().await.unwrap().as_str()), (0, "1970-01-01T00:00:00Z"));
    assert!(rig.usage_items().iter().all(|(_, outcome)| outcome.is_empty()), "{:?}", rig.usage_items());
}
