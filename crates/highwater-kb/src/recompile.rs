//! Documents of a base, made anew from what they were given as: the job `kb-recompile`. Owns which documents, in the order in which they
//! were added but for those first that say nothing, and what becomes of one that was changed while it was made anew. What it shares with other jobs is in
//! [`crate::workshop`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::Stream;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop, WorkItem};
use highwater_engine::name::ItemKey;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::{PassReport, Reason};
use highwater_fs::Kind;

use crate::base::{Draft, Home, Instead, LISTED_MAX, ObjectStanding, Objects, Snapshot, is_refused};
use crate::compile::Compiler;
use crate::convert::{self, Staged};
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::fold::{self, Version};
use crate::web;
use crate::workshop::{
    GROUP_DOCUMENTS_MAX, Place, Prepared, PutOff, Unready, Workshop, attempt, counted, failed, listed, on_disk,
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

/// What is committed of a document.
#[derive(Debug)]
pub enum Turn {
    /// Its new version.
    Ready(Box<Renewal>),
    /// Nothing yet: it says nothing in the base, and is made anew together with others that do not.
    Together,
}

/// A document whose turn it is: its place in its group, unless it comes along with that.
type Due<T> = (Option<usize>, Arc<Chosen>, T);

/// Makes documents anew.
#[derive(Debug)]
pub struct KbRecompile<C> {
    workshop: Workshop<C>,
    which: Which,
    put_off: PutOff,
    silent: Mutex<Silent>,
    /// How many documents were stored again that were as they are, so that no generation was made.
    stored_again: AtomicU64,
}

/// Documents that say nothing in the base, since it is lost what was compiled from them. Their pages show them still, so whoever renders
/// one of these before all of them are made anew takes out what the others say, and puts it back: beside the edit of a person.
#[derive(Debug, Default)]
struct Silent {
    /// All of them that are meant.
    names: BTreeSet<DocName>,
    /// Those that may not be made anew yet, in their order.
    left: VecDeque<DocName>,
    /// Those that were.
    done: BTreeSet<DocName>,
    /// What became of those whose own turn did not come yet.
    outcomes: BTreeMap<DocName, Outcome>,
}

impl Silent {
    fn of(these: BTreeSet<(u64, DocName)>) -> Self {
        let left: VecDeque<DocName> = these.into_iter().map(|(_, name)| name).collect();
        Self { names: left.iter().cloned().collect(), left, ..Self::default() }
    }

    /// The next ones that are not made anew yet, at most so many.
    fn next(&mut self, max: usize) -> Vec<DocName> {
        let mut next = Vec::new();
        while next.len() < max
            && let Some(name) = self.left.pop_front()
        {
            if self.done.insert(name.clone()) {
                next.push(name);
            }
        }
        next
    }
}

impl<C: Compiler + std::fmt::Debug + 'static> KbRecompile<C> {
    /// The job that makes these documents anew.
    #[must_use]
    pub fn new(place: Place<C>, which: Which) -> Self {
        Self {
            workshop: Workshop::new(place),
            which,
            put_off: PutOff::default(),
            silent: Mutex::default(),
            stored_again: AtomicU64::default(),
        }
    }

    fn silent(&self) -> MutexGuard<'_, Silent> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// New versions of documents that say nothing in the base: of those of a group, and of others that come along. What becomes of one
    /// that has none is noted.
    async fn together(
        &self,
        cx: &ReadCx,
        group: Vec<(usize, Arc<Chosen>)>,
        outcomes: &mut [Outcome],
    ) -> Result<Vec<Due<Renewal>>, Stop> {
        let mut due: Vec<(Option<usize>, Arc<Chosen>)> = Vec::new();
        for (at, item) in group {
            let mut silent = self.silent();
            match silent.outcomes.remove(&item.name) {
                Some(outcome) => outcomes[at] = outcome,
                None => {
                    silent.done.insert(item.name.clone());
                    due.push((Some(at), item));
                }
            }
        }
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let more = self.silent().next(GROUP_DOCUMENTS_MAX.saturating_sub(due.len()));
        due.extend(more.into_iter().map(|name| (None, Arc::new(Chosen { name }))));
        let mut ready = Vec::with_capacity(due.len());
        for (at, item) in due {
            match self.prepared(cx, &item).await {
                Ok(renewal) => ready.push((at, item, renewal)),
                Err(Unready::Outcome(outcome)) => self.ended(at, &item, outcome, outcomes),
                Err(Unready::Stop(stop)) => return Err(stop),
            }
        }
        Ok(ready)
    }

    /// Takes in what became of a document, in its group or for when its turn comes.
    fn ended(&self, at: Option<usize>, item: &Chosen, outcome: Outcome, outcomes: &mut [Outcome]) {
        self.put_off.note(item.name.as_str(), &outcome);
        match at {
            Some(at) => outcomes[at] = outcome,
            None => drop(self.silent().outcomes.insert(item.name.clone(), outcome)),
        }
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
    type Prepared = Turn;

    /// Shows what a crash left unshown, and clears away what it was preparing.
    async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        self.workshop.open(&cx.read).await?;
        let (home, which) = (Arc::clone(&self.workshop.place().home), self.which.clone());
        let names = on_disk(move || silent(&Snapshot::open(home)?, &which)).await?;
        *self.silent() = Silent::of(names.map_err(|error| failed(&error))?);
        Ok(())
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Chosen, Stop>> + Send {
        let (home, which) = (Arc::clone(&self.workshop.place().home), self.which.clone());
        listed(move |each| {
            if let Err(error) = choose(home, which, |name| each(Ok(Chosen { name }))) {
                each(Err(failed(&error)));
            }
        })
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Chosen>) -> Result<Attempt<Turn>, Stop> {
        if self.silent().names.contains(&item.name) {
            return Ok(Attempt::Ready(Turn::Together));
        }
        let attempt = attempt(self.prepared(&cx, &item).await.map(|renewal| Turn::Ready(Box::new(renewal))))?;
        if let Attempt::Outcome(outcome) = &attempt {
            self.put_off.note(item.name.as_str(), outcome);
        }
        Ok(attempt)
    }

    fn weight(&self, ready: &Turn) -> u64 {
        match ready {
            Turn::Ready(renewal) => renewal.prepared.weight(),
            Turn::Together => 0,
        }
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Chosen, ready: Turn) -> Result<Outcome, Stop> {
        let outcomes = self.commit_group(cx, vec![(Arc::new(item.clone()), ready)]).await?;
        Ok(outcomes.into_iter().next().expect("invariant: one outcome for each"))
    }

    fn group_items_max(&self) -> usize {
        GROUP_DOCUMENTS_MAX
    }

    /// A document that was changed since its version was made is made anew from what it is now, without the base lock.
    async fn commit_group(&self, cx: &mut CommitCx, group: Vec<(Arc<Chosen>, Turn)>) -> Result<Vec<Outcome>, Stop> {
        let mut outcomes = vec![Outcome::because(OutcomeKind::Review, MOVED); group.len()];
        let (mut left, mut together): (Vec<Due<Renewal>>, _) = (Vec::new(), Vec::new());
        for (at, (item, turn)) in group.into_iter().enumerate() {
            match turn {
                Turn::Ready(renewal) => left.push((Some(at), item, *renewal)),
                Turn::Together => together.push((at, item)),
            }
        }
        left.extend(self.together(&cx.read, together, &mut outcomes).await?);
        for moves in 1..=MOVES_MAX {
            if left.is_empty() {
                break;
            }
            let renew = |draft: &mut Draft<'_>, (_, item, renewal): &mut Due<Renewal>| {
                let is_in = fold::renew(draft, &renewal.was, &renewal.prepared.ready())?;
                if is_in {
                    draft.log(OP, item.name.as_str());
                }
                Ok(is_in)
            };
            let (became, fates) = self.workshop.commit(&cx.read, OP, std::mem::take(&mut left), renew).await?;
            if fates.is_none() {
                let again = became.iter().filter(|(_, is_in)| *is_in).count();
                self.stored_again.fetch_add(again as u64, Ordering::Relaxed);
            }
            let fates = fates.unwrap_or_default();
            for ((at, item, renewal), is_in) in became {
                if is_in {
                    self.ended(at, &item, renewal.prepared.outcome(&fates), &mut outcomes);
                } else if moves < MOVES_MAX {
                    match self.prepared(&cx.read, &item).await {
                        Ok(renewal) => left.push((at, item, renewal)),
                        Err(Unready::Outcome(outcome)) => self.ended(at, &item, outcome, &mut outcomes),
                        Err(Unready::Stop(stop)) => return Err(stop),
                    }
                } else {
                    self.ended(at, &item, Outcome::because(OutcomeKind::Review, MOVED), &mut outcomes);
                }
            }
        }
        Ok(outcomes)
    }

    async fn seal(&self, cx: &mut CommitCx, pass: &PassReport) -> Result<(), Stop> {
        self.workshop.close();
        cx.notes.extend(self.put_off.told(&pass.counts));
        match self.stored_again.swap(0, Ordering::Relaxed) {
            0 => {}
            again => cx.notes.push(format!(
                "of {} nothing changed, and what was gone is stored again: that is no generation, so `highwater kb undo` takes back \
                 what was done before",
                counted(usize::try_from(again).unwrap_or(usize::MAX))
            )),
        }
        if pass.reason != Reason::Stopped {
            cx.notes.extend(self.workshop.collect(&cx.read).await?);
        }
        cx.notes.extend(self.workshop.place().compiler.told());
        Ok(())
    }
}

