//! What an answer makes of an episode. Owns its outcome, what is parked, and how it is retired.

use std::fs::File;
use std::io::Read as _;
use std::sync::PoisonError;

use highwater_engine::diagnosis::with_causes;
use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::Reason;
use jiff::Timestamp;

use super::client::{GATE_MISSING, WITHDRAWN};
use super::parked::finished_at;
use super::{
    Answer, Code, Holds, MARKER, OTHER_CODE, Parcel, Parked, Parking, Receipt, RetireError, Retired, Ship, SincePacked,
    UNMOVED_EPISODES, disk, is_of_all,
};
use crate::archive::meta::{META_BYTES_MAX, META_NAME, MetaError, recorded_commit};
use crate::archive::{TreeLimits, content_of};
use crate::gate::Judge;
use crate::index::Commit;
use crate::name::EpisodeId;

/// What a receiver answers whose disk is as full as it may be.
///
/// # Source
/// RFC 4918, section 11.5
const FULL_STATUS: u16 = 507;

/// What a receiver's word is worth.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It named what it has; with the receipt, where it is known what the directory held.
    Proved(Option<String>),
    /// It took it, or is not known to have it.
    Unproved,
}

impl Ship {
    pub(super) async fn park(
        &self,
        episode: &EpisodeId,
        parking: Parking,
        code: &Code,
        told: &str,
        at: Timestamp,
    ) -> Result<(), Stop> {
        let commit = code.judged.clone();
        let parked = Parked { at, commit, parking, marker: None, refused: None, told: told.to_owned() };
        self.park_as(episode, parked).await
    }

    /// Parks an episode as its marker is now.
    pub(super) async fn park_as(&self, episode: &EpisodeId, parked: Parked) -> Result<(), Stop> {
        let (outbox, episode) = (self.outbox()?, episode.clone());
        let (dir, root) = (self.place.outbox.clone(), self.place.shelves.episodes.join(episode.as_str()));
        Self::on_disk(move || {
            let parked = Parked { marker: finished_at(&root), ..parked };
            outbox.park(&episode, &parked).map_err(|error| disk(&error, &dir))
        })
        .await
    }

    /// What a person is to look at whose archive stays and is not sent again by itself.
    pub(super) async fn lost(&self, episode: &EpisodeId, told: String, at: Timestamp) -> Result<Outcome, Stop> {
        self.park(episode, Parking::Gone, &Code::default(), &told, at).await?;
        Ok(Outcome::because(OutcomeKind::Review, told))
    }

    /// What an answer makes of an episode.
    pub(super) async fn judged(
        &self,
        cx: &ReadCx,
        episode: &EpisodeId,
        code: &Code,
        parcel: &Parcel,
        answer: Answer,
    ) -> Result<Outcome, Stop> {
        let now = cx.clock.now();
        let review = |why: String| Ok(Outcome::because(OutcomeKind::Review, why));
        let taken = match answer {
            Answer::Ok | Answer::Unnamed => self.as_sent(episode, parcel).await?,
            _ => None,
        };
        match answer {
            Answer::Ok | Answer::Unnamed if taken.is_none() => {
                let told = "it changed while it was sent: it is packed and sent anew; the receiver has it as it was, so a 409 that follows \
                            is of its own older files"
                    .to_owned();
                Ok(Outcome::because(OutcomeKind::Failed, told))
            }
            Answer::Ok => {
                let receipt = taken.and_then(|parcel| {
                    Some(Receipt { holds: parcel.holds?, content_sha256: Some(parcel.content_sha256) })
                });
                self.retire(cx, episode, Arrival::Proved(receipt.map(|receipt| receipt.to_string()))).await
            }
            Answer::Unnamed => {
                tracing::warn!(%episode, "the receiver took it, and names no SHA-256 of it: it stays in `shipped`, however long others do");
                self.retire(cx, episode, Arrival::Unproved).await
            }
            Answer::Conflict(refusal) if refusal.code.as_deref() == Some(WITHDRAWN) => {
                self.park(episode, Parking::Conflict, code, &refusal.told, now).await?;
                let why = refusal.detail.map(|why| format!(": {why}")).unwrap_or_default();
                review(format!(
                    "the receiver withdrew this episode and takes it no more{why}; `highwater episodes resolve {episode} --keep remote` \
                     sets this host's aside; if it is wanted again, let the receiver's operator call `highwater episodes withdraw \
                     {}/{episode} --make-room --why …`, then touch `{MARKER}`",
                    self.place.receiver.host
                ))
            }
            Answer::Conflict(refusal) => {
                self.park(episode, Parking::Conflict, code, &refusal.told, now).await?;
                review(format!("the receiver has another episode of this name; both are kept: {}", refusal.told))
            }
            Answer::Gate(refusal) => {
                let commit = code.judged.as_ref().map_or("no commit at all", Commit::as_str);
                let mend = refusal.remediation.join("\n");
                tracing::error!(%episode, code.commit = commit, remediation = %mend, "the receiver does not accept this code");
                if self.place.receiver.judge == Judge::Ships {
                    return Err(Stop::Halt {
                        why: format!("the receiver does not accept the code that sends: {}", refusal.told),
                        evidence: format!("commit {commit}\n{mend}"),
                        // Other code may be accepted.
                        until: code.judged.as_ref().map(|commit| format!("{OTHER_CODE}{commit}")),
                    });
                }
                self.park(episode, Parking::Gate, code, &refusal.told, now).await?;
                // Nothing that a gate tells everybody gives an episode its commit.
                if code.judged.is_none() && refusal.code.as_deref().is_none_or(|code| code == GATE_MISSING) {
                    let found = self.uncommitted(episode).await?;
                    return review(format!(
                        "{found}, expected 40 or 64 hex digits; correct it and touch `{MARKER}`: the receiver takes no episode without ({})",
                        refusal.told
                    ));
                }
                let lines: Vec<&str> = mend.lines().collect();
                let mend = lines.join("; ");
                let mend = if mend.is_empty() { String::new() } else { format!("; what mends it: {mend}") };
                review(format!(
                    "the receiver does not accept the code that recorded it, {commit}: {}{mend}",
                    refusal.told
                ))
            }
            Answer::Refused(refusal) => self.refused(cx, episode, code, refusal).await,
            Answer::Failed(refusal) => {
                let stop = Stop::checkpoint(Reason::Network, format!("{episode}: {}", refusal.told));
                cx.contacts.wind_down(stop);
                // A receiver that is full says nothing of the episode.
                let kind = if refusal.status == FULL_STATUS { OutcomeKind::Deferred } else { OutcomeKind::Failed };
                Ok(Outcome::because(kind, refusal.told))
            }
            Answer::Unanswered(told) => {
                cx.contacts.wind_down(Stop::checkpoint(Reason::Network, format!("{episode}: {told}")));
                Ok(Outcome::because(OutcomeKind::Deferred, told))
            }
        }
    }

