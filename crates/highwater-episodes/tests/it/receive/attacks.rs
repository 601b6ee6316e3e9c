//! What a client may try.

use std::fs;
use std::time::Duration;

use highwater_engine::settings::DurationText;

use super::rig::{MASTER, Rig};

const AUTH: &str = "Host: r\r\nAuthorization: Bearer correct horse\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn no_name_leads_out_of_the_store() {
    let rig = Rig::new().await;
    let long = "x".repeat(129);
    let bearer = format!("Bearer {MASTER}");
    let names = [
        "..",
        ".",
        "%2e%2e",
        "%2E%2E",
        "..%2f..%2fetc",
        "%2e%2e%2fpasswd",
        "a%2fb",
        "a%00",
        "%00",
        "a%5cb",
        ".hidden",
        "-rf",
        "a%20b",
        "%c3%a4",
        "%ff",
        "a%0ab",
        "a..%2f",
        "%252e%252e",
        "~",
        "*",
        &long,
    ];
    for name in names {
        for path in [format!("{name}/ep"), format!("lab/{name}"), format!("{name}/{name}")] {
            let answer = rig.put(&path, &[("Authorization", &bearer)], b"bytes").await;
            assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
            let answer = rig.put(&path, &[], b"bytes").await;
            assert!(matches!(answer.status, 400 | 403 | 404), "{path}: {answer:?}");
        }
    }
    for path in ["lab/../../x", "../../etc/passwd", "lab//ep", "lab/ep/", "/lab/ep", "lab", ""] {
        let answer = rig.put(path, &[("Authorization", &bearer)], b"bytes").await;
        assert!(matches!(answer.status, 400 | 404 | 405), "{path}: {answer:?}");
    }
    rig.assert_nothing_written();
    let found: Vec<_> = fs::read_dir(rig.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(found.len(), 4, "{found:?}");
}

