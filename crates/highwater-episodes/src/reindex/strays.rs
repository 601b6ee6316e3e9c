//! What does not fit together: rows whose episode is not stored, withdrawn episodes that are, and what has an episode's place and is none.
//! Owns how they are found and told, and how rows are taken out of the index by explicit word; a row that an upload needs at this moment
//! stays, and so does one in whose episode's place something odd lies, or what cannot be looked at.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::Stop;
use jiff::Timestamp;

use super::{Place, index_failed, store_failed};
use crate::index::{Appended, Cursor, IndexError, PAGE_ROWS_MAX, PageAsk, Row};
use crate::odd::Odd;
use crate::shut::Shut;
use crate::store::{Oddities, StoreError, is_missing};

/// Most names that are told of one sort.
const TOLD_NAMES_MAX: usize = 5;
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

    /// Rows to which the store does not stand as they say, by pages of the index: those whose episode is not there, and those of withdrawn
    /// episodes that are.
    pub(super) fn each_stray(&self, mut each: impl FnMut(Vec<Row>, Vec<Row>) -> Result<(), Stop>) -> Result<(), Stop> {
        let mut cursor = Cursor::default();
        loop {
            let hosts = self.hosts.as_ref().map(|hosts| hosts.iter().cloned().collect());
            let ask = PageAsk { hosts, since: None, cursor, rows_max: PAGE_ROWS_MAX };
            let page = self.index.page(&ask).map_err(|error| index_failed(&error))?;
            let (mut orphans, mut left) = (Vec::new(), Vec::new());
            for row in page.rows {
                match self.store.stat(&row.key()) {
                    // It is told of as what it is: of the episode nothing is known.
                    Err(StoreError::Odd(_) | StoreError::Shut(_)) => {}
                    Err(error) => return Err(store_failed(&error)),
                    Ok(Some(_)) if row.withdrawn.is_some() => left.push(row),
                    Ok(None) if row.withdrawn.is_none() => orphans.push(row),
                    Ok(_) => {}
                }
            }
            if !orphans.is_empty() || !left.is_empty() {
                each(orphans, left)?;
            }
            if page.complete {
                return Ok(());
            }
            cursor = page.next;
        }
    }

    /// How many rows the store does not stand to as they say, and the first few.
    pub(super) fn strays(&self) -> Result<Strays, Stop> {
        let mut strays = Strays::default();
        self.each_stray(|orphans, left| {
            strays.orphans.add(orphans.iter().map(Row::key));
            strays.left.add(left.iter().map(Row::key));
            Ok(())
        })?;
        Ok(strays)
    }

    /// What has the place of an episode or of a host, of those that are meant, and is neither; and which of these hosts' directories cannot
    /// be read.
    pub(super) fn oddities(&self) -> Result<(impl Iterator<Item = Odd>, impl Iterator<Item = Shut>), Stop> {
        let Oddities { odd, shut } = self.store.oddities().map_err(|error| store_failed(&error))?;
        let odd = odd.into_iter().filter(|oddity| self.wants(&oddity.host)).map(|oddity| oddity.odd);
        Ok((odd, shut.into_iter().filter(|(host, _)| self.wants(host)).map(|(_, shut)| shut)))
    }

    /// How many they are, and the first few.
    pub(super) fn amiss(&self) -> Result<Amiss, Stop> {
        let mut amiss = Amiss::default();
        let (odd, shut) = self.oddities()?;
        amiss.odd.add(odd);
        amiss.shut.add(shut);
        Ok(amiss)
    }

    /// Takes rows whose episode is not there out of the index: a tombstone each, which leaves the name free.
    pub(super) fn prune(&self, prune: Prune, now: Timestamp) -> Result<Strays, Stop> {
        let mut strays = self.strays()?;
        let count = strays.orphans.count;
        let keys = self.index.figures().map_err(|error| index_failed(&error))?.keys;
        if prune == Prune::Few && count > PRUNE_ROWS_UNASKED && count > keys / 2 {
            let message = format!("{count} of {keys} rows have no stored episode, and would all be removed");
            let next = "check that the disk of the episodes is mounted; add `--force` where they are really gone";
            return Err(Stop::Fail(Diagnosis::refusal("HW-EPI-204", message, next)));
        }
        let mut pruned = 0;
        self.each_stray(|rows, _| {
            let why = "its episode is no longer stored".to_owned();
            let tombstones: Vec<Row> =
                rows.into_iter().map(|row| Row { removed: Some(why.clone()), received_at_wall: now, ..row }).collect();
            // A receiver may be storing one of them at this moment: it is looked for once more while no row can be appended.
            let mut still =
                |row: &Row| is_missing(&*self.store, &row.key()).map_err(|error| IndexError::Unsure(Box::new(error)));
            let became = self.index.append_where(&tombstones, &mut still).map_err(|error| index_failed(&error))?;
            pruned += became.iter().filter(|became| **became == Appended::New).count() as u64;
            Ok(())
        })?;
        strays.orphans.count = pruned;
        Ok(strays)
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

/// How many there are of a sort, and the first few.
#[derive(Debug, Default)]
pub(super) struct Named {
    count: u64,
    first: Vec<String>,
}

/// The rows to which the store does not stand as they say.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// Those without a stored episode.
    pub(super) orphans: Named,
    /// Those of episodes that were withdrawn, and are stored all the same.
    pub(super) left: Named,
}

