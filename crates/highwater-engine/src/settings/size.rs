//! [`ByteSize`]: an amount of bytes as people write it. Owns the units.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::text::{TextValue, ValueError, text_value};

/// Units by size, the largest first; a size displays in the largest one that divides it.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// A size of at least one byte such as `64MiB` or `5 GB`, or a bare integer of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// A size of whole mebibytes.
    #[must_use]
    pub const fn mib(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl TextValue for ByteSize {
    const EXPECTED: &'static str =
        "a size of at least one byte, such as \"64MiB\", \"5 GB\" or a whole number of bytes";

    fn from_integer(bytes: u64) -> Option<Self> {
        (1..=i64::MAX.unsigned_abs()).contains(&bytes).then_some(Self(bytes))
    }
}

impl FromStr for ByteSize {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = trimmed.split_at(digits);
        let unit = unit.trim_start();
        let factor = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor);
        let bytes = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        bytes.and_then(Self::from_integer).ok_or_else(|| Self::refuse(text))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divides = |(_, factor): &&(&str, u64)| self.0.is_multiple_of(*factor);
        let (unit, factor) = UNITS.iter().find(divides).expect("invariant: one byte divides every size");
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

text_value!(ByteSize, title: "size", schema: {
    "type": ["string", "integer"],
    "pattern": r"^\s*0*[1-9]\d*\s*([kKmMgGtT][iI]?)?[bB]\s*$|\$\{",
    "minimum": 1,
    "examples": ["64MiB", "5 GB"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in
            [("64MiB", 64 << 20), ("5 GB", 5_000_000_000), ("1kb", 1_000), ("7 B", 7), ("1TiB", 1 << 40)]
        {
            assert_eq!(text.parse::<ByteSize>().map(ByteSize::bytes), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn sizes_without_a_unit_or_a_byte_are_refused() {
        for text in ["", "64", "64M", "0B", "-1B", "1.5GB", "MiB", "99999999999TB", "9223372036854775808B"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_reads_back_as_it_displays() {
        for text in ["64MiB", "5GB", "1kB", "7B", "1TiB", "1025B"] {
            assert_eq!(text.parse::<ByteSize>().expect(text).to_string(), text);
        }
    }
}
