//! A pgbouncer between: one in transaction mode is refused, since a lock there is everybody's; one in session mode is not.

use highwater_testkit::pgbouncer::{Pgbouncer, PoolMode};

use super::rig::{Database, HOLDER, Lines, WINDOW, config, server};
use crate::rig::Rig;

fn through(pooler: &Pgbouncer, base: &Database) -> Rig {
    let name = base.url.rsplit_once('/').unwrap().1;
    let url = format!("postgres://postgres@127.0.0.1:{}/{name}", pooler.port());
    Rig::new(&config(&url, WINDOW, Lines::default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode_is_found_out_and_refused() {
    let base = Database::new().await;
    base.two_years().await;
    let pooler = Pgbouncer::before(server(), PoolMode::Transaction, 4).unwrap();
    let rig = through(&pooler, &base);
    for _ in 0..2 {
        let pass = rig.usage_pass(&[]);
        assert!(pass.is(2, "refused") && pass.error() == "HW-LCK-006", "{pass:?}");
        assert!(pass.next().contains("name the server itself, or a pool in session mode"), "{pass:?}");
    }
    let doctor = rig.run(&["doctor"]);
    assert!(doctor.stdout.contains("a pooler in between") && doctor.code == 2, "{doctor:?}");
    assert_eq!((base.cells().await, base.watermark().await.unwrap().as_str()), (0, "1970-01-01T00:00:00Z"));
    assert!(base.is_free().await, "no process of the pool was left with the lock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode_with_a_single_process_is_not_waited_for() {
    let base = Database::new().await;
    let pooler = Pgbouncer::before(server(), PoolMode::Transaction, 1).unwrap();
    let pass = through(&pooler, &base).usage_pass(&[]);
    assert!(pass.is(2, "refused") && pass.error() == "HW-LCK-006", "{pass:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_session_mode_is_as_good_as_the_server() {
    let base = Database::new().await;
    base.two_years().await;
    let pooler = Pgbouncer::before(server(), PoolMode::Session, 4).unwrap();
    let rig = through(&pooler, &base);
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    assert_eq!(base.wrong_cells().await, 0);
    base.wait_for("the session given back", &format!("SELECT NOT EXISTS ({HOLDER})")).await;
    base.run("SELECT pg_advisory_lock(4246)").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(3, "lock_held"), "{pass:?}");
}
