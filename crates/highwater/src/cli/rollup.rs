//! What can be typed about rollups: `rollup …`, `verify`, and what `run` takes for them.

use clap::{Args, Subcommand};

use super::rollup_show::RollupShow;

/// What `run` takes for jobs of kind `rollup` alone.
#[derive(Debug, Args)]
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
    /// Allows a seed that leaves older buckets without their events.
    #[arg(long)]
    pub(crate) force_partial: bool,
}

/// `rollup`.
#[derive(Debug, Subcommand)]
pub(crate) enum RollupVerb {
    /// Shows one aggregate over time: a table with sparklines, a chart, a heatmap, CSV.
    ///
    /// Reads the target and its state alone, never the raw rows. What is later than the watermark is not complete yet, and is
    /// marked.
    Show(RollupShow),
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
