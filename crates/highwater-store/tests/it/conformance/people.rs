//! `retry` and `skip`.

use highwater_engine::ledger::{ItemFilter, JobState, LedgerFault};
use highwater_engine::outcome::OutcomeKind::{Deferred, Done, Failed, Gone, Present, Review, Skipped};
use highwater_engine::worklist::WorklistState;

use super::Home;
use super::world::{World, entry, fault, job_name, keys, word};

pub(crate) async fn retry_puts_items_back_to_untried_and_opens_the_job(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b", "c"]).await;
    world.record_kinds(worklist, &[Review, Done, Gone]).await;
    world.seal(worklist).await;
    let retried =
        world.ledger.retry_items(&world.job, &ItemFilter::Keys(keys(["b", "a", "b"])), &word(5, "mended")).await;
    assert_eq!(retried.unwrap(), 2);
    let job = world.job().await;
    let record = job.worklist.unwrap();
    assert_eq!((job.state, record.state, record.closed_at), (JobState::Active, WorklistState::Pinned, None));
    assert_eq!((record.tally.open(), record.tally.gone, record.tally.judged), (2, 1, 1));
    let open = world.ledger.open_items(worklist, world.fence.pass, None, 10).await.unwrap();
    let open: Vec<_> = open.iter().map(|item| (item.key.as_str(), item.rank, item.attempts)).collect();
    assert_eq!(open, [("a", 0, 0), ("b", 0, 0)], "also to the pass that tried them");
    let item = &world.items(worklist, &ItemFilter::All).await[0];
    assert_eq!((item.outcome, item.detail.as_deref(), item.recorded_no, item.pass), (None, None, None, None));
    world.record_kinds(worklist, &[Done, Done]).await;
    world.seal(worklist).await;
    assert_eq!(world.acts().await, ["pin", "drained", "retry", "drained"]);
}

pub(crate) async fn retry_by_outcome_takes_every_page(home: &dyn Home) {
    const ITEMS: u64 = 2300;
    let world = World::new(home).await;
    let worklist = world.pin_numbered(ITEMS).await;
    let kinds = |position| if position % 2 == 0 { Review } else { Failed };
    world.record(worklist, (0..ITEMS).map(|position| entry(position, kinds(position))).collect()).await;
    let retried = world.ledger.retry_items(&world.job, &ItemFilter::Outcome("review".into()), &word(5, "mended")).await;
    assert_eq!(retried.unwrap(), ITEMS / 2);
    let tally = world.tally().await;
    assert_eq!((tally.review, tally.retry, tally.open()), (0, ITEMS / 2, ITEMS));
    let retried = world.ledger.retry_items(&world.job, &ItemFilter::Outcome("retry".into()), &word(6, "mended")).await;
    assert_eq!(retried.unwrap(), ITEMS / 2);
    let tally = world.tally().await;
    assert_eq!((tally.retry, tally.judged, tally.failed, tally.open()), (0, 0, 0, ITEMS));
}

pub(crate) async fn retry_of_unknown_keys_changes_nothing(home: &dyn Home) {
    let world = World::new(home).await;
    let nobody = world.ledger.retry_items(&job_name("nobody"), &ItemFilter::All, &word(1, "")).await;
    assert_eq!(fault(nobody), LedgerFault::NotThere);
    let nothing = world.ledger.retry_items(&world.job, &ItemFilter::All, &word(1, "")).await;
    assert_eq!(fault(nothing), LedgerFault::NotThere, "it has no worklist");
    let worklist = world.pin(["a", "b"]).await;
    world.record_kinds(worklist, &[Review, Review]).await;
    let before = world.tally().await;
    let refused = world.ledger.retry_items(&world.job, &ItemFilter::Keys(keys(["a", "x", "y"])), &word(5, "")).await;
    let error = refused.unwrap_err();
    assert_eq!(error.fault, LedgerFault::NotThere);
    assert!(error.message.contains("x, y"), "{}", error.message);
    assert_eq!(world.tally().await, before);
    assert_eq!(world.acts().await, ["pin"]);
}

pub(crate) async fn retry_of_untried_items_changes_nothing(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b"]).await;
    assert_eq!(world.ledger.retry_items(&world.job, &ItemFilter::All, &word(5, "")).await.unwrap(), 0);
    assert_eq!(world.open_keys(worklist).await, ["a", "b"]);
    assert_eq!(world.acts().await, ["pin"]);
}

pub(crate) async fn skip_takes_what_has_no_success(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b", "c", "d", "e", "f", "g"]).await;
    world.record_kinds(worklist, &[Done, Gone, Present, Review, Failed, Deferred]).await;
    let all = keys(["a", "b", "c", "d", "e", "f", "g"]);
    assert_eq!(world.ledger.skip_items(&world.job, &all, &word(5, "not wanted")).await.unwrap(), 4);
    let items = world.items(worklist, &ItemFilter::All).await;
    let outcomes: Vec<_> = items.iter().map(|item| item.outcome.unwrap()).collect();
    assert_eq!(outcomes, [Done, Gone, Present, Skipped, Skipped, Skipped, Skipped]);
    assert_eq!((items[3].attempts, items[5].deferrals, items[3].pass), (1, 1, None));
    assert_eq!(items[6].detail.as_deref(), Some("not wanted"));
    let tally = world.tally().await;
    assert_eq!((tally.skipped, tally.review, tally.retry, tally.open(), tally.recorded), (4, 0, 0, 0, 10));
    assert!(world.open_keys(worklist).await.is_empty());
    assert_eq!(world.ledger.skip_items(&world.job, &all, &word(6, "again")).await.unwrap(), 0);
    assert_eq!(world.acts().await, ["pin", "skip"]);
    assert_eq!(
        world.ledger.retry_items(&world.job, &ItemFilter::Keys(keys(["d"])), &word(7, "after all")).await.unwrap(),
        1
    );
    assert_eq!(world.open_keys(worklist).await, ["d"]);
}

pub(crate) async fn skip_of_unknown_keys_changes_nothing(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a"]).await;
    let refused = world.ledger.skip_items(&world.job, &keys(["a", "x"]), &word(5, "")).await;
    assert_eq!(fault(refused), LedgerFault::NotThere);
    assert_eq!(world.open_keys(worklist).await, ["a"]);
    assert_eq!(world.acts().await, ["pin"]);
}

pub(crate) async fn skip_takes_a_review_out_of_the_breaker_s_count(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b"]).await;
    world.record_kinds(worklist, &[Review, Done]).await;
    world.ledger.skip_items(&world.job, &keys(["a"]), &word(5, "known")).await.unwrap();
    let tally = world.tally().await;
    assert_eq!((tally.judged, tally.failed, tally.done, tally.skipped), (1, 0, 1, 1));
}
