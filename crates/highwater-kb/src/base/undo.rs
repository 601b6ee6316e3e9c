//! Going back to an earlier generation, which is a new one with the old contents. Owns what the opposite of a change is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::commit::Committed;
use super::draft::Draft;
use super::manifest::FileChange;
use super::objects::Objects;
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

impl Base {
    /// Makes the next generation one that has what `generation` had; 0 is the empty base. `None` where the newest has it already.
    ///
    /// What stood in `wiki/` and `raw/` then stands there again, people's own versions and what lay beside them too. What they wrote since
    /// is met as by any other change. The log only grows: that it went back is an entry of its own.
    ///
    /// # Errors
    /// [`KbError::NoGeneration`], [`KbError::GenerationLost`], a manifest that is missing or damaged, and as [`Base::commit`].
    pub fn undo(&mut self, held: &BaseLock, at: Timestamp, generation: u32) -> Result<Option<Committed>, KbError> {
        self.finish(held)?;
        let head = self.head()?.map_or(0, |head| head.number);
        if generation > head {
            return Err(KbError::NoGeneration { generation, head });
        }
        let (mut files, mut own, mut stood) = (Files::new(), BTreeMap::new(), Vec::new());
        let mut documents = BTreeMap::new();
        for taken_back in (generation + 1..=head).rev() {
            let manifest = self.manifest(taken_back)?.ok_or(KbError::GenerationLost { generation: taken_back })?;
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
        self.commit(held, at, "undo", &format!("back to generation {generation}"), |draft| {
            for (path, (from, to)) in backwards(draft.objects(), stood)? {
                // What a person had there was not always kept.
                let is_there = to.map_or(Ok(true), |to| draft.objects().has(to))?;
                let generated = (draft.content(&path)?, files.get(&path).copied());
                match generated {
                    _ if !is_there => {}
                    // What was known of people when the file went or came says nothing of what stood there.
                    (before, Some(after))
                        if (before, after) == (from, to)
                            && !draft.is_away(&path)?
                            && own.get(&path).is_none_or(Option::is_none) => {}
                    (_, Some(_)) => draft.stand(path, from, to),
                    (None, None) if from != to => lay(draft, path, from, to)?,
                    (_, None) if from != to => draft.edit(path, from, to),
                    _ => {}
                }
            }
            for (path, content) in files {
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
                draft.set_document(&DocName::try_from(name)?, record.as_ref())?;
            }
            Ok(())
        })
    }
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
fn backwards(objects: Objects<'_>, edited: Vec<FileChange>) -> Result<Stands, KbError> {
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
