//! What a generation changed, as an object of its own: from these alone the rows can be made again, and a change be taken back by
//! its opposite. Owns their shape.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use highwater_fs::FsError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::PAGE_BYTES_MAX;
use super::objects::Objects;
use super::project::{Found, look};
use crate::content::ContentId;
use crate::error::KbError;
use crate::fold::is_log;
use crate::page::rendered::marked;
use crate::path::FilePath;

/// The newest shape that this program reads and writes.
const FORMAT: u32 = 3;
/// What a manifest has that says of files that go or come what people made of them, and nothing of what stands in their place.
const FORMAT_WITHOUT_STANDS: u32 = 2;
/// What a manifest has that says nothing of what people made of its files: any program reads it.
const FORMAT_WITHOUT_OWN: u32 = 1;

/// What a generation did that says again what lost ones changed: nothing that was not so before it.
pub(in crate::base) const SAYS_AGAIN: &str = "rebuild";

/// What is known of documents, by their names: before a change, and after it.
pub(super) type Documents = BTreeMap<String, (Option<serde_json::Value>, Option<serde_json::Value>)>;

/// What a generation changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The shape it has: 3 where it says what stands in the place of a file, or is to; 2 where it says else what people made of one; else 1.
    pub format: u32,
    /// Its number.
    pub generation: u32,
    /// The manifest of the generation before it.
    pub parent: Option<ContentId>,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub op: String,
    /// To what.
    pub text: String,
    /// What the log tells of it: one entry or, where it did something to several documents, one for each.
    pub entries: Vec<Entry>,
    /// Every file that it changed.
    pub files: Vec<FileChange>,
    /// What it changed of people's own versions of files, as they stand in `wiki/` and `raw/`: nothing that a generation has. Where it
    /// changes the file, too, this is what is done in its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<FileChange>,
    /// What stood in the place of files, and beside them, and what was to stand there, wherever one of both is not what a generation has
    /// there. It is what was found when the change was made: whoever wrote there since is met as by any other change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stands: Vec<FileChange>,
    /// Every document that it changed: before, and after.
    pub documents: Documents,
    /// Whether the pages of the log stand as they did before it, and tell nothing of it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keeps_log: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Manifest {
    /// The shape of one that says so much of its files.
    pub(super) fn format_of(files: &[FileChange], edits: &[FileChange], stands: &[FileChange]) -> u32 {
        let is_both = || edits.iter().any(|edit| files.iter().any(|file| file.path == edit.path));
        match () {
            () if !stands.is_empty() || is_both() => FORMAT,
            () if files.iter().any(|file| file.began.is_some()) => FORMAT_WITHOUT_STANDS,
            () => FORMAT_WITHOUT_OWN,
        }
    }

    /// Whether it says again what generations before it changed, of which that is lost. What the others changed is as they tell it, so who
    /// goes back goes past this one.
    pub(super) fn says_again(&self) -> bool {
        self.op == SAYS_AGAIN
    }

    /// What is to be written for it.
    pub(super) fn to_write(&self) -> Vec<FileChange> {
        to_write(&self.files, &self.edits)
    }

    /// What it did where its files stand, as far as it is known: from what stood there to what was to stand there.
    pub(super) fn on_disk(&self) -> BTreeMap<&FilePath, &FileChange> {
        // What was found outweighs what was to be done, and that outweighs what was generated.
        self.files.iter().chain(&self.edits).chain(&self.stands).map(|change| (&change.path, change)).collect()
    }

    /// A generation's manifest, which was committed under this name.
    pub(super) fn of(objects: Objects<'_>, generation: u32, id: ContentId) -> Result<Self, KbError> {
        Self::read(generation, &Self::bytes(objects, generation, id)?)
    }

    /// The same, unread.
    pub(super) fn bytes(objects: Objects<'_>, generation: u32, id: ContentId) -> Result<Vec<u8>, KbError> {
        let bytes = objects.manifest(generation)?.ok_or(KbError::ManifestMissing { generation })?;
        let found = ContentId::of(&bytes);
        if found == id { Ok(bytes) } else { Err(KbError::ManifestDamaged { generation }) }
    }

    /// Whether its log stands in `wiki/`, which shows that it was committed, since nothing is shown before. What a person wrote outside
    /// the markers of a log is theirs, and says nothing of it.
    pub(super) fn is_told(&self, objects: Objects<'_>) -> Result<bool, KbError> {
        // A log that was taken over stood there before.
        for change in self.files.iter().filter(|change| !self.keeps_log && is_log(&change.path)) {
            if let Some(new) = change.new
                && tells(objects, &change.path, new)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether something of it stands in `wiki/`. Where no plan is any more, all of it stood there once.
    pub(super) fn is_shown(&self, objects: Objects<'_>) -> Result<bool, KbError> {
        if self.is_told(objects)? {
            return Ok(true);
        }
        // What was taken over stood there before, and so may a document have that was given from where it lies.
        let pages = self.files.iter().filter(|change| !self.keeps_log && change.path.as_str().starts_with("wiki/"));
        for change in pages {
            if let Some(new) = change.new
                && look(objects.fs(), &change.path.to_rel())? == Found::File(new)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether what stands in `wiki/` and `raw/` says that nothing of it was ever shown: its log, a page or a file in `raw/` is still what
    /// the generation before had, and nothing that it takes away is gone.
    pub(super) fn stands_as_before(&self, objects: Objects<'_>) -> Result<bool, KbError> {
        let mut is_as_before = false;
        // What was taken over stands as it stood.
        for change in self.files.iter().filter(|_| !self.keeps_log) {
            let Some(base) = change.base else { continue };
            let found = look(objects.fs(), &change.path.to_rel())?;
            if change.new.is_none() && found == Found::Nothing {
                return Ok(false);
            }
            is_as_before = is_as_before
                || found == Found::File(base)
                || (is_log(&change.path) && tells(objects, &change.path, base)?);
        }
        Ok(is_as_before)
    }

    /// Reads a generation's manifest.
    pub(super) fn read(generation: u32, bytes: &[u8]) -> Result<Self, KbError> {
        /// What every version can read.
        #[derive(Deserialize)]
        struct Shape {
            format: u32,
        }
        if let Ok(Shape { format }) = serde_json::from_slice(bytes)
            && format > FORMAT
        {
            return Err(KbError::NewerManifest { generation, format });
        }
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|source| KbError::Manifest { generation, source })?;
        let found = match () {
            () if manifest.format != Self::format_of(&manifest.files, &manifest.edits, &manifest.stands) => {
                "it has a shape of another version"
            }
            () if manifest.generation != generation => "it has another number",
            () => return Ok(manifest),
        };
        Err(KbError::Chain { generation, found })
    }

    /// Every object that it needs, and that to take it back would need; of an edit this is what a person had there, where that was kept.
    /// Of a document these are all that its record names, in whatever field: rather too many than one too few.
    pub(super) fn refers_to(&self) -> BTreeSet<ContentId> {
        let changes = self.files.iter().chain(&self.edits).chain(&self.stands);
        let named = changes.flat_map(|file| [file.base, file.new, file.began]);
        let mut named: BTreeSet<ContentId> = named.flatten().collect();
        for (before, after) in self.documents.values() {
            before.iter().chain(after).for_each(|record| name_objects(record, &mut named));
        }
        named
    }
}

/// What is to be written: where a person's own version is changed in the place of a file, that.
pub(super) fn to_write(files: &[FileChange], edits: &[FileChange]) -> Vec<FileChange> {
    let each: BTreeMap<_, _> = files.iter().chain(edits).map(|change| (&change.path, change)).collect();
    each.into_values().cloned().collect()
}

/// Whether a page of the log stands there, whatever a person wrote around it.
fn tells(objects: Objects<'_>, path: &FilePath, new: ContentId) -> Result<bool, KbError> {
    match look(objects.fs(), &path.to_rel())? {
        Found::File(there) if there == new => return Ok(true),
        Found::File(_) => {}
        Found::Nothing | Found::Other => return Ok(false),
    }
    let generated = match objects.read(new, PAGE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(KbError::ObjectMissing { .. } | KbError::ObjectDamaged { .. } | KbError::Fs(FsError::TooLarge { .. })) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let stands = match objects.fs().read(&path.to_rel(), PAGE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(FsError::TooLarge { .. }) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let (Ok(generated), Ok(stands)) = (str::from_utf8(&generated), str::from_utf8(&stands)) else { return Ok(false) };
    Ok(marked(generated).zip(marked(stands)).is_some_and(|((_, generated, _), (_, stands, _))| generated == stands))
}

/// Adds what a value names that may be an object: whatever is written as one is.
fn name_objects(value: &serde_json::Value, named: &mut BTreeSet<ContentId>) {
    match value {
        serde_json::Value::String(text) => named.extend(text.parse::<ContentId>().ok()),
        serde_json::Value::Array(values) => values.iter().for_each(|value| name_objects(value, named)),
        serde_json::Value::Object(fields) => fields.values().for_each(|value| name_objects(value, named)),
        _ => {}
    }
}

/// What the log tells of something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What was done: one word, such as `add`.
    pub op: String,
    /// To what, for people.
    pub text: String,
}

/// What a generation changed at one path, or what stood there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileChange {
    /// Where.
    pub path: FilePath,
    /// What the generation before had there; of an edit, what stood there.
    pub base: Option<ContentId>,
    /// What this one has; of an edit, what is to stand there.
    pub new: Option<ContentId>,
    /// The version that a person began from who has there what no generation gave them, or who deleted it. Said of a file that goes, or that
    /// comes again, or that goes back to that version; else it is the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<ContentId>,
    /// Whether they deleted it. Said of a file that goes, and where it comes again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
}

impl FileChange {
    /// A change that people have nothing to do with, as far as it is known.
    pub(super) fn new(path: FilePath, base: Option<ContentId>, new: Option<ContentId>) -> Self {
        Self { path, base, new, began: None, deleted: false }
    }
}
