//! `ship`: a host's finished episodes go to its receiver. Owns the job: what is planned, what is packed ahead, what an answer
//! makes of an episode, and what holds back until a person or newer code lets it go on.
//!
//! An episode is a directory; once its marker is there nothing writes to it. It is packed once into the outbox, sent until the
//! receiver has it, and retired. Each of these may be killed and is made again.

mod arrival;
mod bandwidth;
mod client;
mod evidence;
mod here;
mod holds;
mod introduction;
mod keep;
mod outbox;
pub mod parked;
pub mod places;
pub mod probe;
mod ready;
mod refused;
mod resolve;
mod resume;
mod retire;
pub mod scan;
mod sending;
mod settings;
mod settled;
mod turn;
mod verdict;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt as _};
use highwater_engine::diagnosis::{Diagnosis, lacks_descriptors, mends_disk, mends_limit, with_causes};
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop, WorkItem};
use highwater_engine::name::ItemKey;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::{PassReport, Reason};

use crate::archive::{CompressionSettings, Packer};
use crate::gate::Judge;
use crate::index::Commit;
use crate::name::EpisodeId;

use places::{apart, of_another};

pub use bandwidth::Bandwidth;
pub use client::{Answer, Code, Held, Receiver, Refusal, STALL_SECS, Shown};
pub use evidence::Evidence;
pub use here::{Here, Root, SincePacked};
pub use holds::{Holds, Receipt};
pub use introduction::certificate_name;
pub use keep::{KeepBy, Keeping, LostThere, Shelf, lost};
pub use outbox::{
    Aside, AsideFault, Lying, Outbox, OutboxError, Packed, Parcel, Parked, Parking, Stray, Theirs, strays,
};
pub use ready::Ready;
pub use refused::{Refused, Sign};
pub use resolve::{ASIDE_DIR, Keep, ResolveError, Resolved, conflict, resolve};
pub use retire::{AsSent, Cleared, RetireError, Retired, Shelves, unmovable};
pub use scan::{Few, Finished, MARKER, Scan, ScanError, check_root, in_the_way, scan};
pub use sending::{CodeCommit, sending_commit};
pub use settings::{ShipSettings, ShipTlsSettings};
pub use settled::STILL_SECS;
pub use turn::{Turn, at_work};
pub use watch::{WATCHED_DIRS_MAX, Watch};

/// How many different episodes must get the same refusal before it is taken for one that all would get.
pub const SAME_REFUSAL_EPISODES: usize = 3;
/// How many different episodes must fail to be moved before it is taken for the disk.
pub const UNMOVED_EPISODES: usize = 3;

/// Most lines that are told of what cannot be read.
const UNREAD_TOLD_MAX: usize = 5;

/// What a halt for the code that sends waits for, before the commit that was refused.
const OTHER_CODE: &str = "code-commit is other than ";

/// Where a shipper works, besides its settings.
#[derive(Debug)]
pub struct Place {
    /// The receiver.
    pub receiver: Receiver,
    /// Where episodes come from and go to.
    pub shelves: Shelves,
    /// The directory of the outbox.
    pub outbox: PathBuf,
    /// How archives are compressed.
    pub compression: CompressionSettings,
    /// Larger archives go on after a break.
    pub resume_above_bytes: u64,
    /// How long shipped episodes stay.
    pub keeping: Keeping,
    /// With `judge = "ships"`: where the commit of the code that sends is found.
    pub code_commit: Option<CodeCommit>,
}

/// Sends a host's episodes.
#[derive(Debug)]
pub struct Ship {
    place: Place,
    /// Packers that rest: each has buffers of its own.
    packers: Arc<Mutex<Vec<Packer>>>,
    /// Code that the receiver accepts, as asked in this pass.
    accepted: tokio::sync::Mutex<HashSet<Code>>,
    /// Who got which refusal in this pass.
    refused: Mutex<BTreeMap<u16, BTreeSet<EpisodeId>>>,
    /// Who could not be moved to `shipped/` in this pass.
    unmoved: Mutex<BTreeSet<EpisodeId>>,
    /// What the disk refused first in this pass that it would refuse to any other.
    disk_refused: Mutex<Option<Diagnosis>>,
    /// Archives that made room in this pass, and lie aside.
    aside: Mutex<Vec<PathBuf>>,
    /// What could not be read or removed in this pass, and holds up nothing else.
    unread: Mutex<BTreeSet<String>>,
}

/// An episode that is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    id: EpisodeId,
}

impl WorkItem for Episode {
    fn key(&self) -> ItemKey {
        ItemKey::new(self.id.as_str()).expect("invariant: an episode's name is shorter than a key may be")
    }

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(key: &ItemKey, _: &[u8]) -> Result<Self, String> {
        EpisodeId::new(key.as_str()).map(|id| Self { id }).map_err(|error| error.to_string())
    }
}