    /// What stands in an episode's `meta.json` where its commit should. Its archive goes: mended, it is another one.
    async fn uncommitted(&self, episode: &EpisodeId) -> Result<String, Stop> {
        let (outbox, id, dir) = (self.outbox()?, episode.clone(), self.place.outbox.clone());
        let meta = self.place.shelves.episodes.join(episode.as_str()).join(META_NAME);
        Self::on_disk(move || {
            outbox.drop_parcel(&id).map_err(|error| disk(&error, &dir))?;
            let mut text = Vec::new();
            let read = File::open(&meta).and_then(|file| file.take(META_BYTES_MAX as u64 + 1).read_to_end(&mut text));
            Ok(match read.map(|_| recorded_commit(&text)) {
                Err(error) => format!("`{META_NAME}` with `code_version.commit` cannot be read ({error})"),
                Ok(Err(MetaError::Commit { found, .. })) => {
                    format!("`{META_NAME}` has `code_version.commit` = {found:?}")
                }
                Ok(Err(error)) => with_causes(&error),
                Ok(Ok(None)) => format!("`{META_NAME}` has no `code_version.commit`"),
                Ok(Ok(Some(_))) => format!("`{META_NAME}` had no `code_version.commit` when it was packed"),
            })
        })
        .await
    }

    /// It is in `shipped/` already: a pass that was killed after it retired it left that, or a person moved it there. The receiver is asked
    /// which, for without its word there is no receipt.
    pub(super) async fn retired_before(&self, cx: &ReadCx, episode: &EpisodeId) -> Result<Outcome, Stop> {
        let theirs = match self.place.receiver.content(cx, episode).await? {
            Ok(theirs) => theirs,
            Err(told) => {
                cx.contacts.wind_down(Stop::checkpoint(Reason::Network, format!("{episode}: {told}")));
                return Ok(Outcome::because(OutcomeKind::Deferred, told));
            }
        };
        let (dir, id, outbox) = (self.place.shelves.shipped.join(episode.as_str()), episode.clone(), self.outbox()?);
        let outbox_dir = self.place.outbox.clone();
        let (ours, packed) = Self::on_disk(move || {
            let packed = outbox.parcel(&id).map_err(|error| disk(&error, &outbox_dir))?;
            // Where nothing is packed and nobody has it, what it holds says nothing.
            let is_asked = theirs.is_some() || packed.is_some();
            let ours = is_asked.then(|| content_of(&dir, &id, TreeLimits::default()).ok()).flatten();
            Ok((ours, packed.map(|packed| packed.content_sha256)))
        })
        .await?;
        let here = ours.as_ref().map(|ours| ours.content_sha256);
        if packed.is_some_and(|packed| Some(packed) != here && Some(packed) != theirs) {
            tracing::warn!(%episode, "its directory is gone, and another one is in `shipped`: its archive in the outbox is the only copy");
            let told = "its directory is gone before it was sent, and another one of its name is in `shipped`: its archive stays in the \
                        outbox; move the other one away, and `retry` sends it";
            return self.lost(episode, told.to_owned(), cx.clock.now()).await;
        }
        let arrival = match ours.filter(|ours| Some(ours.content_sha256) == theirs) {
            Some(ours) => {
                let receipt = Receipt { holds: Holds::of(&ours), content_sha256: Some(ours.content_sha256) };
                Arrival::Proved(Some(receipt.to_string()))
            }
            None => {
                tracing::warn!(%episode, "it was in `shipped` already, and the receiver does not say that it has it: move it back to be sent");
                Arrival::Unproved
            }
        };
        self.retire(cx, episode, arrival).await
    }

