//! What an answer makes of an episode. Owns its outcome and what is parked; how one that was taken is retired is the arrival's.

use std::fs::File;
use std::io::Read as _;

use highwater_engine::diagnosis::with_causes;
use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::Reason;
use jiff::Timestamp;

use super::client::{GATE_MISSING, WITHDRAWN};
use super::parked::finished_at;
use super::{Answer, Code, MARKER, OTHER_CODE, Parcel, Parked, Parking, Ship, disk};
use crate::archive::meta::{META_BYTES_MAX, META_NAME, MetaError, recorded_commit};
use crate::gate::Judge;
use crate::index::Commit;
use crate::name::EpisodeId;

/// What a receiver answers whose disk is as full as it may be.
///
/// # Source
/// RFC 4918, section 11.5
const FULL_STATUS: u16 = 507;

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
        match answer {
            Answer::Named(evidence) => self.arrived(cx, episode, parcel, Some(evidence)).await,
            Answer::Ok | Answer::Unnamed => {
                tracing::warn!(%episode, "the receiver took it, and names no SHA-256 of it: it stays in `shipped`, however long others do");
                self.arrived(cx, episode, parcel, None).await
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
                // Nothing that a gate tells everybody gives an episode its commit.
                let is_missing =
                    code.judged.is_none() && refusal.code.as_deref().is_none_or(|code| code == GATE_MISSING);
                let commit = code.judged.as_ref().map_or("no commit at all", Commit::as_str);
                let mend = refusal.remediation.join("\n");
                if self.place.receiver.judge == Judge::Ships {
                    tracing::error!(%episode, code.commit = commit, remediation = %mend, "the receiver does not accept this code");
                    return Err(Stop::Halt {
                        why: format!("the receiver does not accept the code that sends: {}", refusal.told),
                        evidence: format!("commit {commit}\n{mend}"),
                        // Other code may be accepted.
                        until: code.judged.as_ref().map(|commit| format!("{OTHER_CODE}{commit}")),
                    });
                }
                if is_missing {
                    let told = format!(
                        "{}, expected 40 or 64 hex digits; correct it and touch `{MARKER}`: the receiver takes no episode without ({})",
                        self.uncommitted(episode).await?,
                        refusal.told
                    );
                    self.park(episode, Parking::Gate, code, &told, now).await?;
                    tracing::error!(%episode, "the receiver does not accept it: {told}");
                    return review(told);
                }
                self.park(episode, Parking::Gate, code, &refusal.told, now).await?;
                tracing::error!(%episode, code.commit = commit, remediation = %mend, "the receiver does not accept this code");
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

    /// What stands in an episode's `meta.json` where its commit should. Mended, it is another content, and is packed anew; its archive stays
    /// until then, for it may be the only copy.
    async fn uncommitted(&self, episode: &EpisodeId) -> Result<String, Stop> {
        let (shelves, outbox, id) = (self.place.shelves.clone(), self.outbox()?, episode.clone());
        Self::on_disk(move || {
            let here = shelves.here(&id).map_err(|error| disk(&error, &shelves.episodes))?;
            if !here.is_finished() {
                return Ok(format!(
                    "{}, and its archive, which may be the only copy, has no `code_version.commit` in its `{META_NAME}`: it stays; unpack it \
                     with `tar --zstd -xf {} -C {}` once nothing has its name there",
                    here.told(),
                    outbox.archive(&id).display(),
                    shelves.episodes.display(),
                ));
            }
            let meta = shelves.episodes.join(id.as_str()).join(META_NAME);
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
}
