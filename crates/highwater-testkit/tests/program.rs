//! Starting, watching and killing programs.

use std::fs;
use std::time::Duration;

use highwater_testkit::not_here::NotHere;
use highwater_testkit::program::{Program, wait_until};
use nix::sys::signal::Signal;

const LIMIT: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Program {
    Program::new("sh").args(["-c", script])
}

#[tokio::test]
async fn a_program_runs_to_its_end_and_both_outputs_are_kept() {
    let ended = shell("cat; echo $WORD >&2; exit 3").env("WORD", "aside").input("told").run(LIMIT).await.unwrap();
    assert_eq!((ended.code(), ended.stdout.as_str(), ended.stderr.as_str()), (Some(3), "told", "aside\n"));
}

#[tokio::test]
async fn a_program_is_killed_at_a_chosen_moment() {
    let mut running = shell("echo one; read -r _ < /dev/zero; sleep 3600").start().unwrap();
    running.wait_for_stdout(LIMIT, |out| out.contains("one")).await.unwrap();
    let ended = running.kill_9(LIMIT).await.unwrap();
    assert_eq!(ended.code(), None);
    assert_eq!(ended.stdout, "one\n");
    assert!(running.signal(Signal::SIGTERM).is_err(), "its pid may be another's by now");
}

#[tokio::test]
async fn a_signal_reaches_the_program() {
    let mut running =
        shell("trap 'echo stopping; exit 3' TERM; echo ready; while :; do sleep 0.01; done").start().unwrap();
    running.wait_for_stdout(LIMIT, |out| out.contains("ready")).await.unwrap();
    running.signal(Signal::SIGTERM).unwrap();
    let ended = running.wait(LIMIT).await.unwrap();
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(3), "ready\nstopping\n"));
}

#[tokio::test]
async fn waiting_for_an_end_that_does_not_come_tells_what_was_written() {
    let mut running = shell("echo half-way; sleep 3600").start().unwrap();
    running.wait_for_stdout(LIMIT, |out| out.contains("half-way")).await.unwrap();
    let late = running.wait(Duration::from_millis(20)).await.unwrap_err();
    assert!(late.to_string().contains("half-way"), "{late}");
}

#[tokio::test]
async fn dropping_a_program_kills_its_whole_group() {
    let running = shell("sleep 3600 & echo $!; wait").start().unwrap();
    running.wait_for_stdout(LIMIT, |out| out.ends_with('\n')).await.unwrap();
    let grandchild = format!("/proc/{}/cmdline", running.stdout().trim());
    if fs::metadata("/proc/self").is_err() {
        return NotHere("it looks into /proc".to_owned()).say("dropping_a_program_kills_its_whole_group");
    }
    assert!(!fs::read(&grandchild).unwrap().is_empty());
    drop(running);
    // A zombie has no command line.
    wait_until(LIMIT, "the grandchild's end", || fs::read(&grandchild).unwrap_or_default().is_empty()).await.unwrap();
}

#[tokio::test]
async fn an_orphan_that_holds_the_output_does_not_hold_up_the_end() {
    let ended = shell("echo mine; setsid sleep 5 & exit 0").run(LIMIT).await.unwrap();
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(0), "mine\n"));
}

#[tokio::test]
async fn what_never_holds_is_named_when_time_is_up() {
    let late = wait_until(Duration::from_millis(30), "the end of the world", || false).await.unwrap_err();
    assert_eq!(late.to_string(), "the end of the world did not happen within 30ms");
}
