//! `exec`: any command under a lock, for each line of a list or once, without a configuration. Owns where its ledger and its
//! lock are; the rest is a job like any other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::breaker::BreakerRules;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::exec::ExecJob;
use highwater_engine::exec::settings::{ExecSettings, OnUnknown, StdinShape, WorklistFormat};
use highwater_engine::exec::source::WorklistFile;
use highwater_engine::ledger::{Ledger, PinMode};
use highwater_engine::lock::FileLock;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::pace::Pace;
use highwater_engine::pass::{Mode, Runner};
use highwater_engine::report::ExitCode;
use highwater_engine::settings::JobSettings;
use highwater_engine::settings::{CommandLine, DurationText, FilePath};
use highwater_engine::shell::quoted_path;
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_store::Access;
use sha2::{Digest, Sha256};

use super::codes;
use super::run::{Passes, limit};
use crate::bar::Progress;
use crate::cli::{Exec, Global, ListFormat};
use crate::site::Site;
use crate::wiring::{self, Wiring};
use crate::{Done, signals, upkeep};

/// The job's name in a ledger beside a list.
const JOB: &str = "exec";
/// Hex digits of the hash that tells commands without a list apart.
const HASH_DIGITS: usize = 12;

pub(crate) fn exec(args: &Exec, global: &Global) -> Done {
    let one = |e| vec![e];
    let places = Places::of(args, global).map_err(one)?;
    let site = Site::beside(global, places.ledger.clone()).map_err(one)?;
    crate::in_runtime(passes(args, site, places))
}

/// Where things lie.
struct Places {
    ledger: PathBuf,
    lock: PathBuf,
    job: JobName,
    directory: PathBuf,
}

impl Places {
    fn of(args: &Exec, global: &Global) -> Result<Self, Diagnosis> {
        let directory = std::env::current_dir().map_err(|e| {
            Diagnosis::failure(
                "HW-ENV-001",
                format!("the working directory cannot be read: {e}"),
                "change to a directory that exists",
            )
        })?;
        let beside = |path: &Path, ending: &str| {
            let mut name = directory.join(path).into_os_string();
            name.push(ending);
            PathBuf::from(name)
        };
        let lock = match (&args.lock, &args.worklist) {
            (Some(lock), _) => directory.join(lock),
            (None, Some(worklist)) => beside(worklist, ".highwater.lock"),
            (None, None) => {
                return Err(Diagnosis::refusal(
                    codes::NO_LOCK,
                    "found neither a lock nor a worklist; expected at least one",
                    "add `--lock PATH`, or `--worklist FILE`",
                )
                .at_field("--lock"));
            }
        };
        let lock = canonical(&lock);
        let (ledger, job) = match &args.worklist {
            Some(worklist) => (beside(worklist, ".highwater.db"), JOB.to_owned()),
            None => (state_home()?.join("highwater").join("exec.db"), format!("{JOB}-{}", hash(&lock, &args.command))),
        };
        let job = JobName::new(job).expect("invariant: a word and hex digits are a job's name");
        Ok(Self { ledger: global.ledger.clone().map_or(ledger, |path| directory.join(path)), lock, job, directory })
    }
}

/// The path with its directory's real name, so that one lock has one name.
fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        match (path.parent().and_then(|p| p.canonicalize().ok()), path.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => path.to_owned(),
        }
    })
}

fn hash(lock: &Path, command: &[String]) -> String {
    let mut hash = Sha256::new();
    hash.update(lock.as_os_str().as_encoded_bytes());
    for word in command {
        hash.update([0]);
        hash.update(word);
    }
    hex::encode(hash.finalize())[..HASH_DIGITS].to_owned()
}

/// `$XDG_STATE_HOME`, else `~/.local/state`.
fn state_home() -> Result<PathBuf, Diagnosis> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state"))).ok_or_else(|| {
        Diagnosis::refusal(
            codes::NO_HOME,
            "found neither `XDG_STATE_HOME` nor `HOME`; expected one, for the ledger",
            "name the ledger: `--ledger FILE`",
        )
    })
}

fn settings(args: &Exec) -> Result<ExecSettings, Diagnosis> {
    let command = CommandLine::new(args.command.iter().cloned()).ok_or_else(|| {
        Diagnosis::refusal(
            codes::NO_PROGRAM,
            "found an empty program name; expected a command",
            "write the command after `--`",
        )
        .at_field("COMMAND")
    })?;
    let shown = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    Ok(ExecSettings {
        command,
        worklist: args.worklist.as_ref().map(|path| FilePath::new(shown(path))),
        format: args.format.map(|format| match format {
            ListFormat::Lines => WorklistFormat::Lines,
            ListFormat::Csv => WorklistFormat::Csv,
            ListFormat::Jsonl => WorklistFormat::Jsonl,
        }),
        key: args.key.clone(),
        stdin: if args.stdin_json { StdinShape::Json } else { StdinShape::None },
        timeout: args.timeout,
        grace: DurationText::secs(10),
        on_unknown: if args.review_unknown { OnUnknown::Review } else { OnUnknown::Rerun },
        directory: None,
        env: Default::default(),
    })
}

