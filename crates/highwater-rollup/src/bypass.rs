//! What goes past the triggers: TRUNCATE, and partitions that are attached, detached or dropped with their rows. Owns how a pass
//! notices it, and that it ends no pass whose buckets are right all the same.
//!
//! SQLite has no such thing: where a table has triggers, `DELETE FROM t` deletes row by row. In PostgreSQL a trigger of
//! TRUNCATE writes down that it came; it is not cloned to partitions, and nothing fires when a partition comes or goes. So the
//! leaves of partitioned tables are written down, each with the file that its rows are in, and compared by every tick.
//!
//! Something that was noticed is **settled** where the live buckets that it may be about are what the raw rows yield, or are
//! queued: the partition was empty, or what it held is frozen. Else somebody must look.

mod leaf;

use highwater_db::session::{Dialect, Fault, FaultKind, Session, Value};
use jiff::Timestamp;

use crate::declare::{Declaration, TableName};
use crate::sql::Shape;
use crate::verify::{self, Scope};
use crate::{drain, freeze, state};
use leaf::{Leaf, Moved};

pub(crate) use leaf::query as leaves;

/// Spans that are compared one by one; of more, the span of all of them is.
const SCOPES_MAX: usize = 8;
/// Most of what went past the triggers that a person is told.
const TOLD_MAX: i64 = 5;

/// Something that went past the triggers and left wrong buckets behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bypassed {
    /// What it was, a sentence each.
    pub what: Vec<String>,
    /// Live cells that are wrong since, and that no queue knows of; `None` where the database's time-out came before they were
    /// compared.
    pub wrong: Option<u64>,
}

/// The table that TRUNCATE is written down in.
pub(crate) fn name(shape: &Shape<'_>) -> TableName {
    shape.own("bypass")
}

/// That table, and the leaves as they are now.
pub(crate) fn install(shape: &Shape<'_>) -> Vec<String> {
    if shape.dialect == Dialect::Sqlite {
        return Vec::new();
    }
    vec![
        format!(
            "CREATE TABLE {} (\n    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    \
             happened_at timestamptz NOT NULL DEFAULT now(),\n    what text NOT NULL\n)",
            name(shape).quoted()
        ),
        format!("UPDATE {} SET leaves = ({})", state::name(shape.declaration).quoted(), leaves(shape)),
    ]
}

/// Looks for what went past the triggers, in the transaction that is open and has read nothing of the tables yet, and settles
/// it. Needs what `drain` prepares.
///
/// # Errors
/// [`Fault`], of kind [`FaultKind::Contended`] where something went past while this looked.
pub(crate) async fn settle(session: &mut dyn Session, declaration: &Declaration) -> Result<Option<Bypassed>, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    if shape.dialect == Dialect::Sqlite {
        return Ok(None);
    }
    let noticed = notice(session, &shape).await?;
    if noticed.what.is_empty() {
        return Ok(None);
    }
    let wrong = match wrong(session, &shape, &noticed).await {
        Ok(wrong) => Some(wrong),
        Err(fault) if fault.kind == FaultKind::TimedOut => None,
        Err(fault) => return Err(fault),
    };
    if wrong == Some(0) {
        forget(session, declaration).await?;
        return Ok(None);
    }
    Ok(Some(Bypassed { what: noticed.what, wrong }))
}

/// Takes what went past for known, in the transaction that is open: a person has looked.
///
/// # Errors
/// [`Fault`].
pub(crate) async fn forget(session: &mut dyn Session, declaration: &Declaration) -> Result<(), Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    if shape.dialect == Dialect::Sqlite {
        return Ok(());
    }
    session.execute(&format!("DELETE FROM {}", name(&shape).quoted()), &[]).await?;
    let leaves = format!("UPDATE {} SET leaves = ({})", state::name(declaration).quoted(), leaves(&shape));
    session.execute(&leaves, &[]).await?;
    Ok(())
}

/// What went past the triggers since it was last settled.
struct Noticed {
    what: Vec<String>,
    /// Whether a whole table was emptied.
    emptied: bool,
    moved: Vec<Moved>,
}

