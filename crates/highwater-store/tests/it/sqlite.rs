//! The ledger on SQLite: the suite, and what is the file's own.

mod check;
mod crash;
mod damage;
mod files;
mod home;
mod limits;
mod statements;

crate::conformance::conformance_suite!(home::SqliteHome::new());
