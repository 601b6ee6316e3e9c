//! The catalogue: records of a repository, and the works that they describe, in one SQLite file. Owns the file: how it is
//! opened, written, read and checked. What is in it is owned by the modules below, with their statements in a folder of the
//! same name.
//!
//! One thread writes; reads run beside it, off the async threads, and see what is committed. A record that is live is one
//! work, and has its number; it is served as it came, and searched, shown and exported as it was read. The catalogue never
//! reads a clock.

mod check;
mod contributor;
pub(crate) mod dublin_core;
mod element;
mod error;
pub mod export;
mod figures;
mod identifier;
mod licence;
mod list;
mod load;
mod raw;
mod reading;
mod search;
mod shelve;
mod shown;
mod text;
pub mod view;
mod work;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_db::sqlite::rusqlite::{self, Connection};
use highwater_db::sqlite::{
    ApplicationId, Backups, Database, Error, Migration, Reader, Writer, backup, migrate, pending,
};
use jiff::{SignedDuration, Timestamp};

pub use self::check::CheckLine;
pub use self::dublin_core::read;
pub use self::element::{DEPTH_MAX, ELEMENTS_MAX, METADATA_BYTES_MAX, Unreadable};
pub use self::error::CatalogError;
pub use self::figures::Figures;
pub use self::load::{LOAD_RECORDS_MAX, Loaded};
use self::raw::Unpacker;
pub use self::search::{Hit, QUERY_CHARS_MAX, QUERY_TERMS_MAX, RANKED_WORKS_MAX, SearchPage};
pub use self::view::{Shown, WorkView};
pub use self::work::{Contributor, Identifier, Licence, Link, Work};
use crate::protocol::{Datestamp, Header, Record, Selection, SetInfo};

/// What the file's header says of whose it is: highwater's catalogue.
const APPLICATION_ID: ApplicationId = ApplicationId(*b"HWCT");
/// The schema, step by step. A released step never changes.
const MIGRATIONS: &[Migration] =
    &[Migration { number: 1, name: "catalog", sql: include_str!("catalog/migrations/0001_catalog.sql") }];
/// What an error says that could not be done.
const LOADING: &str = "load records";
/// How often a backup is taken.
const BACKUP_EVERY_HOURS: i64 = 24;
/// What the directory of backups is called, after the file.
const BACKUPS_SUFFIX: &str = ".backups";
/// Records, works or ids that a page has at most, whatever is asked for; at least it is one.
pub const PAGE_MAX: usize = 10_000;

/// What a catalogue is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read and write; made where there is none, brought up to date where it is older.
    ReadWrite,
    /// To read what is there; loading is refused.
    ReadOnly,
}

/// Where a list of records goes on: after this datestamp and row.
pub type Cursor = (Datestamp, i64);

/// Some of the records of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// These, each with where the list goes on after it.
    pub records: Vec<(Cursor, Record)>,
    /// What is damaged between them, and left out.
    pub damaged: Vec<String>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<Cursor>,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// Its header.
    pub header: Header,
    /// Why it could not be read.
    pub why: String,
    /// What came as its metadata; `None` where nothing came, or it is damaged.
    pub metadata: Option<String>,
}

/// Some of the records that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewPage {
    /// These.
    pub records: Vec<Reviewed>,
    /// Where they go on; `None` once there are no more.
    pub next: Option<i64>,
}

/// Some of the works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPage {
    /// These.
    pub works: Vec<WorkView>,
    /// What is damaged between them, and left out.
    pub damaged: Vec<String>,
    /// Where the works go on; `None` once there are no more.
    pub next: Option<i64>,
}

/// A catalogue in one SQLite file. A clone is another handle on it; the last that is dropped closes it.
#[derive(Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    reader: Reader,
    writer: Option<Writer>,
}

impl Catalog {
    /// Opens the catalogue at `path`. With [`Access::ReadWrite`] it is made where there is none (its directory must be
    /// there), and an older one is backed up beside it, then brought up to date.
    ///
    /// # Errors
    /// [`CatalogError::Database`] with what is wrong with the file; [`CatalogError::Older`] for one who only reads.
    pub fn open(path: impl AsRef<Path>, now: Timestamp, access: Access) -> Result<Self, CatalogError> {
        let database = Database::new(path, APPLICATION_ID);
        let opened = |source| CatalogError::Database { doing: "be opened", source };
        let writer = match access {
            Access::ReadWrite => {
                let furnish = |new: &mut Connection| migrate(new, MIGRATIONS, now, |_| Ok(())).map(drop);
                let mut connection = database.read_write_furnished(furnish).map_err(opened)?;
                let backups = Backups::new(&database, backups_beside(database.path()));
                migrate(&mut connection, MIGRATIONS, now, |_| backups.take(now).map(drop)).map_err(opened)?;
                Some(Writer::start(connection).map_err(opened)?)
            }
            Access::ReadOnly => None,
        };
        let reader = Reader::open(&database).map_err(opened)?;
        if reader.read(|db| pending(db, MIGRATIONS).map(|pending| !pending.is_empty())).map_err(opened)? {
            return Err(CatalogError::Older { path: database.path().to_owned() });
        }
        Ok(Self { inner: Arc::new(Inner { database, reader, writer }) })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner.database.path()
    }

