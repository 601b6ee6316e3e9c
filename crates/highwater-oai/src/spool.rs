//! The spool of a job: a SQLite file of its own for what was fetched and is not loaded yet, and for how far lists were read. It
//! is private and re-creatable (R13): what is done is in the ledger and in the target. Owns the file; what is in it is owned by
//! the modules below.

mod crawl;
mod difference;
mod repository;
mod slice;

use std::path::Path;
use std::sync::Arc;

use highwater_db::sqlite::{ApplicationId, Database, Error, Migration, Writer, WriterError, migrate};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::Stop;
use jiff::Timestamp;
use rusqlite::Connection;

pub use crawl::{AddHeader, AddedHeader, Crawl, CrawlId, CrawlSource, Identifiers, Listed, NewCrawl};
pub use difference::{Difference, ReportKind};
pub use repository::KnownRepository;
pub use slice::{Range, SliceState, SlicesBegun, Unread};

/// What the file's header says of whose it is.
const APPLICATION_ID: ApplicationId = ApplicationId(*b"HWOS");
const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "spool", sql: include_str!("spool/migrations/0001_spool.sql") },
    Migration { number: 2, name: "listed", sql: include_str!("spool/migrations/0002_listed.sql") },
    Migration { number: 3, name: "selected", sql: include_str!("spool/migrations/0003_selected.sql") },
];

/// A job's spool. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Writer>);

/// Why the spool does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file.
    #[error(transparent)]
    Database(#[from] Error),
    /// A statement.
    #[error("the spool cannot be used")]
    Sqlite(#[from] rusqlite::Error),
    /// The thread that writes it.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// What is in it.
    #[error("the spool holds what this program did not write: {what}")]
    Unreadable {
        /// What, and why not.
        what: String,
    },
}

impl From<SpoolError> for Stop {
    fn from(error: SpoolError) -> Self {
        Self::Fail(error.into())
    }
}

/// The refusal of a file that is whole and not ours to use; `None` for any other error. `elsewhere` says what to do about
/// another program's.
pub(crate) fn foreign(code: &'static str, error: &Error, message: String, elsewhere: &str) -> Option<Diagnosis> {
    let next = match error {
        Error::Newer { .. } => "use the highwater that wrote it, or a newer one; it is left as it is".to_owned(),
        Error::WrongApplicationId { .. } => elsewhere.to_owned(),
        Error::NotADatabase { path, .. } if path.is_dir() => elsewhere.to_owned(),
        _ => return None,
    };
    Some(Diagnosis::refusal(code, message, next))
}

impl From<SpoolError> for Diagnosis {
    fn from(error: SpoolError) -> Self {
        let said = highwater_engine::diagnosis::with_causes(&error);
        if let SpoolError::Database(source) = &error
            && let Some(refusal) = foreign(
                "HW-OAI-001",
                source,
                said.clone(),
                "move it away, for a spool of this program is made in its place; nothing in it was changed",
            )
        {
            return refusal;
        }
        Self::failure(
            "HW-OAI-001",
            said,
            "free space or mend permissions; if the file is damaged move it away: what is in it is fetched again",
        )
    }
}

/// When a transaction outlasts a power cut. Each says it for itself, so that none inherits it from the one before; a killed
/// process loses no transaction either way, and none is ever torn.
///
/// # Source
/// <https://sqlite.org/pragma.html#pragma_synchronous>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synced {
    /// Once it is committed.
    Now,
    /// With the next one that is synced at once, or with a checkpoint: for what is only asked for again if it is lost.
    WithTheNext,
}

impl Synced {
    fn set(self, connection: &Connection) -> rusqlite::Result<()> {
        let level = match self {
            Self::Now => "FULL",
            Self::WithTheNext => "NORMAL",
        };
        connection.pragma_update(None, "synchronous", level)
    }
}

/// What comes of one call.
pub type SpoolResult<T> = Result<T, SpoolError>;

