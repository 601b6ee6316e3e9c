//! The shape that rollups come from: agents, issues, tasks and what they used, three years of it. Declared in TOML, installed,
//! seeded in months, compared with a grouping that this file writes by hand; then changed everywhere at once, and compared again.

use std::path::PathBuf;

use highwater_testkit::postgres::Postgres;
use rusqlite::Connection;
use tokio::runtime::Runtime;

use crate::rig::{Rig, wait_until};

/// Raw rows of three years; `HIGHWATER_REAL_SHAPE_ROWS` says another number.
const ROWS: i64 = 1_000_000;
/// The months of it, and the end of the seed.
const ITEMS: usize = 36 + 1;

const JOB: &str = r#"
[job.usage]
kind = "rollup"
database = "DATABASE"
source = "task_usage"
event-time = "created_at"
grain = "hour"
target = "task_usage_hourly"
lag = "1s"
busy-timeout = "500ms"
slice-target = "30s"

[job.usage.join]
task = { table = "agent_task_queue", on = { id = "task_id" } }
agent = { table = "agent", on = { id = "task.agent_id" } }
issue = { table = "issue", on = { id = "task.issue_id" }, optional = true }

[job.usage.keys]
workspace_id = "agent.workspace_id"
runtime_id = "task.runtime_id"
agent_id = "task.agent_id"
project_id = "issue.project_id"
provider = "provider"
model = "model"

[job.usage.aggregates]
input_tokens = { sum = "input_tokens" }
output_tokens = { sum = "output_tokens" }
cost = { avg = "cost" }
calls = "count"
tasks = { count-distinct = "task_id" }
largest = { max = "output_tokens" }
"#;

/// `[x]` is the time of a second x, `$hour{t}` the beginning of the hour of a time; `numbers` holds those from one on.
const SCHEMA: &str = "
CREATE TABLE agent (id $int PRIMARY KEY, workspace_id $int NOT NULL, name TEXT);
CREATE TABLE issue (id $int PRIMARY KEY, project_id $int);
CREATE TABLE agent_task_queue (
    id $int PRIMARY KEY,
    agent_id $int NOT NULL REFERENCES agent ON DELETE CASCADE,
    issue_id $int REFERENCES issue ON DELETE SET NULL,
    runtime_id $int
);
CREATE TABLE task_usage (
    id $int PRIMARY KEY,
    task_id $int NOT NULL REFERENCES agent_task_queue ON DELETE CASCADE,
    provider TEXT,
    model TEXT NOT NULL,
    input_tokens $int NOT NULL,
    output_tokens $int NOT NULL,
    cost $decimal,
    created_at $time NOT NULL
);
INSERT INTO agent SELECT i, i % 12, 'agent ' || i FROM numbers WHERE i <= 200;
INSERT INTO issue SELECT i, CASE WHEN i % 5 = 0 THEN NULL ELSE i % 40 END FROM numbers WHERE i <= 4000;
INSERT INTO agent_task_queue
    SELECT i, 1 + i % 200, CASE WHEN i % 7 = 0 THEN NULL ELSE 1 + i * 13 % 4000 END, CASE WHEN i % 11 = 0 THEN NULL ELSE i % 6 END
    FROM numbers WHERE i <= 40000;
INSERT INTO task_usage
    SELECT i, 1 + i / 25 % 40000, CASE i % 10 WHEN 0 THEN NULL WHEN 1 THEN 'openai' ELSE 'anthropic' END,
           CASE i % 3 WHEN 0 THEN 'small' ELSE 'large' END, i % 4096, i % 997, CASE WHEN i % 4 = 0 THEN NULL ELSE i % 1000 END,
           [1672531200 + i * 94694400 / ($rows + 1)]
    FROM numbers WHERE i <= $rows;
CREATE INDEX task_usage_task ON task_usage (task_id);
CREATE INDEX task_agent ON agent_task_queue (agent_id);
CREATE INDEX task_issue ON agent_task_queue (issue_id);
ANALYZE";

/// What happens between the seed and the tick: everything that may.
const CHANGES: &str = "
UPDATE agent_task_queue SET runtime_id = 9 WHERE id % 3001 = 0;
UPDATE agent_task_queue SET issue_id = 17 WHERE id % 4001 = 0;
UPDATE agent_task_queue SET issue_id = NULL WHERE id % 4003 = 0;
UPDATE agent_task_queue SET agent_id = 3 WHERE id % 5003 = 0;
UPDATE issue SET project_id = NULL WHERE id IN (5, 99);
UPDATE issue SET project_id = 77 WHERE id IN (100, 2000);
DELETE FROM issue WHERE id IN (50, 51);
DELETE FROM agent WHERE id = 150;
DELETE FROM agent_task_queue WHERE id % 2999 = 0;
INSERT INTO agent VALUES (1000, 5, 'new');
INSERT INTO agent_task_queue VALUES (100000, 1000, 99, 4), (100001, 1000, NULL, NULL);
INSERT INTO task_usage SELECT 10000000 + i, 100000 + i % 2, NULL, 'huge', i, i, NULL, [1672531200 + i * 9000] FROM numbers WHERE i <= 500;
UPDATE task_usage SET created_at = [1700000000] WHERE id % 20011 = 0;
UPDATE task_usage SET model = 'tiny', task_id = 7 WHERE id % 30011 = 0;
UPDATE task_usage SET output_tokens = output_tokens + 1, cost = NULL WHERE id % 10007 = 0;
DELETE FROM task_usage WHERE id % 25013 = 0";

