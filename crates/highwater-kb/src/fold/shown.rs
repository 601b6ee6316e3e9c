//! From the rows to what a page shows. Owns what is read for it: at most as much as the page has room for.

use std::collections::{BTreeSet, HashMap};

use crate::base::rows::registry::{self, PageRow};
use crate::base::{Draft, PAGE_BYTES_MAX};
use crate::document::DocName;
use crate::error::KbError;
use crate::page::plain::line;
use crate::page::render::{self, Linked, Named, RELATED_MAX, SHARED_DOCUMENTS_MAX, Said, Shared};
use crate::page::{PageKind, PageName, link};
use crate::path::FilePath;

/// Of how many of its documents the pages beside it are related to a page.
pub(super) const RELATED_DOCUMENTS_MAX: usize = 16;

/// A page of a concept or an entity, which stands.
pub(super) fn shared(draft: &Draft<'_>, page: &PageName) -> Result<String, KbError> {
    let rows = draft.rows();
    let row = registry::page(rows, page)?;
    let PageRow { title, description, documents, .. } = row.unwrap_or_else(|| PageRow {
        title: page.stem().to_owned(),
        description: String::new(),
        documents: 0,
        alone: 0,
        stands: false,
    });
    let (mut said, mut bodies): (Vec<Said>, HashMap<String, usize>) = (Vec::new(), HashMap::new());
    let mut shown = 0_u64;
    for contributed in registry::contributed(rows, page, SHARED_DOCUMENTS_MAX)? {
        let summary = PageName::of_document(PageKind::Summary, &contributed.document);
        let title = registry::page(rows, &summary)?.map(|row| row.title);
        let title = title.unwrap_or_else(|| contributed.document.to_string());
        shown += 1;
        // What several documents say in the same words stands once.
        match bodies.get(&contributed.body).filter(|_| !contributed.body.is_empty()) {
            Some(first) => said[*first].also.push((contributed.document, title)),
            None => {
                let body = leads_somewhere(draft, &contributed.body)?;
                bodies.insert(contributed.body, said.len());
                said.push(Said { title, body, document: contributed.document, also: Vec::new() });
            }
        }
    }
    let related = registry::related(rows, page, RELATED_DOCUMENTS_MAX, RELATED_MAX)?;
    let more = documents.saturating_sub(shown);
    let shown = Shared { name: page, title: &title, description: &description, said: &said, more, related: &related };
    Ok(render::shared(&shown))
}

/// The summary of a document.
pub(super) fn summary(draft: &Draft<'_>, name: &DocName) -> Result<String, KbError> {
    let (document, compiled) = draft.compiled(name)?;
    // However large the text is, it begins on the same line.
    let before_text = render::lines_before_text(&render::source(name, &document, &compiled.description, ""));
    let (mut seen, mut stands) = (BTreeSet::new(), Vec::new());
    for said in compiled.contributions.iter().filter(|said| seen.insert(&said.page)) {
        stands.push((said, exists(draft, &said.page)?));
    }
    let named: Vec<Named<'_>> = stands
        .iter()
        .map(|(said, stands)| Named {
            link: if *stands { Linked::To(&said.page) } else { Linked::Words },
            kind: said.page.kind(),
            title: &said.title,
            description: &said.description,
        })
        .collect();
    let body = leads_somewhere(draft, &compiled.summary)?;
    Ok(render::summary(name, &document, &compiled, &body, before_text, &named))
}

/// A body without links to what is not there.
fn leads_somewhere(draft: &Draft<'_>, body: &str) -> Result<String, KbError> {
    if !body.contains("[[") {
        return Ok(body.to_owned());
    }
    let mut there = BTreeSet::new();
    for page in link::links(body).iter().filter_map(link::named) {
        if exists(draft, &page)? {
            there.insert(page);
        }
    }
    Ok(render::demoted(body, |page| there.contains(page)))
}

/// Whether there is a page that a document may link: a document's, or one that documents share.
fn exists(draft: &Draft<'_>, page: &PageName) -> Result<bool, KbError> {
    match page.kind() {
        PageKind::Source | PageKind::Summary => match DocName::try_from(page.stem().to_owned()) {
            Ok(name) => Ok(draft.document(&name)?.is_some()),
            Err(_) => Ok(false),
        },
        PageKind::Concept | PageKind::Entity => Ok(registry::page(draft.rows(), page)?.is_some_and(|row| row.stands)),
        PageKind::Exploration | PageKind::Report => Ok(false),
    }
}

/// Makes links to what is gone the words they read as, in a file that nobody renders.
pub(super) fn unlink(draft: &mut Draft<'_>, path: &FilePath, gone: &BTreeSet<PageName>) -> Result<(), KbError> {
    let Some(bytes) = draft.read(path, PAGE_BYTES_MAX)? else { return Ok(()) };
    let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
    let new = link::rewritten(&text, |link| {
        let leads_nowhere = link.wiki && link::named(link).is_some_and(|page| gone.contains(&page));
        leads_nowhere.then(|| line(link.reads()))
    });
    draft.write(path.clone(), new.as_bytes())
}
