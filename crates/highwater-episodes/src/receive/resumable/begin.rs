//! `POST`: an upload begins. Owns its checks, in the order of a `PUT`, and what is answered where the episode is there already.

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::metadata::{Metadata, MetadataError};
use super::open::{About, Crowded};
use super::{EXTENSIONS, UPLOADS_PATH, about_it, bad_field, number};
use crate::index::Missed;
use crate::receive::admit::{busy, cannot, digits, length, pass, refuse_encodings, too_large};
use crate::receive::commit::{Became, Wish};
use crate::receive::gate::Claim;
use crate::receive::problem::{Problem, known};
use crate::receive::upload::{conflict, gone, withdrawn};
use crate::receive::{CONTENT_HEADER, Receiver, blocking};
use crate::store::{UploadId, hash};
use crate::wire::{UPLOAD_LENGTH_HEADER, UPLOAD_METADATA_HEADER};

/// By which parts say that they are to be put together.
const UPLOAD_CONCAT_HEADER: &str = "upload-concat";

/// What is there under an episode's name.
enum There {
    /// Nothing that would be known to be the same or another without its bytes.
    Unknown,
    /// What is to be uploaded.
    Same,
}

fn bad_metadata(error: &MetadataError) -> Problem {
    let problem = Problem::new(&known::BAD_UPLOAD_METADATA);
    problem.detail(error.to_string())
}

impl Receiver {
    pub(super) async fn begin(&self, head: &Parts, _: &mut Body) -> Result<Response, Problem> {
        let caller = self.asker(head)?;
        let about = self.about(head, &caller.name, |host, episode| self.key_for(&caller, host, episode))?;
        let gate = pass(self.on.gate.judge(&about.claim()))?;
        let limit = self.settings.limits.size.bytes();
        if about.size_bytes > limit {
            return Err(too_large(about.size_bytes, limit).header("tus-max-size", limit));
        }
        self.in_its_place().await?;
        if let There::Same = self.there(&about).await? {
            let (id, now) = (UploadId::new(fastrand::u128(..)), self.on.clock.now());
            let (bytes, ends_at) = (about.size_bytes, self.uploads().await?.ends_at(now));
            let (mut hold, gone) = self.open.begin(id.clone(), about).map_err(crowded)?;
            hold.finished(now);
            drop(hold);
            self.forget(gone).await?;
            self.counters.ended("present");
            return Ok(created(&id, about_it(StatusCode::CREATED, bytes, Some(ends_at))));
        }
        self.has_room(about.size_bytes).await?;
        let line = serde_json::to_string(&about).expect("invariant: it is names, numbers and text");
        let (id, is_empty) = (UploadId::new(fastrand::u128(..)), about.size_bytes == 0);
        let (mut hold, gone) = self.uploads().await?.begin(id.clone(), about).map_err(crowded)?;
        let begun = {
            let id = id.clone();
            self.kept(move |partials| {
                gone.iter().try_for_each(|id| partials.forget(id))?;
                partials.begin(&id, &line)
            })
        };
        if let Err(problem) = begun.await {
            hold.gone();
            // What there is of it has no name that anybody knows.
            let _ = self.forget(vec![id]).await;
            return Err(problem);
        }
        if is_empty {
            // Nothing more will come.
            self.finish(&mut hold, gate).await?;
        }
        Ok(created(&id, about_it(StatusCode::CREATED, 0, Some(hold.ends_at()))))
    }

