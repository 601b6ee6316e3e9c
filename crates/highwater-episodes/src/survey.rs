//! A look at what a receiver keeps that reads no archive: whether rows and files are still about the same episodes. Owns how few rows are
//! looked at for it, and when a directory of episodes is taken for a disk that is not mounted.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::counted;
use highwater_engine::shell::quoted_path;
use highwater_fs::Fs;

use crate::index::{Cursor, Found, Index, IndexError, PageAsk, View};
use crate::name::{EpisodeKey, HostId};
use crate::odd::Odd;
use crate::reindex::Files;
use crate::store::{FileStore, Store, StoreError};

/// From so many places of the index, evenly apart, rows are looked at.
const SAMPLE_PLACES: u64 = 16;
/// Most hosts that are named where another one is asked about.
const HOSTS_TOLD_MAX: usize = 10;
/// So many from each.
const SAMPLE_ROWS: usize = 64;

/// What a look at some of the rows came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many were looked at.
    pub looked: u64,
    /// How many of these have no stored episode.
    pub missing: u64,
    /// The first of them.
    pub first: Option<EpisodeKey>,
    /// The first thing that has an episode's place, or its host's, and is neither.
    pub odd: Option<Odd>,
}

impl Sample {
    /// What is told of what is missing.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let rows = counted(self.looked, "row");
        let were = if self.looked == 1 { "was" } else { "were" };
        let have = if self.missing == 1 { "has" } else { "have" };
        let first = self.first.as_ref()?;
        Some(format!("{} of {rows} that {were} looked at {have} no stored episode, such as {first}", self.missing))
    }
}

/// What cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The index cannot.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The store cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is another one.
    #[error(transparent)]
    Elsewhere(#[from] Elsewhere),
}

/// Nothing of what has a row lies in a directory of episodes, nor does the mark of a store: another file system belongs in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} holds none of the episodes that have a row ({} looked at), and no mark of a store: is its disk mounted?",
    .episodes.display(), counted(*.rows, "row")
)]
pub struct Elsewhere {
    /// Where the episodes should be.
    pub episodes: PathBuf,
    /// Of how many rows the episode was looked for.
    pub rows: u64,
}

impl Elsewhere {
    /// What a person does about it.
    #[must_use]
    pub fn next(&self) -> String {
        let make = if self.episodes.is_dir() {
            String::new()
        } else {
            format!("`mkdir {}` and ", quoted_path(&self.episodes))
        };
        format!(
            "mount the disk of the episodes there, or put them back, and call again; where they are really gone, {make}`highwater reindex --prune \
             --force` gives up their rows"
        )
    }

    /// The refusal of whatever is asked about what is stored.
    #[must_use]
    pub fn refusal(&self) -> Diagnosis {
        Diagnosis::refusal("HW-EPI-107", self.to_string(), self.next())
    }
}

/// What says that a directory of episodes is the one that the rows are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The mark of a store.
    ByMark,
    /// Episodes that have a row; an older version made no mark.
    ByRows,
    /// Nothing, for there is no row of which anything should be stored.
    ByNothing,
}

/// Whether a directory of episodes is the one that the rows are of. Of one without a mark some rows are looked at as they lie in the file:
/// an index that is in use has no pages while rows of it are missed.
///
/// # Errors
/// It is not, or the index or the store cannot be read.
pub fn known<F: Fs>(store: &FileStore<F>, files: &Files) -> Result<Known, SurveyError> {
    if store.is_marked()? {
        return Ok(Known::ByMark);
    }
    let sample = sample(&View::read(&files.index)?, store)?;
    match sample.looked {
        0 => Ok(Known::ByNothing),
        rows if rows == sample.missing => Err(Elsewhere { episodes: files.episodes.clone(), rows }.into()),
        _ => Ok(Known::ByRows),
    }
}

/// Asks of at most 1,024 rows whether their episode is stored: a disk that is not mounted shows, whatever the size of the index.
///
/// # Errors
/// The index or the store cannot be read.
pub fn sample(index: &dyn Index, store: &dyn Store) -> Result<Sample, SurveyError> {
    let mut sample = Sample::default();
    let (size_bytes, mut behind) = (index.figures()?.size_bytes, 0);
    for place in 0..SAMPLE_PLACES {
        let from = (size_bytes / SAMPLE_PLACES * place).max(behind);
        if from >= size_bytes {
            break;
        }
        let page = index.page(&PageAsk {
            cursor: Cursor { at: from, after: None },
            rows_max: SAMPLE_ROWS,
            ..PageAsk::default()
        })?;
        behind = page.next.at;
        for row in page.rows.iter().filter(|row| row.withdrawn.is_none()) {
            sample.looked += 1;
            match store.stat(&row.key()) {
                Err(StoreError::Odd(odd)) => drop(sample.odd.get_or_insert(odd)),
                // It is told of as what it is: of the episode nothing is known.
                Err(StoreError::Shut(_)) => {}
                Err(error) => return Err(error.into()),
                Ok(Some(_)) => {}
                Ok(None) => {
                    sample.missing += 1;
                    sample.first.get_or_insert_with(|| row.key());
                }
            }
        }
    }
    Ok(sample)
}

