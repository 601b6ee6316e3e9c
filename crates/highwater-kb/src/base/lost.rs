//! Bytes that a change is to put somewhere, and that are not stored any more, or are damaged. Owns how that is known before the change is
//! committed, and how it is told: afterwards it could never be shown.

use std::fmt;
use std::io;

use serde::Serialize;

use super::objects::{Objects, Standing};
use super::project::{Found, look};
use crate::content::ContentId;
use crate::error::KbError;
use crate::path::FilePath;

/// The most that one message names.
const NAMED_MAX: usize = 10;

/// Bytes that are to stand somewhere, and cannot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lost {
    /// The file that they are of, from the base's root, or the name of a document.
    pub of: String,
    /// What of it.
    pub had: Had,
    /// What they are called.
    pub object: ContentId,
    /// Whether something is stored in their place: other bytes, or what cannot be read.
    pub is_damaged: bool,
}

/// What bytes are of a file, or of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Had {
    /// What a person had there.
    Person,
    /// What the base has there.
    Base,
    /// What was compiled from a document.
    Compiled,
}

impl Lost {
    pub(super) fn new(of: impl ToString, had: Had, object: ContentId, is_damaged: bool) -> Self {
        Self { of: of.to_string(), had, object, is_damaged }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, had, object, is_damaged } = self;
        match had {
            Had::Person => write!(f, "what a person had in {of}")?,
            Had::Base => write!(f, "what the base keeps of {of}")?,
            Had::Compiled => write!(f, "what was compiled from the document {of}")?,
        }
        f.write_str(if *is_damaged { " is damaged" } else { " is not stored any more" })?;
        write!(f, " (.highwater/objects/{object})")
    }
}

/// All of it, in one sentence.
pub(crate) fn told(lost: &[Lost]) -> String {
    let mut told: Vec<String> = lost.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if lost.len() > NAMED_MAX {
        told.push(format!("and {} more", lost.len() - NAMED_MAX));
    }
    told.join("; ")
}

/// How the bytes are that are to stand in a file. Where the file itself has them still, they are stored again.
pub(super) fn standing(objects: Objects<'_>, path: &FilePath, id: ContentId) -> Result<Standing, KbError> {
    let standing = objects.standing(id, true)?;
    let fs = objects.fs();
    if standing == Standing::There || !matches!(look(fs, &path.to_rel()), Ok(Found::File(there)) if there == id) {
        return Ok(standing);
    }
    let open = || fs.reader(&path.to_rel()).map_err(|error| io::Error::other(error.to_string()));
    objects.restore(id, open)?;
    Ok(Standing::There)
}