/// Whether a disk that refuses so refuses whatever is written to it: it is full, or mounted to read alone.
fn is_of_all(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let kind = causes.filter_map(|error| error.downcast_ref::<std::io::Error>()).map(std::io::Error::kind).next();
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(kind, Some(QuotaExceeded | ReadOnlyFilesystem | StorageFull))
}

fn disk(error: &(dyn std::error::Error + 'static), path: &std::path::Path) -> Stop {
    if let Some(OutboxError::Stray(stray)) = error.downcast_ref() {
        return Stop::Fail(Diagnosis::failure("HW-EPI-211", stray.to_string(), stray.next()));
    }
    if let Some(mend) = mends_limit(error).filter(|_| lacks_descriptors(error)) {
        let next = format!("{mend}, and call again: nothing is lost, and nothing of it is damaged");
        return Stop::Fail(Diagnosis::failure("HW-ENV-002", with_causes(error), next).in_file_once(path));
    }
    let mend = mends_disk(error, path).unwrap_or_else(|| {
        "check the disk, its space and the permissions of `episodes`, `outbox` and `shipped`".to_owned()
    });
    let next = format!("{mend}, and call again: nothing is lost");
    Stop::Fail(Diagnosis::failure("HW-EPI-101", with_causes(error), next).in_file_once(path))
}

impl Ship {
    /// A shipper that works there.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self {
            place,
            packers: Arc::default(),
            accepted: tokio::sync::Mutex::default(),
            refused: Mutex::default(),
            unmoved: Mutex::default(),
            disk_refused: Mutex::default(),
            aside: Mutex::default(),
            unread: Mutex::default(),
        }
    }

    /// Keeps what is told of something that cannot be read, at the end of the pass.
    fn tell_unread(&self, told: String) {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).insert(told);
    }

    fn outbox(&self) -> Result<Outbox, Stop> {
        Outbox::open(&self.place.outbox).map_err(|error| self.outbox_failed(&error))
    }

    /// Keeps what the disk refused: the others are tried, and the pass ends with it.
    fn refused_by_disk(&self, error: &(dyn std::error::Error + 'static), path: &std::path::Path) {
        let Stop::Fail(refused) = disk(error, path) else { return };
        self.disk_refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(refused);
    }

    fn outbox_failed(&self, error: &OutboxError) -> Stop {
        disk(error, &self.place.outbox)
    }

    /// Runs what waits for the disk where nobody else waits for it.
    async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Result<T, Stop> + Send + 'static) -> Result<T, Stop> {
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
            Err(Stop::Fail(Diagnosis::failure("HW-BUG-001", error.to_string(), "report it with this message")))
        })
    }

    /// What is said of the code of an episode that this commit recorded.
    async fn code(&self, recorded: Option<Commit>) -> Result<Code, Stop> {
        let judged = match (self.place.receiver.judge, &self.place.code_commit) {
            (Judge::Ships, Some(code)) => {
                let code = code.clone();
                Some(Self::on_disk(move || sending_commit(&code).map_err(Stop::Fail)).await?)
            }
            _ => recorded.clone(),
        };
        Ok(Code { judged, recorded })
    }

    /// Whether the receiver accepts such code; asked once a pass for each. `Some` is what it says against it.
    async fn preflight(&self, cx: &ReadCx, code: &Code) -> Result<Option<Answer>, Stop> {
        let mut accepted = self.accepted.lock().await;
        if accepted.contains(code) {
            return Ok(None);
        }
        match self.place.receiver.ping(&cx.contacts, code).await? {
            None | Some(Answer::Ok) => {
                accepted.insert(code.clone());
                Ok(None)
            }
            Some(answer) => Ok(Some(answer)),
        }
    }

    /// Sends an archive of the outbox; what came of it.
    async fn send(&self, cx: &ReadCx, episode: &EpisodeId, parcel: Parcel) -> Result<Outcome, Stop> {
        let code = self.code(parcel.commit.clone()).await?;
        if let Some(against) = self.preflight(cx, &code).await? {
            return self.judged(cx, episode, &code, &parcel, against).await;
        }
        let archive = self.outbox()?.archive(episode);
        let resumed = if parcel.size_bytes > self.place.resume_above_bytes {
            self.resume(cx, episode, &archive, &parcel, &code).await?
        } else {
            None
        };
        let sent = match resumed {
            Some(sent) => sent,
            None => self.place.receiver.put(cx, episode, &archive, &parcel, &code).await?,
        };
        self.judged(cx, episode, &code, &parcel, sent).await
    }

    /// Which of the finished ones go on the list: not those that are parked, unless the gate now accepts what recorded them, one that was
    /// refused has waited long enough, or the marker was written anew since, which is how a person says that they are mended.
    async fn listed(&self, cx: &ReadCx) -> Result<Vec<EpisodeId>, Stop> {
        let (shelves, outbox) = (self.place.shelves.clone(), self.outbox()?);
        let episodes = shelves.episodes.clone();
        let (outbox_dir, now) = (self.place.outbox.clone(), cx.clock.now());
        let (finished, unread) = Self::on_disk(move || {
            let scan = scan(&episodes).map_err(|error| scan_failed(&error, &episodes))?;
            scan.log();
            let mut unread: Vec<String> =
                scan.shut.first.iter().map(|shut| format!("what is in it is not sent: {shut}")).collect();
            if scan.shut.more > 0 {
                unread.push(format!("{} more directories of episodes cannot be looked into", scan.shut.more));
            }
            let on_disk = |error| disk(&error, &outbox_dir);
            let parked = |finished: Finished| {
                let parked = outbox.parked(&finished.episode).map_err(on_disk)?;
                Ok((finished.episode, parked.filter(|parked| !parked.is_mended(finished.finished_at, now))))
            };
            let mut listed = scan.finished.into_iter().map(parked).collect::<Result<Vec<_>, Stop>>()?;
            // Where no finished directory has its name, the archive is the only copy, and is sent as any other; but for one in whose own
            // directory somebody goes on recording.
            for episode in outbox.packed_names().map_err(on_disk)? {
                // Of one of which nothing is noted, nobody knows which directory it was.
                let parcel = outbox.noted(&episode).ok().flatten();
                let here = match shelves.here(&episode) {
                    Ok(here) => here,
                    Err(error) => {
                        unread.push(format!("{episode} is not sent: {}", with_causes(&error)));
                        continue;
                    }
                };
                if here.is_finished() {
                    continue;
                }
                let parked = outbox.parked(&episode).map_err(on_disk)?;
                let is_told = |parked: &Parked| parked.parking == Parking::Recording;
                if parcel.is_some_and(|parcel| here.is_reopened(&parcel)) && parked.as_ref().is_some_and(is_told) {
                    continue;
                }
                listed.push((episode, parked.filter(|parked| !parked.parking.is_of_place())));
            }
            Ok((listed, unread))
        })
        .await?;
        unread.into_iter().for_each(|told| self.tell_unread(told));
        let mut listed = Vec::new();
        for (episode, parked) in finished {
            match parked {
                None => listed.push(episode),
                Some(Parked { parking: Parking::Gate, commit, .. }) => {
                    let code = self.code(commit).await?;
                    if self.preflight(cx, &code).await?.is_none() {
                        listed.push(episode);
                    }
                }
                Some(parked) if parked.parking == Parking::Refused => {
                    if parked.is_due(self.place.receiver.shown.sign(), cx.clock.now()) {
                        listed.push(episode);
                    }
                }
                Some(_) => {}
            }
        }
        Ok(listed)
    }
}