/// A host that is asked about, and of which there is neither a row nor a directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {host}, of which there is neither a row nor anything stored; {}", told_hosts(.known))]
pub struct NoSuchHost {
    /// The host.
    pub host: HostId,
    /// Those that there are, sorted.
    pub known: Vec<HostId>,
}

impl NoSuchHost {
    /// The refusal of whatever is asked about it.
    #[must_use]
    pub fn refusal(&self) -> Diagnosis {
        let next = "correct the name; `highwater episodes list --by host` shows those that have rows";
        Diagnosis::refusal("HW-EPI-210", self.to_string(), next).at_field("--host")
    }
}

fn told_hosts(known: &[HostId]) -> String {
    let named: Vec<_> = known.iter().take(HOSTS_TOLD_MAX).map(HostId::as_str).collect();
    let more = if known.len() > named.len() { ", …" } else { "" };
    if named.is_empty() { "there is no host yet".to_owned() } else { format!("there are {}{more}", named.join(", ")) }
}

/// The first of these hosts that there is not. What is stored is looked at first: rows are read only for hosts without a directory.
///
/// # Errors
/// The index or the store cannot be read.
pub fn no_such_host<V: Borrow<View>>(
    hosts: &[HostId],
    store: Option<&dyn Store>,
    view: impl FnOnce() -> Result<V, IndexError>,
) -> Result<Option<NoSuchHost>, SurveyError> {
    let mut known: BTreeSet<HostId> = store.map_or(Ok(Vec::new()), Store::hosts)?.into_iter().collect();
    if hosts.iter().all(|host| known.contains(host)) {
        return Ok(None);
    }
    let add = |part: &mut BTreeSet<String>, row: Found<'_>| {
        if !part.contains(row.host_id()) {
            part.insert(row.host_id().to_owned());
        }
    };
    view()?.borrow().fold(&PageAsk::default(), add, |part| -> Result<bool, IndexError> {
        known.extend(part.into_iter().filter_map(|host| HostId::new(host).ok()));
        // Which others there are is told only where one is missing.
        Ok(!hosts.iter().all(|host| known.contains(host)))
    })?;
    let missing = hosts.iter().find(|host| !known.contains(*host)).cloned();
    Ok(missing.map(|host| NoSuchHost { host, known: known.into_iter().collect() }))
}

/// What is stored, by host and episode, of these hosts or of all; [`Store::oddities`] tells of the hosts that are passed over because theirs
/// cannot be listed.
///
/// # Errors
/// The store cannot be read.
pub fn stored(store: &dyn Store, hosts: Option<&[HostId]>) -> Result<Vec<EpisodeKey>, StoreError> {
    let mut keys = Vec::new();
    for host in store.hosts()?.into_iter().filter(|host| hosts.is_none_or(|hosts| hosts.contains(host))) {
        match store.episodes(&host) {
            Err(StoreError::Shut(_)) => {}
            listed => keys.extend(listed?.map(|episode| EpisodeKey { host: host.clone(), episode })),
        }
    }
    Ok(keys)
}

/// Those of stored episodes that have no row, not even one that says that they were withdrawn. Where the view was read after they were
/// listed, a receiver that stores meanwhile shows none but what it has in hand.
#[must_use]
pub fn without_row(stored: Vec<EpisodeKey>, view: &View) -> Vec<EpisodeKey> {
    stored.into_iter().filter(|key| !view.has(key)).collect()
}

/// Those of stored episodes that were withdrawn, and are stored still: who withdraws one sets its bytes aside just after its row.
#[must_use]
pub fn left(stored: &[EpisodeKey], view: &View, store: &dyn Store) -> Vec<EpisodeKey> {
    let is_left = |key: &&EpisodeKey| view.is_withdrawn(key) && matches!(store.stat(key), Ok(Some(_)));
    stored.iter().filter(is_left).cloned().collect()
}
