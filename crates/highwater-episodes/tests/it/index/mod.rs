//! The index: what every one promises, and what the one in a file does with damage.

mod conformance;
mod edited;
mod jsonl;
mod turned;
