//! The endpoint: HTTP in, HTTP out. Owns how a request is read and limited, what is logged, and in which order faults meddle.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use axum::routing::get;
use highwater_engine::clock::SharedClock;
use jiff::Timestamp;
use tokio::time::timeout;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _};

use super::answer::{Answer, Desk, Deviation};
use super::arguments::{Given, error};
use super::faults::{Armed, AsIs, Fault, Stead, Target, hang_up};
use super::log::Served;
use super::rate::Bucket;
use super::repository::{Repository, RepositoryError};
use super::xml::{self, Question};
use super::{PAGE_RECORDS_MAX, ProviderSettings};
use crate::protocol::{Arguments, ErrorCode};

/// Where a provider is asked; at the root of its host too.
pub const PATH: &str = "/oai";
/// A query is no longer than this.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;
/// Nor is a body.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// How long a client may take over a body.
const BODY_SECS: u64 = 30;

const FORM: &str = "application/x-www-form-urlencoded";
const XML: HeaderValue = HeaderValue::from_static("text/xml; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The provider of a repository, at [`PATH`] and at `/`.
pub fn router(repository: Arc<dyn Repository>, settings: ProviderSettings, clock: SharedClock) -> Router {
    let provider = Provider {
        bucket: settings.rate.map(Bucket::new),
        armed: Armed::new(&settings.faults),
        repository,
        settings,
        clock,
    };
    let may_compress = |_: StatusCode, _: Version, _: &HeaderMap, marks: &Extensions| marks.get::<AsIs>().is_none();
    Router::new()
        .route("/", get(handle).post(handle))
        .route(PATH, get(handle).post(handle))
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(may_compress)))
        .with_state(Arc::new(provider))
}

struct Provider {
    repository: Arc<dyn Repository>,
    settings: ProviderSettings,
    clock: SharedClock,
    bucket: Option<Bucket>,
    armed: Armed,
}

/// What a request comes to, with the faults it met.
struct Reply {
    stead: Stead,
    faults: Vec<&'static str>,
}

impl From<Response<Body>> for Reply {
    fn from(response: Response<Body>) -> Self {
        Self { stead: Stead::Response(response), faults: Vec::new() }
    }
}

async fn handle(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let at = provider.clock.now();
    let (head, body) = request.into_parts();
    let (query, refused) = match read(&head, body).await {
        Ok(query) => (query, None),
        Err(refused) => (String::new(), Some(refused)),
    };
    let given = Given::read(&query);
    let Reply { stead, faults } = match refused {
        Some((status, text)) => plain(status, text).into(),
        None => provider.reply(&head, &query, &given, at).await,
    };
    let status = match &stead {
        Stead::Response(response) => Some(response.status().as_u16()),
        Stead::Silence | Stead::HangUp => None,
    };
    provider.settings.log.add(Served {
        at,
        verb: given.verb(),
        identifier: given.get("identifier").map(ToOwned::to_owned),
        token: given.get("resumptionToken").map(ToOwned::to_owned),
        query,
        status,
        faults,
    });
    match stead {
        Stead::Response(mut response) => {
            let date = httpdate::fmt_http_date(at.into());
            let date = HeaderValue::try_from(date).expect("invariant: a date is printable");
            // Of the clock that says when a token expires and when to come again.
            response.headers_mut().insert(header::DATE, date);
            response
        }
        Stead::Silence => pending().await,
        Stead::HangUp => hang_up(),
    }
}

/// The arguments, escaped: those of the URL, and those of a form.
async fn read(head: &Parts, body: Body) -> Result<String, (StatusCode, &'static str)> {
    let query = head.uri.query().unwrap_or_default();
    if query.len() > QUERY_BYTES_MAX {
        return Err((StatusCode::URI_TOO_LONG, "The query is too long"));
    }
    if head.method != Method::POST {
        return Ok(query.to_owned());
    }
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(FORM) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "A request by POST is application/x-www-form-urlencoded"));
    }
    let form = match timeout(Duration::from_secs(BODY_SECS), to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(form)) => form,
        Ok(Err(_)) => return Err((StatusCode::PAYLOAD_TOO_LARGE, "The body is too long, or broke off")),
        Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, "The body took too long")),
    };
    let form = String::from_utf8_lossy(&form);
    Ok(if query.is_empty() { form.into_owned() } else { format!("{query}&{form}") })
}

