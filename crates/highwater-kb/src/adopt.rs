//! Taking over a base of the older kind (`.openkb/`): its documents and its pages become a base of this kind as they are. Owns the
//! order of it; what there is, is found in the rooms below, without writing anything.
//!
//! First a **survey** says what is taken over and what is not, and why. Then two generations are made of it. The first has every file
//! as it stands, and what the registry knows of each document; nothing in `wiki/` changes, but for the texts of documents that the
//! older kind keeps as JSON. The second has the index and the log as this kind renders them. A crash between the two leaves a base
//! that is whole, and the next call goes on. `.openkb/` is read, and left as it is to the last byte.

mod body;
mod enter;
mod front;
mod journal;
mod kept;
mod pages;
mod places;
mod registry;
mod shared;
mod shelf;
mod survey;

pub use enter::{Adopted, adopt};
pub use journal::{Journal, JournalState};
pub use survey::{Counted, NotTaken, Survey, survey};

use std::collections::HashSet;

use highwater_fs::FsError;

use crate::base::{LISTED_MAX, Snapshot};
use crate::document::DocName;
use crate::error::KbError;

/// Where the older kind keeps its own.
pub const OLDER: &str = ".openkb";
/// Its registry, by which it is known.
pub const REGISTRY: &str = ".openkb/hashes.json";
/// The file that its program locks while it changes something.
pub const OLDER_LOCK: &str = ".openkb/ingest.lock";
/// What the records of documents that were taken over name as their converter and their compiler.
pub const ADOPTED: &str = "adopted/1";

/// The documents that are registered in a base: of one that is being taken over, those that a call registered before it was cut off.
///
/// # Errors
/// What the rows say.
pub fn registered(base: &Snapshot) -> Result<HashSet<DocName>, KbError> {
    let (mut names, mut after) = (HashSet::new(), 0);
    loop {
        let page = base.documents(after, LISTED_MAX)?;
        let Some((_, last)) = page.last() else { return Ok(names) };
        after = last.sequence;
        names.extend(page.into_iter().map(|(name, _)| name));
    }
}

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// There is no base of the older kind.
    #[error("there is no base of the older kind: expected {REGISTRY}")]
    None,
    /// Its registry cannot be read.
    #[error("{REGISTRY} is no registry: {0}")]
    Registry(String),
    /// What is to be written through would lead elsewhere.
    #[error("{0} is a symlink or a file, where a directory of the base is to be")]
    NoDirectory(String),
    /// The disk refused.
    #[error(transparent)]
    Fs(#[from] FsError),
}
