//! The difference between a crawl and what a target has: missing, stale, orphans. Owns how it is computed and kept.

use rusqlite::params;
use serde::Serialize;

use super::{CrawlId, Identifiers, Spool, SpoolResult, count, whole};
use crate::settings::DrainOrder;

/// What of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportKind {
    /// Live there and not here: the worklist.
    Missing,
    /// Deleted there and still here.
    Stale,
    /// Here and unknown there.
    Orphans,
}

impl ReportKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Missing, Self::Stale, Self::Orphans];

    /// Its word, and the name of its file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Stale => "stale",
            Self::Orphans => "orphans",
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Missing => include_str!("difference/missing.sql"),
            Self::Stale => include_str!("difference/stale.sql"),
            Self::Orphans => include_str!("difference/orphans.sql"),
        }
    }
}

/// How many of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Difference {
    /// Live in the repository.
    pub active: u64,
    /// Deleted in the repository.
    pub deleted: u64,
    /// What the target has.
    pub have: u64,
    /// Live there and not here.
    pub missing: u64,
    /// Deleted there and still here.
    pub stale: u64,
    /// Here and unknown there.
    pub orphans: u64,
    /// Live there and not here, but of a type that is not wanted.
    pub filtered: u64,
    /// There, but of another shape than the prefix and something after it: in none of the above.
    pub unrecognised: u64,
}

impl Spool {
    /// Forgets what a target had.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn clear_have(&self) -> SpoolResult<()> {
        self.write(|db| {
            db.execute("DELETE FROM have", [])?;
            Ok(())
        })
        .await
    }

    /// Adds identifiers that a target has.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn add_have(&self, locals: Vec<String>) -> SpoolResult<()> {
        self.write(move |db| {
            let mut add = db.prepare_cached("INSERT OR IGNORE INTO have (identifier) VALUES (?1)")?;
            for local in &locals {
                add.execute(params![local])?;
            }
            Ok(())
        })
        .await
    }

    /// Whether the target had this identifier when it was asked last.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn has(&self, local: String) -> SpoolResult<bool> {
        self.read(move |db| {
            Ok(db.prepare_cached("SELECT 1 FROM have WHERE identifier = ?1")?.exists(params![local])?)
        })
        .await
    }

    /// Computes the difference and keeps what is missing, in order. Records that were dropped when other types were `wanted` are
    /// missing like any.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn compare(&self, crawl: CrawlId, order: DrainOrder, wanted: &str) -> SpoolResult<Difference> {
        let wanted = wanted.to_owned();
        self.write(move |db| {
            db.execute("DELETE FROM filtered WHERE wanted <> ?1", params![wanted])?;
            db.execute("DELETE FROM missing", [])?;
            let fill = match order {
                DrainOrder::NewestFirst => include_str!("difference/fill_newest_first.sql"),
                DrainOrder::OldestFirst => include_str!("difference/fill_oldest_first.sql"),
                DrainOrder::AsGiven => include_str!("difference/fill_as_given.sql"),
            };
            let missing = db.execute(fill, params![crawl.0])? as u64;
            let one = |sql: &str| db.query_row(sql, params![crawl.0], |row| row.get::<_, i64>(0)).map(count);
            let counted = |sql: &str| one(&format!("SELECT count(*) FROM ({sql})"));
            Ok(Difference {
                active: one("SELECT count(*) FROM header WHERE crawl = ?1 AND deleted = 0")?,
                deleted: one("SELECT count(*) FROM header WHERE crawl = ?1 AND deleted = 1")?,
                have: db.query_row("SELECT count(*) FROM have", [], |row| row.get::<_, i64>(0)).map(count)?,
                missing,
                stale: counted(ReportKind::Stale.sql())?,
                orphans: counted(ReportKind::Orphans.sql())?,
                filtered: one(include_str!("difference/filtered.sql"))?,
                unrecognised: one("SELECT unrecognised FROM crawl WHERE id = ?1")?,
            })
        })
        .await
    }

    /// What is missing, in order; `after` is how many came before.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn missing_page(&self, after: u64, rows_max: usize) -> SpoolResult<Vec<(u64, String)>> {
        self.read(move |db| {
            let mut page =
                db.prepare_cached("SELECT no, identifier FROM missing WHERE no > ?1 ORDER BY no LIMIT ?2")?;
            let rows = page.query_map(params![whole(after), whole(rows_max as u64)], |row| {
                Ok((count(row.get(0)?), row.get(1)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Hands one part of the difference to `take`, in order.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn with_reported<T: Send + 'static>(
        &self,
        crawl: CrawlId,
        kind: ReportKind,
        take: impl FnOnce(&mut Identifiers<'_>) -> T + Send + 'static,
    ) -> SpoolResult<T> {
        self.read(move |db| {
            let mut listed = db.prepare_cached(kind.sql())?;
            let mut rows = listed.query_map(params![crawl.0], |row| row.get(0))?.map(|row| Ok(row?));
            Ok(take(&mut rows))
        })
        .await
    }

    /// A record that was fetched is of a type that is not among the `wanted`.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn add_filtered(&self, local: String, why: String, wanted: &str) -> SpoolResult<()> {
        let wanted = wanted.to_owned();
        self.write(move |db| {
            db.prepare_cached("INSERT OR REPLACE INTO filtered (identifier, why, wanted) VALUES (?1, ?2, ?3)")?
                .execute(params![local, why, wanted])?;
            Ok(())
        })
        .await
    }
}
