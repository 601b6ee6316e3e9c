//! What `run --cron` prints.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::Stop;
use highwater_engine::notify::cron_prints;
use highwater_engine::report::Reason;
use highwater_store::Access;

use crate::house::{House, MINUTE, Script, items, stops};

async fn prints(house: &House, script: &Script) -> bool {
    house.clock.advance(MINUTE);
    let report = house.pass(script).await;
    cron_prints(&house.engine, &report).await
}

fn fails() -> Script {
    stops(Diagnosis::failure("HW-TST-001", "no disk", "mend it"))
}

#[tokio::test]
async fn cron_prints_once_per_change_to_halted_1_or_2() {
    let house = House::new();
    let good = items(["retry-1", "done-1"]);
    let held = stops(Stop::checkpoint(Reason::LockHeld, "the lock is held"));
    let halts = stops(Stop::Halt { why: "too many failed".to_owned(), evidence: String::new(), until: None });
    assert!(!prints(&house, &held).await);
    assert!(prints(&house, &fails()).await);
    assert!(!prints(&house, &fails()).await);
    assert!(!prints(&house, &held).await);
    assert!(!prints(&house, &fails()).await, "a lock that is held says nothing of the failure");
    assert!(prints(&house, &stops(Diagnosis::refusal("HW-TST-002", "the list changed", "replace it"))).await);
    assert!(!prints(&house, &good).await);
    assert!(prints(&house, &fails()).await, "the same failure after a good pass");
    assert!(prints(&house, &halts).await);
    assert!(!prints(&house, &halts).await);
    assert!(!prints(&house, &good).await, "it is halted still");
    house.rearm().await;
    assert!(prints(&house, &halts).await, "another halt in the same words");
    house.rearm().await;
    assert!(!prints(&house, &good).await);
}

#[tokio::test]
async fn cron_prints_when_the_ledger_cannot_remember() {
    let mut house = House::new();
    let bad = house.pass(&fails()).await;
    let good = house.pass(&items(["done-1"])).await;
    house.engine = house.another_process(Access::ReadOnly);
    for _ in 0..2 {
        assert!(cron_prints(&house.engine, &bad).await);
        assert!(!cron_prints(&house.engine, &good).await);
    }
}
