//! The base on the disk, and the one way to change it.
//!
//! A **generation** is a state of the base; committing makes the next one. Its bytes are durable first, as objects that are
//! named by their hash. Then one transaction on the rows says what it is: that COMMIT is the only commit point. Then it is
//! **projected**: written to `wiki/` and `raw/`, beside whatever people do there. A crash before the COMMIT leaves objects that
//! nothing refers to; a crash after it leaves a generation that is not applied, which the next who opens the base finishes.
//! Nothing is ever taken back.
//!
//! Owns the order of these steps, and that a handle whose commit failed says nothing more. What a page says is not known here.

mod behind;
mod collect;
mod commit;
mod draft;
mod home;
mod lost;
mod manifest;
mod objects;
mod project;
mod reader;
mod rebuild;
pub(crate) mod rows;
mod snapshot;
mod undo;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use highwater_db::sqlite::rusqlite::{Connection, Transaction};
use highwater_fs::{FileId, Mode, RelPath, ensure_dir};
use jiff::Timestamp;

pub use self::collect::{Collected, GRACE_SECS, LOOKED_NAMES_MAX, ROUND_SECS};
pub use self::commit::{Committed, Rehearsed};
pub use self::draft::Draft;
pub use self::home::{BaseLock, Directory, Home};
pub(crate) use self::lost::told as told_lost;
pub use self::lost::{Had, Lost};
pub use self::manifest::{Entry, FileChange, Manifest};
pub use self::objects::{Instead, Objects};
pub(crate) use self::objects::{Standing as ObjectStanding, is_refused, manifest_of};
pub use self::project::Fate;
pub(crate) use self::project::{CONFLICTS_MAX, Found, QUARANTINE, look};
pub use self::reader::Reader;
pub use self::rebuild::{Anew, Aside, Edits, Health, Rebuilt, asks_for_rebuild, examine, rebuild};
pub use self::rows::MIGRATIONS;
pub use self::snapshot::{Counts, HITS_MAX, Hit, LISTED_MAX, Snapshot, Stands};
pub use self::undo::Undone;

use self::rows::Standing;
use crate::conflict::Beside;
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::origin::Origin;
use crate::path::{FilePath, RAW, WIKI};

/// Where everything lies that is not for people.
pub const HOME: &str = ".highwater";

/// The most bytes of one page, or of anything else that is read as text: the longest text of a document, with what stands above it.
pub const PAGE_BYTES_MAX: u64 = crate::convert::limits::TEXT_BYTES + 1024 * 1024;

/// A generation: what changed the base, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// 1 for the first.
    pub number: u32,
    /// When it was committed.
    pub at: Timestamp,
    /// What was done: one word, such as `add`.
    pub op: String,
    /// To what, for people.
    pub text: String,
    /// The object that says what it changed.
    pub manifest: ContentId,
}

/// A base that is open.
pub struct Base {
    home: Arc<dyn Home>,
    rows: Connection,
    which: Option<FileId>,
    /// A commit failed: what is durable is known only to one who opens the base anew.
    broken: bool,
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").field("home", &self.home).field("broken", &self.broken).finish_non_exhaustive()
    }
}

impl Base {
    /// Makes what a base needs where it is not there, and opens it.
    ///
    /// # Errors
    /// What the disk or the rows say.
    pub fn init(home: Arc<dyn Home>, now: Timestamp) -> Result<Self, KbError> {
        for directory in [RAW, WIKI, HOME, objects::OBJECTS, project::TMP] {
            ensure_dir(home.fs(), &layout(directory), Mode::Umask)?;
        }
        Self::open(home, now)
    }

    /// Opens a base, as it was left: see [`Base::finish`].
    ///
    /// # Errors
    /// What the rows say; [`KbError::RowsGone`] and [`KbError::RowsBehind`], after which they are to be made again.
    pub fn open(home: Arc<dyn Home>, now: Timestamp) -> Result<Self, KbError> {
        let objects = Objects::new(home.fs());
        // Rows that tell of nothing would have the next change written over the first.
        if !home.has_rows() && !objects.is_empty()? {
            return Err(KbError::RowsGone);
        }
        let base = Self::furnished(home.clone(), now)?;
        behind::refuse(objects, || Ok(rows::standing(&base.rows)?.head))?;
        Ok(base)
    }

