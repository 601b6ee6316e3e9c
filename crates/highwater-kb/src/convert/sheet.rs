//! Rows: delimited text, and workbooks that Excel's own format of today is not. Owns what separates fields, and how a table is
//! written.

use std::io::Cursor;

use calamine::{Data, Ods, Reader, Xls, Xlsb};
use csv::ReaderBuilder;

use super::Paged;
use super::error::Refusal;
use super::format::Format;
use super::gallery::Gallery;
use super::settle::escaped;
use super::{decode, office};

/// What reads delimited text.
const DELIMITED: &str = "csv/1.4.0";
/// What reads workbooks.
const WORKBOOK: &str = "calamine/0.38.0";
/// What may separate fields, the likelier first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// How many rows are looked at to tell what separates their fields.
const SNIFFED_ROWS: usize = 100;
/// Most columns of a table: what a workbook may have.
const COLUMNS_MAX: usize = 16_384;
/// Most cells of a table, empty ones included.
const CELLS_MAX: usize = 8_000_000;

pub(super) fn delimited(bytes: &[u8], format: Format) -> Result<Paged, Refusal> {
    let text = decode::text(bytes)?;
    // Excel writes what separates fields as a line of its own.
    let (said, text) = match text.strip_prefix("sep=").and_then(|rest| rest.split_once('\n')) {
        Some((delimiter, rest)) if delimiter.len() == 1 => (delimiter.bytes().next(), rest),
        _ => (None, text.as_str()),
    };
    let delimiter = said.unwrap_or_else(|| if format == Format::Tsv { b'\t' } else { sniffed(text) });
    let mut rows: Vec<Vec<String>> = Vec::new();
    for record in reader(text, delimiter).into_records() {
        let record = record.map_err(Refusal::damaged)?;
        rows.push(record.iter().map(str::to_owned).collect());
    }
    Ok(Paged { title: None, pages: vec![table(rows)?], numbered: false, converter: DELIMITED })
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes())
}

/// What separates the fields: by what most rows have the same number of fields, and more than one.
fn sniffed(text: &str) -> u8 {
    let agreeing = |delimiter: u8| {
        let mut records = reader(text, delimiter).into_records();
        let first = records.next().and_then(Result::ok).map_or(0, |record| record.len());
        let same = records.take(SNIFFED_ROWS).filter(|r| r.as_ref().is_ok_and(|r| r.len() == first)).count();
        if first > 1 { (same + 1, first) } else { (0, 0) }
    };
    // The first of equals wins.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| agreeing(*delimiter)).unwrap_or(b',')
}

pub(super) fn workbook(bytes: &[u8], format: Format, gallery: &mut Gallery) -> Result<Paged, Refusal> {
    let from = Cursor::new(bytes);
    let read = match format {
        Format::Ods => Ods::new(from).map_err(refused).and_then(sheets),
        Format::Xlsb => Xlsb::new(from).map_err(refused).and_then(sheets),
        _ => Xls::new(from).map_err(refused).and_then(sheets),
    };
    let sheets = match read {
        // Workbooks of the years before 1997 are read by the other.
        Err(damaged @ Refusal::Damaged(_)) if format == Format::Xls => {
            return office::convert(bytes, format, gallery)
                .map_err(|other| if other == Refusal::Encrypted { other } else { damaged });
        }
        read => read?,
    };
    let mut pages = Vec::with_capacity(sheets.len());
    for (name, rows) in sheets {
        let rows = table(rows)?;
        if !rows.is_empty() {
            pages.push(format!("## {}\n\n{rows}", escaped(&name)));
        }
    }
    Ok(Paged { title: None, pages, numbered: false, converter: WORKBOOK })
}

fn refused(said: impl std::fmt::Display) -> Refusal {
    let said = said.to_string();
    if said.to_lowercase().contains("password") { Refusal::Encrypted } else { Refusal::damaged(said) }
}

/// The sheets of a workbook, in its order.
type Sheets = Vec<(String, Vec<Vec<String>>)>;

fn sheets<'b, R: Reader<Cursor<&'b [u8]>>>(mut workbook: R) -> Result<Sheets, Refusal> {
    let mut sheets = Vec::new();
    for name in workbook.sheet_names() {
        let range = workbook.worksheet_range(&name).map_err(|error| refused(format!("{error:?}")))?;
        if range.height().saturating_mul(range.width()) > CELLS_MAX {
            return Err(Refusal::Large { rows: range.height(), columns: range.width() });
        }
        sheets.push((name, range.rows().map(|row| row.iter().map(cell).collect()).collect()));
    }
    Ok(sheets)
}

fn cell(data: &Data) -> String {
    match data {
        Data::DateTime(time) if time.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
            match (time.as_f64() < 1.0, (hour, minute, second)) {
                (true, _) => format!("{hour:02}:{minute:02}:{second:02}"),
                (false, (0, 0, 0)) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            }
        }
        other => other.to_string(),
    }
}

/// Rows as a table, the first of them its head. Rows and columns without any text are left out at the end.
fn table(mut rows: Vec<Vec<String>>) -> Result<String, Refusal> {
    let blank = |cell: &String| cell.trim().is_empty();
    for row in &mut rows {
        row.truncate(row.iter().rposition(|cell| !blank(cell)).map_or(0, |at| at + 1));
    }
    rows.truncate(rows.iter().rposition(|row| !row.is_empty()).map_or(0, |at| at + 1));
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    if columns > COLUMNS_MAX || rows.len().saturating_mul(columns) > CELLS_MAX {
        return Err(Refusal::Large { rows: rows.len(), columns });
    }
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        text.push('|');
        for column in 0..columns {
            let cell = row.get(column).map(|cell| escaped(cell.trim()).replace('\n', "<br>")).unwrap_or_default();
            text.push(' ');
            text.push_str(&cell);
            text.push_str(if cell.is_empty() { "|" } else { " |" });
        }
        text.push('\n');
        if at == 0 {
            text.push_str(&format!("|{}\n", " --- |".repeat(columns)));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_that_is_too_large_is_told_by_its_size() {
        let wide = vec!["1"; COLUMNS_MAX + 1].join(",");
        let refused = delimited(wide.as_bytes(), Format::Csv).err().unwrap();
        assert_eq!(refused.to_string(), "it has a sheet of 1 row and up to 16385 columns: more than a table may have");
        assert!(delimited(&wide.as_bytes()[2..], Format::Csv).is_ok());
    }
}
