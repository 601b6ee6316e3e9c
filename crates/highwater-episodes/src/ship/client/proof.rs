//! What a 2xx proves. Owns which answer shows that a receiver has an episode: a portal, a proxy or a wrong address answers 2xx too,
//! and what is taken for a receiver's word may later be the reason to remove the only copy.

use highwater_engine::contact::Contacts;
use highwater_engine::diagnosis::with_causes;
use highwater_engine::job::{ReadCx, Stop};
use reqwest::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use reqwest::{Response, Url};
use serde_json::{Map, Value};

use super::flow::answer_patience;
use super::{Answer, Code, Held, Receiver, answer, text_of};
use crate::digest::Sha256Digest;
use crate::name::{EpisodeId, HostId};
use crate::ship::evidence::Evidence;
use crate::ship::outbox::Parcel;
use crate::wire::{
    CONTENT_SHA256_HEADER, PROBLEM_MEDIA_TYPE, READ, TUS_RESUMABLE_HEADER, VERIFIED_HEADER, VERIFY_HEADER,
};

/// What the answer to an upload is expected to be.
const NAMES_IT: &str = "JSON that names the episode's SHA-256";
/// And the answer to who asks for it afterwards.
const NAMES_BY_HEADER: &str = "headers that name the episode's SHA-256";
/// What a portal answers with (RFC 8908).
const CAPTIVE: &str = "application/captive+json";
/// Fields of a JSON answer that say it is none of a receiver that took something: of portals (RFC 8908) and of failures.
const OTHERWISE: [&str; 3] = ["captive", "error", "errors"];

/// Whether an answer came from another host than the one that was asked: a redirect was followed.
pub(super) fn elsewhere(asked: &Url, response: &Response) -> bool {
    response.url().host_str() != asked.host_str()
}

fn media_type(response: &Response) -> Option<String> {
    let text = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()).filter(|kind| !kind.is_empty())
}

/// Whether it is an answer of one that speaks of problems as our receiver does.
pub(super) fn is_problem(response: &Response) -> bool {
    media_type(response).as_deref() == Some(PROBLEM_MEDIA_TYPE)
}

fn told(response: &Response, from: &str, expected: &str) -> Answer {
    let kind = media_type(response).unwrap_or_else(|| "without a media type".to_owned());
    let status = response.status().as_u16();
    Answer::Unanswered(format!(
        "the answer is not a receiver's: {status} {kind}{from}; expected {expected}; check the address, a proxy or a captive portal"
    ))
}

/// An answer of something that is no receiver.
pub(super) fn not_a_receivers(asked: &Url, response: &Response, expected: &str) -> Answer {
    let from = match response.url().host_str() {
        Some(host) if elsewhere(asked, response) => format!(" from {host}"),
        _ if response.url().origin() != asked.origin() => {
            format!(" from {}", response.url().origin().ascii_serialization())
        }
        _ => String::new(),
    };
    told(response, &from, expected)
}

/// The same, of one that neither takes nor refuses.
pub(super) fn not_a_receivers_of(response: &Response) -> Answer {
    told(response, "", NAMES_IT)
}

/// What a 2xx to an upload means.
pub(super) async fn taken(asked: &Url, mut response: Response, parcel: &Parcel) -> Answer {
    let text = match text_of(&mut response).await {
        Ok(text) => text,
        // Sent again it is answered 200.
        Err(broke) => return Answer::Unanswered(with_causes(&broke)),
    };
    let status = response.status().as_u16();
    let kind = media_type(&response).unwrap_or_default();
    if elsewhere(asked, &response) {
        return not_a_receivers(asked, &response, NAMES_IT);
    }
    match said(status, &kind, &text, parcel) {
        Said::Named(evidence) => Answer::Named(evidence),
        Said::Unnamed => Answer::Unnamed,
        Said::Other(other) => Answer::Unanswered(format!(
            "{status}, but the answer names other bytes: found SHA-256 {other}, expected {}; check `receiver`, and what it has of this name",
            parcel.sha256
        )),
        Said::Nothing => not_a_receivers(asked, &response, NAMES_IT),
    }
}

/// What is proved of an upload that came to its end.
#[derive(Debug)]
pub(in crate::ship) enum Proved {
    /// As an upload would be answered.
    Answered(Answer),
    /// The receiver says by this status that it has no such episode, or another: what came of the upload is not it.
    Missing(u16),
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// It has these bytes, or what they hold.
    Named(Evidence),
    /// It took something, and that is all.
    Unnamed,
    /// It has others.
    Other(String),
    /// This is no receiver's word.
    Nothing,
}

