//! Whole passes on a scheduler that decides at every point where one task could overtake another which of them runs: what R13 says
//! of the pipeline, in thousands of schedules. `make shuttle` runs it; in other builds there is nothing here.
//!
//! A failure prints the seed of its schedule: `SHUTTLE_RANDOM_SEED=… make shuttle` begins with that one. Items, widths and those who come
//! between are drawn by the same seed.
#![cfg(shuttle)]

extern crate shuttle_tokio as tokio;

mod house;
mod ledger;
mod trace;

use std::sync::Arc;

use highwater_engine::breaker::{BreakerRules, tripped};
use highwater_engine::job::Effects;
use highwater_engine::ledger::LedgerFault;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::{ExitCode, Reason};
use highwater_engine::worklist::{Standing, Tally, settle};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

use house::{Fate, House, Plan, linger, one_of, pass};

/// Schedules of each test with each of the two schedulers, unless HIGHWATER_SHUTTLE_SCHEDULES says otherwise.
const SCHEDULES: usize = 300;
/// Preemptions that a schedule of the second one has at most: few bugs need more.
const PREEMPTIONS_MAX: usize = 3;
/// Steps after which a schedule is held to go on for ever.
const STEPS_MAX: usize = 200_000;
/// The stack of a task, in bytes.
const STACK_BYTES: usize = 1 << 20;
/// Items of a schedule.
const ITEMS: usize = 7;

/// Runs it in many schedules: at random, then with few preemptions at the places where they hurt.
fn in_every_schedule<F: Future<Output = ()>>(test: impl Fn() -> F + Copy + Send + Sync + 'static) {
    let schedules = std::env::var("HIGHWATER_SHUTTLE_SCHEDULES").ok();
    let schedules = schedules.map_or(SCHEDULES, |n| n.parse().expect("HIGHWATER_SHUTTLE_SCHEDULES is a number"));
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        let mut config = Config::new();
        config.stack_size = STACK_BYTES;
        config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
        Runner::new(scheduler, config).run(move || shuttle::future::block_on(test()));
    };
    run(Box::new(RandomScheduler::new_from_seed(1, schedules)));
    run(Box::new(PctScheduler::new_from_seed(1, PREEMPTIONS_MAX, schedules)));
}

const DONE: Fate = Fate::Committed(OutcomeKind::Done);

/// Fates of items that stop nothing.
fn calm() -> Vec<Fate> {
    let mut fates = vec![DONE; 4];
    fates.push(Fate::Committed(OutcomeKind::Failed));
    fates.extend([OutcomeKind::Present, OutcomeKind::Failed, OutcomeKind::Deferred].map(Fate::Judged));
    fates.extend([Fate::Damaged, Fate::OutOfScope]);
    (0..ITEMS).map(|_| one_of(&fates)).collect()
}

/// The same, and one that stops the pass.
fn with_one(fate: Fate) -> Vec<Fate> {
    let mut fates = calm();
    fates[thread_rng().gen_range(0..ITEMS)] = fate;
    fates
}

async fn nobody(_: Arc<House>) {}

/// What a person does to a pass that goes on: other widths, and changes of items that are read anew.
async fn person(house: Arc<House>, concurrency: Option<usize>) {
    for _ in 0..2 {
        wait_a_while().await;
        house.ledger.change_items();
        house.news();
    }
    if let Some(concurrency) = concurrency {
        wait_a_while().await;
        house.ledger.set_concurrency(concurrency);
        house.news();
    }
}

async fn wait_a_while() {
    for _ in 0..thread_rng().gen_range(0..30) {
        linger().await;
    }
}

#[test]
fn r13_items_are_committed_and_recorded_in_plan_order_each_once() {
    in_every_schedule(|| async {
        let later = one_of(&[None, Some(1), Some(2), Some(4)]);
        let plan = Plan { concurrency_later: later, ..Plan::of(calm()) };
        let (report, ended) = pass(plan, |house| person(house, later)).await;
        ended.course().is_whole();
        assert_eq!(report.reason == Reason::Drained, ended.open == 0, "{report:?}");
    });
}

