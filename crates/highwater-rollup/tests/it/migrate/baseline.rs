//! Histories that are taken over.

use highwater_rollup::declare::TableName;
use highwater_rollup::migrate::baseline;

use super::*;

async fn take_over(
    session: &mut dyn Session,
    migrations: &Migrations,
    number: i64,
    from: Option<&str>,
) -> Result<usize, MigrateError> {
    let from = from.map(|table| TableName::try_from(table.to_owned()).unwrap());
    baseline(session, &migrations.files(), &options(), &SystemClock::new(), number, from.as_ref()).await
}

async fn refused(session: &mut dyn Session, number: i64, from: Option<&str>) -> String {
    take_over(session, &three(), number, from).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_history_is_taken_over_without_running_it_and_the_rest_is_run() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        run(&mut *ours, "CREATE TABLE book (id int PRIMARY KEY); INSERT INTO book VALUES (1), (2), (3)").await;
        let migrations = three();
        assert_eq!(take_over(&mut *ours, &migrations, 2, None).await.unwrap(), 2, "{dialect:?}");
        assert_eq!(take_over(&mut *ours, &migrations, 2, None).await.unwrap(), 0, "{dialect:?}: twice is once");
        let expected = [(1, Standing::Baselined), (2, Standing::Baselined), (10, Standing::Pending)];
        assert_eq!(migrations.standing(&mut *ours).await, expected, "{dialect:?}");
        assert_eq!(migrations.applies(&mut *ours).await, [10], "{dialect:?}");
        assert_eq!(count(&mut *ours, "book").await, 3, "{dialect:?}");
        let text = refused(&mut *ours, 10, None).await;
        assert!(text.starts_with("highwater_migrations says that 10 was applied already"), "{dialect:?}: {text}");
        assert_eq!(refused(&mut *ours, 7, None).await, "there is no file with the number 7", "{dialect:?}");
        migrations.write("2_more.sql", "SELECT 1");
        assert!(matches!(migrations.refused(&mut *ours).await, MigrateError::Changed { .. }), "{dialect:?}");
    }
}

#[tokio::test]
async fn another_tool_s_table_must_show_what_is_taken_over_and_nothing_newer() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let text = refused(&mut *ours, 2, Some("schema_migrations")).await;
        assert!(text.ends_with("there is no such table"), "{dialect:?}: {text}");
        // A row for each, by the name of its file.
        run(&mut *ours, "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY, applied_at TEXT)").await;
        assert!(refused(&mut *ours, 2, Some("schema_migrations")).await.ends_with("it is empty"), "{dialect:?}");
        run(&mut *ours, "INSERT INTO schema_migrations VALUES ('001_books', ''), ('0002_more.up.sql', '')").await;
        let text = refused(&mut *ours, 10, Some("schema_migrations")).await;
        assert_eq!(text, "schema_migrations does not show 10 as applied: the newest that it shows is 2", "{dialect:?}");
        let text = refused(&mut *ours, 1, Some("schema_migrations")).await;
        assert!(text.ends_with("it shows 2 too, which would be run again: baseline that"), "{dialect:?}: {text}");
        run(&mut *ours, "CREATE TABLE odd (version TEXT); INSERT INTO odd VALUES ('first')").await;
        assert!(
            refused(&mut *ours, 2, Some("odd")).await.contains("`first` does not begin with a number"),
            "{dialect:?}"
        );
        assert!(
            ours.query("SELECT * FROM highwater_migrations", &[]).await.is_err(),
            "{dialect:?}: nothing was written"
        );

        let migrations = three();
        assert_eq!(take_over(&mut *ours, &migrations, 2, Some("schema_migrations")).await.unwrap(), 2, "{dialect:?}");
        assert_eq!(count(&mut *ours, "schema_migrations").await, 2, "{dialect:?}: it is as it was");
    }
}

#[tokio::test]
async fn one_row_with_the_newest_shows_all_before_it_and_a_step_that_failed_there_is_none() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        run(&mut *ours, "CREATE TABLE newest (version bigint, dirty boolean); INSERT INTO newest VALUES (2, true)")
            .await;
        let text = refused(&mut *ours, 2, Some("newest")).await;
        assert!(text.ends_with("that step failed there, and is to be mended first"), "{dialect:?}: {text}");
        run(&mut *ours, "UPDATE newest SET dirty = false").await;
        let sqlx = "CREATE TABLE sqlx (version bigint, success boolean); INSERT INTO sqlx VALUES (1, true), (2, false)";
        run(&mut *ours, sqlx).await;
        let text = refused(&mut *ours, 2, Some("sqlx")).await;
        assert!(text.ends_with("that step failed there, and is to be mended first"), "{dialect:?}: {text}");
        assert_eq!(take_over(&mut *ours, &three(), 2, Some("newest")).await.unwrap(), 2, "{dialect:?}");
    }
}
