//! What there is of a table: its kind, its columns, its indexes, and what the role may do with it. Owns the reading of the
//! catalogues, and what is no table that triggers can be on.

use highwater_db::session::{Dialect, Fault, Session, Value};

use super::near::instead;
use super::{Checked, called};
use crate::declare::{Ident, TableName};

/// Most names of tables that are read to find a near one.
const NAMES_MAX: i64 = 10_000;
/// Most tables of the same name that are suggested.
const ELSEWHERE_MAX: usize = 3;
/// Between the columns of an index.
const BETWEEN: char = '\u{1f}';

/// A table that is there.
pub(super) struct Table {
    /// The field that names it.
    pub(super) field: String,
    pub(super) name: TableName,
    pub(super) columns: Vec<Column>,
    pub(super) indexes: Vec<Index>,
    /// Whether rows can be told by `rowid`.
    pub(super) has_rowid: bool,
    pub(super) may_read: bool,
    /// What PostgreSQL says besides.
    pub(super) server: Option<OnServer>,
}

/// What a server says of a table and the role.
pub(super) struct OnServer {
    pub(super) may_trigger: bool,
    pub(super) is_owner: bool,
    pub(super) owner: String,
    pub(super) role: String,
    pub(super) hides_rows: bool,
    pub(super) has_children: bool,
    pub(super) has_foreign_part: bool,
    pub(super) is_replicated: bool,
}

/// A column of it.
pub(super) struct Column {
    pub(super) name: String,
    /// The type as it was written.
    pub(super) type_text: String,
    /// Its plain name, of a domain that of what it is made of.
    pub(super) plain_type: String,
    pub(super) not_null: bool,
    /// Whether its value is computed when it is read, and no trigger sees it.
    pub(super) is_virtual: bool,
}

/// An index that finds rows by equality.
pub(super) struct Index {
    pub(super) is_unique: bool,
    /// An expression is an empty name.
    pub(super) columns: Vec<String>,
}

impl Table {
    /// Reads what there is; a table that is not there, or is none, is refused, and is `None`.
    pub(super) async fn find(
        session: &mut dyn Session,
        name: &TableName,
        field: &str,
        checked: &mut Checked,
    ) -> Result<Option<Self>, Fault> {
        match session.dialect() {
            Dialect::Postgres => on_server(session, name, field, checked).await,
            Dialect::Sqlite => in_file(session, name, field, checked).await,
        }
    }

    /// The column of a name, as the database compares names.
    pub(super) fn column(&self, name: &Ident) -> Option<&Column> {
        let same = |column: &&Column| match self.server {
            Some(_) => column.name == name.as_str(),
            None => column.name.eq_ignore_ascii_case(name.as_str()),
        };
        self.columns.iter().find(same)
    }

    /// Whether these columns find one row at most.
    pub(super) fn is_unique(&self, columns: &[Ident]) -> bool {
        let named = |name: &String| columns.iter().any(|column| column.as_str().eq_ignore_ascii_case(name));
        self.indexes.iter().any(|index| index.is_unique && index.columns.iter().all(named))
    }

    /// Whether an index leads to the rows that have a value in one of these columns.
    pub(super) fn is_led_to(&self, columns: &[Ident]) -> bool {
        let named = |name: &String| columns.iter().any(|column| column.as_str().eq_ignore_ascii_case(name));
        self.indexes.iter().any(|index| index.columns.first().is_some_and(named))
    }
}

fn yes(value: &Value) -> bool {
    value.int() == Some(1)
}

fn text(value: &Value) -> String {
    value.text().unwrap_or_default().to_owned()
}

fn split(value: &Value) -> Vec<String> {
    text(value).split(BETWEEN).map(str::to_owned).collect()
}

async fn on_server(
    session: &mut dyn Session,
    name: &TableName,
    field: &str,
    checked: &mut Checked,
) -> Result<Option<Table>, Fault> {
    let values = [Value::from(name.quoted())];
    let Some(row) = session.first(include_str!("postgres_table.sql"), &values).await? else {
        absent(session, name, field, checked).await?;
        return Ok(None);
    };
    let kind = text(&row[0]);
    let what = match kind.as_str() {
        _ if yes(&row[2]) => Some("a table of the system"),
        _ if yes(&row[1]) => Some("a temporary table"),
        "r" | "p" => None,
        "v" => Some("a view"),
        "m" => Some("a materialized view"),
        "f" => Some("a foreign table"),
        "S" => Some("a sequence"),
        "i" | "I" => Some("an index"),
        _ => Some("something else"),
    };
    if let Some(what) = what {
        no_table(name, field, what, checked);
        return Ok(None);
    }
    let mut columns = Vec::new();
    for row in session.query(include_str!("postgres_columns.sql"), &values).await? {
        columns.push(Column {
            name: text(&row[0]),
            type_text: text(&row[1]),
            plain_type: text(&row[2]),
            not_null: yes(&row[3]),
            is_virtual: yes(&row[4]),
        });
    }
    let indexes = session.query(include_str!("postgres_indexes.sql"), &values).await?;
    let indexes = indexes.iter().map(|row| Index { is_unique: yes(&row[0]), columns: split(&row[1]) }).collect();
    Ok(Some(Table {
        field: field.to_owned(),
        name: name.clone(),
        columns,
        indexes,
        has_rowid: false,
        may_read: yes(&row[3]),
        server: Some(OnServer {
            may_trigger: yes(&row[4]),
            is_owner: yes(&row[5]),
            owner: text(&row[6]),
            role: text(&row[11]),
            hides_rows: yes(&row[7]),
            has_children: yes(&row[8]),
            has_foreign_part: yes(&row[9]),
            is_replicated: yes(&row[10]),
        }),
    }))
}

