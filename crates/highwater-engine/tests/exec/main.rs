//! `exec` through the whole pass: a real list, real commands, a real ledger.

mod as_items;
mod as_pass;
mod house;
mod killed;
