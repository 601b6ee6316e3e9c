//! Group commit: many uploads share a sync, and none is answered before it (R9). Owns the round: name, directory, row, answer.
//!
//! A copy comes here synced. Whoever waits for a round waits while the one before it is written, and all that came meanwhile share
//! the next.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::{mpsc, oneshot};

use crate::index::{Appended, Index, IndexError, Missed, Row};
use crate::name::{EpisodeKey, HostId};
use crate::store::{Placement, Staging, Store, StoreError};

/// Most uploads of one round.
pub const ROUND_UPLOADS_MAX: usize = 1_024;
/// Most uploads that wait for a round; beyond it they wait for a place.
pub const QUEUE_UPLOADS_MAX: usize = 1_024;
/// Most rounds whose copies wait to be discarded.
const SPENT_ROUNDS_MAX: usize = 16;

/// What an upload wants of a round.
#[derive(Debug)]
pub enum Wish {
    /// A synced copy is to be the episode of its row's key.
    Place {
        /// The copy.
        staging: Box<dyn Staging>,
        /// Its row.
        row: Row,
    },
    /// An episode that is there is to stay there, with a row.
    Keep {
        /// Its row, which is left out where the row in force says the same.
        row: Row,
    },
    /// A synced copy is to take the place of an episode that was found damaged, which is set aside.
    Mend {
        /// The copy.
        staging: Box<dyn Staging>,
        /// Its row.
        row: Row,
        /// The row of what is damaged: where another one is in force, nothing is done.
        damaged: Box<Row>,
        /// What is wrong with it.
        why: String,
    },
}

/// What became of it.
#[derive(Debug)]
pub enum Became {
    /// The copy is the episode, durably, and has its row.
    Stored,
    /// The episode was there already, and is durable.
    Present {
        /// It had no row, and has one now.
        repaired: bool,
        /// The row that it has.
        row: Box<Row>,
    },
    /// An episode has the name that was there before: whether it is what was sent, or what its row says, is not known.
    Occupied {
        /// The copy.
        staging: Box<dyn Staging>,
        /// The row in force.
        row: Option<Box<Row>>,
    },
    /// The episode was withdrawn.
    Withdrawn {
        /// Why.
        why: String,
    },
    /// Its row was taken out of the index, and said something else than what was sent.
    Missed,
    /// Its name was made free meanwhile, and what was stored under it is set aside: it may be sent again.
    Gone,
}

/// An upload that could not be made durable. It may be there or not; sending it again mends either.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The store refused.
    #[error("the episode cannot be stored")]
    Store(#[source] Arc<StoreError>),
    /// The index refused.
    #[error("the episode cannot be indexed")]
    Index(#[source] Arc<IndexError>),
    /// Nobody commits any more.
    #[error("the receiver is ending")]
    Ended,
}

impl CommitError {
    /// Whether the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Store(error) => error.is_full(),
            Self::Index(error) => error.is_full(),
            Self::Ended => false,
        }
    }
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<IndexError> for CommitError {
    fn from(error: IndexError) -> Self {
        Self::Index(Arc::new(error))
    }
}

/// What a round came to: each wish's end in their order, and the copies that nobody needs any more.
#[derive(Debug)]
pub struct Round {
    /// The ends.
    pub ends: Vec<Result<Became, CommitError>>,
    /// To be discarded, after the answers.
    pub spent: Vec<Box<dyn Staging>>,
}

/// What is left to do for a wish once its name is taken.
enum Half {
    Ended(Result<Became, CommitError>),
    Named { row: Row, stored: bool },
}

