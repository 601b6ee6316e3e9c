//! How a document enters the base: what is known of it beforehand, and what becomes of it in a commit. Owns that order, under which name
//! it comes in, and what of it is told.

use highwater_engine::outcome::{Outcome, OutcomeKind};

use super::naming::{Names, Naming};
use crate::base::{Draft, ObjectStanding, Snapshot};
use crate::content::ContentId;
use crate::document::DocName;
use crate::error::KbError;
use crate::fold;
use crate::origin::Origin;
use crate::path::FilePath;
use crate::workshop::{Fates, Prepared};

/// What became of a document in a commit.
#[derive(Debug)]
pub(super) enum Way {
    /// It is in the base.
    In,
    /// Its content is there, under another document's name.
    Known(DocName),
    /// Its content became that of another document, and its own document has the old one still.
    Became { own: DocName, known: DocName },
    /// What was stored of it was collected since.
    Collected,
}

/// Brings a document into a draft, unless it is there.
pub(super) fn enter(draft: &mut Draft<'_>, ready: &mut Prepared) -> Result<Way, KbError> {
    let own = draft.document_from(&ready.document.origin)?;
    if let Some(known) = draft.document_of(ready.document.content)? {
        return Ok(match own {
            Some(own) if own == known => Way::In,
            Some(own) => Way::Became { own, known },
            None => Way::Known(known),
        });
    }
    // Another may have come in under the name that was planned, since.
    let taken = Taken { draft, ready };
    let name = match own {
        Some(own) => own,
        None if !taken.is_taken(&ready.name)? => ready.name.clone(),
        None => Naming::default().name(&ready.document.origin, &taken)?,
    };
    if name != ready.name {
        ready.document.raw = raw_as(ready, &name)?;
        ready.name = name;
    }
    // The rest of what it needs is in hand, and stored again where it is gone.
    if !draft.has(ready.document.content)? {
        return Ok(Way::Collected);
    }
    fold::fold(draft, &ready.ready())?;
    draft.log("add", ready.name.as_str());
    Ok(Way::In)
}

/// Which names a document that is new cannot have any more.
struct Taken<'d, 'a> {
    draft: &'d Draft<'a>,
    ready: &'d Prepared,
}

impl Names for Taken<'_, '_> {
    fn called(&self, _: &Origin) -> Result<Option<DocName>, KbError> {
        Ok(None)
    }

    /// A name is also taken whose file in `raw/` was kept when its document went: it is not written over.
    fn is_taken(&self, name: &DocName) -> Result<bool, KbError> {
        if self.draft.document_called(&name.folded())?.is_some() {
            return Ok(true);
        }
        let kept = self.draft.content(&raw_as(self.ready, name)?)?;
        Ok(kept.is_some_and(|kept| kept != self.ready.document.content))
    }
}

/// Where the document as it was given goes, if it is called so.
fn raw_as(ready: &Prepared, name: &DocName) -> Result<FilePath, KbError> {
    let planned = ready.document.raw.as_str();
    let ending = planned.strip_prefix("raw/").and_then(|file| file.strip_prefix(ready.name.as_str()));
    Ok(FilePath::new(format!("raw/{name}{}", ending.unwrap_or_default()))?)
}

impl Way {
    pub(super) fn outcome(self, ready: &Prepared, fates: &Fates) -> Outcome {
        match self {
            Self::In => ready.outcome(fates),
            Self::Known(name) => Outcome::because(OutcomeKind::Present, format!("its content is there as {name}")),
            Self::Became { own, known } => Outcome::because(
                OutcomeKind::Review,
                format!(
                    "its content is now that of {known}; the base has its old content still, as {own}: \
                     `highwater kb remove {own}` takes that out"
                ),
            ),
            Self::Collected => {
                Outcome::because(OutcomeKind::Deferred, "it waited for so long that its bytes were cleared away: again")
            }
        }
    }
}

/// Whether the bytes of a document are stored; they are not read for that.
pub(super) fn is_stored(base: &Snapshot, content: ContentId) -> Result<bool, KbError> {
    Ok(base.stored().standing(content, false)? == ObjectStanding::There)
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
        Some(own) if own == known => Some(Outcome::plain(OutcomeKind::Present)),
        Some(_) => None,
        None => Some(Outcome::because(OutcomeKind::Present, format!("its content is there as {known}"))),
    })
}
