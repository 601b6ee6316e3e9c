//! What goes wrong with a base.

use std::io;
use std::path::PathBuf;

use highwater_db::sqlite;
use highwater_fs::FsError;

use crate::base::Instead;
use crate::base::{Lost, told_lost};
use crate::content::ContentId;
use crate::document::{DocName, NoDocName};
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
    #[error("the object {id} is damaged: {found}")]
    ObjectDamaged {
        /// Which.
        id: ContentId,
        /// What is there instead.
        found: Instead,
    },
    /// What a generation changed is not there.
    #[error("what generation {generation} changed is not there: .highwater/objects/generation-{generation:010}")]
    ManifestMissing {
        /// Its number.
        generation: u32,
    },
    /// What a generation changed is others than was committed.
    #[error("what generation {generation} changed is damaged: .highwater/objects/generation-{generation:010}")]
    ManifestDamaged {
        /// Its number.
        generation: u32,
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
    /// A manifest that a newer version of this program wrote.
    #[error("what generation {generation} changed is written in shape {format}, as a newer version does: use that one")]
    NewerManifest {
        /// Its number.
        generation: u32,
        /// Its shape.
        format: u32,
    },
    /// What a generation changed is lost, so that it cannot be taken back.
    #[error("what generation {generation} changed is lost: nothing before it can be gone back to")]
    GenerationLost {
        /// Its number.
        generation: u32,
    },
    /// What is to stand somewhere is not stored any more, or damaged: nothing was changed.
    #[error("{}", told_lost(.0))]
    Lost(Vec<Lost>),
    /// There is no such generation to go back to.
    #[error("there is no generation {generation}: the newest is {head}")]
    NoGeneration {
        /// Which was asked for.
        generation: u32,
        /// The newest.
        head: u32,
    },
    /// Two documents would have names that only their case tells apart.
    #[error("a document cannot be called {name}: {other} is called so")]
    NameTaken {
        /// What it would be called.
        name: DocName,
        /// The one that is called so.
        other: DocName,
    },
    /// What is known of a document, or was compiled from it, cannot be read.
    #[error("what is known of the document {name} cannot be read")]
    Record {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A row or a manifest names a document as none can be called.
    #[error(transparent)]
    Name(#[from] NoDocName),
    /// There is no document of this name.
    #[error("there is no document called {0}")]
    Unknown(DocName),
    /// An image of a document has a name that is none of one file.
    #[error("{0:?} cannot be the name of an image")]
    ImageName(String),
    /// The rows are of another version of this program, and whoever only reads does not change that.
    #[error("the base was last written by an older version of highwater, and is not brought up to date by reading")]
    Older,
    /// Bytes that were hashed were others when they were copied.
    #[error("the bytes changed while they were read: they were called {first}, and then {then}")]
    Changed {
        /// What they were called at first.
        first: ContentId,
        /// And then.
        then: ContentId,
    },
    /// What was to be stored cannot be read, or not be written.
    #[error("what is to be stored cannot be copied")]
    Source(#[source] io::Error),
    /// The disk refused something that is no file of a base yet.
    #[error("the base cannot {doing}")]
    Io {
        /// What was tried, as a verb with its object.
        doing: &'static str,
        /// What the disk says.
        source: io::Error,
    },
    /// A path that no file of a base has.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// There are no rows, and there were: objects are there.
    #[error("the rows of the base are gone")]
    RowsGone,
    /// The rows are those of an earlier time, as from a copy: later generations are stored.
    #[error("the rows of the base end with generation {head}, and later generations are stored")]
    RowsBehind {
        /// The newest generation that rows tell of.
        head: u32,
    },
    /// Somebody else has the rows open.
    #[error("another process has the rows of the base open")]
    RowsOpen,
    /// The rows were made again since this handle was opened.
    #[error("the rows of the base were made again meanwhile: the base must be opened again")]
    RowsReplaced,
    /// There is nothing to make rows from.
    #[error("no generation is stored that can be read: there is nothing to make the rows of the base from")]
    NoGenerations,
    /// There are more links than one look at a base holds.
    #[error("more than {limit} links of the wiki do not name their page in full: so many are not looked at together")]
    Links {
        /// How many it holds.
        limit: usize,
    },
    /// There is no conflict at this path.
    #[error("{0} is in no conflict: no other version lies beside it")]
    NoConflict(FilePath),
    /// Something that is no file is in the place of one.
    #[error("{0} is no file: a directory, a symlink or the like is in its place")]
    NoFile(FilePath),
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
        /// Where the base lies.
        root: PathBuf,
        /// What is in the way.
        source: Box<KbError>,
    },
    /// This handle met an error in a commit, and does not know what is durable.
    #[error("an earlier commit failed: the base must be opened again")]
    Reopen,
}

impl KbError {
    /// What the disk says, for something that was to be done.
    pub fn io(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    /// What the rows say, for something that was to be done.
    pub(crate) fn rows(doing: &'static str) -> impl Fn(sqlite::Error) -> Self {
        move |source| Self::Rows { doing, source }
    }
}
