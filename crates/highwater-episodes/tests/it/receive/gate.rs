//! What a gate says, as an answer.

use std::sync::Arc;
use std::time::Duration;

use highwater_episodes::index::Gate as Passed;
use highwater_episodes::receive::gate::{Claim, Gate, Judge, Verdict};

use super::rig::Rig;

/// Says what the claim's first letters ask for.
#[derive(Debug)]
struct Puppet;

impl Gate for Puppet {
    fn judge(&self, claim: &Claim) -> Verdict {
        let remediation = Some("git pull && make".to_owned());
        match claim.commit.as_deref() {
            None => Verdict::Missing { remediation },
            Some("new") => Verdict::Accepted { gate: None },
            Some("let in") => Verdict::Accepted { gate: Some(Passed::Allowed) },
            Some("old") => {
                Verdict::Outdated { your_commit: "old".to_owned(), head_commit: "head".to_owned(), remediation }
            }
            Some("unready") => Verdict::Unready { retry_after: Duration::from_secs(7) },
            Some(other) if claim.judge == Judge::Ships => Verdict::Malformed { detail: other.to_owned(), remediation },
            Some(_) => Verdict::Malformed { detail: "no commit".to_owned(), remediation: None },
        }
    }

    fn judges(&self) -> Vec<Judge> {
        vec![Judge::Recorded]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_code_that_may_not_record_adds_nothing_and_is_told_what_mends_it() {
    let rig = Rig::gated(Arc::new(Puppet), |_| {}).await;
    let missing = rig.put("lab/a", &[], b"bytes").await;
    assert_eq!((missing.status, missing.code().as_str()), (400, "code-missing"));
    assert_eq!(missing.json()["remediation"], "git pull && make");
    let old = rig.put("lab/a", &[("X-Code-Commit", "old")], b"bytes").await;
    assert_eq!((old.status, old.code().as_str()), (412, "code-outdated"));
    let json = old.json();
    assert_eq!((json["your_commit"].as_str(), json["head_commit"].as_str()), (Some("old"), Some("head")));
    assert_eq!(json["remediation"], "git pull && make");
    let malformed = rig.put("lab/a", &[("X-Code-Commit", "HEAD")], b"bytes").await;
    assert_eq!((malformed.status, malformed.code().as_str()), (400, "code-malformed"));
    let unready = rig.put("lab/a", &[("X-Code-Commit", "unready")], b"bytes").await;
    assert_eq!((unready.status, unready.header("retry-after")), (503, Some("7")));
    let judge = rig.put("lab/a", &[("X-Code-Commit", "new"), ("X-Code-Judge", "me")], b"bytes").await;
    assert_eq!((judge.status, judge.code().as_str()), (400, "bad-judge"));
    let ships = rig.put("lab/a", &[("X-Code-Commit", "who"), ("X-Code-Judge", "ships")], b"bytes").await;
    assert_eq!(ships.json()["detail"], "who");
    let short = [("X-Code-Commit", "new"), ("X-Code-Judge", "ships"), ("X-Recorded-Commit", "abc123")];
    for (method, path) in [("PUT", "/v1/episodes/lab/a"), ("POST", "/v1/ping")] {
        let recorded = rig.ask(method, path, &short, b"").await;
        assert_eq!((recorded.status, recorded.code().as_str()), (400, "bad-recorded-commit"), "{method}");
        let detail = recorded.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("x-recorded-commit: \"abc123\", expected the 40 or 64"), "{detail}");
    }
    rig.assert_nothing_written();
    // The gate comes after the names and before the size.
    assert_eq!(rig.put("lab/..%2f", &[("X-Code-Commit", "old")], b"bytes").await.status, 400);
    let ping = rig.ask("POST", "/v1/ping", &[("X-Code-Commit", "old")], b"").await.json();
    assert_eq!(
        (ping["gate"]["verdict"].as_str(), ping["gate"]["head_commit"].as_str()),
        (Some("outdated"), Some("head"))
    );
    assert_eq!(rig.put("lab/a", &[("X-Code-Commit", "new")], b"bytes").await.status, 201);
    assert_eq!(rig.put("lab/b", &[("X-Code-Commit", "let in")], b"bytes").await.status, 201);
    let recorded = "e".repeat(40);
    let ships = [("X-Code-Commit", "new"), ("X-Code-Judge", "ships"), ("X-Recorded-Commit", &*recorded)];
    assert_eq!(rig.put("lab/c", &ships, b"bytes").await.status, 201);
    let rows = rig.rows();
    assert_eq!((rows[0].get("gate"), rows[1]["gate"].as_str()), (None, Some("allowed")));
    assert_eq!(rows[2]["commit"], recorded, "the row tells which code recorded it, whoever was judged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_commit_that_is_none_is_refused_whoever_is_judged_and_whether_anybody_is() {
    let rig = Rig::new().await;
    for judge in [&[][..], &[("X-Code-Judge", "recorded")], &[("X-Code-Judge", "ships")]] {
        let headers = [judge, &[("X-Recorded-Commit", "zz")]].concat();
        for (method, path) in [("PUT", "/v1/episodes/lab/a"), ("POST", "/v1/ping")] {
            let refused = rig.ask(method, path, &headers, b"").await;
            assert_eq!((refused.status, refused.code().as_str()), (400, "bad-recorded-commit"), "{method} {judge:?}");
        }
    }
    let pairs = [("host", "lab"), ("episode", "a"), ("recorded-commit", "zz")];
    let refused = rig.post(5, &pairs).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "bad-recorded-commit"));
    rig.assert_nothing_written();
}