async fn notice(session: &mut dyn Session, shape: &Shape<'_>) -> Result<Noticed, Fault> {
    // Held to the end: nothing is truncated, detached or dropped between this look and what is computed after it.
    let tables: Vec<String> = shape.tracked.iter().map(|table| table.table.quoted()).collect();
    session.batch(&format!("LOCK TABLE ONLY {} IN ACCESS SHARE MODE", tables.join(", ONLY "))).await?;
    let names: Vec<String> = tables.iter().map(|name| format!("to_regclass('{name}')")).collect();
    // The files as the snapshot has them, which is older than the lock, and as they are.
    let replaced = format!(
        "SELECT count(*) FROM pg_class WHERE oid IN ({}) AND relkind = 'r' AND relfilenode <> pg_relation_filenode(oid)",
        names.join(", ")
    );
    let sql = format!(
        "SELECT ({replaced}), ({}), (SELECT leaves FROM {})",
        leaves(shape),
        state::name(shape.declaration).quoted()
    );
    let row = session.first(&sql, &[]).await?.unwrap_or_default();
    if row.first().and_then(Value::int).unwrap_or(0) > 0 {
        return Err(Fault {
            kind: FaultKind::Contended,
            doing: "look for what went past the triggers".to_owned(),
            message: "a table was emptied or rewritten at this moment".to_owned(),
        });
    }
    let leaves = |at: usize| Leaf::read(row.get(at).and_then(Value::text).unwrap_or_default());
    let moved = leaf::moved(&leaves(2), &leaves(1));
    let sql = format!(
        "SELECT what || ' at ' || to_char(happened_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM {} ORDER BY id LIMIT {}",
        name(shape).quoted(),
        shape.number(1)
    );
    let emptied = session.query(&sql, &[Value::Int(TOLD_MAX)]).await?;
    let mut what: Vec<String> = emptied.iter().map(|row| row[0].to_string()).collect();
    let room = usize::try_from(TOLD_MAX).unwrap_or(0);
    what.extend(moved.iter().take(room).map(ToString::to_string));
    if moved.len() > room {
        what.push(format!("and {} more partitions", moved.len() - room));
    }
    Ok(Noticed { what, emptied: !emptied.is_empty(), moved })
}

/// A query of one text: what went past the triggers and is not settled, or NULL. It changes nothing and locks nothing.
pub(crate) fn unsettled(shape: &Shape<'_>) -> Option<String> {
    if shape.dialect == Dialect::Sqlite {
        return None;
    }
    let names = shape.tracked.iter().map(|table| format!("to_regclass('{}')", table.table.quoted()));
    let places = [
        ("{bypass}", name(shape).quoted()),
        ("{state}", state::name(shape.declaration).quoted()),
        ("{tables}", names.collect::<Vec<_>>().join(", ")),
        ("{leaves}", leaves(shape)),
    ];
    let sql = include_str!("bypass/unsettled.sql").trim_end().to_owned();
    Some(places.iter().fold(sql, |sql, (place, with)| sql.replace(place, with)))
}

/// How many live cells that it may be about are wrong, and not queued.
async fn wrong(session: &mut dyn Session, shape: &Shape<'_>, noticed: &Noticed) -> Result<u64, Fault> {
    let frozen = freeze::limit(session, shape.declaration).await?;
    // Nor is anything wrong with buckets that no seed has reached yet.
    let unseeded = state::read(session, shape.declaration).await?.and_then(|state| state.seeded_from);
    let scopes: Vec<Scope> = scopes(session, shape, noticed)
        .await?
        .into_iter()
        .map(|scope| scope.live(frozen.max(unseeded)))
        .filter(|scope| scope.until.is_none_or(|until| scope.since.is_none_or(|since| since < until)))
        .collect();
    if scopes.is_empty() {
        return Ok(0);
    }
    drain::pending(session, shape, frozen).await?;
    let mut wrong = 0;
    for scope in scopes {
        wrong += verify::unqueued(session, shape, &scope).await?;
    }
    Ok(wrong)
}

/// The buckets that it may be about.
async fn scopes(session: &mut dyn Session, shape: &Shape<'_>, noticed: &Noticed) -> Result<Vec<Scope>, Fault> {
    if noticed.emptied {
        return Ok(vec![Scope::all()]);
    }
    let mut scopes = Vec::new();
    for moved in &noticed.moved {
        scopes.extend(moved.scope(session, shape).await?);
    }
    if scopes.len() > SCOPES_MAX {
        let since: Option<Option<Timestamp>> = scopes.iter().map(|scope| scope.since).min();
        let until = scopes.iter().map(|scope| scope.until).collect::<Option<Vec<_>>>();
        let until = until.and_then(|until| until.into_iter().max());
        scopes = vec![Scope { since: since.flatten(), until, buckets: None }];
    }
    Ok(scopes)
}
