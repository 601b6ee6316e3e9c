//! Directories of an installation. Owns how one is made so that a call which was interrupted is finished by the next, and when one that
//! is there is good as it is.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use nix::unistd::Uid;
use rustix::fs::{Mode, OFlags};

use super::{MODE_BITS, MODE_OF_SYSTEM, Stage, cannot};
use crate::owner::name_of;
use crate::put::Put;
use highwater_engine::shell::quoted;

/// What nobody but its maker may look into: a directory before it has its owner.
const MODE_BEFORE: u32 = 0o700;
const GROUP_READS_AND_ENTERS: u32 = 0o050;
const ALL_READ_AND_ENTER: u32 = 0o005;
const GROUP_WRITES: u32 = 0o020;
const ALL_WRITE: u32 = 0o002;

/// Whose a directory is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Owner {
    /// The service's.
    Service,
    /// Root's to write, the service's to read.
    RootAndGroup,
}

impl Stage {
    /// A directory of the service's.
    ///
    /// # Errors
    /// What the disk says; something else in its place.
    pub(in super::super) fn directory(&mut self, path: &Path, mode: u32, owner: Owner) -> Result<(), Diagnosis> {
        let here = self.at(path);
        let found = path.display().to_string();
        match here.metadata() {
            Ok(meta) if !meta.is_dir() => Err(cannot(&"a file is in its place", &here)),
            Ok(meta) => match self.look(path, &meta, mode, owner) {
                Look::Good => {
                    self.as_it_was("directory", found);
                    Ok(())
                }
                Look::Mend => {
                    if !self.rehearse {
                        self.hand_over(&here, mode, owner).map_err(|error| cannot(&error, &here))?;
                    }
                    self.stood("directory", found, Put::Changed);
                    Ok(())
                }
                Look::Strange(why) => {
                    let next = format!("`chown {} {}`, or name another", self.account.name, quoted(&found));
                    self.left("directory", format!("{found} {why}"), &next);
                    Ok(())
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !self.rehearse {
                    self.make(&here, mode, owner).map_err(|error| cannot(&error, &here))?;
                }
                self.stood("directory", found, Put::Made);
                Ok(())
            }
            Err(error) => Err(cannot(&error, &here)),
        }
    }

    /// What is to be done with a directory that is there. One that is root's and empty was made by a call that did not come to its
    /// end, or by hand; one that has its owner keeps the mode that somebody may have given it.
    fn look(&self, path: &Path, meta: &fs::Metadata, mode: u32, owner: Owner) -> Look {
        let ids = self.account.ids.filter(|_| self.is_root);
        let Some((uid, gid)) = ids else {
            return if meta.mode() & MODE_BITS == mode || self.root.is_none() { Look::Good } else { Look::Mend };
        };
        let has = |bits: u32| meta.mode() & bits == bits;
        let in_group = meta.gid() == gid;
        match owner {
            Owner::RootAndGroup if has(ALL_READ_AND_ENTER) || (in_group && has(GROUP_READS_AND_ENTERS)) => Look::Good,
            Owner::Service if meta.uid() == uid || has(ALL_WRITE) || (in_group && has(GROUP_WRITES)) => Look::Good,
            // A link may have been put there by whoever the place belongs to: nothing is handed over through one.
            _ if self.at(path).is_symlink() => {
                Look::Strange(format!("is a link, and {} cannot use it", self.account.name))
            }
            Owner::RootAndGroup if meta.uid() == 0 => Look::Mend,
            Owner::Service if meta.uid() == 0 && is_empty(&self.at(path)) => Look::Mend,
            _ => Look::Strange(format!(
                "belongs to {}, and {} cannot use it",
                name_of(Uid::from_raw(meta.uid())),
                self.account.name
            )),
        }
    }

    /// Makes it for nobody else to look into, then gives it its mode, and its owner last: who has its owner has its mode.
    fn make(&self, here: &Path, mode: u32, owner: Owner) -> io::Result<()> {
        if let Some(above) = here.parent() {
            fs::DirBuilder::new().recursive(true).mode(MODE_OF_SYSTEM).create(above)?;
        }
        fs::DirBuilder::new().mode(MODE_BEFORE).create(here)?;
        self.hand_over(here, mode, owner)
    }

    fn hand_over(&self, here: &Path, mode: u32, owner: Owner) -> io::Result<()> {
        // The directory itself, whatever becomes of its name meanwhile.
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = File::from(rustix::fs::open(here, flags, Mode::empty())?);
        directory.set_permissions(fs::Permissions::from_mode(mode))?;
        match (self.account.ids.filter(|_| self.is_root), owner) {
            (Some((uid, gid)), Owner::Service) => fchown(&directory, Some(uid), Some(gid)),
            (Some((_, gid)), Owner::RootAndGroup) => fchown(&directory, Some(0), Some(gid)),
            (None, _) => Ok(()),
        }
    }

    /// A directory of the system's, told of only where it is new.
    ///
    /// # Errors
    /// What the disk says.
    pub(in super::super) fn plain_directory(&mut self, path: &Path) -> Result<(), Diagnosis> {
        let here = self.at(path);
        if here.is_dir() {
            return Ok(());
        }
        if !self.rehearse {
            let made = fs::DirBuilder::new().recursive(true).mode(MODE_OF_SYSTEM).create(&here);
            made.map_err(|error| cannot(&error, &here))?;
        }
        self.stood("directory", path.display().to_string(), Put::Made);
        Ok(())
    }
}

/// What is to be done with a directory that is there.
enum Look {
    Good,
    Mend,
    Strange(String),
}

fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}
