//! Going back to an earlier generation, which is a new one with the old contents. Owns what the opposite of a change is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::commit::Committed;
use super::{Base, BaseLock};
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::fold;
use crate::path::FilePath;

impl Base {
    /// Makes the next generation one that has what `generation` had; 0 is the empty base. `None` where the newest has it already.
    ///
    /// People's edits are met as by any other change. The log only grows: that it went back is an entry of its own.
    ///
    /// # Errors
    /// [`KbError::NoGeneration`], [`KbError::GenerationLost`], a manifest that is missing or damaged, and as [`Base::commit`].
    pub fn undo(&mut self, held: &BaseLock, at: Timestamp, generation: u32) -> Result<Option<Committed>, KbError> {
        self.finish(held)?;
        let head = self.head()?.map_or(0, |head| head.number);
        if generation > head {
            return Err(KbError::NoGeneration { generation, head });
        }
        let (mut files, mut documents) = (BTreeMap::new(), BTreeMap::new());
        let mut edits: BTreeMap<FilePath, (Option<ContentId>, Option<ContentId>)> = BTreeMap::new();
        for taken_back in (generation + 1..=head).rev() {
            let manifest = self.manifest(taken_back)?.ok_or(KbError::GenerationLost { generation: taken_back })?;
            let changed = manifest.files.into_iter().filter(|file| !fold::is_log(&file.path));
            files.extend(changed.map(|file| (file.path, file.base)));
            for edit in manifest.edits {
                edits.entry(edit.path).or_insert((edit.new, None)).1 = edit.base;
            }
            documents.extend(manifest.documents.into_iter().map(|(name, (before, _))| (name, before)));
        }
        self.commit(held, at, "undo", &format!("back to generation {generation}"), |draft| {
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
