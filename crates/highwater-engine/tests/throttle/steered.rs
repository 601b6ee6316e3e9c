//! A pass under a person's hand: what is set is obeyed by the pass that runs, within one item, and by every one after it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater_engine::report::Reason;

use crate::house::Says::{Fails, Number};
use crate::house::{House, Work};

const ITEMS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn unwatched(work: Work) -> House {
    let mut house = House::new(&ITEMS, work, Number(0.0));
    house.spec.throttle.signals.clear();
    house
}

#[tokio::test]
async fn concurrency_grows_and_shrinks_while_the_pass_runs() {
    let house = unwatched(Work::Gate);
    let at_work = || house.job.at_work.load(Ordering::SeqCst);
    let pass = house.start();
    house.until("one item", || at_work() == 1).await;
    // The one that is at work is not at its end.
    house.set("concurrency", "3").await;
    house.until("three items at once", || at_work() == 3).await;
    house.set("concurrency", "1").await;
    // Time for whoever looks whether anything was set.
    house.later(5).await;
    assert_eq!(at_work(), 3, "who is at work stays at work");
    house.job.gate.add_permits(2);
    house.until("two of them leave", || at_work() == 1).await;
    house.later(5).await;
    assert_eq!((at_work(), house.job.count()), (1, 3), "no other takes their place");
    house.unset().await;
    house.job.gate.add_permits(4);
    assert_eq!(house.end(pass).await.reason, Reason::Drained);
    assert_eq!(house.job.count(), ITEMS.len());
}

#[tokio::test]
async fn a_pace_that_is_set_ends_a_long_wait_and_the_throttle_leaves_it_alone() {
    let mut house = House::new(&ITEMS, Work::Contact, Fails).pace(3_600);
    house.spec.throttle.wait = Duration::from_secs(1_000_000);
    let pass = house.start();
    house.until("the first contact", || house.job.count() == 1).await;
    house.set("pace", "5s").await;
    assert_eq!(house.end(pass).await.reason, Reason::Drained);
    let gaps = house.job.gaps();
    assert!(gaps.iter().all(|gap| *gap < 60.0), "not an hour, and not 32 times as long: {gaps:?}");
    assert!(gaps[1..].iter().all(|gap| *gap >= 4.9), "{gaps:?}");
}

#[tokio::test]
async fn a_budget_that_is_set_ends_the_pass_that_runs_and_bounds_the_next() {
    let house = unwatched(Work::Gate);
    let pass = house.start();
    house.until("one item", || house.job.count() == 1).await;
    house.set("max-items", "2").await;
    house.job.gate.add_permits(ITEMS.len());
    let report = house.end(pass).await;
    assert_eq!((report.reason, report.spent.items), (Reason::BudgetItems, 2));
    let report = house.end(house.start()).await;
    assert_eq!((report.reason, report.spent.items), (Reason::BudgetItems, 2), "it stands until it is unset");
    let row = house.engine.ledger.passes(&house.spec.name, 1).await.unwrap().remove(0);
    assert_eq!(row.budget_items, Some(2));
    house.unset().await;
    assert_eq!(house.end(house.start()).await.reason, Reason::Drained);
}

#[tokio::test]
async fn a_time_that_is_set_ends_a_pass_that_had_none() {
    let house = unwatched(Work::Contact).pace(600);
    let pass = house.start();
    house.until("the first contact", || house.job.count() == 1).await;
    house.set("max-time", "20m").await;
    let report = house.end(pass).await;
    assert_eq!(report.reason, Reason::BudgetTime);
    assert!((1..=3).contains(&house.job.count()), "{}", house.job.count());
}

#[tokio::test]
async fn what_cannot_be_read_of_an_override_is_left_out() {
    let house = unwatched(Work::Nothing);
    house.set("colour", "red").await;
    house.set("concurrency", "many").await;
    assert_eq!(house.end(house.start()).await.reason, Reason::Drained);
}
