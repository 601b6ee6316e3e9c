//! Verifying: every cell of the target against a fresh grouping of the raw rows, under one snapshot. Owns what counts as
//! wrong: a cell that the queues know to be out of date is pending, not wrong.

use highwater_db::session::{Fault, Session, Value};

use crate::declare::{Aggregate, Declaration};
use crate::sql::Shape;

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
    /// Its bucket and its keys, as text.
    pub cell: Vec<Value>,
    /// What the target holds and what it should, of each column that holds values, as text.
    pub values: Vec<(Value, Value)>,
}

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verified {
    /// Cells that the raw rows yield.
    pub cells: u64,
    /// Cells that are wrong.
    pub wrong: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
}

/// Compares every cell, in the transaction that is open. Call it after a drain of everything in the same transaction, or cells
/// that are only pending are told as wrong.
///
/// # Errors
/// [`Fault`].
pub async fn compare(session: &mut dyn Session, declaration: &Declaration) -> Result<Verified, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    let counted = format!("SELECT count(*) FROM ({}) AS fresh", shape.fresh("", "true"));
    let counted = session.first(&counted, &[]).await?;
    let wrong = session.first(&format!("SELECT count(*) FROM ({}) AS wrong", differing(&shape)), &[]).await?;
    let count = |row: Option<Vec<Value>>| row.and_then(|row| row[0].int()).and_then(|n| u64::try_from(n).ok());
    let (cells, wrong) = (count(counted).unwrap_or(0), count(wrong).unwrap_or(0));
    let mut findings = Vec::new();
    if wrong > 0 {
        let sql = format!("{}\nORDER BY 1 LIMIT {}", differing(&shape), shape.number(1));
        for row in session.query(&sql, &[Value::Int(TOLD_CELLS_MAX)]).await? {
            findings.push(finding(declaration, row));
        }
    }
    Ok(Verified { cells, wrong, findings })
}

fn finding(declaration: &Declaration, row: Vec<Value>) -> Finding {
    let keys = declaration.keys.len() + 1;
    let wrong = match (row[keys].int(), row[keys + 1].int()) {
        (Some(0), _) => Wrong::Missing,
        (_, Some(0)) => Wrong::Extra,
        _ => Wrong::Different,
    };
    let values = row[keys + 2..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    Finding { wrong, cell: row[..keys].to_vec(), values }
}

/// Cells in which stored and fresh differ. Both sides are stacked and grouped, since grouping takes NULL for equal to NULL,
/// and a full join by IS NOT DISTINCT FROM is none that PostgreSQL has.
fn differing(shape: &Shape<'_>) -> String {
    let (target, columns) = (shape.declaration.target.quoted(), shape.target_columns().join(", "));
    let cells = shape.cell_columns();
    let names: Vec<String> = shape.declaration.value_columns().iter().map(|name| format!("\"{name}\"")).collect();
    let of = |name: &str, stored: u8| format!("max(CASE WHEN stored = {stored} THEN {name} END)");
    let differ: Vec<String> = names
        .iter()
        .zip(is_exact(shape.declaration))
        .map(|(name, is_exact)| shape.apart(&of(name, 1), &of(name, 0), is_exact))
        .collect();
    let shown = cells.iter().map(|column| shape.text(column));
    let values = names.iter().flat_map(|name| [shape.text(&of(name, 1)), shape.text(&of(name, 0))]);
    let counts = ["sum(stored)", "sum(1 - stored)"];
    let select: Vec<String> = shown.chain(counts.map(str::to_owned)).chain(values).collect();
    format!(
        "SELECT {}\nFROM (SELECT {columns}, 1 AS stored FROM {target}\n      UNION ALL\n      SELECT {columns}, 0 FROM ({}) AS f) AS stacked\n\
         GROUP BY {}\nHAVING sum(stored) <> 1 OR sum(1 - stored) <> 1 OR {}",
        select.join(", "),
        shape.fresh("", "true"),
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
