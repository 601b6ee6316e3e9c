//! Runs that are cut off, wait, or are resumed.

use highwater_db::session::Value;
use highwater_rollup::migrate::lock;

use super::*;
use crate::between::{Act, Between};

#[tokio::test]
async fn r05_a_run_that_is_cut_off_anywhere_is_gone_on_with_by_the_next() {
    for dialect in BOTH {
        for (before, skip) in
            [("CREATE TABLE \"highwater_migrations\"", 0), ("BEGIN", 1), ("(3)", 0), ("INSERT INTO", 2), ("COMMIT", 1)]
        {
            let base = Base::new(dialect).await;
            let migrations = three();
            {
                let mut ours = base.session().await;
                let mut cut = Between::new(&mut *ours, before, skip, Act::Cut);
                let stopped = migrations.up(&mut cut).await.unwrap_err();
                assert!(cut.happened() && stopped.applied.len() < 3, "{dialect:?}: {before}");
            }
            let mut ours = base.session().await;
            migrations.applies(&mut *ours).await;
            let applied = [1, 2, 10].map(|number| (number, Standing::Applied));
            assert_eq!(migrations.standing(&mut *ours).await, applied, "{dialect:?}: {before}");
            assert_eq!(count(&mut *ours, "book").await, 3, "{dialect:?}: {before}");
        }
    }
}

#[tokio::test]
async fn r05_a_run_whose_session_is_ended_within_a_step_leaves_nothing_of_it() {
    let base = Base::new(Dialect::Postgres).await;
    let (mut ours, mut killer) = (base.session().await, base.session().await);
    let migrations = Migrations::new(&[("1_a.sql", "CREATE TABLE a (id int); SELECT pg_sleep(60)")]);
    let kill = async {
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%pg_sleep(60)%'";
        while killer.first(end, &[]).await.unwrap().unwrap()[0].int() == Some(0) {
            tokio::task::yield_now().await;
        }
    };
    let (stopped, ()) =
        tokio::time::timeout(Duration::from_secs(50), async { tokio::join!(migrations.up(&mut *ours), kill) })
            .await
            .unwrap();
    assert!(told(&stopped.unwrap_err()).starts_with("1_a.sql failed, and nothing of it was kept"));
    migrations.write("1_a.sql", "CREATE TABLE a (id int)");
    assert_eq!(migrations.applies(&mut *base.session().await).await, [1]);
}

#[tokio::test]
async fn r01_a_run_that_may_not_wait_is_told_who_migrates() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let (mut holder, mut ours) = (base.session().await, base.session().await);
        // As another program would hold it.
        let file = base.path().map(|path| {
            let file = std::fs::File::create(format!("{}.migrate.lock", path.display())).unwrap();
            file.lock().unwrap();
            file
        });
        if dialect == Dialect::Postgres {
            let key = lock::key(&options().table).number();
            holder.query("SELECT pg_advisory_lock($1)::text", &[Value::Int(key)]).await.unwrap();
        }
        let impatient = Options { lock_wait: Duration::ZERO, ..options() };
        let stopped = up(&mut *ours, &three().files(), &impatient, &SystemClock::new(), &mut Nobody).await.unwrap_err();
        let MigrateError::LockHeld { holder: Some(who) } = &stopped.error else { panic!("{}", told(&stopped)) };
        assert!(who.contains("process"), "{dialect:?}: {who}");
        drop(file);
        drop(holder);
        assert_eq!(three().applies(&mut *ours).await, [1, 2, 10], "{dialect:?}: it waits until the other is gone");
    }
}

#[tokio::test]
async fn an_index_is_made_concurrently_while_another_run_waits() {
    let base = Base::new(Dialect::Postgres).await;
    let (mut one, mut two) = (base.session().await, base.session().await);
    let migrations = Migrations::new(&[(
        "1_i.sql",
        "-- highwater:no-transaction\nCREATE INDEX CONCURRENTLY i ON agent (workspace_id);",
    )]);
    let both = async { tokio::join!(migrations.applies(&mut *one), migrations.applies(&mut *two)) };
    let (one, two) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
    assert_eq!([one, two].concat(), [1]);
}

