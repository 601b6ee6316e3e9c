//! An upload and every answer that it can meet.

use std::fs;
use std::sync::Arc;

use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::receive::gate::Off;

use super::rig::{MASTER, Rig, TOKEN};
use crate::rows::row;

#[tokio::test(flavor = "multi_thread")]
async fn an_episode_is_stored_and_indexed_and_again_it_is_present() {
    let rig = Rig::new().await;
    let digest = Sha256Digest::of(b"bytes");
    let commit = "AB".repeat(20);
    let first = rig.put("lab/ep-1", &[("X-Code-Commit", &commit)], b"bytes").await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.header("location"), Some("/v1/episodes/lab/ep-1"));
    let json = first.json();
    assert_eq!((json["sha256"].as_str(), json["size_bytes"].as_u64()), (Some(&*digest.to_string()), Some(5)));
    assert_eq!(fs::read(rig.path("episodes/lab/ep-1.tar.zst")).unwrap(), b"bytes");
    let again = rig.put("lab/ep-1", &[("Content-Digest", &digest.to_field())], b"bytes").await;
    assert_eq!((again.status, again.json()["stored"].as_bool()), (200, Some(false)));
    let rows = rig.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["gate"], "off");
    assert_eq!(rows[0]["commit"], commit.to_lowercase());
    assert_eq!(rows[0].get("backfilled"), None);
    assert_eq!(rig.files(), ["lab/ep-1.tar.zst"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_of_the_same_content_are_the_same_episode_and_other_content_is_a_conflict() {
    let rig = Rig::new().await;
    assert_eq!(rig.put("lab/a", &[], b"content|level 3").await.status, 201);
    let same = rig.put("lab/a", &[], b"content|level 19").await;
    assert_eq!((same.status, rig.rows().len()), (200, 1), "{same:?}");
    let other = rig.put("lab/a", &[], b"altered|level 3").await;
    assert_eq!((other.status, other.code().as_str()), (409, "conflict"));
    let json = other.json();
    for (member, bytes) in [
        ("sha256", &b"altered|level 3"[..]),
        ("stored_sha256", b"content|level 3"),
        ("content_sha256", b"altered"),
        ("stored_content_sha256", b"content"),
    ] {
        assert_eq!(json[member], Sha256Digest::of(bytes).to_string(), "{member}");
    }
    let junk = rig.put("lab/a", &[], b"junk").await;
    assert_eq!(junk.status, 409);
    assert_eq!(junk.json()["detail"], "what was sent is no episode: the archive cannot be read: it has no end");
    assert_eq!(fs::read(rig.path("episodes/lab/a.tar.zst")).unwrap(), b"content|level 3");
    assert_eq!(rig.files(), ["lab/a.tar.zst"]);
    assert_eq!(rig.put("lab2/a", &[], b"altered|level 3").await.status, 201, "another host has names of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_what_the_row_has_whatever_the_header_claims() {
    let rig = Rig::new().await;
    let (claim, other) = (Sha256Digest::of(b"one").to_string(), Sha256Digest::of(b"other").to_string());
    let said = |sha256| [("X-Episode-Content-Sha256", sha256)];
    assert_eq!(rig.put("lab/a", &said(&*claim), b"one|level 3").await.json()["content_sha256"], claim);
    for headers in [&said(&*other)[..], &said(&*claim), &[]] {
        for body in [&b"one|level 3"[..], b"one|level 19"] {
            let again = rig.put("lab/a", headers, body).await;
            assert_eq!((again.status, again.json()["content_sha256"].as_str()), (200, Some(&*claim)), "{headers:?}");
        }
    }
    assert_eq!((rig.rows().len(), rig.rows()[0]["content_sha256"].as_str()), (1, Some(&*claim)));
    // What the row does not know is not made up either; of another pack it was read just now.
    assert_eq!(rig.put("lab/b", &[], b"two|level 3").await.status, 201);
    let again = rig.put("lab/b", &said(&*other), b"two|level 3").await;
    assert_eq!((again.status, &again.json()["content_sha256"]), (200, &serde_json::Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_row_that_is_missing_is_repaired_on_the_way() {
    let rig = Rig::new().await;
    rig.put("lab/a", &[], b"one|3").await;
    rig.put("lab/b", &[], b"two|3").await;
    let dir = rig.end().await;
    fs::write(dir.path().join("index.jsonl"), b"").unwrap();
    let rig = Rig::start(dir, Arc::new(Off), |_| {}).await;
    let same = rig.put("lab/a", &[("X-Code-Commit", &"c".repeat(40))], b"one|3").await;
    assert_eq!((same.status, same.json()["repaired"].as_bool()), (200, Some(true)));
    // Other bytes of the same content: the row is of those that are stored.
    let repacked = rig.put("lab/b", &[], b"two|19").await;
    assert_eq!((repacked.status, repacked.json()["repaired"].as_bool()), (200, Some(true)));
    let rows = rig.rows();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["commit"], "c".repeat(40));
    assert_eq!(rows[1]["sha256"], Sha256Digest::of(b"two|3").to_string());
    assert_eq!(rows[1]["content_sha256"], Sha256Digest::of(b"two").to_string());
    assert_eq!(rig.put("lab/b", &[], b"two|19").await.json()["repaired"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_episode_whose_file_was_lost_is_stored_again() {
    let rig = Rig::new().await;
    rig.put("lab/a", &[], b"one").await;
    fs::remove_file(rig.path("episodes/lab/a.tar.zst")).unwrap();
    assert_eq!(rig.put("lab/a", &[], b"one").await.status, 201);
    assert_eq!(rig.rows().len(), 1, "its row is there already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_episode_does_not_come_back() {
    let rig = Rig::new().await;
    rig.put("lab/a", &[], b"one").await;
    // As another process does it.
    fs::remove_file(rig.path("episodes/lab/a.tar.zst")).unwrap();
    let mut tombstone = row("lab/a", b"one");
    tombstone.withdrawn = Some("the lens cap was on".to_owned());
    let mut index = fs::read(rig.path("index.jsonl")).unwrap();
    index.extend(tombstone.to_line().into_bytes());
    fs::write(rig.path("index.jsonl"), index).unwrap();
    let again = rig.put("lab/a", &[], b"one").await;
    assert_eq!((again.status, again.code().as_str()), (409, "withdrawn"));
    assert_eq!(again.json()["detail"], "the lens cap was on");
    assert_eq!(rig.get("/v1/episodes/lab/a").await.status, 410);
    assert_eq!(rig.files(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_what_its_digest_says_leaves_nothing() {
    let rig = Rig::new().await;
    let (other, hex) = (Sha256Digest::of(b"other").to_field(), Sha256Digest::of(b"other").to_string());
    for header in [("Content-Digest", &*other), ("Repr-Digest", &other), ("X-Sha256", &hex)] {
        let wrong = rig.put("lab/a", &[header], b"bytes").await;
        assert_eq!((wrong.status, wrong.code().as_str()), (400, "wrong-digest"), "{header:?}");
        assert_eq!(wrong.json()["declared_sha256"], hex);
    }
    let right = Sha256Digest::of(b"bytes").to_field();
    let torn = "sha-256=:AAAA:";
    for headers in [
        [("Content-Digest", &*right), ("Repr-Digest", &other)],
        [("Content-Digest", &right), ("X-Sha256", "abc")],
        [("Content-Digest", torn), ("X-Sha256", &hex)],
        [("Content-Digest", &right), ("Content-Digest", &other)],
        [("Content-Digest", &right), ("X-Episode-Content-Sha256", "abc")],
    ] {
        let unclear = rig.put("lab/a", &headers, b"bytes").await;
        assert_eq!((unclear.status, unclear.code().as_str()), (400, "bad-digest-field"), "{headers:?}");
    }
    rig.assert_nothing_written();
    let both = [("Content-Digest", &*right), ("X-Sha256", &Sha256Digest::of(b"bytes").to_string())];
    assert_eq!(rig.put("lab/a", &both, b"bytes").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_known_or_not_of_the_host_writes_nothing() {
    let rig = Rig::new().await;
    for wrong in
        ["Bearer nope", "Bearer", "Bearer ", "Basic Y29ycmVjdCBob3JzZQ==", "correct horse", "Bearer correct horse x"]
    {
        let nobody = rig.put("lab/a", &[("Authorization", wrong)], b"bytes").await;
        assert_eq!((nobody.status, nobody.code().as_str()), (401, "no-identity"), "{wrong}");
        assert!(nobody.header("www-authenticate").is_some());
    }
    let foreign = rig.put("lab3/a", &[], b"bytes").await;
    assert_eq!((foreign.status, foreign.code().as_str()), (403, "foreign-host"));
    // Who calls is asked before what it is called, and before how large it is.
    let nobody = [("Authorization", "Bearer nope")];
    assert_eq!(rig.put("../x", &nobody, b"bytes").await.status, 401);
    assert_eq!(rig.put("%ff/x", &nobody, b"bytes").await.status, 401);
    for path in ["/v1/episodes/lab/a", "/v1/episodes"] {
        assert_eq!(rig.ask("GET", path, &nobody, b"").await.status, 401);
    }
    assert_eq!(rig.ask("POST", "/v1/ping", &nobody, b"").await.status, 401);
    rig.assert_nothing_written();
    let bearer = [("Authorization", &*format!("Bearer {MASTER}"))];
    assert_eq!(rig.put("lab3/a", &bearer, b"bytes").await.status, 201);
    // What proxies say is no word of a client's.
    let claims = [("Client-Cert", ":AAAA:"), ("X-Client-Name", "lab3"), ("Authorization", "Bearer nope")];
    assert_eq!(rig.put("lab3/b", &claims, b"bytes").await.status, 401);
    assert_eq!(TOKEN, "correct horse");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_shipper_without_a_digest_is_taken_and_hashed_here() {
    let rig = Rig::with(|settings| {
        settings.commit_header = serde_json::from_str("\"X-Cis490-Code-Commit\"").unwrap();
    })
    .await;
    let taken = rig.put("lab/a", &[("X-Cis490-Code-Commit", &"d".repeat(40))], b"bytes").await;
    assert_eq!(taken.status, 201);
    assert_eq!(rig.rows()[0]["commit"], "d".repeat(40));
    let mut client = rig.connect().await;
    client
        .say(format!(
            "PUT /v1/episodes/lab/b HTTP/1.1\r\nHost: r\r\nAuthorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        ))
        .await;
    assert_eq!(client.answer(false).await.status, 201);
    assert_eq!(fs::read(rig.path("episodes/lab/b.tar.zst")).unwrap(), b"abcde");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_tree_with_gaps_and_a_torn_end_is_taken_on_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let host = dir.path().join("episodes/lab");
    fs::create_dir_all(&host).unwrap();
    fs::write(host.join("old.tar.zst"), b"old|").unwrap();
    fs::write(host.join("gap.tar.zst"), b"gap|").unwrap();
    let old = format!(
        r#"{{"schema_version":1,"host_id":"lab","episode_id":"old","sha256":"{}","size_bytes":4,"received_at_wall":"2024-05-01T00:00:00+00:00"}}"#,
        Sha256Digest::of(b"old|")
    );
    fs::write(dir.path().join("index.jsonl"), format!("{old}\nnot a row\n{{\"torn")).unwrap();
    let rig = Rig::start(dir, Arc::new(Off), |_| {}).await;
    assert_eq!(rig.put("lab/old", &[], b"old|").await.status, 200);
    assert_eq!(rig.put("lab/old", &[], b"old|x").await.status, 200);
    assert_eq!(rig.put("lab/old", &[], b"new|").await.status, 409);
    assert_eq!(rig.put("lab/gap", &[], b"gap|").await.json()["repaired"], true);
    let index = fs::read_to_string(rig.path("index.jsonl")).unwrap();
    assert!(
        index.starts_with(&format!("{old}\nnot a row\n{{\"commit\""))
            || index.starts_with(&format!("{old}\nnot a row\n{{\"episode_id\":\"gap\"")),
        "{index}"
    );
    assert!(rig.path("quarantine/index.jsonl.0").exists());
}
