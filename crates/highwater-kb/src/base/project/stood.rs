//! What a change finds where its files stand, and what it is to leave there, wherever one of both is a person's. Owns what a generation
//! remembers of that, so that going back finds again what stood there, and not only what was generated.

use std::collections::BTreeMap;
use std::io;

use super::plan::{Act, Draft, Found, Source, beside_these, decide};
use crate::base::PAGE_BYTES_MAX;
use crate::base::manifest::FileChange;
use crate::base::objects::Objects;
use crate::content::ContentId;
use crate::error::KbError;
use crate::path::FilePath;

/// What each change finds and leaves, where that is not what generations have there: `files` is what they have, `changes` what is to be
/// done. What a person wrote is stored with it.
pub(in crate::base) fn stood(
    objects: Objects<'_>,
    files: &[FileChange],
    changes: &[FileChange],
) -> Result<Vec<FileChange>, KbError> {
    let generated: BTreeMap<_, _> = files.iter().map(|file| (&file.path, (file.base, file.new))).collect();
    let (beside, mut stood) = (beside_these(changes), BTreeMap::new());
    for change in changes {
        let draft = match decide(objects.fs(), objects, change, &beside) {
            // Something has the place of its directory: whoever shows it says so.
            Err(KbError::Fs(error)) if error.kind() == io::ErrorKind::NotADirectory => continue,
            draft => draft?,
        };
        let Some((there, is_left)) = found(objects, &draft)? else { continue };
        let Draft { step, source, .. } = draft;
        let expected = match step.act {
            Act::Replace { expected, .. } => Some(expected),
            _ => None,
        };
        let put = match (step.act, source) {
            (Act::Create { .. } | Act::Replace { .. }, Some(Source::Merged(bytes))) => Some(objects.put(&bytes)?),
            (Act::Create { staged } | Act::Replace { staged, .. }, _) => Some(staged),
            (Act::Leave | Act::Remove { .. }, _) => None,
        };
        let is_beside = step.path != step.file;
        if is_beside && put.is_some() {
            stood.insert(step.path, (expected, put));
        }
        let after = match step.act {
            Act::Leave => there,
            _ if is_beside => there,
            _ => put,
        };
        if generated.get(&step.file) != Some(&(there, after)) {
            if is_left {
                keep(objects, &step.file, there)?;
            }
            stood.insert(step.file, (there, after));
        }
    }
    Ok(stood.into_iter().map(|(path, (base, new))| FileChange::new(path, base, new)).collect())
}

/// What is there, and whether that is a file; `None` of what cannot be remembered.
fn found(objects: Objects<'_>, draft: &Draft) -> Result<Option<(Option<ContentId>, bool)>, KbError> {
    match draft.found {
        Found::Nothing => Ok(Some((None, false))),
        Found::File(there) => {
            let stat = objects.fs().stat(&draft.step.file.to_rel())?;
            Ok(stat.filter(|stat| stat.len <= PAGE_BYTES_MAX).map(|_| (Some(there), true)))
        }
        Found::Other => Ok(None),
    }
}

/// Stores what a person has there. One who goes on writing is met later.
fn keep(objects: Objects<'_>, path: &FilePath, there: Option<ContentId>) -> Result<(), KbError> {
    match there {
        Some(there) if !objects.has(there)? => {
            let open = || objects.fs().reader(&path.to_rel()).map_err(|error| io::Error::other(error.to_string()));
            objects.put_stream(open).map(drop)
        }
        _ => Ok(()),
    }
}
