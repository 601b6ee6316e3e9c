//! Snapshots: one crawl serves every host. Two files of identifiers, one a line, sorted by the number they end with, and a
//! manifest that is written last and makes the pair valid. Owns the three files; the list itself is the spool's.

mod export;
mod import;
mod manifest;

use std::path::{Path, PathBuf};

pub use export::{Exported, export};
pub use import::{Imported, import};
pub use manifest::{Manifest, Part};

/// Where the files of a snapshot are: `NAME.active`, `NAME.deleted`, `NAME.manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFiles {
    /// Identifiers of live records.
    pub active: PathBuf,
    /// Identifiers of deleted records.
    pub deleted: PathBuf,
    /// What makes the two a pair.
    pub manifest: PathBuf,
}

impl SnapshotFiles {
    /// The files of the snapshot that `path` names, with or without one of the endings.
    #[must_use]
    pub fn named(path: &Path) -> Self {
        let text = path.as_os_str().to_string_lossy();
        let name = [".manifest.json", ".active", ".deleted"]
            .iter()
            .find_map(|ending| text.strip_suffix(ending))
            .unwrap_or(&text)
            .to_owned();
        let with = |ending: &str| PathBuf::from(format!("{name}{ending}"));
        Self { active: with(".active"), deleted: with(".deleted"), manifest: with(".manifest.json") }
    }
}
