//! An episode made ready to be sent: packed, or found packed. Owns what is sent of one whose directory is no longer what it was when it
//! was packed; what an answer makes of it is the verdict's.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use highwater_engine::clock::SharedClock;
use highwater_engine::diagnosis::{mends_disk, with_causes};
use highwater_engine::job::{Attempt, ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_fs::FsError;

use super::here::Here;
use super::outbox::{Lying, Outbox, OutboxError, Packed, Parcel, Parking};
use super::retire::{RetireError, Shelves};
use super::{Code, Ship, SincePacked, disk, is_of_all};
use crate::archive::{CompressionSettings, PackError, Packer, TreeLimits};
use crate::name::EpisodeId;

/// What is ready to be sent, or was sent before.
#[derive(Debug)]
pub enum Ready {
    /// Its archive is in the outbox.
    Packed(Parcel),
    /// It is in `shipped/` already.
    Retired,
    /// Its directory is gone, and what has its archive's name is no whole archive of it: what is told of that.
    Lost(String),
    /// Neither a directory of it is here nor an archive: what is in the directory's place.
    Nowhere(Here),
    /// Its marker was taken away after it was packed, and somebody goes on recording.
    Reopened,
    /// Its marker was taken away before it was packed.
    Recording,
    /// What is in its place in the outbox is none of ours, or cannot make room: what is told of it.
    Blocked(String),
}

/// Where one is made ready, on the disk.
struct Making {
    shelves: Shelves,
    outbox: Outbox,
    outbox_dir: PathBuf,
    compression: CompressionSettings,
    packers: Arc<Mutex<Vec<Packer>>>,
    id: EpisodeId,
    clock: SharedClock,
}

/// What it came to: what is ready, and where an archive lies that made room for it.
type Made = Result<(Ready, Option<PathBuf>), PackError>;

impl Making {
    fn failed(&self, error: OutboxError) -> Result<Made, Stop> {
        let is_refused = match &error {
            OutboxError::Read { source, .. } | OutboxError::Fs(FsError::Io { source, .. }) => {
                source.kind() == io::ErrorKind::PermissionDenied
            }
            _ => false,
        };
        if let Some(shut) = self.outbox.shut().filter(|_| is_refused) {
            return Err(disk(&shut, &self.outbox_dir));
        }
        match error {
            OutboxError::Pack(error) => Ok(Err(error)),
            error if error.is_odd() => Ok(Ok((Ready::Blocked(error.told_odd()), None))),
            // Who put it there is another user: the others' are this one's.
            OutboxError::Read { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                Ok(Err(PackError::Read { path, source }))
            }
            OutboxError::Fs(FsError::Io { path, source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                Ok(Err(PackError::Read { path, source }))
            }
            error => Err(disk(&error, &self.outbox_dir)),
        }
    }

    /// The episode's own directory cannot be read: no other is held up by that.
    fn unread(&self, error: RetireError) -> Result<Made, Stop> {
        match error {
            RetireError::Io { path, source } => Ok(Err(PackError::Read { path, source })),
            RetireError::Read { source, .. } => Ok(Err(source)),
            error => Err(disk(&error, &self.shelves.episodes)),
        }
    }

    fn make(&self) -> Result<Made, Stop> {
        let here = match self.shelves.here(&self.id) {
            Ok(here) => here,
            Err(error) => return self.unread(error),
        };
        let lying = match self.outbox.lying(&self.id) {
            Ok(lying) => lying,
            Err(error) => return self.failed(error),
        };
        if !here.is_finished() {
            let is_shipped = self.shelves.is_retired(&self.id).map_err(|error| disk(&error, &self.shelves.shipped))?;
            let ready = match lying {
                Lying::Whole(parcel) if here.is_reopened(&parcel) => Ready::Reopened,
                _ if is_shipped => Ready::Retired,
                Lying::Whole(parcel) => Ready::Packed(parcel),
                Lying::Nothing if matches!(here, Here::Recording(_)) => Ready::Recording,
                Lying::Nothing => Ready::Nowhere(here),
                other => Ready::Lost(self.outbox.told_of(&self.id, &other)),
            };
            return Ok(Ok((ready, None)));
        }
        if let Lying::Whole(mut parcel) = lying {
            let since = match self.shelves.since_packed(&self.id, &parcel) {
                Ok(since) => since,
                Err(error) => return self.unread(error),
            };
            match since {
                SincePacked::Same => return Ok(Ok((Ready::Packed(parcel), None))),
                SincePacked::Touched(holds, root) => {
                    (parcel.holds, parcel.root) = (Some(holds), Some(root));
                    return match self.outbox.note_parcel(&self.id, &parcel) {
                        Ok(()) => Ok(Ok((Ready::Packed(parcel), None))),
                        Err(error) => self.failed(error),
                    };
                }
                SincePacked::Edited => {
                    tracing::info!(episode = %self.id, "it was edited since it was packed, and is packed anew");
                }
                SincePacked::Another | SincePacked::Reopened | SincePacked::Away(_) => {
                    tracing::info!(episode = %self.id, "its directory is another one than was packed, and is packed too");
                }
            }
        }
        self.pack()
    }

    fn pack(&self) -> Result<Made, Stop> {
        let resting = self.packers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let packer = resting.map_or_else(|| Packer::new(&self.compression, TreeLimits::default()), Ok);
        let mut packer = match packer {
            Ok(packer) => packer,
            Err(error) => return Ok(Err(error)),
        };
        match self
            .outbox
            .pack(&mut packer, &self.shelves.episodes.join(self.id.as_str()), &self.id, || self.clock.now())
        {
            Ok(Packed { parcel, aside }) => {
                self.packers.lock().unwrap_or_else(PoisonError::into_inner).push(packer);
                Ok(Ok((Ready::Packed(parcel), aside)))
            }
            Err(error) => self.failed(error),
        }
    }
}

impl Ship {
    /// What was made ready ahead, made ready anew where its directory is not as it was then: an upload before it may have taken an hour.
    pub(super) async fn still_ready(&self, cx: &ReadCx, id: &EpisodeId, ready: Ready) -> Result<Attempt<Ready>, Stop> {
        let Ready::Packed(parcel) = ready else { return Ok(Attempt::Ready(ready)) };
        let (shelves, of) = (self.place.shelves.clone(), id.clone());
        let (parcel, changed) = Self::on_disk(move || {
            let changed = shelves.looks_changed(&of, &parcel);
            Ok((parcel, changed))
        })
        .await?;
        if changed { self.make_ready(cx, id).await } else { Ok(Attempt::Ready(Ready::Packed(parcel))) }
    }

    /// Packs an episode, or finds it packed.
    pub(super) async fn make_ready(&self, cx: &ReadCx, id: &EpisodeId) -> Result<Attempt<Ready>, Stop> {
        let making = Making {
            shelves: self.place.shelves.clone(),
            outbox: self.outbox()?,
            outbox_dir: self.place.outbox.clone(),
            compression: self.place.compression.clone(),
            packers: Arc::clone(&self.packers),
            id: id.clone(),
            clock: Arc::clone(&cx.clock),
        };
        match Self::on_disk(move || making.make()).await? {
            Ok((ready, aside)) => {
                self.aside.lock().unwrap_or_else(PoisonError::into_inner).extend(aside);
                Ok(Attempt::Ready(ready))
            }
            Err(error) => {
                let told = match mends_disk(&error, &self.place.outbox) {
                    Some(mend) if matches!(error, PackError::Write(_)) => format!("{}: {mend}", with_causes(&error)),
                    _ => with_causes(&error),
                };
                let kind = match error {
                    PackError::Root { .. } | PackError::Kind { .. } | PackError::TooMuch { .. } => {
                        self.park(id, Parking::Unpackable, &Code::default(), &told, cx.clock.now()).await?;
                        OutcomeKind::Review
                    }
                    // It says nothing of the episode, and the pass ends with it once the others were tried.
                    PackError::Write(_) if is_of_all(&error) => {
                        self.refused_by_disk(&error, &self.place.outbox);
                        OutcomeKind::Deferred
                    }
                    PackError::Read { .. } => {
                        self.tell_unread(format!("{id} is not sent: {told}"));
                        OutcomeKind::Failed
                    }
                    // Still being written, which is no fault of its own, however long that takes.
                    PackError::Changing { .. } | PackError::Unsettled { .. } => {
                        self.tell_unread(format!("{id} waits: {told}"));
                        return Ok(Attempt::Outcome(Outcome::waiting(told)));
                    }
                    // A disk that may mend.
                    _ => OutcomeKind::Failed,
                };
                Ok(Attempt::Outcome(Outcome::because(kind, told)))
            }
        }
    }
}
