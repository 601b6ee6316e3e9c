//! What is shown of a few keys: for each a figure a bucket, for those with the largest ones alone, and one for all others. Owns
//! which buckets are complete, and that what cannot be added up is not.

use serde::{Serialize, Serializer};

use super::buckets::{Buckets, POINTS_MAX};
use super::cells::{Cell, Rows};
use super::number::Number;
use super::standing::Standing;
use super::{Kind, Question, Refused};
use highwater_db::session::Session;

/// What tells a series from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Nothing: it is everything.
    All,
    /// A value of the key.
    Value(String),
    /// NULL.
    Null,
    /// So many values that are not shown one by one.
    Others(u64),
}

/// A figure of a bucket; `None` where nothing is known.
pub type Point = Option<Number>;

/// One row of a table, one line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is of.
    pub key: Key,
    /// Over all buckets; `None` where nothing is known, or nothing may be added up.
    pub total: Point,
    /// A figure a bucket.
    pub points: Vec<Point>,
}

/// An answer for a table or a chart.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The buckets.
    pub buckets: Buckets,
    /// How many of them, from the first on, are complete.
    pub complete: usize,
    /// The largest first; what stands for all others is the last.
    pub series: Vec<Series>,
    /// Over all series; `None` where there is no cell, or nothing may be added up.
    pub total: Point,
    /// Keys that are neither shown nor summed, since they cannot be added up.
    pub left_out: u64,
}

impl Series {
    /// The smallest and the largest figure of the first `complete` buckets.
    #[must_use]
    pub fn range(&self, complete: usize) -> Option<(&Number, &Number)> {
        let known = || self.points[..complete].iter().flatten();
        let least = known().min_by(|left, right| left.compare(right))?;
        Some((least, known().max_by(|left, right| left.compare(right))?))
    }
}

/// Answers for a table or a chart, in the transaction that is open.
///
/// # Errors
/// [`Refused`].
pub async fn series(session: &mut dyn Session, question: &Question<'_>, standing: &Standing) -> Result<Shown, Refused> {
    let buckets = question.buckets(POINTS_MAX)?;
    let (ranks, keys) = question.largest(session, buckets.since(), buckets.until()).await?;
    let (kind, count) = (question.kind, buckets.count());
    let mut cells = vec![vec![Cell::default(); count]; ranks.len() + 1];
    // Without a key there is no cell.
    let found = match ranks.as_slice() {
        [] => Vec::new(),
        ranks => question.cells(session, buckets.edges(), Rows::Ranks(ranks)).await?,
    };
    for found in found {
        let rank = found.key.and_then(|rank| rank.parse::<usize>().ok()).unwrap_or(ranks.len());
        cells[rank.min(ranks.len())][found.bucket].add(kind, &found.cell);
    }
    let others = cells.pop().expect("invariant: it was put there");
    if kind == Kind::Distinct {
        question.refuse_several(cells.iter().flatten())?;
    }
    let left = keys.saturating_sub(ranks.len() as u64);
    let mut whole = Cell::default();
    cells.iter().flatten().chain(&others).for_each(|cell| whole.add(kind, cell));
    let key = |rank: Option<String>| match (question.by.is_some(), rank) {
        (false, _) => Key::All,
        (true, Some(value)) => Key::Value(value),
        (true, None) => Key::Null,
    };
    let mut series: Vec<Series> =
        ranks.into_iter().zip(&cells).map(|(rank, cells)| one(kind, key(rank), cells)).collect();
    if left > 0 && kind != Kind::Distinct {
        series.push(one(kind, Key::Others(left), &others));
    }
    let left_out = if kind == Kind::Distinct { left } else { 0 };
    let total = if kind == Kind::Distinct { None } else { whole.figure(kind) };
    let complete = buckets.complete(standing.complete_until());
    Ok(Shown { buckets, complete, series, total, left_out })
}

fn one(kind: Kind, key: Key, cells: &[Cell]) -> Series {
    let mut whole = Cell::default();
    cells.iter().for_each(|cell| whole.add(kind, cell));
    let total = if kind == Kind::Distinct { None } else { whole.figure(kind) };
    let point = |cell: &Cell| match cell.figure(kind) {
        None if kind.is_zero_without_cells() && cell.cells == 0 => Some(Number::zero()),
        figure => figure,
    };
    Series { key, total, points: cells.iter().map(point).collect() }
}

impl Question<'_> {
    /// Refuses a count of different values in a shown cell that is several cells of the target.
    pub(super) fn refuse_several<'c>(&self, cells: impl Iterator<Item = &'c Cell>) -> Result<(), Refused> {
        let most = cells.map(|cell| cell.cells).max().unwrap_or(0);
        if most <= 1 {
            return Ok(());
        }
        let what = match &self.by {
            Some(by) => format!("a bucket of one `{by}` is {most} cells of the rollup"),
            None => format!("a bucket is {most} cells of the rollup"),
        };
        Err(Refused::Distinct { value: self.value.to_string(), what })
    }
}

/// As text, so that a program reads every digit.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
