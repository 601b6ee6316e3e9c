//! The case that the crate comes from: token counts of tasks by hour, workspace, runtime, agent, project, provider and model.
//! Owns its tables in both dialects, and a grouping written without the crate, to compare with.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use highwater_db::postgres::{Address, PostgresSession};
use highwater_db::session::{Dialect, Session, Value};
use highwater_db::sqlite::SqliteSession;
use highwater_rollup::declare::Declaration;
use highwater_rollup::tick::{Reach, Ticked, tick};
use highwater_rollup::{bound, ddl, drain, recompute, state};
use highwater_testkit::postgres::Postgres;
use jiff::Timestamp;
use tempfile::TempDir;

/// Where the watermark is.
const STATE: &str = "task_usage_hourly_state";

const DECLARATION: &str = r#"
    source = "task_usage"
    event-time = "created_at"
    grain = "hour"
    target = "task_usage_hourly"
    join.task = { table = "agent_task_queue", on = { id = "task_id" } }
    join.agent = { table = "agent", on = { id = "task.agent_id" } }
    join.issue = { table = "issue", on = { id = "task.issue_id" }, optional = true }
    keys = { workspace_id = "agent.workspace_id", runtime_id = "task.runtime_id", agent_id = "task.agent_id", project_id = "issue.project_id", provider = "provider", model = "model" }
    aggregates = { tokens = { sum = "tokens" }, calls = "count", cost = { avg = "cost" }, tasks = { count-distinct = "task_id" }, largest = { max = "tokens" } }
"#;

pub(crate) fn declaration() -> Declaration {
    let declaration: Declaration = toml::from_str(DECLARATION).unwrap();
    declaration.check().unwrap();
    declaration
}

/// A database of its own with the four tables, empty.
pub(crate) struct Base {
    address: Option<String>,
    directory: Option<TempDir>,
}

const BUSY: Duration = Duration::from_secs(5);

/// One server for all tests of the process; each takes a database of its own.
fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    let settings = [("fsync", "off"), ("max_connections", "100"), ("max_prepared_transactions", "4")];
    SERVER.get_or_init(|| Postgres::start_with(&settings).unwrap())
}

impl Base {
    pub(crate) async fn new(dialect: Dialect) -> Self {
        let base = match dialect {
            Dialect::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                let db = rusqlite::Connection::open(directory.path().join("usage.db")).unwrap();
                db.pragma_update(None, "journal_mode", "WAL").unwrap();
                Self { address: None, directory: Some(directory) }
            }
            Dialect::Postgres => {
                use std::sync::atomic::{AtomicU32, Ordering};
                static NEXT: AtomicU32 = AtomicU32::new(0);
                let name = format!("usage_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
                let admin = server().connect().await.unwrap();
                admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
                let address = server().url().replace("/postgres?", &format!("/{name}?"));
                let address = address.strip_suffix("/postgres").map(|host| format!("{host}/{name}")).unwrap_or(address);
                Self { address: Some(address), directory: None }
            }
        };
        let mut session = base.session().await;
        session.batch(&schema(dialect)).await.unwrap();
        base
    }

    /// Where its file is, if it is one.
    pub(crate) fn path(&self) -> Option<std::path::PathBuf> {
        self.directory.as_ref().map(|directory| Path::join(directory.path(), "usage.db"))
    }

    /// Where another program finds it, if it is a server's.
    pub(crate) fn url(&self) -> Option<&str> {
        self.address.as_deref()
    }

    pub(crate) async fn session(&self) -> Box<dyn Session> {
        match &self.address {
            Some(address) => {
                let address: Address = address.parse().unwrap();
                Box::new(PostgresSession::open(&address).await.unwrap())
            }
            None => {
                let mut session = SqliteSession::open(self.path().unwrap(), BUSY).unwrap();
                session.batch("PRAGMA foreign_keys = ON").await.unwrap();
                Box::new(session)
            }
        }
    }
}

impl Base {
    /// A session of PostgreSQL that holds a lock, as the one that a pass works on does: it asks for it when it begins.
    pub(crate) async fn locked(&self) -> Box<dyn Session> {
        let address: Address = self.address.as_ref().unwrap().parse().unwrap();
        let mut session = PostgresSession::open(&address).await.unwrap();
        assert!(session.try_lock(&"4246".parse().unwrap()).await.unwrap());
        Box::new(session)
    }
}

