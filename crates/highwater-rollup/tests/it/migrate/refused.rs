//! What is refused before anything is run, and steps that fail.

use super::*;

/// Refused, and neither the pending step nor anything else was run.
async fn refuses(dialect: Dialect, change: impl AsyncFnOnce(&Migrations, &mut dyn Session)) -> String {
    let base = Base::new(dialect).await;
    let mut ours = base.session().await;
    let migrations = three();
    migrations.applies(&mut *ours).await;
    migrations.write("11_pending.sql", "INSERT INTO book VALUES (11)");
    change(&migrations, &mut *ours).await;
    let stopped = migrations.up(&mut *ours).await.unwrap_err();
    assert_eq!((stopped.applied.len(), count(&mut *ours, "book").await), (0, 3), "{dialect:?}");
    told(&stopped)
}

#[tokio::test]
async fn r15_files_that_do_not_fit_to_the_history_are_refused_before_anything_is_run() {
    for dialect in BOTH {
        let text =
            refuses(dialect, async |migrations, _| migrations.write("2_more.sql", "INSERT INTO book VALUES (2)")).await;
        let [was, is] = ["-- Two at once; not one.\nINSERT INTO book VALUES (2), (3)", "INSERT INTO book VALUES (2)"]
            .map(|sql| Migrations::new(&[("1_a.sql", sql)]).files().steps[0].sha256.clone());
        let expected = format!("2_more.sql was changed after it was applied: it was {was}, and is {is};");
        assert!(text.starts_with(&expected), "{dialect:?}: {text}");

        let text = refuses(dialect, async |migrations, _| migrations.remove("2_more.sql")).await;
        assert!(text.starts_with(&format!("2 (more) was applied with {was}, and has no file")), "{dialect:?}: {text}");

        let text = refuses(dialect, async |migrations, _| migrations.write("9_late.sql", "SELECT 1")).await;
        assert!(text.starts_with("9_late.sql comes before 10, which was applied"), "{dialect:?}: {text}");

        let text = refuses(dialect, async |migrations, _| migrations.write("12_bad.sql", "SELECT 1; COMMIT")).await;
        assert!(text.contains("12_bad.sql") && text.contains("line 1: COMMIT would end"), "{dialect:?}: {text}");

        let text = refuses(dialect, async |migrations, _| {
            migrations.write("12_bad.sql", "-- highwater:requires usage\nSELECT 1");
        });
        let text = text.await;
        assert!(text.starts_with("12_bad.sql requires usage: there is no such job"), "{dialect:?}: {text}");
    }
}

#[tokio::test]
async fn other_line_ends_are_no_change_and_what_was_applied_is_not_read_again() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let migrations = three();
        migrations.applies(&mut *ours).await;
        migrations.write("2_more.sql", "-- Two at once; not one.\r\nINSERT INTO book VALUES (2), (3)");
        assert_eq!(migrations.applies(&mut *ours).await, Vec::<i64>::new(), "{dialect:?}");
    }
}

#[tokio::test]
async fn r15_each_that_does_not_fit_is_listed_as_what_it_is() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let migrations = three();
        migrations.applies(&mut *ours).await;
        migrations.write("001_books.up.sql", "SELECT 1");
        migrations.remove("2_more.sql");
        migrations.write("9_late.sql", "SELECT 1");
        migrations.write("11_new.sql", "SELECT 1");
        let expected = [
            (1, Standing::Changed),
            (2, Standing::Missing),
            (9, Standing::OutOfOrder),
            (10, Standing::Applied),
            (11, Standing::Pending),
        ];
        assert_eq!(migrations.standing(&mut *ours).await, expected, "{dialect:?}");
    }
}

#[tokio::test]
async fn r05_a_step_that_fails_leaves_nothing_and_those_before_it_stay() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let migrations = three();
        migrations.write(
            "3_fails.sql",
            "INSERT INTO book VALUES (7);\nCREATE TABLE shelf (id int);\nINSERT INTO nowhere VALUES (1)",
        );
        let stopped = migrations.up(&mut *ours).await.unwrap_err();
        assert_eq!(numbers(&stopped.applied), [1, 2], "{dialect:?}");
        let text = told(&stopped);
        assert!(
            text.starts_with("3_fails.sql failed, and nothing of it was kept (2 steps were applied before)"),
            "{text}"
        );
        assert!(text.contains("nowhere"), "{text}");
        assert_eq!(count(&mut *ours, "book").await, 3, "{dialect:?}");
        assert!(ours.query("SELECT * FROM shelf", &[]).await.is_err(), "{dialect:?}");
        migrations.write("3_fails.sql", "INSERT INTO book VALUES (7)");
        assert_eq!(
            migrations.applies(&mut *ours).await,
            [3, 10],
            "{dialect:?}: it was never applied, and may be mended"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_run_in_a_transaction_says_what_helps() {
    for (dialect, sql) in
        [(Dialect::Postgres, "CREATE INDEX CONCURRENTLY i ON agent (id)"), (Dialect::Sqlite, "VACUUM")]
    {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let migrations = Migrations::new(&[("1_a.sql", sql)]);
        let refused = migrations.refused(&mut *ours).await.to_string();
        assert!(refused.contains("-- highwater:no-transaction"), "{dialect:?}: {refused}");
        migrations.write("1_a.sql", &format!("-- highwater:no-transaction\n{sql}"));
        assert_eq!(migrations.applies(&mut *ours).await, [1], "{dialect:?}");
    }
}

#[tokio::test]
async fn another_tool_s_table_is_not_written_to() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        run(&mut *ours, "CREATE TABLE schema_migrations (version bigint, dirty boolean)").await;
        let options = Options { table: "schema_migrations".to_owned().try_into().unwrap(), ..options() };
        let refused = up(&mut *ours, &three().files(), &options, &SystemClock::new(), &mut Nobody).await.unwrap_err();
        let text = refused.error.to_string();
        assert!(text.starts_with("schema_migrations is no table of highwater's"), "{dialect:?}: {text}");
        assert!(text.contains("highwater migrate baseline N --table schema_migrations"), "{dialect:?}: {text}");
        let listed = list(&mut *ours, &three().files(), &options.table).await;
        assert!(matches!(listed, Err(MigrateError::OthersTable { .. })), "{dialect:?}");
        assert_eq!(count(&mut *ours, "schema_migrations").await, 0, "{dialect:?}");
    }
}

#[tokio::test]
async fn a_transaction_that_ends_behind_a_string_is_noticed() {
    let base = Base::new(Dialect::Postgres).await;
    // With this setting of old, a backslash hides a quote from the server, and the COMMIT from everybody else.
    let name = base.url().unwrap().rsplit('/').next().unwrap().to_owned();
    run(&mut *base.session().await, &format!("ALTER DATABASE {name} SET standard_conforming_strings = off")).await;
    let mut ours = base.session().await;
    let migrations = Migrations::new(&[("1_a.sql", "CREATE TABLE a (id int); SELECT '\\''; COMMIT; --'")]);
    let refused = migrations.refused(&mut *ours).await;
    assert!(matches!(refused, MigrateError::Ended { .. }), "{refused}");
}
