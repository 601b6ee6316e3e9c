//! Of what a killed pass left running.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::clock::SystemClock;
use crate::exec::group::Stat;
use crate::exec::launch::RUN_VARIABLE;

const SHORT: Duration = Duration::from_millis(50);

/// A shell as a killed pass would have left it.
fn left(dir: &Path, mark: &str, script: &str) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(dir).env(RUN_VARIABLE, mark).process_group(0);
    command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

async fn line(clock: &SharedClock, file: &Path) -> String {
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.ends_with('\n') {
            return text.trim().to_owned();
        }
        clock.sleep(Duration::from_millis(5)).await;
    }
}

fn runs(pid: &str) -> bool {
    Stat::of(pid.parse().unwrap()).is_some_and(|stat| !stat.dead)
}

#[tokio::test]
async fn what_a_killed_pass_left_running_is_ended_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    let ledger = format!("test-{}", fastrand::u64(..));
    let stubborn = "sh -c 'trap \"\" TERM; echo $$ > stubborn; while :; do sleep 1; done' & wait";
    let mut trees = [
        left(dir.path(), &format!("{ledger}:load:12"), stubborn),
        left(dir.path(), &format!("{ledger}:load:12"), "echo $$ > second; exec sleep 600"),
        left(
            dir.path(),
            &format!("{ledger}:load:13"),
            "trap 'echo tidy > tidied; exit' TERM; echo up > up; while :; do sleep 0.01; done",
        ),
    ];
    let mut others = [
        left(dir.path(), &format!("{ledger}:load:1"), "exec sleep 600"),
        left(dir.path(), &format!("{ledger}:load:122"), "exec sleep 600"),
        left(dir.path(), "another:load:12", "exec sleep 600"),
    ];
    let pid = line(&clock, &dir.path().join("stubborn")).await;
    for name in ["second", "up"] {
        line(&clock, &dir.path().join(name)).await;
    }
    let marks = |pass| (PassId(pass), format!("{ledger}:load:{pass}"));

    let ended = end(vec![marks(12), marks(13)], &clock, Duration::from_millis(500)).await.unwrap();

    assert_eq!(ended, BTreeMap::from([(PassId(12), 2), (PassId(13), 1)]));
    assert!(!runs(&pid), "one that ignores SIGTERM is killed");
    assert_eq!(std::fs::read_to_string(dir.path().join("tidied")).unwrap(), "tidy\n", "one that does not may tidy up");
    for tree in &mut trees {
        assert!(tree.try_wait().unwrap().is_some());
    }
    for other in &mut others {
        assert!(other.try_wait().unwrap().is_none(), "another pass's command goes on");
        other.kill().unwrap();
        other.wait().unwrap();
    }
    assert_eq!(end(vec![marks(12)], &clock, SHORT).await.unwrap(), BTreeMap::new(), "there is nothing left");
}

#[tokio::test]
async fn nobody_is_looked_for_when_no_pass_was_killed() {
    assert_eq!(end(Vec::new(), &SystemClock::shared(), SHORT).await.unwrap(), BTreeMap::new());
}
