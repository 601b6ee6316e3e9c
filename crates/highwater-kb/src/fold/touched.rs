//! Which pages a draft touches. Owns what makes a page out of date: a document on it that changed, a page beside it that appeared or
//! went. It looks only at what the draft's documents share, so that its cost does not grow with the base.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Draft;
use crate::base::rows::derived::linked_from;
use crate::base::rows::registry::{self, Affected, PageRow};
use crate::document::DocName;
use crate::error::KbError;
use crate::page::render::{SHARED_DOCUMENTS_MAX, rounded};
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

use super::shown::RELATED_DOCUMENTS_MAX;

/// What a draft did to pages so far.
#[derive(Debug, Default)]
pub(crate) struct Folding {
    /// Whether pages are rendered at its end: not where they are placed as they were.
    renders: bool,
    pages: BTreeMap<PageName, Touch>,
    documents: BTreeMap<DocName, bool>,
}

/// What was done to a page.
#[derive(Debug)]
struct Touch {
    /// What it was before the draft.
    was: Option<PageRow>,
    /// Which documents on it changed, by their sequence.
    sequences: BTreeSet<u64>,
}

/// What is out of date.
#[derive(Debug, Default)]
pub(super) struct Stale {
    /// Pages that documents share, and whether they stand.
    pub(super) shared: BTreeMap<PageName, bool>,
    /// Documents whose summaries are.
    pub(super) summaries: BTreeSet<DocName>,
    /// Files that nobody renders, and that link to what is gone.
    pub(super) linking: BTreeSet<FilePath>,
    /// What is gone.
    pub(super) gone: BTreeSet<PageName>,
}

impl Folding {
    /// From now on the draft's pages are rendered at its end.
    pub(super) fn renders(&mut self) {
        self.renders = true;
    }

    pub(super) fn is_rendering(&self) -> bool {
        self.renders
    }

    /// Takes in what a change of a document did.
    pub(crate) fn take_in(&mut self, name: &DocName, was_there: bool, sequence: u64, affected: Vec<Affected>) {
        self.documents.entry(name.clone()).or_insert(was_there);
        for Affected { page, was } in affected {
            let touch = self.pages.entry(page).or_insert_with(|| Touch { was, sequences: BTreeSet::new() });
            touch.sequences.insert(sequence);
        }
    }

    /// What must be rendered.
    pub(super) fn stale(&self, draft: &Draft<'_>) -> Result<Stale, KbError> {
        let rows = draft.rows();
        let mut stale = Stale::default();
        // What appeared, and what went.
        let mut moved: BTreeSet<PageName> = BTreeSet::new();
        for (page, touch) in self.shared() {
            let now = registry::page(rows, page)?;
            let (stood, stands) = (stood(touch.was.as_ref()), stood(now.as_ref()));
            if stood != stands {
                moved.insert(page.clone());
                if !stands {
                    stale.gone.insert(page.clone());
                    stale.shared.insert(page.clone(), false);
                }
            }
            let more = |row: Option<&PageRow>| {
                rounded(row.map_or(0, |row| row.documents).saturating_sub(SHARED_DOCUMENTS_MAX as u64))
            };
            let first = touch.sequences.first().copied().unwrap_or(u64::MAX);
            let changed = || registry::is_among(rows, page, first, SHARED_DOCUMENTS_MAX);
            if stands && (!stood || more(touch.was.as_ref()) != more(now.as_ref()) || changed()?) {
                stale.shared.insert(page.clone(), true);
            }
        }
        for (name, was_there) in &self.documents {
            let is_there = draft.document(name)?.is_some();
            if is_there {
                stale.summaries.insert(name.clone());
            }
            if is_there != *was_there {
                for kind in [PageKind::Summary, PageKind::Source] {
                    let page = PageName::of_document(kind, name);
                    if !is_there {
                        stale.gone.insert(page.clone());
                    }
                    moved.insert(page);
                }
            }
        }
        for page in &moved {
            Self::beside(draft, page, &mut stale)?;
        }
        Ok(stale)
    }

    /// What shows whether this page is there.
    fn beside(draft: &Draft<'_>, moved: &PageName, stale: &mut Stale) -> Result<(), KbError> {
        let rows = draft.rows();
        // A page that moved has few documents that were not touched themselves: it stood, or did not, without them.
        for said in registry::contributed(rows, moved, usize::from(u16::MAX))? {
            stale.summaries.insert(said.document);
            for page in registry::pages_of(rows, said.sequence)? {
                if registry::is_among(rows, &page, said.sequence, RELATED_DOCUMENTS_MAX)? {
                    Self::again(draft, page, stale)?;
                }
            }
        }
        for page in registry::mentioned_by(rows, moved)? {
            if page.kind() == PageKind::Summary {
                stale.summaries.extend(DocName::try_from(page.stem().to_owned()).ok());
            } else {
                Self::again(draft, page, stale)?;
            }
        }
        for origin in linked_from(rows, &moved.to_string())? {
            let kept = origin.parse::<PageName>().is_ok_and(|page| page.kind() == PageKind::Exploration);
            if kept && stale.gone.contains(moved) {
                stale.linking.insert(FilePath::new(format!("wiki/{origin}.md"))?);
            }
        }
        Ok(())
    }

    fn again(draft: &Draft<'_>, page: PageName, stale: &mut Stale) -> Result<(), KbError> {
        if !stale.shared.contains_key(&page) && registry::page(draft.rows(), &page)?.is_some_and(|row| row.stands) {
            stale.shared.insert(page, true);
        }
        Ok(())
    }

    /// Pages whose line in the index is another than before.
    pub(super) fn listed(&self, draft: &Draft<'_>) -> Result<BTreeSet<PageName>, KbError> {
        let mut listed = BTreeSet::new();
        for (page, touch) in &self.pages {
            let line = |row: Option<PageRow>| row.filter(|row| row.stands).map(|row| (row.title, row.description));
            if line(touch.was.clone()) != line(registry::page(draft.rows(), page)?) {
                listed.insert(page.clone());
            }
        }
        Ok(listed)
    }

    fn shared(&self) -> impl Iterator<Item = (&PageName, &Touch)> {
        self.pages.iter().filter(|(page, _)| page.kind() != PageKind::Summary)
    }
}

fn stood(row: Option<&PageRow>) -> bool {
    row.is_some_and(|row| row.stands)
}