impl Provider {
    async fn reply(&self, head: &Parts, query: &str, given: &Given, at: Timestamp) -> Reply {
        if let Some(Err(wait)) = self.bucket.as_ref().map(|bucket| bucket.admit(self.clock.elapsed())) {
            let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "Too many requests; come again later");
            let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
            return response.into();
        }
        let token = given.get("resumptionToken");
        let target = Target { verb: given.verb(), identifier: given.get("identifier"), resumes: token.is_some() };
        let struck = self.armed.strike(&target);
        for fault in &struck {
            if let Some(stead) = fault.instead(at, head.uri.path(), query) {
                return Reply { stead, faults: vec![fault.name()] };
            }
        }
        let base_url = self.base_url(head);
        let mut met = Met { struck, faults: Vec::new() };
        let (answer, arguments) = match self.answer(given, &base_url, at, &mut met).await {
            Ok(answered) => answered,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(error = %error, cause, "a request meets 500");
                return plain(StatusCode::INTERNAL_SERVER_ERROR, "The repository cannot answer now").into();
            }
        };
        let question = Question { base_url: &base_url, at, arguments };
        let mut document = xml::document(&question, &answer).into_bytes();
        met.each(|fault| fault.damage(&mut document));
        let document = Bytes::from(document);
        let mut delivered = None;
        met.each(|fault| {
            let response = fault.deliver(&document, &self.clock);
            response.map(|response| delivered = Some(response)).is_some()
        });
        let mut response = delivered.unwrap_or_else(|| Response::new(Body::from(document)));
        response.headers_mut().insert(header::CONTENT_TYPE, XML);
        Reply { stead: Stead::Response(response), faults: met.faults }
    }

    /// The answer, and the arguments that it repeats.
    async fn answer(
        &self,
        given: &Given,
        base_url: &str,
        now: Timestamp,
        met: &mut Met<'_>,
    ) -> Result<(Answer, Arguments), RepositoryError> {
        let request = match given.check() {
            Ok(request) => request,
            Err(errors) => return Ok((Answer::Errors(errors), Arguments::new())),
        };
        let deviation = Deviation {
            from_the_start: met.has(&Fault::RepeatPage),
            overlap: met.has(&Fault::Overlap),
            // The request that brings such a token is not the one that was struck.
            empty_page: self.armed.has(&Fault::EmptyLastPage),
            odd_token: self.armed.has(&Fault::OddToken),
        };
        let settings = &self.settings;
        let desk = Desk { repository: &*self.repository, settings, base_url, now, deviation };
        let mut answer = if met.has(&Fault::ExpiredToken) {
            Answer::Errors(vec![error(ErrorCode::BadResumptionToken, "the resumptionToken has expired")])
        } else {
            desk.answer(&request).await?
        };
        let page_size = settings.page_size.clamp(1, PAGE_RECORDS_MAX);
        let token = given.get("resumptionToken");
        met.each(|fault| fault.skew(&mut answer, token, &settings.token_key, page_size));
        let arguments = if answer.blames_arguments() { Arguments::new() } else { request.arguments() };
        Ok((answer, arguments))
    }

    fn base_url(&self, head: &Parts) -> String {
        self.settings.base_url.clone().unwrap_or_else(|| {
            let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            format!("http://{host}{}", head.uri.path())
        })
    }
}

/// The faults that strike a request, and the names of those that found something to do.
struct Met<'a> {
    struck: Vec<&'a Fault>,
    faults: Vec<&'static str>,
}

impl Met<'_> {
    fn each(&mut self, mut strike: impl FnMut(&Fault) -> bool) {
        self.faults.extend(self.struck.iter().filter(|fault| strike(fault)).map(|fault| fault.name()));
    }

    /// Whether this one strikes; it is taken to find something to do.
    fn has(&mut self, wanted: &Fault) -> bool {
        let has = self.struck.contains(&wanted);
        if has {
            self.faults.push(wanted.name());
        }
        has
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    response
}
