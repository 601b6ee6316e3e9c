//! An episode that the receiver took. Owns how it is retired, what is recorded of it, and that its archive goes only by what was shown.

use std::sync::PoisonError;

use highwater_engine::diagnosis::{mends_disk, with_causes};
use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::Reason;

use super::evidence::Evidence;
use super::here::Here;
use super::outbox::{Lying, Outbox};
use super::retire::Shelves;
use super::{
    Code, Held, Holds, MARKER, Parcel, Parked, Parking, Receipt, RetireError, Retired, Ship, SincePacked,
    UNMOVED_EPISODES, disk, is_of_all,
};
use crate::archive::{TreeLimits, content_of};
use crate::name::EpisodeId;

/// What became of an episode that was sent.
enum Arrived {
    /// It is in `shipped/`, and what was packed is it; how its directory was.
    Retired(Option<Holds>),
    /// It could not be moved, or `shipped/` has another one.
    Not(Result<Retired, RetireError>),
    /// What is in its place is not what was sent.
    Otherwise(SincePacked),
}

/// Lets an archive go by what was shown of it; whether anything was. What lies in `shipped/` shows it too.
fn let_go(
    shelves: &Shelves,
    outbox: &Outbox,
    id: &EpisodeId,
    parcel: &Parcel,
    named: Option<&Evidence>,
) -> Result<bool, super::OutboxError> {
    let shipped = || Evidence::in_directory(&shelves.shipped.join(id.as_str()), id, parcel);
    match named.cloned().or_else(shipped) {
        Some(evidence) => Ok(outbox.let_go(id, parcel, &evidence)?),
        None => Ok(false),
    }
}

impl Ship {
    /// The receiver took it, and named it where there is evidence: it is retired, and its archive goes, unless that may be the only copy.
    /// What is recorded of it is the receipt, without which it stays in `shipped/` for ever.
    pub(super) async fn arrived(
        &self,
        cx: &ReadCx,
        episode: &EpisodeId,
        parcel: &Parcel,
        named: Option<Evidence>,
    ) -> Result<Outcome, Stop> {
        let (shelves, outbox, id) = (self.place.shelves.clone(), self.outbox()?, episode.clone());
        let (outbox_dir, sent, is_named) = (self.place.outbox.clone(), parcel.clone(), named.is_some());
        let (arrived, is_elsewhere) = Self::on_disk(move || {
            let since = shelves.since_packed(&id, &sent).map_err(|error| disk(&error, &shelves.episodes))?;
            let arrived = match since {
                SincePacked::Same | SincePacked::Touched(..) => match shelves.retire(&id) {
                    Ok(Retired::Moved | Retired::Already) => Arrived::Retired(match since {
                        SincePacked::Touched(holds, _) => Some(holds),
                        _ => sent.holds,
                    }),
                    other => Arrived::Not(other),
                },
                // Somebody moved it there, or a kill came behind that.
                SincePacked::Away(Here::Nothing)
                    if Evidence::in_directory(&shelves.shipped.join(id.as_str()), &id, &sent).is_some() =>
                {
                    match shelves.retire(&id) {
                        Ok(Retired::Moved | Retired::Already) => Arrived::Retired(sent.holds),
                        other => Arrived::Not(other),
                    }
                }
                other => Arrived::Otherwise(other),
            };
            let is_elsewhere = match arrived {
                // As long as it is here, or as two, it is sent again, and its archive is at hand.
                Arrived::Not(_) => false,
                _ => {
                    let_go(&shelves, &outbox, &id, &sent, named.as_ref()).map_err(|error| disk(&error, &outbox_dir))?
                }
            };
            if is_elsewhere {
                outbox.unpark(&id).map_err(|error| disk(&error, &outbox_dir))?;
            }
            Ok((arrived, is_elsewhere))
        })
        .await?;
        let now = cx.clock.now();
        match arrived {
            Arrived::Retired(holds) => {
                let content_sha256 = Some(parcel.content_sha256);
                let receipt = holds.filter(|_| is_named).map(|holds| Receipt {
                    holds,
                    content_sha256,
                    host: Some(self.place.receiver.host.clone()),
                });
                Ok(receipt
                    .map_or_else(Outcome::done, |receipt| Outcome::because(OutcomeKind::Done, receipt.to_string())))
            }
            Arrived::Not(retired) => self.not_retired(cx, episode, retired).await,
            Arrived::Otherwise(SincePacked::Reopened) if !is_elsewhere => self.reopened(episode, now).await,
            Arrived::Otherwise(SincePacked::Away(here)) if !is_elsewhere => {
                let told = format!(
                    "{}, and the receiver does not say that it has it: its archive stays in the outbox; `retry` sends it again",
                    here.told()
                );
                self.lost(episode, told, now).await
            }
            Arrived::Otherwise(SincePacked::Away(here)) => {
                let is_shipped = self.place.shelves.is_shipped(episode).is_ok_and(|is| is) && here == Here::Nothing;
                let other = if is_shipped { ", and another one of its name is in `shipped` and stays" } else { "" };
                let mut told = format!("the receiver has it; {}{other}", here.told());
                if here.is_odd() {
                    told.push_str(": move it out of `episodes`; nothing is left to be sent of this one");
                    self.park(episode, Parking::Displaced, &Code::default(), &told, now).await?;
                }
                Ok(Outcome::because(OutcomeKind::Review, told))
            }
            Arrived::Otherwise(SincePacked::Reopened) => Ok(Outcome::because(
                OutcomeKind::Review,
                format!(
                    "the receiver has what it was; its `{MARKER}` was taken away since, and what is recorded now is another one"
                ),
            )),
            Arrived::Otherwise(_) => {
                let told = "it changed while it was sent: it is packed and sent anew; the receiver has it as it was, so a 409 that follows \
                            is of its own older files"
                    .to_owned();
                Ok(Outcome::because(OutcomeKind::Failed, told))
            }
        }
    }

