//! What went missing of an installed rollup, put back: everything is as it was, nothing that was computed or queued is touched, and
//! what was lost meanwhile is found by a tick.

use highwater_db::session::{Dialect, Session};
use highwater_rollup::ddl::{self, InstallError, PutBack, Way};
use highwater_rollup::declare::Declaration;
use highwater_rollup::tick::{Reach, TickError, tick};
use highwater_rollup::verify::{Gone, Scope, repair};

use crate::usage::{Base, bound, declaration, differences, later, run, seeded, tick_all};

const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];
const NONE: [String; 0] = [];

async fn put_back(ours: &mut dyn Session) -> Result<Option<PutBack>, InstallError> {
    ddl::put_back(ours, &declaration(), &|_| {}).await
}

async fn was(ours: &mut dyn Session) -> PutBack {
    put_back(ours).await.unwrap().unwrap()
}

async fn stops(ours: &mut dyn Session) -> String {
    later(ours).await;
    let until = bound(ours).await;
    let reach = Reach { until, span_max: None, entries_max: 100, transactions_max: 1_000 };
    tick(ours, &declaration(), reach).await.unwrap_err().to_string()
}

async fn count(ours: &mut dyn Session, what: &str) -> i64 {
    ours.first(&format!("SELECT count(*) FROM {what}"), &[]).await.unwrap().unwrap()[0].int().unwrap()
}

/// What a hand does to an installed rollup, what is said of it, and whether changes are lost by it.
fn cases(dialect: Dialect) -> Vec<(&'static str, &'static str, bool)> {
    let mut cases = vec![
        ("DROP INDEX task_usage_hourly_cell", "index task_usage_hourly_cell was missing", false),
        ("DROP INDEX task_usage_hourly_event", "index task_usage_hourly_event was missing", false),
        ("DROP TABLE task_usage_hourly_repair", "table task_usage_hourly_repair was missing", true),
        ("DROP TABLE task_usage_hourly_dirty_agent", "table task_usage_hourly_dirty_agent was missing", true),
        (
            "ALTER TABLE task_usage_hourly_dirty_issue ADD extra int",
            "table task_usage_hourly_dirty_issue had a column extra that the declaration does not say",
            true,
        ),
    ];
    match dialect {
        Dialect::Postgres => cases.extend([
            (
                "DROP TRIGGER task_usage_hourly_source_insert ON task_usage",
                "trigger task_usage_hourly_source_insert was missing",
                true,
            ),
            (
                "ALTER TABLE task_usage DISABLE TRIGGER task_usage_hourly_source_update",
                "trigger task_usage_hourly_source_update was disabled: changes were not noticed",
                true,
            ),
            (
                "DROP FUNCTION task_usage_hourly_agent_changed() CASCADE",
                "function task_usage_hourly_agent_changed was missing",
                true,
            ),
            (
                "CREATE OR REPLACE FUNCTION task_usage_hourly_agent_changed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
                "function task_usage_hourly_agent_changed did something else than the declaration says",
                true,
            ),
            ("DROP TABLE task_usage_hourly_bypass", "table task_usage_hourly_bypass was missing", true),
        ]),
        Dialect::Sqlite => cases.extend([
            ("DROP TRIGGER task_usage_hourly_source_insert", "trigger task_usage_hourly_source_insert was missing", true),
            (
                "DROP TRIGGER task_usage_hourly_source_insert;
                 CREATE TRIGGER task_usage_hourly_source_insert AFTER INSERT ON task_usage BEGIN SELECT 1; END",
                "trigger task_usage_hourly_source_insert did something else than the declaration says",
                true,
            ),
        ]),
    }
    cases
}

#[tokio::test]
async fn what_went_missing_is_put_back_and_named_and_nothing_else_is_touched() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        assert_eq!(was(&mut *ours).await, PutBack::default(), "{dialect:?}: nothing is missing");
        run(&mut *ours, "INSERT INTO task_usage VALUES (9, 1, NULL, 'small', 1, 1, '2026-01-01T12:00:00Z')").await;
        for (change, sentence, lost) in cases(dialect) {
            run(&mut *ours, change).await;
            let done = was(&mut *ours).await;
            assert!(done.was.iter().any(|what| what == sentence), "{dialect:?}: {change}: {done:?}");
            assert_eq!(done.lost, lost, "{dialect:?}: {change}");
            assert_eq!(ddl::diff(&mut *ours, &declaration()).await.unwrap(), NONE, "{dialect:?}: {change}");
            assert_eq!(was(&mut *ours).await, PutBack::default(), "{dialect:?}: {change}: once is enough");
        }
        assert_eq!(count(&mut *ours, "task_usage_hourly").await, 3);
        assert_eq!(count(&mut *ours, "task_usage_hourly_dirty_source").await, 1, "what is queued stays");
        run(
            &mut *ours,
            "UPDATE agent SET workspace_id = 5; UPDATE issue SET project_id = 8; DELETE FROM task_usage WHERE id = 3",
        )
        .await;
        tick_all(&mut *ours).await;
        assert_eq!(differences(&mut *ours).await, NONE, "{dialect:?}: and all of it works");
    }
}

