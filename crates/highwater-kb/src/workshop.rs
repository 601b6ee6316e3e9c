//! Where passes make pages of documents. Owns what all jobs that bring documents into a base do alike: the base, which is opened when it
//! is needed, its lock, one commit of several documents, and that what is committed comes to be shown. How a document gets ready
//! for that is in `prepare`; which documents there are, and what becomes of each, is their job's.

mod desk;
mod prepare;
mod put_off;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::Stream;
use highwater_engine::diagnosis::{Diagnosis, mends_disk, with_causes};
use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::report::Reason;
use highwater_engine::shell::quoted_path;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::base::{Base, BaseLock, Collected, Draft, Fate, GRACE_SECS, Home, Reader, Snapshot, asks_for_rebuild};
use crate::convert::Subprocess;
use crate::error::KbError;
use crate::path::FilePath;

use self::desk::Desk;
pub use self::desk::{Desks, desks};
pub use self::prepare::{Prepared, conflict_of};
pub(crate) use self::prepare::{Unready, attempt};
pub(crate) use self::put_off::PutOff;

/// Documents that wait between a list of them and the ledger.
const PLANNED_ITEMS_MAX: usize = 256;
/// Documents that share a commit.
pub const GROUP_DOCUMENTS_MAX: usize = 64;
/// How long the base lock is waited for, in seconds: it is held for one commit at a time.
pub const LOCK_WAIT_SECS: u64 = 60;
/// How often it is asked for meanwhile, in milliseconds.
pub const LOCK_LOOK_MS: u64 = 20;
/// After how long rows are let go of meanwhile, in milliseconds.
const LET_GO_MS: u64 = 500;
/// How often a generation that is committed is tried to be shown.
pub const SHOW_TRIES: u32 = 5;
/// How long between two of these, in milliseconds.
const SHOW_REST_MS: u64 = 500;

/// What became of the files of a commit.
pub(crate) type Fates = BTreeMap<FilePath, Fate>;

/// Which base it is, and with what its pages are made.
#[derive(Debug, Clone)]
pub struct Place<C> {
    /// The base.
    pub home: Arc<dyn Home>,
    /// Its directory.
    pub root: PathBuf,
    /// What makes Markdown of a document.
    pub converter: Subprocess,
    /// What makes pages of Markdown.
    pub compiler: C,
}

/// A pass's place in a base.
#[derive(Debug)]
pub(crate) struct Workshop<C> {
    place: Arc<Place<C>>,
    /// Opened when it is first needed, and anew after an error.
    base: Arc<Mutex<Option<Base>>>,
    /// What says which documents the base has.
    reader: Arc<Reader>,
    desk: Mutex<Option<Desk>>,
}

/// What went wrong in a base, for people.
#[must_use]
pub fn diagnosis(error: &KbError) -> Diagnosis {
    let message = with_causes(error);
    match error {
        KbError::Unapplied { root, source, .. } => {
            let mends = match full_disk(source) {
                true => mends_disk(&**source, root),
                false => None,
            };
            let mends = mends.unwrap_or_else(|| "remove what is in the way".to_owned());
            let finish = format!("highwater kb lint --fix --kb {}", quoted_path(root));
            let next = format!(
                "{mends}, and `{finish}` writes it: nothing is lost, nor to be done again, and readers have it already"
            );
            Diagnosis::failure("HW-KB-022", message, next)
        }
        KbError::Older => Diagnosis::refusal(
            "HW-KB-043",
            message,
            "bring it up to date, by any change or by `highwater kb status`, and call again",
        ),
        error if asks_for_rebuild(error) => Diagnosis::failure(
            "HW-KB-030",
            message,
            "`highwater kb rebuild` makes the database again from what is stored; what stands in wiki/ and raw/ stays",
        ),
        KbError::Fs(error) if error.kind() == io::ErrorKind::NotADirectory => Diagnosis::failure(
            "HW-KB-021",
            message,
            "a link or a file has the place of a directory, and is not followed: put the directory itself there, and call again",
        ),
        KbError::Lost(_) => Diagnosis::refusal(
            "HW-KB-053",
            message,
            "bring what is named back from a copy of the base, under that name, and call again: nothing was changed",
        ),
        KbError::ObjectMissing { .. } | KbError::ObjectDamaged { .. } => Diagnosis::failure(
            "HW-KB-021",
            message,
            "`highwater kb lint --verify` names what it is of and what mends it; or bring it back from a copy of the base",
        ),
        KbError::ManifestMissing { .. } | KbError::ManifestDamaged { .. } => Diagnosis::failure(
            "HW-KB-021",
            message,
            "bring that file back from a copy of the base; without it nothing is taken back beyond that generation",
        ),
        KbError::Changed { .. } => Diagnosis::failure(
            "HW-KB-021",
            message,
            "somebody writes to the file, as an editor that saves does: nothing was changed; let that end, and call again",
        ),
        _ => Diagnosis::failure(
            "HW-KB-021",
            message,
            "check the disk, its space and its permissions, and call again: what is in the base stays",
        ),
    }
}

