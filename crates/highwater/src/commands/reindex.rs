//! `reindex`: rows for stored episodes that lack one, of a job, of the receiver, or of any directory. Owns which of these is meant and
//! that each call looks anew; reading and indexing are the domain's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::breaker::BreakerRules;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::Stop;
use highwater_engine::ledger::{Ledger, PinMode};
use highwater_engine::lock::FileLock;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::pass::{Mode, Runner as _};
use highwater_engine::report::{ExitCode, PassReport};
use highwater_engine::settings::{FilePath, JobSettings};
use highwater_engine::shell::quoted_path;
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_engine::worklist::WorklistState;
use highwater_episodes::reindex::{self, Access, Files, Outlook, Place, Prune, ReindexSettings};
use highwater_store::Access as LedgerAccess;
use serde_json::json;

use super::codes;
use super::episodes;
use super::listing::{self, Reader};
use super::run::{Passes, limit};
use crate::bar::{Progress, counted};
use crate::cli::{Global, Reindex};
use crate::config::{Config, JobConfig, KindSettings};
use crate::output::Output;
use crate::owner::{become_owner, become_owner_of_new};
use crate::site::{Site, configuration};
use crate::table::line;
use crate::wiring::indexing::Indexing;
use crate::wiring::{self, Wiring};
use crate::{Done, in_runtime, signals, upkeep};

/// The kind, and the name of what is no configured job.
const REINDEX: &str = "reindex";
/// How the ledger and the lock without a job are called, after the index.
const LEDGER_SUFFIX: &str = ".highwater.db";
const LOCK_SUFFIX: &str = ".highwater.lock";
/// Lines of a dry run that are printed at a time.
const PAGE_LINES: usize = 1_000;

/// What is indexed.
struct Meant {
    files: Files,
    settings: ReindexSettings,
    /// The job of the configuration.
    job: Option<JobName>,
}

pub(crate) fn reindex(args: Reindex, global: &Global) -> Done {
    let one = |error| vec![error];
    let output = Output { json: global.json, quiet: global.quiet };
    if let Some(episodes) = &args.episodes_root {
        let files = Files::of_episodes(episodes, args.index.as_deref()).map_err(one)?;
        episodes::are_there(&args.hosts, &files).map_err(one)?;
        let meant = Meant { settings: settings(&args, &files.episodes, None), files, job: None };
        if args.dry_run {
            return outlook(&meant, prune(&args), output).map_err(one);
        }
        owned(&meant.files).map_err(one)?;
        let ledger = global.ledger.clone().unwrap_or_else(|| beside(&meant.files.index, LEDGER_SUFFIX));
        let site = Site::beside(global, ledger).map_err(one)?;
        return in_runtime(async { passes(&args, &site, meant).await.map_err(one) });
    }
    if global.ledger.is_some() {
        return Err(one(super::needs_config(REINDEX)));
    }
    let meant_of = |config: &Config| {
        let meant = meant(&args, config)?;
        // Those of a job's settings may come later; those that are typed are meant now.
        episodes::are_there(&args.hosts, &meant.files)?;
        Ok(meant)
    };
    if args.dry_run {
        return outlook(&meant_of(&configuration(global)?).map_err(one)?, prune(&args), output).map_err(one);
    }
    let site = Site::open(global)?;
    let Some(config) = &site.config else { return Err(one(super::needs_config(REINDEX))) };
    let meant = meant_of(config).map_err(one)?;
    owned(&meant.files).map_err(one)?;
    in_runtime(async { passes(&args, &site, meant).await.map_err(one) })
}

