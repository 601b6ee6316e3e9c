//! The provider as a client meets it: through a socket, over a repository that changes, at a time that the test chooses.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod arguments;
mod client;
mod faults;
mod limits;
mod lists;
mod real;
mod schema;
mod verbs;
mod world;
