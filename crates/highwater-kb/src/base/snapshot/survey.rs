//! A look at the whole of a generation, piece by piece. Owns which pieces there are; nothing here holds them all.

use std::collections::BTreeSet;

use highwater_fs::Fs;

use super::Snapshot;
use crate::base::manifest::{FileChange, Manifest};
use crate::base::objects::Objects;
use crate::base::project::Fate;
use crate::base::rows::survey::{self, Listed};
use crate::base::rows::{self, derived, registry};
use crate::base::{Found, look};
use crate::compile::Compiled;
use crate::conflict::Beside;
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::page::render::SHARED_DOCUMENTS_MAX;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

/// How the file of a page stands, beside what its generation has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stands {
    /// As it was generated.
    AsGenerated,
    /// Otherwise: its lines may be others.
    Edited,
    /// There is no such file any more.
    Gone,
}

impl Snapshot {
    /// How the file of a page stands, of which a place was found in what the generation has. Reads the file.
    ///
    /// # Errors
    /// What the disk or the rows say.
    pub fn stands(&self, page: &PageName) -> Result<Stands, KbError> {
        let path = page.path();
        Ok(match look(self.disk(), &path.to_rel())? {
            Found::File(there) if self.content(&path)? == Some(there) => Stands::AsGenerated,
            Found::File(_) | Found::Other => Stands::Edited,
            Found::Nothing => Stands::Gone,
        })
    }

    /// Whether its generation stands in `wiki/` and `raw/`.
    ///
    /// # Errors
    /// What the rows say.
    pub fn is_applied(&self) -> Result<bool, KbError> {
        let standing = rows::standing(&self.rows)?;
        Ok(standing.head == standing.applied)
    }

    /// What its generation changes, where that does not stand in `wiki/` and `raw/` yet.
    pub(crate) fn unapplied(&self) -> Result<Vec<FileChange>, KbError> {
        rows::changes(&self.rows)
    }

    /// What a generation changed; `None` where there is none of this number.
    pub(crate) fn manifest(&self, generation: u32) -> Result<Option<Manifest>, KbError> {
        let Some(id) = rows::manifest(&self.rows, generation)? else { return Ok(None) };
        Manifest::of(self.objects(), generation, id).map(Some)
    }

    /// Every object that a generation needs, or that to take it back would need.
    pub(crate) fn referred(&self, manifest: &Manifest) -> BTreeSet<ContentId> {
        manifest.refers_to()
    }

    pub(crate) fn files_after(&self, path: &str, limit: u32) -> Result<Vec<(FilePath, ContentId)>, KbError> {
        survey::files_after(&self.rows, path, limit)
    }

    pub(crate) fn generations_after(&self, number: u32, limit: u32) -> Result<Vec<(u32, ContentId)>, KbError> {
        survey::generations_after(&self.rows, number, limit)
    }

    pub(crate) fn listed_after(&self, kind: PageKind, key: &[u8], limit: u32) -> Result<Vec<Listed>, KbError> {
        survey::listed_after(&self.rows, kind, key, limit)
    }

    pub(crate) fn links_after(&self, after: (&str, &str), limit: u32) -> Result<Vec<(String, String)>, KbError> {
        survey::links_after(&self.rows, after, limit)
    }

    pub(crate) fn count_below(&self, prefix: &str) -> Result<u64, KbError> {
        survey::count_below(&self.rows, prefix)
    }

    pub(crate) fn fated(&self, fate: Fate) -> Result<u64, KbError> {
        survey::fated(&self.rows, fate)
    }

    pub(crate) fn raw_bytes(&self) -> Result<u64, KbError> {
        survey::raw_bytes(&self.rows)
    }

    /// The pages whose files link what is written so.
    pub(crate) fn linked_from(&self, target: &str) -> Result<Vec<String>, KbError> {
        derived::linked_from(&self.rows, target)
    }

    /// Whether it has what a document says that was compiled so.
    pub(crate) fn says(&self, name: &DocName, document: &Document, compiled: &Compiled) -> Result<bool, KbError> {
        registry::says(&self.rows, name, document, compiled)
    }

    /// The first document that says something on a page.
    pub(crate) fn first_of(&self, page: &PageName) -> Result<Option<DocName>, KbError> {
        Ok(registry::contributed(&self.rows, page, 1)?.into_iter().next().map(|said| said.document))
    }

    /// The shared pages that show what a document of this sequence says.
    pub(crate) fn showing(&self, sequence: u64) -> Result<Vec<PageName>, KbError> {
        let shows = |page: PageName| {
            let is_among = registry::is_among(&self.rows, &page, sequence, SHARED_DOCUMENTS_MAX);
            is_among.map(|is_among| is_among.then_some(page)).transpose()
        };
        registry::pages_of(&self.rows, sequence)?.into_iter().filter_map(shows).collect()
    }

    pub(crate) fn stored(&self) -> Objects<'_> {
        self.objects()
    }

    /// What lies beside its files.
    pub(crate) fn beside(&self) -> Beside<'_> {
        Beside::new(&self.rows, self.objects())
    }

    pub(crate) fn disk(&self) -> &dyn Fs {
        self.home.fs()
    }
}