fn schema(dialect: Dialect) -> String {
    let (time, id) = match dialect {
        Dialect::Postgres => ("timestamptz", "bigint"),
        Dialect::Sqlite => ("TEXT", "INTEGER"),
    };
    format!(
        "CREATE TABLE agent (id {id} PRIMARY KEY, workspace_id {id} NOT NULL);
         CREATE TABLE issue (id {id} PRIMARY KEY, project_id {id});
         CREATE TABLE agent_task_queue (
             id {id} PRIMARY KEY,
             agent_id {id} NOT NULL REFERENCES agent ON DELETE CASCADE,
             issue_id {id}, -- an issue that is not there, or not there yet, counts as none
             runtime_id {id}
         );
         CREATE TABLE task_usage (
             id {id} PRIMARY KEY,
             task_id {id} NOT NULL REFERENCES agent_task_queue ON DELETE CASCADE,
             provider TEXT,
             model TEXT NOT NULL,
             tokens {id} NOT NULL,
             cost double precision,
             created_at {time} NOT NULL
         );
         CREATE INDEX task_usage_task ON task_usage (task_id);
         CREATE INDEX task_issue ON agent_task_queue (issue_id);
         CREATE INDEX task_agent ON agent_task_queue (agent_id);"
    )
}

/// The key of the lock that passes take.
const KEY: &str = "4246";
/// How often a lock is tried that its holder's end is about to free, with a hundredth of a second in between.
const LOCK_TRIES: u32 = 1_000;

impl Base {
    /// A session as a pass has it: on a server it holds the lock, and looks for it at the beginning of each transaction.
    pub(crate) async fn pass(&self) -> Box<dyn Session> {
        let Some(address) = &self.address else { return self.session().await };
        let address: Address = address.parse().unwrap();
        let mut session = PostgresSession::open(&address).await.unwrap();
        for _ in 0..LOCK_TRIES {
            if session.try_lock(&KEY.parse().unwrap()).await.unwrap() {
                return Box::new(session);
            }
            session.batch("SELECT pg_sleep(0.01)").await.unwrap();
        }
        panic!("the lock is still held");
    }

    /// Drops the database; a soak makes hundreds.
    pub(crate) async fn gone(self) {
        let Some(address) = self.address else { return };
        let name = address.rsplit_once('/').unwrap().1.split('?').next().unwrap().to_owned();
        let admin = server().connect().await.unwrap();
        admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    }
}

/// Runs a statement without values.
pub(crate) async fn run(session: &mut dyn Session, sql: &str) {
    session.batch(sql).await.unwrap_or_else(|fault| panic!("{sql}: {fault}"));
}

pub(crate) async fn install(session: &mut dyn Session) {
    let declaration = declaration();
    ddl::apply(session, &declaration).await.unwrap();
}

/// The database's tables, with a few rows, installed and seeded.
pub(crate) async fn seeded(dialect: Dialect) -> (Base, Box<dyn Session>) {
    let base = Base::new(dialect).await;
    let mut ours = base.session().await;
    run(&mut *ours, ROWS).await;
    install(&mut *ours).await;
    seed(&mut *ours).await;
    (base, ours)
}

/// Tasks 1 to 3 of two agents, an issue with a project, and a usage of each task in the hour of noon.
const ROWS: &str = "INSERT INTO agent VALUES (1, 1), (2, 1);
    INSERT INTO issue VALUES (1, 7);
    INSERT INTO agent_task_queue VALUES (1, 1, 1, 1), (2, 1, NULL, 2), (3, 2, 1, NULL);
    INSERT INTO task_usage VALUES
        (1, 1, 'anthropic', 'large', 10, 0.5, '2026-01-01T12:00:00Z'),
        (2, 2, 'anthropic', 'large', 20, NULL, '2026-01-01T12:30:00Z'),
        (3, 3, NULL, 'small', 40, 1.5, '2026-01-01T12:59:59Z')";

/// The whole walk as one slice.
pub(crate) async fn seed(ours: &mut dyn Session) {
    let declaration = declaration();
    let extent = recompute::extent(ours, &declaration).await.unwrap();
    ours.begin().await.unwrap();
    if let Some(extent) = extent {
        recompute::span(ours, &declaration, extent).await.unwrap();
    }
    state::seeded(ours, &declaration, "2026-01-02T00:00:00Z".parse().unwrap()).await.unwrap();
    ours.commit().await.unwrap();
}

/// The shortest lag.
pub(crate) const LAG: Duration = Duration::from_secs(bound::LAG_SECS_MIN);

/// The bound, read as a pass reads it.
pub(crate) async fn bound(ours: &mut dyn Session) -> Timestamp {
    let is_sqlite = ours.dialect() == Dialect::Sqlite;
    if is_sqlite {
        ours.begin().await.unwrap();
    }
    let read = bound::read(ours, LAG, &[]).await.unwrap();
    if is_sqlite {
        ours.rollback().await.unwrap();
    }
    match read {
        bound::Bound::Until { at, .. } => at,
        other => panic!("{other:?}"),
    }
}

