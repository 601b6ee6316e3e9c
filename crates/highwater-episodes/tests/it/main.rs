//! Episodes from outside: the index, the store and the receiver on real and simulated disks, over real sockets and real TLS.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod index;
mod receive;
mod rows;
mod store;
