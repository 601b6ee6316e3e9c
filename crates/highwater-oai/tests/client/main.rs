//! The client against repositories that misbehave, by a real pass's contacts, and its parser against bytes of all kinds.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod chopped;
mod lists;
mod real;
mod refusals;
mod rig;
mod single;
