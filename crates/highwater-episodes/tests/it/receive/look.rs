//! What is read from a receiver: episodes, lists, itself.

use std::sync::Arc;

use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::receive::gate::Off;
use serde_json::{Value, json};

use super::rig::{MASTER, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn an_episode_is_read_back_whole_and_in_part() {
    let rig = Rig::new().await;
    let body: Vec<u8> = (0..700_000_u32).map(|n| n as u8).collect();
    let claim = Sha256Digest::of(b"content").to_string();
    rig.put("lab/a", &[("X-Episode-Content-Sha256", &claim)], &body).await;
    let whole = rig.get("/v1/episodes/lab/a").await;
    assert_eq!((whole.status, whole.body == body), (200, true));
    assert_eq!(whole.header("repr-digest"), Some(&*Sha256Digest::of(&body).to_field()));
    assert_eq!(whole.header("x-episode-content-sha256"), Some(&*claim));
    let head = rig.ask("HEAD", "/v1/episodes/lab/a", &[], b"").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("700000"), 0));
    for (range, content, bytes) in [
        ("bytes=10-19", "bytes 10-19/700000", &body[10..20]),
        ("bytes=699990-", "bytes 699990-699999/700000", &body[699_990..]),
        ("bytes=-5", "bytes 699995-699999/700000", &body[699_995..]),
        ("bytes=699999-9999999", "bytes 699999-699999/700000", &body[699_999..]),
    ] {
        let part = rig.ask("GET", "/v1/episodes/lab/a", &[("Range", range)], b"").await;
        assert_eq!((part.status, part.header("content-range"), &*part.body), (206, Some(content), bytes), "{range}");
    }
    for none in ["bytes=700000-", "bytes=-0"] {
        let none = rig.ask("GET", "/v1/episodes/lab/a", &[("Range", none)], b"").await;
        assert_eq!(none.status, 416, "{none:?}");
    }
    for other in ["bytes=5-4", "bytes=0-1,3-4", "lines=1-2", "bytes=x-y"] {
        assert_eq!(rig.ask("GET", "/v1/episodes/lab/a", &[("Range", other)], b"").await.status, 200, "{other}");
    }
    assert_eq!(rig.get("/v1/episodes/lab/b").await.code(), "no-such-episode");
    assert_eq!(rig.get("/v1/episodes/lab3/b").await.code(), "foreign-host");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_what_the_caller_may_see_and_goes_on_from_its_end() {
    let rig = Rig::new().await;
    let master = [("Authorization", &*format!("Bearer {MASTER}"))];
    for name in ["lab/a", "lab2/a", "lab3/a"] {
        rig.put(name, &master, b"bytes").await;
    }
    let keys = |json: &Value| -> Vec<String> {
        let rows = json["episodes"].as_array().unwrap();
        rows.iter()
            .map(|row| format!("{}/{}", row["host_id"].as_str().unwrap(), row["episode_id"].as_str().unwrap()))
            .collect()
    };
    let mine = rig.get("/v1/episodes").await.json();
    assert_eq!((keys(&mine), &mine["complete"]), (vec!["lab/a".to_owned(), "lab2/a".to_owned()], &json!(true)));
    let all = rig.ask("GET", "/v1/episodes", &master, b"").await.json();
    assert_eq!(keys(&all).len(), 3);
    assert_eq!(keys(&rig.get("/v1/episodes?host=lab2").await.json()), ["lab2/a"]);
    assert_eq!(keys(&rig.get("/v1/episodes?since=2999-01-01T00%3A00%3A00Z").await.json()), Vec::<String>::new());
    assert_eq!(rig.get("/v1/episodes?host=lab3").await.status, 403);
    rig.put("lab/b", &[], b"bytes").await;
    let next = rig.get(&format!("/v1/episodes?cursor={}", mine["next"].as_str().unwrap())).await.json();
    assert_eq!(keys(&next), ["lab/b"]);
    for bad in ["?host=..", "?since=yesterday", "?cursor=-1", "?hots=lab", "?host=%ff"] {
        assert_eq!(rig.get(&format!("/v1/episodes{bad}")).await.code(), "bad-query", "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_an_index_that_was_changed_in_place_is_told_and_never_listed_as_if_it_were_whole() {
    let mut rig = Rig::new().await;
    for episode in ["lab/a", "lab/b", "lab/c"] {
        rig.put(episode, &[], b"bytes").await;
    }
    let file = rig.path("index.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    let keys = |page: &Value| {
        let rows = page["episodes"].as_array().unwrap().iter();
        rows.map(|row| row["episode_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // Lines in another order are the same rows in other places.
    let turned: String = whole.lines().rev().map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, &turned).unwrap();
    assert_eq!(keys(&rig.get("/v1/episodes").await.json()), ["c", "b", "a"]);
    // Another name, and a line that is none: of both the row is lost.
    for damaged in [
        turned.replace("\"b\"", "\"x\""),
        turned.replacen("{\"content", "~\"content", 1).replacen("{\"epi", "~\"epi", 1),
    ] {
        assert!(damaged.len() == turned.len() && damaged != turned, "{damaged}");
        std::fs::write(&file, &damaged).unwrap();
        for _ in 0..2 {
            let told = rig.get("/v1/episodes?host=lab").await;
            assert_eq!((told.status, told.code().as_str()), (503, "index-edited"));
            assert!(told.json()["remediation"].as_str().unwrap().contains("`highwater reindex`"));
            assert!(told.header("retry-after").is_some());
        }
        // Whoever sends it again gives it its row back; so does `reindex`.
        for episode in ["lab/a", "lab/b", "lab/c"] {
            assert_eq!(rig.put(episode, &[], b"bytes").await.status, 200);
        }
        let page = rig.get("/v1/episodes").await;
        assert_eq!(page.status, 200, "{}", page.text());
        let mut listed = keys(&page.json());
        listed.retain(|episode| episode != "x");
        listed.sort();
        assert_eq!(listed, ["a", "b", "c"]);
        // What was taken out on purpose is forgotten by one that starts.
        let dir = rig.end().await;
        std::fs::write(&file, &turned).unwrap();
        rig = Rig::start(dir, Arc::new(Off), |_| {}).await;
        assert_eq!(keys(&rig.get("/v1/episodes").await.json()), ["c", "b", "a"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_row_that_was_taken_out_of_the_file_is_told_wherever_one_looks_until_it_is_back() {
    let rig = Rig::new().await;
    for episode in ["lab/a", "lab/b", "lab/c"] {
        rig.put(episode, &[], b"bytes").await;
    }
    let file = rig.path("index.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    let rest: String = whole.split_inclusive('\n').filter(|line| !line.contains("\"b\"")).collect();
    // As an editor writes it: the same file, shorter.
    std::fs::write(&file, &rest).unwrap();
    let told = rig.get("/v1/episodes").await;
    assert_eq!((told.status, told.code().as_str()), (503, "index-edited"));
    let ready = rig.get("/readyz").await;
    assert_eq!((ready.status, ready.code().as_str()), (503, "not-ready"));
    assert!(ready.json()["detail"].as_str().unwrap().contains("1 row was taken out"), "{ready:?}");
    assert!(rig.get("/metrics").await.text().contains("\nhighwater_receiver_index_lost_rows 1\n"));
    // What others add does not hide it; that it is sent again mends it.
    assert_eq!(rig.put("lab/d", &[], b"bytes").await.status, 201);
    assert_eq!(rig.get("/v1/episodes").await.status, 503);
    assert_eq!(rig.put("lab/b", &[], b"bytes").await.json()["repaired"], true);
    assert_eq!((rig.get("/v1/episodes").await.status, rig.get("/readyz").await.status), (200, 200));
    let mut index = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
    std::io::Write::write_all(&mut index, b"no row\n").unwrap();
    assert_eq!(rig.get("/readyz").await.text(), "ready\n1 line of its index is no row\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_says_what_an_upload_would_meet_and_writes_nothing() {
    let rig = Rig::new().await;
    let told = rig.ask("POST", "/v1/ping", &[("X-Code-Commit", &"a".repeat(40))], b"").await;
    let json = told.json();
    assert_eq!(told.status, 200);
    assert_eq!((&json["you"], &json["hosts"]), (&json!("lab"), &json!(["lab", "lab2"])));
    assert_eq!(json["gate"], json!({"verdict": "accepted", "gate": "off", "judges": ["recorded", "ships"]}));
    assert!(json["clock"].as_str().unwrap().ends_with('Z'));
    assert_eq!(json["limits"]["size_bytes"], 64_u64 << 30);
    rig.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_how_it_is_without_asking_who_wants_to_know() {
    let rig = Rig::new().await;
    rig.put("lab/a", &[], b"bytes").await;
    rig.put("lab/a", &[], b"bytes").await;
    rig.put("lab3/a", &[], b"bytes").await;
    let mut client = rig.connect().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(client.ask("GET", path, &[], b"").await.status, 200, "{path}");
    }
    let metrics = client.ask("GET", "/metrics", &[], b"").await.text();
    for line in [
        "highwater_receiver_uploads_total{end=\"stored\"} 1",
        "highwater_receiver_uploads_total{end=\"present\"} 1",
        "highwater_receiver_uploads_total{end=\"foreign-host\"} 1",
        "highwater_receiver_received_bytes_total 10",
        "highwater_receiver_index_keys 1",
        "highwater_receiver_uploads_in_hand 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}:\n{metrics}");
    }
    rig.receiver.begin_to_end();
    assert_eq!(client.ask("GET", "/readyz", &[], b"").await.code(), "not-ready");
    assert_eq!(client.ask("GET", "/healthz", &[], b"").await.status, 200);
}
