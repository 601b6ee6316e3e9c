//! A heatmap: a row a weekday, a column an hour of the day.

use super::canvas::Canvas;
use super::{MARGIN, SUBTITLE_Y, TITLE_COLUMNS, TITLE_Y, drawn, known, when};
use crate::show::{DAYS, HOURS, Heat, Kind, Number, Question, Standing, plain};

/// A cell.
const CELL: (f64, f64) = (32.0, 28.0);
/// Between two cells.
const GAP: f64 = 3.0;
/// The names of days.
const LEFT: f64 = MARGIN + 42.0;
/// The names of hours.
const TOP: f64 = 92.0;
/// The scale and what is known.
const BELOW: f64 = 76.0;
/// Cells of the scale.
const SCALE_CELLS: u32 = 6;
/// The width of one.
const SCALE_PX: f64 = 22.0;
/// How strong the colour of the least is.
const OPACITY_MIN: f64 = 0.07;

const NAMES: [&str; DAYS] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Digits of a figure that is shown where somebody points.
const DIGITS: u64 = 6;

/// A heatmap of a rollup, called `title`.
#[must_use]
pub fn heatmap(title: &str, question: &Question<'_>, heat: &Heat, standing: &Standing) -> String {
    let (width, height) = (LEFT + CELL.0 * HOURS as f64 + MARGIN, TOP + CELL.1 * DAYS as f64 + BELOW);
    let title = plain(title, TITLE_COLUMNS);
    let mut canvas = Canvas::new(width, height, &title);
    canvas.text("t h", MARGIN, TITLE_Y, &title);
    let per = match question.kind() {
        Kind::Adds | Kind::Distinct => "per hour, on average",
        Kind::Mean => "on average",
        Kind::Min => "the smallest",
        Kind::Max => "the largest",
    };
    canvas.text("m", MARGIN, SUBTITLE_Y, &format!("{per} · {}", when(heat.days, &heat.buckets)));
    for hour in (0..HOURS).step_by(3) {
        canvas.text("m", LEFT + CELL.0 * hour as f64, TOP - 10.0, &format!("{hour:02}:00"));
    }
    let figures = || heat.figures.iter().flatten().flatten().filter_map(drawn);
    let most = figures().map(f64::abs).fold(0.0, f64::max);
    for (day, name) in NAMES.iter().enumerate() {
        let y = TOP + CELL.1 * day as f64;
        canvas.text("t e", LEFT - 10.0, y + CELL.1 / 2.0 + 3.0, name);
        for hour in 0..HOURS {
            let figure = heat.figures[day][hour].as_ref();
            let says = says(name, hour, figure, heat.hours[day][hour]);
            let at = (LEFT + CELL.0 * hour as f64, y);
            cell(&mut canvas, figure.and_then(drawn), most, at, (CELL.0 - GAP, CELL.1 - GAP), Some(&says));
        }
    }
    let bottom = TOP + CELL.1 * DAYS as f64;
    scale(&mut canvas, heat, most, width, bottom + 14.0);
    let mut told = known(&heat.buckets, standing);
    if heat.straddle {
        told.push_str(" · cells that are in two hours count in the first");
    }
    canvas.text("m", MARGIN, height - 16.0, &told);
    canvas.finish()
}

fn says(day: &str, hour: usize, figure: Option<&Number>, hours: u64) -> String {
    let figure = figure.map_or_else(|| "nothing is known".to_owned(), |figure| figure.shortened(DIGITS).grouped());
    let of = if hours == 1 { "1 hour".to_owned() } else { format!("{hours} hours") };
    format!("{day} {hour:02}:00\n{figure}\n{of}")
}

/// What is known is filled, the stronger the more, below zero in another colour; what is not is an outline.
fn cell(canvas: &mut Canvas, figure: Option<f64>, most: f64, at: (f64, f64), size: (f64, f64), says: Option<&str>) {
    let Some(figure) = figure else {
        canvas.rect(&[("class", "o"), ("rx", "3")], at, size, says);
        return;
    };
    let share = if most > 0.0 { figure.abs() / most } else { 0.0 };
    let opacity = format!("{:.2}", OPACITY_MIN + (1.0 - OPACITY_MIN) * share);
    let class = if figure < 0.0 { "n" } else { "p" };
    canvas.rect(&[("class", class), ("fill-opacity", &opacity), ("rx", "3")], at, size, says);
}

fn scale(canvas: &mut Canvas, heat: &Heat, most: f64, width: f64, y: f64) {
    let known = || heat.figures.iter().flatten().flatten();
    let Some(largest) = known().max_by(|left, right| left.compare(right)) else {
        canvas.text("m c", width / 2.0, y + 10.0, "no complete hour with cells in this window");
        return;
    };
    let is_below = known().any(Number::is_negative);
    let least = known().min_by(|left, right| left.compare(right)).filter(|_| is_below);
    let [from, to] =
        [least, Some(largest)].map(|edge| edge.map_or_else(|| "0".to_owned(), |edge| edge.shortened(DIGITS).grouped()));
    let right = width - MARGIN - GAP;
    canvas.text("m e", right, y + 11.0, &to);
    let mut x = right - to.len() as f64 * super::COLUMN_PX - 10.0 - f64::from(SCALE_CELLS) * SCALE_PX;
    canvas.text("m e", x - 8.0, y + 11.0, &from);
    let bottom = if is_below { -most } else { 0.0 };
    for step in 0..SCALE_CELLS {
        let figure = bottom + (most - bottom) * f64::from(step) / f64::from(SCALE_CELLS - 1);
        cell(canvas, Some(figure), most, (x, y), (SCALE_PX - GAP, 14.0), None);
        x += SCALE_PX;
    }
}
