//! PostgreSQL: addresses with everything libpq says of TLS, sessions whose death is noticed, and advisory locks.
//!
//! A session here is never pooled: what it locked and set up stays until it ends.

pub mod address;
pub mod advisory;
pub mod session;
mod tls;

pub use address::{Address, AddressError};
pub use advisory::{AdvisoryKey, KeyError};
pub use session::PostgresSession;
