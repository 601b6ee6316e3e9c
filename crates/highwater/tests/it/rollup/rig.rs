//! A database with somebody's own pipeline, and a place to run the binary against it. Owns that pipeline as its authors wrote
//! it, a gate at which a slice can be kept, and a grouping that owes the crate nothing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_testkit::postgres::Postgres;
use serde_json::Value;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, NoTls};

use crate::rig::{Doomed, Ended, Rig};

/// Longest wait for something that is to happen in the database.
const WAIT: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The lock that the cron entry, the scheduler and the operator's backfill of the pipeline take.
pub(crate) const KEY: i64 = 4246;
/// The window of the pipeline, as its users call it.
pub(crate) const WINDOW: &str = "SELECT rollup_task_usage_hourly_window($1, $2)";
/// The same behind the gate.
pub(crate) const GATED: &str = "SELECT gated_window($1, $2)";

/// Tables, dirty queue, state row and window, as a team wrote them that knows nothing of highwater. `updated_at` is its change
/// column.
const PIPELINE: &str = include_str!("pipeline.sql");

/// One server for all tests of the process; each takes a database of its own.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    let settings = [("fsync", "off"), ("max_connections", "100"), ("max_prepared_transactions", "4")];
    SERVER.get_or_init(|| Postgres::start_with(&settings).unwrap())
}

/// A name that no other test has.
pub(crate) fn own_name(of: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{of}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A session that ends with its client.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A database with the pipeline, nothing in it yet.
pub(crate) struct Database {
    pub(crate) url: String,
    /// A superuser's session, which is the tests' psql.
    pub(crate) psql: Client,
}

impl Database {
    pub(crate) async fn new() -> Self {
        Self::on(server()).await
    }

    /// The same on a server of the test's own.
    pub(crate) async fn on(server: &Postgres) -> Self {
        let base = Self::empty_on(server).await;
        base.psql.batch_execute(PIPELINE).await.unwrap();
        base
    }

    /// A database with nothing in it.
    pub(crate) async fn empty_on(server: &Postgres) -> Self {
        let name = own_name("usage");
        server.connect().await.unwrap().batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let url = format!("postgres://postgres@127.0.0.1:{}/{name}", server.port());
        Self { psql: connect(&url).await, url }
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.psql.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The one value that a statement yields.
    pub(crate) async fn one<T: FromSqlOwned>(&self, sql: &str) -> T {
        self.one_of(sql, &[]).await
    }

    pub(crate) async fn one_of<T: FromSqlOwned>(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> T {
        self.psql.query_one(sql, values).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// A session beside.
    pub(crate) async fn another(&self) -> Client {
        connect(&self.url).await
    }

    /// Usage every five hours from one time to another, as if it had been written then.
    pub(crate) async fn usage(&self, from: &str, to: &str) {
        self.run(&format!(
            "INSERT INTO task_usage (task_id, provider, model, tokens, created_at, updated_at)
             SELECT n % 7, CASE WHEN n % 3 = 0 THEN 'anthropic' ELSE 'openai' END, 'model-' || n % 2, n, at, at
             FROM (SELECT at, row_number() OVER (ORDER BY at) AS n
                   FROM generate_series(({from})::timestamptz, ({to})::timestamptz, interval '5 hours') AS at) AS every"
        ))
        .await;
    }

    /// Two years of it, up to an hour ago.
    pub(crate) async fn two_years(&self) {
        self.usage("now() - interval '2 years'", "now() - interval '1 hour'").await;
        self.run(
            "INSERT INTO task_usage (task_id, provider, model, tokens, created_at, updated_at)
                  SELECT 1, 'openai', 'model-1', 1, now() - interval '1 hour', now() - interval '1 hour'",
        )
        .await;
    }

    /// How many cells are not what a fresh grouping of the raw rows says.
    pub(crate) async fn wrong_cells(&self) -> i64 {
        self.one(
            "SELECT count(*) FROM (
                 SELECT date_trunc('hour', created_at, 'UTC') AS bucket_hour, task_id, provider, model,
                        sum(tokens)::bigint AS tokens, count(*) AS events
                 FROM task_usage GROUP BY 1, 2, 3, 4) AS fresh
             FULL JOIN task_usage_hourly AS kept USING (bucket_hour, task_id, provider, model)
             WHERE fresh.tokens IS DISTINCT FROM kept.tokens OR fresh.events IS DISTINCT FROM kept.events",
        )
        .await
    }

    pub(crate) async fn cells(&self) -> i64 {
        self.one("SELECT count(*) FROM task_usage_hourly").await
    }

    /// The watermark as text; `1970-01-01 00:00:00+00` before anything was stamped.
    pub(crate) async fn watermark(&self) -> Option<String> {
        self.one("SELECT to_char(watermark_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM task_usage_hourly_rollup_state").await
    }

    /// How long ago the watermark is, in seconds of the database's clock.
    pub(crate) async fn watermark_age_secs(&self) -> f64 {
        self.one(
            "SELECT extract(epoch FROM clock_timestamp() - watermark_at)::float8 FROM task_usage_hourly_rollup_state",
        )
        .await
    }

    /// Whether somebody else could take the lock now; lets it go again.
    pub(crate) async fn is_free(&self) -> bool {
        let other = self.another().await;
        let free: bool = other.query_one("SELECT pg_try_advisory_lock($1)", &[&KEY]).await.unwrap().get(0);
        if free {
            other.query_one("SELECT pg_advisory_unlock($1)", &[&KEY]).await.unwrap();
        }
        free
    }

    /// Lets slices through that end no later than `at`, and keeps the first that ends later until [`Gate::open`].
    pub(crate) async fn gate(&self, at: &str) -> Gate {
        let session = self.another().await;
        session.batch_execute("SELECT pg_advisory_lock(77)").await.unwrap();
        self.run(&format!("INSERT INTO gate VALUES ({at})")).await;
        Gate { session }
    }

    /// Waits until a slice stands at the gate.
    pub(crate) async fn wait_for_a_slice_at_the_gate(&self) {
        self.wait_for("a slice at the gate", AT_GATE).await;
    }

    /// Waits until a pass waits for the lock.
    pub(crate) async fn wait_for_a_pass_at_the_lock(&self) {
        self.wait_for("a pass that waits", WAITS).await;
    }

    /// Waits until a statement yields true.
    pub(crate) async fn wait_for(&self, what: &str, sql: &str) {
        let clock = SystemClock::new();
        while !self.one::<bool>(sql).await {
            assert!(clock.elapsed() < WAIT, "waited too long for {what}");
            clock.sleep(LOOK_EVERY).await;
        }
    }
}

/// It asks who holds the lock each time that it could not take it.
const WAITS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
     AND application_name = 'highwater' AND query LIKE '-- Who holds%')";

const AT_GATE: &str = "SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
     WHERE d.datname = current_database() AND locktype = 'advisory' AND objid = 77 AND NOT granted)";

/// Keeps slices in the middle.
pub(crate) struct Gate {
    session: Client,
}

impl Gate {
    /// Lets them go on.
    pub(crate) async fn open(self) {
        self.session.batch_execute("SELECT pg_advisory_unlock(77)").await.unwrap();
    }
}

/// The process that holds the pipeline's lock.
pub(crate) const HOLDER: &str = "SELECT pid FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
     WHERE d.datname = current_database() AND locktype = 'advisory' AND objid = 4246 AND granted";

/// Lines of the configuration besides the usual ones.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lines<'l> {
    pub(crate) job: &'l str,
    pub(crate) resource: &'l str,
}

