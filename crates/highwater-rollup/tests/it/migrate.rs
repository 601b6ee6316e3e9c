//! Migrations on real databases: what a run applies, and that a step is applied once or not at all.

mod baseline;
mod breaks;
mod cut;
mod hook;
mod refused;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use highwater_db::session::{Dialect, Session};
use highwater_engine::clock::SystemClock;
use highwater_rollup::migrate::files::{self, Files};
use highwater_rollup::migrate::{Done, Hook, MigrateError, Options, Required, Standing, Stopped, Unmet, list, up};
use tempfile::TempDir;

use crate::usage::{Base, run};

const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];

/// A directory of migrations.
struct Migrations(TempDir);

impl Migrations {
    fn new(files: &[(&str, &str)]) -> Self {
        let migrations = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, sql)| migrations.write(name, sql));
        migrations
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, sql: &str) {
        std::fs::write(self.path().join(name), sql).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).unwrap();
    }

    fn files(&self) -> Files {
        files::read(self.path()).unwrap()
    }

    async fn up(&self, session: &mut dyn Session) -> Result<Vec<Done>, Stopped> {
        up(session, &self.files(), &options(), &SystemClock::new(), &mut Nobody).await
    }

    /// The numbers that are applied by a run that must not end early.
    async fn applies(&self, session: &mut dyn Session) -> Vec<i64> {
        let applied = self.up(session).await;
        numbers(&applied.unwrap_or_else(|stopped| panic!("{}", told(&stopped))))
    }

    /// Why a run that must end early does.
    async fn refused(&self, session: &mut dyn Session) -> MigrateError {
        self.up(session).await.unwrap_err().error
    }

    /// Each step's number and how it stands.
    async fn standing(&self, session: &mut dyn Session) -> Vec<(i64, Standing)> {
        let listed = list(session, &self.files(), &options().table).await.unwrap();
        listed.iter().map(|one| (one.number, one.standing)).collect()
    }
}

fn options() -> Options {
    Options { lock_wait: Duration::from_secs(20), ..Options::default() }
}

fn numbers(applied: &[Done]) -> Vec<i64> {
    applied.iter().map(|done| done.number).collect()
}

fn told(stopped: &Stopped) -> String {
    let mut text = format!("{} ({stopped})", stopped.error);
    let mut source = std::error::Error::source(&stopped.error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A hook where nothing is required.
struct Nobody;

#[async_trait]
impl Hook for Nobody {
    fn check(&self, _: &str) -> Result<(), String> {
        Err("there is no such job".to_owned())
    }

    async fn require(&mut self, job: &str) -> Result<Required, Unmet> {
        Err(format!("{job} was not checked").into())
    }
}

async fn count(session: &mut dyn Session, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    session.first(&sql, &[]).await.unwrap_or_else(|fault| panic!("{fault}")).unwrap()[0].int().unwrap()
}

/// Three steps that build on each other, as people name them.
fn three() -> Migrations {
    Migrations::new(&[
        ("001_books.up.sql", "\u{FEFF}CREATE TABLE book (id int PRIMARY KEY);\r\nINSERT INTO book VALUES (1);\r\n"),
        ("001_books.down.sql", "DROP TABLE book;"),
        ("2_more.sql", "-- Two at once; not one.\nINSERT INTO book VALUES (2), (3)"),
        ("10_nothing.up.sql", "-- It was undone by hand."),
    ])
}

#[tokio::test]
async fn what_is_pending_is_applied_in_order_of_numbers_and_once() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let migrations = three();
        let pending = [1, 2, 10].map(|number| (number, Standing::Pending));
        assert_eq!(migrations.standing(&mut *ours).await, pending, "{dialect:?}: listing makes no table");
        assert_eq!(migrations.applies(&mut *ours).await, [1, 2, 10], "{dialect:?}");
        assert_eq!(migrations.applies(&mut *ours).await, Vec::<i64>::new(), "{dialect:?}");
        assert_eq!(count(&mut *ours, "book").await, 3, "{dialect:?}");
        migrations.write("11_more.sql", "INSERT INTO book VALUES (4)");
        assert_eq!(migrations.applies(&mut *ours).await, [11], "{dialect:?}");
        assert_eq!(count(&mut *ours, "book").await, 4, "{dialect:?}");
        let rows = ours.query("SELECT version, name, sha256, state FROM highwater_migrations", &[]).await.unwrap();
        let listed = list(&mut *ours, &migrations.files(), &options().table).await.unwrap();
        assert_eq!(rows.len(), 4, "{dialect:?}");
        for one in listed {
            let recorded = one.recorded.unwrap();
            assert_eq!((one.standing, Some(recorded.sha256)), (Standing::Applied, one.sha256), "{dialect:?}");
            assert!(recorded.applied_at.parse::<jiff::Timestamp>().is_ok(), "{dialect:?}: {}", recorded.applied_at);
        }
    }
}

#[tokio::test]
async fn r01_two_runs_at_once_apply_each_step_once() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let names: Vec<(String, String)> =
            (1..=20).map(|n| (format!("{n}_t.sql"), format!("CREATE TABLE t{n} (id int)"))).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).collect();
        let migrations = Migrations::new(&files);
        let (mut one, mut two, mut three) = (base.session().await, base.session().await, base.session().await);
        let all = tokio::join!(migrations.up(&mut *one), migrations.up(&mut *two), migrations.up(&mut *three));
        let mut applied: Vec<i64> = Vec::new();
        for done in [all.0, all.1, all.2] {
            applied.extend(numbers(&done.unwrap_or_else(|stopped| panic!("{dialect:?}: {}", told(&stopped)))));
        }
        applied.sort_unstable();
        assert_eq!(applied, (1..=20).collect::<Vec<_>>(), "{dialect:?}");
    }
}

