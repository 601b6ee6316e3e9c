//! The index by which a drain reads the source: on the event time. Owns that none is made where one is there already, and that
//! on a server it is made beside those who write, before anything else of the rollup.
//!
//! An index of the name that ours has is ours, on the source itself or on its partitions. Any other is somebody else's: it is
//! used, and never taken away.

use highwater_db::session::{Dialect, Fault, Session, Value};

use super::InstallError;
use crate::declare::Declaration;
use crate::sql::Shape;

/// The statement, where writers may be kept waiting.
pub(super) fn plain(shape: &Shape<'_>) -> String {
    create(shape, "CREATE INDEX")
}

/// The statement that keeps no writer waiting, and runs in no transaction.
pub(super) fn concurrently(shape: &Shape<'_>) -> String {
    create(shape, "CREATE INDEX CONCURRENTLY")
}

fn create(shape: &Shape<'_>, verb: &str) -> String {
    let name = shape.own("event").table().quoted();
    let source = shape.declaration.source.quoted();
    format!("{verb} {name} ON {source} ({})", by(shape))
}

/// What it is on, as statements compare it.
fn by(shape: &Shape<'_>) -> String {
    shape.at(&shape.declaration.event_time.quoted())
}

/// Its name with its schema, which is that of the source.
pub(super) fn name(shape: &Shape<'_>) -> String {
    format!("{}{}", shape.declaration.source.schema_prefix(), shape.own("event").table().quoted())
}

/// Most partitions without an index that a person is told.
const UNLED_TOLD_MAX: usize = 5;

/// A table that holds rows of the source, or is above one that does.
struct Part {
    oid: i64,
    parent: Option<i64>,
    is_partitioned: bool,
    /// Its name with its schema, as SQL quotes it.
    table: String,
    /// The name of our index on it, with its schema and without.
    index: String,
    bare: String,
    /// Whether an index leads to its rows, whosever it is.
    is_led_to: bool,
    own: Own,
}

/// What there is under the name of our index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    None,
    Whole,
    /// An earlier attempt was cut off.
    Invalid,
    BeingMade,
    /// Something else of that name.
    Other,
}

impl Own {
    fn read(word: Option<&str>) -> Self {
        match word {
            Some("whole") => Self::Whole,
            Some("invalid") => Self::Invalid,
            Some("being made") => Self::BeingMade,
            Some("other") => Self::Other,
            _ => Self::None,
        }
    }
}

async fn parts(session: &mut dyn Session, shape: &Shape<'_>) -> Result<Vec<Part>, Fault> {
    let declaration = shape.declaration;
    let own = shape.own("event");
    let source = declaration.source.quoted();
    let values = [&source, declaration.event_time.as_str(), own.table().as_str()].map(Value::from);
    let rows = session.query(include_str!("event.sql"), &values).await?;
    let text = |value: &Value| value.text().unwrap_or_default().to_owned();
    let part = |row: &Vec<Value>| Part {
        oid: row[0].int().unwrap_or(0),
        parent: row[1].int(),
        is_partitioned: row[2].int() == Some(1),
        table: text(&row[3]),
        index: text(&row[4]),
        bare: text(&row[5]),
        is_led_to: row[6].int() == Some(1),
        own: Own::read(row[7].text()),
    };
    Ok(rows.iter().map(part).collect())
}

/// Whether all parts that hold rows are led to. The index of a partitioned table says so of all of them, those to come too.
fn all_led_to(parts: &[Part]) -> bool {
    let mut leaves = parts.iter().filter(|part| !part.is_partitioned).peekable();
    parts.first().is_some_and(|source| source.is_led_to)
        || (leaves.peek().is_some() && leaves.all(|leaf| leaf.is_led_to))
}

/// Whether an index leads to all of the source's rows by their event time, whosever it is.
///
/// # Errors
/// [`Fault`].
pub(crate) async fn is_whole(session: &mut dyn Session, declaration: &Declaration) -> Result<bool, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    match shape.dialect {
        Dialect::Postgres => Ok(all_led_to(&parts(session, &shape).await?)),
        Dialect::Sqlite => Ok(in_file(session, &shape).await?.0),
    }
}

