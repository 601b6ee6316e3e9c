//! The pass: prepare in parallel, commit in order, under one lock, and never lie about what is done.
//!
//! A [`job::Job`] says how one kind of backlog is listed, prepared and committed. Everything else is here: locks, bans,
//! pace, budgets, breakers, the pipeline, the exit codes, and the [`ledger::Ledger`] trait that remembers it all. The engine
//! knows no job but `exec`, no SQL, no command line and no HTTP server.

// Under `--cfg shuttle` every `tokio::…` of this crate is that of shuttle, which decides who runs next; `tests/shuttle` runs passes on it.
#[cfg(shuttle)]
extern crate shuttle_tokio as tokio;
#[cfg(shuttle)]
extern crate tokio as tokio_itself;

pub mod ban;
pub mod batch;
pub mod breaker;
pub mod budget;
pub mod clock;
pub mod contact;
pub mod diagnosis;
pub mod exec;
pub mod job;
pub mod ledger;
pub mod lock;
pub mod marker;
pub mod name;
pub mod notify;
pub mod outcome;
pub mod pace;
pub mod pass;
mod pin;
mod pipeline;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod settings;
pub mod shell;
pub mod signal;
pub mod spec;
pub mod steering;
mod stopper;
pub mod throttle;
pub mod turnstile;
pub mod worklist;