#[tokio::test]
async fn what_a_file_sets_is_not_the_next_one_s() {
    let base = Base::new(Dialect::Postgres).await;
    let mut ours = base.session().await;
    run(&mut *ours, "DROP ROLE IF EXISTS reader; CREATE ROLE reader").await;
    let migrations = Migrations::new(&[
        // As pg_dump begins.
        (
            "1_dump.sql",
            "SELECT pg_catalog.set_config('search_path', '', false); SET row_security = off; CREATE TABLE public.a (id int)",
        ),
        ("2_role.sql", "SET ROLE reader"),
        ("3_zone.sql", "SET TIME ZONE 'Asia/Kolkata'; SET default_tablespace = ''; CREATE TABLE b (id int)"),
        ("4_after.sql", "CREATE TABLE c AS SELECT current_setting('TimeZone') AS zone, current_user::text AS who"),
    ]);
    assert_eq!(migrations.applies(&mut *ours).await, [1, 2, 3, 4]);
    let row = ours.first("SELECT zone, who FROM public.c", &[]).await.unwrap().unwrap();
    assert_eq!((row[0].text(), row[1].text()), (Some("UTC"), Some("postgres")));
    run(&mut *ours, "DROP ROLE reader").await;
}

#[tokio::test]
async fn a_step_waits_for_rows_that_others_change_and_does_not_run_into_them() {
    let base = Base::new(Dialect::Postgres).await;
    let (mut ours, mut writer) = (base.session().await, base.session().await);
    run(&mut *ours, "CREATE TABLE book (id int, n int); INSERT INTO book VALUES (1, 0)").await;
    // The second statement sees what was committed after the first: under REPEATABLE READ it would fail.
    let migrations = Migrations::new(&[("1_a.sql", "SELECT pg_advisory_lock(1); UPDATE book SET n = n + 1")]);
    run(&mut *writer, "SELECT pg_advisory_lock(1); BEGIN; UPDATE book SET n = 10").await;
    let write = async {
        // Until the step waits for the first lock, with its snapshot taken.
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        for _ in 0..5_000 {
            if writer.first(waiting, &[]).await.unwrap().unwrap()[0].int() == Some(1) {
                break;
            }
            tokio::task::yield_now().await;
        }
        run(&mut *writer, "COMMIT; SELECT pg_advisory_unlock(1)").await;
    };
    let (applied, ()) = tokio::join!(migrations.applies(&mut *ours), write);
    assert_eq!(applied, [1]);
    let row = ours.first("SELECT n FROM book", &[]).await.unwrap().unwrap();
    assert_eq!(row[0].int(), Some(11));
}

#[tokio::test]
async fn rebuilding_a_table_takes_no_rows_with_it_and_a_reference_to_nothing_is_refused() {
    let base = Base::new(Dialect::Sqlite).await;
    let mut ours = base.session().await;
    let migrations = Migrations::new(&[
        (
            "1_tables.sql",
            "CREATE TABLE shelf (id INTEGER PRIMARY KEY); INSERT INTO shelf VALUES (1);
             CREATE TABLE book (id INTEGER PRIMARY KEY, shelf INTEGER REFERENCES shelf ON DELETE CASCADE);
             INSERT INTO book VALUES (1, 1);",
        ),
        (
            "2_rebuild.sql",
            "CREATE TABLE shelf_new (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO shelf_new (id) SELECT id FROM shelf;
             DROP TABLE shelf; ALTER TABLE shelf_new RENAME TO shelf;",
        ),
    ]);
    assert_eq!(migrations.applies(&mut *ours).await, [1, 2]);
    assert_eq!(count(&mut *ours, "book").await, 1, "its shelf was rebuilt, not removed");
    migrations.write("3_lost.sql", "DELETE FROM shelf");
    let refused = migrations.refused(&mut *ours).await;
    assert!(matches!(refused, MigrateError::Dangling { rows: 1, .. }), "{refused}");
    assert_eq!(count(&mut *ours, "shelf").await, 1);
    let enforced = ours.first("PRAGMA foreign_keys", &[]).await.unwrap().unwrap();
    assert_eq!(enforced[0].int(), Some(1), "the session is left as it was found");
}

#[tokio::test]
async fn the_table_of_what_was_applied_is_where_it_is_told_to_be() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let schema = if dialect == Dialect::Postgres { "ops" } else { "main" };
        if dialect == Dialect::Postgres {
            run(&mut *ours, "CREATE SCHEMA ops").await;
        }
        let table = format!("{schema}.applied").try_into().unwrap();
        let options = Options { table, ..options() };
        let done = up(&mut *ours, &three().files(), &options, &SystemClock::new(), &mut Nobody).await.unwrap();
        assert_eq!((numbers(&done), count(&mut *ours, &format!("{schema}.applied")).await), (vec![1, 2, 10], 3));
        assert_eq!(up(&mut *ours, &three().files(), &options, &SystemClock::new(), &mut Nobody).await.unwrap(), []);
    }
}
