//! The index: what was stored, a row an episode. Owns the rows; where they are kept is another room's.

mod row;

pub use row::{Commit, CommitError, Gate, LINE_BYTES_MAX, Row, RowError, SCHEMA_VERSION};
