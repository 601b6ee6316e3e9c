//! `exec` through the whole pass: a real list, real commands, a real ledger.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod as_items;
mod as_pass;
mod house;
mod killed;
