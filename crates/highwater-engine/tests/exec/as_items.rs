//! An item is the command.

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::exec::settings::OnUnknown;
use highwater_engine::ledger::ItemOrder;
use highwater_engine::lock::FileLock;
use highwater_engine::name::ResourceName;
use highwater_engine::report::{ExitCode, Reason};
use highwater_testkit::program::wait_until;

use crate::house::{House, LIMIT, runs};

const START: &str = "echo $1 >> started; ";

#[tokio::test]
async fn every_code_has_its_outcome_and_a_rerun_does_only_what_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("{START} [ -e mended ] && exit 0; echo no >&2; exit ${{1#code-}}");
    let house = House::with_list(dir.path(), &script, &["code-0", "code-3", "code-5", "code-10", "code-11", "code-12"]);
    let report = house.pass().await;
    assert_eq!((report.reason, report.exit), (Reason::RetryLeft, ExitCode::Checkpoint));
    let outcomes = house.outcomes().await;
    assert_eq!(
        outcomes,
        [
            "code-0 done",
            "code-3 retry exit 3: no",
            "code-5 retry exit 5: no",
            "code-10 gone",
            "code-11 review exit 11: no",
            "code-12 present"
        ]
    );
    let counted: Vec<_> = house.items(ItemOrder::Position).await.iter().map(|i| (i.attempts, i.deferrals)).collect();
    assert_eq!(counted[1..3], [(0, 1), (1, 0)], "3 is put off, 5 failed");
    std::fs::write(dir.path().join("mended"), "").unwrap();
    assert_eq!(house.pass().await.exit, ExitCode::Drained);
    assert_eq!(house.starts(), 8);
    assert_eq!(house.pass().await.reason, Reason::AlreadyDrained);
    assert_eq!(house.starts(), 8, "a drained list starts nothing");
}

#[tokio::test]
async fn r13_outcomes_are_recorded_in_the_list_s_order_whatever_ends_first() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<String> = (0..40).map(|n| format!("{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    // The first of each four is the slowest.
    let house = House::with_list(dir.path(), "[ $(($1 % 4)) = 0 ] && sleep 0.05; exit 0", &keys);
    assert_eq!(house.pass().await.exit, ExitCode::Drained);
    let recorded: Vec<_> = house.items(ItemOrder::Recorded).await.iter().map(|item| item.position).collect();
    assert_eq!(recorded, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn r04_a_command_that_asks_for_a_halt_gets_it_and_its_item_stays_untried() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("{START} [ -e mended ] && exit 0; [ $1 = b ] && echo 'row 7' >&2 && exit 4; exit 0");
    let mut house = House::with_list(dir.path(), &script, &["a", "b", "c"]);
    house.spec.concurrency = 1;
    assert_eq!(house.pass().await.exit, ExitCode::Halted);
    assert_eq!(house.outcomes().await, ["a done", "b untried", "c untried"]);
    let halt = house.record().await.halt.expect("halted");
    assert_eq!(halt.why, "the command asked for it (exit 4)");
    assert_eq!(halt.evidence, "item b: exit 4, stderr ends with:\nrow 7");
    assert_eq!((house.pass().await.exit, house.starts()), (ExitCode::Halted, 2));
    std::fs::write(dir.path().join("mended"), "").unwrap();
    house.rearm().await;
    assert_eq!((house.pass().await.exit, house.starts()), (ExitCode::Drained, 4));
}

#[tokio::test]
async fn a_missing_program_halts_at_the_first_item() {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::with_list(dir.path(), "", &["a", "b"]);
    house.settings.command.program = "./none".to_owned();
    house.spec.concurrency = 1;
    assert_eq!(house.pass().await.exit, ExitCode::Halted);
    assert_eq!(house.outcomes().await, ["a untried", "b untried"]);
}

#[tokio::test]
async fn r02_a_ban_that_comes_while_commands_run_lets_no_other_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut house =
        House::with_list(dir.path(), &format!("{START} until [ -e go ]; do sleep 0.01; done"), &["a", "b", "c"]);
    house.spec.concurrency = 1;
    let ban = async {
        wait_until(LIMIT, "the first command", || house.starts() == 1).await.unwrap();
        house.ban(Duration::from_secs(3600)).await;
        std::fs::write(dir.path().join("go"), "").unwrap();
    };
    let (report, ()) = tokio::join!(house.pass(), ban);
    assert_eq!((report.reason, house.starts()), (Reason::BannedUntil, 1));
    assert_eq!(house.outcomes().await, ["a done", "b untried", "c untried"]);
}

#[tokio::test]
async fn r02_every_run_takes_leave_of_each_resource() {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::with_list(dir.path(), START, &["a", "b", "c"]);
    let mut second = house.spec.resources[0].clone();
    second.name = ResourceName::new("second").unwrap();
    second.lock = Arc::new(FileLock::new(dir.path().join("second.lock"), true));
    house.spec.resources.push(second);
    let report = house.pass().await;
    assert_eq!((report.exit, report.spent.contacts), (ExitCode::Drained, 6));
}

#[tokio::test]
async fn a_pass_whose_time_is_spent_kills_what_runs_and_leaves_it_untried() {
    let dir = tempfile::tempdir().unwrap();
    let script =
        format!("{START} [ -e mended ] && exit 0; sh -c 'trap \"\" TERM; echo $$ > stubborn; sleep 600' & wait");
    let mut house = House::with_list(dir.path(), &script, &["a"]);
    house.settings.grace = highwater_engine::settings::DurationText::millis(100);
    house.spec.budget.time = Some(Duration::from_secs(2));
    let report = house.pass().await;
    assert_eq!((report.reason, report.exit), (Reason::BudgetTime, ExitCode::Checkpoint));
    assert!(!runs(&house.read("stubborn")), "its whole group is gone");
    assert_eq!(house.outcomes().await, ["a untried"]);
    std::fs::write(dir.path().join("mended"), "").unwrap();
    house.spec.budget.time = None;
    assert_eq!(house.pass().await.exit, ExitCode::Drained);
}

#[tokio::test]
async fn a_pace_that_outlasts_the_pass_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::with_list(dir.path(), START, &["a", "b"]);
    house.spec.resources[0].pace.delay = Duration::from_secs(3600);
    house.spec.budget.time = Some(Duration::from_secs(2));
    assert_eq!((house.pass().await.reason, house.starts()), (Reason::BudgetTime, 1));
}

