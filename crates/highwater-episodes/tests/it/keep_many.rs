//! Clearing where more of what was shipped waits than a note can hold: nobody is held up by them, and they go once they may.

use crate::keep::{DAY_SECS, Lab, PROBLEM};
use crate::resume::say;

/// More than the note of what waits holds.
const MANY: usize = 510;
/// Passes that are enough to ask for all of them, at 16 that stay in each.
const PASSES: usize = MANY / 16 + 20;

async fn many(lab: &Lab) {
    for n in 0..MANY {
        lab.host.record(&format!("ep-{n:04}"), "x", None);
    }
    assert_eq!(lab.host.pass().await.counts.done, MANY as u64);
}

#[tokio::test]
async fn those_of_which_a_receiver_cannot_say_what_it_has_hold_up_none_behind_them_however_many() {
    let mut lab = Lab::new().await;
    many(&lab).await;
    lab.ship("good", 100).await;
    lab.clock.jump_secs(11 * DAY_SECS);
    let here = lab.host.settings.receiver.clone();
    lab.meets_but(|head| head.contains("/ep-"), || say(500, PROBLEM)).await;
    for _ in 0..PASSES {
        lab.host.pass().await;
    }
    assert!(!lab.shipped().contains(&"good".to_owned()), "{} are left", lab.shipped().len());
    assert_eq!(lab.shipped().len(), MANY);
    // Also what came while those beyond the note are asked for again.
    lab.host.settings.receiver = here.clone();
    let keep_time = lab.host.settings.keep_time.take();
    lab.ship("new", 100).await;
    lab.host.settings.keep_time = keep_time;
    lab.meets_but(|head| head.contains("/ep-"), || say(500, PROBLEM)).await;
    lab.later(11).await;
    assert!(!lab.shipped().contains(&"new".to_owned()));
    // Once it says so again, all go: a pass removes so many.
    lab.host.settings.receiver = here;
    for _ in 0..MANY / 200 + 2 {
        lab.later(1).await;
    }
    assert_eq!(lab.shipped(), Vec::<String>::new());
}

#[tokio::test]
async fn those_of_a_time_to_come_hold_up_none_behind_them_however_many() {
    const AHEAD_DAYS: i64 = 400;
    let lab = Lab::new().await;
    lab.clock.jump_secs(AHEAD_DAYS * DAY_SECS);
    many(&lab).await;
    lab.clock.jump_secs(-AHEAD_DAYS * DAY_SECS);
    lab.ship("good", 100).await;
    lab.later(11).await;
    lab.later(0).await;
    assert!(!lab.shipped().contains(&"good".to_owned()));
    assert_eq!(lab.shipped().len(), MANY);
    // Once their time is there, they go.
    lab.later(AHEAD_DAYS).await;
    for _ in 0..MANY / 200 + 2 {
        lab.later(1).await;
    }
    assert_eq!(lab.shipped(), Vec::<String>::new());
}

/// What cannot go is no reason for others to: the size is that of what the receiver has.
#[tokio::test]
async fn what_the_receiver_lost_is_not_counted_for_the_size() {
    let mut lab = Lab::new().await;
    lab.host.settings.keep_time = None;
    lab.host.settings.keep_size = Some("2500B".parse().unwrap());
    let stored = |id: &str| lab.rig.path(&format!("episodes/lab/{id}.tar.zst"));
    lab.ship("lost-1", 1_000).await;
    lab.ship("lost-2", 1_000).await;
    for id in ["lost-1", "lost-2"] {
        std::fs::remove_file(stored(id)).unwrap();
    }
    for id in ["a", "b"] {
        lab.ship(id, 1_000).await;
    }
    assert_eq!(lab.shipped(), ["a", "b", "lost-1", "lost-2"]);
    lab.ship("c", 1_000).await;
    assert_eq!(lab.shipped(), ["b", "c", "lost-1", "lost-2"], "the oldest of what the receiver has goes");
    lab.later(2).await;
    assert_eq!(lab.shipped(), ["b", "c", "lost-1", "lost-2"]);
}
