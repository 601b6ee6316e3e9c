//! From entries to cells. Owns which versions are joined; that they are too many rather than too few.

use highwater_db::session::{Dialect, Fault, Session};
use jiff::Timestamp;

use super::{Taken, cells};
use crate::sql::{Shape, Tracked, quoted};

/// Versions that a taken entry is about, and all that hang on them.
pub(super) fn touched(shape: &Shape<'_>, at: usize) -> String {
    shape.working(&format!("touched_{at}"))
}

/// Versions that the touched ones of the source join to.
pub(super) fn versions(shape: &Shape<'_>, at: usize) -> String {
    shape.working(&format!("versions_{at}"))
}

/// Which tables may have touched versions: those of which entries were taken, those that lead from them to the source, and the
/// source.
pub(super) fn reached(shape: &Shape<'_>, taken: &[Taken]) -> Vec<bool> {
    let mut reached: Vec<bool> = taken.iter().map(|taken| taken.entries > 0).collect();
    reached[0] = true;
    for (at, table) in shape.tracked.iter().enumerate().rev() {
        if let Some(parent) = &table.parent {
            reached[parent.at] |= reached[at];
        }
    }
    reached
}

/// Adds to the working table of cells those that the taken entries are about, by the state that the open transaction sees.
pub(super) async fn derive(
    session: &mut dyn Session,
    shape: &Shape<'_>,
    taken: &[Taken],
    frozen: Option<Timestamp>,
) -> Result<(), Fault> {
    let mut touched_rows = vec![0; shape.tracked.len()];
    for ((at, table), taken) in shape.tracked.iter().enumerate().zip(taken) {
        touched_rows[at] = touch(session, shape, at, table, taken).await?;
    }
    // What hangs on a touched row, up to the source; then down again to all it joined to.
    for (at, table) in shape.tracked.iter().enumerate().rev() {
        // Nothing hangs on no row; and of an empty list SQLite would look for each row of a table, that may have millions.
        if let (Some(parent), true) = (&table.parent, touched_rows[at] > 0) {
            touched_rows[parent.at] += climb(session, shape, at, table, taken[parent.at].holds_any).await?;
        }
    }
    if let Some(frozen) = frozen {
        // A version of the source is in the bucket of its own time: years of them need not be joined to be dropped.
        let time = shape.at(&shape.tracked[0].value(&shape.declaration.event_time));
        let drop = format!("DELETE FROM {} WHERE {time} < {}", touched(shape, 0), shape.edge(&shape.instant(frozen)));
        session.execute(&drop, &[]).await?;
    }
    for ((at, table), taken) in shape.tracked.iter().enumerate().zip(taken) {
        descend(session, shape, at, table, taken.holds_any).await?;
    }
    session.execute(&found(shape), &[]).await?;
    Ok(())
}

/// The versions of one table that the taken entries are about; gives how many.
async fn touch(
    session: &mut dyn Session,
    shape: &Shape<'_>,
    at: usize,
    table: &Tracked,
    taken: &Taken,
) -> Result<u64, Fault> {
    if taken.entries == 0 {
        return Ok(0);
    }
    let (condition, values) = taken.condition(shape);
    let (queue, touched) = (shape.queue(table), touched(shape, at));
    let columns = [table.match_names(), table.value_names()].concat().join(", ");
    // An entry without a row is a version of what is joined to: there was none. The source has no such thing.
    let present = if table.parent.is_none() { is_present(shape) } else { "" };
    let old =
        format!("INSERT INTO {touched} ({columns}) SELECT DISTINCT {columns} FROM {queue} WHERE {condition}{present}");
    let old = session.execute(&old, &values).await?;
    let matches = table.match_names().join(", ");
    let now = current(table, &format!("SELECT {matches} FROM {queue} WHERE {condition}"), &quoted(&table.matches));
    Ok(old + session.execute(&format!("INSERT INTO {touched} ({columns}) {now}"), &values).await?)
}

/// How many rows of frozen buckets are there now that the taken entries of the source are about. Retention leaves none.
pub(super) async fn late(
    session: &mut dyn Session,
    shape: &Shape<'_>,
    taken: &Taken,
    frozen: Timestamp,
) -> Result<u64, Fault> {
    if taken.entries == 0 {
        return Ok(0);
    }
    let (condition, values) = taken.condition(shape);
    let source = &shape.tracked[0];
    let select = format!("SELECT {} FROM {} WHERE {condition}", source.match_names().join(", "), shape.queue(source));
    let sql = format!(
        "SELECT count(*) FROM {} WHERE {} AND {} < {}",
        source.table.quoted(),
        Shape::within(&quoted(&source.matches), &select),
        shape.at(&shape.declaration.event_time.quoted()),
        shape.edge(&shape.instant(frozen))
    );
    let row = session.first(&sql, &values).await?;
    Ok(row.and_then(|row| row[0].int()).and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
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

/// Touches what a touched table is found from; gives how many versions. The queue of that is read only if it holds any.
async fn climb(
    session: &mut dyn Session,
    shape: &Shape<'_>,
    at: usize,
    table: &Tracked,
    queue_holds_any: bool,
) -> Result<u64, Fault> {
    let Some(parent) = &table.parent else { return Ok(0) };
    let above = &shape.tracked[parent.at];
    let select = format!("SELECT {} FROM {}", table.match_names().join(", "), touched(shape, at));
    let columns = [above.match_names(), above.value_names()].concat().join(", ");
    let into = format!("INSERT INTO {} ({columns})", touched(shape, parent.at));
    let now = format!("{into} {}", current(above, &select, &quoted(&parent.columns)));
    let now = session.execute(&now, &[]).await?;
    if !queue_holds_any {
        return Ok(now);
    }
    let found: Vec<String> = parent.columns.iter().map(|column| above.value(column)).collect();
    let queued =
        format!("SELECT DISTINCT {columns} FROM {} WHERE {}", shape.queue(above), Shape::within(&found, &select));
    Ok(now + session.execute(&format!("{into} {queued}"), &[]).await?)
}

/// All versions of what the touched versions of the source join to. The queue of that is read only if it holds any.
async fn descend(
    session: &mut dyn Session,
    shape: &Shape<'_>,
    at: usize,
    table: &Tracked,
    queue_holds_any: bool,
) -> Result<(), Fault> {
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
    if !queue_holds_any {
        return Ok(());
    }
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
        "INSERT INTO {} ({})\nSELECT DISTINCT {}\nFROM {from}\nWHERE {}",
        cells(shape),
        shape.cell_columns().join(", "),
        select.join(", "),
        shape.is_in_a_bucket(&shape.at(&event_time))
    )
}