/// One round. When it returns, whatever it says was stored or is present would survive a power cut.
pub fn round(store: &dyn Store, index: &dyn Index, wishes: Vec<Wish>) -> Round {
    let mut spent = Vec::new();
    // Rows of this round that are not in the index yet.
    let mut named: HashMap<EpisodeKey, Row> = HashMap::new();
    let mut halves = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let half = take_name(store, index, &mut named, &mut spent, wish);
        halves.push(half.unwrap_or_else(|error| Half::Ended(Err(error))));
    }
    let hosts: BTreeSet<HostId> = halves
        .iter()
        .filter_map(|half| match half {
            Half::Named { row, .. } => Some(row.host_id.clone()),
            Half::Ended(_) => None,
        })
        .collect();
    let unsettled: HashMap<HostId, CommitError> =
        hosts.into_iter().filter_map(|host| Some((host.clone(), store.settle(&host).err()?.into()))).collect();
    for half in &mut halves {
        if let Half::Named { row, .. } = half
            && let Some(error) = unsettled.get(&row.host_id)
        {
            *half = Half::Ended(Err(error.clone()));
        }
    }
    let rows: Vec<Row> = halves
        .iter()
        .filter_map(|half| match half {
            Half::Named { row, .. } => Some(row.clone()),
            Half::Ended(_) => None,
        })
        .collect();
    // A name may have been made free since it was taken. That is asked while nobody else can append: who makes a name free does so
    // by a row that comes later then. Of what cannot be looked at that alone is not stored.
    let mut unseen: HashMap<EpisodeKey, CommitError> = HashMap::new();
    let mut is_there = |row: &Row| match store.stat(&row.key()) {
        Ok(stored) => Ok(stored.is_some()),
        Err(error) => {
            unseen.insert(row.key(), error.into());
            Ok(false)
        }
    };
    let appended = match rows.as_slice() {
        [] => Ok(Vec::new()),
        rows => index.append_where(rows, &mut is_there).map_err(CommitError::from),
    };
    let mut appended = appended.map(Vec::into_iter);
    let end = |half| match half {
        Half::Ended(end) => end,
        Half::Named { row, stored } => match &mut appended {
            Err(error) => Err(error.clone()),
            Ok(appended) => match appended.next() {
                // Between its name and its row.
                Some(Appended::Withdrawn) => withdrawn_meanwhile(store, index, &row, stored),
                Some(Appended::New) => Ok(taken(row, stored, true)),
                Some(Appended::Outrun) => unseen.get(&row.key()).map_or(Ok(Became::Gone), |error| Err(error.clone())),
                // Of a row that was there before nothing was asked yet.
                _ => match store.stat(&row.key()) {
                    Ok(Some(_)) => Ok(taken(row, stored, false)),
                    Ok(None) => Ok(Became::Gone),
                    Err(error) => Err(error.into()),
                },
            },
        },
    };
    let ends: Vec<_> = halves.into_iter().map(end).collect();
    // What is done may have been done in a directory that was moved away meanwhile: so the last thing before the answers is to look.
    match store.in_its_place() {
        Ok(()) => Round { ends, spent },
        Err(error) => {
            let error = CommitError::from(error);
            let ends = ends.into_iter().map(|end: Result<Became, CommitError>| {
                if let Ok(Became::Occupied { staging, .. }) = end {
                    spent.push(staging);
                }
                Err(error.clone())
            });
            Round { ends: ends.collect(), spent }
        }
    }
}

/// It is there, with its row.
fn taken(row: Row, stored: bool, is_new: bool) -> Became {
    if stored { Became::Stored } else { Became::Present { repaired: is_new, row: Box::new(row) } }
}

/// The episode was withdrawn while it was being stored: what was stored of it goes where the withdrawn are.
fn withdrawn_meanwhile(store: &dyn Store, index: &dyn Index, row: &Row, stored: bool) -> Result<Became, CommitError> {
    let key = row.key();
    let why = match index.missed(&key)? {
        Some(Missed::Withdrawn { why, .. }) => why,
        _ => index.find(&key)?.and_then(|row| row.withdrawn).unwrap_or_default(),
    };
    if stored {
        store.quarantine(&key, &format!("withdrawn: {why}"))?;
    }
    Ok(Became::Withdrawn { why })
}

fn take_name(
    store: &dyn Store,
    index: &dyn Index,
    named: &mut HashMap<EpisodeKey, Row>,
    spent: &mut Vec<Box<dyn Staging>>,
    wish: Wish,
) -> Result<Half, CommitError> {
    let (staging, row, mend) = match wish {
        Wish::Place { staging, row } => (Some(staging), row, None),
        Wish::Keep { row } => (None, row, None),
        Wish::Mend { staging, row, damaged, why } => (Some(staging), row, Some((damaged, why))),
    };
    let key = row.key();
    let of_this_round = named.get(&key).cloned();
    let is_of_this_round = of_this_round.is_some();
    let known = match of_this_round {
        Some(row) => Ok(Some(row)),
        None => index.find(&key),
    };
    let known = match known {
        Ok(known) => known,
        Err(error) => {
            spent.extend(staging);
            return Err(error.into());
        }
    };
    if let Some(why) = known.as_ref().and_then(|known| known.withdrawn.clone()) {
        spent.extend(staging);
        return Ok(Half::Ended(Ok(Became::Withdrawn { why })));
    }
    // What was sent may be the very episode whose row is missed; anything else would be taken for it.
    let missed = if is_of_this_round { Ok(None) } else { index.missed(&key) };
    let is_other = match missed {
        Ok(Some(Missed::Withdrawn { why, .. })) => {
            spent.extend(staging);
            return Ok(Half::Ended(Ok(Became::Withdrawn { why })));
        }
        Ok(missed) => missed.is_some_and(|missed| !missed.is_said_by(&row)),
        Err(error) => {
            spent.extend(staging);
            return Err(error.into());
        }
    };
    let Some(staging) = staging else {
        return Ok(if is_other { Half::Ended(Ok(Became::Missed)) } else { Half::Named { row, stored: false } });
    };
    let promises_other = mend.is_none() && known.as_ref().is_some_and(|known| !is_same(known, &row));
    if is_other || promises_other {
        let is_gone = match store.stat(&key) {
            Ok(stored) => stored.is_none(),
            Err(error) => {
                spent.push(staging);
                return Err(error.into());
            }
        };
        if is_other && (mend.is_some() || is_gone) {
            spent.push(staging);
            return Ok(Half::Ended(Ok(Became::Missed)));
        }
        // Whether what was sent holds the same as what is gone is read elsewhere.
        if promises_other && is_gone {
            return Ok(Half::Ended(Ok(Became::Occupied { staging, row: known.map(Box::new) })));
        }
    }
    if let Some((damaged, why)) = mend {
        if known.as_ref() != Some(&*damaged) {
            return Ok(Half::Ended(Ok(Became::Occupied { staging, row: known.map(Box::new) })));
        }
        if let Err(error) = set_aside(store, &key, &why) {
            spent.push(staging);
            return Err(error.into());
        }
    }
    match store.place(&*staging, &key) {
        Ok(Placement::New) => {
            spent.push(staging);
            named.insert(key, row.clone());
            Ok(Half::Named { row, stored: true })
        }
        Ok(Placement::AlreadyThere) => {
            // What this round stored is as it came. What was there before may have been damaged since, so it is read first, elsewhere:
            // who is told that it is there may remove theirs.
            match known {
                Some(known) if is_of_this_round && is_same(&known, &row) => {
                    spent.push(staging);
                    Ok(Half::Named { row: known, stored: false })
                }
                known => Ok(Half::Ended(Ok(Became::Occupied { staging, row: known.map(Box::new) }))),
            }
        }
        Err(error) => {
            spent.push(staging);
            Err(error.into())
        }
    }
}

