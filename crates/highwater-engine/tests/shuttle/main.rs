//! Whole passes on a scheduler that decides at every point where one task could overtake another which of them runs: what R13 says
//! of the pipeline, in thousands of schedules. `make shuttle` runs it; in other builds there is nothing here.
//!
//! A failure prints its schedule: put into a file that SHUTTLE_TRACE_FILE names, it is the one that the test named with it runs. Items,
//! widths and those who come between are drawn by the same seed. HIGHWATER_SHUTTLE_SCHEDULES asks for more of them, or fewer.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used)]

extern crate shuttle_tokio as tokio;

mod house;
mod ledger;
mod trace;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use highwater_engine::breaker::{BreakerRules, tripped};
use highwater_engine::job::Effects;
use highwater_engine::ledger::LedgerFault;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::{ExitCode, Reason};
use highwater_engine::worklist::{Standing, Tally, settle};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

use house::{Fate, House, Plan, linger, one_of, pass};

/// What the schedules are drawn from, unless SHUTTLE_RANDOM_SEED says otherwise.
const SEED: u64 = 1;
/// Schedules of each test with each of the two schedulers, unless HIGHWATER_SHUTTLE_SCHEDULES says otherwise.
const SCHEDULES: usize = 2000;
/// Preemptions that a schedule of the second one has at most: few bugs need more.
const PREEMPTIONS_MAX: usize = 3;
/// Steps after which a schedule is held to go on for ever.
const STEPS_MAX: usize = 200_000;
/// The stack of a task, in bytes.
const STACK_BYTES: usize = 1 << 20;
/// Items of a schedule.
const ITEMS: usize = 7;

/// Runs it in many schedules: at random, then with few preemptions at the places where they hurt. Each says why its pass ended, and
/// among all of them are these: else nothing was shown.
fn in_every_schedule<F: Future<Output = Reason>>(
    among: &[Reason],
    test: impl Fn() -> F + Copy + Send + Sync + 'static,
) {
    let asked = std::env::var("HIGHWATER_SHUTTLE_SCHEDULES").ok();
    let asked: Option<usize> = asked.map(|n| n.parse().expect("HIGHWATER_SHUTTLE_SCHEDULES is a number"));
    let schedules = asked.unwrap_or(SCHEDULES);
    let seen: Arc<Mutex<BTreeMap<&'static str, usize>>> = Arc::default();
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        let mut config = Config::new();
        config.stack_size = STACK_BYTES;
        config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
        let seen = Arc::clone(&seen);
        Runner::new(scheduler, config).run(move || {
            let reason = shuttle::future::block_on(test());
            *seen.lock().unwrap().entry(reason.word()).or_default() += 1;
        });
    };
    if let Ok(file) = std::env::var("SHUTTLE_TRACE_FILE") {
        run(Box::new(ReplayScheduler::new_from_file(file).expect("SHUTTLE_TRACE_FILE is a schedule")));
        return;
    }
    run(Box::new(RandomScheduler::new_from_seed(SEED, schedules)));
    run(Box::new(PctScheduler::new_from_seed(SEED, PREEMPTIONS_MAX, schedules)));
    let seen = seen.lock().unwrap();
    println!("{seen:?}");
    let missing = among.iter().find(|reason| !seen.contains_key(reason.word()));
    assert!(missing.is_none() || asked.is_some(), "no pass ended with {missing:?}: {seen:?}");
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

/// What a person does to a pass that goes on: changes of items that are read anew, and other widths, which are soon taken back.
async fn person(house: Arc<House>, widths: Vec<usize>) {
    for _ in 0..2 {
        wait_a_while().await;
        house.ledger.change_items();
        house.news();
    }
    wait_a_while().await;
    for width in widths {
        house.ledger.set_concurrency(width);
        house.news();
        linger().await;
    }
}

async fn wait_a_while() {
    for _ in 0..thread_rng().gen_range(0..30) {
        linger().await;
    }
}

