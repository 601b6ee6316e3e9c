//! The steps of a plan, done. Owns what a staged file says of how far its step came, and that nothing is forgotten before what
//! replaced it is durable.

use std::collections::BTreeSet;
use std::io;

use highwater_fs::{Fs, FsError, Mode, RelPath, ensure_dir};

use super::far::Places;
use super::plan::{Act, Beside, Found, Plan, Step, beside_of, look};
use super::{Fate, Fates, TMP};
use crate::base::layout;
use crate::content::ContentId;
use crate::error::KbError;
use crate::path::FilePath;

/// Does every step that is not done, and makes all of them durable.
pub(super) fn act(fs: &dyn Fs, plan: &Plan) -> Result<Fates, KbError> {
    let mut fates = Fates::new();
    let mut touched = BTreeSet::from([layout(TMP)]);
    let mut places = Places::new(fs, plan.generation)?;
    for (n, step) in plan.steps.iter().enumerate() {
        if step.new_directory {
            ensure_dir(fs, &step.path.directory(), Mode::Umask)?;
        }
        let fate = match step.act {
            Act::Leave => step.fate,
            Act::Create { .. } => places.take(n, step, |place| create(fs, place, step))?,
            Act::Replace { staged, expected } => {
                places.take(n, step, |place| replace(fs, place, step, staged, expected))?
            }
            Act::Remove { expected } => places.take(n, step, |place| remove(fs, place, step, expected))?,
        };
        // What goes is moved to where bytes are staged, and durable with that; on another file system it stays in its directory.
        let is_put = matches!(step.act, Act::Create { .. } | Act::Replace { .. });
        if is_put || (places.are_far() && matches!(step.act, Act::Remove { .. })) {
            touched.insert(step.path.directory());
        }
        fates.insert(step.file.clone(), fate);
    }
    fs.sync_dirs(&touched.iter().collect::<Vec<_>>())?;
    Ok(fates)
}

fn create(fs: &dyn Fs, place: &RelPath, step: &Step) -> Result<Fate, KbError> {
    match look(fs, place)? {
        // It is where it belongs, or where somebody moved it since.
        Found::Nothing => Ok(step.fate),
        _ => match fs.rename_new(place, &step.path.to_rel()) {
            Ok(()) => Ok(step.fate),
            Err(error) if is_taken(&error) => give_way(fs, place, &step.file),
            Err(error) => Err(error.into()),
        },
    }
}

fn replace(fs: &dyn Fs, place: &RelPath, step: &Step, new: ContentId, expected: ContentId) -> Result<Fate, KbError> {
    let target = step.path.to_rel();
    let swap = match look(fs, place)? {
        // It went beside the target.
        Found::Nothing => return Ok(Fate::Conflict),
        Found::File(waits) if waits == new => true,
        Found::File(was) if was == expected => false,
        // What a person wrote in the moment of the change.
        _ => return put_back(fs, place, step, new),
    };
    if !swap {
        return Ok(step.fate);
    }
    match look(fs, &target)? {
        Found::Nothing => Ok(if step.path == step.file { Fate::Deleted } else { step.fate }),
        Found::File(there) if there == new => Ok(step.fate),
        Found::File(there) if there == expected => {
            match fs.exchange(place, &target) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Fate::Deleted),
                Err(error) => return Err(error.into()),
            }
            match look(fs, place)? {
                Found::File(was) if was == expected => Ok(step.fate),
                _ => put_back(fs, place, step, new),
            }
        }
        _ => give_way(fs, place, &step.file),
    }
}

/// What came out of the exchange is not what went in: a person wrote in between. Theirs goes back, ours beside it.
fn put_back(fs: &dyn Fs, place: &RelPath, step: &Step, new: ContentId) -> Result<Fate, KbError> {
    let target = step.path.to_rel();
    if look(fs, &target)? == Found::File(new) {
        fs.exchange(place, &target)?;
        return give_way(fs, place, &step.file);
    }
    // And wrote again since: both are theirs.
    give_way(fs, place, &step.file)
}

fn remove(fs: &dyn Fs, place: &RelPath, step: &Step, expected: ContentId) -> Result<Fate, KbError> {
    let target = step.path.to_rel();
    if look(fs, place)? == Found::Nothing {
        match look(fs, &target)? {
            Found::Nothing => return Ok(step.fate),
            Found::File(there) if there == expected => match fs.rename_new(&target, place) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(step.fate),
                Err(error) => return Err(error.into()),
            },
            _ => return Ok(Fate::Kept),
        }
    }
    match look(fs, place)? {
        Found::File(was) if was == expected => Ok(step.fate),
        Found::Nothing => Ok(step.fate),
        _ => match fs.rename_new(place, &target) {
            Ok(()) => Ok(Fate::Kept),
            Err(error) if is_taken(&error) => give_way(fs, place, &step.file).map(|_| Fate::Kept),
            Err(error) => Err(error.into()),
        },
    }
}

/// What is staged goes beside a file that is a person's.
fn give_way(fs: &dyn Fs, place: &RelPath, file: &FilePath) -> Result<Fate, KbError> {
    if let Found::File(waits) = look(fs, place)? {
        let (beside, there) = beside_of(fs, file, (None, waits), &Beside::new())?;
        if there.is_none() {
            fs.rename_new(place, &beside.to_rel())?;
        }
    }
    Ok(Fate::Conflict)
}

fn is_taken(error: &FsError) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists
}
