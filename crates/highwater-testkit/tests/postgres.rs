//! A PostgreSQL of one's own, and that nothing of it is left.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use highwater_testkit::postgres::Postgres;
use highwater_testkit::program::{Program, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

/// Set for the test's own child process; see [`a_killed_test_leaves_no_server`].
const AS_CHILD: &str = "HIGHWATER_TEST_POSTGRES_CHILD";

async fn postmaster_pid(postgres: &Postgres) -> String {
    let client = postgres.connect().await.unwrap();
    let file: String = client.query_one("SELECT pg_read_file('postmaster.pid')", &[]).await.unwrap().get(0);
    file.lines().next().unwrap().to_owned()
}

fn runs(pid: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[tokio::test]
async fn it_answers_over_tcp_and_over_its_socket_and_is_gone_afterwards() {
    let postgres = Postgres::start().unwrap();
    let client = postgres.connect().await.unwrap();
    let row = client.query_one("SELECT current_setting('fsync'), inet_server_addr() IS NOT NULL", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "on", "durability is given up only on request");
    assert!(row.get::<_, bool>(1));

    let port = postgres.url().rsplit_once(':').unwrap().1.split_once('/').unwrap().0.to_owned();
    assert!(postgres.socket_directory().join(format!(".s.PGSQL.{port}")).exists());

    let pid = postmaster_pid(&postgres).await;
    let directory = postgres.socket_directory().to_owned();
    assert!(runs(&pid));
    postgres.stop();
    assert!(!runs(&pid), "stop waits for the server's end");
    assert!(!directory.exists());
    assert!(client.simple_query("SELECT 1").await.is_err());
}

#[tokio::test]
async fn settings_are_changed_on_request() {
    let postgres = Postgres::start_with(&[("fsync", "off"), ("max_connections", "17")]).unwrap();
    let client = postgres.connect().await.unwrap();
    let row =
        client.query_one("SELECT current_setting('fsync'), current_setting('max_connections')", &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("off", "17"));
}

#[tokio::test]
async fn a_setting_it_refuses_is_told_with_its_own_words() {
    let error = Postgres::start_with(&[("fsync", "off"), ("no_such_setting", "1")]).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("no_such_setting"), "{source}");
}

#[tokio::test]
async fn a_killed_test_leaves_no_server() {
    if std::env::var_os(AS_CHILD).is_some() {
        let postgres = Postgres::start_with(&[("fsync", "off")]).unwrap();
        println!("\nserver {} {}", postmaster_pid(&postgres).await, postgres.socket_directory().display());
        std::future::pending::<()>().await;
    }
    let mut child = Program::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_test_leaves_no_server", "--nocapture"])
        .env(AS_CHILD, "1")
        .start()
        .unwrap();
    let server =
        |out: &str| out.lines().find_map(|line| Some(line.strip_prefix("server ")?.split_once(' ')?.0.to_owned()));
    child.wait_for_stdout(LIMIT, |out| out.contains("server ") && out.ends_with('\n')).await.unwrap();
    let pid = server(&child.stdout()).unwrap();
    let directory = PathBuf::from(child.stdout().trim().rsplit_once(' ').unwrap().1);
    assert!(runs(&pid) && directory.exists());
    child.kill_9(LIMIT).await.unwrap();
    wait_until(LIMIT, "the server's end", || !runs(&pid) && !directory.exists()).await.unwrap();
}
