//! A change of the base, from a draft to a generation that stands in `wiki/`. Owns the commit point, and what a draft may say.

use std::collections::BTreeMap;

use highwater_db::sqlite::rusqlite::Connection;
use jiff::Timestamp;

use super::manifest::{FORMAT, FileChange, Manifest};
use super::objects::Objects;
use super::project::Fate;
use super::{Base, BaseLock, rows};
use crate::content::ContentId;
use crate::error::KbError;
use crate::path::FilePath;

/// A generation that stands in `wiki/` and `raw/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its number.
    pub generation: u32,
    /// What became of each file that it changed.
    pub fates: BTreeMap<FilePath, Fate>,
}

/// A change on its way: what the next generation has, as far as it was said.
#[derive(Debug)]
pub struct Draft<'a> {
    rows: &'a Connection,
    objects: Objects<'a>,
    files: BTreeMap<FilePath, Option<ContentId>>,
    documents: BTreeMap<String, Option<serde_json::Value>>,
}

impl Draft<'_> {
    /// What is at a path now, with what this draft said.
    ///
    /// # Errors
    /// What the rows say.
    pub fn content(&self, path: &FilePath) -> Result<Option<ContentId>, KbError> {
        match self.files.get(path) {
            Some(said) => Ok(*said),
            None => rows::file(self.rows, path),
        }
    }

    /// Puts bytes at a path.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&mut self, path: FilePath, bytes: &[u8]) -> Result<(), KbError> {
        let content = self.objects.put(bytes)?;
        self.place(path, content);
        Ok(())
    }

    /// Puts an object at a path.
    pub fn place(&mut self, path: FilePath, content: ContentId) {
        self.files.insert(path, Some(content));
    }

    /// Leaves nothing at a path.
    pub fn remove(&mut self, path: FilePath) {
        self.files.insert(path, None);
    }

    /// What is known of a document, with what this draft said.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document(&self, name: &str) -> Result<Option<serde_json::Value>, KbError> {
        match self.documents.get(name) {
            Some(said) => Ok(said.clone()),
            None => rows::document(self.rows, name),
        }
    }

    /// Says what is known of a document, or that there is none of this name.
    pub fn set_document(&mut self, name: impl Into<String>, record: Option<serde_json::Value>) {
        self.documents.insert(name.into(), record);
    }
}

impl Base {
    /// Makes the next generation: what `draft` says of the newest one. `None` where it says nothing new.
    ///
    /// An unapplied generation is finished first. What `draft` itself answers with is an error that changes nothing.
    ///
    /// # Errors
    /// [`KbError::Unapplied`] once the change is committed and only cannot be shown; [`KbError::Reopen`] from a handle
    /// that had an error at a COMMIT. After any other the base is as it was, or, where the COMMIT itself failed, as whoever
    /// opens it anew finds it.
    pub fn commit(
        &mut self,
        held: &BaseLock,
        at: Timestamp,
        op: &str,
        text: &str,
        draft: impl FnOnce(&mut Draft<'_>) -> Result<(), KbError>,
    ) -> Result<Option<Committed>, KbError> {
        self.finish(held)?;
        let parent = self.head()?;
        let home = self.home.clone();
        let objects = Objects::new(home.fs());
        let transaction = rows::begin(&mut self.rows)?;

        let mut said = Draft { rows: &transaction, objects, files: BTreeMap::new(), documents: BTreeMap::new() };
        draft(&mut said)?;
        let Draft { files, documents, .. } = said;
        let mut manifest = Manifest {
            format: FORMAT,
            generation: parent.as_ref().map_or(1, |parent| parent.number + 1),
            parent: parent.map(|parent| parent.manifest),
            at,
            op: op.to_owned(),
            text: text.to_owned(),
            files: Vec::new(),
            documents: BTreeMap::new(),
        };
        for (path, new) in files {
            let base = rows::file(&transaction, &path)?;
            if base != new {
                manifest.files.push(FileChange { path, base, new });
            }
        }
        for (name, after) in documents {
            let before = rows::document(&transaction, &name)?;
            if before != after {
                manifest.documents.insert(name, (before, after));
            }
        }
        if manifest.files.is_empty() && manifest.documents.is_empty() {
            return Ok(None);
        }
        let bytes = serde_json::to_vec(&manifest).expect("invariant: a manifest is JSON");
        let id = objects.put_manifest(manifest.generation, &bytes)?;
        objects.settle()?;
        rows::write(&transaction, &manifest, id)?;

        // From here on an error may have come after the COMMIT.
        self.broken = true;
        // `transaction` borrows the rows: the flag is set through another field.
        rows::commit(transaction)?;
        self.home.settle(&mut self.rows).map_err(KbError::rows("commit a change"))?;
        self.broken = false;
        self.apply(manifest.generation).map(Some)
    }
}
