//! What can be typed to look at a rollup.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use highwater_engine::settings::DurationText;
use highwater_rollup::show::{Step, TOP_MAX, When};

/// `rollup show`.
#[derive(Debug, Args)]
pub(crate) struct RollupShow {
    /// A job of kind `rollup`.
    pub(crate) job: String,
    /// A row for each value of this key; without it, one for everything.
    #[arg(long, value_name = "KEY")]
    pub(crate) by: Option<String>,
    /// The aggregate. Default: the first that the job declares.
    #[arg(long, value_name = "AGGREGATE")]
    pub(crate) value: Option<String>,
    /// So long, counted back from the end of the last bucket. Default: 30 days.
    #[arg(long, value_name = "TIME", conflicts_with = "since")]
    pub(crate) last: Option<DurationText>,
    /// From this day or time on, rounded down to a whole bucket; a day begins at midnight in the zone.
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) since: Option<When>,
    /// Up to this day or time, which is not in it, rounded up to a whole bucket. Default: now.
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) until: Option<When>,
    /// The time zone that days, weeks and months are of, such as `Europe/Berlin`.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) tz: String,
    /// How long a bucket is; weeks begin on Monday. Default: what fits the window.
    #[arg(long, value_name = "LENGTH")]
    pub(crate) bucket: Option<Bucket>,
    /// By weekday and hour of the day, instead of over time.
    #[arg(long, conflicts_with_all = ["by", "bucket", "top"])]
    pub(crate) heatmap: bool,
    /// Prints CSV: a row for each bucket and key that has cells; NULL is an empty field, an empty text a quoted one.
    #[arg(long, conflicts_with_all = ["json", "svg", "top"])]
    pub(crate) csv: bool,
    /// Writes a chart to this file, `-` for the output. A file that is there is replaced if it is an SVG too.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// How many keys are shown one by one, the largest first; the rest is summed. A chart shows at most 8.
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u64).range(1..=TOP_MAX as u64))]
    pub(crate) top: u64,
}

/// How long a bucket is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Bucket {
    /// The rollup's own.
    Grain,
    /// An hour.
    Hour,
    /// A day of the zone.
    Day,
    /// Seven days from Monday.
    Week,
    /// A month.
    Month,
}

impl From<Bucket> for Step {
    fn from(bucket: Bucket) -> Self {
        match bucket {
            Bucket::Grain => Self::Grain,
            Bucket::Hour => Self::Hour,
            Bucket::Day => Self::Day,
            Bucket::Week => Self::Week,
            Bucket::Month => Self::Month,
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    if let Ok(time) = text.parse() {
        return Ok(When::At(time));
    }
    // A day with a time of day and no zone would be read as a day.
    let day = if text.contains(['T', 't', ' ', ':']) { None } else { text.parse().ok() };
    day.map(When::Day)
        .ok_or_else(|| "expected a day or a time, such as 2026-01-31 or 2026-01-31T12:00:00+01:00".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_of_the_zone_and_a_time_says_its_own() {
        assert_eq!(when("2026-01-31"), Ok(When::Day("2026-01-31".parse().unwrap())));
        assert_eq!(when("2026-01-31T12:00:00+01:00"), Ok(When::At("2026-01-31T11:00:00Z".parse().unwrap())));
        for odd in ["", "yesterday", "2026-02-30", "2026-01-31T12:00:00", "2026-01-31 12:00", "30d"] {
            assert!(when(odd).is_err(), "{odd}");
        }
    }
}
