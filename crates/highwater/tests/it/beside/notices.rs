//! Notices of the built binary: they reach a webhook and a command once per change, in the shape that the far side takes, and
//! one that could not be delivered is shown and tried again.

use highwater_testkit::faulty_http::{Answer, FaultyHttp, in_turn};
use serde_json::{Value, json};

use crate::rig::Rig;

/// Answers with what stands in the file of the item's name, else 0.
const AS_TOLD: &str = "[ ! -e $1 ] || { echo \"no shelf for $1\" >&2; exit $(cat $1); }";

/// Four items, one at a time, and who is told of changes.
fn told(notify: &str) -> Rig {
    let rig = Rig::load(&["a", "b", "c", "d"], AS_TOLD, "concurrency = 1");
    rig.write("highwater.toml", &(rig.read("highwater.toml") + notify));
    rig
}

fn webhook(url: &str, more: &str) -> String {
    format!("[[notify]]\nurl = {url:?}\n{more}\n")
}

async fn server() -> FaultyHttp {
    FaultyHttp::start(|_| Answer::ok("")).await.unwrap()
}

/// What a webhook was sent since the last look.
fn news(server: &FaultyHttp, seen: &mut usize) -> Vec<Value> {
    let requests = server.requests();
    let new = requests[*seen..].iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect();
    *seen = requests.len();
    new
}

fn changes(news: &[Value]) -> Vec<&str> {
    news.iter().map(|body| body["change"].as_str().unwrap()).collect()
}

