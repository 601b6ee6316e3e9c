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
pub use slice::{Range, SliceState, SlicesBegun};

/// What the file's header says of whose it is.
const APPLICATION_ID: ApplicationId = ApplicationId(*b"HWOS");
const MIGRATIONS: &[Migration] =
    &[Migration { number: 1, name: "spool", sql: include_str!("spool/migrations/0001_spool.sql") }];

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
        self.0
            .run(move |connection| {
                let transaction = connection.transaction()?;
                let result = work(&transaction)?;
                transaction.commit()?;
                Ok(result)
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
                let transaction = connection.transaction()?;
                let result = work(&transaction)?;
                if result.is_ok() {
                    transaction.commit()?;
                }
                Ok(result)
            })
            .await?
    }

    /// Runs `look`, which writes nothing.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> SpoolResult<T> + Send + 'static,
    ) -> SpoolResult<T> {
        self.0.run(move |connection| look(connection)).await?
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
