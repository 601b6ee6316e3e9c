//! A job beside signals, run as a person runs it: each kind of signal that gives no reading holds it up, is told, and lets it go
//! once it is back (R17).

use std::process::Child;

use highwater_testkit::faulty_http::{Answer, FaultyHttp};
use highwater_testkit::postgres::Postgres;
use rusqlite::Connection;
use serde_json::Value;

use crate::rig::{Ended, Rig, end, wait_until};

/// Every item is done, and says so in `log`.
const OK: &str = "echo $1 >>log";
/// Signals are read often, and a pass does not wait long for them.
const IMPATIENT: &str = "throttle-every = \"100ms\"\nthrottle-wait = \"1s\"\nconcurrency = 1\n";
/// The same for one that waits for the test.
const PATIENT: &str = "throttle-every = \"100ms\"\nthrottle-wait = \"1h\"\nconcurrency = 1\n";

fn beside(patience: &str, signal: &str) -> Rig {
    Rig::load(&["a", "b"], OK, &format!("{patience}\n[[job.load.throttle]]\n{signal}\n"))
}

fn status(rig: &Rig) -> Value {
    rig.ok(&["status", "load", "--json"]).json()["jobs"][0].clone()
}

fn database(rig: &Rig, sql: &str) {
    Connection::open(rig.path("a.db")).unwrap().execute_batch(sql).unwrap();
}

/// A pass that waits for its signals.
struct Waiting<'r>(&'r Rig, Child);

impl<'r> Waiting<'r> {
    fn start(rig: &'r Rig) -> Self {
        Self(rig, rig.start(&["run", "load", "--json"]))
    }

    /// What its signals came to, as `status` tells it.
    fn throttle(&self) -> Value {
        status(self.0)["running"]["throttle"].clone()
    }

    fn is_closed(&self) -> bool {
        self.throttle()["closed_since"].is_string()
    }

    fn end(self) -> Ended {
        end(self.1)
    }
}

/// A signal, what is told of it, and what is arranged for it.
type Case = (&'static str, &'static str, fn(&Rig));

#[test]
fn r17_a_signal_without_a_reading_holds_the_job_up_and_is_told() {
    let cases: [Case; 11] = [
        ("signal = \"file\"\npath = \"n\"", "No such file", |_| {}),
        ("signal = \"file\"\npath = \"n\"", "found \"up\", expected a number", |rig| rig.write("n", "up\n")),
        ("signal = \"file\"\npath = \"n\"", "found nothing, expected a number", |rig| rig.write("n", "")),
        ("signal = \"file\"\npath = \"n\"\nstale-after = \"1h\"", "stale: ", |rig| {
            rig.write("n", "0");
            assert_eq!(rig.sh("touch -d '3 days ago' n").code, 0);
        }),
        ("signal = \"command\"\ncommand = [\"./ask\"]", "exit 7: no route", |rig| {
            rig.script("ask", "echo no route >&2; exit 7")
        }),
        ("signal = \"command\"\ncommand = [\"./ask\"]", "found nothing", |rig| rig.script("ask", "exit 0")),
        ("signal = \"command\"\ncommand = [\"./ask\"]\ntimeout = \"200ms\"", "no answer within 200ms", |rig| {
            rig.script("ask", "echo $$ >asked; sleep 600");
        }),
        ("signal = \"command\"\ncommand = [\"./nothing\"]", "cannot run \"./nothing\"", |_| {}),
        ("signal = \"http\"\nurl = \"http://127.0.0.1:1/\"", "no answer from http://127.0.0.1", |_| {}),
        ("signal = \"sql\"\ndatabase = \"sqlite:a.db\"\nquery = \"SELECT 1\"", "a.db", |_| {}),
        (
            "signal = \"sql\"\ndatabase = \"sqlite:a.db\"\nquery = \"SELECT n FROM load\"",
            "the query yields 0 rows",
            |rig| {
                database(rig, "CREATE TABLE load (n INTEGER)");
            },
        ),
    ];
    let rigs: Vec<_> = cases
        .iter()
        .map(|(signal, _, arrange)| {
            let rig = beside(IMPATIENT, &format!("{signal}\nlimit = 5"));
            arrange(&rig);
            rig
        })
        .collect();
    let passes: Vec<_> = rigs.iter().map(|rig| rig.start(&["run", "load", "--json"])).collect();
    for (((signal, told, _), rig), pass) in cases.iter().zip(&rigs).zip(passes) {
        let ended = end(pass);
        let report = ended.json();
        assert_eq!((ended.code, report["reason"].as_str()), (3, Some("throttled")), "{signal}: {ended:?}");
        let message = report["message"].as_str().unwrap();
        assert!(
            message.contains("cannot be read and counts as unhealthy") && message.contains(told),
            "{signal}: {message}"
        );
        let status = rig.ok(&["status", "load"]).stdout;
        assert!(status.contains("throttled, exit 3") && status.contains(told), "{signal}: {status}");
        assert_eq!(rig.log().len(), 0, "{signal}: the slowest is slower than this pass is patient");
    }
}

