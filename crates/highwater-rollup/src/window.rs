//! A window of somebody's own: SQL that recomputes everything between two times, and where its pipeline keeps its watermark.
//! Owns what such a window may say, and reads the times that its SQL yields; when it is run is a job's matter.

mod moment;
pub mod proof;

use std::fmt;

use highwater_db::session::{Dialect, Fault, Session, Value};
use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use moment::Moment;

use crate::declare::{Ident, TableName};

/// Longest statement, in bytes.
pub const SQL_BYTES_MAX: usize = 64 * 1024;
/// What a query calls the table of a watermark.
const ROW: &str = "state";
/// Most columns that find the row of a watermark.
pub const KEY_COLUMNS_MAX: usize = 8;

/// A rollup whose pipeline is there already, and is driven as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Window {
    /// One statement that recomputes all buckets between two times, `$1` and `$2` (in SQLite `?1` and `?2`), and yields how many
    /// rows it touched as its first column. Run twice for any two times, it leaves what it left the first time.
    #[serde(rename = "window")]
    pub window_sql: String,
    /// One query that yields the time of the earliest event and that of the latest, as its first two columns.
    #[serde(rename = "bounds")]
    pub bounds_sql: String,
    /// Where its watermark is kept.
    pub watermark: WatermarkAt,
    /// The table that it writes, for a proof; a pass needs none.
    #[serde(default)]
    pub target: Option<TableName>,
    /// Columns of that table that a proof leaves out, such as when a row was written.
    #[serde(default)]
    pub target_ignores: Vec<Ident>,
}

/// One column of one row of a table of the user's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WatermarkAt {
    /// The table.
    pub table: TableName,
    /// The column that holds the time.
    pub column: Ident,
    /// The columns that find the row, each with its value; none where the table has one row.
    #[serde(default)]
    pub key: IndexMap<Ident, KeyValue>,
}

/// What a column of a key equals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeyValue {
    /// True or false.
    Truth(bool),
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
}

/// What is wrong with a window, with the field it is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowRefused {
    /// There is no statement.
    #[error("{field}: it is empty, expected one SQL statement")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// It is too long.
    #[error(
        "{field}: it has {found} bytes, expected at most {SQL_BYTES_MAX}; a function in the database may be of any length"
    )]
    TooLong {
        /// The field.
        field: &'static str,
        /// How long it is, in bytes.
        found: usize,
    },
    /// The statement does not take the two times.
    #[error("window: {place} is not in it, expected a statement that recomputes what is between {first} and {second}")]
    NoPlace {
        /// The place that is missing.
        place: &'static str,
        /// The place of the beginning.
        first: &'static str,
        /// The place of the end.
        second: &'static str,
    },
    /// More columns than find a row.
    #[error("watermark.key: there are {found} columns, expected at most {KEY_COLUMNS_MAX}")]
    TooMany {
        /// How many there are.
        found: usize,
    },
}

/// The two places of a window, as each database writes them.
#[must_use]
pub fn places(dialect: Dialect) -> [&'static str; 2] {
    match dialect {
        Dialect::Postgres => ["$1", "$2"],
        Dialect::Sqlite => ["?1", "?2"],
    }
}

/// The times of the earliest and the latest event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The earliest.
    pub first: Timestamp,
    /// The latest.
    pub last: Timestamp,
}

/// What a pipeline's state table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// There is no such table.
    NoTable,
    /// No row has the key.
    NoRow,
    /// The row has no time.
    Null,
    /// The watermark.
    At(Timestamp),
}

/// Why a time cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database refused, or is gone.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// What should be a time is none.
    #[error("{what} is `{found}`, expected a time")]
    NoTime {
        /// What was read.
        what: String,
        /// What it is, as text.
        found: String,
    },
    /// A query that should yield a row yields none.
    #[error("{what} yields no row, expected one")]
    NoRow {
        /// What was run.
        what: String,
    },
    /// A key that finds more than one row finds no watermark.
    #[error(
        "{table} has more than one row for the key of the watermark: name the columns that find one in `watermark.key`"
    )]
    ManyRows {
        /// The table.
        table: String,
    },
}

impl Window {
    /// Refuses what can be no window.
    ///
    /// # Errors
    /// The first mistake, with the field it is in.
    pub fn check(&self, dialect: Dialect) -> Result<(), WindowRefused> {
        for (field, sql) in [("window", &self.window_sql), ("bounds", &self.bounds_sql)] {
            if bare(sql).is_empty() {
                return Err(WindowRefused::Empty { field });
            }
            if sql.len() > SQL_BYTES_MAX {
                return Err(WindowRefused::TooLong { field, found: sql.len() });
            }
        }
        let [first, second] = places(dialect);
        for place in [first, second] {
            if !self.window_sql.contains(place) {
                return Err(WindowRefused::NoPlace { place, first, second });
            }
        }
        match self.watermark.key.len() {
            found if found > KEY_COLUMNS_MAX => Err(WindowRefused::TooMany { found }),
            _ => Ok(()),
        }
    }

