//! The ledger: the durable memory of jobs, passes, worklists, items, resources and events, as
//! [`highwater_engine::ledger::Ledger`] asks for it.
//!
//! [`SqliteLedger`] keeps it in one file. Each database has a folder of its own for its SQL and its migrations; the rule by
//! which an outcome changes an item is the engine's ([`highwater_engine::worklist::settle`]), so that all ledgers agree.

mod check;
pub mod sqlite;

pub use check::CheckLine;
pub use sqlite::{Access, SqliteLedger};