    /// Opens a base, or one whose rows tell of nothing yet.
    fn furnished(home: Arc<dyn Home>, now: Timestamp) -> Result<Self, KbError> {
        let before = home.which_rows();
        let rows = home.open(now).map_err(KbError::rows("be opened"))?;
        let which = home.which_rows();
        if before.is_some() && which != before {
            return Err(KbError::RowsReplaced);
        }
        Ok(Self { home, rows, which, broken: false })
    }

    /// Finishes what a crash left: brings a generation that is committed to `wiki/` and `raw/`, and removes what is
    /// left of older ones. Says what people's edits met, if there was anything to finish.
    ///
    /// # Errors
    /// [`KbError::Unapplied`] with what is in the way; else what the rows say.
    pub fn finish(&mut self, _held: &BaseLock) -> Result<Option<Committed>, KbError> {
        self.sound()?;
        let Standing { head, applied } = rows::standing(&self.rows)?;
        self.bury_attempt_after(head)?;
        if head == applied {
            project::clear(self.home.fs(), applied)?;
            return Ok(None);
        }
        self.apply(head).map(Some)
    }

    /// A COMMIT that a kill cut off may lie whole in the log of the rows without being known to those who have them open, and come to life
    /// once all of them have closed them. So before its manifest is written over, the log is.
    fn bury_attempt_after(&mut self, head: u32) -> Result<(), KbError> {
        if !self.objects().has_manifest(head.saturating_add(1))? {
            return Ok(());
        }
        self.broken = true;
        rows::write_over_log(&mut self.rows)?;
        self.home.settle(&mut self.rows).map_err(KbError::rows("begin a change"))?;
        self.broken = false;
        Ok(())
    }

    /// Ends this handle and leaves the connection to its rows, which a [`Home`] may give again to the next who opens them.
    #[must_use]
    pub fn into_rows(self) -> Connection {
        self.rows
    }

    /// The newest generation; `None` for a base in which nothing happened yet.
    ///
    /// # Errors
    /// What the rows say.
    pub fn head(&self) -> Result<Option<Generation>, KbError> {
        self.sound()?;
        rows::head(&self.rows)
    }

    /// What a generation changed; `None` where there is none of this number.
    ///
    /// # Errors
    /// What the rows or the disk say, and a manifest that is missing, damaged, or another than was committed.
    pub fn manifest(&self, generation: u32) -> Result<Option<Manifest>, KbError> {
        self.sound()?;
        let Some(id) = rows::manifest(&self.rows, generation)? else { return Ok(None) };
        Manifest::of(self.objects(), generation, id).map(Some)
    }

    /// What the newest generation has at a path.
    ///
    /// # Errors
    /// What the rows say, or an object that is missing or damaged.
    pub fn read(&self, path: &FilePath) -> Result<Option<Vec<u8>>, KbError> {
        self.sound()?;
        let Some(content) = rows::file(&self.rows, path)? else { return Ok(None) };
        self.objects().read(content, PAGE_BYTES_MAX).map(Some)
    }

    /// What the bytes are called that the newest generation has at a path.
    ///
    /// # Errors
    /// What the rows say.
    pub fn content(&self, path: &FilePath) -> Result<Option<ContentId>, KbError> {
        self.sound()?;
        rows::file(&self.rows, path)
    }

