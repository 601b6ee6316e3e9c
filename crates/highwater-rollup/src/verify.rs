//! Verifying: every live cell of the target against a fresh grouping of the raw rows, under one snapshot. Owns what counts as
//! wrong, a cell that the queues know to be out of date being pending; and that repairing queues just what is wrong.

mod scope;

use highwater_db::session::{Fault, Session, Value};
use jiff::Timestamp;

use crate::declare::{Aggregate, Declaration};
use crate::sql::Shape;
use crate::state::State;
use crate::{bypass, drain, freeze, recompute, state};

pub use scope::{SAMPLE_BUCKETS_MAX, Scope, sample};

/// Cells that are told at most; more are counted.
pub const TOLD_CELLS_MAX: i64 = 100;

/// What is wrong with a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The raw rows yield it, and the target has it not.
    Missing,
    /// The target has it, and no raw row yields it.
    Extra,
    /// Its values are not those that the raw rows yield.
    Different,
}

/// One cell that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What is wrong.
    pub wrong: Wrong,
    /// How often the target has it.
    pub times: u64,
    /// Its bucket and its keys, as text.
    pub cell: Vec<Value>,
    /// What the target holds and what it should, of each column that holds values, as text.
    pub values: Vec<(Value, Value)>,
}

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verified {
    /// Cells that the raw rows yield, of those that were compared.
    pub cells: u64,
    /// Cells that are frozen, and were not compared.
    pub frozen: u64,
    /// Where what is frozen ends.
    pub frozen_before: Option<Timestamp>,
    /// Cells that are wrong, and that no queue knows of.
    pub wrong: u64,
    /// Cells that are out of date and queued: the next drain mends them.
    pub pending: u64,
    /// The first of those that are wrong.
    pub findings: Vec<Finding>,
    /// Entries that are queued and below the watermark, which says that there are none.
    pub stranded: u64,
    /// The watermark, where it is later than the bound.
    pub ahead: Option<Timestamp>,
    /// Whether the row that holds the watermark is missing.
    pub stateless: bool,
    /// When it was seeded, where no watermark was stamped since, or somebody took it away.
    pub unstamped: Option<Timestamp>,
    /// Where the seed began and the earliest event, which is before that: those buckets were never computed.
    pub unseeded: Option<(Timestamp, Timestamp)>,
    /// Rows whose time is in no bucket, where all buckets were looked at.
    pub unplaced: u64,
}

impl Verified {
    /// Whether there is nothing to mend.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.wrong == 0
            && self.stranded == 0
            && self.ahead.is_none()
            && !self.stateless
            && self.unstamped.is_none()
            && self.unseeded.is_none()
    }
}

/// Compares every live cell of a scope, in the transaction that is open, and the watermark with the queues and, where there is one, with the
/// bound that was read before.
///
/// # Errors
/// [`Fault`].
pub async fn verify(
    session: &mut dyn Session,
    declaration: &Declaration,
    bound: Option<Timestamp>,
    asked: &Scope,
) -> Result<Verified, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    let frozen = freeze::limit(session, declaration).await?;
    let scope = asked.live(frozen);
    drain::pending(session, &shape, frozen).await?;
    let number = |value: &Value| value.int().and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
    let mut verified = Verified { frozen_before: frozen, ..Verified::default() };
    if let Some(frozen) = frozen {
        let before = Scope { until: Some(frozen), ..Scope::all() }.stored(&shape);
        let sql = format!("SELECT count(*) FROM {} WHERE {before}", declaration.target.quoted());
        verified.frozen = session.first(&sql, &[]).await?.map_or(0, |row| number(&row[0]));
    }
    let sql = format!("SELECT count(*) FROM ({}) AS fresh", scope.fresh(&shape));
    let in_words = |fault| recompute::in_words(&shape, fault);
    verified.cells = session.first(&sql, &[]).await.map_err(in_words)?.map_or(0, |row| number(&row[0]));
    let pending = is_pending(&shape);
    let sql = format!(
        "SELECT count(*), sum(CASE WHEN {pending} THEN 1 ELSE 0 END) FROM ({}) AS d",
        differing(&shape, &scope)
    );
    if let Some(row) = session.first(&sql, &[]).await.map_err(in_words)? {
        verified.pending = number(&row[1]);
        verified.wrong = number(&row[0]) - verified.pending;
    }
    if verified.wrong > 0 {
        let sql = told(&shape, &scope);
        for row in session.query(&sql, &[Value::Int(TOLD_CELLS_MAX)]).await? {
            verified.findings.push(finding(declaration, row));
        }
    }
    if asked.is_all() {
        verified.unplaced = recompute::unplaced(session, declaration).await?;
    }
    let state = state::read(session, declaration).await?;
    verified.stateless = state.is_none();
    if let Some(state) = &state {
        verified.unstamped = state.seeded_at.filter(|_| state.watermark.is_none());
        verified.unseeded = unseeded(session, &shape, state, asked).await?;
    }
    if let Some(watermark) = state.and_then(|state| state.watermark) {
        for table in &shape.tracked {
            let sql = format!("SELECT count(*) FROM {} WHERE changed_at < {}", shape.queue(table), shape.time(1));
            let row = session.first(&sql, &[drain::written(&shape, watermark)]).await?;
            verified.stranded += row.map_or(0, |row| number(&row[0]));
        }
        verified.ahead = bound.filter(|bound| watermark > *bound).map(|_| watermark);
    }
    Ok(verified)
}

