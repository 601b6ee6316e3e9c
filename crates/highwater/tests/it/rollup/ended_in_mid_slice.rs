//! What ends a pass in the middle of a slice: a terminated session, a restart, `kill -9`, SIGTERM. Each leaves that slice rolled
//! back and nothing stamped, and the next pass goes on (R5, must-show 4).

use highwater_testkit::postgres::Postgres;

use super::rig::{Database, GATED, Gate, HOLDER, Lines, Pass, config, driven};
use crate::rig::{Doomed, KILLED, Rig};

/// A pass that stands in the slice of the month a year ago.
struct InMidSlice {
    base: Database,
    rig: Rig,
    gate: Gate,
    pass: Doomed,
}

impl InMidSlice {
    async fn of(base: Database, lines: Lines<'_>) -> Self {
        let rig = Rig::new(&config(&base.url, GATED, lines));
        base.two_years().await;
        let gate = base.gate("date_trunc('month', now()) - interval '1 year'").await;
        let pass = rig.usage_begun(&[]);
        base.wait_for_a_slice_at_the_gate().await;
        Self { base, rig, gate, pass }
    }
}

/// What must hold after the end, and that the next pass computes just what is left.
async fn assert_resumed(base: &Database, rig: &Rig) {
    let since = "date_trunc('month', now()) - interval '1 year'";
    let newer: i64 = base.one(&format!("SELECT count(*) FROM task_usage_hourly WHERE bucket_hour >= {since}")).await;
    assert_eq!(newer, 0, "the slice was rolled back");
    assert!(base.cells().await > 1_000, "those before it stay");
    assert_eq!(base.watermark().await.unwrap(), "1970-01-01T00:00:00Z", "nothing is stamped");
    assert_eq!(rig.ledger_watermark(), None);
    assert!(base.is_free().await, "the key is free at once");
    let done = |items: &[(String, String)]| items.iter().filter(|(_, outcome)| outcome == "done").count();
    let before = rig.usage_items();
    assert!((12..=13).contains(&done(&before)), "{before:?}");

    base.run("DELETE FROM gate").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    let again = pass.report["counts"]["done"].as_u64().unwrap();
    assert_eq!(usize::try_from(again).unwrap(), before.len() - done(&before), "only what was left");
    assert_eq!(base.wrong_cells().await, 0);
    assert!(base.watermark_age_secs().await < 120.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r16_a_session_that_is_terminated_in_mid_slice_takes_the_slice_with_it() {
    let InMidSlice { base, rig, gate, pass } = InMidSlice::of(Database::new().await, Lines::default()).await;
    base.run(&format!("SELECT pg_terminate_backend(({HOLDER}))")).await;
    let pass: Pass = pass.end().into();
    assert!(pass.is(3, "lock_lost"), "{pass:?}");
    assert!(pass.message.contains("terminating connection due to administrator command"), "{}", pass.message);
    gate.open().await;
    assert_resumed(&base, &rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r05_a_server_that_is_restarted_in_mid_slice_takes_the_slice_with_it() {
    let server = Postgres::start().unwrap();
    let InMidSlice { mut base, rig, pass, .. } = InMidSlice::of(Database::on(&server).await, Lines::default()).await;
    server.restart_at_once().unwrap();
    let pass: Pass = pass.end().into();
    assert!(pass.is(3, "lock_lost"), "{pass:?}");
    base.psql = base.another().await;
    assert_resumed(&base, &rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r05_a_pass_that_is_killed_in_mid_slice_leaves_the_key_free_and_the_next_one_goes_on() {
    let InMidSlice { base, rig, gate, pass } = InMidSlice::of(Database::new().await, Lines::default()).await;
    assert_eq!(pass.kill_9().code, KILLED);
    // The slice stands at the gate still: the server looks for its client while it does.
    base.wait_for("the end of the session", &format!("SELECT NOT EXISTS ({HOLDER})")).await;
    gate.open().await;
    assert_resumed(&base, &rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_a_session_that_is_terminated_in_the_part_that_stamps_leaves_the_watermark_where_it_was() {
    let (base, rig) = driven(GATED, Lines::default()).await;
    base.two_years().await;
    let last = "now() - interval '30 minutes'";
    for (more, watermark) in [(&[][..], None), (&["--tick"], Some("2 hours"))] {
        if let Some(ago) = watermark {
            base.run(&format!("UPDATE task_usage_hourly_rollup_state SET watermark_at = now() - interval '{ago}'"))
                .await;
        }
        let before = base.watermark().await;
        let gate = base.gate(last).await;
        let pass = rig.usage_begun(more);
        base.wait_for_a_slice_at_the_gate().await;
        base.run(&format!("SELECT pg_terminate_backend(({HOLDER}))")).await;
        let pass: Pass = pass.end().into();
        assert!(pass.is(3, "lock_lost"), "{more:?}: {pass:?}");
        assert_eq!(base.watermark().await, before, "{more:?}");
        gate.open().await;
        base.run("DELETE FROM gate").await;
        let pass = rig.usage_pass(more);
        assert!(pass.is(0, "drained"), "{more:?}: {pass:?}");
        assert!(base.watermark_age_secs().await < 120.0);
        assert_eq!(base.wrong_cells().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_is_told_to_stop_ends_between_two_parts() {
    let (base, rig) = driven(GATED, Lines { job: "slice-target = \"1ms\"", resource: "" }).await;
    base.usage("now() - interval '8 days'", "now() - interval '1 hour'").await;
    let gate = base.gate("now() - interval '3 days'").await;
    let pass = rig.usage_begun(&[]);
    base.wait_for_a_slice_at_the_gate().await;
    let told = std::process::Command::new("kill").args(["-TERM", &pass.pid().to_string()]).status().unwrap();
    assert!(told.success());
    gate.open().await;
    let pass: Pass = pass.end().into();
    assert!(pass.is(3, "stopped"), "{pass:?}");
    assert_eq!(base.watermark().await.unwrap(), "1970-01-01T00:00:00Z");
    assert!(rig.usage_items().iter().any(|(_, outcome)| outcome.is_empty()), "the slice that was cut is not done");
    assert!(base.cells().await > 0, "the parts before it stay");
    assert!(base.is_free().await);
    assert!(rig.usage_pass(&[]).is(0, "drained"));
    assert_eq!(base.wrong_cells().await, 0);
}
