//! Retention.

use highwater_engine::ledger::{ItemFilter, LedgerFault, PinMode};
use highwater_engine::outcome::OutcomeKind::{Done, Review};

use super::Home;
use super::world::{World, an_end, at, entry, fault, word};

const ALL: usize = 100_000;

pub(crate) async fn prune_forgets_what_is_old_and_keeps_what_is_open(home: &dyn Home) {
    let mut world = World::new(home).await;
    let drained = world.pin(["a", "b"]).await;
    world.record_kinds(drained, &[Done, Review]).await;
    world.seal(drained).await;
    let superseded = world.pin(["c"]).await;
    let open = world.begin(PinMode::Replace).await;
    world.append(open, ["d", "e"]).await;
    world.finish(open, PinMode::Replace).await;
    world.record_kinds(open, &[Done]).await;
    let first = world.fence.pass;
    world.ledger.end_pass(first, &an_end(5)).await.unwrap();
    let last = world.next_pass().await;
    let events = world.acts().await;

    assert_eq!(world.ledger.prune(at(0), ALL).await.unwrap(), 0, "nothing is that old");
    assert!(world.ledger.prune(at(1000), ALL).await.unwrap() > 0);
    while world.ledger.prune(at(1000), ALL).await.unwrap() > 0 {}
    for forgotten in [drained, superseded] {
        assert!(world.items(forgotten, &ItemFilter::All).await.is_empty());
        assert!(world.items(forgotten, &ItemFilter::Outcome("review".into())).await.is_empty());
    }
    assert_eq!(world.items(open, &ItemFilter::All).await.len(), 2);
    assert_eq!(world.open_keys(open).await, ["e"]);
    let passes = world.ledger.passes(&world.job, 10).await.unwrap();
    assert_eq!(passes.iter().map(|pass| pass.id).collect::<Vec<_>>(), [last], "the newest stays");
    assert_eq!(world.acts().await, events);
    assert!(last > first);
}

pub(crate) async fn prune_is_bounded(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin_numbered(30).await;
    world.record(worklist, (0..30).map(|position| entry(position, Done)).collect()).await;
    world.seal(worklist).await;
    let mut calls = 0;
    loop {
        let gone = world.ledger.prune(at(1000), 7).await.unwrap();
        assert!(gone <= 7, "{gone} rows went at once");
        if gone == 0 {
            break;
        }
        calls += 1;
    }
    assert!(calls > 30 / 7);
    assert!(world.items(worklist, &ItemFilter::All).await.is_empty());
    assert_eq!(world.tally().await.done, 30, "its figures stay");
}

pub(crate) async fn a_worklist_whose_items_were_forgotten_is_not_opened_again(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b"]).await;
    world.record_kinds(worklist, &[Done, Review]).await;
    world.seal(worklist).await;
    world.ledger.prune(at(1000), 1).await.unwrap();
    let retry = world.ledger.retry_items(&world.job, &ItemFilter::Outcome("review".into()), &word(9, "")).await;
    assert_eq!(fault(retry), LedgerFault::NotThere);
    let extend = world.ledger.begin_worklist(&world.fence, &world.job, PinMode::Extend, at(9)).await;
    assert_eq!(fault(extend), LedgerFault::NotThere);
    let replaced = world.begin(PinMode::Replace).await;
    world.append(replaced, ["b"]).await;
    world.finish(replaced, PinMode::Replace).await;
    assert_eq!(world.open_keys(replaced).await, ["b"]);
}
