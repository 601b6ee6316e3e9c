//! The receiver, over real sockets.

mod attacks;
mod durable;
mod gate;
mod limits;
mod look;
pub(crate) mod rig;
mod storm;
mod upload;
