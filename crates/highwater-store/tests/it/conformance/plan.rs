//! Open items in plan order (R13).

use highwater_engine::ledger::{LedgerFault, PAGE_ROWS_MAX};
use highwater_engine::name::{PassId, WorklistId};
use highwater_engine::outcome::OutcomeKind::{Deferred, Done, Failed, Review};

use super::Home;
use super::world::{World, entry, fault, numbered};

pub(crate) async fn r13_plan_order_is_rank_then_position(home: &dyn Home) {
    let mut world = World::new(home).await;
    let worklist = world.pin(["a", "b", "c", "d", "e", "f"]).await;
    world.record(worklist, vec![entry(0, Failed), entry(2, Deferred), entry(3, Review), entry(4, Deferred)]).await;
    world.next_pass().await;
    world.record(worklist, vec![entry(0, Deferred)]).await;
    world.next_pass().await;
    let open = world.ledger.open_items(worklist, world.fence.pass, None, 10).await.unwrap();
    let order: Vec<_> = open.iter().map(|item| (item.rank, item.key.as_str(), item.attempts)).collect();
    assert_eq!(order, [(0, "b", 0), (0, "f", 0), (1, "c", 0), (1, "e", 0), (2, "a", 1)]);
}

pub(crate) async fn r13_an_item_is_tried_once_a_pass(home: &dyn Home) {
    let mut world = World::new(home).await;
    let worklist = world.pin(["a", "b", "c"]).await;
    world.record(worklist, vec![entry(0, Failed), entry(1, Done)]).await;
    assert_eq!(world.open_keys(worklist).await, ["c"]);
    world.record(worklist, vec![entry(2, Deferred)]).await;
    assert!(world.open_keys(worklist).await.is_empty());
    world.next_pass().await;
    assert_eq!(world.open_keys(worklist).await, ["a", "c"]);
    let nobody = world.ledger.open_items(worklist, PassId(0), None, 10).await.unwrap();
    assert_eq!(nobody.len(), 2, "a rehearsal has tried nothing");
    let nowhere = world.ledger.open_items(WorklistId(99), PassId(0), None, 10).await;
    assert_eq!(fault(nowhere), LedgerFault::NotThere);
}

pub(crate) async fn open_items_come_in_pages_without_gaps(home: &dyn Home) {
    const ITEMS: u64 = 2500;
    let mut world = World::new(home).await;
    let worklist = world.pin_numbered(ITEMS).await;
    let every_third = (0..ITEMS).step_by(3).map(|position| entry(position, Failed)).collect();
    world.record(worklist, every_third).await;
    world.next_pass().await;
    let first = world.ledger.open_items(worklist, world.fence.pass, None, usize::MAX).await.unwrap();
    assert_eq!(first.len(), PAGE_ROWS_MAX, "no read returns more");
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.ledger.open_items(worklist, world.fence.pass, after, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.rank, last.position));
        seen.extend(page.into_iter().map(|item| item.key.to_string()));
    }
    let (retry, untried): (Vec<_>, Vec<_>) = (0..).zip(numbered(0..ITEMS)).partition(|(position, _)| position % 3 == 0);
    let expected: Vec<String> = untried.into_iter().chain(retry).map(|(_, key)| key).collect();
    assert_eq!(seen, expected);
}
