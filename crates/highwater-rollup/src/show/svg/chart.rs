//! A chart over time: stacked bars of what adds up, lines of what does not.

use super::axis::Scale;
use super::canvas::{Canvas, UNFINISHED, px};
use super::{COLUMN_PX, MARGIN, SERIES_MAX, SUBTITLE_Y, TITLE_COLUMNS, TITLE_Y, drawn, known, moment, time, when};
use crate::show::{Buckets, Key, Kind, Question, Shown, Standing, plain};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 460.0;
/// The top of the plot.
const TOP: f64 = 80.0;
/// Below the plot: two rows of names and what is known.
const BELOW: f64 = 84.0;
/// The legend, where there is one.
const LEGEND: f64 = 204.0;
/// A row of it.
const LEGEND_ROW: f64 = 22.0;
/// Columns of a key in it.
const KEY_COLUMNS: usize = 22;
/// Columns of a key where somebody points.
const POINTED_COLUMNS: usize = 60;
/// The widest space between two bars.
const GAP: f64 = 3.0;
/// Bars that are narrower have none.
const BAR_PX_MIN: f64 = 3.0;

/// Where the plot is, and what its pixels mean.
struct Plot<'p> {
    question: &'p Question<'p>,
    shown: &'p Shown,
    left: f64,
    width: f64,
    scale: Scale,
}

/// A chart of a rollup, called `title`. Series beyond [`SERIES_MAX`] are not told apart by colour.
#[must_use]
pub fn chart(title: &str, question: &Question<'_>, shown: &Shown, standing: &Standing) -> String {
    let buckets = &shown.buckets;
    let title = plain(title, TITLE_COLUMNS);
    let mut canvas = Canvas::new(WIDTH, HEIGHT, &title);
    canvas.text("t h", MARGIN, TITLE_Y, &title);
    let per = if question.kind().is_zero_without_cells() { "per" } else { "by" };
    canvas.text("m", MARGIN, SUBTITLE_Y, &format!("{per} {} · {}", buckets.each(), when(buckets.days(), buckets)));
    let is_stacked = question.kind() == Kind::Adds;
    let (least, most) = if is_stacked { stacked(shown) } else { spread(shown) };
    let is_whole = shown.series.iter().flat_map(|series| &series.points).flatten().all(is_whole);
    let scale = Scale::of(least, most, is_whole);
    let ticks = scale.ticks();
    let widest = ticks.iter().map(|(_, text)| text.len()).max().unwrap_or(0) as f64;
    let left = MARGIN + widest * COLUMN_PX + 8.0;
    let legend = if question.by().is_some() && !shown.series.is_empty() { LEGEND } else { 0.0 };
    let plot = Plot { question, shown, left, width: WIDTH - MARGIN - legend - left, scale };
    for (figure, text) in &ticks {
        let y = plot.y(*figure);
        canvas.line(if *figure == 0.0 { "a" } else { "g" }, (left, y), (left + plot.width, y));
        canvas.text("m e", left - 8.0, y + 4.0, text);
    }
    plot.time(&mut canvas);
    let has_points = shown.series.iter().flat_map(|series| &series.points).any(Option::is_some);
    if shown.series.is_empty() || !has_points {
        canvas.text("m c", left + plot.width / 2.0, (TOP + HEIGHT - BELOW) / 2.0, "no cells in this window");
    } else if is_stacked {
        plot.bars(&mut canvas);
    } else {
        plot.lines(&mut canvas);
    }
    plot.unfinished(&mut canvas, standing);
    plot.pointed(&mut canvas);
    if legend > 0.0 {
        plot.legend(&mut canvas, left + plot.width + MARGIN);
    }
    plot.says(&mut canvas, standing);
    canvas.finish()
}

fn is_whole(number: &crate::show::Number) -> bool {
    number.approximate().fract() == 0.0
}

/// The lowest and the highest end of a stack.
fn stacked(shown: &Shown) -> (f64, f64) {
    let ends = (0..shown.buckets.count()).map(|at| {
        let figures = || shown.series.iter().filter_map(|series| series.points[at].as_ref().and_then(drawn));
        let below: f64 = figures().filter(|figure| *figure < 0.0).sum();
        (below, figures().filter(|figure| *figure > 0.0).sum::<f64>())
    });
    ends.fold((0.0, 0.0), |(least, most): (f64, f64), (below, above)| (least.min(below), most.max(above)))
}

