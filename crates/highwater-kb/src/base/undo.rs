//! Going back to an earlier generation, which is a new one with the old contents. Owns what the opposite of a change is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::commit::Committed;
use super::draft::Draft;
use super::lost::{self, Had, Lost};
use super::manifest::FileChange;
use super::objects::{Objects, Standing};
use super::project::{CONFLICTS_MAX, Found, look, merge, version};
use super::{Base, BaseLock};
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::fold;
use crate::path::FilePath;

/// What goes back, and what each is to be.
type Files = BTreeMap<FilePath, Option<ContentId>>;
/// What stands at each path, and what is to stand there.
type Stands = BTreeMap<FilePath, (Option<ContentId>, Option<ContentId>)>;

/// What going back came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The generation that it is; `None` where the newest has it already.
    pub committed: Option<Committed>,
    /// What people had and is not given back, since it is not stored any more, or damaged.
    pub lost: Vec<Lost>,
}

impl Base {
    /// Makes the next generation one that has what `generation` had; 0 is the empty base. `None` where the newest has it already.
    ///
    /// What stood in `wiki/` and `raw/` then stands there again, people's own versions and what lay beside them too. What they wrote since
    /// is met as by any other change. The log only grows: that it went back is an entry of its own.
    ///
    /// # Errors
    /// [`KbError::NoGeneration`], [`KbError::GenerationLost`], a manifest that is missing or damaged, [`KbError::Lost`] with all that cannot
    /// be given back, and as [`Base::commit`].
    pub fn undo(&mut self, held: &BaseLock, at: Timestamp, generation: u32) -> Result<Option<Committed>, KbError> {
        Ok(self.go_back(held, at, generation, false)?.committed)
    }

    /// The same, also where something that people had is not stored any more, or damaged: that file stands as the base had it then, or
    /// stays as it is.
    ///
    /// # Errors
    /// As [`Base::undo`]; [`KbError::Lost`] where something of the base itself is.
    pub fn undo_partly(&mut self, held: &BaseLock, at: Timestamp, generation: u32) -> Result<Undone, KbError> {
        self.go_back(held, at, generation, true)
    }

    fn go_back(&mut self, held: &BaseLock, at: Timestamp, generation: u32, partly: bool) -> Result<Undone, KbError> {
        self.finish(held)?;
        let head = self.head()?.map_or(0, |head| head.number);
        if generation > head {
            return Err(KbError::NoGeneration { generation, head });
        }
        let (mut files, mut own, mut stood) = (Files::new(), BTreeMap::new(), Vec::new());
        let mut documents = BTreeMap::new();
        for taken_back in (generation + 1..=head).rev() {
            let manifest = self.manifest(taken_back)?.ok_or(KbError::GenerationLost { generation: taken_back })?;
            if manifest.says_again() {
                continue;
            }
            let stands = manifest.on_disk().into_values().filter(|change| !is_of_log(&change.path));
            // Where a person had deleted a file, nothing stood there.
            stood.extend(stands.map(|change| match change.deleted {
                true => FileChange::new(change.path.clone(), None, None),
                false => FileChange::new(change.path.clone(), change.base, change.new),
            }));
            for file in manifest.files.into_iter().filter(|file| !fold::is_log(&file.path)) {
                own.insert(file.path.clone(), file.began.map(|began| (began, file.deleted)));
                files.insert(file.path, file.base);
            }
            documents.extend(manifest.documents.into_iter().map(|(name, (before, _))| (name, before)));
        }
        let mut lost = Vec::new();
        let committed = self.commit(held, at, "undo", &format!("back to generation {generation}"), |draft| {
            for (path, (from, to)) in backwards(draft.objects(), stood, &mut lost)? {
                let generated = (draft.content(&path)?, files.get(&path).copied());
                let is_done = match generated {
                    // No page of the base, and what a person has there is theirs.
                    (None, Some(None)) if from == to => true,
                    // What was known of people when the file went or came says nothing of what stood there.
                    (before, Some(after)) => {
                        let is_known = draft.is_away(&path)? || own.get(&path).is_some_and(Option::is_some);
                        (before, after) == (from, to) && !is_known
                    }
                    (_, None) => from == to,
                };
                if is_done || !is_whole(draft, &path, (Had::Person, to), &mut lost)? {
                    continue;
                }
                match generated {
                    (_, Some(_)) => draft.stand(path, from, to),
                    (None, None) => lay(draft, path, from, to)?,
                    (Some(_), None) => draft.edit(path, from, to),
                }
            }
            for (path, content) in files {
                if draft.content(&path)? != content {
                    is_whole(draft, &path, (Had::Base, content), &mut lost)?;
                }
                match content {
                    Some(content) => draft.place(path, content),
                    None => {
                        draft.own(path.clone(), own.remove(&path).flatten());
                        draft.remove(path);
                    }
                }
            }
            // Who goes makes room for who comes: their names may differ in case alone.
            let (come, go): (Vec<_>, Vec<_>) = documents.into_iter().partition(|(_, record)| record.is_some());
            for (name, record) in go.into_iter().chain(come) {
                let record = record.map(serde_json::from_value::<Document>).transpose();
                let record = record.map_err(|source| KbError::Record { name: name.clone(), source })?;
                match draft.set_document(&DocName::try_from(name.clone())?, record.as_ref()) {
                    Err(KbError::ObjectMissing { id }) => lost.push(Lost::new(name, Had::Compiled, id, false)),
                    Err(KbError::ObjectDamaged { id, .. }) => lost.push(Lost::new(name, Had::Compiled, id, true)),
                    set => set?,
                }
            }
            lost.sort();
            lost.dedup();
            match lost.iter().all(|lost| partly && lost.had == Had::Person) {
                true => Ok(()),
                false => Err(KbError::Lost(lost.clone())),
            }
        })?;
        Ok(Undone { committed, lost })
    }
}

