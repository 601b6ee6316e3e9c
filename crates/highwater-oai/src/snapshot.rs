//! Snapshots: one crawl serves every host. Two files of identifiers, one a line, sorted by the number they end with, and a
//! manifest that is written last and makes the pair valid. Owns the three files; the list itself is the spool's.

mod export;
mod import;
mod manifest;

use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;

pub use export::{Exported, export};
pub use import::import;
pub(crate) use import::json_fault;
pub use manifest::{Manifest, Part};

const ENDINGS: [&str; 3] = [".manifest.json", ".active", ".deleted"];

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
    ///
    /// # Errors
    /// A refusal where the path names a directory.
    pub fn named(path: &Path) -> Result<Self, Diagnosis> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let text = path.as_os_str().to_string_lossy();
        let ending = ENDINGS.iter().find_map(|ending| text.strip_suffix(ending));
        if ending.is_none() && (text.ends_with('/') || path.is_dir()) {
            return Err(Diagnosis::refusal(
                "HW-OAI-014",
                "found a directory, expected the name of a snapshot",
                "name the snapshot in it, such as `backlog/doab`: its files are `doab.active`, `doab.deleted` and `doab.manifest.json`",
            )
            .in_file(path));
        }
        let name = ending.unwrap_or(&text);
        let with = |ending: &str| PathBuf::from(format!("{name}{ending}"));
        let [manifest, active, deleted] = ENDINGS.map(with);
        Ok(Self { active, deleted, manifest })
    }

    /// What a person should know before they are taken for whole.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let without = || {
            format!(
                "{} is not there: nothing shows that the two files are of one crawl, or whole",
                self.manifest.display()
            )
        };
        (!self.manifest.exists()).then(without)
    }
}
