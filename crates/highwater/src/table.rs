//! Text for people: columns, labelled facts, moments. Owns alignment, and that text from elsewhere (a key, the end of a
//! stderr) cannot steer the terminal it is shown on.

use std::borrow::Cow;
use std::fmt::{Display, Write};

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr;

/// Widest a column grows; a longer cell pushes the rest of its line.
const COLUMN_WIDTH_MAX: usize = 48;
/// Longest text of one line, in characters; `--json` has the whole.
const LINE_CHARS_MAX: usize = 160;
/// Width of the labels of facts.
const LABEL_WIDTH: usize = 10;
/// Between two columns.
const GAP: &str = "  ";

/// Rows under headings. A column is as wide as the widest of its cells so far, so that a long list can come in pages.
pub(crate) struct Columns<const N: usize> {
    titles: [&'static str; N],
    widths: [usize; N],
    headed: bool,
}

impl<const N: usize> Columns<N> {
    pub(crate) fn new(titles: [&'static str; N]) -> Self {
        Self { titles, widths: titles.map(str::len), headed: false }
    }

    /// The next rows as lines, the headings before the first.
    pub(crate) fn page(&mut self, rows: &[[String; N]]) -> String {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width().min(COLUMN_WIDTH_MAX));
            }
        }
        let mut text = String::new();
        if !self.headed {
            self.headed = true;
            self.line(&mut text, &self.titles.map(str::to_uppercase));
        }
        for row in rows {
            self.line(&mut text, row);
        }
        text
    }

    fn line(&self, text: &mut String, cells: &[String; N]) {
        let start = text.len();
        for (cell, width) in cells.iter().zip(self.widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width())));
            text.push_str(GAP);
        }
        text.truncate(start + text[start..].trim_end().len());
        text.push('\n');
    }
}

/// Lines of a label and what it says.
#[derive(Default)]
pub(crate) struct Facts(String);

impl Facts {
    /// A line that stands above the facts.
    pub(crate) fn heading(&mut self, text: impl Display) {
        self.0.push_str(&format!("{text}\n"));
    }

    /// A fact; one that has several lines is indented below its label.
    pub(crate) fn fact(&mut self, label: &str, text: impl Display) {
        let text = text.to_string();
        for (i, line) in text.lines().enumerate() {
            let label = if i == 0 { label } else { "" };
            writeln!(self.0, "  {label:<LABEL_WIDTH$} {line}").expect("invariant: a String takes every write");
        }
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.0.push('\n');
    }
}

impl Display for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.trim_end_matches('\n'))
    }
}

/// Text on one line: control characters escaped, an overlong one cut.
pub(crate) fn line(text: &str) -> String {
    let mut line = escaped(text, |_| false).into_owned();
    if let Some((cut, _)) = line.char_indices().nth(LINE_CHARS_MAX) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// Text on its own lines: control characters escaped but for the ends of lines and tabs.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let steers = |c: char| (c.is_control() || reorders(c)) && !kept(c);
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::new();
    for c in text.chars() {
        if steers(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// Whether a character changes the direction of what follows it, so that a line reads as what it is not.
fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// `2026-11-20T12:00:00Z`: to the second, for people.
pub(crate) fn moment(at: Timestamp) -> impl Display {
    at.strftime("%Y-%m-%dT%H:%M:%SZ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 3]) -> [String; 3] {
        cells.map(str::to_owned)
    }

    #[test]
    fn columns_align_by_what_a_terminal_shows_and_never_shrink() {
        let mut columns = Columns::new(["key", "outcome", "detail"]);
        let first = columns.page(&[row(["a", "done", ""]), row(["本本本", "review", "no title"])]);
        assert_eq!(first, "KEY     OUTCOME  DETAIL\na       done\n本本本  review   no title\n");
        assert_eq!(columns.page(&[row(["b", "done", "x"])]), "b       done     x\n");
    }

    #[test]
    fn a_long_cell_pushes_its_own_line_alone() {
        let mut columns = Columns::new(["key", "outcome", "detail"]);
        let long = "k".repeat(COLUMN_WIDTH_MAX + 10);
        let page = columns.page(&[row([&long, "done", ""]), row(["a", "done", ""])]);
        let ends: Vec<_> = page.lines().map(|line| line.find("done")).collect();
        assert_eq!(ends, [None, Some(COLUMN_WIDTH_MAX + 12), Some(COLUMN_WIDTH_MAX + 2)]);
    }

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(line("a\u{1b}[2J\nb\u{9b}c\u{202e}d"), "a\\u{1b}[2J\\nb\\u{9b}c\\u{202e}d");
        assert_eq!(lines("one\n\ttwo\r\u{7}"), "one\n\ttwo\\r\\u{7}");
        assert_eq!(line("plain ü"), "plain ü");
        assert_eq!(line(&"ü".repeat(500)).chars().count(), LINE_CHARS_MAX + 1);
    }

    #[test]
    fn facts_are_indented_below_their_label() {
        let mut facts = Facts::default();
        facts.heading("load: halted");
        facts.fact("evidence", "one\ntwo");
        facts.gap();
        assert_eq!(facts.to_string(), "load: halted\n  evidence   one\n             two");
    }
}
