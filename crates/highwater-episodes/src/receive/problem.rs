//! What a refused request is told: problem details, with a code for programs and a sentence for people. Owns their shape, and that a
//! client which is still sending sees them.
//!
//! # Source
//! RFC 9457 (Problem Details for HTTP APIs).

pub(super) mod known;

use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};

use self::known::Known;
use crate::digest::Sha256Digest;
use crate::wire::PROBLEM_MEDIA_TYPE;

/// What is read and dropped of a body that nobody wants, so that its sender comes to read the answer.
pub const DRAIN_BYTES_MAX: u64 = 8 << 20;
/// For how long.
const DRAIN_SECS: u64 = 10;
/// What a code is part of, as an identifier.
const TYPE_PREFIX: &str = "urn:highwater:problem:";

/// A refusal, or a failure.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    members: Map<String, Value>,
    retry_after_secs: Option<u64>,
    headers: Vec<(&'static str, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(&Known { status, code, title }: &Known) -> Self {
        let status = StatusCode::from_u16(status).expect("invariant: it has three digits");
        let mut members = Map::new();
        members.insert("type".to_owned(), json!(format!("{TYPE_PREFIX}{code}")));
        members.insert("title".to_owned(), json!(title));
        members.insert("status".to_owned(), json!(status.as_u16()));
        members.insert("code".to_owned(), json!(code));
        Self { status, code, members, retry_after_secs: None, headers: Vec::new() }
    }

    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// What is wrong in this case.
    pub(super) fn detail(self, detail: impl Into<String>) -> Self {
        self.with("detail", detail.into())
    }

    /// What a person does about it.
    pub(super) fn remediation(self, remediation: impl Into<String>) -> Self {
        self.with("remediation", remediation.into())
    }

    /// The commits that the gate compared.
    pub(super) fn commits(self, yours: &str, head: &str) -> Self {
        self.with("your_commit", yours).with("head_commit", head)
    }

    /// Two digests that differ: what was sent, and what was expected or is stored.
    pub(super) fn digests(self, sent: (&str, Sha256Digest), other: (&str, Sha256Digest)) -> Self {
        self.with(sent.0, sent.1.to_string()).with(other.0, other.1.to_string())
    }

    /// When to come again.
    pub(super) fn retry_after(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// A header that goes with it.
    pub(super) fn header(mut self, name: &'static str, value: impl IntoHeaderValue) -> Self {
        self.headers.push((name, value.into_header_value()));
        self
    }

    /// The answer to a request whose body may still be coming: as much of it as is bearable is read and dropped first, and what
    /// is more than that is the connection's to drop before it closes.
    pub(super) async fn refuse(self, head: &Parts, mut body: Body) -> Response {
        let declared = head.headers.get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
        let expects = head.headers.contains_key(header::EXPECT);
        // Whoever was too slow for its body is not waited for once more.
        let is_slow = self.status == StatusCode::REQUEST_TIMEOUT;
        let bearable = !expects && !is_slow && declared.is_none_or(|bytes| bytes <= DRAIN_BYTES_MAX);
        let drained = bearable && {
            let drain = async {
                let mut left = DRAIN_BYTES_MAX;
                while let Some(frame) = body.frame().await {
                    let Ok(frame) = frame else { return false };
                    let bytes = frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
                    match left.checked_sub(bytes) {
                        Some(rest) => left = rest,
                        None => return false,
                    }
                }
                true
            };
            tokio::time::timeout(Duration::from_secs(DRAIN_SECS), drain).await.unwrap_or(false)
        };
        let mut response = self.into_response();
        if !drained || head.headers.contains_key(header::TRANSFER_ENCODING) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// What a header of a problem may be.
pub(super) trait IntoHeaderValue {
    fn into_header_value(self) -> HeaderValue;
}

impl IntoHeaderValue for u64 {
    fn into_header_value(self) -> HeaderValue {
        HeaderValue::from(self)
    }
}

impl IntoHeaderValue for HeaderValue {
    fn into_header_value(self) -> HeaderValue {
        self
    }
}

impl IntoHeaderValue for &'static str {
    fn into_header_value(self) -> HeaderValue {
        HeaderValue::from_static(self)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{}\n", Value::Object(self.members))));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        // Every 401 says what would do (RFC 9110, section 15.5.2).
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"highwater\""));
        }
        response
    }
}
