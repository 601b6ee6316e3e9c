//! Documents into a base: the job `kb-add`. Owns what becomes of each document on its way: found, copied, known or converted, compiled,
//! and folded in, with its neighbours, by one commit.

mod desk;
mod entry;
mod found;
mod naming;
pub mod scan;
mod settings;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::{PassReport, Reason};
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::base::{Base, BaseLock, Fate, Home, Objects, Snapshot};
use crate::compile::{CompileError, Compiled, Compiler, Source};
use crate::convert::{self, ConvertError, Converted, Staged, Subprocess, Verdict};
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::fold::{self, Ready};
use crate::page::{PageKind, PageName};
use crate::path::FilePath;
use crate::tree;

use self::desk::Desk;
use self::entry::{enter, known};
use self::found::find;
use self::scan::PassedOver;

pub use found::Found;
pub use settings::KbAddSettings;

/// Documents that wait between the reading of directories and the ledger.
const PLANNED_ITEMS_MAX: usize = 256;
/// The largest document that is read as text in this process, in bytes.
const TEXT_HERE_BYTES_MAX: u64 = 16 << 20;
/// Documents that share a commit.
pub const GROUP_DOCUMENTS_MAX: usize = 64;
/// How long the base lock is waited for, in seconds: it is held for one commit at a time.
pub const LOCK_WAIT_SECS: u64 = 60;
/// How often it is asked for meanwhile, in milliseconds.
pub const LOCK_LOOK_MS: u64 = 20;
/// How often a generation that is committed is tried to be shown.
pub const SHOW_TRIES: u32 = 5;
/// How long between two of these, in milliseconds.
const SHOW_REST_MS: u64 = 500;

/// Where documents are added, and with what.
#[derive(Debug)]
pub struct Place<C> {
    /// The base.
    pub home: Arc<dyn Home>,
    /// Its directory.
    pub root: PathBuf,
    /// The files and directories that were named.
    pub named: Vec<PathBuf>,
    /// What makes Markdown of a document.
    pub converter: Subprocess,
    /// What makes pages of Markdown.
    pub compiler: C,
}

/// Adds documents.
#[derive(Debug)]
pub struct KbAdd<C> {
    place: Arc<Place<C>>,
    /// Opened when it is first needed, and anew after an error.
    base: Arc<Mutex<Option<Base>>>,
    desk: Mutex<Option<Desk>>,
    passed_over: Arc<Mutex<PassedOver>>,
}

/// A document that is ready to be folded in; its bytes, its text and its images are objects already.
#[derive(Debug)]
pub struct Prepared {
    name: DocName,
    document: Document,
    converted: Converted,
    compiled: Compiled,
}

impl Prepared {
    fn ready(&self) -> Ready<'_> {
        Ready {
            name: &self.name,
            document: &self.document,
            text: &self.converted.markdown,
            images: &self.converted.images,
            compiled: &self.compiled,
        }
    }
}

/// What went wrong in a base, for people.
#[must_use]
pub fn diagnosis(error: &KbError) -> Diagnosis {
    let message = with_causes(error);
    match error {
        KbError::Unapplied { .. } => Diagnosis::failure(
            "HW-KB-022",
            message,
            "remove what is in the way and call again: nothing is lost, and readers go on from what is stored",
        ),
        _ => Diagnosis::failure(
            "HW-KB-021",
            message,
            "check the disk, its space and its permissions, and call again: what is in the base stays",
        ),
    }
}

fn failed(error: &KbError) -> Stop {
    Stop::Fail(diagnosis(error))
}

/// How many documents, in words.
fn counted(documents: usize) -> String {
    if documents == 1 { "1 document".to_owned() } else { format!("{documents} documents") }
}

/// What a failed conversion makes of a document.
fn judged(error: &ConvertError) -> Result<Attempt<Box<Prepared>>, Stop> {
    let message = with_causes(error);
    let outcome = match (error, error.verdict()) {
        (ConvertError::Unreadable(source), _) if source.kind() == io::ErrorKind::NotFound => {
            Outcome::because(OutcomeKind::Gone, "it is no longer there")
        }
        (_, Verdict::Document) => Outcome::because(OutcomeKind::Review, message),
        (_, Verdict::Moment) => Outcome::because(OutcomeKind::Failed, message),
        (_, Verdict::Machine) => {
            let next = "check the disk, its space and its permissions, and call again: what is in the base stays";
            return Err(Stop::Fail(Diagnosis::failure("HW-KB-002", message, next)));
        }
        (_, Verdict::Stop) => return Err(Stop::checkpoint(Reason::Stopped, "stopped by a signal")),
    };
    Ok(Attempt::Outcome(outcome))
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stop> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Stop::Fail(Diagnosis::failure("HW-BUG-001", error.to_string(), "report it with this message")))
}

