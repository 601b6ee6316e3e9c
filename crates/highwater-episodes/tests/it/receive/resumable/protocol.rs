//! The protocol, line by line.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use highwater_engine::settings::{ByteSize, DurationText, Whole};
use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::receive::gate::{Claim, Gate, Judge, Verdict};
use highwater_episodes::receive::settings::ReceiverSettings;
use highwater_testkit::sim_clock::SimClock;
use serde_json::Value;
use sha1::Digest as _;

use super::super::rig::{MASTER, Rig, TOKEN, token};
use super::{PART, hex, metadata};

/// How often a client comes again that was told that another has the upload.
const COMES_AGAIN_TIMES: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_is_told_to_everybody() {
    let rig = Rig::with(|settings| settings.limits.size = ByteSize::mib(2)).await;
    let offer = rig.connect().await.ask("OPTIONS", "/v1/uploads", &[], b"").await;
    assert_eq!(offer.status, 204);
    for (name, value) in [
        ("tus-resumable", "1.0.0"),
        ("tus-version", "1.0.0"),
        ("tus-extension", "creation,checksum,expiration,termination"),
        ("tus-max-size", "2097152"),
        ("tus-checksum-algorithm", "sha256,sha1"),
    ] {
        assert_eq!(offer.header(name), Some(value));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_an_upload_in_parts_is_stored_and_indexed_as_a_put_is() {
    let rig = Rig::new().await;
    let (bytes, commit) = (b"one two|three".as_slice(), "c".repeat(40));
    let pairs = [("host", "lab"), ("episode", "a"), ("commit", &*commit), ("filename", "a.tar.zst")];
    let begun = rig.post(bytes.len(), &pairs).await;
    assert_eq!((begun.status, begun.header("tus-resumable")), (201, Some("1.0.0")));
    assert!(begun.header("upload-expires").unwrap().ends_with(" GMT"));
    let place = begun.header("location").unwrap();
    assert!(place.starts_with("/v1/uploads/"), "{place}");
    let part = rig.patch(place, 0, b"one ").await;
    assert_eq!((part.status, part.header("upload-offset"), part.body.len()), (204, Some("4"), 0));
    assert!(part.header("upload-expires").is_some());
    let head = rig.tus("HEAD", place, &[], b"").await;
    assert_eq!((head.status, head.header("upload-offset"), head.header("upload-length")), (200, Some("4"), Some("13")));
    assert_eq!(
        (head.header("cache-control"), head.header("upload-metadata")),
        (Some("no-store"), Some(&*metadata(&pairs)))
    );
    assert_eq!((rig.files(), rig.rows()), (vec![], vec![]), "nobody sees it before its end");
    assert_eq!(rig.patch(place, 4, b"two|").await.header("upload-offset"), Some("8"));
    let last = rig.patch(place, 8, b"three").await;
    assert_eq!((last.status, last.header("upload-offset")), (204, Some("13")));
    assert_eq!(fs::read(rig.path("episodes/lab/a.tar.zst")).unwrap(), bytes);
    let rows = rig.rows();
    assert_eq!(
        (rows.len(), rows[0]["sha256"].as_str(), rows[0]["size_bytes"].as_u64()),
        (1, Some(&*hex(bytes)), Some(13))
    );
    assert_eq!((rows[0]["commit"].as_str(), rows[0]["gate"].as_str()), (Some(&*commit), Some("off")));
    // Whoever did not read the answer asks, and is told.
    assert_eq!(rig.offset(place).await, Some(13));
    assert_eq!(rig.patch(place, 13, b"").await.status, 204);
    assert_eq!(rig.patch(place, 0, bytes).await.code(), "wrong-offset");
    assert!(rig.left().iter().all(|name| name.ends_with(".record")), "{:?}", rig.left());
    // The same by PUT is the same.
    assert_eq!(rig.put("lab/a", &[], bytes).await.status, 200);
    assert_eq!(rig.rows().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_upload_is_at_its_end_when_it_begins() {
    let rig = Rig::new().await;
    let begun = rig.post(0, &[("host", "lab"), ("episode", "a")]).await;
    assert_eq!((begun.status, begun.header("upload-offset")), (201, Some("0")));
    assert_eq!((rig.files(), rig.rows().len()), (vec!["lab/a.tar.zst".to_owned()], 1));
    assert_eq!(rig.offset(begun.header("location").unwrap()).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_says_what_is_wrong_with_the_request() {
    let rig = Rig::new().await;
    let place = rig.begun("a", 10).await;
    assert_eq!(rig.patch(&place, 0, b"12345").await.status, 204);
    // The version.
    for (method, path) in [("POST", "/v1/uploads"), ("PATCH", &*place), ("HEAD", &place), ("DELETE", &place)] {
        for said in [&[][..], &[("Tus-Resumable", "0.2.2")]] {
            let refused = rig.ask(method, path, said, b"").await;
            assert_eq!((refused.status, refused.header("tus-version")), (412, Some("1.0.0")), "{method}");
        }
    }
    let sum = |bytes: &[u8]| format!("sha256 {}", BASE64_STANDARD.encode(Sha256Digest::of(bytes).as_bytes()));
    // The offset.
    for offset in [0, 4, 6, 10, 11] {
        let refused = rig.patch(&place, offset, b"12345").await;
        assert_eq!((refused.code().as_str(), refused.header("upload-offset")), ("wrong-offset", Some("5")), "{offset}");
        assert_eq!(refused.status, 409);
    }
    for headers in [
        &[PART][..],
        &[PART, ("Upload-Offset", "-5")],
        &[PART, ("Upload-Offset", "+5")],
        &[PART, ("Upload-Offset", "5.0")],
        &[PART, ("Upload-Offset", "")],
        &[PART, ("Upload-Offset", "99999999999999999999")],
        &[PART, ("Upload-Offset", "5"), ("Upload-Offset", "5")],
        &[PART, ("Upload-Offset", "5"), ("Upload-Checksum", "sha256")],
        &[PART, ("Upload-Offset", "5"), ("Upload-Checksum", "sha256 AAAA")],
        &[PART, ("Upload-Offset", "5"), ("Upload-Checksum", "crc32 AAAA")],
        &[PART, ("Upload-Offset", "5"), ("Upload-Checksum", &sum(b"67890")), ("Upload-Checksum", &sum(b"other"))],
    ] {
        let refused = rig.tus("PATCH", &place, headers, b"67890").await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "bad-upload-field"), "{headers:?}");
    }
    // The media type.
    for kind in [&[("Upload-Offset", "5")][..], &[("Upload-Offset", "5"), ("Content-Type", "application/zstd")]] {
        assert_eq!(rig.tus("PATCH", &place, kind, b"67890").await.status, 415);
    }
    // More than was said.
    let more = rig.patch(&place, 5, b"678901").await;
    assert_eq!((more.status, more.code().as_str()), (413, "beyond-length"));
    // The method.
    for (method, path) in [("GET", &*place), ("PUT", &place), ("GET", "/v1/uploads"), ("PATCH", "/v1/uploads")] {
        assert_eq!(rig.tus(method, path, &[], b"").await.status, 405, "{method} {path}");
    }
    // The name.
    for name in ["", "x", "..", "%2e%2e", "0", &"0".repeat(32), &"0".repeat(33), "a%2fb", "%00"] {
        let path = format!("/v1/uploads/{name}");
        assert!(matches!(rig.tus("HEAD", &path, &[], b"").await.status, 404 | 405), "{name:?}");
    }
    assert_eq!(rig.offset(&place).await, Some(5), "none of it did anything");
    assert_eq!(rig.patch(&place, 5, b"67890").await.status, 204);
    assert_eq!(fs::read(rig.path("episodes/lab/a.tar.zst")).unwrap(), b"1234567890");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_would_be_put_together_are_refused_as_they_are_no_episodes() {
    let rig = Rig::new().await;
    let about = metadata(&[("host", "lab"), ("episode", "a")]);
    for concat in ["partial", "final;/v1/uploads/a /v1/uploads/b", "anything"] {
        let begin = [("Upload-Concat", concat), ("Upload-Length", "5"), ("Upload-Metadata", &about)];
        let post = rig.tus("POST", "/v1/uploads", &begin, b"").await;
        assert_eq!((post.status, post.code().as_str()), (400, "bad-upload-field"), "{concat}: {post:?}");
        let told = post.json();
        let (detail, next) = (told["detail"].as_str().unwrap(), told["remediation"].as_str().unwrap());
        assert!(detail.contains("concatenation") && detail.contains("creation,checksum"), "{detail}");
        assert!(next.contains("as one upload"), "{next}");
    }
    assert_eq!(fs::read_dir(rig.path("episodes/.staging")).unwrap().count(), 0);
    rig.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_of_a_chunk_that_is_not_what_its_checksum_says() {
    let rig = Rig::new().await;
    let place = rig.begun("a", 10).await;
    let said = |algorithm: &str, bytes: &[u8]| match algorithm {
        "sha1" => format!("sha1 {}", BASE64_STANDARD.encode(sha1::Sha1::digest(bytes))),
        _ => format!("sha256 {}", BASE64_STANDARD.encode(Sha256Digest::of(bytes).as_bytes())),
    };
    let patch = async |offset: &str, checksum: String, body: &[u8]| {
        let headers = [PART, ("Upload-Offset", offset), ("Upload-Checksum", &*checksum)];
        rig.tus("PATCH", &place, &headers, body).await
    };
    for algorithm in ["sha1", "sha256"] {
        let wrong = patch("0", said(algorithm, b"other"), b"12345").await;
        assert_eq!((wrong.status, wrong.code().as_str()), (460, "checksum-mismatch"), "{algorithm}");
        assert_eq!(rig.offset(&place).await, Some(0));
    }
    assert_eq!(patch("0", said("sha1", b"123"), b"123").await.header("upload-offset"), Some("3"));
    // One that breaks off cannot be held against its checksum.
    let headers = [("Upload-Checksum", &*said("sha256", b"4567890"))];
    let mut head = format!("PATCH {place} HTTP/1.1\r\nHost: r\r\nAuthorization: Bearer correct horse\r\n");
    for (name, value) in
        headers.iter().chain(&[PART, ("Tus-Resumable", "1.0.0"), ("Upload-Offset", "3"), ("Content-Length", "7")])
    {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut client = rig.connect().await;
    client.say(format!("{head}\r\n456")).await;
    drop(client);
    assert_eq!(rig.offset(&place).await, Some(3));
    // The one that broke off may be met only now, and then it is the later one that holds the upload: a client comes again.
    let mut last = patch("3", said("sha256", b"4567890"), b"4567890").await;
    for _ in 0..COMES_AGAIN_TIMES {
        if last.status != 423 {
            break;
        }
        last = patch("3", said("sha256", b"4567890"), b"4567890").await;
    }
    assert_eq!((last.status, last.header("upload-offset")), (204, Some("10")));
    assert_eq!(fs::read(rig.path("episodes/lab/a.tar.zst")).unwrap(), b"1234567890");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_not_wanted_any_more_leaves_nothing() {
    let rig = Rig::new().await;
    let place = rig.begun("a", 10).await;
    assert_eq!(rig.patch(&place, 0, b"12345").await.status, 204);
    assert_eq!(rig.tus("DELETE", &place, &[], b"").await.status, 204);
    assert_eq!(rig.offset(&place).await, None);
    assert_eq!(rig.patch(&place, 5, b"67890").await.code(), "no-such-upload");
    assert_eq!(rig.tus("DELETE", &place, &[], b"").await.status, 404);
    rig.assert_nothing_written();
    // One that is stored stays stored.
    let place = rig.begun("a", 1).await;
    assert_eq!(rig.patch(&place, 0, b"x").await.status, 204);
    assert_eq!(rig.tus("DELETE", &place, &[], b"").await.status, 204);
    assert_eq!((rig.files().len(), rig.left().len(), rig.offset(&place).await), (1, 0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_send_a_method_names_it() {
    let rig = Rig::new().await;
    let place = rig.begun("a", 5).await;
    let named = |method| [PART, ("Upload-Offset", "0"), ("X-HTTP-Method-Override", method)];
    assert_eq!(rig.tus("POST", &place, &named("PATCH"), b"12345").await.status, 204);
    assert_eq!(rig.tus("POST", &place, &named("DELETE"), b"").await.status, 204);
    assert_eq!(rig.tus("HEAD", &place, &named("DELETE"), b"").await.status, 404, "only of a POST");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already_is_told_before_a_byte_is_sent() {
    let rig = Rig::new().await;
    assert_eq!(rig.put("lab/a", &[("X-Episode-Content-Sha256", &hex(b"one"))], b"one|3").await.status, 201);
    let with = async |sha256: &[u8], content: &[u8], size: usize| {
        let (sha256, content) = (hex(sha256), hex(content));
        let pairs = [("host", "lab"), ("episode", "a"), ("sha256", &*sha256), ("content-sha256", &content)];
        rig.post(size, &pairs).await
    };
    let same = with(b"one|3", b"one", 5).await;
    assert_eq!((same.status, same.header("upload-offset")), (201, Some("5")));
    let place = same.header("location").unwrap();
    assert_eq!(rig.offset(place).await, Some(5));
    // One that does not look at the offset it was told is told again.
    assert_eq!(rig.patch(place, 0, b"one|3").await.code(), "wrong-offset");
    let other = with(b"two|3", b"two", 5).await;
    assert_eq!((other.status, other.code().as_str()), (409, "conflict"));
    assert_eq!(
        (other.json()["sha256"].as_str(), other.json()["stored_sha256"].as_str()),
        (Some(&*hex(b"two|3")), Some(&*hex(b"one|3")))
    );
    // Other bytes that are said to hold the same are compared when they have come.
    let other = with(b"one|33", b"one", 6).await;
    assert_eq!((other.status, other.header("upload-offset")), (201, Some("0")));
    assert_eq!(rig.patch(other.header("location").unwrap(), 0, b"one|33").await.status, 204);
    assert_eq!((rig.rows().len(), rig.files().len()), (1, 1));
    let bare = rig.begun("a", 5).await;
    assert_eq!(rig.patch(&bare, 0, b"one|3").await.status, 204);
    assert_eq!(rig.rows().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_part_is_answered_as_a_put_is() {
    let rig = Rig::new().await;
    assert_eq!(rig.put("lab/a", &[], b"one|3").await.status, 201);
    let other = rig.begun("a", 5).await;
    let conflict = rig.patch(&other, 0, b"two|3").await;
    assert_eq!((conflict.status, conflict.code().as_str()), (409, "conflict"));
    assert_eq!(conflict.json()["stored_content_sha256"], hex(b"one"));
    assert_eq!((rig.offset(&other).await, rig.left().len()), (None, 0), "it is refused for good");
    let torn = rig.post(5, &[("host", "lab"), ("episode", "b"), ("sha256", &hex(b"other"))]).await;
    let wrong = rig.patch(torn.header("location").unwrap(), 0, b"bytes").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "wrong-digest"));
    assert_eq!(wrong.json()["declared_sha256"], hex(b"other"));
    assert_eq!((rig.offset(torn.header("location").unwrap()).await, rig.left().len()), (None, 0));
    assert_eq!((rig.files(), rig.rows().len()), (vec!["lab/a.tar.zst".to_owned()], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_its_owners_and_the_host_stays_theirs() {
    let rig = Rig::new().await;
    let place = rig.begun("a", 10).await;
    let master = format!("Bearer {MASTER}");
    let other = ("Authorization", &*master);
    for method in ["HEAD", "PATCH", "DELETE"] {
        let nobody = rig.tus(method, &place, &[("Authorization", "Bearer nope")], b"").await;
        assert_eq!(nobody.status, 401, "{method}");
        assert_eq!(rig.tus(method, &place, &[other, PART, ("Upload-Offset", "0")], b"").await.status, 404, "{method}");
    }
    let foreign = rig.post(1, &[("host", "lab3"), ("episode", "a")]).await;
    assert_eq!((foreign.status, foreign.code().as_str()), (403, "foreign-host"));
    assert_eq!(rig.ask("POST", "/v1/uploads", &[("Authorization", "Bearer nope")], b"").await.status, 401);
    // What its owner may do is asked each time.
    let tokens = vec![token("lab", TOKEN, &["lab2"])];
    rig.receiver.admit_by(&ReceiverSettings { tokens, ..ReceiverSettings::default() });
    for method in ["HEAD", "PATCH", "DELETE"] {
        assert_eq!(rig.tus(method, &place, &[PART, ("Upload-Offset", "0")], b"1").await.status, 403, "{method}");
    }
    assert_eq!((rig.files(), rig.rows()), (vec![], vec![]));
}

/// Accepts one commit for as long as it is told.
#[derive(Debug)]
struct OneCommit(std::sync::atomic::AtomicBool);

impl Gate for OneCommit {
    fn judge(&self, claim: &Claim) -> Verdict {
        let remediation = Some("git pull".to_owned());
        match &claim.commit {
            None => Verdict::Missing { remediation },
            Some(commit) if self.0.load(std::sync::atomic::Ordering::Relaxed) && commit.starts_with('a') => {
                Verdict::Accepted { gate: None }
            }
            Some(commit) => Verdict::Outdated { your_commit: commit.clone(), head_commit: "b".repeat(40), remediation },
        }
    }

    fn judges(&self) -> Vec<Judge> {
        vec![Judge::Recorded]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_code_that_is_out_of_date_begins_no_upload_and_goes_on_with_none() {
    let gate = Arc::new(OneCommit(true.into()));
    let rig = Rig::gated(Arc::clone(&gate) as Arc<dyn Gate>, |_| {}).await;
    let (old, new) = ("c".repeat(40), "a".repeat(40));
    let missing = rig.post(5, &[("host", "lab"), ("episode", "a")]).await;
    assert_eq!((missing.status, missing.code().as_str()), (400, "code-missing"));
    let refused = rig.post(5, &[("host", "lab"), ("episode", "a"), ("commit", &old)]).await;
    assert_eq!((refused.status, refused.json()["remediation"].as_str()), (412, Some("git pull")));
    // In a header as in the metadata.
    let headers = [
        ("X-Code-Commit", &*new),
        ("Upload-Length", "5"),
        ("Upload-Metadata", &metadata(&[("host", "lab"), ("episode", "a")])),
    ];
    let begun = rig.tus("POST", "/v1/uploads", &headers, b"").await;
    assert_eq!(begun.status, 201);
    let place = begun.header("location").unwrap();
    assert_eq!(rig.patch(place, 0, b"12").await.status, 204);
    gate.0.store(false, std::sync::atomic::Ordering::Relaxed);
    let refused = rig.patch(place, 2, b"345").await;
    assert_eq!((refused.status, refused.code().as_str()), (412, "code-outdated"));
    gate.0.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(rig.offset(place).await, Some(2));
    assert_eq!(rig.patch(place, 2, b"345").await.status, 204);
    assert_eq!((rig.rows()[0]["commit"].as_str(), &rig.rows()[0]["gate"]), (Some(&*new), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_time_is_over_is_gone_and_leaves_nothing() {
    let clock = SimClock::standing("2026-11-21T10:00:00Z".parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let set = |settings: &mut ReceiverSettings| {
        settings.limits.resume_time = DurationText::secs(100);
    };
    let rig = Rig::clocked(dir, clock.shared(), set).await;
    let place = rig.begun("a", 10).await;
    let head = rig.tus("HEAD", &place, &[], b"").await;
    assert_eq!(head.header("upload-expires"), Some("Sat, 21 Nov 2026 10:01:40 GMT"));
    clock.advance(Duration::from_secs(90));
    let part = rig.patch(&place, 0, b"12345").await;
    assert_eq!(part.header("upload-expires"), Some("Sat, 21 Nov 2026 10:03:10 GMT"), "it goes on");
    // A restart does not make it younger or older.
    clock.advance(Duration::from_secs(90));
    let rig = Rig::clocked(rig.end().await, clock.shared(), set).await;
    let head = rig.tus("HEAD", &place, &[], b"").await;
    assert_eq!(
        (head.header("upload-offset"), head.header("upload-expires")),
        (Some("5"), part.header("upload-expires"))
    );
    clock.advance(Duration::from_secs(10));
    assert_eq!(rig.tus("HEAD", &place, &[], b"").await.status, 410);
    assert_eq!(rig.patch(&place, 5, b"67890").await.code(), "upload-expired");
    assert_eq!(rig.left().len(), 2);
    let sweeping = tokio::spawn(Arc::clone(&rig.receiver).keep_swept());
    let swept = async {
        while !rig.left().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), swept).await.unwrap();
    sweeping.abort();
    assert_eq!(rig.tus("HEAD", &place, &[], b"").await.status, 404);
    rig.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_as_many_uploads_as_there_may_be_of_a_host_and_in_all() {
    let rig = Rig::with(|settings| {
        settings.limits.open_uploads = Whole::new(3).unwrap();
        settings.limits.open_uploads_per_host = Whole::new(2).unwrap();
    })
    .await;
    let place = rig.begun("a", 10).await;
    rig.begun("b", 10).await;
    let crowded = rig.post(10, &[("host", "lab"), ("episode", "c")]).await;
    assert_eq!((crowded.status, crowded.code().as_str(), crowded.header("retry-after")), (503, "busy", Some("10")));
    assert_eq!(rig.post(10, &[("host", "lab2"), ("episode", "a")]).await.status, 201);
    assert_eq!(rig.post(10, &[("host", "lab2"), ("episode", "b")]).await.status, 503);
    // Whoever begins the same anew has lost the first.
    let again = rig.begun("a", 10).await;
    assert_eq!((rig.offset(&place).await, rig.offset(&again).await), (None, Some(0)));
    assert_eq!(rig.patch(&again, 0, b"1234567890").await.status, 204);
    assert_eq!(
        rig.post(10, &[("host", "lab"), ("episode", "c")]).await.status,
        201,
        "one that is stored is none of them"
    );
    let metrics = rig.get("/metrics").await.text();
    assert!(metrics.contains("highwater_receiver_open_uploads 3"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_is_too_large_for_the_limit_or_the_disk_begins_nothing() {
    let rig = Rig::with(|settings| settings.limits.size = ByteSize::mib(1)).await;
    let large = rig.post((1 << 20) + 1, &[("host", "lab"), ("episode", "a")]).await;
    assert_eq!(
        (large.status, large.code().as_str(), large.header("tus-max-size")),
        (413, "too-large", Some("1048576"))
    );
    let rig = Rig::with(|settings| settings.limits.free = ByteSize::mib(1 << 40)).await;
    let full = rig.post(1, &[("host", "lab"), ("episode", "a")]).await;
    assert_eq!((full.status, full.code().as_str()), (507, "disk-full"));
    rig.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_broke_off_long_ago_makes_room_for_what_its_host_begins() {
    let clock = SimClock::standing("2026-11-21T10:00:00Z".parse().unwrap());
    let set = |settings: &mut ReceiverSettings| settings.limits.open_uploads_per_host = Whole::new(2).unwrap();
    let rig = Rig::clocked(tempfile::tempdir().unwrap(), clock.shared(), set).await;
    let first = rig.begun("a", 10).await;
    clock.advance(Duration::from_secs(60));
    let second = rig.begun("b", 10).await;
    clock.advance(Duration::from_secs(9 * 60 - 1));
    assert_eq!(rig.post(10, &[("host", "lab"), ("episode", "c")]).await.status, 503, "it may go on yet");
    clock.advance(Duration::from_secs(1));
    let third = rig.begun("c", 10).await;
    assert_eq!((rig.offset(&first).await, rig.offset(&second).await), (None, Some(0)));
    assert_eq!(rig.patch(&third, 0, b"1234567890").await.status, 204);
}
