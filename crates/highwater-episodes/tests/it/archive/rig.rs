//! An episode to pack, made as a test says, and archives made by hand.

use std::fs::{self, File, FileTimes};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use highwater_episodes::archive::{
    Archive, CompressionSettings, Level, Limits, PackError, Packed, Packer, ReadError, Reader, Threads, TreeLimits,
};
use highwater_episodes::name::EpisodeId;
use tempfile::TempDir;

/// What the recorder of a real one gave as its commit.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// When files of the rig were last changed, unless a test says otherwise.
pub(crate) const MTIME_SECS: i64 = 1_754_907_300;

/// The directory of an episode, in a directory of its own.
pub(crate) struct Episode {
    dir: TempDir,
    pub(crate) id: EpisodeId,
}

impl Episode {
    pub(crate) fn empty() -> Self {
        let episode = Self { dir: tempfile::tempdir().unwrap(), id: EpisodeId::new("ep-7").unwrap() };
        fs::create_dir(episode.root()).unwrap();
        episode
    }

    /// One as a lab records it.
    pub(crate) fn recorded() -> Self {
        let episode = Self::empty();
        episode.file("meta.json", format!(r#"{{"code_version": {{"commit": "{COMMIT}"}}}}"#));
        episode.file("telemetry/load.csv", "t,load\n".to_owned() + &"1754907300,0.25\n".repeat(40_000));
        episode.file("telemetry/raw.bin", noise(300_000, 7));
        episode.file("run.sh", "#!/bin/sh\n");
        episode.mode("run.sh", 0o750);
        episode.file("empty", "");
        fs::create_dir(episode.path("nothing")).unwrap();
        episode.file("done.marker", "");
        episode
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join(self.id.as_str())
    }

    /// The directory that the episode lies in.
    pub(crate) fn outside(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root().join(path)
    }

    pub(crate) fn file(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        set_mtime(&path, MTIME_SECS, 123_456_789);
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn pack(&self) -> (Vec<u8>, Packed) {
        self.pack_with(&CompressionSettings::default())
    }

    pub(crate) fn pack_with(&self, settings: &CompressionSettings) -> (Vec<u8>, Packed) {
        let mut bytes = Vec::new();
        let packed = packer(settings).pack(&self.root(), &self.id, &mut bytes).unwrap();
        (bytes, packed)
    }

    pub(crate) fn refusal(&self) -> PackError {
        packer(&CompressionSettings::default()).pack(&self.root(), &self.id, std::io::sink()).unwrap_err()
    }

    pub(crate) fn read(&self, bytes: &[u8]) -> Result<Archive, ReadError> {
        read(bytes, &self.id)
    }
}

pub(crate) fn packer(settings: &CompressionSettings) -> Packer {
    Packer::new(settings, TreeLimits::default()).unwrap()
}

pub(crate) fn read(bytes: &[u8], episode: &EpisodeId) -> Result<Archive, ReadError> {
    Reader::new(Limits::default()).unwrap().read(bytes, None, episode)
}

pub(crate) fn settings(level: u64, threads: u64) -> CompressionSettings {
    CompressionSettings { level: Level::new(level).unwrap(), threads: Threads::new(threads).unwrap(), long: None }
}

pub(crate) fn set_mtime(path: &Path, secs: i64, nanos: u32) {
    let time = match u64::try_from(secs) {
        Ok(secs) => UNIX_EPOCH + Duration::new(secs, nanos),
        Err(_) => UNIX_EPOCH - Duration::from_secs(secs.unsigned_abs()) + Duration::from_nanos(nanos.into()),
    };
    set_time(path, time);
}

fn set_time(path: &Path, time: SystemTime) {
    File::open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    fastrand::Rng::with_seed(seed).fill(&mut noise);
    noise
}

/// What an archive unpacks to.
pub(crate) fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    zstd::Decoder::new(bytes).unwrap().read_to_end(&mut tar).unwrap();
    tar
}

pub(crate) fn compressed(tar: &[u8]) -> Vec<u8> {
    zstd::encode_all(tar, 1).unwrap()
}

/// A tar made by hand, of entries that no packer of ours would write.
#[derive(Default)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

impl Tar {
    /// An entry of that kind.
    pub(crate) fn entry(mut self, kind: u8, path: &str, bytes: &[u8]) -> Self {
        let mut block = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, path.as_bytes());
        put(100, b"0000644\x000001750\x000001750\0");
        put(124, format!("{:011o}\0{MTIME_SECS:011o}\0        ", bytes.len()).as_bytes());
        put(156, &[kind]);
        put(257, b"ustar\x0000");
        self.0.extend_from_slice(&signed(block));
        self.0.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// A PAX header with one record.
    pub(crate) fn pax(self, kind: u8, key: &str, value: &str) -> Self {
        let rest = key.len() + value.len() + 3;
        let length = (rest..).find(|length| length.to_string().len() + rest == *length).unwrap();
        self.entry(kind, "././@PaxHeader", format!("{length} {key}={value}\n").as_bytes())
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// The block with its checksum.
pub(crate) fn signed(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
