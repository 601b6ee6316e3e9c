//! `ship`: a host's finished episodes go to its receiver. Owns the job: what is planned, what is packed ahead, what an answer
//! makes of an episode, and what holds back until a person or newer code lets it go on.
//!
//! An episode is a directory; once its marker is there nothing writes to it. It is packed once into the outbox, sent until the
//! receiver has it, and retired. Each of these may be killed and is made again.

mod client;
mod introduction;
mod outbox;
pub mod probe;
mod resolve;
mod resume;
mod retire;
pub mod scan;
mod settings;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt as _};
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop, WorkItem};
use highwater_engine::name::ItemKey;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::{PassReport, Reason};
use jiff::Timestamp;

use crate::archive::{CompressionSettings, PackError, Packer, TreeLimits};
use crate::gate;
use crate::index::Commit;
use crate::name::EpisodeId;

pub use client::{Answer, Code, Receiver, Refusal, STALL_SECS};
pub use introduction::certificate_name;
pub use outbox::{Outbox, OutboxError, Parcel, Parked, Parking};
pub use resolve::{ASIDE_DIR, Keep, ResolveError, Resolved, resolve};
pub use retire::{RetireError, Retired, Shelves};
pub use scan::{Finished, MARKER, Scan, ScanError, check_root, scan};
pub use settings::{JudgedCode, ShipSettings, ShipTlsSettings};
pub use watch::{WATCHED_DIRS_MAX, Watch};

/// How many different episodes must get the same refusal before it is taken for one that all would get.
pub const SAME_REFUSAL_EPISODES: usize = 3;
/// How many different episodes must fail to be moved before it is taken for the disk.
pub const UNMOVED_EPISODES: usize = 3;

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
    /// With `judge = "ships"`: where the commit of the code that sends is found.
    pub code_commit: Option<PathBuf>,
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

/// What is ready to be sent, or was sent before.
#[derive(Debug)]
pub enum Ready {
    /// Its archive is in the outbox.
    Packed(Parcel),
    /// It is in `shipped/` already.
    Retired,
}