/// Whether an error says that the disk, or this user's share of it, is full.
fn full_disk(error: &KbError) -> bool {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let mut kinds = causes.filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind);
    kinds.any(|kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

pub(crate) fn failed(error: &KbError) -> Stop {
    Stop::Fail(diagnosis(error))
}

/// How many documents, in words.
pub(crate) fn counted(documents: usize) -> String {
    if documents == 1 { "1 document".to_owned() } else { format!("{documents} documents") }
}

pub(crate) async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stop> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Stop::Fail(Diagnosis::failure("HW-BUG-001", error.to_string(), "report it with this message")))
}

/// What `list` tells to whom it is given, on a thread of its own and a few ahead, until no more is wanted.
pub(crate) fn listed<T: Send + 'static>(
    list: impl FnOnce(&mut dyn FnMut(Result<T, Stop>) -> bool) + Send + 'static,
) -> impl Stream<Item = Result<T, Stop>> + Send {
    let (to, planned) = mpsc::channel(PLANNED_ITEMS_MAX);
    tokio::task::spawn_blocking(move || list(&mut |item| to.blocking_send(item).is_ok()));
    futures::stream::unfold(planned, async |mut planned| planned.recv().await.map(|item| (item, planned)))
}

fn locked<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C> Workshop<C> {
    pub(crate) fn new(place: Place<C>) -> Self {
        let reader = Arc::new(Reader::new(Arc::clone(&place.home)));
        Self { place: Arc::new(place), base: Arc::default(), reader, desk: Mutex::default() }
    }

    pub(crate) fn place(&self) -> &Place<C> {
        &self.place
    }

    /// Looks at the base.
    pub(crate) async fn looked<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Snapshot) -> Result<T, KbError> + Send + 'static,
    ) -> Result<Result<T, KbError>, Stop> {
        let reader = Arc::clone(&self.reader);
        on_disk(move || reader.look(look)).await
    }

    /// Shows what a crash left unshown, clears away what it was preparing, and makes room to prepare in.
    pub(crate) async fn open(&self, cx: &ReadCx) -> Result<(), Stop> {
        let held = self.lock(cx).await?;
        let root = self.place.root.clone();
        let (held, desk) = on_disk(move || {
            let desk = Desk::open(&root, &held);
            (held, desk)
        })
        .await?;
        let desk = desk.map_err(|error| failed(&KbError::io("make a place to prepare in")(error)))?;
        *locked(&self.desk) = Some(desk);
        self.show(cx, held).await.map(drop)
    }

    /// Clears the room that was made, and lets go of the rows.
    pub(crate) fn close(&self) {
        *locked(&self.desk) = None;
        self.reader.let_go();
    }

    /// Goes on with the collection of what nothing refers to, where that is due and nobody is changing the base, and says what a person
    /// should know of it.
    pub(crate) async fn collect(&self, cx: &ReadCx) -> Result<Option<String>, Stop> {
        let now = cx.clock.now();
        // There is a next pass.
        let Ok(Some(held)) = self.place.home.try_lock() else { return Ok(None) };
        let root = self.place.root.clone();
        let collected = self.in_base(now, move |base| {
            if !base.is_collection_due(now)? {
                return Ok(Collected::default());
            }
            let desks = desks(&root, &held, true).map_err(KbError::io("see who prepares"))?;
            base.collect(&held, now, Duration::from_secs(GRACE_SECS), desks.leased == 0)
        });
        Ok(match collected.await? {
            Ok(Collected { removed: 0, .. }) => None,
            Ok(Collected { removed, bytes, .. }) => {
                let files =
                    if removed == 1 { "file that nothing refers to was" } else { "files that nothing refers to were" };
                Some(format!("{removed} {files} removed, {bytes} bytes"))
            }
            // What the pass did is there all the same.
            Err(error) => Some(format!("what nothing refers to was not removed: {}", with_causes(&error))),
        })
    }

    fn desk(&self) -> Result<PathBuf, Stop> {
        locked(&self.desk).as_ref().map(Desk::path).ok_or_else(|| {
            Stop::Fail(Diagnosis::failure("HW-BUG-001", "a document was prepared before recovery", "report it"))
        })
    }

    /// Does `each` to every one of a group in one draft, and commits that. Says what became of each of them in the draft, in their
    /// order, and of the files; `None` where no generation was made.
    pub(crate) async fn commit<T: Send + 'static, W: Send + 'static>(
        &self,
        cx: &ReadCx,
        op: &'static str,
        mut group: Vec<T>,
        each: impl Fn(&mut Draft<'_>, &mut T) -> Result<W, KbError> + Send + 'static,
    ) -> Result<(Vec<(T, W)>, Option<Fates>), Stop> {
        let held = self.lock(cx).await?;
        let now = cx.clock.now();
        let (held, became, committed) = self
            .in_base(now, move |base| {
                let mut ways = Vec::with_capacity(group.len());
                let committed = base.commit(&held, now, op, &counted(group.len()), |draft| {
                    group.iter_mut().try_for_each(|one| {
                        ways.push(each(draft, one)?);
                        Ok(())
                    })
                });
                Ok((held, group.into_iter().zip(ways).collect(), committed))
            })
            .await?
            .map_err(|error| failed(&error))?;
        let fates = match committed {
            Ok(committed) => committed.map(|committed| committed.fates),
            Err(error) => {
                // After an error what is durable is known only to one who opens it anew.
                *locked(&self.base) = None;
                match error {
                    KbError::Unapplied { .. } => Some(self.show(cx, held).await?.unwrap_or_default()),
                    error => return Err(failed(&error)),
                }
            }
        };
        Ok((became, fates))
    }

    /// Does something with the base.
    async fn in_base<T: Send + 'static>(
        &self,
        now: Timestamp,
        work: impl FnOnce(&mut Base) -> Result<T, KbError> + Send + 'static,
    ) -> Result<Result<T, KbError>, Stop> {
        let (home, slot) = (Arc::clone(&self.place.home), Arc::clone(&self.base));
        on_disk(move || {
            let mut slot = locked(&slot);
            let mut base = match slot.take() {
                Some(base) => base,
                None => Base::open(home, now)?,
            };
            let done = work(&mut base)?;
            // After an error what is durable is known only to one who opens it anew.
            *slot = Some(base);
            Ok(done)
        })
        .await
    }

    async fn lock(&self, cx: &ReadCx) -> Result<BaseLock, Stop> {
        let begun = cx.clock.elapsed();
        loop {
            match self.place.home.try_lock() {
                Ok(Some(lock)) => return Ok(lock),
                Ok(None) if cx.clock.elapsed().saturating_sub(begun) < Duration::from_secs(LOCK_WAIT_SECS) => {
                    if cx.clock.elapsed().saturating_sub(begun) >= Duration::from_millis(LET_GO_MS) {
                        self.let_go().await?;
                    }
                }
                Ok(None) => {
                    let told = format!("another change of the base has held its lock for {LOCK_WAIT_SECS} s");
                    return Err(Stop::checkpoint(Reason::LockHeld, told));
                }
                Err(error) => return Err(failed(&KbError::io("be locked")(error))),
            }
            cx.rest(Duration::from_millis(LOCK_LOOK_MS)).await?;
        }
    }

    /// Lets go of the rows: who holds the base lock for longer than a commit may put others in their place, and wait until nobody has these open.
    async fn let_go(&self) -> Result<(), Stop> {
        let (base, reader) = (Arc::clone(&self.base), Arc::clone(&self.reader));
        on_disk(move || {
            *locked(&base) = None;
            reader.let_go();
        })
        .await
    }

    /// Finishes what is committed and not shown yet, several times where something is in the way.
    async fn show(&self, cx: &ReadCx, held: BaseLock) -> Result<Option<Fates>, Stop> {
        let (mut held, mut tries) = (held, 0);
        loop {
            let (back, finished) = self
                .in_base(cx.clock.now(), move |base| {
                    let finished = base.finish(&held);
                    Ok((held, finished))
                })
                .await?
                .map_err(|error| failed(&error))?;
            held = back;
            tries += 1;
            match finished {
                Ok(finished) => return Ok(finished.map(|finished| finished.fates)),
                Err(error) => {
                    *locked(&self.base) = None;
                    if tries == SHOW_TRIES || !matches!(error, KbError::Unapplied { .. }) {
                        return Err(failed(&error));
                    }
                }
            }
            cx.rest(Duration::from_millis(SHOW_REST_MS)).await?;
        }
    }
}