/// Says something raw; the status of what comes back, 0 where nothing does, and all of it.
async fn raw(rig: &Rig, bytes: impl AsRef<[u8]>) -> (u16, String) {
    let mut client = rig.connect().await;
    client.say(bytes).await;
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await;
    let said = client.until_closed().await;
    (said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_whose_length_is_told_in_two_ways_is_not_two_requests() {
    let rig = Rig::new().await;
    let put = |name: &str, rest: &str| format!("PUT /v1/episodes/lab/{name} HTTP/1.1\r\n{AUTH}{rest}");
    let hidden = put("hidden", "Content-Length: 1\r\n\r\nx");
    // Two lengths that differ; one that is no number.
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: -1",
        "Content-Length: 0x5",
        "Content-Length: 99999999999999999999",
    ] {
        let (status, said) = raw(&rig, put("a", &format!("{lengths}\r\n\r\nbytes{hidden}"))).await;
        assert_eq!((status, said.matches("HTTP/1.1").count()), (400, 1), "{lengths}: {said}");
    }
    // Length and chunks: the chunks count, and the connection ends with the answer.
    let both = format!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n{hidden}");
    let (status, said) = raw(&rig, put("both", &both)).await;
    assert_eq!((status, said.matches("HTTP/1.1").count()), (201, 1), "{said}");
    assert_eq!(fs::read(rig.path("episodes/lab/both.tar.zst")).unwrap(), b"abc");
    // The same where it is refused.
    let refused = both.replace("Content-Length", "Content-Digest: nonsense\r\nContent-Length");
    let (status, said) = raw(&rig, put("refused", &refused)).await;
    assert_eq!((status, said.matches("HTTP/1.1").count()), (400, 1), "{said}");
    // Encodings that are not ours, chunks that are none, an old version.
    for rest in [
        "Transfer-Encoding: gzip\r\n\r\nbytes",
        "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        "Content-Length: 5\r\n folded\r\n\r\nbytes",
    ] {
        let (status, said) = raw(&rig, put("b", &format!("{rest}{hidden}"))).await;
        assert!(status == 400 || status == 0, "{rest:?}: {said}");
        assert!(said.matches("HTTP/1.1").count() <= 1, "{rest:?}: {said}");
    }
    let old = put("old", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0");
    assert!(matches!(raw(&rig, old).await.0, 0 | 400));
    assert_eq!(rig.files(), ["lab/both.tar.zst"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_say_nothing() {
    let rig = Rig::new().await;
    let trailers = "Transfer-Encoding: chunked\r\nTrailer: Content-Digest\r\n\r\n3\r\nabc\r\n0\r\nContent-Digest: sha-256=:AAAA:\r\nX-Other: y\r\n\r\n";
    let (status, said) = raw(&rig, format!("PUT /v1/episodes/lab/a HTTP/1.1\r\n{AUTH}{trailers}")).await;
    assert_eq!(status, 201, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_or_too_many_are_refused() {
    let rig = Rig::new().await;
    let head = |more: String| format!("PUT /v1/episodes/lab/a HTTP/1.1\r\n{AUTH}{more}Content-Length: 5\r\n\r\nbytes");
    let large = head(format!("X-Large: {}\r\n", "x".repeat(64 * 1024)));
    let many = head((0..200).map(|n| format!("X-{n}: y\r\n")).collect());
    let uri = format!("GET /{} HTTP/1.1\r\n{AUTH}\r\n", "x".repeat(70_000));
    for request in [large, many, uri] {
        let (status, said) = raw(&rig, request).await;
        assert!(matches!(status, 431 | 414 | 400), "{status} {said}");
    }
    for junk in
        [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        assert!(matches!(raw(&rig, junk).await.0, 0 | 400 | 404 | 505), "{junk:?}");
    }
    rig.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_hold_nobody_up_and_end() {
    let rig = Rig::with(|settings| settings.limits.head_time = DurationText::secs(2)).await;
    let mut idle = Vec::new();
    for n in 0..1_000 {
        let mut client = rig.connect().await;
        // Some say nothing, some half a head.
        if n % 2 == 0 {
            client.say("PUT /v1/episodes/lab/a HTTP/1.1\r\nHost:").await;
        }
        idle.push(client);
    }
    assert_eq!(rig.put("lab/a", &[], b"bytes").await.status, 201);
    for client in &mut idle {
        tokio::time::timeout(Duration::from_secs(60), client.until_closed()).await.unwrap();
    }
    assert_eq!(rig.put("lab/b", &[], b"bytes").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_ends() {
    let rig = Rig::with(|settings| settings.limits.head_time = DurationText::secs(1)).await;
    let client = rig.connect().await;
    let (mut read, mut write) = tokio::io::split(client.stream);
    let mut every = tokio::time::interval(Duration::from_millis(100));
    let dripping = tokio::spawn(async move {
        loop {
            every.tick().await;
            if tokio::io::AsyncWriteExt::write_all(&mut write, b"X").await.is_err() {
                return;
            }
        }
    });
    let mut said = Vec::new();
    let end = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut said);
    let _ = tokio::time::timeout(Duration::from_secs(30), end).await.unwrap();
    dripping.abort();
    rig.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_in_parts_or_encoded_is_refused() {
    let rig = Rig::new().await;
    let partial = rig.put("lab/a", &[("Content-Range", "bytes 0-4/10")], b"bytes").await;
    assert_eq!((partial.status, partial.code().as_str()), (400, "partial-put"));
    let encoded = rig.put("lab/a", &[("Content-Encoding", "gzip")], b"bytes").await;
    assert_eq!((encoded.status, encoded.code().as_str()), (415, "content-encoding"));
    assert_eq!(rig.ask("DELETE", "/v1/episodes/lab/a", &[], b"").await.status, 405);
    assert_eq!(rig.ask("POST", "/v1/episodes/lab/a", &[], b"").await.code(), "no-such-method");
    assert_eq!(rig.get("/etc/passwd").await.code(), "no-such-address");
    rig.assert_nothing_written();
}
