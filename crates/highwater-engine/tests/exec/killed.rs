//! What `kill -9` of a pass leaves behind. The pass to be killed runs in a process of its own: this test program, called
//! again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_engine::exec::settings::OnUnknown;
use highwater_engine::report::ExitCode;
use highwater_engine::settings::DurationText;
use highwater_testkit::program::{Program, wait_until};

use crate::house::{House, LIMIT, runs};

/// Names the directory of the pass to be killed.
const DIR_VARIABLE: &str = "TEST_KILLED_DIR";
const REVIEW_VARIABLE: &str = "TEST_KILLED_REVIEW";

/// Two commands at a time that run until `mended` is there, each with a child that does not hear of SIGTERM.
fn house(dir: &Path, review: bool) -> House {
    let child = "sh -c 'trap \"\" TERM; echo $$ >> children; while :; do sleep 0.05; done'";
    let script = format!("[ -e mended ] && {{ echo $1 >> again; exit 0; }}; {child} & echo $1 >> started; wait");
    let mut house = House::with_list(dir, &script, &["a", "b", "c"]);
    house.spec.concurrency = 2;
    house.settings.grace = DurationText::millis(200);
    house.settings.on_unknown = if review { OnUnknown::Review } else { OnUnknown::Rerun };
    house
}

/// Not a test of its own: the pass that the others kill.
#[tokio::test]
async fn the_pass_to_be_killed() {
    let Some(dir) = std::env::var_os(DIR_VARIABLE).map(PathBuf::from) else { return };
    house(&dir, std::env::var_os(REVIEW_VARIABLE).is_some()).pass().await;
}

/// Runs a pass until both its commands run, and kills it.
async fn kill_9(dir: &Path, review: bool) -> Vec<String> {
    let mut program = Program::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::the_pass_to_be_killed"])
        .env(DIR_VARIABLE, dir);
    if review {
        program = program.env(REVIEW_VARIABLE, "1");
    }
    let mut running = program.start().unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    let both = || read("children").lines().count() == 2 && read("started").lines().count() == 2;
    wait_until(LIMIT, "both commands", both).await.unwrap();
    running.kill_9(Duration::from_secs(60)).await.unwrap();
    let children: Vec<String> = read("children").lines().map(str::to_owned).collect();
    assert!(children.iter().all(|child| runs(child)), "they live on");
    std::fs::write(dir.join("mended"), "").unwrap();
    children
}

#[tokio::test]
async fn r05_commands_that_outlived_their_pass_are_ended_before_the_next_one_starts_any() {
    let dir = tempfile::tempdir().unwrap();
    let children = kill_9(dir.path(), false).await;
    let house = house(dir.path(), false);
    let report = house.pass().await;
    assert_eq!(report.exit, ExitCode::Drained, "{report:?}");
    assert!(report.notes.iter().any(|note| note == "ended 2 commands that pass 1 left running"), "{:?}", report.notes);
    assert!(!children.iter().any(|child| runs(child)));
    assert_eq!(house.outcomes().await, ["a done", "b done", "c done"]);
    assert_eq!(house.read("again").lines().count(), 3);
    assert!(house.pass().await.notes.is_empty(), "told once");
}

#[tokio::test]
async fn r05_an_item_whose_outcome_a_kill_left_unknown_goes_to_review_where_it_may_not_run_again() {
    let dir = tempfile::tempdir().unwrap();
    kill_9(dir.path(), true).await;
    let house = house(dir.path(), true);
    assert_eq!(house.pass().await.exit, ExitCode::Drained);
    let outcomes = house.outcomes().await;
    assert!(outcomes[..2].iter().all(|outcome| outcome.contains(" review ")), "{outcomes:?}");
    assert_eq!((outcomes[2].as_str(), house.read("again").as_str()), ("c done", "c\n"));
}
