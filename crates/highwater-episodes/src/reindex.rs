//! `reindex`: rows for stored episodes that have none, beside a live receiver and as often as one likes (R10). Owns which episodes
//! are read, what is made of what is found in them, and what is told of rows that have lost their episode.
//!
//! An episode is read once, from its archive alone: one that is sealed is hashed and believed, another is unpacked. What is no
//! archive is set aside and never indexed, unless most of what is read is none; what exceeds a limit that a
//! newer setting may lift is left where it is, for a person.

mod files;
mod level;
mod outlook;
mod reading;
mod settings;
mod strays;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::Stream;
use highwater_engine::breaker::BreakerRules;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop, WorkItem};
use highwater_engine::name::ItemKey;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::PassReport;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::archive::meta::recorded_commit;
use crate::archive::{Archive, Limits, ReadError, Reader};
use crate::digest::Sha256Digest;
use crate::index::{Appended, Commit, Index, IndexError, Row, SCHEMA_VERSION, View, passed_over};
use crate::name::{EpisodeKey, HostId};
use crate::odd::Odd;
use crate::store::{Store, StoreError};

use self::files::unusable;
use self::strays::{Amiss, Named, Strays};

pub use files::Files;
pub use outlook::Outlook;
pub use settings::ReindexSettings;
pub use strays::Prune;

/// Items that wait between the reading of directories and the ledger.
const PLANNED_ITEMS_MAX: usize = 256;
/// So many files that are no archive are set aside although they are most of what was read.
const ASIDE_UNASKED: u64 = 50;

/// When a job halts by itself, where nobody set it otherwise: not for what a person must look at. Each file is judged for itself, no far
/// side suffers, and a halt would keep from their rows the episodes that are well.
#[must_use]
pub fn breaker(set: BreakerRules) -> BreakerRules {
    if set == BreakerRules::default() { BreakerRules { failed: 1.0, gone: 1.0, ..set } } else { set }
}

/// What is indexed, and where.
#[derive(Debug, Clone)]
pub struct Place {
    /// The episodes.
    pub store: Arc<dyn Store>,
    /// Their rows.
    pub index: Arc<dyn Index>,
    /// Only episodes of these hosts; of all where it is absent.
    pub hosts: Option<BTreeSet<HostId>>,
    /// Episodes that have a row are read too, and compared with it.
    pub verify: bool,
    /// No seal is believed: each archive is unpacked.
    pub unpack: bool,
    /// Rows without an episode are taken out of the index.
    pub prune: Option<Prune>,
    /// How much an archive may hold.
    pub limits: Limits,
    /// What is told of the lines of the index that are no rows.
    pub passed_over: Option<String>,
}

/// Indexes anew.
#[derive(Debug)]
pub struct Reindex {
    place: Place,
    /// Readers that rest: each has a window of its own.
    readers: Arc<Mutex<Vec<Reader>>>,
    read: Arc<Tally>,
    /// Tombstones that were put back, and not told of yet.
    put_back: AtomicU64,
    /// Episodes that cannot be read, and were not told of yet.
    shut: Mutex<Named>,
    /// The last pass told of what a person must look at and no item stands for.
    needs_a_person: AtomicBool,
}

/// What was read, as far as it was committed.
#[derive(Debug, Default)]
struct Tally {
    archives: AtomicU64,
    aside: AtomicU64,
}

impl Tally {
    /// Whether one more that is no archive may be set aside: where most are none, it is the reading that is at fault, or the directory
    /// that was named.
    fn lets_aside(&self) -> bool {
        let (archives, aside) = (self.archives.load(Ordering::Relaxed), self.aside.load(Ordering::Relaxed));
        aside < ASIDE_UNASKED || aside < archives
    }
}

/// A stored episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    key: EpisodeKey,
}

impl WorkItem for Stored {
    fn key(&self) -> ItemKey {
        ItemKey::new(self.key.to_string()).expect("invariant: two names are shorter than a key may be")
    }

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(key: &ItemKey, _: &[u8]) -> Result<Self, String> {
        key.as_str().parse().map(|key| Self { key }).map_err(|error: crate::name::NameError| error.to_string())
    }
}

