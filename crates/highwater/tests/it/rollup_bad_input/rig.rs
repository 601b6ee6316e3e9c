//! A place with a job `usage` and a database of its own, on either kind. Owns that a refusal leaves its catalogue as it was.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use highwater_testkit::postgres::Postgres;

use crate::oai_targets::kept::{Kept, assert_well_told, said};
use crate::rig::{Ended, Rig, wait_until};

/// The tables of every place, in either dialect.
const SQLITE: &str =
    "CREATE TABLE usage (id INTEGER PRIMARY KEY, task_id INTEGER, at TEXT NOT NULL, model TEXT, tokens INTEGER);
    CREATE INDEX usage_task ON usage (task_id);
    CREATE TABLE task (id INTEGER PRIMARY KEY, agent TEXT);
    INSERT INTO task VALUES (1, 'ann');
    INSERT INTO usage VALUES (1, 1, '2026-01-01T12:00:00Z', 'large', 10);";
const POSTGRES: &str =
    "CREATE TABLE usage (id bigint PRIMARY KEY, task_id bigint, at timestamptz NOT NULL, model text, tokens bigint);
    CREATE INDEX usage_task ON usage (task_id);
    CREATE TABLE task (id bigint PRIMARY KEY, agent text);
    INSERT INTO task VALUES (1, 'ann');
    INSERT INTO usage VALUES (1, 1, '2026-01-01T12:00:00Z', 'large', 10);";

/// The job, a field a line.
const JOB: &str = r#"[job.usage]
kind = "rollup"
database = "DATABASE"
source = "usage"
event-time = "at"
grain = "hour"
target = "usage_hourly"
join.task = { table = "task", on = { id = "task_id" } }
keys = { model = "model", agent = "task.agent" }
aggregates = { tokens = { sum = "tokens" }, calls = "count" }
lag = "1s"
busy-timeout = "200ms"
"#;

/// All that can be made in a database, but what the system made.
const CATALOGUE: &str = "SELECT string_agg(what, E'\\n' ORDER BY what) FROM (
    SELECT format('relation %s.%s %s %s', relnamespace::regnamespace, relname, relkind, relacl) FROM pg_class WHERE oid >= 16384
    UNION ALL SELECT format('trigger %s on %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE oid >= 16384
    UNION ALL SELECT format('function %s', oid::regprocedure) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT format('type %s', typname) FROM pg_type WHERE oid >= 16384
    UNION ALL SELECT format('column %s.%s %s', attrelid::regclass, attname, atttypid::regtype) FROM pg_attribute WHERE attrelid >= 16384
    UNION ALL SELECT format('schema %s', nspname) FROM pg_namespace WHERE oid >= 16384 AND nspname NOT LIKE 'pg\\_%'
) AS all_of_it (what)";

/// One server for all tests of the process; each place has a database of its own.
pub(super) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start_with(&[("fsync", "off")]).unwrap())
}

fn now<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// The place.
pub(super) struct Place {
    pub(super) rig: Rig,
    /// The name of its database on the server; a file where there is none.
    name: Option<String>,
}

impl Place {
    /// On a file, with more tables.
    pub(super) fn sqlite(more: &str) -> Self {
        let place = Self { rig: Rig::new(""), name: None };
        let db = rusqlite::Connection::open(place.rig.path("usage.db")).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        place.configure(&[]);
        place.sql(SQLITE);
        place.sql(more);
        place
    }

