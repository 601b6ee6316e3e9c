//! The index on the event time: none is made beside one that does, nobody's is taken away, and no writer waits for it.

use std::time::Duration;

use highwater_db::session::{Dialect, FaultKind, Session};
use highwater_rollup::ddl::{self, InstallError};
use highwater_rollup::declare::Declaration;

use crate::usage::{Base, declaration, run};

const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];
const NONE: [String; 0] = [];
const OURS: &str = "task_usage_hourly_event";
/// Longer than anything is waited for here.
const LIMIT: Duration = Duration::from_secs(60);

/// The indexes of tables whose names begin so, by name; one that is not valid is marked.
async fn indexes(session: &mut dyn Session, of: &str) -> Vec<String> {
    let sql = match session.dialect() {
        Dialect::Postgres => format!(
            "SELECT c.relname || CASE WHEN i.indisvalid THEN '' ELSE ' invalid' END FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
             JOIN pg_class AS t ON t.oid = i.indrelid WHERE t.relname LIKE '{of}' AND NOT indisprimary ORDER BY 1"
        ),
        Dialect::Sqlite => format!(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name LIKE '{of}' AND sql IS NOT NULL ORDER BY 1"
        ),
    };
    session.query(&sql, &[]).await.unwrap().iter().map(|row| row[0].to_string()).collect()
}

async fn has_ours(session: &mut dyn Session) -> bool {
    indexes(session, "task_usage").await.iter().any(|name| name == OURS)
}

/// What an index of this application's own on SQLite is on, so that statements use it.
const AT: &str =
    "CAST(CASE WHEN typeof(created_at) = 'text' THEN strftime('%s', created_at) ELSE created_at END AS INTEGER)";

#[tokio::test]
async fn an_index_that_does_is_used_and_stays_when_the_rollup_goes() {
    let cases = [
        (Dialect::Postgres, "(created_at)".to_owned()),
        (Dialect::Postgres, "(created_at DESC, model)".to_owned()),
        (Dialect::Sqlite, format!("({AT})")),
        (Dialect::Sqlite, format!("( {AT} DESC, model )")),
    ];
    for (dialect, on) in cases {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        run(&mut *ours, &format!("CREATE INDEX theirs ON task_usage {on}")).await;
        ddl::apply(&mut *ours, &declaration()).await.unwrap();
        assert!(!has_ours(&mut *ours).await, "{dialect:?} {on}");
        assert_eq!(ddl::diff(&mut *ours, &declaration()).await.unwrap(), NONE, "{dialect:?} {on}");
        let made = ddl::installed(&mut *ours, &declaration()).await.unwrap();
        assert!(!made.iter().any(|object| object.contains("_event")), "{made:?}");
        // Without it, something is missing.
        run(&mut *ours, "DROP INDEX theirs").await;
        let told = ddl::diff(&mut *ours, &declaration()).await.unwrap();
        assert_eq!(told, [format!("index {OURS} is missing")], "{dialect:?} {on}");
        run(&mut *ours, &format!("CREATE INDEX theirs ON task_usage {on}")).await;
        run(&mut *ours, &ddl::uninstall(dialect, &declaration())).await;
        assert!(indexes(&mut *ours, "task_usage").await.contains(&"theirs".to_owned()), "{dialect:?} {on}");
    }
}

#[tokio::test]
async fn an_index_that_does_not_is_none() {
    let cases = [
        (Dialect::Postgres, "(model, created_at)".to_owned()),
        (Dialect::Postgres, "(created_at) WHERE tokens > 0".to_owned()),
        (Dialect::Postgres, "USING hash (created_at)".to_owned()),
        (Dialect::Postgres, "USING brin (created_at)".to_owned()),
        (Dialect::Postgres, "(date_trunc('hour', created_at, 'UTC'))".to_owned()),
        (Dialect::Sqlite, "(created_at)".to_owned()),
        (Dialect::Sqlite, format!("(model, {AT})")),
        (Dialect::Sqlite, format!("({AT}) WHERE tokens > 0")),
    ];
    for (dialect, on) in cases {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        let made = ours.batch(&format!("CREATE INDEX theirs ON task_usage {on}")).await;
        // An expression that this server takes for none that is always the same.
        if made.is_err() {
            assert!(on.contains("date_trunc"), "{on}: {made:?}");
            continue;
        }
        ddl::apply(&mut *ours, &declaration()).await.unwrap();
        assert!(has_ours(&mut *ours).await, "{dialect:?} {on}");
        assert_eq!(ddl::diff(&mut *ours, &declaration()).await.unwrap(), NONE, "{dialect:?} {on}");
        run(&mut *ours, &ddl::uninstall(dialect, &declaration())).await;
        assert!(!has_ours(&mut *ours).await, "{dialect:?} {on}");
    }
}

