//! Documents into a base: the job `kb-add`. Owns what becomes of each document on its way: found, copied, known or converted and
//! compiled, and folded in under its name; that of the web is fetched by [`crate::web`]. What it shares with other jobs that do so is in [`crate::workshop`].

mod enter;
mod found;
mod naming;
pub mod scan;
mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures::Stream;
use highwater_engine::diagnosis::with_causes;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::name::ResourceName;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::{PassReport, Reason};
use tokio::sync::OnceCell;

use crate::base::{Objects, Snapshot};
use crate::compile::Compiler;
use crate::convert::{self, Converted, Staged};
use crate::document::Document;
use crate::error::KbError;
use crate::origin::Origin;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;
use crate::web::{self, Address, Fetched, Patience, Web};
use crate::workshop::{PutOff, Unready, Workshop, attempt, listed, on_disk};

use self::enter::{enter, is_stored, known};
use self::found::find;
use self::scan::PassedOver;

pub use crate::workshop::{
    Desks, GROUP_DOCUMENTS_MAX, LOCK_LOOK_MS, LOCK_WAIT_SECS, Place, Prepared, SHOW_TRIES, conflict_of, desks,
    diagnosis,
};
pub use found::Found;
pub use settings::{KbAddSettings, NEXT};

/// What was named to be added.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// Addresses of the web.
    pub addresses: Vec<Address>,
    /// The resources of the job, on which its contacts are made.
    pub resources: Vec<ResourceName>,
    /// How long an answer is waited for.
    pub patience: Patience,
    /// Files that are for a person to look at since an earlier list, and why: they stay on the list, and nobody tries them again.
    pub waits: BTreeMap<Origin, String>,
}

/// Adds documents.
#[derive(Debug)]
pub struct KbAdd<C> {
    workshop: Workshop<C>,
    /// What was named.
    named: Arc<Named>,
    /// What fetches documents of the web; begun when the first is to be fetched.
    web: OnceCell<Web>,
    passed_over: Arc<Mutex<PassedOver>>,
    put_off: PutOff,
}

impl<C: Compiler + std::fmt::Debug + 'static> KbAdd<C> {
    /// The job that adds what was named.
    #[must_use]
    pub fn new(place: Place<C>, named: Named) -> Self {
        Self {
            workshop: Workshop::new(place),
            named: Arc::new(named),
            web: OnceCell::new(),
            passed_over: Arc::default(),
            put_off: PutOff::default(),
        }
    }

    async fn prepared(&self, cx: &ReadCx, item: &Found) -> Result<Box<Prepared>, Unready> {
        if let Some(file) = item.origin.file()
            && let Some(outcome) = self.there_already(file, item, cx.tried).await?
        {
            return Err(Unready::Outcome(outcome));
        }
        if let Some(why) = self.named.waits.get(&item.origin) {
            return Err(Unready::because(OutcomeKind::Review, why));
        }
        let (staged, path) = match item.origin.file() {
            Some(path) => {
                let file = path.clone();
                let staged = self.workshop.copied(move |desk, limits| Ok(Staged::copy(&file, desk, limits)?)).await?;
                (staged, path)
            }
            None => {
                let Fetched { staged, suffix } = self.fetched(cx, item).await?;
                (staged, web::called(&suffix))
            }
        };
        let (content, origin, tried) = (staged.content, item.origin.clone(), cx.tried);
        let known = move |base: &Snapshot| Ok((known(base, content, &origin, tried)?, is_stored(base, content)?));
        match self.workshop.looked(known).await?? {
            (Some(outcome), true) => return Err(Unready::Outcome(outcome)),
            (Some(outcome), false) => return Err(Unready::Outcome(self.stored_again(staged, outcome).await?)),
            (None, _) => {}
        }
        let (converted, _) = self.workshop.converted(cx, &staged, &path, &item.origin).await?;
        let (converted, compiled) = self.workshop.compiled(cx, &item.name, converted).await?;
        let document = self.record(item, &convert::suffix_of(&path), &staged, &converted)?;
        let prepared = Box::new(Prepared { name: item.name.clone(), document, converted, compiled });
        let bytes = move |objects: Objects<'_>| objects.put_stream(|| std::fs::File::open(staged.document())).map(drop);
        self.workshop.stored(prepared, bytes).await
    }

    /// Stores the bytes of a document that is in the base, and whose bytes are not.
    async fn stored_again(&self, staged: Staged, known: Outcome) -> Result<Outcome, Unready> {
        let home = Arc::clone(&self.workshop.place().home);
        let stored = on_disk(move || {
            let objects = Objects::of(&*home);
            objects.put_stream(|| std::fs::File::open(staged.document()))?;
            objects.settle()
        });
        stored.await??;
        let again = "its bytes, which were gone, are stored again";
        let why = known.detail.map_or_else(|| again.to_owned(), |why| format!("{why}; {again}"));
        Ok(Outcome::because(known.kind, why))
    }

    /// Whether the base has a file's content already, as it is in its place: nothing is copied for that. It is told of the newest generation
    /// that there is once the file is read, so a document that another process has removed by then is added again. All else, what
    /// is in the way too, is judged by the private copy.
    async fn there_already(&self, file: PathBuf, item: &Found, tried: bool) -> Result<Option<Outcome>, Unready> {
        let origin = item.origin.clone();
        let limits = *self.workshop.place().converter.limits();
        let Ok(content) = on_disk(move || convert::content_of(&file, &limits)).await? else { return Ok(None) };
        let known = move |base: &Snapshot| {
            let known = known(base, content, &origin, tried)?.filter(|known| known.kind == OutcomeKind::Present);
            Ok(if is_stored(base, content)? { known } else { None })
        };
        Ok(self.workshop.looked(known).await??)
    }

    fn web(&self) -> Result<Web, Stop> {
        let Named { addresses, resources, patience, .. } = &*self.named;
        Web::new(addresses, resources, *patience)
    }

    /// A document of the web as a private copy.
    async fn fetched(&self, cx: &ReadCx, item: &Found) -> Result<Fetched, Unready> {
        let address = Address::parse(item.origin.as_str())
            .map_err(|error| Unready::because(OutcomeKind::Review, with_causes(&error)))?;
        let web = self.web.get_or_try_init(async || self.web()).await?;
        let (desk, limits) = self.workshop.room()?;
        web.fetch(cx, &address, &desk, &limits).await
    }

    /// What the registry will know of a document.
    fn record(&self, item: &Found, suffix: &str, staged: &Staged, converted: &Converted) -> Result<Document, KbError> {
        let dot = if suffix.is_empty() { "" } else { "." };
        Ok(Document {
            sequence: 0,
            origin: item.origin.clone(),
            raw: FilePath::new(format!("raw/{}{dot}{suffix}", item.name))?,
            content: staged.content,
            sha256: staged.sha256.clone(),
            bytes: staged.bytes,
            title: String::new(),
            full_text: PageName::of_document(PageKind::Source, &item.name).path(),
            images: Vec::new(),
            pages: u32::try_from(converted.page_lines.len()).ok().filter(|pages| *pages > 0),
            converter: converted.converter.clone(),
            compiler: self.workshop.place().compiler.name(),
            compiled: staged.content,
        })
    }
}

