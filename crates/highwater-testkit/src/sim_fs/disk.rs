//! What is on the disk, and what operations do to it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_fs::{Changed, Entry, FileId, FsError, Kind, Mode, Op, RelPath, Stat};
use nix::errno::Errno;

use super::contents::Contents;
use super::located;
use super::pending::{DataChange, NameChange, Pending};

pub(super) type Ino = u64;
/// What a directory has; shared like [`Contents`].
pub(super) type Names = Arc<BTreeMap<OsString, Ino>>;

pub(super) const ROOT: Ino = 1;
const DEVICE: u64 = 1;
const UMASK: u32 = 0o022;

#[derive(Clone)]
pub(super) struct Disk {
    pub(super) inodes: BTreeMap<Ino, Inode>,
    /// What a crash decides on, oldest first.
    pub(super) pending: Vec<Pending>,
    pub(super) atomic_renames: bool,
    pub(super) hard_links: bool,
    /// Directories that are file systems of their own.
    pub(super) mounts: Vec<RelPath>,
    next: Ino,
}

#[derive(Clone, Hash)]
pub(super) struct Inode {
    pub(super) node: Node,
    mode: u32,
}

#[derive(Clone, Hash)]
pub(super) enum Node {
    File(Versions<Contents>),
    Dir(Versions<Names>),
    Symlink(PathBuf),
}

/// What programs see, and what a crash that drops everything pending leaves.
#[derive(Clone, Default)]
pub(super) struct Versions<T> {
    pub(super) seen: T,
    pub(super) durable: T,
    /// How often what is seen was changed: the clock of this disk.
    pub(super) changes: u64,
}

impl<T: Hash> Hash for Versions<T> {
    /// By what is durable alone: that is what a crash leaves.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.durable.hash(state);
    }
}

impl Disk {
    pub(super) fn new() -> Self {
        let root = Inode { node: Node::Dir(Versions::default()), mode: 0o755 };
        Self {
            inodes: BTreeMap::from([(ROOT, root)]),
            pending: Vec::new(),
            atomic_renames: false,
            hard_links: true,
            mounts: Vec::new(),
            next: ROOT + 1,
        }
    }

    pub(super) fn create(&mut self, path: &RelPath, mode: Mode) -> Result<Ino, FsError> {
        self.add(Op::Create, path, Node::File(Versions::default()), bits(mode, 0o666))
    }

    pub(super) fn mkdir(&mut self, path: &RelPath, mode: Mode) -> Result<(), FsError> {
        self.add(Op::Mkdir, path, Node::Dir(Versions::default()), bits(mode, 0o777)).map(|_| ())
    }

    pub(super) fn symlink(&mut self, path: &RelPath, to: &Path) -> Result<(), FsError> {
        let (dir, name) = self.locate(Op::Create, path)?;
        let ino = self.add(Op::Create, path, Node::Symlink(to.to_owned()), 0o777)?;
        self.pending.pop();
        self.durable_dir(dir).insert(name, ino);
        Ok(())
    }

    /// Replaces a file, whole and durably.
    pub(super) fn save(&mut self, path: &RelPath, bytes: &[u8]) -> Result<(), FsError> {
        let (dir, name, found) = self.find(Op::Write, path)?;
        let ino = match found {
            Some(ino) => ino,
            None => {
                let ino = self.add(Op::Write, path, Node::File(Versions::default()), bits(Mode::Exact(0o600), 0))?;
                self.pending.pop();
                self.durable_dir(dir).insert(name, ino);
                ino
            }
        };
        let contents = Contents::new(bytes.to_vec());
        let file = self.file(ino);
        *file = Versions { seen: contents.clone(), durable: contents, changes: file.changes + 1 };
        Ok(())
    }

    pub(super) fn open(&self, op: Op, path: &RelPath) -> Result<Ino, FsError> {
        let (_, _, found) = self.find(op, path)?;
        let ino = found.ok_or_else(|| refused(op, path, Errno::ENOENT))?;
        match &self.inodes[&ino].node {
            Node::File(_) => Ok(ino),
            Node::Dir(_) => Err(refused(op, path, Errno::EISDIR)),
            Node::Symlink(_) => Err(refused(op, path, Errno::ELOOP)),
        }
    }

    pub(super) fn append(&mut self, ino: Ino, bytes: &[u8]) -> usize {
        let file = self.file(ino);
        file.changes += 1;
        let seen = &mut file.seen;
        let change = DataChange::Append { at: seen.len(), bytes: bytes.to_vec() };
        seen.to_mut().extend_from_slice(bytes);
        self.pending.push(Pending::Data { ino, change, clean: false });
        bytes.len()
    }

    pub(super) fn truncate(&mut self, ino: Ino, len: usize) {
        let file = self.file(ino);
        file.changes += 1;
        file.seen.to_mut().resize(len, 0);
        let change = DataChange::SetLen(len);
        self.pending.push(Pending::Data { ino, change, clean: false });
    }

