//! A pass that is slowed: by its pace where it makes contacts, before each item where it makes none.

use highwater_engine::report::Reason;

use crate::house::Says::{Fails, Number};
use crate::house::{House, Work};

const ITEMS: [&str; 4] = ["a", "b", "c", "d"];

#[tokio::test]
async fn r17_items_without_contacts_are_slowed_while_a_signal_fails() {
    let house = House::new(&ITEMS, Work::Nothing, Fails);
    assert_eq!(house.end(house.start()).await.reason, Reason::Drained, "slowed, and not ended");
    let gaps = house.job.gaps();
    // Work that takes no time counts as a tenth of a second, of which the smallest share makes 3.2.
    assert!(gaps.iter().all(|gap| *gap >= 3.0), "{gaps:?}");
}

#[tokio::test]
async fn items_go_at_full_speed_beside_a_healthy_signal() {
    let house = House::new(&ITEMS, Work::Nothing, Number(1.0));
    assert_eq!(house.end_at_once(house.start()).await.reason, Reason::Drained);
    assert_eq!((house.job.gaps(), house.signal.asked()), (vec![0.0; 3], 1), "it was asked before the first item");
}

#[tokio::test]
async fn r17_contacts_are_stretched_while_a_signal_fails_and_go_on_when_it_is_back() {
    let mut house = House::new(&ITEMS, Work::Contact, Fails).pace(10);
    house.spec.throttle.wait = std::time::Duration::from_secs(3_600);
    let pass = house.start();
    house.until("two contacts", || house.job.count() == 2).await;
    let gap = house.job.gaps()[0];
    assert!((319.0..350.0).contains(&gap), "32 times 10 s, and not slowed a second time before the item: {gap}");
    house.signal.say(Number(0.0));
    assert_eq!(house.end(pass).await.reason, Reason::Drained);
    let gaps = house.job.gaps();
    assert!(gaps[1] < 100.0 && gaps[2] < 100.0, "whoever waits goes on at once: {gaps:?}");
}

#[tokio::test]
async fn over_the_limit_contacts_are_slower_with_each_reading_and_faster_again_below_it() {
    let mut house = House::new(&ITEMS, Work::Contact, Number(12.0)).pace(10);
    house.spec.throttle.wait = std::time::Duration::from_secs(3_600);
    let pass = house.start();
    house.until("two contacts", || house.job.count() == 2).await;
    assert!(house.job.gaps()[0] > 160.0, "{:?}", house.job.gaps());
    house.signal.say(Number(3.0));
    assert_eq!(house.end(pass).await.reason, Reason::Drained);
    let gaps = house.job.gaps();
    assert!(gaps[1] < 150.0 && gaps[2] < 100.0, "{gaps:?}");
}
