//! Intents, outcomes and figures; the fence (R16); sealing (R3).

use highwater_engine::ledger::{
    Entry, GROUP_ENTRIES_MAX, Intent, ItemFilter, ItemOrder, JobState, LedgerFault, PinMode,
};
use highwater_engine::name::{ResourceName, WorklistId};
use highwater_engine::outcome::Outcome;
use highwater_engine::outcome::OutcomeKind::{Deferred, Done, Failed, Gone, Present, Review, Skipped};
use highwater_engine::worklist::{Tally, WorklistState};

use super::Home;
use super::world::{ATTEMPTS_MAX, World, a_pin, at, entry, fault, keys, new_items, word};

pub(crate) async fn outcomes_are_recorded_in_order_with_the_figures(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b", "c", "d", "e", "f", "g"]).await;
    assert_eq!(world.job().await.last_drained_at, None);
    let recorded = world.record(worklist, vec![entry(4, Deferred), entry(3, Failed)]).await;
    assert_eq!(recorded.kinds, [Deferred, Failed]);
    assert_eq!(world.job().await.last_drained_at, None, "a retry drains nothing");
    let recorded =
        world.record(worklist, vec![entry(2, Present), entry(0, Done), entry(1, Gone), entry(5, Review)]).await;
    assert_eq!(recorded.kinds, [Present, Done, Gone, Review]);
    let expected = Tally {
        total: 7,
        done: 1,
        gone: 1,
        present: 1,
        review: 1,
        retry: 2,
        judged: 5,
        failed: 2,
        judged_gone: 1,
        recorded: 6,
        ..Tally::default()
    };
    assert_eq!(recorded.tally, expected);
    assert_eq!(world.tally().await, expected);
    assert_eq!(world.job().await.last_drained_at, Some(at(3)));

    let items = world.ledger.items(worklist, &ItemFilter::All, ItemOrder::Recorded, None, 10).await.unwrap();
    let order: Vec<_> = items.iter().map(|item| (item.recorded_no.unwrap(), item.key.as_str())).collect();
    assert_eq!(order, [(1, "e"), (2, "d"), (3, "c"), (4, "a"), (5, "b"), (6, "f")]);
    let first = &items[0];
    assert_eq!((first.outcome, first.attempts, first.deferrals), (Some(Deferred), 0, 1));
    assert_eq!((first.recorded_at, first.pass), (Some(at(3)), Some(world.fence.pass)));
    assert_eq!(items[1].detail.as_deref(), Some("retry"));
}

pub(crate) async fn a_group_is_whole_or_nothing(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b"]).await;
    let before = world.tally().await;
    let intent = Entry::Intent { position: 1, intent: Intent::Started };
    let entries = vec![entry(0, Done), intent, entry(2, Done)];
    let refused = world.ledger.record(&world.fence, worklist, at(3), ATTEMPTS_MAX, entries).await;
    assert_eq!(fault(refused), LedgerFault::NotThere);
    assert_eq!(world.tally().await, before);
    assert_eq!(world.open_keys(worklist).await, ["a", "b"]);
    let open = world.ledger.open_items(worklist, world.fence.pass, None, 10).await.unwrap();
    assert!(open.iter().all(|item| item.intent.is_none()));
    let too_many = vec![entry(0, Done); GROUP_ENTRIES_MAX + 1];
    let refused = world.ledger.record(&world.fence, worklist, at(3), ATTEMPTS_MAX, too_many).await;
    assert_eq!(fault(refused), LedgerFault::Other);
    assert_eq!(world.tally().await, before);
    let nowhere = world.ledger.record(&world.fence, WorklistId(99), at(3), ATTEMPTS_MAX, vec![entry(0, Done)]).await;
    assert_eq!(fault(nowhere), LedgerFault::NotThere);
}