/// What a row tells of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Of its bytes.
    pub sha256: Sha256Digest,
    /// How many they are.
    pub size_bytes: u64,
    /// What the episode in it holds.
    pub content_sha256: Sha256Digest,
    /// The commit of the code that recorded it.
    pub commit: Option<Commit>,
}

impl From<Archive> for Facts {
    fn from(archive: Archive) -> Self {
        Self {
            sha256: archive.sha256,
            size_bytes: archive.size_bytes,
            content_sha256: archive.content_sha256,
            // What cannot be read as one is none: it says nothing about the episode's bytes.
            commit: archive.meta.as_deref().and_then(|meta| recorded_commit(meta).ok().flatten()),
        }
    }
}

/// What reading an episode came to.
#[derive(Debug)]
pub enum Found {
    /// It is an archive of this episode.
    Archive(Box<Facts>),
    /// It is none, and never will be.
    Junk(String),
}

fn store_failed(error: &StoreError) -> Stop {
    let next = Odd::next_of(error, "check the disk and its permissions, and call again: what was indexed stays");
    Stop::Fail(Diagnosis::failure("HW-EPI-201", with_causes(error), next))
}

fn index_failed(error: &IndexError) -> Stop {
    let next =
        Odd::next_of(error, "check the disk, its space and its permissions, and call again: what was indexed stays");
    Stop::Fail(Diagnosis::failure("HW-EPI-202", with_causes(error), next))
}

impl Reindex {
    /// A job of this place.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self {
            place,
            readers: Arc::default(),
            read: Arc::default(),
            put_back: AtomicU64::new(0),
            shut: Mutex::default(),
            needs_a_person: AtomicBool::new(false),
        }
    }

    /// Whether the last pass told, in its notes, of something in the store that a person must look at: nothing here takes it away.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        self.needs_a_person.load(Ordering::Relaxed)
    }

    async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Result<T, Stop> + Send + 'static) -> Result<T, Stop> {
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
            Err(Stop::Fail(Diagnosis::failure("HW-BUG-001", error.to_string(), "report it with this message")))
        })
    }

    fn row(key: &EpisodeKey, archive: &Facts, at: Timestamp) -> Row {
        Row {
            backfilled: true,
            commit: archive.commit.clone(),
            content_sha256: Some(archive.content_sha256),
            episode_id: key.episode.clone(),
            gate: None,
            host_id: key.host.clone(),
            received_at_wall: at,
            removed: None,
            schema_version: SCHEMA_VERSION,
            sha256: archive.sha256,
            size_bytes: archive.size_bytes,
            withdrawn: None,
        }
    }
}

/// How a place is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To index: makes an index where there is none, and mends its end.
    Write,
    /// To look: makes and changes nothing.
    Look,
}

impl Place {
    /// The place of these settings; makes an index where there is none.
    ///
    /// # Errors
    /// When the receiver's directory cannot be opened, holds no `episodes`, or their disk is not mounted.
    pub fn open(settings: &ReindexSettings) -> Result<Self, Diagnosis> {
        Self::open_at(&Files::of_root(&settings.root), settings, Access::Write, None)
    }

    /// The same where episodes and index lie elsewhere than in one directory; `prune` is what becomes of rows without an episode.
    ///
    /// # Errors
    /// When one of them cannot be opened, there is no directory of episodes, or its disk is not mounted.
    pub fn open_at(
        files: &Files,
        settings: &ReindexSettings,
        access: Access,
        prune: Option<Prune>,
    ) -> Result<Self, Diagnosis> {
        // Before an index is made beside what is none.
        let store = Arc::new(match prune {
            Some(Prune::Any) => files.open_store_as_it_is()?,
            Some(Prune::Few) | None => files.open_store()?,
        });
        let (index, passed_over): (Arc<dyn Index>, _) = match access {
            Access::Look => {
                let view = View::read(&files.index).map_err(|error| unusable(&files.index, &error))?;
                let told = view.passed_over().map_err(|error| unusable(&files.index, &error))?;
                (Arc::new(view), told)
            }
            Access::Write => {
                let (index, found) = files.open_index()?;
                let told = passed_over(found.unreadable, found.named.first());
                if let Some(told) = &told {
                    tracing::warn!("{told}");
                }
                (Arc::new(index), told)
            }
        };
        Ok(Self {
            store,
            index,
            hosts: settings.hosts.as_ref().map(|hosts| hosts.iter().cloned().collect()),
            verify: settings.verify,
            unpack: settings.unpack,
            prune,
            limits: Limits::default(),
            passed_over,
        })
    }

