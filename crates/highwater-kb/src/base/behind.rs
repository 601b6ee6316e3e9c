//! Rows of an earlier time, as from a copy. Owns what proves that a generation was committed which rows do not tell of.
//!
//! The manifest after the newest generation may be that of an attempt whose COMMIT never came: such a one is written over. One that has a
//! plan or a sign, or whose log stands in `wiki/`, was committed, since nothing is shown before; and so was one that has another after it.

use super::manifest::Manifest;
use super::objects::Objects;
use super::project::is_committed;
use crate::error::KbError;

/// How often others may commit while it is looked.
const LOOKS_MAX: usize = 100;

/// Refuses rows that are behind; `head` says again and again which generation is the newest that they tell of.
///
/// # Errors
/// [`KbError::RowsBehind`], and what the disk or the rows say.
pub(super) fn refuse(objects: Objects<'_>, head: impl Fn() -> Result<u32, KbError>) -> Result<(), KbError> {
    let mut known = head()?;
    for _ in 0..LOOKS_MAX {
        if !is_passed(objects, known)? {
            return Ok(());
        }
        // Somebody may have committed since.
        let now = head()?;
        if now == known {
            return Err(KbError::RowsBehind { head: known });
        }
        known = now;
    }
    Ok(())
}

/// Whether a generation was committed after this one.
fn is_passed(objects: Objects<'_>, generation: u32) -> Result<bool, KbError> {
    let next = generation.saturating_add(1);
    if objects.has_manifest(next.saturating_add(1))? {
        return Ok(true);
    }
    if !objects.has_manifest(next)? {
        // It may be lost, and its sign not.
        return is_committed(objects.fs(), next);
    }
    // It may be an attempt, unless there is any after it: this is looked at where a crash was, or a change is under way.
    if objects.generations()?.last().is_some_and(|last| *last > next) {
        return Ok(true);
    }
    if is_committed(objects.fs(), next)? {
        return Ok(true);
    }
    let bytes = match objects.manifest(next) {
        Ok(Some(bytes)) => bytes,
        // What is no file was put there by somebody: the next generation sets it aside.
        Ok(None) | Err(KbError::ManifestDamaged { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let Ok(manifest) = Manifest::read(next, &bytes) else { return Ok(false) };
    manifest.is_told(objects)
}
