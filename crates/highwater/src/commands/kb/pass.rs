//! A pass of a job that a base keeps the ledger of itself: for commands that name no job. Owns where that ledger and the job's lock are,
//! and what the job is called; the rest is a job like any other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::SystemClock;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{ItemFilter, ItemOrder, Ledger, PAGE_ROWS_MAX};
use highwater_engine::lock::FileLock;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::pace::Pace;
use highwater_engine::pass::{Engine, Runner};
use highwater_engine::report::ExitCode;
use highwater_engine::settings::JobSettings;
use highwater_engine::shell::quoted_path;
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_engine::worklist::WorklistState;
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
/// From one contact with a host to the next, in milliseconds.
const HOST_PACE_MS: u64 = 250;
/// Where the ledger is, from the base's root.
pub(super) const STATE: &str = ".highwater-state";

/// A call for one pass.
pub(super) struct Call<'c> {
    /// The kind of the job.
    pub(super) kind: &'static str,
    /// What tells it from others of this kind: a call that was killed goes on with the same one, and another is another job.
    pub(super) of: Vec<Vec<u8>>,
    pub(super) runner: Box<dyn Runner>,
    /// What it contacts besides: hosts of the web, and the endpoint of a model.
    pub(super) besides: Vec<ResourceSpec>,
    pub(super) concurrency: Option<u16>,
    pub(super) limits: &'c Limits,
    pub(super) dry_run: bool,
    /// Whether what an earlier call left is drained first and then listed anew: between the two it may have changed.
    pub(super) lists_anew: bool,
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
    let site = site(global, place, !call.dry_run).map_err(|error| vec![error])?;
    in_runtime(passed(call, &site, &place.root))
}

/// Where a base keeps what its passes remember; it is made where something is to be written there.
pub(super) fn site(global: &Global, place: &Place, writes: bool) -> Result<Site, Diagnosis> {
    // The base's own has its locks in any case.
    let own = place.root.join(STATE);
    let named = global.state_dir.as_deref().filter(|_| global.ledger.is_none());
    for state in [Some(&*own), named].into_iter().flatten().filter(|_| writes) {
        std::fs::create_dir_all(state).map_err(|error| {
            let message = format!("the state directory cannot be made: {error}");
            Diagnosis::failure("HW-SIT-002", message, "name the ledger: `--ledger FILE`").in_file(state)
        })?;
    }
    Site::beside(global, ledger_of(&place.root, global))
}

/// The ledger of the passes of commands: the one that is named, else that of the directory that is named, else the base's own.
pub(super) fn ledger_of(root: &Path, global: &Global) -> PathBuf {
    let directory = || global.state_dir.clone().unwrap_or_else(|| root.join(STATE));
    global.ledger.clone().unwrap_or_else(|| directory().join(LEDGER_FILE))
}

async fn passed(call: &Call<'_>, site: &Site, root: &Path) -> Done {
    let one = |error| vec![error];
    let mut spec = spec(call.kind, &call.of, site, root, &call.besides, call.concurrency);
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
    let progress = || Progress::follow(Arc::clone(&engine.ledger), Arc::clone(&site.clock), &spec, output);
    let goes_on = call.lists_anew && is_open(&engine, &spec).await.map_err(one)?;
    let mut report = passes.until(&*call.runner, &spec, false, progress()).await;
    if goes_on && report.drained() {
        if call.limits.is_any() || has_spent(&engine, &spec).await.map_err(one)? {
            output.note("  that was what an earlier call had listed; the same call again looks for what changed since");
        } else {
            report = passes.until(&*call.runner, &spec, false, progress()).await;
        }
    }
    let ledger_path = quoted_path(&site.ledger_path);
    if report.counts.retry > 0 {
        output.note(format!(
            "  the next pass is the same call again; what waits for it: highwater --ledger {ledger_path} items {} --outcome retry",
            spec.name
        ));
    }
    if report.counts.review > 0 {
        let those = if report.counts.review == 1 { "one document is" } else { "some documents are" };
        output.note(format!(
            "  {those} for you to look at: highwater --ledger {ledger_path} items {} --outcome review",
            spec.name
        ));
    }
    upkeep::upkeep(site, &ledger, output).await;
    Ok::<ExitCode, _>(report.exit)
}

/// Whether an earlier call left a list to go on with.
pub(super) async fn is_open(engine: &Engine, spec: &JobSpec) -> Result<bool, Diagnosis> {
    let worklist = engine.ledger.job(&spec.name).await?.and_then(|job| job.worklist);
    Ok(worklist.is_some_and(|list| list.state == WorklistState::Pinned))
}

/// Whether its list has a document whose tries are spent: listed anew it would be tried once more, by the very call that gave it up.
async fn has_spent(engine: &Engine, spec: &JobSpec) -> Result<bool, Diagnosis> {
    let Some(list) = engine.ledger.job(&spec.name).await?.and_then(|job| job.worklist) else { return Ok(false) };
    let (filter, mut after) = (ItemFilter::Outcome("review".to_owned()), None);
    loop {
        let items = engine.ledger.items(list.id, &filter, ItemOrder::Position, after, PAGE_ROWS_MAX).await?;
        if items.iter().any(|item| item.attempts >= spec.attempts_max) {
            return Ok(true);
        }
        let Some(last) = items.last() else { return Ok(false) };
        after = Some(last.position);
    }
}

/// The name of the job of such a call; `of` tells it from others of its kind.
pub(super) fn job_of(kind: &str, of: &[Vec<u8>]) -> JobName {
    let mark = mark(of.iter().map(Vec::as_slice));
    JobName::new(format!("{kind}-{mark}")).expect("invariant: a word and hex digits are a job's name")
}

/// A host of the web as the calls of one base share it.
pub(super) fn host(root: &Path, host: &ResourceName) -> ResourceSpec {
    let lock = lock(root, &format!("web-{}", mark([host.as_str().as_bytes()])));
    let pace = Pace { delay: Duration::from_millis(HOST_PACE_MS), jitter: 0.0 };
    ResourceSpec { pace, ..ResourceSpec::new(host.clone(), lock) }
}

fn lock(root: &Path, name: &str) -> FileLock {
    FileLock::new(root.join(STATE).join(format!("{name}.lock")), false)
}

/// The job of such a call, which contacts these besides.
pub(super) fn spec(
    kind: &str,
    of: &[Vec<u8>],
    site: &Site,
    root: &Path,
    besides: &[ResourceSpec],
    concurrency: Option<u16>,
) -> JobSpec {
    let job = job_of(kind, of);
    let own = ResourceSpec::new(ResourceName::of_job(&job), lock(root, job.as_str()));
    let resources = std::iter::once(own).chain(besides.iter().cloned()).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    JobSpec {
        handle: format!("{job} --ledger {}", quoted_path(&site.ledger_path)),
        recurring: true,
        concurrency: concurrency.map_or(cores, usize::from),
        // Neither a document that cannot be read nor a file that went since it was listed says anything of the others.
        breaker: highwater_engine::breaker::BreakerRules { failed: 1.0, gone: 1.0, ..Default::default() },
        ..JobSpec::new(job, kind, resources, &JobSettings::default())
    }
}

/// Hexadecimal digits that tell these words from others.
fn mark<'w>(words: impl IntoIterator<Item = &'w [u8]>) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word);
        hash.update([0]);
    }
    let mut mark = hex::encode(hash.finalize());
    mark.truncate(MARK_DIGITS);
    mark
}
