//! Of one child process: how it starts, ends, is ended and is listened to.

use std::future::Future;
use std::sync::{Arc, Mutex};

use super::*;
use crate::clock::SystemClock;
use crate::exec::described;
use crate::exec::output::EVIDENCE_BYTES_MAX;

/// What every test needs: a directory, a clock, a stop signal.
struct Place {
    dir: tempfile::TempDir,
    clock: SharedClock,
    stop: StopSignal,
    deadline: Option<Duration>,
    timeout: Option<Duration>,
    grace: Duration,
    stdin: Option<Vec<u8>>,
}

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(50);
/// For a command to come as far as its test wants, on a busy machine.
const ENOUGH: Duration = Duration::from_secs(2);

fn place() -> Place {
    Place {
        dir: tempfile::tempdir().unwrap(),
        clock: SystemClock::shared(),
        stop: StopSignal::default(),
        deadline: None,
        timeout: None,
        grace: LONG,
        stdin: None,
    }
}

impl Place {
    async fn start(&self, words: &[&str], output: &Output) -> Result<Ended, ChildError> {
        let start = Start {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            directory: self.dir.path(),
            env: vec![("ADDED", "x y".to_owned())],
            stdin: self.stdin.clone(),
        };
        let Self { clock, stop, deadline, timeout, grace, .. } = self;
        let bounds = Bounds { clock, stop, deadline: *deadline, timeout: *timeout, grace: *grace };
        run(start, bounds, output).await
    }

