//! Slices of a harvest in hand: what of each is still to be fetched, and its records that are not loaded yet. Owns their rows, and
//! that a page and where its list goes on are one transaction.

use std::collections::VecDeque;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::{Spool, SpoolError, SpoolResult, count, from_json, micros, moment, to_json, whole};
use crate::client::Walk;
use crate::protocol::{Datestamp, Header, Record};

/// A stretch of datestamps that is fetched as one list, both ends included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Where it begins; the repository's first record where absent.
    pub from: Option<Timestamp>,
    /// Where it ends; open where absent.
    pub until: Option<Timestamp>,
    /// Where its list goes on, once its first page was read.
    pub walk: Option<Walk>,
    /// How often its list broke off and began anew.
    pub restarts: u32,
    /// The number of its first record in the slice.
    pub first_no: u64,
}

/// How far a slice is.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceState {
    /// What is still to be fetched; empty once all is.
    pub ranges: VecDeque<Range>,
    /// The repository's time when its list was first asked for.
    pub first_response_at: Option<Timestamp>,
    /// Records fetched.
    pub fetched: u64,
    /// The number that the next record gets.
    pub next_no: u64,
}

/// How many slices of a round are begun, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlicesBegun {
    /// Fetched to their ends.
    pub whole: u64,
    /// Not.
    pub broken: u64,
    /// Whole or not, of which the repository did not say when it was first asked.
    pub undated: u64,
    /// Records of all of them.
    pub fetched: u64,
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Its identifier; empty where not even that can be read.
    pub identifier: String,
    /// Its header, where that much of it can.
    pub header: Option<Header>,
    /// What is wrong with it.
    pub why: String,
}

impl Spool {
    /// How far a slice is; `None` when nothing of it was fetched.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn slice(&self, key: &str) -> SpoolResult<Option<SliceState>> {
        let key = key.to_owned();
        self.read(move |db| {
            let row: Option<(String, Option<i64>, i64, i64)> = db
                .prepare_cached("SELECT ranges, first_response_at, fetched, next_no FROM slice WHERE key = ?1")?
                .query_row(params![key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                .optional()?;
            let Some((ranges, first, fetched, next_no)) = row else { return Ok(None) };
            Ok(Some(SliceState {
                ranges: from_json(&ranges)?,
                first_response_at: first.map(moment).transpose()?,
                fetched: count(fetched),
                next_no: count(next_no),
            }))
        })
        .await
    }

    /// Keeps how far a slice is, with the records of a page that brought it there. Records numbered `drop_from` and above go
    /// first: their list began anew.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn set_slice(
        &self,
        key: &str,
        state: &SliceState,
        page: Vec<Record>,
        reviews: Vec<Unread>,
        drop_from: Option<u64>,
    ) -> SpoolResult<()> {
        let (key, state) = (key.to_owned(), state.clone());
        self.write(move |db| {
            let first = state.next_no.saturating_sub((page.len() + reviews.len()) as u64);
            db.prepare_cached(include_str!("slice/set.sql"))?.execute(params![
                key,
                to_json(&state.ranges),
                state.first_response_at.map(micros),
                whole(state.fetched),
                whole(state.next_no),
            ])?;
            if let Some(from) = drop_from {
                db.execute("DELETE FROM slice_record WHERE slice = ?1 AND no >= ?2", params![key, whole(from)])?;
                db.execute("DELETE FROM slice_review WHERE slice = ?1 AND no >= ?2", params![key, whole(from)])?;
            }
            let mut add = db.prepare_cached(include_str!("slice/add_record.sql"))?;
            let mut no = first;
            for Record { header, metadata } in &page {
                let Header { identifier, datestamp, sets, deleted } = header;
                add.execute(params![
                    key,
                    whole(no),
                    identifier,
                    datestamp.to_string(),
                    to_json(sets),
                    deleted,
                    metadata
                ])?;
                no += 1;
            }
            let mut review = db.prepare_cached(include_str!("slice/add_review.sql"))?;
            for Unread { identifier, header, why } in &reviews {
                let header = header.as_ref();
                review.execute(params![
                    key,
                    whole(no),
                    identifier,
                    why,
                    header.map(|header| header.datestamp.to_string()),
                    header.map(|header| to_json(&header.sets)),
                    header.map(|header| header.deleted),
                ])?;
                no += 1;
            }
            Ok(())
        })
        .await
    }

