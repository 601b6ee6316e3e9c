//! `GET /v1/episodes`: the rows in force, a page at a time. Owns the query and the shape of a page.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::admit::{BUSY_SECS, cannot};
use super::problem::{Problem, known};
use super::{Receiver, blocking};
use crate::index::{Cursor, IndexError, LOST_NEXT, PAGE_ROWS_MAX, PageAsk};
use crate::name::HostId;

/// How many rows a page has.
const PAGE_ROWS: usize = PAGE_ROWS_MAX;
/// Longest query that is read, in bytes.
const QUERY_BYTES_MAX: usize = 4_096;

pub(super) async fn list(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    let head = request.into_parts().0;
    receiver.list(&head).await.unwrap_or_else(Problem::into_response)
}

impl Receiver {
    async fn list(&self, head: &Parts) -> Result<Response, Problem> {
        let caller = self.caller(head)?;
        let mut ask = PageAsk { hosts: caller.hosts(), rows_max: PAGE_ROWS, ..PageAsk::default() };
        for (name, value) in parts(head.uri.query().unwrap_or_default())? {
            let wrong = |expected: &str| bad_query(format!("found {name}={value:?}, expected {expected}"));
            match name.as_str() {
                "host" => {
                    let host = HostId::new(&value).map_err(|error| bad_query(error.to_string()))?;
                    if !caller.may(host.as_str()) {
                        return Err(Problem::new(&known::FOREIGN_HOST));
                    }
                    ask.hosts = Some(vec![host]);
                }
                "since" => ask.since = Some(value.parse().map_err(|_| wrong("a time such as 2026-11-20T10:00:00Z"))?),
                "cursor" => ask.cursor = value.parse().map_err(|_| wrong("the `next` of a page"))?,
                _ => return Err(bad_query(format!("found {name:?}, expected host, since or cursor"))),
            }
        }
        // One of an older receiver: what lies before it may be anything by now.
        if ask.cursor != Cursor::default() && ask.cursor.after.is_none() {
            return Err(outdated());
        }
        self.in_its_place().await?;
        let index = Arc::clone(&self.on.index);
        let page = blocking(move || index.page(&ask)).await?.map_err(|error| unlisted(&error))?;
        let told = json!({"episodes": page.rows, "next": page.next.to_string(), "complete": page.complete});
        let mut response = format!("{told}\n").into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

fn parts(query: &str) -> Result<Vec<(String, String)>, Problem> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(bad_query(format!("it is longer than {QUERY_BYTES_MAX} bytes")));
    }
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().map_err(|_| bad_query("it is not UTF-8".to_owned()));
        text.map(|text| text.into_owned())
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn unlisted(error: &IndexError) -> Problem {
    match error {
        // Logged where it was found, once.
        IndexError::Edited { .. } => Problem::new(&known::INDEX_EDITED)
            .detail(error.to_string())
            .remediation(format!("let the receiver's operator {LOST_NEXT}"))
            .retry_after(BUSY_SECS),
        IndexError::Outdated => outdated(),
        error => cannot(error, error.is_full()),
    }
}

fn outdated() -> Problem {
    Problem::new(&known::CURSOR_OUTDATED)
        .detail("the rows before this cursor may be others than those that you were told: going on from it could pass some over")
        .remediation("begin anew, without a cursor")
}

fn bad_query(detail: String) -> Problem {
    Problem::new(&known::BAD_QUERY).detail(detail)
}
