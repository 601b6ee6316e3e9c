//! An episode as one file: the canonical `tar.zst` that is sent, stored and read back, and the hash of what it holds.
//!
//! Owns what is in an archive, in which order and how it is compressed, and what is refused when one is read. Does not own where
//! archives lie, when they are synced or what becomes of a refused one.

pub mod content;
mod header;
mod held;
pub mod look;
pub mod meta;
pub mod pack;
mod pax;
pub mod read;
pub mod seal;
mod settings;
mod tree;

pub use content::{ContentFile, content_sha256};
pub use held::ArchiveContent;
pub use look::{Look, Moment, Written, look_at, written};
pub use pack::{Content, PackError, Packed, Packer, content_of};
pub use read::{Archive, EntryFault, Extent, Limits, ReadError, Reader};
pub use seal::{SEAL_BYTES, Seal};
pub use settings::{CompressionSettings, Level, Threads, WindowLog};
pub use tree::TreeLimits;

/// Most files and directories of an episode.
pub const ENTRIES_MAX: u64 = 100_000;
/// Longest path of a file of an episode, with the episode's own name in front, in bytes.
pub const PATH_BYTES_MAX: usize = 4_096;
/// All paths of an episode together, in bytes: they are held while it is packed or read.
pub const PATHS_BYTES_MAX: usize = 8 << 20;
/// Most directories below each other, the episode's own among them.
pub const DEPTH_MAX: usize = 64;
/// Most bytes of an episode, unpacked.
pub const UNPACKED_BYTES_MAX: u64 = 1 << 40;
/// Largest zstd window that is written or read, as a power of two: 16 MiB.
pub const WINDOW_LOG_MAX: u32 = 24;

/// Most of a path that a message shows, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// A path as a message shows it: quoted, without control characters, shortened.
fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("{shown:?}")
}
