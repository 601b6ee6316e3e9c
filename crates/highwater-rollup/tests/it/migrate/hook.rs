//! Rollups that a step requires: when they are asked for, and what a run does with the answer.

use highwater_rollup::guard::{Answer, Subject, guard};
use highwater_rollup::migrate::StateMissing;
use highwater_rollup::{ddl, recompute, state};

use super::*;
use crate::usage::{bound, declaration, tick_to};

/// Answers as it is told to, and remembers what it was asked.
#[derive(Default)]
struct Told {
    asked: Vec<String>,
    fails: bool,
}

#[async_trait]
impl Hook for Told {
    fn check(&self, job: &str) -> Result<(), String> {
        if job.starts_with("usage") { Ok(()) } else { Err(format!("{job} is no rollup")) }
    }

    async fn require(&mut self, job: &str) -> Result<Required, Unmet> {
        self.asked.push(job.to_owned());
        if self.fails {
            let mend = "UPDATE rollup_state SET watermark_at = '1970-01-01T00:00:00Z' WHERE id = 1;".to_owned();
            return Err(StateMissing { table: "rollup_state".to_owned(), mend }.into());
        }
        Ok(Required::WatermarkWithinThreshold)
    }
}

fn guarded() -> Migrations {
    Migrations::new(&[
        ("1_a.sql", "CREATE TABLE a (id int)"),
        ("2_b.sql", "-- highwater:requires usage usage-days\nDROP TABLE a"),
        ("3_c.sql", "-- highwater:requires usage\nCREATE TABLE c (id int)"),
    ])
}

#[tokio::test]
async fn a_rollup_is_asked_for_before_each_step_that_requires_it_and_never_for_one_that_is_applied() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let mut hook = Told::default();
        let files = guarded().files();
        let done = up(&mut *ours, &files, &options(), &SystemClock::new(), &mut hook).await.unwrap();
        assert_eq!(hook.asked, ["usage", "usage-days", "usage"], "{dialect:?}");
        let required = |job: &str| (job.to_owned(), Required::WatermarkWithinThreshold);
        assert_eq!(done[1].required, [required("usage"), required("usage-days")], "{dialect:?}");
        assert!(done[0].required.is_empty(), "{dialect:?}");
        up(&mut *ours, &files, &options(), &SystemClock::new(), &mut hook).await.unwrap();
        assert_eq!(hook.asked.len(), 3, "{dialect:?}");
    }
}

#[tokio::test]
async fn a_rollup_that_is_not_complete_ends_the_run_before_its_step() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let mut hook = Told { fails: true, ..Told::default() };
        let files = guarded().files();
        let stopped = up(&mut *ours, &files, &options(), &SystemClock::new(), &mut hook).await.unwrap_err();
        assert_eq!((numbers(&stopped.applied), hook.asked.len()), (vec![1], 1), "{dialect:?}");
        let text = told(&stopped);
        assert!(text.starts_with("2_b.sql was not run: it requires usage, which is not complete"), "{text}");
        assert!(
            text.ends_with("UPDATE rollup_state SET watermark_at = '1970-01-01T00:00:00Z' WHERE id = 1;"),
            "{text}"
        );
        let MigrateError::Unmet { source, .. } = &stopped.error else { panic!("{dialect:?}") };
        assert!(source.is::<StateMissing>(), "{dialect:?}");
        assert_eq!(count(&mut *ours, "a").await, 0, "{dialect:?}: the table is still there");
        hook.fails = false;
        let done = up(&mut *ours, &files, &options(), &SystemClock::new(), &mut hook).await.unwrap();
        assert_eq!(numbers(&done), [2, 3], "{dialect:?}");
    }
}

/// Seeds the declared rollup of the tests, on a session of its own, as a pass does.
struct Seeds<'b>(&'b Base);

#[async_trait]
impl Hook for Seeds<'_> {
    fn check(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    async fn require(&mut self, _: &str) -> Result<Required, Unmet> {
        let (mut session, declaration) = (self.0.session().await, declaration());
        let subject = Subject::Declared(&declaration);
        match guard(&mut *session, subject, Duration::from_secs(3600)).await? {
            Answer::Complete(_) => return Ok(Required::WatermarkWithinThreshold),
            Answer::NotInstalled { has_events: false, .. } => return Ok(Required::RollupStateMissing),
            Answer::StateMissing { table, mend, .. } => return Err(StateMissing { table, mend }.into()),
            Answer::NotInstalled { .. } | Answer::Ahead(_) => return Err("it is not installed".into()),
            _ => {}
        }
        let extent = recompute::extent(&mut *session, &declaration).await?;
        session.begin().await?;
        let rows = match extent {
            Some(extent) => recompute::span(&mut *session, &declaration, extent).await?,
            None => 0,
        };
        state::seeded(&mut *session, &declaration, "2026-01-02T00:00:00Z".parse()?).await?;
        session.commit().await?;
        let until = bound(&mut *session).await;
        tick_to(&mut *session, until).await;
        Ok(extent.map_or(Required::SourceEmpty, |_| Required::Walked { slices: 1, rows }))
    }
}

