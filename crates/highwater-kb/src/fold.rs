//! How a document comes into a base, and how it leaves it: its own files, and every page that it shares with others.
//!
//! A document's own pages are written as it is folded in. The shared ones are rendered once for a draft, at its end, from the rows,
//! which by then say what every document of the draft contributes: so neither the order within a draft nor how documents were
//! grouped into generations shows. Owns which pages a change touches. How they look is in `page`.

mod kept;
mod log;
mod shelves;
mod shown;
mod touched;
mod version;

pub(crate) use self::kept::is_kept;
pub(crate) use self::log::{LOG_BEFORE, LOG_PAGE, enter as enter_log, is_log};
#[cfg(test)]
pub(crate) use self::shelves::LOOKUPS;
pub(crate) use self::touched::Folding;
pub use self::version::Version;

use std::collections::BTreeSet;

use crate::base::rows::registry;
use crate::base::{Draft, Objects};
use crate::compile::Compiled;
use crate::content::ContentId;
use crate::convert::Image;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::page::{PageKind, PageName, render, rendered};
use crate::path::FilePath;

/// The page that says how a base hangs together.
const GUIDE: &str = "wiki/AGENTS.md";

/// A document that is ready to come into a base.
#[derive(Debug, Clone, Copy)]
pub struct Ready<'a> {
    /// What it is called.
    pub name: &'a DocName,
    /// What is known of it. Its sequence, its title, and where its text, its images and what was compiled from it are, are said by
    /// the fold: whatever stands there is not looked at. Its bytes are an object already.
    pub document: &'a Document,
    /// Its text, as it was converted.
    pub text: &'a str,
    /// Its images, as they were converted.
    pub images: &'a [Image],
    /// What was compiled from it.
    pub compiled: &'a Compiled,
}

impl Ready<'_> {
    /// What the registry will know, but for its sequence.
    fn record(&self, sequence: u64, compiled: &[u8]) -> Result<Document, KbError> {
        let images = self.images.iter().map(|image| image_path(self.name, &image.name)).collect::<Result<_, _>>()?;
        Ok(Document {
            sequence,
            title: self.compiled.title.clone(),
            full_text: PageName::of_document(PageKind::Source, self.name).path(),
            images,
            compiled: ContentId::of(compiled),
            ..self.document.clone()
        })
    }

    /// The version that it would be of a document of this sequence.
    ///
    /// # Errors
    /// An image whose name is none of one file.
    pub fn version(&self, sequence: u64) -> Result<Version, KbError> {
        let record = self.record(sequence, &self.compiled_bytes())?;
        let text = self.text_page(&record);
        Ok(Version::with(record, text.as_bytes(), self.images.iter().map(|image| ContentId::of(&image.bytes))))
    }

    fn compiled_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self.compiled).expect("invariant: what was compiled is JSON")
    }

    fn text_page(&self, record: &Document) -> String {
        render::source(self.name, record, &self.compiled.description, self.text)
    }
}

/// Stores what is a document's own, ahead of its commit and beside others: the commit then finds it and writes it no more.
///
/// # Errors
/// What the disk says, and an image whose name is none of one file.
pub fn stage(objects: Objects<'_>, ready: &Ready<'_>) -> Result<(), KbError> {
    let compiled = ready.compiled_bytes();
    let record = ready.record(0, &compiled)?;
    objects.put(&compiled)?;
    objects.put(ready.text_page(&record).as_bytes())?;
    ready.images.iter().try_for_each(|image| objects.put(&image.bytes).map(drop))
}

/// Folds a document in: a new one, or a new version of the one that is called so, which keeps its place among the others.
///
/// # Errors
/// What the disk or the rows say; [`KbError::ObjectMissing`] where its bytes were not stored first; [`KbError::NameTaken`]; an image
/// whose name is none of one file.
pub fn fold(draft: &mut Draft<'_>, ready: &Ready<'_>) -> Result<(), KbError> {
    let name = ready.name;
    let id = ready.document.content;
    // What is committed must be there to be shown.
    if !draft.objects().has(id)? {
        return Err(KbError::ObjectMissing { id });
    }
    let before = draft.document(name)?;
    let sequence = match &before {
        Some(before) => before.sequence,
        None => draft.next_sequence()?,
    };
    let compiled = ready.compiled_bytes();
    let record = ready.record(sequence, &compiled)?;
    draft.objects().put(&compiled)?;
    if let Some(before) = &before {
        files_of(before).for_each(|path| draft.remove(path.clone()));
    }
    for (image, path) in ready.images.iter().zip(&record.images) {
        draft.write(path.clone(), &image.bytes)?;
    }
    draft.write(record.full_text.clone(), ready.text_page(&record).as_bytes())?;
    draft.place(record.raw.clone(), record.content);
    draft.put_document(name, Some((&record, ready.compiled)))?;
    draft.folding().renders();
    Ok(())
}

/// Folds a new version in of a document that is still what it `was` when that version was made; `false`, and nothing, where it is not.
/// One that is no other is folded in as well: what is missing of it, in the rows or among the objects, is there again then.
///
/// # Errors
/// As [`fold`].
pub fn renew(draft: &mut Draft<'_>, was: &Version, ready: &Ready<'_>) -> Result<bool, KbError> {
    if Version::in_draft(draft, ready.name)?.as_ref() != Some(was) {
        return Ok(false);
    }
    if !draft.says(ready.name, &was.document, ready.compiled)? {
        draft.say_again(ready.name);
    }
    draft.store_all();
    fold(draft, ready)?;
    Ok(true)
}

