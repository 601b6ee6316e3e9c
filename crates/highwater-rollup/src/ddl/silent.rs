//! Triggers that do not fire: missing, or disabled, on a table or on one of its partitions. Owns the look that every tick takes,
//! since a change that no trigger tells of leaves an answer behind that is wrong and looks like a right one.

use std::fmt;

use highwater_db::session::{Dialect, Fault, Session, Value};

use super::diff::bare;
use super::object::{Kind, objects};
use crate::declare::Declaration;

/// A trigger that does not fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silent {
    name: String,
    /// The partition, where it is one's.
    part: Option<String>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    Disabled,
    /// It does something else.
    Other,
}

impl Silent {
    /// Whether it is the trigger of this name, as SQL quotes it.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == bare(name)
    }
}

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trigger {}", self.name)?;
        match self.state {
            State::Missing => write!(f, " is missing")?,
            State::Disabled => write!(f, " is disabled")?,
            State::Other => return write!(f, " does something else than the declaration says"),
        }
        match &self.part {
            Some(part) => write!(f, " on the partition {part}: changes there are not noticed"),
            None if self.state == State::Disabled => write!(f, ": changes are not noticed"),
            None => Ok(()),
        }
    }
}

/// Triggers of an installed rollup that do not fire. One query of the catalogue.
///
/// # Errors
/// [`Fault`].
pub(crate) async fn silent(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<Silent>, Fault> {
    match session.dialect() {
        Dialect::Postgres => on_server(session, declaration).await,
        Dialect::Sqlite => in_file(session, declaration).await,
    }
}

/// Those of partitions.
pub(super) async fn parts(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<Silent>, Fault> {
    let silent = silent(session, declaration).await?;
    Ok(silent.into_iter().filter(|silent| silent.part.is_some()).collect())
}

async fn on_server(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<Silent>, Fault> {
    let mut wanted = Vec::new();
    for object in objects(Dialect::Postgres, declaration) {
        if let Kind::Trigger { on, statement } = &object.kind {
            let by_row = statement.contains(" FOR EACH ROW ");
            wanted.push(format!("('{}', '{on}', {by_row})", bare(&object.name)));
        }
    }
    let sql = include_str!("silent.sql").replace("{wanted}", &wanted.join(", "));
    let silent = |row: &Vec<Value>| Silent {
        name: row[0].to_string(),
        part: row[1].text().map(|part| part.replace('"', "")),
        state: if row[2].is_null() { State::Missing } else { State::Disabled },
    };
    Ok(session.query(&sql, &[]).await?.iter().map(silent).collect())
}

async fn in_file(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<Silent>, Fault> {
    let rows = session.query("SELECT lower(name), sql FROM sqlite_schema WHERE type = 'trigger'", &[]).await?;
    let mut silent = Vec::new();
    for object in objects(Dialect::Sqlite, declaration) {
        let Kind::Trigger { statement, .. } = &object.kind else { continue };
        let name = bare(&object.name);
        let found = rows.iter().find(|row| row[0].text() == Some(name.to_lowercase().as_str()));
        let state = match found {
            None => State::Missing,
            Some(row) if row[1].text() != Some(statement) => State::Other,
            Some(_) => continue,
        };
        silent.push(Silent { name, part: None, state });
    }
    Ok(silent)
}
