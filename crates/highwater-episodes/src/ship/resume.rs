//! A large archive on its way. Owns what is done after a break: the receiver is asked how much it has, and the rest is sent; and that
//! where the upload is outlives this process.

use std::path::Path;

use highwater_engine::job::{ReadCx, Stop};
use reqwest::Url;

use super::client::{Asked, Begun, Proved, Went};
use super::outbox::Parcel;
use super::{Answer, Code, Refusal, Ship, disk};
use crate::name::EpisodeId;

/// How often one attempt goes on after a break, as long as more of the archive came each time.
const BREAKS_MAX: u32 = 64;
/// How often without.
const STALLED_BREAKS_MAX: u32 = 3;
/// A receiver that takes less than this of all that is sent it, and says that it is well, makes a short step.
const SHORT_STEP_BYTES: u64 = 64 * 1024;
/// How many of these one attempt makes: each sends the whole rest.
const SHORT_STEPS_MAX: u32 = 64;
/// How often one attempt begins an upload: the receiver may lose one, and then another.
const BEGINNINGS_MAX: u32 = 2;

impl Ship {
    /// Sends an archive by an upload that goes on after a break. `None` where the receiver knows none.
    pub(super) async fn resume(
        &self,
        cx: &ReadCx,
        episode: &EpisodeId,
        archive: &Path,
        parcel: &Parcel,
        code: &Code,
    ) -> Result<Option<Answer>, Stop> {
        let (receiver, contacts) = (&self.place.receiver, &*cx.contacts);
        let mut upload = self.upload_of(episode, parcel).await?;
        let mut at: Option<u64> = None;
        let (mut begun, mut breaks, mut stalled, mut most, mut short) = (0, 0, 0, 0, 0);
        // What it said to the last part, where that was no word of how much it has.
        let mut elsewhere: Option<String> = None;
        // All of it was there when the upload began.
        let mut is_unsent = false;
        loop {
            let Some(url) = upload.clone() else {
                if begun == BEGINNINGS_MAX {
                    return Ok(Some(failed(&match elsewhere {
                        Some(said) => format!(
                            "{said}; and asked where the upload is, the receiver knows of none, nor of another after it"
                        ),
                        None => "the receiver has lost the upload, and another after it".to_owned(),
                    })));
                }
                begun += 1;
                match receiver.begin(contacts, episode, parcel, code).await? {
                    Begun::At(url, bytes) => {
                        self.note_upload(episode, Some((parcel, &url))).await?;
                        (upload, at, most) = (Some(url), Some(bytes), bytes);
                        is_unsent = bytes == parcel.size_bytes;
                    }
                    Begun::NotOffered => return Ok(None),
                    Begun::Answered(answer) => return Ok(Some(answer)),
                }
                continue;
            };
            let Some(from_byte) = at else {
                match receiver.ask(contacts, &url, parcel, code).await? {
                    Asked::At(bytes) => {
                        stalled = if bytes > most { 0 } else { stalled };
                        (at, most) = (Some(bytes), most.max(bytes));
                    }
                    Asked::Gone => {
                        self.note_upload(episode, None).await?;
                        upload = None;
                    }
                    Asked::Answered(answer) => return Ok(Some(answer)),
                }
                continue;
            };
            if from_byte == parcel.size_bytes {
                let status = match receiver.proves(contacts, episode, parcel).await? {
                    // Nothing was sent, so its own word for an end is none.
                    Proved::Answered(Answer::Unnamed) if is_unsent => 201,
                    Proved::Answered(answer) => return Ok(Some(answer)),
                    Proved::Missing(status) => status,
                };
                self.note_upload(episode, None).await?;
                let told = "all of it came, but the receiver does not have this episode; it is sent anew";
                return Ok(Some(Answer::Failed(Refusal { status, told: told.to_owned(), ..Refusal::default() })));
            }
            let told = match receiver.go_on(cx, &url, from_byte, archive, parcel, code).await? {
                Went::At(bytes) => {
                    short += u32::from(bytes < parcel.size_bytes && bytes - from_byte < SHORT_STEP_BYTES);
                    if short > SHORT_STEPS_MAX {
                        let told =
                            format!("it took less than {SHORT_STEP_BYTES} bytes of what was sent, {short} times");
                        return Ok(Some(Answer::Failed(Refusal { status: 204, told, ..Refusal::default() })));
                    }
                    (at, most, elsewhere) = (Some(bytes), bytes, None);
                    continue;
                }
                Went::Gone => {
                    self.note_upload(episode, None).await?;
                    (upload, at, elsewhere) = (None, None, None);
                    continue;
                }
                Went::Answered(answer) => {
                    if matches!(answer, Answer::Conflict(_) | Answer::Refused(_)) {
                        // It was refused at its end, maybe: that all of it came is no word for it.
                        self.note_upload(episode, None).await?;
                    }
                    return Ok(Some(answer));
                }
                Went::Broke(told) => {
                    elsewhere = None;
                    Answer::Unanswered(told)
                }
                Went::Elsewhere(told) => {
                    elsewhere = Some(told.clone());
                    Answer::Failed(Refusal { status: 409, told, ..Refusal::default() })
                }
            };
            (breaks, stalled, at) = (breaks + 1, stalled + 1, None);
            if breaks > BREAKS_MAX || stalled > STALLED_BREAKS_MAX {
                return Ok(Some(told));
            }
            tracing::info!(%episode, from_byte, "an upload broke off; the receiver is asked how much it has");
        }
    }

    async fn upload_of(&self, episode: &EpisodeId, parcel: &Parcel) -> Result<Option<Url>, Stop> {
        let (outbox, dir) = (self.outbox()?, self.place.outbox.clone());
        let (episode, parcel) = (episode.clone(), parcel.clone());
        let place = Self::on_disk(move || outbox.sending(&episode, &parcel).map_err(|error| disk(&error, &dir)));
        Ok(place.await?.and_then(|place| self.place.receiver.upload_at(&place)))
    }

    async fn note_upload(&self, episode: &EpisodeId, upload: Option<(&Parcel, &Url)>) -> Result<(), Stop> {
        let (outbox, dir, episode) = (self.outbox()?, self.place.outbox.clone(), episode.clone());
        let upload = upload.map(|(parcel, url)| (parcel.clone(), place_of(url)));
        Self::on_disk(move || {
            let upload = upload.as_ref().map(|(parcel, place)| (parcel, place.as_str()));
            outbox.note_sending(&episode, upload).map_err(|error| disk(&error, &dir))
        })
        .await
    }
}

/// An address without whose it is.
fn place_of(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

fn failed(told: &str) -> Answer {
    Answer::Failed(Refusal { status: 404, told: told.to_owned(), ..Refusal::default() })
}
