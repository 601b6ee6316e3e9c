//! What earlier generations had, and what people had beside them: whether `undo` could give it back. Owns which objects are looked at that
//! the newest generation does not need, and what is said of them. Held are the names of those that were looked at, 32 bytes each, and of
//! those that are lost no more than are told.

use std::collections::{BTreeMap, BTreeSet};

use super::mend::Lost;
use super::{FINDINGS_OF_A_KIND_MAX, Finding, Kind, Look};
use crate::base::{Found, Manifest, ObjectStanding, look as look_at};
use crate::content::ContentId;
use crate::error::KbError;
use crate::path::FilePath;

/// What mends it.
const MENDS: &str = "bring it back from a copy of the base; without it `highwater kb undo` cannot give that back";
/// The most generations that are told of one object.
const TOLD_MAX: usize = 4;

/// An object that is lost.
struct Gone {
    /// What it is of: a file, or a document.
    of: Of,
    standing: ObjectStanding,
    /// The generations that had it, the first of them.
    generations: BTreeSet<u32>,
}

enum Of {
    File(FilePath),
    Document(String),
}

/// What is lost of earlier generations, while these are gone through.
#[derive(Default)]
pub(super) struct History {
    gone: BTreeMap<ContentId, Gone>,
}

impl History {
    /// Looks at all that a generation changed, and at what it changed that from.
    pub(super) fn take_in(&mut self, look: &mut Look<'_>, manifest: &Manifest) -> Result<(), KbError> {
        for id in look.snapshot.referred(manifest) {
            if let Some(gone) = self.gone.get_mut(&id) {
                gone.needed(manifest, id);
                continue;
            }
            if !look.seen.insert(id) {
                continue;
            }
            let standing = look.snapshot.stored().standing(id, true)?;
            if standing == ObjectStanding::There || self.gone.len() == FINDINGS_OF_A_KIND_MAX {
                continue;
            }
            // It may be no object: all that a record names is looked at that has such a name.
            let Some(of) = of(manifest, id) else { continue };
            let mut gone = Gone { of, standing, generations: BTreeSet::new() };
            gone.needed(manifest, id);
            self.gone.insert(id, gone);
        }
        Ok(())
    }

    /// Tells of what is lost.
    pub(super) fn tell(self, look: &mut Look<'_>) -> Result<(), KbError> {
        for (id, gone) in self.gone {
            let Some((kind, is)) = Kind::of_object(gone.standing) else { continue };
            let of = match &gone.of {
                Of::File(path) => path,
                Of::Document(name) => {
                    let what = format!(
                        "what was compiled from the document {name}, which {}, as the object {id}, {is}",
                        gone.when()
                    );
                    look.note(Kind::HistoryLost, format!(".highwater/objects/{id}"), what, MENDS);
                    continue;
                }
            };
            // What stands there now needs it: else nobody knows what it was before a change.
            if let Ok(Found::File(there)) = look_at(look.snapshot.disk(), &of.to_rel())
                && there == id
            {
                let what = format!("the bytes that the base keeps of what stands there, as the object {id}, {is}");
                let mends = "they are stored again from the file".to_owned();
                if look.tell(Finding { kind, file: of.to_string(), line: None, what, mends, fix: true }) {
                    look.lost.push(Lost { path: of.clone(), content: id });
                }
                continue;
            }
            let what = format!("what {} there, as the object {id}, {is}", gone.when());
            look.note(Kind::HistoryLost, of, what, MENDS);
        }
        Ok(())
    }
}

impl Gone {
    /// Notes which generations had it there: this one, or the one before it.
    fn needed(&mut self, manifest: &Manifest, id: ContentId) {
        let changes = || manifest.files.iter().chain(&manifest.edits).chain(&manifest.stands);
        let records = |after: bool| {
            manifest
                .documents
                .values()
                .any(|(before, now)| names(if after { now.as_ref() } else { before.as_ref() }, id))
        };
        let is_after = changes().any(|change| change.new == Some(id)) || records(true);
        let is_before = changes().any(|change| change.base == Some(id) || change.began == Some(id)) || records(false);
        let before = is_before.then(|| manifest.generation.saturating_sub(1));
        for generation in is_after.then_some(manifest.generation).into_iter().chain(before) {
            if self.generations.len() <= TOLD_MAX {
                self.generations.insert(generation);
            }
        }
    }

    /// Which generations had it, as words.
    fn when(&self) -> String {
        let mut told: Vec<String> = self.generations.iter().take(TOLD_MAX).map(ToString::to_string).collect();
        if self.generations.len() > TOLD_MAX {
            told.push("later ones".to_owned());
        }
        match (told.pop(), told.is_empty()) {
            (Some(one), true) => format!("generation {one} had"),
            (Some(last), false) => format!("generations {} and {last} had", told.join(", ")),
            (None, _) => "an earlier generation had".to_owned(),
        }
    }
}

/// What an object is of that a manifest names.
fn of(manifest: &Manifest, id: ContentId) -> Option<Of> {
    let changes = manifest.files.iter().chain(&manifest.edits).chain(&manifest.stands);
    let mut changes = changes.filter(|change| [change.base, change.new, change.began].contains(&Some(id)));
    if let Some(change) = changes.next() {
        return Some(Of::File(change.path.clone()));
    }
    let of = |record: &Option<serde_json::Value>| names(record.as_ref(), id);
    let found = manifest.documents.iter().find(|(_, (before, after))| of(before) || of(after));
    found.map(|(name, _)| Of::Document(name.to_string()))
}

/// Whether a record names this object as what was compiled.
fn names(record: Option<&serde_json::Value>, id: ContentId) -> bool {
    let compiled = record.and_then(|record| record.get("compiled")?.as_str()?.parse::<ContentId>().ok());
    compiled == Some(id)
}
