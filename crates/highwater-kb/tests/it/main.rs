//! The knowledge base, from outside: on a simulated disk that is crashed everywhere, and on a real one.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod adopt;
mod answers;
mod birth;
mod collected;
mod compiled;
mod connections;
mod controls;
mod edits;
mod entered;
mod fold;
mod hands;
mod histories;
mod home;
mod hostile_text;
mod library;
mod lint;
mod looked;
mod moments;
mod mounted;
mod own;
mod power_loss;
mod rebuilt;
mod recompiled;
mod removed;
mod resolve;
mod rig;
mod ruined;
mod seeds;
mod simulated;
mod simulated_fold;
mod simulated_rebuild;
mod simulated_resolve;
mod snapshot;
mod status;
mod stood;
mod story;
mod together;
mod touched;
mod tree;
mod unchanged;
mod web;
mod whole;
mod workloads;
mod wrecked;