/// What a document left that went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfolded {
    /// What was known of it.
    pub document: Document,
    /// The pages that it said something on beside others, or would have.
    pub pages: Vec<PageName>,
}

/// Takes a document out: its files, its sections on pages that it shares, and links to it. Its bytes in `raw/` stay where `keep_raw`
/// says so. `None` where there is none of this name.
///
/// # Errors
/// What the disk or the rows say.
pub fn unfold(draft: &mut Draft<'_>, name: &DocName, keep_raw: bool) -> Result<Option<Unfolded>, KbError> {
    let Some(document) = draft.document(name)? else { return Ok(None) };
    let pages = registry::pages_of(draft.rows(), document.sequence)?;
    // Of a document that came by its text alone there is no other file.
    let keeps = |path: &FilePath| keep_raw && *path == document.raw && path.as_str().starts_with("raw/");
    for path in files_of(&document).filter(|path| !keeps(path)) {
        draft.remove(path.clone());
    }
    draft.remove(PageName::of_document(PageKind::Summary, name).path());
    draft.put_document(name, None)?;
    draft.folding().renders();
    Ok(Some(Unfolded { document, pages }))
}

/// Registers a document whose pages stand already: none of them is rendered. Its bytes are an object already.
///
/// # Errors
/// What the disk or the rows say; [`KbError::NameTaken`].
pub(crate) fn register(
    draft: &mut Draft<'_>,
    name: &DocName,
    document: &Document,
    compiled: &Compiled,
) -> Result<(), KbError> {
    let bytes = serde_json::to_vec(compiled).expect("invariant: what was compiled is JSON");
    let sequence = draft.next_sequence()?;
    let record = Document { sequence, compiled: draft.objects().put(&bytes)?, ..document.clone() };
    draft.put_document(name, Some((&record, compiled)))
}

/// Renders the index and the log, and brings the page that says how a base hangs together where there is none.
///
/// # Errors
/// What the rows or the disk say.
pub(crate) fn list_again(draft: &mut Draft<'_>) -> Result<(), KbError> {
    if draft.content(&FilePath::new(GUIDE).expect("invariant: it is below wiki/"))?.is_none() {
        return furnish(draft);
    }
    draft.folding().renders();
    Ok(())
}

/// Whether a file follows from the rows as a whole, and is no document's: the index, the log, and the page that says how a base hangs
/// together. What a base that was taken over had said in its log is none.
pub(crate) fn is_of_base(path: &FilePath) -> bool {
    path.as_str() == GUIDE || shelves::is_index(path) || (is_log(path) && path.as_str() != LOG_BEFORE)
}

/// Writes such files as the rows have them now, and stores them also where the base is to have just that already.
///
/// # Errors
/// What the rows or the disk say.
pub(crate) fn show_again(draft: &mut Draft<'_>, files: &BTreeSet<FilePath>) -> Result<(), KbError> {
    draft.store_all();
    let (mut listed, mut is_index) = (BTreeSet::new(), false);
    for path in files {
        match () {
            () if path.as_str() == GUIDE => draft.write(path.clone(), rendered::guide().as_bytes())?,
            () if is_log(path) => log::again(draft, path)?,
            () => {
                is_index = true;
                listed.extend(shelves::listed_on(draft.rows(), path)?);
            }
        }
    }
    if is_index { shelves::render(draft, &listed) } else { Ok(()) }
}

/// Gives a new base what it has before its first document: an index, a log, and the page that says how it hangs together.
///
/// # Errors
/// None: they are rendered at the end of the draft.
pub fn furnish(draft: &mut Draft<'_>) -> Result<(), KbError> {
    draft.folding().renders();
    Ok(())
}

/// Renders what the draft touched; `false` for a draft that folds nothing.
pub(crate) fn complete(draft: &mut Draft<'_>) -> Result<bool, KbError> {
    let folding = std::mem::take(draft.folding());
    if !folding.is_rendering() {
        return Ok(false);
    }
    // It is missing from a new base, and where a generation took it: one that went back to the empty base. A person who deletes the
    // file takes it from no generation.
    let guide = FilePath::new(GUIDE).expect("invariant: it is below wiki/");
    if draft.content(&guide)?.is_none() {
        draft.write(guide, rendered::guide().as_bytes())?;
    }
    let stale = folding.stale(draft)?;
    for (page, stands) in &stale.shared {
        match stands {
            true => {
                let text = shown::shared(draft, page)?;
                draft.write(page.path(), text.as_bytes())?;
            }
            false => draft.remove(page.path()),
        }
    }
    for name in &stale.summaries {
        let text = shown::summary(draft, name)?;
        draft.write(PageName::of_document(PageKind::Summary, name).path(), text.as_bytes())?;
    }
    for path in &stale.linking {
        shown::unlink(draft, path, &stale.gone)?;
    }
    shelves::render(draft, &folding.listed(draft)?)?;
    Ok(true)
}

/// The files that are a document's own, but for its summary.
fn files_of(document: &Document) -> impl Iterator<Item = &FilePath> {
    document.images.iter().chain([&document.full_text, &document.raw])
}

fn image_path(document: &DocName, name: &str) -> Result<FilePath, KbError> {
    if name.is_empty() || name.contains(['/', '\\', '\0']) {
        return Err(KbError::ImageName(name.to_owned()));
    }
    Ok(FilePath::new(format!("wiki/sources/images/{document}/{name}"))?)
}
