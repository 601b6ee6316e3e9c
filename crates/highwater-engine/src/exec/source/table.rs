//! A worklist in CSV. Owns the header, the key column, and that every record has a value for every column.

use std::io::{self, Chain, Read};

use csv::{ByteRecord, StringRecord};

use super::line::{not_text, too_long};
use super::{Listed, READ_BYTES, key, unreadable};
use crate::diagnosis::Diagnosis;
use crate::exec::item::{CommandItem, ITEM_BYTES_MAX, Record};

/// The column that names an item when none is told; without it the first one does.
const KEY_DEFAULT: &str = "id";
/// A record of our own, read after the file's last one. A quote that is never closed swallows it, and so is seen: RFC 4180
/// readers take the end of the file for the end of the quote.
const END_RECORD: &str = "\u{1e}end";
const END: &[u8] = b"\n\x1eend\n";

/// Reads one record after the other.
pub(super) struct Table<R> {
    reader: csv::Reader<Metered<Chain<R, &'static [u8]>>>,
    names: Vec<String>,
    key: usize,
    /// Read, but not known yet to be the file's own: only what follows tells.
    ahead: Option<Row>,
}

struct Row {
    line: u64,
    record: StringRecord,
}

impl<R: Read> Table<R> {
    /// Reads the header.
    pub(super) fn new(file: R, key: Option<&str>) -> Result<Self, Diagnosis> {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            // Not CR or LF or both, by which its line numbers go wrong.
            .terminator(csv::Terminator::Any(b'\n'))
            .buffer_capacity(READ_BYTES)
            .from_reader(Metered { inner: file.chain(END), left: 0 });
        let mut table = Self { reader, names: Vec::new(), key: 0, ahead: None };
        table.ahead = table.read()?;
        let Some(Row { line, record }) = table.row()? else { return Ok(table) };
        table.names = record.iter().map(|name| name.trim().to_owned()).collect();
        table.key = key_column(&table.names, key).map_err(|e| e.at_line(line))?;
        Ok(table)
    }

    pub(super) fn next(&mut self) -> Result<Option<Listed>, Diagnosis> {
        let Some(Row { line, record }) = self.row()? else { return Ok(None) };
        if record.len() != self.names.len() {
            return Err(Diagnosis::refusal(
                "HW-WRK-016",
                format!("found {} values, expected {}, one for each column of the header", record.len(), self.names.len()),
                "correct the line: a value that holds a comma, a quote or a line end stands in quotes, and a quote in it is doubled",
            )
            .at_line(line));
        }
        let key = key(&record[self.key]).map_err(|e| e.at_field(&self.names[self.key]).at_line(line))?;
        let object = serde_json::to_string(&Record { names: &self.names, values: &record })
            .expect("invariant: names and values are texts");
        Ok(Some(Listed { item: CommandItem::of_object(key, object), line }))
    }

    /// The file's next record.
    fn row(&mut self) -> Result<Option<Row>, Diagnosis> {
        let Some(row) = self.ahead.take() else { return Ok(None) };
        self.ahead = self.read()?;
        if self.ahead.is_some() {
            return Ok(Some(row));
        }
        if row.record.iter().eq([END_RECORD]) {
            return Ok(None);
        }
        Err(Diagnosis::refusal(
            "HW-WRK-016",
            "found a quote in this record that is never closed, expected `\"` at the end of the value",
            "close it, or double it (`\"\"`) where it is part of the value",
        )
        // The last line end was taken for its own and is part of the value.
        .at_line(row.line + 1))
    }

    fn read(&mut self) -> Result<Option<Row>, Diagnosis> {
        loop {
            let begin = self.reader.position().clone();
            self.reader.get_mut().left = ITEM_BYTES_MAX + READ_BYTES;
            let mut record = ByteRecord::new();
            let there = self.reader.read_byte_record(&mut record).map_err(|e| refused(e).at_line(begin.line()))?;
            if !there {
                return Ok(None);
            }
            let end = self.reader.position();
            // Its own line end is read, and the empty lines before it: only what its values hold lies between.
            let within = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
            let line = end.line().saturating_sub(1 + within).max(1);
            if end.byte() - begin.byte() > ITEM_BYTES_MAX as u64 {
                return Err(too_long().at_line(line));
            }
            if !without_carriage_return(&mut record) {
                continue;
            }
            let record = StringRecord::from_byte_record(record)
                .map_err(|e| not_text(e.into_byte_record().as_slice(), begin.byte() == 0).at_line(line))?;
            return Ok(Some(Row { line, record }));
        }
    }
}

/// Takes away what is left of CRLF; false when nothing else was there.
fn without_carriage_return(record: &mut ByteRecord) -> bool {
    let Some(last) = record.len().checked_sub(1) else { return false };
    if let Some(value) = record[last].strip_suffix(b"\r") {
        let value = value.to_vec();
        record.truncate(last);
        if last == 0 && value.is_empty() {
            return false;
        }
        record.push_field(&value);
    }
    true
}

fn key_column(names: &[String], key: Option<&str>) -> Result<usize, Diagnosis> {
    let refuse = |message, next| Err(Diagnosis::refusal("HW-WRK-016", message, next));
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() {
            return refuse(
                format!("column {} has no name, expected one", at + 1),
                "name it in the header, or remove the column",
            );
        }
        if names[..at].contains(name) {
            return refuse(
                format!("the column `{name}` is there twice, expected each name once"),
                "rename or remove one",
            );
        }
    }
    let column = |wanted: &str| names.iter().position(|name| name == wanted);
    match key {
        None => Ok(column(KEY_DEFAULT).unwrap_or(0)),
        Some(wanted) => column(wanted).map_or_else(
            || {
                refuse(
                    format!("found no column `{wanted}`, which `key` names, among: {}", names.join(", ")),
                    "name one of them in `key`, or add a header line",
                )
            },
            Ok,
        ),
    }
}

fn refused(error: csv::Error) -> Diagnosis {
    match error.into_kind() {
        csv::ErrorKind::Io(e) if e.get_ref().is_some_and(|e| e.is::<TooLong>()) => too_long(),
        csv::ErrorKind::Io(e) => unreadable(&e),
        other => unreadable(&io::Error::other(format!("{other:?}"))),
    }
}

/// Lets so many bytes through: a record that never ends must not be held in memory whole.
struct Metered<R> {
    inner: R,
    left: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("the record is too long")]
struct TooLong;

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(TooLong));
        }
        let most = buffer.len().min(self.left);
        let count = self.inner.read(&mut buffer[..most])?;
        self.left -= count;
        Ok(count)
    }
}
