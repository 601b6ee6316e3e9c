//! The database as a whole: its version, whether it can be written. Owns what no table of it can make up for.

use highwater_db::session::{Dialect, Fault, FaultKind, Session};

use super::{Before, Checked};

/// The oldest server that the statements are for.
const SERVER_VERSION_MIN: i64 = 130_000;
const FIELD: &str = "database";

/// Whether it is worth looking at the tables.
pub(super) async fn check(session: &mut dyn Session, before: Before, checked: &mut Checked) -> Result<bool, Fault> {
    match session.dialect() {
        Dialect::Postgres => server(session, before, checked).await?,
        Dialect::Sqlite if before == Before::Install => file(session, checked).await?,
        Dialect::Sqlite => {}
    }
    Ok(checked.refused.is_empty())
}

async fn server(session: &mut dyn Session, before: Before, checked: &mut Checked) -> Result<(), Fault> {
    let row = session.first(include_str!("postgres_place.sql"), &[]).await?;
    let row = row.expect("invariant: it has no condition");
    let yes = |at: usize| row[at].int() == Some(1);
    let text = |at: usize| row[at].text().unwrap_or_default().to_owned();
    if row[0].int().unwrap_or(0) < SERVER_VERSION_MIN {
        checked.refuse(
            "HW-ROL-040",
            FIELD,
            format!("found PostgreSQL {}, expected {} or newer", text(1), SERVER_VERSION_MIN / 10_000),
            "upgrade the server, or keep the rollup elsewhere",
        );
        return Ok(());
    }
    if yes(2) {
        checked.refuse(
            "HW-ROL-008",
            FIELD,
            "the server is a standby, expected the primary".to_owned(),
            "name the primary in `database`",
        );
        return Ok(());
    }
    if yes(3) {
        checked.refuse(
            "HW-ROL-040",
            FIELD,
            format!("found transactions of the role {} that only read: `default_transaction_read_only` is on", text(5)),
            "turn it off for the role or the database, or name another role",
        );
    }
    if before == Before::Install && !yes(4) {
        checked.refuse(
            "HW-ROL-047",
            FIELD,
            format!("the role {} may not make temporary tables, which a tick works in", text(5)),
            format!("GRANT TEMP ON DATABASE \"{}\" TO \"{}\";", text(6), text(5)),
        );
    }
    Ok(())
}

/// Writes what is there already and undoes it: a file that cannot be written, or that has no room for its journal beside it,
/// says so only then.
async fn file(session: &mut dyn Session, checked: &mut Checked) -> Result<(), Fault> {
    session.begin().await.or_else(|fault| refused(&fault, checked).ok_or(fault))?;
    if !checked.refused.is_empty() {
        return Ok(());
    }
    let version = session.first("SELECT user_version FROM pragma_user_version", &[]).await?;
    let version = version.and_then(|row| row[0].int()).unwrap_or(0);
    let written = session.batch(&format!("PRAGMA user_version = {version}")).await;
    session.rollback().await.ok();
    written.or_else(|fault| refused(&fault, checked).ok_or(fault))
}

fn refused(fault: &Fault, checked: &mut Checked) -> Option<()> {
    let is_closed = fault.kind == FaultKind::Denied || fault.message.contains("unable to open database file");
    if !is_closed {
        return None;
    }
    checked.refuse(
        "HW-ROL-040",
        FIELD,
        format!(
            "found a file that cannot be written ({}), expected to write it and a journal beside it",
            fault.message
        ),
        "give the user who runs highwater the right to write the file and its directory",
    );
    Some(())
}
