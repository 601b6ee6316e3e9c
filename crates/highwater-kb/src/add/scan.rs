//! Which documents there are: what was named, and every file below a directory that was named, in an order that is always the same.
//! Owns what is passed over, and what is told of that; it reads names alone.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::origin::Origin;

/// How deep directories are gone into.
pub const DEPTH_MAX: usize = 64;
/// How many kinds of file are told of among those passed over.
const TOLD_SUFFIXES_MAX: usize = 8;

/// What a base has of its own, from its root.
const OWN: [&str; 4] = ["wiki", "raw", ".highwater", ".highwater-state"];

/// What was passed over, to be told of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Files whose suffix says that they are no documents, by their suffix.
    pub others: BTreeMap<String, u64>,
    /// Documents whose names begin with a dot.
    pub hidden: u64,
    /// Directories that links lead to.
    pub linked_directories: u64,
    /// What could not be read, the first of it in words.
    pub unreadable: Vec<String>,
    /// How many could not be read.
    pub unreadable_count: u64,
    /// Whether a directory that was named has nothing but what is the base's own.
    pub is_own: bool,
}

impl PassedOver {
    /// What a person should know of it, a sentence each.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        let others: u64 = self.others.values().sum();
        if others > 0 {
            let mut kinds: Vec<_> = self.others.iter().collect();
            kinds.sort_by_key(|(suffix, count)| (std::cmp::Reverse(**count), suffix.as_str()));
            let named: Vec<_> =
                kinds.iter().take(TOLD_SUFFIXES_MAX).map(|(suffix, count)| format!("{count} {suffix}")).collect();
            let more = if kinds.len() > named.len() { ", …" } else { "" };
            let files = match others {
                1 => "1 file is no document by the suffix and stayed where it is".to_owned(),
                files => format!("{files} files are no documents by the suffix and stayed where they are"),
            };
            told.push(format!("{files}: {}{more}", named.join(", ")));
        }
        if self.hidden > 0 {
            let them = match self.hidden {
                1 => "1 document is hidden by its name, which begins with a dot: name it to add it".to_owned(),
                files => {
                    format!(
                        "{files} documents are hidden by their names, which begin with a dot: name those to add them"
                    )
                }
            };
            told.push(them);
        }
        if self.linked_directories > 0 {
            let them = match self.linked_directories {
                1 => "1 link leads to a directory and was not followed: name it to add it".to_owned(),
                links => format!("{links} links lead to directories and were not followed: name those to add them"),
            };
            told.push(them);
        }
        if self.is_own {
            told.push("what lies in wiki/ and raw/ of the base is its own, and was passed over".to_owned());
        }
        if self.unreadable_count > 0 {
            let more = if self.unreadable_count > self.unreadable.len() as u64 { "; …" } else { "" };
            told.push(format!("{} could not be read: {}{more}", self.unreadable_count, self.unreadable.join("; ")));
        }
        told
    }

    fn unreadable(&mut self, error: &walkdir::Error) {
        self.unreadable_count += 1;
        if self.unreadable.len() < TOLD_SUFFIXES_MAX {
            self.unreadable.push(error.to_string());
        }
    }
}

/// Why nothing was looked for.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be added", path.display())]
pub struct ScanError {
    /// What was named.
    pub path: PathBuf,
    /// What the disk says.
    #[source]
    pub source: io::Error,
}

