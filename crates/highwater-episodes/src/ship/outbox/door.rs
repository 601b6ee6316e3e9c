//! The one door through which an archive leaves the outbox, or makes room for another of its name. Owns that none goes without evidence
//! that its content is elsewhere: without, it is set aside in the outbox, for a person, and nothing there is ever removed.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};

use highwater_engine::diagnosis::{told_path, with_causes};
use highwater_engine::shell::quoted_path;
use highwater_fs::{FileId, Fs as _, Kind, Mode, Placed, RelPath, Staged, collect_stale, publish};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lying::Noted;
use super::review::{ASIDE_DIR, ASIDE_NAMES_MAX, AsideFault};
use super::{ARCHIVE_SUFFIX, Outbox, OutboxError, PACKED_DIR, Parcel, archive_name, is_odd, note_path};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;
use crate::ship::evidence::Evidence;

/// How the name of a note ends.
const NOTE_SUFFIX: &str = ".json";

/// What is noted of an archive that was set aside: what reading it showed, and since when.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct AsideNote {
    #[serde(flatten)]
    parcel: Option<Parcel>,
    aside_at: Timestamp,
}

/// An archive that was set aside: it may be the only copy of what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// Of which episode.
    pub episode_id: EpisodeId,
    /// Where it lies.
    #[serde(serialize_with = "told_path")]
    pub archive: PathBuf,
    /// Since when, where that is noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What it holds, where that is noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<Sha256Digest>,
    /// What a person does with it.
    pub next: String,
}

