//! A wait for the lock that crosses a month's end (must-show 5.3). The database's clock is the test's.

use super::rig::{Database, Lines, WINDOW, config};
use crate::rig::Rig;

/// `clock_timestamp()` of everybody in this database, from the next session on: what stands in a table. Nothing else of the
/// server's is changed.
pub(crate) const CLOCK: &str = "CREATE TABLE hands (at timestamptz NOT NULL);
     CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT at FROM public.hands';
     CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT at FROM public.hands';
     DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$;
     INSERT INTO hands VALUES ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_a_month_that_begins_while_a_pass_waits_for_its_lock_is_seeded_as_any_other() {
    let base = Database::new().await;
    base.run(&format!("{CLOCK} ('2025-01-31T23:58:00Z')")).await;
    base.usage("'2024-11-03T00:00:00Z'", "'2025-01-31T23:00:00Z'").await;
    let rig = Rig::new(&config(&base.url, WINDOW, Lines { job: "lock-wait = \"2m\"", resource: "" }));
    base.run("SELECT pg_advisory_lock(4246)").await;
    let pass = rig.usage_begun(&[]);
    base.wait_for_a_pass_at_the_lock().await;
    // The month ends. What comes now is of the new one, but for a row of an older history that was imported meanwhile.
    base.run("UPDATE hands SET at = '2025-02-01T00:10:00Z'").await;
    base.usage("'2025-01-31T23:59:00Z'", "'2025-02-01T00:00:00Z'").await;
    base.usage("'2025-02-01T00:05:00Z'", "'2025-02-01T00:05:00Z'").await;
    base.usage("'2024-10-30T00:00:00Z'", "'2024-10-30T00:00:00Z'").await;
    base.run("SELECT pg_advisory_unlock(4246)").await;
    let ended = pass.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(base.wrong_cells().await, 0);
    assert_eq!(base.watermark().await.unwrap(), "2025-02-01T00:09:59Z");
    let keys: Vec<String> = rig.usage_items().into_iter().map(|(key, _)| key).collect();
    let month = |from: &str, to: &str| format!("{from}T00:00:00Z/{to}T00:00:00Z");
    let expected = [
        month("2024-10-30", "2024-11-01"),
        month("2024-11-01", "2024-12-01"),
        month("2024-12-01", "2025-01-01"),
        month("2025-01-01", "2025-02-01"),
        "2025-02-01T00:00:00Z/..".to_owned(),
    ];
    assert_eq!(keys, expected, "the range was read under the lock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_what_arrives_in_an_empty_source_after_it_was_looked_at_is_rolled_up_before_the_stamp() {
    let base = Database::new().await;
    base.run(&format!("{CLOCK} ('2025-01-31T23:58:00Z')")).await;
    let rig = Rig::new(&config(&base.url, WINDOW, Lines::default()));
    // The worklist is pinned, and its end does not come: nobody knows since when this one is open.
    base.run("BEGIN; CREATE TABLE pending (); PREPARE TRANSACTION 'p'").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(3, "checkpoint"), "{pass:?}");
    base.usage("'2025-01-10T00:00:00Z'", "'2025-01-20T00:00:00Z'").await;
    base.run("ROLLBACK PREPARED 'p'").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!(base.watermark().await.unwrap(), "2025-01-31T23:57:59Z");
    assert_eq!(base.wrong_cells().await, 0, "the watermark proves them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_a_seed_that_is_resumed_a_month_later_rolls_up_what_came_meanwhile() {
    let base = Database::new().await;
    base.run(&format!("{CLOCK} ('2025-01-15T00:00:00Z')")).await;
    base.usage("'2024-11-03T00:00:00Z'", "'2025-01-14T00:00:00Z'").await;
    let rig = Rig::new(&config(&base.url, WINDOW, Lines::default()));
    let pass = rig.usage_pass(&["--max-items", "2"]);
    assert!(pass.is(3, "budget_items"), "{pass:?}");
    base.run("UPDATE hands SET at = '2025-03-15T00:00:00Z'").await;
    base.usage("'2025-01-15T00:00:00Z'", "'2025-03-14T00:00:00Z'").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!((base.wrong_cells().await, base.watermark().await.unwrap().as_str()), (0, "2025-03-14T23:59:59Z"));
}
