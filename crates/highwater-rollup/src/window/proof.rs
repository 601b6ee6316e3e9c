//! Verifying a window of somebody's own: what it computes now from the raw rows, against what its target holds. Owns that a proof
//! leaves nothing behind unless it is to repair.
//!
//! Nobody but the window knows how its buckets are made, so the window itself is run again over all that the watermark says is
//! done, slice by slice, each in a transaction that is rolled back once the target was compared with what it held before. That
//! finds what the pipeline passed over: rows that were committed late, stamped by another clock, or changed past its queue. It
//! does not prove the window's own SQL, nor find a row of the target that the window never looks at.

use std::collections::{BTreeMap, BTreeSet};

use highwater_db::session::{Dialect, Fault, FaultKind, Session, Value};
use jiff::{SignedDuration, Timestamp};

use super::Window;
use crate::declare::TableName;
use crate::recompute::Span;
use crate::verify::{Finding, TOLD_CELLS_MAX, Verified, Wrong};

/// Rows that one slice may differ in, and a whole proof; who finds more stops there.
pub const ROWS_DIFFERING_MAX: usize = 10_000;
/// A slice that a time-out cuts off is halved down to this, in seconds.
const SLICE_SECS_MIN: i64 = 60;
/// What the target held, in a table of the session alone.
fn stored(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "pg_temp.highwater_stored",
        Dialect::Sqlite => "temp.highwater_stored",
    }
}

/// What a proof of a window found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proved {
    /// The rows of the target, and what is wrong with them.
    pub verified: Verified,
    /// Rows that the window says it touched.
    pub touched: u64,
    /// Slices whose rows were kept, since something in them was wrong.
    pub repaired: u64,
    /// Whether it stopped at the most rows that it tells.
    pub is_cut: bool,
}

/// Why nothing was proved.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The database refused, or is gone.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A column that is not to be compared is none of the target's.
    #[error("`target-ignores` names {column}, and {table} has no such column")]
    NoColumn {
        /// The column.
        column: String,
        /// The target.
        table: String,
    },
    /// There is no such table.
    #[error("there is no table {table}")]
    NoTarget {
        /// The target.
        table: String,
    },
}

/// Runs a window over slices of a time that is done, and compares its target each time. On the session that holds the lock, which
/// has no transaction open. With `repair`, slices with wrong rows are kept.
///
/// # Errors
/// [`ProofError`]; the slice in hand is undone then.
pub async fn prove(
    session: &mut dyn Session,
    window: &Window,
    target: &TableName,
    slices: impl Iterator<Item = Span>,
    repair: bool,
) -> Result<Proved, ProofError> {
    let columns = Columns::read(session, window, target).await?;
    let mut proof =
        Proof { window, target, columns, pending: BTreeSet::new(), seen: BTreeSet::new(), found: Vec::new() };
    let done = proof.walk(session, slices, repair).await;
    session.rollback().await.ok();
    let stored = stored(session.dialect());
    session.batch(&format!("DROP TABLE IF EXISTS {stored}")).await.ok();
    done
}

/// The columns of a target that are compared.
struct Columns {
    /// All of them, as SQL quotes them.
    all: Vec<Column>,
    /// How many of them, the first ones, tell its rows apart; all where nothing says which do.
    keys: usize,
}

struct Column {
    name: String,
    /// Sums of such numbers depend on the order of their terms.
    is_inexact: bool,
    /// It has no equality of its own.
    is_opaque: bool,
}

impl Columns {
    async fn read(session: &mut dyn Session, window: &Window, target: &TableName) -> Result<Self, ProofError> {
        let (sql, name) = match session.dialect() {
            Dialect::Postgres => (include_str!("columns_postgres.sql"), target.quoted()),
            Dialect::Sqlite => (include_str!("columns_sqlite.sql"), target.table().to_string()),
        };
        let rows = session.query(sql, &[Value::from(name)]).await?;
        if rows.is_empty() {
            return Err(ProofError::NoTarget { table: target.to_string() });
        }
        let text = |value: &Value| value.text().unwrap_or_default().to_owned();
        let is_ignored = |name: &str| window.target_ignores.iter().any(|ignored| ignored.as_str() == name);
        if let Some(column) =
            window.target_ignores.iter().find(|ignored| rows.iter().all(|row| text(&row[0]) != ignored.as_str()))
        {
            return Err(ProofError::NoColumn { column: column.to_string(), table: target.to_string() });
        }
        let column = |row: &Vec<Value>| {
            let of_type = text(&row[1]).to_ascii_lowercase();
            Column {
                name: text(&row[0]),
                is_inexact: ["real", "double", "float", "doub", "floa"].iter().any(|kind| of_type.contains(kind)),
                is_opaque: ["json", "xml", "point", "box"].contains(&of_type.as_str()),
            }
        };
        let compared: Vec<&Vec<Value>> = rows.iter().filter(|row| !is_ignored(&text(&row[0]))).collect();
        let (keys, others): (Vec<&&Vec<Value>>, Vec<&&Vec<Value>>) =
            compared.iter().partition(|row| row[2].int() == Some(1));
        let count = if keys.is_empty() { compared.len() } else { keys.len() };
        let all = keys.into_iter().chain(others).map(|row| column(row)).collect();
        Ok(Self { all, keys: count })
    }

