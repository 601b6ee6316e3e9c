//! What is there of what should be. Owns that nothing is installed over a leftover, and what counts as drift.

use std::collections::{BTreeMap, BTreeSet};

use highwater_db::session::{Dialect, Fault, Session, Value};

use super::object::{Column, Kind, Object, objects};
use super::{event, reads, silent};
use crate::declare::Declaration;
use crate::state;

/// The columns without which a state row cannot be read.
pub(super) const STATE: [&str; 5] = ["watermark", "seeded_at", "installed_at", "frozen_before", "declared"];
/// How the sentence begins that tells of another declaration.
pub(crate) const ANOTHER: &str = "it was installed with another";

/// Something of an installed rollup that is not as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// What, in a sentence.
    pub what: String,
    /// The way back.
    pub way: Way,
    /// Whether changes may have gone unnoticed meanwhile.
    pub loses: bool,
}

/// The way back from a drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `rollup install` puts it back.
    PutBack,
    /// `rollup change` builds what is declared now, or the declaration is put back.
    Change,
    /// A table that the rollup reads is another: that is put back, or the declaration follows it.
    Source,
    /// Nothing puts that back: it is taken away and installed anew.
    Anew,
}

/// A drift, and what of the rollup it is about.
pub(super) struct Found {
    pub(super) drift: Drift,
    pub(super) object: Option<Object>,
}

/// What of a rollup is missing in the database, or is not as it would be installed, a sentence each.
///
/// # Errors
/// [`Fault`].
pub async fn diff(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<String>, Fault> {
    Ok(drift(session, declaration).await?.into_iter().map(|drift| drift.what).collect())
}

/// The same, each with the way back.
///
/// # Errors
/// [`Fault`].
pub async fn drift(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<Drift>, Fault> {
    Ok(found(session, declaration).await?.into_iter().map(|found| found.drift).collect())
}

/// The same, each with what it is about.
pub(super) async fn found(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<Found>, Fault> {
    let about = |what: String, way: Way| Found { drift: Drift { what, way, loses: false }, object: None };
    let mut all: Vec<Found> = Vec::new();
    all.extend(changed(session, declaration).await?.into_iter().map(|what| about(what, Way::Change)));
    let gone = reads::gone(session, declaration).await?;
    all.extend(gone.iter().map(|read| about(format!("{read} is gone, and the rollup reads it"), Way::Source)));
    let parts = silent::parts(session, declaration).await?;
    for object in objects(session.dialect(), declaration) {
        let mut sentences = differing(session, declaration, &object).await?;
        let of_parts = parts.iter().filter(|part| matches!(object.kind, Kind::Trigger { .. }) && part.is(&object.name));
        sentences.extend(of_parts.map(ToString::to_string));
        let way = match &object.kind {
            Kind::Table(_) if object.make.is_empty() => Way::Anew,
            _ => Way::PutBack,
        };
        let loses = !matches!(object.kind, Kind::Index | Kind::EventIndex);
        let count = sentences.len();
        let mut object = Some(object);
        for (at, what) in sentences.into_iter().enumerate() {
            // One of several about the same is enough to put it back.
            let object = if at + 1 == count { object.take() } else { None };
            // One that an older version installed: no change was lost.
            let (way, loses) = if state::is_older(&what) { (Way::PutBack, false) } else { (way, loses) };
            all.push(Found { drift: Drift { what, way, loses }, object });
        }
    }
    Ok(all)
}

/// What is wrong with one object, a sentence each.
async fn differing(
    session: &mut dyn Session,
    declaration: &Declaration,
    object: &Object,
) -> Result<Vec<String>, Fault> {
    let shown = object.shown();
    let missing = || Ok(vec![format!("{shown} is missing")]);
    if matches!(object.kind, Kind::EventIndex) {
        return if event::is_there(session, declaration).await? { Ok(Vec::new()) } else { missing() };
    }
    let Some(found) = read(session, object).await? else { return missing() };
    let sentences = match &object.kind {
        Kind::Table(columns) => differing_columns(session, object, columns).await?,
        Kind::Index | Kind::EventIndex => Vec::new(),
        Kind::Function { statement, .. } => {
            let is_same = body(statement) == found.first().and_then(Value::text).unwrap_or_default();
            if is_same { Vec::new() } else { vec!["does something else than the declaration says".to_owned()] }
        }
        Kind::Trigger { statement, .. } => {
            differing_trigger(session.dialect(), statement, &found).map(str::to_owned).into_iter().collect()
        }
    };
    Ok(sentences.into_iter().map(|what| format!("{shown} {what}")).collect())
}

/// What was declared when it was installed and is not now, in a sentence: objects alone do not tell a grain.
async fn changed(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<String>, Fault> {
    if !reads::has_declared(session, declaration).await? {
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
pub(super) async fn read(session: &mut dyn Session, object: &Object) -> Result<Option<Vec<Value>>, Fault> {
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
        Kind::Function { .. } => {
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
pub(super) fn bare(name: &str) -> String {
    name.rsplit_once('.').map_or(name, |(_, bare)| bare).trim_matches('"').to_owned()
}

/// What a function does, between its dollars.
fn body(statement: &str) -> &str {
    statement.split("$$").nth(1).unwrap_or_default()
}

/// The columns of a table with their types, none where it is not there.
pub(super) async fn columns(session: &mut dyn Session, table: &str) -> Result<BTreeMap<String, String>, Fault> {
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
pub(super) fn named<'c>(dialect: Dialect, columns: &'c BTreeMap<String, String>, name: &str) -> Option<&'c String> {
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
            // That is told of the table itself.
            None => {}
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
