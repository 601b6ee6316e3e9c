//! Documents of a base, made anew from what they were given as: the job `kb-recompile`. Owns which documents, in the order in which they
//! were added, and what becomes of one that was changed while it was made anew. What it shares with other jobs is in
//! [`crate::workshop`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::Stream;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop, WorkItem};
use highwater_engine::name::ItemKey;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::{PassReport, Reason};
use highwater_fs::Kind;

use crate::base::{Draft, Home, Instead, LISTED_MAX, Objects, Snapshot, is_refused};
use crate::compile::Compiler;
use crate::convert::{self, Staged};
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::fold::{self, Version};
use crate::web;
use crate::workshop::{
    GROUP_DOCUMENTS_MAX, Place, Prepared, PutOff, Unready, Workshop, attempt, failed, listed, on_disk,
};

/// What the log calls it.
const OP: &str = "recompile";
/// Why a document is left that is changed again and again.
const MOVED: &str = "it was changed each time while it was made anew: let that end, and call again";
/// How often a document that is changed meanwhile is made anew, before a person must look.
pub const MOVES_MAX: u32 = 3;

/// Which documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Every one.
    All,
    /// Those of these names.
    These(Vec<DocName>),
}

/// A document that is to be made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    name: DocName,
}

impl WorkItem for Chosen {
    fn key(&self) -> ItemKey {
        ItemKey::new(self.name.as_str()).expect("invariant: a document's name is short, and one line")
    }

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(key: &ItemKey, _: &[u8]) -> Result<Self, String> {
        let name = DocName::try_from(key.as_str().to_owned()).map_err(|error| error.to_string())?;
        Ok(Self { name })
    }
}

/// A new version of a document, and the one that the base had when it was made.
#[derive(Debug)]
pub struct Renewal {
    was: Version,
    prepared: Box<Prepared>,
}

/// Makes documents anew.
#[derive(Debug)]
pub struct KbRecompile<C> {
    workshop: Workshop<C>,
    which: Which,
    put_off: PutOff,
}

impl<C: Compiler + std::fmt::Debug + 'static> KbRecompile<C> {
    /// The job that makes these documents anew.
    #[must_use]
    pub fn new(place: Place<C>, which: Which) -> Self {
        Self { workshop: Workshop::new(place), which, put_off: PutOff::default() }
    }

    async fn prepared(&self, cx: &ReadCx, item: &Chosen) -> Result<Renewal, Unready> {
        let home = Arc::clone(&self.workshop.place().home);
        let name = item.name.clone();
        let was = on_disk(move || Version::in_generation(&Snapshot::open(home)?, &name)).await??;
        let was = was.ok_or_else(|| Unready::because(OutcomeKind::Gone, "it is no longer in the base"))?;
        let known = &was.document;
        if !known.raw.as_str().starts_with("raw/") {
            let why = format!(
                "the base has its text alone, and not what it was given as: add it again, from {}",
                known.origin
            );
            return Err(Unready::because(OutcomeKind::Review, why));
        }
        let staged = self.given(known).await?;
        let (converted, format) = self.workshop.converted(cx, &staged, &self.called(known), &known.origin).await?;
        if format.shows_what_lies_beside() && converted.images.len() < known.images.len() {
            let why = format!(
                "images that it shows no longer lie beside {}, where it came from, and would be lost: put them back there, and call again",
                known.origin
            );
            return Err(Unready::because(OutcomeKind::Review, why));
        }
        let (converted, compiled) = self.workshop.compiled(cx, &item.name, converted).await?;
        let document = Document {
            pages: u32::try_from(converted.page_lines.len()).ok().filter(|pages| *pages > 0),
            converter: converted.converter.clone(),
            compiler: self.workshop.place().compiler.name(),
            ..known.clone()
        };
        let prepared = Box::new(Prepared { name: item.name.clone(), document, converted, compiled });
        let sequence = known.sequence;
        let home = Arc::clone(&self.workshop.place().home);
        let (prepared, was, is_there) = on_disk(move || {
            // Of what is there as it was compiled, something may be missing or damaged all the same.
            let is_there = prepared.ready().version(sequence).and_then(|is| {
                Ok(is == was && fold::is_kept(&Snapshot::open(home)?, &prepared.name, &was, &prepared.compiled)?)
            });
            (prepared, was, is_there)
        })
        .await?;
        if is_there? {
            // It is what a pass committed that was killed before it could say so.
            let kind = if cx.tried { OutcomeKind::Done } else { OutcomeKind::Present };
            return Err(Unready::Outcome(Outcome::plain(kind)));
        }
        let prepared = self.workshop.stored(prepared, |_| Ok(())).await?;
        Ok(Renewal { was, prepared })
    }

    /// A copy of the bytes that a document was given as.
    async fn given(&self, was: &Document) -> Result<Staged, Unready> {
        let (home, id, path) = (Arc::clone(&self.workshop.place().home), was.content, self.called(was));
        let raw = was.raw.clone();
        let damaged = move |error: KbError| {
            let next = "`highwater kb lint --verify` says what mends it";
            Unready::because(OutcomeKind::Review, format!("what it was given as, {raw}: {error}: {next}"))
        };
        self.workshop
            .copied(move |desk, limits| {
                let bytes = match Objects::of(&*home).reader(id) {
                    Ok(bytes) => bytes,
                    Err(error @ (KbError::ObjectMissing { .. } | KbError::ObjectDamaged { .. })) => {
                        return Err(damaged(error));
                    }
                    Err(KbError::Fs(error)) if is_refused(error.kind(), error.raw_os_error()) => {
                        return Err(damaged(KbError::ObjectDamaged { id, found: Instead::Odd(Kind::File) }));
                    }
                    Err(error) => return Err(error.into()),
                };
                let staged = Staged::copy_kept(bytes, &path, desk, limits)?;
                match staged.content {
                    found if found == id => Ok(staged),
                    found => Err(damaged(KbError::ObjectDamaged { id, found: Instead::Bytes(found) })),
                }
            })
            .await
    }

    /// The path that says a document's suffix, and where the images lie that it shows.
    fn called(&self, was: &Document) -> PathBuf {
        let raw = Path::new(was.raw.as_str());
        was.origin.file().unwrap_or_else(|| web::called(&convert::suffix_of(raw)))
    }
}

