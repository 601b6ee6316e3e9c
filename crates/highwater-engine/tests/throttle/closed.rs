//! A closed throttle: batches wait, and what ends the wait.

use highwater_engine::report::{ExitCode, Reason};
use std::time::Duration;

use crate::house::Says::{Fails, NoNumber, Nothing, Number, Stale};
use crate::house::{House, Work};

/// The smallest share.
const SLOWEST: f64 = 1.0 / 32.0;

#[tokio::test]
async fn r17_batches_wait_for_a_signal_that_gives_no_reading_and_go_on_when_it_is_back() {
    for says in [Fails, NoNumber, Nothing, Stale] {
        let house = House::new(&["a"], Work::Batches(2), says);
        let pass = house.start();
        house.rounds(3).await;
        assert_eq!(house.job.count(), 0, "{says:?}: a batch was begun");
        house.signal.say(Number(0.0));
        let report = house.end(pass).await;
        assert_eq!((report.reason, report.counts.done), (Reason::Drained, 1), "{says:?}");
        assert_eq!(house.job.shares(), [1.0, 1.0], "{says:?}: as fast as before");
    }
}

#[tokio::test]
async fn r17_a_signal_that_fails_in_the_middle_of_an_item_holds_its_next_batch() {
    let house = House::new(&["a"], Work::GatedBatches(2), Number(0.0));
    let pass = house.start();
    house.until("the first batch", || house.job.count() == 1).await;
    house.signal.say(Fails);
    house.rounds(2).await;
    house.job.gate.add_permits(2);
    house.rounds(4).await;
    assert_eq!(house.job.count(), 1, "the second was begun");
    house.signal.say(Number(0.0));
    assert_eq!(house.end(pass).await.reason, Reason::Drained);
    assert_eq!(house.job.count(), 2);
}

#[tokio::test]
async fn batches_wait_while_a_signal_is_over_its_limit_and_go_on_smaller() {
    let house = House::new(&["a"], Work::Batches(2), Number(20.0));
    let pass = house.start();
    house.rounds(3).await;
    assert_eq!(house.job.count(), 0);
    house.signal.say(Number(5.0));
    assert_eq!(house.end(pass).await.reason, Reason::Drained);
    let shares = house.job.shares();
    assert!(shares.iter().all(|share| (SLOWEST..=0.125).contains(share)), "halved at least thrice: {shares:?}");
}

#[tokio::test]
async fn a_throttle_that_stays_closed_ends_the_pass_as_a_checkpoint_and_the_next_one_goes_on() {
    let mut house = House::new(&["a", "b"], Work::Batches(1), Fails);
    house.spec.throttle.wait = Duration::from_secs(60);
    let report = house.end(house.start()).await;
    assert_eq!((report.reason, report.exit), (Reason::Throttled, ExitCode::Checkpoint));
    let told = ": load cannot be read and counts as unhealthy: the command ended with exit 1";
    assert!(report.message.starts_with("throttled for 1m") && report.message.ends_with(told), "{}", report.message);
    assert_eq!((report.counts.all(), house.job.count()), (0, 0), "nothing was attempted");
    let row = house.engine.ledger.passes(&house.spec.name, 1).await.unwrap().remove(0);
    let throttle = row.throttle.unwrap();
    assert_eq!(throttle.worst().unwrap().error.as_deref(), Some("the command ended with exit 1"));
    assert!(throttle.closed_since.is_some() && throttle.share == SLOWEST);

    house.signal.say(Number(1.0));
    let report = house.end(house.start()).await;
    assert_eq!((report.reason, report.counts.done), (Reason::Drained, 2));
}

#[tokio::test]
async fn a_signal_that_comes_and_goes_never_ends_the_pass() {
    let mut house = House::new(&["a"], Work::GatedBatches(3), Fails);
    house.spec.throttle.wait = Duration::from_secs(100);
    let pass = house.start();
    for batch in 1..=3 {
        // Forty seconds each time, and more than a hundred in all.
        house.rounds(20).await;
        assert_eq!(house.job.count(), batch - 1);
        house.signal.say(Number(0.0));
        house.until("a batch", || house.job.count() == batch).await;
        house.signal.say(Fails);
        house.rounds(1).await;
        house.job.gate.add_permits(1);
    }
    assert_eq!(house.end(pass).await.reason, Reason::Drained);
}

#[tokio::test]
async fn who_waits_obeys_a_halt_a_pause_a_signal_and_the_time() {
    for reason in [Reason::Halted, Reason::Paused, Reason::Stopped, Reason::BudgetTime] {
        let mut house = House::new(&["a"], Work::Batches(1), Fails);
        if reason == Reason::BudgetTime {
            house.spec.budget.time = Some(Duration::from_secs(30));
        }
        let pass = house.start();
        house.rounds(2).await;
        match reason {
            Reason::Halted => drop(house.engine.ledger.halt(&house.spec.name, &house.word(), "").await.unwrap()),
            Reason::Paused => drop(house.engine.ledger.pause(&house.spec.name, &house.word()).await.unwrap()),
            Reason::Stopped => house.engine.stop.raise(),
            _ => {}
        }
        let report = house.end(pass).await;
        assert_eq!((report.reason, report.counts.all()), (reason, 0));
    }
}

#[tokio::test]
async fn a_person_may_have_the_signals_not_heeded_and_heeded_again() {
    let house = House::new(&["a", "b"], Work::Batches(1), Fails);
    let pass = house.start();
    house.rounds(2).await;
    assert_eq!(house.job.count(), 0);
    house.set("throttle", "off").await;
    assert_eq!(house.end(pass).await.reason, Reason::Drained);
    assert_eq!(house.job.shares(), [1.0, 1.0]);
}
