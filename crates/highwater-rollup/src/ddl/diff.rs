//! What is there of what should be. Owns that nothing is installed over a leftover, and what counts as drift.

use std::collections::{BTreeMap, BTreeSet};

use highwater_db::session::{Dialect, Fault, Session, Value};

use super::event;
use super::object::{Column, Kind, Object, objects};
use crate::declare::Declaration;
use crate::state;

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The database refused.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Something of it is there already.
    #[error("{} there already: uninstall the rollup first, or name another target", listed(found))]
    There {
        /// What, each with its kind and its name.
        found: Vec<String>,
    },
    /// The index on the event time was not made.
    #[error("the index {index} was not made: {}", fault.message)]
    Index {
        /// Its name.
        index: String,
        /// What the database said.
        fault: Fault,
    },
    /// Another session is at the index on the event time.
    #[error("another session makes the {index} now")]
    BeingMade {
        /// Its name.
        index: String,
    },
}

/// How the sentence begins that tells of another declaration.
pub(crate) const ANOTHER: &str = "it was installed with another";
/// Most objects that an error lists; the others are counted.
const LISTED_MAX: usize = 3;

fn listed(found: &[String]) -> String {
    let first = found.iter().take(LISTED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match found.len().saturating_sub(LISTED_MAX) {
        0 if found.len() == 1 => format!("{first} is"),
        0 => format!("{first} are"),
        more => format!("{first} and {more} more are"),
    }
}

/// Installs, unless something of it is there: the index on the event time first, then the rest in one transaction. No
/// transaction may be open.
///
/// # Errors
/// [`InstallError`]; then nothing was installed, but for the index.
pub async fn apply(session: &mut dyn Session, declaration: &Declaration) -> Result<(), InstallError> {
    apply_noting(session, declaration, &|_| {}).await
}

/// The same; `note` is told before something that may take long.
///
/// # Errors
/// As [`apply`].
pub async fn apply_noting(
    session: &mut dyn Session,
    declaration: &Declaration,
    note: &(dyn Fn(&str) + Sync),
) -> Result<(), InstallError> {
    refuse_leftovers(session, declaration).await?;
    let event = event::provide(session, declaration, note).await?;
    session.begin().await?;
    let done = within(session, declaration, event).await;
    match done {
        Ok(()) => Ok(session.commit().await?),
        Err(error) => {
            // The connection may be gone; then so is the transaction.
            session.rollback().await.ok();
            Err(error)
        }
    }
}

async fn within(session: &mut dyn Session, declaration: &Declaration, event: Vec<String>) -> Result<(), InstallError> {
    refuse_leftovers(session, declaration).await?;
    super::wait_briefly(session).await?;
    let statements = super::statements(session.dialect(), declaration, event);
    Ok(session.batch(&statements.join(";\n\n")).await?)
}

async fn refuse_leftovers(session: &mut dyn Session, declaration: &Declaration) -> Result<(), InstallError> {
    let found = leftovers(session, declaration).await?;
    if found.is_empty() { Ok(()) } else { Err(InstallError::There { found }) }
}

/// What of a rollup is in the database, each with its kind and its name, but for the index on the event time: that is in nobody's
/// way, and does nothing by itself.
///
/// # Errors
/// [`Fault`].
pub async fn leftovers(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for object in objects(session.dialect(), declaration) {
        if !matches!(object.kind, Kind::EventIndex) && read(session, &object).await?.is_some() {
            found.push(object.shown());
        }
    }
    Ok(found)
}

/// All of a rollup that is in the database, each with its kind and its name.
///
/// # Errors
/// [`Fault`].
pub async fn installed(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for object in objects(session.dialect(), declaration) {
        let is_there = match object.kind {
            Kind::EventIndex => event::is_ours(session, declaration).await?,
            _ => read(session, &object).await?.is_some(),
        };
        if is_there {
            found.push(object.shown());
        }
    }
    Ok(found)
}

/// What of a rollup is missing in the database, or is not as it would be installed, a sentence each.
///
/// # Errors
/// [`Fault`].
pub async fn diff(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<String>, Fault> {
    let mut sentences = changed(session, declaration).await?;
    for object in objects(session.dialect(), declaration) {
        let shown = object.shown();
        if matches!(object.kind, Kind::EventIndex) {
            if !event::is_there(session, declaration).await? {
                sentences.push(format!("{shown} is missing"));
            }
            continue;
        }
        let Some(found) = read(session, &object).await? else {
            sentences.push(format!("{shown} is missing"));
            continue;
        };
        match &object.kind {
            Kind::Table(columns) => {
                let differing = differing_columns(session, &object, columns).await?;
                sentences.extend(differing.into_iter().map(|what| format!("{shown} {what}")));
            }
            Kind::Index | Kind::EventIndex => {}
            Kind::Function(statement) => {
                if body(statement) != found.first().and_then(Value::text).unwrap_or_default() {
                    sentences.push(format!("{shown} does something else than the declaration says"));
                }
            }
            Kind::Trigger { statement, .. } => sentences
                .extend(differing_trigger(session.dialect(), statement, &found).map(|what| format!("{shown} {what}"))),
        }
    }
    Ok(sentences)
}

/// What was declared when it was installed and is not now, in a sentence: objects alone do not tell a grain.
async fn changed(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<String>, Fault> {
    let state = state::name(declaration);
    let columns = columns(session, &state.quoted()).await?;
    if !["watermark", "seeded_at", "installed_at", "frozen_before", "declared"]
        .iter()
        .all(|name| columns.contains_key(*name))
    {
        return Ok(Vec::new());
    }
    let declared = state::read(session, declaration).await?.and_then(|state| state.declared);
    Ok(declared
        .map(|declared| declared.differing(declaration))
        .filter(|fields| !fields.is_empty())
        .map(|fields| format!("{ANOTHER} `{}`", fields.join("`, `")))
        .into_iter()
        .collect())
}

/// What the catalogue says of an object; nothing where it is not there.
async fn read(session: &mut dyn Session, object: &Object) -> Result<Option<Vec<Value>>, Fault> {
    let name = Value::from(object.name.as_str());
    if session.dialect() == Dialect::Sqlite {
        let schema = object.name.split_once("\".\"").map_or("main", |(schema, _)| schema.trim_matches('"'));
        let bare = Value::from(bare(&object.name));
        let sql = format!("SELECT sql FROM \"{schema}\".sqlite_schema WHERE type = ?1 AND name = ?2 COLLATE NOCASE");
        return session.first(&sql, &[Value::from(object.word()), bare]).await;
    }
    match &object.kind {
        Kind::Table(_) | Kind::Index | Kind::EventIndex => {
            session.first("SELECT 1 WHERE to_regclass($1::text) IS NOT NULL", &[name]).await
        }
        Kind::Function(_) => {
            let name = Value::from(format!("{}()", object.name));
            session.first("SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure($1::text)", &[name]).await
        }
        Kind::Trigger { on, .. } => {
            let values = [Value::from(on.as_str()), Value::from(bare(&object.name))];
            session.first(include_str!("trigger.sql"), &values).await
        }
    }
}

/// The name itself, without its schema and quotes.
fn bare(name: &str) -> String {
    name.rsplit_once('.').map_or(name, |(_, bare)| bare).trim_matches('"').to_owned()
}

/// What a function does, between its dollars.
fn body(statement: &str) -> &str {
    statement.split("$$").nth(1).unwrap_or_default()
}

/// The columns of a table with their types, none where it is not there.
async fn columns(session: &mut dyn Session, table: &str) -> Result<BTreeMap<String, String>, Fault> {
    let rows = match session.dialect() {
        Dialect::Postgres => {
            let sql = "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
                       WHERE attrelid = to_regclass($1::text) AND attnum > 0 AND NOT attisdropped";
            session.query(sql, &[Value::from(table)]).await?
        }
        // Types say little there, and a copy has none.
        Dialect::Sqlite => {
            let sql = "SELECT name, '' FROM pragma_table_xinfo(?1) WHERE hidden <> 1";
            session.query(sql, &[Value::from(bare(table))]).await?
        }
    };
    let text = |value: &Value| value.text().unwrap_or_default().to_owned();
    Ok(rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect())
}

/// A column as the database finds it by a name: SQLite without its case.
fn named<'c>(dialect: Dialect, columns: &'c BTreeMap<String, String>, name: &str) -> Option<&'c String> {
    let same = |found: &str| match dialect {
        Dialect::Postgres => found == name,
        Dialect::Sqlite => found.eq_ignore_ascii_case(name),
    };
    columns.iter().find(|(found, _)| same(found)).map(|(_, of_type)| of_type)
}

async fn differing_columns(
    session: &mut dyn Session,
    object: &Object,
    expected: &[Column],
) -> Result<Vec<String>, Fault> {
    let found = columns(session, &object.name).await?;
    let mut sentences = Vec::new();
    let mut copied: Option<(String, BTreeMap<String, String>)> = None;
    for column in expected {
        let Some(has) = found.get(&column.name) else {
            sentences.push(format!("has no column {}", column.name));
            continue;
        };
        let Some((table, of)) = &column.copy_of else { continue };
        if copied.as_ref().is_none_or(|(known, _)| known != table) {
            copied = Some((table.clone(), columns(session, table).await?));
        }
        let theirs = copied.as_ref().and_then(|(_, columns)| named(session.dialect(), columns, of));
        let of = format!("{}.{of}", table.replace('"', ""));
        match theirs {
            None => sentences.push(format!("has a column {} for {of}, which is not there", column.name)),
            Some(theirs) if theirs != has => {
                sentences.push(format!("has a column {} of type {has}, and {of} is {theirs}", column.name));
            }
            Some(_) => {}
        }
    }
    for name in found.keys().filter(|name| expected.iter().all(|column| column.name != **name)) {
        sentences.push(format!("has a column {name} that the declaration does not say"));
    }
    Ok(sentences)
}

fn differing_trigger(dialect: Dialect, statement: &str, found: &[Value]) -> Option<&'static str> {
    let other = "does something else than the declaration says";
    let text = |at: usize| found.get(at).and_then(Value::text).unwrap_or_default();
    if dialect == Dialect::Sqlite {
        return (text(0) != statement).then_some(other);
    }
    if !matches!(text(0), "O" | "A") {
        return Some("is disabled: changes are not noticed");
    }
    let same = noticed(statement) == noticed(text(1)) && act(statement) == act(text(1)) && statement.contains(text(2));
    (!same).then_some(other)
}

/// When a trigger fires, as its statement says it.
fn act(statement: &str) -> Option<&str> {
    let mut words = statement.split_whitespace().skip_while(|word| *word != "AFTER" && *word != "BEFORE");
    words.next().filter(|word| *word == "AFTER").and(words.next())
}

/// The columns that a trigger's condition compares. The server writes a condition in its own way.
fn noticed(statement: &str) -> BTreeSet<String> {
    let text = statement.to_ascii_lowercase().replace('"', "");
    let condition = text.split_once(" when ").map_or("", |(_, condition)| condition);
    let name =
        |rest: &str| rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
    condition.split("old.").skip(1).map(name).collect()
}
