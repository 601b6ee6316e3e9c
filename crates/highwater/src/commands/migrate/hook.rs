//! Rollups that a migration requires, brought up by passes of their jobs. Owns when a pass is made, how often, and what counts as
//! complete afterwards; the pass is the engine's, and it holds the job's own locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use highwater_engine::contact::StopSignal;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_engine::pass::{Mode, Runner};
use highwater_engine::report::{ExitCode, PassReport};
use highwater_rollup::guard::{Answer, guard};
use highwater_rollup::job::Walked;
use highwater_rollup::migrate::{Hook, Required, StateMissing, Unmet};
use highwater_rollup::told;
use highwater_store::SqliteLedger;

use super::super::codes;
use super::super::rollup::{Named, subject};
use crate::config::KindSettings;
use crate::site::Site;
use crate::wiring::{self, Wiring};

/// Most passes that one rollup is given: each moves its watermark by `tick-max`, a day unless told.
const PASSES_MAX: u32 = 10_000;

/// Brings rollups up.
pub(super) struct Rollups<'s> {
    site: &'s Site,
    ledger: Arc<SqliteLedger>,
    stop: StopSignal,
    lock_wait: Duration,
    /// Whether a pass is being made, which ends by itself when a signal comes.
    passing: Arc<AtomicBool>,
}

impl<'s> Rollups<'s> {
    pub(super) fn new(
        site: &'s Site,
        ledger: Arc<SqliteLedger>,
        stop: StopSignal,
        lock_wait: Duration,
        passing: Arc<AtomicBool>,
    ) -> Self {
        Self { site, ledger, stop, lock_wait, passing }
    }

    async fn bring_up(&self, job: &str) -> Result<Required, Unmet> {
        let named = Named::of(self.site, "migrate up", job)?;
        // A person is to look at it first: the pass says why, and ends the run there.
        let known = self.ledger.job(&named.job.name).await.map_err(Diagnosis::from)?;
        let is_halted = known.is_some_and(|job| job.halt.is_some());
        let mut walked = Walked::default();
        let mut last: Option<Passed> = None;
        for _ in 0..PASSES_MAX {
            let answer = self.ask(&named).await?;
            match &answer {
                Answer::Complete(_) if last.is_none() && is_halted => {}
                Answer::Complete(_) if last.is_none() => return Ok(Required::WatermarkWithinThreshold),
                Answer::Complete(_) => return Ok(Required::Walked { slices: walked.slices, rows: walked.rows }),
                Answer::SourceEmpty if last.is_some() => return Ok(Required::SourceEmpty),
                // What a step drops may be all there is of these events.
                Answer::NotInstalled { has_events: true, .. } => {
                    return Err(incomplete(job, ExitCode::Halted, answer.to_string()).into());
                }
                Answer::NotInstalled { has_events: false, .. } => return Ok(Required::RollupStateMissing),
                Answer::StateMissing { table, mend, .. } => {
                    return Err(StateMissing { table: table.clone(), mend: mend.clone() }.into());
                }
                Answer::Ahead(_) => return Err(incomplete(job, ExitCode::Halted, answer.to_string()).into()),
                Answer::SourceEmpty
                | Answer::Behind { .. }
                | Answer::NotSeeded { .. }
                | Answer::NotStamped { .. }
                | Answer::Partial { .. }
                | Answer::Unsettled { .. } => {}
            }
            if let Some(Passed { before, report, computed }) = &last
                && !moved(before, &answer)
                && (report.exit == ExitCode::Drained || computed.slices == 0)
            {
                return Err(held_back(job, report, &answer).into());
            }
            let (report, computed) = self.pass(&named).await?;
            walked.slices += computed.slices;
            walked.rows += computed.rows;
            if !matches!(report.exit, ExitCode::Drained | ExitCode::Checkpoint) {
                return Err(ended(job, &report).into());
            }
            last = Some(Passed { before: answer, report, computed });
        }
        Err(incomplete(job, ExitCode::Checkpoint, format!("{PASSES_MAX} passes did not bring it up")).into())
    }

