//! How values of the engine stand in columns. Owns their encoding; a value that cannot be read is an error of its row (see
//! [`super::fault::is_row_damage`]).

use highwater_engine::name::{ItemKey, JobName, LockEpoch, PassId, ResourceName, WorklistId};
use highwater_engine::outcome::OutcomeKind;
use highwater_engine::report::ExitCode;
use jiff::Timestamp;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer as _;
use serde::de::value::StrDeserializer;

/// A time: microseconds since 1970-01-01T00:00:00Z. What is finer is cut off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Micros(pub(super) Timestamp);

impl ToSql for Micros {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_microsecond().into())
    }
}

impl FromSql for Micros {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Timestamp::from_microsecond(value.as_i64()?).map(Self).map_err(FromSqlError::other)
    }
}

/// A count, a position or a number of bytes: at most `i64::MAX`, which nothing that is counted reaches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub(super) u64);

impl ToSql for Count {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Count {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        number.try_into().map(Self).map_err(|_| FromSqlError::OutOfRange(number))
    }
}

/// The most rows that a statement may return.
pub(super) fn limit(rows_max: usize) -> Count {
    Count(u64::try_from(rows_max).unwrap_or(u64::MAX))
}

/// A number that identifies something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<T>(pub(super) T);

macro_rules! number {
    ($($name:ident),*) => {$(
        impl ToSql for Number<$name> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.0.0.into())
            }
        }

        impl FromSql for Number<$name> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_i64().map(|number| Self($name(number)))
            }
        }
    )*};
}

number!(PassId, WorklistId, LockEpoch);

/// A name or key, held to its rule when it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<T>(pub(super) T);

macro_rules! name {
    ($($name:ident),*) => {$(
        impl ToSql for Name<&$name> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.0.as_str().into())
            }
        }

        impl FromSql for Name<$name> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                $name::new(value.as_str()?).map(Self).map_err(FromSqlError::other)
            }
        }
    )*};
}

name!(JobName, ResourceName, ItemKey);

/// One of a few words, as serde spells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keyword<T>(pub(super) T);

impl<T: DeserializeOwned> FromSql for Keyword<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word: StrDeserializer<'_, serde::de::value::Error> = value.as_str()?.into_deserializer();
        T::deserialize(word).map(Self).map_err(FromSqlError::other)
    }
}

impl ToSql for Keyword<OutcomeKind> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(outcome_keyword(self.0).into())
    }
}

/// The word of an outcome's kind in the ledger, where the two retries differ.
pub(super) fn outcome_keyword(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Failed => "failed",
        OutcomeKind::Deferred => "deferred",
        terminal => terminal.word(),
    }
}

/// A value as JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> ToSql for Json<&T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(self.0);
        text.map(Into::into).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

/// An exit code as the number that the process ended with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exit(pub(super) ExitCode);

impl ToSql for Exit {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.number().into())
    }
}

impl FromSql for Exit {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        use ExitCode::{Checkpoint, Drained, Failed, Halted, Refused};
        let number = value.as_i64()?;
        let code =
            [Drained, Checkpoint, Failed, Refused, Halted].into_iter().find(|code| i64::from(code.number()) == number);
        code.map(Self).ok_or(FromSqlError::OutOfRange(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_and_exit_code_reads_as_it_was_written() {
        use OutcomeKind::{Deferred, Done, Failed, Gone, Present, Review, Skipped};
        for kind in [Done, Gone, Present, Skipped, Review, Failed, Deferred] {
            let word = outcome_keyword(kind);
            assert_eq!(Keyword::<OutcomeKind>::column_result(ValueRef::Text(word.as_bytes())).unwrap().0, kind);
        }
        for code in [ExitCode::Drained, ExitCode::Checkpoint, ExitCode::Failed, ExitCode::Refused, ExitCode::Halted] {
            assert_eq!(Exit::column_result(ValueRef::Integer(code.number().into())).unwrap().0, code);
        }
        assert!(Keyword::<OutcomeKind>::column_result(ValueRef::Text(b"retry")).is_err());
        assert!(Exit::column_result(ValueRef::Integer(5)).is_err());
    }

    #[test]
    fn a_time_keeps_its_microseconds_and_a_bad_one_is_refused() {
        let at: Timestamp = "2026-11-20T12:00:00.123456Z".parse().unwrap();
        assert_eq!(Micros::column_result(ValueRef::Integer(at.as_microsecond())).unwrap().0, at);
        assert!(Micros::column_result(ValueRef::Integer(i64::MAX)).is_err());
        assert!(Count::column_result(ValueRef::Integer(-1)).is_err());
    }
}
