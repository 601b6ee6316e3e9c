//! The drain: from what changed to which cells are to be computed anew. Owns the derivation, which is done under the drain's
//! own snapshot and yields too many cells rather than too few: a cell that is computed without need comes out as it was.
//!
//! Where a row was counted last depends on how it was then, and on how what it joined to was then. Each of those that changed
//! since has its old columns in a queue; each that did not is as it is now. So every cell that may be wrong is found by joining
//! all **versions** of the rows, those that are and those that are queued, as long as one of them is queued.

use highwater_db::session::{Dialect, Fault, Session, Value};
use jiff::Timestamp;

use crate::declare::Declaration;
use crate::recompute;
use crate::sql::{Shape, Tracked, quoted};

/// Entries taken from each queue at a time, unless told.
pub const ENTRIES_MAX: u32 = 10_000;

/// Which entries a drain takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Only those that were queued before; all where it is `None`.
    pub before: Option<Timestamp>,
    /// At most so many of each queue.
    pub entries_max: u32,
}

impl Default for Due {
    fn default() -> Self {
        Self { before: None, entries_max: ENTRIES_MAX }
    }
}

/// What one drain did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Entries that were taken from the queues.
    pub entries: u64,
    /// Cells that were computed anew.
    pub cells: u64,
    /// Whether entries that are due were left to the next drain.
    pub more: bool,
}

/// Makes the working tables of this session.
///
/// # Errors
/// [`Fault`].
pub async fn prepare(session: &mut dyn Session, declaration: &Declaration) -> Result<(), Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    for (at, table) in shape.tracked.iter().enumerate() {
        let columns = [table.match_names(), table.value_names()].concat().join(", ");
        let copy = format!("SELECT {columns} FROM {}", shape.queue(table));
        for name in [touched(&shape, at), versions(&shape, at)] {
            session.batch(&working(&shape, &name, &copy)).await?;
        }
    }
    let copy = format!("SELECT {} FROM {}", shape.cell_columns().join(", "), declaration.target.quoted());
    session.batch(&working(&shape, &cells(&shape), &copy)).await
}

fn working(shape: &Shape<'_>, name: &str, copy: &str) -> String {
    match shape.dialect {
        Dialect::Postgres => {
            // In `pg_temp` without saying so, as PostgreSQL wants it.
            let name = name.trim_start_matches("pg_temp.");
            format!("CREATE TEMP TABLE IF NOT EXISTS {name} ON COMMIT DELETE ROWS AS {copy} WITH NO DATA")
        }
        Dialect::Sqlite => format!("CREATE TABLE IF NOT EXISTS {name} AS {copy} LIMIT 0"),
    }
}

/// Versions that a taken entry is about, and all that hang on them.
fn touched(shape: &Shape<'_>, at: usize) -> String {
    shape.working(&format!("touched_{at}"))
}

/// Versions that the touched ones of the source join to.
fn versions(shape: &Shape<'_>, at: usize) -> String {
    shape.working(&format!("versions_{at}"))
}

fn cells(shape: &Shape<'_>) -> String {
    shape.working("cells")
}

/// Takes what is due from the queues, finds its cells and computes them anew, in the transaction that is
/// open. What came in meanwhile, and what is not due yet, stays queued. Needs [`prepare`].
///
/// # Errors
/// [`Fault`].
pub async fn drain(session: &mut dyn Session, declaration: &Declaration, due: Due) -> Result<Drained, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    if session.dialect() == Dialect::Sqlite {
        for at in 0..shape.tracked.len() {
            session
                .batch(&format!("DELETE FROM {}; DELETE FROM {}", touched(&shape, at), versions(&shape, at)))
                .await?;
        }
        session.batch(&format!("DELETE FROM {}", cells(&shape))).await?;
    }
    let mut taken = Vec::new();
    for table in &shape.tracked {
        taken.push(take(session, &shape, table, due).await?);
    }
    if taken.iter().all(|taken| taken.entries == 0) {
        return Ok(Drained::default());
    }
    for ((at, table), taken) in shape.tracked.iter().enumerate().zip(&taken) {
        touch(session, &shape, at, table, taken).await?;
    }
    // What hangs on a touched row, up to the source; then down again to all it joined to.
    for (at, table) in shape.tracked.iter().enumerate().rev() {
        climb(session, &shape, at, table).await?;
    }
    for (at, table) in shape.tracked.iter().enumerate() {
        descend(session, &shape, at, table).await?;
    }
    session.execute(&found(&shape), &[]).await?;
    let computed = recompute::cells(session, &shape, &cells(&shape)).await?;
    let mut drained = Drained { cells: computed, ..Drained::default() };
    for (table, taken) in shape.tracked.iter().zip(&taken) {
        drained.more |= taken.more;
        drained.entries += taken.entries;
        if taken.entries > 0 {
            let (condition, values) = taken.condition(&shape);
            session.execute(&format!("DELETE FROM {} WHERE {condition}", shape.queue(table)), &values).await?;
        }
    }
    Ok(drained)
}

