//! Signs in `.highwater/tmp/` of what was committed, and of what was shown, for those who have lost the rows that say it.
//!
//! A generation has a plan as soon as it is begun to show it, and that is after its COMMIT. The plan is not removed in the end: it gets
//! another name, which says that all of it stood. What cannot even be planned gets a sign of its own. So of the last two manifests it is
//! known whether they are those of generations, as long as somebody leaves these files; nobody has to wait for the disk for it.
//!
//! Owns the names of the signs, and that none is left that speaks of a generation which is none any more.

use std::io;

use highwater_fs::{Fs, Mode, RelPath, publish};

use super::plan::{Earlier, PLAN_SUFFIX, Plan, plan_of};
use super::{TMP, staged};
use crate::base::layout;
use crate::content::ContentId;
use crate::error::KbError;

/// How the sign ends that a generation stood in `wiki/` and `raw/`, all of it.
const SHOWN: &str = ".shown";
/// How the sign ends that a generation is committed, and could not be planned yet.
const COMMITTED: &str = ".committed";

/// Whether a generation is known to have been committed.
pub(in crate::base) fn is_committed(fs: &dyn Fs, generation: u32) -> Result<bool, KbError> {
    // In this order: a plan becomes a sign.
    for name in [plan_of(generation), sign(generation, COMMITTED), sign(generation, SHOWN)] {
        if fs.stat(&name)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether all of a generation is known to have stood in `wiki/` and `raw/`.
pub(in crate::base) fn was_shown(fs: &dyn Fs, generation: u32) -> Result<bool, KbError> {
    Ok(fs.stat(&sign(generation, SHOWN))?.is_some())
}

/// What the manifest of a generation is called, as its plan said it, which is its sign later; `None` where nothing says it.
pub(in crate::base) fn manifest_of(fs: &dyn Fs, generation: u32) -> Result<Option<ContentId>, KbError> {
    for name in [plan_of(generation), sign(generation, SHOWN)] {
        if let Earlier::Plan(plan) = Plan::read(fs, &name, generation)? {
            return Ok(plan.manifest);
        }
    }
    Ok(None)
}

/// The newest generation of which a plan or a sign says that it was committed.
pub(in crate::base) fn newest_committed(fs: &dyn Fs) -> Result<Option<u32>, KbError> {
    let entries = match fs.list(&layout(TMP)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let says = |name: &str| {
        let number = [PLAN_SUFFIX, COMMITTED, SHOWN].iter().find_map(|end| name.strip_suffix(end))?;
        number.parse().ok()
    };
    Ok(entries.iter().filter_map(|entry| says(entry.name.to_str()?)).max())
}

/// Says of a generation that is committed and cannot be shown that it is one.
pub(in crate::base) fn note_committed(fs: &dyn Fs, generation: u32) -> Result<(), KbError> {
    if is_committed(fs, generation)? {
        return Ok(());
    }
    Ok(publish(fs, &sign(generation, COMMITTED), b"", Mode::Umask)?)
}

/// Says of the newest generation that it stands. Whatever a power cut leaves of it, the plan is there or the sign.
pub(super) fn note_shown(fs: &dyn Fs, generation: u32) -> Result<(), KbError> {
    let (plan, shown) = (plan_of(generation), sign(generation, SHOWN));
    if generation == 0 {
        return Ok(());
    }
    if fs.stat(&plan)?.is_some() {
        return Ok(fs.rename(&plan, &shown)?);
    }
    // An earlier version of this program left none, or somebody has tidied up.
    if fs.stat(&shown)?.is_none() {
        drop(fs.create(&shown, Mode::Umask)?);
    }
    Ok(())
}

/// Whether a name is that of a sign.
pub(super) fn is_sign(name: &str) -> bool {
    name.ends_with(SHOWN) || name.ends_with(COMMITTED)
}

/// Whether a name is that of the sign that this generation stood.
pub(super) fn says_shown(name: &str, generation: u32) -> bool {
    name == format!("{generation}{SHOWN}")
}

fn sign(generation: u32, end: &str) -> RelPath {
    staged(&format!("{generation}{end}"))
}
