//! From entries to cells. Owns which versions are joined; that they are too many rather than too few.

use highwater_db::session::{Dialect, Fault, Session, Value};
use jiff::Timestamp;

use super::{Taken, cells};
use crate::sql::{Shape, Tracked, quoted};

/// Versions that a taken entry is about, and all that hang on them.
pub(super) fn touched(shape: &Shape<'_>, at: usize) -> String {
    named(shape, &format!("touched_{at}"))
}

/// Versions that the touched ones of the source join to.
pub(super) fn versions(shape: &Shape<'_>, at: usize) -> String {
    named(shape, &format!("versions_{at}"))
}

/// A table of the session in SQLite, a part of the one statement in PostgreSQL.
fn named(shape: &Shape<'_>, name: &str) -> String {
    let working = shape.working(name);
    match shape.dialect {
        Dialect::Postgres => working.trim_start_matches("pg_temp.").to_owned(),
        Dialect::Sqlite => working,
    }
}

/// What fills a table of versions, or is one of several that do.
struct Step {
    into: String,
    columns: String,
    select: String,
    values: Vec<Value>,
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
    let mut steps = Vec::new();
    let mut places = 0;
    let reached = reached(shape, taken);
    // What hangs on a touched row, up to the source; then down again to all it joined to.
    for (at, table) in shape.tracked.iter().enumerate().rev() {
        // Nothing hangs on no row; and of an empty list SQLite would look for each row of a table, that may have millions.
        for (child, hanging) in shape.tracked.iter().enumerate().filter(|(child, _)| reached[*child]) {
            if hanging.parent.as_ref().is_some_and(|parent| parent.at == at) {
                climb(shape, child, hanging, taken[at].holds_any, &mut steps);
            }
        }
        touch(shape, at, table, &taken[at], &mut places, &mut steps);
    }
    for ((at, table), taken) in shape.tracked.iter().enumerate().zip(taken) {
        descend(shape, at, table, taken.holds_any, frozen, &mut steps);
    }
    match shape.dialect {
        Dialect::Postgres => at_once(session, shape, steps).await,
        Dialect::Sqlite => one_by_one(session, shape, steps).await,
    }
}

async fn one_by_one(session: &mut dyn Session, shape: &Shape<'_>, steps: Vec<Step>) -> Result<(), Fault> {
    for Step { into, columns, select, values } in steps {
        session.execute(&format!("INSERT INTO {into} ({columns}) {select}"), &values).await?;
    }
    session.execute(&found(shape), &[]).await?;
    Ok(())
}

/// By one statement: a table of the session costs PostgreSQL rows in a dozen catalogues. Each part is computed once, as a table would
/// be, and planned for itself.
async fn at_once(session: &mut dyn Session, shape: &Shape<'_>, steps: Vec<Step>) -> Result<(), Fault> {
    let mut parts: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut values = Vec::new();
    for step in steps {
        values.extend(step.values);
        match parts.last_mut() {
            Some((into, _, selects)) if *into == step.into => selects.push(step.select),
            _ => parts.push((step.into, step.columns, vec![step.select])),
        }
    }
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(into, columns, selects)| {
            format!("{into} ({columns}) AS MATERIALIZED (\n{}\n)", selects.join("\nUNION ALL\n"))
        })
        .collect();
    session.execute(&format!("WITH {}\n{}", parts.join(",\n"), found(shape)), &values).await?;
    Ok(())
}

/// The versions of one table that the taken entries are about.
fn touch(shape: &Shape<'_>, at: usize, table: &Tracked, taken: &Taken, places: &mut usize, steps: &mut Vec<Step>) {
    let into = touched(shape, at);
    let columns = [table.match_names(), table.value_names()].concat().join(", ");
    if taken.entries == 0 {
        return;
    }
    let of_queue = shape.queue(table);
    // An entry without a row is a version of what is joined to: there was none. The source has no such thing.
    let present = if table.parent.is_none() { is_present(shape) } else { "" };
    let matches = table.match_names().join(", ");
    let mut add = |select: &dyn Fn(&str) -> String| {
        // Places are numbered through the one statement, or each statement for itself.
        let first = if shape.dialect == Dialect::Postgres { *places } else { 0 };
        let (condition, values) = taken.condition_from(shape, first);
        *places += values.len();
        steps.push(Step { into: into.clone(), columns: columns.clone(), select: select(&condition), values });
    };
    add(&|condition| format!("SELECT DISTINCT {columns} FROM {of_queue} WHERE {condition}{present}"));
    add(&|condition| {
        let select = format!("SELECT {matches} FROM {of_queue} WHERE {condition}");
        current(table, &select, &quoted(&table.matches))
    });
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

/// Touches what a touched table is found from. The queue of that is read only if it holds any.
fn climb(shape: &Shape<'_>, at: usize, table: &Tracked, queue_holds_any: bool, steps: &mut Vec<Step>) {
    let Some(parent) = &table.parent else { return };
    let above = &shape.tracked[parent.at];
    let select = format!("SELECT {} FROM {}", table.match_names().join(", "), touched(shape, at));
    let columns = [above.match_names(), above.value_names()].concat().join(", ");
    let mut add = |select| {
        steps.push(Step { into: touched(shape, parent.at), columns: columns.clone(), select, values: Vec::new() });
    };
    add(current(above, &select, &quoted(&parent.columns)));
    if queue_holds_any {
        let found: Vec<String> = parent.columns.iter().map(|column| above.value(column)).collect();
        let within = Shape::within(&found, &select);
        add(format!("SELECT DISTINCT {columns} FROM {} WHERE {within}", shape.queue(above)));
    }
}

/// All versions of what the touched versions of the source join to. The queue of that is read only if it holds any.
fn descend(
    shape: &Shape<'_>,
    at: usize,
    table: &Tracked,
    queue_holds_any: bool,
    frozen: Option<Timestamp>,
    steps: &mut Vec<Step>,
) {
    let columns = [table.match_names(), table.value_names()].concat().join(", ");
    let mut add = |select| {
        steps.push(Step { into: versions(shape, at), columns: columns.clone(), select, values: Vec::new() });
    };
    let Some(parent) = &table.parent else {
        let live = frozen.map(|frozen| {
            // A version of the source is in the bucket of its own time: years of them need not be joined to be dropped.
            let time = shape.at(&table.value(&shape.declaration.event_time));
            format!(" WHERE ({time} < {}) IS NOT TRUE", shape.edge(&shape.instant(frozen)))
        });
        add(format!("SELECT DISTINCT {columns} FROM {}{}", touched(shape, at), live.unwrap_or_default()));
        return;
    };
    let above = &shape.tracked[parent.at];
    let found: Vec<String> = parent.columns.iter().map(|column| above.value(column)).collect();
    let select = format!("SELECT {} FROM {}", found.join(", "), versions(shape, parent.at));
    add(current(table, &select, &quoted(&table.matches)));
    if queue_holds_any {
        let within = Shape::within(&table.match_names(), &select);
        add(format!("SELECT DISTINCT {columns} FROM {} WHERE {within}", shape.queue(table)));
    }
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
        shape.is_in_time(&shape.at(&event_time))
    )
}
