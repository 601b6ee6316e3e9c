//! Rows as what they mean: headers, datestamps, lists kept as JSON. Owns both directions.

use highwater_db::sqlite::rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use highwater_db::sqlite::rusqlite::{self, Row};
use jiff::Timestamp;

use crate::protocol::{Datestamp, Granularity, Header};

/// Strings as a JSON array.
pub(super) struct List(pub(super) Vec<String>);

impl FromSql for List {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// Strings, to be kept as a JSON array.
pub(super) struct ListOf<'a>(pub(super) &'a [String]);

impl ToSql for ListOf<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let json = serde_json::to_string(self.0).expect("invariant: strings have a JSON form");
        Ok(ToSqlOutput::from(json))
    }
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Deleted,
    Review,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Deleted => "deleted",
            Self::Review => "review",
        }
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.as_str()))
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        let all = [Self::Live, Self::Deleted, Self::Review];
        all.into_iter().find(|state| state.as_str() == word).ok_or(FromSqlError::InvalidType)
    }
}

/// A datestamp from its two columns, of which `column` is the first.
pub(super) fn datestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Datestamp> {
    let (second, by_day): (i64, bool) = (row.get(column)?, row.get(column + 1)?);
    let at = Timestamp::from_second(second).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, second))?;
    Ok(Datestamp::new(at, if by_day { Granularity::Day } else { Granularity::Second }))
}

/// A datestamp's two columns.
pub(super) fn columns(datestamp: Datestamp) -> (i64, bool) {
    (datestamp.at().as_second(), datestamp.granularity() == Granularity::Day)
}

/// A header from the columns `oai_id, datestamp, by_day, sets, state`, of which `column` is the first.
pub(super) fn header(row: &Row<'_>, column: usize) -> rusqlite::Result<Header> {
    Ok(Header {
        identifier: row.get(column)?,
        datestamp: datestamp(row, column + 1)?,
        sets: row.get::<_, List>(column + 3)?.0,
        deleted: row.get::<_, State>(column + 4)? == State::Deleted,
    })
}

/// Whether a row was read whose values are not what is written here.
pub(super) fn is_row_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        error,
        E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::InvalidColumnType(..) | E::Utf8Error(..)
    )
}
