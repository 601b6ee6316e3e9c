//! Which changes people are told of, and that each is told once.

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::breaker::BreakerRules;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::Stop;
use highwater_engine::ledger::{Begin, Entry, Fence, ItemFilter, PinMode, Who};
use highwater_engine::name::ItemKey;
use highwater_engine::notify::Notifier;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::pass::{Mode, Runner as _};
use highwater_engine::report::Reason;
use highwater_engine::settings::NotifyEvent;
use highwater_store::Access;
use highwater_testkit::faulty_http::FaultyHttp;
use serde_json::json;

use crate::house::{DAY, HOUR, House, MINUTE, Script, changes, items, notifier, only, stops, to, told, webhook};

fn halts(why: &str) -> Script {
    stops(Stop::Halt { why: why.to_owned(), evidence: "the end of stderr".to_owned(), until: None })
}

fn fails(message: &str) -> Script {
    stops(Diagnosis::failure("HW-TST-001", message, "mend it"))
}

fn held() -> Script {
    stops(Stop::checkpoint(Reason::LockHeld, "the lock is held"))
}

async fn told_by<const N: usize>(house: &House, events: [NotifyEvent; N]) -> (FaultyHttp, Notifier) {
    let server = webhook().await;
    let notifier = notifier(house.dir(), [only(events, to(&server.url("/hook")))]);
    (server, notifier)
}

#[tokio::test]
async fn a_halt_is_told_once_and_another_one_again() {
    let house = House::new();
    let (server, notifier) = told_by(&house, NotifyEvent::ALL).await;
    for _ in 0..4 {
        assert!(house.pass_and_tell(&halts("too many failed"), &notifier).await.is_empty());
        house.clock.advance(MINUTE);
    }
    let expected = json!({
        "job": "load",
        "change": "halted",
        "message": "halted by pass 1: too many failed",
        "next": "look with `highwater status load`, mend the cause, then `highwater rearm load --why …`",
        "at": "2026-11-20T08:00:00Z",
        "host": "a",
        "pass": 1,
        "reason": "halted",
        "exit": 4,
        "counts": {"done": 0, "gone": 0, "present": 0, "review": 0, "retry": 0},
        "worklist": null,
    });
    assert_eq!(told(&server), [expected]);
    house.rearm().await;
    house.pass_and_tell(&halts("too many failed"), &notifier).await;
    assert_eq!(changes(&server), ["halted", "halted"]);
}

#[tokio::test]
async fn the_evidence_of_a_halt_stays_in_the_ledger() {
    let house = House::new();
    let (server, notifier) = told_by(&house, NotifyEvent::ALL).await;
    house.pass_and_tell(&halts("too many failed"), &notifier).await;
    let body = String::from_utf8(server.requests()[0].body.to_vec()).unwrap();
    assert!(!body.contains("the end of stderr"), "{body}");
}

#[tokio::test]
async fn drained_is_told_once_and_again_when_retry_opened_it() {
    let house = House::new();
    let (server, notifier) = told_by(&house, [NotifyEvent::Drained]).await;
    let script = items(["done-1", "done-2", "review-1"]);
    for _ in 0..3 {
        house.pass_and_tell(&script, &notifier).await;
        house.clock.advance(MINUTE);
    }
    assert_eq!(changes(&server), ["drained"]);
    let message = &told(&server)[0];
    assert_eq!(message["message"], "3 items drained: 2 done, 1 to review");
    assert_eq!(message["worklist"]["total"], 3);
    assert_eq!((&message["exit"], &message["reason"]), (&json!(0), &json!("drained")));
    let key = ItemFilter::Keys(vec![ItemKey::new("done-1").unwrap()]);
    house.engine.ledger.retry_items(&house.spec.name, &key, &house.word("again")).await.unwrap();
    house.pass_and_tell(&script, &notifier).await;
    assert_eq!(changes(&server), ["drained", "drained"]);
}

#[tokio::test]
async fn each_round_of_a_recurring_job_is_told_but_for_empty_ones() {
    let mut house = House::new();
    house.spec.recurring = true;
    let (server, notifier) = told_by(&house, [NotifyEvent::Drained]).await;
    for script in [items(["done-1"]), items([]), items(["done-2"]), items([])] {
        house.pass_and_tell(&script, &notifier).await;
        house.clock.advance(HOUR);
    }
    let totals: Vec<_> = told(&server).iter().map(|message| message["worklist"]["total"].clone()).collect();
    assert_eq!(totals, [1, 1]);
}