    pub(super) fn read(&mut self, ino: Ino, at: usize, buffer: &mut [u8]) -> usize {
        let rest = self.file(ino).seen.get(at..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        read
    }

    pub(super) fn rename(&mut self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        let refused = |errno| refused_pair(Op::Rename, from, to, errno);
        let (from_dir, from_name, found) = self.find(Op::Rename, from)?;
        let (to_dir, to_name, target) = self.find(Op::Rename, to)?;
        if self.mount_of(from) != self.mount_of(to) {
            return Err(refused(Errno::EXDEV));
        }
        let ino = found.ok_or_else(|| refused(Errno::ENOENT))?;
        if target == Some(ino) {
            return Ok(());
        }
        if to.is_within(from) {
            return Err(refused(Errno::EINVAL));
        }
        if from.is_within(to) {
            return Err(refused(Errno::ENOTEMPTY));
        }
        if let Some(target) = target {
            match (self.is_dir(ino), &self.inodes[&target].node) {
                (true, Node::Dir(entries)) if !entries.seen.is_empty() => {
                    return Err(refused(Errno::ENOTEMPTY));
                }
                (true, Node::Dir(_)) => {}
                (true, _) => return Err(refused(Errno::ENOTDIR)),
                (false, Node::Dir(_)) => return Err(refused(Errno::EISDIR)),
                (false, _) => {}
            }
        }
        self.set_names(vec![
            NameChange { dir: to_dir, name: to_name, to: Some(ino) },
            NameChange { dir: from_dir, name: from_name, to: None },
        ]);
        Ok(())
    }

    pub(super) fn rename_new(&mut self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        let is_taken = self.find(Op::Rename, to)?.2.is_some();
        if is_taken && self.mount_of(from) == self.mount_of(to) {
            return Err(refused_pair(Op::Rename, from, to, Errno::EEXIST));
        }
        self.rename(from, to)
    }

    pub(super) fn exchange(&mut self, a: &RelPath, b: &RelPath) -> Result<(), FsError> {
        let refused = |errno| refused_pair(Op::Exchange, a, b, errno);
        let (a_dir, a_name, at_a) = self.find(Op::Exchange, a)?;
        let (b_dir, b_name, at_b) = self.find(Op::Exchange, b)?;
        if self.mount_of(a) != self.mount_of(b) {
            return Err(refused(Errno::EXDEV));
        }
        let (Some(at_a), Some(at_b)) = (at_a, at_b) else { return Err(refused(Errno::ENOENT)) };
        if at_a == at_b {
            return Ok(());
        }
        if a.is_within(b) || b.is_within(a) {
            return Err(refused(Errno::EINVAL));
        }
        self.set_names(vec![
            NameChange { dir: b_dir, name: b_name, to: Some(at_a) },
            NameChange { dir: a_dir, name: a_name, to: Some(at_b) },
        ]);
        Ok(())
    }

    pub(super) fn link(&mut self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        let refused = |errno| refused_pair(Op::Link, from, to, errno);
        let (_, _, found) = self.find(Op::Link, from)?;
        let (dir, name, target) = self.find(Op::Link, to)?;
        let ino = found.ok_or_else(|| refused(Errno::ENOENT))?;
        if target.is_some() {
            return Err(refused(Errno::EEXIST));
        }
        if !self.hard_links || self.mount_of(from) != self.mount_of(to) {
            return Err(refused(Errno::EXDEV));
        }
        if self.is_dir(ino) {
            return Err(refused(Errno::EPERM));
        }
        self.set_names(vec![NameChange { dir, name, to: Some(ino) }]);
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &RelPath) -> Result<(), FsError> {
        let (dir, name, found) = self.find(Op::Unlink, path)?;
        let ino = found.ok_or_else(|| refused(Op::Unlink, path, Errno::ENOENT))?;
        if self.is_dir(ino) {
            return Err(refused(Op::Unlink, path, Errno::EISDIR));
        }
        self.set_names(vec![NameChange { dir, name, to: None }]);
        Ok(())
    }

    pub(super) fn list(&self, path: &RelPath) -> Result<Vec<Entry>, FsError> {
        let entries = self.entries(self.enter(path)?).seen.iter();
        Ok(entries.map(|(name, ino)| Entry { name: name.clone(), kind: self.kind(*ino) }).collect())
    }

    pub(super) fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
        let found = match path.parent() {
            None => Some(ROOT),
            Some(_) => match self.find(Op::Stat, path) {
                Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => None,
                found => found?.2,
            },
        };
        Ok(found.map(|ino| {
            let inode = &self.inodes[&ino];
            let (len, changes) = match &inode.node {
                Node::File(bytes) => (bytes.seen.len() as u64, i128::from(bytes.changes)),
                _ => (0, 0),
            };
            let id = FileId { device: DEVICE, inode: ino };
            let changed = Changed { written_nanos: changes, touched_nanos: changes };
            Stat { kind: self.kind(ino), len, mode: inode.mode, id, changed }
        }))
    }

