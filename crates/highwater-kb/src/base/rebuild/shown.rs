//! What stands in `wiki/` and `raw/` when rows are made again. Owns how a person's edit is told from what a crash left undone.

use std::collections::BTreeSet;

use highwater_db::sqlite::rusqlite::Transaction;
use highwater_fs::{Fs, Kind};

use crate::base::manifest::{FileChange, Manifest};
use crate::base::objects::{Instead, Objects, Standing};
use crate::base::project::{Fate, Found, is_begun, look, was_shown};
use crate::base::{PAGE_BYTES_MAX, rows};
use crate::conflict::Beside;
use crate::content::ContentId;
use crate::error::KbError;
use crate::path::FilePath;

/// Files that are looked at in one piece.
const FILES: u32 = 1_000;

/// Leaves to whoever finishes the newest generation what is to be written of it: what cannot be, since its bytes are not there, would hold
/// them up for ever; and what a person changed since it stood there is not met a second time. Nothing is where all of it is known to stand:
/// then there is no such generation here.
pub(super) fn leave_to_be_written(
    transaction: &Transaction<'_>,
    objects: Objects<'_>,
    newest: Option<&Manifest>,
) -> Result<(), KbError> {
    let (fs, changes) = (objects.fs(), rows::changes(transaction)?);
    let Some(newest) = newest else {
        let all: Vec<FilePath> = changes.into_iter().map(|change| change.path).collect();
        return rows::leave_out(transaction, &all);
    };
    // All of it stood: there is no plan any more, and the sign that comes of one, or something of it.
    let stood = !is_begun(fs, newest.generation)? && (was_shown(fs, newest.generation)? || newest.is_shown(objects)?);
    let mut left_out = Vec::new();
    for FileChange { path, new, .. } in changes {
        let is_lacking = |new: &ContentId| {
            if look(fs, &path.to_rel())? == Found::File(*new) {
                return Ok(false);
            }
            match objects.standing(*new, true)? {
                Standing::There => Ok(false),
                Standing::Missing | Standing::Damaged => Ok(true),
                // What cannot be read now is not given up for that.
                Standing::Unreadable => Err(KbError::ObjectDamaged { id: *new, found: Instead::Odd(Kind::File) }),
            }
        };
        if stood || new.as_ref().map_or(Ok(false), is_lacking)? {
            left_out.push(path);
        }
    }
    rows::leave_out(transaction, &left_out)
}

/// Notes what people had made of the files that nobody is to write.
pub(super) fn note_fates(transaction: &Transaction<'_>, fs: &dyn Fs) -> Result<(), KbError> {
    let changed: BTreeSet<FilePath> = rows::changes(transaction)?.into_iter().map(|change| change.path).collect();
    let open = Beside::new(transaction, Objects::new(fs)).open(usize::MAX)?;
    let mut after = String::new();
    loop {
        let files = rows::survey::files_after(transaction, &after, FILES)?;
        let Some((last, _)) = files.last() else { return Ok(()) };
        after = last.to_string();
        let mut fates = Vec::new();
        for (path, content) in files.into_iter().filter(|(path, _)| !changed.contains(path)) {
            let stat = fs.stat(&path.to_rel())?;
            // What is large is not read for it.
            let is_page = path.as_str().ends_with(".md") && stat.is_some_and(|stat| stat.len <= PAGE_BYTES_MAX);
            let fate = match stat {
                None => Fate::Deleted,
                Some(_) if open.contains(&path) => Fate::Conflict,
                Some(_) if is_page && look(fs, &path.to_rel())? != Found::File(content) => Fate::Merged,
                Some(_) => continue,
            };
            fates.push((path, fate));
        }
        rows::fated(transaction, &fates)?;
    }
}