#[tokio::test]
async fn new_review_items_are_told_when_there_are_more_and_not_when_there_are_fewer() {
    let house = House::new();
    let (server, notifier) = told_by(&house, [NotifyEvent::Review]).await;
    // `retry-1` goes to review by its second attempt.
    let script = items(["review-1", "review-2", "retry-1", "done-1"]);
    house.pass_and_tell(&script, &notifier).await;
    house.pass_and_tell(&held(), &notifier).await;
    assert_eq!(changes(&server), ["review"]);
    house.pass_and_tell(&script, &notifier).await;
    let skipped = [ItemKey::new("review-1").unwrap()];
    house.engine.ledger.skip_items(&house.spec.name, &skipped, &house.word("of no use")).await.unwrap();
    house.pass_and_tell(&script, &notifier).await;
    let messages: Vec<_> = told(&server).iter().map(|message| message["message"].clone()).collect();
    assert_eq!(messages, ["2 new items to review, 2 in all", "1 new item to review, 3 in all"]);
}

#[tokio::test]
async fn what_a_killed_pass_put_to_review_is_told_by_the_next() {
    let house = House::new();
    let (server, notifier) = told_by(&house, [NotifyEvent::Review]).await;
    let script = items(["retry-1", "done-1"]);
    house.pass_and_tell(&script, &notifier).await;
    let ledger = &house.engine.ledger;
    let begin = Begin {
        job: house.spec.name.clone(),
        at: house.engine.clock.now(),
        host: "a".to_owned(),
        pid: 8,
        who: Who("alice@a".to_owned()),
        budget_items: None,
    };
    let fence = Fence { pass: ledger.begin_pass(&begin).await.unwrap(), epochs: Vec::new() };
    let worklist = ledger.job(&house.spec.name).await.unwrap().unwrap().worklist.unwrap();
    let open = ledger.open_items(worklist.id, fence.pass, None, 1).await.unwrap();
    let outcome = Outcome::plain(OutcomeKind::Review);
    let entry = Entry::Outcome { position: open[0].position, outcome };
    ledger.record(&fence, worklist.id, begin.at, 2, vec![entry]).await.unwrap();
    // It is killed here.
    assert!(changes(&server).is_empty());
    house.pass_and_tell(&script, &notifier).await;
    assert_eq!(changes(&server), ["review"]);
    assert_eq!(told(&server)[0]["message"], "1 new item to review, 1 in all");
}

#[tokio::test]
async fn a_failure_is_told_once_until_a_pass_gets_on() {
    let house = House::new();
    let (server, notifier) = told_by(&house, [NotifyEvent::Failed]).await;
    // A pass that never came so far says nothing of the failure.
    for script in [fails("no disk"), fails("no disk"), held(), fails("no disk")] {
        house.pass_and_tell(&script, &notifier).await;
    }
    assert_eq!(changes(&server), ["failed"]);
    let message = &told(&server)[0];
    assert_eq!(message["message"], "HW-TST-001: no disk");
    assert_eq!((&message["next"], &message["exit"]), (&json!("mend it"), &json!(1)));
    house.pass_and_tell(&fails("no memory"), &notifier).await;
    assert_eq!(changes(&server).len(), 2, "another failure is news");
    house.pass_and_tell(&items(["retry-1", "done-1"]), &notifier).await;
    house.pass_and_tell(&fails("no memory"), &notifier).await;
    assert_eq!(changes(&server).len(), 3, "the same failure after a pass that got on is news");
}

#[tokio::test]
async fn a_pass_that_drained_something_got_on_although_it_halted() {
    let mut house = House::new();
    house.spec.breaker = BreakerRules::default();
    let (server, notifier) = told_by(&house, [NotifyEvent::Failed, NotifyEvent::Halted]).await;
    house.pass_and_tell(&fails("no disk"), &notifier).await;
    house.pass_and_tell(&items(["review-1", "review-2", "done-1"]), &notifier).await;
    house.rearm().await;
    house.pass_and_tell(&fails("no disk"), &notifier).await;
    assert_eq!(changes(&server), ["failed", "halted", "failed"]);
}

#[tokio::test]
async fn a_refusal_is_told_as_a_failure() {
    let house = House::new();
    let (server, notifier) = told_by(&house, NotifyEvent::ALL).await;
    let refused = stops(Diagnosis::refusal("HW-TST-002", "the list changed", "replace it"));
    house.pass_and_tell(&refused, &notifier).await;
    assert_eq!(changes(&server), ["failed"]);
    assert_eq!(told(&server)[0]["exit"], 2);
}

