//! One generation, to read. Owns that whatever is asked, and however long the reader lives, the answers are those of one generation
//! (R8): its rows are read in one transaction, its bytes from the objects, never from `wiki/`.

mod search;
mod survey;

use std::fmt;
use std::sync::Arc;

use highwater_db::sqlite::pending;
use highwater_db::sqlite::rusqlite::Connection;

#[cfg(test)]
pub(super) use self::search::SEARCH;
pub use self::search::{HITS_MAX, Hit};
pub use self::survey::Stands;

use super::home::Home;
use super::objects::Objects;
use super::rows::registry::{self, Tally};
use super::rows::{self, MIGRATIONS};
use super::{Generation, PAGE_BYTES_MAX, behind};
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::origin::Origin;
use crate::page::PageName;
use crate::path::FilePath;

/// The most documents that one look at the list gives.
pub const LISTED_MAX: u32 = 1000;

/// A reader of one generation. It waits for nobody and keeps nobody waiting, whether or not that generation stands in `wiki/` yet;
/// what is committed later is seen by the next. While it lives, SQLite cannot shorten its write-ahead log: let it go soon.
pub struct Snapshot {
    home: Arc<dyn Home>,
    rows: Connection,
    generation: Option<Generation>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// How many there are of what a base has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Documents.
    pub documents: u64,
    /// Pages of concepts.
    pub concepts: u64,
    /// Pages of entities.
    pub entities: u64,
}

impl Snapshot {
    /// Reads the newest generation.
    ///
    /// # Errors
    /// What the rows say; [`KbError::Older`] and [`KbError::RowsBehind`].
    pub fn open(home: Arc<dyn Home>) -> Result<Self, KbError> {
        let rows = opened(&*home)?;
        behind::refuse(Objects::new(home.fs()), || Ok(rows::standing(&rows)?.head))?;
        Self::begin(home, rows)
    }

    /// The same by a connection that is open, and was looked at for what it does not tell of.
    pub(super) fn begin(home: Arc<dyn Home>, rows: Connection) -> Result<Self, KbError> {
        // The generation is chosen by the first statement that reads.
        rows.execute_batch("BEGIN").map_err(|error| rows::told(&rows, "be opened to read", error))?;
        let generation = rows::head(&rows)?;
        Ok(Self { home, rows, generation })
    }

    /// Ends this reader and leaves its connection, as [`Base::into_rows`](super::Base::into_rows) does: in the transaction that it reads in.
    #[must_use]
    pub fn into_rows(self) -> Connection {
        self.rows
    }

    /// Which generation this is; `None` for a base in which nothing happened yet.
    #[must_use]
    pub fn generation(&self) -> Option<&Generation> {
        self.generation.as_ref()
    }

    /// The newest generations, this one first; at most `limit`.
    ///
    /// # Errors
    /// What the rows say.
    pub fn generations(&self, limit: u32) -> Result<Vec<Generation>, KbError> {
        rows::generations(&self.rows, limit)
    }

    /// How many there are of what it has.
    ///
    /// # Errors
    /// What the rows say.
    pub fn counts(&self) -> Result<Counts, KbError> {
        let Tally { documents, concepts, entities, .. } = registry::tally(&self.rows)?;
        Ok(Counts { documents, concepts, entities })
    }

    /// Documents in the order in which they were added, from the one after `sequence`; at most `limit`, and [`LISTED_MAX`].
    ///
    /// # Errors
    /// What the rows say.
    pub fn documents(&self, sequence: u64, limit: u32) -> Result<Vec<(DocName, Document)>, KbError> {
        let names = registry::after_sequence(&self.rows, sequence, limit.min(LISTED_MAX))?;
        let known = names.into_iter().map(|name| {
            let record = self.document(&name)?.ok_or_else(|| KbError::Unknown(name.clone()))?;
            Ok((name, record))
        });
        known.collect()
    }

    /// What is known of a document.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document(&self, name: &DocName) -> Result<Option<Document>, KbError> {
        rows::record(&self.rows, name.as_str())
    }

    /// The document that is called so, whatever the case.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document_called(&self, name: &str) -> Result<Option<DocName>, KbError> {
        registry::by_folded(&self.rows, &name.to_lowercase())
    }

    /// The document with this content that was added first.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document_of(&self, content: ContentId) -> Result<Option<DocName>, KbError> {
        registry::by_content(&self.rows, content)
    }

    /// The document of this origin.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document_from(&self, origin: &Origin) -> Result<Option<DocName>, KbError> {
        registry::by_origin(&self.rows, origin)
    }

    /// The document of this sequence.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document_at(&self, sequence: u64) -> Result<Option<DocName>, KbError> {
        registry::by_sequence(&self.rows, sequence)
    }

    /// What the generation has at a path, by the name of its bytes.
    ///
    /// # Errors
    /// What the rows say.
    pub fn content(&self, path: &FilePath) -> Result<Option<ContentId>, KbError> {
        rows::file(&self.rows, path)
    }

    /// What the generation has at a path.
    ///
    /// # Errors
    /// What the rows say, or an object that is missing or damaged.
    pub fn read(&self, path: &FilePath) -> Result<Option<Vec<u8>>, KbError> {
        let Some(content) = rows::file(&self.rows, path)? else { return Ok(None) };
        self.objects().read(content, PAGE_BYTES_MAX).map(Some)
    }

    /// Whether it has a page.
    ///
    /// # Errors
    /// What the rows say.
    pub fn has(&self, page: &PageName) -> Result<bool, KbError> {
        Ok(rows::file(&self.rows, &page.path())?.is_some())
    }

    /// The text of a page.
    ///
    /// # Errors
    /// As [`Snapshot::read`].
    pub fn page(&self, page: &PageName) -> Result<Option<String>, KbError> {
        Ok(self.read(&page.path())?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Lines of a page, from the first to the last, counted from 1: what a section's range names.
    ///
    /// # Errors
    /// As [`Snapshot::read`].
    pub fn lines(&self, page: &PageName, first: u32, last: u32) -> Result<Option<String>, KbError> {
        let Some(text) = self.page(page)? else { return Ok(None) };
        let from = first.saturating_sub(1) as usize;
        let count = last.saturating_sub(first.max(1) - 1) as usize;
        Ok(Some(text.split_inclusive('\n').skip(from).take(count).collect()))
    }

    /// Every path that the generation has, with its content, in order.
    ///
    /// # Errors
    /// What the rows say.
    pub fn files(&self) -> Result<Vec<(FilePath, ContentId)>, KbError> {
        rows::files(&self.rows)
    }

    fn objects(&self) -> Objects<'_> {
        Objects::new(self.home.fs())
    }
}

/// A connection to rows that are up to date.
pub(super) fn opened(home: &dyn Home) -> Result<Connection, KbError> {
    let told = KbError::rows("be opened to read");
    let rows = home.open_reader().map_err(&told)?;
    if !pending(&rows, MIGRATIONS).map_err(&told)?.is_empty() {
        return Err(KbError::Older);
    }
    Ok(rows)
}
