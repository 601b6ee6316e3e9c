//! What a base keeps of a document. Owns what of it must be there, whole: what it says in the rows, and among the objects what is its own
//! and the pages that show it.

use crate::base::{ObjectStanding, Snapshot};
use crate::compile::Compiled;
use crate::document::DocName;
use crate::error::KbError;
use crate::page::{PageKind, PageName};

use super::Version;

/// Whether a base keeps all of the version of a document that it has, as it was compiled. The bytes of every object are read for that,
/// but for those that the document was given as.
pub(crate) fn is_kept(
    base: &Snapshot,
    name: &DocName,
    version: &Version,
    compiled: &Compiled,
) -> Result<bool, KbError> {
    if !base.says(name, &version.document, compiled)? {
        return Ok(false);
    }
    let mut pages = base.showing(version.document.sequence)?;
    pages.push(PageName::of_document(PageKind::Summary, name));
    let mut objects: Vec<_> = version.objects().collect();
    for page in pages {
        // A page that does not stand is none.
        objects.extend(base.content(&page.path())?);
    }
    for id in objects {
        if base.stored().standing(id, true)? != ObjectStanding::There {
            return Ok(false);
        }
    }
    Ok(true)
}
