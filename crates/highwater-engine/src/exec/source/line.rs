//! The lines of a text file. Owns line ends, the byte order mark, UTF-8 and the longest line; knows no items.

use std::io::{BufRead, Read};

use crate::diagnosis::Diagnosis;
use crate::exec::item::ITEM_BYTES_MAX;

const MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];
/// What a file in UTF-16 begins with.
const FOREIGN_MARKS: [[u8; 2]; 2] = [[0xFF, 0xFE], [0xFE, 0xFF]];

/// Reads one line after the other.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0, buffer: Vec::new() }
    }

    /// The next line that is not empty, without its end, and its number.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &str)>, Diagnosis> {
        loop {
            self.buffer.clear();
            // Two more than a line may have are its end.
            let limit = ITEM_BYTES_MAX as u64 + 2;
            let count = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.buffer);
            if count.map_err(|e| super::unreadable(&e))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.buffer.last() == Some(&b'\n') {
                self.buffer.pop();
            }
            if self.buffer.last() == Some(&b'\r') {
                self.buffer.pop();
            }
            if self.number == 1 && self.buffer.starts_with(&MARK) {
                self.buffer.drain(..MARK.len());
            }
            if !self.buffer.is_empty() {
                break;
            }
        }
        let text = text(&self.buffer, self.number == 1).map_err(|e| e.at_line(self.number))?;
        Ok(Some((self.number, text)))
    }
}

/// The text that a line's bytes are.
fn text(bytes: &[u8], first: bool) -> Result<&str, Diagnosis> {
    if bytes.len() > ITEM_BYTES_MAX {
        return Err(too_long());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Err(not_text(bytes, first)) };
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(Diagnosis::refusal(
            "HW-WRK-014",
            format!("found a NUL at byte {}, expected text", at + 1),
            "one item a line, not NUL-separated: `tr '\\0' '\\n'` turns `find -print0` into lines",
        ));
    }
    Ok(text)
}

/// The line or record is longer than one may be.
pub(super) fn too_long() -> Diagnosis {
    Diagnosis::refusal(
        "HW-WRK-013",
        format!("the line is longer than {ITEM_BYTES_MAX} bytes, expected one item a line"),
        "check that this is a list, and its line ends (LF or CRLF) and quotes; put large data into files and list their paths",
    )
}

/// The bytes are no UTF-8.
pub(super) fn not_text(bytes: &[u8], first: bool) -> Diagnosis {
    let at = std::str::from_utf8(bytes).map_or_else(|e| e.valid_up_to(), str::len) + 1;
    if first && FOREIGN_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return Diagnosis::refusal(
            "HW-WRK-014",
            "found UTF-16, expected UTF-8",
            "convert it: `iconv -f UTF-16 -t UTF-8 OLD > NEW`",
        );
    }
    Diagnosis::refusal(
        "HW-WRK-014",
        format!("found a byte that is no UTF-8 (byte {at}), expected UTF-8"),
        "convert it, for example `iconv -f LATIN1 -t UTF-8 OLD > NEW`",
    )
}
