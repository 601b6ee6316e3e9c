//! Dev only: the world that tests run in, with its faults at the tests' command.
//!
//! Simulated where a test must choose every step (time, the disk), and real where only the real thing convinces (PostgreSQL,
//! a killed process, a disk that loses power). Whatever is started here is gone when its owner is dropped, and also when the
//! test is killed.

pub mod bind_mount;
pub mod certificates;
pub mod documents;
pub mod faulty_http;
mod keeper;
mod mount;
pub mod named;
pub mod nginx;
pub mod not_here;
pub mod older_base;
pub mod pgbouncer;
pub mod postgres;
pub mod power_loss;
pub mod program;
pub mod sim_clock;
pub mod sim_fs;
pub mod small_disk;
