//! A generation, written to `wiki/` and `raw/` beside whatever people do there.
//!
//! Looks at each file that changed and **plans** what to do with it; stages all new bytes in `.highwater/tmp/`; publishes the plan;
//! then **acts**, file by file, each by one rename. Once the plan is durable, what became of a staged file says how far it came:
//! its own bytes are still there, or those that it replaced, or none. So whoever finds a plan after a crash goes on with it,
//! and never does a thing twice: a page that somebody deleted meanwhile is not written again.
//!
//! Owns that order. What to do with an edit is decided in `plan`.

mod act;
mod far;
mod merge;
mod plan;
mod sign;
mod stood;

use std::collections::BTreeMap;

use highwater_fs::{Fs, Quarantine, RelPath};

use serde::{Deserialize, Serialize};

use super::layout;
use super::manifest::FileChange;
use super::objects::Objects;
use crate::content::ContentId;
use crate::error::KbError;
use crate::path::FilePath;

pub(super) use self::merge::{merge, version};
pub(crate) use self::plan::{CONFLICTS_MAX, Found, look};
use self::plan::{Earlier, PLAN_SUFFIX, Plan};
pub(super) use self::sign::{is_committed, manifest_of, newest_committed, note_committed, was_shown};
pub(super) use self::stood::stood;

/// Where bytes are staged.
pub(super) const TMP: &str = ".highwater/tmp";

/// Where damaged things go.
pub(crate) const QUARANTINE: &str = ".highwater/quarantine";

/// What became of a file that a generation changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is as it was generated.
    AsGenerated,
    /// A person had edited it, and what was generated is merged into that.
    Merged,
    /// A person had edited it, and what was generated lies beside it.
    Conflict,
    /// It was to go, and stays, since a person had edited it.
    Kept,
    /// A person had deleted it, and it stays deleted.
    Deleted,
}

impl Fate {
    /// As rows have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsGenerated => "as-generated",
            Self::Merged => "merged",
            Self::Conflict => "conflict",
            Self::Kept => "kept",
            Self::Deleted => "deleted",
        }
    }
}

/// What became of the files that a generation changed.
pub(super) type Fates = BTreeMap<FilePath, Fate>;

/// Brings a generation to `wiki/` and `raw/`, or goes on with that: its number, and what its manifest is called.
pub(super) fn project(
    fs: &dyn Fs,
    (generation, manifest): (u32, ContentId),
    changes: &[FileChange],
) -> Result<Fates, KbError> {
    let is_staged = |name: &str, of: u32| !sign::is_sign(name) || of > generation;
    let plan = match Plan::find(fs, generation)? {
        Earlier::Plan(plan) => {
            // Its sync may have failed: it must not be lost after a step of it was done.
            fs.sync_dir(&layout(TMP))?;
            plan
        }
        Earlier::None => {
            sweep(fs, is_staged, |file| Ok(fs.unlink(file)?))?;
            Plan::draw(fs, (generation, manifest), changes)?
        }
        // What is staged may be what a person wrote in the moment of a change.
        Earlier::Unreadable(why) => {
            let quarantine = Quarantine::new(fs, layout(QUARANTINE));
            far::set_aside(fs, &quarantine, generation, changes, &why)?;
            sweep(fs, is_staged, |file| Ok(quarantine.set_aside(file, &why).map(drop)?))?;
            Plan::draw(fs, (generation, manifest), changes)?
        }
    };
    act::act(fs, &plan)
}

/// Whether it was begun to bring a generation to `wiki/` and `raw/`, and not noted that it is there.
pub(super) fn is_begun(fs: &dyn Fs, generation: u32) -> Result<bool, KbError> {
    Ok(!matches!(Plan::find(fs, generation)?, Earlier::None))
}

/// What would become of these files, as they are now.
pub(super) fn foresee(fs: &dyn Fs, objects: Objects<'_>, changes: &[FileChange]) -> Result<Fates, KbError> {
    let drafts = plan::drafts(fs, objects, changes)?;
    Ok(drafts.into_iter().map(|draft| (draft.step.file, draft.step.fate)).collect())
}

/// Removes what is left of generations up to this one, the newest there is; but for the sign that this one stands.
pub(super) fn clear(fs: &dyn Fs, applied: u32) -> Result<(), KbError> {
    far::clear(fs, applied)?;
    sign::note_shown(fs, applied)?;
    sweep(
        fs,
        |name, of| if sign::is_sign(name) { !sign::says_shown(name, applied) } else { of <= applied },
        |file| Ok(fs.unlink(file)?),
    )
}

/// Does something to all that is staged for such generations.
fn sweep(
    fs: &dyn Fs,
    goes: impl Fn(&str, u32) -> bool,
    away: impl Fn(&RelPath) -> Result<(), KbError>,
) -> Result<(), KbError> {
    let mut entries = fs.list(&layout(TMP))?;
    // A plan is forgotten before what it speaks of: it would be gone on with.
    entries.sort_by_key(|entry| !entry.name.to_string_lossy().ends_with(PLAN_SUFFIX));
    for entry in entries {
        let Some(name) = entry.name.to_str() else { continue };
        let of = name.trim_start_matches('.').split(['-', '.']).next().and_then(|number| number.parse().ok());
        if of.is_some_and(|of| goes(name, of)) {
            away(&staged(name))?;
        }
    }
    Ok(())
}

/// A name in the directory where bytes are staged.
fn staged(name: &str) -> RelPath {
    layout(TMP).join(name).expect("invariant: what is listed or staged is one name")
}