    /// Everything that programs see: the bytes of each file, and `None` for what is not a file.
    pub(super) fn contents(&self) -> BTreeMap<RelPath, Option<Contents>> {
        let (mut found, mut dirs) = (BTreeMap::new(), vec![(RelPath::root(), ROOT)]);
        while let Some((dir, ino)) = dirs.pop() {
            for (name, ino) in self.entries(ino).seen.iter() {
                let path = dir.join(name).expect("invariant: what is listed can be named");
                let contents = match &self.inodes[ino].node {
                    Node::File(contents) => Some(contents.seen.clone()),
                    Node::Dir(_) => {
                        dirs.push((path.clone(), *ino));
                        None
                    }
                    Node::Symlink(_) => None,
                };
                found.insert(path, contents);
            }
        }
        found
    }

    pub(super) fn file(&mut self, ino: Ino) -> &mut Versions<Contents> {
        match self.inodes.get_mut(&ino).map(|inode| &mut inode.node) {
            Some(Node::File(bytes)) => bytes,
            _ => unreachable!("invariant: bytes change in files only"),
        }
    }

    fn add(&mut self, op: Op, path: &RelPath, node: Node, mode: u32) -> Result<Ino, FsError> {
        let (dir, name, found) = self.find(op, path)?;
        if found.is_some() {
            return Err(refused(op, path, Errno::EEXIST));
        }
        let ino = self.next;
        self.next += 1;
        self.inodes.insert(ino, Inode { node, mode });
        self.set_names(vec![NameChange { dir, name, to: Some(ino) }]);
        Ok(ino)
    }

    fn set_names(&mut self, changes: Vec<NameChange>) {
        for change in &changes {
            if let Some(Node::Dir(entries)) = self.inodes.get_mut(&change.dir).map(|inode| &mut inode.node) {
                change.apply(Arc::make_mut(&mut entries.seen));
            }
        }
        if self.atomic_renames {
            // The first is the one that things are moved to.
            self.pending.push(Pending::Names { dir: changes[0].dir, changes });
        } else {
            self.pending
                .extend(changes.into_iter().map(|change| Pending::Names { dir: change.dir, changes: vec![change] }));
        }
    }

    /// Walks to a directory, refusing symlinks as the real disk does.
    pub(super) fn enter(&self, dir: &RelPath) -> Result<Ino, FsError> {
        let mut here = ROOT;
        for (n, name) in dir.names().enumerate() {
            let failed = |errno: Errno| {
                let walked = Path::new("/").join(dir.names().take(n + 1).collect::<PathBuf>());
                FsError::Io { op: Op::Enter, path: walked, source: errno.into() }
            };
            here = *self.entries(here).seen.get(name).ok_or_else(|| failed(Errno::ENOENT))?;
            if !self.is_dir(here) {
                return Err(failed(Errno::ENOTDIR));
            }
        }
        Ok(here)
    }

    /// The file system that a name lies on, as the directory it is the root of.
    fn mount_of(&self, path: &RelPath) -> Option<&RelPath> {
        let is_on = |mount: &&RelPath| path.parent().is_some_and(|parent| parent.is_within(mount));
        self.mounts.iter().filter(is_on).max_by_key(|mount| mount.names().count())
    }

    fn locate(&self, op: Op, path: &RelPath) -> Result<(Ino, OsString), FsError> {
        let (parent, name): (_, &OsStr) = path.split().ok_or_else(|| refused(op, path, Errno::EINVAL))?;
        Ok((self.enter(&parent)?, name.to_owned()))
    }

    fn find(&self, op: Op, path: &RelPath) -> Result<(Ino, OsString, Option<Ino>), FsError> {
        let (dir, name) = self.locate(op, path)?;
        let found = self.entries(dir).seen.get(&name).copied();
        Ok((dir, name, found))
    }

    pub(super) fn entries(&self, ino: Ino) -> &Versions<Names> {
        match &self.inodes[&ino].node {
            Node::Dir(entries) => entries,
            _ => unreachable!("invariant: only directories are entered"),
        }
    }

    pub(super) fn is_dir(&self, ino: Ino) -> bool {
        self.kind(ino) == Kind::Dir
    }

    fn kind(&self, ino: Ino) -> Kind {
        match self.inodes[&ino].node {
            Node::File(_) => Kind::File,
            Node::Dir(_) => Kind::Dir,
            Node::Symlink(_) => Kind::Symlink,
        }
    }
}

fn bits(mode: Mode, by_umask: u32) -> u32 {
    match mode {
        Mode::Umask => by_umask & !UMASK,
        Mode::Exact(mode) => mode & 0o777,
    }
}

fn refused(op: Op, path: &RelPath, errno: Errno) -> FsError {
    FsError::Io { op, path: located(path), source: errno.into() }
}

fn refused_pair(op: Op, from: &RelPath, to: &RelPath, errno: Errno) -> FsError {
    FsError::Pair { op, from: located(from), to: located(to), source: errno.into() }
}
