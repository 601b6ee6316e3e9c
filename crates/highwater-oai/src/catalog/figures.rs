//! How much there is: counted in the transaction that changes it, so that asking reads one row.

use std::fmt;

use highwater_db::sqlite::rusqlite::{self, Connection, Row};

/// How much a catalogue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    /// Records that are there and were read.
    pub live: u64,
    /// Tombstones.
    pub deleted: u64,
    /// Works.
    pub works: u64,
    /// Records that could not be read.
    pub review: u64,
}

impl Figures {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let figure = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(Self { live: figure(0)?, deleted: figure(1)?, works: figure(2)?, review: figure(3)? })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { live, deleted, works, review } = self;
        write!(f, "{live} live, {deleted} deleted, {works} works, {review} in review")
    }
}

pub(super) fn figures(db: &Connection) -> rusqlite::Result<Figures> {
    db.prepare_cached(include_str!("figures/get.sql"))?.query_row([], Figures::read)
}
