//! What a table holds: its columns, how many rows, what each column ranges over. Owns how that is told.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::prose::{Reading, Table, cut, markdown, markdown_inside, plain};

/// The tables that a summary tells of.
const TABLES_MAX: usize = 8;
/// The columns of a table that it tells of.
const COLUMNS_MAX: usize = 12;
/// A column of fewer different values has them named.
const NAMED_MAX: usize = 4;
/// The characters of a value.
const VALUE_CHARS_MAX: usize = 32;

/// One line a table, the first first.
pub(super) fn lines(reading: &Reading, title: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let tables = reading.blocks.tables.iter().filter(|table| is_told(table));
    for table in tables.take(TABLES_MAX) {
        let heading =
            table.heading.map(|at| plain(&reading.blocks.headings[at as usize].title)).filter(|at| at != title);
        let name = heading.map_or_else(|| "A table".to_owned(), |heading| cut(&heading, 60));
        let columns: Vec<String> =
            table.columns.iter().take(COLUMNS_MAX).enumerate().map(|(at, name)| column(table, at, name)).collect();
        let more = if table.columns.len() > COLUMNS_MAX { "; …" } else { "" };
        lines.push(format!(
            "{} ({}): {}{more}",
            markdown(&name),
            rows(table.row_count, reading.blocks.more),
            columns.join("; ")
        ));
    }
    lines
}

/// `12 rows`.
pub(super) fn rows(count: u64, more: bool) -> String {
    match (count, more) {
        (_, true) => format!("more than {count} rows"),
        (1, false) => "1 row".to_owned(),
        (count, false) => format!("{count} rows"),
    }
}

/// `A table of 12 rows: name, depth.` Nothing where there is no table.
pub(super) fn described(reading: &Reading) -> Option<String> {
    let table = reading.blocks.tables.iter().filter(|table| is_told(table)).max_by_key(|table| table.row_count)?;
    let names: Vec<String> =
        table.columns.iter().take(COLUMNS_MAX).map(|name| plain(name)).filter(|name| !name.is_empty()).collect();
    let more = if table.columns.len() > COLUMNS_MAX { ", …" } else { "" };
    Some(format!("A table of {}: {}{more}.", rows(table.row_count, reading.blocks.more), names.join(", ")))
}

fn is_told(table: &Table) -> bool {
    table.row_count > 0 && table.columns.iter().any(|name| !name.is_empty())
}

fn column(table: &Table, at: usize, name: &str) -> String {
    let values: Vec<&str> =
        table.rows.iter().filter_map(|row| row.get(at)).map(String::as_str).filter(|value| !is_blank(value)).collect();
    let name =
        if name.is_empty() { format!("column {}", at + 1) } else { markdown_inside(&cut(name, VALUE_CHARS_MAX)) };
    match span(&values) {
        Some(span) => format!("{name} ({span})"),
        None => name,
    }
}

/// Whether a cell says that there is nothing.
fn is_blank(value: &str) -> bool {
    matches!(value, "" | "-" | "–" | "—" | "?" | "n/a" | "N/A" | "NA" | "null" | "NULL")
}

fn span(values: &[&str]) -> Option<String> {
    let shown = |value: &str| markdown_inside(&cut(value, VALUE_CHARS_MAX));
    if values.len() < 2 {
        return None;
    }
    let numbers: Option<Vec<(f64, &str)>> =
        values.iter().map(|value| number(value).map(|number| (number, *value))).collect();
    if let Some(numbers) = numbers {
        let by = |a: &&(f64, &str), b: &&(f64, &str)| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal);
        let (least, most) = (numbers.iter().min_by(by)?.1, numbers.iter().max_by(by)?.1);
        return Some(if least == most {
            format!("always {}", shown(least))
        } else {
            format!("{} to {}", shown(least), shown(most))
        });
    }
    if values.iter().all(|value| is_date(value)) {
        let (first, last) = (values.iter().min()?, values.iter().max()?);
        return Some(format!("{} to {}", shown(first), shown(last)));
    }
    let different: BTreeSet<&str> = values.iter().copied().collect();
    match different.len() {
        1 => Some(format!("always {}", shown(values[0]))),
        few if few <= NAMED_MAX => Some(different.iter().map(|value| shown(value)).collect::<Vec<_>>().join(", ")),
        many if many == values.len() && many > NAMED_MAX => {
            Some(format!("{many} names such as {}", shown(values[0]))).filter(|_| values[0].len() < 60)
        }
        many => Some(format!("{many} different")),
    }
}

/// A number as tables write it; no word such as `inf` is one.
fn number(value: &str) -> Option<f64> {
    let digits = value.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    (digits && value.contains(|c: char| c.is_ascii_digit())).then(|| value.parse().ok())?
}

/// `2026-11-21`, with or without a time.
fn is_date(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() >= 10
        && bytes[..10]
            .iter()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() })
}
