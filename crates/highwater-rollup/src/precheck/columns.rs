//! The columns that a declaration uses: whether they are there, and fit what is made of them. Owns what counts as a time, a
//! number and a key, and that a join finds one row at most.

use highwater_db::session::{Dialect, Fault, FaultKind, Session};

use super::near::instead;
use super::sample;
use super::table::{Column, Table};
use super::{Before, Checked};
use crate::declare::{Aggregate, Declaration, Ident};
use crate::sql::{Shape, Tracked};

/// A column, and what it is used for.
pub(super) struct Use<'d> {
    /// The field that names it.
    pub(super) field: String,
    /// Which of the tracked tables it is of.
    pub(super) at: usize,
    pub(super) column: &'d Ident,
    pub(super) purpose: Purpose<'d>,
}

/// What a column is used for.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'d> {
    /// It tells rows of the source apart.
    SourceKey,
    /// It says when.
    EventTime,
    /// A row is found by it.
    Join,
    /// It tells cells apart.
    Key,
    Aggregate(&'d Aggregate),
}

fn uses<'d>(declaration: &'d Declaration, shape: &Shape<'_>) -> Vec<Use<'d>> {
    let at = |alias: &Ident| {
        let at = shape.tracked.iter().position(|table| table.alias == *alias);
        at.expect("invariant: the declaration was checked")
    };
    let mut uses = Vec::new();
    for column in &declaration.source_key {
        uses.push(Use { field: "source-key".to_owned(), at: 0, column, purpose: Purpose::SourceKey });
    }
    uses.push(Use {
        field: "event-time".to_owned(),
        at: 0,
        column: &declaration.event_time,
        purpose: Purpose::EventTime,
    });
    for (alias, join) in &declaration.join {
        for (own, of) in &join.on {
            let field = format!("join.{alias}.on.{own}");
            uses.push(Use { field: field.clone(), at: at(alias), column: own, purpose: Purpose::Join });
            uses.push(Use { field, at: at(&of.table), column: &of.column, purpose: Purpose::Join });
        }
    }
    for (name, column) in &declaration.keys {
        let field = format!("keys.{name}");
        uses.push(Use { field, at: at(&column.table), column: &column.column, purpose: Purpose::Key });
    }
    for (name, aggregate) in &declaration.aggregates {
        if let Some(column) = aggregate.column() {
            let field = format!("aggregates.{name}");
            let purpose = Purpose::Aggregate(aggregate);
            uses.push(Use { field, at: at(&column.table), column: &column.column, purpose });
        }
    }
    uses
}

/// Looks at every column that is used, and at what tables join by.
pub(super) async fn check(
    session: &mut dyn Session,
    shape: &Shape<'_>,
    tables: &[Table],
    before: Before,
    checked: &mut Checked,
) -> Result<(), Fault> {
    let declaration = shape.declaration;
    let uses = uses(declaration, shape);
    let mut known = Vec::new();
    for one in &uses {
        let table = &tables[one.at];
        match table.column(one.column) {
            Some(column) => known.push((one, table, column)),
            None => {
                let names = table.columns.iter().map(|column| column.name.as_str());
                checked.refuse(
                    "HW-ROL-042",
                    &one.field,
                    format!("found no column {} in {}", one.column, table.name),
                    instead(one.column.as_str(), names),
                );
            }
        }
    }
    if known.len() < uses.len() {
        return Ok(());
    }
    for (one, table, column) in known {
        fits(session, one, table, column, checked).await?;
        if before == Before::Seed && matches!(one.purpose, Purpose::EventTime) && checked.refused.is_empty() {
            sample::ends(session, one, table, checked).await?;
        }
    }
    unique(shape, tables, checked);
    for (tracked, table) in shape.tracked.iter().zip(tables) {
        joined(session, shape, tracked, table, tables, checked).await?;
    }
    Ok(())
}

/// Types that say when. `timestamp` has no zone, and a session of ours is in UTC.
const TIMES: [&str; 3] = ["timestamp with time zone", "timestamp without time zone", "date"];
/// Types that can be summed, and the sums compared.
const NUMBERS: [&str; 6] = ["smallint", "integer", "bigint", "numeric", "real", "double precision"];

