//! What a rollup reads: the tables that have its triggers, and their columns. Owns what is told when one of them is gone.

use std::collections::BTreeMap;
use std::fmt;

use highwater_db::session::{Dialect, Fault, Session, Value};

use super::diff::{bare, columns, named};
use super::event;
use crate::declare::Declaration;
use crate::precheck::affinity;
use crate::sql::Shape;
use crate::state;

/// A table that a rollup reads, or a column of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Read {
    /// The table, as the configuration names it.
    pub table: String,
    /// The column; `None` where it is the table itself.
    pub column: Option<String>,
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "{}.{column}", self.table),
            None => write!(f, "the table {}", self.table),
        }
    }
}

/// All columns that a rollup reads, each with its type, or nothing where it is gone; a table that is gone has none of its own.
/// SQLite's type is what it makes of the declared one. Reads catalogues alone.
pub(crate) async fn types(
    session: &mut dyn Session,
    declaration: &Declaration,
) -> Result<BTreeMap<Read, Option<String>>, Fault> {
    let dialect = session.dialect();
    let shape = Shape::of(dialect, declaration);
    let mut types = BTreeMap::new();
    for tracked in &shape.tracked {
        let found = match dialect {
            Dialect::Postgres => columns(session, &tracked.table.quoted()).await?,
            Dialect::Sqlite => declared(session, &tracked.table.quoted()).await?,
        };
        let table = tracked.table.to_string();
        if found.is_empty() {
            types.insert(Read { table, column: None }, None);
            continue;
        }
        for column in tracked.matches.iter().chain(&tracked.values).chain(&tracked.aggregated) {
            let read = Read { table: table.clone(), column: Some(column.to_string()) };
            types.insert(read, named(dialect, &found, column.as_str()).cloned());
        }
    }
    Ok(types)
}

async fn declared(session: &mut dyn Session, table: &str) -> Result<BTreeMap<String, String>, Fault> {
    let sql = "SELECT name, type FROM pragma_table_xinfo(?1) WHERE hidden <> 1";
    let rows = session.query(sql, &[Value::from(bare(table))]).await?;
    let text = |value: &Value| value.text().unwrap_or_default().to_owned();
    Ok(rows.iter().map(|row| (text(&row[0]), affinity(&text(&row[1])).to_owned())).collect())
}

/// Whether the table of the state row is there, and says what is installed. Reads catalogues alone.
pub(crate) async fn has_declared(session: &mut dyn Session, declaration: &Declaration) -> Result<bool, Fault> {
    let found = columns(session, &state::name(declaration).quoted()).await?;
    Ok(super::diff::STATE.iter().all(|name| found.contains_key(*name)))
}

/// What a rollup reads and is not there.
pub(super) async fn gone(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<Read>, Fault> {
    let types = types(session, declaration).await?;
    Ok(types.into_iter().filter(|(_, found)| found.is_none()).map(|(read, _)| read).collect())
}

/// What the source has outgrown: columns of the target whose type is not that of what is computed for them now, because a column
/// that is aggregated has another one since, and partitions without an index. A sentence each, with the statement that mends it. It
/// ends no pass: a person may have wanted it so.
///
/// # Errors
/// [`Fault`].
pub async fn outgrown(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<String>, Fault> {
    // SQLite's columns of the target have no type that anything is turned into.
    if session.dialect() == Dialect::Sqlite || !gone(session, declaration).await?.is_empty() {
        return Ok(Vec::new());
    }
    let shape = Shape::of(Dialect::Postgres, declaration);
    let mut sentences = event::unled(session, &shape).await?;
    let (target, names) = (declaration.target.quoted(), shape.target_columns());
    let is = "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
              WHERE attrelid = to_regclass($1::text) AND attnum > 0 AND NOT attisdropped";
    let is = session.query(is, &[Value::from(target.as_str())]).await?;
    let yields: Vec<String> = names.iter().map(|name| format!("format_type(pg_typeof(f.{name}), NULL)")).collect();
    let yields = format!(
        "SELECT {} FROM (VALUES (1)) AS one LEFT JOIN (\n{}\n) AS f ON true",
        yields.join(", "),
        shape.fresh("", "false")
    );
    let yields = session.first(&yields, &[]).await?.unwrap_or_default();
    for (name, yields) in names.iter().zip(&yields) {
        let bare = name.trim_matches('"');
        let is = is.iter().find(|row| row[0].text() == Some(bare)).map(|row| row[1].to_string());
        if let Some(is) = is.filter(|is| *is != yields.to_string()) {
            sentences.push(format!(
                "{}.{bare} is of type {is}, and what is computed for it is {yields} now: ALTER TABLE {target} ALTER {name} TYPE {yields};",
                declaration.target
            ));
        }
    }
    Ok(sentences)
}
