//! What a webhook gets, and what its answers mean.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join;
use highwater_engine::settings::{DurationText, NotifySettings, NotifyTemplate, SecretText};
use highwater_testkit::faulty_http::{Answer, FaultyHttp, in_turn};
use highwater_testkit::program::wait_until;
use serde_json::json;

use crate::house::{House, LIMIT, MINUTE, items, notifier, soon, to, told, webhook};

fn headers<const N: usize>(headers: [(&str, &str); N]) -> BTreeMap<String, SecretText> {
    headers.map(|(name, value)| (name.to_owned(), SecretText::new(value))).into()
}

#[tokio::test]
async fn json_is_posted_with_the_headers_of_the_settings() {
    let house = House::new();
    let server = webhook().await;
    let entry =
        NotifySettings { headers: headers([("Authorization", "Bearer t0ken")]), ..to(&server.url("/hook?key=1")) };
    let notes = house.pass_and_tell(&items(["done-1"]), &notifier(house.dir(), [entry])).await;
    assert!(notes.is_empty(), "{notes:?}");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?key=1"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
    assert!(house.waiting().await.is_empty());
}

#[tokio::test]
async fn slack_gets_its_own_shape() {
    let house = House::new();
    let server = webhook().await;
    let entry = NotifySettings { template: NotifyTemplate::Slack, ..to(&server.url("/services/T0/x")) };
    house.pass_and_tell(&items(["done-1"]), &notifier(house.dir(), [entry])).await;
    let text = "*load: drained*\n1 item drained: 1 done\nnext: nothing";
    assert_eq!(told(&server), [json!({ "text": text })]);
}

#[tokio::test]
async fn ntfy_gets_text_and_its_headers_which_the_settings_may_change() {
    let house = House::new();
    let server = webhook().await;
    let entry = NotifySettings {
        template: NotifyTemplate::Ntfy,
        headers: headers([("Priority", "max")]),
        ..to(&server.url("/topic"))
    };
    house.pass_and_tell(&items(["done-1"]), &notifier(house.dir(), [entry])).await;
    let request = &server.requests()[0];
    assert_eq!(request.header("title"), Some("load: drained"));
    assert_eq!(request.header("tags"), Some("white_check_mark"));
    assert_eq!(request.headers.get_all("priority").iter().collect::<Vec<_>>(), ["max"]);
    assert!(request.body.starts_with(b"1 item drained: "));
}

#[tokio::test]
async fn a_redirect_is_no_delivery() {
    let house = House::new();
    let elsewhere = webhook().await;
    let moved = Answer::status(302).header("location", &elsewhere.url("/login"));
    let server = FaultyHttp::start(move |_| moved.clone()).await.unwrap();
    let notifier = notifier(house.dir(), [to(&server.url("/hook"))]);
    house.pass_and_tell(&items(["done-1"]), &notifier).await;
    assert!(elsewhere.requests().is_empty());
    let waiting = house.waiting().await;
    assert_eq!(waiting[0].last_error.as_deref(), Some("http://127.0.0.1/… answered 302 Found, expected 2xx"));
}

#[tokio::test]
async fn a_webhook_that_never_answers_costs_its_timeout_and_the_pass_nothing_else() {
    let house = House::new();
    let server = FaultyHttp::start(|_| Answer::silence()).await.unwrap();
    let entry = NotifySettings { timeout: DurationText::secs(5), ..to(&server.url("/hook")) };
    let notifier = notifier(house.dir(), [entry]);
    let script = items(["done-1"]);
    let telling = house.pass_and_tell(&script, &notifier);
    let passing_time = async {
        wait_until(LIMIT, "the request", || !server.requests().is_empty()).await.unwrap();
        house.clock.advance(Duration::from_secs(5));
    };
    let (notes, ()) = soon(join(telling, passing_time)).await;
    let failed = "took longer than 5000 ms and was given up";
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains(failed), "{notes:?}");
    assert!(house.waiting().await[0].last_error.as_deref().unwrap().contains(failed));
}

#[tokio::test]
async fn a_webhook_that_hangs_up_or_is_not_there_is_tried_again() {
    let house = House::new();
    let gone = webhook().await;
    let url = gone.url("/hook");
    gone.stop().await;
    let rude = FaultyHttp::start(|_| Answer::hang_up()).await.unwrap();
    let notifier = notifier(house.dir(), [to(&url), to(&rude.url("/hook"))]);
    let notes = house.pass_and_tell(&items(["done-1"]), &notifier).await;
    assert_eq!(notes.len(), 2, "{notes:?}");
    for notice in house.waiting().await {
        assert_eq!(notice.attempts, 1);
        let error = notice.last_error.unwrap();
        assert!(error.starts_with("http://127.0.0.1/… could not be reached: "), "{error}");
    }
}

#[tokio::test]
async fn a_secret_never_comes_into_notes_or_the_ledger() {
    let house = House::new();
    let gone = webhook().await;
    let base = gone.url("");
    gone.stop().await;
    let refusing = FaultyHttp::start(|request| Answer::status(403).body(request.path.clone())).await.unwrap();
    let secret = "s3cr3t-t0ken";
    let with_header = |name: &str, value: &str| NotifySettings {
        headers: headers([(name, value)]),
        ..to(&refusing.url("/hook/s3cr3t-t0ken"))
    };
    let notifier = notifier(
        house.dir(),
        [
            to(&format!("{base}/services/{secret}?k={secret}")),
            to(&format!("{}/{secret}", base.replace("http://", "http://user:s3cr3t-t0ken@"))),
            with_header("Authorization", secret),
            with_header("X-Bad", "s3cr3t-t0ken\n"),
            with_header("bad name", secret),
        ],
    );
    let notes = house.pass_and_tell(&items(["done-1"]), &notifier).await;
    assert_eq!(notes.len(), 5, "{notes:?}");
    let waiting = house.waiting().await;
    assert_eq!(waiting.len(), 5);
    let shown = format!("{notes:?} {waiting:?} {notifier:?}");
    assert!(!shown.contains(secret), "{shown}");
    assert!(shown.contains("403 Forbidden") && shown.contains("X-Bad") && shown.contains("bad name"), "{shown}");
}

#[tokio::test]
async fn a_webhook_that_asks_to_be_left_alone_is() {
    let house = House::new();
    let answers = [Answer::status(429).header("retry-after", "600"), Answer::ok("")];
    let server = FaultyHttp::start(in_turn(answers)).await.unwrap();
    let notifier = notifier(house.dir(), [to(&server.url("/hook"))]);
    house.pass_and_tell(&items(["done-1"]), &notifier).await;
    house.clock.advance(MINUTE * 9);
    house.another_job_tells(&notifier).await;
    assert_eq!(server.requests().len(), 1);
    house.clock.advance(MINUTE);
    house.another_job_tells(&notifier).await;
    assert_eq!(server.requests().len(), 2);
    assert!(house.waiting().await.is_empty());
}
