//! How a worklist comes to be, and what becomes of it (R6).

use highwater_engine::ledger::{ItemFilter, JobState, LedgerFault, Pin, PinMode};
use highwater_engine::name::{ItemKey, WorklistId};
use highwater_engine::outcome::OutcomeKind::{Done, Failed, Gone};
use highwater_engine::worklist::{Input, NewItem, WorklistState};

use super::Home;
use super::world::{World, a_pin, at, fault, keys, new_items, numbered, word};

pub(crate) async fn r06_a_worklist_is_invisible_until_it_is_pinned(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.begin(PinMode::Begin).await;
    world.append(worklist, ["a", "b"]).await;
    world.append(worklist, ["c"]).await;
    assert!(world.job().await.worklist.is_none());
    assert!(world.open_keys(worklist).await.is_empty());
    assert!(world.items(worklist, &ItemFilter::All).await.is_empty());
    assert!(world.items(worklist, &ItemFilter::Open).await.is_empty());

    let input = Input { source: "ids.txt".into(), sha256: "f11e".into(), sign: "size 6".into() };
    let pin = Pin { input: Some(input.clone()), ..a_pin(PinMode::Begin) };
    let pinned = world.ledger.pin(&world.fence, worklist, &pin, &word(2, "3 items")).await.unwrap();
    assert_eq!((pinned.id, pinned.state, pinned.round), (worklist, WorklistState::Pinned, 1));
    assert_eq!((pinned.begun_at, pinned.pinned_at, pinned.closed_at), (at(1), Some(at(2)), None));
    assert_eq!((pinned.input, pinned.sha256.as_deref()), (Some(input), Some("5ha")));
    assert_eq!((pinned.tally.total, pinned.tally.open()), (3, 3));
    assert_eq!(world.job().await.worklist.unwrap().id, worklist);
    assert_eq!(world.open_keys(worklist).await, ["a", "b", "c"]);
    let first = &world.ledger.open_items(worklist, world.fence.pass, None, 1).await.unwrap()[0];
    assert_eq!((first.position, first.rank, first.attempts, &first.intent), (0, 0, 0, &None));
    assert_eq!(first.payload, b"of a");
}

pub(crate) async fn r06_what_an_unfinished_worklist_left_goes(home: &dyn Home) {
    let mut world = World::new(home).await;
    let crashed = world.begin(PinMode::Begin).await;
    for batch in numbered(0..6000).chunks(1000) {
        world.append(crashed, batch.iter().map(String::as_str)).await;
    }
    world.next_pass().await;
    let worklist = world.begin(PinMode::Begin).await;
    assert_ne!(crashed, worklist);
    world.append(worklist, ["item-000001", "new"]).await;
    let pinned = world.finish(worklist, PinMode::Begin).await;
    assert_eq!((pinned.tally.total, pinned.tally.duplicates, pinned.round), (2, 0, 1));
    assert_eq!(fault(world.ledger.append_items(&world.fence, crashed, &new_items(["x"])).await), LedgerFault::NotThere);
    assert_eq!(world.open_keys(worklist).await, ["item-000001", "new"]);
}

pub(crate) async fn r06_duplicate_keys_collapse_and_are_counted(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.begin(PinMode::Begin).await;
    let first = world.ledger.append_items(&world.fence, worklist, &new_items(["a", "b", "a"])).await.unwrap();
    assert_eq!((first.added, first.duplicates, first.conflicts, first.conflict), (2, 1, 0, None));
    let other = |key: &str| NewItem { key: ItemKey::new(key).unwrap(), payload: b"other".to_vec() };
    let second = [other("c"), other("b"), other("a"), other("c")];
    let second = world.ledger.append_items(&world.fence, worklist, &second).await.unwrap();
    assert_eq!((second.added, second.duplicates, second.conflicts), (1, 3, 2));
    assert_eq!(second.conflict, Some(ItemKey::new("b").unwrap()));
    let pinned = world.finish(worklist, PinMode::Begin).await;
    assert_eq!((pinned.tally.total, pinned.tally.duplicates), (3, 4));
    let items = world.ledger.open_items(worklist, world.fence.pass, None, 10).await.unwrap();
    let payloads: Vec<&[u8]> = items.iter().map(|item| item.payload.as_slice()).collect();
    assert_eq!(payloads, [b"of a".as_slice(), b"of b", b"other"], "the first one given stands");
}

