//! A table for people: a row a key, with a sparkline. Owns alignment and what fits the terminal.

use highwater_rollup::show::{Kind, Number, Point, Question, Series, Shown};
use unicode_width::UnicodeWidthStr;

use super::terminal::Terminal;
use super::trend;
use super::words::{self, Note};
use crate::table::Facts;

/// Widest a key is shown; CSV and JSON have the whole.
const KEY_WIDTH_MAX: usize = 32;
/// Narrowest a sparkline is.
const TREND_WIDTH_MIN: usize = 10;
/// Digits of a figure that has no last one.
const MEAN_DIGITS: u64 = 6;
/// Between two columns.
const GAP: &str = "  ";

/// The table, and what is said beside it.
pub(super) fn text(title: &str, question: &Question<'_>, shown: &Shown, notes: &[Note], terminal: &Terminal) -> String {
    let mut text = format!("{title}, {}\n", words::window(&shown.buckets));
    if shown.series.is_empty() {
        text.push_str("no cells\n");
    } else {
        grid(&mut text, question, shown, terminal);
    }
    let mut facts = Facts::default();
    notes.iter().for_each(|(label, says)| facts.fact(label, says));
    text + &facts.to_string()
}

/// A column before the sparkline.
struct Column {
    title: String,
    cells: Vec<String>,
    is_text: bool,
}

impl Column {
    fn width(&self) -> usize {
        self.cells.iter().map(|cell| cell.width()).max().unwrap_or(0).max(self.title.width())
    }

    fn padded(&self, cell: &str) -> String {
        let space = " ".repeat(self.width() - cell.width());
        if self.is_text { format!("{cell}{space}") } else { format!("{space}{cell}") }
    }
}

fn grid(text: &mut String, question: &Question<'_>, shown: &Shown, terminal: &Terminal) {
    let columns = columns(question, shown, terminal);
    let taken: usize = columns.iter().map(|column| column.width() + GAP.len()).sum();
    let width = terminal.columns.saturating_sub(taken).max(TREND_WIDTH_MIN);
    let each = trend::buckets_each(shown.buckets.count(), shown.complete, width);
    let mut line = |cells: Vec<String>, trend: String| {
        let row = cells.into_iter().chain([trend]).collect::<Vec<_>>().join(GAP);
        text.push_str(row.trim_end());
        text.push('\n');
    };
    let trend = match each {
        1 => "TREND".to_owned(),
        each => format!("TREND, {} a sign", counted(each, &shown.buckets.each())),
    };
    line(columns.iter().map(|column| column.padded(&column.title)).collect(), trend);
    for (at, series) in shown.series.iter().enumerate() {
        let cells = columns.iter().map(|column| column.padded(&column.cells[at])).collect();
        line(cells, trend::signs(&series.points, shown.complete, question.kind(), each, terminal.is_utf8));
    }
    if question.by().is_some() && question.kind() == Kind::Adds && shown.series.len() > 1 {
        let total = figure(shown.total.as_ref(), question.kind());
        let cell = |at: usize| match at {
            0 => "all".to_owned(),
            1 => total.clone(),
            _ => String::new(),
        };
        line(columns.iter().enumerate().map(|(at, column)| column.padded(&cell(at))).collect(), String::new());
    }
}

/// `3 days`, `4 × 15 minutes`.
fn counted(each: usize, word: &str) -> String {
    if word.contains(' ') { format!("{each} × {word}") } else { format!("{each} {word}s") }
}

fn columns(question: &Question<'_>, shown: &Shown, terminal: &Terminal) -> Vec<Column> {
    let (kind, series) = (question.kind(), &shown.series);
    let column = |title: String, is_text: bool, cell: &dyn Fn(&Series) -> String| Column {
        title,
        cells: series.iter().map(cell).collect(),
        is_text,
    };
    let title = question.by().unwrap_or_default().to_uppercase();
    let mut columns = vec![column(title, true, &|series| series.key.label(KEY_WIDTH_MAX, !terminal.is_utf8))];
    let all = shown.total.clone().filter(|_| kind == Kind::Adds && question.by().is_some());
    // `all` is in this column too.
    let total = |series: &Series| figure(series.total.as_ref(), kind);
    match kind {
        Kind::Distinct => {}
        Kind::Adds => {
            let mut totals = column("TOTAL".to_owned(), false, &total);
            totals.title = padded_title(&totals, shown, kind);
            columns.push(totals);
        }
        Kind::Mean | Kind::Min | Kind::Max => columns.push(column("OVERALL".to_owned(), false, &total)),
    }
    if let Some(all) = all.filter(|all| all.approximate() > 0.0) {
        let is_whole = series.iter().flat_map(|series| &series.total).all(|total| !total.is_negative());
        if is_whole {
            columns.push(column("SHARE".to_owned(), false, &|series| share(series.total.as_ref(), &all)));
        }
    }
    let per = match shown.buckets.each() {
        each if each.contains(' ') => String::new(),
        each => format!("/{}", each.to_uppercase()),
    };
    let range = |series: &Series| series.range(shown.complete).map(|(least, most)| (least.clone(), most.clone()));
    columns
        .push(column(format!("MIN{per}"), false, &|series| figure(range(series).map(|range| range.0).as_ref(), kind)));
    columns
        .push(column(format!("MAX{per}"), false, &|series| figure(range(series).map(|range| range.1).as_ref(), kind)));
    columns
}

/// The sum of all may be the widest of its column.
fn padded_title(totals: &Column, shown: &Shown, kind: Kind) -> String {
    let width = figure(shown.total.as_ref(), kind).width();
    format!("{:>width$}", totals.title)
}

fn share(part: Option<&Number>, all: &Number) -> String {
    let Some(part) = part else { return "-".to_owned() };
    let percent = part.approximate() / all.approximate() * 100.0;
    match percent {
        percent if percent.is_nan() => "-".to_owned(),
        percent if percent > 0.0 && percent < 0.5 => "<1 %".to_owned(),
        percent => format!("{percent:.0} %"),
    }
}

/// A figure with all its digits, but for those of a mean, which has no last one.
pub(super) fn figure(point: Option<&Number>, kind: Kind) -> String {
    match (point, kind) {
        (None, _) => "-".to_owned(),
        (Some(mean), Kind::Mean) => mean.shortened(MEAN_DIGITS).grouped(),
        (Some(figure), _) => figure.grouped(),
    }
}

/// As [`figure`], for JSON: every digit.
pub(super) fn exact(point: &Point) -> Option<String> {
    point.as_ref().map(ToString::to_string)
}
