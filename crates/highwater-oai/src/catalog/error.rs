//! What goes wrong with a catalogue.

use std::io;
use std::path::PathBuf;

use highwater_db::sqlite::{self, WriterError};

/// Why a catalogue did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The database refused.
    #[error("the catalogue cannot {doing}")]
    Database {
        /// What was tried, as a verb with its object.
        doing: &'static str,
        /// What the database says, with its path.
        source: sqlite::Error,
    },
    /// The work on the database ended without a result.
    #[error("the catalogue cannot {doing}")]
    Work {
        /// What was tried, as a verb with its object.
        doing: &'static str,
        /// Why there is no result.
        source: WriterError,
    },
    /// A thread that read or prepared ended without a result.
    #[error("the catalogue cannot {doing}")]
    Thread {
        /// What was tried, as a verb with its object.
        doing: &'static str,
        /// Why there is no result.
        source: tokio::task::JoinError,
    },
    /// Metadata cannot be packed or unpacked at all.
    #[error("the catalogue cannot {doing}")]
    Packing {
        /// What was tried, as a verb with its object.
        doing: &'static str,
        /// What the compression says.
        source: io::Error,
    },
    /// The catalogue was opened to read.
    #[error("the catalogue {} was opened to read only", path.display())]
    ReadOnly {
        /// The database file.
        path: PathBuf,
    },
    /// An older program wrote the catalogue, and one who only reads cannot bring it up to date.
    #[error("the catalogue {} is older than this program: load into it once, or open it to write", path.display())]
    Older {
        /// The database file.
        path: PathBuf,
    },
    /// More records than one transaction takes: a fault of the caller.
    #[error("{given} records at once, expected {most} at most")]
    TooMany {
        /// How many were given.
        given: usize,
        /// How many are taken.
        most: usize,
    },
    /// The metadata that is stored of a record cannot be unpacked; loading the record again mends it.
    #[error("the stored metadata of {oai_id} is damaged: load the record again")]
    DamagedRecord {
        /// The record.
        oai_id: String,
    },
}
