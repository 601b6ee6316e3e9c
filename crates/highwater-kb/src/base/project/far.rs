//! Directories of `wiki/` and `raw/` that are mounts of their own: nothing can be renamed into them from where bytes are staged. What is
//! staged for them is brought **near** first, under a hidden name in the directory itself; from then on its step is one rename there,
//! like any other. Owns those names, the mark that says that there are some, and that they go.

use std::collections::BTreeSet;
use std::io;

use highwater_fs::{Fs, Mode, Quarantine, RelPath, publish};

use super::plan::{Act, Earlier, Plan, Step, name_of};
use super::{TMP, staged};
use crate::base::layout;
use crate::base::manifest::FileChange;
use crate::error::KbError;

/// How much of a file is held while it is copied.
const BUFFER_BYTES: usize = 64 * 1024;
/// What the names begin with; Obsidian shows none that begin with a dot.
const NEAR: &str = ".highwater-";
/// How the mark of a generation ends that has such names.
const MARK: &str = ".far";

/// Where the bytes of a step are that can be renamed to its target.
#[derive(Debug)]
pub(super) struct Places<'a> {
    fs: &'a dyn Fs,
    generation: u32,
    /// Something was brought near, or is about to be.
    is_marked: bool,
}

impl<'a> Places<'a> {
    pub(super) fn new(fs: &'a dyn Fs, generation: u32) -> Result<Self, KbError> {
        let is_marked = fs.stat(&mark_of(generation))?.is_some();
        if is_marked {
            // Its sync may have failed: it must not be lost once what is staged is gone.
            fs.sync_dir(&layout(TMP))?;
        }
        Ok(Self { fs, generation, is_marked })
    }

    /// Whether a directory had to be brought something.
    pub(super) fn are_far(&self) -> bool {
        self.is_marked
    }

    /// Does a step from where its bytes are staged or, where that is on another file system, from near its target. What a step does there
    /// follows from what it finds, so that one which was refused for that is begun anew.
    pub(super) fn take<T>(
        &mut self,
        n: usize,
        step: &Step,
        take: impl Fn(&RelPath) -> Result<T, KbError>,
    ) -> Result<T, KbError> {
        let (place, near) = (staged(&name_of(self.generation, n)), near_of(self.generation, n, step));
        if self.is_marked && self.fs.stat(&place)?.is_none() && self.fs.stat(&near)?.is_some() {
            return take(&near);
        }
        match take(&place) {
            Err(KbError::Fs(error)) if error.kind() == io::ErrorKind::CrossesDevices => {}
            done => return done,
        }
        if !self.is_marked {
            publish(self.fs, &mark_of(self.generation), b"", Mode::Umask)?;
            self.is_marked = true;
        }
        bring(self.fs, &place, &near)?;
        take(&near)
    }
}

/// Copies what is staged to near its target. While it is staged, what lies near is none of it; once that is gone, it lies near.
fn bring(fs: &dyn Fs, place: &RelPath, near: &RelPath) -> Result<(), KbError> {
    let Some(staged) = fs.stat(place)? else { return Ok(()) };
    match fs.unlink(near) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut copy = fs.create(near, Mode::Exact(staged.mode))?;
    let mut from = fs.reader(place)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => copy.append(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(KbError::Source(error)),
        }
    }
    copy.sync()?;
    fs.sync_dir(&near.parent().unwrap_or_default())?;
    fs.unlink(place)?;
    Ok(fs.sync_dir(&layout(TMP))?)
}

/// Removes what lies near for a generation that is applied. To be called before its plan goes.
pub(super) fn clear(fs: &dyn Fs, generation: u32) -> Result<(), KbError> {
    if fs.stat(&mark_of(generation))?.is_none() {
        return Ok(());
    }
    // Without its plan, all of this was done before.
    let Earlier::Plan(plan) = Plan::find(fs, generation)? else { return Ok(()) };
    // Also where nothing is left: the sync of an earlier call may have failed.
    let mut directories = BTreeSet::new();
    for (n, step) in plan.steps.iter().enumerate().filter(|(_, step)| !matches!(step.act, Act::Leave)) {
        let directory = step.path.directory();
        match fs.unlink(&near_of(generation, n, step)) {
            Ok(()) => drop(directories.insert(directory)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                directories.extend(fs.stat(&directory)?.map(|_| directory));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(fs.sync_dirs(&directories.iter().collect::<Vec<_>>())?)
}

/// Sets aside what lies near for a generation whose plan cannot be read.
pub(super) fn set_aside(
    fs: &dyn Fs,
    quarantine: &Quarantine<'_>,
    generation: u32,
    changes: &[FileChange],
    why: &str,
) -> Result<(), KbError> {
    if fs.stat(&mark_of(generation))?.is_none() {
        return Ok(());
    }
    let directories: BTreeSet<RelPath> = changes.iter().map(|change| change.path.directory()).collect();
    for directory in directories {
        let entries = match fs.list(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            if entry.name.to_str().is_some_and(|name| name.starts_with(&format!("{NEAR}{generation}-"))) {
                let near = directory.join(&entry.name).expect("invariant: what is listed is one name");
                quarantine.set_aside(&near, why)?;
            }
        }
    }
    Ok(())
}

fn near_of(generation: u32, n: usize, step: &Step) -> RelPath {
    let name = format!("{NEAR}{}", name_of(generation, n));
    step.path.directory().join(name).expect("invariant: digits are part of a name")
}

fn mark_of(generation: u32) -> RelPath {
    staged(&format!("{generation}{MARK}"))
}
