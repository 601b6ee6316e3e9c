//! `kb add`: documents into a base, by a pass of a job that the base itself keeps the ledger of. Owns where its ledger and its lock are;
//! the rest is a job like any other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_engine::lock::FileLock;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::report::ExitCode;
use highwater_engine::settings::{FilePath, JobSettings};
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_kb::add::KbAddSettings;
use highwater_store::Access;
use sha2::{Digest as _, Sha256};

use super::place::Place;
use crate::bar::Progress;
use crate::cli::{Global, KbAdd};
use crate::commands::run::{Passes, limit};
use crate::site::{LEDGER_FILE, Site};
use crate::wiring;
use crate::{Done, in_runtime, signals, upkeep};

/// What a job here is called, before the mark of what it adds.
const JOB: &str = "kb-add";
/// Hexadecimal digits of that mark.
const MARK_DIGITS: usize = 12;
/// Where the ledger is, from the base's root.
const STATE: &str = ".highwater-state";

pub(super) fn add(args: &KbAdd, global: &Global) -> Done {
    let one = |error| vec![error];
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let state = place.root.join(STATE);
    let ledger = state_of(&place.root, global);
    if !args.dry_run {
        std::fs::create_dir_all(&state).map_err(|error| {
            let message = format!("the state directory cannot be made: {error}");
            one(Diagnosis::failure("HW-SIT-002", message, "name the ledger: `--ledger FILE`").in_file(&state))
        })?;
    }
    let site = Site::beside(global, ledger).map_err(one)?;
    in_runtime(passes(args, &site, &place))
}

/// The ledger of what is added to a base by command.
pub(super) fn state_of(root: &Path, global: &Global) -> PathBuf {
    global.ledger.clone().unwrap_or_else(|| root.join(STATE).join(LEDGER_FILE))
}

async fn passes(args: &KbAdd, site: &Site, place: &Place) -> Done {
    let one = |error| vec![error];
    let paths = absolute(&args.paths).map_err(one)?;
    let settings = KbAddSettings { base: FilePath::new(&place.root), paths: paths.iter().map(FilePath::new).collect() };
    let mut spec = spec(args, site, place, &paths);
    limit(&mut spec, &args.limits);
    let runner = wiring::kb::runner(&settings, &site.clock).map_err(one)?;
    let glance = if args.dry_run { Some(site.ledger_to_read().map_err(one)?) } else { None };
    let ledger = match &glance {
        Some(glance) => Arc::clone(&glance.ledger),
        None => site.ledger(Access::ReadWrite).map_err(one)?,
    };
    let engine = site.engine(Arc::clone(&ledger) as Arc<dyn Ledger>, signals::listen());
    let output = site.output;
    let passes = Passes { site, engine: &engine, notifier: wiring::notifier(site), output, cron: false };
    if args.dry_run {
        let report = runner.rehearse(&engine, &spec).await;
        passes.tell(&report).await;
        return Ok(report.exit);
    }
    let progress = Progress::follow(Arc::clone(&engine.ledger), Arc::clone(&site.clock), &spec, output);
    let report = passes.until(&*runner, &spec, false, progress).await;
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

fn absolute(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Diagnosis> {
    let each = paths.iter().map(|path| {
        std::path::absolute(path).map_err(|error| {
            Diagnosis::refusal("HW-KB-020", format!("cannot be named: {error}"), "correct the path").in_file(path)
        })
    });
    each.collect()
}

/// The job of just these paths: a call that was killed goes on with the same call, and another call is another job.
fn spec(args: &KbAdd, site: &Site, place: &Place, paths: &[PathBuf]) -> JobSpec {
    let mut hash = Sha256::new();
    for path in paths {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update([0]);
    }
    let mark = hex::encode(hash.finalize());
    let job = JobName::new(format!("{JOB}-{}", &mark[..MARK_DIGITS]))
        .expect("invariant: a word and hex digits are a job's name");
    let lock = lock_of(&place.root, &job);
    let resource = ResourceSpec::new(ResourceName::of_job(&job), FileLock::new(lock, false));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    JobSpec {
        handle: format!("{job} --ledger {}", site.ledger_path.display()),
        recurring: true,
        concurrency: args.concurrency.map_or(cores, usize::from),
        breaker: highwater_engine::breaker::BreakerRules { failed: 1.0, ..Default::default() },
        ..JobSpec::new(job, JOB, vec![resource], &JobSettings::default())
    }
}

fn lock_of(root: &Path, job: &JobName) -> PathBuf {
    root.join(STATE).join(format!("{job}.lock"))
}