#[tokio::test]
async fn silence_is_told_once_by_any_pass_and_an_item_ends_it() {
    let mut house = House::new();
    house.spec.silent_after = Some(DAY);
    house.spec.recurring = true;
    let (server, notifier) = told_by(&house, [NotifyEvent::Silent]).await;
    house.pass_and_tell(&items(["done-1"]), &notifier).await;
    let waits = [Duration::from_secs(86_399), Duration::from_secs(1), DAY, DAY];
    let mut counts = Vec::new();
    for wait in waits {
        house.clock.advance(wait);
        house.pass_and_tell(&held(), &notifier).await;
        counts.push(changes(&server).len());
    }
    assert_eq!(counts, [0, 1, 1, 1]);
    let message = &told(&server)[0];
    let text = "nothing was drained for 1 day, since 2026-11-20T08:00:00Z; the last pass: the lock is held";
    assert_eq!(message["message"], text);
    house.pass_and_tell(&items(["done-2"]), &notifier).await;
    house.clock.advance(DAY);
    house.pass_and_tell(&items([]), &notifier).await;
    assert_eq!(changes(&server).len(), 2, "an empty round drains nothing");
}

#[tokio::test]
async fn a_job_that_never_drained_anything_is_silent_from_its_first_pass() {
    let mut house = House::new();
    house.spec.silent_after = Some(DAY);
    let (server, notifier) = told_by(&house, [NotifyEvent::Silent]).await;
    for _ in 0..5 {
        house.pass_and_tell(&held(), &notifier).await;
        house.clock.advance(DAY / 2);
    }
    assert_eq!(changes(&server), ["silent"]);
}

#[tokio::test]
async fn a_finite_job_that_is_drained_is_never_silent() {
    let mut house = House::new();
    house.spec.silent_after = Some(DAY);
    let (server, notifier) = told_by(&house, [NotifyEvent::Silent]).await;
    for _ in 0..3 {
        house.pass_and_tell(&items(["done-1"]), &notifier).await;
        house.clock.advance(DAY * 2);
    }
    assert!(changes(&server).is_empty());
}

#[tokio::test]
async fn a_new_list_of_a_finite_job_starts_its_silence_afresh() {
    let mut house = House::new();
    house.spec.silent_after = Some(DAY);
    let (server, notifier) = told_by(&house, [NotifyEvent::Silent]).await;
    house.pass_and_tell(&items(["done-1"]), &notifier).await;
    house.clock.advance(DAY * 10);
    let list = Arc::new(items(["done-2"]));
    list.run(&house.engine, &house.spec, Mode::Pin(PinMode::Replace)).await;
    house.pass_and_tell(&held(), &notifier).await;
    assert!(changes(&server).is_empty());
    house.clock.advance(DAY);
    house.pass_and_tell(&held(), &notifier).await;
    assert_eq!(changes(&server), ["silent"]);
}

#[tokio::test]
async fn targets_are_told_of_what_they_asked_for() {
    let house = House::new();
    let (halted, drained) = (webhook().await, webhook().await);
    let halted_only = only([NotifyEvent::Halted], to(&halted.url("/")));
    let drained_only = only([NotifyEvent::Drained], to(&drained.url("/")));
    let notifier = notifier(house.dir(), [halted_only, drained_only]);
    house.pass_and_tell(&halts("stop"), &notifier).await;
    house.rearm().await;
    house.pass_and_tell(&items(["done-1", "review-1"]), &notifier).await;
    assert_eq!((changes(&halted), changes(&drained)), (vec!["halted".to_owned()], vec!["drained".to_owned()]));
}

#[tokio::test]
async fn a_target_that_comes_later_is_not_told_of_old_changes() {
    let house = House::new();
    house.pass_and_tell(&items(["done-1"]), &Notifier::default()).await;
    let (server, notifier) = told_by(&house, NotifyEvent::ALL).await;
    house.pass_and_tell(&items(["done-1"]), &notifier).await;
    assert!(changes(&server).is_empty());
}

#[tokio::test]
async fn a_failure_is_told_even_when_the_ledger_cannot_remember_it() {
    let mut house = House::new();
    let (server, notifier) = told_by(&house, NotifyEvent::ALL).await;
    let report = house.pass(&fails("the disk is full")).await;
    house.engine = house.another_process(Access::ReadOnly);
    for _ in 0..2 {
        let notes = notifier.after_pass(&house.engine, &house.spec, &report).await;
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].starts_with("what this pass changed could not be queued for notice: "), "{notes:?}");
    }
    assert_eq!(changes(&server), ["failed", "failed"]);
}