fn scan_failed(error: &ScanError, path: &std::path::Path) -> Stop {
    match error {
        ScanError::NotADirectory { found, .. } => {
            Stop::Fail(Diagnosis::refusal("HW-EPI-102", with_causes(error), found.next()).in_file_once(path))
        }
        ScanError::Io { path: at, source } if at == path && source.kind() == std::io::ErrorKind::NotFound => {
            Stop::Fail(
                Diagnosis::failure(
                    "HW-EPI-101",
                    with_causes(error),
                    "make the directory, or mount what it lies on, and call again: nothing is lost",
                )
                .in_file_once(path),
            )
        }
        ScanError::TooMany { .. } | ScanError::Io { .. } => disk(error, path),
    }
}

impl Job for Ship {
    type Item = Episode;
    type Prepared = Ready;

    /// A halt waits for other code than the commit that was refused.
    async fn mended(&self, _: &ReadCx, until: &str) -> Result<Option<String>, Stop> {
        let Some(code) = self.place.code_commit.clone() else { return Ok(None) };
        let now = match Self::on_disk(move || Ok(sending_commit(&code))).await? {
            Ok(now) => now,
            // It shows nothing, and the job is halted anyway.
            Err(unread) => {
                tracing::warn!(halt.until = until, "the commit of the code that sends cannot be read: {unread}");
                return Ok(None);
            }
        };
        let refused = until.strip_prefix(OTHER_CODE).unwrap_or(until);
        Ok((now.as_str() != refused).then(|| format!("the code that sends is no longer {refused} but {now}")))
    }

