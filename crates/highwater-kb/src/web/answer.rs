//! What an answer without a document means. Owns what becomes of the document by it.

use highwater_engine::outcome::OutcomeKind;
use reqwest::header::LOCATION;
use reqwest::{Response, StatusCode, Url};

use super::header;

/// What becomes of a document whose request was answered so, and why; `None` where the answer has it.
pub(super) fn refused(response: &Response, may_go: impl Fn(&Url) -> bool) -> Option<(OutcomeKind, String)> {
    let status = response.status();
    let kind = match status {
        StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => return None,
        StatusCode::NOT_FOUND | StatusCode::GONE => OutcomeKind::Gone,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => OutcomeKind::Failed,
        status if status.is_server_error() => OutcomeKind::Failed,
        _ => OutcomeKind::Review,
    };
    let why = match header(response, LOCATION).filter(|_| status.is_redirection()) {
        Some(to) => redirected(response.url(), to, may_go),
        None => format!("it was answered with {status}"),
    };
    Some((kind, why))
}

/// Why a redirect was not followed.
fn redirected(from: &Url, to: &str, may_go: impl Fn(&Url) -> bool) -> String {
    let why = match from.join(to) {
        Err(error) => format!("which is no address: {error}"),
        Ok(to) if !matches!(to.scheme(), "http" | "https") => "which is no address of the web".to_owned(),
        Ok(to) if !may_go(&to) => {
            "which lies in a private network: name that address yourself if you want it".to_owned()
        }
        Ok(to) if to.scheme() == "http" && from.scheme() == "https" => {
            "which is not encrypted, as the address was: name that one yourself if you want it".to_owned()
        }
        Ok(_) => "and so on: too many times".to_owned(),
    };
    let shown: String = to.chars().take(SHOWN_CHARS).filter(|c| !c.is_control()).collect();
    format!("{from} redirects to {shown}, {why}")
}

/// How much of where a redirect leads is told.
const SHOWN_CHARS: usize = 200;
