//! A rollup of token counts by hour, workspace, runtime, agent, project, provider and model, on both databases:
//!
//! - a full seed by `run`, against one `INSERT … SELECT … GROUP BY` of everything into a table with the same index; and its
//!   memory at a fifth of the rows and at all of them;
//! - a tick over one changed hour, on a session that is open, against deleting and grouping just that hour by hand; what a whole
//!   call of `run --tick` takes, from its start to its end, is told beside it;
//! - on PostgreSQL the seed against a window that finds its dirty keys and joins them back to the tasks of their agent, and those
//!   to the raw rows, as pipelines of this kind do: one of its months is measured, and counted for all of them.
//!
//! `ROLLUP_ROWS` is how many raw rows (5,000,000).

mod limit;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use highwater_db::address::DatabaseAddress;
use highwater_db::session::{Dialect, Session};
use highwater_engine::clock::{Clock, SystemClock};
use highwater_rollup::bound::{self, Bound};
use highwater_rollup::declare::Declaration;
use highwater_rollup::drain;
use highwater_rollup::settings::{RollupSettings, Subject};
use highwater_rollup::tick::{self, Reach};
use highwater_testkit::postgres::Postgres;
use nix::sys::resource::{UsageWho, getrusage};

const ROWS: u64 = 5_000_000;
const MONTHS: u64 = 36;
const SEED_RATIO_MAX: f64 = 1.3;
const TICK_MS_MAX: f64 = 20.0;
const FASTER_MIN: f64 = 100.0;
/// Raw rows of the comparison with the window that joins back, and how long one of its months may take before it is given up.
const BACK_ROWS: u64 = 1_000_000;
const BACK_SECS_MAX: u64 = 300;
/// How much more memory five times the rows may take.
const MEMORY_RATIO_MAX: f64 = 1.2;
const TICKS: usize = 6;
const LAG: Duration = Duration::from_secs(1);
const BUSY: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let rows = std::env::var("ROLLUP_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(ROWS);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let server = match Postgres::start_with(&[("max_wal_size", "8GB"), ("shared_buffers", "256MB")]) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("rollup: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut limits = Vec::new();
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        limits.extend(runtime.block_on(measured(dialect, &server, rows)));
    }
    limits.push(runtime.block_on(joined_back(&server)));
    limit::verdict(&limits)
}

/// A database with raw rows, and the configuration of its rollup beside it.
struct Base {
    dir: tempfile::TempDir,
    address: DatabaseAddress,
    clock: SystemClock,
}

impl Base {
    async fn new(dialect: Dialect, server: &Postgres, name: &str, rows: u64) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let url = match dialect {
            Dialect::Sqlite => {
                let path = dir.path().join("usage.db");
                let db = rusqlite::Connection::open(&path).expect("a file");
                db.pragma_update(None, "journal_mode", "WAL").expect("WAL");
                format!("sqlite:{}", path.display())
            }
            Dialect::Postgres => {
                let admin = server.connect().await.expect("a session");
                admin.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database");
                server.url().replace("/postgres", &format!("/{name}")).replace(&format!("//{name}"), "//postgres")
            }
        };
        std::fs::write(dir.path().join("highwater.toml"), config(&url)).expect("a configuration");
        let base = Self { dir, address: url.parse().expect("an address"), clock: SystemClock::new() };
        let mut session = base.session().await;
        for statement in raw(dialect, rows) {
            session.batch(&statement).await.unwrap_or_else(|fault| panic!("{fault}"));
        }
        base
    }

    /// What its configuration declares.
    fn declaration(&self) -> Declaration {
        let text = std::fs::read_to_string(self.dir.path().join("highwater.toml")).expect("a configuration");
        let mut root: toml::Table = text.parse().expect("TOML");
        let mut job = root["job"]["usage"].as_table().expect("a table").clone();
        job.remove("kind");
        root.clear();
        let settings: RollupSettings = job.try_into().expect("a rollup");
        match settings.subject() {
            Ok(Subject::Declared(declaration)) => declaration,
            other => panic!("{other:?}"),
        }
    }

    async fn session(&self) -> Box<dyn Session> {
        self.address.open(BUSY).await.expect("a session")
    }

    /// Seconds that a statement takes.
    async fn timed(&self, session: &mut dyn Session, sql: &str) -> f64 {
        let begun = self.clock.elapsed();
        session.batch(sql).await.unwrap_or_else(|fault| panic!("{fault}"));
        (self.clock.elapsed() - begun).as_secs_f64()
    }

    /// Seconds that a call takes.
    fn call(&self, args: &[&str]) -> f64 {
        let begun = self.clock.elapsed();
        run(self.dir.path(), args);
        (self.clock.elapsed() - begun).as_secs_f64()
    }
}

