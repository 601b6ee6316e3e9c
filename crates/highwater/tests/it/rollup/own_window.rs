//! A window of somebody's own, driven as it is (must-show 3).

use super::month::CLOCK;
use super::rig::{Database, GATED, Lines, Pass, WINDOW, config, driven};
use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_is_seeded_in_monthly_slices_and_then_ticks() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    base.two_years().await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!(base.wrong_cells().await, 0);
    assert!(base.cells().await > 3_000);
    assert!(base.watermark_age_secs().await < 120.0);
    let items = rig.usage_items();
    assert!((25..=26).contains(&items.len()), "two years are 24 months and two parts of one: {items:?}");
    let is_monthly = |key: &str| key.contains("-01T00:00:00Z");
    assert!(items.iter().all(|(key, outcome)| is_monthly(key) && outcome == "done"), "{items:?}");

    base.run("INSERT INTO task_usage (task_id, provider, model, tokens) VALUES (1, 'openai', 'model-1', 5)").await;
    base.run("DELETE FROM task_usage WHERE id = 7").await;
    base.run("UPDATE task_usage SET provider = 'other', updated_at = now() WHERE id = 11").await;
    assert!(base.wrong_cells().await > 0);
    // So that the bound has passed it.
    base.run("SELECT pg_sleep(1.2)").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!(rig.usage_items(), [("tick".to_owned(), "done".to_owned())]);
    assert_eq!(base.wrong_cells().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_wrong_2_rows_that_arrive_while_the_last_part_runs_for_longer_than_the_lag_are_above_the_watermark() {
    let (base, rig) = driven(GATED, Lines::default()).await;
    base.two_years().await;
    for (more, watermark) in [(&[][..], None), (&["--tick"], Some("2 hours"))] {
        if let Some(ago) = watermark {
            base.run(&format!("UPDATE task_usage_hourly_rollup_state SET watermark_at = now() - interval '{ago}'"))
                .await;
        }
        let gate = base.gate("now() - interval '30 minutes'").await;
        let pass = rig.usage_begun(more);
        base.wait_for_a_slice_at_the_gate().await;
        // The part has its snapshot. What comes now is older than the lag when it ends.
        base.run("INSERT INTO task_usage (task_id, provider, model, tokens) VALUES (1, 'openai', 'model-1', 5)").await;
        base.run("SELECT pg_sleep(1.5)").await;
        gate.open().await;
        let pass: Pass = pass.end().into();
        assert!(pass.is(0, "drained"), "{more:?}: {pass:?}");
        assert_eq!(base.wrong_cells().await, 1, "{more:?}: it is not in yet");
        let above =
            "SELECT (SELECT max(updated_at) FROM task_usage) > watermark_at FROM task_usage_hourly_rollup_state";
        assert!(base.one::<bool>(above).await, "{more:?}: and the watermark does not deny it");
        base.run("DELETE FROM gate").await;
        assert!(rig.usage_pass(&[]).is(0, "drained"));
        assert_eq!(base.wrong_cells().await, 0, "{more:?}");
    }
}

/// A pipeline that was seeded up to noon of 10 January 2025; it is ten days later now.
async fn ten_days_behind() -> (Database, Rig) {
    let base = Database::new().await;
    base.run(&format!("{CLOCK} ('2025-01-20T12:00:01Z')")).await;
    base.usage("'2024-12-01T00:00:00Z'", "'2025-01-20T11:00:00Z'").await;
    base.run("SELECT rollup_task_usage_hourly_window('2024-12-01', '2025-01-10T12:00:00Z')").await;
    base.run("UPDATE task_usage_hourly_rollup_state SET watermark_at = '2025-01-10T12:00:00Z'").await;
    let rig = Rig::new(&config(&base.url, WINDOW, Lines { job: "tick-max = \"3 days\"", resource: "" }));
    (base, rig)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tick_moves_the_watermark_by_no_more_than_it_may_and_says_that_it_is_behind() {
    let (base, rig) = ten_days_behind().await;
    for at in ["2025-01-13T12:00:00Z", "2025-01-16T12:00:00Z", "2025-01-19T12:00:00Z"] {
        let pass = rig.usage_pass(&["--tick"]);
        assert!(pass.is(3, "checkpoint"), "{pass:?}");
        assert_eq!(base.watermark().await.unwrap(), at);
        let wrong: i64 = base.one_of(
            "SELECT count(*) FROM task_usage AS u WHERE updated_at < ($1::text)::timestamptz AND NOT EXISTS (SELECT FROM task_usage_hourly AS h
             WHERE h.bucket_hour = date_trunc('hour', u.created_at, 'UTC') AND h.task_id = u.task_id AND h.model = u.model)",
            &[&at],
        ).await;
        assert_eq!(wrong, 0, "below the watermark everything is there");
    }
    let pass = rig.usage_pass(&["--tick"]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!((base.wrong_cells().await, base.watermark().await.unwrap().as_str()), (0, "2025-01-20T12:00:00Z"));
    assert!(rig.ledger_watermark().is_some());
    let pass = rig.usage_pass(&["--tick"]);
    assert!(pass.is(0, "drained"), "there, and nothing moves: {pass:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_after_a_tick_that_was_behind_goes_all_the_way() {
    let (base, rig) = ten_days_behind().await;
    assert!(rig.usage_pass(&["--tick"]).is(3, "checkpoint"));
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!((base.wrong_cells().await, base.watermark().await.unwrap().as_str()), (0, "2025-01-20T12:00:00Z"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_that_would_leave_older_buckets_behind_needs_the_word_of_a_person() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    base.two_years().await;
    let pass = rig.usage_pass(&["--months-back", "3"]);
    assert!(pass.is(2, "refused") && pass.error() == "HW-ROL-011", "{pass:?}");
    assert!(pass.next().contains("--force-partial"), "{pass:?}");
    assert_eq!(pass.report["diagnosis"]["field"], "--months-back", "{pass:?}");
    let since = rig.usage_pass(&["--since", "2099-01-01"]);
    assert_eq!(since.report["diagnosis"]["field"], "--since", "{since:?}");
    assert_eq!((base.cells().await, base.watermark().await.unwrap().as_str()), (0, "1970-01-01T00:00:00Z"));
    let pass = rig.usage_pass(&["--months-back", "3", "--force-partial"]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    let notes = pass.report["notes"].to_string();
    assert!(notes.contains("the watermark now claims the buckets before ") && notes.contains(" --since "), "{notes}");
    assert_eq!(rig.usage_items().len(), 4, "{:?}", rig.usage_items());
    let older: bool = base
        .one("SELECT min(bucket_hour) >= date_trunc('month', now()) - interval '3 months' FROM task_usage_hourly")
        .await;
    assert!(older);
    assert!(base.wrong_cells().await > 2_000, "as was asked for");

    // It is current now: then nothing is left behind by computing some of it again.
    base.run("UPDATE task_usage_hourly SET tokens = -1").await;
    let pass = rig.usage_pass(&["--since", "2020-01-01"]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!(base.wrong_cells().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_writes_nothing_anywhere() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    base.two_years().await;
    let before: i64 = base.one("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables").await;
    let ended = rig.run(&["run", "usage", "--dry-run"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stdout.contains("would drain 2") && ended.stdout.contains("T00:00:00Z/"), "{ended:?}");
    assert_eq!((base.cells().await, base.watermark().await.unwrap().as_str()), (0, "1970-01-01T00:00:00Z"));
    let after: i64 = base.one("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables").await;
    assert_eq!(before, after);
    assert!(!rig.path(".highwater-state").exists(), "no ledger is made");
    assert!(base.is_free().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_source_is_stamped_under_the_lock_and_said_to_be_empty() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    base.run("SELECT pg_advisory_lock(4246)").await;
    assert!(rig.usage_pass(&[]).is(3, "lock_held"));
    assert_eq!(base.watermark().await.unwrap(), "1970-01-01T00:00:00Z", "not without the lock");
    base.run("SELECT pg_advisory_unlock(4246)").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert!(pass.report["notes"].to_string().contains("source_empty"), "{pass:?}");
    assert!(base.watermark_age_secs().await < 120.0);
    assert_eq!(rig.ok(&["rollup", "guard", "usage"]).code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_table_that_is_missing_is_refused() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    base.two_years().await;
    base.run("DROP TABLE task_usage_hourly_rollup_state").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(2, "refused") && pass.error() == "HW-ROL-007", "{pass:?}");
    assert!(pass.message.contains("rollup_state_missing"), "{pass:?}");
    assert_eq!(base.cells().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_row_that_is_missing_or_null_halts_with_the_sql_that_mends_it_and_is_never_stamped_over() {
    for spoil in
        ["DELETE FROM task_usage_hourly_rollup_state", "UPDATE task_usage_hourly_rollup_state SET watermark_at = NULL"]
    {
        let (base, rig) = driven(WINDOW, Lines::default()).await;
        base.two_years().await;
        base.run(spoil).await;
        for more in [&[][..], &["--tick"], &["--since", "2020-01-01", "--force-partial"]] {
            let pass = rig.usage_pass(more);
            assert!(pass.is(4, "halted"), "{spoil} {more:?}: {pass:?}");
            rig.ok(&["rearm", "usage", "--why", "look again"]);
        }
        let stamped: i64 = base.one("SELECT count(watermark_at) FROM task_usage_hourly_rollup_state").await;
        assert_eq!((stamped, base.cells().await), (0, 0), "{spoil}");
        rig.usage_pass(&[]);
        let evidence = rig.usage_status()["jobs"][0]["halt"]["evidence"].as_str().unwrap().to_owned();
        let mend = evidence.split_once(": ").unwrap().1;
        base.run(mend).await;
        rig.ok(&["rearm", "usage", "--why", "mended"]);
        let pass = rig.usage_pass(&[]);
        assert!(pass.is(0, "drained"), "{spoil}, {mend}: {pass:?}");
        assert_eq!(base.wrong_cells().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watermark_that_is_current_leaves_nothing_to_seed() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    base.two_years().await;
    base.run("SELECT rollup_task_usage_hourly_window('2020-01-01', now())").await;
    base.run("UPDATE task_usage_hourly_rollup_state SET watermark_at = now() - interval '10 minutes'").await;
    base.run("CREATE TABLE called (n int)").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!(rig.usage_items(), [("tick".to_owned(), "done".to_owned())]);
    assert_eq!(base.wrong_cells().await, 0);
    assert!(base.watermark_age_secs().await < 120.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watermark_below_all_times_is_a_place_to_begin() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    base.two_years().await;
    base.run("UPDATE task_usage_hourly_rollup_state SET watermark_at = '-infinity'").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!(base.wrong_cells().await, 0);
    assert!(base.watermark_age_secs().await < 120.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_that_runs_into_the_statement_timeout_is_split_and_completed() {
    let base = Database::new().await;
    base.usage("now() - interval '70 days'", "now() - interval '1 hour'").await;
    let role = super::rig::own_name("ann");
    // As long as the span is, and counted whether it is committed or not.
    base.run(&format!(
        "CREATE SEQUENCE tried; CREATE TABLE parts (p_from timestamptz, p_to timestamptz);
         CREATE FUNCTION slow_window(p_from timestamptz, p_to timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
         DECLARE
             v_rows bigint := rollup_task_usage_hourly_window(p_from, p_to);
         BEGIN
             PERFORM nextval('tried'), pg_sleep(extract(epoch FROM p_to - p_from) / 86400 * 0.08);
             INSERT INTO parts VALUES (p_from, p_to);
             RETURN v_rows;
         END $$;
         CREATE ROLE {role} LOGIN IN ROLE pg_read_all_stats;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role};
         ALTER ROLE {role} SET statement_timeout = '400ms'"
    ))
    .await;
    let rig = Rig::new(&config(
        &base.url.replace("postgres@", &format!("{role}@")),
        "SELECT slow_window($1, $2)",
        Lines::default(),
    ));
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!(base.wrong_cells().await, 0);
    let (tried, done): (i64, i64) =
        (base.one("SELECT last_value FROM tried").await, base.one("SELECT count(*) FROM parts").await);
    assert!(tried > done, "some ran into it: {tried} tried, {done} done");
    let meet: i64 = base
        .one("SELECT count(*) FROM parts AS a WHERE NOT EXISTS (SELECT FROM parts AS b WHERE b.p_from = a.p_to)")
        .await;
    assert_eq!(meet, 1, "parts meet, but for the end of the last");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_raises_halts_with_its_words_and_goes_on_where_it_was() {
    let (base, rig) = driven("SELECT raising_window($1, $2)", Lines::default()).await;
    base.two_years().await;
    base.run(
        "CREATE TABLE raising (so boolean); INSERT INTO raising VALUES (true);
         CREATE FUNCTION raising_window(p_from timestamptz, p_to timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
         BEGIN
             IF p_to > now() - interval '1 year' AND (SELECT so FROM raising) THEN
                 RAISE EXCEPTION 'workspace 12 has no region' USING DETAIL = 'see runbook 7';
             END IF;
             RETURN rollup_task_usage_hourly_window(p_from, p_to);
         END $$",
    )
    .await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(4, "halted"), "{pass:?}");
    assert!(pass.message.contains("workspace 12 has no region (see runbook 7)"), "{}", pass.message);
    assert_eq!(base.watermark().await.unwrap(), "1970-01-01T00:00:00Z");
    assert!(base.is_free().await);
    assert!(rig.usage_pass(&[]).is(4, "halted"), "until a person looked");
    base.run("UPDATE raising SET so = false").await;
    rig.ok(&["rearm", "usage", "--why", "12 has one now"]);
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert!(pass.report["counts"]["done"].as_u64().unwrap() < 15, "it goes on where it was: {pass:?}");
    assert_eq!(base.wrong_cells().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_takes_the_lock_itself_does_what_it_does_under_ours() {
    let (base, rig) = driven("SELECT locking_window($1, $2)", Lines::default()).await;
    base.two_years().await;
    // As the scheduler calls it: it takes the lock of the session, and lets it go.
    base.run(
        "CREATE FUNCTION locking_window(p_from timestamptz, p_to timestamptz) RETURNS void LANGUAGE plpgsql AS $$
         BEGIN
             IF NOT pg_try_advisory_lock(4246) THEN
                 RETURN;
             END IF;
             PERFORM rollup_task_usage_hourly_window(p_from, p_to);
             PERFORM pg_advisory_unlock(4246);
         END $$",
    )
    .await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!(base.wrong_cells().await, 0);
    assert!(base.is_free().await);
}
