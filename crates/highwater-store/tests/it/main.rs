//! What a ledger does, shown once for every database it is on, and what is SQLite's own.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod conformance;
mod sqlite;