    /// The earliest and the latest event, as the source is now; `None` where it is empty.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn extent(&self, session: &mut dyn Session) -> Result<Option<Extent>, ReadError> {
        let (first, last) = (Moment::of(session.dialect(), "b.first"), Moment::of(session.dialect(), "b.last"));
        let sql = format!("{}\nSELECT {}, {} FROM b", self.bounds(), first.columns(), last.columns());
        let row = session.first(&sql, &[]).await?.ok_or_else(|| ReadError::NoRow { what: "`bounds`".to_owned() })?;
        let (first, last) = (
            Moment::read("the first column of `bounds`", &row[..2])?,
            Moment::read("the second column of `bounds`", &row[2..])?,
        );
        Ok(first.zip(last).map(|(first, last)| Extent { first, last }))
    }

    /// `WITH b (first, last) AS (…)`, for a statement that reads both.
    pub(crate) fn bounds(&self) -> String {
        // A comment at the end of it ends with the line.
        format!("WITH b (first, last) AS (\n{}\n)", bare(&self.bounds_sql))
    }
}

impl WatermarkAt {
    /// What the state table says, of the transaction that is open or of now.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read(&self, session: &mut dyn Session) -> Result<Mark, ReadError> {
        if !is_there(session, &self.table).await? {
            return Ok(Mark::NoTable);
        }
        let moment = Moment::of(session.dialect(), &self.expression());
        let sql = format!("SELECT {} FROM {} LIMIT 2", moment.columns(), self.row());
        let rows = session.query(&sql, &[]).await?;
        if rows.len() > 1 {
            return Err(ReadError::ManyRows { table: self.table.to_string() });
        }
        let Some(row) = rows.first() else { return Ok(Mark::NoRow) };
        let at = Moment::read(&format!("{}.{}", self.table, self.column), row)?;
        Ok(at.map_or(Mark::Null, Mark::At))
    }

    /// Moves the watermark to `to`, in the transaction that is open; never back, and never over a NULL.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn stamp(&self, session: &mut dyn Session, to: Timestamp) -> Result<(), Fault> {
        let (table, column, condition) = (self.table.quoted(), self.column.quoted(), self.condition(""));
        if session.dialect() == Dialect::Postgres {
            let place = "$1::text::timestamptz";
            let sql = format!("UPDATE {table} SET {column} = {place} WHERE ({condition}) AND {column} < {place}");
            return session.execute(&sql, &[Value::from(format!("{to:.6}"))]).await.map(drop);
        }
        // Never to a later time than it is: a part of a second that cannot be kept is cut off.
        let (kept, values) = if self.holds_numbers(session).await? {
            ("?2".to_owned(), vec![Value::Int(to.as_second())])
        } else {
            let at = to.to_zoned(TimeZone::UTC);
            let texts = ["%Y-%m-%dT%H:%M:%S.%3fZ", "%Y-%m-%d %H:%M:%S.%3f"]
                .map(|form| Value::from(at.strftime(form).to_string()));
            // As the row has it: with a `T`, or as SQLite's own functions write it.
            (format!("CASE WHEN substr({column}, 11, 1) = ' ' THEN ?3 ELSE ?2 END"), texts.to_vec())
        };
        let micros = Moment::of(Dialect::Sqlite, &column);
        let sql = format!("UPDATE {table} SET {column} = {kept} WHERE ({condition}) AND {} < ?1", micros.micros());
        let values: Vec<Value> = [Value::Int(to.as_microsecond())].into_iter().chain(values).collect();
        session.execute(&sql, &values).await.map(drop)
    }

    /// The watermark, in a query of [`WatermarkAt::row`].
    pub(crate) fn expression(&self) -> String {
        format!("{ROW}.{}", self.column.quoted())
    }

    /// The row, as it stands after FROM.
    pub(crate) fn row(&self) -> String {
        // SQLite takes a name in quotes that is no column for text, unless it is a column of something.
        format!("{} AS {ROW} WHERE {}", self.table.quoted(), self.condition(&format!("{ROW}.")))
    }

    /// The condition that finds the row, its columns with a prefix; true of every row where there is no key.
    pub(crate) fn condition(&self, prefix: &str) -> String {
        let same = self.key.iter().map(|(column, value)| format!("{prefix}{} = {value}", column.quoted()));
        let same = same.collect::<Vec<_>>();
        if same.is_empty() { "1 = 1".to_owned() } else { same.join(" AND ") }
    }
}

/// As SQL writes it.
impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truth(truth) => write!(f, "{}", if *truth { "true" } else { "false" }),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
        }
    }
}

/// Whether there is a table, or a view, of this name.
pub(crate) async fn is_there(session: &mut dyn Session, table: &TableName) -> Result<bool, Fault> {
    let (sql, name) = match session.dialect() {
        Dialect::Postgres => ("SELECT (to_regclass($1::text) IS NOT NULL)::int", table.quoted()),
        Dialect::Sqlite => {
            ("SELECT count(*) FROM pragma_table_list WHERE lower(name) = lower(?1)", table.table().to_string())
        }
    };
    Ok(session.first(sql, &[Value::from(name)]).await?.and_then(|row| row[0].int()).unwrap_or(0) > 0)
}

/// Without what ends a statement.
fn bare(sql: &str) -> &str {
    sql.trim_end_matches(|end: char| end == ';' || end.is_whitespace()).trim_start()
}

#[cfg(test)]
mod tests;
