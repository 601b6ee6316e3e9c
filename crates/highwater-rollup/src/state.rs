//! The state row of a rollup, in the database it is about: its watermark and whether it was seeded. Owns that a watermark is
//! stamped only by the transaction that makes it true.

use highwater_db::session::{Dialect, Fault, FaultKind, Session, Value};
use jiff::Timestamp;

use crate::ddl;
use crate::declare::{Declaration, Ident, TableName};
use crate::window::is_there;

/// The column that rollups have not which were installed before a seed could be told to be partial.
const SEEDED_FROM: &str = "seeded_from";

/// A time after all that a watermark can be.
const LATEST: &str = "9999-12-30T00:00:00Z";

/// How far a rollup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Everything that was committed by transactions that began before it is in the target.
    pub watermark: Option<Timestamp>,
    /// When every bucket had been computed once.
    pub seeded_at: Option<Timestamp>,
    /// The beginning of the first bucket that was computed, where a person let the seed begin later than the first event: no bucket
    /// before it ever was. `None` where all were.
    pub seeded_from: Option<Timestamp>,
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
             seeded_at {time},\n    installed_at {time} NOT NULL DEFAULT {now},\n    frozen_before {time},\n    {SEEDED_FROM} {time},\n    declared {text}{leaves}\n)"
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
    let from = |seeded_from: &str| {
        format!("SELECT {columns}, declared, {seeded_from} FROM {} AS state", name(declaration).quoted())
    };
    let row = match dialect {
        Dialect::Postgres => session.first(&from(&text(&seeded_from(dialect))), &[]).await?,
        Dialect::Sqlite => match session.first(&from(&seeded_from(dialect)), &[]).await {
            Err(fault) if lacks_seeded_from(&fault) => session.first(&from("NULL"), &[]).await?,
            row => row?,
        },
    };
    let Some(row) = row else { return Ok(None) };
    let time = |value: &Value| value.text().and_then(|text| text.parse().ok());
    Ok(Some(State {
        watermark: time(&row[0]),
        seeded_at: time(&row[1]),
        seeded_from: time(&row[5]),
        installed_at: time(&row[2]),
        frozen_before: time(&row[3]),
        declared: row[4].text().and_then(|text| serde_json::from_str(text).ok()),
    }))
}

/// Where the seed began, in a query of the state table as `state`. In PostgreSQL the query is good also where the column is not there yet.
pub(crate) fn seeded_from(dialect: Dialect) -> String {
    match dialect {
        Dialect::Postgres => format!("(to_jsonb(state) ->> '{SEEDED_FROM}')::timestamptz"),
        Dialect::Sqlite => format!("state.{SEEDED_FROM}"),
    }
}

fn lacks_seeded_from(fault: &Fault) -> bool {
    fault.kind == FaultKind::Undefined && fault.message.contains(SEEDED_FROM)
}

/// What drift says of a rollup that was installed before a seed could be told to be partial; [`bring_up`] mends it.
pub(crate) fn is_older(sentence: &str) -> bool {
    sentence.ends_with(&format!("has no column {SEEDED_FROM}"))
}

/// The statement that gives a state table of an older version the column that it lacks.
#[must_use]
pub fn brings_up(dialect: Dialect, declaration: &Declaration) -> String {
    let time = match dialect {
        Dialect::Postgres => "timestamptz",
        Dialect::Sqlite => "TEXT",
    };
    format!("ALTER TABLE {} ADD COLUMN {SEEDED_FROM} {time};", name(declaration).quoted())
}

/// Gives a state table of an older version the column that it lacks, and says whether it did; does nothing where the table is not
/// there. No transaction may be open.
///
/// # Errors
/// [`Fault`], of kind [`FaultKind::Denied`] where the role may not alter the table.
pub async fn bring_up(session: &mut dyn Session, declaration: &Declaration) -> Result<bool, Fault> {
    let state = name(declaration);
    if !is_there(session, &state).await? || has_seeded_from(session, &state).await? {
        return Ok(false);
    }
    session.begin().await?;
    let done = async {
        ddl::wait_briefly(session).await?;
        session.batch(&brings_up(session.dialect(), declaration)).await?;
        session.commit().await
    };
    let done = done.await;
    if done.is_err() {
        // The connection may be gone; then so is the transaction.
        session.rollback().await.ok();
    }
    done.map(|()| true)
}

async fn has_seeded_from(session: &mut dyn Session, state: &TableName) -> Result<bool, Fault> {
    let (sql, table) = match session.dialect() {
        Dialect::Postgres => (
            "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass($1::text) AND attname = $2::text AND NOT attisdropped",
            state.quoted(),
        ),
        Dialect::Sqlite => {
            ("SELECT count(*) FROM pragma_table_info(?1) WHERE lower(name) = ?2", state.table().to_string())
        }
    };
    let row = session.first(sql, &[Value::from(table), Value::from(SEEDED_FROM)]).await?;
    Ok(row.and_then(|row| row[0].int()) != Some(0))
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

/// Remembers where a seed began, in the transaction that is open and before [`seeded`] in it: `None` where nothing is before it. A
/// seed that begins later than another, or than a whole one, takes nothing away from that: both go on to the newest event.
///
/// # Errors
/// [`Fault`].
pub async fn seed_began(
    session: &mut dyn Session,
    declaration: &Declaration,
    from: Option<Timestamp>,
) -> Result<(), Fault> {
    let (table, place) = (name(declaration).quoted(), place(session.dialect()));
    let Some(from) = from else {
        let sql = format!("UPDATE {table} SET {SEEDED_FROM} = NULL WHERE {SEEDED_FROM} IS NOT NULL");
        return session.execute(&sql, &[]).await.map(drop);
    };
    let sql = format!("UPDATE {table} SET {SEEDED_FROM} = {place} WHERE seeded_at IS NULL OR {SEEDED_FROM} > {place}");
    session.execute(&sql, &[written(from)]).await.map(drop)
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