/// Tells each document that is meant, until no more is wanted: those first that say nothing in the base, then the others, each in the
/// order in which they were added.
fn choose(home: Arc<dyn Home>, which: Which, mut each: impl FnMut(DocName) -> bool) -> Result<(), KbError> {
    let base = Snapshot::open(home)?;
    let silent = silent(&base, &which)?;
    if !silent.iter().all(|(_, name)| each(name.clone())) {
        return Ok(());
    }
    meant(&base, which, |name, known| match known {
        Some(known) if silent.contains(&(known.sequence, name.clone())) => Ok(true),
        _ => Ok(each(name)),
    })
}

/// Those of the documents that are meant which say nothing in the base, with their places.
fn silent(base: &Snapshot, which: &Which) -> Result<BTreeSet<(u64, DocName)>, KbError> {
    let mut silent = BTreeSet::new();
    meant(base, which.clone(), |name, known| {
        if let Some(known) = known
            && base.stored().standing(known.compiled, false)? != ObjectStanding::There
        {
            silent.insert((known.sequence, name));
        }
        Ok(true)
    })?;
    Ok(silent)
}

/// Tells each document that is meant, in the order in which they were added, with what is known of it, until no more is wanted.
fn meant(
    base: &Snapshot,
    which: Which,
    mut each: impl FnMut(DocName, Option<&Document>) -> Result<bool, KbError>,
) -> Result<(), KbError> {
    match which {
        Which::All => {
            let mut after = 0;
            loop {
                let page = base.documents(after, LISTED_MAX)?;
                let Some((_, last)) = page.last() else { return Ok(()) };
                after = last.sequence;
                for (name, known) in page {
                    if !each(name, Some(&known))? {
                        return Ok(());
                    }
                }
            }
        }
        Which::These(names) => {
            let mut these = Vec::with_capacity(names.len());
            for name in names {
                let known = base.document(&name)?;
                // What went meanwhile is told of last.
                these.push((known.as_ref().map_or(u64::MAX, |known| known.sequence), name, known));
            }
            these.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
            for (_, name, known) in these {
                if !each(name, known.as_ref())? {
                    break;
                }
            }
            Ok(())
        }
    }
}
