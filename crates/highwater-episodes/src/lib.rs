//! Episodes: directories of recorded files that hosts pack and send to a receiver, which stores them, indexes them and refuses
//! what out-of-date code recorded.
//!
//! Owns the archive and its identity, the names and digests that go over the wire, the index, and both ends of the transfer.
//! Knows the engine and the file system; no ledger, no command line, no other domain.

pub mod archive;
pub mod digest;
pub mod gate;
pub mod index;
pub mod name;
pub mod odd;
pub mod pem;
pub mod receive;
pub mod reindex;
pub mod ship;
pub mod shut;
pub mod store;
pub mod survey;
pub mod totals;
pub mod verify;
pub mod wire;
pub mod withdraw;
