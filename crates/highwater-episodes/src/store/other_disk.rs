//! A host's directory on another file system than the copies that are being made. Owns what a person is told of it: a copy becomes an
//! episode by a link, and no link leads from one file system into another.

use std::path::PathBuf;

use highwater_engine::shell::quoted_path;

/// One such directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is on another file system than {}, where each episode is written first: nothing can be stored there", .path.display(), .copies.display())]
pub struct OtherDisk {
    /// The host's directory.
    pub path: PathBuf,
    /// Where copies are made.
    pub copies: PathBuf,
}

impl OtherDisk {
    /// What a person does about it.
    #[must_use]
    pub fn next(&self) -> String {
        let episodes = self.copies.parent().unwrap_or(&self.copies);
        format!(
            "mount that file system on {}, with all that is in it, or on the whole of the receiver's directory, and nothing on {}",
            quoted_path(episodes),
            quoted_path(&self.path)
        )
    }
}
