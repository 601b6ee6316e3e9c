//! The one door through which an archive leaves the outbox, or makes room for another of its name. Owns that none goes without evidence
//! that its content is elsewhere: without, it is set aside in the outbox, for a person, and nothing there is ever removed.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::PathBuf;

use highwater_fs::{Fs as _, Kind, Mode, Placed, RelPath, Staged, ensure_dir, publish};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{ARCHIVE_SUFFIX, CHUNK_BYTES, Outbox, OutboxError, PACKED_DIR, Parcel, archive_name, is_odd, note_path};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;
use crate::ship::evidence::Evidence;

/// Where archives are set aside.
pub(super) const ASIDE_DIR: &str = ".review";
/// Most archives of one name that are set aside.
const ASIDE_NAMES_MAX: u32 = 1_000;

/// What is noted of an archive that was set aside: what was noted of it before, and since when.
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
    /// Lets an episode's archive go of which somebody showed that its content is elsewhere; whether it is gone. One of which that was not
    /// shown, or which nothing is noted of, stays where it is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn let_go(&self, episode: &EpisodeId, evidence: &Evidence) -> Result<bool, OutboxError> {
        let archive = RelPath::new(archive_name(episode))?;
        if self.fs.stat(&archive)?.is_some() {
            let is_shown = self.noted(episode)?.is_some_and(|parcel| evidence.is_of(&parcel));
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
        // Of one that is not what was noted nobody knows what it holds.
        let old = self.parcel(episode)?;
        let evidence = old.as_ref().and_then(|old| {
            Evidence::packed_anew(old, new).or_else(|| new.root.and_then(|root| Evidence::edited(old, root)))
        });
        if old.zip(evidence).is_some_and(|(old, evidence)| evidence.is_of(&old)) {
            self.write(PACKED_DIR, episode, new)?;
            // As one step: until the new one is durable, the old one has the name.
            staged.publish()?;
            return Ok(None);
        }
        let aside = self.set_aside(episode, now)?;
        self.write(PACKED_DIR, episode, new)?;
        self.publish_new(staged, episode)?;
        Ok(aside)
    }

    fn publish_new(&self, staged: Staged<'_>, episode: &EpisodeId) -> Result<(), OutboxError> {
        match staged.publish_new()? {
            Placed::New => Ok(()),
            Placed::AlreadyThere => Err(self.unread(episode, io::ErrorKind::AlreadyExists.into())),
        }
    }

    /// Sets an episode's archive aside, with its note; where it lies. One that lies aside already, byte for byte, needs no second place.
    fn set_aside(&self, episode: &EpisodeId, now: Timestamp) -> Result<Option<PathBuf>, OutboxError> {
        let dir = RelPath::new(ASIDE_DIR)?;
        ensure_dir(&self.fs, &dir, Mode::Umask)?;
        let parcel = self.noted(episode)?;
        if let Some(parcel) = &parcel
            && let Some(evidence) = self.lies_aside(episode, parcel)?
        {
            self.let_go(episode, &evidence)?;
            return Ok(None);
        }
        let archive = RelPath::new(archive_name(episode))?;
        for number in 0..ASIDE_NAMES_MAX {
            let (to, note) = aside_paths(episode, number)?;
            // A note alone is of one that a kill came between, or whose archive a person moved.
            if self.fs.stat(&to)?.is_some() || self.fs.stat(&note)?.is_some() {
                continue;
            }
            let noted = serde_json::to_vec(&AsideNote { parcel: parcel.clone(), aside_at: now })
                .expect("invariant: a note is words, numbers and times");
            publish(&self.fs, &note, &noted, Mode::Umask)?;
            match self.fs.rename_new(&archive, &to) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                renamed => renamed?,
            }
            self.fs.sync_dir(&dir)?;
            self.fs.sync_dir(&RelPath::root())?;
            self.forget(episode)?;
            let to = self.fs.locate(&to);
            tracing::warn!(%episode, archive = %to.display(), "an archive that may be the only copy makes room and is set aside");
            return Ok(Some(to));
        }
        let full = format!("{} holds {ASIDE_NAMES_MAX} of this name", self.dir.join(ASIDE_DIR).display());
        Err(self.unread(episode, io::Error::new(io::ErrorKind::NotADirectory, full)))
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
            let (archive, note) = (self.fs.locate(&archive), self.fs.locate(&note));
            let next = if content_sha256.is_some() {
                format!(
                    "once no directory in `episodes` and no archive in `outbox` has its name, `mv -n {} {}` and `mv -n {} {}`: the next pass \
                     sends it",
                    archive.display(),
                    self.archive(&episode_id).display(),
                    note.display(),
                    self.dir.join(PACKED_DIR).join(format!("{episode_id}.json")).display(),
                )
            } else {
                format!(
                    "nothing is known of it: look into it with `tar --zstd -tf {}`, and remove it if it is nothing",
                    archive.display()
                )
            };
            all.push(Aside { episode_id, archive, at, content_sha256, next });
        }
        Ok(all)
    }

    /// Of which episodes an archive lies aside, by name and number.
    fn aside_numbers(&self) -> Result<Vec<(EpisodeId, u32)>, OutboxError> {
        let entries = match self.fs.list(&RelPath::new(ASIDE_DIR)?) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let named = |name: &OsStr| {
            let (episode, number) = name.to_str()?.strip_suffix(ARCHIVE_SUFFIX)?.rsplit_once('.')?;
            Some((EpisodeId::new(episode).ok()?, number.parse().ok()?))
        };
        let mut numbers: Vec<_> = entries.iter().filter_map(|entry| named(&entry.name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The hash and the size of an archive; `None` where there is none.
    pub(super) fn hashed(&self, archive: &RelPath) -> Result<Option<(Sha256Digest, u64)>, OutboxError> {
        let mut reader = match self.fs.reader(archive) {
            Ok(reader) => reader,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (mut hash, mut size_bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
        loop {
            match reader.read(&mut chunk) {
                Ok(0) => return Ok(Some((Sha256Digest::new(hash.finalize().into()), size_bytes))),
                Ok(read) => {
                    hash.update(&chunk[..read]);
                    size_bytes += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Of a directory in its place it is told when it is packed.
                Err(error) if is_odd(error.kind()) => return Ok(None),
                Err(source) => return Err(OutboxError::Read { path: self.fs.locate(archive), source }),
            }
        }
    }

    /// Forgets what was noted of an archive that has gone.
    fn forget(&self, episode: &EpisodeId) -> Result<(), OutboxError> {
        self.note_sending(episode, None)?;
        self.remove(&note_path(PACKED_DIR, episode)?)
    }

    fn unread(&self, episode: &EpisodeId, source: io::Error) -> OutboxError {
        OutboxError::Read { path: self.archive(episode), source }
    }
}

fn aside_paths(episode: &EpisodeId, number: u32) -> Result<(RelPath, RelPath), OutboxError> {
    let dir = RelPath::new(ASIDE_DIR)?;
    Ok((dir.join(format!("{episode}.{number}{ARCHIVE_SUFFIX}"))?, dir.join(format!("{episode}.{number}.json"))?))
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
            outbox.pack(&mut packer, &root, &id, Timestamp::UNIX_EPOCH).unwrap().parcel
        };
        // Sent, and meanwhile another one took its name.
        let first = pack("first");
        let shown = Evidence::named(&first, Some(first.sha256), None).unwrap();
        let second = pack("second");
        assert!(!outbox.let_go(&id, &shown).unwrap());
        assert!(outbox.archive(&id).is_file() && outbox.noted(&id).unwrap() == Some(second.clone()));
        let shown = Evidence::named(&second, None, Some(second.content_sha256)).unwrap();
        assert!(outbox.let_go(&id, &shown).unwrap());
        assert!(!outbox.archive(&id).exists() && outbox.noted(&id).unwrap().is_none());
        // Of one of which nothing is noted nobody can have shown anything.
        fs::write(outbox.archive(&id), "put there by hand").unwrap();
        assert!(!outbox.let_go(&id, &shown).unwrap() && outbox.archive(&id).is_file());
    }
}
