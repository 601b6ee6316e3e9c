//! Documents of the web, from servers that mean well and from such that do not.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use highwater_engine::report::{ExitCode, Reason};
use highwater_kb::recompile::Which;
use highwater_kb::web::Patience;
use highwater_testkit::faulty_http::{Answer, FaultyHttp, in_turn};

use crate::rig::{Edition, Rig};

const TIDES: &str = "# Tides\n\nThe tidal range is the height between high water and low water.\n";

fn markdown(text: &str) -> Answer {
    Answer::ok(text.to_owned()).header("content-type", "text/markdown; charset=utf-8")
}

async fn server(answers: impl IntoIterator<Item = Answer>) -> FaultyHttp {
    FaultyHttp::start(in_turn(answers)).await.unwrap()
}

/// What became of the only document that this server has, and why.
async fn became(answer: Answer) -> (String, String) {
    became_in(Rig::new(), answer, Patience::default()).await
}

async fn became_in(rig: Rig, answer: Answer, patience: Patience) -> (String, String) {
    let server = FaultyHttp::start(move |_| answer.clone()).await.unwrap();
    let head = rig.head();
    rig.fetch(&[&server.url("/tides")], patience).await;
    let (_, kind, why) = rig.outcomes("fetch").await.remove(0);
    assert_eq!(rig.head(), head, "nothing is in the base: {kind}, {why}");
    assert_eq!(std::fs::read_dir(rig.path("notes/.highwater/desks")).unwrap().count(), 0, "and nothing is left of it");
    (kind, why)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_the_web_is_kept_named_by_its_address_and_known_when_it_comes_again() {
    let rig = Rig::new();
    let newer = TIDES.replace("low water", "the lowest");
    let server = server([markdown(TIDES), markdown(TIDES), markdown(&newer)]).await;
    let url = server.url("/papers/The%20tides.php?id=7");
    let report = rig.fetch(&[&format!("{url}#top")], Patience::default()).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{report:?}");
    assert_eq!(rig.page("raw/The-tides.md").as_deref(), Some(TIDES));
    let known = rig.opened().0.document(&crate::rig::named("The tides")).unwrap().unwrap();
    assert_eq!(known.origin.as_str(), url);
    assert_eq!(known.origin.address(), Some(url.as_str()));

    let report = rig.fetch(&[&url], Patience::default()).await;
    assert_eq!((report.counts.present, report.counts.done), (1, 0), "{report:?}");
    let report = rig.fetch(&[&url], Patience::default()).await;
    assert_eq!((report.counts.present, report.counts.done), (0, 1), "{report:?}");
    assert_eq!(rig.page("raw/The-tides.md"), Some(newer));
    // It is made anew from what was kept, without a contact.
    let report = rig.recompile(Edition::of(2), Which::All).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{report:?}");
    let asked = server.stop().await;
    assert_eq!(asked.len(), 3);
    assert!(asked[0].header("user-agent").unwrap().starts_with("highwater/"), "{:?}", asked[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_web_shows_no_file_of_whoever_reads_it() {
    let rig = Rig::new();
    rig.write("notes/raw/secret.png", highwater_testkit::documents::PNG);
    rig.write("secret.png", highwater_testkit::documents::PNG);
    let server =
        server([markdown("# Tides\n\n![a](secret.png) ![b](../secret.png) ![c](/etc/passwd) and words.\n")]).await;
    let report = rig.fetch(&[&server.url("/tides.md")], Patience::default()).await;
    assert_eq!(report.counts.done, 1, "{report:?}");
    let known = rig.opened().0.document(&crate::rig::named("tides")).unwrap().unwrap();
    assert_eq!(known.images, []);
    let report = rig.recompile(Edition::of(2), Which::All).await;
    assert_eq!(report.counts.done, 1, "{report:?}");
    let known = rig.opened().0.document(&crate::rig::named("tides")).unwrap().unwrap();
    assert_eq!(known.images, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_an_end_is_read_as_far_as_a_document_may_go() {
    let small = || {
        let mut rig = Rig::new();
        rig.limits.document_bytes = 1 << 20;
        rig
    };
    let endless = markdown(&"tides and more tides\n".repeat(1000)).endless();
    let (kind, why) = became_in(small(), endless, Patience::default()).await;
    assert_eq!((kind.as_str(), why.as_str()), ("review", "it has 2 MiB, more than the 1 that are read"));
    // One that says beforehand how large it is, is not read at all.
    let (kind, why) = became_in(small(), markdown(&"x".repeat(3 << 20)), Patience::default()).await;
    assert_eq!((kind.as_str(), why.as_str()), ("review", "it has 3 MiB, more than the 1 that are read"));
    // One that unfolds into much is as large as what it unfolds into.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let part = vec![b'x'; 1 << 20];
    (0..64).for_each(|_| bomb.write_all(&part).unwrap());
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let bomb = Answer::ok(bomb).header("content-type", "text/plain").header("content-encoding", "gzip");
    let (kind, why) = became_in(small(), bomb, Patience::default()).await;
    assert_eq!((kind.as_str(), why.as_str()), ("review", "it has 2 MiB, more than the 1 that are read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_or_does_not_go_on_is_tried_again() {
    let (kind, why) = became(markdown(&TIDES.repeat(100)).cut_after(20)).await;
    assert!(kind == "retry" && why.starts_with("it broke off: "), "{kind}, {why}");
    let patience = Patience { answer: Duration::from_secs(60), silence: Duration::from_millis(200) };
    let (kind, why) = became_in(Rig::new(), markdown(&TIDES.repeat(100)).stall_after(20), patience).await;
    assert!(kind == "retry" && why.contains("silent for"), "{kind}, {why}");
    let (kind, why) = became_in(Rig::new(), Answer::silence(), Patience { answer: patience.silence, ..patience }).await;
    assert!(kind == "retry" && why.contains("did not answer"), "{kind}, {why}");
    let (kind, why) = became(Answer::hang_up()).await;
    assert!(kind == "retry" && why.contains("did not answer"), "{kind}, {why}");
    let torn = Answer::ok(&b"\x1f\x8b\x08\0\0\0 and no gzip"[..]).header("content-encoding", "gzip");
    let (kind, why) = became(torn).await;
    assert!(kind == "retry", "{kind}, {why}");

    // The next pass has it.
    let rig = Rig::new();
    let server = server([markdown(TIDES).cut_after(20), markdown(TIDES)]).await;
    let report = rig.fetch(&[&server.url("/tides")], Patience::default()).await;
    assert_eq!((report.exit, report.reason), (ExitCode::Checkpoint, Reason::RetryLeft), "{report:?}");
    let report = rig.fetch(&[&server.url("/tides")], Patience::default()).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_document_is_told_as_what_it_is() {
    for (answer, expected, says) in [
        (Answer::status(404), "gone", "it was answered with 404 Not Found"),
        (Answer::status(410), "gone", "410 Gone"),
        (Answer::status(403), "review", "403 Forbidden"),
        (Answer::status(401), "review", "401 Unauthorized"),
        (Answer::status(204), "review", "204 No Content"),
        (Answer::status(304), "review", "304 Not Modified"),
        (Answer::status(500), "retry", "500 Internal Server Error"),
        (
            Answer::ok(&b"\x89PNG\r\n\x1a\n"[..]).header("content-type", "image/png"),
            "review",
            "image/png, which is no document",
        ),
        (markdown("\n \n"), "review", "no text"),
    ] {
        let (kind, why) = became(answer).await;
        assert!(kind == expected && why.contains(says), "{expected}, {says}: {kind}, {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_a_few_times_and_into_no_private_network() {
    let rig = Rig::new();
    let server = FaultyHttp::start(|asked| match asked.path.as_str() {
        "/old" => Answer::status(302).header("location", "/new"),
        "/new" => markdown(TIDES),
        "/loop" => Answer::status(301).header("location", "/loop"),
        "/file" => Answer::status(302).header("location", "file:///etc/passwd"),
        "/nowhere" => Answer::status(302).header("location", "http://"),
        _ => {
            let port = asked.header("host").unwrap().split(':').nth(1).unwrap().to_owned();
            let inside = match asked.path.as_str() {
                "/inside" => format!("http://127.0.0.2:{port}/new"),
                "/inside-6" => format!("http://[::1]:{port}/new"),
                "/inside-number" => format!("http://2130706434:{port}/new"),
                _ => format!("http://localhost:{port}/new"),
            };
            Answer::status(307).header("location", &inside)
        }
    })
    .await
    .unwrap();
    let urls = ["old", "loop", "file", "nowhere", "inside", "inside-6", "inside-number", "inside-name"];
    let urls: Vec<String> = urls.iter().map(|path| server.url(&format!("/{path}"))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let report = rig.fetch(&urls, Patience::default()).await;
    let outcomes = rig.outcomes("fetch").await;
    assert_eq!((report.exit, report.counts.done, report.counts.review), (ExitCode::Drained, 1, 7), "{outcomes:#?}");
    let why = |path: &str| {
        let found = outcomes.iter().find(|(key, ..)| key.ends_with(&format!("/{path}"))).unwrap();
        found
            .2
            .replace(&server.address().to_string(), "HOST")
            .replace(&format!(":{}/", server.address().port()), ":PORT/")
    };
    assert_eq!(why("loop"), "http://HOST/loop redirects to /loop, and so on: too many times");
    assert_eq!(why("file"), "http://HOST/file redirects to file:///etc/passwd, which is no address of the web");
    assert!(why("nowhere").contains("which is no address"), "{}", why("nowhere"));
    let private = "which lies in a private network: name that address yourself if you want it";
    for (path, to) in [("inside", "127.0.0.2"), ("inside-6", "[::1]"), ("inside-number", "2130706434")] {
        assert_eq!(why(path), format!("http://HOST/{path} redirects to http://{to}:PORT/new, {private}"));
    }
    assert_eq!(why("inside-name"), format!("it leads to localhost, {private}"));
    // It is called as it was named, and not as where it lies today.
    assert!(rig.page("raw/old.md").is_some());
    let asked = server.stop().await;
    let times = |path: &str| asked.iter().filter(|asked| asked.path == path).count();
    assert_eq!((times("/loop"), times("/new")), (6, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_a_host_that_asks_for_less_is_not_asked_before_its_time() {
    let rig = Rig::new();
    let slow = Answer::status(429).header("retry-after", "3600");
    let server = server([slow, markdown(TIDES), markdown("# More\n\nAnd more of tides.\n")]).await;
    let (one, two) = (server.url("/tides"), server.url("/more"));
    let report = rig.fetch(&[&one, &two], Patience::default()).await;
    assert_eq!((report.exit, report.reason), (ExitCode::Checkpoint, Reason::BannedUntil), "{report:?}");
    let until = report.until.unwrap();
    assert_eq!(until.as_second(), crate::home::now().as_second() + 3600);
    let report = rig.fetch(&[&one, &two], Patience::default()).await;
    assert_eq!((report.exit, report.reason), (ExitCode::Checkpoint, Reason::BannedUntil), "{report:?}");
    assert_eq!(server.requests().len(), 1, "a ban is no contact");
    rig.later(Duration::from_secs(3601));
    let report = rig.fetch(&[&one, &two], Patience::default()).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 2), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_one_name_are_told_apart_and_hosts_alone_are_names() {
    let rig = Rig::new();
    let server =
        FaultyHttp::start(|asked| markdown(&format!("# Of {}\n\nWords of tides.\n", asked.path))).await.unwrap();
    let urls = ["/a/guide", "/b/guide/", "/", "/c/guide.html?x=1"].map(|path| server.url(path));
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let report = rig.fetch(&urls, Patience::default()).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 4), "{report:?}");
    let documents = rig.opened().0.files().unwrap();
    let raws: Vec<&str> = documents.iter().filter_map(|(path, _)| path.as_str().strip_prefix("raw/")).collect();
    assert_eq!(raws.iter().filter(|raw| raw.starts_with("guide")).count(), 3, "{raws:?}");
    assert!(raws.contains(&"guide.md") && raws.iter().any(|raw| raw.starts_with("127.0.0.1")), "{raws:?}");
}