/// Three statements that cannot all be one transaction.
fn concurrently(dialect: Dialect) -> Migrations {
    let second = match dialect {
        Dialect::Postgres => "CREATE INDEX CONCURRENTLY i ON a (id)",
        Dialect::Sqlite => "CREATE INDEX i ON a (id); VACUUM",
    };
    let sql = format!("-- highwater:no-transaction\nCREATE TABLE a (id int);\n{second};\nINSERT INTO a VALUES (1);");
    Migrations::new(&[("1_a.sql", &sql), ("2_b.sql", "INSERT INTO a VALUES (2)")])
}

#[tokio::test]
async fn r05_a_file_without_a_transaction_that_was_cut_off_is_named_and_goes_on_where_a_person_says_so() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let migrations = concurrently(dialect);
        {
            let mut ours = base.session().await;
            let mut cut = Between::new(&mut *ours, "CREATE INDEX", 0, Act::Cut);
            let stopped = migrations.up(&mut cut).await.unwrap_err();
            let text = told(&stopped);
            assert!(
                text.starts_with("1_a.sql failed in its statement 2, and what came before that was kept"),
                "{text}"
            );
        }
        let mut ours = base.session().await;
        let refused = migrations.refused(&mut *ours).await;
        assert!(matches!(refused, MigrateError::Interrupted { statement: 2, .. }), "{dialect:?}: {refused}");
        assert!(refused.to_string().contains("go on with `--resume`"), "{dialect:?}: {refused}");
        let standing = migrations.standing(&mut *ours).await;
        assert_eq!(standing, [(1, Standing::Started), (2, Standing::Pending)], "{dialect:?}");
        let options = Options { resume: true, ..options() };
        let done = up(&mut *ours, &migrations.files(), &options, &SystemClock::new(), &mut Nobody).await.unwrap();
        assert_eq!((numbers(&done), count(&mut *ours, "a").await), (vec![1, 2], 2), "{dialect:?}");
        assert_eq!(migrations.applies(&mut *ours).await, Vec::<i64>::new(), "{dialect:?}");
    }
}

#[tokio::test]
async fn r05_a_statement_that_was_done_and_not_counted_is_told_apart_by_nobody_and_so_is_never_run_by_itself() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let migrations = concurrently(dialect);
        {
            let mut ours = base.session().await;
            let mut cut = Between::new(&mut *ours, "SET statements_done = 1", 0, Act::Cut);
            assert!(migrations.up(&mut cut).await.is_err(), "{dialect:?}");
        }
        let mut ours = base.session().await;
        let refused = migrations.refused(&mut *ours).await;
        assert!(matches!(refused, MigrateError::Interrupted { statement: 1, .. }), "{dialect:?}: {refused}");
        // The other way out: all of the file is undone, and its row taken away.
        run(&mut *ours, "DROP TABLE a; DELETE FROM highwater_migrations WHERE version = 1").await;
        assert_eq!(migrations.applies(&mut *ours).await, [1, 2], "{dialect:?}");
    }
}

#[tokio::test]
async fn r05_a_transaction_that_a_file_begins_by_itself_is_counted_as_one() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let sql = "-- highwater:no-transaction\nCREATE TABLE a (id int);\nBEGIN;\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (2);\nCOMMIT";
        let migrations = Migrations::new(&[("1_a.sql", sql)]);
        {
            let mut ours = base.session().await;
            let mut cut = Between::new(&mut *ours, "VALUES (2)", 0, Act::Cut);
            assert!(migrations.up(&mut cut).await.is_err(), "{dialect:?}");
        }
        let mut ours = base.session().await;
        let refused = migrations.refused(&mut *ours).await;
        assert!(matches!(refused, MigrateError::Interrupted { statement: 2, .. }), "{dialect:?}: {refused}");
        let options = Options { resume: true, ..options() };
        up(&mut *ours, &migrations.files(), &options, &SystemClock::new(), &mut Nobody).await.unwrap();
        assert_eq!(count(&mut *ours, "a").await, 2, "{dialect:?}");
    }
}
