//! `POST /v1/ping`: everything that an upload would meet, without one. Owns what is told; writes nothing.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::admit::{cannot, other_disk};
use super::gate::{Judge, Verdict};
use super::identity::Caller;
use super::problem::Problem;
use super::{Receiver, blocking};

pub(super) async fn ping(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let answered = match receiver.ping(&head) {
        // Who asks before an upload is told where the disk is not there, or not the one that it should be.
        Ok((told, caller)) => match receiver.can_store().await {
            Ok(()) => receiver.can_hold(&caller).await.map(|()| told),
            Err(problem) => Err(problem),
        },
        Err(problem) => Err(problem),
    };
    match answered {
        Ok(told) => {
            let mut response = format!("{told}\n").into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            // An upload would be put off so long: who asks before it is told the same way.
            if let Some(secs) = told["gate"]["retry_after_secs"].as_u64() {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
            }
            response
        }
        Err(problem) => problem.refuse(&head, body).await,
    }
}

impl Receiver {
    /// That anything can be stored at all.
    async fn can_store(&self) -> Result<(), Problem> {
        self.in_its_place().await?;
        self.room_bytes().await.map(drop)
    }

    /// That a caller who sends for one host alone can store it; of more than one each is told when it is sent.
    async fn can_hold(&self, caller: &Caller) -> Result<(), Problem> {
        let hosts = caller.hosts().unwrap_or_default();
        let [host] = &hosts[..] else { return Ok(()) };
        let (store, host) = (Arc::clone(&self.on.store), host.clone());
        let apart = blocking(move || store.other_disks(&[host])).await?;
        let apart = apart.map_err(|error| cannot(&error, error.is_full()))?;
        apart.first().map_or(Ok(()), |apart| Err(other_disk(apart)))
    }

    fn ping(&self, head: &Parts) -> Result<(Value, Caller), Problem> {
        let caller = self.caller(head)?;
        let (claim, _) = self.claim(&head.headers)?;
        let limits = &self.settings.limits;
        let judges: Vec<_> = self.on.gate.judges().into_iter().map(Judge::word).collect();
        let mut gate = told(self.on.gate.judge(&claim));
        gate["judges"] = json!(judges);
        let told = json!({
            "receiver": "highwater",
            "version": env!("CARGO_PKG_VERSION"),
            "you": caller.name,
            "hosts": caller.hosts().map_or(json!("*"), |hosts| json!(hosts)),
            "clock": self.on.clock.now().to_string(),
            "gate": gate,
            "headers": {
                "commit": self.settings.commit_header.as_str(),
                "digest": self.settings.digest_header.as_str(),
                "content": super::CONTENT_HEADER,
            },
            "limits": {
                "size_bytes": limits.size.bytes(),
                "idle_secs": limits.idle_time.get().as_secs(),
                "upload_secs": limits.upload_time.get().as_secs(),
            },
        });
        Ok((told, caller))
    }
}

/// What the gate would say.
fn told(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Accepted { gate } => json!({"verdict": "accepted", "gate": gate}),
        Verdict::Missing { remediation } => json!({"verdict": "missing", "remediation": remediation}),
        Verdict::Malformed { detail, remediation } => {
            json!({"verdict": "malformed", "detail": detail, "remediation": remediation})
        }
        Verdict::Outdated { your_commit, head_commit, remediation } => json!({
            "verdict": "outdated",
            "your_commit": your_commit,
            "head_commit": head_commit,
            "remediation": remediation,
        }),
        Verdict::Unready { retry_after } => json!({"verdict": "unready", "retry_after_secs": retry_after.as_secs()}),
    }
}
