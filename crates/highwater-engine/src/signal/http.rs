//! The number at an address: a GET whose body is a number, or JSON that has one at a pointer. It asks about a far side and is
//! no contact with it, so it needs no permit.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::{Reading, Signal, SignalError, Watched, number};
use crate::contact::http_client_builder;
use crate::settings::HttpUrl;

/// Largest body that is read, in bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// The number at an address.
#[derive(Debug)]
pub struct HttpSignal {
    /// What people call it, its limit, and how long it is waited for.
    pub watched: Watched,
    /// The address.
    pub url: HttpUrl,
    /// Where in a JSON body the number is (RFC 6901); absent: the body is the number.
    pub pointer: Option<String>,
    /// The client, once it was needed.
    pub client: OnceLock<reqwest::Client>,
}

impl HttpSignal {
    fn client(&self) -> Result<&reqwest::Client, SignalError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = http_client_builder()
            .timeout(self.watched.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|source| SignalError::Failed {
                doing: "the HTTP client cannot start".to_owned(),
                source: source.into(),
            })?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn body(&self) -> Result<Vec<u8>, SignalError> {
        // The address may hold a secret, and the client's errors show it.
        let failed = |source: reqwest::Error| SignalError::Failed {
            doing: format!("no answer from {}", self.url),
            source: source.without_url().into(),
        };
        let mut answer = self.client()?.get(self.url.expose().clone()).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(SignalError::Refused { said: format!("{} answered {}", self.url, answer.status()) });
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > BODY_BYTES_MAX {
                return Err(SignalError::Refused {
                    said: format!("{} answered with more than {BODY_BYTES_MAX} bytes", self.url),
                });
            }
        }
        Ok(body)
    }
}

/// The number at a pointer; a text that is one counts too.
fn at_pointer(body: &[u8], pointer: &str) -> Result<f64, SignalError> {
    let json: Value = serde_json::from_slice(body).map_err(|source| SignalError::Failed {
        doing: "found no JSON in the answer".to_owned(),
        source: source.into(),
    })?;
    match json.pointer(pointer) {
        Some(Value::String(text)) => number(text.as_bytes()),
        Some(value) => number(value.to_string().as_bytes()),
        None => Err(SignalError::Refused { said: format!("found nothing at {pointer} in the answer") }),
    }
}

#[async_trait]
impl Signal for HttpSignal {
    fn name(&self) -> &str {
        &self.watched.name
    }

    fn limit(&self) -> f64 {
        self.watched.limit
    }

    fn timeout(&self) -> Duration {
        self.watched.timeout
    }

    async fn read(&self) -> Result<Reading, SignalError> {
        let body = self.body().await?;
        let value = match &self.pointer {
            Some(pointer) => at_pointer(&body, pointer)?,
            None => number(&body)?,
        };
        Ok(Reading::now(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r17_a_pointer_that_leads_to_no_number_is_no_reading() {
        let body = br#"{"lag": {"secs": 3.5}, "text": "7", "up": true, "none": null, "list": [1, 2]}"#;
        assert_eq!(at_pointer(body, "/lag/secs").unwrap(), 3.5);
        assert_eq!(at_pointer(body, "/text").unwrap(), 7.0);
        assert_eq!(at_pointer(body, "/list/1").unwrap(), 2.0);
        for pointer in ["/lag", "/up", "/none", "/nothing", "/list", ""] {
            assert!(at_pointer(body, pointer).is_err(), "{pointer}");
        }
        assert!(at_pointer(b"<html>", "/lag").is_err());
    }
}
