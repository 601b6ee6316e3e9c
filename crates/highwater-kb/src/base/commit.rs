//! A change of the base, from a draft to a generation that stands in `wiki/`. Owns the commit point, and what a manifest
//! says of a draft.

use std::collections::BTreeMap;

use highwater_db::sqlite::rusqlite::Connection;
use jiff::Timestamp;

use super::draft::Draft;
use super::manifest::{Entry, FileChange, Manifest, to_write};
use super::objects::{Held, Objects};
use super::project::{self, Fate};
use super::{Base, BaseLock, rows};
use crate::error::KbError;
use crate::fold;
use crate::path::FilePath;

/// A generation that stands in `wiki/` and `raw/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its number.
    pub generation: u32,
    /// What became of each file that it changed.
    pub fates: BTreeMap<FilePath, Fate>,
}

/// What a generation would be, if it were committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// Every file that it would change.
    pub files: Vec<FileChange>,
    /// What would become of each of them, as people's edits are now.
    pub fates: BTreeMap<FilePath, Fate>,
}

impl Base {
    /// Makes the next generation: what `draft` says of the newest one. `None` where it says nothing new.
    ///
    /// An unapplied generation is finished first. What `draft` itself answers with is an error that changes nothing.
    ///
    /// # Errors
    /// [`KbError::ObjectMissing`] where an object was placed that is not there; [`KbError::Unapplied`] once the change is committed and
    /// only cannot be shown; [`KbError::Reopen`] from a handle that had an error at a COMMIT. After any other the base is as it was, or,
    /// where the COMMIT itself failed, as whoever opens it anew finds it.
    pub fn commit(
        &mut self,
        held: &BaseLock,
        at: Timestamp,
        op: &str,
        text: &str,
        draft: impl FnOnce(&mut Draft<'_>) -> Result<(), KbError>,
    ) -> Result<Option<Committed>, KbError> {
        self.finish(held)?;
        self.commit_unshown(at, op, text, draft)?.map(|generation| self.apply(generation)).transpose()
    }

    /// The same, without showing it: whoever opens the base next does. What came before it stands.
    pub(super) fn commit_unshown(
        &mut self,
        at: Timestamp,
        op: &str,
        text: &str,
        draft: impl FnOnce(&mut Draft<'_>) -> Result<(), KbError>,
    ) -> Result<Option<u32>, KbError> {
        let home = self.home.clone();
        let waiting = Held::waiting();
        let objects = Objects::with(home.fs(), &waiting);
        let transaction = rows::begin(&mut self.rows)?;
        let Some(manifest) = drafted(&transaction, objects, at, (op, text), draft)? else {
            // What the base has was said again, and something of it was not there as it should be.
            if !waiting.is_empty() {
                objects.settle()?;
            }
            return Ok(None);
        };
        let bytes = serde_json::to_vec(&manifest).expect("invariant: a manifest is JSON");
        let written = objects.put_manifest(manifest.generation, &bytes).and_then(|id| {
            objects.settle()?;
            rows::write(&transaction, objects, &manifest, id)
        });
        if written.is_err() {
            // Who loses the rows is not to find it: nothing else says that it is no generation. What cannot be taken back is told by
            // what stands (see `rebuild::believed`).
            let _ = objects.take_manifest_back(manifest.generation);
        }
        written?;

        // From here on an error may have come after the COMMIT.
        self.broken = true;
        // `transaction` borrows the rows: the flag is set through another field.
        rows::commit(transaction)?;
        self.home.settle(&mut self.rows).map_err(KbError::rows("commit a change"))?;
        self.broken = false;
        Ok(Some(manifest.generation))
    }

    /// What [`Base::commit`] would do with this draft. Nothing is written, but what a crash left is finished.
    ///
    /// # Errors
    /// What `draft` answers with, what the rows or the disk say, and [`KbError::Unapplied`].
    pub fn rehearse(
        &mut self,
        held: &BaseLock,
        at: Timestamp,
        draft: impl FnOnce(&mut Draft<'_>) -> Result<(), KbError>,
    ) -> Result<Option<Rehearsed>, KbError> {
        self.finish(held)?;
        let home = self.home.clone();
        let in_memory = Held::forever();
        let objects = Objects::with(home.fs(), &in_memory);
        // It is rolled back as it goes.
        let transaction = rows::begin(&mut self.rows)?;
        let Some(manifest) = drafted(&transaction, objects, at, ("rehearse", ""), draft)? else { return Ok(None) };
        let fates = project::foresee(home.fs(), objects, &manifest.to_write())?;
        Ok(Some(Rehearsed { files: manifest.files, fates }))
    }
}

/// What a draft makes of the newest generation, in rows that are not committed; `None` where that is nothing new.
fn drafted(
    transaction: &Connection,
    objects: Objects<'_>,
    at: Timestamp,
    (op, text): (&str, &str),
    draft: impl FnOnce(&mut Draft<'_>) -> Result<(), KbError>,
) -> Result<Option<Manifest>, KbError> {
    // What the newest changed may be lost, and its number is not given again.
    let head = rows::standing(transaction)?.head;
    let parent = rows::manifest(transaction, head)?;
    let mut said = Draft::new(transaction, objects);
    draft(&mut said)?;
    let rendered = fold::complete(&mut said)?;
    let documents = said.documents()?;
    let changes = said.changes()?;
    if changes.is_empty() && said.edits(&changes).is_empty() && documents.is_empty() && !said.says_again {
        return Ok(None);
    }
    let log = FilePath::new(fold::LOG_PAGE).expect("invariant: it is below wiki/");
    let is_shown = !said.keeps_log && (rendered || said.content(&log)?.is_some());
    let mut entries = std::mem::take(&mut said.entries);
    if entries.is_empty() {
        entries.push(Entry { op: op.to_owned(), text: text.to_owned() });
    }
    fold::enter_log(&mut said, at, &entries, is_shown)?;
    let mut files = said.changes()?;
    said.note_own(&mut files)?;
    let edits = said.edits(&files);
    let stands = project::stood(objects, &files, &to_write(&files, &edits))?;
    let manifest = Manifest {
        format: Manifest::format_of(&files, &edits, &stands),
        generation: head + 1,
        parent,
        at,
        op: op.to_owned(),
        text: text.to_owned(),
        entries,
        edits,
        files,
        stands,
        documents,
        keeps_log: said.keeps_log,
    };
    said.look(&manifest)?;
    Ok(Some(manifest))
}
