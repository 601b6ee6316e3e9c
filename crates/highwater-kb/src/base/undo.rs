//! Going back to an earlier generation, which is a new one with the old contents. Owns what the opposite of a change is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::commit::Committed;
use super::{Base, BaseLock};
use crate::error::KbError;

impl Base {
    /// Makes the next generation one that has what `generation` had; 0 is the empty base. `None` where the newest has it already.
    ///
    /// People's edits are met as by any other change.
    ///
    /// # Errors
    /// [`KbError::NoGeneration`], a manifest that is missing or damaged, and as [`Base::commit`].
    pub fn undo(&mut self, held: &BaseLock, at: Timestamp, generation: u32) -> Result<Option<Committed>, KbError> {
        self.finish(held)?;
        let head = self.head()?.map_or(0, |head| head.number);
        if generation > head {
            return Err(KbError::NoGeneration { generation, head });
        }
        let (mut files, mut documents) = (BTreeMap::new(), BTreeMap::new());
        for taken_back in (generation + 1..=head).rev() {
            let manifest = self.manifest(taken_back)?.ok_or(KbError::NoGeneration { generation: taken_back, head })?;
            files.extend(manifest.files.into_iter().map(|file| (file.path, file.base)));
            documents.extend(manifest.documents.into_iter().map(|(name, (before, _))| (name, before)));
        }
        self.commit(held, at, "undo", &format!("back to generation {generation}"), |draft| {
            for (path, content) in files {
                match content {
                    Some(content) => draft.place(path, content),
                    None => draft.remove(path),
                }
            }
            for (name, record) in documents {
                draft.set_document(name, record);
            }
            Ok(())
        })
    }
}
