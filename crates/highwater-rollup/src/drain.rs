//! The drain: from what changed to which cells are to be computed anew. Owns the derivation, which is done under the drain's
//! own snapshot and yields too many cells rather than too few: a cell that is computed without need comes out as it was.
//!
//! Where a row was counted last depends on how it was then, and on how what it joined to was then. Each of those that changed
//! since has its old columns in a queue; each that did not is as it is now. So every cell that may be wrong is found by joining
//! all **versions** of the rows, those that are and those that are queued, as long as one of them is queued.

use highwater_db::session::{Dialect, Fault, Session, Value};
use jiff::Timestamp;

mod derive;

use crate::declare::Declaration;
use crate::freeze;
use crate::recompute;
use crate::sql::Shape;
use derive::{reached, touched, versions};

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
    /// Rows of frozen buckets that came or changed: the rollup does not tell of that.
    pub late: u64,
}

/// A statement over one hour and one over a year are planned each by its own values. And none is compiled: that takes a third of
/// a second, many times what a drain takes.
const PLANNED_BY_VALUES: &str = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off";

/// Makes the working tables of this session, in the transaction that is open, as far as what was taken needs them: a session that
/// finds nothing due makes none.
async fn prepare(session: &mut dyn Session, shape: &Shape<'_>, queues: &[Taken]) -> Result<(), Fault> {
    let mut statements = Vec::new();
    match shape.dialect {
        Dialect::Postgres => statements.push(PLANNED_BY_VALUES.to_owned()),
        Dialect::Sqlite => statements.extend(of_versions(shape, queues)),
    }
    let copy = format!("SELECT {} FROM {}", shape.cell_columns().join(", "), shape.declaration.target.quoted());
    statements.push(working(shape, &cells(shape), &copy));
    statements.push(format!("DELETE FROM {}", cells(shape)));
    if shape.dialect == Dialect::Sqlite {
        // Each row of the buckets asks whether its cell is among them; without an index SQLite looks at all of them, each time.
        let index = shape.working("cells_by_bucket");
        let on = cells(shape).trim_start_matches("temp.").to_owned();
        statements.push(format!("CREATE INDEX IF NOT EXISTS {index} ON {on} (bucket)"));
    }
    session.batch(&statements.join(";\n")).await
}

/// Those of versions, which PostgreSQL derives within one statement.
fn of_versions(shape: &Shape<'_>, queues: &[Taken]) -> Vec<String> {
    let mut statements = Vec::new();
    let reached = reached(shape, queues);
    for (at, table) in shape.tracked.iter().enumerate() {
        let columns = [table.match_names(), table.value_names()].concat().join(", ");
        let copy = format!("SELECT {columns} FROM {}", shape.queue(table));
        for name in reached[at].then(|| touched(shape, at)).into_iter().chain([versions(shape, at)]) {
            statements.push(working(shape, &name, &copy));
            statements.push(format!("DELETE FROM {name}"));
        }
    }
    statements
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

/// The working table of cells to be computed anew.
pub(crate) fn cells(shape: &Shape<'_>) -> String {
    shape.working("cells")
}

/// Takes what is due from the queues, finds its cells and computes them anew, in the transaction that is
/// open. What came in meanwhile, and what is not due yet, stays queued. What is about frozen buckets is taken and has no
/// effect.
///
/// # Errors
/// [`Fault`].
pub async fn drain(session: &mut dyn Session, declaration: &Declaration, due: Due) -> Result<Drained, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    let frozen = freeze::advance(session, declaration).await?;
    let taken = take_and_derive(session, &shape, due, frozen, false).await?;
    if taken.is_empty() {
        return Ok(Drained::default());
    }
    let computed = recompute::cells(session, &shape, &cells(&shape)).await?;
    let mut drained = Drained { cells: computed, late: taken.late, ..Drained::default() };
    for (queue, taken) in queues(&shape).iter().zip(&taken.queues) {
        drained.more |= taken.more;
        drained.entries += taken.entries;
        if taken.entries > 0 {
            let (condition, values) = taken.condition(&shape);
            session.execute(&format!("DELETE FROM {queue} WHERE {condition}"), &values).await?;
        }
    }
    Ok(drained)
}

/// Fills the working table of cells with all live ones that any entry is about, and takes none.
pub(crate) async fn pending(
    session: &mut dyn Session,
    shape: &Shape<'_>,
    frozen: Option<Timestamp>,
) -> Result<(), Fault> {
    let all = Due { before: None, entries_max: u32::MAX };
    take_and_derive(session, shape, all, frozen, true).await.map(drop)
}

/// The queues of what changed, in the order of the tracked tables, and the queue of cells that are to be repaired.
fn queues(shape: &Shape<'_>) -> Vec<String> {
    let changed = shape.tracked.iter().map(|table| shape.queue(table));
    changed.chain([shape.repairs()]).collect()
}

