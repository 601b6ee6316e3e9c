//! Notices by command.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use highwater_engine::clock::SystemClock;
use highwater_engine::settings::{CommandLine, DurationText, NotifySettings};
use highwater_testkit::program::wait_until;
use serde_json::Value;

use crate::house::{House, LIMIT, MINUTE, items, notifier, script, soon};

#[tokio::test]
async fn a_command_gets_the_message_on_stdin_in_the_config_files_directory() {
    let house = House::new();
    let page = house.dir().join("page");
    fs::write(&page, "#!/bin/sh\ncat > told-$1\n").unwrap();
    fs::set_permissions(&page, Permissions::from_mode(0o755)).unwrap();
    let entry = NotifySettings { command: CommandLine::new(["./page", "me"]), ..NotifySettings::default() };
    let notes = house.pass_and_tell(&items(["done-1"]), &notifier(house.dir(), [entry])).await;
    assert!(notes.is_empty(), "{notes:?}");
    let message: Value = serde_json::from_slice(&fs::read(house.dir().join("told-me")).unwrap()).unwrap();
    assert_eq!((&message["job"], &message["change"]), (&"load".into(), &"drained".into()));
    assert!(house.waiting().await.is_empty());
}

#[tokio::test]
async fn a_command_that_does_not_read_its_stdin_delivers() {
    let house = House::new();
    let notes = house.pass_and_tell(&items(["done-1"]), &notifier(house.dir(), [script("exec <&-; exit 0")])).await;
    assert!(notes.is_empty(), "{notes:?}");
}

#[tokio::test]
async fn a_command_that_fails_is_tried_again_and_its_last_words_are_kept() {
    let house = House::new();
    let flaky = "if [ -e tried ]; then exit 0; fi; : > tried; echo first >&2; echo no route >&2; exit 7";
    let notifier = notifier(house.dir(), [script(flaky)]);
    let notes = house.pass_and_tell(&items(["done-1"]), &notifier).await;
    assert_eq!(notes.len(), 1);
    let waiting = house.waiting().await;
    assert_eq!(waiting[0].last_error.as_deref(), Some("`sh` ended with exit status: 7: no route"));
    house.clock.advance(MINUTE);
    assert!(house.another_job_tells(&notifier).await.is_empty());
    assert!(house.waiting().await.is_empty());
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named() {
    let house = House::new();
    let entry = NotifySettings { command: CommandLine::new(["./none", "s3cr3t"]), ..NotifySettings::default() };
    let notes = house.pass_and_tell(&items(["done-1"]), &notifier(house.dir(), [entry])).await;
    assert!(notes[0].ends_with("`./none` could not be started: No such file or directory (os error 2)"), "{notes:?}");
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_its_group() {
    let house = House::new();
    let hang = "sleep 3600 & echo $! > pid.new; mv pid.new pid; wait";
    let entry = NotifySettings { timeout: DurationText::secs(5), ..script(hang) };
    let notifier = notifier(house.dir(), [entry]);
    let file = house.dir().join("pid");
    let list = items(["done-1"]);
    let telling = house.pass_and_tell(&list, &notifier);
    let passing_time = async {
        wait_until(LIMIT, "the command's child", || file.exists()).await.unwrap();
        house.clock.advance(Duration::from_secs(5));
    };
    let (notes, ()) = soon(join(telling, passing_time)).await;
    assert!(notes[0].contains("`sh` took longer than 5000 ms"), "{notes:?}");
    let pid = fs::read_to_string(file).unwrap();
    wait_until(LIMIT, "the child's end", || !runs(pid.trim())).await.unwrap();
}

#[tokio::test]
async fn what_a_command_leaves_running_keeps_nobody_waiting() {
    let mut house = House::new();
    // Real time: a wait for the open pipe would end in a time-out.
    house.engine.clock = Arc::new(SystemClock::new());
    let leaves = "sleep 3600 & echo $! > pid; exit 0";
    let notifier = notifier(house.dir(), [script(leaves)]);
    let notes = soon(house.pass_and_tell(&items(["done-1"]), &notifier)).await;
    assert!(notes.is_empty(), "{notes:?}");
    let pid = fs::read_to_string(house.dir().join("pid")).unwrap();
    assert!(runs(pid.trim()), "it is not ours to end");
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Whether a process is there that is no zombie.
fn runs(pid: &str) -> bool {
    let ps = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
    let state = String::from_utf8(ps.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}
