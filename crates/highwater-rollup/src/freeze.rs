//! Freezing: buckets that are so old that they are computed no more, so that retention may delete their raw rows. Owns where
//! the limit is, and that it only ever moves forward.
//!
//! The limit is the beginning of a bucket: all before it are **frozen**, it and those after it are **live**. It is kept in the
//! state row, so that what was frozen once stays so, whatever the clock or the setting says later. Whatever computes buckets
//! moves it first, in its own transaction. So a highwater that was down for a week, in which retention went on, freezes what
//! grew old meanwhile before it looks at what was deleted there.

use highwater_db::session::{Dialect, Fault, Session};
use jiff::{SignedDuration, Timestamp};

use crate::bound;
use crate::declare::Declaration;
use crate::state::{self, State};

/// Shortest age at which a bucket freezes, in seconds: what comes late by less must still be counted.
pub const FREEZE_SECS_MIN: u64 = 86_400;

/// Where the limit is, or will be as soon as something is computed; `None` where nothing is frozen. Changes nothing.
///
/// # Errors
/// [`Fault`].
pub async fn limit(session: &mut dyn Session, declaration: &Declaration) -> Result<Option<Timestamp>, Fault> {
    let Some(state) = state::read(session, declaration).await? else { return Ok(None) };
    let due = due(session, declaration, &state).await?;
    Ok(state.frozen_before.max(due))
}

/// Moves the limit to where it is due, in the transaction that is open, and says where it is then.
///
/// # Errors
/// [`Fault`].
pub async fn advance(session: &mut dyn Session, declaration: &Declaration) -> Result<Option<Timestamp>, Fault> {
    let Some(state) = state::read(session, declaration).await? else { return Ok(None) };
    let due = due(session, declaration, &state).await?;
    if let Some(due) = due.filter(|due| state.frozen_before.is_none_or(|limit| limit < *due)) {
        state::freeze(session, declaration, due).await?;
    }
    Ok(state.frozen_before.max(due))
}

/// Where the limit is, moved as [`advance`] moves it, and where the first seed began, if that was later than it had to be: what is before
/// was never computed, and is not frozen for a seed that reaches further back.
///
/// # Errors
/// [`Fault`].
pub(crate) async fn advance_beside(
    session: &mut dyn Session,
    declaration: &Declaration,
) -> Result<(Option<Timestamp>, Option<Timestamp>), Fault> {
    let seeded_from = state::read(session, declaration).await?.and_then(|state| state.seeded_from);
    Ok((advance(session, declaration).await?, seeded_from))
}

/// Where the limit is to be by the database's clock; `None` where nothing is to be frozen.
async fn due(session: &mut dyn Session, declaration: &Declaration, state: &State) -> Result<Option<Timestamp>, Fault> {
    // Before the last slice of the first seed there are buckets that were never computed.
    let (Some(age), Some(_)) = (declaration.freeze_before, state.seeded_at) else { return Ok(None) };
    // Nor was a bucket computed whole that ended after the watermark, or after the seed was begun.
    let Some(whole) = state.watermark.or(state.installed_at) else { return Ok(None) };
    let now = bound::now(session).await?;
    let age = SignedDuration::try_from(age.get()).unwrap_or(SignedDuration::MAX);
    let old = now.checked_sub(age).unwrap_or(Timestamp::MIN);
    Ok(Some(declaration.grain.begin(old.min(whole))))
}

/// The statement that puts a state row back which went missing: all is to be computed anew, but for what is frozen.
///
/// # Errors
/// [`Fault`].
pub async fn state_row(session: &mut dyn Session, declaration: &Declaration) -> Result<String, Fault> {
    let name = state::name(declaration).quoted();
    let Some(age) = declaration.freeze_before else { return Ok(format!("INSERT INTO {name} (one) VALUES (1);")) };
    let age = SignedDuration::try_from(age.get()).unwrap_or(SignedDuration::MAX);
    let old = bound::now(session).await?.checked_sub(age).unwrap_or(Timestamp::MIN);
    let limit = written(session.dialect(), declaration.grain.begin(old));
    Ok(format!("INSERT INTO {name} (one, frozen_before) VALUES (1, '{limit}');"))
}

fn written(dialect: Dialect, limit: Timestamp) -> String {
    match dialect {
        Dialect::Postgres => limit.to_string(),
        Dialect::Sqlite => format!("{limit:.6}"),
    }
}
