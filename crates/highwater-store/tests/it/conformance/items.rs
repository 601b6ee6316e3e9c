//! Items as people list them.

use highwater_engine::ledger::{DonePlace, ItemFilter, ItemOrder, LedgerFault, PAGE_ROWS_MAX};
use highwater_engine::name::{ItemKey, WorklistId};
use highwater_engine::outcome::OutcomeKind::{Deferred, Done, Failed, Gone, Present, Review};

use super::Home;
use super::world::{World, at, entry, fault, keys, numbered, word};

pub(crate) async fn items_are_listed_by_filter_in_both_orders(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b", "c", "d", "e", "f", "g", "h"]).await;
    let outcomes = [(6, Deferred), (5, Review), (4, Failed), (3, Present), (2, Done), (1, Gone)];
    world.record(worklist, outcomes.map(|(position, kind)| entry(position, kind)).to_vec()).await;
    world.ledger.skip_items(&world.job, &keys(["h"]), &word(3, "no")).await.unwrap();
    let list = async |filter: &ItemFilter, order| {
        let items = world.ledger.items(worklist, filter, order, None, PAGE_ROWS_MAX).await.unwrap();
        items.iter().map(|item| item.key.as_str()).collect::<String>()
    };
    let of = |word: &str| ItemFilter::Outcome(word.into());
    let some = ItemFilter::Keys(keys(["g", "nothing", "c", "a", "g"]));
    for (filter, in_list, as_recorded) in [
        (ItemFilter::All, "abcdefgh", "gfedcbh"),
        (ItemFilter::Open, "aeg", "ge"),
        (of("done"), "c", "c"),
        (of("gone"), "b", "b"),
        (of("present"), "d", "d"),
        (of("review"), "f", "f"),
        (of("skipped"), "h", "h"),
        (of("retry"), "eg", "ge"),
        (of("failed"), "", ""),
        (of("no word"), "", ""),
        (some, "acg", "gc"),
    ] {
        assert_eq!(list(&filter, ItemOrder::Position).await, in_list, "{filter:?}");
        assert_eq!(list(&filter, ItemOrder::Recorded).await, as_recorded, "{filter:?}");
    }
    let nowhere = world.ledger.items(WorklistId(99), &ItemFilter::All, ItemOrder::Position, None, 1).await;
    assert_eq!(fault(nowhere), LedgerFault::NotThere);
}

pub(crate) async fn items_are_listed_in_pages_without_gaps(home: &dyn Home) {
    const ITEMS: u64 = 1200;
    let world = World::new(home).await;
    let worklist = world.pin_numbered(ITEMS).await;
    let kinds = [Done, Review, Failed, Deferred];
    // In a stride that meets every position once, so that the two orders differ.
    let entries = (0..ITEMS)
        .filter(|n| !n.is_multiple_of(5))
        .map(|n| entry(n * 7 % ITEMS, kinds[usize::try_from(n % 4).unwrap()]));
    world.record(worklist, entries.collect()).await;
    for filter in
        [ItemFilter::All, ItemFilter::Open, ItemFilter::Outcome("retry".into()), ItemFilter::Outcome("done".into())]
    {
        for order in [ItemOrder::Position, ItemOrder::Recorded] {
            let (mut paged, mut after) = (Vec::new(), None);
            loop {
                let page = world.ledger.items(worklist, &filter, order, after, 100).await.unwrap();
                let Some(last) = page.last() else { break };
                after = match order {
                    ItemOrder::Position => Some(last.position),
                    ItemOrder::Recorded => last.recorded_no,
                };
                paged.extend(page);
            }
            let mut places: Vec<_> = paged
                .iter()
                .map(|item| match order {
                    ItemOrder::Position => item.position,
                    ItemOrder::Recorded => item.recorded_no.unwrap(),
                })
                .collect();
            assert!(places.is_sorted(), "{filter:?} {order:?}");
            places.dedup();
            let takes = |n: &u64| {
                let kind = (!n.is_multiple_of(5)).then(|| kinds[usize::try_from(n % 4).unwrap()]);
                match (&filter, kind) {
                    (ItemFilter::All, kind) => kind.is_some() || order == ItemOrder::Position,
                    (ItemFilter::Open, None) => order == ItemOrder::Position,
                    (ItemFilter::Open, Some(kind)) => !kind.is_terminal(),
                    (ItemFilter::Outcome(word), kind) => kind.is_some_and(|kind| kind.word() == word),
                    (ItemFilter::Keys(_), _) => false,
                }
            };
            assert_eq!(places.len(), (0..ITEMS).filter(takes).count(), "{filter:?} {order:?}");
        }
    }
    let all = world.ledger.items(worklist, &ItemFilter::All, ItemOrder::Position, None, usize::MAX).await.unwrap();
    let expected = numbered(0..PAGE_ROWS_MAX as u64);
    assert_eq!(all.iter().map(|item| item.key.to_string()).collect::<Vec<_>>(), expected);
}

