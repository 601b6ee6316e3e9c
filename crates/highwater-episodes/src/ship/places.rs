//! Where a shipper works: that its directories are apart, whatever names lead to them. Owns how two places are told apart; who may have
//! which is for those who ask.
//!
//! A name says little: a symlink above it, `..`, a mount may all lead to a directory that has another name too. What counts is the
//! directory itself, by its device and inode, and those that it lies in.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;

use super::Shelves;
use super::outbox::{OWNER_NOTE, Outbox, Theirs};
use crate::name::HostId;

/// How one place has to do with another before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nearness {
    /// They are one directory.
    Same,
    /// It lies within the other.
    Within,
    /// The other lies within it.
    Around,
}

/// A place with the directories that it lies in, as they are now.
#[derive(Debug)]
pub struct Site {
    path: PathBuf,
    /// Device and inode of each that is there, itself first, each with how many names above it is.
    ids: Vec<(usize, (u64, u64))>,
}

impl Site {
    /// Looks where a path leads; it need not be there.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let path = canonical(path);
        let id = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        let ids = path.ancestors().enumerate().filter_map(|(above, path)| Some((above, id(path)?))).collect();
        Self { path, ids }
    }

    /// As the file system knows it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its own device and inode, where it is there.
    fn id(&self) -> Option<(u64, u64)> {
        self.ids.first().filter(|(above, _)| *above == 0).map(|(_, id)| *id)
    }

    /// How this has to do with another; `None` where they are apart.
    #[must_use]
    pub fn near(&self, other: &Self) -> Option<Nearness> {
        let same = self.id().is_some() && self.id() == other.id();
        if same || self.path == other.path {
            return Some(Nearness::Same);
        }
        if self.is_within(other) {
            return Some(Nearness::Within);
        }
        other.is_within(self).then_some(Nearness::Around)
    }

    fn is_within(&self, other: &Self) -> bool {
        let by_id = other.id().is_some_and(|id| self.ids.iter().any(|(_, above)| *above == id));
        by_id || self.path.starts_with(&other.path)
    }
}

/// The path as the file system knows it; of what is not there yet, as it would once it was made.
fn canonical(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        let Ok(mut real) = fs::canonicalize(above) else { continue };
        let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
        for part in rest.components() {
            match part {
                Component::ParentDir => {
                    real.pop();
                }
                Component::Normal(name) => real.push(name),
                _ => {}
            }
        }
        return real;
    }
    path.to_path_buf()
}

/// The first of these directories that is not apart from one before it: its name, the other's, and how.
#[must_use]
pub fn together<W: Copy>(places: &[(W, &Path)]) -> Option<(W, W, Nearness)> {
    let mut before: Vec<(W, Site)> = Vec::new();
    for (which, path) in places {
        let site = Site::of(path);
        if let Some((other, nearness)) = before.iter().find_map(|(other, place)| Some((*other, site.near(place)?))) {
            return Some((*which, other, nearness));
        }
        before.push((*which, site));
    }
    None
}

impl Nearness {
    /// What is found where this is how a place has to do with `other`.
    #[must_use]
    pub fn found(self, other: &str) -> String {
        match self {
            Self::Same => format!("found the directory of {other}"),
            Self::Within => format!("found a directory within that of {other}"),
            Self::Around => format!("found a directory that holds that of {other}"),
        }
    }
}

/// Whether a shipper may work there: its directories are apart, and its outbox is its own. Changes nothing; what is not there yet is
/// nobody's.
///
/// # Errors
/// What is in the way, with the way out; HW-EPI-106.
pub fn check(shelves: &Shelves, outbox: &Path, host: &HostId) -> Result<(), Diagnosis> {
    apart(shelves, outbox)?;
    let stranger = Outbox::look(outbox).and_then(|opened| match opened {
        Some(opened) => opened.stranger(&shelves.episodes, host),
        None => Ok(None),
    });
    match stranger {
        Ok(Some(theirs)) => Err(of_another(outbox, &theirs, &shelves.episodes, host)),
        // What the disk says of it is told where it is used.
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Refuses to work where one directory has two names.
pub(super) fn apart(shelves: &Shelves, outbox: &Path) -> Result<(), Diagnosis> {
    let places = [("episodes", &*shelves.episodes), ("outbox", outbox), ("shipped", &*shelves.shipped)];
    let Some((which, other, nearness)) = together(&places) else { return Ok(()) };
    let (_, path) = places.iter().find(|(name, _)| *name == which).expect("invariant: it is one of them");
    let found = nearness.found(&format!("`{other}`"));
    let message = format!("{found} in `{which}`, expected one of its own: what is in both may be the only copy");
    let next = format!("name another directory in `{which}`; nothing was moved");
    Err(Diagnosis::refusal("HW-EPI-106", message, next).in_file_once(path))
}

/// Refuses an outbox in which another's episodes are packed: of one name, one would be sent for the other.
pub(super) fn of_another(outbox: &Path, theirs: &Theirs, ours: &Path, host: &HostId) -> Diagnosis {
    let note = outbox.join(OWNER_NOTE);
    let (message, next) = match theirs {
        Theirs::Episodes(theirs) => (
            format!(
                "found the outbox of the episodes in {}, expected one of those in {} alone: of two that have one name, one would be sent for \
                 the other",
                theirs.display(),
                ours.display()
            ),
            format!(
                "if these episodes and this outbox belong together (they were moved, or restored, to another place), remove {} and call \
                 again: what waits in the outbox is sent; else name another directory in `outbox`: what waits in this one is sent by whoever \
                 packed it",
                note.display()
            ),
        ),
        Theirs::Host(theirs) => (
            format!("found archives that wait to be sent as those of host {theirs}, expected those of {host} alone"),
            format!(
                "set `host-id = \"{theirs}\"` until they are sent; if they are to be sent as those of {host}, remove {} and call again; else \
                 name another directory in `outbox`",
                note.display()
            ),
        ),
    };
    Diagnosis::refusal("HW-EPI-106", message, next).in_file_once(outbox)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_place_is_known_by_whatever_name_leads_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |below: &str| Site::of(&dir.path().join(below));
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        symlink("a", dir.path().join("link")).unwrap();
        for (one, other, near) in [
            ("a", "a", Some(Nearness::Same)),
            ("link", "a", Some(Nearness::Same)),
            ("a/b", "link/b/../b/.", Some(Nearness::Same)),
            ("a/none", "link/none", Some(Nearness::Same)),
            ("none/../a/x", "link/x", Some(Nearness::Same)),
            ("link/b", "a", Some(Nearness::Within)),
            ("link/none/deep", "a", Some(Nearness::Within)),
            ("link/none/deep", "a/none", Some(Nearness::Within)),
            ("a", "link/b", Some(Nearness::Around)),
            ("a/b", "a/c", None),
            ("a/b", "a/bc", None),
            ("ab", "a", None),
        ] {
            assert_eq!(at(one).near(&at(other)), near, "{one} {other}");
        }
    }
}