#[tokio::test]
async fn r07_changes_that_were_lost_while_a_trigger_was_away_stop_the_tick_until_they_are_repaired() {
    let (_base, mut ours) = seeded(Dialect::Postgres).await;
    run(&mut *ours, "ALTER TABLE task_usage DISABLE TRIGGER task_usage_hourly_source_update").await;
    run(&mut *ours, "UPDATE task_usage SET tokens = 77 WHERE id = 1").await;
    let why = stops(&mut *ours).await;
    assert!(
        why.starts_with("trigger task_usage_hourly_source_update is disabled: changes are not noticed: nothing is"),
        "{why}"
    );
    assert!(was(&mut *ours).await.lost);
    for _ in 0..2 {
        let why = stops(&mut *ours).await;
        let said =
            "trigger task_usage_hourly_source_update was disabled: changes were not noticed, and was put back at 20";
        assert!(why.starts_with(said) && why.contains("1 live cells of task_usage_hourly"), "{why}");
    }
    ours.begin().await.unwrap();
    repair(&mut *ours, &declaration(), None, Gone::Keep, &Scope::all()).await.unwrap();
    ours.commit().await.unwrap();
    tick_all(&mut *ours).await;
    assert_eq!(differences(&mut *ours).await, NONE);
}

#[tokio::test]
async fn r07_no_tick_goes_past_a_trigger_that_does_not_fire() {
    let both: [(Dialect, &[&str]); 2] = [
        (
            Dialect::Postgres,
            &[
                "ALTER TABLE issue DISABLE TRIGGER USER",
                "DROP TRIGGER task_usage_hourly_issue_update ON issue",
                "ALTER TABLE issue ENABLE REPLICA TRIGGER task_usage_hourly_issue_update",
                "ALTER TABLE issue DISABLE TRIGGER task_usage_hourly_issue_truncate",
            ],
        ),
        (Dialect::Sqlite, &["DROP TRIGGER task_usage_hourly_issue_update"]),
    ];
    for (dialect, changes) in both {
        for change in changes {
            let (_base, mut ours) = seeded(dialect).await;
            tick_all(&mut *ours).await;
            let before = crate::usage::watermark(&mut *ours).await;
            run(&mut *ours, change).await;
            let why = stops(&mut *ours).await;
            assert!(
                why.contains("trigger task_usage_hourly_issue_")
                    && why.ends_with("nothing is stamped while changes may go unnoticed"),
                "{change}: {why}"
            );
            assert_eq!(crate::usage::watermark(&mut *ours).await, before, "{change}: nothing is stamped");
        }
    }
}

#[tokio::test]
async fn r07_a_trigger_that_is_disabled_on_one_partition_is_noticed_and_put_back() {
    let base = Base::new(Dialect::Postgres).await;
    let mut ours = base.session().await;
    run(
        &mut *ours,
        "CREATE TABLE usage (id bigint, at timestamptz, model text, tokens bigint, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
         CREATE TABLE usage_1 PARTITION OF usage FOR VALUES FROM ('2026-01-01') TO ('2026-01-02')",
    )
    .await;
    let declared = "source = 'usage'\nsource-key = ['id', 'at']\nevent-time = 'at'\ngrain = 'hour'\ntarget = 'hourly'\n\
                    keys = { model = 'model' }\naggregates = { tokens = { sum = 'tokens' } }";
    let declared: Declaration = toml::from_str(declared).unwrap();
    ddl::apply(&mut *ours, &declared).await.unwrap();
    highwater_rollup::state::seeded(&mut *ours, &declared, "2026-01-02T00:00:00Z".parse().unwrap()).await.unwrap();
    run(&mut *ours, "ALTER TABLE usage_1 DISABLE TRIGGER hourly_source_insert").await;
    let sentence = "trigger hourly_source_insert is disabled on the partition usage_1: changes there are not noticed";
    assert_eq!(ddl::diff(&mut *ours, &declared).await.unwrap(), [sentence]);
    later(&mut *ours).await;
    let until = bound(&mut *ours).await;
    let reach = Reach { until, span_max: None, entries_max: 100, transactions_max: 10 };
    let stopped = tick(&mut *ours, &declared, reach).await;
    assert!(matches!(stopped, Err(TickError::Silent { .. })), "{stopped:?}");
    let done = ddl::put_back(&mut *ours, &declared, &|_| {}).await.unwrap().unwrap();
    let was = "trigger hourly_source_insert was disabled on the partition usage_1: changes there were not noticed";
    assert_eq!((done.was.as_slice(), done.lost), ([was.to_owned()].as_slice(), true));
    assert_eq!(ddl::diff(&mut *ours, &declared).await.unwrap(), NONE);
    assert!(tick(&mut *ours, &declared, reach).await.unwrap().drained);
}

