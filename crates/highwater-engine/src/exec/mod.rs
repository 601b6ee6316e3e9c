//! `exec`: any command as a bounded, locked, remembered pass.

pub mod settings;