    /// Loads records in one transaction: durable when this returns. Loading a record again changes nothing; a deleted header
    /// makes a tombstone; one that cannot be read is stored for a person to look at, and costs the others nothing. Answers
    /// for each record, in their order.
    ///
    /// # Errors
    /// [`CatalogError::TooMany`] beyond [`LOAD_RECORDS_MAX`], [`CatalogError::ReadOnly`], or what kept the database from
    /// taking any; nothing is loaded then.
    pub async fn load(&self, records: Vec<Record>, at: Timestamp) -> Result<Vec<Loaded>, CatalogError> {
        if records.len() > LOAD_RECORDS_MAX {
            return Err(CatalogError::TooMany { given: records.len(), most: LOAD_RECORDS_MAX });
        }
        if self.inner.writer.is_none() {
            return Err(CatalogError::ReadOnly { path: self.path().to_owned() });
        }
        // Aside, so that one group is read while another is written.
        let prepared = load::prepare(records, LOADING).await?;
        self.put(prepared, at).await
    }

    async fn put(&self, prepared: Vec<load::Prepared>, at: Timestamp) -> Result<Vec<Loaded>, CatalogError> {
        let Some(writer) = &self.inner.writer else {
            return Err(CatalogError::ReadOnly { path: self.path().to_owned() });
        };
        writer
            .run(move |connection| load::load(connection, &prepared, at))
            .await
            .map_err(|source| CatalogError::Work { doing: LOADING, source })?
            .map_err(|error| self.inner.refused(LOADING, error))
    }

    /// Keeps records of which no more than the header could be read, for a person to look at, each with the reason; as with one
    /// that is loaded and cannot be read, the work that was there is none any more.
    ///
    /// # Errors
    /// As [`Catalog::load`].
    pub async fn set_aside(&self, unread: Vec<(Header, String)>, at: Timestamp) -> Result<(), CatalogError> {
        let prepared = unread.into_iter().map(|(header, why)| load::unread(header, why)).collect();
        self.put(prepared, at).await.map(drop)
    }

