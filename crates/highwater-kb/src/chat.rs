//! A conversation with a base, turn by turn. Owns the session: what was said is kept in a file, a line a turn, and a conversation goes on
//! where it was left, also after a kill.

mod session;

pub use self::session::{SESSION_BYTES_MAX, Session, SessionError, Turn};