/// A tick up to a bound.
pub(crate) async fn tick_to(ours: &mut dyn Session, until: Timestamp) -> Ticked {
    let reach = Reach { until, span_max: None, entries_max: drain::ENTRIES_MAX, transactions_max: 10_000 };
    let ticked = tick(ours, &declaration(), reach).await.unwrap();
    assert_eq!(stranded(ours).await, 0, "nothing below the watermark is queued");
    ticked
}

/// Waits until all that was queued by now is below the bound, and ticks.
pub(crate) async fn tick_all(ours: &mut dyn Session) {
    later(ours).await;
    let until = bound(ours).await;
    tick_to(ours, until).await;
}

/// Lets the database's clock go on by more than the lag.
#[expect(clippy::disallowed_methods, reason = "the lag is by the database's clock, which is the machine's")]
pub(crate) async fn later(ours: &mut dyn Session) {
    match ours.dialect() {
        Dialect::Postgres => run(ours, "SELECT pg_sleep(1.1)").await,
        Dialect::Sqlite => {
            let now = "SELECT unixepoch('subsec') * 1000";
            let read = async |ours: &mut dyn Session| match ours.first(now, &[]).await.unwrap().unwrap()[0] {
                Value::Real(ms) => ms,
                ref other => panic!("{other}"),
            };
            let begun = read(ours).await;
            while read(ours).await < begun + 1_100.0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Entries below the watermark, counted without the crate.
pub(crate) async fn stranded(ours: &mut dyn Session) -> i64 {
    let mut stranded = 0;
    for queue in ["source", "task", "agent", "issue"] {
        let sql = format!(
            "SELECT count(*) FROM task_usage_hourly_dirty_{queue} WHERE changed_at < (SELECT watermark FROM {STATE})"
        );
        stranded += ours.first(&sql, &[]).await.unwrap().unwrap()[0].int().unwrap();
    }
    stranded
}

/// The watermark.
pub(crate) async fn watermark(ours: &mut dyn Session) -> Option<Timestamp> {
    state::read(ours, &declaration()).await.unwrap().unwrap().watermark
}

/// All that is queued, a transaction each round.
pub(crate) async fn drain_all(session: &mut dyn Session) {
    let declaration = declaration();
    loop {
        session.begin().await.unwrap();
        let drained = drain::drain(session, &declaration, drain::Due::default()).await.unwrap();
        session.commit().await.unwrap();
        if !drained.more {
            break;
        }
    }
}

/// Cells in which the target and a grouping that this file wrote by hand differ, as text.
pub(crate) async fn differences(session: &mut dyn Session) -> Vec<String> {
    let bucket = match session.dialect() {
        Dialect::Postgres => "date_trunc('hour', u.created_at, 'UTC')",
        Dialect::Sqlite => "strftime('%Y-%m-%dT%H:00:00Z', u.created_at)",
    };
    let fresh = format!(
        "SELECT {bucket}, a.workspace_id, t.runtime_id, t.agent_id, i.project_id, u.provider, u.model,
                sum(u.tokens), count(*), round(CAST(sum(u.cost) AS numeric), 3), count(u.cost), count(DISTINCT u.task_id), max(u.tokens)
         FROM task_usage AS u
         JOIN agent_task_queue AS t ON t.id = u.task_id
         JOIN agent AS a ON a.id = t.agent_id
         LEFT JOIN issue AS i ON i.id = t.issue_id
         GROUP BY 1, 2, 3, 4, 5, 6, 7"
    );
    let stored = "SELECT bucket, workspace_id, runtime_id, agent_id, project_id, provider, model,
                         tokens, calls, round(CAST(cost_sum AS numeric), 3), cost_count, tasks, largest
                  FROM task_usage_hourly";
    let mut found = Vec::new();
    for (word, left, right) in [("missing", fresh.as_str(), stored), ("extra", stored, fresh.as_str())] {
        let sql =
            format!("SELECT count(*) FROM (SELECT * FROM ({left}) AS l EXCEPT SELECT * FROM ({right}) AS r) AS d");
        let row = session.first(&sql, &[]).await.unwrap().unwrap();
        if row[0] != Value::Int(0) {
            found.push(format!("{} cells {word}", row[0]));
        }
    }
    let doubled = "SELECT count(*) FROM (SELECT 1 FROM task_usage_hourly
                   GROUP BY bucket, workspace_id, runtime_id, agent_id, project_id, provider, model HAVING count(*) > 1) AS d";
    let row = session.first(doubled, &[]).await.unwrap().unwrap();
    if row[0] != Value::Int(0) {
        found.push(format!("{} cells twice", row[0]));
    }
    found
}
