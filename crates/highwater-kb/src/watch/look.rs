//! A look at directories: which documents lie there now. Owns what a look covers, which says of a file that is not found whether it
//! is gone.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Hints;
use crate::add::scan::{self, PassedOver};
use crate::convert;

/// What a file was when it was looked at: two that are alike are taken for one state of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    bytes: u64,
    modified: (i64, i64),
    file: (u64, u64),
}

impl State {
    fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            file: (metadata.dev(), metadata.ino()),
        }
    }

    /// What a file is; `None` where there is none.
    pub(super) fn at(file: &Path) -> Option<Self> {
        // Of a link that leads nowhere the link itself counts: an addition says what is wrong with it.
        file.metadata().or_else(|_| file.symlink_metadata()).ok().map(|metadata| Self::of(&metadata))
    }
}

/// What a look found.
#[derive(Debug)]
pub(super) struct Look<'l> {
    base: &'l Path,
    hints: Option<&'l Hints>,
    /// The documents that are there.
    pub(super) files: BTreeMap<PathBuf, State>,
    /// What could not be looked at.
    pub(super) missing: BTreeSet<PathBuf>,
    deep: Vec<PathBuf>,
    /// Directories whose own files were looked at, with the directories in them.
    shallow: Vec<(PathBuf, HashSet<OsString>)>,
}

impl<'l> Look<'l> {
    pub(super) fn new(base: &'l Path, hints: Option<&'l Hints>) -> Self {
        let (files, missing) = (BTreeMap::new(), BTreeSet::new());
        Self { base, hints, files, missing, deep: Vec::new(), shallow: Vec::new() }
    }

    /// Looks at a file, or at all that is below a directory.
    pub(super) fn deep(&mut self, place: &Path) {
        // First it is watched: what happens while it is looked at is told.
        if let Some(hints) = self.hints {
            hints.watch(place, self.base);
        }
        let scanned = scan::scan(place, self.base, is_document, &mut PassedOver::default(), |origin| {
            if let Some((file, state)) = origin.file().and_then(|file| State::at(&file).map(|state| (file, state))) {
                self.files.insert(file, state);
            }
            true
        });
        match scanned {
            Ok(()) => self.deep.push(place.to_owned()),
            Err(_) => drop(self.missing.insert(place.to_owned())),
        }
    }

    /// Looks at the files of a directory, and into directories in it that are not watched yet.
    pub(super) fn shallow(&mut self, directory: &Path) {
        let Ok(entries) = fs::read_dir(directory) else {
            // It went with all that was in it; or it is what was named, which somebody else has taken away.
            self.missing.insert(directory.to_owned());
            self.deep.push(directory.to_owned());
            return;
        };
        let mut directories = HashSet::new();
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            if scan::is_passed_over(&path, self.base) {
                continue;
            }
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory {
                if self.hints.is_none_or(|hints| !hints.watches(&path)) {
                    self.deep(&path);
                }
                directories.insert(name);
            } else if is_document(&path)
                && !path.is_dir()
                && let Some(state) = State::at(&path)
            {
                self.files.insert(path, state);
            }
        }
        self.shallow.push((directory.to_owned(), directories));
    }

    /// Whether a file would have been found, were it there.
    pub(super) fn lacks(&self, file: &Path) -> bool {
        if self.files.contains_key(file) {
            return false;
        }
        let deep = self.deep.iter().any(|place| file.starts_with(place));
        deep || self.shallow.iter().any(|(directory, directories)| {
            let Ok(rest) = file.strip_prefix(directory) else { return false };
            let mut parts = rest.components();
            let first = parts.next();
            match parts.next() {
                None => true,
                Some(_) => first.is_some_and(|first| !directories.contains(first.as_os_str())),
            }
        })
    }
}

fn is_document(path: &Path) -> bool {
    convert::Format::is_named(&convert::suffix_of(path))
}