    fn wants(&self, host: &HostId) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.contains(host))
    }

    /// Tells what is to be read, by host and episode, until nobody wants more.
    fn each_to_read(&self, mut each: impl FnMut(EpisodeKey, bool) -> bool) -> Result<(), Stop> {
        for host in
            self.store.hosts().map_err(|error| store_failed(&error))?.into_iter().filter(|host| self.wants(host))
        {
            let episodes = match self.store.episodes(&host) {
                // Told with what is odd: it keeps no other host's from their rows.
                Err(StoreError::Shut(_)) => continue,
                listed => listed.map_err(|error| store_failed(&error))?,
            };
            for episode in episodes {
                let key = EpisodeKey { host: host.clone(), episode };
                let known = self.index.find(&key).map_err(|error| index_failed(&error))?;
                if (known.is_none() || self.verify) && !each(key, known.is_some()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl Job for Reindex {
    type Item = Stored;
    type Prepared = Found;

    /// Tombstones that somebody took out of the index are put back before anything of their names is read.
    async fn recover(&self, _: &mut CommitCx) -> Result<(), Stop> {
        let place = self.place.clone();
        let back = Self::on_disk(move || place.put_back().map_err(|error| index_failed(&error))).await?;
        // Told at the end: the pass that only lists tells nothing.
        self.put_back.fetch_add(back, Ordering::Relaxed);
        Ok(())
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Stored, Stop>> + Send {
        let (to, planned) = mpsc::channel(PLANNED_ITEMS_MAX);
        let place = self.place.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(stop) = place.each_to_read(|key, _| to.blocking_send(Ok(Stored { key })).is_ok()) {
                // Nobody may want to know any more.
                let _ = to.blocking_send(Err(stop));
            }
        });
        futures::stream::unfold(planned, async |mut planned| planned.recv().await.map(|item| (item, planned)))
    }

    async fn prepare(&self, _: ReadCx, item: Arc<Stored>) -> Result<Attempt<Found>, Stop> {
        let (place, readers, key) = (self.place.clone(), Arc::clone(&self.readers), item.key.clone());
        let read = Self::on_disk(move || {
            match place.facts(&key, &readers) {
                Ok(read) => Ok(Ok(read)),
                // Since it was listed, or of it alone.
                Err(error @ (StoreError::Odd(_) | StoreError::Shut(_))) => Ok(Err(error)),
                Err(error) => Err(store_failed(&error)),
            }
        });
        let because = |kind, why: String| Ok(Attempt::Outcome(Outcome::because(kind, why)));
        let read = match read.await? {
            Ok(read) => read,
            Err(StoreError::Shut(shut)) => {
                let why = format!("{shut}; {}", shut.next());
                self.shut.lock().unwrap_or_else(PoisonError::into_inner).add([shut]);
                return because(OutcomeKind::Review, why);
            }
            Err(odd) => {
                let why = Odd::of(&odd).map_or_else(|| with_causes(&odd), |odd| format!("{odd}: {}", odd.next()));
                return because(OutcomeKind::Review, why);
            }
        };
        match read {
            None => because(OutcomeKind::Gone, "it is no longer stored".to_owned()),
            Some(Ok(archive)) => Ok(Attempt::Ready(Found::Archive(Box::new(archive)))),
            Some(Err(error)) => {
                let why = with_causes(&error);
                match error {
                    // A person may let it in.
                    ReadError::Window { .. } => because(OutcomeKind::Review, why),
                    error if error.is_of_archive() => Ok(Attempt::Ready(Found::Junk(why))),
                    _ => because(OutcomeKind::Failed, why),
                }
            }
        }
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Stored, found: Found) -> Result<Outcome, Stop> {
        let (place, key, now) = (self.place.clone(), item.key.clone(), cx.read.clock.now());
        let tally = Arc::clone(&self.read);
        Self::on_disk(move || {
            let known = place.index.find(&key).map_err(|error| index_failed(&error))?;
            if let Found::Archive(_) = &found {
                tally.archives.fetch_add(1, Ordering::Relaxed);
            }
            let outcome = match (found, known) {
                (Found::Archive(archive), None) => {
                    let row = Self::row(&key, &archive, now);
                    // It may have been withdrawn, or removed, since it was read.
                    let mut still = |row: &Row| match place.store.stat(&row.key()) {
                        Ok(stored) => Ok(stored.is_some()),
                        Err(error) => Err(IndexError::Unsure(Box::new(error))),
                    };
                    let became = place.index.append_where(&[row], &mut still).map_err(|error| index_failed(&error))?;
                    match became.first() {
                        Some(Appended::Outrun) => Outcome::because(OutcomeKind::Gone, "it is no longer stored"),
                        Some(Appended::Withdrawn) => Outcome::because(
                            OutcomeKind::Review,
                            "it was withdrawn meanwhile, and is stored all the same",
                        ),
                        _ => Outcome::done(),
                    }
                }
                (Found::Archive(archive), Some(row)) => match &row.withdrawn {
                    Some(why) => {
                        let told = format!("it was withdrawn ({why}), and is stored all the same");
                        Outcome::because(OutcomeKind::Review, told)
                    }
                    None if (row.sha256, row.size_bytes) == (archive.sha256, archive.size_bytes) => {
                        Outcome::plain(OutcomeKind::Present)
                    }
                    None => Outcome::because(
                        OutcomeKind::Review,
                        format!(
                            "its row says sha256 {} and {} bytes, but stored are sha256 {} and {} bytes; both are kept",
                            row.sha256, row.size_bytes, archive.sha256, archive.size_bytes
                        ),
                    ),
                },
                (Found::Junk(why), None) if !tally.lets_aside() => Outcome::because(
                    OutcomeKind::Review,
                    format!("it is no episode: {why}; it is left where it is, for so is most of what was read"),
                ),
                (Found::Junk(why), None) => {
                    tally.aside.fetch_add(1, Ordering::Relaxed);
                    let aside = place.store.quarantine(&key, &why).map_err(|error| store_failed(&error))?;
                    Outcome::because(OutcomeKind::Review, format!("it is no episode: {why}; it lies in {aside}"))
                }
                // It was an episode once: its row stays, and so does what is left of it.
                (Found::Junk(why), Some(_)) => {
                    Outcome::because(OutcomeKind::Review, format!("it has a row, and can no longer be read: {why}"))
                }
            };
            Ok(outcome)
        })
        .await
    }

    async fn seal(&self, cx: &mut CommitCx, report: &PassReport) -> Result<(), Stop> {
        match self.put_back.swap(0, Ordering::Relaxed) {
            0 => {}
            1 => cx.notes.push("1 tombstone that was taken out of the index is back".to_owned()),
            back => cx.notes.push(format!("{back} tombstones that were taken out of the index are back")),
        }
        if !report.drained() {
            return Ok(());
        }
        let (place, now) = (self.place.clone(), cx.read.clock.now());
        let (Strays { orphans, left }, Amiss { odd, shut: hosts }, given_up) =
            Self::on_disk(move || match place.prune {
                Some(prune) => {
                    let strays = place.prune(prune, now)?;
                    let given_up = place.index.give_up_lost().map_err(|error| index_failed(&error))?;
                    Ok((strays, place.amiss()?, given_up))
                }
                None => Ok((place.strays()?, place.amiss()?, 0)),
            })
            .await?;
        if given_up > 0 {
            cx.notes.push("what a receiver missed of the index and nothing gave back is given up".to_owned());
        }
        let mut shut = std::mem::take(&mut *self.shut.lock().unwrap_or_else(PoisonError::into_inner));
        shut.join(hosts);
        let is_pruned = self.place.prune.is_some();
        let notes = [orphans.of_orphans(is_pruned), left.of_left(), odd.of_odd(), shut.of_shut()];
        cx.notes.extend(notes.into_iter().flatten());
        let is_well = [left, odd, shut].iter().all(Named::is_empty);
        self.needs_a_person.store(!is_well, Ordering::Relaxed);
        Ok(())
    }
}
