//! The manifest. Owns its shape.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the files that is written and read.
pub(super) const FORMAT: u32 = 1;

/// What every manifest says, whatever its version.
#[derive(Debug, Deserialize)]
pub(super) struct Versioned {
    pub(super) format: u32,
}

/// What makes two files of identifiers one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// The version of the files.
    pub format: u32,
    /// The name of the crawl that they are of.
    pub crawl: String,
    /// The repository.
    pub base_url: String,
    /// The format that was asked for.
    pub metadata_prefix: String,
    /// The set; empty for all.
    pub set: String,
    /// What came before the identifiers.
    pub identifier_prefix: String,
    /// The repository's time on the first page.
    pub first_response: Option<Timestamp>,
    /// The repository's time on the last page.
    pub last_response: Option<Timestamp>,
    /// The file of live records.
    pub active: Part,
    /// The file of deleted records.
    pub deleted: Part,
}

/// One of the two files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Part {
    /// Its lines.
    pub count: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}
