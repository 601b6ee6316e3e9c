//! The receiver, over real sockets.

mod attacks;
mod damaged;
pub(crate) mod documented;
mod durable;
mod gate;
mod limits;
mod look;
mod lost;
mod moved;
mod odd;
mod proxy;
mod resumable;
pub(crate) mod rig;
mod storm;
mod tls;
mod twice;
mod upload;
mod verified;
