//! Servers and roles on which no watermark could be trusted (must-show 4).

use super::rig::{Database, Lines, WINDOW, config, driven, own_name};
use crate::rig::Rig;
use highwater_testkit::postgres::Postgres;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_a_role_that_does_not_see_others_transactions_is_refused_with_the_grant_that_helps() {
    let base = Database::new().await;
    base.two_years().await;
    let role = own_name("ann");
    base.run(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    ))
    .await;
    let rig = Rig::new(&config(&base.url.replace("postgres@", &format!("{role}@")), WINDOW, Lines::default()));
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(2, "refused") && pass.error() == "HW-ROL-009", "{pass:?}");
    assert_eq!(base.watermark().await.unwrap(), "1970-01-01T00:00:00Z");
    base.run(pass.next()).await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "what is told to do is enough: {pass:?}");
    assert_eq!(base.wrong_cells().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_a_prepared_transaction_is_a_checkpoint_and_the_watermark_stays() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    base.two_years().await;
    assert!(rig.usage_pass(&[]).is(0, "drained"));
    let before = base.watermark().await;
    let prepared = own_name("p");
    base.run(&format!(
        "BEGIN; INSERT INTO task_usage (task_id, provider, model, tokens) VALUES (1, 'openai', 'model-1', 9);
         PREPARE TRANSACTION '{prepared}'"
    ))
    .await;
    for _ in 0..2 {
        let pass = rig.usage_pass(&["--tick"]);
        assert!(pass.is(3, "checkpoint"), "{pass:?}");
        assert!(
            pass.message.contains("1 prepared in this database") && pass.message.contains("COMMIT PREPARED"),
            "{pass:?}"
        );
        assert_eq!(base.watermark().await, before);
    }
    base.run(&format!("COMMIT PREPARED '{prepared}'")).await;
    assert!(rig.usage_pass(&["--tick"]).is(0, "drained"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_an_open_transaction_holds_the_watermark_and_is_named() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    base.usage("now() - interval '3 days'", "now() - interval '1 hour'").await;
    let open = base.another().await;
    open.batch_execute(
        "BEGIN; INSERT INTO task_usage (task_id, provider, model, tokens) VALUES (1, 'openai', 'model-1', 9)",
    )
    .await
    .unwrap();
    let pid: i32 = open.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    base.run("SELECT pg_sleep(1.2)").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    let notes = pass.report["notes"].to_string();
    assert!(notes.contains(&format!("the transaction of process {pid} (")), "{notes}");
    let passed: bool = base
        .one(
            "SELECT bool_and(watermark_at <= xact_start) FROM task_usage_hourly_rollup_state, pg_stat_activity
                  WHERE datname = current_database() AND state = 'idle in transaction'",
        )
        .await;
    assert!(passed, "the watermark does not pass what is open");
    open.batch_execute("COMMIT").await.unwrap();
    base.run("SELECT pg_sleep(1.2)").await;
    assert!(rig.usage_pass(&[]).is(0, "drained"));
    assert_eq!(base.wrong_cells().await, 0, "and what it committed is found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_a_standby_is_refused() {
    let primary = Postgres::start().unwrap();
    let base = Database::on(&primary).await;
    base.two_years().await;
    let standby = primary.standby().unwrap();
    let url = base.url.replace(&primary.port().to_string(), &standby.port().to_string());
    let rig = Rig::new(&config(&url, WINDOW, Lines::default()));
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(2, "refused") && pass.error() == "HW-ROL-008", "{pass:?}");
    assert!(rig.run(&["doctor"]).stdout.contains("the server is a standby"));
    assert!(Rig::new(&config(&base.url, WINDOW, Lines::default())).usage_pass(&[]).is(0, "drained"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_the_role_may_not_read_is_refused() {
    let base = Database::new().await;
    base.two_years().await;
    let role = own_name("ann");
    base.run(&format!("CREATE ROLE {role} LOGIN IN ROLE pg_read_all_stats")).await;
    let rig = Rig::new(&config(&base.url.replace("postgres@", &format!("{role}@")), WINDOW, Lines::default()));
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(2, "refused") && pass.error() == "HW-ROL-003", "{pass:?}");
}
