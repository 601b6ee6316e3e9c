//! What a repository says of itself, asked once and kept. Owns its row.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{Spool, SpoolError, SpoolResult, micros};
use crate::protocol::{Datestamp, Granularity};

/// What is kept of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRepository {
    /// How fine its datestamps are.
    pub granularity: Granularity,
    /// No record is older.
    pub earliest: Datestamp,
}

impl Spool {
    /// What is known of the repository at `base_url`.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn repository(&self, base_url: &str) -> SpoolResult<Option<KnownRepository>> {
        let base_url = base_url.to_owned();
        self.read(move |db| {
            let row: Option<(String, String)> = db
                .query_row(
                    "SELECT granularity, earliest FROM repository WHERE base_url = ?1",
                    params![base_url],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let Some((granularity, earliest)) = row else { return Ok(None) };
            let granularity = if granularity == "day" { Granularity::Day } else { Granularity::Second };
            let earliest = Datestamp::parse(&earliest).map_err(|e| SpoolError::Unreadable { what: e.to_string() })?;
            Ok(Some(KnownRepository { granularity, earliest }))
        })
        .await
    }

    /// Keeps it.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn set_repository(&self, base_url: &str, known: KnownRepository, at: Timestamp) -> SpoolResult<()> {
        let base_url = base_url.to_owned();
        self.write(move |db| {
            let granularity = if known.granularity == Granularity::Day { "day" } else { "second" };
            db.execute(
                "INSERT OR REPLACE INTO repository (base_url, granularity, earliest, asked_at) VALUES (?1, ?2, ?3, ?4)",
                params![base_url, granularity, known.earliest.to_string(), micros(at)],
            )?;
            Ok(())
        })
        .await
    }
}
