//! From cells of the target to cells that are shown: the statement that groups them, and how what it yields goes together. Owns
//! that grouping and adding is the database's work, exact in both.

use highwater_db::session::{Dialect, Session, Value};
use jiff::Timestamp;

use super::number::Number;
use super::{Kind, Question, Refused};
use crate::declare::Ident;

/// A sum of whole numbers that SQLite must not add up at once, since it may be too large for it: they are added in two parts,
/// above and below this.
const PART: i64 = 1_000_000_000;

/// What is known of a shown cell.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Cell {
    /// How many cells of the target it is.
    pub(super) cells: u64,
    /// What they add up to, or the smallest or largest; of a mean its sum.
    value: Option<Number>,
    /// Of a mean its count.
    count: Option<Number>,
}

impl Cell {
    /// With what is known of another.
    pub(super) fn add(&mut self, kind: Kind, other: &Self) {
        self.cells += other.cells;
        let joined = |left: &Option<Number>, right: &Option<Number>| match (left, right) {
            (Some(left), Some(right)) => Some(match kind {
                Kind::Adds | Kind::Mean => left.plus(right),
                Kind::Min if left.compare(right).is_le() => left.clone(),
                Kind::Max | Kind::Distinct if left.compare(right).is_ge() => left.clone(),
                Kind::Min | Kind::Max | Kind::Distinct => right.clone(),
            }),
            (left, right) => left.clone().or_else(|| right.clone()),
        };
        self.value = joined(&self.value, &other.value);
        self.count = joined(&self.count, &other.count);
    }

    /// Its figure; `None` where nothing is known.
    pub(super) fn figure(&self, kind: Kind) -> Option<Number> {
        match kind {
            Kind::Mean => self.value.as_ref()?.over(self.count.as_ref()?),
            _ => self.value.clone(),
        }
    }
}

/// How shown cells are told apart.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'r> {
    /// Not by a key.
    One,
    /// By these values of the key, in order; all others are one more, and the last.
    Ranks(&'r [Option<String>]),
    /// By each value of the key.
    Each {
        /// How many cells at most.
        limit: usize,
        /// Of the first bucket only what comes after this value.
        after: Option<&'r str>,
    },
}

/// A cell that is shown, in the bucket of this number.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) bucket: usize,
    /// The value of the key; of ranks, its number as text.
    pub(super) key: Option<String>,
    pub(super) cell: Cell,
}