    /// What the newest generation knows of a document.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document(&self, name: &DocName) -> Result<Option<Document>, KbError> {
        self.sound()?;
        rows::record(&self.rows, name.as_str())
    }

    /// The document of the newest generation that is called so, whatever the case.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document_called(&self, name: &str) -> Result<Option<DocName>, KbError> {
        self.sound()?;
        rows::registry::by_folded(&self.rows, &name.to_lowercase())
    }

    /// The document of the newest generation that came from there; of several, the one that was added first.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document_from(&self, origin: &Origin) -> Result<Option<DocName>, KbError> {
        self.sound()?;
        rows::registry::by_origin(&self.rows, origin)
    }

    /// The document of the newest generation with this content that was added first: what is known is not converted again.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document_of(&self, content: ContentId) -> Result<Option<DocName>, KbError> {
        self.sound()?;
        rows::registry::by_content(&self.rows, content)
    }

    /// Every path that the newest generation has, with its content, in order.
    ///
    /// # Errors
    /// What the rows say.
    pub fn files(&self) -> Result<Vec<(FilePath, ContentId)>, KbError> {
        self.sound()?;
        rows::files(&self.rows)
    }

    /// The objects of the base.
    pub fn objects(&self) -> Objects<'_> {
        Objects::new(self.home.fs())
    }

    /// What lies beside its files.
    pub(crate) fn beside(&self) -> Result<Beside<'_>, KbError> {
        self.sound()?;
        Ok(Beside::new(&self.rows, self.objects()))
    }

    fn apply(&mut self, generation: u32) -> Result<Committed, KbError> {
        let unapplied = |source| {
            // It is told as committed: that is to be known without the rows, too.
            let _ = project::note_committed(self.home.fs(), generation);
            let root = self.home.fs().locate(&RelPath::default());
            KbError::Unapplied { generation, root, source: Box::new(source) }
        };
        let changes = rows::changes(&self.rows)?;
        let manifest = rows::manifest(&self.rows, generation)?.ok_or(KbError::ManifestMissing { generation })?;
        let fates = project::project(self.home.fs(), (generation, manifest), &changes).map_err(unapplied)?;
        let known = self.standing_fates(&changes, &fates)?;
        self.broken = true;
        rows::applied(&mut self.rows, generation, &fates, &known)?;
        self.home.settle(&mut self.rows).map_err(KbError::rows("note what stands in wiki/"))?;
        self.broken = false;
        // What is not cleared now is cleared by the next who opens the base.
        let _ = project::clear(self.home.fs(), generation);
        Ok(Committed { generation, fates })
    }

    /// What became of files where a person's own version was changed: it stands as it was to, and is theirs all the same.
    fn standing_fates(
        &self,
        changes: &[FileChange],
        fates: &BTreeMap<FilePath, Fate>,
    ) -> Result<BTreeMap<FilePath, Fate>, KbError> {
        let mut known = BTreeMap::new();
        for FileChange { path, new, .. } in changes {
            let Some(generated) = rows::file(&self.rows, path)? else { continue };
            let is_in_conflict = || Ok::<_, KbError>(!self.beside()?.versions(path)?.is_empty());
            let fate = match (fates.get(path), new) {
                (Some(Fate::AsGenerated), None) => Fate::Deleted,
                (Some(Fate::AsGenerated), Some(new)) if *new == generated => continue,
                (Some(Fate::AsGenerated), Some(_)) | (Some(Fate::Kept), _) if is_in_conflict()? => Fate::Conflict,
                (Some(Fate::AsGenerated), Some(_)) | (Some(Fate::Kept), _) => Fate::Merged,
                _ => continue,
            };
            known.insert(path.clone(), fate);
        }
        Ok(known)
    }

    /// Changes rows that say nothing of what the base has.
    fn note(&mut self, note: impl FnOnce(&Transaction<'_>) -> Result<(), KbError>) -> Result<(), KbError> {
        let transaction = rows::begin(&mut self.rows)?;
        note(&transaction)?;
        self.broken = true;
        rows::commit(transaction)?;
        self.home.settle(&mut self.rows).map_err(KbError::rows("note what is garbage"))?;
        self.broken = false;
        Ok(())
    }

    fn sound(&self) -> Result<(), KbError> {
        match () {
            () if self.broken => Err(KbError::Reopen),
            () if self.which != self.home.which_rows() => Err(KbError::RowsReplaced),
            () => Ok(()),
        }
    }
}

/// A path of the base's own.
pub(crate) fn layout(path: &str) -> RelPath {
    RelPath::new(path).expect("invariant: the base's own paths are confined")
}
