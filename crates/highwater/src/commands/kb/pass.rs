//! A pass of a job that a base keeps the ledger of itself: for commands that name no job. Owns where that ledger and the job's lock are,
//! and what the job is called; the rest is a job like any other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::clock::SystemClock;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_engine::lock::FileLock;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::pass::Runner;
use highwater_engine::report::ExitCode;
use highwater_engine::settings::JobSettings;
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_kb::add::Place as Workshop;
use highwater_kb::compile::Compilers;
use highwater_store::Access;
use sha2::{Digest as _, Sha256};

use super::place::Place;
use crate::bar::Progress;
use crate::cli::{Global, KbLlm, Limits};
use crate::commands::run::{Passes, limit};
use crate::site::{LEDGER_FILE, Site};
use crate::wiring;
use crate::{Done, in_runtime, signals, upkeep};

/// Hexadecimal digits of the mark in a job's name.
const MARK_DIGITS: usize = 12;
/// Where the ledger is, from the base's root.
pub(super) const STATE: &str = ".highwater-state";

/// A call for one pass.
pub(super) struct Call<'c> {
    /// The kind of the job.
    pub(super) kind: &'static str,
    /// What tells it from others of this kind: a call that was killed goes on with the same one, and another is another job.
    pub(super) of: Vec<Vec<u8>>,
    pub(super) runner: Box<dyn Runner>,
    /// What it contacts besides.
    pub(super) endpoint: Option<ResourceSpec>,
    pub(super) concurrency: Option<u16>,
    pub(super) limits: &'c Limits,
    pub(super) dry_run: bool,
}

/// What makes pages of a base: a language model, if one is named, or what is built in; and the endpoint that it contacts.
///
/// # Errors
/// Flags that do not go together, and no key where one is named.
pub(super) fn workshop(place: &Place, llm: &KbLlm) -> Result<(Workshop<Compilers>, Option<ResourceSpec>), Diagnosis> {
    let llm = llm.settings()?;
    let endpoint = llm.as_ref().map(|llm| wiring::kb::endpoint(llm, &place.root.join(STATE)));
    let asked = llm.as_ref().zip(endpoint.as_ref().map(|endpoint| &endpoint.name));
    Ok((wiring::kb::place(&place.root, asked, &SystemClock::shared())?, endpoint))
}

/// Runs the pass and tells how it ended.
pub(super) fn pass(call: &Call<'_>, global: &Global, place: &Place) -> Done {
    let one = |error| vec![error];
    let state = place.root.join(STATE);
    if !call.dry_run {
        std::fs::create_dir_all(&state).map_err(|error| {
            let message = format!("the state directory cannot be made: {error}");
            one(Diagnosis::failure("HW-SIT-002", message, "name the ledger: `--ledger FILE`").in_file(&state))
        })?;
    }
    let site = Site::beside(global, ledger_of(&place.root, global)).map_err(one)?;
    in_runtime(passed(call, &site, &place.root))
}

/// The ledger of the passes of commands.
pub(super) fn ledger_of(root: &Path, global: &Global) -> PathBuf {
    global.ledger.clone().unwrap_or_else(|| root.join(STATE).join(LEDGER_FILE))
}

async fn passed(call: &Call<'_>, site: &Site, root: &Path) -> Done {
    let one = |error| vec![error];
    let mut spec = spec(call, site, root);
    limit(&mut spec, call.limits);
    let glance = if call.dry_run { Some(site.ledger_to_read().map_err(one)?) } else { None };
    let ledger = match &glance {
        Some(glance) => Arc::clone(&glance.ledger),
        None => site.ledger(Access::ReadWrite).map_err(one)?,
    };
    let engine = site.engine(Arc::clone(&ledger) as Arc<dyn Ledger>, signals::listen());
    let output = site.output;
    let passes = Passes { site, engine: &engine, notifier: wiring::notifier(site), output, cron: false };
    if call.dry_run {
        let report = call.runner.rehearse(&engine, &spec).await;
        passes.tell(&report).await;
        return Ok(report.exit);
    }
    let progress = Progress::follow(Arc::clone(&engine.ledger), Arc::clone(&site.clock), &spec, output);
    let report = passes.until(&*call.runner, &spec, false, progress).await;
    if report.counts.review > 0 {
        let ledger = site.ledger_path.display();
        let those = if report.counts.review == 1 { "one document is" } else { "some documents are" };
        output.note(format!(
            "  {those} for you to look at: highwater --ledger {ledger} items {} --outcome review",
            spec.name
        ));
    }
    upkeep::upkeep(site, &ledger, output).await;
    Ok::<ExitCode, _>(report.exit)
}

fn spec(call: &Call<'_>, site: &Site, root: &Path) -> JobSpec {
    let mut hash = Sha256::new();
    for word in &call.of {
        hash.update(word);
        hash.update([0]);
    }
    let mark = hex::encode(hash.finalize());
    let job = JobName::new(format!("{}-{}", call.kind, &mark[..MARK_DIGITS]))
        .expect("invariant: a word and hex digits are a job's name");
    let mut resources = vec![ResourceSpec::new(ResourceName::of_job(&job), FileLock::new(lock_of(root, &job), false))];
    resources.extend(call.endpoint.clone());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    JobSpec {
        handle: format!("{job} --ledger {}", site.ledger_path.display()),
        recurring: true,
        concurrency: call.concurrency.map_or(cores, usize::from),
        breaker: highwater_engine::breaker::BreakerRules { failed: 1.0, ..Default::default() },
        ..JobSpec::new(job, call.kind, resources, &JobSettings::default())
    }
}

fn lock_of(root: &Path, job: &JobName) -> PathBuf {
    root.join(STATE).join(format!("{job}.lock"))
}