/// A job `usage` that drives the pipeline of the database at `url` through a window.
pub(crate) fn config(url: &str, window: &str, lines: Lines<'_>) -> String {
    format!(
        "[job.usage]\nkind = \"rollup\"\ndatabase = \"{url}\"\nresources = [\"hourly\"]\nlag = \"1s\"\n\
         window = \"{window}\"\nbounds = \"SELECT min(created_at), max(created_at) FROM task_usage\"\n\
         watermark = {{ table = \"task_usage_hourly_rollup_state\", column = \"watermark_at\", key = {{ id = true }} }}\n\
         {}\n[resource.hourly]\nlock = \"postgres:{KEY}\"\n{}\n",
        lines.job, lines.resource
    )
}

/// The database and a place whose job `usage` drives it.
pub(crate) async fn driven(window: &str, lines: Lines<'_>) -> (Database, Rig) {
    let base = Database::new().await;
    let rig = Rig::new(&config(&base.url, window, lines));
    (base, rig)
}

/// What a pass said of itself.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) code: i32,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) report: Value,
}

impl From<Ended> for Pass {
    fn from(ended: Ended) -> Self {
        let report = ended.json();
        let text = |field: &str| report[field].as_str().unwrap_or_default().to_owned();
        Self { code: ended.code, reason: text("reason"), message: text("message"), report }
    }
}

impl Pass {
    pub(crate) fn is(&self, code: i32, reason: &str) -> bool {
        self.code == code && self.reason == reason
    }

    /// The code of the error that it was refused with.
    pub(crate) fn error(&self) -> &str {
        self.report["diagnosis"]["code"].as_str().unwrap_or_default()
    }

    /// What a person is told to do next.
    pub(crate) fn next(&self) -> &str {
        self.report["diagnosis"]["next"].as_str().unwrap_or_default()
    }
}

impl Rig {
    /// One pass of `usage`.
    pub(crate) fn usage_pass(&self, more: &[&str]) -> Pass {
        self.run(&[&["--json", "run", "usage"], more].concat()).into()
    }

    /// The same, begun.
    pub(crate) fn usage_begun(&self, more: &[&str]) -> Doomed {
        self.doom(&[&["--json", "run", "usage"], more].concat())
    }

    /// The keys of the worklist with their outcomes, in plan order.
    pub(crate) fn usage_items(&self) -> Vec<(String, String)> {
        let items = self.ok(&["--json", "items", "usage"]);
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
        let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        items.stdout.lines().map(read).map(|item| (text(&item, "key"), text(&item, "outcome"))).collect()
    }

    /// What `status` says of `usage`.
    pub(crate) fn usage_status(&self) -> Value {
        self.ok(&["--json", "status", "usage"]).json()
    }

    /// The watermark that the ledger has.
    pub(crate) fn ledger_watermark(&self) -> Option<i64> {
        let ledger = rusqlite::Connection::open(self.path(".highwater-state/ledger.db")).unwrap();
        ledger.query_row("SELECT value FROM watermark", [], |row| row.get(0)).ok()
    }
}
