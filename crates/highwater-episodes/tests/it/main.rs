//! Episodes on real disks.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod archive;