pub(crate) async fn r06_extend_adds_what_is_new_and_keeps_outcomes(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b"]).await;
    world.record_kinds(worklist, &[Done, Failed]).await;
    assert_eq!(world.begin(PinMode::Extend).await, worklist);
    let appended =
        world.ledger.append_items(&world.fence, worklist, &new_items(["a", "c", "b", "d", "c"])).await.unwrap();
    assert_eq!((appended.added, appended.duplicates, appended.conflicts), (2, 3, 0));
    let pinned = world.finish(worklist, PinMode::Extend).await;
    assert_eq!((pinned.id, pinned.round), (worklist, 1));
    assert_eq!((pinned.tally.total, pinned.tally.done, pinned.tally.retry), (4, 1, 1));
    assert_eq!(pinned.tally.duplicates, 1, "only `c` was given twice: the others were pinned before");
    let items = world.items(worklist, &ItemFilter::All).await;
    let outcomes: Vec<_> = items.iter().map(|item| (item.key.as_str(), item.outcome)).collect();
    assert_eq!(outcomes, [("a", Some(Done)), ("b", Some(Failed)), ("c", None), ("d", None)]);
    assert_eq!(world.acts().await, ["pin", "extend"]);
    // What is pinned by now is known to the next extension.
    world.begin(PinMode::Extend).await;
    let again = world.ledger.append_items(&world.fence, worklist, &new_items(["d", "a", "e"])).await.unwrap();
    assert_eq!((again.added, again.duplicates), (1, 2));
}

pub(crate) async fn r06_an_unfinished_extend_is_invisible_and_goes(home: &dyn Home) {
    let mut world = World::new(home).await;
    let worklist = world.pin(["a"]).await;
    world.begin(PinMode::Extend).await;
    for batch in numbered(0..6000).chunks(1000) {
        world.append(worklist, batch.iter().map(String::as_str)).await;
    }
    world.next_pass().await;
    assert_eq!(world.tally().await.total, 1);
    assert_eq!(world.open_keys(worklist).await, ["a"]);
    assert_eq!(world.items(worklist, &ItemFilter::All).await.len(), 1);
    assert!(world.items(worklist, &ItemFilter::Keys(keys(["item-000003"]))).await.is_empty());
    let refused = world.ledger.skip_items(&world.job, &keys(["item-000003"]), &word(3, "")).await;
    assert_eq!(fault(refused), LedgerFault::NotThere);

    world.begin(PinMode::Extend).await;
    let appended = world.ledger.append_items(&world.fence, worklist, &new_items(["item-000003", "a"])).await.unwrap();
    assert_eq!((appended.added, appended.duplicates), (1, 1));
    let pinned = world.finish(worklist, PinMode::Extend).await;
    assert_eq!((pinned.tally.total, pinned.tally.duplicates), (2, 0));
    assert_eq!(world.open_keys(worklist).await, ["a", "item-000003"]);
}

/// The pin writes an index before its one update; a crash between them must not show.
pub(crate) async fn r06_a_crash_between_the_index_and_the_pin_loses_nothing(home: &dyn Home) {
    let mut world = World::new(home).await;
    let worklist = world.pin(["a"]).await;
    world.begin(PinMode::Extend).await;
    world.append(worklist, ["b", "c"]).await;
    // A pin that is refused at its last step has written the index: this worklist is no new one.
    let refused = world.ledger.pin(&world.fence, worklist, &a_pin(PinMode::Begin), &word(2, "")).await;
    assert_eq!(fault(refused), LedgerFault::NotThere);
    world.next_pass().await;
    assert_eq!(world.open_keys(worklist).await, ["a"]);
    world.begin(PinMode::Extend).await;
    world.append(worklist, ["c", "d"]).await;
    assert_eq!(world.finish(worklist, PinMode::Extend).await.tally.total, 3);
    let found = world.items(worklist, &ItemFilter::Keys(keys(["a", "b", "c", "d"]))).await;
    let found: Vec<_> = found.iter().map(|item| (item.position, item.key.as_str())).collect();
    assert_eq!(found, [(0, "a"), (1, "c"), (2, "d")]);
}

pub(crate) async fn another_process_can_go_on_with_a_discovery(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.begin(PinMode::Begin).await;
    world.append(worklist, ["a", "b"]).await;
    let other = home.open().await;
    let appended = other.append_items(&world.fence, worklist, &new_items(["b", "c"])).await.unwrap();
    assert_eq!((appended.added, appended.duplicates), (1, 1));
    let appended = world.ledger.append_items(&world.fence, worklist, &new_items(["c", "a", "d"])).await.unwrap();
    assert_eq!((appended.added, appended.duplicates), (1, 2));
    let third = home.open().await;
    let pinned = third.pin(&world.fence, worklist, &a_pin(PinMode::Begin), &word(2, "")).await.unwrap();
    assert_eq!((pinned.tally.total, pinned.tally.duplicates), (4, 3));
    assert_eq!(world.items(worklist, &ItemFilter::Keys(keys(["a", "b", "c", "d"]))).await.len(), 4);
}

