//! `migrate`: numbered SQL migrations of the configuration's database. Owns what is told of a run; the run is the domain's, and the
//! rollups that a step requires are brought up by `migrate/hook.rs`.

mod hook;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use highwater_db::address::DatabaseAddress;
use highwater_db::session::{Dialect, Session, Value};
use highwater_engine::contact::{StopSignal, Urgency};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_engine::report::ExitCode;
use highwater_rollup::declare::{Declaration, TableName};
use highwater_rollup::migrate::files::{self, Files};
use highwater_rollup::migrate::{self, Done as Step, MigrateError, MigrateSettings, Options, Required};
use highwater_rollup::settings::Subject;
use highwater_rollup::told;
use highwater_store::Access;
use serde::Serialize;

use super::codes;
use crate::bar::counted;
use crate::cli::{Baseline, MigrateVerb, Up};
use crate::config::{Config, KindSettings};
use crate::site::Site;
use crate::{Done, signals};
use hook::Rollups;

pub(crate) async fn migrate(verb: MigrateVerb, site: Site) -> Done {
    let done = match verb {
        MigrateVerb::Up(args) => up(&args, &site).await,
        MigrateVerb::Baseline(args) => baseline(&args, &site).await,
        MigrateVerb::List => list(&site).await,
    };
    done.map_err(|error| vec![error])
}

/// The migrations of the configuration.
struct Migrations<'s> {
    settings: &'s MigrateSettings,
    address: DatabaseAddress,
    config: &'s Config,
}

impl<'s> Migrations<'s> {
    fn of(site: &'s Site) -> Result<Self, Diagnosis> {
        let Some(config) = &site.config else { return Err(super::needs_config("migrate")) };
        let settings = config.migrate()?;
        let address = settings.address().expect("invariant: the configuration was checked");
        Ok(Self { settings, address, config })
    }

    fn files(&self) -> Result<Files, Diagnosis> {
        files::read(&self.settings.directory).map_err(|error| self.told(&error.into()))
    }

    async fn open(&self) -> Result<Box<dyn Session>, Diagnosis> {
        let opened = self.address.open(self.settings.busy_timeout.get()).await;
        opened.map_err(|fault| {
            told::of_fault(&self.address.to_string(), "it cannot be opened", &fault).at_field("migrate.database")
        })
    }

    /// The server's process of a session.
    async fn process(&self, session: &mut dyn Session) -> Option<i64> {
        match session.dialect() {
            Dialect::Sqlite => None,
            Dialect::Postgres => {
                session.first("SELECT pg_backend_pid()", &[]).await.ok().flatten().and_then(|row| row[0].int())
            }
        }
    }

    /// Ends a session whose statement nobody waits for any more: the server would go on with it, and keep its locks.
    async fn end(&self, pid: Option<i64>) {
        let (Some(pid), Ok(mut session)) = (pid, self.open().await) else { return };
        // Without it, the locks are let go when the statement ends.
        session.first("SELECT pg_terminate_backend($1::int)", &[Value::Int(pid)]).await.ok();
    }

    fn told(&self, error: &MigrateError) -> Diagnosis {
        migrate::diagnosis(&self.address.to_string(), &self.settings.directory, error)
    }

    fn options(&self) -> Options {
        let (table, lock_wait) = (self.settings.table.clone(), self.settings.lock_wait.get());
        Options { table, lock_wait, resume: false, rollups: self.rollups() }
    }

    /// Declared rollups that may be in the same database: their state there says whether they are.
    fn rollups(&self) -> Vec<(String, Declaration)> {
        let mut rollups = Vec::new();
        for job in self.config.jobs.values() {
            let KindSettings::Rollup(settings) = &job.kind else { continue };
            let (Ok(address), Ok(Subject::Declared(declaration))) = (settings.address(), settings.subject()) else {
                continue;
            };
            if address.dialect() == self.address.dialect() {
                rollups.push((job.name.to_string(), declaration));
            }
        }
        rollups
    }
}

#[derive(Serialize)]
struct Applied<'a> {
    database: String,
    applied: Vec<One<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    number: i64,
    file: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    required: Vec<Met<'a>>,
}

/// Why a rollup counts as complete: `source_empty`, `rollup_state_missing`, `watermark_within_threshold` or `walked`.
#[derive(Serialize)]
struct Met<'a> {
    job: &'a str,
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slices: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
}

impl<'a> Met<'a> {
    fn of(job: &'a str, required: Required) -> Self {
        let (slices, rows) = match required {
            Required::Walked { slices, rows } => (Some(slices), Some(rows)),
            _ => (None, None),
        };
        Self { job, why: required.word(), slices, rows }
    }
}

async fn up(args: &Up, site: &Site) -> Result<ExitCode, Diagnosis> {
    let migrations = Migrations::of(site)?;
    let files = migrations.files()?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let mut options = Options { resume: args.resume, ..migrations.options() };
    options.lock_wait = args.lock_wait.map_or(options.lock_wait, |wait| wait.get());
    let stop = signals::listen();
    let mut session = migrations.open().await?;
    let pid = migrations.process(&mut *session).await;
    let passing = Arc::new(AtomicBool::new(false));
    let mut hook = Rollups::new(site, Arc::clone(&ledger), stop.clone(), options.lock_wait, Arc::clone(&passing));
    let ended = tokio::select! {
        biased;
        ended = migrate::up(&mut *session, &files, &options, &*site.clock, &mut hook) => Some(ended),
        () = stopped(&stop, &passing) => None,
    };
    let Some(ended) = ended else {
        drop(session);
        migrations.end(pid).await;
        return Err(interrupted());
    };
    let (applied, error) = match ended {
        Ok(applied) => (applied, None),
        Err(stopped) => (stopped.applied, Some(stopped.error)),
    };
    if !applied.is_empty() {
        let steps: Vec<&str> = applied.iter().map(|step| step.file.as_str()).collect();
        let why = format!("{} in {}", steps.join(", "), migrations.address);
        ledger.add_event("migrate", None, None, &site.word(&why)).await?;
    }
    if error.is_none() || !applied.is_empty() {
        tell(site, &migrations, &applied, files.steps.len());
    }
    error.map_or(Ok(ExitCode::Drained), |error| Err(migrations.told(&error)))
}

