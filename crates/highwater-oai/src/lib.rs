//! OAI-PMH 2.0: a client that survives what repositories do, a provider that conforms, a catalogue to load into, and the jobs
//! that drain a repository into it.
//!
//! Owns the protocol and everything that speaks it. Knows the engine, the file system and databases; no ledger, no command
//! line, no other domain.

pub mod backfill;
pub mod catalog;
pub mod client;
pub mod discover;
mod filter;
pub mod harvest;
pub mod identifier;
pub mod protocol;
pub mod provider;
pub mod reports;
pub mod served;
pub mod settings;
pub mod snapshot;
pub mod spool;
pub mod target;
