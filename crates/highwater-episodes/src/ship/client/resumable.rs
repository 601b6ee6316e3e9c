//! Uploads that go on after a break, as a shipper asks for them. Owns the requests and what each answer means; what is done next is
//! the job's.
//!
//! Of the far side only the creation of uploads is required; what it offers beyond is not asked for. A break loses nothing of a request
//! that carries no checksum, and what came is held against its digest at the end.
//!
//! # Source
//! tus resumable upload protocol 1.0.0.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use highwater_engine::contact::Contacts;
use highwater_engine::job::{ReadCx, Stop};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Response, Url};

use super::{Answer, Code, Receiver, Refusal, STALL_SECS, WITHDRAWN, answer, body, not_a_receivers};
use crate::name::EpisodeId;
use crate::ship::outbox::Parcel;
use crate::wire::{
    TUS_MEDIA_TYPE, TUS_RESUMABLE_HEADER, TUS_VERSION, UPLOAD_LENGTH_HEADER, UPLOAD_METADATA_HEADER,
    UPLOAD_OFFSET_HEADER,
};

/// What became of beginning an upload.
#[derive(Debug)]
pub(in crate::ship) enum Begun {
    /// It is there, with so many bytes: all of them where the receiver has the episode already.
    At(Url, u64),
    /// The receiver does not know such uploads.
    NotOffered,
    /// It is refused, or failed.
    Answered(Answer),
}

/// Where an upload is.
#[derive(Debug)]
pub(in crate::ship) enum Asked {
    /// It has so many bytes.
    At(u64),
    /// It is not there any more.
    Gone,
    /// It cannot be said.
    Answered(Answer),
}

/// What became of going on.
#[derive(Debug)]
pub(in crate::ship) enum Went {
    /// It has so many bytes now, and says so.
    At(u64),
    /// The connection broke, or nothing moved any more.
    Broke(String),
    /// The upload is elsewhere than was thought, or somebody has it in hand.
    Elsewhere(String),
    /// It is not there any more.
    Gone,
    /// It is refused, or failed.
    Answered(Answer),
}

/// A header that is a number of bytes.
fn bytes_in(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Where an upload is, as a server of the protocol says it; what some page says is no word for it.
fn offset_in(headers: &HeaderMap) -> Option<u64> {
    headers.get(TUS_RESUMABLE_HEADER)?;
    bytes_in(headers, UPLOAD_OFFSET_HEADER)
}

/// Which refusals of an upload say where it is, rather than that the episode is not wanted. Of other servers any conflict does.
fn is_elsewhere(status: u16, code: Option<&str>) -> bool {
    status == 423 || (status == 409 && !matches!(code, Some("conflict" | WITHDRAWN)))
}

/// An address that the receiver gave, on the receiver's own origin. Behind a proxy a server may not know its own scheme and port; but what
/// shows who this host is goes to no other host.
fn at_home(asked: &Url, location: &str) -> Result<Url, String> {
    let mut url = asked.join(location).map_err(|error| format!("its Location is no address: {error}"))?;
    if url.host_str() != asked.host_str() || !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the upload would be at another host, {}", url.host_str().unwrap_or("without a name")));
    }
    let same = url.set_scheme(asked.scheme()).and_then(|()| url.set_port(asked.port()));
    let same = same.and_then(|()| url.set_username(asked.username())).and_then(|()| url.set_password(asked.password()));
    same.map_err(|()| "its Location is no address of the receiver".to_owned())?;
    Ok(url)
}

