//! Steps that would break an installed rollup.

use highwater_db::postgres::PostgresSession;
use highwater_rollup::ddl;
use highwater_rollup::declare::Declaration;

use super::*;
use crate::usage::{declaration, seeded};

fn watching() -> Options {
    Options { rollups: vec![("usage".to_owned(), declaration())], ..options() }
}

async fn ups(ours: &mut dyn Session, sql: &str) -> Result<Vec<Done>, Stopped> {
    let migrations = Migrations::new(&[("7_step.up.sql", sql)]);
    up(ours, &migrations.files(), &watching(), &SystemClock::new(), &mut Nobody).await
}

async fn works(ours: &mut dyn Session, dialect: Dialect) {
    assert_eq!(ddl::diff(ours, &declaration()).await.unwrap(), Vec::<String>::new(), "{dialect:?}");
    run(ours, "UPDATE task_usage SET tokens = tokens + 1; DELETE FROM task_usage WHERE id = 3").await;
}

/// A step, and what is said of it.
fn cases(dialect: Dialect) -> Vec<(&'static str, &'static str)> {
    let mut cases = vec![
        ("ALTER TABLE task_usage RENAME COLUMN tokens TO amount", "task_usage.tokens is gone"),
        ("ALTER TABLE issue RENAME COLUMN project_id TO project", "issue.project_id is gone"),
        ("ALTER TABLE agent RENAME TO agents", "the table agent is gone"),
    ];
    match dialect {
        Dialect::Postgres => cases.extend([
            ("ALTER TABLE task_usage DROP COLUMN model CASCADE", "task_usage.model is gone"),
            (
                "ALTER TABLE issue RENAME TO old; CREATE TABLE issue (id bigint PRIMARY KEY, project_id int)",
                "issue.project_id is of type integer, and was bigint",
            ),
            ("ALTER TABLE issue DISABLE TRIGGER USER", "trigger task_usage_hourly_issue_delete is disabled"),
            ("DROP TABLE task_usage_hourly CASCADE; DROP FUNCTION task_usage_hourly_issue_changed() CASCADE", "trigger task_usage_hourly_issue_delete is missing"),
        ]),
        // As SQLite's manual says to change a table.
        Dialect::Sqlite => cases.extend([
            (
                "CREATE TABLE new (id INTEGER PRIMARY KEY, project_id INTEGER, title TEXT);
                 INSERT INTO new SELECT id, project_id, NULL FROM issue; DROP TABLE issue; ALTER TABLE new RENAME TO issue",
                "trigger task_usage_hourly_issue_insert is missing",
            ),
            (
                "CREATE TABLE new (id INTEGER PRIMARY KEY, project_id TEXT);
                 INSERT INTO new SELECT * FROM issue; DROP TABLE issue; ALTER TABLE new RENAME TO issue",
                "issue.project_id is of type text, and was number",
            ),
        ]),
    }
    cases
}

#[tokio::test]
async fn r15_a_step_that_takes_away_what_a_rollup_reads_is_rolled_back_and_named() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        for (sql, what) in cases(dialect) {
            let stopped = ups(&mut *ours, sql).await.unwrap_err();
            let text = told(&stopped);
            let begins = "7_step.up.sql was rolled back, since it breaks the rollup usage: ";
            assert!(text.starts_with(begins) && text.contains(what), "{dialect:?}: {sql}: {text}");
            works(&mut *ours, dialect).await;
        }
        let all = cases(dialect);
        let stopped =
            ups(&mut *ours, &all[..2].iter().map(|(sql, _)| *sql).collect::<Vec<_>>().join(";")).await.unwrap_err();
        let directory = std::path::Path::new("migrations");
        let text = highwater_rollup::migrate::diagnosis("DATABASE", directory, &stopped.error).to_string();
        insta::assert_snapshot!("a_step_that_breaks_a_rollup", text);
    }
}

#[tokio::test]
async fn a_step_that_takes_nothing_away_or_the_whole_rollup_is_applied() {
    for dialect in BOTH {
        let uninstall =
            ddl::uninstall(dialect, &declaration()) + "ALTER TABLE task_usage RENAME COLUMN tokens TO amount";
        let harmless = "ALTER TABLE task_usage ADD note text; ALTER TABLE task_usage RENAME COLUMN note TO remark; CREATE TABLE other (id int)";
        for sql in [harmless, &uninstall] {
            let (_base, mut ours) = seeded(dialect).await;
            assert_eq!(numbers(&ups(&mut *ours, sql).await.unwrap()), [7], "{dialect:?}: {sql}");
        }
        // And one that takes it away and makes it anew for what is there then.
        let (_base, mut ours) = seeded(dialect).await;
        let mut other: Declaration = declaration();
        let amount = toml::from_str::<Declaration>(
            "source = 'a'\nevent-time = 'at'\ngrain = 'hour'\ntarget = 'b'\naggregates = { tokens = { sum = 'amount' } }",
        );
        other.aggregates = amount.unwrap().aggregates;
        let anew = format!("{uninstall};\n{}", ddl::install(dialect, &other));
        assert_eq!(numbers(&ups(&mut *ours, &anew).await.unwrap()), [7], "{dialect:?}");
    }
}

