//! Systems of one's own, through the built binary against a provider in this process. `far_side.rs` owns the provider.

mod far_side;
mod own_system;
