//! The installation. Owns that nothing is installed over a leftover, and that all of it is one transaction but for the index on
//! the event time, which comes before.

use highwater_db::session::{Fault, Session};

use super::diff::read;
use super::event;
use super::object::{Kind, objects};
use crate::declare::Declaration;

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
    /// It is there, of another declaration.
    #[error("the rollup is there, and was installed with another `{}`", fields.join("`, `"))]
    Another {
        /// The fields that differ.
        fields: Vec<&'static str>,
    },
    /// What is wrong with it is nothing that could be put back.
    #[error("{}", found.join("; "))]
    Beyond {
        /// What, a sentence each.
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