pub(crate) async fn an_intent_stays_until_its_outcome_or_its_withdrawal(home: &dyn Home) {
    let mut world = World::new(home).await;
    let worklist = world.pin(["a", "b", "c", "d", "e"]).await;
    let judged = Intent::Judged(Outcome::because(Review, "no title"));
    let intents = [Intent::Started, Intent::Prepared(None), Intent::Prepared(Some(vec![0, 159, 146, 150])), judged];
    let entries = (0..).zip(&intents).map(|(position, i)| Entry::Intent { position, intent: i.clone() });
    world.record(worklist, entries.collect()).await;
    // As after a crash: another pass, another process.
    world.next_pass().await;
    let left = async || {
        let open = home.open().await.open_items(worklist, world.fence.pass, None, 10).await.unwrap();
        open.into_iter().map(|item| item.intent).collect::<Vec<_>>()
    };
    let mut expected: Vec<Option<Intent>> = intents.into_iter().map(Some).chain([None]).collect();
    assert_eq!(left().await, expected);
    let replaced = Entry::Intent { position: 0, intent: Intent::Prepared(Some(Vec::new())) };
    world.record(worklist, vec![replaced, Entry::Withdraw { position: 1 }, entry(2, Failed), entry(3, Done)]).await;
    (expected[0], expected[1]) = (Some(Intent::Prepared(Some(Vec::new()))), None);
    world.next_pass().await;
    let left = home.open().await.open_items(worklist, world.fence.pass, None, 10).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|item| (item.key.to_string(), item.intent)).collect();
    let of = |key: &str, intent| (key.to_owned(), intent);
    assert_eq!(left, [of("a", expected[0].clone()), of("b", None), of("e", None), of("c", None)]);
}

pub(crate) async fn of_an_item_s_entries_in_a_group_the_last_stands(home: &dyn Home) {
    let mut world = World::new(home).await;
    let worklist = world.pin(["a", "b", "c", "d"]).await;
    let intent = |position, intent| Entry::Intent { position, intent };
    let group = vec![
        intent(0, Intent::Started),
        entry(0, Failed),
        intent(1, Intent::Started),
        intent(1, Intent::Prepared(None)),
        entry(2, Failed),
        intent(2, Intent::Started),
        intent(3, Intent::Started),
        Entry::Withdraw { position: 3 },
    ];
    world.record(worklist, group).await;
    world.next_pass().await;
    let open = world.ledger.open_items(worklist, world.fence.pass, None, 10).await.unwrap();
    let left: Vec<_> = open.into_iter().map(|item| (item.key.to_string(), item.intent)).collect();
    let of = |key: &str, intent| (key.to_owned(), intent);
    let expected =
        [of("b", Some(Intent::Prepared(None))), of("d", None), of("a", None), of("c", Some(Intent::Started))];
    assert_eq!(left, expected);
}

pub(crate) async fn retries_end_in_review(home: &dyn Home) {
    let mut world = World::new(home).await;
    let worklist = world.pin(["a", "b"]).await;
    for attempt in 1..ATTEMPTS_MAX {
        let recorded = world.record(worklist, vec![entry(0, Failed)]).await;
        assert_eq!((recorded.kinds[0], recorded.tally.retry), (Failed, 1));
        world.next_pass().await;
        assert_eq!(world.items(worklist, &ItemFilter::All).await[0].attempts, attempt);
    }
    let recorded = world.record(worklist, vec![entry(0, Failed), entry(1, Done)]).await;
    assert_eq!(recorded.kinds, [Review, Done]);
    assert_eq!((recorded.tally.review, recorded.tally.retry, recorded.tally.open()), (1, 0, 0));
    let item = &world.items(worklist, &ItemFilter::Outcome("review".into())).await[0];
    assert_eq!((item.attempts, item.detail.as_deref()), (ATTEMPTS_MAX, Some("5 attempts, the last: retry")));
}

pub(crate) async fn a_skipped_item_in_hand_is_done_if_it_succeeds_and_stays_skipped_if_not(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b"]).await;
    let started = (0..2).map(|position| Entry::Intent { position, intent: Intent::Started }).collect();
    world.record(worklist, started).await;
    world.ledger.skip_items(&world.job, &keys(["a", "b"]), &word(3, "not wanted")).await.unwrap();
    let recorded = world.record(worklist, vec![entry(0, Done), entry(1, Failed)]).await;
    assert_eq!(recorded.kinds, [Done, Skipped]);
    assert_eq!((recorded.tally.done, recorded.tally.skipped, recorded.tally.open()), (1, 1, 0));
    let items = world.items(worklist, &ItemFilter::All).await;
    assert_eq!((items[1].outcome, items[1].detail.as_deref()), (Some(Skipped), Some("not wanted")));
}