fn tell(site: &Site, migrations: &Migrations<'_>, applied: &[Step], steps: usize) {
    let text = if applied.is_empty() {
        format!("{}: nothing to apply, {} applied before", migrations.address, counted(steps as u64, "step"))
    } else {
        let mut text = format!("{}: {} applied", migrations.address, counted(applied.len() as u64, "step"));
        for step in applied {
            text.push_str(&format!("\n  {}", step.file));
            for (job, required) in &step.required {
                text.push_str(&format!("\n    {job}: {required}"));
            }
        }
        text
    };
    let applied = applied.iter().map(|step| One {
        number: step.number,
        file: &step.file,
        required: step.required.iter().map(|(job, required)| Met::of(job, *required)).collect(),
    });
    site.output.answer(&Applied { database: migrations.address.to_string(), applied: applied.collect() }, text);
}

/// Ends when a signal asks a run to end: at once while a step is run, whose transaction is then rolled back; a rollup's pass ends by
/// itself, unless a second signal comes.
async fn stopped(stop: &StopSignal, passing: &AtomicBool) {
    stop.raised(Urgency::Soon).await;
    if passing.load(Ordering::SeqCst) {
        stop.raised(Urgency::Now).await;
    }
}

fn interrupted() -> Diagnosis {
    Diagnosis {
        exit: ExitCode::Checkpoint,
        ..Diagnosis::refusal(
            codes::INTERRUPTED,
            "a signal ended the run; of a step that was being run nothing was kept, unless it is without a transaction",
            "`highwater migrate list` says what is applied; `highwater migrate up` goes on",
        )
    }
}

#[derive(Serialize)]
struct TakenOver {
    database: String,
    number: i64,
    /// Rows that are new in the table of what was applied.
    taken_over: usize,
}

async fn baseline(args: &Baseline, site: &Site) -> Result<ExitCode, Diagnosis> {
    let migrations = Migrations::of(site)?;
    let from = args.table.clone().map(TableName::try_from).transpose();
    let from = from.map_err(|told| {
        Diagnosis::refusal(
            codes::NO_TABLE,
            told,
            "name the table as SQL has it, `schema.table` where it is in a schema",
        )
        .at_field("--table")
    })?;
    let files = migrations.files()?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let mut session = migrations.open().await?;
    let options = migrations.options();
    let taken = migrate::baseline(&mut *session, &files, &options, &*site.clock, args.number, from.as_ref());
    let taken_over = taken.await.map_err(|error| migrations.told(&error))?;
    let database = migrations.address.to_string();
    if taken_over > 0 {
        let why = format!("{taken_over} steps up to {} in {database}", args.number);
        ledger.add_event("baseline", None, None, &site.word(&why)).await?;
    }
    let text = format!(
        "{database}: {} taken over, and none was run\n  next: `highwater migrate list` shows what is pending",
        counted(taken_over as u64, "step")
    );
    site.output.answer(&TakenOver { database, number: args.number, taken_over }, text);
    Ok(ExitCode::Drained)
}

#[derive(Serialize)]
struct Steps<'a> {
    database: String,
    steps: Vec<Stands<'a>>,
}

#[derive(Serialize)]
struct Stands<'a> {
    number: i64,
    name: &'a str,
    standing: &'static str,
    applied_at: Option<&'a str>,
    sha256: Option<&'a str>,
    recorded_sha256: Option<&'a str>,
}

async fn list(site: &Site) -> Result<ExitCode, Diagnosis> {
    let migrations = Migrations::of(site)?;
    let files = migrations.files()?;
    let mut session = migrations.open().await?;
    let listed = migrate::list(&mut *session, &files, &migrations.settings.table).await;
    let listed = listed.map_err(|error| migrations.told(&error))?;
    let refused = listed.iter().any(|one| one.standing.is_refused());
    let database = migrations.address.to_string();
    let stands = listed.iter().map(|one| Stands {
        number: one.number,
        name: &one.name,
        standing: one.standing.word(),
        applied_at: one.recorded.as_ref().map(|row| row.applied_at.as_str()),
        sha256: one.sha256.as_deref(),
        recorded_sha256: one.recorded.as_ref().map(|row| row.sha256.as_str()),
    });
    let stands: Vec<_> = stands.collect();
    let mut text = format!("{database}: {}", counted(stands.len() as u64, "step"));
    for one in &stands {
        let at = one.applied_at.unwrap_or_default();
        text.push_str(format!("\n  {:>6} {:<12} {:<24} {}", one.number, one.standing, at, one.name).trim_end());
    }
    site.output.answer(&Steps { database, steps: stands }, text);
    Ok(if refused { ExitCode::Halted } else { ExitCode::Drained })
}
