//! What a ledger does, shown once for every database it is on, and what is SQLite's own.

mod conformance;
mod sqlite;
