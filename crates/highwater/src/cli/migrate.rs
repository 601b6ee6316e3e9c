//! What can be typed about migrations.

use clap::{Args, Subcommand};
use highwater_engine::settings::DurationText;

/// `migrate`.
#[derive(Debug, Subcommand)]
pub(crate) enum MigrateVerb {
    /// Applies what is pending, after the rollups that a step requires are complete.
    ///
    /// Exit 0 where everything is applied, 3 where another run or a lock was in the way, 4 where a step or a rollup needs a person.
    Up(Up),
    /// Takes over what another tool applied, without running it.
    Baseline(Baseline),
    /// Lists the steps and how each stands. Exit 4 where files and history do not fit.
    List,
}

/// `migrate up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Goes on with a file without a transaction that was cut off, from the statement that was being run.
    #[arg(long)]
    pub(crate) resume: bool,
    /// How long to wait for another run, and for the lock of a rollup. Default: `lock-wait`.
    #[arg(long, value_name = "TIME")]
    pub(crate) lock_wait: Option<DurationText>,
}

/// `migrate baseline`.
#[derive(Debug, Args)]
pub(crate) struct Baseline {
    /// The number of the newest step that was applied.
    #[arg(value_name = "N")]
    pub(crate) number: i64,
    /// The other tool's table, which must show them; it has a column `version`, and is not changed.
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
}