impl Spool {
    /// Opens the spool at `path`, making it where there is none; its directory must be there.
    ///
    /// # Errors
    /// The file is something else, or cannot be written.
    pub fn open(path: &Path, now: Timestamp) -> SpoolResult<Self> {
        let database = Database::new(path, APPLICATION_ID);
        let furnish = |new: &mut Connection| migrate(new, MIGRATIONS, now, |_| Ok(())).map(drop);
        let mut connection = database.read_write_furnished(furnish)?;
        migrate(&mut connection, MIGRATIONS, now, |_| Ok(()))?;
        Ok(Self(Arc::new(Writer::start(connection)?)))
    }

    /// Runs `work` as one transaction.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> SpoolResult<T> + Send + 'static,
    ) -> SpoolResult<T> {
        self.write_synced(Synced::Now, work).await
    }

    async fn write_synced<T: Send + 'static>(
        &self,
        synced: Synced,
        work: impl FnOnce(&Connection) -> SpoolResult<T> + Send + 'static,
    ) -> SpoolResult<T> {
        self.0
            .run(move |connection| {
                let write = |connection: &mut Connection| {
                    synced.set(connection)?;
                    let transaction = connection.transaction()?;
                    let result = work(&transaction)?;
                    transaction.commit()?;
                    Ok(result)
                };
                write(connection).map_err(|error| of_the_file(connection, error))
            })
            .await?
    }

    /// Runs `work` as one transaction that is rolled back if what it gives is an error of the caller's.
    async fn try_write<T: Send + 'static, E: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> SpoolResult<Result<T, E>> + Send + 'static,
    ) -> SpoolResult<Result<T, E>> {
        self.0
            .run(move |connection| {
                let write = |connection: &mut Connection| {
                    Synced::Now.set(connection)?;
                    let transaction = connection.transaction()?;
                    let result = work(&transaction)?;
                    if result.is_ok() {
                        transaction.commit()?;
                    }
                    Ok(result)
                };
                write(connection).map_err(|error| of_the_file(connection, error))
            })
            .await?
    }

    /// Runs `look`, which writes nothing.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> SpoolResult<T> + Send + 'static,
    ) -> SpoolResult<T> {
        self.0.run(move |connection| look(connection).map_err(|error| of_the_file(connection, error))).await?
    }
}

/// What a statement failed with, by what it means for the file, which it names.
fn of_the_file(connection: &Connection, error: SpoolError) -> SpoolError {
    match error {
        SpoolError::Sqlite(source) => SpoolError::Database(Error::on(connection, source)),
        other => other,
    }
}

fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

