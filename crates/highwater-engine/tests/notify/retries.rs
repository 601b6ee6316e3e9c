//! What could not be told is told later, by any pass in the ledger, and not twice.

use std::time::Duration;

use futures::future::join;
use highwater_engine::contact::Urgency;
use highwater_engine::notify::{LEASE_SECS, NOTICE_AGE_DAYS_MAX};
use highwater_store::Access;
use highwater_testkit::faulty_http::{Answer, FaultyHttp, in_turn};
use highwater_testkit::program::wait_until;

use crate::house::{DAY, HOUR, House, LIMIT, MINUTE, changes, items, notifier, soon, to, webhook};

#[tokio::test]
async fn a_failed_delivery_is_tried_again_after_a_minute_by_the_next_pass_of_any_job() {
    let house = House::new();
    let server = FaultyHttp::start(in_turn([Answer::status(500), Answer::ok("")])).await.unwrap();
    let notifier = notifier(house.dir(), [to(&server.url("/hook"))]);
    let notes = house.pass_and_tell(&items(["done-1"]), &notifier).await;
    let note = "notice 1 (load drained) could not be delivered and is tried again from 2026-11-20T08:01:00Z: \
                http://127.0.0.1/… answered 500 Internal Server Error, expected 2xx";
    assert_eq!(notes, [note]);
    let waiting = house.waiting().await;
    assert_eq!((waiting.len(), waiting[0].attempts), (1, 1));
    house.clock.advance(MINUTE - Duration::from_secs(1));
    house.another_job_tells(&notifier).await;
    assert_eq!(server.requests().len(), 1, "not before its time");
    house.clock.advance(Duration::from_secs(1));
    assert!(house.another_job_tells(&notifier).await.is_empty());
    assert_eq!(server.requests().len(), 2);
    assert!(house.waiting().await.is_empty());
    house.clock.advance(HOUR);
    house.another_job_tells(&notifier).await;
    assert_eq!(server.requests().len(), 2, "what was delivered is not delivered again");
}

#[tokio::test]
async fn a_retry_survives_the_process() {
    let mut house = House::new();
    let server = FaultyHttp::start(in_turn([Answer::status(500), Answer::ok("")])).await.unwrap();
    house.pass_and_tell(&items(["done-1"]), &notifier(house.dir(), [to(&server.url("/hook"))])).await;
    house.engine = house.another_process(Access::ReadWrite);
    house.clock.advance(MINUTE);
    house.another_job_tells(&notifier(house.dir(), [to(&server.url("/hook"))])).await;
    assert_eq!(changes(&server), ["drained", "drained"]);
    assert!(house.waiting().await.is_empty());
}

#[tokio::test]
async fn a_target_that_is_down_is_tried_once_a_round_and_keeps_no_other_waiting() {
    let mut house = House::new();
    house.spec.recurring = true;
    let (down, up) = (FaultyHttp::start(|_| Answer::status(500)).await.unwrap(), webhook().await);
    let notifier = notifier(house.dir(), [to(&down.url("/")), to(&up.url("/"))]);
    for script in [items(["review-1"]), items(["review-2"])] {
        let notes = house.pass_and_tell(&script, &notifier).await;
        assert_eq!(notes.len(), 1, "{notes:?}");
    }
    assert_eq!(changes(&up), ["review", "drained", "review", "drained"]);
    assert_eq!(down.requests().len(), 2, "one a round");
    assert_eq!(house.waiting().await.len(), 4);
}

#[tokio::test]
async fn two_processes_whose_passes_end_together_deliver_once() {
    let house = House::new();
    let server = FaultyHttp::start(|_| Answer::ok("").after(Duration::from_millis(50))).await.unwrap();
    let report = house.pass(&items(["done-1"])).await;
    let other = house.another_process(Access::ReadWrite);
    let [one, two] = [(); 2].map(|()| notifier(house.dir(), [to(&server.url("/hook"))]));
    tokio::join!(one.after_pass(&house.engine, &house.spec, &report), two.after_pass(&other, &house.spec, &report),);
    assert_eq!(changes(&server), ["drained"]);
    assert!(house.waiting().await.is_empty());
}

#[tokio::test]
async fn a_process_killed_while_it_delivers_leaves_the_notice_to_the_next_after_the_lease() {
    let house = House::new();
    let server = FaultyHttp::start(in_turn([Answer::silence(), Answer::ok("")])).await.unwrap();
    let notifier = notifier(house.dir(), [to(&server.url("/hook"))]);
    let report = house.pass(&items(["done-1"])).await;
    let requested = wait_until(LIMIT, "the request", || !server.requests().is_empty());
    tokio::select! {
        _ = notifier.after_pass(&house.engine, &house.spec, &report) => panic!("the server never answers"),
        requested = requested => requested.unwrap(),
    }
    house.clock.advance(Duration::from_secs(LEASE_SECS - 1));
    house.another_job_tells(&notifier).await;
    assert_eq!(server.requests().len(), 1, "it is another's still");
    house.clock.advance(Duration::from_secs(1));
    house.another_job_tells(&notifier).await;
    assert_eq!(server.requests().len(), 2);
    assert!(house.waiting().await.is_empty());
}

#[tokio::test]
async fn a_second_signal_ends_the_round_at_once() {
    let house = House::new();
    let server = FaultyHttp::start(|_| Answer::silence()).await.unwrap();
    let notifier = notifier(house.dir(), [to(&server.url("/hook"))]);
    let script = items(["done-1"]);
    let telling = house.pass_and_tell(&script, &notifier);
    let signalled = async {
        wait_until(LIMIT, "the request", || !server.requests().is_empty()).await.unwrap();
        house.engine.stop.raise();
        assert_eq!(house.engine.stop.urgency(), Urgency::Soon);
        house.engine.stop.raise();
    };
    let (notes, ()) = soon(join(telling, signalled)).await;
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(house.waiting().await.len(), 1);
}

#[tokio::test]
async fn a_notice_is_given_up_after_a_week() {
    let house = House::new();
    let server = FaultyHttp::start(|_| Answer::status(500)).await.unwrap();
    let notifier = notifier(house.dir(), [to(&server.url("/hook"))]);
    house.pass_and_tell(&items(["done-1"]), &notifier).await;
    house.clock.advance(DAY * u32::try_from(NOTICE_AGE_DAYS_MAX).unwrap() - MINUTE);
    house.another_job_tells(&notifier).await;
    assert_eq!(house.waiting().await.len(), 1);
    house.clock.advance(HOUR);
    let notes = house.another_job_tells(&notifier).await;
    assert_eq!(notes.len(), 1);
    assert!(notes[0].starts_with("notice 1 (load drained) is given up after 7 days: "), "{notes:?}");
    assert!(house.waiting().await.is_empty());
}

#[tokio::test]
async fn a_notice_to_an_entry_that_is_no_more_says_so() {
    let house = House::new();
    let server = FaultyHttp::start(|_| Answer::status(500)).await.unwrap();
    let url = server.url("/hook");
    house.pass_and_tell(&items(["done-1"]), &notifier(house.dir(), [to(&url), to(&url)])).await;
    house.clock.advance(MINUTE);
    let notes = house.another_job_tells(&notifier(house.dir(), [to(&url)])).await;
    assert_eq!(notes.len(), 2);
    assert!(notes[1].ends_with("this config has no `[[notify]]` number 2"), "{notes:?}");
}
