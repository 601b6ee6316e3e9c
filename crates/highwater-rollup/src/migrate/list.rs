//! What is applied, what is pending, and what does not fit. Reads only, and takes no lock.

use highwater_db::session::Session;

use super::MigrateError;
use super::files::Files;
use super::history::{History, Recorded, State};
use crate::declare::TableName;

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was run.
    Applied,
    /// It was taken over.
    Baselined,
    /// It is to be run.
    Pending,
    /// Its file is another than the one that was applied.
    Changed,
    /// It was applied, and has no file.
    Missing,
    /// It was not applied, and comes before one that was.
    OutOfOrder,
    /// A file without a transaction that was cut off, or is being run.
    Started,
}

impl Standing {
    /// Whether a run refuses because of it.
    #[must_use]
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Changed | Self::Missing | Self::OutOfOrder | Self::Started)
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Baselined => "baselined",
            Self::Pending => "pending",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::OutOfOrder => "out of order",
            Self::Started => "started",
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub number: i64,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// The checksum of its file, where there is one.
    pub sha256: Option<String>,
    /// What was recorded, where it was.
    pub recorded: Option<Recorded>,
}

/// Every step that has a file or was applied, by number.
///
/// # Errors
/// [`MigrateError::Fault`], [`MigrateError::OthersTable`].
pub async fn list(session: &mut dyn Session, files: &Files, table: &TableName) -> Result<Vec<Listed>, MigrateError> {
    let rows = match History::find(session, table).await? {
        Some(history) => history.rows(session).await?,
        None => Vec::new(),
    };
    let newest = rows.last().map(|row| row.number);
    let row_of = |number: i64| rows.iter().find(|row| row.number == number);
    let with_file = files.steps.iter().map(|step| {
        let recorded = row_of(step.number).cloned();
        let standing = match &recorded {
            None if Some(step.number) < newest => Standing::OutOfOrder,
            None => Standing::Pending,
            Some(row) if row.sha256 != step.sha256 => Standing::Changed,
            Some(row) => match row.state {
                State::Applied => Standing::Applied,
                State::Baselined => Standing::Baselined,
                State::Started => Standing::Started,
            },
        };
        let sha256 = Some(step.sha256.clone());
        Listed { number: step.number, name: step.name.clone(), standing, sha256, recorded }
    });
    let has_file = |row: &&Recorded| files.steps.iter().any(|step| step.number == row.number);
    let without_file = rows.iter().filter(|row| !has_file(row)).map(|row| Listed {
        number: row.number,
        name: row.name.clone(),
        standing: Standing::Missing,
        sha256: None,
        recorded: Some(row.clone()),
    });
    let mut listed: Vec<Listed> = with_file.chain(without_file).collect();
    listed.sort_by_key(|one| one.number);
    Ok(listed)
}