/// What a person must see to in the store.
#[derive(Debug, Default)]
pub(super) struct Amiss {
    /// What has a place that is not its own.
    pub(super) odd: Named,
    /// What cannot be read.
    pub(super) shut: Named,
}

impl Named {
    pub(super) fn add<T: ToString>(&mut self, more: impl IntoIterator<Item = T>) {
        for one in more {
            self.count += 1;
            if self.first.len() < TOLD_NAMES_MAX {
                self.first.push(one.to_string());
            }
        }
    }

    /// Adds those of another list.
    pub(super) fn join(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.truncate(TOLD_NAMES_MAX);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn names(&self) -> String {
        let more = if self.count > self.first.len() as u64 { ", …" } else { "" };
        format!("{}{more}", self.first.join(", "))
    }

    /// What is told of rows without a stored episode.
    pub(super) fn of_orphans(&self, are_removed: bool) -> Option<String> {
        let (rows, were) = match self.count {
            0 => return None,
            1 => ("1 row has".to_owned(), "was"),
            more => (format!("{more} rows have"), "were"),
        };
        let became = if are_removed { format!(" and {were} removed") } else { String::new() };
        Some(format!("{rows} no stored episode{became}: {}", self.names()))
    }

    /// What is told of withdrawn episodes that are stored.
    pub(super) fn of_left(&self) -> Option<String> {
        let were = match self.count {
            0 => return None,
            1 => "1 episode was withdrawn and is".to_owned(),
            more => format!("{more} episodes were withdrawn and are"),
        };
        Some(format!(
            "{were} stored all the same: {}; `highwater episodes withdraw HOST/ID --why …` again sets it aside",
            self.names()
        ))
    }

    /// What is told of what has an episode's place.
    pub(super) fn of_odd(&self) -> Option<String> {
        let (count, them) = match self.count {
            0 => return None,
            1 => (String::new(), "it"),
            more => (format!("{more} things are not what belongs there: "), "them"),
        };
        Some(format!("{count}{}; move {them} away, out of the receiver's directory", self.names()))
    }

    /// What is told of what cannot be read.
    pub(super) fn of_shut(&self) -> Option<String> {
        let (count, them) = match self.count {
            0 => return None,
            1 => (String::new(), "it"),
            more => (format!("{more} things cannot be read: "), "them"),
        };
        Some(format!("{count}{}; let this user read {them} (`chown`, `chmod u+rX`), or check the disk", self.names()))
    }
}
