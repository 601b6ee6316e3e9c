//! Documents out of a base. Owns the list of what that touches, which a rehearsal tells as the removal itself does.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::base::{Base, BaseLock, Draft, Fate, FileChange, Rehearsed};
use crate::document::DocName;
use crate::error::KbError;
use crate::fold;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

/// What became of documents that were to go, or would become of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Those that go; one that was not there is none of them.
    pub documents: Vec<DocName>,
    /// The generation in which they are gone; `None` where none was made.
    pub generation: Option<u32>,
    /// Every file of the wiki and of `raw/` that the commit changes, in the order of [`Touch`].
    pub touched: Vec<Touched>,
}

/// A file that a removal touches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Touched {
    /// What is done to it.
    pub touch: Touch,
    /// Which.
    pub path: FilePath,
    /// What became of it beside a person's edits.
    pub fate: Fate,
}

/// What a removal does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Touch {
    /// It is a document's own, and goes with it.
    Goes,
    /// It goes, and was not there: a person had deleted it.
    WasAway,
    /// It is a page that documents share, or a part of the index, and goes, since what is left on it is worth none.
    Ends,
    /// It is a page that documents share, and loses a section.
    LosesSection,
    /// It is a page that a person had kept, and its links to what goes become words.
    LosesLinks,
    /// It is another page, and names what goes no more.
    Names,
    /// It is the index, a part of it, or else a page of the base as a whole, and is made anew of what is left.
    Anew,
    /// It is the log, or a part of it, and tells of the removal.
    Tells,
}

/// Takes documents out, in one commit.
///
/// # Errors
/// As [`Base::commit`].
pub fn remove(
    base: &mut Base,
    held: &BaseLock,
    at: Timestamp,
    names: &[DocName],
    keep_raw: bool,
) -> Result<Removed, KbError> {
    let mut going = Going::default();
    let text = match names {
        [one] => one.to_string(),
        several => format!("{} documents", several.len()),
    };
    let committed = base.commit(held, at, "remove", &text, |draft| going.take(draft, names, keep_raw))?;
    let Some(committed) = committed else { return Ok(going.told(None, None)) };
    let files = base.manifest(committed.generation)?.map(|manifest| manifest.files).unwrap_or_default();
    Ok(going.told(Some(committed.generation), Some(Rehearsed { files, fates: committed.fates })))
}

/// What [`remove`] would do; nothing is written.
///
/// # Errors
/// As [`Base::rehearse`].
pub fn rehearse(
    base: &mut Base,
    held: &BaseLock,
    at: Timestamp,
    names: &[DocName],
    keep_raw: bool,
) -> Result<Removed, KbError> {
    let mut going = Going::default();
    let rehearsed = base.rehearse(held, at, |draft| going.take(draft, names, keep_raw))?;
    Ok(going.told(None, rehearsed))
}

/// What goes, as the draft says it.
#[derive(Debug, Default)]
struct Going {
    documents: Vec<DocName>,
    own: BTreeSet<FilePath>,
    shared: BTreeSet<FilePath>,
}

impl Going {
    fn take(&mut self, draft: &mut Draft<'_>, names: &[DocName], keep_raw: bool) -> Result<(), KbError> {
        for name in names {
            let Some(left) = fold::unfold(draft, name, keep_raw)? else { continue };
            draft.log("remove", name.as_str());
            self.own.extend(left.document.images);
            self.own.extend([left.document.raw, left.document.full_text]);
            self.own.insert(PageName::of_document(PageKind::Summary, name).path());
            self.shared.extend(left.pages.iter().map(PageName::path));
            self.documents.push(name.clone());
        }
        Ok(())
    }

    fn told(self, generation: Option<u32>, change: Option<Rehearsed>) -> Removed {
        let mut touched = Vec::new();
        if let Some(Rehearsed { files, fates }) = change {
            touched.extend(files.into_iter().map(|FileChange { path, new, deleted, .. }| {
                let fate = fates.get(&path).copied().unwrap_or(Fate::AsGenerated);
                let touch = match (new, deleted) {
                    (None, true) => Touch::WasAway,
                    (new, _) => self.touch(&path, new.is_some()),
                };
                Touched { touch, path, fate }
            }));
        }
        touched.sort();
        Removed { documents: self.documents, generation, touched }
    }

    fn touch(&self, path: &FilePath, is_left: bool) -> Touch {
        if self.own.contains(path) {
            return Touch::Goes;
        }
        if self.shared.contains(path) && is_left {
            return Touch::LosesSection;
        }
        if !is_left {
            return Touch::Ends;
        }
        let page = path.as_str().strip_prefix("wiki/").and_then(|page| page.strip_suffix(".md"));
        match page.and_then(|page| page.parse::<PageName>().ok()).map(|page| page.kind()) {
            Some(PageKind::Exploration | PageKind::Report) => Touch::LosesLinks,
            Some(_) => Touch::Names,
            None if fold::is_log(path) => Touch::Tells,
            None => Touch::Anew,
        }
    }
}
