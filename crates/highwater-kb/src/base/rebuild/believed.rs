//! Which manifests are believed. Every one names the one before it, so a later one vouches for all that lead to it; one that is not what its
//! successor names, or cannot be read, is not believed. Owns that a generation that is lost leaves a gap, and does not end history; and that
//! the newest is none where it was begun and never committed.

use std::collections::BTreeSet;

use highwater_engine::diagnosis::with_causes;
use highwater_fs::FsError;

use crate::base::manifest::Manifest;
use crate::base::objects::{Objects, Standing};
use crate::base::project::is_begun;
use crate::content::ContentId;
use crate::error::KbError;

/// What there is of generations.
pub(super) struct Believed {
    /// In order, with what their manifests are called.
    pub(super) generations: Vec<(u32, ContentId)>,
    pub(super) damaged: Vec<(u32, String)>,
    pub(super) missing: Vec<u32>,
    /// One that was begun and never committed.
    pub(super) attempt: Option<u32>,
}

/// Whether a generation never came to its COMMIT: what it changes was to be stored before, and nothing of it is shown.
fn is_attempt(objects: Objects<'_>, manifest: &Manifest) -> Result<bool, KbError> {
    if manifest.is_told(objects)? || is_begun(objects.fs(), manifest.generation)? {
        return Ok(false);
    }
    for new in manifest.files.iter().filter_map(|change| change.new) {
        if objects.standing(new, false)? == Standing::Missing {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Goes back from the newest generation: each names the one before it.
pub(super) fn believed(objects: Objects<'_>) -> Result<Believed, KbError> {
    let numbers = objects.generations()?;
    let mut believed = Believed { generations: Vec::new(), damaged: Vec::new(), missing: Vec::new(), attempt: None };
    let mut named: Option<(u32, Option<ContentId>)> = None;
    for number in numbers.iter().rev().copied() {
        let bytes = match objects.manifest(number) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => continue,
            Err(KbError::Fs(error @ FsError::TooLarge { .. })) => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        let id = bytes.as_ref().ok().map(|bytes| ContentId::of(bytes));
        let expected = named.filter(|(number_named, _)| *number_named == number).map(|(_, id)| id);
        let read = match bytes {
            Ok(_) if expected.is_some_and(|expected| expected != id) => {
                Err("it is another than the generation after it names".to_owned())
            }
            Ok(bytes) => match Manifest::read(number, &bytes) {
                Ok(manifest) => {
                    let is_newest = believed.generations.is_empty() && believed.damaged.is_empty();
                    if is_newest && believed.attempt.is_none() && is_attempt(objects, &manifest)? {
                        believed.attempt = Some(number);
                        continue;
                    }
                    Ok(manifest.parent)
                }
                // Not for this program to set aside.
                Err(error @ KbError::NewerManifest { .. }) => return Err(error),
                Err(error) => Err(with_causes(&error)),
            },
            Err(why) => Err(why),
        };
        match (read, id) {
            (Ok(parent), Some(id)) => {
                named = number.checked_sub(1).map(|before| (before, parent));
                believed.generations.push((number, id));
            }
            (Err(why), _) => believed.damaged.push((number, why)),
            (Ok(_), None) => {} // what was read has a name
        }
    }
    if believed.generations.is_empty() && (believed.attempt.is_none() || !believed.damaged.is_empty()) {
        return Err(KbError::NoGenerations);
    }
    believed.generations.reverse();
    believed.damaged.reverse();
    let there: BTreeSet<u32> = numbers.into_iter().collect();
    let last = there.last().copied().unwrap_or(0);
    believed.missing = (1..=last).filter(|number| !there.contains(number)).collect();
    Ok(believed)
}
