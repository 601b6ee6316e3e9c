//! The catalogue: loading, and everything that is read from it.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod damage;
mod export;
mod list;
mod load;
mod made;
mod real;
mod search;
