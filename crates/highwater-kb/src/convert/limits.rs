//! What one conversion may use. Owns the figures, their defaults, and how a process binds itself to them.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// Time of a processor for a document of no size, in seconds.
pub const CPU_SECS: u64 = 30;
/// What each MiB of a document adds to its time, in seconds.
pub const SECS_PER_MIB: u64 = 1;
/// How many times as long as its processor's time a conversion may take by the clock: others may need the processor, too.
pub const WALL_TIMES: u64 = 4;
/// Address space, in bytes.
pub const MEMORY_BYTES: u64 = 2 << 30;
/// The largest document, in bytes.
pub const DOCUMENT_BYTES: u64 = 512 << 20;
/// The longest text, in bytes.
pub const TEXT_BYTES: u64 = 64 << 20;
/// Most images of a document.
pub const IMAGES: u32 = 2_000;
/// Most bytes of a document's images together.
pub const IMAGES_BYTES: u64 = 512 << 20;
/// Most files that a conversion has open at a time.
pub const FILES_OPEN: u64 = 64;

/// What one conversion may use; each field has a constant of its name as its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Limits {
    /// [`CPU_SECS`].
    pub cpu_secs: u64,
    /// [`SECS_PER_MIB`].
    pub secs_per_mib: u64,
    /// [`MEMORY_BYTES`].
    pub memory_bytes: u64,
    /// [`DOCUMENT_BYTES`].
    pub document_bytes: u64,
    /// [`TEXT_BYTES`].
    pub text_bytes: u64,
    /// [`IMAGES`].
    pub images: u32,
    /// [`IMAGES_BYTES`].
    pub images_bytes: u64,
    /// [`FILES_OPEN`].
    pub files_open: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu_secs: CPU_SECS,
            secs_per_mib: SECS_PER_MIB,
            memory_bytes: MEMORY_BYTES,
            document_bytes: DOCUMENT_BYTES,
            text_bytes: TEXT_BYTES,
            images: IMAGES,
            images_bytes: IMAGES_BYTES,
            files_open: FILES_OPEN,
        }
    }
}

impl Limits {
    /// How many seconds of a processor a document of so many bytes may take.
    #[must_use]
    pub fn cpu_secs_of(&self, bytes: u64) -> u64 {
        self.cpu_secs.saturating_add(self.secs_per_mib.saturating_mul(bytes >> 20)).max(1)
    }

    /// How many seconds it may take by the clock.
    #[must_use]
    pub fn wall_secs_of(&self, bytes: u64) -> u64 {
        self.cpu_secs_of(bytes).saturating_mul(WALL_TIMES)
    }

    /// Binds this process, for good, to what a document of so many bytes may use. A limit that stands is never raised.
    pub(super) fn bind(&self, bytes: u64) -> io::Result<()> {
        let cpu_secs = self.cpu_secs_of(bytes);
        // SIGXCPU comes at the first figure, SIGKILL at the second.
        lower(Resource::Cpu, cpu_secs, cpu_secs.saturating_add(1))?;
        lower(Resource::As, self.memory_bytes, self.memory_bytes)?;
        let file_bytes = self.text_bytes.max(self.images_bytes);
        lower(Resource::Fsize, file_bytes, file_bytes)?;
        lower(Resource::Nofile, self.files_open, self.files_open)?;
        lower(Resource::Core, 0, 0)
    }
}

fn lower(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let stands = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let to = Rlimit { current: Some(current.min(stands)), maximum: Some(maximum.min(stands)) };
    setrlimit(resource, to).map_err(io::Error::from)
}