#[test]
fn the_command_of_a_signal_ends_with_all_it_started_when_it_takes_too_long() {
    let rig = beside(IMPATIENT, "signal = \"command\"\ncommand = [\"./ask\"]\ntimeout = \"200ms\"\nlimit = 5");
    rig.script("ask", "sleep 600 & echo $! >>children; wait");
    assert_eq!(rig.pass(), (3, "throttled".into()));
    let children = rig.read("children");
    assert!(!children.is_empty());
    let lives = |pid: &str| rig.sh(&format!("kill -0 {pid} 2>/dev/null && ! grep -q ' Z ' /proc/{pid}/stat")).code == 0;
    wait_until("the children's end", || !children.lines().any(lives));
}

#[test]
fn a_healthy_signal_of_each_kind_lets_the_job_go() {
    for (signal, arrange) in [
        ("signal = \"file\"\npath = \"n\"", (|rig: &Rig| rig.write("n", "1.5\n")) as fn(&Rig)),
        ("signal = \"command\"\ncommand = [\"./ask\"]", |rig| rig.script("ask", "echo 1; echo chatter >&2")),
        ("signal = \"sql\"\ndatabase = \"sqlite:a.db\"\nquery = \"SELECT count(*) FROM load;\"", |rig| {
            database(rig, "CREATE TABLE load (n INTEGER)");
        }),
    ] {
        let rig = beside(IMPATIENT, &format!("{signal}\nlimit = 5"));
        arrange(&rig);
        assert_eq!(rig.pass(), (0, "drained".into()), "{signal}");
    }
}

#[test]
fn r17_over_its_limit_a_signal_slows_the_job_and_back_below_it_the_job_goes_on() {
    let rig = beside(PATIENT, "signal = \"command\"\nname = \"queue\"\ncommand = [\"cat\", \"n\"]\nlimit = 5");
    rig.write("n", "7");
    let pass = Waiting::start(&rig);
    wait_until("a throttle that is closed and slowest", || {
        let throttle = pass.throttle();
        throttle["closed_since"].is_string() && throttle["share"].as_f64().unwrap() < 0.05
    });
    let text = rig.ok(&["status"]).stdout;
    assert!(text.contains("throttle") && text.contains("queue is 7, its limit is 5; at 3 % of full speed"), "{text}");
    rig.write("n", "0");
    let ended = pass.end();
    assert_eq!((ended.code, ended.json()["reason"].as_str()), (0, Some("drained")), "{ended:?}");
}

