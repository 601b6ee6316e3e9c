//! The look before: whether the database is one that a declared rollup can be installed in and kept in step. Owns what is
//! refused before anything is made, each with the field of the configuration that says it; reads only, and changes nothing.
//!
//! What a declaration says by itself is checked where it is read, and `config check` opens no database: all here is about the
//! tables that are there. What a server can judge, such as whether a type can be summed, the server is asked.

mod columns;
mod near;
mod place;
mod sample;
mod table;
mod target;
mod unseen;

use highwater_db::session::{Dialect, Fault, FaultKind, Session};
use highwater_engine::diagnosis::Diagnosis;

use crate::ddl;
use crate::declare::{Declaration, TableName};
use crate::sql::Shape;
use table::Table;
pub(crate) use table::affinity;
pub use target::is_of_others;

/// Why the database is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// The rollup is to be installed: the role must be able to, and its names must be free.
    Install,
    /// It is installed, and its buckets are to be computed for the first time.
    Seed,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// What keeps the rollup from being installed or from being right, in the order of the configuration; each with its field,
    /// counted from the job's table.
    pub refused: Vec<Diagnosis>,
    /// What works, and would work better otherwise: a sentence each, with what to do.
    pub advice: Vec<String>,
}

impl Checked {
    fn refuse(&mut self, code: &'static str, field: &str, message: String, next: impl Into<String>) {
        self.refused.push(Diagnosis::refusal(code, message, next).at_field(field));
    }
}

/// Looks at the database before a rollup is installed in it or seeded.
///
/// # Errors
/// [`Fault`] where the database could not be asked; what it may not be asked is a refusal.
pub async fn check(session: &mut dyn Session, declaration: &Declaration, before: Before) -> Result<Checked, Fault> {
    let mut checked = Checked::default();
    if !place::check(session, before, &mut checked).await? {
        return Ok(checked);
    }
    let shape = Shape::of(session.dialect(), declaration);
    let mut tables = Vec::new();
    for tracked in &shape.tracked {
        let field = match &tracked.parent {
            None => "source".to_owned(),
            Some(_) => format!("join.{}.table", tracked.alias),
        };
        match Table::find(session, &tracked.table, &field, &mut checked).await {
            Ok(table) => tables.push(table),
            Err(fault) => {
                closed(fault, &tracked.table, &field, &mut checked)?;
                tables.push(None);
            }
        }
    }
    for (tracked, table) in shape.tracked.iter().zip(&tables) {
        if let Some(table) = table {
            let needs_index =
                tracked.parent.is_none() && before == Before::Install && !has_index(session, declaration).await?;
            unseen::check(table, needs_index.then_some(&declaration.event_time), before, &mut checked);
        }
    }
    // Of a table that may not be read, or is none, columns say nothing.
    if checked.refused.iter().all(|refused| refused.code == "HW-ROL-047") && tables.iter().all(is_readable) {
        let tables: Vec<Table> = tables.into_iter().flatten().collect();
        columns::check(session, &shape, &tables, before, &mut checked).await?;
    }
    if before == Before::Install
        && let Err(fault) = target::check(session, declaration, &mut checked).await
    {
        closed(fault, &declaration.target, "target", &mut checked)?;
    }
    Ok(checked)
}

/// Whether there is an index on the event time; a source that may not be looked at is told of elsewhere.
async fn has_index(session: &mut dyn Session, declaration: &Declaration) -> Result<bool, Fault> {
    match ddl::event::is_whole(session, declaration).await {
        Err(fault) if fault.kind == FaultKind::Denied => Ok(true),
        found => found,
    }
}

fn is_readable(table: &Option<Table>) -> bool {
    table.as_ref().is_some_and(|table| table.may_read)
}

/// A schema that the role may not look into.
fn closed(fault: Fault, table: &TableName, field: &str, checked: &mut Checked) -> Result<(), Fault> {
    if fault.kind != FaultKind::Denied {
        return Err(fault);
    }
    let schema = table.schema_prefix();
    let schema = schema.trim_end_matches('.');
    let next = match schema.is_empty() {
        true => "grant the role USAGE on the schema, or take it out of the search path".to_owned(),
        false => format!("GRANT USAGE ON SCHEMA {schema} TO the role, and CREATE where the target is to be"),
    };
    checked.refuse("HW-ROL-047", field, format!("found {table}: {}", fault.message), next);
    Ok(())
}

/// The name of a kind of database, for people.
fn called(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "PostgreSQL",
        Dialect::Sqlite => "SQLite",
    }
}
