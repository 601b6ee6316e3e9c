//! How a document enters the base: what is known of it beforehand, and what becomes of it in a commit. Owns that order, and what of it
//! is told.

use std::collections::BTreeMap;

use highwater_engine::outcome::{Outcome, OutcomeKind};

use super::Prepared;
use super::found::Found;
use crate::base::{Draft, Fate, Snapshot};
use crate::content::ContentId;
use crate::document::DocName;
use crate::error::KbError;
use crate::fold;
use crate::origin::Origin;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

/// What became of a document in a commit.
#[derive(Debug)]
pub(super) enum Way {
    /// It is in the base.
    In,
    /// Its content is there, under another document's name.
    Known(DocName),
    /// Its content became that of another document, and its own document has the old one still.
    Became(DocName),
    /// Its name was given to another meanwhile.
    Taken,
}

/// Brings a document into a draft, unless it is there.
pub(super) fn enter(draft: &mut Draft<'_>, found: &Found, ready: &Prepared) -> Result<Way, KbError> {
    let own = draft.document_from(&found.origin)?;
    if let Some(known) = draft.document_of(ready.document.content)? {
        return Ok(match own {
            Some(own) if own == known => Way::In,
            Some(_) => Way::Became(known),
            None => Way::Known(known),
        });
    }
    let is_own = |name: &DocName| own.as_ref() == Some(name);
    if draft.document_called(&found.name.folded())?.is_some_and(|name| !is_own(&name)) {
        return Ok(Way::Taken);
    }
    fold::fold(draft, &ready.ready())?;
    draft.log("add", found.name.as_str());
    Ok(Way::In)
}

impl Way {
    pub(super) fn outcome(self, found: &Found, ready: &Prepared, fates: &BTreeMap<FilePath, Fate>) -> Outcome {
        match self {
            Self::In => {
                let is_its = |path: &FilePath| {
                    let own = [PageKind::Source, PageKind::Summary];
                    *path == ready.document.raw
                        || own.iter().any(|kind| PageName::of_document(*kind, &found.name).path() == *path)
                        || ready.compiled.contributions.iter().any(|said| said.page.path() == *path)
                };
                let conflict = fates.iter().find(|(path, fate)| **fate == Fate::Conflict && is_its(path));
                match conflict {
                    Some((path, _)) => Outcome::because(
                        OutcomeKind::Review,
                        format!("{path} was edited by a person, and what is new lies beside it, as .conflict"),
                    ),
                    None => Outcome::done(),
                }
            }
            Self::Known(name) => Outcome::because(OutcomeKind::Present, format!("its content is there as {name}")),
            Self::Became(name) => Outcome::because(
                OutcomeKind::Review,
                format!("its content is now that of {name}; the base has its old content still"),
            ),
            Self::Taken => Outcome::because(OutcomeKind::Deferred, "another document took its name meanwhile"),
        }
    }
}

/// What is known of a document by its content, before it is converted.
pub(super) fn known(
    base: &Snapshot,
    content: ContentId,
    origin: &Origin,
    tried: bool,
) -> Result<Option<Outcome>, KbError> {
    let Some(known) = base.document_of(content)? else { return Ok(None) };
    Ok(match base.document_from(origin)? {
        // It is what a pass committed that was killed before it could say so.
        Some(own) if own == known && tried => Some(Outcome::done()),
        Some(own) if own == known => Some(Outcome { kind: OutcomeKind::Present, detail: None }),
        Some(_) => None,
        None => Some(Outcome::because(OutcomeKind::Present, format!("its content is there as {known}"))),
    })
}
