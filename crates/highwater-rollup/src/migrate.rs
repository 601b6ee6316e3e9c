//! Numbered SQL migrations, forward only, each with the checksum it was applied with; and rollups that must be complete before
//! a step takes away what they replace. Owns the order of a run; the files are [`files`]'s, the table of what was applied is
//! [`history`]'s, the lock is [`lock`]'s.
//!
//! A run takes the lock, compares the files with the history, and refuses before anything runs what does not fit: a file that
//! changed, is missing, or comes before one that was applied. Then each pending file is one transaction, together with its row
//! in the history. A file that carries `-- highwater:no-transaction` is run statement by statement, and its row counts them:
//! what was cut off in between is named by the next run, and goes on only where a person says that it may.
//!
//! Before a file that carries `-- highwater:requires JOB` the [`Hook`] is asked, while no transaction is open; the lock of the
//! run is its session's own and keeps nobody from anything but another run.

mod apply;
mod baseline;
mod breaks;
pub mod files;
pub mod history;
mod list;
pub mod lock;
mod refused;
mod script;
mod settings;
mod statements;
mod told;

use std::time::Duration;

use async_trait::async_trait;
use highwater_db::session::Session;
use highwater_engine::clock::Clock;

pub use baseline::baseline;
pub use breaks::Broken;
pub use list::{Listed, Standing, list};
pub use refused::{MigrateError, StateMissing, Stopped};
pub use script::{REQUIRES_MAX, ScriptError};
pub use settings::MigrateSettings;
pub use told::diagnosis;

use crate::declare::{Declaration, TableName};
use files::{Files, Step};
use history::{History, Recorded};
use lock::RunLock;
use script::Script;

/// How long a run waits for another, unless told, in seconds.
pub const LOCK_WAIT_SECS: u64 = 600;
/// The table of what was applied, unless told. Not `schema_migrations`, which other tools call theirs.
pub const TABLE: &str = "highwater_migrations";

/// How a run is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The table of what was applied; made where it is not there.
    pub table: TableName,
    /// How long it waits for another run.
    pub lock_wait: Duration,
    /// Whether a file without a transaction that was cut off goes on with the statement that was being run.
    pub resume: bool,
    /// Rollups, each with its job, that no step may break; those that are not installed in this database are passed over.
    pub rollups: Vec<(String, Declaration)>,
}

impl Default for Options {
    fn default() -> Self {
        let table = TableName::try_from(TABLE.to_owned()).expect("invariant: a name");
        Self { table, lock_wait: Duration::from_secs(LOCK_WAIT_SECS), resume: false, rollups: Vec::new() }
    }
}

/// What was done for a rollup that a step requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    /// There is no event; the watermark was stamped, under the lock.
    SourceEmpty,
    /// Its tables are not there, and nothing was to be done.
    RollupStateMissing,
    /// It is complete as it is; nothing was stamped.
    WatermarkWithinThreshold,
    /// It was brought up.
    Walked {
        /// Slices that were computed.
        slices: u64,
        /// Rows that were touched.
        rows: u64,
    },
}

impl Required {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SourceEmpty => "source_empty",
            Self::RollupStateMissing => "rollup_state_missing",
            Self::WatermarkWithinThreshold => "watermark_within_threshold",
            Self::Walked { .. } => "walked",
        }
    }
}

impl std::fmt::Display for Required {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Walked { slices, rows } => write!(f, "{slices} slices, {rows} rows touched"),
            other => f.write_str(other.word()),
        }
    }
}

/// Why a rollup that is required is not complete: an error of whoever brings it up.
pub type Unmet = Box<dyn std::error::Error + Send + Sync>;

/// Brings a rollup up before a step that requires it.
#[async_trait]
pub trait Hook: Send {
    /// Whether there is such a job and it is a rollup; asked for every pending step before anything is run.
    ///
    /// # Errors
    /// In words, what it is instead.
    fn check(&self, job: &str) -> Result<(), String>;