impl Outbox {
    /// Lets an episode's archive go, which was read and is whole, and of which somebody showed that its content is elsewhere; whether it is
    /// gone. One of which that was not shown stays where it is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn let_go(&self, episode: &EpisodeId, read: &Parcel, evidence: &Evidence) -> Result<bool, OutboxError> {
        let archive = RelPath::new(archive_name(episode))?;
        if let Some(stat) = self.fs.stat(&archive)? {
            let noted = self.note::<Noted>(PACKED_DIR, episode)?;
            let bytes = (read.sha256, read.size_bytes);
            // Somebody may have moved another one there since it was read; and a note of two does not say which has the name.
            let is_it = match noted {
                Some(noted) if noted.before.is_some() || !self.is_known(episode, stat.id) => {
                    self.hashed(&archive)? == Some(bytes)
                }
                noted => noted.is_some_and(|noted| noted.of(bytes).is_some()),
            };
            let is_shown = is_it && stat.len == read.size_bytes && evidence.is_of(read);
            if !is_shown {
                tracing::warn!(%episode, "its archive is another than was shown to be elsewhere: it stays in the outbox");
                return Ok(false);
            }
            match self.fs.unlink(&archive) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if is_odd(error.kind()) => return Ok(false),
                removed => removed?,
            }
        }
        self.forget(episode)?;
        self.known().remove(episode);
        Ok(true)
    }

    /// Gives a new archive its name. Where another one has it, that one makes room: what it holds is in the new one, or its owner edited
    /// it away, or it is set aside; where it lies then.
    pub(super) fn publish(
        &self,
        staged: Staged<'_>,
        episode: &EpisodeId,
        new: &Parcel,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, OutboxError> {
        let archive = RelPath::new(archive_name(episode))?;
        let Some(stat) = self.fs.stat(&archive)? else {
            self.write(PACKED_DIR, episode, new)?;
            return self.publish_new(staged, episode).map(|()| None);
        };
        if stat.kind == Kind::Dir {
            return Err(self.unread(episode, io::ErrorKind::IsADirectory.into()));
        }
        // Of one that is not whole nobody knows what it holds.
        let old = self.lying(episode)?.whole();
        if let Some(old) = &old
            && let Some(evidence) =
                Evidence::packed_anew(old, new).or_else(|| new.root.and_then(|root| Evidence::edited(old, root)))
            && evidence.is_of(old)
        {
            // As one step: until the new one is durable, the old one has the name, and its note is kept with the new one's.
            let noted = Noted { parcel: new.clone(), before: Some(Box::new(old.clone())) };
            self.write(PACKED_DIR, episode, &noted)?;
            staged.publish()?;
            self.know(episode)?;
            return Ok(None);
        }
        let aside = self.set_aside(episode, old, now)?;
        self.write(PACKED_DIR, episode, new)?;
        self.publish_new(staged, episode)?;
        Ok(aside)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<EpisodeId, FileId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the file that has an archive's name is the one that was read, or put there.
    fn is_known(&self, episode: &EpisodeId, file: FileId) -> bool {
        self.known().get(episode) == Some(&file)
    }

    /// Remembers which file was read under an archive's name, where it still has it.
    pub(super) fn knows(&self, episode: &EpisodeId, read: FileId) -> Result<(), OutboxError> {
        let now = self.fs.stat(&RelPath::new(archive_name(episode))?)?.map(|stat| stat.id);
        let mut known = self.known();
        match now.filter(|now| *now == read) {
            Some(file) => known.insert(episode.clone(), file),
            None => known.remove(episode),
        };
        Ok(())
    }

    /// Remembers which file was put under an archive's name.
    fn know(&self, episode: &EpisodeId) -> Result<(), OutboxError> {
        match self.fs.stat(&RelPath::new(archive_name(episode))?)? {
            Some(stat) => self.knows(episode, stat.id),
            None => Ok(()),
        }
    }

    fn publish_new(&self, staged: Staged<'_>, episode: &EpisodeId) -> Result<(), OutboxError> {
        match staged.publish_new()? {
            Placed::New => self.know(episode),
            Placed::AlreadyThere => Err(self.unread(episode, io::ErrorKind::AlreadyExists.into())),
        }
    }

    /// Sets aside what has an archive's name, with what reading it showed; where it lies. One that lies aside already, byte for byte, needs
    /// no second place.
    fn set_aside(
        &self,
        episode: &EpisodeId,
        read: Option<Parcel>,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, OutboxError> {
        let dir = self.aside_dir()?;
        if let Some(parcel) = &read
            && let Some(evidence) = self.lies_aside(episode, parcel)?
        {
            self.let_go(episode, parcel, &evidence)?;
            return Ok(None);
        }
        let archive = RelPath::new(archive_name(episode))?;
        for number in 0..ASIDE_NAMES_MAX {
            let (to, note) = aside_paths(episode, number)?;
            // A note alone is of one that a person moved: the next pass clears it.
            if self.fs.stat(&to)?.is_some() || self.fs.stat(&note)?.is_some() {
                continue;
            }
            let noted = serde_json::to_vec(&AsideNote { parcel: read.clone(), aside_at: now })
                .expect("invariant: a note is words, numbers and times");
            publish(&self.fs, &note, &noted, Mode::Umask).map_err(|error| self.unset(error))?;
            if let Err(error) = self.fs.rename_new(&archive, &to) {
                // A note alone says nothing, and takes a number.
                self.remove(&note)?;
                match error.kind() {
                    io::ErrorKind::AlreadyExists => continue,
                    _ => return Err(self.unset(error)),
                }
            }
            self.fs.sync_dir(&dir)?;
            self.fs.sync_dir(&RelPath::root())?;
            self.forget(episode)?;
            let to = self.fs.locate(&to);
            tracing::warn!(%episode, archive = %to.display(), "an archive that may be the only copy makes room and is set aside");
            return Ok(Some(to));
        }
        Err(AsideFault::Full { path: self.dir.join(ASIDE_DIR) }.into())
    }

    /// Removes what a kill left half written of what lies aside, and notes without their archive: a person moved it, and what it is shows
    /// when it is read.
    pub(super) fn tidy_aside(&self) -> Result<(), OutboxError> {
        let dir = RelPath::new(ASIDE_DIR)?;
        let tidied = collect_stale(&self.fs, &dir).and_then(|_| self.fs.list(&dir));
        let entries = match tidied {
            Ok(entries) => entries,
            // Nothing was ever set aside.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // It holds up the episode whose archive is to be set aside there, and no other.
            Err(error) => {
                tracing::warn!(error = with_causes(&error), "what lies aside in the outbox cannot be tidied");
                return Ok(());
            }
        };
        for entry in &entries {
            let Some((episode, number)) = numbered(&entry.name, NOTE_SUFFIX) else { continue };
            let (archive, note) = aside_paths(&episode, number)?;
            if self.fs.stat(&archive)?.is_none()
                && let Err(error) = self.remove(&note)
            {
                tracing::warn!(%episode, error = with_causes(&error), "a note without its archive cannot be removed");
            }
        }
        Ok(())
    }

    /// What shows that what an archive holds lies aside too, in another.
    fn lies_aside(&self, episode: &EpisodeId, parcel: &Parcel) -> Result<Option<Evidence>, OutboxError> {
        for (found, number) in self.aside_numbers()? {
            if found != *episode {
                continue;
            }
            let (archive, note) = aside_paths(episode, number)?;
            let Some(other) = self.read::<AsideNote>(&note)?.and_then(|note| note.parcel) else { continue };
            if other.content_sha256 != parcel.content_sha256 {
                continue;
            }
            if let Some(evidence) = Evidence::in_archive(parcel, &other, self.hashed(&archive)?) {
                return Ok(Some(evidence));
            }
        }
        Ok(None)
    }

    /// The archives that were set aside, by name.
    ///
    /// # Errors
    /// What the disk says.
    pub fn aside(&self) -> Result<Vec<Aside>, OutboxError> {
        let mut all = Vec::new();
        for (episode_id, number) in self.aside_numbers()? {
            let (archive, note) = aside_paths(&episode_id, number)?;
            let noted = self.read::<AsideNote>(&note)?;
            let at = noted.as_ref().map(|note| note.aside_at);
            let content_sha256 = noted.and_then(|note| note.parcel).map(|parcel| parcel.content_sha256);
            let archive = self.fs.locate(&archive);
            let (lies, goes) = (quoted_path(&archive), quoted_path(&self.archive(&episode_id)));
            let unknown = match content_sha256 {
                Some(_) => String::new(),
                None => {
                    format!(
                        "it was no whole archive, or nothing is noted of it: look into it with `tar --zstd -tf {lies}`; "
                    )
                }
            };
            let next = format!(
                "{unknown}once no directory in `episodes` and no archive in `outbox` has its name, `mv -n {lies} {goes}`: the next pass reads \
                 it, and sends it if it is whole"
            );
            all.push(Aside { episode_id, archive, at, content_sha256, next });
        }
        Ok(all)
    }

    /// Of which episodes an archive lies aside, by name and number.
    fn aside_numbers(&self) -> Result<Vec<(EpisodeId, u32)>, OutboxError> {
        let entries = match self.fs.list(&RelPath::new(ASIDE_DIR)?) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            // Where it is no directory of the outbox's, nothing of ours lies in it: that is told by its fault.
            Err(_) if matches!(self.aside_fault(), Ok(Some(AsideFault::NoDirectory { .. }))) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut numbers: Vec<_> = entries.iter().filter_map(|entry| numbered(&entry.name, ARCHIVE_SUFFIX)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Forgets what was noted of an archive that has gone.
    pub(in crate::ship) fn forget(&self, episode: &EpisodeId) -> Result<(), OutboxError> {
        self.note_sending(episode, None)?;
        self.remove(&note_path(PACKED_DIR, episode)?)
    }

    fn unread(&self, episode: &EpisodeId, source: io::Error) -> OutboxError {
        OutboxError::Read { path: self.archive(episode), source }
    }
}

/// Which archive a file in the directory is of, by how its name ends.
fn numbered(name: &OsStr, suffix: &str) -> Option<(EpisodeId, u32)> {
    let (episode, number) = name.to_str()?.strip_suffix(suffix)?.rsplit_once('.')?;
    Some((EpisodeId::new(episode).ok()?, number.parse().ok()?))
}

fn aside_paths(episode: &EpisodeId, number: u32) -> Result<(RelPath, RelPath), OutboxError> {
    let dir = RelPath::new(ASIDE_DIR)?;
    Ok((
        dir.join(format!("{episode}.{number}{ARCHIVE_SUFFIX}"))?,
        dir.join(format!("{episode}.{number}{NOTE_SUFFIX}"))?,
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::archive::{CompressionSettings, Packer, TreeLimits};
    use crate::ship::MARKER;

    #[test]
    fn what_was_shown_of_one_archive_lets_no_other_of_its_name_go() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outbox_dir, id) = (dir.path().join("ep"), dir.path().join("outbox"), EpisodeId::new("ep").unwrap());
        fs::create_dir(&outbox_dir).unwrap();
        let outbox = Outbox::open(&outbox_dir).unwrap();
        let mut packer = Packer::new(&CompressionSettings::default(), TreeLimits::default()).unwrap();
        let mut pack = |text: &str| {
            fs::create_dir_all(&root).unwrap();
            fs::write(root.join("telemetry.csv"), text).unwrap();
            fs::write(root.join(MARKER), "").unwrap();
            outbox.pack(&mut packer, &root, &id, || Timestamp::UNIX_EPOCH).unwrap().parcel
        };
        // Sent, and meanwhile another one took its name.
        let first = pack("first");
        let shown = Evidence::named(&first, Some(first.sha256), None).unwrap();
        let second = pack("second");
        assert!(!outbox.let_go(&id, &first, &shown).unwrap() && !outbox.let_go(&id, &second, &shown).unwrap());
        assert!(outbox.archive(&id).is_file() && outbox.noted(&id).unwrap() == Some(second.clone()));
        let shown = Evidence::named(&second, None, Some(second.content_sha256)).unwrap();
        // While it was sent, a person moved another one there, which is as long.
        let (archive, kept) = (outbox.archive(&id), dir.path().join("kept"));
        fs::rename(&archive, &kept).unwrap();
        let other = dir.path().join("other");
        fs::write(&other, vec![7; usize::try_from(second.size_bytes).unwrap()]).unwrap();
        fs::rename(&other, &archive).unwrap();
        assert!(!outbox.let_go(&id, &second, &shown).unwrap() && archive.is_file());
        fs::rename(&kept, &archive).unwrap();
        assert!(outbox.let_go(&id, &second, &shown).unwrap());
        assert!(!outbox.archive(&id).exists() && outbox.noted(&id).unwrap().is_none());
        // Of one of which nothing is noted nobody can have shown anything.
        fs::write(outbox.archive(&id), "put there by hand").unwrap();
        assert!(!outbox.let_go(&id, &second, &shown).unwrap() && outbox.archive(&id).is_file());
    }
}