impl<C: Compiler + std::fmt::Debug + 'static> Job for KbRecompile<C> {
    type Item = Chosen;
    type Prepared = Renewal;

    /// Shows what a crash left unshown, and clears away what it was preparing.
    async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        self.workshop.open(&cx.read).await
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Chosen, Stop>> + Send {
        let (home, which) = (Arc::clone(&self.workshop.place().home), self.which.clone());
        listed(move |each| {
            if let Err(error) = choose(home, which, |name| each(Ok(Chosen { name }))) {
                each(Err(failed(&error)));
            }
        })
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Chosen>) -> Result<Attempt<Renewal>, Stop> {
        let attempt = attempt(self.prepared(&cx, &item).await)?;
        if let Attempt::Outcome(outcome) = &attempt {
            self.put_off.note(item.name.as_str(), outcome);
        }
        Ok(attempt)
    }

    fn weight(&self, ready: &Renewal) -> u64 {
        ready.prepared.weight()
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Chosen, ready: Renewal) -> Result<Outcome, Stop> {
        let outcomes = self.commit_group(cx, vec![(Arc::new(item.clone()), ready)]).await?;
        Ok(outcomes.into_iter().next().expect("invariant: one outcome for each"))
    }

    fn group_items_max(&self) -> usize {
        GROUP_DOCUMENTS_MAX
    }

    /// A document that was changed since its version was made is made anew from what it is now, without the base lock.
    async fn commit_group(&self, cx: &mut CommitCx, group: Vec<(Arc<Chosen>, Renewal)>) -> Result<Vec<Outcome>, Stop> {
        let mut outcomes = vec![Outcome::because(OutcomeKind::Review, MOVED); group.len()];
        let mut left: Vec<(usize, Arc<Chosen>, Renewal)> =
            group.into_iter().enumerate().map(|(at, (item, renewal))| (at, item, renewal)).collect();
        for moves in 1..=MOVES_MAX {
            let renew = |draft: &mut Draft<'_>, (_, item, renewal): &mut (usize, Arc<Chosen>, Renewal)| {
                let is_in = fold::renew(draft, &renewal.was, &renewal.prepared.ready())?;
                if is_in {
                    draft.log(OP, item.name.as_str());
                }
                Ok(is_in)
            };
            let (became, fates) = self.workshop.commit(&cx.read, OP, std::mem::take(&mut left), renew).await?;
            for ((at, item, renewal), is_in) in became {
                if is_in {
                    outcomes[at] = renewal.prepared.outcome(&fates);
                } else if moves < MOVES_MAX {
                    match self.prepared(&cx.read, &item).await {
                        Ok(renewal) => left.push((at, item, renewal)),
                        Err(Unready::Outcome(outcome)) => {
                            self.put_off.note(item.name.as_str(), &outcome);
                            outcomes[at] = outcome;
                        }
                        Err(Unready::Stop(stop)) => return Err(stop),
                    }
                }
            }
            if left.is_empty() {
                break;
            }
        }
        Ok(outcomes)
    }

    async fn seal(&self, cx: &mut CommitCx, pass: &PassReport) -> Result<(), Stop> {
        self.workshop.close();
        cx.notes.extend(self.put_off.told());
        if pass.reason != Reason::Stopped {
            cx.notes.extend(self.workshop.collect(&cx.read).await?);
        }
        cx.notes.extend(self.workshop.place().compiler.told());
        Ok(())
    }
}

/// Tells each document that is meant, in the order in which they were added, until no more is wanted.
fn choose(home: Arc<dyn Home>, which: Which, mut each: impl FnMut(DocName) -> bool) -> Result<(), KbError> {
    let base = Snapshot::open(home)?;
    match which {
        Which::All => {
            let mut after = 0;
            loop {
                let page = base.documents(after, LISTED_MAX)?;
                let Some((_, last)) = page.last() else { return Ok(()) };
                after = last.sequence;
                if !page.into_iter().all(|(name, _)| each(name)) {
                    return Ok(());
                }
            }
        }
        Which::These(names) => {
            let mut these = Vec::with_capacity(names.len());
            for name in names {
                // What went meanwhile is told of last.
                these.push((base.document(&name)?.map_or(u64::MAX, |known| known.sequence), name));
            }
            these.sort();
            these.into_iter().map(|(_, name)| name).all(each);
            Ok(())
        }
    }
}
