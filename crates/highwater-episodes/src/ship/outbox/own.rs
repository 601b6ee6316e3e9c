//! What the outbox keeps for itself: the directories of its notes, and two files. Owns what a person is told where something else has the
//! place of one, or it cannot be used; and which of them a pass does without.
//!
//! Nothing here follows or removes such a thing.

use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::{lacks_descriptors, with_causes};
use highwater_engine::shell::quoted_path;
use highwater_fs::{Fs as _, FsError, Kind, RelPath};
use rustix::fs::{Access, access};

use super::{NOTE_BYTES_MAX, OWNER_NOTE, Outbox, OutboxError, PACKED_DIR, PARKED_DIR, SENDING_DIR, SHELF_NOTE};

/// One of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// What is known of each archive.
    Packed,
    /// Why each parked episode is.
    Parked,
    /// Where each upload is that goes on after a break.
    Sending,
    /// How far `shipped/` was gone through.
    Shelf,
    /// Whose outbox it is.
    Owner,
}

impl Own {
    const ALL: [Self; 5] = [Self::Packed, Self::Parked, Self::Sending, Self::Shelf, Self::Owner];

    /// How it is called in the outbox.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Packed => PACKED_DIR,
            Self::Parked => PARKED_DIR,
            Self::Sending => SENDING_DIR,
            Self::Shelf => SHELF_NOTE,
            Self::Owner => OWNER_NOTE,
        }
    }

    fn belongs(self) -> Kind {
        match self {
            Self::Packed | Self::Parked | Self::Sending => Kind::Dir,
            Self::Shelf | Self::Owner => Kind::File,
        }
    }

    /// Whether a pass goes on without it: it saves work, and nothing is decided by it.
    fn is_spare(self) -> bool {
        matches!(self, Self::Sending | Self::Shelf)
    }

    /// What becomes of what it held once it is away.
    fn without(self) -> &'static str {
        match self {
            Self::Packed => {
                "nothing is lost: the next pass makes the directory, and reads each archive in the outbox for what was noted of it"
            }
            Self::Parked => {
                "nothing is lost: the next pass makes the directory, and asks the receiver again for what was parked"
            }
            Self::Sending => {
                "nothing is lost: the next pass makes the directory, and an upload that broke off is begun anew"
            }
            Self::Shelf => "nothing is lost: the next pass goes through `shipped` from the beginning",
            Self::Owner => {
                "nothing is lost: the next pass notes anew whose outbox it is; what waits in it is sent as this host's, so look that no other \
                 shipper uses it"
            }
        }
    }
}

/// What is wrong with one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// Something else has its place.
    Is(Kind),
    /// This user cannot use it.
    Shut(String),
    /// The system does not let it be read, and it is not known whether it is a note.
    Failed(String),
    /// It is no note.
    Unread(String),
}

/// One of these that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .told)]
pub struct Stray {
    path: PathBuf,
    own: Own,
    fault: Fault,
    told: String,
}

impl Stray {
    fn new(path: PathBuf, own: Own, fault: Fault) -> Self {
        let at = path.display();
        let told = match &fault {
            Fault::Is(found) => format!("{at} is {found}, where {} of the outbox belongs", own.belongs()),
            Fault::Shut(why) => format!("{at} cannot be read and written by this user: {why}"),
            Fault::Failed(why) => format!("{at} cannot be read: {why}"),
            Fault::Unread(why) => format!("{at} is no note of the outbox: {why}"),
        };
        Self { path, own, fault, told }
    }

    /// Whether a pass goes on as if it were not there.
    #[must_use]
    pub fn is_passed_over(&self) -> bool {
        self.own.is_spare() || self.is_unread()
    }

    /// Whether it is a file that is no note: it is written anew in its turn.
    pub(super) fn is_unread(&self) -> bool {
        matches!(self.fault, Fault::Unread(_))
    }

    /// What mends it, and what is lost by that.
    #[must_use]
    pub fn next(&self) -> String {
        let mut aside = self.path.clone().into_os_string();
        aside.push(".old");
        let mend = match &self.fault {
            Fault::Shut(_) => {
                let mode = if self.own.belongs() == Kind::Dir { "u+rwx" } else { "u+rw" };
                return format!(
                    "let the user of the shipper use it: `chown USER {0}`, `chmod {mode} {0}`; nothing in it is lost",
                    quoted_path(&self.path)
                );
            }
            // Whether it is a note is not known: it stays.
            Fault::Failed(_) => {
                return format!(
                    "check the disk of {} (`dmesg`), and call again; it stays as it is",
                    quoted_path(&self.path)
                );
            }
            Fault::Is(_) | Fault::Unread(_) => {
                format!("`mv -n {} {}`", quoted_path(&self.path), quoted_path(Path::new(&aside)))
            }
        };
        format!("{mend}; {}", self.own.without())
    }