/// The least and the most figure; from zero on, unless all are close together and far from it.
fn spread(shown: &Shown) -> (f64, f64) {
    let figures = || shown.series.iter().flat_map(|series| &series.points).flatten().filter_map(drawn);
    let (least, most) = (figures().fold(f64::INFINITY, f64::min), figures().fold(f64::NEG_INFINITY, f64::max));
    match (least, most) {
        (least, most) if least > most => (0.0, 0.0),
        (least, most) if least > 0.0 && most - least < most / 2.0 => (least, most),
        (least, most) if most < 0.0 && most - least < -least / 2.0 => (least, most),
        (least, most) => (least.min(0.0), most.max(0.0)),
    }
}

impl Plot<'_> {
    fn y(&self, figure: f64) -> f64 {
        let height = HEIGHT - BELOW - TOP;
        TOP + height * (1.0 - self.scale.share(figure))
    }

    fn x(&self, time: jiff::Timestamp) -> f64 {
        let buckets = &self.shown.buckets;
        let span = buckets.until().duration_since(buckets.since()).as_secs_f64();
        self.left + time.duration_since(buckets.since()).as_secs_f64() / span * self.width
    }

    /// From where to where a bucket is.
    fn bucket(&self, at: usize) -> (f64, f64) {
        let edges = self.shown.buckets.edges();
        (self.x(edges[at]), self.x(edges[at + 1]))
    }

    fn bars(&self, canvas: &mut Canvas) {
        let count = self.shown.buckets.count();
        let mut ends = vec![(0.0, 0.0); count];
        for (rank, series) in self.shown.series.iter().enumerate() {
            let mut drawings = [String::new(), String::new()];
            for (at, point) in series.points.iter().enumerate() {
                let d = &mut drawings[usize::from(at >= self.shown.complete)];
                let Some(figure) = point.as_ref().and_then(drawn).filter(|figure| *figure != 0.0) else { continue };
                let (below, above): &mut (f64, f64) = &mut ends[at];
                let end = if figure < 0.0 { below } else { above };
                let (from, to) = (self.y(*end), self.y(*end + figure));
                *end += figure;
                let (left, right) = self.bucket(at);
                let gap = if right - left < BAR_PX_MIN { 0.0 } else { GAP.min((right - left) * 0.2) };
                d.push_str(&format!(
                    "M{} {}H{}V{}H{}Z",
                    px(left + gap / 2.0),
                    px(from),
                    px(right - gap / 2.0),
                    px(to),
                    px(left + gap / 2.0)
                ));
            }
            let colour = self.colour(rank);
            canvas.path(&format!("s{colour}"), &drawings[0]);
            canvas.path(&format!("s{colour} f"), &drawings[1]);
        }
        canvas.line("a", (self.left, self.y(0.0)), (self.left + self.width, self.y(0.0)));
    }

    fn lines(&self, canvas: &mut Canvas) {
        // The largest last, so that it is on top.
        for (rank, series) in self.shown.series.iter().enumerate().rev() {
            let colour = self.colour(rank);
            let point = |at: usize| {
                let figure = series.points.get(at)?.as_ref().and_then(drawn)?;
                let (left, right) = self.bucket(at);
                Some((left.midpoint(right), self.y(figure)))
            };
            let [mut done, mut not] = [String::new(), String::new()];
            for at in 0..series.points.len() {
                let Some((x, y)) = point(at) else { continue };
                let (before, after) = (at.checked_sub(1).and_then(point), point(at + 1));
                match before {
                    None if after.is_none() => {
                        let [x, y] = [x, y].map(px);
                        canvas.empty("circle", &[("class", &format!("s{colour}")), ("cx", &x), ("cy", &y), ("r", "3")]);
                    }
                    None => {}
                    // A line is as complete as where it leads to.
                    Some((from_x, from_y)) => {
                        let d = if at < self.shown.complete { &mut done } else { &mut not };
                        let goes_on = !d.is_empty() && at >= 2 && point(at - 2).is_some() && at != self.shown.complete;
                        if !goes_on {
                            d.push_str(&format!("M{} {}", px(from_x), px(from_y)));
                        }
                        d.push_str(&format!("L{} {}", px(x), px(y)));
                    }
                }
            }
            canvas.path(&format!("l l{colour}"), &done);
            canvas.path(&format!("l l{colour} d"), &not);
        }
    }

    /// The colour of a series; all others are grey.
    fn colour(&self, rank: usize) -> usize {
        match self.shown.series[rank].key {
            Key::Others(_) => SERIES_MAX,
            _ => rank.min(SERIES_MAX),
        }
    }

    /// A veil over what is not complete, from the first bucket that is not.
    fn unfinished(&self, canvas: &mut Canvas, standing: &Standing) {
        let (buckets, complete) = (&self.shown.buckets, self.shown.complete);
        if complete == buckets.count() {
            return;
        }
        let (left, right) = (self.x(buckets.edges()[complete]), self.left + self.width);
        let fill = format!("url(#{UNFINISHED})");
        canvas.rect(&[("fill", &fill)], (left, TOP), (right - left, HEIGHT - BELOW - TOP), None);
        if let Some(watermark) = standing.complete_until().filter(|at| *at > buckets.since() && *at < buckets.until()) {
            let x = self.x(watermark);
            canvas.line("w", (x, TOP - 6.0), (x, HEIGHT - BELOW));
        }
    }

    /// What is told where somebody points at a bucket.
    fn pointed(&self, canvas: &mut Canvas) {
        for at in 0..self.shown.buckets.count() {
            let mut says = bucket_name(&self.shown.buckets, at);
            if at >= self.shown.complete {
                says.push_str(" (not complete)");
            }
            for series in &self.shown.series {
                let figure = series.points[at].as_ref().map_or_else(
                    || "–".to_owned(),
                    |figure| {
                        if self.question.kind() == Kind::Mean {
                            figure.shortened(6).grouped()
                        } else {
                            figure.grouped()
                        }
                    },
                );
                let key = if series.key == Key::All {
                    self.question.value().to_owned()
                } else {
                    series.key.label(POINTED_COLUMNS, false)
                };
                says.push_str(&format!("\n{key}: {figure}"));
            }
            let (left, right) = self.bucket(at);
            canvas.rect(&[("class", "x")], (left, TOP), (right - left, HEIGHT - BELOW - TOP), Some(&says));
        }
    }

    fn time(&self, canvas: &mut Canvas) {
        let buckets = &self.shown.buckets;
        let (ticks, names_buckets) = time::ticks(buckets, self.width);
        let bottom = HEIGHT - BELOW;
        for tick in ticks {
            let mut x = self.x(tick.at);
            if names_buckets {
                // In the middle of the bucket that begins there.
                let at = buckets.edges().partition_point(|edge| *edge <= tick.at).max(1) - 1;
                let (left, right) = self.bucket(at.min(buckets.count() - 1));
                x = left.midpoint(right);
            } else {
                canvas.line("a", (x, bottom), (x, bottom + 5.0));
            }
            canvas.text("m c", x, bottom + 20.0, &tick.name);
            if let Some(below) = tick.below {
                canvas.text("m c", x, bottom + 37.0, &below);
            }
        }
    }

    fn legend(&self, canvas: &mut Canvas, x: f64) {
        for (rank, series) in self.shown.series.iter().enumerate() {
            let y = TOP + 4.0 + rank as f64 * LEGEND_ROW;
            canvas.rect(&[("class", &format!("s{}", self.colour(rank))), ("rx", "2")], (x, y), (12.0, 12.0), None);
            let label = series.key.label(KEY_COLUMNS, false);
            let whole = series.key.label(POINTED_COLUMNS * 5, false);
            canvas.open("g", &[]);
            if label != whole {
                canvas.element("title", &[], &whole);
            }
            canvas.text("t", x + 20.0, y + 10.5, &label);
            canvas.close("g");
        }
    }

    /// The last line.
    fn says(&self, canvas: &mut Canvas, standing: &Standing) {
        let buckets = &self.shown.buckets;
        let mut says = match (standing.complete_until(), self.shown.complete == buckets.count()) {
            (None, _) => "hatched: not seeded, any bucket may be missing".to_owned(),
            (Some(_), true) => known(buckets, standing),
            (Some(watermark), false) => {
                format!("hatched: not complete yet; the watermark is {}", moment(buckets, watermark))
            }
        };
        if buckets.straddle() {
            says.push_str(&format!(" · cells that are in two {}s count in the first", buckets.each()));
        }
        if self.shown.left_out > 0 {
            says.push_str(&format!(" · {} more keys are left out", self.shown.left_out));
        }
        canvas.text("m", MARGIN, HEIGHT - 16.0, &says);
    }
}

fn bucket_name(buckets: &Buckets, at: usize) -> String {
    use crate::show::Step;
    let format = match buckets.step() {
        Step::Grain | Step::Hour => "%a %Y-%m-%d %H:%M (%:z)",
        Step::Day => "%a %Y-%m-%d",
        Step::Week => "week of %Y-%m-%d",
        Step::Month => "%B %Y",
    };
    buckets.local(buckets.edges()[at]).strftime(format).to_string()
}