impl<C: Compiler + std::fmt::Debug + 'static> Job for KbAdd<C> {
    type Item = Found;
    type Prepared = Box<Prepared>;

    /// Shows what a crash left unshown, and clears away what it was preparing.
    async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        self.workshop.open(&cx.read).await
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Found, Stop>> + Send {
        let (named, told) = (Arc::clone(&self.named), Arc::clone(&self.passed_over));
        let (home, root) = (Arc::clone(&self.workshop.place().home), self.workshop.place().root.clone());
        listed(move |each| {
            let mut passed_over = PassedOver::default();
            if let Err(stop) = find(home, &root, &named, &mut passed_over, &mut *each) {
                each(Err(stop));
            }
            *told.lock().unwrap_or_else(PoisonError::into_inner) = passed_over;
        })
    }

    async fn is_present(&self, item: &Found) -> Result<bool, Stop> {
        let Some(file) = item.origin.file() else { return Ok(false) };
        match self.there_already(file, item, false).await {
            Ok(there) => Ok(there.is_some()),
            Err(Unready::Outcome(_)) => Ok(false),
            Err(Unready::Stop(stop)) => Err(stop),
        }
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Found>) -> Result<Attempt<Box<Prepared>>, Stop> {
        let attempt = attempt(self.prepared(&cx, &item).await)?;
        if let Attempt::Outcome(outcome) = &attempt {
            match self.named.waits.contains_key(&item.origin) && outcome.kind == OutcomeKind::Review {
                true => self.put_off.note_known(),
                false => self.put_off.note(item.origin.as_str(), outcome),
            }
        }
        Ok(attempt)
    }

    fn weight(&self, ready: &Box<Prepared>) -> u64 {
        ready.weight()
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
        let group = group.into_iter().map(|(_, ready)| ready).collect();
        let (became, fates) = self.workshop.commit(&cx.read, "add", group, |draft, ready| enter(draft, ready)).await?;
        let fates = fates.unwrap_or_default();
        let outcomes = became.into_iter().map(|(ready, way)| {
            let outcome = way.outcome(&ready, &fates);
            self.put_off.note(ready.document.origin.as_str(), &outcome);
            outcome
        });
        Ok(outcomes.collect())
    }

    async fn seal(&self, cx: &mut CommitCx, pass: &PassReport) -> Result<(), Stop> {
        self.workshop.close();
        let told = self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).told();
        cx.notes.extend(told);
        cx.notes.extend(self.put_off.told(&pass.counts));
        if pass.reason != Reason::Stopped {
            cx.notes.extend(self.workshop.collect(&cx.read).await?);
        }
        cx.notes.extend(self.workshop.place().compiler.told());
        Ok(())
    }
}
