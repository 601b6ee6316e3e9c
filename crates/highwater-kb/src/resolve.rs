//! The end of a conflict: a page that a person had edited where a change did, too, and the version beside it. Owns which of the two
//! stays. The base has the generated one in either case, so that whatever comes next is merged with the one that stays.
//!
//! Nothing of a person's goes without being kept: it is in `.highwater/quarantine/` before anything is changed, and the change is one
//! generation, which `undo` takes back.

use std::io;

use highwater_fs::Quarantine;
use jiff::Timestamp;

use crate::base::{Base, BaseLock, Committed, Draft, Found, QUARANTINE, layout, look};
use crate::conflict::Beside;
use crate::content::ContentId;
use crate::error::KbError;
use crate::path::FilePath;

/// The most open conflicts that are listed.
pub const OPEN_MAX: usize = 1_000;

/// How often a conflict is looked at anew that is written to while it is settled.
const LOOKS_MAX: usize = 8;

/// Which version stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What the person has there.
    Mine,
    /// What the base has.
    Theirs,
}

/// A conflict that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The generation that it is.
    pub committed: Committed,
    /// What of a person's is no longer where it was, and where it is kept, from the base's root.
    pub kept: Vec<(FilePath, String)>,
}

/// Ends the conflict of a file. With [`Side::Theirs`], a file that a person deleted comes back, too.
///
/// # Errors
/// [`KbError::NoConflict`]; [`KbError::NoFile`] where something that is no file is in its place; [`KbError::Changed`] where it is written
/// to again and again meanwhile; and as [`Base::commit`].
pub fn resolve(
    base: &mut Base,
    held: &BaseLock,
    at: Timestamp,
    path: &FilePath,
    side: Side,
) -> Result<Resolved, KbError> {
    let mut looks = 0;
    loop {
        looks += 1;
        match settle(base, held, at, path, side) {
            Err(KbError::Changed { .. }) if looks < LOOKS_MAX => {}
            ended => return ended,
        }
    }
}

fn settle(base: &mut Base, held: &BaseLock, at: Timestamp, path: &FilePath, side: Side) -> Result<Resolved, KbError> {
    let mut kept = Vec::new();
    let word = if side == Side::Mine { "mine" } else { "theirs" };
    let text = format!("{path}, {word}");
    let committed = base.commit(held, at, "resolve", &text, |draft| {
        let fs = draft.objects().fs();
        let generated = draft.content(path)?;
        let versions = Beside::new(draft.rows(), draft.objects()).versions(path)?;
        let stands = look(fs, &path.to_rel())?;
        let comes_back = side == Side::Theirs && stands == Found::Nothing && generated.is_some();
        if versions.is_empty() && !comes_back {
            return Err(KbError::NoConflict(path.clone()));
        }
        for (version, content) in versions {
            // What the base has there now is in the base. Anything else may be what a person wrote, also where it is an object: what they
            // wrote and `lint --fix` mended is one.
            if generated != Some(content) {
                keep(draft, &version, content, &mut kept)?;
            }
            draft.edit(version, Some(content), None);
        }
        match (side, stands) {
            (Side::Mine, _) if generated.is_none() => {}
            (Side::Mine, _) => draft.edit(path.clone(), generated, generated),
            (Side::Theirs, Found::Nothing) => draft.edit(path.clone(), None, generated),
            (Side::Theirs, Found::File(mine)) if Some(mine) == generated => {
                draft.edit(path.clone(), generated, generated);
            }
            (Side::Theirs, Found::File(mine)) => {
                keep(draft, path, mine, &mut kept)?;
                draft.edit(path.clone(), Some(mine), generated);
            }
            (Side::Theirs, Found::Other) => return Err(KbError::NoFile(path.clone())),
        }
        Ok(())
    })?;
    let committed = committed.ok_or_else(|| KbError::NoConflict(path.clone()))?;
    Ok(Resolved { committed, kept })
}

/// Keeps what a person wrote, for them to see, and as an object, for `undo`.
fn keep(
    draft: &Draft<'_>,
    path: &FilePath,
    content: ContentId,
    kept: &mut Vec<(FilePath, String)>,
) -> Result<(), KbError> {
    let fs = draft.objects().fs();
    let open = || fs.reader(&path.to_rel()).map_err(|error| io::Error::other(error.to_string()));
    let (found, _) = draft.objects().put_stream(open)?;
    if found != content {
        return Err(KbError::Changed { first: content, then: found });
    }
    let quarantine = Quarantine::new(fs, layout(QUARANTINE));
    let place = quarantine.keep_file(&path.to_rel(), "a conflict was settled, and the other version stays")?;
    kept.push((path.clone(), place.path.to_string()));
    Ok(())
}

impl Base {
    /// The files beside which a version lies, in order; at most [`OPEN_MAX`]. Looks at the names of all that stands in `wiki/` and `raw/`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn conflicts(&self) -> Result<Vec<FilePath>, KbError> {
        Ok(self.beside()?.open(OPEN_MAX)?.into_iter().collect())
    }
}
