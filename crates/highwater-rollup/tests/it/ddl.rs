//! What is installed, as a person reads it; that nothing is installed over a leftover, that nothing stays, and drift.

use std::collections::BTreeSet;
use std::time::Duration;

use highwater_db::session::{Dialect, FaultKind, Session};
use highwater_rollup::ddl::{self, InstallError};
use highwater_rollup::declare::Declaration;

use crate::usage::{Base, declaration, install, run, seeded};

const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];

#[test]
fn what_is_installed_and_taken_away_reads_as_it_is_printed() {
    for (dialect, name) in [(Dialect::Postgres, "postgresql"), (Dialect::Sqlite, "sqlite")] {
        insta::assert_snapshot!(format!("install_{name}"), ddl::printed(dialect, &declaration()));
        insta::assert_snapshot!(format!("uninstall_{name}"), ddl::uninstall(dialect, &declaration()));
    }
}

#[test]
fn r15_the_longest_names_make_names_that_are_not_too_long() {
    let longest = "x".repeat(highwater_rollup::declare::NAMES_BYTES_MAX / 2);
    let declared = format!(
        "source = 'u'\nevent-time = 'at'\ngrain = 'hour'\ntarget = '{longest}'\njoin.{longest} = {{ table = 't', on = {{ id = 't_id' }} }}
         aggregates = {{ calls = 'count' }}"
    );
    let declaration: Declaration = toml::from_str(&declared).unwrap();
    declaration.check().unwrap();
    for dialect in BOTH {
        assert!(ddl::install(dialect, &declaration).contains(&format!("{longest}_{longest}_insert")));
        assert!(ddl::uninstall(dialect, &declaration).contains(&longest));
    }
    let longer: Declaration = toml::from_str(&declared.replace(&longest, &format!("{longest}x"))).unwrap();
    assert!(longer.check().unwrap_err().to_string().contains("is too long"));
}

#[tokio::test]
async fn installing_beside_a_long_transaction_gives_way_and_keeps_no_writer_waiting() {
    let base = Base::new(Dialect::Postgres).await;
    let (mut ours, mut writer, mut other) = (base.session().await, base.session().await, base.session().await);
    run(&mut *writer, "BEGIN; INSERT INTO agent VALUES (1, 1)").await;
    let tried = tokio::time::timeout(LIMIT, ddl::apply(&mut *ours, &declaration())).await.expect("it waits for ever");
    let Err(InstallError::Fault(fault)) = tried else { panic!("{tried:?}") };
    assert_eq!(fault.kind, FaultKind::Contended, "{fault}");
    run(&mut *other, "SET statement_timeout = '5s'; INSERT INTO agent VALUES (2, 1)").await;
    assert_eq!(ddl::leftovers(&mut *ours, &declaration()).await.unwrap(), Vec::<String>::new());
    run(&mut *writer, "COMMIT").await;
    ddl::apply(&mut *ours, &declaration()).await.unwrap();
}

/// Longer than any lock is waited for here.
const LIMIT: Duration = Duration::from_secs(30);

/// Everything in the database that somebody made.
async fn catalogue(session: &mut dyn Session) -> BTreeSet<String> {
    let sql = match session.dialect() {
        Dialect::Postgres => {
            "SELECT 'relation ' || oid::regclass::text FROM pg_class
                 WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
             UNION ALL SELECT 'function ' || oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
             UNION ALL SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal
             UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace"
        }
        Dialect::Sqlite => "SELECT type || ' ' || name || ' on ' || tbl_name FROM sqlite_schema",
    };
    let rows = session.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row[0].to_string()).collect()
}

#[tokio::test]
async fn uninstalling_leaves_nothing_and_installing_again_is_as_new() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let before = catalogue(&mut *ours).await;
        for _ in 0..2 {
            install(&mut *ours).await;
            assert!(catalogue(&mut *ours).await.len() > before.len() + 20, "{dialect:?}");
            assert_eq!(ddl::diff(&mut *ours, &declaration()).await.unwrap(), Vec::<String>::new(), "{dialect:?}");
            run(&mut *ours, &ddl::uninstall(dialect, &declaration())).await;
            assert_eq!(catalogue(&mut *ours).await, before, "{dialect:?}");
        }
        assert_eq!(ddl::leftovers(&mut *ours, &declaration()).await.unwrap(), Vec::<String>::new(), "{dialect:?}");
    }
}

#[tokio::test]
async fn r15_installing_twice_or_over_a_leftover_is_refused_and_changes_nothing() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let before = catalogue(&mut *ours).await;
        let refused = ddl::apply(&mut *ours, &declaration()).await.unwrap_err();
        let text = refused.to_string();
        assert!(text.starts_with("table task_usage_hourly_state, table task_usage_hourly, index"), "{text}");
        assert!(text.ends_with("more are there already: uninstall the rollup first, or name another target"), "{text}");
        assert_eq!(catalogue(&mut *ours).await, before, "{dialect:?}");

        run(&mut *ours, &ddl::uninstall(dialect, &declaration())).await;
        let bare = catalogue(&mut *ours).await;
        run(&mut *ours, "CREATE TABLE task_usage_hourly_dirty_task (id int)").await;
        let InstallError::There { found } = ddl::apply(&mut *ours, &declaration()).await.unwrap_err() else {
            panic!("{dialect:?}")
        };
        assert_eq!(found, ["table task_usage_hourly_dirty_task"], "{dialect:?}");
        run(&mut *ours, "DROP TABLE task_usage_hourly_dirty_task").await;
        assert_eq!(catalogue(&mut *ours).await, bare, "{dialect:?}");
    }
}

