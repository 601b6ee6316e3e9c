//! Works as lines of JSON and rows of CSV, for exports that stream. Owns both forms.

use std::borrow::Cow;

use super::text::harmless;
use super::view::WorkView;
use super::work::Link;

/// What stands between the values of one cell.
const SEPARATOR: &str = "; ";

/// The columns of [`csv_row`].
const COLUMNS: [&str; 17] = [
    "id",
    "datestamp",
    "title",
    "other_titles",
    "contributors",
    "publisher",
    "year",
    "languages",
    "types",
    "subjects",
    "isbns",
    "dois",
    "identifiers",
    "links",
    "licences",
    "sets",
    "description",
];

/// The first line of a CSV.
#[must_use]
pub fn csv_header() -> String {
    record(COLUMNS.iter().copied())
}

/// A work as a line of CSV. Several values are joined by `; `; a cell that a spreadsheet would take for a formula begins
/// with an apostrophe.
#[must_use]
pub fn csv_row(view: &WorkView) -> String {
    let WorkView { id, datestamp, sets, work } = view;
    let of_kind = |kind: &str| {
        let of_kind = work.identifiers.iter().filter(|identifier| identifier.kind == kind);
        join(of_kind.map(|identifier| identifier.value.as_str().into()))
    };
    let others = work.identifiers.iter().filter(|id| !matches!(id.kind.as_str(), "isbn" | "doi" | "url"));
    let cells = [
        id.clone(),
        datestamp.clone(),
        work.title.clone(),
        join(work.other_titles.iter().map(Into::into)),
        join(work.contributors.iter().map(|someone| format!("{} ({})", someone.name, someone.role).into())),
        work.publisher.clone().unwrap_or_default(),
        work.year.map_or_else(String::new, |year| year.to_string()),
        join(work.languages.iter().map(Into::into)),
        join(work.types.iter().map(Into::into)),
        join(work.subjects.iter().map(Into::into)),
        of_kind("isbn"),
        of_kind("doi"),
        join(others.map(|id| format!("{}:{}", id.kind, id.value).into())),
        join(work.links.iter().map(|Link { url, .. }| url.into())),
        join(work.licences.iter().filter_map(|licence| licence.label().map(Into::into))),
        join(sets.iter().map(Into::into)),
        work.description.clone().unwrap_or_default(),
    ];
    record(cells.iter().map(|cell| guarded(&harmless(cell)).into_owned()))
}

/// A work as a line of JSON.
#[must_use]
pub fn json_line(view: &WorkView) -> String {
    let mut line = serde_json::to_string(view).expect("invariant: a work has a JSON form");
    line.push('\n');
    line
}

fn join<'a>(values: impl Iterator<Item = Cow<'a, str>>) -> String {
    let mut cell = String::new();
    for value in values {
        if !cell.is_empty() {
            cell.push_str(SEPARATOR);
        }
        cell.push_str(&value);
    }
    cell
}

/// # Source
/// <https://owasp.org/www-community/attacks/CSV_Injection>
fn guarded(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']) {
        return Cow::Owned(format!("'{cell}"));
    }
    Cow::Borrowed(cell)
}

fn record(cells: impl Iterator<Item = impl AsRef<[u8]>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells).expect("invariant: memory takes what is written");
    let line = writer.into_inner().expect("invariant: memory takes what is written");
    String::from_utf8(line).expect("invariant: the cells were text")
}