fn run(dir: &Path, args: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    let done = command.args(args).current_dir(dir).stdout(Stdio::null()).output().expect("it starts");
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn config(url: &str) -> String {
    format!(
        r#"
[job.usage]
kind = "rollup"
database = "{url}"
lag = "1s"
busy-timeout = "500ms"
source = "task_usage"
event-time = "created_at"
grain = "hour"
target = "task_usage_hourly"
join.task = {{ table = "agent_task_queue", on = {{ id = "task_id" }} }}
join.agent = {{ table = "agent", on = {{ id = "task.agent_id" }} }}
join.issue = {{ table = "issue", on = {{ id = "task.issue_id" }}, optional = true }}
keys = {{ workspace_id = "agent.workspace_id", runtime_id = "task.runtime_id", agent_id = "task.agent_id", project_id = "issue.project_id", provider = "provider", model = "model" }}
aggregates = {{ tokens = {{ sum = "tokens" }}, calls = "count" }}
"#
    )
}

/// Three years of usage: 40 agents of 4 workspaces on 3 runtimes, 2,000 issues of 50 projects or none, ten rows to a task.
fn raw(dialect: Dialect, rows: u64) -> Vec<String> {
    let (id, time) = match dialect {
        Dialect::Postgres => ("bigint", "timestamptz"),
        Dialect::Sqlite => ("INTEGER", "TEXT"),
    };
    let series = |count: u64| match dialect {
        Dialect::Postgres => format!("generate_series(1, {count}) AS s(n)"),
        Dialect::Sqlite => {
            format!(
                "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) SELECT n FROM s)"
            )
        }
    };
    let step = MONTHS * 30 * 86_400 * 1000 / rows;
    let at = match dialect {
        Dialect::Postgres => format!("timestamptz '2023-11-01Z' + n * interval '{step} milliseconds'"),
        Dialect::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%SZ', 1698796800 + n * {step} / 1000, 'unixepoch')"),
    };
    vec![
        format!(
            "CREATE TABLE agent (id {id} PRIMARY KEY, workspace_id {id} NOT NULL);
             CREATE TABLE issue (id {id} PRIMARY KEY, project_id {id});
             CREATE TABLE agent_task_queue (id {id} PRIMARY KEY, agent_id {id} NOT NULL, issue_id {id}, runtime_id {id});
             CREATE TABLE task_usage (
                 id {id} PRIMARY KEY, task_id {id} NOT NULL, provider TEXT, model TEXT NOT NULL, tokens {id} NOT NULL,
                 created_at {time} NOT NULL
             )"
        ),
        format!("INSERT INTO agent SELECT n, n % 4 FROM {}", series(40)),
        format!("INSERT INTO issue SELECT n, CASE WHEN n % 4 > 0 THEN n % 50 END FROM {}", series(2_000)),
        format!(
            "INSERT INTO agent_task_queue SELECT n, n % 40 + 1, CASE WHEN n % 3 > 0 THEN n % 2000 + 1 END, n % 3 FROM {}",
            series(rows / 10 + 1)
        ),
        format!(
            "INSERT INTO task_usage SELECT n, n / 10 + 1, CASE n / 10 % 3 WHEN 0 THEN 'anthropic' WHEN 1 THEN 'openai' END, \
             CASE n / 10 % 2 WHEN 0 THEN 'large' ELSE 'small' END, n % 5000, {at} FROM {}",
            series(rows)
        ),
        "CREATE INDEX task_usage_task ON task_usage (task_id); CREATE INDEX task_usage_created ON task_usage (created_at);
         CREATE INDEX task_agent ON agent_task_queue (agent_id); CREATE INDEX task_issue ON agent_task_queue (issue_id)"
            .to_owned(),
        match dialect {
            Dialect::Postgres => "VACUUM ANALYZE".to_owned(),
            Dialect::Sqlite => "ANALYZE".to_owned(),
        },
    ]
}

/// A grouping of everything between two times, written by hand.
fn grouped(dialect: Dialect, within: &str) -> String {
    let hour = match dialect {
        Dialect::Postgres => "date_trunc('hour', u.created_at)",
        Dialect::Sqlite => "strftime('%Y-%m-%dT%H:00:00Z', u.created_at)",
    };
    format!(
        "SELECT {hour} AS bucket, a.workspace_id, t.runtime_id, t.agent_id, i.project_id, u.provider, u.model, sum(u.tokens) AS tokens, \
         count(*) AS calls
         FROM task_usage u JOIN agent_task_queue t ON t.id = u.task_id JOIN agent a ON a.id = t.agent_id
         LEFT JOIN issue i ON i.id = t.issue_id {within}
         GROUP BY 1, 2, 3, 4, 5, 6, 7"
    )
}

const KEYS: &str = "bucket, workspace_id, runtime_id, agent_id, project_id, provider, model";

async fn measured(dialect: Dialect, server: &Postgres, rows: u64) -> Vec<(bool, String)> {
    let named = match dialect {
        Dialect::Sqlite => "SQLite",
        Dialect::Postgres => "PostgreSQL",
    };
    let few = Base::new(dialect, server, "few", rows / 5).await;
    run(few.dir.path(), &["rollup", "install", "usage"]);
    few.call(&["run", "usage", "-q"]);
    let memory = || getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage").max_rss() as f64 / 1024.0;
    let memory_few = memory();
    drop(few);

    let base = Base::new(dialect, server, "usage", rows).await;
    run(base.dir.path(), &["rollup", "install", "usage"]);
    let mut session = base.session().await;
    let index = format!("CREATE INDEX whole_cell ON whole ({KEYS})");
    let empty = grouped(dialect, "WHERE 1 = 0");
    session.batch(&format!("CREATE TABLE whole AS {empty}; {index}")).await.expect("a table");
    let whole = format!("INSERT INTO whole {}", grouped(dialect, ""));
    // Each once before it counts, so that both find the pages where they are.
    base.timed(&mut *session, &whole).await;
    session.batch("DELETE FROM whole").await.expect("rows go");
    if dialect == Dialect::Postgres {
        session.batch("VACUUM whole").await.expect("room");
    }
    let by_hand = base.timed(&mut *session, &whole).await;
    let seed = base.call(&["run", "usage", "-q"]);
    let (seed_ratio, memory_ratio) = (seed / by_hand, memory() / memory_few);
    println!(
        "{named}: {rows} raw rows seeded in {seed:.1} s, by one statement in {by_hand:.1} s: {seed_ratio:.2} x (limit: {SEED_RATIO_MAX} x); \
         memory {:.0} MB, of a fifth of the rows {memory_few:.0} MB",
        memory()
    );
    refuse_other(&mut *session).await;

    let (hour, next) = ("'2024-06-01T12:00:00Z'", "'2024-06-01T13:00:00Z'");
    let within = format!("WHERE u.created_at >= {hour} AND u.created_at < {next}");
    let declaration = base.declaration();
    let mut over = Vec::new();
    for round in 0..TICKS {
        let changed =
            format!("UPDATE task_usage SET tokens = tokens + 1 WHERE created_at >= {hour} AND created_at < {next}");
        session.batch(&changed).await.expect("rows change");
        base.clock.sleep(Duration::from_millis(1_200)).await;
        let by_hand = format!(
            "BEGIN; DELETE FROM whole WHERE bucket = {hour}; INSERT INTO whole {}; COMMIT",
            grouped(dialect, &within)
        );
        // Both on a session that was just opened, as that of a pass is: it reads the catalogue and plans everything for the first time.
        let by_hand = base.timed(&mut *base.session().await, &by_hand).await;
        if round == 0 {
            let whole = base.call(&["run", "usage", "--tick", "-q"]);
            println!("{named}: a call of `run --tick` over one changed hour {:.1} ms", whole * 1000.0);
            continue;
        }
        let mut ours = base.session().await;
        let begun = base.clock.elapsed();
        tick_over(&mut *ours, &declaration).await;
        let tick = (base.clock.elapsed() - begun).as_secs_f64();
        over.push((tick - by_hand) * 1000.0);
        println!("{named}: a tick over one changed hour {:.1} ms, by hand {:.1} ms", tick * 1000.0, by_hand * 1000.0);
    }
    let over = limit::median(over);
    vec![
        (seed_ratio <= SEED_RATIO_MAX, format!("{named} seed: {seed_ratio:.2} x, limit {SEED_RATIO_MAX} x")),
        (memory_ratio <= MEMORY_RATIO_MAX, format!("{named} memory: {memory_ratio:.2} x, limit {MEMORY_RATIO_MAX} x")),
        (over <= TICK_MS_MAX, format!("{named} tick: {over:.1} ms more, limit {TICK_MS_MAX} ms")),
    ]
}

/// A tick as a pass does it: the bound, then what is due.
async fn tick_over(session: &mut dyn Session, declaration: &Declaration) {
    let is_sqlite = session.dialect() == Dialect::Sqlite;
    if is_sqlite {
        session.begin().await.expect("a transaction");
    }
    let read = bound::read(session, LAG, &[]).await.expect("a bound");
    if is_sqlite {
        session.rollback().await.expect("no transaction");
    }
    let Bound::Until { at: until, .. } = read else { panic!("{read:?}") };
    let reach = Reach { until, span_max: None, entries_max: drain::ENTRIES_MAX, transactions_max: 1 };
    let ticked = tick::tick(session, declaration, reach).await.expect("a tick");
    assert!(ticked.drained && ticked.cells > 0, "{ticked:?}");
}

/// Both must have come to the same.
async fn refuse_other(session: &mut dyn Session) {
    let columns = format!("{KEYS}, tokens, calls");
    let sql = format!(
        "SELECT count(*) FROM (SELECT {columns} FROM whole EXCEPT SELECT {columns} FROM task_usage_hourly) AS other"
    );
    let row = session.first(&sql, &[]).await.expect("a count");
    assert_eq!(row.and_then(|row| row[0].int()), Some(0), "the rollup is not what the one statement says");
}

/// The window that joins back, by one of its months.
async fn joined_back(server: &Postgres) -> (bool, String) {
    let base = Base::new(Dialect::Postgres, server, "back", BACK_ROWS).await;
    run(base.dir.path(), &["rollup", "install", "usage"]);
    let seed = base.call(&["run", "usage", "-q"]);
    let mut session = base.session().await;
    let window = format!(
        "SET statement_timeout = '{BACK_SECS_MAX}s';
         CREATE TABLE back AS {};
         INSERT INTO back
         SELECT d.bucket, d.workspace_id, d.runtime_id, d.agent_id, d.project_id, d.provider, d.model, sum(u.tokens), count(*)
         FROM (SELECT DISTINCT {KEYS} FROM ({}) AS dirty) AS d
         JOIN agent_task_queue t ON t.runtime_id = d.runtime_id AND t.agent_id = d.agent_id
         JOIN agent a ON a.id = t.agent_id AND a.workspace_id = d.workspace_id
         LEFT JOIN issue i ON i.id = t.issue_id
         JOIN task_usage u ON u.task_id = t.id AND u.model = d.model AND u.provider IS NOT DISTINCT FROM d.provider
             AND date_trunc('hour', u.created_at) = d.bucket
         WHERE i.project_id IS NOT DISTINCT FROM d.project_id
         GROUP BY 1, 2, 3, 4, 5, 6, 7",
        grouped(Dialect::Postgres, "WHERE false"),
        grouped(Dialect::Postgres, "WHERE u.created_at >= '2024-06-01Z' AND u.created_at < '2024-07-01Z'"),
    );
    let begun = base.clock.elapsed();
    // Given up, it takes at least so long.
    let done = session.batch(&window).await;
    let month = (base.clock.elapsed() - begun).as_secs_f64();
    let faster = month * MONTHS as f64 / seed;
    println!(
        "PostgreSQL: {BACK_ROWS} raw rows seeded in {seed:.1} s; a window that joins back takes {}{month:.1} s for one month of {MONTHS}: \
         {faster:.0} x as long (limit: {FASTER_MIN} x)",
        if done.is_ok() { "" } else { "more than " }
    );
    (faster >= FASTER_MIN, format!("PostgreSQL: {faster:.0} x faster than joining back, limit {FASTER_MIN} x"))
}
