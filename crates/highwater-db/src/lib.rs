//! Databases as everyone here needs them: opened safely, migrated by number, backed up, written by one thread.
//!
//! Owns the connection, its settings and its errors. Knows no table but its own `schema_migration`: what is stored belongs
//! to the ledger, the catalog and the other owners of a file. Each database has a module of its own, beginning with
//! [`sqlite`].

pub mod sqlite;
