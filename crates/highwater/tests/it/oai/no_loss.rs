//! A harvest cannot lose a record (R7), whatever comes between: a ban of a week, tokens that expire, crashes, a clock that is
//! wrong, a backfill that is always there first. Afterwards the catalogue is what the repository is.

mod killed;
mod month;
mod watermark;
mod world;

use highwater_engine::report::Reason;

use self::world::{DAY, Far, World};

#[tokio::test]
async fn r07_a_ban_of_a_week_in_the_middle_of_a_night_loses_no_change() {
    let world = World::new(Far { a_page: 2, ..Far::default() }).await;
    assert_eq!(world.night().await.reason, Reason::Drained);
    for _ in 0..3 {
        world.day(30);
        assert_eq!(world.night().await.reason, Reason::Drained);
    }
    world.day(30);
    world.far.faults(&["429=7d@verb:ListRecords,3"]);
    banned_for_a_week(&world).await;
}

#[tokio::test]
async fn r07_a_ban_of_a_week_in_the_middle_of_the_first_harvest_loses_no_change() {
    let world = World::new(Far { a_page: 2, ..Far::default() }).await;
    world.far.faults(&["429=7d@verb:ListRecords,9"]);
    banned_for_a_week(&world).await;
}

/// This night is banned for a week, and records change on every day of it.
async fn banned_for_a_week(world: &World) {
    let report = world.night().await;
    assert_eq!(report.reason, Reason::BannedUntil, "{}", report.message);
    let (banned_at, until) = (world.server_now(), report.until.unwrap());
    let mut nights = 0;
    while world.clock_now() + DAY < until {
        world.day(30);
        let report = world.night().await;
        assert_eq!((report.reason, report.spent.contacts), (Reason::BannedUntil, 0), "{}", report.message);
        nights += 1;
    }
    assert_eq!(nights, 6);
    world.day(30);
    world.day(30);
    world.drain(3).await;
    let early = world.far.requests().into_iter().filter(|asked| asked.at > banned_at && asked.at < until);
    assert_eq!(early.count(), 0, "r02: no contact while it stands");
    // What changed while the round ran is the next one's.
    world.is_whole_after_a_calm_night().await;
}

#[tokio::test]
async fn r07_tokens_that_always_expire_after_two_pages_lose_nothing() {
    let world = World::new(Far { a_page: 1, pages_max: Some(2), ..Far::default() }).await;
    world.drain(5).await;
    for _ in 0..5 {
        world.day(60);
        world.drain(5).await;
    }
    let refused = world.repository.expired();
    assert!(refused > 20, "lists of more than two pages never came to their ends: {refused}");
    world.is_whole_after_a_calm_night().await;
}

#[tokio::test]
async fn an_expired_token_costs_its_slice_and_no_other() {
    let world = World::new(Far::default()).await;
    world.night().await;
    let whole = world.far.asked();
    let world = World::new(Far::default()).await;
    world.far.faults(&["expired-token@3"]);
    assert_eq!(world.night().await.reason, Reason::Drained);
    let cost = world.far.asked() - whole;
    assert!((1..=8).contains(&cost), "{cost} contacts more than {whole}, for a slice of at most 7 pages");
    world.is_whole().await;
}

#[tokio::test]
async fn r07_a_list_that_ends_short_of_its_size_is_no_whole_slice() {
    let world = World::new(Far::default()).await;
    world.far.faults(&["short-list@verb:ListRecords,2"]);
    let report = world.night().await;
    assert_eq!((report.reason, report.counts.review), (Reason::Drained, 0), "once: it begins anew");
    world.is_whole().await;

    // Always: halves that fit one page are whole.
    world.day(60);
    world.far.faults(&["short-list"]);
    world.drain(1).await;
    world.is_whole().await;

    // What cannot be halved is never whole, and the watermark waits for it.
    let stood = world.watermark().await.unwrap();
    world.advance(DAY / 2);
    world.repository.import(25);
    let mut last = world.night().await;
    for _ in 0..5 {
        if last.reason != Reason::RetryLeft {
            break;
        }
        last = world.night().await;
    }
    assert_eq!((last.reason, world.watermark().await), (Reason::Halted, Some(stood)), "{}", last.message);
    world.far.faults(&[]);
    world.rearm().await;
    world.drain(3).await;
    world.is_whole_after_a_calm_night().await;
    assert!(world.watermark().await.unwrap() > stood + DAY);
}

#[tokio::test]
async fn a_slice_that_cannot_be_halved_begins_anew_with_every_attempt() {
    let world = World::new(Far { token_life: Some(DAY / 24), ..Far::default() }).await;
    world.drain(1).await;
    world.advance(DAY / 2);
    world.repository.import(25);
    world.far.faults(&["expired-token"]);
    let report = world.night().await;
    assert_eq!((report.reason, report.counts.retry), (Reason::Halted, 1), "one of one: {}", report.message);
    // By now the token has expired that it had when it was given up.
    world.far.faults(&[]);
    world.advance(DAY);
    world.rearm().await;
    world.drain(1).await;
    world.is_whole().await;
}