async fn in_file(
    session: &mut dyn Session,
    name: &TableName,
    field: &str,
    checked: &mut Checked,
) -> Result<Option<Table>, Fault> {
    if !name.schema_prefix().is_empty() {
        checked.refuse(
            "HW-ROL-041",
            field,
            format!("found {name}, expected a table of the file itself: SQLite's triggers reach into no other"),
            format!("write `{}`", name.table()),
        );
        return Ok(None);
    }
    let values = [Value::from(name.table().as_str())];
    let sql = "SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE";
    let Some(row) = session.first(sql, &values).await? else {
        absent(session, name, field, checked).await?;
        return Ok(None);
    };
    let kind = text(&row[0]);
    let what = match kind.as_str() {
        _ if name.table().as_str().to_ascii_lowercase().starts_with("sqlite_") => Some("a table of the system"),
        "table" => None,
        "view" => Some("a view"),
        "virtual" => Some("a virtual table"),
        "shadow" => Some("a table of a virtual table's own"),
        _ => Some("something else"),
    };
    if let Some(what) = what {
        no_table(name, field, what, checked);
        return Ok(None);
    }
    let sql = "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
    let mut columns = Vec::new();
    let mut primary = Vec::new();
    for row in session.query(sql, &values).await? {
        let (name, type_text) = (text(&row[0]), text(&row[1]));
        if let Some(at) = row[3].int().filter(|at| *at > 0) {
            primary.push((at, name.clone()));
        }
        columns.push(Column {
            name,
            plain_type: affinity(&type_text).to_owned(),
            type_text: if type_text.is_empty() { "no type".to_owned() } else { type_text },
            not_null: yes(&row[2]),
            is_virtual: false,
        });
    }
    let rows = session.query(include_str!("sqlite_indexes.sql"), &values).await?;
    let mut indexes: Vec<Index> =
        rows.iter().map(|row| Index { is_unique: yes(&row[0]), columns: split(&row[1]) }).collect();
    if let [(_, rowid)] = primary.as_slice() {
        // Another name of the rowid, which has no index of its own, and is never NULL.
        let has_index = indexes.iter().any(|index| index.is_unique && index.columns == [rowid.clone()]);
        if !has_index {
            indexes.push(Index { is_unique: true, columns: vec![rowid.clone()] });
            columns.iter_mut().filter(|column| column.name == *rowid).for_each(|column| column.not_null = true);
        }
    }
    Ok(Some(Table {
        field: field.to_owned(),
        name: name.clone(),
        columns,
        indexes,
        has_rowid: !yes(&row[1]),
        may_read: true,
        server: None,
    }))
}

/// What SQLite makes of a declared type.
pub(crate) fn affinity(declared: &str) -> &'static str {
    let declared = declared.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    if has(&["INT"]) {
        "number"
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        "text"
    } else if declared.is_empty() || has(&["BLOB"]) || declared == "ANY" {
        "any"
    } else {
        "number"
    }
}

fn no_table(name: &TableName, field: &str, what: &str, checked: &mut Checked) {
    checked.refuse(
        "HW-ROL-043",
        field,
        format!("found {name}, {what}; expected a table: only on a table triggers notice every change"),
        "name the table that its rows come from, or drive a window of your own: `window`, `bounds` and `watermark`",
    );
}

async fn absent(session: &mut dyn Session, name: &TableName, field: &str, checked: &mut Checked) -> Result<(), Fault> {
    let dialect = session.dialect();
    let rows = match dialect {
        Dialect::Postgres => session.query(include_str!("postgres_tables.sql"), &[Value::Int(NAMES_MAX)]).await?,
        Dialect::Sqlite => {
            let sql = "SELECT name, 0, name FROM sqlite_schema
                       WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1 LIMIT ?1";
            session.query(sql, &[Value::Int(NAMES_MAX)]).await?
        }
    };
    let wanted = name.to_string();
    let is_temporary = rows.iter().any(|row| yes(&row[1]) && text(&row[2]) == name.table().as_str());
    let lasting: Vec<(String, String)> =
        rows.iter().filter(|row| !yes(&row[1])).map(|row| (text(&row[0]), text(&row[2]))).collect();
    let mut message = format!("found no table {wanted} in this {} database", called(dialect));
    if is_temporary {
        message.push_str(", but a temporary one of another session, which nobody else sees");
    }
    // The same name in a schema that the search path does not have goes before one that is only near.
    let elsewhere = lasting.iter().filter(|(shown, own)| own == name.table().as_str() && *shown != wanted);
    let elsewhere: Vec<String> = elsewhere.take(ELSEWHERE_MAX).map(|(shown, _)| format!("`{shown}`")).collect();
    let next = match elsewhere.is_empty() {
        false => format!("did you mean {}? The role's search path does not lead there", elsewhere.join(" or ")),
        true if is_temporary => "name a table that lasts".to_owned(),
        true => instead(&wanted, lasting.iter().map(|(shown, _)| shown.as_str())),
    };
    checked.refuse("HW-ROL-041", field, message, next);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::affinity;

    #[test]
    fn what_sqlite_makes_of_a_type() {
        for (declared, made) in [
            ("INTEGER", "number"),
            ("bigint", "number"),
            ("CHARINT", "number"),
            ("varchar(20)", "text"),
            ("TEXT", "text"),
            ("", "any"),
            ("BLOB", "any"),
            ("ANY", "any"),
            ("double precision", "number"),
            ("DECIMAL(10,5)", "number"),
            ("TIMESTAMP", "number"),
        ] {
            assert_eq!(affinity(declared), made, "{declared}");
        }
    }
}