#[test]
fn r13_where_effects_are_in_prepare_recording_alone_is_ordered() {
    in_every_schedule(|| async {
        let kinds = [OutcomeKind::Done, OutcomeKind::Done, OutcomeKind::Failed, OutcomeKind::Deferred];
        let fates = (0..ITEMS).map(|_| Fate::Judged(one_of(&kinds))).collect();
        let later = one_of(&[None, Some(1), Some(4)]);
        let plan = Plan { effects: Effects::InPrepare, concurrency_later: later, ..Plan::of(fates) };
        let (_, ended) = pass(plan, |house| person(house, later)).await;
        ended.course().is_whole();
    });
}

#[test]
fn nothing_behind_an_item_whose_preparation_stops_the_pass_is_committed() {
    in_every_schedule(|| async {
        let effects = one_of(&[Effects::InCommit, Effects::InPrepare]);
        let plan = Plan { effects, ..Plan::of(with_one(Fate::StopsPrepare)) };
        let (report, _) = pass(plan, nobody).await;
        assert_ne!(report.exit, ExitCode::Drained, "{report:?}");
    });
}

#[test]
fn nothing_behind_an_item_whose_commit_stops_the_pass_is_committed() {
    in_every_schedule(|| async {
        let (report, _) = pass(Plan::of(with_one(Fate::StopsCommit)), nobody).await;
        assert_ne!(report.exit, ExitCode::Drained, "{report:?}");
    });
}

#[test]
fn a_signal_ends_the_pass_whenever_it_comes_and_a_second_one_too() {
    in_every_schedule(|| async {
        let raised = one_of(&[1, 2]);
        let effects = one_of(&[Effects::InCommit, Effects::InPrepare]);
        let fates = if effects == Effects::InCommit { calm() } else { vec![Fate::Judged(OutcomeKind::Done); ITEMS] };
        let plan = Plan { effects, ..Plan::of(fates) };
        let (report, ended) = pass(plan, |house| async move {
            for _ in 0..raised {
                wait_a_while().await;
                house.raise();
            }
        })
        .await;
        assert_eq!(report.reason == Reason::Drained, ended.open == 0, "{report:?}");
    });
}

#[test]
fn r16_a_pass_whose_lock_is_lost_commits_at_most_what_was_asked_for_before() {
    in_every_schedule(|| async {
        let (report, ended) = pass(Plan::of(calm()), |house| async move {
            wait_a_while().await;
            house.lose_lock();
        })
        .await;
        assert!(report.exit != ExitCode::Drained || ended.open == 0, "{report:?}");
    });
}

#[test]
fn r16_a_pass_whose_ledger_refuses_records_nothing_more_and_ends() {
    in_every_schedule(|| async {
        let fault = one_of(&[LedgerFault::Fenced, LedgerFault::Full]);
        let (report, ended) = pass(Plan::of(calm()), |house| async move {
            wait_a_while().await;
            house.ledger.refuse(fault);
        })
        .await;
        assert!(report.exit != ExitCode::Drained || ended.open == 0, "{report:?}");
    });
}

/// The first item at which the breaker trips, where outcomes are recorded one by one.
fn trips_at(rules: &BreakerRules, fates: &[Fate]) -> Option<usize> {
    let mut tally = Tally { total: fates.len() as u64, ..Tally::default() };
    fates.iter().position(|fate| {
        let (Fate::Committed(kind) | Fate::Judged(kind)) = fate else { return false };
        settle(&mut Standing::default(), &mut tally, Outcome { kind: *kind, detail: None }, u32::MAX);
        tripped(rules, &tally, false).is_some()
    })
}

#[test]
fn r04_nothing_behind_the_item_that_trips_the_breaker_is_committed() {
    in_every_schedule(|| async {
        let kinds = [DONE, DONE, Fate::Committed(OutcomeKind::Failed), Fate::Judged(OutcomeKind::Failed)];
        let fates: Vec<Fate> = (0..ITEMS).map(|_| one_of(&kinds)).collect();
        let rules = BreakerRules { failed: 0.5, failed_after: 2, ..BreakerRules::default() };
        let trips = trips_at(&rules, &fates);
        // A group is one change: what the first of it comes to is known with the last.
        let plan = Plan { breaker: rules, recorded_items: 1, group_items_max: 1, ..Plan::of(fates) };
        let (report, ended) = pass(plan, nobody).await;
        match trips {
            Some(at) => {
                assert_eq!(report.reason, Reason::Halted, "{report:?}");
                let behind = ended.committed_behind(at as u64);
                assert!(behind.is_empty(), "{behind:?} behind {at}: {:?}", ended.course().did);
            }
            None => ended.course().is_whole(),
        }
    });
}