/// Where the seed began and the earliest event, if a scope has buckets that no seed has reached: frozen or not, they were never computed.
async fn unseeded(
    session: &mut dyn Session,
    shape: &Shape<'_>,
    state: &State,
    scope: &Scope,
) -> Result<Option<(Timestamp, Timestamp)>, Fault> {
    let Some(begun) = state.seeded_from.filter(|begun| scope.since.is_none_or(|since| since < *begun)) else {
        return Ok(None);
    };
    let extent = recompute::extent(session, shape.declaration).await?;
    Ok(extent.map(|extent| extent.from).filter(|first| *first < begun).map(|first| (begun, first)))
}

/// How many cells of a scope are wrong and not queued. Needs that the working table of cells holds those that are.
pub(crate) async fn unqueued(session: &mut dyn Session, shape: &Shape<'_>, scope: &Scope) -> Result<u64, Fault> {
    let sql = format!("SELECT count(*) FROM ({}) AS d WHERE NOT {}", differing(shape, scope), is_pending(shape));
    let row = session.first(&sql, &[]).await?;
    Ok(row.and_then(|row| row[0].int()).and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

/// What is done with cells whose raw rows are all gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// They stay: the raw rows may have been deleted on purpose, and the cells are all that is left of them.
    Keep,
    /// They are removed.
    Remove,
}

/// What was set right, or will be by the next drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Cells that were queued.
    pub cells: u64,
    /// Whether the watermark was moved back to the bound.
    pub pulled_back: bool,
}

/// Queues exactly the live cells of a scope that are wrong, in the transaction that is open, and moves a watermark that is ahead back to the
/// bound. Entries that are stranded need nothing: the next drain takes them.
///
/// # Errors
/// [`Fault`].
pub async fn repair(
    session: &mut dyn Session,
    declaration: &Declaration,
    bound: Option<Timestamp>,
    gone: Gone,
    scope: &Scope,
) -> Result<Repaired, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    let frozen = freeze::limit(session, declaration).await?;
    drain::pending(session, &shape, frozen).await?;
    // What no seed has reached is a seed's, in slices: it may be years of buckets.
    let unseeded = state::read(session, declaration).await?.and_then(|state| state.seeded_from);
    let copies = shape.repair_columns().join(", ");
    let which = match gone {
        Gone::Keep => " AND fresh > 0",
        Gone::Remove => "",
    };
    let sql = format!(
        "INSERT INTO {} ({copies})\nSELECT {copies} FROM ({}) AS d WHERE NOT {}{which}",
        shape.repairs(),
        differing(&shape, &scope.live(frozen.max(unseeded))),
        is_pending(&shape)
    );
    let cells = session.execute(&sql, &[]).await?;
    if scope.is_all() {
        // What went past the triggers is in what was found: it was told, and is queued or stays on purpose.
        bypass::forget(session, declaration).await?;
    }
    let pulled_back = match bound {
        Some(bound) => state::pull_back(session, declaration, bound).await?,
        None => false,
    };
    Ok(Repaired { cells, pulled_back })
}

