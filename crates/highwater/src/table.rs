//! Text for people: columns, labelled facts, moments. Owns alignment, and that text from elsewhere (a key, the end of a
//! stderr) cannot steer the terminal it is shown on.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

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
/// What columns are filled with.
const BLANK: &str = "                                                ";
const _: () = assert!(BLANK.len() == COLUMN_WIDTH_MAX);
/// Rows that are aligned with one another, and with all before.
const PAGE_ROWS: usize = 1_000;

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
        let mut gathered = Rows::default();
        for row in rows {
            row.iter().for_each(|cell| gathered.cell(cell));
        }
        self.rows(&gathered)
    }

    /// The same, for very many rows.
    pub(crate) fn rows(&mut self, rows: &Rows<N>) -> String {
        // A line is hardly ever longer than its cells and half as much again.
        let mut text = String::with_capacity(rows.text.len() + rows.text.len() / 2);
        if !std::mem::replace(&mut self.headed, true) {
            // The first rows say how wide the headings are set.
            self.widen(&rows.cells[..rows.cells.len().min(PAGE_ROWS * N)]);
            let titles = self.titles.map(str::to_uppercase);
            self.line(&mut text, titles.iter().map(|title| (title.as_str(), title.len())));
        }
        let mut begin = 0;
        for page in rows.cells.chunks(PAGE_ROWS * N) {
            self.widen(page);
            for row in page.chunks_exact(N) {
                let cells = row.iter().map(|&(end, width)| {
                    let cell = &rows.text[begin..end];
                    begin = end;
                    (cell, width)
                });
                self.line(&mut text, cells);
            }
        }
        text
    }

    fn widen(&mut self, cells: &[(usize, usize)]) {
        for row in cells.chunks_exact(N) {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.1.min(COLUMN_WIDTH_MAX));
            }
        }
    }

    fn line<'c>(&self, text: &mut String, cells: impl Iterator<Item = (&'c str, usize)>) {
        let start = text.len();
        for ((cell, shown), width) in cells.zip(self.widths) {
            text.push_str(cell);
            text.push_str(&BLANK[..width.saturating_sub(shown)]);
            text.push_str(GAP);
        }
        text.truncate(start + text[start..].trim_end().len());
        text.push('\n');
    }
}

/// Rows whose cells lie behind one another in one text: no cell costs an allocation.
#[derive(Default)]
pub(crate) struct Rows<const N: usize> {
    text: String,
    /// Where each cell ends, and how wide it is shown.
    cells: Vec<(usize, usize)>,
}

impl<const N: usize> Rows<N> {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The next cell; every `N` of them are a row.
    pub(crate) fn cell(&mut self, cell: impl Display) {
        let begin = self.text.len();
        write!(self.text, "{cell}").expect("invariant: a String takes every write");
        let cell = &self.text[begin..];
        // Without a look at each character; what is below a space is escaped before it comes here, or has no width.
        let width = if cell.bytes().all(|byte| (b' '..0x7f).contains(&byte)) { cell.len() } else { cell.width() };
        self.cells.push((self.text.len(), width));
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

/// Text on one line, whole: what a person needs to the end.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
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
    struct Moment(Timestamp);
    impl Display for Moment {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:.0}", self.0)
        }
    }
    Moment(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 3]) -> [String; 3] {
        cells.map(str::to_owned)
    }

    #[test]
    fn a_moment_is_told_to_its_second() {
        for (at, told) in [
            ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"),
            ("2026-11-20T23:59:59.999999999Z", "2026-11-20T23:59:59Z"),
        ] {
            assert_eq!(moment(at.parse().unwrap()).to_string(), told);
        }
    }

    #[test]
    fn columns_align_by_what_a_terminal_shows_and_never_shrink() {
        let mut columns = Columns::new(["key", "outcome", "detail"]);
        let first = columns.page(&[row(["a", "done", ""]), row(["本本本", "review", "no title"])]);
        assert_eq!(first, "KEY     OUTCOME  DETAIL\na       done\n本本本  review   no title\n");
        assert_eq!(columns.page(&[row(["b", "done", "x"])]), "b       done     x\n");
    }

    #[test]
    fn very_many_rows_widen_their_columns_by_pages() {
        let mut rows = Rows::<2>::default();
        for number in 0..PAGE_ROWS {
            rows.cell(number);
            rows.cell("x");
        }
        rows.cell("a longer one");
        rows.cell("本");
        let mut columns = Columns::new(["key", "note"]);
        let text = columns.rows(&rows);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines[0], lines[1], lines[PAGE_ROWS]), ("KEY  NOTE", "0    x", "999  x"));
        assert_eq!(lines[PAGE_ROWS + 1], "a longer one  本");
        let mut rows = Rows::<2>::default();
        rows.cell("b");
        rows.cell("y");
        assert_eq!(columns.rows(&rows), "b             y\n");
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