/// The same; where each partition has an index of its own, one that came without keeps no pass from its work.
///
/// # Errors
/// [`Fault`].
pub(crate) async fn is_there(session: &mut dyn Session, declaration: &Declaration) -> Result<bool, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    match shape.dialect {
        Dialect::Postgres => Ok(parts(session, &shape).await?.iter().any(|part| part.is_led_to)),
        Dialect::Sqlite => Ok(in_file(session, &shape).await?.0),
    }
}

/// Partitions that came without an index, where others have one: a sentence each, with the statement that makes it.
///
/// # Errors
/// [`Fault`].
pub(super) async fn unled(session: &mut dyn Session, shape: &Shape<'_>) -> Result<Vec<String>, Fault> {
    let parts = parts(session, shape).await?;
    if all_led_to(&parts) || !parts.iter().any(|part| part.is_led_to) {
        return Ok(Vec::new());
    }
    let unled = parts.iter().filter(|part| !part.is_partitioned && !part.is_led_to);
    let sentence = |part: &Part| {
        let (shown, by) = (part.table.replace('"', ""), &shape.declaration.event_time);
        format!("no index leads to {shown} by {by}: CREATE INDEX CONCURRENTLY ON {} ({});", part.table, by.quoted())
    };
    Ok(unled.take(UNLED_TOLD_MAX).map(sentence).collect())
}

/// Whether the one of our name is there.
///
/// # Errors
/// [`Fault`].
pub(crate) async fn is_ours(session: &mut dyn Session, declaration: &Declaration) -> Result<bool, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    match shape.dialect {
        Dialect::Postgres => {
            let parts = parts(session, &shape).await?;
            Ok(parts.first().is_some_and(|source| source.own == Own::Whole))
        }
        Dialect::Sqlite => Ok(in_file(session, &shape).await?.1 == Own::Whole),
    }
}

/// Of a file: whether an index leads to the rows, and what there is under our name.
async fn in_file(session: &mut dyn Session, shape: &Shape<'_>) -> Result<(bool, Own), Fault> {
    let sql = "SELECT s.name, s.sql, s.tbl_name = ?1 COLLATE NOCASE AND s.type = 'index' AND NOT ifnull(l.partial, 1)
               FROM sqlite_schema AS s
               LEFT JOIN pragma_index_list(?1) AS l ON l.name = s.name
               WHERE s.name = ?2 COLLATE NOCASE OR (s.type = 'index' AND s.tbl_name = ?1 COLLATE NOCASE)";
    let own = shape.own("event");
    let values = [shape.declaration.source.table().as_str(), own.table().as_str()].map(Value::from);
    let (mut is_led_to, mut ours) = (false, Own::None);
    for row in session.query(sql, &values).await? {
        let leads = row[2].int() == Some(1) && begins_with(row[1].text().unwrap_or_default(), &by(shape));
        is_led_to |= leads;
        if row[0].text().is_some_and(|name| name.eq_ignore_ascii_case(own.table().as_str())) {
            ours = if leads { Own::Whole } else { Own::Other };
        }
    }
    Ok((is_led_to, ours))
}

/// Whether the first of what an index is on is an expression, as SQLite compares the two: word by word.
fn begins_with(statement: &str, expression: &str) -> bool {
    let plain = |text: &str| {
        let words = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '"');
        words.collect::<String>().to_lowercase()
    };
    let (statement, expression) = (plain(statement), plain(expression));
    let Some((_, columns)) = statement.split_once('(') else { return false };
    let rest = columns.strip_prefix(&expression);
    rest.is_some_and(|rest| [")", ",", "asc)", "asc,", "desc)", "desc,"].iter().any(|end| rest.starts_with(end)))
}

