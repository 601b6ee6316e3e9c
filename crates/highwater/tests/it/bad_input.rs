//! Bad input (R15): whatever is wrong, a person gets one clear error with file, line, field, what was expected and what to do
//! next, and nothing is changed. One snapshot a case; `call.rs` owns how a call is made, shown and held against what was
//! there before.

mod call;
mod command_line;
mod config;
mod damaged;
mod full_disk;
mod lists;
mod permissions;
mod programs;
mod traces;
