//! A change on its way, as far as it was said. Owns what a draft may say, and what of that differs from the newest generation; what is
//! made of it is in `commit`.

use std::collections::{BTreeMap, BTreeSet};

use highwater_db::sqlite::rusqlite::Connection;

use super::lost::{self, Had, Lost};
use super::manifest::{Documents, Entry, FileChange, Manifest};
use super::objects::{Objects, Standing};
use super::project::{Found, look};
use super::rows;
use super::rows::{derived, registry};
use crate::compile::Compiled;
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::fold::Folding;
use crate::origin::Origin;
use crate::path::FilePath;

/// A change on its way: what the next generation has, as far as it was said.
#[derive(Debug)]
pub struct Draft<'a> {
    rows: &'a Connection,
    objects: Objects<'a>,
    files: BTreeMap<FilePath, Option<ContentId>>,
    edits: BTreeMap<FilePath, (Option<ContentId>, Option<ContentId>)>,
    /// The same, also where the draft changes the file.
    stands: BTreeMap<FilePath, (Option<ContentId>, Option<ContentId>)>,
    /// What people had made of files that go, as it is known: the version they began from, and whether they had deleted it.
    own: BTreeMap<FilePath, Option<(ContentId, bool)>>,
    /// Files that go and that no person took away, though nothing stands there.
    gone: BTreeSet<FilePath>,
    /// What it stored itself.
    stored: BTreeSet<ContentId>,
    documents: BTreeMap<DocName, Option<Document>>,
    /// Those of which it says something also where they are as they were.
    said_again: BTreeSet<DocName>,
    /// Whether it stores also what the base is to have already.
    stores_all: bool,
    pub(super) entries: Vec<Entry>,
    folding: Folding,
    pub(super) keeps_log: bool,
    /// Whether it is a generation also where it changes nothing.
    pub(super) says_again: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(rows: &'a Connection, objects: Objects<'a>) -> Self {
        Self {
            rows,
            objects,
            files: BTreeMap::new(),
            edits: BTreeMap::new(),
            stands: BTreeMap::new(),
            own: BTreeMap::new(),
            gone: BTreeSet::new(),
            stored: BTreeSet::new(),
            documents: BTreeMap::new(),
            said_again: BTreeSet::new(),
            stores_all: false,
            entries: Vec::new(),
            folding: Folding::default(),
            keeps_log: false,
            says_again: false,
        }
    }

    /// Tells in the log of one thing that is done; where nothing is told, the log has what the commit as a whole was called.
    pub fn log(&mut self, op: impl Into<String>, text: impl Into<String>) {
        self.entries.push(Entry { op: op.into(), text: text.into() });
    }

    /// Leaves the pages of the log as they are: what this draft does is told there by a later one.
    pub(crate) fn keep_log(&mut self) {
        self.keeps_log = true;
    }

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

    /// The bytes of what is at a path now, at most so many.
    ///
    /// # Errors
    /// What the rows or the disk say.
    pub fn read(&self, path: &FilePath, bytes_max: u64) -> Result<Option<Vec<u8>>, KbError> {
        let Some(content) = self.content(path)? else { return Ok(None) };
        self.objects.read(content, bytes_max).map(Some)
    }

    /// Puts bytes at a path.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&mut self, path: FilePath, bytes: &[u8]) -> Result<(), KbError> {
        let content = ContentId::of(bytes);
        // What the base has already is not stored again.
        if self.stores_all || self.content(&path)? != Some(content) {
            self.objects.put(bytes)?;
            self.stored.insert(content);
        }
        self.place(path, content);
        Ok(())
    }

    /// Whether there is such an object: one that was stored before the base lock was held may have been collected since.
    ///
    /// # Errors
    /// What the disk says.
    pub fn has(&self, content: ContentId) -> Result<bool, KbError> {
        self.objects.has(content)
    }

    /// Puts an object at a path. That it is there is seen to by the commit.
    pub fn place(&mut self, path: FilePath, content: ContentId) {
        self.files.insert(path, Some(content));
    }

    /// Leaves nothing at a path.
    pub fn remove(&mut self, path: FilePath) {
        self.files.insert(path, None);
    }

    /// Changes what stands at a path where that is a person's own version, and not what the generation has there: `from` is what was
    /// found there, `to` an object or nothing. Whoever wrote there since is met as by any other change. Where both are what the generation
    /// has, nothing is written, and it is noted that what stands there is settled.
    ///
    /// Where the draft changes the file itself, that is what is done.
    pub fn edit(&mut self, path: FilePath, from: Option<ContentId>, to: Option<ContentId>) {
        self.edits.insert(path, (from, to));
    }

    /// The same as [`Draft::edit`], and what is done where the draft changes the file, too.
    pub(super) fn stand(&mut self, path: FilePath, from: Option<ContentId>, to: Option<ContentId>) {
        self.stands.insert(path, (from, to));
    }

    /// Whether it is known of a file that no generation has now that a person had deleted it.
    pub(super) fn is_away(&self, path: &FilePath) -> Result<bool, KbError> {
        Ok(rows::own(self.rows, path)?.is_some_and(|(_, deleted)| deleted))
    }

    /// Says what people had made of a file that goes: the version that they began from, and whether they had deleted it, or nothing.
    pub(super) fn own(&mut self, path: FilePath, own: Option<(ContentId, bool)>) {
        self.own.insert(path, own);
    }

    /// Says that a file went already, and that no person took it away.
    pub(super) fn went(&mut self, path: FilePath) {
        self.gone.insert(path);
    }

    /// What is known of a document, with what this draft said.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document(&self, name: &DocName) -> Result<Option<Document>, KbError> {
        match self.documents.get(name) {
            Some(said) => Ok(said.clone()),
            None => rows::record(self.rows, name.as_str()),
        }
    }

    /// The document with this content that was added first, with what this draft said.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document_of(&self, content: ContentId) -> Result<Option<DocName>, KbError> {
        registry::by_content(self.rows, content)
    }

    /// The document of this origin, with what this draft said.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document_from(&self, origin: &Origin) -> Result<Option<DocName>, KbError> {
        registry::by_origin(self.rows, origin)
    }

    /// The document that is called so, whatever the case, with what this draft said.
    ///
    /// # Errors
    /// What the rows say.
    pub fn document_called(&self, name: &str) -> Result<Option<DocName>, KbError> {
        registry::by_folded(self.rows, &name.to_lowercase())
    }

    /// Says what is known of a document, or that there is none of this name; what was compiled from it is an object. Its pages are
    /// left as they are: [`crate::fold`] is what writes them.
    ///
    /// # Errors
    /// What the rows or the disk say.
    pub fn set_document(&mut self, name: &DocName, record: Option<&Document>) -> Result<(), KbError> {
        let compiled = record.map(|record| derived::compiled(self.objects, name.as_str(), record)).transpose()?;
        self.put_document(name, record.zip(compiled.as_ref()))
    }

    pub(crate) fn put_document(
        &mut self,
        name: &DocName,
        after: Option<(&Document, &Compiled)>,
    ) -> Result<(), KbError> {
        let before = self.document(name)?;
        let affected = registry::put(self.rows, name, before.as_ref(), after)?;
        let sequences = [before.as_ref(), after.map(|(after, _)| after)].map(|of| of.map(|of| of.sequence));
        if let Some(sequence) = sequences.into_iter().flatten().min() {
            self.folding.take_in(name, before.is_some(), sequence, affected);
        }
        self.documents.insert(name.clone(), after.map(|(record, _)| record.clone()));
        Ok(())
    }

    /// Whether the rows have what a document says that was compiled so.
    pub(crate) fn says(&self, name: &DocName, document: &Document, compiled: &Compiled) -> Result<bool, KbError> {
        registry::says(self.rows, name, document, compiled)
    }

    /// From now on what is written is stored also where the base is to have it already: it may be gone, or damaged.
    pub(crate) fn store_all(&mut self) {
        self.stores_all = true;
    }

    /// Makes a document part of the change also where it is as it was.
    pub(crate) fn say_again(&mut self, name: &DocName) {
        self.said_again.insert(name.clone());
    }

    /// What is known of a document, and what was compiled from it.
    pub(crate) fn compiled(&self, name: &DocName) -> Result<(Document, Compiled), KbError> {
        let document = self.document(name)?.ok_or_else(|| KbError::Unknown(name.clone()))?;
        let compiled = derived::compiled(self.objects, name.as_str(), &document)?;
        Ok((document, compiled))
    }

    pub(crate) fn next_sequence(&self) -> Result<u64, KbError> {
        Ok(registry::tally(self.rows)?.sequence_last + 1)
    }

    /// The rows as this draft has them: those of documents and pages. Files are in the draft alone.
    pub(crate) fn rows(&self) -> &'a Connection {
        self.rows
    }

    pub(crate) fn objects(&self) -> Objects<'a> {
        self.objects
    }

    pub(crate) fn folding(&mut self) -> &mut Folding {
        &mut self.folding
    }

    /// The documents that differ from the rows, or are said again, as they were and as they are.
    pub(super) fn documents(&self) -> Result<Documents, KbError> {
        let mut documents = Documents::new();
        for (name, after) in &self.documents {
            let before = rows::document(self.rows, name.as_str())?;
            let after = after
                .as_ref()
                .map(|record| serde_json::to_value(record).expect("invariant: what is known of a document is JSON"));
            if before != after || self.said_again.contains(name) {
                documents.insert(name.to_string(), (before, after));
            }
        }
        Ok(documents)
    }

    /// What differs from the rows.
    pub(super) fn changes(&self) -> Result<Vec<FileChange>, KbError> {
        let mut changes = Vec::new();
        for (path, new) in &self.files {
            let base = rows::file(self.rows, path)?;
            if base != *new {
                changes.push(FileChange::new(path.clone(), base, *new));
            }
        }
        Ok(changes)
    }

    /// Says of files that go what people have there, and of those that come again what they had when these went. Looks at them alone.
    pub(super) fn note_own(&self, changes: &mut [FileChange]) -> Result<(), KbError> {
        let fs = self.objects.fs();
        for change in changes {
            let own = match (change.base, change.new) {
                (Some(base), None) => self.own_of(&change.path, base, look(fs, &change.path.to_rel())?),
                // A deletion is over where something stands there now, and an edit where nothing does.
                (None, Some(_)) => match rows::own(self.rows, &change.path)? {
                    // What stood there is to stand there again.
                    Some((_, true)) if self.stands.get(&change.path).is_some_and(|(_, to)| to.is_some()) => None,
                    Some((began, deleted)) => {
                        let is_nothing = fs.stat(&change.path.to_rel())?.is_none();
                        (is_nothing == deleted).then_some((began, deleted))
                    }
                    None => None,
                },
                _ => None,
            };
            if let Some((began, deleted)) = own {
                (change.began, change.deleted) = (Some(began), deleted);
            }
        }
        Ok(())
    }

    /// What a person has of a file that goes. Where it goes back to what was known of them then, and nobody did anything to it since, that.
    fn own_of(&self, path: &FilePath, base: ContentId, found: Found) -> Option<(ContentId, bool)> {
        let there = match found {
            Found::Nothing if self.gone.contains(path) => return None,
            Found::Nothing => None,
            Found::File(there) => Some(there),
            Found::Other => return Some((base, false)),
        };
        let (from, to) = self.stands.get(path).copied().unwrap_or((Some(base), None));
        let known = self.own.get(path).copied().flatten();
        // An edit of which nothing is left then was deleted since.
        match known.filter(|(_, deleted)| there == from && *deleted == to.is_none()) {
            Some(known) => Some(known),
            None if there.is_none() => Some((base, true)),
            None if there == Some(base) || (there == from && to.is_none()) => None,
            None => Some((base, false)),
        }
    }

    /// Looks whether every object is there that a manifest would have, and whole where it is to stand in the place of a person's version.
    /// Nobody collects while the base lock is held: what is there now stays.
    pub(super) fn look(&self, manifest: &Manifest) -> Result<(), KbError> {
        let mut lost = Vec::new();
        // Where nothing new comes, nothing is written.
        for change in manifest.edits.iter().filter(|change| change.base != change.new) {
            let Some(id) = change.new else { continue };
            let standing = lost::standing(self.objects, &change.path, id)?;
            if standing != Standing::There {
                let had = if self.content(&change.path)? == Some(id) { Had::Base } else { Had::Person };
                lost.push(Lost::new(&change.path, had, id, standing != Standing::Missing));
            }
        }
        if !lost.is_empty() {
            return Err(KbError::Lost(lost));
        }
        let shown = manifest.files.iter().filter_map(|change| change.new);
        for id in shown.filter(|id| !self.stored.contains(id)) {
            if !self.objects.has(id)? {
                return Err(KbError::ObjectMissing { id });
            }
        }
        Ok(())
    }

    /// What it does to people's own versions.
    pub(super) fn edits(&self, changes: &[FileChange]) -> Vec<FileChange> {
        let changed = |path: &FilePath| {
            changes.binary_search_by(|change| change.path.cmp(path)).ok().and_then(|at| changes.get(at))
        };
        let edits = self.edits.iter().filter_map(|(path, (from, to))| match changed(path) {
            None => Some((path, (*from, *to))),
            // They give way to the file as it was: they do so to the file as it is.
            Some(change) if to == &change.base && from != to => Some((path, (*from, change.new))),
            Some(_) => None,
        });
        let stands = self.stands.iter().map(|(path, stands)| (path, *stands));
        let all: BTreeMap<_, _> = edits.chain(stands).collect();
        all.into_iter().map(|(path, (from, to))| FileChange::new(path.clone(), from, to)).collect()
    }
}
