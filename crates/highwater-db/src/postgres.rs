//! PostgreSQL: addresses with everything libpq says of TLS, sessions whose death is noticed, advisory locks, and how well a
//! server is.
//!
//! A session here is never pooled: what it locked and set up stays until it ends.

pub mod address;
pub mod advisory;
pub mod health;
pub mod session;
mod tls;

pub use address::{Address, AddressError};
pub use advisory::{AdvisoryKey, KeyError};
pub use health::Health;
pub use session::PostgresSession;