async fn fits(
    session: &mut dyn Session,
    one: &Use<'_>,
    table: &Table,
    column: &Column,
    checked: &mut Checked,
) -> Result<(), Fault> {
    let shown = format!("{}.{}", table.name, column.name);
    if column.is_virtual {
        checked.refuse(
            "HW-ROL-045",
            &one.field,
            format!("found {shown}, a virtual generated column: no trigger sees its value"),
            "make it `STORED`, or name the columns that it is computed from",
        );
        return Ok(());
    }
    let is_server = session.dialect() == Dialect::Postgres;
    match one.purpose {
        Purpose::SourceKey if is_server && !column.not_null => checked.refuse(
            "HW-ROL-046",
            &one.field,
            format!("found {shown}, which may be NULL: a row without it cannot be found again"),
            format!(
                "ALTER TABLE {} ALTER {} SET NOT NULL; or name other columns",
                table.name.quoted(),
                one.column.quoted()
            ),
        ),
        Purpose::SourceKey | Purpose::Join => {}
        Purpose::EventTime if is_server => event_time(one, &shown, column, checked),
        Purpose::EventTime => sample::event_time(session, one, table, &shown, checked).await?,
        Purpose::Key => key(session, one, table, &shown, column, checked).await?,
        Purpose::Aggregate(aggregate) => aggregated(session, one, aggregate, table, column, checked).await?,
    }
    if !is_server && matches!(one.purpose, Purpose::Key | Purpose::Join) {
        sample::compares_by_bytes(session, one, table, &shown, checked).await?;
    }
    Ok(())
}

fn event_time(one: &Use<'_>, shown: &str, column: &Column, checked: &mut Checked) {
    if !TIMES.contains(&column.plain_type.as_str()) {
        let column_of_time =
            format!("ADD COLUMN happened_at timestamptz GENERATED ALWAYS AS (to_timestamp({})) STORED", one.column);
        let next = match NUMBERS.contains(&column.plain_type.as_str()) {
            true => format!(
                "where it holds seconds since the epoch, make a column of the time: `{column_of_time}`, and name that"
            ),
            false => "name the column that says when".to_owned(),
        };
        checked.refuse(
            "HW-ROL-044",
            &one.field,
            format!("found {shown} of type {}, expected `timestamptz`, `timestamp` or `date`", column.type_text),
            next,
        );
    } else if column.plain_type == "timestamp without time zone" {
        checked.advice.push(format!(
            "`{}`: {shown} has no time zone, and its times are taken as UTC; if they are not, make it `timestamptz`",
            one.field
        ));
    }
}

async fn key(
    session: &mut dyn Session,
    one: &Use<'_>,
    table: &Table,
    shown: &str,
    column: &Column,
    checked: &mut Checked,
) -> Result<(), Fault> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let quoted = one.column.quoted();
    let sql = format!("SELECT {quoted} FROM {} WHERE false GROUP BY {quoted} ORDER BY {quoted}", table.name.quoted());
    if let Some(why) = objection(session, &sql).await? {
        checked.refuse(
            "HW-ROL-045",
            &one.field,
            format!("found {shown} of type {}, which is no key: {why}", column.type_text),
            "name a column whose values can be compared and ordered",
        );
    }
    Ok(())
}

async fn aggregated(
    session: &mut dyn Session,
    one: &Use<'_>,
    aggregate: &Aggregate,
    table: &Table,
    column: &Column,
    checked: &mut Checked,
) -> Result<(), Fault> {
    let quoted = one.column.quoted();
    let (word, made) = match aggregate {
        Aggregate::Count => return Ok(()),
        Aggregate::CountDistinct(_) => ("count-distinct", format!("count(DISTINCT {quoted})")),
        Aggregate::Sum(_) => ("sum", format!("sum({quoted})")),
        Aggregate::Avg(_) => ("avg", format!("sum({quoted})")),
        Aggregate::Min(_) => ("min", format!("min({quoted})")),
        Aggregate::Max(_) => ("max", format!("max({quoted})")),
    };
    let shown = format!("{}.{}", table.name, column.name);
    let is_summed = matches!(aggregate, Aggregate::Sum(_) | Aggregate::Avg(_));
    let numbers = "name a column of numbers; `count-distinct`, `min` and `max` are for others too";
    if session.dialect() == Dialect::Sqlite {
        if is_summed && column.plain_type == "text" {
            let message = format!("found {shown} of type {}, expected numbers for `{word}`", column.type_text);
            checked.refuse("HW-ROL-045", &one.field, message, numbers);
        } else if is_summed {
            sample::numbers(session, one, word, table, &shown, checked).await?;
        }
        return Ok(());
    }
    if is_summed && !NUMBERS.contains(&column.plain_type.as_str()) {
        let message = format!("found {shown} of type {}, expected numbers for `{word}`", column.type_text);
        checked.refuse("HW-ROL-045", &one.field, message, numbers);
        return Ok(());
    }
    let sql = format!("SELECT {made} FROM {} WHERE false", table.name.quoted());
    if let Some(why) = objection(session, &sql).await? {
        checked.refuse(
            "HW-ROL-045",
            &one.field,
            format!("found {shown} of type {}, of which there is no `{word}`: {why}", column.type_text),
            "name a column whose values can be compared",
        );
    }
    Ok(())
}

/// What a server has against a statement for its types; it is planned, and not run.
async fn objection(session: &mut dyn Session, sql: &str) -> Result<Option<String>, Fault> {
    match session.query(&format!("EXPLAIN {sql}"), &[]).await {
        Ok(_) => Ok(None),
        Err(fault) if matches!(fault.kind, FaultKind::Undefined | FaultKind::Other) => Ok(Some(fault.message)),
        Err(fault) => Err(fault),
    }
}

