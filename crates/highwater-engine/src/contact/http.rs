//! The HTTP client of contacts: its time-outs, and which redirects are followed. Owns no permit: each redirect that is followed
//! asks for one of its own.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, COOKIE, LOCATION, PROXY_AUTHORIZATION};
use reqwest::redirect::Policy;
use reqwest::{Method, Url};

/// Longest wait for a connection, in seconds.
pub const CONNECT_TIMEOUT_SECS: u64 = 30;
/// Longest silence in the middle of an answer, in seconds.
pub const READ_TIMEOUT_SECS: u64 = 120;

/// How many redirects are followed; each is a contact of its own.
const REDIRECTS_MAX: usize = 5;

/// The HTTP client of contacts: rustls, time-outs, a name of its own.
pub(super) fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    client_builder().read_timeout(Duration::from_secs(READ_TIMEOUT_SECS)).build()
}

/// A client for [`super::Contacts::send_by`]: without a time-out but that of connecting, since a large body may take long to
/// send, and without redirects, each of which asks for a permit.
pub fn client_builder() -> reqwest::ClientBuilder {
    http_client_builder().connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_SECS)).redirect(Policy::none())
}

/// Where an answer sends the same request to; `None` where it does not, or another method would be asked for there.
pub(super) fn redirected(response: &reqwest::Response, method: &Method) -> Option<Url> {
    let same = match response.status().as_u16() {
        307 | 308 => true,
        301..=303 => matches!(*method, Method::GET | Method::HEAD),
        _ => false,
    };
    let location = response.headers().get(LOCATION).filter(|_| same)?.to_str().ok()?;
    response.url().join(location).ok().filter(|there| matches!(there.scheme(), "http" | "https"))
}

/// The request as it goes where it was redirected to; what is secret stays with the host that it is for.
pub(super) fn at_next(mut request: reqwest::Request, next: Option<&Url>) -> reqwest::Request {
    let Some(next) = next else { return request };
    let place = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    if place(request.url()) != place(next) {
        for secret in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
            request.headers_mut().remove(secret);
        }
    }
    *request.url_mut() = next.clone();
    request
}

/// Whether a redirect may be followed: only so many, and never from a connection that is private to one that is not.
pub(super) fn may_follow(previous: &[Url], next: &Url) -> bool {
    let was_private = previous.last().is_some_and(|url| url.scheme() == "https");
    previous.len() <= REDIRECTS_MAX && (next.scheme() == "https" || !was_private)
}

/// What every HTTP client of ours has: the TLS provider and the name.
pub(crate) fn http_client_builder() -> reqwest::ClientBuilder {
    // A second call finds the provider installed; that is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().user_agent(concat!("highwater/", env!("CARGO_PKG_VERSION")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_followed_a_few_times_and_never_out_of_https() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (plain, private) = (url("http://a.example/"), url("https://a.example/"));
        assert!(may_follow(std::slice::from_ref(&plain), &private));
        assert!(may_follow(std::slice::from_ref(&plain), &url("http://b.example/")));
        assert!(may_follow(std::slice::from_ref(&private), &url("https://b.example/")));
        assert!(!may_follow(std::slice::from_ref(&private), &plain));
        assert!(may_follow(&vec![plain.clone(); REDIRECTS_MAX], &plain));
        assert!(!may_follow(&vec![plain.clone(); REDIRECTS_MAX + 1], &plain));
    }
}
