//! The words of OAI-PMH 2.0, as both sides speak them: requests, headers, records, datestamps, errors. Owns their shapes and
//! how a request is written as a query; neither reading answers nor writing them.
//!
//! # Source
//! <https://www.openarchives.org/OAI/openarchivesprotocol.html>

mod datestamp;
mod request;

pub use datestamp::{Datestamp, DatestampError, Granularity};
pub use request::{Arguments, Request, Selection, Verb};

/// The namespace of protocol elements.
pub const NAMESPACE: &str = "http://www.openarchives.org/OAI/2.0/";
/// The metadata prefix that every repository has.
pub const OAI_DC: &str = "oai_dc";

/// What a repository says of a record besides its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What makes the record itself, as the repository writes it.
    pub identifier: String,
    /// When it was made, changed or deleted.
    pub datestamp: Datestamp,
    /// The sets it is in.
    pub sets: Vec<String>,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its header.
    pub header: Header,
    /// The element inside `<metadata>`, as text that is well-formed on its own: namespaces declared further out are declared on
    /// it. `None` for a deleted record, for one without metadata, and in an answer to `ListIdentifiers`.
    pub metadata: Option<String>,
}

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumptionToken {
    /// What is sent back, never empty: an empty token is the end of a list.
    pub value: String,
    /// How long the repository says the list is.
    pub complete_list_size: Option<u64>,
    /// How many came before this page; some repositories count pages.
    pub cursor: Option<u64>,
}

/// An error of the protocol, in the body of a 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolError {
    /// Its code.
    pub code: ErrorCode,
    /// What the repository says to it.
    pub message: String,
}

/// The codes of protocol errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorCode {
    /// An argument is illegal, missing or repeated.
    BadArgument,
    /// The token is unknown or has expired.
    BadResumptionToken,
    /// The verb is illegal, missing or repeated.
    BadVerb,
    /// The record is not there in this format.
    CannotDisseminateFormat,
    /// There is no such record.
    IdDoesNotExist,
    /// Nothing matches: an empty list.
    NoRecordsMatch,
    /// The record has no formats.
    NoMetadataFormats,
    /// The repository has no sets.
    NoSetHierarchy,
    /// A code that the protocol does not know.
    Other(String),
}

impl ErrorCode {
    /// The code as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::BadArgument => "badArgument",
            Self::BadResumptionToken => "badResumptionToken",
            Self::BadVerb => "badVerb",
            Self::CannotDisseminateFormat => "cannotDisseminateFormat",
            Self::IdDoesNotExist => "idDoesNotExist",
            Self::NoRecordsMatch => "noRecordsMatch",
            Self::NoMetadataFormats => "noMetadataFormats",
            Self::NoSetHierarchy => "noSetHierarchy",
            Self::Other(code) => code,
        }
    }
}

impl From<&str> for ErrorCode {
    fn from(code: &str) -> Self {
        match code {
            "badArgument" => Self::BadArgument,
            "badResumptionToken" => Self::BadResumptionToken,
            "badVerb" => Self::BadVerb,
            "cannotDisseminateFormat" => Self::CannotDisseminateFormat,
            "idDoesNotExist" => Self::IdDoesNotExist,
            "noRecordsMatch" => Self::NoRecordsMatch,
            "noMetadataFormats" => Self::NoMetadataFormats,
            "noSetHierarchy" => Self::NoSetHierarchy,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// How a repository treats deleted records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletedRecord {
    /// It forgets them.
    No,
    /// It may forget them.
    Transient,
    /// It keeps them.
    Persistent,
}

impl DeletedRecord {
    /// The word in `Identify`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Transient => "transient",
            Self::Persistent => "persistent",
        }
    }
}

/// What a repository says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identify {
    /// Its name.
    pub repository_name: String,
    /// Where it is asked.
    pub base_url: String,
    /// No record is older.
    pub earliest: Datestamp,
    /// How it treats deleted records.
    pub deleted_record: DeletedRecord,
    /// How fine its datestamps are.
    pub granularity: Granularity,
    /// Whom to write to.
    pub admin_emails: Vec<String>,
}

/// A set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetInfo {
    /// What a request names it by.
    pub spec: String,
    /// What people call it.
    pub name: String,
}

/// A metadata format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataFormat {
    /// What a request names it by.
    pub prefix: String,
    /// Where its schema is.
    pub schema: String,
    /// Its namespace.
    pub namespace: String,
}
