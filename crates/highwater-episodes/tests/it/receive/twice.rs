//! Headers that are there twice: what they say counts where both say the same, and is refused where they do not.

use std::sync::Arc;

use highwater_episodes::receive::gate::{Claim, Gate, Judge, Verdict};

use super::resumable::{hex, metadata};
use super::rig::Rig;

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