/// Fills the working table of cells with what the entries that are due are about, of cells before `frozen` with none; where there
/// are no entries, the table is there only if it `always` has to be.
async fn take_and_derive(
    session: &mut dyn Session,
    shape: &Shape<'_>,
    due: Due,
    frozen: Option<Timestamp>,
    always: bool,
) -> Result<AllTaken, Fault> {
    let (queues, repairs) = take(session, shape, due).await?;
    let mut taken = AllTaken { queues, late: 0 };
    if taken.is_empty() && repairs.entries == 0 && !always {
        taken.queues.push(repairs);
        return Ok(taken);
    }
    prepare(session, shape, &taken.queues).await?;
    if repairs.entries > 0 {
        let (condition, values) = repairs.condition(shape);
        let copies = shape.repair_columns().join(", ");
        let copy = format!(
            "INSERT INTO {} ({}) SELECT DISTINCT {copies} FROM {} WHERE {condition}",
            cells(shape),
            shape.cell_columns().join(", "),
            shape.repairs()
        );
        session.execute(&copy, &values).await?;
    }
    if !taken.is_empty() {
        derive::derive(session, shape, &taken.queues, frozen).await?;
    }
    if let Some(frozen) = frozen {
        let drop = format!("DELETE FROM {} WHERE bucket < {}", cells(shape), shape.instant(frozen));
        session.execute(&drop, &[]).await?;
        taken.late = derive::late(session, shape, &taken.queues[0], frozen).await?;
    }
    taken.queues.push(repairs);
    Ok(taken)
}

/// What was taken from each queue.
struct AllTaken {
    queues: Vec<Taken>,
    /// Rows of frozen buckets that entries of the source are about.
    late: u64,
}

impl AllTaken {
    fn is_empty(&self) -> bool {
        self.queues.iter().all(|taken| taken.entries == 0)
    }
}

/// Entries that are taken: those up to an id that are due.
struct Taken {
    entries: u64,
    last: i64,
    before: Option<Timestamp>,
    more: bool,
    /// Whether the queue holds anything at all, due or not.
    holds_any: bool,
}

impl Taken {
    fn condition(&self, shape: &Shape<'_>) -> (String, Vec<Value>) {
        self.condition_from(shape, 0)
    }

    /// The same, after so many other places.
    fn condition_from(&self, shape: &Shape<'_>, places: usize) -> (String, Vec<Value>) {
        let mut condition = format!("id <= {}", shape.number(places + 1));
        let mut values = vec![Value::Int(self.last)];
        if let Some(before) = self.before {
            condition.push_str(&format!(" AND changed_at < {}", shape.time(places + 2)));
            values.push(written(shape, before));
        }
        (condition, values)
    }
}

/// A time as it is compared with `changed_at`.
pub(crate) fn written(shape: &Shape<'_>, time: Timestamp) -> Value {
    match shape.dialect {
        Dialect::Postgres => Value::from(format!("{time:.6}")),
        // As the queue's own default writes it, for it is text that is compared.
        Dialect::Sqlite => Value::from(format!("{time:.3}")),
    }
}

/// What is due of all queues of what changed, in their order, and of the cells that are to be repaired, which say nothing of a
/// time; by one statement.
async fn take(session: &mut dyn Session, shape: &Shape<'_>, due: Due) -> Result<(Vec<Taken>, Taken), Fault> {
    let Due { before, entries_max } = due;
    let mut values: Vec<Value> = before.iter().map(|before| written(shape, *before)).collect();
    let condition = before.map(|_| format!("WHERE changed_at < {}", shape.time(1))).unwrap_or_default();
    values.push(Value::Int(entries_max.into()));
    let limit = shape.number(values.len());
    let queues = queues(shape);
    let of_repairs = queues.len() - 1;
    let each = queues.iter().enumerate().map(|(at, queue)| {
        let condition = if at == of_repairs { "" } else { condition.as_str() };
        format!(
            "SELECT count(*), max(id), EXISTS (SELECT 1 FROM {queue}), {at} AS at\n\
             FROM (SELECT id FROM {queue} {condition} ORDER BY id LIMIT {limit}) AS due"
        )
    });
    let sql = format!("{}\nORDER BY at", each.collect::<Vec<_>>().join("\nUNION ALL\n"));
    let rows = session.query(&sql, &values).await?;
    let mut all: Vec<Taken> = rows
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let entries = row[0].int().and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
            Taken {
                entries,
                last: row[1].int().unwrap_or(0),
                before: before.filter(|_| at != of_repairs),
                more: entries == u64::from(entries_max),
                holds_any: row[2].int() != Some(0),
            }
        })
        .collect();
    let repairs = all.pop().expect("invariant: an aggregate yields a row, of every queue");
    Ok((all, repairs))
}