    /// What a person is told of one that a pass goes on without.
    #[must_use]
    pub fn note(&self) -> String {
        format!("{self}, and is passed over; {}", self.next())
    }
}

impl Outbox {
    /// All of them that are not as they should be; makes nothing.
    ///
    /// # Errors
    /// What the disk says.
    pub fn strays(&self) -> Result<Vec<Stray>, OutboxError> {
        let mut all = Vec::new();
        for own in Own::ALL {
            all.extend(self.stray(own)?);
        }
        Ok(all)
    }

    /// Refuses to work where one of them cannot be used that a pass needs.
    ///
    /// # Errors
    /// The first of these, or what the disk says.
    pub(in crate::ship) fn is_ready(&self) -> Result<(), OutboxError> {
        match self.strays()?.into_iter().find(|stray| !stray.is_passed_over()) {
            Some(stray) => Err(stray.into()),
            None => Ok(()),
        }
    }

    /// What is wrong with one of them, as far as a look shows.
    pub(super) fn stray(&self, own: Own) -> Result<Option<Stray>, OutboxError> {
        let below = RelPath::new(own.name())?;
        let (path, Some(stat)) = (self.fs.locate(&below), self.fs.stat(&below)?) else { return Ok(None) };
        let fault = match stat.kind {
            found if found != own.belongs() => Some(Fault::Is(found)),
            found => {
                let wanted = Access::READ_OK | Access::WRITE_OK;
                let wanted = if found == Kind::Dir { wanted | Access::EXEC_OK } else { wanted };
                match access(&path, wanted) {
                    // Who may not use the outbox itself is told of that.
                    Err(errno) if access(&self.dir, wanted | Access::EXEC_OK).is_ok() => {
                        Some(Fault::Shut(errno.to_string()))
                    }
                    Err(_) => None,
                    Ok(()) if found == Kind::Dir => None,
                    Ok(()) => {
                        let read = |bytes: Vec<u8>| {
                            serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes)
                                .err()
                                .map(|error| error.to_string())
                        };
                        match self.fs.read(&below, NOTE_BYTES_MAX) {
                            Ok(bytes) => read(bytes).map(Fault::Unread),
                            Err(error @ FsError::TooLarge { .. }) => Some(Fault::Unread(with_causes(&error))),
                            Err(error) if lacks_descriptors(&error) => return Err(error.into()),
                            // What lies below is told once: the path is named.
                            Err(FsError::Io { source, .. }) => Some(Fault::Failed(source.to_string())),
                            Err(error) => Some(Fault::Failed(with_causes(&error))),
                        }
                    }
                }
            }
        };
        Ok(fault.map(|fault| Stray::new(path, own, fault)))
    }

    /// What came of something that was done with one of them; nothing, where it is not as it should be and a pass does without.
    pub(super) fn unless_stray<T>(&self, own: Own, done: Result<T, OutboxError>) -> Result<Option<T>, OutboxError> {
        let error = match done {
            Ok(done) => return Ok(Some(done)),
            Err(error) => error,
        };
        match self.stray(own)? {
            Some(stray) if own.is_spare() => {
                tracing::warn!("{}", stray.note());
                Ok(None)
            }
            Some(stray) => Err(stray.into()),
            None => Err(error),
        }
    }
}

impl From<Stray> for OutboxError {
    fn from(stray: Stray) -> Self {
        Self::Stray(Box::new(stray))
    }
}

/// What in an outbox is not as the outbox keeps it. Makes nothing; without an outbox there is nothing.
///
/// # Errors
/// What the disk says.
pub fn strays(outbox: &Path) -> Result<Vec<Stray>, OutboxError> {
    Outbox::look(outbox)?.map_or_else(|| Ok(Vec::new()), |outbox| outbox.strays())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_the_disk_does_not_let_be_read_is_not_called_damaged_and_stays() {
        let failed = |own: Own| {
            Stray::new(Path::new("/lab/outbox").join(own.name()), own, Fault::Failed("Input/output error".to_owned()))
        };
        let owner = failed(Own::Owner);
        assert_eq!(owner.to_string(), "/lab/outbox/.episodes.json cannot be read: Input/output error");
        assert!(!owner.is_passed_over() && !owner.is_unread(), "nobody writes it anew");
        assert!(!owner.next().contains("mv ") && owner.next().contains("check the disk"), "{}", owner.next());
        assert!(failed(Own::Shelf).is_passed_over(), "it saves work alone");
    }
}