async fn passes(args: &Exec, site: Site, places: Places) -> Done {
    let one = |e| vec![e];
    let output = site.output;
    let settings = settings(args).map_err(one)?;
    refuse_no_list(&settings, &places).map_err(one)?;
    if !args.dry_run
        && let Some(parent) = places.ledger.parent()
        && args.worklist.is_none()
    {
        std::fs::create_dir_all(parent).map_err(|e| {
            one(Diagnosis::failure(
                "HW-SIT-002",
                format!("the state directory cannot be made: {e}"),
                "name the ledger: `--ledger FILE`",
            )
            .in_file(parent))
        })?;
    }
    let mut spec = spec(args, &site, &places);
    limit(&mut spec, &args.limits);
    let wiring = Wiring::new(&site);
    let resources: Vec<_> = spec.resources.iter().map(|r| r.name.clone()).collect();
    let job = |child| -> Box<dyn Runner> {
        let directory = &places.directory;
        wiring::exec_runner(ExecJob::from_settings(
            &settings,
            directory,
            resources.clone(),
            spec.recurring,
            wiring.ledger_id(),
            child,
        ))
    };
    let glance = if args.dry_run { Some(site.ledger_to_read().map_err(one)?) } else { None };
    let ledger = match &glance {
        Some(glance) => Arc::clone(&glance.ledger),
        None => site.ledger(Access::ReadWrite).map_err(one)?,
    };
    let engine = site.engine(Arc::clone(&ledger) as Arc<dyn Ledger>, signals::listen());
    let passes = Passes { site: &site, engine: &engine, notifier: wiring::notifier(&site), output, cron: false };
    if args.dry_run {
        let report = job(super::child_output(&Progress::none(), output)).rehearse(&engine, &spec).await;
        passes.tell(&report).await;
        return Ok(report.exit);
    }
    let pin = match (args.extend, args.replace) {
        (true, _) => Some(PinMode::Extend),
        (_, true) => Some(PinMode::Replace),
        _ => None,
    };
    if let Some(mode) = pin {
        let report = job(super::child_output(&Progress::none(), output)).run(&engine, &spec, Mode::Pin(mode)).await;
        if report.exit != ExitCode::Drained {
            passes.tell(&report).await;
            return Ok(report.exit);
        }
    }
    let progress = Progress::follow(Arc::clone(&engine.ledger), Arc::clone(&site.clock), &spec, output);
    let runner = job(super::child_output(&progress, output));
    let report = passes.until(&*runner, &spec, args.until_drained, progress).await;
    upkeep::upkeep(&site, &ledger, output).await;
    Ok(report.exit)
}

/// A misspelt list is not to get a ledger and a lock beside it.
fn refuse_no_list(settings: &ExecSettings, places: &Places) -> Result<(), Diagnosis> {
    match (&settings.worklist, settings.effective_format()) {
        (Some(list), Some(format)) if !places.ledger.exists() => {
            WorklistFile::new(list.to_path_buf(), format, settings.key.clone(), true).items().map(drop)
        }
        _ => Ok(()),
    }
}

fn spec(args: &Exec, site: &Site, places: &Places) -> JobSpec {
    let name = ResourceName::new(format!("lock:{}", places.lock.display()))
        .unwrap_or_else(|_| ResourceName::of_job(&places.job));
    let resource = ResourceSpec {
        pace: Pace { delay: args.pace.get(), jitter: 0.0 },
        ..ResourceSpec::new(name, FileLock::new(&places.lock, args.allow_network_fs))
    };
    JobSpec {
        handle: format!("{} --ledger {}", places.job, quoted_path(&site.ledger_path)),
        recurring: args.recurring,
        concurrency: usize::try_from(args.concurrency).unwrap_or(1),
        lock_wait: args.lock_wait.get(),
        breaker: BreakerRules {
            failed: args.breaker_failed.fraction(),
            gone: args.breaker_gone.fraction(),
            ..BreakerRules::default()
        },
        attempts_max: args.attempts_max,
        ..JobSpec::new(places.job.clone(), JOB, vec![resource], &JobSettings::default())
    }
}
