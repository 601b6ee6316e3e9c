//! What is seen and not yet durable, and how it becomes durable.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use highwater_fs::{FsError, RelPath};

use super::disk::{Disk, Ino, Node, ROOT};

#[derive(Clone)]
pub(super) enum Pending {
    Data {
        ino: Ino,
        change: DataChange,
        /// A sync of it failed: no later one saves it.
        clean: bool,
    },
    /// Names that live or die together, and are durable with a sync of `dir`.
    Names { dir: Ino, changes: Vec<NameChange> },
}

#[derive(Clone)]
pub(super) enum DataChange {
    Append { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone)]
pub(super) struct NameChange {
    pub(super) dir: Ino,
    pub(super) name: OsString,
    pub(super) to: Option<Ino>,
}

impl Disk {
    /// Makes the bytes of a file durable, save those that a failed sync gave up.
    pub(super) fn sync(&mut self, ino: Ino) {
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Data { ino: of, change, clean: false } if of == ino => {
                    change.apply(self.file(ino).durable.to_mut());
                }
                other => self.pending.push(other),
            }
        }
    }

    /// What a failed sync does: the bytes stay readable, and no later sync will save them.
    pub(super) fn call_clean(&mut self, ino: Ino) {
        for pending in &mut self.pending {
            if let Pending::Data { ino: of, clean, .. } = pending {
                *clean |= *of == ino;
            }
        }
    }

    pub(super) fn sync_dir(&mut self, path: &RelPath) -> Result<(), FsError> {
        let synced = self.enter(path)?;
        let mut kept: Vec<Pending> = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            let Pending::Names { dir, changes } = pending else {
                kept.push(pending);
                continue;
            };
            if dir != synced {
                kept.push(Pending::Names { dir, changes });
                continue;
            }
            for change in changes {
                // What was to happen to this name before is overtaken.
                for older in &mut kept {
                    if let Pending::Names { changes, .. } = older {
                        changes.retain(|old| (old.dir, &old.name) != (change.dir, &change.name));
                    }
                }
                change.apply(self.durable_dir(change.dir));
            }
        }
        kept.retain(|pending| !matches!(pending, Pending::Names { changes, .. } if changes.is_empty()));
        self.pending = kept;
        Ok(())
    }

    /// Forgets what no name leads to, and the second name of any directory that came to have two,
    /// as a file system check would.
    pub(super) fn prune(&mut self) {
        let (mut reached, mut left) = (BTreeSet::from([ROOT]), vec![ROOT]);
        while let Some(dir) = left.pop() {
            let names = Arc::clone(&self.entries(dir).durable);
            let second = names.iter().filter(|(_, ino)| {
                let (first, is_dir) = (reached.insert(**ino), self.is_dir(**ino));
                if first && is_dir {
                    left.push(**ino);
                }
                is_dir && !first
            });
            let second: Vec<&OsString> = second.map(|(name, _)| name).collect();
            for name in second {
                self.durable_dir(dir).remove(name);
            }
        }
        self.inodes.retain(|ino, _| reached.contains(ino));
    }

    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.inodes.hash(&mut hasher);
        hasher.finish()
    }

    pub(super) fn durable_dir(&mut self, ino: Ino) -> &mut BTreeMap<OsString, Ino> {
        match self.inodes.get_mut(&ino).map(|inode| &mut inode.node) {
            Some(Node::Dir(entries)) => Arc::make_mut(&mut entries.durable),
            _ => unreachable!("invariant: names change in directories only"),
        }
    }
}

impl DataChange {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            DataChange::Append { at, bytes: new } => {
                let end = at + new.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*at..end].copy_from_slice(new);
            }
            DataChange::SetLen(len) => bytes.resize(*len, 0),
        }
    }
}

impl NameChange {
    pub(super) fn apply(&self, entries: &mut BTreeMap<OsString, Ino>) {
        match self.to {
            Some(ino) => entries.insert(self.name.clone(), ino),
            None => entries.remove(&self.name),
        };
    }
}