/// Entries that are taken: those up to an id that are due.
struct Taken {
    entries: u64,
    last: i64,
    before: Option<Timestamp>,
    more: bool,
}

impl Taken {
    fn condition(&self, shape: &Shape<'_>) -> (String, Vec<Value>) {
        let mut condition = format!("id <= {}", shape.number(1));
        let mut values = vec![Value::Int(self.last)];
        if let Some(before) = self.before {
            condition.push_str(&format!(" AND changed_at < {}", shape.time(2)));
            values.push(written(shape, before));
        }
        (condition, values)
    }
}

/// A time as it is compared with `changed_at`.
fn written(shape: &Shape<'_>, time: Timestamp) -> Value {
    match shape.dialect {
        Dialect::Postgres => Value::from(format!("{time:.6}")),
        // As the queue's own default writes it, for it is text that is compared.
        Dialect::Sqlite => Value::from(format!("{time:.3}")),
    }
}

async fn take(session: &mut dyn Session, shape: &Shape<'_>, table: &Tracked, due: Due) -> Result<Taken, Fault> {
    let Due { before, entries_max } = due;
    let (condition, mut values) = match before {
        Some(before) => (format!("WHERE changed_at < {}", shape.time(1)), vec![written(shape, before)]),
        None => (String::new(), Vec::new()),
    };
    let limit = shape.number(values.len() + 1);
    let sql = format!(
        "SELECT count(*), max(id) FROM (SELECT id FROM {} {condition} ORDER BY id LIMIT {limit}) AS due",
        shape.queue(table)
    );
    values.push(Value::Int(entries_max.into()));
    let row = session.first(&sql, &values).await?;
    let count = |at: usize| row.as_ref().and_then(|row| row[at].int()).unwrap_or(0);
    let entries = u64::try_from(count(0)).unwrap_or(0);
    Ok(Taken { entries, last: count(1), before, more: count(0) == i64::from(entries_max) })
}

/// The versions of one table that the taken entries are about.
async fn touch(
    session: &mut dyn Session,
    shape: &Shape<'_>,
    at: usize,
    table: &Tracked,
    taken: &Taken,
) -> Result<(), Fault> {
    if taken.entries == 0 {
        return Ok(());
    }
    let (condition, values) = taken.condition(shape);
    let (queue, touched) = (shape.queue(table), touched(shape, at));
    let columns = [table.match_names(), table.value_names()].concat().join(", ");
    // An entry without a row is a version of what is joined to: there was none. The source has no such thing.
    let present = if table.parent.is_none() { is_present(shape) } else { "" };
    let old =
        format!("INSERT INTO {touched} ({columns}) SELECT DISTINCT {columns} FROM {queue} WHERE {condition}{present}");
    session.execute(&old, &values).await?;
    let matches = table.match_names().join(", ");
    let now = current(table, &format!("SELECT {matches} FROM {queue} WHERE {condition}"), &quoted(&table.matches));
    session.execute(&format!("INSERT INTO {touched} ({columns}) {now}"), &values).await?;
    Ok(())
}