/// Sees to the index before the rollup is installed, and says what is left to do in its transaction. On a server it is made on
/// every part that holds rows, beside those who write; `note` is told before that, since it may take long. No transaction may
/// be open.
///
/// # Errors
/// [`InstallError`]; what was made stays, and is used by the next call.
pub(crate) async fn provide(
    session: &mut dyn Session,
    declaration: &Declaration,
    note: &(dyn Fn(&str) + Sync),
) -> Result<Vec<String>, InstallError> {
    let shape = Shape::of(session.dialect(), declaration);
    let shown = |index: &str| format!("index {}", index.replace('"', ""));
    if shape.dialect == Dialect::Sqlite {
        return match in_file(session, &shape).await? {
            (true, _) => Ok(Vec::new()),
            (false, Own::None) => Ok(vec![plain(&shape)]),
            (false, _) => Err(InstallError::There { found: vec![shown(&name(&shape))] }),
        };
    }
    let parts = parts(session, &shape).await?;
    if let Some(part) = parts.iter().find(|part| part.own == Own::BeingMade) {
        return Err(InstallError::BeingMade { index: shown(&part.index) });
    }
    let is_led_to = all_led_to(&parts);
    if let Some(other) = parts.iter().find(|part| part.own == Own::Other && !is_led_to) {
        return Err(InstallError::There { found: vec![shown(&other.index)] });
    }
    let mut within = Vec::new();
    for part in parts.iter().filter(|part| part.own == Own::Invalid) {
        match part.is_partitioned {
            // It goes with those of its parts that hang on it, which are led to by nothing else then.
            true => within.push(format!("DROP INDEX {}", part.index)),
            false => alone(session, &part.index, &format!("DROP INDEX CONCURRENTLY {}", part.index)).await?,
        }
    }
    if is_led_to {
        return Ok(within);
    }
    for part in parts.iter().filter(|part| !part.is_partitioned && part.own != Own::Whole) {
        note(&format!(
            "no index leads to {} by {}: making {} CONCURRENTLY, which keeps no writer waiting, and waits itself for transactions \
             that are open; on a large table it takes long",
            part.table.replace('"', ""),
            declaration.event_time,
            part.bare.replace('"', "")
        ));
        let sql = format!("CREATE INDEX CONCURRENTLY {} ON {} ({})", part.bare, part.table, by(&shape));
        alone(session, &part.index, &sql).await?;
    }
    for part in parts.iter().filter(|part| part.is_partitioned && part.own != Own::Whole) {
        within.push(format!("CREATE INDEX {} ON ONLY {} ({})", part.bare, part.table, by(&shape)));
    }
    // From below, so that each is whole when it is hung on the one above.
    for part in parts.iter().rev() {
        if let Some(above) = parts.iter().find(|above| Some(above.oid) == part.parent) {
            within.push(format!("ALTER INDEX {} ATTACH PARTITION {}", above.index, part.index));
        }
    }
    Ok(within)
}

/// The statements that take away what an installation that was given up has left of it on partitions.
///
/// # Errors
/// [`Fault`].
pub async fn strays(session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<String>, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    if shape.dialect == Dialect::Sqlite {
        return Ok(Vec::new());
    }
    let parts = parts(session, &shape).await?;
    let strays = parts.iter().filter(|part| part.parent.is_some() && matches!(part.own, Own::Whole | Own::Invalid));
    Ok(strays.map(|part| format!("DROP INDEX IF EXISTS {}", part.index)).collect())
}

/// Runs a statement that runs in no transaction. Since it keeps nobody waiting, no time-out of statements ends it; that of
/// locks does, if the role has one.
async fn alone(session: &mut dyn Session, index: &str, sql: &str) -> Result<(), InstallError> {
    let limit = session.first("SELECT current_setting('statement_timeout')", &[]).await?;
    let limit = limit.and_then(|row| row[0].text().map(str::to_owned)).unwrap_or_default();
    session.batch("SET statement_timeout = 0").await?;
    let done = session.batch(sql).await;
    // A connection that is gone has none.
    session.batch(&format!("SET statement_timeout = '{limit}'")).await.ok();
    done.map_err(|fault| InstallError::Index { index: index.replace('"', ""), fault })
}

#[cfg(test)]
mod tests {
    use super::begins_with;

    #[test]
    fn an_index_is_compared_word_by_word_and_by_its_first_expression_alone() {
        let by = "CAST(\"at\" AS INTEGER)";
        for same in ["(CAST(at AS INTEGER))", "(cast(\"at\" as integer), b)", "( CAST(at\n AS INTEGER) DESC)"] {
            assert!(begins_with(&format!("CREATE INDEX i ON t {same}"), by), "{same}");
        }
        for other in
            ["(at)", "(b, CAST(at AS INTEGER))", "(CAST(at AS INTEGER) COLLATE NOCASE)", "(CAST(at AS INTEGER) + 1)"]
        {
            assert!(!begins_with(&format!("CREATE INDEX i ON t {other}"), by), "{other}");
        }
    }
}