#[test]
fn r13_items_are_committed_and_recorded_in_plan_order_each_once() {
    in_every_schedule(&[Reason::Drained, Reason::RetryLeft, Reason::Checkpoint], || async {
        let later = one_of(&[None, Some(1), Some(2), Some(4)]);
        let plan = Plan { concurrency_later: later, ..Plan::of(calm()) };
        let widths = plan.widths();
        let (report, ended) = pass(plan, |house| person(house, widths)).await;
        ended.course().is_whole();
        assert_eq!(report.reason == Reason::Drained, ended.open == 0, "{report:?}");
        report.reason
    });
}

#[test]
fn r13_where_effects_are_in_prepare_recording_alone_is_ordered() {
    in_every_schedule(&[Reason::Drained, Reason::RetryLeft], || async {
        let kinds = [OutcomeKind::Done, OutcomeKind::Done, OutcomeKind::Failed, OutcomeKind::Deferred];
        let fates = (0..ITEMS).map(|_| Fate::Judged(one_of(&kinds))).collect();
        let later = one_of(&[None, Some(1), Some(4)]);
        let plan = Plan { effects: Effects::InPrepare, concurrency_later: later, ..Plan::of(fates) };
        let widths = plan.widths();
        let (report, ended) = pass(plan, |house| person(house, widths)).await;
        ended.course().is_whole();
        report.reason
    });
}

#[test]
fn nothing_behind_an_item_whose_preparation_stops_the_pass_is_committed() {
    in_every_schedule(&[Reason::Network, Reason::Halted, Reason::Failed], || async {
        let effects = one_of(&[Effects::InCommit, Effects::InPrepare]);
        let plan = Plan { effects, ..Plan::of(with_one(Fate::StopsPrepare)) };
        let (report, _) = pass(plan, nobody).await;
        assert_ne!(report.exit, ExitCode::Drained, "{report:?}");
        report.reason
    });
}

#[test]
fn nothing_behind_an_item_whose_commit_stops_the_pass_is_committed() {
    in_every_schedule(&[Reason::Network, Reason::Halted, Reason::Failed], || async {
        let (report, _) = pass(Plan::of(with_one(Fate::StopsCommit)), nobody).await;
        assert_ne!(report.exit, ExitCode::Drained, "{report:?}");
        report.reason
    });
}

#[test]
fn a_signal_ends_the_pass_whenever_it_comes_and_a_second_one_too() {
    in_every_schedule(&[Reason::Stopped, Reason::Drained, Reason::RetryLeft], || async {
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
        report.reason
    });
}

#[test]
fn r16_a_pass_whose_lock_is_lost_commits_at_most_what_was_asked_for_before() {
    in_every_schedule(&[Reason::LockLost, Reason::RetryLeft], || async {
        let (report, ended) = pass(Plan::of(calm()), |house| async move {
            wait_a_while().await;
            house.lose_lock();
        })
        .await;
        assert!(report.exit != ExitCode::Drained || ended.open == 0, "{report:?}");
        report.reason
    });
}

#[test]
fn r16_a_pass_whose_ledger_refuses_records_nothing_more_and_ends() {
    in_every_schedule(&[Reason::LockLost, Reason::Failed, Reason::RetryLeft], || async {
        let fault = one_of(&[LedgerFault::Fenced, LedgerFault::Full]);
        let (report, ended) = pass(Plan::of(calm()), |house| async move {
            wait_a_while().await;
            house.ledger.refuse(fault);
        })
        .await;
        assert!(report.exit != ExitCode::Drained || ended.open == 0, "{report:?}");
        report.reason
    });
}

/// The first item at which the breaker trips, where outcomes are recorded one by one.
fn trips_at(rules: &BreakerRules, fates: &[Fate]) -> Option<usize> {
    let mut tally = Tally { total: fates.len() as u64, ..Tally::default() };
    fates.iter().position(|fate| {
        let (Fate::Committed(kind) | Fate::Judged(kind)) = fate else { return false };
        settle(&mut Standing::default(), &mut tally, Outcome::plain(*kind), u32::MAX);
        tripped(rules, &tally, false).is_some()
    })
}

#[test]
fn r04_nothing_behind_the_item_that_trips_the_breaker_is_committed() {
    in_every_schedule(&[Reason::Halted, Reason::RetryLeft, Reason::Drained], || async {
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
        report.reason
    });
}
