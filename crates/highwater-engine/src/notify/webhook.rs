//! A notice by HTTP: one POST, no redirect followed. Owns which answers count as delivered.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use super::message::Shaped;
use super::target::Undelivered;
use crate::ban::{self, BanRules};
use crate::clock::Clock;
use crate::contact::http_client_builder;
use crate::settings::{HttpUrl, SecretText};

/// The longest `Retry-After` that is heeded, in seconds; after it the notice is tried all the same.
const ASKED_WAIT_SECS_MAX: u64 = 86_400;

/// Posts a message; only 2xx is delivered. A redirect is not: followed, it would become a GET of some page that answers 200.
pub(super) async fn post(
    clock: &dyn Clock,
    http: &OnceLock<Client>,
    url: &HttpUrl,
    headers: &BTreeMap<String, SecretText>,
    shaped: Shaped,
) -> Result<(), Undelivered> {
    let place = || url.to_string();
    // The error of a request carries its address, which may be a secret.
    let unreached = |source: reqwest::Error| Undelivered::Unreached { place: place(), source: source.without_url() };
    let headers = header_map(&shaped.headers, headers, url)?;
    let client = match http.get() {
        Some(client) => client,
        None => {
            let made = client().map_err(unreached)?;
            http.get_or_init(|| made)
        }
    };
    let request = client.post(url.expose().clone()).headers(headers).body(shaped.body);
    let response = request.send().await.map_err(unreached)?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let asked_wait = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => asked_wait(response.headers(), clock),
        _ => Duration::ZERO,
    };
    Err(Undelivered::Answered { place: place(), status, asked_wait })
}

fn asked_wait(headers: &HeaderMap, clock: &dyn Clock) -> Duration {
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let max = Duration::from_secs(ASKED_WAIT_SECS_MAX);
    let rules = BanRules { fallback: Duration::ZERO, max, wait_out_max: Duration::ZERO };
    ban::retry_after(header(RETRY_AFTER), header(DATE), clock.now(), &rules)
}

/// The shape's headers, under those of the settings.
fn header_map(
    shape: &[(&'static str, String)],
    settings: &BTreeMap<String, SecretText>,
    url: &HttpUrl,
) -> Result<HeaderMap, Undelivered> {
    let mut map = HeaderMap::new();
    let of_shape = shape.iter().map(|(name, value)| (*name, value.as_str()));
    let of_settings = settings.iter().map(|(name, value)| (name.as_str(), value.expose()));
    for (name, value) in of_shape.chain(of_settings) {
        let refuse = || Undelivered::Header { name: name.to_owned(), place: url.to_string() };
        let mut header = HeaderValue::from_str(value).map_err(|_| refuse())?;
        header.set_sensitive(true);
        map.insert(HeaderName::try_from(name).map_err(|_| refuse())?, header);
    }
    Ok(map)
}

/// As the client of passes, but for redirects and without time-outs: a delivery has its own.
fn client() -> Result<Client, reqwest::Error> {
    http_client_builder().redirect(Policy::none()).build()
}
