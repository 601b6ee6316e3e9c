//! [`Percent`]: a share from 0 % to 100 %. Owns its precision, a hundredth of a percent.

use std::fmt;
use std::str::FromStr;

use super::text::{TextValue, ValueError, serialize_as_text, text_value};

const HUNDREDTHS_MAX: u16 = 100 * 100;

/// A share such as `5%` or `0.25%`, kept exactly in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent {
    hundredths: u16,
}

impl Percent {
    /// A share of whole percent; more than 100 is 100.
    #[must_use]
    pub const fn whole(percent: u8) -> Self {
        let percent = if percent > 100 { 100 } else { percent };
        Self { hundredths: percent as u16 * 100 }
    }

    /// The share as a fraction from 0 to 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.hundredths) / f64::from(HUNDREDTHS_MAX)
    }
}

impl TextValue for Percent {
    const EXPECTED: &'static str = "a percentage from \"0%\" to \"100%\" with at most two decimals, such as \"5%\"";
}

impl FromStr for Percent {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let read = || {
            let number = text.trim().strip_suffix('%')?.trim_end();
            let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
            if !digits_only(whole) || !digits_only(decimals) || !(1..=2).contains(&decimals.len()) {
                return None;
            }
            let whole: u16 = whole.parse().ok()?;
            let decimals: u16 = format!("{decimals:0<2}").parse().ok()?;
            let hundredths = whole.checked_mul(100)?.checked_add(decimals)?;
            (hundredths <= HUNDREDTHS_MAX).then_some(Self { hundredths })
        };
        read().ok_or_else(|| Self::refuse(text))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.hundredths / 100, self.hundredths % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, decimals) if decimals % 10 == 0 => write!(f, "{whole}.{}%", decimals / 10),
            (whole, decimals) => write!(f, "{whole}.{decimals:02}%"),
        }
    }
}

serialize_as_text!(Percent);
text_value!(Percent, title: "percentage", schema: {
    "type": "string",
    "pattern": r"^\s*(100(\.0{1,2})?|\d{1,2}(\.\d{1,2})?)\s*%\s*$|\$\{",
    "examples": ["5%", "0.25%"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_read_back_as_they_display() {
        for text in ["0%", "5%", "0.25%", "12.5%", "1.05%", "100%"] {
            assert_eq!(text.parse::<Percent>().expect(text).to_string(), text);
        }
        assert_eq!("5 %".parse(), Ok(Percent::whole(5)));
        assert!((Percent::whole(30).fraction() - 0.3).abs() < f64::EPSILON);
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["", "5", "%", "-5%", "+5%", "100.01%", "101%", "0.125%", "5.%", "half"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}
