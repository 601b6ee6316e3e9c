//! A chart and a heatmap as SVG, each a file of its own or an image in a page. Owns what both share: the frame, the classes that are
//! readable by day and by night, and the scale. No script, no font and nothing else is loaded.
//!
//! Coordinates are pixels; text is measured by an estimate, since which font is there is the reader's.

mod axis;
mod canvas;
mod chart;
mod heatmap;
mod time;

use jiff::Timestamp;

use super::{Buckets, Number, Standing};
pub use chart::chart;
pub use heatmap::heatmap;

/// Most series that are told apart by colour; what is more is one series of all others.
pub const SERIES_MAX: usize = 8;

/// What no drawing can reach: beyond it sums and differences would have no value.
const FIGURE_MAX: f64 = 1e300;

/// Between the edge and what is drawn.
const MARGIN: f64 = 24.0;
/// The line of the title.
const TITLE_Y: f64 = 32.0;
/// The line below it.
const SUBTITLE_Y: f64 = 52.0;
/// Columns of a title.
const TITLE_COLUMNS: usize = 80;
/// A column of the small text, on average.
const COLUMN_PX: f64 = 6.6;

/// A figure as it is drawn.
fn drawn(figure: &Number) -> Option<f64> {
    let figure = figure.approximate();
    figure.is_finite().then(|| figure.clamp(-FIGURE_MAX, FIGURE_MAX))
}

/// `2026-10-23 to 2026-11-21 · Europe/Berlin`.
fn when(days: (jiff::civil::Date, jiff::civil::Date), buckets: &Buckets) -> String {
    let (first, last) = days;
    let days = if first == last { first.to_string() } else { format!("{first} to {last}") };
    format!("{days} · {}", buckets.zone_name())
}

/// What is known: the watermark, or that nothing is.
fn known(buckets: &Buckets, standing: &Standing) -> String {
    match (standing.complete_until(), standing.watermark) {
        (Some(watermark), _) => format!("complete up to {}", moment(buckets, watermark)),
        (None, _) => "not seeded: any bucket may be missing".to_owned(),
    }
}

fn moment(buckets: &Buckets, time: Timestamp) -> String {
    buckets.local(time).strftime("%Y-%m-%d %H:%M (%:z)").to_string().replace("(+00:00)", "UTC")
}

#[cfg(test)]
mod tests;