impl Receiver {
    /// The upload that was at this place of the receiver.
    pub(in crate::ship) fn upload_at(&self, place: &str) -> Option<Url> {
        at_home(&self.base, place).ok()
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// As [`Contacts::send_by`].
    pub(in crate::ship) async fn begin(
        &self,
        contacts: &Contacts,
        episode: &EpisodeId,
        parcel: &Parcel,
        code: &Code,
    ) -> Result<Begun, Stop> {
        let url = self.url(&["v1", "uploads"]);
        let pair = |key: &str, value: &str| format!("{key} {}", BASE64_STANDARD.encode(value));
        let metadata = [
            pair("host", self.host.as_str()),
            pair("episode", episode.as_str()),
            pair("filename", &format!("{episode}.tar.zst")),
            pair("sha256", &parcel.sha256.to_string()),
            pair("content-sha256", &parcel.content_sha256.to_string()),
        ]
        .join(",");
        let http = self.shown.http();
        let sent = contacts
            .send_by(&http, &self.resource, None, |http| {
                self.signed(http.post(url.clone()), code)
                    .timeout(Duration::from_secs(STALL_SECS))
                    .header(TUS_RESUMABLE_HEADER, TUS_VERSION)
                    .header(CONTENT_LENGTH, 0)
                    .header(UPLOAD_LENGTH_HEADER, parcel.size_bytes)
                    .header(UPLOAD_METADATA_HEADER, metadata.as_str())
            })
            .await?;
        let response = match sent {
            Ok(response) => response,
            Err(no_answer) => return Ok(Begun::Answered(Answer::Unanswered(self.untold(contacts, &no_answer)))),
        };
        let status = response.status().as_u16();
        if matches!(status, 404 | 405 | 501) {
            return Ok(Begun::NotOffered);
        }
        if status != 201 {
            return Ok(Begun::Answered(if response.status().is_success() {
                not_a_receivers(&url, &response, "201, that an upload begins")
            } else {
                answer(&url, response).await
            }));
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let Some(location) = location else {
            return Ok(Begun::Answered(not_a_receivers(&url, &response, "a `Location`, where the upload is")));
        };
        Ok(match at_home(&url, location) {
            Ok(upload) => match offset_in(response.headers()).unwrap_or(0) {
                bytes if bytes <= parcel.size_bytes => Begun::At(upload, bytes),
                bytes => {
                    let told = format!("an upload of {} bytes would begin at byte {bytes}", parcel.size_bytes);
                    Begun::Answered(Answer::Failed(refusal(status, &told)))
                }
            },
            Err(why) => Begun::Answered(unclear(status, &why)),
        })
    }

    /// Asks where an upload is.
    ///
    /// # Errors
    /// As [`Contacts::send_by`].
    pub(in crate::ship) async fn ask(
        &self,
        contacts: &Contacts,
        upload: &Url,
        parcel: &Parcel,
        code: &Code,
    ) -> Result<Asked, Stop> {
        let http = self.shown.http();
        let sent = contacts
            .send_by(&http, &self.resource, None, |http| {
                self.signed(http.head(upload.clone()), code)
                    .timeout(Duration::from_secs(STALL_SECS))
                    .header(TUS_RESUMABLE_HEADER, TUS_VERSION)
            })
            .await?;
        let response = match sent {
            Ok(response) => response,
            Err(no_answer) => return Ok(Asked::Answered(Answer::Unanswered(self.untold(contacts, &no_answer)))),
        };
        let (status, headers) = (response.status().as_u16(), response.headers());
        let length = bytes_in(headers, UPLOAD_LENGTH_HEADER);
        Ok(match (status, offset_in(headers)) {
            (200 | 204, Some(bytes))
                if bytes <= parcel.size_bytes && length.is_none_or(|length| length == parcel.size_bytes) =>
            {
                Asked::At(bytes)
            }
            // Not this one's, whatever it is.
            (200 | 204, _) => Asked::Gone,
            (423, _) => Asked::Answered(Answer::Failed(refusal(status, "somebody has the upload in hand"))),
            (401 | 403, _) | (500.., _) => Asked::Answered(answer(upload, response).await),
            // Why, a HEAD cannot say; who begins anew is told.
            _ => Asked::Gone,
        })
    }

    /// Goes on with an upload to its end.
    ///
    /// # Errors
    /// As [`Contacts::send_by`].
    pub(in crate::ship) async fn go_on(
        &self,
        cx: &ReadCx,
        upload: &Url,
        from_byte: u64,
        archive: &Path,
        parcel: &Parcel,
        code: &Code,
    ) -> Result<Went, Stop> {
        let flow = self.flow(cx, from_byte, parcel);
        let http = self.shown.http();
        let sending = cx.contacts.send_by(&http, &self.resource, None, |http| {
            self.signed(http.patch(upload.clone()), code)
                .header(TUS_RESUMABLE_HEADER, TUS_VERSION)
                .header(CONTENT_TYPE, TUS_MEDIA_TYPE)
                .header(UPLOAD_OFFSET_HEADER, from_byte)
                .header(CONTENT_LENGTH, parcel.size_bytes - from_byte)
                .body(body(archive.to_path_buf(), from_byte, flow.clone()))
        });
        let sent = tokio::select! {
            sent = sending => sent?,
            never = flow.is_steered(cx) => match never {},
            patience = flow.stalls() => {
                return Ok(Went::Broke(format!("nothing moved for {} seconds", patience.as_secs())));
            }
        };
        match sent {
            Ok(response) => Ok(went(upload, response, from_byte, parcel.size_bytes).await),
            Err(no_answer) => Ok(Went::Broke(self.untold(&cx.contacts, &no_answer))),
        }
    }
}

async fn went(asked: &Url, response: Response, from_byte: u64, size_bytes: u64) -> Went {
    let status = response.status().as_u16();
    match (status, offset_in(response.headers())) {
        (200 | 204, Some(bytes)) if bytes > from_byte && bytes <= size_bytes => return Went::At(bytes),
        (200..300, _) => return Went::Elsewhere(format!("{status}, and it is not said how many bytes came")),
        (404 | 410, _) => return Went::Gone,
        // A receiver waits only so long for one body, and keeps what came.
        (408, _) => return Went::Broke(format!("{status}: the receiver waited no longer for the rest")),
        _ => {}
    }
    let refused = answer(asked, response).await;
    match &refused {
        Answer::Conflict(refusal) | Answer::Refused(refusal) if is_elsewhere(status, refusal.code.as_deref()) => {
            Went::Elsewhere(refusal.told.clone())
        }
        _ => Went::Answered(refused),
    }
}

fn refusal(status: u16, told: &str) -> Refusal {
    Refusal { status, told: format!("{status}: {told}"), ..Refusal::default() }
}

fn unclear(status: u16, told: &str) -> Answer {
    Answer::Refused(refusal(status, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_at_the_receivers_own_origin_or_nowhere() {
        let asked: Url = "https://receiver.example.org:8460/lab/v1/uploads".parse().unwrap();
        for (location, at) in [
            ("/v1/uploads/7", "https://receiver.example.org:8460/v1/uploads/7"),
            ("uploads/7", "https://receiver.example.org:8460/lab/v1/uploads/7"),
            ("https://receiver.example.org:8460/files/7?x=1", "https://receiver.example.org:8460/files/7?x=1"),
            ("http://receiver.example.org/files/7", "https://receiver.example.org:8460/files/7"),
            ("//receiver.example.org/7", "https://receiver.example.org:8460/7"),
            ("https://eve:x@receiver.example.org/7", "https://receiver.example.org:8460/7"),
        ] {
            assert_eq!(at_home(&asked, location).unwrap().as_str(), at, "{location}");
        }
        for other in [
            "https://other.example.org/7",
            "//other.example.org/7",
            "http://[::1]/7",
            "file:///etc/passwd",
            "data:,x",
            "http://",
        ] {
            assert!(at_home(&asked, other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_conflict_of_episodes_is_none_of_offsets() {
        for (status, code, elsewhere) in [
            (409, None, true),
            (409, Some("wrong-offset"), true),
            (409, Some("conflict"), false),
            (409, Some("withdrawn"), false),
            (423, Some("upload-held"), true),
            (412, None, false),
        ] {
            assert_eq!(is_elsewhere(status, code), elsewhere, "{status} {code:?}");
        }
    }
}