/// Whether what is to stand there can; else it is noted.
fn is_whole(
    draft: &Draft<'_>,
    path: &FilePath,
    (had, id): (Had, Option<ContentId>),
    lost: &mut Vec<Lost>,
) -> Result<bool, KbError> {
    let Some(id) = id else { return Ok(true) };
    let standing = lost::standing(draft.objects(), path, id)?;
    if standing != Standing::There {
        lost.push(Lost::new(path, had, id, standing != Standing::Missing));
    }
    Ok(standing == Standing::There)
}

/// Whether it is a page of the log, or lies beside one: it only grows.
fn is_of_log(path: &FilePath) -> bool {
    fold::is_log(path) || path.lies_beside().is_some_and(|page| fold::is_log(&page))
}

/// Changes what lies beside a page. Where a person wrote there, what is to lie there has another place beside the page.
fn lay(draft: &mut Draft<'_>, path: FilePath, from: Option<ContentId>, to: Option<ContentId>) -> Result<(), KbError> {
    let fs = draft.objects().fs();
    let (Some(page), Some(version)) = (path.lies_beside(), to) else {
        draft.edit(path, from, to);
        return Ok(());
    };
    let is_theirs = match look(fs, &path.to_rel())? {
        Found::Nothing => false,
        Found::File(there) => Some(there) != from && there != version,
        Found::Other => true,
    };
    if !is_theirs {
        draft.edit(path, from, to);
        return Ok(());
    }
    for n in 1..=CONFLICTS_MAX {
        let place = page.beside(n)?;
        if look(fs, &place.to_rel())? == Found::Nothing {
            draft.edit(place, None, to);
            return Ok(());
        }
    }
    Err(KbError::Conflicts { path: page, limit: CONFLICTS_MAX })
}

/// The opposite of edits, the newest of which comes first: one for each path. What a person wrote between two of them stays: the older one is taken
/// out of it where they do not meet. Where they do, what that one began from is met by their version, as any other change.
fn backwards(objects: Objects<'_>, edited: Vec<FileChange>, lost: &mut Vec<Lost>) -> Result<Stands, KbError> {
    let (mut edits, mut ended) = (Stands::new(), BTreeSet::new());
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
            (Some(new), Some(theirs), Some(base)) => {
                for id in [new, theirs, base] {
                    let standing = objects.standing(id, true)?;
                    if standing != Standing::There {
                        lost.push(Lost::new(&path, Had::Person, id, standing != Standing::Missing));
                    }
                }
                merged(objects, new, theirs, base)?
            }
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
