//! Going back to an earlier generation, which is a new one with the old contents. Owns what the opposite of a change is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::commit::{Committed, Draft};
use super::manifest::FileChange;
use super::objects::Objects;
use super::project::{Found, look, merge, version};
use super::{Base, BaseLock};
use crate::conflict::Beside;
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::fold;
use crate::path::FilePath;

/// What goes back, and what each is to be.
type Files = BTreeMap<FilePath, Option<ContentId>>;
/// What people's own versions are, and what each is to be.
type Edits = BTreeMap<FilePath, (Option<ContentId>, Option<ContentId>)>;
/// What each file, and a person's version of it, became in the generations that are taken back: where it met another, that lies beside it.
type Brought = BTreeMap<FilePath, BTreeSet<ContentId>>;

impl Base {
    /// Makes the next generation one that has what `generation` had; 0 is the empty base. `None` where the newest has it already.
    ///
    /// People's edits are met as by any other change; what was laid beside one of them by what is taken back goes where nobody wrote there
    /// since, and the edit is one of the version before it. The log only grows: that it went back is an entry of its own.
    ///
    /// # Errors
    /// [`KbError::NoGeneration`], [`KbError::GenerationLost`], a manifest that is missing or damaged, and as [`Base::commit`].
    pub fn undo(&mut self, held: &BaseLock, at: Timestamp, generation: u32) -> Result<Option<Committed>, KbError> {
        self.finish(held)?;
        let head = self.head()?.map_or(0, |head| head.number);
        if generation > head {
            return Err(KbError::NoGeneration { generation, head });
        }
        let (mut files, mut edited, mut brought) = (Files::new(), Vec::new(), Brought::new());
        let mut documents = BTreeMap::new();
        for taken_back in (generation + 1..=head).rev() {
            let manifest = self.manifest(taken_back)?.ok_or(KbError::GenerationLost { generation: taken_back })?;
            for file in manifest.files.into_iter().filter(|file| !fold::is_log(&file.path)) {
                brought.entry(file.path.clone()).or_default().extend(file.new);
                files.insert(file.path, file.base);
            }
            note_laid(&mut brought, &manifest.edits);
            edited.extend(manifest.edits);
            documents.extend(manifest.documents.into_iter().map(|(name, (before, _))| (name, before)));
        }
        self.commit(held, at, "undo", &format!("back to generation {generation}"), |draft| {
            let mut edits = backwards(draft.objects(), edited)?;
            take_from_beside(draft, &files, &mut edits, &brought)?;
            for (path, content) in files {
                match content {
                    Some(content) => draft.place(path, content),
                    None => draft.remove(path),
                }
            }
            // What stands there now is a person's: it goes back where it is still what was written there.
            for (path, (from, to)) in edits {
                let is_there = to.map_or(Ok(true), |to| draft.objects().has(to))?;
                if from != to && is_there {
                    draft.edit(path, from, to);
                }
            }
            // Who goes makes room for who comes: their names may differ in case alone.
            let (come, go): (Vec<_>, Vec<_>) = documents.into_iter().partition(|(_, record)| record.is_some());
            for (name, record) in go.into_iter().chain(come) {
                let record = record.map(serde_json::from_value::<Document>).transpose();
                let record = record.map_err(|source| KbError::Record { name: name.clone(), source })?;
                draft.set_document(&DocName::try_from(name)?, record.as_ref())?;
            }
            Ok(())
        })
    }
}

/// What edits may have laid beside a file. What they took away from there, lay there before.
fn note_laid(brought: &mut Brought, edits: &[FileChange]) {
    let lay: BTreeSet<_> = edits.iter().filter_map(|edit| edit.path.lies_beside().zip(edit.base)).collect();
    for edit in edits {
        let laid = edit.new.filter(|new| !lay.contains(&(edit.path.clone(), *new)));
        brought.entry(edit.path.clone()).or_default().extend(laid);
    }
}

/// The opposite of edits, the newest of which comes first: one for each path. What a person wrote between two of them stays: the older one is taken
/// out of it where they do not meet. Where they do, what that one began from is met by their version, as any other change.
fn backwards(objects: Objects<'_>, edited: Vec<FileChange>) -> Result<Edits, KbError> {
    let (mut edits, mut ended) = (Edits::new(), BTreeSet::new());
    for edit in edited {
        let FileChange { path, base, new, .. } = edit;
        let Some((_, to)) = edits.get_mut(&path) else {
            edits.insert(path, (new, base));
            continue;
        };
        if ended.contains(&path) {
            continue;
        }
        if *to == new {
            *to = base;
            continue;
        }
        let without = match (new, *to, base) {
            (Some(new), Some(theirs), Some(base)) => merged(objects, new, theirs, base)?,
            // They had taken it away, or made it.
            _ => None,
        };
        match without {
            Some(without) => *to = Some(without),
            None => {
                if new.is_some() && to.is_some() && base.is_some() {
                    edits.insert(path.clone(), (new, base));
                }
                ended.insert(path);
            }
        }
    }
    Ok(edits)
}

/// What a person wrote without the edit that was there before, as an object.
fn merged(
    objects: Objects<'_>,
    edit: ContentId,
    theirs: ContentId,
    before: ContentId,
) -> Result<Option<ContentId>, KbError> {
    let (Some(edit), Some(theirs), Some(before)) =
        (version(objects, edit)?, version(objects, theirs)?, version(objects, before)?)
    else {
        return Ok(None);
    };
    merge(&edit, &theirs, &before).map(|bytes| objects.put(&bytes)).transpose()
}

/// Takes away what the generations that are taken back laid beside people's versions, and says of these what they began from.
fn take_from_beside(draft: &mut Draft<'_>, files: &Files, edits: &mut Edits, brought: &Brought) -> Result<(), KbError> {
    let is_brought = |page: &FilePath, version: ContentId| brought.get(page).is_some_and(|all| all.contains(&version));
    let fs = draft.objects().fs();
    let mut own = BTreeSet::new();
    for page in brought.keys() {
        let is_own = match look(fs, &page.to_rel())? {
            Found::Nothing => false,
            Found::File(there) => draft.content(page)? != Some(there),
            Found::Other => true,
        };
        if is_own {
            own.insert(page.clone());
        }
    }
    let mut met = BTreeSet::new();
    for (path, (_, to)) in edits.iter_mut() {
        let (Some(page), Some(version)) = (path.lies_beside(), *to) else { continue };
        // It was laid there, and a conflict was ended since; where that gave the page to what was generated, nothing is a person's there.
        if is_brought(&page, version) {
            if own.contains(&page) {
                met.insert(page);
            }
            *to = None;
        }
    }
    edits.retain(|path, (from, to)| match (path.lies_beside(), *to) {
        (Some(_), None) => from.is_some(),
        // It is laid there again by what becomes of the page, unless that stays as it is.
        (Some(page), Some(version)) => met.contains(&page) || files.get(&page) != Some(&Some(version)),
        (None, _) => true,
    });
    for page in &own {
        for (path, version) in Beside::new(draft.rows(), draft.objects()).versions(page)? {
            if is_brought(page, version) && draft.content(&path)?.is_none() {
                edits.insert(path, (Some(version), None));
                met.insert(page.clone());
            }
        }
    }
    for page in met {
        if let Some(before) = files.get(&page) {
            draft.began(page, *before);
        }
    }
    Ok(())
}
