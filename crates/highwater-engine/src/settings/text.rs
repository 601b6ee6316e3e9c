//! How a value that is written as text in the file reads and writes itself: one visitor, one macro.
//! Owns the serde and JSON Schema plumbing; each value owns its own grammar.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};

/// A text that is not the value a field takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}, expected {expected}")]
pub struct ValueError {
    /// What was given.
    pub found: String,
    /// What the field takes, with an example.
    pub expected: &'static str,
}

/// A value with a grammar of its own, read from text.
pub(crate) trait TextValue: FromStr<Err = ValueError> {
    /// What the field takes, with an example; ends the sentence "expected …".
    const EXPECTED: &'static str;

    /// Reads a bare integer, for the values that have one natural unit.
    fn from_integer(_integer: u64) -> Option<Self> {
        None
    }

    /// The error for a text outside the grammar.
    fn refuse(text: &str) -> ValueError {
        ValueError { found: text.to_owned(), expected: Self::EXPECTED }
    }
}

/// Reads a [`TextValue`] and words its errors by [`TextValue::EXPECTED`].
pub(crate) struct TextVisitor<T>(pub(crate) PhantomData<T>);

impl<T: TextValue> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<T, E> {
        T::from_integer(integer).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(integer), &self))
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<T, E> {
        let unsigned = u64::try_from(integer).ok().and_then(T::from_integer);
        unsigned.ok_or_else(|| E::invalid_value(Unexpected::Signed(integer), &self))
    }
}

/// Gives a [`TextValue`] its serde and JSON Schema impls. In a schema every pattern also takes `${NAME}`, which is
/// replaced before the value is read.
macro_rules! text_value {
    ($value:ident, title: $title:literal, schema: $schema:tt) => {
        impl<'de> serde::Deserialize<'de> for $value {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($crate::settings::text::TextVisitor(std::marker::PhantomData))
            }
        }

        impl schemars::JsonSchema for $value {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($value).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut schema = schemars::json_schema!($schema);
                schema.insert("title".to_owned(), $title.into());
                schema
            }
        }
    };
}

/// Serializes a value as it displays.
macro_rules! serialize_as_text {
    ($value:ident) => {
        impl serde::Serialize for $value {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

pub(crate) use {serialize_as_text, text_value};