    /// A list of them under numbers: the target's may have any name.
    fn numbered(&self, dialect: Dialect) -> String {
        let each = self.all.iter().enumerate().map(|(at, column)| {
            let name = format!("\"{}\"", column.name.replace('"', "\"\""));
            let cast = if column.is_opaque && dialect == Dialect::Postgres { "::text" } else { "" };
            format!("{name}{cast} AS c{at}")
        });
        each.collect::<Vec<_>>().join(", ")
    }

    fn numbers(&self) -> Vec<String> {
        (0..self.all.len()).map(|at| format!("c{at}")).collect()
    }
}

/// A row of the target, each column as text.
type Told = Vec<Option<String>>;
/// A row that the window would put there (false), or take away (true), and what it is.
type Difference = (bool, Told);
/// A row as the target holds it, and as the window leaves it.
type Sides<'r> = (Option<&'r Told>, Option<&'r Told>);

struct Proof<'w> {
    window: &'w Window,
    target: &'w TableName,
    columns: Columns,
    /// What the pipeline's own queue knows of: the next tick mends it.
    pending: BTreeSet<Difference>,
    seen: BTreeSet<Difference>,
    found: Vec<Difference>,
}

impl Proof<'_> {
    async fn walk(
        &mut self,
        session: &mut dyn Session,
        slices: impl Iterator<Item = Span>,
        repair: bool,
    ) -> Result<Proved, ProofError> {
        let mut proved = Proved::default();
        proved.verified.cells = self.store(session).await?;
        let mut slices = slices.peekable();
        if let Some(first) = slices.peek() {
            // Between a time and itself there is nothing but what is queued.
            let (_, pending) = self.run(session, Span { from: first.from, to: first.from }).await?;
            session.rollback().await?;
            self.pending = pending.into_iter().collect();
        }
        let mut rest = Vec::new();
        while let Some(slice) = rest.pop().or_else(|| slices.next()) {
            let (touched, differences) = match self.run(session, slice).await {
                Ok(done) => done,
                Err(fault) if fault.kind == FaultKind::TimedOut => {
                    session.rollback().await?;
                    rest.extend(halves(slice).ok_or(fault)?);
                    continue;
                }
                Err(fault) => return Err(fault.into()),
            };
            proved.touched += touched;
            let wrong: Vec<Difference> =
                differences.into_iter().filter(|difference| !self.pending.contains(difference)).collect();
            let is_wrong = !wrong.is_empty();
            for difference in wrong {
                if self.seen.insert(difference.clone()) {
                    self.found.push(difference);
                }
            }
            if is_wrong && repair {
                session.commit().await?;
                proved.repaired += 1;
                self.store(session).await?;
            } else {
                session.rollback().await?;
            }
            if self.found.len() >= ROWS_DIFFERING_MAX {
                proved.is_cut = true;
                break;
            }
        }
        proved.verified.pending = self.paired(self.pending.iter()).len() as u64;
        let findings = self.paired(self.found.iter());
        proved.verified.wrong = findings.len() as u64;
        let told = usize::try_from(TOLD_CELLS_MAX).unwrap_or(usize::MAX);
        proved.verified.findings = findings.into_iter().take(told).collect();
        Ok(proved)
    }

    /// Keeps what the target holds, for comparison; gives how many rows that are.
    async fn store(&self, session: &mut dyn Session) -> Result<u64, Fault> {
        let columns = self.columns.numbered(session.dialect());
        let stored = stored(session.dialect());
        let statement = format!("CREATE TABLE {stored} AS SELECT {columns} FROM {}", self.target.quoted());
        session.batch(&format!("DROP TABLE IF EXISTS {stored};\n{statement}")).await?;
        let row = session.first(&format!("SELECT count(*) FROM {stored}"), &[]).await?;
        Ok(row.and_then(|row| row[0].int()).and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    /// One slice, in a transaction that is left open: how many rows the window says it touched, and how the target differs.
    async fn run(&self, session: &mut dyn Session, slice: Span) -> Result<(u64, Vec<Difference>), Fault> {
        session.begin().await?;
        let touched = self.window.run(session, slice.from, slice.to).await?;
        let rows = session.query(&self.differing(session.dialect()), &[]).await?;
        let difference = |row: &Vec<Value>| {
            let is_stored = row[0].int().unwrap_or(0) > 0;
            (is_stored, row[1..].iter().map(|value| (!value.is_null()).then(|| value.to_string())).collect())
        };
        Ok((touched, rows.iter().map(difference).collect()))
    }

    /// Rows that are on one side only. Both sides are stacked and grouped, since grouping takes NULL for equal to NULL.
    fn differing(&self, dialect: Dialect) -> String {
        let (numbers, columns) = (self.columns.numbers().join(", "), self.columns.numbered(dialect));
        let text = self.columns.numbers().into_iter().map(|number| match dialect {
            Dialect::Postgres => format!("{number}::text"),
            Dialect::Sqlite => number,
        });
        format!(
            "SELECT sum(side), {}\nFROM (SELECT {numbers}, 1 AS side FROM {}\n      UNION ALL\n      SELECT {columns}, -1 FROM {}) AS stacked\n\
             GROUP BY {numbers}\nHAVING sum(side) <> 0\nORDER BY {numbers}\nLIMIT {ROWS_DIFFERING_MAX}",
            text.collect::<Vec<_>>().join(", "),
            stored(dialect),
            self.target.quoted()
        )
    }

    /// Rows of one key on both sides are one that differs.
    fn paired<'d>(&self, differences: impl Iterator<Item = &'d Difference>) -> Vec<Finding> {
        let mut cells: BTreeMap<&[Option<String>], Sides<'_>> = BTreeMap::new();
        for (is_stored, row) in differences {
            let cell = cells.entry(&row[..self.columns.keys]).or_default();
            if *is_stored {
                cell.0 = Some(row);
            } else {
                cell.1 = Some(row);
            }
        }
        let value = |text: Option<&Option<String>>| text.and_then(Clone::clone).map_or(Value::Null, Value::from);
        let others = self.columns.keys..self.columns.all.len();
        let finding = |(cell, (stored, fresh)): (&[Option<String>], Sides<'_>)| Finding {
            wrong: match (stored, fresh) {
                (None, _) => Wrong::Missing,
                (_, None) => Wrong::Extra,
                _ => Wrong::Different,
            },
            times: 1,
            cell: cell.iter().map(|key| value(Some(key))).collect(),
            values: others
                .clone()
                .map(|at| (value(stored.and_then(|row| row.get(at))), value(fresh.and_then(|row| row.get(at)))))
                .collect(),
        };
        cells.into_iter().filter(|(_, sides)| !self.is_near(*sides)).map(finding).collect()
    }

    /// Whether two rows differ only in the last digits of inexact numbers.
    fn is_near(&self, sides: Sides<'_>) -> bool {
        let (Some(stored), Some(fresh)) = sides else { return false };
        let mut columns = self.columns.all.iter().zip(stored.iter().zip(fresh)).skip(self.columns.keys);
        columns.all(|(column, (stored, fresh))| {
            stored == fresh || column.is_inexact && near(stored.as_deref(), fresh.as_deref())
        })
    }
}

