//! Rollups months later, through the binary, on both databases: corruptions that are planted, old raw rows that are deleted,
//! tables that are emptied, a dump that holds a transaction open.

mod ahead;
mod changed;
mod dump;
mod emptied;
mod frozen;
mod full_disk;
mod planted;
mod steered;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use highwater_testkit::postgres::Postgres;

use crate::rig::{Ended, Rig, pause};

/// Longer than the lag.
const LAG_AND_MORE: Duration = Duration::from_millis(1_200);

/// A place with a rollup `usage` of a table `usage` by hour and model; the database is the application's.
struct Months {
    rig: Rig,
    database: Database,
}

enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start_with(&[("fsync", "off"), ("max_connections", "100")]).unwrap())
}

impl Months {
    /// One of each database.
    fn both(more: &str) -> Vec<Self> {
        vec![Self::sqlite(more), Self::postgres(more)]
    }

    fn sqlite(more: &str) -> Self {
        let rig = Rig::new(&config("sqlite:usage.db", "busy-timeout = \"500ms\"", more));
        let path = rig.path("usage.db");
        Self::of_file(rig, path)
    }

    /// With the database in another directory.
    fn in_directory(directory: &Path) -> Self {
        let path = directory.join("usage.db");
        let rig = Rig::new(&config(&format!("sqlite:{}", path.display()), "busy-timeout = \"500ms\"", ""));
        Self::of_file(rig, path)
    }

    fn of_file(rig: Rig, path: PathBuf) -> Self {
        rusqlite::Connection::open(&path).unwrap().pragma_update(None, "journal_mode", "WAL").unwrap();
        let months = Self { rig, database: Database::Sqlite(path) };
        months
            .sql("CREATE TABLE usage (id INTEGER PRIMARY KEY, at TEXT NOT NULL, model TEXT, tokens INTEGER NOT NULL)");
        months
    }

    fn postgres(more: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("months_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let server = server().url();
        rows(&server, &format!("CREATE DATABASE {name}"));
        let url = format!("{}/{name}", server.trim_end_matches("/postgres"));
        let months = Self { rig: Rig::new(&config(&url, "", more)), database: Database::Postgres(url) };
        months.sql(
            "CREATE TABLE usage (id bigint PRIMARY KEY, at timestamptz NOT NULL, model text, tokens bigint NOT NULL)",
        );
        months
    }

    fn is_postgres(&self) -> bool {
        matches!(self.database, Database::Postgres(_))
    }

    /// Statements, and the rows of the last one as text.
    fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match &self.database {
            Database::Postgres(url) => rows(url, sql),
            Database::Sqlite(path) => {
                let db = rusqlite::Connection::open(path).unwrap();
                db.busy_timeout(Duration::from_secs(10)).unwrap();
                let mut statement = db.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
                let columns = statement.column_count();
                let text = |row: &rusqlite::Row<'_>, at: usize| match row.get::<_, rusqlite::types::Value>(at).unwrap()
                {
                    rusqlite::types::Value::Null => None,
                    rusqlite::types::Value::Integer(number) => Some(number.to_string()),
                    rusqlite::types::Value::Real(number) => Some(number.to_string()),
                    rusqlite::types::Value::Text(text) => Some(text),
                    rusqlite::types::Value::Blob(_) => panic!("{sql}: a blob"),
                };
                let rows = statement.query_map([], |row| Ok((0..columns).map(|at| text(row, at)).collect()));
                rows.unwrap().map(Result::unwrap).collect()
            }
        }
    }

    /// Statements without rows.
    fn sql(&self, sql: &str) {
        match &self.database {
            Database::Postgres(url) => drop(rows(url, sql)),
            Database::Sqlite(path) => {
                let db = rusqlite::Connection::open(path).unwrap();
                db.busy_timeout(Duration::from_secs(10)).unwrap();
                db.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
        }
    }

    fn one(&self, sql: &str) -> String {
        self.rows(sql)[0][0].clone().unwrap_or_default()
    }

    /// How many seconds the database's clock is past the epoch, in whole hours.
    fn hour(&self) -> i64 {
        let now = if self.is_postgres() { "SELECT extract(epoch FROM now())::bigint" } else { "SELECT unixepoch()" };
        self.one(now).parse::<i64>().unwrap().div_euclid(3600) * 3600
    }

    /// A raw row, so many hours before now.
    fn usage(&self, id: i64, hours_ago: i64, model: &str, tokens: i64) {
        let at = jiff::Timestamp::from_second(self.hour() - hours_ago * 3600).unwrap();
        self.sql(&format!("INSERT INTO usage (id, at, model, tokens) VALUES ({id}, '{at}', {model}, {tokens})"));
    }

    /// The rollup is installed and seeded.
    fn seed(&self) {
        self.rig.ok(&["rollup", "install", "usage"]);
        self.pass(0);
    }

    /// One pass, when all that was done is older than the lag.
    fn pass(&self, code: i32) -> Ended {
        pause(LAG_AND_MORE);
        let ended = self.rig.run(&["run", "usage"]);
        assert_eq!(ended.code, code, "{ended:?}");
        ended
    }

    /// Another text in the configuration.
    fn configure(&self, from: &str, to: &str) {
        let config = self.rig.read("highwater.toml");
        assert!(config.contains(from), "{from}: {config}");
        self.rig.write("highwater.toml", &config.replace(from, to));
    }

    /// The call, its code and its output.
    fn call(&self, args: &[&str], code: i32) -> String {
        let ended = self.rig.run(args);
        assert_eq!(ended.code, code, "{args:?}: {ended:?}");
        format!("{}{}", ended.stdout, ended.stderr)
    }

    /// The target, each row with what the database knows it by.
    fn target(&self) -> Vec<Vec<Option<String>>> {
        let of_row = if self.is_postgres() { "ctid::text, xmin::text" } else { "rowid, 0" };
        self.rows(&format!("SELECT {of_row}, bucket, model, tokens, calls FROM hourly ORDER BY bucket, model"))
    }

    /// The target's tokens, oldest first.
    fn tokens(&self) -> Vec<String> {
        let rows = self.rows("SELECT tokens FROM hourly ORDER BY bucket, model");
        rows.into_iter().map(|row| row[0].clone().unwrap_or_default()).collect()
    }
}

fn config(database: &str, own: &str, more: &str) -> String {
    format!(
        "[job.usage]\nkind = \"rollup\"\ndatabase = \"{database}\"\nsource = \"usage\"\nevent-time = \"at\"\ngrain = \"hour\"\n\
         target = \"hourly\"\nkeys = {{ model = \"model\" }}\naggregates = {{ tokens = {{ sum = \"tokens\" }}, calls = \"count\" }}\n\
         lag = \"1s\"\n{own}\n{more}\n"
    )
}

/// Rows of the last statement, as text.
fn rows(url: &str, sql: &str) -> Vec<Vec<Option<String>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("SET TIME ZONE 'UTC'").await.unwrap();
        let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = |message: &tokio_postgres::SimpleQueryMessage| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
            }
            _ => None,
        };
        messages.iter().filter_map(row).collect()
    })
}
