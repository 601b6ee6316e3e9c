//! Rows of passes.

use highwater_engine::ledger::{End, LedgerFault, Who};
use highwater_engine::name::PassId;
use highwater_engine::outcome::OutcomeKind::{Deferred, Done, Failed, Gone, Present, Review};
use highwater_engine::report::{ExitCode, PassCounts, Reason, Spent, StageTimes};
use highwater_engine::throttle::{SignalState, ThrottleState};

use super::Home;
use super::world::{World, an_end, at, fault, job_name};

pub(crate) async fn a_pass_has_a_row_from_its_begin_to_its_end(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b", "c", "d", "e", "f"]).await;
    let running = world.job().await.last_pass.unwrap();
    assert_eq!((running.id, running.begun_at, running.ended_at), (world.fence.pass, at(0), None));
    assert_eq!((running.host.as_str(), running.pid, running.who), ("desk", 42, Who("cron".into())));
    assert_eq!(running.budget_items, Some(500));
    assert_eq!((running.reason, running.exit, running.message), (None, None, None));

    world.record_kinds(worklist, &[Done, Gone]).await;
    world.record_kinds(worklist, &[Done, Gone, Present, Review, Failed, Deferred]).await;
    let live = world.job().await.last_pass.unwrap().counts;
    assert_eq!(live, PassCounts { done: 2, gone: 2, present: 1, review: 1, retry: 2 });

    let end = End {
        at: at(9),
        reason: Reason::BannedUntil,
        exit: ExitCode::Checkpoint,
        message: "banned".into(),
        counts: PassCounts { done: 1, gone: 2, present: 3, review: 4, retry: 5 },
        spent: Spent { items: 6, contacts: 7, bytes: 8 },
        times: StageTimes { lock_us: 9, plan_us: 10, prepare_us: 11, commit_us: 12, seal_us: 13 },
    };
    world.ledger.end_pass(world.fence.pass, &end).await.unwrap();
    let ended = world.job().await.last_pass.unwrap();
    assert_eq!((ended.ended_at, ended.reason, ended.exit), (Some(at(9)), Some(end.reason), Some(end.exit)));
    assert_eq!((ended.message.as_deref(), ended.counts), (Some("banned"), end.counts));
    assert_eq!((ended.spent, ended.times), (end.spent, end.times));
    assert_eq!(fault(world.ledger.end_pass(PassId(99), &end).await), LedgerFault::NotThere);
}

pub(crate) async fn a_pass_keeps_what_its_throttle_came_to(home: &dyn Home) {
    let world = World::new(home).await;
    assert_eq!(world.job().await.last_pass.unwrap().throttle, None);
    let signal = |name: &str, value, error: Option<&str>| SignalState {
        name: name.into(),
        limit: 5.0,
        value,
        error: error.map(str::to_owned),
    };
    let mut throttle = ThrottleState {
        at: at(3),
        share: 0.25,
        closed_since: Some(at(2)),
        signals: vec![signal("lag", Some(7.5), None), signal("load", None, Some("no answer"))],
    };
    world.ledger.note_throttle(world.fence.pass, &throttle).await.unwrap();
    assert_eq!(world.job().await.last_pass.unwrap().throttle, Some(throttle.clone()));
    (throttle.closed_since, throttle.share) = (None, 1.0);
    world.ledger.note_throttle(world.fence.pass, &throttle).await.unwrap();
    world.ledger.end_pass(world.fence.pass, &an_end(4)).await.unwrap();
    assert_eq!(world.ledger.passes(&world.job, 1).await.unwrap()[0].throttle, Some(throttle));
}

pub(crate) async fn passes_are_listed_newest_first(home: &dyn Home) {
    let mut world = World::new(home).await;
    World::of_job(world.ledger.clone(), "ship").await;
    let mut passes = vec![world.fence.pass];
    for _ in 0..3 {
        passes.insert(0, world.next_pass().await);
    }
    let listed = world.ledger.passes(&world.job, 3).await.unwrap();
    assert_eq!(listed.iter().map(|pass| pass.id).collect::<Vec<_>>(), passes[..3]);
    assert!(world.ledger.passes(&job_name("nobody"), 3).await.unwrap().is_empty());
}

pub(crate) async fn a_killed_pass_is_reported_once(home: &dyn Home) {
    let mut world = World::new(home).await;
    let killed = world.fence.pass;
    let ended = world.next_pass().await;
    world.ledger.end_pass(ended, &an_end(2)).await.unwrap();
    let now = world.next_pass().await;
    let unended = world.ledger.passes_unended(&world.job, now).await.unwrap();
    assert_eq!(unended.iter().map(|pass| pass.id).collect::<Vec<_>>(), [killed]);
    world.ledger.close_unended(&world.job, now, at(7)).await.unwrap();
    assert!(world.ledger.passes_unended(&world.job, now).await.unwrap().is_empty());
    let rows = world.ledger.passes(&world.job, 10).await.unwrap();
    assert_eq!(rows[0].ended_at, None, "the pass that runs is not closed");
    assert_eq!((rows[1].id, rows[1].reason), (ended, Some(Reason::Drained)));
    assert_eq!((rows[2].ended_at, rows[2].reason, rows[2].exit), (Some(at(7)), None, None));
    assert!(rows[2].message.as_deref().unwrap().contains("killed"));
}
