//! Figures as exact as the database has them. Owns that no digit is lost between a database and what is printed, and how two
//! figures are added, compared and divided.

use std::cmp::Ordering;
use std::fmt;

use bigdecimal::{BigDecimal, ToPrimitive, Zero};
use highwater_db::session::Value;

/// Digits of a quotient, which has no last one; more where its whole part has more.
const QUOTIENT_DIGITS: u64 = 16;

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub enum Number {
    /// A decimal, to its last digit.
    Exact(BigDecimal),
    /// No number, or an infinite one, as both databases may hold.
    Odd(f64),
}

impl Number {
    /// Nothing at all.
    #[must_use]
    pub fn zero() -> Self {
        Self::Exact(BigDecimal::zero())
    }

    /// What a database answered; `None` where it is neither a number nor the text of one.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Int(number) => Some(Self::Exact((*number).into())),
            // The shortest text that is this number and no other.
            Value::Real(number) => Self::parse(&number.to_string()),
            Value::Text(text) => Self::parse(text),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "NaN" => Some(Self::Odd(f64::NAN)),
            "Infinity" | "inf" => Some(Self::Odd(f64::INFINITY)),
            "-Infinity" | "-inf" => Some(Self::Odd(f64::NEG_INFINITY)),
            text => text.parse().ok().map(Self::Exact),
        }
    }

    /// As near as a drawing needs it.
    #[must_use]
    pub fn approximate(&self) -> f64 {
        match self {
            Self::Exact(number) => number.to_f64().unwrap_or(f64::NAN),
            Self::Odd(number) => *number,
        }
    }

    /// The sum.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Exact(left), Self::Exact(right)) => Self::Exact(left + right),
            _ => Self::Odd(self.approximate() + other.approximate()),
        }
    }

    /// The quotient; `None` where there is nothing to divide by.
    #[must_use]
    pub fn over(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (_, Self::Exact(by)) if by.is_zero() => None,
            (Self::Exact(number), Self::Exact(by)) => Some(Self::Exact(rounded(&(number / by), QUOTIENT_DIGITS))),
            _ => Some(Self::Odd(self.approximate() / other.approximate())),
        }
    }

    /// The order of two figures; what is no number comes last, as PostgreSQL has it.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Exact(left), Self::Exact(right)) => left.cmp(right),
            _ => {
                let rank = |number: &Self| (number.approximate().is_nan(), number.approximate());
                let ((left_odd, left), (right_odd, right)) = (rank(self), rank(other));
                left_odd.cmp(&right_odd).then(left.partial_cmp(&right).unwrap_or(Ordering::Equal))
            }
        }
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.compare(&Self::zero()) == Ordering::Less
    }

    /// With at most so many digits, but for those of its whole part.
    #[must_use]
    pub fn shortened(&self, digits: u64) -> Self {
        match self {
            Self::Exact(number) => Self::Exact(rounded(number, digits)),
            odd @ Self::Odd(_) => odd.clone(),
        }
    }

    /// `1,234,567.50`.
    #[must_use]
    pub fn grouped(&self) -> String {
        let text = self.to_string();
        let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
        let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
        if !whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return text;
        }
        let mut grouped = sign.to_owned();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        grouped + fraction
    }
}

fn rounded(number: &BigDecimal, digits: u64) -> BigDecimal {
    if number.is_zero() {
        return BigDecimal::zero();
    }
    let whole = u64::try_from(number.order_of_magnitude().saturating_add(1)).unwrap_or(0);
    let kept = if number.digits() > digits.max(whole) { number.with_prec(digits.max(whole)) } else { number.clone() };
    // Zeros at the end of a quotient are none of its digits.
    if kept.is_integer() { kept.with_scale(0) } else { kept.normalized() }
}

/// Every digit.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(number) => number.write_plain_string(f),
            Self::Odd(number) if number.is_nan() => f.write_str("NaN"),
            Self::Odd(number) if *number < 0.0 => f.write_str("-Infinity"),
            Self::Odd(_) => f.write_str("Infinity"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::read(&Value::from(text)).unwrap()
    }

    #[test]
    fn no_digit_of_a_decimal_is_lost() {
        for text in ["0", "-1", "10.50", "0.000000000000000000000000001", "123456789012345678901234567890123456789.125"]
        {
            assert_eq!(number(text).to_string(), text);
        }
        let huge = number("99999999999999999999999999999999999999.99");
        assert_eq!(huge.plus(&number("0.01")).to_string(), "100000000000000000000000000000000000000.00");
        assert_eq!(Number::read(&Value::Real(0.1)).unwrap().to_string(), "0.1");
        assert_eq!(Number::read(&Value::Real(1e300)).unwrap().to_string().len(), 301);
        assert_eq!(Number::read(&Value::Int(i64::MIN)).unwrap().to_string(), "-9223372036854775808");
    }

    #[test]
    fn a_quotient_has_as_many_digits_as_it_needs() {
        let over = |left: &str, right: &str| number(left).over(&number(right)).map(|found| found.to_string());
        assert_eq!(over("1", "4").as_deref(), Some("0.25"));
        assert_eq!(over("2", "3").as_deref(), Some("0.6666666666666667"));
        assert_eq!(over("1000", "10").as_deref(), Some("100"));
        assert_eq!(over("123456789012345678901234567890", "3").as_deref(), Some("41152263004115226300411522630"));
        assert_eq!(over("1", "0"), None);
        assert_eq!(over("0.00", "7").as_deref(), Some("0"));
        assert_eq!(number("12345.678").shortened(6).to_string(), "12345.7");
        assert_eq!(number("1234567.8").shortened(6).to_string(), "1234568");
    }

    #[test]
    fn digits_are_grouped_before_the_point_alone() {
        for (text, grouped) in
            [("0", "0"), ("-1234", "-1,234"), ("1234567.12345", "1,234,567.12345"), ("-0.5", "-0.5"), ("NaN", "NaN")]
        {
            assert_eq!(number(text).grouped(), grouped);
        }
    }

    #[test]
    fn what_is_no_number_stays_what_it_is_and_comes_last() {
        let odd = [number("-Infinity"), number("-1"), number("2"), number("Infinity"), number("NaN")];
        for (at, left) in odd.iter().enumerate() {
            for (other, right) in odd.iter().enumerate() {
                assert_eq!(left.compare(right), at.cmp(&other), "{left} {right}");
            }
        }
        assert_eq!(number("1").plus(&number("NaN")).to_string(), "NaN");
        assert_eq!(number("-Infinity").to_string(), "-Infinity");
        assert!(Number::read(&Value::from("2026-01-01")).is_none());
    }
}