pub(crate) async fn two_jobs_discover_at_once(home: &dyn Home) {
    let books = World::new(home).await;
    let ship = World::of_job(books.ledger.clone(), "ship").await;
    let (one, two) = (books.begin(PinMode::Begin).await, ship.begin(PinMode::Begin).await);
    books.append(one, ["a", "b"]).await;
    ship.append(two, ["b", "c"]).await;
    books.append(one, ["b", "c"]).await;
    assert_eq!(books.finish(one, PinMode::Begin).await.tally.total, 3);
    ship.append(two, ["b", "d"]).await;
    let shipped = ship.finish(two, PinMode::Begin).await;
    assert_eq!((shipped.tally.total, shipped.tally.duplicates), (3, 1));
    assert_eq!(books.open_keys(one).await, ["a", "b", "c"]);
    assert_eq!(ship.open_keys(two).await, ["b", "c", "d"]);
}

pub(crate) async fn replace_supersedes_and_begin_is_refused_beside_an_open_one(home: &dyn Home) {
    let world = World::new(home).await;
    let extend = world.ledger.begin_worklist(&world.fence, &world.job, PinMode::Extend, at(1)).await;
    assert_eq!(fault(extend), LedgerFault::NotThere);
    let old = world.pin(["a", "b"]).await;
    let begin = world.ledger.begin_worklist(&world.fence, &world.job, PinMode::Begin, at(1)).await;
    assert_eq!(fault(begin), LedgerFault::NotThere);
    let new = world.begin(PinMode::Replace).await;
    world.append(new, ["b", "c"]).await;
    assert_eq!(world.job().await.worklist.unwrap().id, old, "until the pin the old one stands");
    assert_eq!(world.finish(new, PinMode::Replace).await.round, 2);
    assert_eq!(world.job().await.worklist.unwrap().id, new);
    assert_eq!(world.open_keys(new).await, ["b", "c"]);
    let outcome = vec![super::world::entry(0, Done)];
    let late = world.ledger.record(&world.fence, old, at(3), 5, outcome).await;
    assert_eq!(fault(late), LedgerFault::NotThere, "nothing is recorded of a superseded worklist");
    assert_eq!(world.acts().await, ["pin", "replace"]);
}

pub(crate) async fn rounds_count_up(home: &dyn Home) {
    let world = World::new(home).await;
    for round in 1..4 {
        let worklist = world.pin(["a"]).await;
        let job = world.job().await;
        assert_eq!((job.state, job.worklist.unwrap().round), (JobState::Active, round));
        world.record_kinds(worklist, &[Gone]).await;
        world.seal(worklist).await;
        assert_eq!(world.job().await.state, JobState::Drained);
    }
}

pub(crate) async fn a_sign_of_the_input_is_noted(home: &dyn Home) {
    let world = World::new(home).await;
    let discovered = world.pin(["a"]).await;
    let refused = world.ledger.set_input_sign(&world.fence, discovered, "new").await;
    assert_eq!(fault(refused), LedgerFault::NotThere, "it has no given input");
    let worklist = world.begin(PinMode::Replace).await;
    world.append(worklist, ["a"]).await;
    let input = Input { source: "ids.txt".into(), sha256: "f11e".into(), sign: "old".into() };
    let pin = Pin { input: Some(input), ..a_pin(PinMode::Replace) };
    world.ledger.pin(&world.fence, worklist, &pin, &word(2, "")).await.unwrap();
    world.ledger.set_input_sign(&world.fence, worklist, "new").await.unwrap();
    assert_eq!(world.job().await.worklist.unwrap().input.unwrap().sign, "new");
    let nowhere = world.ledger.set_input_sign(&world.fence, WorklistId(99), "new").await;
    assert_eq!(fault(nowhere), LedgerFault::NotThere);
}

pub(crate) async fn an_extended_worklist_is_open_again(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a"]).await;
    world.record_kinds(worklist, &[Done]).await;
    world.seal(worklist).await;
    world.begin(PinMode::Extend).await;
    world.append(worklist, ["a", "b"]).await;
    assert_eq!(world.job().await.state, JobState::Drained, "until the pin nothing changes");
    let pinned = world.finish(worklist, PinMode::Extend).await;
    assert_eq!((pinned.state, pinned.closed_at), (WorklistState::Pinned, None));
    assert_eq!(world.job().await.state, JobState::Active);
    assert_eq!(world.open_keys(worklist).await, ["b"]);
}
