//! By what an export is known to be one. Owns the mark of each format: lines of JSON are those of an index, so that only a mark tells the two
//! apart, and a file without it is somebody's.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use highwater_episodes::index::{LINE_BYTES_MAX, Row};
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::super::{COLUMNS, csv_lines};

/// What each line of an export of JSON begins with: nothing to a reader of JSON, and no line of an index does.
pub(super) const JSON: &[u8] = b" ";
/// What an export of Parquet says in its metadata, and of what.
pub(super) const PARQUET: (&str, &str) = ("highwater", "export of episodes");
/// How a file of Parquet begins.
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// Whether a file is an export in one of the formats, or has nothing in it. It is read to its end.
pub(super) fn is_export(path: &Path) -> io::Result<bool> {
    let mut lines = BufReader::new(File::open(path)?);
    let head = lines.fill_buf()?;
    if head.starts_with(PARQUET_MAGIC) {
        return is_marked(path);
    }
    if !head.starts_with(JSON) {
        let columns = csv_lines([COLUMNS]);
        return Ok(head.is_empty() || head.starts_with(&columns));
    }
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = (JSON.len() + LINE_BYTES_MAX + 1) as u64;
        if lines.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(true);
        }
        let row = line.strip_suffix(b"\n").and_then(|line| line.strip_prefix(JSON));
        if row.is_none_or(|row| Row::from_line(row).is_err()) {
            return Ok(false);
        }
    }
}

/// Whether a file of Parquet says that it is one.
fn is_marked(path: &Path) -> io::Result<bool> {
    let Ok(reader) = SerializedFileReader::new(File::open(path)?) else { return Ok(false) };
    let said = reader.metadata().file_metadata().key_value_metadata();
    Ok(said
        .is_some_and(|said| said.iter().any(|said| said.key == PARQUET.0 && said.value.as_deref() == Some(PARQUET.1))))
}