    /// The records of a slice that are not loaded yet, in order, after number `after`.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn slice_records(
        &self,
        key: &str,
        after: Option<u64>,
        rows_max: usize,
        bytes_max: u64,
    ) -> SpoolResult<Vec<(u64, Record)>> {
        let key = key.to_owned();
        self.read(move |db| {
            let mut page = db.prepare_cached(include_str!("slice/records.sql"))?;
            let mut rows = page.query(params![key, after.map_or(-1, whole), whole(rows_max as u64)])?;
            let (mut records, mut bytes) = (Vec::new(), 0u64);
            while let Some(row) = rows.next()? {
                let datestamp: String = row.get(2)?;
                let datestamp =
                    Datestamp::parse(&datestamp).map_err(|e| SpoolError::Unreadable { what: e.to_string() })?;
                let header = Header {
                    identifier: row.get(1)?,
                    datestamp,
                    sets: from_json(&row.get::<_, String>(3)?)?,
                    deleted: row.get(4)?,
                };
                let metadata: Option<String> = row.get(5)?;
                bytes += metadata.as_ref().map_or(0, |m| m.len() as u64);
                records.push((count(row.get(0)?), Record { header, metadata }));
                if bytes >= bytes_max {
                    break;
                }
            }
            Ok(records)
        })
        .await
    }

    /// These records are loaded, or are for a person, who finds them as `reviews`.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn slice_loaded(
        &self,
        key: &str,
        loaded: Vec<u64>,
        reviews: Vec<(u64, String, String)>,
    ) -> SpoolResult<()> {
        let key = key.to_owned();
        self.write(move |db| {
            let mut forget = db.prepare_cached("DELETE FROM slice_record WHERE slice = ?1 AND no = ?2")?;
            for no in &loaded {
                forget.execute(params![key, whole(*no)])?;
            }
            let mut review = db.prepare_cached(include_str!("slice/add_review.sql"))?;
            for (no, identifier, why) in &reviews {
                review.execute(params![
                    key,
                    whole(*no),
                    identifier,
                    why,
                    None::<String>,
                    None::<String>,
                    None::<bool>
                ])?;
            }
            Ok(())
        })
        .await
    }

    /// The headers of a slice's records that cannot be read, and why not, in order, after number `after`.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn slice_unread(
        &self,
        key: &str,
        after: Option<u64>,
        rows_max: usize,
    ) -> SpoolResult<Vec<(u64, Header, String)>> {
        let key = key.to_owned();
        self.read(move |db| {
            let mut page = db.prepare_cached(include_str!("slice/unread.sql"))?;
            let mut rows = page.query(params![key, after.map_or(-1, whole), whole(rows_max as u64)])?;
            let mut unread = Vec::new();
            while let Some(row) = rows.next()? {
                let datestamp: String = row.get(3)?;
                let datestamp =
                    Datestamp::parse(&datestamp).map_err(|e| SpoolError::Unreadable { what: e.to_string() })?;
                let header = Header {
                    identifier: row.get(1)?,
                    datestamp,
                    sets: from_json(&row.get::<_, String>(4)?)?,
                    deleted: row.get(5)?,
                };
                unread.push((count(row.get(0)?), header, row.get(2)?));
            }
            Ok(unread)
        })
        .await
    }

    /// How many slices of the round are begun.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn slices_begun(&self) -> SpoolResult<SlicesBegun> {
        self.read(|db| {
            Ok(db.query_row(include_str!("slice/begun.sql"), [], |row| {
                Ok(SlicesBegun {
                    whole: count(row.get(0)?),
                    broken: count(row.get(1)?),
                    undated: count(row.get(2)?),
                    fetched: count(row.get(3)?),
                })
            })?)
        })
        .await
    }

    /// What a person must look at in a slice: how many, and the first.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn slice_reviews(&self, key: &str, rows_max: usize) -> SpoolResult<(u64, Vec<(String, String)>)> {
        let key = key.to_owned();
        self.read(move |db| {
            let all: i64 =
                db.query_row("SELECT count(*) FROM slice_review WHERE slice = ?1", params![key], |row| row.get(0))?;
            let mut first =
                db.prepare_cached("SELECT identifier, why FROM slice_review WHERE slice = ?1 ORDER BY no LIMIT ?2")?;
            let rows = first.query_map(params![key, whole(rows_max as u64)], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok((count(all), rows.collect::<Result<_, _>>()?))
        })
        .await
    }

    /// The earliest repository time at which a slice of the round was first asked for.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn first_response(&self) -> SpoolResult<Option<Timestamp>> {
        self.read(|db| {
            let first: Option<i64> = db.query_row("SELECT min(first_response_at) FROM slice", [], |row| row.get(0))?;
            first.map(moment).transpose()
        })
        .await
    }

    /// Forgets every slice and begins a round of what is `selected`.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn begin_round(&self, selected: &str) -> SpoolResult<()> {
        let selected = selected.to_owned();
        self.write(move |db| {
            db.execute("DELETE FROM slice", [])?;
            db.execute("INSERT OR REPLACE INTO round (one, selected) VALUES (1, ?1)", params![selected])?;
            Ok(())
        })
        .await
    }

    /// What was selected when the round in hand was begun; `None` where that is not known any more.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn round(&self) -> SpoolResult<Option<String>> {
        self.read(|db| Ok(db.query_row("SELECT selected FROM round", [], |row| row.get(0)).optional()?)).await
    }
}
