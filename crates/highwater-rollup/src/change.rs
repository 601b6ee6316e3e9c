//! A change of the declaration: the rollup that is declared now is built beside the installed one, which is read meanwhile as it
//! is, and takes its place by one transaction. Owns what may be changed so, what of frozen buckets can be carried over, and that
//! whoever reads the target sees the old one or the new one.
//!
//! Frozen buckets cannot be computed again. Where the new declaration has no key and no aggregate that the old one had not, and
//! the same grain, they are made of the old cells. Otherwise they are lost, and a person must say so.

use std::collections::BTreeSet;

use highwater_db::session::{Dialect, Fault, Session, Value};
use jiff::{SignedDuration, Timestamp};

use crate::ddl;
use crate::declare::{Aggregate, BUCKET, Declaration};
use crate::sql::Shape;
use crate::verify::Scope;
use crate::{freeze, state};

pub(crate) use crate::ddl::swap::beside;

/// How long the swap waits for whoever uses the tables, in milliseconds. Whoever comes meanwhile waits as long; it is below the time
/// after which PostgreSQL looks for deadlocks and would end a writer's transaction.
const SWAP_LOCK_MILLIS: u32 = 500;

/// Why a rollup cannot be changed so.
#[derive(Debug, thiserror::Error)]
pub enum ChangeRefused {
    /// The database refused, or is gone.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The index on the event time could not be seen to.
    #[error(transparent)]
    Index(#[from] ddl::InstallError),
    /// The state row does not say what is installed.
    #[error("{table} does not say from which declaration the rollup was installed")]
    Unknown {
        /// The table of the state row.
        table: String,
    },
    /// Nothing is installed.
    #[error("{target} is not installed")]
    NotInstalled {
        /// The target.
        target: String,
    },
    /// The first seed of what is installed is not over, or was never begun.
    #[error("{target} is not seeded yet, and has nothing that is worth keeping")]
    NotSeeded {
        /// The target.
        target: String,
    },
    /// Something hangs on the target that would go with it.
    #[error("{} on {target} would be lost with it", .found.join(", "))]
    Dependents {
        /// The target.
        target: String,
        /// What.
        found: Vec<String>,
    },
    /// Cells that are frozen cannot be made of the old ones.
    #[error("{cells} frozen cells cannot be carried over: {why}")]
    Frozen {
        /// How many.
        cells: u64,
        /// What the new declaration asks for that they do not tell.
        why: String,
    },
}

/// What is installed in the place of a declaration; `None` where it is the same.
///
/// # Errors
/// [`ChangeRefused`].
pub async fn installed(
    session: &mut dyn Session,
    declaration: &Declaration,
) -> Result<Option<Declaration>, ChangeRefused> {
    let target = || declaration.target.to_string();
    if !crate::window::is_there(session, &state::name(declaration)).await? {
        return Err(ChangeRefused::NotInstalled { target: target() });
    }
    let table = || state::name(declaration).to_string();
    let state = state::read(session, declaration).await?.ok_or_else(|| ChangeRefused::Unknown { table: table() })?;
    let installed = state.declared.ok_or_else(|| ChangeRefused::Unknown { table: table() })?;
    if installed.is_same(declaration) {
        return Ok(None);
    }
    if state.seeded_at.is_none() {
        return Err(ChangeRefused::NotSeeded { target: target() });
    }
    // How old a bucket is that freezes is a setting, and not part of what is installed.
    Ok(Some(Declaration { freeze_before: declaration.freeze_before, ..installed }))
}

/// The declaration that the rollup in the place of this one was installed from; `None` where there is none, or nobody knows.
///
/// # Errors
/// [`Fault`].
pub async fn found(session: &mut dyn Session, declaration: &Declaration) -> Result<Option<Declaration>, Fault> {
    if !crate::window::is_there(session, &state::name(declaration)).await? {
        return Ok(None);
    }
    Ok(state::read(session, declaration).await?.and_then(|state| state.declared))
}

/// Refuses a change that would lose something that a person did not say may be lost. Changes nothing.
///
/// # Errors
/// [`ChangeRefused`].
pub async fn check(
    session: &mut dyn Session,
    installed: &Declaration,
    declaration: &Declaration,
    drop_frozen: bool,
) -> Result<(), ChangeRefused> {
    let found = dependents(session, installed).await?;
    if !found.is_empty() {
        return Err(ChangeRefused::Dependents { target: installed.target.to_string(), found });
    }
    let Some(frozen) = freeze::limit(session, installed).await?.filter(|_| !drop_frozen) else { return Ok(()) };
    let shape = Shape::of(session.dialect(), installed);
    let before = Scope { until: Some(frozen), ..Scope::all() }.stored(&shape);
    let sql = format!("SELECT count(*) FROM {} WHERE {before}", installed.target.quoted());
    let cells = session.first(&sql, &[]).await?.and_then(|row| row[0].int()).unwrap_or(0);
    match carried(installed, declaration) {
        Err(why) if cells > 0 => Err(ChangeRefused::Frozen { cells: u64::try_from(cells).unwrap_or(0), why }),
        _ => Ok(()),
    }
}

/// The beginning of the first bucket of the new rollup that is computed from raw rows; `None` where all are.
///
/// # Errors
/// [`Fault`].
pub(crate) async fn live_from(
    session: &mut dyn Session,
    installed: &Declaration,
    declaration: &Declaration,
) -> Result<Option<Timestamp>, Fault> {
    Ok(freeze::limit(session, installed).await?.map(|frozen| whole(declaration, frozen)))
}

/// A bucket that is frozen in part has no whole raw rows.
fn whole(declaration: &Declaration, frozen: Timestamp) -> Timestamp {
    let begin = declaration.grain.begin(frozen);
    let length = SignedDuration::from_secs(declaration.grain.secs());
    if begin == frozen { begin } else { begin.checked_add(length).unwrap_or(begin) }
}

/// Installs the rollup beside, unless it is there; one of another declaration, whose change was given up, goes before, and its
/// index on the event time is seen to. No transaction may be open.
///
/// # Errors
/// [`ChangeRefused`]; a transaction may be open.
pub(crate) async fn install(
    session: &mut dyn Session,
    installed: &Declaration,
    declaration: &Declaration,
) -> Result<(), ChangeRefused> {
    session.begin().await?;
    if is_built(session, declaration).await? {
        return Ok(session.rollback().await?);
    }
    ddl::wait_briefly(session).await?;
    take_away(session, declaration).await?;
    session.commit().await?;
    let next = beside(declaration);
    let event = ddl::event::provide(session, &next, &|note| tracing::info!("{note}")).await?;
    session.begin().await?;
    ddl::wait_briefly(session).await?;
    session.batch(&ddl::swap::install_beside(session.dialect(), declaration, event)).await?;
    if let Some(from) = live_from(session, installed, declaration).await? {
        state::freeze(session, &next, from).await?;
    }
    Ok(session.commit().await?)
}

/// Whether the rollup beside is there, and of this declaration.
///
/// # Errors
/// [`Fault`].
pub(crate) async fn is_built(session: &mut dyn Session, declaration: &Declaration) -> Result<bool, Fault> {
    let next = beside(declaration);
    if !crate::window::is_there(session, &state::name(&next)).await? {
        return Ok(false);
    }
    let state = state::read(session, &next).await?;
    Ok(state.and_then(|state| state.declared).is_some_and(|built| built.is_same(&next)))
}

/// Takes away a rollup that was begun beside, in the transaction that is open; says whether there was one.
///
/// # Errors
/// [`ChangeRefused`].
pub async fn take_away(session: &mut dyn Session, declaration: &Declaration) -> Result<bool, ChangeRefused> {
    let next = beside(declaration);
    if !crate::window::is_there(session, &state::name(&next)).await? {
        return Ok(false);
    }
    let begun = state::read(session, &next).await?.and_then(|state| state.declared);
    let begun = begun.ok_or_else(|| ChangeRefused::Unknown { table: state::name(&next).to_string() })?;
    session.batch(&ddl::uninstall(session.dialect(), &begun)).await?;
    Ok(true)
}

/// Makes the frozen cells of the rollup beside, in the transaction that is open: of the installed one's, or none.
///
/// # Errors
/// [`Fault`].
pub(crate) async fn carry(
    session: &mut dyn Session,
    installed: &Declaration,
    declaration: &Declaration,
    drop_frozen: bool,
) -> Result<u64, Fault> {
    let next = beside(declaration);
    let (frozen, seeded_from) = freeze::advance_beside(session, installed).await?;
    let Some(frozen) = frozen else { return Ok(0) };
    let limit = whole(declaration, frozen);
    // Buckets that are as old as the frozen ones and were never computed are not frozen here either.
    state::seed_began(session, &next, seeded_from.map(|begin| whole(declaration, begin))).await?;
    // The new one may have frozen what the old one has not yet: it was computed.
    state::freeze(session, &next, limit).await?;
    let shape = Shape::of(session.dialect(), &next);
    let before = Scope { until: Some(limit), ..Scope::all() }.stored(&shape);
    session.execute(&format!("DELETE FROM {} WHERE {before}", next.target.quoted()), &[]).await?;
    let Some(select) = carried(installed, declaration).ok().filter(|_| !drop_frozen) else { return Ok(0) };
    let columns = shape.target_columns().join(", ");
    let groups: Vec<String> = (1..=declaration.keys.len() + 1).map(|at| at.to_string()).collect();
    let sql = format!(
        "INSERT INTO {} ({columns}) SELECT {} FROM {} WHERE {before} GROUP BY {}",
        next.target.quoted(),
        select.join(", "),
        installed.target.quoted(),
        groups.join(", ")
    );
    session.execute(&sql, &[]).await
}

/// The expressions that make the new columns of old cells; in words, why there are none.
fn carried(installed: &Declaration, declaration: &Declaration) -> Result<Vec<String>, String> {
    let parts = [
        ("source", installed.source == declaration.source),
        ("event-time", installed.event_time == declaration.event_time),
        ("grain", installed.grain == declaration.grain),
        ("join", installed.join == declaration.join),
    ];
    if let Some((part, _)) = parts.iter().find(|(_, is_same)| !is_same) {
        return Err(format!("`{part}` is another"));
    }
    let mut select = vec![format!("\"{BUCKET}\"")];
    let mut kept = BTreeSet::new();
    for (name, column) in &declaration.keys {
        let old = installed.keys.iter().find(|(_, old)| *old == column);
        let (old, _) = old.ok_or_else(|| format!("they do not tell the key `{name}`"))?;
        kept.insert(old.as_str());
        select.push(old.quoted());
    }
    let merges = kept.len() < installed.keys.len();
    for (name, aggregate) in &declaration.aggregates {
        let old = installed.aggregates.iter().find(|(_, old)| *old == aggregate);
        let (old, _) = old.ok_or_else(|| format!("they do not tell `{name}`"))?;
        match aggregate {
            Aggregate::Count | Aggregate::Sum(_) => select.push(format!("sum({})", old.quoted())),
            Aggregate::Min(_) => select.push(format!("min({})", old.quoted())),
            Aggregate::Max(_) => select.push(format!("max({})", old.quoted())),
            Aggregate::Avg(_) => select.extend([format!("sum(\"{old}_sum\")"), format!("sum(\"{old}_count\")")]),
            Aggregate::CountDistinct(_) if merges => {
                return Err(format!("`{name}` counts different values, which do not add up without a key that goes"));
            }
            Aggregate::CountDistinct(_) => select.push(format!("max({})", old.quoted())),
        }
    }
    Ok(select)
}

/// Puts the rollup beside in the place of the installed one. No transaction may be open.
///
/// # Errors
/// [`Fault`], of kind [`highwater_db::session::FaultKind::Contended`] where others use the tables; then nothing was changed.
pub(crate) async fn swap(
    session: &mut dyn Session,
    installed: &Declaration,
    declaration: &Declaration,
) -> Result<(), Fault> {
    let is_sqlite = session.dialect() == Dialect::Sqlite;
    if is_sqlite {
        // Else a view on the target would keep the new one from its name; and triggers are made anew.
        session.batch("PRAGMA legacy_alter_table = ON").await?;
    }
    session.begin().await?;
    let swapped = match swap_within(session, installed, declaration).await {
        Ok(()) => session.commit().await,
        Err(fault) => Err(fault),
    };
    if swapped.is_err() {
        // The connection may be gone; then so is the transaction.
        session.rollback().await.ok();
    }
    if is_sqlite {
        session.batch("PRAGMA legacy_alter_table = OFF").await?;
    }
    swapped
}

async fn swap_within(
    session: &mut dyn Session,
    installed: &Declaration,
    declaration: &Declaration,
) -> Result<(), Fault> {
    let dialect = session.dialect();
    let mut grants = Vec::new();
    if dialect == Dialect::Postgres {
        let (old, next) = (Shape::of(dialect, installed), beside(declaration));
        let new = Shape::of(dialect, &next);
        let tables: BTreeSet<String> =
            old.tracked.iter().chain(&new.tracked).map(|table| table.table.quoted()).collect();
        let tables = tables.into_iter().chain([installed.target.quoted(), state::name(installed).quoted()]);
        session.batch(&format!("SET LOCAL lock_timeout = {SWAP_LOCK_MILLIS}")).await?;
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables.collect::<Vec<_>>().join(", "));
        session.batch(&lock).await?;
        for table in [&installed.target, &state::name(installed)] {
            grants.extend(session.query(include_str!("change/grants.sql"), &[Value::from(table.quoted())]).await?);
        }
    }
    let has_event = ddl::event::is_ours(session, &beside(declaration)).await?;
    session.batch(&ddl::swap::swap(dialect, installed, declaration, has_event)).await?;
    for grant in grants {
        session.batch(grant[0].text().unwrap_or_default()).await?;
    }
    Ok(())
}

/// What hangs on the target and is not ours, each with its kind and its name.
async fn dependents(session: &mut dyn Session, installed: &Declaration) -> Result<Vec<String>, Fault> {
    let shape = Shape::of(session.dialect(), installed);
    let cell = shape.own("cell");
    let rows = match session.dialect() {
        Dialect::Postgres => {
            let values = [Value::from(installed.target.quoted()), Value::from(cell.quoted())];
            session.query(include_str!("change/dependents.sql"), &values).await?
        }
        Dialect::Sqlite => {
            let sql = "SELECT 'the ' || type || ' ' || name FROM sqlite_schema
                       WHERE tbl_name = ?1 COLLATE NOCASE AND type IN ('index', 'trigger') AND name <> ?2 ORDER BY 1";
            let values = [installed.target.table().as_str(), cell.table().as_str()].map(Value::from);
            session.query(sql, &values).await?
        }
    };
    Ok(rows.iter().map(|row| row[0].to_string()).collect())
}
