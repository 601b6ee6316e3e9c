//! What can be typed about rollups: `rollup …`, `verify`, and what `run` takes for them.

use clap::{Args, Subcommand};
use highwater_engine::settings::DurationText;
use highwater_rollup::verify::SAMPLE_BUCKETS_MAX;

use super::rollup_show::RollupShow;

/// What `run` takes for jobs of kind `rollup` alone.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options for rollups")]
pub(crate) struct RunRollup {
    /// Moves the watermark and seeds nothing; refused while the rollup is not seeded.
    #[arg(long, conflicts_with_all = ["since", "months_back", "until_drained"])]
    pub(crate) tick: bool,
    /// Seeds from this day or time on (UTC), also what was seeded before.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<jiff::Timestamp>,
    /// The same, from the beginning of the month so many months ago.
    #[arg(long, value_name = "N", conflicts_with = "since", value_parser = clap::value_parser!(u32).range(0..=1200))]
    pub(crate) months_back: Option<u32>,
    /// Allows a seed that leaves older buckets without their events; the next plain `run` seeds them.
    #[arg(long)]
    pub(crate) force_partial: bool,
}

/// `rollup`.
#[derive(Debug, Subcommand)]
pub(crate) enum RollupVerb {
    /// Prints the SQL that `install` runs: target, queues, triggers, state.
    Ddl(Ddl),
    /// Makes the target, the queues, the triggers and the state, in one transaction; of a rollup that is installed, puts back what went
    /// missing.
    Install(OfRollup),
    /// Takes away all that `install` made, the target and its rows too, in one transaction.
    Uninstall(Uninstall),
    /// Builds what is declared now beside what is installed, proves it, and puts it in its place.
    Change(Change),
    /// Shows how what is installed differs from what is declared. Exit 0 where it does not, 4 where it does.
    Diff(OfRollup),
    /// Says whether the rollup is complete, so that what it replaces may be dropped. Exit 0 where it is, 4 where not.
    Guard(RollupGuard),
    /// Shows one aggregate over time: a table with sparklines, a chart, a heatmap, CSV.
    ///
    /// Reads the target and its state alone, never the raw rows. What is later than the watermark is not complete yet, and is
    /// marked.
    Show(RollupShow),
}

/// A job of kind `rollup`.
#[derive(Debug, Args)]
pub(crate) struct OfRollup {
    /// A job of kind `rollup`.
    pub(crate) job: String,
}

/// `rollup ddl`.
#[derive(Debug, Args)]
pub(crate) struct Ddl {
    /// A job of kind `rollup`.
    pub(crate) job: String,
    /// Prints SQL that fails unless the rollup is complete, for the front of another tool's migration.
    #[arg(long)]
    pub(crate) guard: bool,
}

/// `rollup uninstall`.
#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    /// A job of kind `rollup`.
    pub(crate) job: String,
    /// Also where the target has rows: they may be all that is left of raw rows that were deleted.
    #[arg(long)]
    pub(crate) drop_rows: bool,
}

/// `rollup change`.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// A job of kind `rollup`.
    pub(crate) job: String,
    /// Lets frozen buckets go that what is declared now cannot be made of.
    #[arg(long)]
    pub(crate) drop_frozen: bool,
    /// Why, for the audit trail.
    #[arg(long, default_value = "")]
    pub(crate) why: String,
}

/// `rollup guard`.
#[derive(Debug, Args)]
pub(crate) struct RollupGuard {
    /// A job of kind `rollup`.
    pub(crate) job: String,
    /// How far the watermark may trail the newest event. Default: the job's `threshold`.
    #[arg(long, value_name = "TIME")]
    pub(crate) threshold: Option<DurationText>,
}

/// `verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The job.
    pub(crate) job: String,
    /// Compares only the buckets from this day or time on (UTC).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Compares only so many buckets, drawn at random; says the seed that draws them again.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SAMPLE_BUCKETS_MAX)))]
    pub(crate) sample: Option<u32>,
    /// Draws the sample of this seed.
    #[arg(long, value_name = "SEED", requires = "sample")]
    pub(crate) seed: Option<u64>,
    /// Mends exactly what is wrong of what was compared, by a tick.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Why, for the audit trail.
    #[arg(long, requires = "repair", default_value = "")]
    pub(crate) why: String,
    /// Repairs also cells whose raw rows are all gone, by removing them.
    #[arg(long, requires = "repair")]
    pub(crate) remove: bool,
}

/// A day, which begins at midnight UTC, or a time.
fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let day = text.parse::<jiff::civil::Date>().ok().and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    day.map(|day| day.timestamp())
        .ok_or_else(|| "expected a day or a time, such as 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}
