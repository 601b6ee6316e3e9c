//! Episodes packed and read back, here and by others.

mod bombs;
mod changing;
mod memory;
mod others;
mod random;
mod refused;
pub(crate) mod rig;
mod same_content;
mod shapes;
