//! Jobs that make pages of a knowledge base: where it is, and what converts and compiles.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::clock::SharedClock;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::pass::Runner;
use highwater_kb::add::{KbAdd, KbAddSettings, Place};
use highwater_kb::compile::builtin::Builtin;
use highwater_kb::convert::{Limits, Subprocess};
use highwater_kb::{Directory, KbError};

use crate::owner::become_owner;

/// What a base has below its root, by which it is found.
pub(crate) const ROWS: &str = ".highwater/kb.db";
/// By which it is found where its rows are gone.
const OBJECTS: &str = ".highwater/objects";

/// There is no knowledge base.
pub(crate) const NO_BASE: &str = "HW-KB-023";
/// This program does not find itself.
const NO_PROGRAM: &str = "HW-KB-002";

/// Whether a directory is a base: it has rows, or had them, since something is stored.
pub(crate) fn is_base(root: &Path) -> bool {
    let stores = || std::fs::read_dir(root.join(OBJECTS)).is_ok_and(|mut objects| objects.next().is_some());
    root.join(ROWS).is_file() || stores()
}

/// A base's directory, as its owner.
///
/// # Errors
/// A refusal where none was made there, or it is another user's.
pub(crate) fn root(named: &Path) -> Result<PathBuf, Diagnosis> {
    become_owner(&[&named.join(ROWS), named])?;
    let root = named.canonicalize().ok().filter(|root| is_base(root));
    root.ok_or_else(|| {
        Diagnosis::refusal(
            NO_BASE,
            "there is no knowledge base; expected a directory that `highwater kb init` made",
            "correct the path, or make one there: `highwater kb init DIR`",
        )
        .in_file(named)
    })
}

/// The base at this directory, and what makes its pages.
///
/// # Errors
/// Where there is no base.
pub(crate) fn place(base: &Path, clock: &SharedClock) -> Result<Place<Builtin>, Diagnosis> {
    let root = root(base)?;
    let home =
        Directory::open(&root).map_err(|error| highwater_kb::add::diagnosis(&KbError::from(error)).in_file(&root))?;
    let program = std::env::current_exe()
        .map_err(|error| Diagnosis::failure(NO_PROGRAM, with_causes(&error), "call highwater by its whole path"))?;
    Ok(Place {
        home: Arc::new(home),
        root,
        converter: Subprocess::new(&program, Limits::default(), Arc::clone(clock)),
        compiler: Builtin,
    })
}

/// The job that adds documents.
///
/// # Errors
/// Where there is no base.
pub(crate) fn runner(settings: &KbAddSettings, clock: &SharedClock) -> Result<Box<dyn Runner>, Diagnosis> {
    let named = settings.paths.iter().map(|path| path.to_path_buf()).collect();
    Ok(Box::new(Arc::new(KbAdd::new(place(&settings.base, clock)?, named))))
}