    async fn ask(&self, named: &Named<'_>) -> Result<Answer, Diagnosis> {
        let mut session = named.open().await?;
        let answer = guard(&mut *session, subject(named), named.settings.threshold.get()).await;
        answer.map_err(|error| told::of_read(&named.place(), "how far it is", &error))
    }

    /// One pass, which waits for the locks.
    async fn pass(&self, named: &Named<'_>) -> Result<(PassReport, Walked), Diagnosis> {
        let engine = self.site.engine(Arc::clone(&self.ledger) as Arc<dyn Ledger>, self.stop.clone());
        wiring::make_dirs(named.config, named.job)?;
        let (job, mut spec) = Wiring::new(self.site).rollup(named.config, named.job, named.settings)?;
        spec.lock_wait = spec.lock_wait.max(self.lock_wait);
        let job = Arc::new(job);
        let runner: Box<dyn Runner> = Box::new(Arc::clone(&job));
        self.passing.store(true, Ordering::SeqCst);
        let mut report = runner.run(&engine, &spec, Mode::Run).await;
        self.passing.store(false, Ordering::SeqCst);
        let notes = wiring::notifier(self.site).after_pass(&engine, &spec, &report).await;
        report.notes.extend(notes);
        Ok((report, job.walked()))
    }
}

#[async_trait]
impl Hook for Rollups<'_> {
    fn check(&self, job: &str) -> Result<(), String> {
        let Some(config) = &self.site.config else { return Err("there is no configuration".to_owned()) };
        match config.job(job) {
            Ok(found) if matches!(found.kind, KindSettings::Rollup(_)) => Ok(()),
            Ok(found) => Err(format!("it is a job of kind `{}`, expected a rollup", found.kind.name())),
            Err(told) => Err(told.message),
        }
    }

    async fn require(&mut self, job: &str) -> Result<Required, Unmet> {
        self.bring_up(job).await
    }
}

/// A pass that was made, and how far the rollup was before.
struct Passed {
    before: Answer,
    report: PassReport,
    computed: Walked,
}

/// A pass that moved nothing: it could not be made, or others hold the watermark back, by a long transaction say.
fn held_back(job: &str, report: &PassReport, answer: &Answer) -> Diagnosis {
    if report.exit != ExitCode::Drained {
        return ended(job, report);
    }
    let notes: Vec<_> = report.notes.iter().map(|note| format!("; {note}")).collect();
    incomplete(job, ExitCode::Checkpoint, format!("{answer}{}", notes.concat()))
}

/// Whether a pass brought it further.
fn moved(before: &Answer, after: &Answer) -> bool {
    match (before, after) {
        (Answer::Behind { figures: before, .. }, Answer::Behind { figures: after, .. }) => {
            (before.watermark, before.queued) != (after.watermark, after.queued)
        }
        (before, after) => before != after,
    }
}

/// A pass that ended before it was done: its own words, and its exit code.
fn ended(job: &str, report: &PassReport) -> Diagnosis {
    match &report.diagnosis {
        Some(diagnosis) => diagnosis.clone(),
        None => incomplete(job, report.exit, report.message.clone()),
    }
}

fn incomplete(job: &str, exit: ExitCode, message: String) -> Diagnosis {
    let next = match exit {
        ExitCode::Checkpoint => "call `highwater migrate up` again".to_owned(),
        _ if message.contains("not installed") => {
            format!("look at `highwater rollup ddl {job}`, then `highwater rollup install {job}`, and call again")
        }
        _ => format!("`highwater status {job}` says more; `highwater rollup guard {job}` says how far it is"),
    };
    Diagnosis { exit, ..Diagnosis::refusal(codes::NOT_COMPLETE, message, next) }
}
