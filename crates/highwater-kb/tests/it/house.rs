//! A base in a directory of its own, in which a test is also the person who writes there.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use highwater_kb::resolve::{Resolved, Side, resolve};
use highwater_kb::status::{self, Status};
use highwater_kb::{Base, Committed, Directory, Draft, Fate, FilePath, Home, KbError};

use crate::home::{file, now};
use crate::library::Library;

pub(crate) struct House {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) home: Arc<dyn Home>,
    library: Option<Library>,
}

impl House {
    /// With the pages that every base has.
    pub(crate) fn furnished() -> Self {
        Self::of(Library::new)
    }

    /// With nothing in it, not even those.
    pub(crate) fn bare() -> Self {
        Self::of(Library::bare)
    }

    fn of(library: impl FnOnce(Arc<dyn Home>) -> Library) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
        let library = Some(library(home.clone()));
        Self { directory, home, library }
    }

    pub(crate) fn library(&mut self) -> &mut Library {
        self.library.as_mut().unwrap()
    }

    pub(crate) fn base(&mut self) -> &mut Base {
        &mut self.library().base
    }

    pub(crate) fn change(
        &mut self,
        draft: impl FnOnce(&mut Draft<'_>) -> Result<(), KbError>,
    ) -> Result<Option<Committed>, KbError> {
        self.library().try_change(draft)
    }

    /// Commits these files; `None` is nothing.
    pub(crate) fn commit(&mut self, files: &[(&str, Option<&str>)]) -> Option<Committed> {
        let draft = |draft: &mut Draft<'_>| {
            for (path, text) in files {
                match text {
                    Some(text) => draft.write(file(path), text.as_bytes())?,
                    None => draft.remove(file(path)),
                }
            }
            Ok(())
        };
        self.change(draft).unwrap()
    }

    /// What becomes of a file that is changed so.
    pub(crate) fn fate(&mut self, path: &str, text: Option<&str>) -> Fate {
        self.commit(&[(path, text)]).unwrap().fates[&file(path)]
    }

    pub(crate) fn resolve(&mut self, path: &str, side: Side) -> Result<Resolved, KbError> {
        self.library().under_lock(|base, held| resolve(base, held, now(), &file(path), side))
    }

    /// Goes back to a generation.
    pub(crate) fn undo(&mut self, generation: u32) -> Option<Committed> {
        self.library().under_lock(|base, held| base.undo(held, now(), generation)).unwrap()
    }

    /// The newest generation; 0 before there is one.
    pub(crate) fn head(&mut self) -> u32 {
        self.base().head().unwrap().map_or(0, |head| head.number)
    }

    /// What the newest generation has.
    pub(crate) fn files(&mut self) -> BTreeMap<FilePath, highwater_kb::ContentId> {
        self.base().files().unwrap().into_iter().collect()
    }

    pub(crate) fn status(&self) -> Status {
        status::status(&self.home).unwrap()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    /// Lets go of the base, and of its lock.
    pub(crate) fn leave(&mut self) {
        self.library = None;
    }

    /// Opens it again.
    pub(crate) fn enter(&mut self) {
        self.library = Some(Library::open(self.home.clone()));
    }

    /// Its rows are lost, and made again.
    pub(crate) fn rebuild(&mut self) {
        self.leave();
        for file in ["kb.db", "kb.db-wal", "kb.db-shm"] {
            let _ = fs::remove_file(self.path(".highwater").join(file));
        }
        let held = self.home.try_lock().unwrap().unwrap();
        drop(highwater_kb::base::rebuild(self.home.clone(), &held, now()).unwrap());
        drop(held);
        self.enter();
    }
}