    /// What the request says of the upload.
    fn about(
        &self,
        head: &Parts,
        owner: &str,
        key: impl FnOnce(&str, &str) -> Result<crate::name::EpisodeKey, Problem>,
    ) -> Result<About, Problem> {
        if head.headers.contains_key(UPLOAD_CONCAT_HEADER) {
            // Taken without it, a part would be stored as the whole episode.
            let detail = format!(
                "found Upload-Concat, of the extension `concatenation`; expected one of those that are offered: {EXTENSIONS}"
            );
            return Err(
                bad_field(detail).remediation("send the episode as one upload: after a break it goes on where it was")
            );
        }
        let mut lines = head.headers.get_all(UPLOAD_METADATA_HEADER).iter();
        let text = match (lines.next(), lines.next()) {
            (Some(line), None) => line.to_str().map_err(|_| bad_metadata(&MetadataError::Pair(1)))?,
            (None, _) => "",
            (Some(_), Some(_)) => return Err(bad_field(format!("expected {UPLOAD_METADATA_HEADER} once"))),
        };
        let metadata = Metadata::read(text).map_err(|error| bad_metadata(&error))?;
        let named = |what: &'static str| {
            let problem = Problem::new(&known::BAD_NAME);
            metadata.get(what).ok_or_else(|| {
                problem
                    .detail(format!("expected `{what}` in {UPLOAD_METADATA_HEADER}, found none"))
                    .remediation("say `host BASE64,episode BASE64` there")
            })
        };
        let key = key(named("host")?, named("episode")?)?;
        let names = (self.settings.commit_header.as_str(), self.settings.digest_header.as_str());
        let mut headers =
            metadata.over(head.headers.clone(), names.0, names.1).map_err(|error| bad_metadata(&error))?;
        // It is of this request's body, which is none.
        headers.remove("content-digest");
        let (Claim { commit, judge }, recorded) = self.claim(&headers)?;
        // The gate is asked before anything about digests and sizes.
        pass(self.on.gate.judge(&Claim { commit: commit.clone(), judge }))?;
        let sha256 = self.declared(&headers)?;
        let content_sha256 = digits(&headers, CONTENT_HEADER)?;
        refuse_encodings(&headers)?;
        if length(&headers)?.is_some_and(|bytes| bytes > 0) || headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(bad_field("expected no body: the bytes come by PATCH"));
        }
        let size_bytes = number(&headers, UPLOAD_LENGTH_HEADER)?;
        Ok(About {
            begun_at: self.on.clock.now(),
            commit,
            content_sha256,
            key,
            judge: judge.word().to_owned(),
            metadata: text.to_owned(),
            owner: owner.to_owned(),
            recorded,
            sha256,
            size_bytes,
        })
    }

    /// What is there already, as far as it can be told without the bytes: what cannot is compared when they have come.
    async fn there(&self, about: &About) -> Result<There, Problem> {
        let (on, key) = (self.on.clone(), about.key.clone());
        let found = blocking(move || {
            let row = on.index.find(&key).map_err(|error| cannot(&error, error.is_full()))?;
            if let Some(Missed::Withdrawn { why, .. }) = on.index.missed(&key).map_err(|error| cannot(&error, false))? {
                return Err(withdrawn(&why));
            }
            let size = on.store.stat(&key).map_err(|error| cannot(&error, error.is_full()))?;
            Ok::<_, Problem>((row, size))
        });
        let (Some(row), size) = found.await?? else { return Ok(There::Unknown) };
        if let Some(why) = &row.withdrawn {
            return Err(withdrawn(why));
        }
        let (Some(sha256), true) = (about.sha256, size == Some(row.size_bytes)) else { return Ok(There::Unknown) };
        if (sha256, about.size_bytes) == (row.sha256, row.size_bytes) {
            // What is there is read, for its row tells only what it was once: where it is damaged, the bytes are wanted.
            let (store, key) = (Arc::clone(&self.on.store), about.key.clone());
            let stored =
                blocking(move || hash(&*store, &key)).await?.map_err(|error| cannot(&error, error.is_full()))?;
            if stored != Some((row.sha256, row.size_bytes)) {
                return Ok(There::Unknown);
            }
            // As for a PUT: it may have been placed by one that did not come to its sync.
            return match self.in_a_round(Wish::Keep { row }).await? {
                Became::Present { .. } => Ok(There::Same),
                Became::Withdrawn { why } => Err(withdrawn(&why)),
                // What is said of it when all of it came says more.
                Became::Missed => Ok(There::Unknown),
                Became::Gone => Err(gone()),
                Became::Stored | Became::Occupied { .. } => Err(busy("the episode changed while it was compared")),
            };
        }
        match (about.content_sha256, row.content_sha256) {
            (Some(ours), Some(stored)) if ours != stored => Err(conflict(sha256, row.sha256)
                .digests(("content_sha256", ours), ("stored_content_sha256", stored))
                .detail("they hold different things")),
            _ => Ok(There::Unknown),
        }
    }
}

fn crowded(crowded: Crowded) -> Problem {
    busy(match crowded {
        Crowded::Host => "the host has as many uploads open as it may have",
        Crowded::All => "as many uploads as it takes are open",
    })
}

fn created(id: &UploadId, mut response: Response) -> Response {
    let place = HeaderValue::try_from(format!("{UPLOADS_PATH}/{id}")).expect("invariant: a name is plain");
    response.headers_mut().insert(header::LOCATION, place);
    response
}