    /// It is in `shipped/` already: a pass that was killed after it retired it left that, or a person moved it there. The receiver is asked
    /// which, for without its word there is no receipt.
    pub(super) async fn retired_before(&self, cx: &ReadCx, episode: &EpisodeId) -> Result<Outcome, Stop> {
        let held = match self.asked(cx, episode).await? {
            Ok(held) => held,
            Err(put_off) => return Ok(put_off),
        };
        let theirs = held.named();
        let (shelves, id, outbox) = (self.place.shelves.clone(), episode.clone(), self.outbox()?);
        let outbox_dir = self.place.outbox.clone();
        let (ours, other) = Self::on_disk(move || {
            let failed = |error: super::OutboxError| disk(&error, &outbox_dir);
            let lying = match outbox.lying(&id) {
                Err(error) if error.is_odd() => Lying::Broken(error.told_odd()),
                lying => lying.map_err(failed)?,
            };
            // Where nothing is packed and nobody has it, what it holds says nothing.
            let is_asked = theirs.is_some() || lying != Lying::Nothing;
            let dir = shelves.shipped.join(id.as_str());
            let ours = is_asked.then(|| content_of(&dir, &id, TreeLimits::default()).ok()).flatten();
            match lying {
                Lying::Nothing => outbox.forget(&id).map_err(failed)?,
                Lying::Broken(_) | Lying::Anothers(_) => return Ok((ours, Some(Err(outbox.told_of(&id, &lying))))),
                Lying::Whole(parcel) => {
                    if !let_go(&shelves, &outbox, &id, &parcel, None).map_err(failed)? {
                        // Its archive is of another one, and may be the only copy.
                        return Ok((ours, Some(Ok(parcel))));
                    }
                }
            }
            let _ = shelves.retire(&id).map_err(|error| disk(&error, &shelves.shipped))?;
            outbox.unpark(&id).map_err(failed)?;
            Ok((ours, None))
        })
        .await?;
        match other {
            Some(Ok(parcel)) => {
                tracing::warn!(%episode, "its directory is gone, and another one is in `shipped`: its archive is sent");
                return self.send(cx, episode, parcel).await;
            }
            Some(Err(told)) => return self.unsendable(episode, &told, cx.clock.now()).await,
            None => {}
        }
        let Some(ours) = ours.filter(|ours| Some(ours.content_sha256) == theirs) else {
            if matches!(held, Held::Nothing | Held::Named(_)) {
                let told = "it was in `shipped` already, and the receiver does not have what is there: move it back to `episodes` to have it sent";
                return Ok(Outcome::because(OutcomeKind::Review, told));
            }
            tracing::warn!(%episode, "it was in `shipped` already, and the receiver does not say what it has: move it back to be sent");
            return Ok(Outcome::done());
        };
        let receipt = Receipt {
            holds: Holds::of(&ours),
            content_sha256: Some(ours.content_sha256),
            host: Some(self.place.receiver.host.clone()),
        };
        Ok(Outcome::because(OutcomeKind::Done, receipt.to_string()))
    }

    /// The receiver has it, and it could not be moved, or `shipped/` has another one.
    async fn not_retired(
        &self,
        cx: &ReadCx,
        episode: &EpisodeId,
        retired: Result<Retired, RetireError>,
    ) -> Result<Outcome, Stop> {
        match retired {
            Ok(Retired::Differs { ours, theirs }) => {
                let told = format!(
                    "`shipped` holds another one of this name ({theirs}, not {ours}); both are kept, and the receiver has the one in \
                     `episodes`: `highwater episodes resolve {episode} --keep remote` sets the one in `shipped` aside"
                );
                self.park(episode, Parking::Shelf, &Code::default(), &told, cx.clock.now()).await?;
                Ok(Outcome::because(OutcomeKind::Review, told))
            }
            Ok(Retired::Moved | Retired::Already) => Ok(Outcome::done()),
            Err(error) => self.unmoved(episode, error).await,
        }
    }