impl Question<'_> {
    /// Shown cells of buckets with these edges, by bucket and key, NULL last.
    pub(super) async fn cells(
        &self,
        session: &mut dyn Session,
        edges: &[Timestamp],
        rows: Rows<'_>,
    ) -> Result<Vec<Found>, Refused> {
        let (sql, values) = self.statement(session.dialect(), edges, rows);
        let rows = session.query(&sql, &values).await?;
        rows.into_iter().map(|row| self.found(row)).collect()
    }

    fn statement(&self, dialect: Dialect, edges: &[Timestamp], rows: Rows<'_>) -> (String, Vec<Value>) {
        let target = self.declaration.target.quoted();
        let columns: Vec<String> =
            self.columns().iter().enumerate().map(|(at, column)| format!("t.{column} AS v{at}")).collect();
        let columns = columns.join(", ");
        let key = match (self.by, rows) {
            (Some(by), Rows::Ranks(_) | Rows::Each { .. }) => key_text(dialect, by),
            _ => "CAST(NULL AS text)".to_owned(),
        };
        let first = |at: usize| edges.get(at).map_or(Value::Null, |edge| Value::from(edge.to_string()));
        // PostgreSQL finds a time's bucket by halving a list of edges, SQLite each bucket's cells by the index that begins with it.
        let (within, mut values) = match dialect {
            Dialect::Postgres => {
                let list: Vec<String> = edges.iter().map(ToString::to_string).collect();
                let sql = format!(
                    "SELECT width_bucket(t.bucket, (SELECT $1::text::timestamptz[])) - 1 AS n, {key} AS k, {columns}\n    \
                     FROM {target} AS t WHERE t.bucket >= $2::text::timestamptz AND t.bucket < $3::text::timestamptz"
                );
                (sql, vec![Value::from(format!("{{{}}}", list.join(","))), first(0), first(edges.len() - 1)])
            }
            Dialect::Sqlite => {
                let list: Vec<String> =
                    edges.windows(2).map(|pair| format!("[\"{}\",\"{}\"]", pair[0], pair[1])).collect();
                let sql = format!(
                    "SELECT e.key AS n, {key} AS k, {columns}\n    FROM json_each(?1) AS e CROSS JOIN {target} AS t \
                     WHERE t.bucket >= e.value ->> 0 AND t.bucket < e.value ->> 1"
                );
                (sql, vec![Value::from(format!("[{}]", list.join(",")))])
            }
        };
        let mut place = |value: Value| {
            values.push(value);
            match dialect {
                Dialect::Postgres => format!("${}::text", values.len()),
                Dialect::Sqlite => format!("?{}", values.len()),
            }
        };
        let (shown, condition, limit) = match rows {
            Rows::One => ("s.k".to_owned(), String::new(), String::new()),
            Rows::Ranks(ranks) => {
                let whens: Vec<String> = ranks
                    .iter()
                    .enumerate()
                    .map(|(at, key)| match key {
                        None => format!("WHEN s.k IS NULL THEN '{at}'"),
                        Some(key) => format!("WHEN s.k = {} THEN '{at}'", place(Value::from(key.as_str()))),
                    })
                    .collect();
                let others = ranks.len();
                (format!("CASE {} ELSE '{others}' END", whens.join(" ")), String::new(), String::new())
            }
            Rows::Each { limit, after } => {
                let condition = after.map_or_else(String::new, |after| {
                    let after = place(Value::from(after));
                    format!("\nWHERE s.n > 0 OR s.k IS NULL OR s.k > {after}")
                });
                ("s.k".to_owned(), condition, format!("\nLIMIT {limit}"))
            }
        };
        let sql = format!(
            "SELECT * FROM (\n    SELECT s.n, {shown} AS k, count(*) AS cells, {}\n    FROM (\n    {within}\n) AS s{condition}\n    \
             GROUP BY 1, 2\n) AS g\nORDER BY g.n, g.k IS NULL, g.k{limit}",
            self.values(dialect).join(", ")
        );
        (sql, values)
    }

    /// The values of the key, the largest first, and how many there are in all.
    pub(super) async fn largest(
        &self,
        session: &mut dyn Session,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<(Vec<Option<String>>, u64), Refused> {
        let Some(by) = self.by else { return Ok((vec![None], 1)) };
        let dialect = session.dialect();
        let (place, order) = match dialect {
            Dialect::Postgres => (["$1::text::timestamptz", "$2::text::timestamptz"], self.order_postgres()),
            Dialect::Sqlite => (["?1", "?2"], self.order_sqlite()),
        };
        let columns: Vec<String> =
            self.columns().iter().enumerate().map(|(at, column)| format!("t.{column} AS v{at}")).collect();
        let sql = format!(
            "SELECT s.k, count(*) OVER ()\nFROM (\n    SELECT {} AS k, {} FROM {} AS t\n    WHERE t.bucket >= {} \
             AND t.bucket < {}\n) AS s\nGROUP BY s.k\nORDER BY {order} DESC NULLS LAST, s.k IS NULL, s.k\nLIMIT {}",
            key_text(dialect, by),
            columns.join(", "),
            self.declaration.target.quoted(),
            place[0],
            place[1],
            self.top
        );
        let values = [Value::from(since.to_string()), Value::from(until.to_string())];
        let rows = session.query(&sql, &values).await?;
        let count = rows.first().and_then(|row| row[1].int()).unwrap_or(0).unsigned_abs();
        let keys = rows.into_iter().map(|row| row[0].text().map(str::to_owned));
        // What SQLite holds may be no text at all; it would not be found again by what is left of it, and is one of the others.
        let is_text = |key: &Option<String>| key.as_ref().is_none_or(|key| !key.contains(char::REPLACEMENT_CHARACTER));
        Ok((keys.filter(is_text).collect(), count))
    }

    /// The columns of the target that the aggregate is in.
    fn columns(&self) -> Vec<String> {
        match self.kind {
            Kind::Mean => vec![format!("\"{}_sum\"", self.value), format!("\"{}_count\"", self.value)],
            _ => vec![self.value.quoted()],
        }
    }

    fn order_postgres(&self) -> &'static str {
        match self.kind {
            Kind::Adds => "sum(s.v0)",
            Kind::Min => "min(s.v0)",
            Kind::Max | Kind::Distinct => "max(s.v0)",
            Kind::Mean => "sum(s.v0) / nullif(sum(s.v1), 0)",
        }
    }

    fn order_sqlite(&self) -> &'static str {
        match self.kind {
            // Inexact, but never too large: it is an order alone.
            Kind::Adds => "total(s.v0)",
            Kind::Mean => "total(s.v0) / nullif(total(s.v1), 0)",
            Kind::Min | Kind::Max | Kind::Distinct => self.order_postgres(),
        }
    }

    fn values(&self, dialect: Dialect) -> Vec<String> {
        let sum = |column: &str| match dialect {
            Dialect::Postgres => vec![format!("CAST(sum({column}) AS text)")],
            Dialect::Sqlite => {
                let whole =
                    |part: &str| format!("sum(CASE WHEN typeof({column}) = 'integer' THEN {column} {part} {PART} END)");
                vec![whole("/"), whole("%"), format!("sum(CASE WHEN typeof({column}) = 'real' THEN {column} END)")]
            }
        };
        let one = |function: &str| match dialect {
            Dialect::Postgres => vec![format!("CAST({function}(s.v0) AS text)")],
            Dialect::Sqlite => vec![format!("{function}(s.v0)")],
        };
        match self.kind {
            Kind::Adds => sum("s.v0"),
            Kind::Mean => sum("s.v0").into_iter().chain(sum("s.v1")).collect(),
            Kind::Min => one("min"),
            Kind::Max | Kind::Distinct => one("max"),
        }
    }

    fn found(&self, row: Vec<Value>) -> Result<Found, Refused> {
        let mut row = row.into_iter();
        let mut next = || row.next().expect("invariant: the statement has that column");
        let bucket = next().int().and_then(|n| usize::try_from(n).ok()).expect("invariant: a bucket has a number");
        let key = next().text().map(str::to_owned);
        let cells = next().int().unwrap_or(0).unsigned_abs();
        let parts: Vec<Value> = row.collect();
        let each = parts.len() / self.columns().len();
        let mut read = parts.chunks(each).map(|parts| self.number(parts));
        let value = read.next().transpose()?.flatten();
        let count = read.next().transpose()?.flatten();
        Ok(Found { bucket, key, cell: Cell { cells, value, count } })
    }

    /// The number that the parts of one are.
    fn number(&self, parts: &[Value]) -> Result<Option<Number>, Refused> {
        if let [above, below, inexact] = parts {
            let whole = above.int().zip(below.int()).map(|(above, below)| {
                let whole = i128::from(above) * i128::from(PART) + i128::from(below);
                Number::Exact(whole.into())
            });
            let inexact = Number::read(inexact);
            return Ok(match (whole, inexact) {
                (Some(whole), Some(inexact)) => Some(whole.plus(&inexact)),
                (whole, inexact) => whole.or(inexact),
            });
        }
        let part = &parts[0];
        match Number::read(part) {
            None if !part.is_null() => {
                Err(Refused::NotANumber { value: self.value.to_string(), found: part.to_string() })
            }
            number => Ok(number),
        }
    }
}

/// A key as text, which both databases tell apart and order by its bytes, whatever the language of the one.
fn key_text(dialect: Dialect, key: &Ident) -> String {
    let text = format!("CAST(t.{} AS text)", key.quoted());
    match dialect {
        Dialect::Postgres => format!("{text} COLLATE \"C\""),
        Dialect::Sqlite => text,
    }
}