#[test]
fn r17_a_signal_that_fails_for_a_while_ends_nothing() {
    let rig = beside(PATIENT, "signal = \"file\"\npath = \"n\"\nlimit = 5");
    let pass = Waiting::start(&rig);
    wait_until("a throttle that is closed", || pass.is_closed());
    let throttle = pass.throttle();
    assert!(throttle["signals"][0]["error"].as_str().unwrap().contains("No such file"), "{throttle}");
    rig.write("n", "1");
    let ended = pass.end();
    assert_eq!((ended.code, ended.json()["reason"].as_str()), (0, Some("drained")), "{ended:?}");
}

#[test]
fn a_person_has_a_signal_not_heeded() {
    let rig = beside(PATIENT, "signal = \"file\"\npath = \"n\"\nlimit = 5");
    let pass = Waiting::start(&rig);
    wait_until("a throttle that is closed", || pass.is_closed());
    rig.ok(&["set", "load", "throttle=off", "--why", "the monitoring is down"]);
    let ended = pass.end();
    assert_eq!((ended.code, ended.json()["reason"].as_str()), (0, Some("drained")), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_the_number_at_an_address_counts_only_where_there_is_one() {
    for (body, status, told) in [
        ("{\"lag\": {\"secs\": 1}}", 200, None),
        ("{\"lag\": {}}", 200, Some("found nothing at /lag/secs")),
        ("<html>", 200, Some("found no JSON")),
        ("{\"lag\": {\"secs\": 1}}", 500, Some("answered 500")),
        ("{\"lag\": {\"secs\": 9}}", 200, Some("load is 9, its limit is 5")),
    ] {
        let server = FaultyHttp::start(move |_| Answer::status(status).body(body)).await.unwrap();
        let url = server.url("/health?token=s3cret");
        let signal = format!("signal = \"http\"\nname = \"load\"\nurl = \"{url}\"\npointer = \"/lag/secs\"\nlimit = 5");
        let rig = beside(IMPATIENT, &signal);
        let ended = tokio::task::block_in_place(|| rig.run(&["run", "load", "--json"]));
        let report = ended.json();
        match told {
            None => assert_eq!((ended.code, report["reason"].as_str()), (0, Some("drained")), "{ended:?}"),
            Some(told) => {
                assert_eq!((ended.code, report["reason"].as_str()), (3, Some("throttled")), "{ended:?}");
                assert!(report["message"].as_str().unwrap().contains(told), "{ended:?}");
                assert!(!format!("{ended:?}").contains("s3cret"), "an address may hold a secret: {ended:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_sessions_wait_for_locks_slows_the_job_until_they_wait_no_more() {
    let postgres = Postgres::start_with(&[("fsync", "off")]).unwrap();
    let (holds, waits) = (postgres.connect().await.unwrap(), postgres.connect().await.unwrap());
    holds.batch_execute("CREATE TABLE held (id int)").await.unwrap();
    holds.batch_execute("BEGIN; LOCK TABLE held").await.unwrap();
    let waiting = tokio::spawn(async move { waits.batch_execute("SELECT * FROM held").await });
    let database = format!("database = \"{}\"", postgres.url());
    let signals = format!(
        "signal = \"lock-waiters\"\nlimit = 1\n{database}\n\n[[job.load.throttle]]\nsignal = \"sql\"\nname = \"backends\"\n\
         query = \"SELECT count(*) FROM pg_stat_activity -- all\"\nlimit = 1000\n{database}"
    );
    let rig = beside(PATIENT, &signals);
    let pass = Waiting::start(&rig);
    tokio::task::block_in_place(|| {
        wait_until("a throttle that is closed by a reading", || {
            let signals = pass.throttle()["signals"].clone();
            signals[0]["value"].as_f64() == Some(1.0) && signals[1]["value"].as_f64().is_some_and(|value| value > 1.0)
        });
    });
    assert!(pass.is_closed());
    holds.batch_execute("COMMIT").await.unwrap();
    waiting.await.unwrap().unwrap();
    let ended = tokio::task::block_in_place(|| pass.end());
    assert_eq!((ended.code, ended.json()["reason"].as_str()), (0, Some("drained")), "{ended:?}");
    drop(postgres);
}