    /// Runs a shell script.
    async fn sh(&self, script: &str) -> Ended {
        self.start(&["sh", "-c", script], &quiet()).await.unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    /// Ends once a file that a script writes is whole.
    async fn written(&self, name: &str) -> String {
        loop {
            let text = self.read(name);
            if text.ends_with('\n') {
                return text.trim().to_owned();
            }
            self.clock.sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends once no process with this number runs.
    async fn gone(&self, pid: &str) {
        while runs(pid) {
            self.clock.sleep(Duration::from_millis(5)).await;
        }
    }
}

fn quiet() -> Output {
    Output::Through(Arc::new(|_, _: &[u8]| {}))
}

/// Whether a process runs: one that is dead and not waited for does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// A test that would hang fails instead.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

fn ended(ended: &Ended) -> String {
    match ended.ending {
        Ending::Itself(status) => described(status),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_command_runs_in_its_directory_with_its_variables_and_its_end_is_told() {
    let place = place();
    let end = soon(place.sh(r#"pwd > where; echo "$ADDED" > added; echo "$0" >> added; echo no >&2; exit 5"#)).await;
    assert_eq!((ended(&end).as_str(), end.stderr.text(99).as_str()), ("exit 5", "no"));
    assert_eq!(place.read("where").trim(), place.dir.path().canonicalize().unwrap().to_str().unwrap());
    assert_eq!(place.read("added"), "x y\nsh\n");
    assert_eq!(ended(&soon(place.sh("kill -9 $$")).await), "signal 9 (SIGKILL)");
}

#[tokio::test]
async fn a_command_leads_a_process_group_of_its_own() {
    let place = place();
    soon(place.sh("cut -d' ' -f1,5 /proc/$$/stat > ids")).await;
    let ids = place.read("ids");
    let (pid, group) = ids.trim().split_once(' ').unwrap();
    assert_eq!(pid, group);
}

#[tokio::test]
async fn a_command_that_cannot_start_says_why() {
    let place = place();
    let error = |error: ChildError| {
        let text =
            format!("{error}: {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default());
        text.replace(place.dir.path().to_str().unwrap(), "DIR")
    };
    std::fs::write(place.dir.path().join("note"), "no program").unwrap();
    for (program, why) in [
        ("./none", r#"cannot start "./none": No such file or directory (os error 2)"#),
        ("none-such", r#"cannot start "none-such": No such file or directory (os error 2)"#),
        ("./note", r#"cannot start "./note": Permission denied (os error 13)"#),
        ("", r#"cannot start "": No such file or directory (os error 2)"#),
    ] {
        assert_eq!(error(soon(place.start(&[program], &quiet())).await.expect_err(program)), why);
    }
    let start = Start { words: vec!["true".into()], directory: Path::new("/none"), env: Vec::new(), stdin: None };
    let Place { clock, stop, .. } = &place;
    let bounds = Bounds { clock, stop, deadline: None, timeout: None, grace: LONG };
    let refused = run(start, bounds, &quiet()).await.expect_err("no directory");
    assert_eq!(refused.to_string(), r#"cannot start "true": its directory /none is not there"#);
}

#[tokio::test]
async fn the_end_of_a_megabyte_of_stderr_is_kept() {
    let place = place();
    let end = soon(place.sh("i=0; while [ $i -lt 16384 ]; do printf '%063d\\n' $i; i=$((i+1)); done >&2")).await;
    let kept = end.stderr.text(EVIDENCE_BYTES_MAX);
    assert_eq!((kept.len(), kept.lines().count()), (EVIDENCE_BYTES_MAX - 1, EVIDENCE_BYTES_MAX / 64));
    assert!(kept.ends_with("016383") && kept.lines().next().unwrap().ends_with("016320"));
}

#[tokio::test]
async fn both_outputs_come_through_whole() {
    let place = place();
    let heard: Arc<Mutex<Vec<(Stream, String)>>> = Arc::default();
    let log = Arc::clone(&heard);
    let output = Output::Through(Arc::new(move |stream, line: &[u8]| {
        log.lock().unwrap().push((stream, String::from_utf8(line.to_vec()).unwrap()));
    }));
    soon(place.start(&["sh", "-c", "printf a; printf 'b\\nc'; echo e >&2"], &output)).await.unwrap();
    let text = |wanted| {
        let heard = heard.lock().unwrap();
        heard.iter().filter(|(stream, _)| *stream == wanted).map(|(_, line)| line.as_str()).collect::<String>()
    };
    assert_eq!((text(Stream::Stdout).as_str(), text(Stream::Stderr).as_str()), ("ab\nc\n", "e\n"));
    assert!(heard.lock().unwrap().iter().all(|(_, line)| line.ends_with('\n')));
}

#[tokio::test]
async fn a_command_reads_what_it_is_given_or_nothing() {
    let mut place = place();
    assert_eq!(ended(&soon(place.sh("[ -z \"$(cat)\" ]")).await), "exit 0");
    place.stdin = Some(b"{\"id\":7}\n".to_vec());
    soon(place.sh("cat > got")).await;
    assert_eq!(place.read("got"), "{\"id\":7}\n");
}

#[tokio::test]
async fn a_command_need_not_read_what_it_is_given() {
    let mut place = place();
    // More than a pipe holds.
    place.stdin = Some(vec![b'x'; 1024 * 1024]);
    assert_eq!(ended(&soon(place.sh("exit 0")).await), "exit 0");
    assert_eq!(ended(&soon(place.sh("exec <&-; sleep 0.1; exit 7")).await), "exit 7");
}

#[tokio::test]
async fn a_command_may_print_while_it_reads() {
    let mut place = place();
    // More than both pipes hold: whoever feeds first and listens then never comes to listen.
    place.stdin = Some([vec![b'x'; 1024 * 1024], b"the end".to_vec()].concat());
    assert_eq!(soon(place.sh("cat >&2")).await.stderr.text(7), "the end");
}

#[tokio::test]
async fn a_background_process_that_holds_stderr_does_not_keep_us() {
    let place = place();
    let end = soon(place.sh("sleep 600 & echo $! > daemon; echo before >&2")).await;
    assert_eq!((ended(&end).as_str(), end.stderr.text(99).as_str()), ("exit 0", "before"));
    let daemon = soon(place.written("daemon")).await;
    assert!(runs(&daemon), "a command that ended by itself may leave one running");
    Group::new(pgid(&daemon)).unwrap().signal(Signal::KILL);
    soon(place.gone(&daemon)).await;
}

fn pgid(pid: &str) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat[stat.rfind(')').unwrap() + 1..].split_whitespace().nth(2).unwrap().parse().unwrap()
}

#[tokio::test]
async fn one_that_prints_for_ever_after_its_command_does_not_keep_us() {
    let place = place();
    let end = soon(place.sh("yes x >&2 & echo $! > daemon")).await;
    assert_eq!(ended(&end), "exit 0");
    let daemon = soon(place.written("daemon")).await;
    // It dies of SIGPIPE once nobody reads.
    soon(place.gone(&daemon)).await;
}

/// Writes the pid of a process in the group that ignores SIGTERM.
const STUBBORN: &str = "sh -c 'trap \"\" TERM; echo $$ > stubborn; while :; do sleep 1; done' & ";

#[tokio::test]
async fn the_whole_group_dies_with_its_timeout() {
    let mut place = place();
    (place.timeout, place.grace) = (Some(ENOUGH), SHORT);
    let end = soon(place.sh(&format!("{STUBBORN} echo last words >&2; wait"))).await;
    assert_eq!((end.ending, end.stderr.text(99).as_str()), (Ending::Overdue, "last words"));
    assert!(!runs(&soon(place.written("stubborn")).await));
}

#[tokio::test]
async fn a_command_has_its_grace_to_clean_up() {
    let mut place = place();
    place.timeout = Some(ENOUGH);
    // The shell dies of SIGTERM at once; its child takes its time, and is let.
    let script = "sh -c 'trap \"sleep 0.3; echo cleaned > clean; exit\" TERM; echo up > up; while :; do sleep 0.05; done' & wait";
    let end = soon(place.sh(script)).await;
    assert_eq!(end.ending, Ending::Overdue);
    assert_eq!(place.read("clean"), "cleaned\n");
}

#[tokio::test]
async fn a_group_that_is_stopped_is_ended_too() {
    let mut place = place();
    place.timeout = Some(ENOUGH);
    assert_eq!(soon(place.sh("kill -STOP $$")).await.ending, Ending::Overdue);
}

#[tokio::test]
async fn the_pass_s_time_ends_a_command() {
    let mut place = place();
    place.deadline = Some(place.clock.elapsed() + SHORT);
    assert_eq!(soon(place.sh("sleep 600")).await.ending, Ending::PassOver);
    place.deadline = Some(Duration::ZERO);
    assert_eq!(soon(place.sh("sleep 600")).await.ending, Ending::PassOver);
}

#[tokio::test]
async fn a_gentle_stop_lets_a_command_finish_and_an_urgent_one_ends_it() {
    let place = place();
    place.stop.raise();
    assert_eq!(ended(&soon(place.sh("sleep 0.1; exit 5")).await), "exit 5");
    place.stop.raise();
    assert_eq!(soon(place.sh("sleep 600")).await.ending, Ending::Stopped);
}

#[tokio::test]
async fn a_signal_that_was_meant_for_all_is_not_the_item_s_fault() {
    for script in ["kill -TERM $$", "kill -INT $$; sleep 600", "exit 143"] {
        let place = place();
        // The command hears of it before we do.
        let later = async {
            place.clock.sleep(SHORT).await;
            place.stop.raise();
        };
        let (end, ()) = soon(async { tokio::join!(place.sh(script), later) }).await;
        assert_eq!(end.ending, Ending::Stopped, "{script}");
    }
    let place = place();
    assert_eq!(ended(&soon(place.sh("kill -TERM $$")).await), "signal 15 (SIGTERM)", "without a stop it is its own");
}

#[tokio::test]
async fn a_command_whose_pass_is_dropped_dies_with_its_group() {
    let place = place();
    let script = format!("{STUBBORN} wait");
    let mut running = Box::pin(place.sh(&script));
    let stubborn = soon(async {
        tokio::select! {
            _ = &mut running => panic!("it runs for ever"),
            pid = place.written("stubborn") => pid,
        }
    })
    .await;
    assert!(runs(&stubborn));
    drop(running);
    soon(place.gone(&stubborn)).await;
}

#[tokio::test]
async fn r01_a_lock_s_descriptor_is_not_inherited() {
    use crate::lock::{FileLock, Lock};
    let place = place();
    let path = place.dir.path().join("the.lock");
    let held = FileLock::new(&path, false).try_take().await.unwrap().expect("free");
    soon(place.sh("ls -l /proc/self/fd > fds; sleep 600 > /dev/null 2>&1 & echo $! > daemon")).await;
    assert!(place.read("fds").contains("/dev/null"), "it was listed: {}", place.read("fds"));
    assert!(!place.read("fds").contains("the.lock"));
    drop(held);
    assert!(FileLock::new(&path, false).try_take().await.unwrap().is_some(), "whatever the command left running");
    let daemon = soon(place.written("daemon")).await;
    Group::new(pgid(&daemon)).unwrap().signal(Signal::KILL);
}
