//! The knowledge base, from outside: on a simulated disk that is crashed everywhere, and on a real one.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod birth;
mod compiled;
mod edits;
mod histories;
mod home;
mod hostile_text;
mod power_loss;
mod simulated;
mod tree;
