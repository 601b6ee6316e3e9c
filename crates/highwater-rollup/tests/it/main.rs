//! Declared rollups on real databases.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod between;
mod bound;
mod bypass;
mod ddl;
mod event_index;
mod fire;
mod freeze;
mod guard;
mod migrate;
mod put_back;
mod shown;
mod tick;
mod usage;
mod verify;
mod wrongs;
