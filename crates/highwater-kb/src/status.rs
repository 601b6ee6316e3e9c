//! Where a base stands, in figures. Owns which; they are read off rows, and of the disk only what lies beside a file that is in conflict:
//! that is looked for among the names of all that stands, as `lint` and `resolve` do.
//!
//! What people edited and deleted is as it was when a change last met it: `lint` looks at the disk.

use std::sync::Arc;

use serde::Serialize;

use crate::base::{Fate, Generation, Home, Snapshot};
use crate::error::KbError;
use crate::page::PageKind;
use crate::path::FilePath;
use crate::resolve::OPEN_MAX;

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
    /// How many files there are beside which a version lies that a person is to look at, at most [`OPEN_MAX`].
    pub conflicts: u64,
    /// These files, in order.
    #[serde(skip)]
    pub open: Vec<FilePath>,
    /// Files that a person had edited, into which a change was merged.
    pub edited: u64,
    /// Files that a person had deleted, and that stayed so.
    pub deleted: u64,
}

impl Status {
    /// Whether every file that is in conflict is among [`Status::open`].
    #[must_use]
    pub fn names_all_open(&self) -> bool {
        self.open.len() < OPEN_MAX
    }
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
    let open: Vec<FilePath> = snapshot.beside().open(OPEN_MAX)?.into_iter().collect();
    Ok(Status {
        generation: snapshot.generation().cloned(),
        applied: snapshot.is_applied()?,
        documents: counts.documents,
        concepts: counts.concepts,
        entities: counts.entities,
        explorations: below(PageKind::Exploration)?,
        reports: below(PageKind::Report)?,
        raw_bytes: snapshot.raw_bytes()?,
        conflicts: open.len() as u64,
        open,
        edited: snapshot.fated(Fate::Merged)?,
        deleted: snapshot.fated(Fate::Deleted)?,
    })
}
