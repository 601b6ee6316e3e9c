//! Both halves, on real files and a real server.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod backup;
mod connect;
mod damage;
mod full_disk;
mod migration;
mod postgres;
mod power_loss;
mod reader;
mod scratch;
mod tls;
mod writer;