    /// Brings it up, on a connection of its own. On SQLite no transaction of the run is open, so that it may write.
    ///
    /// # Errors
    /// [`Unmet`], such as [`StateMissing`]; the run ends there, and the step is not run.
    async fn require(&mut self, job: &str) -> Result<Required, Unmet>;
}

/// One step that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its number.
    pub number: i64,
    /// The file's name.
    pub file: String,
    /// The rollups that it requires, each with what was done for it.
    pub required: Vec<(String, Required)>,
}

/// A step that is to be run, and what its file says.
struct Pending<'f> {
    step: &'f Step,
    script: Script,
    /// Statements that an earlier run finished, of a file without a transaction.
    begun: Option<u32>,
}

/// Applies what is pending. No transaction may be open.
///
/// # Errors
/// [`Stopped`], with what was applied before. A connection that is lost at a commit leaves unknown whether that step was applied;
/// the next run knows.
pub async fn up(
    session: &mut dyn Session,
    files: &Files,
    options: &Options,
    clock: &dyn Clock,
    hook: &mut dyn Hook,
) -> Result<Vec<Done>, Stopped> {
    let mut applied = Vec::new();
    let lock = lock::take(session, &options.table, options.lock_wait, clock).await;
    let ended = match lock {
        Ok(lock) => {
            let enforced = apply::enforced(session).await;
            let ended = under_lock(session, files, options, &lock, hook, &mut applied).await;
            apply::enforce(session, enforced).await;
            lock.release(session).await;
            ended
        }
        Err(error) => Err(error),
    };
    match ended {
        Ok(()) => Ok(applied),
        Err(error) => Err(Stopped { applied, error }),
    }
}

async fn under_lock(
    session: &mut dyn Session,
    files: &Files,
    options: &Options,
    lock: &RunLock,
    hook: &mut dyn Hook,
    applied: &mut Vec<Done>,
) -> Result<(), MigrateError> {
    let history = History::open(session, &options.table).await?;
    let rows = history.rows(session).await?;
    let pending = pending(session, files, &rows, options)?;
    for Pending { step, script, .. } in &pending {
        for job in &script.requires {
            hook.check(job).map_err(|why| MigrateError::NoJob { file: step.file.clone(), job: job.clone(), why })?;
        }
    }
    apply::prepare(session).await?;
    for one in &pending {
        let file = || one.step.file.clone();
        let mut required = Vec::new();
        for job in &one.script.requires {
            let met = hook.require(job).await;
            let met = met.map_err(|source| MigrateError::Unmet { file: file(), job: job.clone(), source })?;
            tracing::info!(migration.file = one.step.file, job, required = %met, "a rollup that a migration requires is complete");
            required.push((job.clone(), met));
        }
        let watched = breaks::watch(session, &options.rollups).await?;
        apply::apply(session, &history, lock, one, &watched).await?;
        tracing::info!(migration.file = one.step.file, "a migration is applied");
        applied.push(Done { number: one.step.number, file: file(), required });
    }
    Ok(())
}

/// What is to be run, in order, once everything fits.
fn pending<'f>(
    session: &dyn Session,
    files: &'f Files,
    rows: &[Recorded],
    options: &Options,
) -> Result<Vec<Pending<'f>>, MigrateError> {
    history::compare(files, rows, &options.table, options.resume)?;
    let mut pending = Vec::new();
    for step in &files.steps {
        let row = rows.iter().find(|row| row.number == step.number);
        let begun = match row.map(|row| row.state) {
            None => None,
            Some(history::State::Started) => row.map(|row| row.statements_done),
            Some(history::State::Applied | history::State::Baselined) => continue,
        };
        let script = Script::read(session.dialect(), step)
            .map_err(|source| MigrateError::Script { file: step.file.clone(), source })?;
        pending.push(Pending { step, script, begun });
    }
    Ok(pending)
}
