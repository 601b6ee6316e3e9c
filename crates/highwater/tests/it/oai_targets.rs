//! Systems of one's own, through the built binary against a provider in this process. `far_side.rs` owns the provider, `kept.rs`
//! what a refusal leaves as it was.

pub(crate) mod far_side;
pub(crate) mod kept;
mod own_system;
mod own_system_refusals;
