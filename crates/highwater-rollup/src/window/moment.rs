//! A time that somebody's own SQL yields, whatever type it has there. Owns how it becomes one of ours.

use highwater_db::session::{Dialect, Value};
use jiff::Timestamp;

use super::ReadError;

/// An expression that is a time: in PostgreSQL one of its types of times, one without a zone being UTC's; in SQLite text that it
/// reads as a time, or seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    micros: String,
    text: String,
}

impl Moment {
    /// The time that an expression is.
    #[must_use]
    pub fn of(dialect: Dialect, expression: &str) -> Self {
        let micros = match dialect {
            // The epoch of a time without a zone is that of the same time in UTC, whatever the session's zone is.
            Dialect::Postgres => format!(
                "CASE WHEN isfinite({expression}) THEN floor(extract(epoch FROM {expression}) * 1000000)::bigint \
                 WHEN {expression} < 'epoch' THEN {} WHEN {expression} > 'epoch' THEN {} END",
                // Written as a sum, since the digits alone are one too many for its negation.
                format_args!("-{}-1", i64::MAX),
                i64::MAX
            ),
            Dialect::Sqlite => format!(
                "CAST(round(CASE WHEN typeof({expression}) = 'text' THEN unixepoch({expression}, 'subsec') ELSE {expression} END \
                 * 1000000) AS INTEGER)"
            ),
        };
        Self { micros, text: format!("CAST({expression} AS text)") }
    }

    /// Its microseconds since the epoch, as an expression.
    pub(crate) fn micros(&self) -> &str {
        &self.micros
    }

    /// Two columns that [`Moment::read`] reads.
    #[must_use]
    pub fn columns(&self) -> String {
        format!("{}, {}", self.micros, self.text)
    }

    /// The time in a row's two columns; `None` where it is NULL. `what` is what an error calls it.
    ///
    /// # Errors
    /// [`ReadError::NoTime`].
    pub fn read(what: &str, columns: &[Value]) -> Result<Option<Timestamp>, ReadError> {
        if columns[1].is_null() {
            return Ok(None);
        }
        let at = match columns[0].int() {
            // Before all times and after them, as PostgreSQL has it: a pipeline that did nothing yet may say so.
            Some(i64::MIN) => Some(Timestamp::MIN),
            Some(i64::MAX) => Some(Timestamp::MAX),
            micros => micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
        };
        at.map(Some).ok_or_else(|| ReadError::NoTime { what: what.to_owned(), found: columns[1].to_string() })
    }
}
