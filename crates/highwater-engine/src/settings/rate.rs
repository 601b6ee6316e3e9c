//! [`ByteRate`]: how many bytes may move in a second, as people write it. Owns the slowest one.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::size::ByteSize;
use super::text::{TextValue, ValueError, text_value};

/// Slowest rate that a setting takes, in bytes a second. At this one an episode of 64 MiB takes 68 minutes; far below it, servers
/// take a body that moves for one that stands still.
pub const RATE_BYTES_MIN: u64 = 16 << 10;

/// Bytes a second, such as `2MiB/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteRate(ByteSize);

impl ByteRate {
    /// The rate of so many bytes a second; `None` below [`RATE_BYTES_MIN`].
    #[must_use]
    pub fn per_second(size: ByteSize) -> Option<Self> {
        (size.bytes() >= RATE_BYTES_MIN).then_some(Self(size))
    }

    /// In bytes a second.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0.bytes()
    }
}

impl TextValue for ByteRate {
    const EXPECTED: &'static str = "a rate of at least 16KiB/s, such as \"2MiB/s\" or \"500 kB/s\"";
}

impl FromStr for ByteRate {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let size = text.trim().strip_suffix("/s").and_then(|size| size.parse().ok());
        size.and_then(Self::per_second).ok_or_else(|| Self::refuse(text))
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

impl Serialize for ByteRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

text_value!(ByteRate, title: "rate", schema: {
    "type": "string",
    "pattern": r"^\s*0*[1-9]\d*\s*([kKmMgGtT][iI]?)?[bB]\s*/s\s*$|\$\{",
    "examples": ["2MiB/s", "500 kB/s"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_as_people_write_them_and_read_back() {
        for (text, bytes, shown) in [
            ("2MiB/s", 2 << 20, "2MiB/s"),
            (" 500 kB/s ", 500_000, "500kB/s"),
            ("16KiB /s", 16 << 10, "16KiB/s"),
            ("16384B/s", 16 << 10, "16KiB/s"),
        ] {
            let rate: ByteRate = text.parse().expect(text);
            assert_eq!((rate.bytes(), rate.to_string().as_str()), (bytes, shown), "{text}");
            assert_eq!(shown.parse(), Ok(rate));
        }
    }

    #[test]
    fn what_is_no_rate_or_too_slow_is_refused() {
        for text in ["", "2MiB", "2MiB/m", "2 Mbit/s", "16383B/s", "0B/s", "/s", "1.5MiB/s"] {
            let error = text.parse::<ByteRate>().expect_err(text);
            assert!(error.to_string().contains("at least 16KiB/s"), "{error}");
        }
    }
}
