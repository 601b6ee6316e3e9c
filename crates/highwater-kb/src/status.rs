//! Where a base stands, in figures. Owns which; they are read off rows, and of the disk only what lies beside a page that is in conflict.
//!
//! What people edited and deleted is as it was when a change last met it: `lint` looks at the disk.

use std::sync::Arc;

use serde::Serialize;

use crate::base::{Fate, Generation, Home, Snapshot};
use crate::error::KbError;
use crate::page::PageKind;
use crate::resolve::versions_beside;

/// How many conflicts are looked at.
const CONFLICTS_LISTED_MAX: usize = 1_000;

/// Where a base stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The newest generation; `None` for a base in which nothing happened yet.
    #[serde(serialize_with = "told")]
    pub generation: Option<Generation>,
    /// Whether it stands in `wiki/` and `raw/`.
    pub applied: bool,
    /// Documents.
    pub documents: u64,
    /// Pages of concepts.
    pub concepts: u64,
    /// Pages of entities.
    pub entities: u64,
    /// Answers that somebody kept.
    pub explorations: u64,
    /// Reports.
    pub reports: u64,
    /// How large all documents are, as they were given.
    pub raw_bytes: u64,
    /// Files beside which a version lies that a person is to look at.
    pub conflicts: u64,
    /// Files that a person had edited, into which a change was merged.
    pub edited: u64,
    /// Files that a person had deleted, and that stayed so.
    pub deleted: u64,
}

fn told<S: serde::Serializer>(generation: &Option<Generation>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Told<'g> {
        number: u32,
        at: jiff::Timestamp,
        op: &'g str,
        text: &'g str,
    }
    let told = generation.as_ref().map(|it| Told { number: it.number, at: it.at, op: &it.op, text: &it.text });
    told.serialize(serializer)
}

/// Reads where a base stands.
///
/// # Errors
/// What the rows or the disk say; [`KbError::Older`].
pub fn status(home: &Arc<dyn Home>) -> Result<Status, KbError> {
    let snapshot = Snapshot::open(home.clone())?;
    let counts = snapshot.counts()?;
    let below = |kind: PageKind| snapshot.count_below(&format!("wiki/{}/", kind.directory()));
    let mut conflicts = 0;
    for path in snapshot.of_fate(Fate::Conflict, CONFLICTS_LISTED_MAX)? {
        // A person may have settled it by hand.
        conflicts += u64::from(!versions_beside(snapshot.disk(), &path)?.is_empty());
    }
    Ok(Status {
        generation: snapshot.generation().cloned(),
        applied: snapshot.is_applied()?,
        documents: counts.documents,
        concepts: counts.concepts,
        entities: counts.entities,
        explorations: below(PageKind::Exploration)?,
        reports: below(PageKind::Report)?,
        raw_bytes: snapshot.raw_bytes()?,
        conflicts,
        edited: snapshot.fated(Fate::Merged)?,
        deleted: snapshot.fated(Fate::Deleted)?,
    })
}
