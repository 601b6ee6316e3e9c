//! `doctor` on a rollup's database and on an advisory lock: well, and with one fault planted at a time.

use super::month::CLOCK;
use super::rig::{Database, Lines, WINDOW, config, driven, own_name};
use crate::rig::Rig;
use serde_json::Value;

/// The lines about locks and databases: what was looked at, whether it is well, and all that is said of it.
fn lines(rig: &Rig) -> Vec<(String, bool, String)> {
    let ended = rig.run(&["doctor", "--json"]);
    let report = ended.json();
    let findings = report["findings"].as_array().unwrap();
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let line = |line: &Value| {
        (text(line, "what"), line["ok"] == true, format!("{} {}", text(line, "found"), text(line, "fix")))
    };
    findings.iter().map(line).filter(|(what, ..)| what == "lock" || what == "database").collect()
}

fn line(rig: &Rig, what: &str) -> (bool, String) {
    let lines = lines(rig);
    let found: Vec<_> = lines.iter().filter(|(of, ..)| of == what).collect();
    assert_eq!(found.len(), 1, "{lines:?}");
    (found[0].1, found[0].2.clone())
}

fn assert_says(rig: &Rig, what: &str, ok: bool, words: &[&str]) {
    let (is_ok, text) = line(rig, what);
    assert!(
        is_ok == ok && words.iter().all(|word| text.contains(word)),
        "expected {ok} {words:?}, found {is_ok}: {text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_and_the_database_are_well_and_who_is_in_the_way_is_named() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    assert_says(&rig, "lock", true, &["hourly: postgres:4246 in postgres://postgres@127.0.0.1", ", free"]);
    assert_says(&rig, "database", true, &["usage in postgres://", "a watermark may go up to 20"]);
    assert!(base.is_free().await);

    let pid: i32 = base.one("SELECT pg_backend_pid()").await;
    base.run("SELECT pg_advisory_lock(4246)").await;
    assert_says(&rig, "lock", true, &[&format!("held by process {pid} of postgres")]);
    base.run("SET application_name = 'report'; BEGIN").await;
    base.run("SELECT 1").await;
    base.another().await.batch_execute("SELECT pg_sleep(1.2)").await.unwrap();
    let open = format!("the transaction of process {pid} (application report, role postgres) is open since then");
    assert_says(&rig, "database", true, &["no watermark may go further than", &open]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_a_watermark_from_moving_is_a_line_to_fix() {
    let (base, rig) = driven(WINDOW, Lines::default()).await;
    let prepared = own_name("p");
    base.run(&format!("BEGIN; CREATE TABLE pending (); PREPARE TRANSACTION '{prepared}'")).await;
    assert_says(&rig, "database", false, &["1 prepared", "COMMIT PREPARED"]);
    base.run(&format!("ROLLBACK PREPARED '{prepared}'")).await;

    let role = own_name("ann");
    base.run(&format!("CREATE ROLE {role} LOGIN")).await;
    let blind = Rig::new(&config(&base.url.replace("postgres@", &format!("{role}@")), WINDOW, Lines::default()));
    let grant = format!("GRANT pg_read_all_stats TO \"{role}\";");
    assert_says(&blind, "database", false, &["does not see when others' transactions began", &grant]);
    assert_says(&blind, "lock", true, &["free"]);
    base.run(&grant).await;
    assert_says(&blind, "database", true, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_another_is_a_line_to_fix() {
    let base = Database::new().await;
    base.run(&format!("{CLOCK} (pg_catalog.now() - interval '90 seconds')")).await;
    let rig = Rig::new(&config(&base.url, WINDOW, Lines::default()));
    assert_says(&rig, "database", false, &["its clock and this host's are 1m", "NTP"]);
}

#[test]
fn a_server_that_is_not_there_is_a_line_to_fix_and_the_rest_is_checked() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://ann:s3cret@127.0.0.1:{gone}/usage");
    let rig = Rig::new(&config(&url, WINDOW, Lines::default()));
    for what in ["lock", "database"] {
        assert_says(&rig, what, false, &["in postgres://ann@127.0.0.1", "see that the server runs"]);
    }
    let ended = rig.run(&["doctor"]);
    assert!(ended.code == 2 && ended.stdout.contains("disk") && !ended.stdout.contains("s3cret"), "{ended:?}");
}

#[test]
fn a_file_of_somebodys_is_looked_at_and_not_made() {
    let text = "[job.usage]\nkind = \"rollup\"\ndatabase = \"sqlite:usage.db\"\nsource = \"t\"\nevent-time = \"at\"\ngrain = \"hour\"\n\
                target = \"h\"\naggregates = { n = \"count\" }\n";
    let rig = Rig::new(text);
    assert_says(&rig, "database", false, &["there is no such file"]);
    assert!(!rig.path("usage.db").exists());
    rusqlite::Connection::open(rig.path("usage.db")).unwrap().execute_batch("CREATE TABLE t (id INTEGER)").unwrap();
    assert_says(&rig, "database", true, &["it opens"]);
    rig.write(
        "usage.db",
        "no database at all, and long enough to be read as the header of one, which it is not, whatever comes",
    );
    assert_says(&rig, "database", false, &[]);
}