/// As if an hour had passed for what waits to be delivered.
fn an_hour_later(rig: &Rig) {
    let db = rusqlite::Connection::open(rig.path(".highwater-state/ledger.db")).unwrap();
    let hour_us = 3_600_000_000_i64;
    assert!(db.execute("UPDATE notice SET due_at = due_at - ?1, queued_at = queued_at - ?1", [hour_us]).unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_once_of_each_change() {
    let server = server().await;
    let rig = told(&webhook(&server.url("/hook"), ""));
    let mut seen = 0;
    rig.write("b", "11");
    rig.write("c", "4");
    assert_eq!(rig.pass(), (4, "halted".into()));
    let first = news(&server, &mut seen);
    assert_eq!(changes(&first), ["halted", "review"]);
    let [halted, review] = &first[..] else { panic!("{first:?}") };
    assert_eq!((&halted["job"], &halted["reason"], &halted["exit"]), (&json!("load"), &json!("halted"), &json!(4)));
    let says = |body: &Value, field: &str, part: &str| {
        assert!(body[field].as_str().is_some_and(|text| text.contains(part)), "{part}: {body}");
    };
    says(halted, "message", "exit 4");
    says(halted, "next", "highwater rearm load --why");
    says(review, "message", "1 new item to review");
    says(review, "next", "highwater items load --outcome review");
    assert_eq!(
        halted["worklist"],
        json!({"total": 4, "open": 2, "done": 1, "gone": 0, "present": 0, "skipped": 0, "review": 1, "retry": 0})
    );
    assert_eq!(rig.pass(), (4, "halted".into()));
    assert_eq!(news(&server, &mut seen), [] as [Value; 0], "a halt that goes on is no news");

    rig.write("c", "11");
    rig.ok(&["rearm", "load", "--why", "a person looks at it"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
    let second = news(&server, &mut seen);
    assert_eq!(changes(&second), ["review", "drained"]);
    says(&second[0], "message", "1 new item to review, 2 in all");
    says(&second[1], "message", "2 to review");
    assert_eq!(rig.pass(), (0, "already_drained".into()));
    assert_eq!(news(&server, &mut seen), [] as [Value; 0]);

    let list = rig.read("ids.txt");
    for _ in 0..2 {
        rig.list(&["a", "b", "c", "d", "e"]);
        assert_eq!(rig.pass(), (2, "refused".into()));
        let failed = news(&server, &mut seen);
        assert_eq!(changes(&failed), ["failed"]);
        says(&failed[0], "next", "--extend");
        assert_eq!(rig.pass(), (2, "refused".into()));
        assert_eq!(news(&server, &mut seen), [] as [Value; 0], "the same failure is no news");
        // Once it is mended it would be.
        rig.write("ids.txt", &list);
        assert_eq!(rig.pass(), (0, "already_drained".into()));
        assert_eq!(news(&server, &mut seen), [] as [Value; 0]);
    }
    assert_eq!(server.requests().iter().map(|request| request.method.as_str()).collect::<Vec<_>>(), vec!["POST"; seen]);
}

#[test]
fn a_command_is_told_once_of_each_change() {
    let rig = told("[[notify]]\ncommand = [\"./page\", \"ops\"]\n");
    rig.script("page", "{ echo \"$1\"; cat; echo; } >>paged");
    rig.write("b", "4");
    assert_eq!(rig.pass(), (4, "halted".into()));
    assert_eq!(rig.pass(), (4, "halted".into()));
    std::fs::remove_file(rig.path("b")).unwrap();
    rig.ok(&["rearm", "load", "--why", "there is a shelf"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
    let paged = rig.read("paged");
    let lines: Vec<_> = paged.lines().collect();
    let [to, halted, again, drained] = lines[..] else { panic!("{lines:?}") };
    assert_eq!([to, again], ["ops"; 2], "its argument");
    let [halted, drained] = [halted, drained].map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!([&halted["change"], &drained["change"]], ["halted", "drained"]);
    assert_eq!(drained["counts"], json!({"done": 3, "gone": 0, "present": 0, "review": 0, "retry": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_and_ntfy_get_what_they_take() {
    let (slack, ntfy) = (server().await, server().await);
    let rig = told(
        &(webhook(&slack.url("/services/T0/secret"), "template = \"slack\"\non = [\"halted\"]")
            + &webhook(
                &ntfy.url("/alerts"),
                "template = \"ntfy\"\nheaders = { Authorization = \"Bearer ${NTFY_TOKEN}\" }",
            )),
    );
    rig.write("b", "4");
    let pass = |rig: &Rig| rig.command(&["run", "load"]).env("NTFY_TOKEN", "tk_1").output().unwrap().status.code();
    assert_eq!(pass(&rig), Some(4));
    std::fs::remove_file(rig.path("b")).unwrap();
    let rearmed =
        rig.command(&["rearm", "load", "--why", "there is a shelf"]).env("NTFY_TOKEN", "tk_1").output().unwrap();
    assert_eq!(rearmed.status.code(), Some(0), "{rearmed:?}");
    assert_eq!(pass(&rig), Some(0));

    let slack = slack.requests();
    assert_eq!(slack.len(), 1, "drained is not among those it wants");
    assert_eq!(slack[0].header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&slack[0].body).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(
        text.starts_with("*load: halted*\n") && text.contains("\nnext: ") && text.contains("`highwater rearm load"),
        "{text}"
    );
    assert_eq!(body.as_object().unwrap().len(), 1, "Slack refuses fields that it does not know");

    let ntfy = ntfy.requests();
    let [halted, drained] = &ntfy[..] else { panic!("{ntfy:?}") };
    let headers = |request: &highwater_testkit::faulty_http::Received| {
        ["title", "priority", "tags", "authorization"].map(|name| request.header(name).unwrap_or_default().to_owned())
    };
    assert_eq!(headers(halted), ["load: halted", "high", "rotating_light", "Bearer tk_1"]);
    assert_eq!(headers(drained), ["load: drained", "low", "white_check_mark", "Bearer tk_1"]);
    let text = String::from_utf8_lossy(&halted.body);
    assert!(text.contains("exit 4") && text.contains("\nnext: ") && !text.starts_with('{'), "text, not JSON: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_could_not_be_delivered_is_shown_and_tried_again_at_the_end_of_a_later_pass() {
    let server = FaultyHttp::start(in_turn([Answer::status(500), Answer::ok("")])).await.unwrap();
    let rig = told(&webhook(&server.url("/T0/secret"), ""));
    let said = rig.run(&["run", "load"]);
    assert_eq!(said.code, 0, "a notice changes no ending: {said:?}");
    assert!(said.stderr.contains("could not be delivered") && said.stderr.contains("500"), "{said:?}");
    let [all, one] = [&["status"][..], &["status", "load"]].map(|args| rig.ok(args).stdout);
    assert!(all.contains("1 not delivered") && all.contains("500"), "{all}");
    assert!(one.contains("drained to [[notify]] entry 1, not delivered after 1 attempt: "), "{one}");
    assert_eq!(said.stderr.matches("500").count(), 1, "told once: {said:?}");
    let doctor = rig.run(&["doctor"]).stdout;
    assert!(doctor.contains("load: drained to [[notify]] entry 1, not delivered after 1 attempt: "), "{doctor}");
    let waiting = rig.ok(&["status", "--json"]).json()["jobs"][0]["notices"].clone();
    assert_eq!((&waiting[0]["change"], &waiting[0]["attempts"]), (&json!("drained"), &json!(1)));
    for shown in [&said.stderr, &all, &one, &waiting.to_string()] {
        assert!(!shown.contains("secret"), "the path may be one: {shown}");
    }
    assert_eq!(rig.pass(), (0, "already_drained".into()));
    assert_eq!(server.requests().len(), 1, "not at once: it waits a minute, then longer each time");

    an_hour_later(&rig);
    assert_eq!(rig.pass(), (0, "already_drained".into()));
    let requests = server.requests();
    assert_eq!((requests.len(), &requests[0].body), (2, &requests[1].body), "the same message");
    assert_eq!(rig.ok(&["status", "--json"]).json()["jobs"][0]["notices"], json!([]));
    assert!(!rig.ok(&["status"]).stdout.contains("not delivered"));
    an_hour_later(&rig);
    assert_eq!(rig.pass(), (0, "already_drained".into()));
    assert_eq!(server.requests().len(), 2, "what was delivered stays so");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_is_told_once() {
    let server = server().await;
    let rig = told(&webhook(&server.url("/hook"), "on = [\"silent\"]"));
    let config = rig.read("highwater.toml").replace("concurrency = 1", "concurrency = 1\nsilent-after = \"1ms\"");
    rig.write("highwater.toml", &config);
    rig.ok(&["pause", "load", "--why", "lunch"]);
    rig.ok(&["worklist", "load", "--replace"]);
    assert_eq!(rig.pass(), (3, "paused".into()));
    let mut seen = 0;
    let first = news(&server, &mut seen);
    assert_eq!(changes(&first), ["silent"]);
    let message = first[0]["message"].as_str().unwrap();
    assert!(message.contains("nothing was drained for") && message.contains("paused"), "{message}");
    assert_eq!(rig.pass(), (3, "paused".into()));
    assert_eq!(news(&server, &mut seen), [] as [Value; 0], "the same silence");
    rig.ok(&["resume", "load"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(news(&server, &mut seen), [] as [Value; 0], "drained is no silence");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_down_makes_cron_mail_nothing() {
    let server = FaultyHttp::start(|_| Answer::status(500)).await.unwrap();
    let rig = told(&webhook(&server.url("/hook"), ""));
    rig.script("load", "[ ! -e $1 ] || exit $(cat $1)");
    rig.write("a", "3");
    let drain = || rig.run(&["run", "load", "--cron"]);
    let mut ended = vec![drain()];
    std::fs::remove_file(rig.path("a")).unwrap();
    ended.push(drain());
    an_hour_later(&rig);
    ended.push(drain());
    assert!(server.requests().len() > 1);
    for pass in ended {
        assert_eq!(
            (pass.code, pass.stdout.as_str(), pass.stderr.as_str()),
            (0, "", ""),
            "none of it is a halt or a failure"
        );
    }
    assert!(rig.ok(&["status"]).stdout.contains("1 not delivered"), "it is in status");
}

#[tokio::test(flavor = "multi_thread")]
async fn cron_and_people_are_told_of_the_same_change_each_in_their_way() {
    let server = server().await;
    let rig = told(&webhook(&server.url("/hook"), ""));
    rig.write("a", "4");
    let [first, second] = [(); 2].map(|()| rig.run(&["run", "load", "--cron"]));
    assert_eq!([first.code, second.code], [0, 0]);
    assert!(first.stdout.starts_with("load: halted: ") && second.stdout.is_empty(), "{first:?} {second:?}");
    assert_eq!(changes(&news(&server, &mut 0)), ["halted"]);
}
