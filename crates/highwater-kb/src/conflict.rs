//! A version that lies beside a page, told from a file that is only called so. Owns that one answer: `lint`, `status`, `resolve` and
//! whoever makes rows again ask here, so that none of them tells of a conflict which another does not know. How one ends is in
//! `resolve`; where a version is put is in `base::project`.

use std::collections::BTreeSet;

use highwater_db::sqlite::rusqlite::Connection;
use highwater_fs::{Fs, FsError, Kind};

use crate::base::{CONFLICTS_MAX, Found, Objects, layout, look, rows};
use crate::content::ContentId;
use crate::error::KbError;
use crate::path::{FilePath, RAW, WIKI};

/// How deep directories are gone into.
const DEPTH_MAX: usize = 64;

/// What lies beside the files of a base.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside<'a> {
    rows: &'a Connection,
    objects: Objects<'a>,
}

/// A version that lies beside a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// The file that it was to be.
    pub(crate) of: FilePath,
    /// What lies there; a person may have written it since.
    pub(crate) content: ContentId,
}

impl<'a> Beside<'a> {
    pub(crate) fn new(rows: &'a Connection, objects: Objects<'a>) -> Self {
        Self { rows, objects }
    }

    /// What lies at `path`, if that is a version of another file. Its name alone does not say so: what the base has there itself is a
    /// file like any other, and so is what a person called so, unless rows know of a conflict of the file beside it, or what lies there
    /// is stored and is not what stands in its place: it was generated, or was theirs before a change.
    pub(crate) fn version(&self, path: &FilePath) -> Result<Option<Version>, KbError> {
        let Some(of) = path.lies_beside() else { return Ok(None) };
        let fs = self.fs();
        if rows::file(self.rows, path)?.is_some() {
            return Ok(None);
        }
        let Found::File(content) = look(fs, &path.to_rel())? else { return Ok(None) };
        let is_version = match rows::in_conflict(self.rows, &of)? {
            Some((_, true)) => true,
            // Rows do not know of a conflict of a file that the base no longer has, that a person deleted, or that was gone back to; nor
            // do those that are made again.
            known => {
                self.objects.has(content)?
                    && match look(fs, &of.to_rel())? {
                        Found::Nothing => true,
                        Found::File(stands) => {
                            stands != content || known.is_none_or(|(generated, _)| generated != stands)
                        }
                        Found::Other => true,
                    }
            }
        };
        Ok(is_version.then_some(Version { of, content }))
    }

    /// The versions that lie beside a file, with what they are.
    pub(crate) fn versions(&self, of: &FilePath) -> Result<Vec<(FilePath, ContentId)>, KbError> {
        let mut versions = Vec::new();
        for n in 1..=CONFLICTS_MAX {
            // A name that becomes too long has none.
            let Ok(path) = of.beside(n) else { break };
            if let Some(version) = self.version(&path)? {
                versions.push((path, version.content));
            }
        }
        Ok(versions)
    }

    /// The files beside which a version lies, in order, at most `limit`. Looks at the names of all that stands in `wiki/` and `raw/`.
    pub(crate) fn open(&self, limit: usize) -> Result<BTreeSet<FilePath>, KbError> {
        let (fs, mut open) = (self.fs(), BTreeSet::new());
        let mut directories = vec![(layout(RAW), 0), (layout(WIKI), 0)];
        while let Some((directory, depth)) = directories.pop() {
            let entries = match fs.list(&directory) {
                Ok(entries) => entries,
                // Somebody took it away, or put something else there.
                Err(FsError::Io { .. }) if fs.stat(&directory)?.is_none_or(|there| there.kind != Kind::Dir) => continue,
                Err(error) => return Err(error.into()),
            };
            for entry in entries {
                // Those of an editor, of a synchronisation, of a change on its way.
                if entry.name.as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                if entry.kind == Kind::Dir && depth < DEPTH_MAX {
                    let below = directory.join(&entry.name).map_err(|error| KbError::Path(error.into()))?;
                    directories.push((below, depth + 1));
                    continue;
                }
                let path = entry.name.to_str().and_then(|name| FilePath::new(format!("{directory}/{name}")).ok());
                if open.len() < limit
                    && let Some(path) = path
                    && let Some(version) = self.version(&path)?
                {
                    open.insert(version.of);
                }
            }
        }
        Ok(open)
    }

    fn fs(&self) -> &'a dyn Fs {
        self.objects.fs()
    }
}