/// One grouping of everything, by hand, and what is stored.
const FRESH: &str = "
SELECT $hour{u.created_at} AS bucket, a.workspace_id, t.runtime_id, t.agent_id, i.project_id, u.provider, u.model,
       sum(u.input_tokens) AS input, sum(u.output_tokens) AS output, sum(u.cost) AS cost, count(u.cost) AS costs, count(*) AS calls,
       count(DISTINCT u.task_id) AS tasks, max(u.output_tokens) AS largest
FROM task_usage AS u
JOIN agent_task_queue AS t ON t.id = u.task_id
JOIN agent AS a ON a.id = t.agent_id
LEFT JOIN issue AS i ON i.id = t.issue_id
GROUP BY 1, 2, 3, 4, 5, 6, 7";
const STORED: &str = "
SELECT bucket, workspace_id, runtime_id, agent_id, project_id, provider, model,
       input_tokens, output_tokens, cost_sum, cost_count, calls, tasks, largest
FROM task_usage_hourly";

/// A database of this shape.
enum Base {
    File(PathBuf),
    Server { postgres: Postgres, runtime: Runtime },
}

impl Base {
    fn file(rig: &Rig) -> Self {
        let base = Self::File(rig.path("usage.db"));
        base.run("PRAGMA journal_mode = WAL");
        base.run(
            "CREATE TABLE numbers (i INTEGER PRIMARY KEY);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < max($rows, 40000)) INSERT INTO numbers SELECT i FROM n",
        );
        base
    }

    fn server() -> Self {
        let settings = [("fsync", "off"), ("shared_buffers", "256MB"), ("max_wal_size", "4GB"), ("work_mem", "256MB")];
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let base = Self::Server { postgres: Postgres::start_with(&settings).unwrap(), runtime };
        base.run("CREATE TABLE numbers (i bigint PRIMARY KEY); INSERT INTO numbers SELECT generate_series(1, greatest($rows, 40000))");
        base
    }

    fn url(&self) -> String {
        match self {
            Self::File(path) => format!("sqlite:{}", path.display()),
            Self::Server { postgres, .. } => postgres.url(),
        }
    }

    /// A statement as this database has it.
    fn put(&self, sql: &str) -> String {
        let pairs: [(&str, &str); 7] = match self {
            Self::File(_) => [
                ("$int", "INTEGER"),
                ("$decimal", "INTEGER"),
                ("$time", "TEXT"),
                ("$hour{", "strftime('%Y-%m-%dT%H:00:00Z', "),
                ("}", ")"),
                ("[", "strftime('%Y-%m-%dT%H:%M:%SZ', "),
                ("]", ", 'unixepoch')"),
            ],
            Self::Server { .. } => [
                ("$int", "bigint"),
                ("$decimal", "numeric(12, 3)"),
                ("$time", "timestamptz"),
                ("$hour{", "date_trunc('hour', "),
                ("}", ", 'UTC')"),
                ("[", "to_timestamp("),
                ("]", ")"),
            ],
        };
        let sql = sql.replace("$rows", &rows().to_string());
        pairs.iter().fold(sql, |sql, (from, to)| sql.replace(from, to))
    }