/// The source's key, and what joins find rows by.
fn unique(shape: &Shape<'_>, tables: &[Table], checked: &mut Checked) {
    for (tracked, table) in shape.tracked.iter().zip(tables) {
        if table.is_unique(&tracked.matches) {
            continue;
        }
        let columns = tracked.matches.iter().map(Ident::quoted).collect::<Vec<_>>().join(", ");
        let named = tracked.matches.iter().map(Ident::as_str).collect::<Vec<_>>().join(", ");
        let make = format!("CREATE UNIQUE INDEX ON {} ({columns});", table.name.quoted());
        let make = match shape.dialect {
            Dialect::Postgres => make,
            Dialect::Sqlite => make.replace(" ON ", &format!(" \"{}_{}\" ON ", table.name.table(), tracked.matches[0])),
        };
        match &tracked.parent {
            None => checked.refuse(
                "HW-ROL-046",
                "source-key",
                format!("found no primary key and no unique index on {} ({named})", table.name),
                format!("name the columns that make a row itself, or {make}"),
            ),
            Some(_) => checked.refuse(
                "HW-ROL-046",
                &format!("join.{}.on", tracked.alias),
                format!(
                    "found no unique index on {} ({named}): where it finds two rows, everything is counted twice",
                    table.name
                ),
                format!("join by columns that find one row at most, or {make}"),
            ),
        }
    }
}

/// What a table is found from: that the columns compare, and that the way back is indexed.
async fn joined(
    session: &mut dyn Session,
    shape: &Shape<'_>,
    tracked: &Tracked,
    table: &Table,
    tables: &[Table],
    checked: &mut Checked,
) -> Result<(), Fault> {
    let Some(parent) = &tracked.parent else {
        if shape.dialect == Dialect::Sqlite {
            replaced(tracked, table, checked);
        }
        return Ok(());
    };
    let above = &tables[parent.at];
    for (own, of) in tracked.matches.iter().zip(&parent.columns) {
        let (Some(mine), Some(theirs)) = (table.column(own), above.column(of)) else { continue };
        let field = format!("join.{}.on.{own}", tracked.alias);
        let why = match shape.dialect {
            // What is joined are copies of both, which no declared type brings to one form.
            Dialect::Sqlite if mine.plain_type != theirs.plain_type => {
                Some("values of the two are stored differently".to_owned())
            }
            Dialect::Sqlite => None,
            Dialect::Postgres => {
                let sql = format!(
                    "SELECT 1 FROM {} AS l, {} AS r WHERE false AND l.{} = r.{}",
                    table.name.quoted(),
                    above.name.quoted(),
                    own.quoted(),
                    of.quoted()
                );
                objection(session, &sql).await?
            }
        };
        if let Some(why) = why {
            checked.refuse(
                "HW-ROL-045",
                &field,
                format!(
                    "found {}.{} of type {} and {}.{} of type {}, which do not compare: {why}",
                    table.name, mine.name, mine.type_text, above.name, theirs.name, theirs.type_text
                ),
                "join by columns of one type",
            );
        }
    }
    if !above.is_led_to(&parent.columns) {
        let columns = parent.columns.iter().map(Ident::quoted).collect::<Vec<_>>().join(", ");
        let make = match shape.dialect {
            Dialect::Postgres => format!("CREATE INDEX CONCURRENTLY ON {} ({columns});", above.name.quoted()),
            Dialect::Sqlite => format!(
                "CREATE INDEX \"{}_{}\" ON {} ({columns});",
                above.name.table(),
                parent.columns[0],
                above.name.quoted()
            ),
        };
        checked.advice.push(format!(
            "`join.{}.on`: a change of {} reads all of {} to find what hangs on it, for want of an index: {make}",
            tracked.alias, table.name, above.name
        ));
    }
    if shape.dialect == Dialect::Sqlite {
        replaced(tracked, table, checked);
    }
    Ok(())
}

/// REPLACE removes the row that is in the way of a unique index, and fires no trigger for it; only by the columns that find a
/// row it is noticed all the same.
fn replaced(tracked: &Tracked, table: &Table, checked: &mut Checked) {
    let found_by = |name: &String| tracked.matches.iter().any(|column| column.as_str().eq_ignore_ascii_case(name));
    for index in table.indexes.iter().filter(|index| index.is_unique && !index.columns.iter().all(found_by)) {
        let columns = index.columns.join(", ");
        checked.advice.push(format!(
            "`{}`: a REPLACE that meets a row of {} by its UNIQUE ({columns}) removes it, and SQLite fires no trigger for that \
             unless the writer sets `PRAGMA recursive_triggers = ON`; INSERT … ON CONFLICT DO UPDATE is noticed",
            table.field, table.name
        ));
    }
}
