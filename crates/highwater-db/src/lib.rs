//! Databases as everyone here needs them: opened safely, migrated by number, backed up, written by one thread, locked by a
//! session.
//!
//! Owns the connection, its settings and its errors. Knows no table but its own `schema_migration`: what is stored belongs
//! to the ledger, the catalog and the other owners of a file. Each database has a module of its own, [`sqlite`] and
//! [`postgres`]; [`session`] is what they have in common for SQL that is the same on both, [`address`] where either is.

pub mod address;
pub mod postgres;
pub mod session;
pub mod sqlite;