impl<C: Compiler + std::fmt::Debug + 'static> KbAdd<C> {
    /// A job of this place.
    #[must_use]
    pub fn new(place: Place<C>) -> Self {
        Self { place: Arc::new(place), base: Arc::default(), desk: Mutex::default(), passed_over: Arc::default() }
    }

    /// Does something with the base.
    async fn in_base<T: Send + 'static>(
        &self,
        now: Timestamp,
        work: impl FnOnce(&mut Base) -> Result<T, KbError> + Send + 'static,
    ) -> Result<Result<T, KbError>, Stop> {
        let (place, slot) = (Arc::clone(&self.place), Arc::clone(&self.base));
        on_disk(move || {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            let mut base = match slot.take() {
                Some(base) => base,
                None => Base::open(Arc::clone(&place.home), now)?,
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
                Ok(None) if cx.clock.elapsed().saturating_sub(begun) < Duration::from_secs(LOCK_WAIT_SECS) => {}
                Ok(None) => {
                    let told = format!("another change of the base has held its lock for {LOCK_WAIT_SECS} s");
                    return Err(Stop::checkpoint(Reason::LockHeld, told));
                }
                Err(error) => return Err(failed(&KbError::io("be locked")(error))),
            }
            cx.rest(Duration::from_millis(LOCK_LOOK_MS)).await?;
        }
    }

    /// Finishes what is committed and not shown yet, several times where something is in the way.
    async fn show(&self, cx: &ReadCx, held: BaseLock) -> Result<Option<BTreeMap<FilePath, Fate>>, Stop> {
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
                    *self.base.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    if tries == SHOW_TRIES || !matches!(error, KbError::Unapplied { .. }) {
                        return Err(failed(&error));
                    }
                }
            }
            cx.rest(Duration::from_millis(SHOW_REST_MS)).await?;
        }
    }

    /// What the registry will know of a document.
    fn record(&self, item: &Found, path: &Path, staged: &Staged, converted: &Converted) -> Result<Document, Stop> {
        let suffix = convert::suffix_of(path);
        let dot = if suffix.is_empty() { "" } else { "." };
        let own = |path: String| FilePath::new(path).map_err(|fault| failed(&KbError::Path(fault)));
        Ok(Document {
            sequence: 0,
            origin: item.origin.clone(),
            raw: own(format!("raw/{}{dot}{suffix}", item.name))?,
            content: staged.content,
            sha256: staged.sha256.clone(),
            bytes: staged.bytes,
            title: String::new(),
            full_text: PageName::of_document(PageKind::Source, &item.name).path(),
            images: Vec::new(),
            pages: u32::try_from(converted.page_lines.len()).ok().filter(|pages| *pages > 0),
            converter: converted.converter.clone(),
            compiler: self.place.compiler.name(),
            compiled: staged.content,
        })
    }

    fn desk(&self) -> Result<PathBuf, Stop> {
        let desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        desk.as_ref().map(Desk::path).ok_or_else(|| {
            Stop::Fail(Diagnosis::failure("HW-BUG-001", "a document was prepared before recovery", "report it"))
        })
    }

    /// The document as Markdown. What is text already needs no process of its own.
    async fn converted(&self, cx: &ReadCx, staged: &Staged, path: &Path) -> Result<Converted, ConvertError> {
        let (document, suffix, beside) =
            (staged.document(), convert::suffix_of(path), path.parent().map(Path::to_owned));
        let limits = *self.place.converter.limits();
        if staged.bytes <= TEXT_HERE_BYTES_MAX {
            let here = tokio::task::spawn_blocking(move || {
                let bytes = std::fs::read(&document).ok()?;
                let format = convert::Format::of(&bytes, &suffix).ok()?;
                let is_text = matches!(format, convert::Format::Markdown | convert::Format::Text);
                is_text.then(|| convert::convert(&bytes, &suffix, beside.as_deref(), &limits))
            });
            match here.await {
                Ok(Some(converted)) => return converted.map_err(|refusal| ConvertError::Refused(refusal.to_string())),
                Ok(None) => {}
                Err(broke) => return Err(ConvertError::Crashed(broke.to_string())),
            }
        }
        self.place.converter.convert(staged, cx.stop()).await.map(|(converted, _)| converted)
    }
}

