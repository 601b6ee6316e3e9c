//! Faults that answer in the provider's stead: no repository is asked.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use highwater_engine::clock::later;
use jiff::Timestamp;
use std::time::Duration;

use super::fault::{Fault, Wait};

/// A page as firewalls show it.
const CHALLENGE_PAGE: &str = "<!DOCTYPE html><html><head><title>Just a moment...</title></head>\
    <body><h1>Checking your browser before you go on</h1><p>Please enable JavaScript & cookies.<br></body></html>";
/// A page as servers under repair show it.
const REPAIR_PAGE: &str = "<!DOCTYPE html><html><head><title>We will be back soon</title></head>\
    <body><p>The repository is being maintained.<br>Thank you for your patience&nbsp;!</body></html>";

/// What comes instead of an answer.
pub(in crate::provider) enum Stead {
    Response(Response<Body>),
    /// Nothing, ever.
    Silence,
    /// Nothing, and the connection is closed.
    HangUp,
}

impl Fault {
    /// What comes instead of an answer to the request that `here` repeats, if this is such a fault.
    pub(in crate::provider) fn instead(&self, now: Timestamp, here: &str, query: &str) -> Option<Stead> {
        let response = match self {
            Self::Hang => return Some(Stead::Silence),
            Self::Drop => return Some(Stead::HangUp),
            Self::TooManyRequests(wait) => come_again(StatusCode::TOO_MANY_REQUESTS, *wait, now),
            Self::Unavailable(wait) => come_again(StatusCode::SERVICE_UNAVAILABLE, *wait, now),
            Self::ServerError | Self::PoisonServerError(_) => {
                page(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "java.lang.NullPointerException")
            }
            Self::Challenge => page(StatusCode::FORBIDDEN, "text/html; charset=utf-8", CHALLENGE_PAGE),
            Self::NotFound => page(StatusCode::NOT_FOUND, "text/plain", "Not Found"),
            Self::Html => page(StatusCode::OK, "text/html; charset=utf-8", REPAIR_PAGE),
            Self::Redirect(there) => {
                let mut response = page(StatusCode::FOUND, "text/plain", "Found");
                let location = format!("{}?{query}", there.as_deref().unwrap_or(here));
                // A URL that no header can carry is not sent.
                if let Ok(location) = HeaderValue::try_from(location) {
                    response.headers_mut().insert(header::LOCATION, location);
                }
                response
            }
            _ => return None,
        };
        Some(Stead::Response(response))
    }
}

fn come_again(status: StatusCode, wait: Wait, now: Timestamp) -> Response<Body> {
    let mut response = page(status, "text/plain", "Come again later");
    let value = match wait {
        Wait::Nothing => return response,
        Wait::Seconds(secs) => HeaderValue::from(secs),
        Wait::Date(secs) => {
            let date = httpdate::fmt_http_date(later(now, Duration::from_secs(secs)).into());
            HeaderValue::try_from(date).expect("invariant: a date is printable")
        }
    };
    response.headers_mut().insert(header::RETRY_AFTER, value);
    response
}

fn page(status: StatusCode, content_type: &'static str, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