    /// Whether a record is live.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn is_live(&self, oai_id: &str) -> Result<bool, CatalogError> {
        let oai_id = oai_id.to_owned();
        self.read("look for a record", move |db| list::is_live(db, &oai_id)).await
    }

    /// OAI ids of live records after one, in the order of their bytes; none at the end.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn live_ids(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, CatalogError> {
        let after = after.map(str::to_owned);
        self.read("list live records", move |db| list::live_ids(db, after.as_deref(), limit.clamp(1, PAGE_MAX))).await
    }

    /// What a person calls `id`: an OAI id, what follows its namespace, an ISBN, a DOI or another identifier.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn show(&self, id: &str) -> Result<Option<Shown>, CatalogError> {
        let id = id.to_owned();
        self.read("show a work", move |db| shown::find(db, &id)).await
    }

    /// The works in whose titles, names and subjects all words of a query are: words, `"phrases"`, and `begin*`. Case and
    /// diacritics do not count. Whatever else is in a query is taken for words. Where nothing matches, the works that have the
    /// query for an ISBN, a DOI or another identifier.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn search(&self, query: &str, limit: usize, offset: u64) -> Result<SearchPage, CatalogError> {
        let query = query.to_owned();
        self.read("search", move |db| search::search(db, &query, limit.clamp(1, PAGE_MAX), offset)).await
    }

    /// Takes a backup beside the file when the last one is a day old, and keeps so many. Returns it, if one was taken; none is
    /// while another process takes one.
    ///
    /// # Errors
    /// What kept the catalogue from being read or the backup from being written.
    pub async fn backup_if_due(&self, now: Timestamp, keep: usize) -> Result<Option<PathBuf>, CatalogError> {
        const DOING: &str = "be backed up";
        let database = self.inner.database.clone();
        let taken = tokio::task::spawn_blocking(move || {
            let backups = Backups::new(&database, backups_beside(database.path())).keep(keep);
            if !backup::due(backups.last_taken_at(now)?, now, SignedDuration::from_hours(BACKUP_EVERY_HOURS)) {
                return Ok(None);
            }
            match backups.take(now) {
                Ok(taken) => Ok(Some(taken.path)),
                Err(Error::Busy { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let taken = taken.await.map_err(|source| CatalogError::Thread { doing: DOING, source })?;
        taken.map_err(|source| CatalogError::Database { doing: DOING, source })
    }

    /// Works after a place that [`ExportPage::next`] told, in the order in which they came.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn export_page(&self, after: Option<i64>, limit: usize) -> Result<ExportPage, CatalogError> {
        self.read("export works", move |db| {
            let (works, damaged, next) = shown::page(db, after.unwrap_or(0), limit.clamp(1, PAGE_MAX))?;
            Ok(ExportPage { works, damaged, next })
        })
        .await
    }

    /// Records that could not be read, after a place that [`ReviewPage::next`] told, for a person to look at.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn in_review(&self, after: Option<i64>, limit: usize) -> Result<ReviewPage, CatalogError> {
        const DOING: &str = "list records in review";
        let mut unpacker = Unpacker::new().map_err(|source| CatalogError::Packing { doing: DOING, source })?;
        let limit = limit.clamp(1, PAGE_MAX);
        self.read(DOING, move |db| list::in_review(db, after.unwrap_or(0), limit, &mut unpacker)).await
    }

    /// How much there is.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn figures(&self) -> Result<Figures, CatalogError> {
        self.read("tell its figures", figures::figures).await
    }

    /// Checks the file, its figures, its index of words, and that everything stored can be read. Takes time in proportion
    /// to the file.
    ///
    /// # Errors
    /// What kept the file from being read; what is wrong with it is in the lines.
    pub async fn check(&self) -> Result<Vec<CheckLine>, CatalogError> {
        const DOING: &str = "be checked";
        let inner = Arc::clone(&self.inner);
        // On a connection of its own, that takes no one's turn.
        let checked = tokio::task::spawn_blocking(move || {
            let mut unpacker = Unpacker::new().map_err(|source| CatalogError::Packing { doing: DOING, source })?;
            let connection = inner.database.read_only();
            connection
                .and_then(|connection| check::check(&connection, &mut unpacker))
                .map_err(|source| CatalogError::Database { doing: DOING, source })
        });
        checked.await.map_err(|source| CatalogError::Thread { doing: DOING, source })?
    }

    /// The earliest datestamp of a record, deleted ones included.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn earliest(&self) -> Result<Option<Datestamp>, CatalogError> {
        self.read("tell its earliest datestamp", list::earliest).await
    }

    /// The sets that have records, those above them included.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn sets(&self) -> Result<Vec<SetInfo>, CatalogError> {
        self.read("list sets", list::sets).await
    }

    /// Records of a selection, live and deleted, by datestamp and then as they came; its format is not looked at. Those in
    /// review are not served.
    ///
    /// # Errors
    /// The database cannot be read; a record that is damaged is told in the page.
    pub async fn records(
        &self,
        select: &Selection,
        after: Option<Cursor>,
        limit: usize,
        with_metadata: bool,
    ) -> Result<Page, CatalogError> {
        const DOING: &str = "list records";
        let select = select.clone();
        let mut unpacker = match with_metadata {
            true => Some(Unpacker::new().map_err(|source| CatalogError::Packing { doing: DOING, source })?),
            false => None,
        };
        let limit = limit.clamp(1, PAGE_MAX);
        self.read(DOING, move |db| list::page(db, &select, after, limit, unpacker.as_mut())).await
    }

    /// How many records a selection has.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn count(&self, select: &Selection) -> Result<u64, CatalogError> {
        let select = select.clone();
        self.read("count records", move |db| list::count(db, &select)).await
    }

    /// A record, live or deleted; none for one in review.
    ///
    /// # Errors
    /// [`CatalogError::DamagedRecord`] where its metadata is damaged; the database cannot be read.
    pub async fn record(&self, oai_id: &str) -> Result<Option<Record>, CatalogError> {
        const DOING: &str = "read a record";
        let mut unpacker = Unpacker::new().map_err(|source| CatalogError::Packing { doing: DOING, source })?;
        let wanted = oai_id.to_owned();
        let found = self
            .read(DOING, move |db| {
                let Some((row, header)) = list::find(db, &wanted)? else { return Ok(None) };
                let metadata = if header.deleted { None } else { list::unpacked(db, row, &mut unpacker)? };
                Ok(Some(Record { header, metadata }))
            })
            .await?;
        match found {
            Some(Record { header, metadata: None }) if !header.deleted => {
                Err(CatalogError::DamagedRecord { oai_id: header.identifier })
            }
            found => Ok(found),
        }
    }

    /// Finishes what was handed in and closes the file cleanly. Nothing can be loaded after.
    ///
    /// # Errors
    /// What kept SQLite from closing it; what was loaded is safe.
    pub async fn close(&self) -> Result<(), CatalogError> {
        let Some(writer) = &self.inner.writer else { return Ok(()) };
        writer.stop().await.map_err(|source| CatalogError::Database { doing: "be closed", source })
    }

    /// Runs `look` on one state of the catalogue, on a thread for such.
    async fn read<T, F>(&self, doing: &'static str, look: F) -> Result<T, CatalogError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let seen = tokio::task::spawn_blocking(move || {
            let seen = inner.reader.read(|db| {
                let state = db.unchecked_transaction()?;
                look(&state)
            });
            seen.map_err(|error| inner.refused(doing, error))
        });
        seen.await.map_err(|source| CatalogError::Thread { doing, source })?
    }
}

impl Inner {
    fn refused(&self, doing: &'static str, error: rusqlite::Error) -> CatalogError {
        CatalogError::Database { doing, source: Error::from_sqlite(self.database.path(), error) }
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("path", &self.path()).finish_non_exhaustive()
    }
}

fn backups_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(BACKUPS_SUFFIX);
    path.with_file_name(name)
}
