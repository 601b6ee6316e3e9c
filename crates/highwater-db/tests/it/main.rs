//! The SQLite half, on real files.

mod backup;
mod connect;
mod damage;
mod full_disk;
mod migration;
mod reader;
mod scratch;
mod writer;
