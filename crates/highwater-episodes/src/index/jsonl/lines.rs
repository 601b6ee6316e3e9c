//! Lines of a file, one at a time, in bounded memory. Owns where a line begins and ends, and that one which is too long is passed
//! over without being held.

use std::io::{self, BufRead};

use super::super::row::LINE_BYTES_MAX;

/// What some editors put at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A line, or what lies behind the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::index) struct Line {
    /// Where it begins.
    pub(in crate::index) offset: u64,
    /// Where the next one begins.
    pub(in crate::index) end: u64,
    /// It is longer than a row can be, and was not kept.
    pub(in crate::index) too_long: bool,
    /// It has its end.
    pub(in crate::index) whole: bool,
}

/// Reads the next line into `kept`, without its end, and without a byte order mark before the first; `None` where there is nothing more.
pub(in crate::index) fn next_line(
    reader: &mut impl BufRead,
    offset: u64,
    kept: &mut Vec<u8>,
) -> io::Result<Option<Line>> {
    let line = whole_line(reader, offset, kept)?;
    if offset == 0 && kept.starts_with(BYTE_ORDER_MARK) {
        kept.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(line)
}

fn whole_line(reader: &mut impl BufRead, offset: u64, kept: &mut Vec<u8>) -> io::Result<Option<Line>> {
    kept.clear();
    let mut line = Line { offset, end: offset, too_long: false, whole: false };
    loop {
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if buffer.is_empty() {
            return Ok((line.end > offset).then_some(line));
        }
        let end = memchr::memchr(b'\n', buffer);
        let part = &buffer[..end.unwrap_or(buffer.len())];
        if line.too_long || kept.len() + part.len() > LINE_BYTES_MAX {
            line.too_long = true;
            kept.clear();
        } else {
            kept.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        line.end += used as u64;
        if end.is_some() {
            line.whole = true;
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(bytes: &[u8], buffer_bytes: usize) -> Vec<(u64, u64, bool, bool, Vec<u8>)> {
        let (mut reader, mut kept, mut at) = (BufReader::with_capacity(buffer_bytes, bytes), Vec::new(), 0);
        let mut all = Vec::new();
        while let Some(line) = next_line(&mut reader, at, &mut kept).unwrap() {
            at = line.end;
            all.push((line.offset, line.end, line.too_long, line.whole, kept.clone()));
        }
        all
    }

    #[test]
    fn each_line_is_found_however_it_is_cut_into_buffers() {
        for buffer_bytes in 1..9 {
            let found = lines(b"ab\n\ncd", buffer_bytes);
            let expected = [
                (0, 3, false, true, b"ab".to_vec()),
                (3, 4, false, true, vec![]),
                (4, 6, false, false, b"cd".to_vec()),
            ];
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_the_next_one_is_read() {
        let long = [vec![b'x'; LINE_BYTES_MAX + 1], b"\nok\n".to_vec()].concat();
        let found = lines(&long, 4096);
        assert!(found[0].2 && found[0].4.is_empty());
        assert_eq!(found[1].4, b"ok");
        let fits = [vec![b'x'; LINE_BYTES_MAX], b"\n".to_vec()].concat();
        assert!(!lines(&fits, 4096)[0].2);
    }
}