fn said(status: u16, kind: &str, text: &[u8], parcel: &Parcel) -> Said {
    // 202 promises, 203 was changed on its way, 206 is a part.
    if !matches!(status, 200 | 201 | 204) || kind.contains("html") || kind == CAPTIVE {
        return Said::Nothing;
    }
    if text.trim_ascii().is_empty() {
        return Said::Unnamed;
    }
    let Ok(object) = serde_json::from_slice::<Map<String, Value>>(text) else { return Said::Nothing };
    let field = |name: &str| object.get(name).filter(|value| !value.is_null());
    let named = |name: &str| field(name).map(|value| value.as_str().and_then(|text| text.trim().parse().ok()));
    let (bytes, content): (Option<Option<Sha256Digest>>, Option<Option<Sha256Digest>>) =
        (named("sha256"), named("content_sha256"));
    if let Some(evidence) = Evidence::named(parcel, bytes.flatten(), content.flatten()) {
        return Said::Named(evidence);
    }
    match (bytes, content) {
        (None, None) if OTHERWISE.iter().any(|name| field(name).is_some()) => Said::Nothing,
        (None, None) => Said::Unnamed,
        (sha256, _) => {
            let other = field(if sha256.is_some() { "sha256" } else { "content_sha256" });
            Said::Other(other.map(ToString::to_string).unwrap_or_default().chars().take(80).collect())
        }
    }
}

/// Whether an answer is made for people, or by a portal (RFC 8908).
fn is_page(response: &Response) -> bool {
    media_type(response).is_some_and(|kind| kind.starts_with("text/") || kind.contains("html") || kind == CAPTIVE)
}

fn is_of_what_was_read(response: &Response) -> bool {
    response.headers().get(VERIFIED_HEADER).is_some_and(|said| said == READ)
}

impl Receiver {
    /// How the receiver describes an episode; with a size, after it has read it. The inner error tells why there was no answer.
    async fn described(
        &self,
        contacts: &Contacts,
        url: &Url,
        read_bytes: Option<u64>,
    ) -> Result<Result<Response, String>, Stop> {
        let http = self.shown.http();
        let sent = contacts
            .send_by(&http, &self.resource, None, |http| {
                let request = self.signed(http.head(url.clone()), &Code::default()).header(CACHE_CONTROL, "no-cache");
                match read_bytes {
                    Some(bytes) => request.header(VERIFY_HEADER, READ).timeout(answer_patience(bytes)),
                    None => request.timeout(answer_patience(0)),
                }
            })
            .await?;
        Ok(sent.map_err(|no_answer| self.untold(contacts, &no_answer)))
    }

    /// Asks what the receiver has under the names of a host and an episode, which it reads for that. The inner error tells why there was no answer.
    ///
    /// # Errors
    /// As [`Contacts::send_by`].
    pub async fn content(&self, cx: &ReadCx, host: &HostId, episode: &EpisodeId) -> Result<Result<Held, String>, Stop> {
        let url = self.url(&["v1", "episodes", host.as_str(), episode.as_str()]);
        // How much there is to read is asked first: that costs nobody anything.
        let mut read_bytes = None;
        loop {
            let response = match self.described(&cx.contacts, &url, read_bytes).await? {
                Ok(response) => response,
                Err(no_answer) => return Ok(Err(no_answer)),
            };
            // Whatever is said where a redirect leads: it may be of another receiver, of the same host id.
            if response.url() != &url {
                return Ok(Ok(Held::Elsewhere));
            }
            let status = response.status();
            if status.is_server_error() && status.as_u16() != 501 {
                return Ok(Ok(Held::Unable(status.as_u16())));
            }
            let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
            // What is damaged there is as good as none: sent again it is mended.
            match status.as_u16() {
                // What was withdrawn there is not there either.
                404 | 409 | 410 if is_problem(&response) => return Ok(Ok(Held::Nothing)),
                404 | 405 | 501 if !is_page(&response) => return Ok(Ok(Held::Unsaid)),
                200 if !is_page(&response) => {}
                // A page of a portal or of a web server; and 202 promises, 203 was changed on its way, 204 has nothing, 206 is a part.
                _ => return Ok(Ok(Held::Refused)),
            }
            if read_bytes.is_none() {
                read_bytes = Some(header(CONTENT_LENGTH.as_str()).and_then(|bytes| bytes.parse().ok()).unwrap_or(0));
                continue;
            }
            let content = header(CONTENT_SHA256_HEADER).and_then(|content| content.parse().ok());
            return Ok(Ok(match content {
                Some(content) if is_of_what_was_read(&response) => Held::Named(content),
                Some(_) => Held::Unread,
                // What it read is no episode's archive.
                None if is_of_what_was_read(&response) => Held::Nothing,
                None => Held::Unsaid,
            }));
        }
    }

