//! The receiver, over real sockets.

mod attacks;
mod durable;
mod gate;
mod limits;
mod look;
mod rig;
mod storm;
mod upload;
