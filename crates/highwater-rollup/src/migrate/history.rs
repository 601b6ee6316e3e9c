//! The table of what was applied. Owns its shape, and what of the files does not fit to it.

use highwater_db::session::{Dialect, Fault, FaultKind, Session, Value};

use super::MigrateError;
use super::files::{Files, Step};
use crate::declare::TableName;

/// How a step came into the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was run.
    Applied,
    /// It was taken over from another tool, and not run.
    Baselined,
    /// A file without a transaction whose end is not recorded.
    Started,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Baselined => "baselined",
            Self::Started => "started",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The step's number.
    pub number: i64,
    /// Its name.
    pub name: String,
    /// The checksum of its file.
    pub sha256: String,
    /// How it came there.
    pub state: State,
    /// Statements that were finished, of a file without a transaction.
    pub statements_done: u32,
    /// When, by the database's clock, as RFC 3339.
    pub applied_at: String,
}

/// The table, found.
pub(super) struct History {
    /// As SQL quotes it, with its schema: a file may change what is looked for first.
    table: String,
}

impl History {
    /// Finds the table, and makes it where it is not there.
    pub(super) async fn open(session: &mut dyn Session, table: &TableName) -> Result<Self, MigrateError> {
        if let Some(found) = Self::find(session, table).await? {
            return Ok(found);
        }
        let (number, time, now) = match session.dialect() {
            Dialect::Postgres => ("bigint", "timestamptz", "now()"),
            Dialect::Sqlite => ("INTEGER", "TEXT", "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"),
        };
        let sql = format!(
            "CREATE TABLE {} (\n    version {number} PRIMARY KEY,\n    name text NOT NULL,\n    sha256 text NOT NULL,\n    \
             state text NOT NULL CHECK (state IN ('applied', 'baselined', 'started')),\n    \
             statements_done integer NOT NULL DEFAULT 0,\n    applied_at {time} NOT NULL DEFAULT {now}\n)",
            table.quoted()
        );
        session.batch(&sql).await?;
        let gone =
            || Fault { kind: FaultKind::Undefined, doing: sql.clone(), message: "the table is not there".to_owned() };
        Ok(Self::find(session, table).await?.ok_or_else(gone)?)
    }

    /// Finds the table; `None` where it is not there.
    pub(super) async fn find(session: &mut dyn Session, table: &TableName) -> Result<Option<Self>, MigrateError> {
        let quoted = match session.dialect() {
            Dialect::Postgres => {
                let sql = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c
                    JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1::text)";
                let row = session.first(sql, &[Value::from(table.quoted())]).await?;
                row.and_then(|row| row[0].text().map(str::to_owned))
            }
            Dialect::Sqlite => crate::window::is_there(session, table).await?.then(|| table.quoted()),
        };
        let Some(table_sql) = quoted else { return Ok(None) };
        let found = Self { table: table_sql };
        // Not quoted: SQLite would take a name in quotes that is no column for text.
        match session.query(&format!("{} LIMIT 0", found.select(session.dialect())), &[]).await {
            Ok(_) => Ok(Some(found)),
            Err(fault) if fault.kind == FaultKind::Undefined => {
                Err(MigrateError::OthersTable { table: table.to_string(), why: fault.message })
            }
            Err(fault) => Err(fault.into()),
        }
    }

    fn select(&self, dialect: Dialect) -> String {
        let time = match dialect {
            Dialect::Postgres => "to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')",
            Dialect::Sqlite => "applied_at",
        };
        format!("SELECT version, name, sha256, state, statements_done, {time} FROM {} ORDER BY version", self.table)
    }

    /// All of it, by number.
    pub(super) async fn rows(&self, session: &mut dyn Session) -> Result<Vec<Recorded>, Fault> {
        let sql = self.select(session.dialect());
        let rows = session.query(&sql, &[]).await?;
        let read = |row: Vec<Value>| Recorded {
            number: row[0].int().unwrap_or(0),
            name: row[1].to_string(),
            sha256: row[2].to_string(),
            state: match row[3].text() {
                Some("applied") => State::Applied,
                Some("baselined") => State::Baselined,
                _ => State::Started,
            },
            statements_done: row[4].int().and_then(|done| u32::try_from(done).ok()).unwrap_or(0),
            applied_at: row[5].to_string(),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Writes a step's row. A second row of the same number is refused by the table.
    pub(super) async fn add(&self, session: &mut dyn Session, step: &Step, state: State) -> Result<(), Fault> {
        let places = places(session.dialect(), ["bigint", "text", "text", "text"]);
        let sql = format!("INSERT INTO {} (version, name, sha256, state) VALUES ({places})", self.table);
        let values = [
            Value::Int(step.number),
            Value::from(step.name.as_str()),
            Value::from(step.sha256.as_str()),
            Value::from(state.word()),
        ];
        session.execute(&sql, &values).await?;
        Ok(())
    }

    /// Counts a statement of a file without a transaction.
    pub(super) async fn advance(&self, session: &mut dyn Session, step: &Step, done: u32) -> Result<(), Fault> {
        // Numbers, so that nothing needs to be quoted; and it is run inside of a transaction that the file may have begun.
        let sql = format!("UPDATE {} SET statements_done = {done} WHERE version = {}", self.table, step.number);
        session.batch(&sql).await
    }

    /// Ends a file without a transaction.
    pub(super) async fn finish(&self, session: &mut dyn Session, step: &Step) -> Result<(), Fault> {
        let sql = format!("UPDATE {} SET state = 'applied' WHERE version = {}", self.table, step.number);
        session.batch(&sql).await
    }
}

fn places<const N: usize>(dialect: Dialect, types: [&str; N]) -> String {
    let place = |(at, of): (usize, &str)| match dialect {
        Dialect::Postgres => format!("${}::{of}", at + 1),
        Dialect::Sqlite => format!("?{}", at + 1),
    };
    types.into_iter().enumerate().map(place).collect::<Vec<_>>().join(", ")
}

/// Refuses files that do not fit to what was applied.
pub(super) fn compare(files: &Files, rows: &[Recorded], table: &TableName, resume: bool) -> Result<(), MigrateError> {
    let newest = rows.last().map(|row| row.number);
    for row in rows {
        let Some(step) = files.steps.iter().find(|step| step.number == row.number) else {
            let (number, name, recorded) = (row.number, row.name.clone(), row.sha256.clone());
            return Err(MigrateError::Missing { number, name, recorded });
        };
        if step.sha256 != row.sha256 {
            let (file, found) = (step.file.clone(), step.sha256.clone());
            return Err(MigrateError::Changed { file, recorded: row.sha256.clone(), found });
        }
        if row.state == State::Started && !resume {
            let (file, statement) = (step.file.clone(), row.statements_done + 1);
            return Err(MigrateError::Interrupted { file, statement, table: table.to_string() });
        }
    }
    let is_new = |step: &&Step| !rows.iter().any(|row| row.number == step.number);
    match (files.steps.iter().find(is_new), newest) {
        (Some(step), Some(newest)) if step.number < newest => {
            Err(MigrateError::OutOfOrder { file: step.file.clone(), newest })
        }
        _ => Ok(()),
    }
}
