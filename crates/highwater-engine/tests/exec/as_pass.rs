//! A pass is the command.

use std::time::Duration;

use highwater_engine::report::{ExitCode, Reason};
use highwater_testkit::program::wait_until;

use crate::house::{House, LIMIT, runs};

const START: &str = "echo x >> started; ";

#[tokio::test]
async fn exit_0_drains_and_3_is_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::new(dir.path(), &format!("{START} [ -e mended ] || exit 3"));
    let report = house.pass().await;
    assert_eq!((report.reason, report.exit), (Reason::Checkpoint, ExitCode::Checkpoint));
    assert_eq!((report.message.as_str(), report.spent.contacts), ("the command asks to be called again (exit 3)", 1));
    assert_eq!(house.outcomes().await, ["command untried"]);
    std::fs::write(dir.path().join("mended"), "").unwrap();
    assert_eq!((house.pass().await.exit, house.starts()), (ExitCode::Drained, 2));
    assert_eq!((house.pass().await.reason, house.starts()), (Reason::AlreadyDrained, 2));
}

#[tokio::test]
async fn one_that_recurs_runs_again_after_0() {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::new(dir.path(), START);
    house.spec.recurring = true;
    for n in 1..4 {
        assert_eq!((house.pass().await.exit, house.starts()), (ExitCode::Drained, n));
    }
}

#[tokio::test]
async fn r04_any_other_end_halts_until_rearm_and_starts_nothing_meanwhile() {
    for (end, why) in [
        ("echo broken >&2; exit 4", "the command asked for it (exit 4)"),
        ("echo broken >&2; exit 1", "the command failed (exit 1)"),
        ("echo broken >&2; exit 127", "the command failed (exit 127)"),
        ("echo broken >&2; kill -KILL $$", "the command failed (signal 9 (SIGKILL))"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let house = House::new(dir.path(), &format!("{START} [ -e mended ] && exit 0; {end}"));
        for _ in 0..4 {
            assert_eq!((house.pass().await.exit, house.starts()), (ExitCode::Halted, 1), "{end}");
        }
        let halt = house.record().await.halt.expect("halted");
        assert_eq!(halt.why, why);
        assert!(halt.evidence.ends_with("stderr ends with:\nbroken"), "{}", halt.evidence);
        std::fs::write(dir.path().join("mended"), "").unwrap();
        house.rearm().await;
        assert_eq!((house.pass().await.exit, house.starts()), (ExitCode::Drained, 2));
    }
}

#[tokio::test]
async fn r02_a_command_is_not_started_while_banned() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::new(dir.path(), START);
    house.engine.ledger.resource(&house.spec.resources[0].name).await.unwrap();
    house.ban(Duration::from_secs(3600)).await;
    assert_eq!((house.pass().await.reason, house.starts()), (Reason::BannedUntil, 0));
}

#[tokio::test]
async fn the_command_s_group_dies_with_its_timeout_and_the_next_pass_calls_again() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("{START} sh -c 'trap \"\" TERM; echo $$ > stubborn; sleep 600' & wait");
    let mut house = House::new(dir.path(), &script);
    house.settings.timeout = Some(highwater_engine::settings::DurationText::secs(1));
    house.settings.grace = highwater_engine::settings::DurationText::millis(100);
    for n in 1..3 {
        let report = house.pass().await;
        assert_eq!(
            (report.reason, report.exit, house.starts()),
            (Reason::BudgetTime, ExitCode::Checkpoint, n),
            "{report:?}"
        );
        assert!(!runs(&house.read("stubborn")));
    }
}

#[tokio::test]
async fn a_first_signal_lets_the_command_finish_and_a_second_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::new(dir.path(), &format!("{START} until [ -e go ]; do sleep 0.01; done"));
    let signal = async {
        wait_until(LIMIT, "the command", || house.starts() == 1).await.unwrap();
        house.engine.stop.raise();
        std::fs::write(dir.path().join("go"), "").unwrap();
    };
    let (report, ()) = tokio::join!(house.pass(), signal);
    assert_eq!(report.exit, ExitCode::Drained, "it was all there was to do");

    let dir = tempfile::tempdir().unwrap();
    let house = House::new(dir.path(), "echo $$ > pid; sleep 600");
    let signals = async {
        wait_until(LIMIT, "the command", || house.read("pid").ends_with('\n')).await.unwrap();
        house.engine.stop.raise();
        house.engine.stop.raise();
    };
    let (report, ()) = tokio::join!(house.pass(), signals);
    assert_eq!((report.reason, report.exit), (Reason::Stopped, ExitCode::Checkpoint));
    assert!(!runs(&house.read("pid")));
}
