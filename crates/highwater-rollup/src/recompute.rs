//! From raw rows to buckets. Owns the two ways to replace cells: all of a span, or those that were named; both by the same
//! statement over the same snapshot, so that no bucket is ever the sum of two states.

use highwater_db::session::{Dialect, Fault, Session, Value};
use jiff::Timestamp;

use crate::declare::{Aggregate, Declaration};
use crate::freeze;
use crate::sql::Shape;

/// Whole buckets: the beginning of the first and the end of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The beginning of the first bucket.
    pub from: Timestamp,
    /// The end of the last.
    pub to: Timestamp,
}

/// The buckets that hold events, as the source is now; `None` where it is empty.
///
/// # Errors
/// [`Fault`].
pub async fn extent(session: &mut dyn Session, declaration: &Declaration) -> Result<Option<Span>, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    let at = shape.at(&declaration.event_time.quoted());
    // Each edge by itself, so that the index answers it.
    let edge = |edge: &str| {
        let seconds = shape.event_seconds(&format!("{edge}({at})"));
        format!("(SELECT {seconds} FROM {} WHERE {})", declaration.source.quoted(), shape.is_in_range(&at))
    };
    let sql = format!("SELECT {}, {}", edge("min"), edge("max"));
    let row = session.first(&sql, &[]).await?;
    let Some((first, last)) = row.and_then(|row| row[0].int().zip(row[1].int())) else { return Ok(None) };
    let secs = declaration.grain.secs();
    let begin = |second: i64| second.div_euclid(secs) * secs;
    let time = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    Ok(Some(Span { from: time(begin(first)), to: time(begin(last) + secs) }))
}

/// How many rows of the source have a time that is in no bucket: an infinite one, one of a year before 1 or after 9999, or text that is
/// no time. Rows without a time are meant to be in none.
///
/// # Errors
/// [`Fault`].
pub async fn unplaced(session: &mut dyn Session, declaration: &Declaration) -> Result<u64, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    let sql = format!("SELECT count(*) FROM {} WHERE {}", declaration.source.quoted(), shape.is_unplaced());
    let row = session.first(&sql, &[]).await?;
    Ok(row.and_then(|row| row[0].int()).and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
}

/// What SQLite says of a sum that is beyond 64 bits, in words that name it; PostgreSQL sums into a wider type.
pub(crate) fn in_words(shape: &Shape<'_>, fault: Fault) -> Fault {
    if shape.dialect == Dialect::Postgres || !fault.message.contains("integer overflow") {
        return fault;
    }
    let sums = shape.declaration.aggregates.iter().filter_map(|(name, aggregate)| match aggregate {
        Aggregate::Sum(column) | Aggregate::Avg(column) => Some(format!("`{name}` (of {column})")),
        _ => None,
    });
    let sums: Vec<String> = sums.collect();
    let which = if sums.len() > 1 { "one of the sums" } else { "the sum" };
    let message = format!(
        "{which} {} of {} is beyond 64 bits, and SQLite adds whole numbers no further: sum a column of a larger unit, or one of type REAL \
         (a generated column can be one), or have a shorter grain or more keys, so that a cell is smaller",
        sums.join(", "),
        shape.declaration.target
    );
    Fault { message, ..fault }
}

/// About how many rows of the source a span holds: as the planner of PostgreSQL has it, counted in SQLite, where the index on the
/// event time is counted alone.
///
/// # Errors
/// [`Fault`].
pub async fn rows(session: &mut dyn Session, declaration: &Declaration, span: Span) -> Result<Option<u64>, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    let at = shape.at(&declaration.event_time.quoted());
    let source = declaration.source.quoted();
    let values = [Value::from(span.from.to_string()), Value::from(span.to.to_string())];
    let within = |from: &str, to: &str| format!("FROM {source} WHERE {at} >= {from} AND {at} < {to}");
    let number = |value: &Value| value.int().and_then(|rows| u64::try_from(rows).ok());
    if shape.dialect == Dialect::Sqlite {
        let sql = format!("SELECT count(*) {}", within(&shape.edge(&shape.time(1)), &shape.edge(&shape.time(2))));
        return Ok(session.first(&sql, &values).await?.and_then(|row| number(&row[0])));
    }
    // What is planned takes no places; times are their own text.
    let sql = format!(
        "EXPLAIN SELECT 1 {}",
        within(&format!("'{}'::timestamptz", span.from), &format!("'{}'::timestamptz", span.to))
    );
    let rows = session.query(&sql, &[]).await?;
    let line = rows.first().and_then(|row| row[0].text()).unwrap_or_default().to_owned();
    Ok(line.split("rows=").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|rows| rows.parse().ok()))
}

/// A span joins whole tables and sorts what it groups: with less than 16 MB for each of these, as a server comes, most of it goes
/// through files. More that was given stays.
const WORK_MEM: &str = "SELECT set_config('work_mem', '16MB', true) \
                        WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('16MB')";