    /// Runs statements.
    fn run(&self, sql: &str) {
        let sql = self.put(sql);
        match self {
            Self::File(path) => {
                let db = Connection::open(path).unwrap();
                db.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000")
                    .unwrap();
                db.execute_batch(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            Self::Server { postgres, runtime } => runtime.block_on(async {
                let client = postgres.connect().await.unwrap();
                client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            }),
        }
    }

    /// One text.
    fn text(&self, sql: &str) -> String {
        let sql = self.put(sql);
        match self {
            Self::File(path) => {
                let db = Connection::open(path).unwrap();
                db.execute_batch("PRAGMA cache_size = -200000").unwrap();
                db.query_row(&sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
            }
            Self::Server { postgres, runtime } => runtime.block_on(async {
                let row = postgres.connect().await.unwrap().query_one(&sql, &[]).await;
                row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
            }),
        }
    }

    /// All that was made in it.
    fn catalogue(&self) -> String {
        match self {
            Self::File(_) => self.text("SELECT group_concat(name || ': ' || ifnull(sql, ''), char(10)) FROM sqlite_schema"),
            Self::Server { .. } => self.text(
                "SELECT string_agg(what, E'\n' ORDER BY what) FROM (
                     SELECT format('%s %s', relname, relkind) FROM pg_class WHERE oid >= 16384 AND relkind <> 't' AND relname NOT LIKE 'pg_toast%'
                     UNION ALL SELECT format('trigger %s', tgname) FROM pg_trigger WHERE oid >= 16384 AND NOT tgisinternal
                     UNION ALL SELECT format('function %s', proname) FROM pg_proc WHERE oid >= 16384
                     UNION ALL SELECT format('type %s', typname) FROM pg_type WHERE oid >= 16384
                 ) AS all_of_it (what)",
            ),
        }
    }

    /// Cells of which one side knows and the other does not, counted, and how many there are.
    fn differences(&self) -> String {
        self.text(&format!(
            "WITH fresh AS ({FRESH}), stored AS ({STORED})
             SELECT (SELECT count(*) FROM (SELECT * FROM fresh EXCEPT SELECT * FROM stored) AS m) || ' missing, '
                 || (SELECT count(*) FROM (SELECT * FROM stored EXCEPT SELECT * FROM fresh) AS e) || ' extra, '
                 || ((SELECT count(*) FROM fresh) - (SELECT count(*) FROM stored)) || ' fewer'"
        ))
    }
}

fn rows() -> i64 {
    std::env::var("HIGHWATER_REAL_SHAPE_ROWS").map_or(ROWS, |rows| rows.parse().unwrap())
}

const SAME: &str = "0 missing, 0 extra, 0 fewer";

fn shown(base: &Base, rig: &Rig) {
    rig.write("highwater.toml", &JOB.replace("DATABASE", &base.url()));
    base.run(SCHEMA);
    let before = base.catalogue();

    // What is printed is what is installed.
    let ddl = rig.ok(&["rollup", "ddl", "usage"]).stdout;
    assert!(ddl.contains("CREATE TABLE \"task_usage_hourly_dirty_issue\""), "{ddl}");
    assert_eq!(rig.run(&["rollup", "diff", "usage"]).code, 4, "nothing is there");
    let installed = rig.ok(&["rollup", "install", "usage"]);
    assert!(!installed.stdout.contains("note:"), "{installed:?}");
    let diff = rig.run(&["rollup", "diff", "usage"]);
    assert_eq!(diff.code, 0, "{diff:?}");

    let seeded = rig.ok(&["--json", "run", "usage"]).json();
    assert_eq!(seeded["reason"], "drained", "{seeded}");
    let items = rig.ok(&["--json", "items", "usage"]).stdout;
    assert_eq!(items.lines().count(), ITEMS, "{items}");
    assert_eq!(items.matches("\"done\"").count(), ITEMS, "{items}");
    assert_eq!(base.differences(), SAME);
    assert_eq!(
        base.text("SELECT CAST(sum(calls) AS text) || ' ' || CAST(min(bucket) AS text) FROM task_usage_hourly")
            .split(' ')
            .next(),
        Some(rows().to_string().as_str())
    );

    base.run(CHANGES);
    assert_ne!(base.differences(), SAME, "the changes change something");
    let queued = ["source", "task", "agent", "issue"]
        .map(|table| format!("(SELECT count(*) FROM task_usage_hourly_dirty_{table})"));
    wait_until("the queues to be empty", || {
        rig.ok(&["run", "usage"]);
        base.text(&format!("SELECT CAST({} AS text)", queued.join(" + "))) == "0"
    });
    assert_eq!(base.differences(), SAME);
    let verified = rig.run(&["--json", "verify", "usage"]);
    let figures = verified.json();
    assert!(verified.code == 0 && figures["clean"] == true && figures["pending"] == 0, "{verified:?}");

    assert_eq!(rig.run(&["rollup", "uninstall", "usage"]).code, 2, "its rows do not go by accident");
    rig.ok(&["rollup", "uninstall", "usage", "--drop-rows"]);
    assert_eq!(base.catalogue(), before);
    // And there is nothing left that a writer would meet.
    base.run("UPDATE task_usage SET model = 'after' WHERE id = 1; DELETE FROM agent WHERE id = 2");
}

#[test]
fn the_real_shape_is_seeded_kept_and_proved_on_sqlite() {
    let rig = Rig::new("");
    let base = Base::file(&rig);
    shown(&base, &rig);
}

#[test]
fn the_real_shape_is_seeded_kept_and_proved_on_postgresql() {
    let rig = Rig::new("");
    let base = Base::server();
    shown(&base, &rig);
}