#[tokio::test]
async fn r15_what_cannot_be_put_back_is_refused_and_nothing_is_changed() {
    let cases = [
        ("ALTER TABLE task_usage_hourly DROP COLUMN calls", "table task_usage_hourly has no column calls"),
        (
            "INSERT INTO issue VALUES (77, 1); UPDATE issue SET project_id = 2; ALTER TABLE task_usage_hourly_dirty_issue ADD extra int",
            "table task_usage_hourly_dirty_issue has a column extra that the declaration does not say, and holds entries",
        ),
    ];
    for dialect in BOTH {
        for (change, sentence) in cases {
            let (_base, mut ours) = seeded(dialect).await;
            run(&mut *ours, &format!("{change}; DROP TABLE task_usage_hourly_repair")).await;
            let before = ddl::diff(&mut *ours, &declaration()).await.unwrap();
            let refused = put_back(&mut *ours).await.unwrap_err();
            assert!(matches!(refused, InstallError::Beyond { .. }) && refused.to_string() == sentence, "{refused}");
            assert_eq!(ddl::diff(&mut *ours, &declaration()).await.unwrap(), before, "{dialect:?}");
        }
        let (_base, mut ours) = seeded(dialect).await;
        let mut other = declaration();
        other.keys.shift_remove("model");
        let refused = ddl::put_back(&mut *ours, &other, &|_| {}).await.unwrap_err().to_string();
        assert_eq!(refused, "the rollup is there, and was installed with another `keys`");
        run(&mut *ours, &ddl::uninstall(dialect, &declaration())).await;
        assert_eq!(put_back(&mut *ours).await.unwrap(), None, "there is none");
    }
}

#[tokio::test]
async fn a_column_that_is_gone_or_another_type_is_told_with_what_it_is_for() {
    let (_base, mut ours) = seeded(Dialect::Postgres).await;
    run(
        &mut *ours,
        "ALTER TABLE task_usage RENAME COLUMN tokens TO amount; ALTER TABLE issue RENAME COLUMN project_id TO project",
    )
    .await;
    let told = ddl::drift(&mut *ours, &declaration()).await.unwrap();
    for sentence in
        ["task_usage.tokens is gone, and the rollup reads it", "issue.project_id is gone, and the rollup reads it"]
    {
        assert!(told.iter().any(|drift| drift.what == sentence && drift.way == Way::Source), "{told:?}");
    }
    let refused = put_back(&mut *ours).await.unwrap_err().to_string();
    assert!(refused.contains("task_usage.tokens is gone"), "{refused}");
    run(
        &mut *ours,
        "ALTER TABLE task_usage RENAME COLUMN amount TO tokens; ALTER TABLE issue RENAME COLUMN project TO project_id",
    )
    .await;
    assert_eq!(ddl::diff(&mut *ours, &declaration()).await.unwrap(), NONE);
    assert_eq!(ddl::outgrown(&mut *ours, &declaration()).await.unwrap(), NONE);

    // An aggregate's column has no copy anywhere: it ends no pass, and is told.
    run(&mut *ours, "ALTER TABLE task_usage_hourly ALTER largest TYPE int").await;
    assert_eq!(ddl::diff(&mut *ours, &declaration()).await.unwrap(), NONE);
    let outgrown = ddl::outgrown(&mut *ours, &declaration()).await.unwrap();
    insta::assert_snapshot!(outgrown.join("\n"), @r#"task_usage_hourly.largest is of type integer, and what is computed for it is bigint now: ALTER TABLE "task_usage_hourly" ALTER "largest" TYPE bigint;"#);
}