fn is_same(known: &Row, row: &Row) -> bool {
    (known.sha256, known.size_bytes) == (row.sha256, row.size_bytes)
}

/// Sets a damaged episode aside; one that is gone meanwhile needs no more.
fn set_aside(store: &dyn Store, key: &EpisodeKey, why: &str) -> Result<(), StoreError> {
    match store.quarantine(key, why) {
        Ok(aside) => {
            tracing::warn!(episode = %key, aside, why, "a stored episode is damaged: it is set aside, and what was sent takes its place");
            Ok(())
        }
        Err(StoreError::Disk(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

struct Order {
    wish: Wish,
    answer: oneshot::Sender<Result<Became, CommitError>>,
}

/// The one who writes rounds, on a thread of its own.
#[derive(Debug, Clone)]
pub struct Committer {
    orders: mpsc::Sender<Order>,
}

impl Committer {
    /// Starts it; it ends when the last of its handles is dropped.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(store: Arc<dyn Store>, index: Arc<dyn Index>) -> io::Result<Self> {
        let (orders, waiting) = mpsc::channel(QUEUE_UPLOADS_MAX);
        let thread = std::thread::Builder::new().name("committer".to_owned());
        let (spent, to_sweep) = sync_channel(SPENT_ROUNDS_MAX);
        let sweeper = std::thread::Builder::new().name("sweeper".to_owned());
        let swept = Arc::clone(&store);
        sweeper.spawn(move || sweep(&*swept, &to_sweep))?;
        thread.spawn(move || work(&*store, &*index, waiting, &spent))?;
        Ok(Self { orders })
    }

    /// Whether there is still someone who writes rounds.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        !self.orders.is_closed()
    }

    /// Waits for the round that the wish is in.
    ///
    /// # Errors
    /// It could not be made durable.
    pub async fn commit(&self, wish: Wish) -> Result<Became, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order { wish, answer }).await.map_err(|_| CommitError::Ended)?;
        answered.await.unwrap_or(Err(CommitError::Ended))
    }
}

/// Discards what rounds have left over, beside the next round.
fn sweep(store: &dyn Store, spent: &Receiver<Vec<Box<dyn Staging>>>) {
    spent.iter().flatten().for_each(|copy| store.discard(copy));
}

fn work(
    store: &dyn Store,
    index: &dyn Index,
    mut waiting: mpsc::Receiver<Order>,
    sweeper: &SyncSender<Vec<Box<dyn Staging>>>,
) {
    while let Some(first) = waiting.blocking_recv() {
        let mut orders = vec![first];
        while orders.len() < ROUND_UPLOADS_MAX
            && let Ok(next) = waiting.try_recv()
        {
            orders.push(next);
        }
        let (wishes, answers): (Vec<_>, Vec<_>) = orders.into_iter().map(|order| (order.wish, order.answer)).unzip();
        let Round { ends, spent } = round(store, index, wishes);
        for (answer, end) in answers.into_iter().zip(ends) {
            // One who went away sends the same again, and is told then. A copy that comes back with the answer is theirs to discard.
            if let Err(Ok(Became::Occupied { staging, .. })) = answer.send(end) {
                store.discard(staging);
            }
        }
        // The sweeper ends after this does.
        let _ = sweeper.send(spent);
    }
}
