//! What went missing of an installed rollup, put back. Owns that rows of the target, the state and entries that are queued stay as
//! they are, and that it is told where changes may have been lost meanwhile.

use highwater_db::session::{Dialect, Fault, Session};

use super::apply::InstallError;
use super::diff::{Way, found};
use super::object::{Kind, Object};
use super::{TEMPORARY_LAST, event, wait_briefly};
use crate::declare::Declaration;
use crate::sql::Shape;
use crate::{bypass, state};

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PutBack {
    /// What had been wrong, a sentence each; nothing where nothing was.
    pub was: Vec<String>,
    /// Whether changes may have gone unnoticed meanwhile. On a server that is written down, so that no tick and no guard goes past it;
    /// a file has no place for it, and who calls must see to that.
    pub lost: bool,
}

/// Puts back what is missing, disabled or altered of a rollup that is installed from this very declaration; `None` where there is
/// none. No transaction may be open.
///
/// # Errors
/// [`InstallError`]; then nothing was changed, but for the index on the event time.
pub async fn put_back(
    session: &mut dyn Session,
    declaration: &Declaration,
    note: &(dyn Fn(&str) + Sync),
) -> Result<Option<PutBack>, InstallError> {
    if !is_installed(session, declaration).await? {
        return Ok(None);
    }
    // One that an older version installed lacks a column of the state, and is brought up rather than refused.
    let was_older = state::bring_up(session, declaration).await?;
    let is_missing = !event::is_there(session, declaration).await?;
    let event = if is_missing { event::provide(session, declaration, note).await? } else { Vec::new() };
    session.begin().await?;
    match within(session, declaration, event, is_missing).await {
        Ok(mut done) => {
            session.commit().await?;
            if was_older {
                done.was.insert(0, format!("{} was of an older version", state::name(declaration)));
            }
            Ok(Some(done))
        }
        Err(error) => {
            // The connection may be gone; then so is the transaction.
            session.rollback().await.ok();
            Err(error)
        }
    }
}

/// Whether it is there, and from this declaration.
///
/// # Errors
/// [`InstallError::Another`] where it is from another.
pub async fn is_installed(session: &mut dyn Session, declaration: &Declaration) -> Result<bool, InstallError> {
    if !crate::window::is_there(session, &state::name(declaration)).await? {
        return Ok(false);
    }
    // One whose row says nothing may be anybody's: that is refused as a leftover.
    let Some(declared) = state::read(session, declaration).await?.and_then(|state| state.declared) else {
        return Ok(false);
    };
    let fields = declared.differing(declaration);
    if fields.is_empty() { Ok(true) } else { Err(InstallError::Another { fields }) }
}

async fn within(
    session: &mut dyn Session,
    declaration: &Declaration,
    event: Vec<String>,
    was_missing: bool,
) -> Result<PutBack, InstallError> {
    wait_briefly(session).await?;
    let dialect = session.dialect();
    let shape = Shape::of(dialect, declaration);
    let mut done = PutBack::default();
    let mut statements = Vec::new();
    if dialect == Dialect::Postgres {
        statements.push(TEMPORARY_LAST.to_owned());
    }
    statements.extend(event);
    let (mut beyond, mut known) = (Vec::new(), Vec::new());
    for found in found(session, declaration).await? {
        if found.drift.way != Way::PutBack {
            beyond.push(found.drift.what);
            continue;
        }
        if let Some(object) = found.object {
            if matches!(object.kind, Kind::Table(_)) && holds_rows(session, &object).await? {
                beyond.push(format!("{}, and holds entries", found.drift.what));
                continue;
            }
            done.lost |= found.drift.loses;
            statements.extend(back(dialect, &object));
            known.push(past(&found.drift.what));
        }
        done.was.push(past(&found.drift.what));
    }
    if !beyond.is_empty() {
        return Err(InstallError::Beyond { found: beyond });
    }
    let event_index = format!("index {} was missing", event::name(&shape).replace('"', ""));
    if was_missing && !done.was.contains(&event_index) {
        done.was.push(event_index);
    }
    if done.was.is_empty() {
        return Ok(done);
    }
    if done.lost && dialect == Dialect::Postgres {
        statements.push(told(&shape, &known));
    }
    session.batch(&statements.join(";\n\n")).await?;
    Ok(done)
}

/// A sentence about what is, about what was.
fn past(what: &str) -> String {
    let tenses = [
        (" is missing", " was missing"),
        (" is disabled", " was disabled"),
        (" are not noticed", " were not noticed"),
        (" does something else", " did something else"),
        (" has ", " had "),
    ];
    tenses.iter().fold(what.to_owned(), |what, (is, was)| what.replace(is, was))
}

/// Whether a table is there and not empty.
async fn holds_rows(session: &mut dyn Session, object: &Object) -> Result<bool, Fault> {
    if super::diff::read(session, object).await?.is_none() {
        return Ok(false);
    }
    Ok(session.first(&format!("SELECT 1 FROM {} LIMIT 1", object.name), &[]).await?.is_some())
}

/// The statements that put one object back.
fn back(dialect: Dialect, object: &Object) -> Vec<String> {
    let mut statements = Vec::new();
    match (&object.kind, dialect) {
        (Kind::Table(_), _) => statements.push(format!("DROP TABLE IF EXISTS {}", object.name)),
        // Nothing that was written while it did something else is open when the rest is committed.
        (Kind::Function { on, .. }, _) => statements.push(format!("LOCK TABLE {on} IN SHARE ROW EXCLUSIVE MODE")),
        (Kind::Trigger { on, .. }, Dialect::Postgres) => {
            statements.push(format!("DROP TRIGGER IF EXISTS {} ON {on}", object.name));
        }
        (Kind::Trigger { .. }, Dialect::Sqlite) => statements.push(format!("DROP TRIGGER IF EXISTS {}", object.name)),
        // The one on the event time was seen to before.
        (Kind::Index | Kind::EventIndex, _) => {}
    }
    statements.extend(object.make.iter().cloned());
    statements
}

/// Writes down that changes may have been lost.
fn told(shape: &Shape<'_>, what: &[String]) -> String {
    // Names have no quotes.
    let rows: Vec<String> =
        what.iter().map(|what| format!("('{what}, and was put back')", what = what.replace('\'', "''"))).collect();
    format!("INSERT INTO {} (what) VALUES {}", bypass::name(shape).quoted(), rows.join(", "))
}
