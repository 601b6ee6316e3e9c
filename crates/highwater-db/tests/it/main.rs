//! SQLite on real files, PostgreSQL on real servers.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod backup;
mod connect;
mod damage;
mod full_disk;
mod health;
mod migration;
mod postgres;
mod power_loss;
mod reader;
mod scratch;
mod tls;
mod writer;