/// Share of the larger by which two sums of inexact numbers may differ.
const NEAR_SHARE: f64 = 1e-9;

fn near(stored: Option<&str>, fresh: Option<&str>) -> bool {
    let number =
        |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite());
    match (number(stored), number(fresh)) {
        (Some(stored), Some(fresh)) => (stored - fresh).abs() <= NEAR_SHARE * stored.abs().max(fresh.abs()),
        _ => false,
    }
}

/// The later half first, since the last one is taken next.
fn halves(slice: Span) -> Option<[Span; 2]> {
    let length = slice.to.as_second() - slice.from.as_second();
    let middle: Timestamp = slice.from.checked_add(SignedDuration::from_secs(length / 2)).ok()?;
    (length / 2 >= SLICE_SECS_MIN)
        .then_some([Span { from: middle, to: slice.to }, Span { from: slice.from, to: middle }])
}

impl Window {
    /// The columns that a proof tells, those of a cell first.
    ///
    /// # Errors
    /// [`ProofError`].
    pub async fn target_columns(
        &self,
        session: &mut dyn Session,
        target: &TableName,
    ) -> Result<(Vec<String>, Vec<String>), ProofError> {
        let columns = Columns::read(session, self, target).await?;
        let mut names: Vec<String> = columns.all.into_iter().map(|column| column.name).collect();
        let values = names.split_off(columns.keys);
        Ok((names, values))
    }
}