impl<C: Compiler + std::fmt::Debug + 'static> Job for KbAdd<C> {
    type Item = Found;
    type Prepared = Box<Prepared>;

    /// Shows what a crash left unshown, and clears away what it was preparing.
    async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        let held = self.lock(&cx.read).await?;
        let root = self.place.root.clone();
        let (held, desk) = on_disk(move || {
            let desk = Desk::open(&root, &held);
            (held, desk)
        })
        .await?;
        let desk = desk.map_err(|error| failed(&KbError::io("make a place to prepare in")(error)))?;
        *self.desk.lock().unwrap_or_else(PoisonError::into_inner) = Some(desk);
        self.show(&cx.read, held).await.map(drop)
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Found, Stop>> + Send {
        let (to, planned) = mpsc::channel(PLANNED_ITEMS_MAX);
        let (place, told) = (Arc::clone(&self.place), Arc::clone(&self.passed_over));
        tokio::task::spawn_blocking(move || {
            let mut passed_over = PassedOver::default();
            let each = |found| to.blocking_send(found).is_ok();
            if let Err(stop) = find(&place, &mut passed_over, each) {
                // Nobody may want to know any more.
                let _ = to.blocking_send(Err(stop));
            }
            *told.lock().unwrap_or_else(PoisonError::into_inner) = passed_over;
        });
        futures::stream::unfold(planned, async |mut planned| planned.recv().await.map(|item| (item, planned)))
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Found>) -> Result<Attempt<Box<Prepared>>, Stop> {
        let because = |kind, why: String| Ok(Attempt::Outcome(Outcome::because(kind, why)));
        let Some(path) = item.origin.file() else {
            return because(OutcomeKind::Review, "it is no file".to_owned());
        };
        let (desk, limits, file) = (self.desk()?, *self.place.converter.limits(), path.clone());
        let staged = match on_disk(move || Staged::copy(&file, &desk, &limits)).await? {
            Ok(staged) => staged,
            Err(error) => return judged(&error),
        };
        let (content, origin, tried) = (staged.content, item.origin.clone(), cx.tried);
        let home = Arc::clone(&self.place.home);
        let known = on_disk(move || known(&Snapshot::open(home)?, content, &origin, tried)).await?;
        if let Some(outcome) = known.map_err(|error| failed(&error))? {
            return Ok(Attempt::Outcome(outcome));
        }
        let converted = match self.converted(&cx, &staged, &path).await {
            // What says no title is called as its file is, which is not always its name here.
            Ok(converted) => Converted { title: converted.title.or_else(|| Some(item.origin.stem())), ..converted },
            Err(error) => return judged(&error),
        };
        let parted = tokio::task::spawn_blocking(move || {
            let tree = tree::build(&converted);
            (converted, tree)
        });
        let (converted, tree) = match parted.await {
            Ok(parted) => parted,
            Err(broke) => return because(OutcomeKind::Review, format!("its sections cannot be told: {broke}")),
        };
        let source = Source { name: &item.name, converted: &converted, tree: &tree };
        let compiled = match self.place.compiler.compile(&cx, source).await {
            Ok(compiled) => compiled,
            Err(CompileError::Review(why)) => return because(OutcomeKind::Review, why),
            Err(CompileError::Stop(stop)) => return Err(stop),
        };
        let document = self.record(&item, &path, &staged, &converted)?;
        let prepared = Box::new(Prepared { name: item.name.clone(), document, converted, compiled });
        let home = Arc::clone(&self.place.home);
        let stored = on_disk(move || {
            let objects = Objects::of(&*home);
            objects.put_stream(|| std::fs::File::open(staged.document()))?;
            fold::stage(objects, &prepared.ready())?;
            Ok(prepared)
        });
        match stored.await? {
            Ok(prepared) => Ok(Attempt::Ready(prepared)),
            Err(error) => Err(failed(&error)),
        }
    }

    fn weight(&self, ready: &Box<Prepared>) -> u64 {
        let images: usize = ready.converted.images.iter().map(|image| image.bytes.len()).sum();
        (images + ready.converted.markdown.len()) as u64
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Found, ready: Box<Prepared>) -> Result<Outcome, Stop> {
        let outcomes = self.commit_group(cx, vec![(Arc::new(item.clone()), ready)]).await?;
        Ok(outcomes.into_iter().next().expect("invariant: one outcome for each"))
    }

    fn group_items_max(&self) -> usize {
        GROUP_DOCUMENTS_MAX
    }

    async fn commit_group(
        &self,
        cx: &mut CommitCx,
        group: Vec<(Arc<Found>, Box<Prepared>)>,
    ) -> Result<Vec<Outcome>, Stop> {
        let held = self.lock(&cx.read).await?;
        let now = cx.read.clock.now();
        let (held, group, ways, committed) = self
            .in_base(now, move |base| {
                let mut ways = Vec::with_capacity(group.len());
                let committed = base.commit(&held, now, "add", &counted(group.len()), |draft| {
                    group.iter().try_for_each(|(found, ready)| {
                        ways.push(enter(draft, found, ready)?);
                        Ok(())
                    })
                });
                Ok((held, group, ways, committed))
            })
            .await?
            .map_err(|error| failed(&error))?;
        let fates = match committed {
            Ok(committed) => committed.map(|committed| committed.fates),
            Err(error) => {
                // After an error what is durable is known only to one who opens it anew.
                *self.base.lock().unwrap_or_else(PoisonError::into_inner) = None;
                match error {
                    KbError::Unapplied { .. } => self.show(&cx.read, held).await?,
                    error => return Err(failed(&error)),
                }
            }
        };
        let fates = fates.unwrap_or_default();
        Ok(group.iter().zip(ways).map(|((found, ready), way)| way.outcome(found, ready, &fates)).collect())
    }

    async fn seal(&self, cx: &mut CommitCx, _: &PassReport) -> Result<(), Stop> {
        *self.desk.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let told = self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).told();
        cx.notes.extend(told);
        Ok(())
    }
}
