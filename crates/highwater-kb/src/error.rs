//! What goes wrong with a base.

use std::io;

use highwater_db::sqlite;
use highwater_fs::FsError;

use crate::content::ContentId;
use crate::path::{FilePath, PathFault};

/// Why a base did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KbError {
    /// The disk refused.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The rows of the base refused.
    #[error("the base cannot {doing}")]
    Rows {
        /// What was tried, as a verb with its object.
        doing: &'static str,
        /// What the database says, with its path.
        source: sqlite::Error,
    },
    /// An object that rows refer to is not there.
    #[error("the object {id} is not there")]
    ObjectMissing {
        /// Which.
        id: ContentId,
    },
    /// An object's bytes are not those that it is called by.
    #[error("the object {id} is damaged: its bytes are called {found}")]
    ObjectDamaged {
        /// Which.
        id: ContentId,
        /// What its bytes are called.
        found: ContentId,
    },
    /// What is said to be a generation's manifest is none.
    #[error("what generation {generation} changed cannot be read")]
    Manifest {
        /// Its number.
        generation: u32,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A manifest does not follow from the one before it.
    #[error("generation {generation} does not follow from the one before it: {found}")]
    Chain {
        /// Its number.
        generation: u32,
        /// What is wrong.
        found: &'static str,
    },
    /// There is no such generation to go back to.
    #[error("there is no generation {generation}: the newest is {head}")]
    NoGeneration {
        /// Which was asked for.
        generation: u32,
        /// The newest.
        head: u32,
    },
    /// Bytes that were hashed were others when they were copied.
    #[error("the bytes changed while they were read: they were called {first}, and then {then}")]
    Changed {
        /// What they were called at first.
        first: ContentId,
        /// And then.
        then: ContentId,
    },
    /// What was to be stored cannot be read.
    #[error("cannot read what is to be stored")]
    Source(#[source] io::Error),
    /// A path that no file of a base has.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// There are as many versions beside a page as there may be.
    #[error("{path} has {limit} conflicting versions beside it: settle them first")]
    Conflicts {
        /// The page.
        path: FilePath,
        /// How many there may be.
        limit: u32,
    },
    /// A change is committed and could not be shown in full yet.
    #[error("generation {generation} is committed, and cannot be written to wiki/ and raw/ yet")]
    Unapplied {
        /// Its number.
        generation: u32,
        /// What is in the way.
        source: Box<KbError>,
    },
    /// This handle met an error in a commit, and does not know what is durable.
    #[error("an earlier commit failed: the base must be opened again")]
    Reopen,
}

impl KbError {
    /// What the rows say, for something that was to be done.
    pub(crate) fn rows(doing: &'static str) -> impl Fn(sqlite::Error) -> Self {
        move |source| Self::Rows { doing, source }
    }
}
