//! Values, where declared types say little: in SQLite a column holds what was put into it. Owns what is looked at, which is the
//! first rows and the last, and what of it is no time and no number.

use highwater_db::session::{Dialect, Fault, Session, Value};

use super::Checked;
use super::columns::Use;
use super::table::Table;

/// Rows that are looked at from either end.
const SAMPLED_ROWS: u32 = 1_000;
/// Longest value that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 40;
/// The last second of the year 9999, and the first of the year 0: what is beyond counts something else than seconds.
const SECONDS_MAX: i64 = 253_402_300_799;
const SECONDS_MIN: i64 = -62_167_219_200;

/// A few rows of a column, as `c`.
fn rows(one: &Use<'_>, table: &Table) -> String {
    let (column, name) = (one.column.quoted(), table.name.quoted());
    let first = format!("SELECT * FROM (SELECT {column} AS c FROM {name} LIMIT {SAMPLED_ROWS})");
    if !table.has_rowid {
        return first;
    }
    format!("{first} UNION ALL SELECT * FROM (SELECT {column} FROM {name} ORDER BY rowid DESC LIMIT {SAMPLED_ROWS})")
}

/// The first value that a condition is true of: its storage and itself.
async fn odd(
    session: &mut dyn Session,
    one: &Use<'_>,
    table: &Table,
    condition: &str,
) -> Result<Option<(String, String)>, Fault> {
    let sql = format!("SELECT typeof(c), CAST(c AS TEXT) FROM ({}) WHERE {condition} LIMIT 1", rows(one, table));
    let row = session.first(&sql, &[]).await?;
    let text = |value: &Value| value.text().unwrap_or_default().to_owned();
    Ok(row.map(|row| (text(&row[0]), shortened(&text(&row[1])))))
}

fn shortened(text: &str) -> String {
    let short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// Times are ISO 8601 text, or seconds since the epoch.
pub(super) async fn event_time(
    session: &mut dyn Session,
    one: &Use<'_>,
    table: &Table,
    shown: &str,
    checked: &mut Checked,
) -> Result<(), Fault> {
    let condition = format!(
        "CASE typeof(c)
             WHEN 'null' THEN false
             WHEN 'text' THEN unixepoch(c) IS NULL OR c NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
             WHEN 'blob' THEN true
             ELSE c NOT BETWEEN {SECONDS_MIN} AND {SECONDS_MAX}
         END"
    );
    let Some((storage, value)) = odd(session, one, table, &condition).await? else { return Ok(()) };
    let found = if storage == "blob" { "a blob".to_owned() } else { format!("{storage} `{value}`") };
    let looks = match storage.as_str() {
        "integer" | "real" => ": it looks like milliseconds",
        _ => "",
    };
    checked.refuse(
        "HW-ROL-044",
        &one.field,
        format!(
            "found {found} in {shown}{looks}; expected times such as `2026-01-31T12:00:00Z`, or seconds since the epoch"
        ),
        "name the column that says when, or write its values so; a generated column can be one",
    );
    Ok(())
}

/// On a server, the earliest and the latest time, which the index on it tells: there is no bucket of `infinity`.
pub(super) async fn ends(
    session: &mut dyn Session,
    one: &Use<'_>,
    table: &Table,
    checked: &mut Checked,
) -> Result<(), Fault> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let (column, name) = (one.column.quoted(), table.name.quoted());
    let sql = format!("SELECT isfinite(min({column})) AND isfinite(max({column})) FROM {name}");
    let row = session.first(&sql, &[]).await?;
    if row.and_then(|row| row[0].int()) == Some(0) {
        checked.refuse(
            "HW-ROL-044",
            &one.field,
            format!(
                "found `infinity` or `-infinity` in {}.{}, expected times that are in a bucket",
                table.name, one.column
            ),
            "write NULL for a time that is not known: such a row is in no bucket",
        );
    }
    Ok(())
}

/// Numbers: a text would be summed as nothing.
pub(super) async fn numbers(
    session: &mut dyn Session,
    one: &Use<'_>,
    word: &str,
    table: &Table,
    shown: &str,
    checked: &mut Checked,
) -> Result<(), Fault> {
    let Some((storage, value)) = odd(session, one, table, "typeof(c) IN ('text', 'blob')").await? else {
        return Ok(());
    };
    checked.refuse(
        "HW-ROL-045",
        &one.field,
        format!(
            "found {storage} `{value}` in {shown}, expected numbers for `{word}`: SQLite sums what is none as nothing"
        ),
        "name a column of numbers; `count-distinct`, `min` and `max` are for others too",
    );
    Ok(())
}

/// What is equal by a collation is not equal in copies of it, which have none.
pub(super) async fn compares_by_bytes(
    session: &mut dyn Session,
    one: &Use<'_>,
    table: &Table,
    shown: &str,
    checked: &mut Checked,
) -> Result<(), Fault> {
    // A column on the left lends its collation to what is united with it.
    let (column, name) = (one.column.quoted(), table.name.quoted());
    let sql = format!(
        "SELECT count(*) FROM (SELECT {column} FROM {name} WHERE false UNION SELECT 'a' UNION SELECT 'A' UNION SELECT 'a ')"
    );
    let row = session.first(&sql, &[]).await?;
    if row.and_then(|row| row[0].int()) == Some(3) {
        return Ok(());
    }
    checked.refuse(
        "HW-ROL-045",
        &one.field,
        format!("found {shown} with a collation by which different texts are equal, expected one by bytes (BINARY)"),
        "name a column that has none; a generated column such as `lower(…)` can be one",
    );
    Ok(())
}