#[tokio::test]
async fn a_second_signal_kills_what_runs_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let script = "sh -c 'trap \"\" TERM; echo $$ > stubborn; sleep 600' & wait";
    let house = House::with_list(dir.path(), script, &["a"]);
    let signals = async {
        wait_until(LIMIT, "the command", || house.read("stubborn").ends_with('\n')).await.unwrap();
        house.engine.stop.raise();
        house.engine.stop.raise();
    };
    let (report, ()) = tokio::join!(house.pass(), signals);
    assert_eq!((report.reason, report.exit), (Reason::Stopped, ExitCode::Checkpoint));
    wait_until(LIMIT, "its end", || !runs(&house.read("stubborn"))).await.unwrap();
    assert_eq!(house.outcomes().await, ["a untried"]);
}

#[tokio::test]
async fn a_command_we_killed_goes_to_review_where_it_may_not_run_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::with_list(dir.path(), "sleep 600", &["a"]);
    house.settings.on_unknown = OnUnknown::Review;
    house.spec.budget.time = Some(Duration::from_secs(2));
    assert_eq!(house.pass().await.exit, ExitCode::Drained);
    assert!(house.outcomes().await[0].starts_with("a review the pass's time was spent while the command ran"));
}

#[tokio::test]
async fn r01_what_a_command_left_running_does_not_hold_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::with_list(dir.path(), "sleep 600 & echo $! >> daemons", &["a"]);
    house.spec.recurring = true;
    assert_eq!(house.pass().await.exit, ExitCode::Drained);
    assert_eq!(house.pass().await.exit, ExitCode::Drained, "not lock_held");
    for daemon in house.read("daemons").lines() {
        assert!(runs(daemon));
        assert!(std::process::Command::new("kill").arg(daemon).status().unwrap().success());
    }
}

#[tokio::test]
async fn r06_a_list_that_changed_under_its_pin_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path(), &format!("{START} exit 3"), &["a", "b"]);
    assert_eq!(house.pass().await.reason, Reason::RetryLeft);
    std::fs::write(dir.path().join("ids.txt"), "a\nb\nc\n").unwrap();
    let report = house.pass().await;
    assert_eq!((report.exit, house.starts()), (ExitCode::Refused, 2));
    assert_eq!(report.diagnosis.expect("a diagnosis").code, "HW-WRK-001");
}

#[tokio::test]
async fn r15_a_list_with_a_bad_line_starts_nothing_and_pins_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path(), START, &["a", "b\0", "c"]);
    let report = house.pass().await;
    let diagnosis = report.diagnosis.expect("a diagnosis");
    assert_eq!((report.exit, diagnosis.code, diagnosis.line), (ExitCode::Refused, "HW-WRK-014", Some(2)));
    assert_eq!((house.starts(), house.record().await.worklist), (0, None));
    assert!(house.events().await.is_empty());
}
