//! The state row of a rollup, in the database it is about: its watermark and whether it was seeded. Owns that a watermark is
//! stamped only by the transaction that makes it true.

use highwater_db::session::{Dialect, Fault, Session, Value};
use jiff::Timestamp;

use crate::declare::{Declaration, Ident, TableName};

/// A time after all that a watermark can be.
const LATEST: &str = "9999-12-30T00:00:00Z";

/// How far a rollup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Everything that was committed by transactions that began before it is in the target.
    pub watermark: Option<Timestamp>,
    /// When every bucket had been computed once.
    pub seeded_at: Option<Timestamp>,
    /// When this state row was made: slices that were computed before are of another rollup.
    pub installed_at: Option<Timestamp>,
    /// Where what is frozen ends: the beginning of the first bucket that is not.
    pub frozen_before: Option<Timestamp>,
    /// The declaration that it was installed from; `None` where the row was put back by hand.
    pub declared: Option<Declaration>,
}

pub(crate) fn name(declaration: &Declaration) -> TableName {
    let name = format!("{}_state", declaration.target.table());
    declaration.target.beside(Ident::new(&name).expect("invariant: the declaration was checked"))
}

/// The table of the one row, and the row: nothing is known yet.
pub(crate) fn install(dialect: Dialect, declaration: &Declaration) -> [String; 2] {
    let (number, time, now) = match dialect {
        Dialect::Postgres => ("smallint", "timestamptz", "clock_timestamp()"),
        Dialect::Sqlite => ("INTEGER", "TEXT", "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"),
    };
    // What is told of partitions.
    let (text, leaves) = if dialect == Dialect::Postgres { ("text", ",\n    leaves text") } else { ("TEXT", "") };
    let name = name(declaration).quoted();
    [
        format!(
            "CREATE TABLE {name} (\n    one {number} PRIMARY KEY DEFAULT 1 CHECK (one = 1),\n    watermark {time},\n    \
             seeded_at {time},\n    installed_at {time} NOT NULL DEFAULT {now},\n    frozen_before {time},\n    declared {text}{leaves}\n)"
        ),
        format!("INSERT INTO {name} (one, declared) VALUES (1, '{}')", json(declaration)),
    ]
}

/// A declaration as it is kept: names have no quotes.
fn json(declaration: &Declaration) -> String {
    serde_json::to_string(declaration).expect("invariant: a declaration has nothing but names")
}

/// The statement that writes down what is installed.
pub(crate) fn declare(declaration: &Declaration) -> String {
    format!("UPDATE {} SET declared = '{}'", name(declaration).quoted(), json(declaration))
}

/// The state of a rollup; `None` where the row is missing.
///
/// # Errors
/// [`Fault`], [`highwater_db::session::FaultKind::Undefined`] where it was never installed.
pub async fn read(session: &mut dyn Session, declaration: &Declaration) -> Result<Option<State>, Fault> {
    let dialect = session.dialect();
    let text = |column: &str| match dialect {
        // A hand may have written `infinity`, which has no digits: the latest of all times, and not none.
        Dialect::Postgres => {
            let latest = format!("timestamptz '{LATEST}'");
            format!(
                "to_char(CASE WHEN {column} > {latest} THEN {latest} ELSE {column} END, \
                 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
            )
        }
        Dialect::Sqlite => column.to_owned(),
    };
    let columns = ["watermark", "seeded_at", "installed_at", "frozen_before"].map(text).join(", ");
    let sql = format!("SELECT {columns}, declared FROM {}", name(declaration).quoted());
    let Some(row) = session.first(&sql, &[]).await? else { return Ok(None) };
    let time = |value: &Value| value.text().and_then(|text| text.parse().ok());
    Ok(Some(State {
        watermark: time(&row[0]),
        seeded_at: time(&row[1]),
        installed_at: time(&row[2]),
        frozen_before: time(&row[3]),
        declared: row[4].text().and_then(|text| serde_json::from_str(text).ok()),
    }))
}

/// Moves the watermark to `to`, in the transaction that is open; never back.
///
/// # Errors
/// [`Fault`].
pub async fn stamp(session: &mut dyn Session, declaration: &Declaration, to: Timestamp) -> Result<(), Fault> {
    set(session, declaration, "watermark", to).await
}

/// Moves a watermark that is later than `to` back to it, in the transaction that is open; says whether it was.
///
/// # Errors
/// [`Fault`].
pub async fn pull_back(session: &mut dyn Session, declaration: &Declaration, to: Timestamp) -> Result<bool, Fault> {
    let place = place(session.dialect());
    let sql = format!("UPDATE {} SET watermark = {place} WHERE watermark > {place}", name(declaration).quoted());
    Ok(session.execute(&sql, &[written(to)]).await? > 0)
}

/// One form, so that SQLite's comparison of text is one of times.
fn written(time: Timestamp) -> Value {
    Value::from(format!("{time:.6}"))
}

fn place(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "$1::text::timestamptz",
        Dialect::Sqlite => "?1",
    }
}

/// Remembers that every bucket was computed once, in the transaction that is open.
///
/// # Errors
/// [`Fault`].
pub async fn seeded(session: &mut dyn Session, declaration: &Declaration, at: Timestamp) -> Result<(), Fault> {
    set(session, declaration, "seeded_at", at).await
}

/// Moves the limit of what is frozen to `to`, in the transaction that is open; never back.
///
/// # Errors
/// [`Fault`].
pub(crate) async fn freeze(session: &mut dyn Session, declaration: &Declaration, to: Timestamp) -> Result<(), Fault> {
    set(session, declaration, "frozen_before", to).await
}

async fn set(session: &mut dyn Session, declaration: &Declaration, column: &str, to: Timestamp) -> Result<(), Fault> {
    let place = place(session.dialect());
    let sql = format!(
        "UPDATE {} SET {column} = {place} WHERE {column} IS NULL OR {column} < {place}",
        name(declaration).quoted()
    );
    session.execute(&sql, &[written(to)]).await?;
    Ok(())
}
