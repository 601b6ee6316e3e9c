//! What an archive was found to hold, in little room: paths one behind the other, and the facts of each file. Owns that no path
//! is there twice and that no file is a directory of others, and the content hash of the list.

use super::{EntryFault, ReadError};
use crate::archive::content::{ContentFile, ContentHasher};
use crate::archive::shown;
use crate::digest::Sha256Digest;

/// What counts of a file, but its path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) executable: bool,
    pub(super) size: u64,
    pub(super) sha256: Sha256Digest,
    pub(super) mtime_secs: i64,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    at: u32,
    len: u32,
    /// `None` of a directory.
    facts: Option<Facts>,
}

/// The entries of an archive, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct List {
    paths: Vec<u8>,
    items: Vec<Item>,
}

impl List {
    /// Adds an entry; its path is below the episode's directory. The limits of paths and entries were seen to before.
    pub(super) fn add(&mut self, path: &[u8], facts: Option<Facts>) {
        let small = |number: usize| u32::try_from(number).expect("invariant: all paths together are bounded");
        let (at, len) = (small(self.paths.len()), small(path.len()));
        self.paths.extend_from_slice(path);
        self.items.push(Item { at, len, facts });
    }

    pub(super) fn len(&self) -> u64 {
        self.items.len() as u64
    }

    /// The content hash and how many files it is of.
    pub(super) fn content(&self) -> Result<(Sha256Digest, u64), ReadError> {
        // Of two of a path the later is the one that is told, so the order of the archive is the second key.
        let mut order: Vec<u32> = (0..).take(self.items.len()).collect();
        order.sort_unstable_by(|a, b| self.path(*a).cmp(self.path(*b)).then(a.cmp(b)));
        let fault = |index: u32, fault| {
            let path = Some(shown(self.path(index)));
            Err(ReadError::Entry { entry: u64::from(index) + 1, path, fault })
        };
        if let Some(pair) = order.windows(2).find(|pair| self.path(pair[0]) == self.path(pair[1])) {
            return fault(pair[1], EntryFault::Duplicate);
        }
        let mut hasher = ContentHasher::default();
        let (mut files, mut seen) = (0, &b""[..]);
        for index in &order {
            let path = self.path(*index);
            let parent = &path[..path.iter().rposition(|byte| *byte == b'/').unwrap_or(0)];
            if parent != seen && self.below_file(&order, parent) {
                return fault(*index, EntryFault::BelowFile);
            }
            seen = parent;
            if let Some(Facts { executable, size, sha256, mtime_secs }) = self.items[*index as usize].facts {
                hasher.file(&ContentFile { path, executable, size, sha256, mtime_secs });
                files += 1;
            }
        }
        Ok((hasher.finish(), files))
    }

    /// Whether a file has that path, or one that leads to it.
    fn below_file(&self, order: &[u32], path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        ends.chain([path.len()]).any(|end| {
            let found = order.binary_search_by(|index| self.path(*index).cmp(&path[..end]));
            found.is_ok_and(|at| self.items[order[at] as usize].facts.is_some())
        })
    }

    fn path(&self, index: u32) -> &[u8] {
        let Item { at, len, .. } = self.items[index as usize];
        &self.paths[at as usize..][..len as usize]
    }
}