pub(crate) async fn keys_that_share_a_beginning_are_told_apart(home: &dyn Home) {
    let world = World::new(home).await;
    let long = "x".repeat(4095);
    let given = [format!("{long}a"), format!("{long}b"), long, "ü\n☃".to_owned(), " a".to_owned(), "a".to_owned()];
    let worklist = world.pin(given.iter().map(String::as_str)).await;
    for (position, key) in (0..).zip(&given) {
        let found = world.items(worklist, &ItemFilter::Keys(vec![ItemKey::new(key.as_str()).unwrap()])).await;
        assert_eq!(
            found.iter().map(|item| (item.position, item.key.as_str())).collect::<Vec<_>>(),
            [(position, key.as_str())]
        );
    }
}

pub(crate) async fn what_is_done_is_listed_over_all_worklists_in_the_order_of_its_recording(home: &dyn Home) {
    let world = World::new(home).await;
    let list = async |after, rows_max| world.ledger.done_items(&world.job, after, rows_max).await.unwrap();
    let none = list(DonePlace::default(), 10).await;
    assert_eq!((none.items, none.reached, none.end), (vec![], DonePlace::default(), true));
    let first = world.pin(["a", "b", "c", "d"]).await;
    world
        .record(first, [(3, Done), (1, Review), (2, Done), (0, Gone)].map(|(no, kind)| entry(no, kind)).to_vec())
        .await;
    world.ledger.skip_items(&world.job, &keys(["b"]), &word(3, "no")).await.unwrap();
    world.seal(first).await;
    // A round that holds nothing, and one that is not over.
    let empty = world.pin([]).await;
    world.seal(empty).await;
    let last = world.pin(["c", "e", "f"]).await;
    world.record(last, vec![entry(0, Done), entry(2, Done)]).await;
    for rows_max in 1..=5 {
        let (mut after, mut told) = (DonePlace::default(), Vec::new());
        loop {
            let page = list(after, rows_max).await;
            assert!(page.items.len() <= rows_max && page.reached >= after, "{page:?}");
            told.extend(page.items.iter().map(|item| (item.place.worklist, item.key.as_str().to_owned())));
            after = page.reached;
            if page.end {
                break;
            }
        }
        let of = |worklist: WorklistId, key: &str| (worklist.0, key.to_owned());
        assert_eq!(told, [of(first, "d"), of(first, "c"), of(last, "c"), of(last, "f")], "pages of {rows_max}");
        assert_eq!(list(after, rows_max).await.items, [], "nothing is told twice");
        // What is recorded later is behind it.
        assert_eq!(after, DonePlace { worklist: last.0, recorded_no: 2 });
    }
    let one = &list(DonePlace::default(), 1).await.items[0];
    assert_eq!((one.detail.as_deref(), one.recorded_at > at(0)), (Some("done"), true));
    let of_another = DonePlace { worklist: last.0 + 10, recorded_no: 7 };
    let page = list(of_another, 10).await;
    assert_eq!((page.items.len(), page.reached, page.end), (0, DonePlace::default(), false), "it begins anew");
}