    /// What was packed, with how its directory is now; `None` where that is no longer what was packed. One that is gone did not change.
    async fn as_sent(&self, episode: &EpisodeId, parcel: &Parcel) -> Result<Option<Parcel>, Stop> {
        let (shelves, episode, parcel) = (self.place.shelves.clone(), episode.clone(), parcel.clone());
        Self::on_disk(move || {
            match shelves.since_packed(&episode, &parcel).map_err(|error| disk(&error, &shelves.episodes))? {
                SincePacked::Same => Ok(Some(parcel)),
                SincePacked::Touched(holds) => Ok(Some(Parcel { holds: Some(holds), ..parcel })),
                SincePacked::Changed => Ok(None),
            }
        })
        .await
    }

    /// The receiver took it: it is retired, and its archive goes, unless that may be the only copy. What is recorded of it is the receipt,
    /// without which it stays in `shipped/` for ever.
    pub(super) async fn retire(&self, cx: &ReadCx, episode: &EpisodeId, arrival: Arrival) -> Result<Outcome, Stop> {
        let (shelves, outbox, id) = (self.place.shelves.clone(), self.outbox()?, episode.clone());
        let outbox_dir = self.place.outbox.clone();
        let is_proved = matches!(arrival, Arrival::Proved(_));
        let retired = Self::on_disk(move || {
            let retired = shelves.retire(&id);
            let is_elsewhere = match retired {
                Ok(Retired::Moved | Retired::Already) => true,
                Err(RetireError::Gone { .. }) => is_proved,
                _ => false,
            };
            if is_elsewhere {
                let dropped = outbox.drop_parcel(&id).and_then(|()| outbox.unpark(&id));
                dropped.map_err(|error| disk(&error, &outbox_dir))?;
            }
            Ok(retired)
        });
        let retired = match retired.await? {
            Ok(retired) => retired,
            Err(error @ RetireError::Gone { .. }) if !is_proved => {
                let told = format!(
                    "{}: somebody removed it, and the receiver does not say that it has it: its archive stays in the outbox; \
                     `retry` sends it again",
                    with_causes(&error)
                );
                return self.lost(episode, told, cx.clock.now()).await;
            }
            Err(error) => return self.unmoved(episode, &error),
        };
        match retired {
            Retired::Moved | Retired::Already => {
                let receipt = if let Arrival::Proved(receipt) = arrival { receipt } else { None };
                Ok(receipt.map_or_else(Outcome::done, |receipt| Outcome::because(OutcomeKind::Done, receipt)))
            }
            Retired::Differs { ours, theirs } => {
                let told = format!(
                    "`shipped` holds another one of this name ({theirs}, not {ours}); both are kept, and the receiver has the one in \
                     `episodes`: `highwater episodes resolve {episode} --keep remote` sets the one in `shipped` aside"
                );
                self.park(episode, Parking::Shelf, &Code::default(), &told, cx.clock.now()).await?;
                Ok(Outcome::because(OutcomeKind::Review, told))
            }
        }
    }

    /// The receiver has it, and it cannot be moved: the next one may be. Where none can, it is the disk, and nothing more is sent.
    fn unmoved(&self, episode: &EpisodeId, error: &RetireError) -> Result<Outcome, Stop> {
        let told = with_causes(error);
        if matches!(error, RetireError::Gone { .. }) {
            return Ok(Outcome::because(
                OutcomeKind::Review,
                format!("the receiver has it; {told}: somebody removed it"),
            ));
        }
        if is_of_all(error) {
            self.refused_by_disk(error, &self.place.shelves.shipped);
            return Ok(Outcome::because(OutcomeKind::Deferred, format!("the receiver has it; {told}")));
        }
        let episodes = {
            let mut unmoved = self.unmoved.lock().unwrap_or_else(PoisonError::into_inner);
            unmoved.insert(episode.clone());
            unmoved.len()
        };
        if episodes >= UNMOVED_EPISODES {
            return Err(disk(error, &self.place.shelves.shipped));
        }
        Ok(Outcome::because(OutcomeKind::Failed, format!("the receiver has it; {told}")))
    }
}