#[tokio::test]
async fn what_a_hand_took_away_or_changed_is_told_a_sentence_each() {
    let both = [
        ("DROP TABLE task_usage_hourly_repair", "table task_usage_hourly_repair is missing"),
        ("DROP INDEX task_usage_hourly_cell", "index task_usage_hourly_cell is missing"),
        ("DROP INDEX task_usage_hourly_event", "index task_usage_hourly_event is missing"),
        ("ALTER TABLE task_usage_hourly DROP COLUMN calls", "table task_usage_hourly has no column calls"),
        (
            "ALTER TABLE task_usage_hourly ADD extra int",
            "table task_usage_hourly has a column extra that the declaration does not say",
        ),
    ];
    // SQLite rewrites the triggers when a column is renamed: then they are told too.
    let postgres = [
        (
            "ALTER TABLE task_usage_hourly_dirty_task RENAME COLUMN v1 TO w1",
            "table task_usage_hourly_dirty_task has no column v1",
        ),
        ("DROP TRIGGER task_usage_hourly_issue_delete ON issue", "trigger task_usage_hourly_issue_delete is missing"),
        (
            "DROP TRIGGER task_usage_hourly_issue_truncate ON issue",
            "trigger task_usage_hourly_issue_truncate is missing",
        ),
        ("DROP TABLE task_usage_hourly_bypass", "table task_usage_hourly_bypass is missing"),
        (
            "ALTER TABLE task_usage DISABLE TRIGGER task_usage_hourly_source_insert",
            "trigger task_usage_hourly_source_insert is disabled: changes are not noticed",
        ),
        (
            "CREATE OR REPLACE FUNCTION task_usage_hourly_agent_changed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "function task_usage_hourly_agent_changed does something else than the declaration says",
        ),
        (
            "DROP TRIGGER task_usage_hourly_source_update ON task_usage;
             CREATE TRIGGER task_usage_hourly_source_update AFTER UPDATE ON task_usage FOR EACH ROW
                 WHEN (OLD.tokens <> NEW.tokens) EXECUTE FUNCTION task_usage_hourly_source_changed()",
            "trigger task_usage_hourly_source_update does something else than the declaration says",
        ),
        (
            "ALTER TABLE task_usage_hourly_dirty_source ALTER m0 TYPE int",
            "table task_usage_hourly_dirty_source has a column m0 of type integer, and task_usage.id is bigint",
        ),
    ];
    let sqlite = [
        ("DROP TRIGGER task_usage_hourly_issue_delete", "trigger task_usage_hourly_issue_delete is missing"),
        (
            "DROP TRIGGER task_usage_hourly_source_insert;
             CREATE TRIGGER task_usage_hourly_source_insert AFTER INSERT ON task_usage BEGIN SELECT 1; END",
            "trigger task_usage_hourly_source_insert does something else than the declaration says",
        ),
    ];
    for dialect in BOTH {
        let own: &[(&str, &str)] = if dialect == Dialect::Postgres { &postgres } else { &sqlite };
        for (change, sentence) in both.iter().chain(own) {
            let (_base, mut ours) = seeded(dialect).await;
            run(&mut *ours, change).await;
            let told = ddl::diff(&mut *ours, &declaration()).await.unwrap();
            assert!(told.iter().any(|told| told == sentence), "{dialect:?}: {change}: {told:?}");
            assert!(told.len() <= 2, "{dialect:?}: {change}: {told:?}");
        }
    }
}

#[tokio::test]
async fn a_declaration_that_changed_since_is_drift() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let mut changed: Declaration = declaration();
        changed.keys.shift_remove("model");
        let told = ddl::diff(&mut *ours, &changed).await.unwrap();
        let expected = "table task_usage_hourly has a column model that the declaration does not say";
        assert!(told.iter().any(|told| told == expected), "{dialect:?}: {told:?}");
        let trigger = "trigger task_usage_hourly_source_update does something else than the declaration says";
        assert!(told.iter().any(|told| told == trigger), "{dialect:?}: {told:?}");
    }
}

#[tokio::test]
async fn a_temporary_table_of_a_queue_s_name_does_not_swallow_changes() {
    let (base, mut ours) = seeded(Dialect::Postgres).await;
    let mut writer = base.session().await;
    run(
        &mut *writer,
        "CREATE TEMP TABLE task_usage_hourly_dirty_source (LIKE task_usage_hourly_dirty_source INCLUDING ALL)",
    )
    .await;
    run(&mut *writer, "UPDATE task_usage SET tokens = 77 WHERE id = 1").await;
    let queued = ours.first("SELECT count(*) FROM task_usage_hourly_dirty_source", &[]).await.unwrap().unwrap();
    assert_eq!(queued[0].int(), Some(3));
}

#[tokio::test]
async fn a_writer_needs_no_right_to_the_queues_and_has_none() {
    let (base, mut ours) = seeded(Dialect::Postgres).await;
    let role = "DROP ROLE IF EXISTS writer; CREATE ROLE writer";
    run(&mut *ours, role).await;
    run(&mut *ours, "GRANT SELECT, INSERT, UPDATE, DELETE ON task_usage, agent_task_queue, agent, issue TO writer")
        .await;
    let mut writer = base.session().await;
    run(&mut *writer, "SET ROLE writer").await;
    run(&mut *writer, "UPDATE task_usage SET tokens = 77 WHERE id = 1; DELETE FROM agent WHERE id = 2").await;
    let refused = writer.batch("DELETE FROM task_usage_hourly_dirty_source").await.unwrap_err();
    assert_eq!(refused.kind, highwater_db::session::FaultKind::Denied);
    let row = ours.first("SELECT count(*) FROM task_usage_hourly_dirty_source", &[]).await.unwrap().unwrap();
    assert_eq!(row[0].int(), Some(5), "the update, and the usage that went with its agent");
    run(&mut *ours, "DROP OWNED BY writer; DROP ROLE writer").await;
}
