//! The lock of a rollup: `postgres:4246`, which cron, a scheduler and an operator's psql take as well (R1, must-show 4).

use std::net::TcpListener;

use highwater_testkit::postgres::Postgres;

use super::rig::{Database, GATED, HOLDER, KEY, Lines, WINDOW, config, driven};
use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r01_a_psql_that_holds_the_key_makes_a_pass_a_checkpoint_that_names_it() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    base.two_years().await;
    base.run("SET application_name = 'by hand'; SELECT pg_advisory_lock(4246)").await;
    let pid: i32 = base.one("SELECT pg_backend_pid()").await;
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(3, "lock_held"), "{pass:?}");
    let named = format!("is held by process {pid} of postgres (by hand) on 127.0.0.1");
    assert!(pass.message.contains(&named), "{}", pass.message);
    assert_eq!((base.cells().await, base.watermark().await.unwrap().as_str()), (0, "1970-01-01T00:00:00Z"));

    base.run("SELECT pg_advisory_unlock(4246)").await;
    assert!(rig.usage_pass(&[]).is(0, "drained"));
    assert_eq!(base.wrong_cells().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r01_nobody_else_gets_the_key_while_a_pass_is_in_progress_and_everybody_once_it_ended() {
    let (base, rig) = driven(GATED, Lines::default()).await;
    base.two_years().await;
    let gate = base.gate("now() - interval '1 year'").await;
    let mut pass = rig.usage_begun(&[]);
    base.wait_for_a_slice_at_the_gate().await;
    assert!(!base.is_free().await);
    let holder: i32 = base.one(HOLDER).await;

    let status = rig.usage_status();
    let job = &status["jobs"][0];
    assert_eq!(job["resources"][0]["holder"]["pid"], pass.pid(), "{status}");
    assert_eq!(job["running"]["pid"], pass.pid(), "{status}");
    assert!(job["progress"]["total"].as_u64() > Some(20), "{status}");
    let beside = rig.usage_pass(&[]);
    assert!(beside.is(3, "lock_held"), "{beside:?}");
    let named = format!("is held by process {holder} of postgres (highwater)");
    assert!(beside.message.contains(&named), "{}", beside.message);
    let cron = rig.run(&["run", "usage", "--cron"]);
    assert_eq!((cron.code, cron.stdout.as_str()), (0, ""), "{cron:?}");
    assert!(pass.runs());

    gate.open().await;
    assert_eq!(pass.end().code, 0);
    assert!(base.is_free().await, "once the process has ended, the key is free");
    assert_eq!(base.wrong_cells().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_waits_has_a_ticket_and_gets_the_key_before_those_that_do_not_wait() {
    let base = Database::new().await;
    base.two_years().await;
    let of_usage = config(&base.url, WINDOW, Lines { job: "lock-wait = \"2m\"", resource: "" });
    let rig =
        Rig::new(&format!("[job.other]\nkind = \"exec\"\ncommand = [\"true\"]\nresources = [\"hourly\"]\n{of_usage}"));
    base.run("SELECT pg_advisory_lock(4246)").await;
    let mut pass = rig.usage_begun(&[]);
    base.wait_for_a_pass_at_the_lock().await;
    let status = rig.usage_status();
    assert_eq!(status["jobs"][0]["waiting"][0]["pid"], pass.pid(), "{status}");
    let other = rig.run(&["--json", "run", "other"]);
    assert_eq!((other.code, other.json()["reason"].as_str()), (3, Some("yielded")), "{other:?}");
    assert!(pass.runs());
    base.run("SELECT pg_advisory_unlock(4246)").await;
    let ended = pass.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(base.wrong_cells().await, 0);
    assert_eq!(rig.run(&["run", "other"]).code, 0, "the ticket is taken back");
}

/// The documented rule, as SQL says it.
const KEY_OF_NAME: &str =
    "SELECT ('x' || encode(substr(sha256(convert_to($1, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_the_key_that_sql_makes_of_it_and_config_show_prints_it() {
    let base = Database::new().await;
    base.two_years().await;
    let by_name = config(&base.url, WINDOW, Lines::default()).replace("postgres:4246", "postgres:usage-hourly");
    let own = by_name.replace("resources = [\"hourly\"]\n", "").split("[resource").next().unwrap().to_owned();
    for (text, name) in [(by_name, "usage-hourly"), (own, "highwater.rollup.task_usage_hourly_rollup_state")] {
        let key: i64 = base.one_of(KEY_OF_NAME, &[&name]).await;
        let rig = Rig::new(&text);
        let shown = rig.ok(&["config", "show"]).stdout;
        assert!(
            shown.lines().any(|line| line.starts_with("lock = ") && line.contains(&key.to_string())),
            "{key}: {shown}"
        );
        base.one_of::<bool>("SELECT pg_advisory_lock($1) IS NOT NULL", &[&key]).await;
        let pass = rig.usage_pass(&[]);
        assert!(pass.is(3, "lock_held"), "{name}: {pass:?}");
        base.one_of::<bool>("SELECT pg_advisory_unlock($1)", &[&key]).await;
        assert!(rig.usage_pass(&[]).is(0, "drained"), "{name}");
    }
}

#[test]
fn one_key_in_one_database_under_two_names_is_refused() {
    let resource = |name: &str, lock: &str, database: &str| {
        format!("[resource.{name}]\nlock = \"postgres:{lock}\"\nlock-database = \"{database}\"\n")
    };
    let check = |second: &str, database: &str| {
        let first = resource("a", "4246", "postgres://ann@db/usage");
        Rig::new(&(first + &resource("b", second, database))).run(&["config", "check"])
    };
    for (key, database) in [
        ("4246", "postgres://ann@db/usage"),
        ("4246", "postgresql://bob:other@db:5432/usage?sslmode=require"),
        ("+4246", "postgres://db/usage"),
    ] {
        let ended = check(key, database);
        assert_eq!(ended.code, 2, "{key} {database}: {ended:?}");
        assert!(ended.stderr.contains("resource.b.lock: found the lock that resource `a` has too"), "{ended:?}");
    }
    for (key, database) in
        [("4247", "postgres://db/usage"), ("4246", "postgres://db/other"), ("4246", "postgres://db:5433/usage")]
    {
        assert_eq!(check(key, database).code, 0, "{key} {database}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r16_a_rollup_whose_lock_is_in_another_database_is_refused_and_writes_in_neither() {
    let (base, elsewhere) = (Database::new().await, Database::new().await);
    for base in [&base, &elsewhere] {
        base.two_years().await;
    }
    let line = format!("lock-database = \"{}\"", elsewhere.url);
    let rig = Rig::new(&config(&base.url, WINDOW, Lines { resource: &line, job: "" }));
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(2, "refused") && pass.error() == "HW-ROL-006", "{pass:?}");
    assert_eq!((base.cells().await, elsewhere.cells().await), (0, 0));

    let both = format!("{line}\n[resource.own]\nlock = \"postgres:1\"\nlock-database = \"{}\"", base.url);
    let both =
        config(&base.url, WINDOW, Lines { resource: &both, job: "" }).replace("[\"hourly\"]", "[\"hourly\", \"own\"]");
    rig.write("highwater.toml", &both);
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "one of its locks is where it works: {pass:?}");
    assert_eq!((base.wrong_cells().await, elsewhere.cells().await), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_any_kind_may_take_a_key_in_a_database_that_is_named() {
    let base = Database::new().await;
    let rig = Rig::new(&format!(
        "[job.nightly]\nkind = \"exec\"\ncommand = [\"true\"]\nrecurring = true\nresources = [\"hourly\"]\n\
         [resource.hourly]\nlock = \"postgres:{KEY}\"\nlock-database = \"{}\"\n",
        base.url
    ));
    base.run("SELECT pg_advisory_lock(4246)").await;
    assert_eq!(rig.run(&["run", "nightly"]).code, 3);
    base.run("SELECT pg_advisory_unlock(4246)").await;
    assert_eq!(rig.run(&["run", "nightly"]).code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_the_other_kind_and_one_of_another_database_are_others() {
    let (base, elsewhere) = (Database::new().await, Database::new().await);
    base.run("SELECT pg_advisory_lock(0, 4246)").await;
    elsewhere.run("SELECT pg_advisory_lock(4246)").await;
    let rig = Rig::new(&config(&base.url, WINDOW, Lines::default()));
    let pass = rig.usage_pass(&[]);
    assert!(pass.is(0, "drained"), "{pass:?}");
}

#[test]
fn a_server_that_is_not_there_or_says_nothing_is_a_checkpoint() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // It takes the connection, and never answers.
    let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [gone, frozen.local_addr().unwrap().port()] {
        let url = format!("postgres://ann:s3cret@127.0.0.1:{port}/usage?connect_timeout=1");
        let rig = Rig::new(&config(&url, WINDOW, Lines::default()));
        let pass = rig.usage_pass(&[]);
        assert!(pass.is(3, "network"), "{pass:?}");
        assert!(!format!("{pass:?}").contains("s3cret"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_a_missing_one_a_database_that_is_not_there_and_a_host_that_is_kept_out_are_refused() {
    let server = Postgres::start_with(&[("fsync", "off")]).unwrap();
    let base = Database::on(&server).await;
    base.run("CREATE ROLE ann LOGIN PASSWORD 'right' IN ROLE pg_read_all_stats; CREATE ROLE bob LOGIN").await;
    base.run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ann").await;
    let rules =
        "host all ann 127.0.0.1/32 scram-sha-256\nhost all bob 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 trust\n";
    std::fs::write(server.data_directory().join("pg_hba.conf"), rules).unwrap();
    base.run("SELECT pg_reload_conf()").await;
    base.wait_for("the new rules", "SELECT count(*) = 3 FROM pg_hba_file_rules").await;
    let pass_as = |role: &str, database: &str| {
        let url = base.url.replace("postgres@", &format!("{role}@"));
        let url = if database.is_empty() { url } else { format!("{}/{database}", url.rsplit_once('/').unwrap().0) };
        Rig::new(&config(&url, WINDOW, Lines::default())).usage_pass(&[])
    };
    for (role, database, told) in [
        ("ann:wr0ng", "", "password authentication failed for user \"ann\""),
        ("ann", "", "password missing"),
        ("bob", "", "pg_hba.conf rejects connection"),
        ("carl", "", "role \"carl\" does not exist"),
        ("ann:right", "nowhere", "database \"nowhere\" does not exist"),
    ] {
        let pass = pass_as(role, database);
        assert!(pass.is(2, "refused") && pass.error() == "HW-LCK-005", "{role}: {pass:?}");
        assert!(pass.message.contains(told), "{role}: {}", pass.message);
        assert!(!format!("{pass:?}").contains("wr0ng"));
    }
    for query in ["?sslmode=require", "?sslmode=verify-full&sslrootcert=/nowhere/root.crt"] {
        let pass = Rig::new(&config(&format!("{}{query}", base.url), WINDOW, Lines::default())).usage_pass(&[]);
        assert!(pass.is(2, "refused") && pass.error() == "HW-LCK-005", "no checkpoint for ever: {pass:?}");
    }
    assert!(pass_as("ann:right", "").is(0, "drained"));
}
