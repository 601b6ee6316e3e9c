//! `worklist`: shows what is pinned, or pins anew. Owns what is said of a pinned set; pinning is a pass of its own, under the
//! job's locks.

use std::sync::Arc;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{Ledger, PinMode};
use highwater_engine::name::JobName;
use highwater_engine::pass::Mode;
use highwater_engine::report::{PassReport, Reason};
use highwater_engine::worklist::{Tally, WorklistRecord, repeated};
use highwater_store::Access;
use serde::Serialize;

use super::items::worklist as pinned;
use super::status::words::outcomes;
use super::{child_output, done, needs_config};
use crate::bar::{Progress, counted, grouped};
use crate::cli::Worklist;
use crate::site::Site;
use crate::table::{Facts, line, moment};
use crate::wiring::{self, Wiring};
use crate::{Done, signals};

pub(crate) async fn worklist(args: Worklist, site: Site) -> Done {
    let mode = match (args.replace, args.extend) {
        (true, _) => PinMode::Replace,
        (_, true) => PinMode::Extend,
        _ => return done(shown(&args, &site).await),
    };
    pin(&args, &site, mode).await.map_err(|error| vec![error])
}

async fn shown(args: &Worklist, site: &Site) -> Result<(), Diagnosis> {
    let glance = site.ledger_to_read()?;
    let ledger = &*glance.ledger;
    let job = site.job(ledger, &args.job).await?;
    let worklist = pinned(site, &job, ledger.job(&job).await?)?;
    site.output.answer(&worklist, facts(&job, &worklist));
    Ok(())
}

fn facts(job: &JobName, worklist: &WorklistRecord) -> Facts {
    let WorklistRecord { round, state, input, sha256, begun_at, pinned_at, closed_at, tally, .. } = worklist;
    let mut facts = Facts::default();
    facts.heading(format_args!("{job}: round {round}, {}", state.word()));
    match input {
        Some(input) => {
            facts.fact("source", line(&input.source));
            facts.fact("", format_args!("SHA-256 {}", input.sha256));
        }
        None => facts.fact("source", "discovered by the job"),
    }
    facts.fact("items", grouped(tally.total));
    if let Some(sha256) = sha256 {
        facts.fact("", format_args!("SHA-256 {sha256} over keys and fields, in order"));
    }
    if tally.duplicates > 0 {
        facts.fact("", repeated(tally.duplicates));
    }
    facts.fact("pinned", moment(pinned_at.unwrap_or(*begun_at)));
    if let Some(closed_at) = closed_at {
        facts.fact("closed", moment(*closed_at));
    }
    facts.fact("open", grouped(tally.open()));
    if let Some(outcomes) = outcomes(tally) {
        facts.fact("outcomes", outcomes);
    }
    facts
}

/// What `--json` prints of a pinning.
#[derive(Serialize)]
struct Answer<'a> {
    /// Items that were not in the worklist before; all of them after `--replace`.
    added: u64,
    #[serde(flatten)]
    report: &'a PassReport,
}

/// A pass that pins and drains nothing; its exit code is the command's.
async fn pin(args: &Worklist, site: &Site, mode: PinMode) -> Result<highwater_engine::report::ExitCode, Diagnosis> {
    let Some(config) = &site.config else { return Err(needs_config("worklist --replace|--extend")) };
    let job = config.job(&args.job)?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let before = ledger.job(&job.name).await?.and_then(|record| record.worklist).map(|worklist| worklist.tally);
    let engine = site.engine(Arc::clone(&ledger) as Arc<dyn Ledger>, signals::listen());
    let (runner, spec) = Wiring::new(site).runner(config, job, child_output(&Progress::none(), site.output))?;
    wiring::make_dirs(config, job)?;
    let report = runner.run(&engine, &spec, Mode::Pin(mode)).await;

    let added = added(before.as_ref(), mode, &report);
    if site.output.json {
        site.output.json(&Answer { added, report: &report });
    } else if let Some(diagnosis) = &report.diagnosis {
        site.output.errors(std::slice::from_ref(diagnosis));
    } else if report.reason == Reason::Pinned {
        site.output.line(sentence(&job.name, added, before.is_some(), mode, &report));
    } else {
        site.output.line(format_args!("{}: {}", report.job, report.message));
    }
    for note in &report.notes {
        site.output.note(format_args!("  note: {note}"));
    }
    Ok(report.exit)
}

fn added(before: Option<&Tally>, mode: PinMode, report: &PassReport) -> u64 {
    let now = report.tally.filter(|_| report.reason == Reason::Pinned).map_or(0, |tally| tally.total);
    match (mode, before) {
        (PinMode::Extend, Some(before)) => now.saturating_sub(before.total),
        _ => now,
    }
}

fn sentence(job: &JobName, added: u64, had_one: bool, mode: PinMode, report: &PassReport) -> String {
    let tally = report.tally.unwrap_or_default();
    let all = counted(tally.total, "item");
    let did = match (mode, had_one) {
        (PinMode::Extend, true) => {
            format!("{} added, {} in all, {} open", counted(added, "item"), grouped(tally.total), grouped(tally.open()))
        }
        (_, true) => format!("{all} pinned, all open; outcomes of the old list are left behind"),
        (_, false) => format!("{all} pinned, all open"),
    };
    let next = if tally.open() > 0 { format!("; next: `highwater run {job}`") } else { String::new() };
    format!("{job}: {did}{next}")
}