    /// Asks whether what was sent in parts is what the receiver has now: its last answer tells how many bytes came, not which. Only one
    /// that knows no episodes, a server of uploads alone, is believed its own word.
    ///
    /// # Errors
    /// As [`Contacts::send_by`].
    pub(in crate::ship) async fn proves(
        &self,
        contacts: &Contacts,
        episode: &EpisodeId,
        parcel: &Parcel,
    ) -> Result<Proved, Stop> {
        let url = self.url(&["v1", "episodes", self.host.as_str(), episode.as_str()]);
        let response = match self.described(contacts, &url, Some(parcel.size_bytes)).await? {
            Ok(response) => response,
            Err(no_answer) => return Ok(Proved::Answered(Answer::Unanswered(no_answer))),
        };
        let digest = |name: &str| -> Option<Sha256Digest> {
            response.headers().get(name)?.to_str().ok()?.trim_matches('"').parse().ok()
        };
        let (bytes, content) = (digest(ETAG.as_str()), digest(CONTENT_SHA256_HEADER));
        let kind = media_type(&response).unwrap_or_default();
        let status = response.status().as_u16();
        let evidence = Evidence::named(parcel, bytes, content);
        let answered = match (status, evidence) {
            _ if elsewhere(&url, &response) => not_a_receivers(&url, &response, NAMES_BY_HEADER),
            // What a row says was so once.
            (200 | 204, Some(evidence)) if is_of_what_was_read(&response) => Answer::Named(evidence),
            (200 | 204, Some(_)) => Answer::Unnamed,
            (200 | 204, None) if bytes.is_some() || content.is_some() => return Ok(Proved::Missing(status)),
            (200 | 204, None) if !kind.contains("html") => Answer::Unnamed,
            // Damaged there: sent again it is mended.
            (404 | 409 | 410, _) if kind == PROBLEM_MEDIA_TYPE => return Ok(Proved::Missing(status)),
            (404 | 405 | 410 | 501, _) => Answer::Unnamed,
            // A server of uploads alone refuses whatever does not speak of its protocol, before it looks at what was asked for.
            (412, _) if kind != PROBLEM_MEDIA_TYPE && response.headers().contains_key(TUS_RESUMABLE_HEADER) => {
                Answer::Unnamed
            }
            (400.., _) => answer(&url, response).await,
            _ => not_a_receivers(&url, &response, NAMES_BY_HEADER),
        };
        Ok(Proved::Answered(answered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_the_bytes_is_a_proof_and_a_page_is_nothing() {
        let (ours, content, others) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
        let parcel = Parcel {
            commit: None,
            content_sha256: content.parse().unwrap(),
            sha256: ours.parse().unwrap(),
            size_bytes: 1,
            holds: None,
            root: None,
        };
        let named = || Said::Named(Evidence::named(&parcel, Some(parcel.sha256), None).unwrap());
        let json = "application/json";
        let cases = [
            (201, json, format!(r#"{{"sha256":"{ours}"}}"#), named()),
            (200, "", format!(r#"{{"sha256":"{}"}}"#, ours.to_uppercase()), named()),
            // Stored from another archive of the same files.
            (200, json, format!(r#"{{"sha256":"{others}","content_sha256":"{content}"}}"#), named()),
            (
                201,
                json,
                format!(r#"{{"sha256":"{others}","content_sha256":null}}"#),
                Said::Other(format!("\"{others}\"")),
            ),
            (201, json, r#"{"sha256":7}"#.to_owned(), Said::Other("7".to_owned())),
            (201, "", String::new(), Said::Unnamed),
            (200, "", "\r\n".to_owned(), Said::Unnamed),
            (204, "", String::new(), Said::Unnamed),
            (201, json, r#"{"status":"stored"}"#.to_owned(), Said::Unnamed),
            (200, json, r#"{"error":"log in"}"#.to_owned(), Said::Nothing),
            (200, json, r#"{"captive":true}"#.to_owned(), Said::Nothing),
            (200, json, format!(r#"["{ours}"]"#), Said::Nothing),
            (200, json, format!(r#"{{"sha256":"{ours}""#), Said::Nothing),
            (200, "text/html", format!(r#"{{"sha256":"{ours}"}}"#), Said::Nothing),
            (200, "text/html", String::new(), Said::Nothing),
            (200, "", "<html>captive portal".to_owned(), Said::Nothing),
            (200, "text/plain", "OK".to_owned(), Said::Nothing),
            (202, json, format!(r#"{{"sha256":"{ours}"}}"#), Said::Nothing),
        ];
        for (status, kind, text, expected) in cases {
            assert_eq!(said(status, kind, text.as_bytes(), &parcel), expected, "{status} {kind} {text}");
        }
    }
}