fn moment(micros: i64) -> SpoolResult<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|e| SpoolError::Unreadable { what: e.to_string() })
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("invariant: what the spool keeps has text keys")
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> SpoolResult<T> {
    serde_json::from_str(text).map_err(|e| SpoolError::Unreadable { what: e.to_string() })
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;
    use crate::client::Walk;
    use crate::protocol::Selection;
    use crate::settings::DrainOrder;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn place() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool.db");
        (dir, path)
    }

    async fn begun(spool: &Spool) -> Crawl {
        let new = NewCrawl {
            name: "crawl".to_owned(),
            source: CrawlSource::Crawl,
            base_url: "http://a/".to_owned(),
            metadata_prefix: "oai_dc".to_owned(),
            set: String::new(),
        };
        spool.begin_crawl(new, AT).await.unwrap();
        spool.newest_crawl().await.unwrap().unwrap()
    }

    /// Adds a page of live records; those that begin with `-` are deleted.
    async fn page(spool: &Spool, crawl: &Crawl, locals: &[&str]) -> Crawl {
        let listed =
            |local: &&str| Listed { local: local.trim_start_matches('-').to_owned(), deleted: local.starts_with('-') };
        let headers = locals.iter().map(listed).collect();
        let walk = Walk::identifiers(&Selection { metadata_prefix: "oai_dc".to_owned(), ..Selection::default() });
        spool.add_page(crawl, headers, vec!["other:1".to_owned()], &walk, Some(AT)).await.unwrap()
    }

    /// Finishes the crawl, and gives what is live in the order of the list.
    async fn live(spool: &Spool, crawl: &Crawl) -> Vec<String> {
        spool.finish_crawl(crawl.id, None, AT).await.unwrap();
        spool.compare(crawl.id, DrainOrder::AsGiven, "").await.unwrap();
        let missing = spool.missing_page(0, 100).await.unwrap();
        missing.into_iter().map(|(_, local)| local).collect()
    }

    async fn rows(spool: &Spool, table: &'static str) -> u64 {
        let sql = format!("SELECT count(*) FROM {table}");
        spool.read(move |db| Ok(count(db.query_row(&sql, [], |row| row.get(0))?))).await.unwrap()
    }

    async fn level(spool: &Spool) -> i64 {
        spool.read(|db| Ok(db.pragma_query_value(None, "synchronous", |row| row.get(0))?)).await.unwrap()
    }

    #[tokio::test]
    async fn a_record_that_is_listed_twice_counts_once_by_its_later_word_in_its_first_place() {
        let (_dir, path) = place();
        let spool = Spool::open(&path, AT).unwrap();
        let crawl = begun(&spool).await;
        let crawl = page(&spool, &crawl, &["a/3", "-a/2", "a/9", "a/9"]).await;
        let crawl = page(&spool, &crawl, &["a/1", "-a/3", "a/2", "-a/8"]).await;
        assert_eq!((crawl.listed, crawl.unrecognised, crawl.pages), (10, 2, 2), "duplicates and strangers included");
        assert_eq!(live(&spool, &crawl).await, ["a/2", "a/9", "a/1"]);
        assert_eq!(spool.crawl_counts(crawl.id).await.unwrap(), (3, 2));
        assert_eq!((rows(&spool, "header").await, rows(&spool, "listed").await), (5, 0));
    }

    #[tokio::test]
    async fn r15_a_spool_that_is_full_is_told_with_its_path() {
        let (_dir, path) = place();
        let spool = Spool::open(&path, AT).unwrap();
        spool.read(|db| Ok(db.pragma_update(None, "max_page_count", 1)?)).await.unwrap();
        let ids = (0..100_000).map(|id| id.to_string()).collect();
        let said = Diagnosis::from(spool.add_have(ids).await.unwrap_err()).message;
        assert!(said.contains(path.to_str().unwrap()) && said.contains("full"), "{said}");
    }

    #[tokio::test]
    async fn a_crawl_that_begins_anew_or_is_forgotten_leaves_nothing_of_its_list() {
        let (_dir, path) = place();
        let spool = Spool::open(&path, AT).unwrap();
        let crawl = begun(&spool).await;
        let crawl = page(&spool, &crawl, &["a/1", "a/2"]).await;
        spool.restart_crawl(crawl.id).await.unwrap();
        assert_eq!(rows(&spool, "listed").await, 0);
        let crawl = spool.newest_crawl().await.unwrap().unwrap();
        page(&spool, &crawl, &["a/4"]).await;
        spool.forget_crawls().await.unwrap();
        assert_eq!(rows(&spool, "listed").await, 0);
        let crawl = begun(&spool).await;
        page(&spool, &crawl, &["a/5"]).await;
        let crawl = begun(&spool).await;
        let crawl = page(&spool, &crawl, &["a/3"]).await;
        assert_eq!(live(&spool, &crawl).await, ["a/3"]);
    }

    #[tokio::test]
    async fn r05_a_crawl_that_an_older_version_left_on_its_way_goes_on_where_it_was() {
        let (_dir, path) = place();
        let mut older = Database::new(&path, APPLICATION_ID).read_write().unwrap();
        migrate(&mut older, &MIGRATIONS[..1], AT, |_| Ok(())).unwrap();
        older
            .execute_batch(
                "INSERT INTO crawl (name, source, base_url, metadata_prefix, set_spec, begun_at, pages, listed)
                 VALUES ('crawl', 'crawl', 'http://a/', 'oai_dc', '', 0, 1, 3);
                 INSERT INTO header (crawl, identifier, no, number, deleted)
                 VALUES (1, 'a/1', 2, 1, 0), (1, 'a/2', 0, 2, 0), (1, 'a/3', 1, 3, 1);",
            )
            .unwrap();
        drop(older);
        let spool = Spool::open(&path, AT).unwrap();
        assert_eq!((rows(&spool, "header").await, rows(&spool, "listed").await), (0, 3));
        let crawl = spool.newest_crawl().await.unwrap().unwrap();
        let crawl = page(&spool, &crawl, &["a/3", "-a/2", "a/4"]).await;
        assert_eq!(live(&spool, &crawl).await, ["a/3", "a/1", "a/4"]);
    }

    #[tokio::test]
    async fn a_crawl_that_an_older_version_finished_stays_as_it_is() {
        let (_dir, path) = place();
        let mut older = Database::new(&path, APPLICATION_ID).read_write().unwrap();
        migrate(&mut older, &MIGRATIONS[..1], AT, |_| Ok(())).unwrap();
        older
            .execute_batch(
                "INSERT INTO crawl (name, source, base_url, metadata_prefix, set_spec, begun_at, finished_at, pages, listed)
                 VALUES ('crawl', 'crawl', 'http://a/', 'oai_dc', '', 0, 0, 1, 1);
                 INSERT INTO header (crawl, identifier, no, number, deleted) VALUES (1, 'a/1', 0, 1, 0);",
            )
            .unwrap();
        drop(older);
        let spool = Spool::open(&path, AT).unwrap();
        assert_eq!((rows(&spool, "header").await, rows(&spool, "listed").await), (1, 0));
    }

    #[tokio::test]
    async fn r05_only_the_pages_of_a_crawl_wait_for_the_next_sync() {
        let (full, normal) = (2, 1);
        let (_dir, path) = place();
        let spool = Spool::open(&path, AT).unwrap();
        assert_eq!(level(&spool).await, full, "as it is opened");
        let crawl = begun(&spool).await;
        assert_eq!(level(&spool).await, full, "its begin");
        let crawl = page(&spool, &crawl, &["a/1"]).await;
        assert_eq!(level(&spool).await, normal, "a page");
        spool.restart_crawl(crawl.id).await.unwrap();
        assert_eq!(level(&spool).await, full, "a list that begins anew");
        let crawl = spool.newest_crawl().await.unwrap().unwrap();
        let crawl = page(&spool, &crawl, &["a/1"]).await;
        spool.add_filtered("a/7".to_owned(), "a chapter".to_owned(), "book").await.unwrap();
        assert_eq!(level(&spool).await, full, "what a fetched record came to");
        let crawl = page(&spool, &crawl, &["a/2"]).await;
        let slice = SliceState { ranges: [].into(), first_response_at: None, fetched: 0, next_no: 0 };
        spool.set_slice("2021-02", &slice, Vec::new(), Vec::new(), None).await.unwrap();
        assert_eq!(level(&spool).await, full, "a slice");
        let crawl = page(&spool, &crawl, &["a/3"]).await;
        spool.finish_crawl(crawl.id, None, AT).await.unwrap();
        assert_eq!(level(&spool).await, full, "its end");
        let crawl = begun(&spool).await;
        page(&spool, &crawl, &["a/4"]).await;
        let imported = spool.import_crawl(crawl.new.clone(), [None, None], AT, |_| Ok::<_, SpoolError>(())).await;
        imported.unwrap().unwrap();
        assert_eq!(level(&spool).await, full, "a snapshot");
    }
}