/// As whom the files are written: as their owner.
fn owned(files: &Files) -> Result<(), Diagnosis> {
    become_owner(&[&files.index, &files.episodes])?;
    become_owner_of_new(&files.index)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The settings of a job, under what was typed.
fn settings(args: &Reindex, root: &Path, of_job: Option<&ReindexSettings>) -> ReindexSettings {
    let hosts = (!args.hosts.is_empty()).then(|| args.hosts.clone());
    ReindexSettings {
        root: of_job.map_or_else(|| FilePath::new(root), |job| job.root.clone()),
        hosts: hosts.or_else(|| of_job.and_then(|job| job.hosts.clone())),
        verify: args.verify || of_job.is_some_and(|job| job.verify),
        unpack: args.unpack || of_job.is_some_and(|job| job.unpack),
    }
}

/// The job that is named, the only one, or what the receiver stores.
fn meant(args: &Reindex, config: &Config) -> Result<Meant, Diagnosis> {
    let of_job = |job: &JobConfig, of: &ReindexSettings| Meant {
        files: Files::of_root(&of.root),
        settings: settings(args, &of.root, Some(of)),
        job: Some(job.name.clone()),
    };
    let refused = |message: String, next: &str| {
        Diagnosis::refusal(codes::WHICH_REINDEX, message, next).in_file(&config.file).at_field("JOB")
    };
    if let Some(name) = &args.job {
        let job = config.job(name)?;
        return match &job.kind {
            KindSettings::Reindex(of) => Ok(of_job(job, of)),
            other => Err(refused(
                format!("found {name}, a job of kind `{}`; expected one of kind `reindex`", other.name()),
                "name another, or none for the directory of `[receiver]`",
            )),
        };
    }
    let jobs: Vec<_> = config
        .jobs
        .values()
        .filter_map(|job| match &job.kind {
            KindSettings::Reindex(of) => Some((job, of)),
            _ => None,
        })
        .collect();
    match jobs.as_slice() {
        [(job, of)] => Ok(of_job(job, of)),
        [] => {
            let root = &config
                .receiver()
                .map_err(|error| {
                    let next = "name `--episodes-root DIR`, or add `[receiver]` or a job of kind `reindex`";
                    Diagnosis { next: next.to_owned(), ..error }
                })?
                .root;
            Ok(Meant { files: Files::of_root(root), settings: settings(args, root, None), job: None })
        }
        several => {
            let names: Vec<_> = several.iter().map(|(job, _)| job.name.as_str()).collect();
            Err(refused(
                format!("found {} jobs of kind `reindex`, expected one to be named", names.len()),
                &format!("name one: {}", names.join(" or ")),
            ))
        }
    }
}

/// What becomes of rows without an episode.
fn prune(args: &Reindex) -> Option<Prune> {
    args.prune.then_some(if args.force { Prune::Any } else { Prune::Few })
}

/// What a pass would do, a line each.
fn outlook(meant: &Meant, prune: Option<Prune>, output: Output) -> Result<ExitCode, Diagnosis> {
    let place = Place::open_at(&meant.files, &meant.settings, Access::Look, prune)?;
    if let Some(told) = &place.passed_over {
        output.note(told);
    }
    let (mut back, mut index, mut aside, mut verify, mut orphans, mut left) = (0, 0, 0, 0, 0, 0);
    let (mut odd, mut shut) = (0, 0);
    // What stays as it is until a person has seen to it.
    let left_alone = |path: &Path, why: String| match output.json {
        true => listing::json_lines([json!({ "would": "leave", "path": path.to_string_lossy(), "why": why })]),
        false => format!("leave {}\n", line(&why)).into_bytes(),
    };
    let mut page = Vec::new();
    let mut printed = Ok(Reader::There);
    let mut print = |page: &mut Vec<u8>| {
        if matches!(printed, Ok(Reader::There)) {
            printed = listing::print(page);
        }
        page.clear();
    };
    let mut lines = 0;
    let told = place.outlook(|outlook| {
        let (would, key, why, count) = match outlook {
            Outlook::PutBack(key) => ("put-back", key, None, &mut back),
            Outlook::Index(key) => ("index", key, None, &mut index),
            Outlook::Aside(key, why) => ("quarantine", key, Some(why), &mut aside),
            Outlook::Verify(key) => ("verify", key, None, &mut verify),
            Outlook::Orphan(key) => ("orphan", key, None, &mut orphans),
            Outlook::Left(key) => {
                ("leave", key, Some("it was withdrawn, and is stored all the same".to_owned()), &mut left)
            }
            Outlook::Odd(what) => {
                odd += 1;
                return page.extend(left_alone(&what.path, what.to_string()));
            }
            Outlook::Shut(what) => {
                shut += 1;
                return page.extend(left_alone(&what.path, format!("{what}; {}", what.next())));
            }
        };
        *count += 1;
        match (output.json, why) {
            (true, None) => page.extend(listing::json_lines([
                json!({ "would": would, "host_id": key.host, "episode_id": key.episode }),
            ])),
            (true, Some(why)) => page.extend(listing::json_lines([
                json!({ "would": would, "host_id": key.host, "episode_id": key.episode, "why": why }),
            ])),
            (false, None) => page.extend(format!("{would:<6} {key}\n").into_bytes()),
            (false, Some(why)) => page.extend(format!("{would} {key}: {}\n", line(&why)).into_bytes()),
        }
        lines += 1;
        if lines % PAGE_LINES == 0 {
            print(&mut page);
        }
    });
    print(&mut page);
    printed?;
    told.map_err(stopped)?;
    let mut parts = vec![format!("{} to index", counted(index, "episode"))];
    if back > 0 {
        parts.push(format!("{} to put back", counted(back, "tombstone")));
    }
    if aside > 0 {
        parts.push(format!("{} to quarantine", counted(aside, "file")));
    }
    if verify > 0 {
        parts.push(format!("{} to compare with their rows", counted(verify, "episode")));
    }
    if orphans > 0 {
        parts.push(format!("{} without a stored episode", counted(orphans, "row")));
    }
    if left > 0 {
        parts.push(format!(
            "{} that {} withdrawn and stored all the same",
            counted(left, "episode"),
            if left == 1 { "is" } else { "are" }
        ));
    }
    if odd > 0 {
        parts.push(format!("{} to move away by hand", counted(odd, "thing")));
    }
    if shut > 0 {
        parts.push(format!("{} that cannot be read", counted(shut, "thing")));
    }
    output.note(format!("{}; nothing was written", parts.join(", ")));
    if left + odd + shut > 0 {
        return Ok(ExitCode::Halted);
    }
    Ok(if back + index + aside + verify + if prune.is_some() { orphans } else { 0 } == 0 {
        ExitCode::Drained
    } else {
        ExitCode::Checkpoint
    })
}

fn stopped(stop: Stop) -> Diagnosis {
    match stop {
        Stop::Fail(diagnosis) => diagnosis,
        other => Diagnosis::failure("HW-BUG-001", format!("a look stopped: {other:?}"), "report it with this message"),
    }
}

async fn passes(args: &Reindex, site: &Site, meant: Meant) -> Result<ExitCode, Diagnosis> {
    let wiring = Wiring::new(site);
    let job = match (&site.config, &meant.job) {
        (Some(config), Some(name)) => Some((config, config.job(name.as_str())?)),
        _ => None,
    };
    let mut spec = match job {
        Some((config, job)) => {
            wiring::make_dirs(config, job)?;
            wiring.spec(config, job)?
        }
        None => spec(site, &meant.files),
    };
    if let Some(concurrency) = args.concurrency {
        spec.concurrency = usize::try_from(concurrency).unwrap_or(1);
    }
    limit(&mut spec, &args.limits);
    let place = Place::open_at(&meant.files, &meant.settings, Access::Write, prune(args))?;
    let runner = Indexing::of(place);
    let ledger = site.ledger(LedgerAccess::ReadWrite)?;
    let output = site.output;
    let engine = site.engine(Arc::clone(&ledger) as Arc<dyn Ledger>, signals::listen());
    let passes = Passes { site, engine: &engine, notifier: wiring::notifier(site), output, cron: false };
    // What has its row is not listed again, so a new list costs nothing; but what was compared is not compared again; by its seal alone it
    // may have been, where each is to be unpacked.
    let open = ledger.job(&spec.name).await?.and_then(|record| record.worklist);
    let goes_on = meant.settings.verify
        && !meant.settings.unpack
        && open.is_some_and(|worklist| worklist.state == WorklistState::Pinned);
    let pin = if goes_on { PinMode::Extend } else { PinMode::Replace };
    let report = runner.run(&engine, &spec, Mode::Pin(pin)).await;
    if report.exit != ExitCode::Drained {
        passes.tell(&report).await;
        return Ok(report.exit);
    }
    let progress = Progress::follow(Arc::clone(&engine.ledger), Arc::clone(&site.clock), &spec, output);
    let mut report = runner.run(&engine, &spec, Mode::Run).await;
    report.notes.extend(passes.notifier.after_pass(&engine, &as_told(&spec, &report), &report).await);
    drop(progress);
    passes.tell(&report).await;
    upkeep::upkeep(site, &ledger, output).await;
    Ok(report.exit)
}

/// The job as people are told of it: a list that each call makes anew is a round, and one of which nothing was to do is no news.
/// As the list is drained, nothing of it is silent.
fn as_told(spec: &JobSpec, report: &PassReport) -> JobSpec {
    match report.drained() {
        true => JobSpec { recurring: true, silent_after: None, ..spec.clone() },
        false => spec.clone(),
    }
}

/// What is no configured job: its lock lies beside the index, whoever calls.
fn spec(site: &Site, files: &Files) -> JobSpec {
    let job = JobName::new(REINDEX).expect("invariant: a word is a job's name");
    let lock = beside(&files.index, LOCK_SUFFIX);
    let name = ResourceName::new(format!("lock:{}", lock.display())).unwrap_or_else(|_| ResourceName::of_job(&job));
    let handle = match &site.config {
        Some(_) => job.to_string(),
        None => format!("{job} --ledger {}", quoted_path(&site.ledger_path)),
    };
    let resources = vec![ResourceSpec::new(name, FileLock::new(lock, false))];
    JobSpec {
        handle,
        breaker: reindex::breaker(BreakerRules::default()),
        concurrency: std::thread::available_parallelism().map_or(1, usize::from),
        ..JobSpec::new(job, REINDEX, resources, &JobSettings::default())
    }
}