fn is_present(shape: &Shape<'_>) -> &'static str {
    match shape.dialect {
        Dialect::Postgres => " AND present",
        Dialect::Sqlite => " AND present = 1",
    }
}

/// The rows that are there now and whose `columns` are among `select`.
fn current(table: &Tracked, select: &str, columns: &[String]) -> String {
    let all = quoted(table.matches.iter().chain(&table.values)).join(", ");
    format!("SELECT {all} FROM {} WHERE {}", table.table.quoted(), Shape::within(columns, select))
}

/// Touches what a touched table is found from.
async fn climb(session: &mut dyn Session, shape: &Shape<'_>, at: usize, table: &Tracked) -> Result<(), Fault> {
    let Some(parent) = &table.parent else { return Ok(()) };
    let above = &shape.tracked[parent.at];
    let select = format!("SELECT {} FROM {}", table.match_names().join(", "), touched(shape, at));
    let columns = [above.match_names(), above.value_names()].concat().join(", ");
    let into = format!("INSERT INTO {} ({columns})", touched(shape, parent.at));
    session.execute(&format!("{into} {}", current(above, &select, &quoted(&parent.columns))), &[]).await?;
    let found: Vec<String> = parent.columns.iter().map(|column| above.value(column)).collect();
    let queued =
        format!("SELECT DISTINCT {columns} FROM {} WHERE {}", shape.queue(above), Shape::within(&found, &select));
    session.execute(&format!("{into} {queued}"), &[]).await?;
    Ok(())
}

/// All versions of what the touched versions of the source join to.
async fn descend(session: &mut dyn Session, shape: &Shape<'_>, at: usize, table: &Tracked) -> Result<(), Fault> {
    let columns = [table.match_names(), table.value_names()].concat().join(", ");
    let into = format!("INSERT INTO {} ({columns})", versions(shape, at));
    let Some(parent) = &table.parent else {
        session.execute(&format!("{into} SELECT DISTINCT {columns} FROM {}", touched(shape, at)), &[]).await?;
        return Ok(());
    };
    let above = &shape.tracked[parent.at];
    let found: Vec<String> = parent.columns.iter().map(|column| above.value(column)).collect();
    let select = format!("SELECT {} FROM {}", found.join(", "), versions(shape, parent.at));
    session.execute(&format!("{into} {}", current(table, &select, &quoted(&table.matches))), &[]).await?;
    let queued = format!(
        "SELECT DISTINCT {columns} FROM {} WHERE {}",
        shape.queue(table),
        Shape::within(&table.match_names(), &select)
    );
    session.execute(&format!("{into} {queued}"), &[]).await?;
    Ok(())
}

/// The cells of all joined versions.
fn found(shape: &Shape<'_>) -> String {
    let alias = |at: usize| format!("r{at}");
    let at_of = |name: &crate::declare::Ident| {
        let at = shape.tracked.iter().position(|table| table.alias == *name);
        at.expect("invariant: the declaration was checked")
    };
    let event_time = format!("r0.{}", shape.tracked[0].value(&shape.declaration.event_time));
    let keys = shape.declaration.keys.values().map(|column| {
        let at = at_of(&column.table);
        format!("{}.{}", alias(at), shape.tracked[at].value(&column.column))
    });
    let select: Vec<String> = [shape.bucket(&event_time)].into_iter().chain(keys).collect();
    let mut from = format!("{} AS r0", versions(shape, 0));
    for (at, table) in shape.tracked.iter().enumerate() {
        let Some(parent) = &table.parent else { continue };
        let above = &shape.tracked[parent.at];
        let on = table.match_names().into_iter().zip(&parent.columns);
        let on: Vec<String> =
            on.map(|(own, its)| format!("r{at}.{own} = r{}.{}", parent.at, above.value(its))).collect();
        let join = if table.optional { "LEFT JOIN" } else { "JOIN" };
        from.push_str(&format!("\n{join} {} AS r{at} ON {}", versions(shape, at), on.join(" AND ")));
    }
    format!(
        "INSERT INTO {} ({})\nSELECT DISTINCT {}\nFROM {from}\nWHERE {} IS NOT NULL",
        cells(shape),
        shape.cell_columns().join(", "),
        select.join(", "),
        shape.bucket(&event_time)
    )
}