    async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        self.renew(cx).await?;
        self.accepted.lock().await.clear();
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.unmoved.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.disk_refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let shelves = self.place.shelves.clone();
        let (shipped, outbox) = (self.place.shelves.shipped.clone(), self.place.outbox.clone());
        let host = self.place.receiver.host.clone();
        let (left, turn) = Self::on_disk(move || {
            check_root(&shelves.episodes).map_err(|error| scan_failed(&error, &shelves.episodes))?;
            apart(&shelves, &outbox).map_err(Stop::Fail)?;
            for dir in [&shipped, &outbox] {
                std::fs::create_dir_all(dir).map_err(|error| match in_the_way(dir) {
                    Some(error) => scan_failed(&error, dir),
                    None => disk(&error, dir),
                })?;
                check_root(dir).map_err(|error| scan_failed(&error, dir))?;
            }
            let Some(turn) = Turn::take(&outbox).map_err(|error| disk(&error, &outbox))? else {
                let told = format!(
                    "another pass ships from the outbox {}: two configurations, or two state directories, share it; give one of them its own \
                     `episodes`, `outbox` and `shipped`",
                    outbox.display()
                );
                return Err(Stop::checkpoint(Reason::LockHeld, told));
            };
            let opened = Outbox::open(&outbox).map_err(|error| disk(&error, &outbox))?;
            opened.is_ready().map_err(|error| disk(&error, &outbox))?;
            if let Some(theirs) = opened.claim(&shelves.episodes, &host).map_err(|error| disk(&error, &outbox))? {
                return Err(Stop::Fail(of_another(&outbox, &theirs, &shelves.episodes, &host)));
            }
            let left = shelves.tidy_all();
            let tidied = opened.tidy().and_then(|()| keep::forget_moved_back(&opened, &shelves));
            tidied.map_err(|error| disk(&error, &outbox)).map(|()| (left, turn))
        })
        .await?;
        // Not only until the seal: a pass may end before it, and whoever waits between two passes has no turn.
        cx.keep(turn);
        for error in left {
            self.tell_unread(format!("what is left of a shipped episode cannot be removed: {}", with_causes(&error)));
        }
        Ok(())
    }

    /// One that fails again and again holds up nothing that is finished later.
    fn rounds_stay_open(&self) -> bool {
        true
    }

    fn plan(&self, cx: ReadCx) -> impl Stream<Item = Result<Episode, Stop>> + Send {
        futures::stream::once(async move { self.listed(&cx).await }).flat_map(|listed| match listed {
            Ok(episodes) => futures::stream::iter(episodes.into_iter().map(|id| Ok(Episode { id }))).left_stream(),
            Err(stop) => futures::stream::iter([Err(stop)]).right_stream(),
        })
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Episode>) -> Result<Attempt<Ready>, Stop> {
        self.make_ready(&cx, &item.id).await
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Episode, ready: Ready) -> Result<Outcome, Stop> {
        let cx = &cx.read;
        let ready = match self.still_ready(cx, &item.id, ready).await? {
            Attempt::Ready(ready) => ready,
            Attempt::Outcome(outcome) => return Ok(outcome),
        };
        match ready {
            Ready::Retired => self.retired_before(cx, &item.id).await,
            Ready::Lost(told) => self.unsendable(&item.id, &told, cx.clock.now()).await,
            Ready::Nowhere(here) => self.nowhere(cx, &item.id, here).await,
            Ready::Reopened => self.reopened(&item.id, cx.clock.now()).await,
            Ready::Recording => {
                let told = format!(
                    "its `{MARKER}` was taken away: it is being recorded, and is sent once that is there again"
                );
                Ok(Outcome::because(OutcomeKind::Review, told))
            }
            Ready::Blocked(told) => Ok(Outcome::because(OutcomeKind::Review, told)),
            Ready::Packed(parcel) => {
                // It was made ready ahead, and somebody may go on recording since.
                let (shelves, id) = (self.place.shelves.clone(), item.id.clone());
                match Self::on_disk(move || Ok(shelves.here(&id))).await? {
                    Ok(here) if here.is_reopened(&parcel) => return self.reopened(&item.id, cx.clock.now()).await,
                    Ok(_) => {}
                    Err(error) => {
                        let told = with_causes(&error);
                        self.tell_unread(format!("{} is not sent: {told}", item.id));
                        return Ok(Outcome::because(OutcomeKind::Failed, told));
                    }
                }
                self.send(cx, &item.id, parcel).await
            }
        }
    }

    async fn seal(&self, cx: &mut CommitCx, _: &PassReport) -> Result<(), Stop> {
        // Who is accepted is asked anew in the next pass.
        self.accepted.lock().await.clear();
        self.tell_parked(cx).await?;
        let unread = std::mem::take(&mut *self.unread.lock().unwrap_or_else(PoisonError::into_inner));
        let more = unread.len().saturating_sub(UNREAD_TOLD_MAX);
        cx.notes.extend(unread.into_iter().take(UNREAD_TOLD_MAX));
        cx.notes.extend((more > 0).then(|| format!("{more} more are not sent or not moved either")));
        self.clear_shipped(cx).await?;
        match self.disk_refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(refused) => Err(Stop::Fail(refused)),
            None => Ok(()),
        }
    }
}
