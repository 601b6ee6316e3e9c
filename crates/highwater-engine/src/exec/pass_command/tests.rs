//! Of a pass as a command: what each exit code makes of it.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::clock::{SharedClock, SystemClock};
use crate::contact::StopSignal;
use crate::exec::ExecJob;
use crate::exec::output::Output;
use crate::name::{JobName, PassId};

struct Place {
    dir: tempfile::TempDir,
    job: JobName,
    clock: SharedClock,
    stop: StopSignal,
    deadline: Option<Duration>,
}

fn place() -> Place {
    Place {
        dir: tempfile::tempdir().unwrap(),
        job: JobName::new("nightly").unwrap(),
        clock: SystemClock::shared(),
        stop: StopSignal::default(),
        deadline: None,
    }
}

impl Place {
    async fn run(&self, settings: &ExecSettings) -> Result<Outcome, Stop> {
        let quiet = Output::Through(Arc::new(|_, _: &[u8]| {}));
        let ExecJob::Pass(command) = ExecJob::from_settings(settings, self.dir.path(), Vec::new(), false, "L", quiet)
        else {
            panic!("no worklist, so a pass is the command");
        };
        let Self { job, clock, stop, deadline, .. } = self;
        let occasion = Occasion { job, pass: Some(PassId(12)), clock, stop, deadline: *deadline };
        command.attempt(occasion, &CommandItem::of_key(ItemKey::new(COMMAND_KEY).unwrap())).await
    }
}

fn sh(script: &str) -> ExecSettings {
    ExecSettings::new(CommandLine::new(["sh", "-c", script]).unwrap())
}

fn halt(result: Result<Outcome, Stop>) -> (String, String) {
    match result {
        Err(Stop::Halt { why, evidence, .. }) => (why, evidence),
        other => panic!("no halt: {other:?}"),
    }
}

fn checkpoint(result: Result<Outcome, Stop>) -> (Reason, String) {
    match result {
        Err(Stop::Checkpoint { reason, message }) => (reason, message),
        other => panic!("no checkpoint: {other:?}"),
    }
}

#[tokio::test]
async fn exit_0_is_done_and_3_asks_for_another_call() {
    let place = place();
    assert_eq!(place.run(&sh("echo noise >&2")).await, Ok(Outcome::done()));
    let (reason, message) = checkpoint(place.run(&sh("exit 3")).await);
    assert_eq!((reason, message.as_str()), (Reason::Checkpoint, "the command asks to be called again (exit 3)"));
}

#[tokio::test]
async fn exit_4_halts_with_the_end_of_stderr() {
    let (why, evidence) = halt(place().run(&sh("echo look at row 7 >&2; exit 4")).await);
    assert_eq!(why, "the command asked for it (exit 4)");
    assert_eq!(evidence, "item command: exit 4, stderr ends with:\nlook at row 7");
}

#[tokio::test]
async fn anything_else_halts() {
    for (script, how) in [
        ("exit 1", "exit 1"),
        ("exit 2", "exit 2"),
        ("exit 10", "exit 10"),
        ("exit 126", "exit 126"),
        ("exit 127", "exit 127"),
        ("kill -SEGV $$", "signal 11 (SIGSEGV)"),
        ("kill -KILL $$", "signal 9 (SIGKILL)"),
    ] {
        let (why, evidence) = halt(place().run(&sh(script)).await);
        // A shell that dumps core says so on its own.
        let why = why.replace(" (core dumped)", "");
        assert_eq!(why, format!("the command failed ({how})"));
        assert!(evidence.starts_with(&format!("item command: {how}")), "{evidence}");
    }
}

#[tokio::test]
async fn a_megabyte_of_stderr_is_evidence_by_its_end() {
    let script = "head -c 1000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 1";
    let (_, evidence) = halt(place().run(&sh(script)).await);
    let head = "item command: exit 1, stderr ends with:\n";
    assert_eq!(evidence, format!("{head}{}the end", "x".repeat(4096 - "the end\n".len())));
}

#[tokio::test]
async fn a_command_that_cannot_start_halts() {
    let none = ExecSettings::new(CommandLine::new(["./none"]).unwrap());
    let (why, evidence) = halt(place().run(&none).await);
    assert_eq!(why, r#"cannot start "./none": No such file or directory (os error 2)"#);
    assert_eq!(evidence, "at item command; nothing was started");
}

#[tokio::test]
async fn time_that_is_spent_is_a_checkpoint() {
    let mut settings = sh("sleep 600 & wait");
    settings.timeout = Some(DurationText::millis(50));
    let (reason, message) = checkpoint(place().run(&settings).await);
    assert_eq!((reason, message.as_str()), (Reason::BudgetTime, "the command was not done after 50ms and was killed"));
    let mut place = place();
    place.deadline = Some(place.clock.elapsed() + Duration::from_millis(50));
    let (reason, message) = checkpoint(place.run(&sh("sleep 600")).await);
    assert_eq!((reason, message.as_str()), (Reason::BudgetTime, "the pass's time is spent"));
}

#[tokio::test]
async fn a_second_signal_ends_the_command() {
    let place = place();
    place.stop.raise();
    assert_eq!(place.run(&sh("sleep 0.05")).await, Ok(Outcome::done()), "the first lets it finish");
    place.stop.raise();
    assert_eq!(checkpoint(place.run(&sh("sleep 600")).await).0, Reason::Stopped);
}

#[tokio::test]
async fn braces_stay_braces_and_variables_tell_the_pass() {
    let place = place();
    let mut settings = sh(r#"echo "{} $HIGHWATER_JOB $HIGHWATER_PASS $HIGHWATER_ITEM $HIGHWATER_RUN $MINE" > said"#);
    settings.env = [("MINE", "x"), ("HIGHWATER_RUN", "forged"), ("HIGHWATER_JOB", "forged")]
        .map(|(name, value)| (name.to_owned(), crate::settings::SecretText::new(value)))
        .into();
    assert_eq!(place.run(&settings).await, Ok(Outcome::done()));
    let said = std::fs::read_to_string(place.dir.path().join("said")).unwrap();
    assert_eq!(said, "{} nightly 12 command L:nightly:12 x\n");
}

#[tokio::test]
async fn a_relative_directory_counts_from_the_config_file() {
    let place = place();
    std::fs::create_dir(place.dir.path().join("work")).unwrap();
    let mut settings = sh("pwd > here");
    settings.directory = Some(crate::settings::FilePath::new("work"));
    assert_eq!(place.run(&settings).await, Ok(Outcome::done()));
    assert!(Path::exists(&place.dir.path().join("work/here")));
}
