//! `kb add URL` by the binary: fetched, converted, kept, known again; a host's ban holds for every call; what is no address is refused.

use highwater_testkit::documents;
use highwater_testkit::faulty_http::{Answer, FaultyHttp};

use crate::rig::{Ended, Rig};

const PAGE: &str = "<html><head><title>All about tides</title></head><body><h1>Tides</h1><p>The tidal range is the height between \
                    high water and low water. <a href=\"/more\">More</a> <img src=\"gauge.png\" alt=\"a gauge\"></p></body></html>";

struct Desk {
    rig: Rig,
    server: FaultyHttp,
}

impl Desk {
    async fn new() -> Self {
        let server = FaultyHttp::start(|asked| match asked.path.as_str() {
            "/tides" => Answer::ok(PAGE).header("content-type", "text/html; charset=utf-8"),
            "/get?id=7" => Answer::ok(documents::pdf()).header("content-type", "application/pdf"),
            "/photo" => Answer::ok(documents::PNG).header("content-type", "text/html"),
            "/busy" => Answer::status(429).header("retry-after", "7200"),
            _ => Answer::status(404),
        })
        .await
        .unwrap();
        let rig = Rig::new("");
        rig.ok(&["kb", "init", "notes"]);
        Self { rig, server }
    }

    fn add(&self, args: &[&str]) -> Ended {
        self.rig.run(&[&["kb", "add", "--kb", "notes", "--json"], args].concat())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_at_addresses_is_added_beside_files() {
    let desk = Desk::new().await;
    desk.rig.write("notes.md", "# Notes\n\nOf storm surges.\n");
    let (tides, manual) = (desk.server.url("/tides"), desk.server.url("/get?id=7"));
    let ended = desk.add(&["notes.md", &tides, &manual]);
    assert_eq!((ended.code, &ended.json()["counts"]["done"]), (0, &3.into()), "{ended:?}");
    let text = desk.rig.read("notes/wiki/sources/tides.md");
    assert!(text.contains("high water and low water"), "{text}");
    assert!(!text.contains("gauge.png"), "it lies nowhere here: {text}");
    assert_eq!(desk.rig.read("notes/raw/tides.html"), PAGE);
    assert_eq!(std::fs::read(desk.rig.path("notes/raw/get.pdf")).unwrap(), documents::pdf());
    let listed = desk.rig.ok(&["kb", "list", "--kb", "notes"]).stdout;
    assert!(listed.contains(&tides) && listed.contains(&manual), "{listed}");
    let ended = desk.add(&["notes.md", &tides, &manual]);
    assert_eq!((ended.code, &ended.json()["counts"]["present"]), (0, &3.into()), "{ended:?}");
    assert_eq!(desk.rig.ok(&["kb", "lint", "--kb", "notes"]).code, 0);
    // It is named as it was added, however that is written.
    desk.rig.ok(&["kb", "recompile", "--kb", "notes", &format!("{tides}#top")]);
    desk.rig.ok(&["kb", "remove", "--kb", "notes", &tides.replace("http://", "HTTP://")]);
    assert!(!desk.rig.path("notes/raw/tides.html").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_thing_than_its_server_says_is_told_by_its_bytes() {
    let desk = Desk::new().await;
    let ended = desk.add(&[&desk.server.url("/photo")]);
    assert_eq!((ended.code, &ended.json()["counts"]["review"]), (0, &1.into()), "{ended:?}");
    let ledger = "notes/.highwater-state/ledger.db";
    let job = ended.json()["job"].as_str().unwrap().to_owned();
    let items = desk.rig.ok(&["--ledger", ledger, "items", &job, "--outcome", "review"]);
    assert!(items.stdout.contains("an image"), "{items:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_a_ban_of_a_host_holds_for_every_call_about_it_and_for_no_other() {
    let desk = Desk::new().await;
    let ended = desk.add(&[&desk.server.url("/busy")]);
    assert_eq!((ended.code, ended.json()["reason"].as_str()), (3, Some("banned_until")), "{ended:?}");
    let ended = desk.add(&[&desk.server.url("/tides")]);
    assert_eq!((ended.code, ended.json()["reason"].as_str()), (3, Some("banned_until")), "{ended:?}");
    assert_eq!(desk.server.requests().len(), 1, "who is banned is not asked");
    let other =
        FaultyHttp::start(|_| Answer::ok("# Other\n\nWords.\n").header("content-type", "text/markdown")).await.unwrap();
    let ended = desk.add(&[&other.url("/other")]);
    assert_eq!((ended.code, &ended.json()["counts"]["done"]), (0, &1.into()), "{ended:?}");
    // A person knows better.
    let resource = format!("web:{}", desk.server.address());
    desk.rig.ok(&["--ledger", "notes/.highwater-state/ledger.db", "lift", &resource, "--why", "they said so"]);
    let ended = desk.add(&[&desk.server.url("/tides")]);
    assert_eq!((ended.code, &ended.json()["counts"]["done"]), (0, &1.into()), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_job_fetches_too() {
    let desk = Desk::new().await;
    let url = desk.server.url("/tides");
    desk.rig.write("highwater.toml", &format!("[job.read]\nkind = \"kb-add\"\nbase = \"notes\"\nurls = [\"{url}\"]\n"));
    let ended = desk.rig.run(&["--json", "run", "read"]);
    assert_eq!((ended.code, &ended.json()["counts"]["done"]), (0, &1.into()), "{ended:?}");
    assert!(desk.rig.path("notes/raw/tides.html").exists());
}

#[test]
fn r15_what_is_no_address_is_refused_before_anything_is_fetched() {
    let rig = Rig::new("");
    rig.ok(&["kb", "init", "notes"]);
    let told = |args: &[&str]| {
        let ended = rig.run(args);
        let told = format!("exit {}\n{}{}", ended.code, ended.stdout, ended.stderr);
        told.replace(&*rig.dir.path().to_string_lossy(), "/desk")
    };
    let words = ["ftp://example.org/tides.pdf", "https://", "https://ana:secret@example.org/tides"];
    let refused = told(&[&["kb", "add", "--kb", "notes"][..], &words].concat());
    assert!(!refused.contains("secret"), "{refused}");
    insta::assert_snapshot!("refused", refused);
    rig.write("highwater.toml", "[job.read]\nkind = \"kb-add\"\nbase = \"notes\"\nurls = [\"tides.html\"]\n");
    insta::assert_snapshot!("refused_configured", told(&["run", "read"]));
    rig.write("highwater.toml", "[job.read]\nkind = \"kb-add\"\nbase = \"notes\"\n");
    insta::assert_snapshot!("nothing_named", told(&["run", "read"]));
}

#[test]
fn an_address_that_does_not_answer_is_told_of_with_what_failed_and_when_it_is_tried_again() {
    let rig = Rig::new("");
    rig.ok(&["kb", "init", "notes"]);
    // Who had this port until now is gone.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/tides");
    let ended = rig.run(&["kb", "add", &url, "--kb", "notes"]);
    let told = format!("exit {}\n{}{}", ended.code, ended.stdout, ended.stderr);
    let told = told.replace(&*rig.dir.path().to_string_lossy(), "/desk").replace(&port.to_string(), "PORT");
    let job = told.lines().nth(1).and_then(|line| line.split_once(':')).unwrap().0.to_owned();
    let took = told.split_once("retry in ").and_then(|(_, rest)| rest.split_once(';')).unwrap().0.to_owned();
    let told = told.replace(&job, "kb-add-JOB").replace(&format!("retry in {took}"), "retry in TIME");
    insta::assert_snapshot!("unanswered", told);
    // A program is told the same.
    let json = rig.run(&["kb", "add", &url, "--kb", "notes", "--json"]).json();
    let note = json["notes"][0].as_str().unwrap();
    assert!(note.starts_with(&url) && note.contains("did not answer"), "{json}");
    // It is what it says: the list of what waits has it, and a server that is there by then is asked.
    let waiting = rig.ok(&["--ledger", "notes/.highwater-state/ledger.db", "items", &job, "--outcome", "retry"]);
    assert!(waiting.stdout.contains(&url), "{waiting:?}");
}
