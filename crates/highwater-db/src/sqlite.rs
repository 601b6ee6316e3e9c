//! SQLite: a file that is ours or refused, always in WAL mode, and opened with `synchronous=FULL`.
//!
//! One process never opens a database file except through SQLite: closing any other descriptor of the file would drop the
//! POSIX locks that SQLite holds on it, and another process could then write beside us.
//!
//! # Source
//! <https://sqlite.org/howtocorrupt.html> section 2.2, <https://sqlite.org/wal.html>

pub mod backup;
mod birth;
pub mod check;
pub mod connect;
mod durable;
pub mod error;
pub mod migration;
pub mod reader;
pub mod session;
pub mod writer;

pub use backup::{Backup, Backups};
pub use check::quick_check;
pub use connect::{ApplicationId, Database};
pub use error::{Cause, Error};
pub use migration::{Migration, Pending, migrate, pending};
pub use reader::Reader;
/// The SQLite binding, so that owners of a schema speak the version that the connections here have.
pub use rusqlite;
pub use session::SqliteSession;
pub use writer::{Writer, WriterError, take_in_log};