#[tokio::test]
async fn a_relation_of_somebody_s_that_has_the_name_is_refused_and_stays() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        run(&mut *ours, &format!("CREATE INDEX {OURS} ON agent (workspace_id)")).await;
        let refused = ddl::apply(&mut *ours, &declaration()).await.unwrap_err();
        let told = refused.to_string();
        assert!(told.starts_with("index ") && told.contains(&format!("{OURS} is there already")), "{told}");
        assert_eq!(ddl::leftovers(&mut *ours, &declaration()).await.unwrap(), NONE, "{dialect:?}");
    }
}

/// A task of the server's that is at the index.
const MAKES: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'";

/// Waits until a statement yields a row whose number is not 0.
#[expect(clippy::disallowed_methods, reason = "what is waited for happens on a server")]
async fn until(session: &mut dyn Session, sql: &str) {
    let waiting = async {
        while session.first(sql, &[]).await.unwrap().unwrap()[0].int() == Some(0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("it never happens");
}

#[tokio::test]
async fn no_writer_waits_while_the_index_is_made() {
    let base = Base::new(Dialect::Postgres).await;
    let (mut ours, mut open, mut writer) = (base.session().await, base.session().await, base.session().await);
    run(&mut *open, "INSERT INTO agent VALUES (1, 1); INSERT INTO agent_task_queue VALUES (1, 1)").await;
    run(&mut *open, "BEGIN; INSERT INTO task_usage VALUES (1, 1, 'a', 'b', 1, 1, now())").await;
    let installing = tokio::spawn(async move {
        let notes = std::sync::Mutex::new(Vec::new());
        let done =
            ddl::apply_noting(&mut *ours, &declaration(), &|note| notes.lock().unwrap().push(note.to_owned())).await;
        (ours, done, notes.into_inner().unwrap())
    });
    until(&mut *writer, MAKES).await;
    run(&mut *writer, "SET statement_timeout = '20s'; INSERT INTO task_usage VALUES (2, 1, 'a', 'b', 1, 1, now())")
        .await;
    run(&mut *open, "COMMIT").await;
    let (mut ours, done, notes) = tokio::time::timeout(LIMIT, installing).await.expect("it waits for ever").unwrap();
    done.unwrap();
    assert!(has_ours(&mut *ours).await);
    assert!(notes[0].starts_with("no index leads to public.task_usage by created_at: making"), "{notes:?}");
    assert_eq!(ddl::diff(&mut *ours, &declaration()).await.unwrap(), NONE);
}

#[tokio::test]
async fn an_attempt_that_ran_into_the_lock_timeout_installs_nothing_and_the_next_goes_on() {
    let base = Base::new(Dialect::Postgres).await;
    let (mut ours, mut open) = (base.session().await, base.session().await);
    run(&mut *open, "INSERT INTO agent VALUES (1, 1); INSERT INTO agent_task_queue VALUES (1, 1)").await;
    run(&mut *open, "BEGIN; INSERT INTO task_usage VALUES (1, 1, 'a', 'b', 1, 1, now())").await;
    run(&mut *ours, "SET lock_timeout = '200ms'; SET statement_timeout = '7s'").await;
    for _ in 0..2 {
        let tried =
            tokio::time::timeout(LIMIT, ddl::apply(&mut *ours, &declaration())).await.expect("it waits for ever");
        let Err(error @ InstallError::Index { .. }) = tried else { panic!("{tried:?}") };
        let InstallError::Index { fault, .. } = &error else { unreachable!() };
        assert_eq!(fault.kind, FaultKind::Contended, "{fault}");
        let told = highwater_rollup::told::of_install("postgres://host/db", "usage", &error).to_string();
        insta::assert_snapshot!("the_index_that_was_not_made", told);
        assert_eq!(ddl::leftovers(&mut *ours, &declaration()).await.unwrap(), NONE);
        assert_eq!(indexes(&mut *ours, "task_usage").await, ["task_usage_hourly_event invalid", "task_usage_task"]);
    }
    run(&mut *open, "COMMIT").await;
    ddl::apply(&mut *ours, &declaration()).await.unwrap();
    assert_eq!(indexes(&mut *ours, "task_usage").await, [OURS, "task_usage_task"]);
    let limit = ours.first("SELECT current_setting('statement_timeout')", &[]).await.unwrap().unwrap();
    assert_eq!(limit[0].text(), Some("7s"), "the session is as it was");
}

/// Usage by model, of a table that is partitioned by day; one day by model again.
async fn partitioned(base: &Base) -> (Box<dyn Session>, Declaration) {
    let mut ours = base.session().await;
    run(
        &mut *ours,
        "CREATE TABLE usage (id bigint, at timestamptz, model text, tokens bigint, PRIMARY KEY (id, at, model)) PARTITION BY RANGE (at);
         CREATE TABLE \"Usage 1\" PARTITION OF usage FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');
         CREATE TABLE usage_2 PARTITION OF usage FOR VALUES FROM ('2026-01-02') TO ('2026-01-03') PARTITION BY LIST (model);
         CREATE SCHEMA apart;
         CREATE TABLE apart.usage_2a PARTITION OF usage_2 DEFAULT",
    )
    .await;
    let declared = "source = 'usage'\nsource-key = ['id', 'at', 'model']\nevent-time = 'at'\ngrain = 'hour'\ntarget = 'hourly'\n\
                    keys = { model = 'model' }\naggregates = { tokens = { sum = 'tokens' } }";
    (ours, toml::from_str(declared).unwrap())
}

#[tokio::test]
async fn of_a_partitioned_table_every_part_gets_one_and_those_to_come_too() {
    let base = Base::new(Dialect::Postgres).await;
    let (mut ours, declared) = partitioned(&base).await;
    for _ in 0..2 {
        ddl::apply(&mut *ours, &declared).await.unwrap();
        assert_eq!(ddl::diff(&mut *ours, &declared).await.unwrap(), NONE);
        let all = indexes(&mut *ours, "%sage%").await;
        let made: Vec<&String> = all.iter().filter(|name| name.starts_with("hourly_event")).collect();
        assert_eq!(made.len(), 4, "{all:?}");
        assert!(made.iter().all(|name| !name.contains("invalid")), "{all:?}");
        run(&mut *ours, "CREATE TABLE usage_3 PARTITION OF usage FOR VALUES FROM ('2026-01-03') TO ('2026-01-04')")
            .await;
        assert_eq!(indexes(&mut *ours, "usage_3").await, ["usage_3_at_idx"]);
        run(&mut *ours, "DROP TABLE usage_3").await;
        run(&mut *ours, &ddl::uninstall(Dialect::Postgres, &declared)).await;
        assert_eq!(indexes(&mut *ours, "%sage%").await, ["task_usage_task"]);
    }
}

#[tokio::test]
async fn of_a_partitioned_table_an_index_of_somebody_s_does_whether_on_the_whole_or_on_every_part() {
    let whole = "CREATE INDEX theirs ON usage (at, model)";
    let parts = "CREATE INDEX theirs ON \"Usage 1\" (at); CREATE INDEX theirs ON apart.usage_2a (at)";
    for make in [whole, parts] {
        let base = Base::new(Dialect::Postgres).await;
        let (mut ours, declared) = partitioned(&base).await;
        run(&mut *ours, make).await;
        let before = indexes(&mut *ours, "%sage%").await;
        ddl::apply(&mut *ours, &declared).await.unwrap();
        assert_eq!(indexes(&mut *ours, "%sage%").await, before, "{make}");
        assert_eq!(ddl::diff(&mut *ours, &declared).await.unwrap(), NONE, "{make}");
        assert_eq!(ddl::outgrown(&mut *ours, &declared).await.unwrap(), NONE, "{make}");
        // A partition that comes without one ends no pass, and is told.
        run(&mut *ours, "CREATE TABLE usage_3 PARTITION OF usage FOR VALUES FROM ('2026-01-03') TO ('2026-01-04')")
            .await;
        assert_eq!(ddl::diff(&mut *ours, &declared).await.unwrap(), NONE, "{make}");
        let told = "no index leads to public.usage_3 by at: CREATE INDEX CONCURRENTLY ON public.usage_3 (\"at\");";
        let expected: &[&str] = if make == parts { &[told] } else { &[] };
        assert_eq!(ddl::outgrown(&mut *ours, &declared).await.unwrap(), expected, "{make}");
        run(&mut *ours, "DROP TABLE usage_3").await;
        run(&mut *ours, &ddl::uninstall(Dialect::Postgres, &declared)).await;
        assert_eq!(indexes(&mut *ours, "%sage%").await, before, "{make}");
    }
    // What an installation that was given up has left goes.
    let base = Base::new(Dialect::Postgres).await;
    let (mut ours, declared) = partitioned(&base).await;
    let mut writer = base.session().await;
    run(&mut *ours, "CREATE TABLE kept (id int); CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
         CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION refuse()").await;
    let tried = ddl::apply(&mut *ours, &declared).await;
    assert!(matches!(tried, Err(InstallError::Fault(_))), "{tried:?}");
    run(&mut *writer, "DROP EVENT TRIGGER refuse").await;
    assert_eq!(indexes(&mut *ours, "%sage%").await.len(), 3);
    for stray in ddl::strays(&mut *ours, &declared).await.unwrap() {
        run(&mut *ours, &stray).await;
    }
    assert_eq!(indexes(&mut *ours, "%sage%").await, ["task_usage_task"]);
    // Where one part has one and another has not, theirs is not made ours.
    let base = Base::new(Dialect::Postgres).await;
    let (mut ours, declared) = partitioned(&base).await;
    run(&mut *ours, "CREATE INDEX theirs ON \"Usage 1\" (at)").await;
    ddl::apply(&mut *ours, &declared).await.unwrap();
    assert_eq!(ddl::diff(&mut *ours, &declared).await.unwrap(), NONE);
    run(&mut *ours, &ddl::uninstall(Dialect::Postgres, &declared)).await;
    assert_eq!(indexes(&mut *ours, "%sage%").await, ["task_usage_task", "theirs"]);
}
