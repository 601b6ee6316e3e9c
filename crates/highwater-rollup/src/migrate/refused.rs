//! Why a run ends, in words.

use highwater_db::session::Fault;
use highwater_engine::diagnosis::Diagnosis;

use super::files::FilesError;
use super::{Broken, Done, ScriptError, Unmet};

/// A run that ended early.
#[derive(Debug, thiserror::Error)]
#[error("{} applied before", steps(applied.len()))]
pub struct Stopped {
    /// What was applied before, for good.
    pub applied: Vec<Done>,
    /// Why it ended.
    #[source]
    pub error: MigrateError,
}

fn steps(count: usize) -> String {
    match count {
        0 => "no step was".to_owned(),
        1 => "1 step was".to_owned(),
        more => format!("{more} steps were"),
    }
}

fn each(broken: &[Broken]) -> String {
    broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("; and ")
}

/// Nobody knows how far a rollup is that a step requires; it is never stamped over.
#[derive(Debug, thiserror::Error)]
#[error(
    "{table} does not say how far the rollup is; if every bucket is to be computed again, put a watermark there: {mend}"
)]
pub struct StateMissing {
    /// The table.
    pub table: String,
    /// The statement that mends it.
    pub mend: String,
}

/// Why a run ended. Unless it says otherwise, the step it names left nothing behind.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database refused, or is gone, outside of a step.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The directory.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A file cannot be run.
    #[error("{file}")]
    Script {
        /// The file.
        file: String,
        /// Why.
        source: ScriptError,
    },
    /// A file is another than the one that was applied.
    #[error(
        "{file} was changed after it was applied: it was {recorded}, and is {found}; put the old text back, and make the change by a \
         new file"
    )]
    Changed {
        /// The file.
        file: String,
        /// The checksum that it was applied with.
        recorded: String,
        /// The checksum that it has.
        found: String,
    },
    /// A step that was applied has no file.
    #[error(
        "{number} ({name}) was applied with {recorded}, and has no file: this may be an older checkout; put the file back"
    )]
    Missing {
        /// Its number.
        number: i64,
        /// Its name.
        name: String,
        /// The checksum that it was applied with.
        recorded: String,
    },
    /// A file comes before one that was applied.
    #[error("{file} comes before {newest}, which was applied: give it a number after that")]
    OutOfOrder {
        /// The file.
        file: String,
        /// The newest that was applied.
        newest: i64,
    },
    /// A file without a transaction was cut off.
    #[error(
        "{file} was cut off in its statement {statement}, outside of a transaction, so that nobody knows whether that took effect: undo \
         what it did, such as an invalid index, and go on with `--resume`; or undo all of the file and delete its row from {table}"
    )]
    Interrupted {
        /// The file.
        file: String,
        /// The statement that was being run, from 1.
        statement: u32,
        /// The table of what was applied.
        table: String,
    },
    /// The table of what was applied is another tool's.
    #[error(
        "{table} is no table of highwater's ({why}): name another in `table`, and take its history over with \
         `highwater migrate baseline N --table {table}`"
    )]
    OthersTable {
        /// The table.
        table: String,
        /// What the database says.
        why: String,
    },
    /// Another run holds the lock.
    #[error("another run migrates this database{}", holder.as_ref().map(|who| format!(": {who}")).unwrap_or_default())]
    LockHeld {
        /// Who, as far as it is known.
        holder: Option<String>,
    },
    /// The lock is not held any more, and so nothing more is run.
    #[error("the lock of the run was lost before {file}: a pooler that shares sessions between transactions does that")]
    LockLost {
        /// The file that was to be run.
        file: String,
    },
    /// The lock's file cannot be used.
    #[error("the lock of the run cannot be taken")]
    Lock(#[source] Box<Diagnosis>),
    /// A file requires what is no rollup.
    #[error("{file} requires {job}: {why}")]
    NoJob {
        /// The file.
        file: String,
        /// The job.
        job: String,
        /// What is wrong with it.
        why: String,
    },
    /// A rollup that a step requires is not complete. The step was not run.
    #[error("{file} was not run: it requires {job}, which is not complete")]
    Unmet {
        /// The file.
        file: String,
        /// The job.
        job: String,
        /// Why.
        source: Unmet,
    },
    /// A step failed, and was rolled back.
    #[error("{file} failed, and nothing of it was kept{}", hint.map(|hint| format!("; {hint}")).unwrap_or_default())]
    Step {
        /// The file.
        file: String,
        /// What would help, where it is known.
        hint: Option<&'static str>,
        /// What the database said.
        source: Fault,
    },
    /// A statement of a file without a transaction failed; those before it were applied.
    #[error("{file} failed in its statement {statement}, and what came before that was kept")]
    Statement {
        /// The file.
        file: String,
        /// The statement, from 1.
        statement: u32,
        /// What the database said.
        source: Fault,
    },
    /// The connection was lost at the commit.
    #[error("{file} may have been applied or not: the connection was lost at its commit; the next run knows")]
    InDoubt {
        /// The file.
        file: String,
        /// What the database said.
        source: Fault,
    },
    /// A step left rows that refer to nothing, and was rolled back.
    #[error("{file} leaves {rows} rows that refer to rows which are not there, and nothing of it was kept")]
    Dangling {
        /// The file.
        file: String,
        /// How many.
        rows: i64,
    },
    /// A step takes away what an installed rollup reads, or how it notices changes, and was rolled back.
    #[error("{file} was rolled back, since it breaks {}", each(broken))]
    Breaks {
        /// The file.
        file: String,
        /// What of which.
        broken: Vec<Broken>,
    },
    /// A file without a transaction did so, and was applied.
    #[error("{file} was applied, without a transaction, and breaks {}", each(broken))]
    Broke {
        /// The file.
        file: String,
        /// What of which.
        broken: Vec<Broken>,
    },
    /// A step ended the transaction that it was run in.
    #[error("{file} ended its transaction by itself: nobody knows what of it was kept")]
    Ended {
        /// The file.
        file: String,
    },
    /// The number that a history is taken over up to has no file.
    #[error("there is no file with the number {number}")]
    NoStep {
        /// The number.
        number: i64,
    },
    /// There is a history already, which says something else.
    #[error("{table} says that {number} was applied already: nothing is to be taken over")]
    HasHistory {
        /// The table of what was applied.
        table: String,
        /// The number.
        number: i64,
    },
    /// The other tool's table does not show that a step was applied.
    #[error("{table} does not show {number} as applied: {why}")]
    NotShown {
        /// The other tool's table.
        table: String,
        /// The number.
        number: i64,
        /// What it shows.
        why: String,
    },
}