fn disk(error: &(dyn std::error::Error + 'static), path: &std::path::Path) -> Stop {
    Stop::Fail(
        Diagnosis::failure(
            "HW-EPI-101",
            with_causes(error),
            "check the disk, its space and the permissions of `episodes`, `outbox` and `shipped`, and call again: nothing is lost",
        )
        .in_file_once(path),
    )
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
        }
    }

    fn outbox(&self) -> Result<Outbox, Stop> {
        Outbox::open(&self.place.outbox).map_err(|error| self.outbox_failed(&error))
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
            (JudgedCode::Ships, Some(path)) => {
                let path = path.clone();
                Some(Self::on_disk(move || sending_commit(&path)).await?)
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

    async fn park(
        &self,
        episode: &EpisodeId,
        parking: Parking,
        code: &Code,
        told: &str,
        at: Timestamp,
    ) -> Result<(), Stop> {
        let (outbox, episode) = (self.outbox()?, episode.clone());
        let parked = Parked { at, commit: code.judged.clone(), parking, told: told.to_owned() };
        let dir = self.place.outbox.clone();
        Self::on_disk(move || outbox.park(&episode, &parked).map_err(|error| disk(&error, &dir))).await
    }

    /// What an answer makes of an episode.
    async fn judged(&self, cx: &ReadCx, episode: &EpisodeId, code: &Code, answer: Answer) -> Result<Outcome, Stop> {
        let now = cx.clock.now();
        let review = |why: String| Ok(Outcome::because(OutcomeKind::Review, why));
        match answer {
            Answer::Ok => self.retire(cx, episode).await,
            Answer::Conflict(refusal) => {
                self.park(episode, Parking::Conflict, code, &refusal.told, now).await?;
                review(format!("the receiver has another episode of this name; both are kept: {}", refusal.told))
            }
            Answer::Gate(refusal) => {
                let commit = code.judged.as_ref().map_or("no commit at all", Commit::as_str);
                let mend = refusal.remediation.join("\n");
                tracing::error!(%episode, code.commit = commit, remediation = %mend, "the receiver does not accept this code");
                if self.place.receiver.judge == JudgedCode::Ships {
                    return Err(Stop::Halt {
                        why: format!("the receiver does not accept the code that sends: {}", refusal.told),
                        evidence: format!("commit {commit}\n{mend}"),
                        // Other code may be accepted.
                        until: code.judged.as_ref().map(|commit| format!("{OTHER_CODE}{commit}")),
                    });
                }
                self.park(episode, Parking::Gate, code, &refusal.told, now).await?;
                let mend = if mend.is_empty() { String::new() } else { format!("; what mends it: {mend}") };
                review(format!(
                    "the receiver does not accept the code that recorded it, {commit}: {}{mend}",
                    refusal.told
                ))
            }
            Answer::Refused(refusal) => {
                let episodes = {
                    let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                    let episodes = refused.entry(refusal.status).or_default();
                    episodes.insert(episode.clone());
                    episodes.len()
                };
                if episodes >= SAME_REFUSAL_EPISODES {
                    return Err(Stop::Halt {
                        why: format!("{episodes} different episodes got the same refusal: {}", refusal.told),
                        evidence: format!("the last: {episode}\n{}", refusal.remediation.join("\n")),
                        until: None,
                    });
                }
                review(format!("the receiver refuses it: {}", refusal.told))
            }
            Answer::Failed(refusal) => {
                let stop = Stop::checkpoint(Reason::Network, format!("{episode}: {}", refusal.told));
                cx.contacts.wind_down(stop);
                Ok(Outcome::because(OutcomeKind::Failed, refusal.told))
            }
            Answer::Unanswered(told) => {
                cx.contacts.wind_down(Stop::checkpoint(Reason::Network, format!("{episode}: {told}")));
                Ok(Outcome::because(OutcomeKind::Deferred, told))
            }
        }
    }

    /// The receiver has it: it is retired, and its archive goes.
    async fn retire(&self, cx: &ReadCx, episode: &EpisodeId) -> Result<Outcome, Stop> {
        let (shelves, outbox, id) = (self.place.shelves.clone(), self.outbox()?, episode.clone());
        let outbox_dir = self.place.outbox.clone();
        let retired = Self::on_disk(move || {
            let retired = shelves.retire(&id);
            if matches!(retired, Ok(Retired::Moved | Retired::Already) | Err(RetireError::Gone { .. })) {
                let dropped = outbox.drop_parcel(&id).and_then(|()| outbox.unpark(&id));
                dropped.map_err(|error| disk(&error, &outbox_dir))?;
            }
            Ok(retired)
        });
        let retired = match retired.await? {
            Ok(retired) => retired,
            Err(error) => return self.unmoved(episode, &error),
        };
        match retired {
            Retired::Moved | Retired::Already => Ok(Outcome::done()),
            Retired::Differs { ours, theirs } => {
                let told = format!("`shipped` holds another one of this name ({theirs}, not {ours}); both are kept");
                self.park(episode, Parking::Conflict, &Code::default(), &told, cx.clock.now()).await?;
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

    /// Which of the finished ones go on the list: not those that are parked, unless the gate now accepts what recorded them or the
    /// marker was written anew since, which is how a person says that they are mended.
    async fn listed(&self, cx: &ReadCx) -> Result<Vec<EpisodeId>, Stop> {
        let (episodes, outbox) = (self.place.shelves.episodes.clone(), self.outbox()?);
        let outbox_dir = self.place.outbox.clone();
        let finished = Self::on_disk(move || {
            let scan = scan(&episodes).map_err(|error| scan_failed(&error, &episodes))?;
            for name in &scan.misnamed {
                tracing::warn!(?name, "a finished directory cannot be an episode's: rename it");
            }
            for name in &scan.symlinks {
                tracing::warn!(?name, "a symlink where an episode's directory would be is not followed");
            }
            let parked = |finished: Finished| {
                let parked = outbox.parked(&finished.episode).map_err(|error| disk(&error, &outbox_dir))?;
                Ok((finished.episode, parked.filter(|parked| finished.finished_at <= parked.at)))
            };
            scan.finished.into_iter().map(parked).collect::<Result<Vec<_>, Stop>>()
        })
        .await?;
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
                Some(_) => {}
            }
        }
        Ok(listed)
    }
}

fn scan_failed(error: &ScanError, path: &std::path::Path) -> Stop {
    match error {
        ScanError::NotADirectory { .. } => Stop::Fail(
            Diagnosis::refusal("HW-EPI-102", with_causes(error), "name the directory itself: a link is not followed")
                .in_file_once(path),
        ),
        ScanError::TooMany { .. } | ScanError::Io { .. } => disk(error, path),
    }
}

/// The commit of the code that sends: the head of a repository, or the first word of a file.
fn sending_commit(path: &std::path::Path) -> Result<Commit, Stop> {
    let failed = |why: String| {
        Stop::Fail(
            Diagnosis::failure(
                "HW-EPI-103",
                why,
                "name a git repository or a file that holds a commit in `code-commit`",
            )
            .in_file_once(path),
        )
    };
    if path.is_dir() {
        let source = gate::Source { repository: path.to_path_buf(), reference: "HEAD".to_owned(), commits: 1 };
        return source.read().map(|window| window.head().clone()).map_err(|error| failed(with_causes(&error)));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let word = text.split_whitespace().next().unwrap_or_default();
    word.parse().map_err(|error: crate::index::CommitError| failed(error.to_string()))
}

impl Job for Ship {
    type Item = Episode;
    type Prepared = Ready;

    /// A halt waits for other code than the commit that was refused.
    async fn mended(&self, _: &ReadCx, until: &str) -> Result<Option<String>, Stop> {
        let Some(path) = self.place.code_commit.clone() else { return Ok(None) };
        let now = match Self::on_disk(move || Ok(sending_commit(&path))).await? {
            Ok(now) => now,
            // It shows nothing, and the job is halted anyway.
            Err(Stop::Fail(unread)) => {
                tracing::warn!(halt.until = until, "the commit of the code that sends cannot be read: {unread}");
                return Ok(None);
            }
            Err(stop) => return Err(stop),
        };
        let refused = until.strip_prefix(OTHER_CODE).unwrap_or(until);
        Ok((now.as_str() != refused).then(|| format!("the code that sends is no longer {refused} but {now}")))
    }

    async fn recover(&self, _: &mut CommitCx) -> Result<(), Stop> {
        self.accepted.lock().await.clear();
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.unmoved.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let shelves = self.place.shelves.clone();
        let (shipped, outbox) = (self.place.shelves.shipped.clone(), self.place.outbox.clone());
        Self::on_disk(move || {
            check_root(&shelves.episodes).map_err(|error| scan_failed(&error, &shelves.episodes))?;
            for dir in [&shipped, &outbox] {
                std::fs::create_dir_all(dir).map_err(|error| disk(&error, dir))?;
                check_root(dir).map_err(|error| scan_failed(&error, dir))?;
            }
            shelves.tidy_all().map_err(|error| disk(&error, &shipped))?;
            let opened = Outbox::open(&outbox).and_then(|outbox| outbox.tidy());
            opened.map_err(|error| disk(&error, &outbox))
        })
        .await
    }

    fn plan(&self, cx: ReadCx) -> impl Stream<Item = Result<Episode, Stop>> + Send {
        futures::stream::once(async move { self.listed(&cx).await }).flat_map(|listed| match listed {
            Ok(episodes) => futures::stream::iter(episodes.into_iter().map(|id| Ok(Episode { id }))).left_stream(),
            Err(stop) => futures::stream::iter([Err(stop)]).right_stream(),
        })
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Episode>) -> Result<Attempt<Ready>, Stop> {
        let (shelves, outbox, packers) = (self.place.shelves.clone(), self.outbox()?, Arc::clone(&self.packers));
        let (compression, outbox_dir, id) =
            (self.place.compression.clone(), self.place.outbox.clone(), item.id.clone());
        let packed = Self::on_disk(move || {
            if shelves.is_retired(&id).map_err(|error| disk(&error, &shelves.shipped))? {
                return Ok(Ok(Ready::Retired));
            }
            let failed = |error: OutboxError| match error {
                OutboxError::Pack(error) => Ok(Err(error)),
                error => Err(disk(&error, &outbox_dir)),
            };
            match outbox.parcel(&id) {
                Ok(Some(parcel)) => return Ok(Ok(Ready::Packed(parcel))),
                Ok(None) => {}
                Err(error) => return failed(error),
            }
            let resting = packers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut packer = match resting.map_or_else(|| Packer::new(&compression, TreeLimits::default()), Ok) {
                Ok(packer) => packer,
                Err(error) => return Ok(Err(error)),
            };
            match outbox.pack(&mut packer, &shelves.episodes.join(id.as_str()), &id) {
                Ok(parcel) => {
                    packers.lock().unwrap_or_else(PoisonError::into_inner).push(packer);
                    Ok(Ok(Ready::Packed(parcel)))
                }
                Err(error) => failed(error),
            }
        });
        match packed.await? {
            Ok(ready) => Ok(Attempt::Ready(ready)),
            Err(error) => {
                let told = with_causes(&error);
                let kind = match error {
                    PackError::Root { .. } | PackError::Kind { .. } | PackError::TooMuch { .. } => {
                        self.park(&item.id, Parking::Unpackable, &Code::default(), &told, cx.clock.now()).await?;
                        OutcomeKind::Review
                    }
                    // Still being written, or a disk that may mend.
                    _ => OutcomeKind::Failed,
                };
                Ok(Attempt::Outcome(Outcome::because(kind, told)))
            }
        }
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Episode, ready: Ready) -> Result<Outcome, Stop> {
        let cx = &cx.read;
        let parcel = match ready {
            Ready::Retired => return self.retire(cx, &item.id).await,
            Ready::Packed(parcel) => parcel,
        };
        let code = self.code(parcel.commit.clone()).await?;
        if let Some(against) = self.preflight(cx, &code).await? {
            return self.judged(cx, &item.id, &code, against).await;
        }
        let archive = self.outbox()?.archive(&item.id);
        let resumed = if parcel.size_bytes > self.place.resume_above_bytes {
            self.resume(cx, &item.id, &archive, &parcel, &code).await?
        } else {
            None
        };
        let sent = match resumed {
            Some(sent) => sent,
            None => self.place.receiver.put(&cx.contacts, &cx.clock, &item.id, archive, &parcel, &code).await?,
        };
        self.judged(cx, &item.id, &code, sent).await
    }

    async fn seal(&self, _: &mut CommitCx, _: &PassReport) -> Result<(), Stop> {
        // Who is accepted is asked anew in the next pass.
        self.accepted.lock().await.clear();
        Ok(())
    }
}
