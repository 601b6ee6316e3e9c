//! [`Whole`]: a whole number between two bounds. Owns the error that names them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A whole number from `MIN` to `MAX`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// The number, if it is within the bounds.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number < MIN || number > MAX { None } else { Some(Self(number)) }
    }

    /// The number as it stands in the code; one outside the bounds does not compile where the result is a constant.
    pub(crate) const fn of(number: u64) -> Self {
        Self::new(number).expect("invariant: a default is within its bounds")
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number as a count of things in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Whole<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

struct WholeVisitor<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Visitor<'_> for WholeVisitor<MIN, MAX> {
    type Value = Whole<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match MAX {
            COUNT_MAX => write!(f, "a whole number of at least {MIN}"),
            _ => write!(f, "a whole number from {MIN} to {MAX}"),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Whole::new(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        let whole = u64::try_from(number).ok().and_then(Whole::new);
        whole.ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Whole<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        match MAX {
            COUNT_MAX => json_schema!({"type": "integer", "title": "whole number", "minimum": MIN}),
            _ => {
                json_schema!({"type": "integer", "title": "whole number", "minimum": MIN, "maximum": MAX})
            }
        }
    }
}

/// The bound of a count that has none of its own: what the ledger holds in one integer.
pub const COUNT_MAX: u64 = i64::MAX.unsigned_abs();

/// How many things happen at once, 1 to 1024.
pub type Concurrency = Whole<1, 1024>;

/// How many of something, at least one.
pub type Count = Whole<1, COUNT_MAX>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_keeps_its_bounds() {
        assert_eq!(Concurrency::new(0), None);
        assert_eq!(Concurrency::new(1_025), None);
        assert_eq!(Concurrency::new(1_024).map(Concurrency::get), Some(1_024));
        let error = serde_json::from_str::<Concurrency>("-1").expect_err("below the bound");
        assert!(error.to_string().contains("expected a whole number from 1 to 1024"), "{error}");
    }
}