    /// On the server, with more tables.
    pub(super) fn postgres(more: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("usage_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        now(async {
            server().connect().await.unwrap().batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap()
        });
        let place = Self { rig: Rig::new(""), name: Some(name) };
        place.configure(&[]);
        place.sql(POSTGRES);
        place.sql(more);
        place
    }

    /// Whether it is a file of SQLite.
    pub(super) fn is_file(&self) -> bool {
        self.name.is_none()
    }

    /// Both.
    pub(super) fn both(sqlite: &str, postgres: &str) -> [Self; 2] {
        [Self::sqlite(sqlite), Self::postgres(postgres)]
    }

    pub(super) fn url(&self, role: &str) -> String {
        match &self.name {
            None => format!("sqlite:{}", self.rig.path("usage.db").display()),
            Some(name) => {
                let url = server().url();
                let at = url.split_once('@').unwrap().1.rsplit_once('/').unwrap().0.to_owned();
                format!("postgres://{role}@{at}/{name}")
            }
        }
    }

    /// The job, with pieces of it replaced.
    pub(super) fn configure(&self, with: &[(&str, &str)]) {
        self.configure_as("postgres", with);
    }

    /// The same, by another role.
    pub(super) fn configure_as(&self, role: &str, with: &[(&str, &str)]) {
        let mut job = JOB.to_owned();
        for (from, to) in with {
            assert!(job.contains(from), "{from} is in the job");
            job = job.replace(from, to);
        }
        self.rig.write("highwater.toml", &job.replace("DATABASE", &self.url(role)));
    }

    /// Runs statements as the owner of all.
    pub(super) fn sql(&self, sql: &str) {
        match &self.name {
            None => rusqlite::Connection::open(self.rig.path("usage.db")).unwrap().execute_batch(sql).unwrap(),
            Some(_) => now(async {
                let client = self.client().await;
                client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            }),
        }
    }

    async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url("postgres"), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// One text of the server.
    pub(super) fn text(&self, sql: &str) -> String {
        match &self.name {
            None => {
                let db = rusqlite::Connection::open(self.rig.path("usage.db")).unwrap();
                db.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).unwrap().unwrap_or_default()
            }
            Some(_) => now(async {
                let row = self.client().await.query_one(sql, &[]).await.unwrap();
                row.get::<_, Option<String>>(0).unwrap_or_default()
            }),
        }
    }

    pub(super) fn catalogue(&self) -> String {
        match &self.name {
            None => self.text(
                "SELECT group_concat(type || ' ' || name || ' ' || ifnull(sql, ''), char(10)) FROM sqlite_schema",
            ),
            Some(_) => self.text(CATALOGUE),
        }
    }

    /// What `rollup install` says to a declaration with these pieces replaced. It exits with 2 and makes nothing.
    pub(super) fn refused(&self, with: &[(&str, &str)]) -> String {
        self.configure(with);
        self.refuses(&["rollup", "install", "usage"])
    }

    /// What a call says that is refused.
    pub(super) fn refuses(&self, args: &[&str]) -> String {
        let (kept, catalogue) = (Kept::of(&self.rig), self.catalogue());
        let ended = self.rig.run(args);
        let told = self.told(&ended);
        assert_eq!(ended.code, 2, "{told}");
        assert_well_told(&args.join(" "), &told);
        assert_eq!(self.catalogue(), catalogue, "{told}");
        kept.assert_same(&Kept::of(&self.rig), &told);
        told
    }

    /// What a call said, without what differs from call to call.
    pub(super) fn told(&self, ended: &Ended) -> String {
        let mut told = said(&self.rig, ended);
        if let Some(name) = &self.name {
            let port = server().url().rsplit_once(':').unwrap().1.split('/').next().unwrap().to_owned();
            told = told.replace(name, "[NAME]").replace(&format!(":{port}"), ":[PORT]");
        }
        told
    }

    /// Installs, seeds and verifies a declaration with these pieces replaced; gives what `install` said.
    pub(super) fn taken(&self, with: &[(&str, &str)]) -> String {
        self.configure(with);
        let said = self.rig.ok(&["rollup", "install", "usage"]);
        let diff = self.rig.run(&["rollup", "diff", "usage"]);
        assert_eq!(diff.code, 0, "{diff:?}");
        self.drain();
        self.told(&said)
    }

    /// Passes until nothing is queued, and the proof of it.
    pub(super) fn drain(&self) {
        wait_until("the queues to be empty", || {
            let run = self.rig.run(&["run", "usage"]);
            assert_eq!(run.code, 0, "{run:?}");
            self.queued() == "0"
        });
        let verify = self.rig.run(&["--json", "verify", "usage"]);
        let figures = verify.json();
        assert!(verify.code == 0 && figures["wrong"] == 0 && figures["pending"] == 0, "{verify:?}");
    }

    fn queued(&self) -> String {
        self.text(
            "SELECT CAST((SELECT count(*) FROM usage_hourly_dirty_source) + (SELECT count(*) FROM usage_hourly_dirty_task) AS text)",
        )
    }
}
