//! Files that survive power loss, a full disk and a failing one.
//!
//! Everything here stands on [`Fs`], a disk below one root that names what it holds by
//! [`RelPath`]: [`RealFs`] is the real one, `SimFs` of the test kit one that can be crashed at
//! any operation. On it stand four ways to change files, each of them crashed at every operation
//! by the test kit:
//!
//! - [`publish()`], [`publish_new`] and [`Staged`] put one file in place, whole or not at all, or several together;
//! - [`Journal`] makes a change of many files one change;
//! - [`Quarantine`] sets a damaged thing aside and says why;
//! - [`ensure_dir`] makes a directory that is still there after a power cut.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! use highwater_fs::{Fs, Mode, RealFs, RelPath, publish};
//!
//! let fs = RealFs::open(dir.path())?;
//! let report = RelPath::new("report.md")?;
//! publish(&fs, &report, b"20,600 of 20,600\n", Mode::Umask)?;
//! assert_eq!(fs.read(&report, 1024)?, b"20,600 of 20,600\n");
//! # Ok(()) }
//! ```
//!
//! This crate knows no job, no ledger, no lock and no clock: who may write, and when, is the
//! caller's to decide. Functions that clear away what a crash left ([`collect_stale`],
//! [`Journal::recover`]) are to be called under the lock that the writers hold.

mod confine;
mod error;
mod fs;
mod journal;
mod plain;
mod publish;
mod quarantine;
mod real;

pub use confine::{ConfineError, NAME_BYTES_MAX, PATH_BYTES_MAX, RelPath};
pub use error::{FsError, Op};
pub use fs::{Changed, Entry, FileId, Fs, FsFile, Kind, LIST_ENTRIES_MAX, Mode, RawFile, Stat};
pub use journal::{CHANGE_FILES_MAX, Change, INTENT_BYTES_MAX, Journal, JournalError, Recovery, TargetFault};
pub use plain::{open_plain, read_plain};
pub use publish::{Placed, Staged, collect_stale, ensure_dir, is_partial, publish, publish_at, publish_new};
pub use quarantine::{Quarantine, Quarantined};
pub use real::RealFs;
