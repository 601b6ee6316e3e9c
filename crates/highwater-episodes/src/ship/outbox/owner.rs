//! Whose outbox it is: of which directory of episodes, and of which host. Owns how that is noted, and who is a stranger to it.

use std::path::{Path, PathBuf};

use highwater_fs::{Mode, RelPath, publish};
use serde::{Deserialize, Serialize};

use super::{Outbox, OutboxError, Own};
use crate::name::HostId;
use crate::ship::places::{Nearness, Site};

/// The file that says it.
pub(in crate::ship) const OWNER_NOTE: &str = ".episodes.json";

/// Whose outbox it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    /// The directory of the episodes that are packed here.
    episodes: String,
    /// The host as whose they are sent; an older version noted none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_id: Option<String>,
}

/// Whose it is instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Theirs {
    /// Of another directory of episodes, which is there.
    Episodes(PathBuf),
    /// Of another host, and archives of its episodes wait.
    Host(String),
}

impl Outbox {
    /// Whose outbox it is, where it is not that of these episodes and this host. Changes nothing.
    ///
    /// # Errors
    /// What the disk says.
    pub fn stranger(&self, episodes: &Path, host: &HostId) -> Result<Option<Theirs>, OutboxError> {
        let ours = Site::of(episodes);
        let read = self.unless_stray(Own::Owner, self.read::<Owner>(&RelPath::new(OWNER_NOTE)?))?;
        let Some(owner) = read.flatten() else { return Ok(None) };
        let theirs = PathBuf::from(owner.episodes);
        // One that was moved is not there any more by its old name.
        if theirs != ours.path() && theirs.is_dir() && Site::of(&theirs).near(&ours) != Some(Nearness::Same) {
            return Ok(Some(Theirs::Episodes(theirs)));
        }
        match owner.host_id {
            // Where nothing waits, nothing would be sent as another's.
            Some(theirs) if theirs != host.as_str() && self.holds_any()? => Ok(Some(Theirs::Host(theirs))),
            _ => Ok(None),
        }
    }

    /// Makes this the outbox of one directory of episodes, which is there, and of one host. Where it is another's, whose.
    ///
    /// # Errors
    /// What the disk says.
    pub fn claim(&self, episodes: &Path, host: &HostId) -> Result<Option<Theirs>, OutboxError> {
        if let Some(theirs) = self.stranger(episodes, host)? {
            return Ok(Some(theirs));
        }
        let note = RelPath::new(OWNER_NOTE)?;
        let episodes = Site::of(episodes).path().to_string_lossy().into_owned();
        let owner = Owner { episodes, host_id: Some(host.to_string()) };
        if self.read::<Owner>(&note)?.as_ref() != Some(&owner) {
            let bytes = serde_json::to_vec(&owner).expect("invariant: a note is words, numbers and times");
            publish(&self.fs, &note, &bytes, Mode::Umask)?;
        }
        Ok(None)
    }

    /// Whether any archive waits here.
    fn holds_any(&self) -> Result<bool, OutboxError> {
        Ok(!self.packed_names()?.is_empty() || !self.aside()?.is_empty())
    }
}