/// The tables of the rollup come with a step, as some tools want it.
fn straight(dialect: Dialect, rows: &str) -> Migrations {
    Migrations::new(&[
        (
            "1_rollup.up.sql",
            &(ddl::before(dialect, &declaration()).unwrap_or_default().replace("CONCURRENTLY ", "")
                + &ddl::install(dialect, &declaration())),
        ),
        ("2_rows.up.sql", &format!("-- What there is.\n{rows}")),
        ("3_drop.up.sql", "-- highwater:requires usage\nCREATE TABLE replaced AS SELECT * FROM task_usage_hourly"),
    ])
}

const ROWS: &str = "INSERT INTO agent VALUES (1, 1);
    INSERT INTO agent_task_queue VALUES (1, 1, NULL, 1);
    INSERT INTO task_usage VALUES (1, 1, NULL, 'large', 10, NULL, '2026-01-02T00:00:00Z');";

#[tokio::test]
async fn r07_a_run_goes_straight_through_and_a_guarded_step_sees_every_bucket() {
    for dialect in BOTH {
        for (rows, required) in [("", Required::SourceEmpty), (ROWS, Required::Walked { slices: 1, rows: 1 })] {
            let base = Base::new(dialect).await;
            let mut ours = base.session().await;
            let files = straight(dialect, rows).files();
            let done = up(&mut *ours, &files, &options(), &SystemClock::new(), &mut Seeds(&base)).await;
            let done = done.unwrap_or_else(|stopped| panic!("{dialect:?}: {}", told(&stopped)));
            assert_eq!(done[2].required, [("usage".to_owned(), required)], "{dialect:?}");
            let expected = i64::from(rows == ROWS);
            assert_eq!(count(&mut *ours, "replaced").await, expected, "{dialect:?}: it was seeded before");
        }
    }
}

#[tokio::test]
async fn a_step_whose_rollup_has_no_tables_and_no_events_is_run() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let migrations = Migrations::new(&[("1_a.sql", "-- highwater:requires usage\nCREATE TABLE a (id int)")]);
        let done =
            up(&mut *ours, &migrations.files(), &options(), &SystemClock::new(), &mut Seeds(&base)).await.unwrap();
        assert_eq!(done[0].required, [("usage".to_owned(), Required::RollupStateMissing)], "{dialect:?}");
    }
}

/// Lets go of the lock of the run while a rollup is brought up.
struct Loses<'b>(&'b Base);

#[async_trait]
impl Hook for Loses<'_> {
    fn check(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    async fn require(&mut self, _: &str) -> Result<Required, Unmet> {
        // Once: the second rollup of the step finds it gone.
        std::fs::remove_file(format!("{}.migrate.lock", self.0.path().unwrap().display())).ok();
        Ok(Required::WatermarkWithinThreshold)
    }
}

#[tokio::test]
async fn r16_a_run_that_lost_its_lock_applies_nothing_more() {
    let base = Base::new(Dialect::Sqlite).await;
    let mut ours = base.session().await;
    let files = guarded().files();
    let stopped = up(&mut *ours, &files, &options(), &SystemClock::new(), &mut Loses(&base)).await.unwrap_err();
    assert!(matches!(stopped.error, MigrateError::LockLost { .. }), "{}", told(&stopped));
    assert_eq!(numbers(&stopped.applied), [1]);

    let base = Base::new(Dialect::Postgres).await;
    let mut ours = base.session().await;
    let migrations =
        Migrations::new(&[("1_a.sql", "SELECT pg_advisory_unlock_all()"), ("2_b.sql", "CREATE TABLE b (id int)")]);
    let stopped = migrations.up(&mut *ours).await.unwrap_err();
    assert!(matches!(stopped.error, MigrateError::LockLost { .. }), "{}", told(&stopped));
    assert_eq!(numbers(&stopped.applied), [1]);
}
