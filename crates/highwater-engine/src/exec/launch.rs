//! What all commands of a job have in common: permits, directory, environment, time. Owns how a command is started for an item
//! and by which mark its processes are known again; what came of it is for the shapes to judge.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::child::{self, Bounds, ChildError, Ended, Start};
use super::leftover;
use super::output::{Output, Tail};
use super::settings::ExecSettings;
use crate::clock::SharedClock;
use crate::contact::StopSignal;
use crate::diagnosis::Diagnosis;
use crate::job::{CommitCx, ReadCx, Stop};
use crate::name::{ItemKey, JobName, PassId, ResourceName};
use crate::report::Reason;
use crate::settings::SecretText;

/// Tells a command its job's name.
pub const JOB_VARIABLE: &str = "HIGHWATER_JOB";
/// Tells a command its pass's number.
pub const PASS_VARIABLE: &str = "HIGHWATER_PASS";
/// Tells a command its item's key.
pub const ITEM_VARIABLE: &str = "HIGHWATER_ITEM";
/// Marks every process of a pass, `LEDGER:JOB:PASS`. After a pass was killed, those that still carry it are ended; a process
/// that is to outlive its pass drops the variable.
pub const RUN_VARIABLE: &str = "HIGHWATER_RUN";

/// Starts a job's commands.
#[derive(Debug)]
pub(super) struct Launcher {
    directory: PathBuf,
    env: BTreeMap<String, SecretText>,
    timeout: Option<Duration>,
    grace: Duration,
    resources: Vec<ResourceName>,
    ledger_id: String,
    output: Output,
}

/// The pass that a command is started in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion<'p> {
    pub(super) job: &'p JobName,
    pub(super) pass: Option<PassId>,
    pub(super) clock: &'p SharedClock,
    pub(super) stop: &'p StopSignal,
    pub(super) deadline: Option<Duration>,
}

impl<'p> From<&'p ReadCx> for Occasion<'p> {
    fn from(cx: &'p ReadCx) -> Self {
        Self { job: &cx.job, pass: cx.pass, clock: &cx.clock, stop: cx.stop(), deadline: cx.deadline }
    }
}

impl Launcher {
    pub(super) fn new(settings: &ExecSettings, resources: Vec<ResourceName>, ledger_id: &str, output: Output) -> Self {
        Self {
            directory: settings.directory.as_deref().map(PathBuf::from).unwrap_or_else(|| PathBuf::from(".")),
            env: settings.env.clone(),
            timeout: settings.timeout.map(Duration::from),
            grace: settings.grace.get(),
            resources,
            ledger_id: ledger_id.to_owned(),
            output,
        }
    }

    /// Leave to contact each of the job's resources.
    pub(super) async fn permit(&self, cx: &ReadCx) -> Result<(), Stop> {
        for resource in &self.resources {
            cx.contacts.permit(resource).await?;
        }
        Ok(())
    }

    pub(super) async fn run(
        &self,
        occasion: Occasion<'_>,
        item: &ItemKey,
        words: Vec<String>,
        stdin: Option<Vec<u8>>,
    ) -> Result<Ended, ChildError> {
        let Occasion { job, pass, clock, stop, deadline } = occasion;
        let given = self.env.iter().map(|(name, value)| (name.as_str(), value.expose().to_owned()));
        let mut env: Vec<(&str, String)> = given.collect();
        // After the job's own, which cannot change them.
        env.extend([(JOB_VARIABLE, job.to_string()), (ITEM_VARIABLE, item.to_string())]);
        if let Some(pass) = pass {
            env.extend([(PASS_VARIABLE, pass.to_string()), (RUN_VARIABLE, mark(&self.ledger_id, job, pass))]);
        }
        let start = Start { words, directory: &self.directory, env, stdin };
        let bounds = Bounds { clock, stop, deadline, timeout: self.timeout, grace: self.grace };
        child::run(start, bounds, &self.output).await
    }

    /// Ends what commands of killed passes still do: this pass would run beside them.
    pub(super) async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        let marks = cx.killed.iter().map(|pass| (pass.id, mark(&self.ledger_id, &pass.job, pass.id))).collect();
        let ended = leftover::end(marks, &cx.read.clock, self.grace).await.map_err(|e| {
            Diagnosis::failure(
                "HW-EXE-004",
                format!("a command that a killed pass left running cannot be ended: {e}"),
                "free what it waits for (a hung disk or mount: state D in `ps`), and call again",
            )
        })?;
        for (pass, count) in ended {
            let commands = if count == 1 { "1 command".to_owned() } else { format!("{count} commands") };
            cx.notes.push(format!("ended {commands} that pass {pass} left running"));
        }
        Ok(())
    }
}

fn mark(ledger_id: &str, job: &JobName, pass: PassId) -> String {
    format!("{ledger_id}:{job}:{pass}")
}

pub(super) fn pass_over() -> Stop {
    Stop::checkpoint(Reason::BudgetTime, "the pass's time is spent")
}

pub(super) fn stopped() -> Stop {
    Stop::checkpoint(Reason::Stopped, "stopped by a signal")
}

/// A command that did not run to a known end: one that cannot start needs a person at once, for the next one cannot either.
pub(super) fn not_run(error: ChildError, item: &ItemKey) -> Stop {
    let mut message = error.to_string();
    let mut below = std::error::Error::source(&error);
    while let Some(cause) = below {
        message = format!("{message}: {cause}");
        below = cause.source();
    }
    match error {
        ChildError::CannotStart { .. } | ChildError::NoDirectory { .. } | ChildError::NoInterpreter { .. } => {
            Stop::Halt { why: message, evidence: format!("at item {item}; nothing was started"), until: None }
        }
        ChildError::CannotWait { .. } => Stop::Fail(Diagnosis::failure(
            "HW-EXE-003",
            message,
            "start highwater with SIGCHLD at its default (some shells and supervisors ignore it), and call again",
        )),
        ChildError::Unkillable(_) => Stop::Fail(Diagnosis::failure(
            "HW-EXE-004",
            message,
            "free what it waits for (a hung disk or mount: state D in `ps`), and call again",
        )),
    }
}

/// What a person needs to judge a command's end.
pub(super) fn evidence(item: &ItemKey, how: &str, stderr: &Tail) -> String {
    match stderr.text(super::output::EVIDENCE_BYTES_MAX) {
        text if text.is_empty() => format!("item {item}: {how}, nothing on stderr"),
        text => format!("item {item}: {how}, stderr ends with:\n{text}"),
    }
}
