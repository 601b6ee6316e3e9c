//! Which version of a document a base has. Owns what tells two of them apart: what is known of the document, and what its own files have.

use crate::base::{Draft, Snapshot};
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::path::FilePath;

/// A version of a document: two that are equal are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// What is known of the document.
    pub document: Document,
    /// Its text, and its images.
    files: Vec<Option<ContentId>>,
}

impl Version {
    /// The one that a generation has; `None` where there is no document of this name.
    ///
    /// # Errors
    /// What the rows say.
    pub fn in_generation(base: &Snapshot, name: &DocName) -> Result<Option<Self>, KbError> {
        let document = base.document(name)?;
        document.map(|document| Self::of(document, |path| base.content(path))).transpose()
    }

    /// The one that a draft has.
    ///
    /// # Errors
    /// What the rows say.
    pub fn in_draft(draft: &Draft<'_>, name: &DocName) -> Result<Option<Self>, KbError> {
        let document = draft.document(name)?;
        document.map(|document| Self::of(document, |path| draft.content(path))).transpose()
    }

    /// The one that would have these bytes.
    pub(super) fn with(document: Document, text: &[u8], images: impl Iterator<Item = ContentId>) -> Self {
        let files = std::iter::once(ContentId::of(text)).chain(images).map(Some).collect();
        Self { document, files }
    }

    /// The objects that are its own, but for what it was given as.
    pub(super) fn objects(&self) -> impl Iterator<Item = ContentId> {
        self.files.iter().flatten().copied().chain([self.document.compiled])
    }

    fn of(
        document: Document,
        content: impl Fn(&FilePath) -> Result<Option<ContentId>, KbError>,
    ) -> Result<Self, KbError> {
        let files =
            std::iter::once(&document.full_text).chain(&document.images).map(content).collect::<Result<_, _>>()?;
        Ok(Self { document, files })
    }
}