    /// The receiver has it, and it cannot be moved: the next one may be. What the file system refuses is told in each pass, and is no attempt of
    /// the episode's. Where a directory itself cannot be written, none can be moved, and the pass ends with that.
    async fn unmoved(&self, episode: &EpisodeId, error: RetireError) -> Result<Outcome, Stop> {
        // Somebody was there between the look and the move: the next attempt looks again.
        if matches!(
            error,
            RetireError::Gone { .. }
                | RetireError::Unfinished { .. }
                | RetireError::Changed { .. }
                | RetireError::Edited { .. }
        ) {
            return Ok(Outcome::because(OutcomeKind::Failed, format!("the receiver has it; {}", with_causes(&error))));
        }
        let shelves = self.place.shelves.clone();
        let shelf = Self::on_disk(move || Ok(shelves.unwritable())).await?;
        if let Some(refused) = shelf.filter(|_| error.is_of_disk()) {
            self.refused_by_disk(&refused, refused.path());
            return Ok(Outcome::waiting(format!("the receiver has it; {}", with_causes(&refused))));
        }
        let told = format!("the receiver has it; {}", with_causes(&error));
        if is_of_all(&error) {
            self.refused_by_disk(&error, &self.place.shelves.shipped);
            return Ok(Outcome::waiting(told));
        }
        let mends = mends_disk(&error, error.path());
        let next = mends.clone().unwrap_or_else(|| format!("look at {}", error.path().display()));
        self.tell_unread(format!(
            "{episode} is not moved to `shipped`: {told}: {next}; it is tried again in each pass"
        ));
        // A right that is missing for one is not the disk's word on all.
        if mends.is_some() && error.is_of_disk() {
            return Ok(Outcome::waiting(told));
        }
        let episodes = {
            let mut unmoved = self.unmoved.lock().unwrap_or_else(PoisonError::into_inner);
            unmoved.insert(episode.clone());
            unmoved.len()
        };
        if episodes >= UNMOVED_EPISODES {
            // Who moves a directory writes to it too.
            let at = match &error {
                RetireError::Io { path, .. }
                | RetireError::Remove { path, .. }
                | RetireError::Removing { path, .. } => path,
                _ => &self.place.shelves.shipped,
            };
            return Err(disk(&error, at));
        }
        Ok(if error.is_of_disk() { Outcome::waiting(told) } else { Outcome::because(OutcomeKind::Failed, told) })
    }

    /// Its directory is gone, and what has its archive's name is no whole archive of it: what is told of that.
    pub(super) async fn unsendable(
        &self,
        episode: &EpisodeId,
        told: &str,
        now: jiff::Timestamp,
    ) -> Result<Outcome, Stop> {
        self.lost(episode, format!("its directory is gone, and {told}"), now).await
    }

    /// Neither a directory of it is here nor an archive, as where a person tries again what the receiver has: it is asked whether it has one
    /// of this name.
    pub(super) async fn nowhere(&self, cx: &ReadCx, episode: &EpisodeId, here: Here) -> Result<Outcome, Stop> {
        let theirs = match self.asked(cx, episode).await? {
            Ok(theirs) => theirs,
            Err(put_off) => return Ok(put_off),
        };
        let here = here.told();
        Ok(match theirs.named() {
            Some(content) => Outcome::because(
                OutcomeKind::Present,
                format!(
                    "the receiver has an episode of its name, which holds content of SHA-256 {content}; {here}, and nothing of it is left here \
                     to be sent"
                ),
            ),
            None => Outcome::because(
                OutcomeKind::Review,
                format!(
                    "{here}, no archive of it is in the outbox, and the receiver does not say that it has it: there is nothing to send"
                ),
            ),
        })
    }

    /// What the receiver says that it has under an episode's name; where it cannot be asked now, the episode is put off.
    async fn asked(&self, cx: &ReadCx, episode: &EpisodeId) -> Result<Result<Held, Outcome>, Stop> {
        let told = match self.place.receiver.content(cx, &self.place.receiver.host, episode).await? {
            Ok(Held::Unable(status)) => format!("{status}: the receiver cannot say what it has"),
            Ok(theirs) => return Ok(Ok(theirs)),
            Err(no_answer) => no_answer,
        };
        cx.contacts.wind_down(Stop::checkpoint(Reason::Network, format!("{episode}: {told}")));
        Ok(Err(Outcome::because(OutcomeKind::Deferred, told)))
    }

    /// Somebody goes on recording in a directory that was packed.
    pub(super) async fn reopened(&self, episode: &EpisodeId, now: jiff::Timestamp) -> Result<Outcome, Stop> {
        let told = format!(
            "its `{MARKER}` was taken away after it was packed: it is being recorded, and its archive waits in the outbox; once the marker is \
             written it is packed anew, and once the directory is moved away the archive is sent"
        );
        let parked = Parked {
            at: now,
            commit: None,
            parking: Parking::Recording,
            marker: None,
            refused: None,
            told: told.clone(),
        };
        self.park_as(episode, parked).await?;
        Ok(Outcome::because(OutcomeKind::Review, told))
    }
}
