//! What an answer proves: a portal's page is no receiver's word, and what is removed was named by its hash.

use std::fs;

use highwater_engine::report::{ExitCode, Reason};
use highwater_engine::settings::ByteSize;
use highwater_episodes::name::EpisodeId;
use highwater_episodes::ship::{MARKER, Outbox};

use crate::life::Host;
use crate::receive::rig::Rig;
use crate::resume::{Foreign, host_with, say};

fn page(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

/// A host that keeps nothing that it may remove, with an episode that goes whole or in parts.
fn forgetful(rig: &Rig, foreign: &Foreign, whole: bool) -> Host {
    let mut host = host_with(rig, foreign.address, 2 << 20);
    host.settings.resume_above = if whole { ByteSize::mib(64) } else { ByteSize::mib(1) };
    host.settings.keep_time = Some("1s".parse().unwrap());
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_everything_is_no_receiver() {
    let rig = Rig::new().await;
    let portal = "<html>captive portal</html>";
    for (said, told) in [
        (page(200, "Content-Type: text/html; charset=utf-8\r\n", portal), "200 text/html"),
        (page(200, "", portal), "200 without a media type"),
        (page(201, "Content-Type: text/html\r\n", portal), "201 text/html"),
        (page(200, "Content-Type: application/captive+json\r\n", "{\"captive\":true}"), "200 application/captive+json"),
        (page(302, "Location: http://login.invalid/\r\n", ""), "302 without"),
        (page(511, "Content-Type: text/html\r\n", portal), "511 text/html"),
    ] {
        for (whole, pings) in [(true, true), (false, true), (true, false), (false, false)] {
            let said = said.clone();
            let foreign = Foreign::new(move |head, _| match head {
                head if !pings && head.starts_with("post /v1/ping") => say(404, ""),
                _ => said.clone(),
            })
            .await;
            let host = forgetful(&rig, &foreign, whole);
            for _ in 0..2 {
                let report = host.pass().await;
                assert_eq!(
                    (report.exit, report.reason, report.counts.done),
                    (ExitCode::Checkpoint, Reason::Network, 0),
                    "{told}, {whole} {pings}: {}: {:?}",
                    report.message,
                    host.told().await
                );
            }
            let items = host.told().await;
            assert!(items[0].contains("the answer is not a receiver's: ") && items[0].contains(told), "{items:?}");
            assert!(items[0].contains("check the address, a proxy or a captive portal"), "{items:?}");
            assert_eq!((host.names("episodes"), host.names("shipped")), (vec!["ep".to_owned()], vec![]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_hash_retires_an_episode_that_is_then_never_removed() {
    let rig = Rig::new().await;
    for said in [say(201, ""), say(200, ""), page(201, "Content-Type: application/json\r\n", "{\"status\":\"stored\"}")]
    {
        let foreign = Foreign::new(move |head, _| match head {
            head if head.starts_with("put ") => said.clone(),
            _ => say(404, ""),
        })
        .await;
        let host = forgetful(&rig, &foreign, true);
        assert_eq!(host.pass().await.counts.done, 1);
        assert_eq!(host.told().await, ["ep done"], "it is no receipt");
        assert_eq!(host.names("shipped"), ["ep"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_shipped_already_gets_a_receipt_only_where_the_receiver_read_the_same() {
    const READ: &str = "X-Episode-Verified: read\r\n";
    let rig = Rig::new().await;
    let problem = "Content-Type: application/problem+json\r\n".to_owned();
    for (status, said, has_receipt, is_not_there) in [
        (200, format!("X-Episode-Content-Sha256: CONTENT\r\n{READ}"), true, false),
        // By its row: it was so once.
        (200, "X-Episode-Content-Sha256: CONTENT\r\n".to_owned(), false, false),
        (200, format!("X-Episode-Content-Sha256: {}\r\n{READ}", "0".repeat(64)), false, true),
        (200, READ.to_owned(), false, true),
        (200, String::new(), false, false),
        (404, String::new(), false, false),
        (404, problem.clone(), false, true),
        (409, problem, false, true),
        (501, String::new(), false, false),
    ] {
        let mut host = Host::new(&rig);
        host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
        host.record("ep", "x", None);
        assert_eq!(host.pass().await.reason, Reason::Network);
        let id = EpisodeId::new("ep").unwrap();
        let content = Outbox::open(&host.path("outbox")).unwrap().noted(&id).unwrap().unwrap().content_sha256;
        // As by a pass that was killed before it was recorded.
        fs::rename(host.path("episodes/ep"), host.path("shipped/ep")).unwrap();
        let named = said.replace("CONTENT", &content.to_string());
        let far = Foreign::new(move |head, _| match head {
            head if !head.starts_with("head ") => say(404, ""),
            head if head.contains("x-episode-verify: read") => say(status, &named),
            // Who is not asked to read does not.
            _ => say(status, &named.replace(READ, "")),
        })
        .await;
        host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", far.address))).unwrap();
        let report = host.pass().await;
        let told = host.told().await;
        let done = u64::from(!is_not_there);
        let counts = (report.counts.done, report.counts.review, host.names("shipped").len());
        assert_eq!(counts, (done, 1 - done, 1), "{status} {said}: {told:?}");
        assert_eq!(told[0].contains("the receiver has it"), has_receipt, "{status} {said}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_names_other_bytes_or_comes_from_elsewhere_is_none() {
    let rig = Rig::new().await;
    let other = format!("{{\"sha256\":\"{}\"}}", "0".repeat(64));
    let foreign = Foreign::new(move |head, _| match head {
        head if head.starts_with("put ") => page(201, "", &other),
        _ => say(404, ""),
    })
    .await;
    let host = forgetful(&rig, &foreign, true);
    assert_eq!(host.pass().await.reason, Reason::Network);
    assert!(host.told().await[0].contains("the answer names other bytes"), "{:?}", host.told().await);
    let there = Foreign::new(|_, _| say(201, "")).await;
    let to = format!("Location: http://localhost:{}/\r\n", there.address.port());
    let foreign = Foreign::new(move |head, _| match head {
        head if head.starts_with("put ") => say(307, &to),
        _ => say(404, ""),
    })
    .await;
    let host = forgetful(&rig, &foreign, true);
    assert_eq!(host.pass().await.reason, Reason::Network);
    assert!(host.told().await[0].contains(" from localhost; expected"), "{:?}", host.told().await);
    assert_eq!((host.names("episodes"), there.asked.lock().unwrap().len()), (vec!["ep".to_owned()], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_withdrawn_is_told_as_that_and_with_what_to_do() {
    let rig = Rig::new().await;
    let problem = r#"{"title":"This episode was withdrawn","detail":"lens cap","code":"withdrawn"}"#;
    for whole in [true, false] {
        let foreign = Foreign::new(move |head, _| match head {
            head if head.starts_with("post /v1/ping") => say(404, ""),
            _ => page(409, "Content-Type: application/problem+json\r\n", problem),
        })
        .await;
        let host = forgetful(&rig, &foreign, whole);
        assert_eq!(host.pass().await.counts.review, 1);
        let told = host.told().await.remove(0);
        assert!(told.contains("the receiver withdrew this episode and takes it no more: lens cap; "), "{told}");
        assert!(told.contains("withdraw lab/ep --make-room") && !told.contains("another"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_a_meta_json_without_a_usable_commit_is_told_and_once_corrected_is_sent() {
    let rig = Rig::new().await;
    let good = "0123456789abcdef0123456789abcdef01234567";
    let foreign = Foreign::new(move |head, _| {
        let verdict = if head.contains(good) { "accepted" } else { "missing" };
        match head {
            head if head.starts_with("post /v1/ping") => page(
                200,
                "",
                &format!(r#"{{"hosts":"*","gate":{{"verdict":"{verdict}","remediation":"git pull\nmake install"}}}}"#),
            ),
            head if head.starts_with("put ") => say(201, ""),
            _ => say(404, ""),
        }
    })
    .await;
    for (meta, found) in [
        (Some(r#"{"code_version":{"commit":"xyz"}}"#), "`meta.json` has `code_version.commit` = \"xyz\", expected"),
        (Some("{}"), "`meta.json` has no `code_version.commit`, expected"),
        (None, "`meta.json` with `code_version.commit` cannot be read"),
    ] {
        let host = forgetful(&rig, &foreign, true);
        let path = host.path("episodes/ep/meta.json");
        if let Some(meta) = meta {
            fs::write(&path, meta).unwrap();
            host.mark("ep");
        }
        assert_eq!(host.pass().await.counts.review, 1);
        let told = host.told().await.remove(0);
        assert!(told.contains(found) && told.contains("; correct it and touch `done.marker`"), "{told}");
        assert!(!told.contains("git pull") && !told.contains('\n'), "{told}");
        fs::write(&path, format!(r#"{{"code_version":{{"commit":"{good}"}}}}"#)).unwrap();
        fs::write(host.path(&format!("episodes/ep/{MARKER}")), "").unwrap();
        let report = host.pass().await;
        assert_eq!(report.counts.done, 1, "{}: {:?}", report.message, host.told().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_where_it_was_redirected_to_is_none_of_the_receivers() {
    let rig = Rig::new().await;
    for status in [401, 403, 409, 413] {
        let there = Foreign::new(move |_, _| say(status, "")).await;
        let to = format!("Location: http://127.0.0.1:{}/\r\n", there.address.port());
        for (whole, pings) in [(true, true), (true, false), (false, false)] {
            let to = to.clone();
            let foreign = Foreign::new(move |head, _| match head {
                head if !pings && head.starts_with("post /v1/ping") => say(404, ""),
                _ => say(307, &to),
            })
            .await;
            let host = forgetful(&rig, &foreign, whole);
            let report = host.pass().await;
            assert_eq!(report.reason, Reason::Network, "{status} {whole} {pings}: {:?}", host.told().await);
            let told = host.told().await.remove(0);
            assert!(told.contains(&format!("{status} ")) && told.contains(&there.address.to_string()), "{told}");
        }
    }
}
