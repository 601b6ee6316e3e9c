//! PAX records: `LENGTH KEY=VALUE\n`, the facts of an entry that its header has no room for. Owns how they are written and read;
//! which of them count is the reader's.
//!
//! # Source
//! POSIX.1-2017, `pax`, "pax Extended Header".

/// Adds a record.
pub(super) fn write(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    // Blank, equals sign and newline; the length counts its own digits.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + digits(length) != length {
        length = rest + digits(length);
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// A key and its value.
pub(super) type Record<'r> = (&'r [u8], &'r [u8]);

/// Takes the first record off, `None` at the end; an error where what is there is no record.
pub(super) fn take<'r>(records: &mut &'r [u8]) -> Result<Option<Record<'r>>, ()> {
    if records.is_empty() {
        return Ok(None);
    }
    let blank = records.iter().take(LENGTH_DIGITS_MAX + 1).position(|byte| *byte == b' ').ok_or(())?;
    let digits = &records[..blank];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(());
    }
    let length = digits.iter().fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    let (record, rest) = records.split_at_checked(length).ok_or(())?;
    let record = record.get(blank + 1..).and_then(|record| record.strip_suffix(b"\n")).ok_or(())?;
    let equals = record.iter().position(|byte| *byte == b'=').ok_or(())?;
    *records = rest;
    Ok(Some((&record[..equals], &record[equals + 1..])))
}

/// More digits than the length of any record that is read has.
const LENGTH_DIGITS_MAX: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_record_counts_itself() {
        for (value, written) in [
            ("", "5 a=\n".to_owned()),
            ("xxxx", "9 a=xxxx\n".to_owned()),
            ("xxxxx", "11 a=xxxxx\n".to_owned()),
            (&"x".repeat(93), format!("99 a={}\n", "x".repeat(93))),
            (&"x".repeat(94), format!("101 a={}\n", "x".repeat(94))),
        ] {
            let mut records = Vec::new();
            write(&mut records, "a", value.as_bytes());
            assert_eq!(String::from_utf8_lossy(&records), written);
            let length: usize = written.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(length, written.len());
        }
    }

    #[test]
    fn records_are_read_one_after_the_other() {
        let mut records = Vec::new();
        write(&mut records, "path", b"a=b\n\xff");
        write(&mut records, "size", b"7");
        let mut rest = records.as_slice();
        assert_eq!(take(&mut rest), Ok(Some((&b"path"[..], &b"a=b\n\xff"[..]))));
        assert_eq!(take(&mut rest), Ok(Some((&b"size"[..], &b"7"[..]))));
        assert_eq!(take(&mut rest), Ok(None));
    }

    #[test]
    fn what_is_no_record_is_none() {
        for bad in
            ["a", "5", " a=\n", "5 a=b", "6 a=\n", "4 a\n", "-5 a=\n", "0 a=\n", "2 ", "99999999999 a=\n", "3 \n"]
        {
            assert_eq!(take(&mut bad.as_bytes()), Err(()), "{bad:?}");
        }
    }
}
