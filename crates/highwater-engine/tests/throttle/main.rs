//! A pass beside signals, and under a person's hand: what waits, what is slowed, what goes on, and what ends.
#![allow(clippy::unwrap_used)]

mod closed;
mod house;
mod slowed;
mod steered;
