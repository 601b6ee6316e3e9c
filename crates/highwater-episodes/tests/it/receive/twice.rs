//! Headers that are there twice, or not at all, or say what nobody looks at: what they say counts where it is one thing, and is refused
//! where it is not.

use std::sync::Arc;

use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::receive::gate::{Claim, Gate, Judge, Verdict};

use super::resumable::{hex, metadata};
use super::rig::{MASTER, Rig, TOKEN};

/// Lets in whatever names the commit `new`.
#[derive(Debug)]
struct New;

impl Gate for New {
    fn judge(&self, claim: &Claim) -> Verdict {
        match claim.commit.as_deref() {
            Some("new") => Verdict::Accepted { gate: None },
            _ => Verdict::Missing { remediation: None },
        }
    }

    fn judges(&self) -> Vec<Judge> {
        Judge::ALL.to_vec()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_contradict_each_other_are_refused_and_those_that_agree_are_one() {
    let rig = Rig::gated(Arc::new(New), |_| {}).await;
    let (ours, other) = (hex(b"bytes"), hex(b"other"));
    let (one, two) = ("a".repeat(40), "b".repeat(40));
    let new = ("X-Code-Commit", "new");
    let cases = [
        (("X-Sha256", &*ours, &*other), "bad-digest-field"),
        (("X-Episode-Content-Sha256", &ours, &other), "bad-digest-field"),
        (("X-Code-Commit", "new", "old"), "code-malformed"),
        (("X-Code-Judge", "recorded", "ships"), "bad-judge"),
        (("X-Recorded-Commit", &one, &two), "bad-recorded-commit"),
    ];
    let about = metadata(&[("host", "lab"), ("episode", "a")]);
    for ((name, first, second), code) in cases {
        let commit = if name == new.0 { &[][..] } else { &[new][..] };
        for (first, second) in [(first, second), (second, first)] {
            let headers = [commit, &[(name, first), (name, second)]].concat();
            let put = rig.put("lab/a", &headers, b"bytes").await;
            assert_eq!((put.status, put.code().as_str()), (400, code), "{name}: {put:?}");
            let detail = put.json()["detail"].as_str().unwrap().to_lowercase();
            assert!(detail.contains(&name.to_lowercase()) && detail.contains("twice"), "{detail}");
            let begin = [&headers[..], &[("Upload-Length", "5"), ("Upload-Metadata", &about)]].concat();
            let post = rig.tus("POST", "/v1/uploads", &begin, b"").await;
            assert_eq!((post.status, post.code().as_str()), (400, code), "{name}: {post:?}");
            if !code.contains("digest") {
                let ping = rig.ask("POST", "/v1/ping", &headers, b"").await;
                assert_eq!((ping.status, ping.code().as_str()), (400, code), "{name}: {ping:?}");
            }
        }
    }
    // Metadata that agrees with the first of two makes them no better.
    let about = metadata(&[("host", "lab"), ("episode", "a"), ("sha256", &ours), ("commit", "new")]);
    let both = [new, ("X-Sha256", &ours), ("X-Sha256", &other), ("Upload-Length", "5"), ("Upload-Metadata", &about)];
    let post = rig.tus("POST", "/v1/uploads", &both, b"").await;
    assert_eq!((post.status, post.code().as_str()), (400, "bad-digest-field"), "{post:?}");
    rig.assert_nothing_written();

    let upper = ours.to_uppercase();
    let agree =
        [new, new, ("X-Sha256", &*ours), ("X-Sha256", &*upper), ("X-Code-Judge", "ships"), ("X-Code-Judge", "ships")];
    assert_eq!(rig.put("lab/a", &agree, b"bytes").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_by_other_names_and_without_a_gate_contradict_each_other_likewise() {
    let rig = Rig::with(|settings| {
        settings.digest_header = "X-Sum".to_owned().try_into().unwrap();
        settings.commit_header = "X-Code".to_owned().try_into().unwrap();
    })
    .await;
    let (ours, other) = (hex(b"bytes"), hex(b"other"));
    for (name, first, second, code) in
        [("X-Sum", &*ours, &*other, "bad-digest-field"), ("X-Code", "one", "two", "code-malformed")]
    {
        let put = rig.put("lab/a", &[(name, first), (name, second)], b"bytes").await;
        assert_eq!((put.status, put.code().as_str()), (400, code), "{name}: {put:?}");
    }
    rig.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tokens_are_refused_and_the_same_one_twice_is_one() {
    let rig = Rig::new().await;
    let (ours, master) = (format!("Bearer {TOKEN}"), format!("Bearer {MASTER}"));
    let about = metadata(&[("host", "lab"), ("episode", "a")]);
    for (first, second) in [(&ours, &master), (&master, &ours), (&ours, &"Bearer nobody's".to_owned())] {
        let both = [("Authorization", &**first), ("Authorization", second)];
        let begin = [&both[..], &[("Upload-Length", "5"), ("Upload-Metadata", &about)]].concat();
        for answer in [
            rig.put("lab/a", &both, b"bytes").await,
            rig.ask("GET", "/v1/episodes/lab/a", &both, b"").await,
            rig.ask("GET", "/v1/episodes", &both, b"").await,
            rig.ask("POST", "/v1/ping", &both, b"").await,
            rig.tus("POST", "/v1/uploads", &begin, b"").await,
        ] {
            assert_eq!((answer.status, answer.code().as_str()), (400, "bad-authorization"), "{answer:?}");
            let told = answer.text();
            assert!(told.contains("twice") && !told.contains(TOKEN) && !told.contains(MASTER), "{told}");
        }
    }
    rig.assert_nothing_written();
    let agree = [("Authorization", &*ours), ("Authorization", &*ours)];
    assert_eq!(rig.put("lab/a", &agree, b"bytes").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_http_1_1_names_one_host_and_one_of_1_0_need_not() {
    let rig = Rig::new().await;
    let put = |version: &str, hosts: &str| {
        format!(
            "PUT /v1/episodes/lab/a HTTP/{version}\r\n{hosts}Authorization: Bearer {TOKEN}\r\nConnection: close\r\n\
             Content-Length: 5\r\n\r\nbytes"
        )
    };
    let said = async |request: String| {
        let mut client = rig.connect().await;
        client.say(request).await;
        client.until_closed().await
    };
    for hosts in ["", "Host: a\r\nHost: b\r\n", "Host: a\r\nHost: a\r\n"] {
        let told = said(put("1.1", hosts)).await;
        assert!(told.starts_with("HTTP/1.1 400 ") && told.contains("\"code\":\"bad-host\""), "{hosts:?}: {told}");
        let health = said(format!("GET /healthz HTTP/1.1\r\nConnection: close\r\n{hosts}\r\n")).await;
        assert!(health.starts_with("HTTP/1.1 400 "), "{hosts:?}: {health}");
    }
    let told = said(put("1.0", "Host: a\r\nHost: b\r\n")).await;
    assert!(told.starts_with("HTTP/1.0 400 ") || told.starts_with("HTTP/1.1 400 "), "{told}");
    rig.assert_nothing_written();
    let told = said(put("1.0", "")).await;
    assert!(told.contains(" 201 "), "{told}");
    let told = said(put("1.1", "Host: a\r\n")).await;
    assert!(told.contains(" 200 "), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_is_not_verified_is_refused_and_one_beside_it_is() {
    let rig = Rig::new().await;
    let (ours, sha512) = (Sha256Digest::of(b"bytes").to_field(), format!("sha-512=:{}=:", "A".repeat(87)));
    let other = "md5=:AAAAAAAAAAAAAAAAAAAAAA==:";
    for name in ["Content-Digest", "Repr-Digest"] {
        for field in [&*sha512, other, &format!("{sha512}, {other}")] {
            let put = rig.put("lab/a", &[(name, field)], b"bytes").await;
            assert_eq!((put.status, put.code().as_str()), (400, "bad-digest-field"), "{name}: {field}: {put:?}");
            let told = put.text();
            assert!(told.contains("sha-256") && told.contains(&name.to_lowercase()), "{told}");
        }
    }
    let about = metadata(&[("host", "lab"), ("episode", "a")]);
    let begin = [("Repr-Digest", &*sha512), ("Upload-Length", "5"), ("Upload-Metadata", &about)];
    let post = rig.tus("POST", "/v1/uploads", &begin, b"").await;
    assert_eq!((post.status, post.code().as_str()), (400, "bad-digest-field"), "{post:?}");
    rig.assert_nothing_written();
    // What is verified beside it says enough, in whichever header.
    let both = format!("{sha512}, {ours}");
    assert_eq!(rig.put("lab/a", &[("Content-Digest", &both)], b"bytes").await.status, 201);
    let hex = hex(b"bytes");
    assert_eq!(rig.put("lab/a", &[("Content-Digest", &sha512), ("X-Sha256", &hex)], b"bytes").await.status, 200);
}
