//! The receiver.

mod durable;