fn finding(declaration: &Declaration, row: Vec<Value>) -> Finding {
    let keys = declaration.keys.len() + 1;
    let wrong = match (row[keys].int(), row[keys + 1].int()) {
        (Some(0), _) => Wrong::Missing,
        (_, Some(0)) => Wrong::Extra,
        _ => Wrong::Different,
    };
    let values = row[keys + 2..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    let times = row[keys].int().and_then(|times| u64::try_from(times).ok()).unwrap_or(0);
    Finding { wrong, times, cell: row[..keys].to_vec(), values }
}

/// Whether a differing cell is queued.
fn is_pending(shape: &Shape<'_>) -> String {
    let cells = shape.cell_columns().into_iter().zip(shape.repair_columns());
    let same: Vec<String> =
        cells.map(|(column, copy)| shape.same(&format!("p.{column}"), &format!("d.{copy}"))).collect();
    format!("EXISTS (SELECT 1 FROM {} AS p WHERE p.bucket = d.c0 AND {})", drain::cells(shape), same.join(" AND "))
}

/// The first of the wrong cells, for people.
fn told(shape: &Shape<'_>, scope: &Scope) -> String {
    let cells = shape.repair_columns().into_iter().map(|column| shape.text(&column));
    let values = (0..shape.declaration.value_columns().len())
        .flat_map(|at| [shape.text(&format!("s{at}")), shape.text(&format!("f{at}"))]);
    let select: Vec<String> = cells.chain(["stored".to_owned(), "fresh".to_owned()]).chain(values).collect();
    format!(
        "SELECT {}\nFROM ({}) AS d\nWHERE NOT {}\nORDER BY {} LIMIT {}",
        select.join(", "),
        differing(shape, scope),
        is_pending(shape),
        shape.repair_columns().join(", "),
        shape.number(1)
    )
}

/// Cells in which stored and fresh differ: `c0`… are the cell, `stored` and `fresh` say how often it is on either side, and
/// `s0`, `f0`… are its values there. Both sides are stacked and grouped, since grouping takes NULL for equal to NULL, and a
/// full join by IS NOT DISTINCT FROM is none that PostgreSQL has. Columns are numbered, since the target's may have any name.
fn differing(shape: &Shape<'_>, scope: &Scope) -> String {
    let cells = shape.repair_columns();
    let values: Vec<String> = (0..shape.declaration.value_columns().len()).map(|at| format!("v{at}")).collect();
    let numbered: Vec<String> = shape
        .target_columns()
        .iter()
        .zip(cells.iter().chain(&values))
        .map(|(column, number)| format!("{column} AS {number}"))
        .collect();
    let numbered = numbered.join(", ");
    let of = |name: &str, stored: u8| format!("max(CASE WHEN stored = {stored} THEN {name} END)");
    let exact = is_exact(shape.declaration);
    let differ: Vec<String> =
        values.iter().zip(exact).map(|(name, is_exact)| shape.apart(&of(name, 1), &of(name, 0), is_exact)).collect();
    let shown =
        values.iter().enumerate().map(|(at, name)| format!("{} AS s{at}, {} AS f{at}", of(name, 1), of(name, 0)));
    let counts = ["sum(stored) AS stored", "sum(1 - stored) AS fresh"].map(str::to_owned);
    let select: Vec<String> = cells.iter().cloned().chain(counts).chain(shown).collect();
    format!(
        "SELECT {}\nFROM (SELECT {numbered}, 1 AS stored FROM {} WHERE {}\n      UNION ALL\n      SELECT {numbered}, 0 FROM ({}) AS f) AS stacked\n\
         GROUP BY {}\nHAVING sum(stored) <> 1 OR sum(1 - stored) <> 1 OR {}",
        select.join(", "),
        shape.declaration.target.quoted(),
        scope.stored(shape),
        scope.fresh(shape),
        cells.join(", "),
        differ.join(" OR ")
    )
}

/// Of each value column, whether it is compared to the last digit: sums of inexact numbers depend on the order of their terms.
fn is_exact(declaration: &Declaration) -> Vec<bool> {
    let exact = declaration.aggregates.values().flat_map(|aggregate| match aggregate {
        Aggregate::Sum(_) => vec![false],
        Aggregate::Avg(_) => vec![false, true],
        _ => vec![true],
    });
    exact.collect()
}