pub(crate) async fn r16_a_pass_that_lost_its_lock_writes_nothing(home: &dyn Home) {
    let mut world = World::new(home).await;
    let worklist = world.pin(["a"]).await;
    let begun = world.begin(PinMode::Replace).await;
    let stale = world.fence.clone();
    world.next_pass().await;
    let (ledger, job) = (&world.ledger, &world.job);
    let record = ledger.record(&stale, worklist, at(3), ATTEMPTS_MAX, vec![entry(0, Done)]).await;
    let error = record.unwrap_err();
    assert_eq!(error.fault, LedgerFault::Fenced);
    for named in ["job:books", "epoch 1", "at 2", &format!("pass {}", stale.pass)] {
        assert!(error.message.contains(named), "{}: expected {named}", error.message);
    }
    assert_eq!(fault(ledger.begin_worklist(&stale, job, PinMode::Replace, at(3)).await), LedgerFault::Fenced);
    assert_eq!(fault(ledger.append_items(&stale, begun, &new_items(["b"])).await), LedgerFault::Fenced);
    assert_eq!(fault(ledger.pin(&stale, begun, &a_pin(PinMode::Replace), &word(3, "")).await), LedgerFault::Fenced);
    assert_eq!(fault(ledger.set_input_sign(&stale, worklist, "s").await), LedgerFault::Fenced);
    assert_eq!(fault(ledger.seal_drained(&stale, worklist, &[], &word(3, "")).await), LedgerFault::Fenced);
    assert_eq!(fault(ledger.stamp_watermark(&stale, job, "w", at(3)).await), LedgerFault::Fenced);
    assert_eq!(ledger.watermark(job, "w").await.unwrap(), None);
    assert_eq!(world.open_keys(worklist).await, ["a"]);
    // One lost resource of several is enough, and so is one that nobody ever held.
    let mut half = world.fence.clone();
    half.epochs.push((ResourceName::new("other").unwrap(), half.epochs[0].1));
    let refused = ledger.record(&half, worklist, at(3), ATTEMPTS_MAX, vec![entry(0, Done)]).await;
    assert_eq!(fault(refused), LedgerFault::Fenced);
    // Bans, events and overrides are not fenced.
    ledger.extend_ban(&world.resource, at(9), &word(3, "429")).await.unwrap();
    ledger.halt(job, &word(3, "look"), "").await.unwrap();
    world.record(worklist, vec![entry(0, Done)]).await;
}

pub(crate) async fn r03_only_a_worklist_without_open_items_is_sealed(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.begin(PinMode::Begin).await;
    let seal = async || world.ledger.seal_drained(&world.fence, worklist, &[], &word(4, "sealed")).await;
    assert_eq!(fault(seal().await), LedgerFault::NotThere, "it is not pinned");
    world.append(worklist, ["a", "b"]).await;
    world.finish(worklist, PinMode::Begin).await;
    world.record_kinds(worklist, &[Done]).await;
    assert_eq!(fault(seal().await), LedgerFault::NotThere, "one is untried");
    world.record(worklist, vec![entry(1, Failed)]).await;
    assert_eq!(fault(seal().await), LedgerFault::NotThere, "one is to be tried again");
    assert_eq!(world.job().await.state, JobState::Active);
    world.record(worklist, vec![entry(1, Review)]).await;
    seal().await.unwrap();
    assert_eq!(world.job().await.state, JobState::Drained);
}

pub(crate) async fn sealing_stamps_watermarks_and_drains_the_job(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a"]).await;
    world.record_kinds(worklist, &[Done]).await;
    world.ledger.stamp_watermark(&world.fence, &world.job, "until", at(10)).await.unwrap();
    assert_eq!(world.ledger.watermark(&world.job, "until").await.unwrap(), Some(at(10)));
    let watermarks = [("until".to_owned(), at(20)), ("other".to_owned(), at(30))];
    for _ in 0..2 {
        world.ledger.seal_drained(&world.fence, worklist, &watermarks, &word(4, "all done")).await.unwrap();
    }
    assert_eq!(world.ledger.watermark(&world.job, "until").await.unwrap(), Some(at(20)));
    assert_eq!(world.ledger.watermark(&world.job, "other").await.unwrap(), Some(at(30)));
    assert_eq!(world.ledger.watermark(&world.job, "none").await.unwrap(), None);
    let record = world.job().await.worklist.unwrap();
    assert_eq!((record.state, record.closed_at), (WorklistState::Drained, Some(at(4))));
    assert_eq!(world.acts().await, ["pin", "drained"], "sealed twice, drained once");
}
