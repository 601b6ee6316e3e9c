//! A repository in memory, for tests and demonstrations. Owns its records and lets them change.

mod generated;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use jiff::Timestamp;

pub use generated::Generated;

use super::repository::{Identity, Position, Repository, RepositoryError, in_set, oai_dc};
use crate::protocol::{Datestamp, Granularity, Header, MetadataFormat, OAI_DC, Record, Selection, SetInfo};

/// A repository in memory, of one format.
#[derive(Debug)]
pub struct Memory {
    identity: Identity,
    sets: Vec<SetInfo>,
    records: RwLock<Records>,
}

#[derive(Debug, Default)]
struct Records {
    rows: BTreeMap<Position, Row>,
    positions: HashMap<Arc<str>, Position>,
}

#[derive(Debug, Clone)]
struct Row {
    identifier: Arc<str>,
    sets: Arc<[String]>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Deleted,
    /// Alive, and without metadata.
    Bare,
    Metadata(Box<str>),
    /// The book of this number, written whenever it is asked for.
    Book(u64),
}

impl Memory {
    /// An empty repository.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, sets: Vec::new(), records: RwLock::default() }
    }

    /// With these sets.
    #[must_use]
    pub fn with_sets(mut self, sets: impl IntoIterator<Item = SetInfo>) -> Self {
        self.sets = sets.into_iter().collect();
        self
    }

    /// Adds a record, or puts it in place of the one with its identifier; its datestamp is cut to the repository's granularity.
    pub fn put(&self, record: Record) {
        let Record { header, metadata } = record;
        let body = match metadata {
            _ if header.deleted => Body::Deleted,
            Some(metadata) => Body::Metadata(metadata.into()),
            None => Body::Bare,
        };
        let row = Row { identifier: header.identifier.into(), sets: header.sets.into(), body };
        self.write().place(row, self.stamp(header.datestamp.at()));
    }

    /// Changes when a record was changed, and nothing else; false: there is none.
    pub fn touch(&self, identifier: &str, at: Timestamp) -> bool {
        self.change(identifier, at, |_| {})
    }

    /// Deletes a record, which stays as a header; false: there is none.
    pub fn delete(&self, identifier: &str, at: Timestamp) -> bool {
        self.change(identifier, at, |row| row.body = Body::Deleted)
    }

    /// The headers of all records, in order of position.
    #[must_use]
    pub fn headers(&self) -> Vec<Header> {
        self.read().rows.iter().map(|(position, row)| row.record(position.0, false).header).collect()
    }

    fn change(&self, identifier: &str, at: Timestamp, change: impl FnOnce(&mut Row)) -> bool {
        let mut records = self.write();
        let Some(mut row) = records.positions.get(identifier).and_then(|at| records.rows.get(at)).cloned() else {
            return false;
        };
        change(&mut row);
        records.place(row, self.stamp(at));
        true
    }

    fn stamp(&self, at: Timestamp) -> Datestamp {
        Datestamp::new(at, self.granularity())
    }

    fn granularity(&self) -> Granularity {
        self.identity.earliest.granularity()
    }

    fn read(&self) -> RwLockReadGuard<'_, Records> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Records> {
        self.records.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a selection begins, that nothing before it is looked at.
    fn start(&self, select: &Selection, after: Option<Position>) -> Bound<Position> {
        let from = select.from.map(|from| (self.stamp(from.at()), i64::MIN));
        match (after, from) {
            (Some(after), from) if from.is_none_or(|from| from <= after) => Bound::Excluded(after),
            (_, Some(from)) => Bound::Included(from),
            _ => Bound::Unbounded,
        }
    }
}

impl Records {
    /// Puts a row where its datestamp says, under the number that it has, or else a new one.
    fn place(&mut self, row: Row, stamp: Datestamp) {
        let next = i64::try_from(self.positions.len()).expect("invariant: memory has no room for more");
        let number = match self.positions.get(&row.identifier) {
            Some(old) => {
                self.rows.remove(old);
                old.1
            }
            None => next,
        };
        self.positions.insert(Arc::clone(&row.identifier), (stamp, number));
        self.rows.insert((stamp, number), row);
    }

    /// The rows of a selection, from `start` on.
    fn select<'a>(
        &'a self,
        select: &'a Selection,
        start: Bound<Position>,
    ) -> impl Iterator<Item = (&'a Position, &'a Row)> {
        self.rows
            .range((start, Bound::Unbounded))
            .take_while(|(position, _)| select.until.is_none_or(|until| position.0.at() <= until.at()))
            .filter(|(_, row)| row.is_in(select.set.as_deref()))
    }
}

impl Row {
    fn is_in(&self, set: Option<&str>) -> bool {
        set.is_none_or(|wanted| self.sets.iter().any(|spec| in_set(spec, wanted)))
    }

    fn record(&self, datestamp: Datestamp, with_metadata: bool) -> Record {
        let header = Header {
            identifier: self.identifier.to_string(),
            datestamp,
            sets: self.sets.to_vec(),
            deleted: matches!(self.body, Body::Deleted),
        };
        let metadata = match &self.body {
            Body::Metadata(metadata) if with_metadata => Some(metadata.to_string()),
            Body::Book(number) if with_metadata => Some(generated::book(*number)),
            _ => None,
        };
        Record { header, metadata }
    }
}

#[async_trait]
impl Repository for Memory {
    async fn identify(&self) -> Result<Identity, RepositoryError> {
        Ok(self.identity.clone())
    }

    async fn sets(&self) -> Result<Vec<SetInfo>, RepositoryError> {
        Ok(self.sets.clone())
    }

    async fn formats(&self) -> Result<Vec<MetadataFormat>, RepositoryError> {
        Ok(vec![oai_dc()])
    }

    async fn count(&self, select: &Selection) -> Result<u64, RepositoryError> {
        Ok(self.read().select(select, self.start(select, None)).count() as u64)
    }

    async fn page(
        &self,
        select: &Selection,
        after: Option<Position>,
        limit: usize,
        with_metadata: bool,
    ) -> Result<Vec<(Position, Record)>, RepositoryError> {
        let records = self.read();
        let rows = records.select(select, self.start(select, after)).take(limit);
        Ok(rows.map(|(position, row)| (*position, row.record(position.0, with_metadata))).collect())
    }

    async fn record(&self, identifier: &str, metadata_prefix: &str) -> Result<Option<Record>, RepositoryError> {
        let records = self.read();
        let Some(position) = records.positions.get(identifier) else { return Ok(None) };
        Ok(records.rows.get(position).map(|row| row.record(position.0, metadata_prefix == OAI_DC)))
    }
}
