//! Rows whose episode is not stored. Owns how they are found, and taken out of the index by explicit word; a row that an upload needs at
//! this moment stays.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::Stop;
use jiff::Timestamp;

use super::{Place, index_failed, store_failed};
use crate::index::{Appended, Cursor, IndexError, PAGE_ROWS_MAX, PageAsk, Row};
use crate::name::EpisodeKey;

/// Most names that are told of rows without their episode.
const TOLD_ROWS_MAX: usize = 5;
/// So many rows may go although they are most of them: a single one is what a person has just removed.
const PRUNE_ROWS_UNASKED: u64 = 1;

impl Place {
    /// Puts the tombstones back that somebody took out of the index; says how many.
    pub(super) fn put_back(&self) -> Result<u64, IndexError> {
        let mut back = 0;
        for rows in self.index.lost_tombstones()?.chunks(PAGE_ROWS_MAX) {
            back += self.index.append(rows)?.iter().filter(|became| **became == Appended::New).count() as u64;
        }
        Ok(back)
    }

    /// Rows whose episode is not there, by pages of the index.
    pub(super) fn each_orphan(&self, mut each: impl FnMut(Vec<Row>) -> Result<(), Stop>) -> Result<(), Stop> {
        let mut cursor = Cursor::default();
        loop {
            let hosts = self.hosts.as_ref().map(|hosts| hosts.iter().cloned().collect());
            let ask = PageAsk { hosts, since: None, cursor, rows_max: PAGE_ROWS_MAX };
            let page = self.index.page(&ask).map_err(|error| index_failed(&error))?;
            let mut orphans = Vec::new();
            for row in page.rows.into_iter().filter(|row| row.withdrawn.is_none()) {
                if self.store.stat(&row.key()).map_err(|error| store_failed(&error))?.is_none() {
                    orphans.push(row);
                }
            }
            if !orphans.is_empty() {
                each(orphans)?;
            }
            if page.complete {
                return Ok(());
            }
            cursor = page.next;
        }
    }

    /// Rows whose episode is not there: how many, and the first few.
    pub(super) fn orphans(&self) -> Result<(u64, Vec<EpisodeKey>), Stop> {
        let (mut count, mut told) = (0, Vec::new());
        self.each_orphan(|rows| {
            count += rows.len() as u64;
            told.extend(rows.iter().map(Row::key).take(TOLD_ROWS_MAX - told.len()));
            Ok(())
        })?;
        Ok((count, told))
    }

    /// Takes rows whose episode is not there out of the index: a tombstone each, which leaves the name free.
    pub(super) fn prune(&self, prune: Prune, now: Timestamp) -> Result<(u64, Vec<EpisodeKey>), Stop> {
        let (count, told) = self.orphans()?;
        let keys = self.index.figures().map_err(|error| index_failed(&error))?.keys;
        if prune == Prune::Few && count > PRUNE_ROWS_UNASKED && count > keys / 2 {
            let message = format!("{count} of {keys} rows have no stored episode, and would all be removed");
            let next = "check that the disk of the episodes is mounted; add `--force` where they are really gone";
            return Err(Stop::Fail(Diagnosis::refusal("HW-EPI-204", message, next)));
        }
        let mut pruned = 0;
        self.each_orphan(|rows| {
            let why = "its episode is no longer stored".to_owned();
            let tombstones: Vec<Row> =
                rows.into_iter().map(|row| Row { removed: Some(why.clone()), received_at_wall: now, ..row }).collect();
            // A receiver may be storing one of them at this moment: it is looked for once more while no row can be appended.
            let mut still = |row: &Row| match self.store.stat(&row.key()) {
                Ok(stored) => Ok(stored.is_none()),
                Err(error) => Err(IndexError::Unsure(Box::new(error))),
            };
            let became = self.index.append_where(&tombstones, &mut still).map_err(|error| index_failed(&error))?;
            pruned += became.iter().filter(|became| **became == Appended::New).count() as u64;
            Ok(())
        })?;
        Ok((pruned, told))
    }
}

/// Whether rows without an episode are taken out of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// Unless they are most of them: then the disk of the episodes may not be mounted.
    Few,
    /// However many they are.
    Any,
}
