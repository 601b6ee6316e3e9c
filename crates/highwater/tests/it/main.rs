//! What the binary and the house as a whole must do: one integration binary, one module a subject.

mod bad_input;
mod commands;
mod endings;
mod house;
mod riders;
mod rig;
mod takeover;
