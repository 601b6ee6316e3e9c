//! `verify` of a window of somebody's own: what its pipeline passed over is found, and nothing is changed unless it is to be.

use serde_json::Value;

use super::rig::{Database, KEY, Lines, WINDOW, config, driven};
use crate::rig::Rig;

const TARGET: Lines<'_> = Lines { job: "target = \"task_usage_hourly\"", resource: "" };

/// Two years that were rolled up.
async fn seeded(lines: Lines<'_>) -> (Database, Rig) {
    let (base, rig) = driven(WINDOW, lines).await;
    base.two_years().await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
    (base, rig)
}

/// What the database holds, every row with the transaction that wrote it.
async fn all(base: &Database) -> String {
    let each = ["task_usage", "task_usage_hourly", "task_usage_hourly_dirty", "task_usage_hourly_rollup_state"];
    let mut all = String::new();
    for table in each {
        let sql =
            format!("SELECT coalesce(string_agg(xmin::text || t::text, ';' ORDER BY t::text), '') FROM {table} AS t");
        all.push_str(&base.one::<String>(&sql).await);
    }
    all
}

fn verified(rig: &Rig, more: &[&str], code: i32) -> Value {
    let ended = rig.run(&[&["--json", "verify", "usage"], more].concat());
    assert_eq!(ended.code, code, "{ended:?}");
    ended.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pipeline_passed_over_is_found_and_a_repair_keeps_what_its_window_computes() {
    let (base, rig) = seeded(TARGET).await;
    let clean = verified(&rig, &[], 0);
    assert_eq!((&clean["clean"], &clean["wrong"]), (&true.into(), &0.into()), "{clean}");
    assert_eq!(clean["cells"].as_i64().unwrap(), base.cells().await);

    // Committed late, by a host whose clock is a day behind: the watermark has passed it.
    base.run(
        "INSERT INTO task_usage (task_id, provider, model, tokens, created_at, updated_at)
         VALUES (99, 'openai', 'model-1', 5, now() - interval '1 day', now() - interval '1 day')",
    )
    .await;
    // By hand: a cell that is wrong, and one that is not there.
    let one = |from: &str| {
        format!(
            "bucket_hour = (SELECT min(bucket_hour) FROM task_usage_hourly WHERE bucket_hour > now() - interval '{from}')"
        )
    };
    base.run(&format!("UPDATE task_usage_hourly SET tokens = tokens + 7 WHERE {}", one("600 days"))).await;
    base.run(&format!("DELETE FROM task_usage_hourly WHERE {}", one("300 days"))).await;
    // The pipeline's own queue knows of this one.
    base.run("DELETE FROM task_usage WHERE id = 1000").await;
    let before = all(&base).await;
    let found = verified(&rig, &[], 4);
    assert_eq!((&found["clean"], &found["wrong"], &found["pending"]), (&false.into(), &3.into(), &1.into()), "{found}");
    let kinds: Vec<&str> =
        found["findings"].as_array().unwrap().iter().map(|finding| finding["wrong"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "missing").count(), 2, "{found}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "different").count(), 1, "{found}");
    assert_eq!(all(&base).await, before, "a proof leaves nothing behind");
    let left: i64 = base.one("SELECT count(*) FROM pg_class WHERE relname = 'highwater_stored'").await;
    assert_eq!(left, 0);
    let today: String = base.one("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')").await;
    let late = verified(&rig, &["--since", &today], 0);
    assert_eq!(late["wrong"], 0, "{late}");

    let repaired = verified(&rig, &["--repair", "--why", "a host was slow"], 0);
    assert_eq!((&repaired["clean"], &repaired["wrong"]), (&true.into(), &0.into()), "{repaired}");
    assert!((1..=3).contains(&repaired["repaired"].as_u64().unwrap()), "{repaired}");
    assert_eq!(base.wrong_cells().await, 0);
    assert!(rig.ok(&["events"]).stdout.contains("of the window: a host was slow"));
    assert!(base.is_free().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_proved_without_the_lock_or_by_a_window_that_takes_another() {
    let (base, rig) = seeded(TARGET).await;
    base.run("SELECT pg_advisory_lock(4246)").await;
    assert_eq!(verified(&rig, &[], 3)["reason"], "lock_held");
    // The same under a lock that the window knows nothing of.
    let config = rig.read("highwater.toml").replace(&format!("postgres:{KEY}"), "postgres:1");
    rig.write("highwater.toml", &config);
    let idle = rig.run(&["verify", "usage"]);
    assert_eq!(idle.code, 4, "{idle:?}");
    assert!(idle.stdout.contains("not proved: the window touched no row"), "{idle:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_that_cannot_be_made_says_what_is_missing() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    let refused = |lines: &str, args: &[&str], code: &str| {
        rig.write("highwater.toml", &config(&base.url, WINDOW, Lines { job: lines, resource: "" }));
        let ended = rig.run(&[&["verify", "usage"], args].concat());
        assert!(ended.code == 2 && ended.stderr.contains(code), "{ended:?}");
        ended.stderr
    };
    refused("", &[], "HW-ROL-061");
    refused(TARGET.job, &["--sample", "3"], "HW-ROL-062");
    refused(TARGET.job, &["--repair", "--remove"], "HW-ROL-062");
    assert!(refused("target = \"nowhere\"", &[], "HW-ROL-063").contains("there is no table nowhere"));
    let column = refused(&format!("{}\ntarget-ignores = [\"at\"]", TARGET.job), &[], "HW-ROL-063");
    assert!(column.contains("task_usage_hourly has no such column"), "{column}");
    refused("target-ignores = [\"at\"]", &[], "target-ignores");
    base.run("UPDATE task_usage_hourly_rollup_state SET watermark_at = NULL").await;
    refused(TARGET.job, &[], "HW-ROL-063");
}

#[test]
fn a_window_on_sqlite_is_proved_too_whatever_says_when_a_row_was_written() {
    let rig = Rig::new(
        "[job.usage]\nkind = \"rollup\"\ndatabase = \"sqlite:usage.db\"\nlag = \"1s\"\nbusy-timeout = \"500ms\"\n\
         window = \"\"\"INSERT INTO daily SELECT date(at), sum(n), datetime() FROM usage WHERE at >= ?1 AND at < ?2 GROUP BY 1
                       ON CONFLICT (day) DO UPDATE SET n = excluded.n, written_at = datetime() RETURNING 1\"\"\"\n\
         bounds = \"SELECT min(at), max(at) FROM usage\"\ngrain = \"day\"\n\
         watermark = { table = \"state\", column = \"at\" }\ntarget = \"daily\"\ntarget-ignores = [\"written_at\"]\n",
    );
    let db = rusqlite::Connection::open(rig.path("usage.db")).unwrap();
    db.execute_batch(
        "CREATE TABLE usage (at TEXT, n INTEGER); CREATE TABLE state (at TEXT);
         CREATE TABLE daily (day TEXT PRIMARY KEY, n INTEGER, written_at TEXT);
         WITH RECURSIVE hours (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM hours WHERE n < 2000)
         INSERT INTO usage SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-' || n || ' hours'), n FROM hours;
         INSERT INTO state VALUES ('1970-01-01T00:00:00Z');",
    )
    .unwrap();
    assert!(rig.usage_pass(&[]).is(0, "drained"));
    assert_eq!(verified(&rig, &[], 0)["wrong"], 0);
    db.execute_batch("UPDATE daily SET n = n + 1 WHERE day = (SELECT min(day) FROM daily)").unwrap();
    let found = rig.run(&["verify", "usage"]);
    assert_eq!(found.code, 4, "{found:?}");
    assert!(found.stdout.contains("different") && found.stdout.contains("n is "), "{found:?}");
    assert_eq!(verified(&rig, &["--repair"], 0)["repaired"], 1);
    assert_eq!(verified(&rig, &[], 0)["wrong"], 0);
}