/// Recomputes every bucket of a span that is not frozen, in the transaction that is open; returns how many cells there are then.
///
/// # Errors
/// [`Fault`].
pub async fn span(session: &mut dyn Session, declaration: &Declaration, span: Span) -> Result<u64, Fault> {
    let (frozen, seeded_from) = freeze::advance_beside(session, declaration).await?;
    let mut cells = 0;
    for part in thawed(span, frozen, seeded_from) {
        cells += whole(session, declaration, part).await?;
    }
    Ok(cells)
}

/// What of a span may be computed: what is not frozen, and what never was before the seed began.
fn thawed(span: Span, frozen: Option<Timestamp>, seeded_from: Option<Timestamp>) -> Vec<Span> {
    let Some(frozen) = frozen else { return vec![span] };
    let unseeded = seeded_from.map(|begin| Span { to: span.to.min(begin), ..span });
    let live = Span { from: span.from.max(frozen), ..span };
    match unseeded {
        // They meet.
        Some(unseeded) if unseeded.to >= frozen => vec![span],
        Some(unseeded) => vec![unseeded, live],
        None => vec![live],
    }
    .into_iter()
    .filter(|part| part.from < part.to)
    .collect()
}

async fn whole(session: &mut dyn Session, declaration: &Declaration, span: Span) -> Result<u64, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    if shape.dialect == Dialect::Postgres {
        session.batch(WORK_MEM).await?;
    }
    let target = declaration.target.quoted();
    let values = [Value::from(span.from.to_string()), Value::from(span.to.to_string())];
    let drop = format!("DELETE FROM {target} WHERE bucket >= {} AND bucket < {}", shape.time(1), shape.time(2));
    session.execute(&drop, &values).await?;
    let at = shape.at(&shape.event_time());
    let (from, to) = (shape.edge(&shape.time(1)), shape.edge(&shape.time(2)));
    let fresh = shape.fresh("", &format!("{at} >= {from} AND {at} < {to}"));
    let add = format!("INSERT INTO {target} ({})\n{fresh}", shape.target_columns().join(", "));
    session.execute(&add, &values).await.map_err(|fault| in_words(&shape, fault))
}

/// Recomputes the cells that the working table `cells` names, in the transaction that is open; returns how many of them there
/// are then.
pub(crate) async fn cells(session: &mut dyn Session, shape: &Shape<'_>, cells: &str) -> Result<u64, Fault> {
    let edges = format!("SELECT {}, {} FROM {cells}", shape.text("min(bucket)"), shape.text("max(bucket)"));
    let row = session.first(&edges, &[]).await?;
    let edges: Vec<Value> = row.into_iter().flatten().filter(|edge| !edge.is_null()).collect();
    if edges.len() < 2 {
        return Ok(0);
    }
    let target = shape.declaration.target.quoted();
    let named = |expressions: &[String]| {
        let same: Vec<String> = shape
            .cell_columns()
            .iter()
            .zip(expressions)
            .map(|(column, expression)| shape.same(&format!("c.{column}"), expression))
            .collect();
        format!("EXISTS (SELECT 1 FROM {cells} AS c WHERE c.bucket = {} AND {})", expressions[0], same.join(" AND "))
    };
    let stored: Vec<String> = shape.cell_columns().iter().map(|column| format!("t.{column}")).collect();
    // On PostgreSQL the first and the last bucket besides, as values: by what is joined alone it takes an hour for a ninth of all
    // rows, and reads every table whole. SQLite takes one range for an index, and would take that of all buckets, for each.
    let (first, last) = (shape.time(1), shape.time(2));
    let at = shape.at(&shape.event_time());
    let (stored_within, within, edges) = match shape.dialect {
        Dialect::Postgres => (
            format!("t.bucket >= {first} AND t.bucket <= {last} AND "),
            format!("{at} >= {} AND {at} < {} AND ", shape.edge(&first), shape.end_of(&last)),
            edges,
        ),
        Dialect::Sqlite => (String::new(), String::new(), Vec::new()),
    };
    let drop = format!(
        "DELETE FROM {target} AS t WHERE {stored_within}t.bucket IN (SELECT bucket FROM {cells}) AND {}",
        named(&stored)
    );
    session.execute(&drop, &edges).await?;
    let within = format!("{within}{at} >= {} AND {at} < {}", shape.edge("b.bucket"), shape.end_of("b.bucket"));
    // The buckets first, so that the source is read by its event time.
    let before = format!("(SELECT DISTINCT bucket FROM {cells}) AS b\nCROSS JOIN ");
    let fresh = shape.fresh(&before, &format!("{within} AND {}", named(&shape.cell_expressions())));
    let add = format!("INSERT INTO {target} ({})\n{fresh}", shape.target_columns().join(", "));
    session.execute(&add, &edges).await.map_err(|fault| in_words(shape, fault))
}