#[tokio::test]
async fn a_table_that_is_made_anew_with_its_triggers_is_a_step_like_any_other() {
    let (_base, mut ours) = seeded(Dialect::Sqlite).await;
    let rebuilt = "CREATE TABLE new (id INTEGER PRIMARY KEY, project_id INTEGER, title TEXT);
                   INSERT INTO new SELECT id, project_id, NULL FROM issue; DROP TABLE issue; ALTER TABLE new RENAME TO issue";
    let stopped = ups(&mut *ours, rebuilt).await.unwrap_err();
    let text = highwater_rollup::migrate::diagnosis("DATABASE", std::path::Path::new("migrations"), &stopped.error)
        .to_string();
    insta::assert_snapshot!("a_step_that_drops_triggers", text);
    let ddl = ddl::install(Dialect::Sqlite, &declaration());
    let triggers: Vec<&str> =
        ddl.split(";\n\n").filter(|sql| sql.starts_with("CREATE TRIGGER") && sql.contains("ON \"issue\"")).collect();
    let sql = format!("{rebuilt};\n{}", triggers.join(";\n"));
    assert_eq!((triggers.len(), numbers(&ups(&mut *ours, &sql).await.unwrap())), (5, vec![7]));
    works(&mut *ours, Dialect::Sqlite).await;
}

#[tokio::test]
async fn a_role_that_may_not_read_the_rollup_migrates_and_breaks_it_no_more_than_others() {
    let (base, mut ours) = seeded(Dialect::Postgres).await;
    run(&mut *ours, "DROP ROLE IF EXISTS mover; CREATE ROLE mover LOGIN").await;
    run(&mut *ours, "GRANT CREATE ON SCHEMA public TO mover; ALTER TABLE issue OWNER TO mover").await;
    let address = base.url().unwrap().replace("postgres@", "mover@").parse().unwrap();
    let mut theirs = PostgresSession::open(&address).await.unwrap();
    let stopped = ups(&mut theirs, "ALTER TABLE issue RENAME COLUMN project_id TO project").await.unwrap_err();
    assert!(told(&stopped).contains("issue.project_id is gone"), "{}", told(&stopped));
    assert_eq!(numbers(&ups(&mut theirs, "ALTER TABLE issue ADD note text").await.unwrap()), [7]);
    run(&mut *ours, "DROP OWNED BY mover CASCADE; DROP ROLE mover").await;
}

#[tokio::test]
async fn a_rollup_that_is_broken_already_keeps_no_step_from_being_applied() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        run(&mut *ours, "ALTER TABLE task_usage RENAME COLUMN tokens TO amount").await;
        let applied = ups(&mut *ours, "ALTER TABLE task_usage RENAME COLUMN amount TO tokens").await.unwrap();
        assert_eq!(numbers(&applied), [7], "{dialect:?}");
    }
}

#[tokio::test]
async fn r15_a_file_without_a_transaction_that_breaks_a_rollup_is_told_at_once() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let sql = "-- highwater:no-transaction\nALTER TABLE task_usage RENAME COLUMN tokens TO amount;";
        let stopped = ups(&mut *ours, sql).await.unwrap_err();
        let directory = std::path::Path::new("migrations");
        let text = highwater_rollup::migrate::diagnosis("DATABASE", directory, &stopped.error).to_string();
        insta::assert_snapshot!("a_file_without_a_transaction_that_breaks_a_rollup", text);
        assert_eq!(numbers(&ups(&mut *ours, sql).await.unwrap()), Vec::<i64>::new(), "{dialect:?}: it is applied");
    }
}

#[tokio::test]
async fn a_server_that_refuses_a_column_for_our_trigger_s_sake_is_told_with_the_way() {
    for (dialect, sql) in [
        (Dialect::Postgres, "ALTER TABLE task_usage ALTER tokens TYPE numeric"),
        (Dialect::Postgres, "ALTER TABLE task_usage DROP COLUMN tokens"),
        (Dialect::Sqlite, "ALTER TABLE task_usage DROP COLUMN tokens"),
    ] {
        let (_base, mut ours) = seeded(dialect).await;
        let text = told(&ups(&mut *ours, sql).await.unwrap_err());
        assert!(text.contains("if that trigger is a rollup's"), "{dialect:?}: {sql}: {text}");
    }
}