/// Tells `each` what documents there are under a path that was named, until it wants no more.
///
/// Names that begin with a dot are passed over, and what lies below `base`, whose own files they are. A file that was named itself is
/// always a document.
///
/// # Errors
/// When what was named is not there. What lies below it and cannot be read is told in `passed_over`.
pub fn scan(
    named: &Path,
    base: &Path,
    is_document: impl Fn(&Path) -> bool,
    passed_over: &mut PassedOver,
    mut each: impl FnMut(Origin) -> bool,
) -> Result<(), ScanError> {
    let failed = |source| ScanError { path: named.to_owned(), source };
    let named = std::path::absolute(named).map_err(failed)?;
    let own = OWN.map(|own| base.join(own));
    // What a person laid into `raw/` may be named; what the base writes itself is none of its documents.
    let lies = named.canonicalize().map_err(failed)?;
    if own.iter().any(|own| !own.ends_with("raw") && lies.starts_with(own)) {
        return Err(failed(io::Error::other("it is written by the base itself, and no document of it")));
    }
    if !named.metadata().map_err(failed)?.is_dir() {
        each(Origin::of_file(&named));
        return Ok(());
    }
    let root = Origin::of_file(&named).file().unwrap_or(named);
    let (mut hidden, mut has_own, mut has_found) = (0, false, false);
    let wanted = |entry: &DirEntry| {
        if entry.depth() == 0 || !is_passed_over(entry.path(), base) {
            return true;
        }
        has_own |= own.iter().any(|own| entry.path() == own);
        // What a Mac writes beside a file on other file systems is none.
        let is_file = entry.file_type().is_file() && !entry.file_name().as_encoded_bytes().starts_with(b"._");
        hidden += u64::from(is_file && entry.path().extension().is_some() && is_document(entry.path()));
        false
    };
    for entry in WalkDir::new(&root).max_depth(DEPTH_MAX).sort_by_file_name().into_iter().filter_entry(wanted) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                passed_over.unreadable(&error);
                continue;
            }
        };
        let kind = entry.file_type();
        if kind.is_dir() {
            continue;
        }
        if kind.is_symlink() && entry.path().is_dir() {
            passed_over.linked_directories += 1;
            continue;
        }
        if !is_document(entry.path()) {
            let suffix = entry.path().extension().map(|suffix| format!(".{}", suffix.to_string_lossy()));
            *passed_over.others.entry(suffix.unwrap_or_else(|| "without one".to_owned())).or_default() += 1;
            continue;
        }
        has_found = true;
        if !each(Origin::of_file(entry.path())) {
            break;
        }
    }
    passed_over.hidden += hidden;
    passed_over.is_own |= has_own && !has_found;
    Ok(())
}

/// Whether a path leads to, or into, what the base in this directory has of its own.
#[must_use]
pub fn is_own(path: &Path, base: &Path) -> bool {
    OWN.iter().any(|own| path.starts_with(base.join(own)))
}

/// Whether what lies below a directory that was named is passed over with all that is in it: what is hidden, and what the base writes.
pub(crate) fn is_passed_over(path: &Path, base: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    is_hidden || OWN.iter().any(|own| base.join(own) == path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(named: &Path, base: &Path) -> (Vec<String>, PassedOver) {
        let (mut found, mut passed_over) = (Vec::new(), PassedOver::default());
        let is_document = |path: &Path| path.extension().is_some_and(|suffix| suffix == "md");
        scan(named, base, is_document, &mut passed_over, |origin| {
            let file = origin.file().unwrap();
            found.push(file.strip_prefix(named.parent().unwrap()).unwrap().display().to_string());
            true
        })
        .unwrap();
        (found, passed_over)
    }

    #[test]
    fn files_come_in_the_order_of_their_names_and_what_is_no_document_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let named = dir.path().join("in");
        let below = ["b/2.md", "b/10.md", "a.md", "b.md", "x.png", "y.png", "Makefile"];
        for file in below.into_iter().chain([".hidden.md", ".git/a.md", ".md", ".env", "._a.md"]) {
            let file = named.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        symlink(named.join("b"), named.join("linked")).unwrap();
        symlink("/etc/passwd", named.join("out.md")).unwrap();
        symlink("nowhere", named.join("z.md")).unwrap();
        let (files, passed_over) = found(&named, dir.path());
        assert_eq!(files, ["in/a.md", "in/b/10.md", "in/b/2.md", "in/b.md", "in/out.md", "in/z.md"]);
        assert_eq!(
            passed_over.told(),
            [
                "3 files are no documents by the suffix and stayed where they are: 2 .png, 1 without one",
                "1 document is hidden by its name, which begins with a dot: name it to add it",
                "1 link leads to a directory and was not followed: name it to add it",
            ]
        );
        assert_eq!(found(&named.join("x.png"), dir.path()).0, ["x.png"], "what is named is a document");
        let one = PassedOver { others: BTreeMap::from([(".png".to_owned(), 1)]), ..PassedOver::default() };
        assert_eq!(one.told(), ["1 file is no document by the suffix and stayed where it is: 1 .png"]);
        assert!(scan(&named.join("none"), dir.path(), |_| true, &mut PassedOver::default(), |_| true).is_err());
    }

    #[test]
    fn a_base_does_not_find_its_own_files() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("notes");
        for file in ["wiki/index.md", "raw/a.md", "inbox/wiki/b.md", "c.md"] {
            let file = base.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        assert_eq!(found(&base, &base).0, ["notes/c.md", "notes/inbox/wiki/b.md"]);
    }
}
