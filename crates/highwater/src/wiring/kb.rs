//! Jobs that make pages of a knowledge base: where it is, and what converts and compiles.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::clock::SharedClock;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::name::ResourceName;
use highwater_engine::pass::Runner;
use highwater_kb::add::{KbAdd, KbAddSettings, NEXT, Named, Place};
use highwater_kb::compile::builtin::Builtin;
use highwater_kb::convert::{Limits, Subprocess};
use highwater_kb::web::{NoAddress, Patience};
use highwater_kb::{Directory, KbError};

use crate::owner::become_owner;

/// What a base has below its root, by which it is found.
pub(crate) const ROWS: &str = ".highwater/kb.db";

/// There is no knowledge base.
pub(crate) const NO_BASE: &str = "HW-KB-023";
/// An address is none that documents are fetched from.
const NO_ADDRESS: &str = "HW-KB-051";
/// This program does not find itself.
const NO_PROGRAM: &str = "HW-KB-002";

/// A base's directory, as its owner.
///
/// # Errors
/// A refusal where none was made there, or it is another user's.
pub(crate) fn root(named: &Path) -> Result<PathBuf, Diagnosis> {
    become_owner(&[&named.join(ROWS), named])?;
    let root = named.canonicalize().ok().filter(|root| root.join(ROWS).is_file());
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

/// The job that adds documents, whose contacts are made on these resources.
///
/// # Errors
/// Where there is no base, and an address that is none.
pub(crate) fn runner(
    settings: &KbAddSettings,
    resources: Vec<ResourceName>,
    clock: &SharedClock,
) -> Result<Box<dyn Runner>, Diagnosis> {
    let paths = settings.paths.iter().map(|path| path.to_path_buf()).collect();
    let addresses = settings.addresses().map_err(|error| no_address(&error))?;
    let named = Named { paths, addresses, resources, patience: Patience::default() };
    Ok(Box::new(Arc::new(KbAdd::new(place(&settings.base, clock)?, named))))
}

/// A refusal of an address that is none.
pub(crate) fn no_address(error: &NoAddress) -> Diagnosis {
    Diagnosis::refusal(NO_ADDRESS, with_causes(error), NEXT)
}
