//! Episodes, as their users meet them.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod archive;
mod gate;
mod retire;
