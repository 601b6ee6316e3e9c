//! The uploads that may go on, by their names. Owns that one request at a time has one of them in hand, whose they are, how many there
//! may be, and when they end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::digest::Sha256Digest;
use crate::index::Commit;
use crate::name::EpisodeKey;
use crate::receive::gate::{Claim, Judge};
use crate::store::{Found, Progress, UploadId};

/// How long it is told of an upload that it came to its end, in seconds.
const FINISHED_SECS: i64 = 60 * 60;
/// How long an upload that broke off keeps its place where its host has as many as it may have, in seconds.
const CROWDED_REST_SECS: i64 = 10 * 60;
/// Most uploads of which that is told.
const FINISHED_MAX: usize = 4_096;

/// What is kept with an upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) begun_at: Timestamp,
    /// The judged commit, as it was sent.
    pub(super) commit: Option<String>,
    pub(super) content_sha256: Option<Sha256Digest>,
    pub(super) key: EpisodeKey,
    /// Whose commit is judged.
    pub(super) judge: String,
    /// As it was sent.
    pub(super) metadata: String,
    /// Who began it.
    pub(super) owner: String,
    pub(super) recorded: Option<Commit>,
    /// That of all bytes, where it was said.
    pub(super) sha256: Option<Sha256Digest>,
    pub(super) size_bytes: u64,
}

impl About {
    /// What is said of its code.
    pub(super) fn claim(&self) -> Claim {
        Claim { commit: self.commit.clone(), judge: Judge::read(&self.judge).unwrap_or_default() }
    }
}

/// What an upload is doing.
#[derive(Debug)]
enum State {
    /// Nothing; how far it is, where that is known.
    Resting(Option<Progress>),
    /// A request has it in hand, and is told through this to let go.
    Held(Arc<watch::Sender<bool>>),
    /// All of it came, and it is stored.
    Finished,
}

#[derive(Debug)]
struct Entry {
    about: Arc<About>,
    touched_at: Timestamp,
    state: State,
}

impl Entry {
    fn ends_at(&self, resume_time: Duration) -> Timestamp {
        let lives = match self.state {
            State::Finished => SignedDuration::from_secs(FINISHED_SECS),
            State::Resting(_) | State::Held(_) => SignedDuration::try_from(resume_time).unwrap_or(SignedDuration::MAX),
        };
        self.touched_at.saturating_add(lives).unwrap_or(Timestamp::MAX)
    }
}

/// The uploads that may go on.
#[derive(Debug)]
pub(in crate::receive) struct OpenUploads {
    entries: Mutex<HashMap<UploadId, Entry>>,
    resume_time: Duration,
    each_max: usize,
    host_max: usize,
}

/// How an upload was found.
#[derive(Debug)]
pub(super) enum Looked {
    /// There is none of this name for this caller.
    Unknown,
    /// Its time is over.
    Expired,
    /// It is stored; and until when that is told.
    Finished(Arc<About>, Timestamp),
    /// Another request has it.
    Held(Arc<watch::Sender<bool>>),
    /// It is this one's now.
    Taken(Hold),
}

/// What a store has and nobody can go on with.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    /// To be forgotten: nothing came of them.
    pub(super) nothing: Vec<UploadId>,
    /// To be set aside, and why.
    pub(super) damaged: Vec<(UploadId, String)>,
}

/// Why no more uploads are begun.
#[derive(Debug, Clone, Copy)]
pub(super) enum Crowded {
    /// The host has as many as it may have.
    Host,
    /// There are as many as there may be.
    All,
}

/// An upload in hand; it rests when this is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    uploads: Arc<OpenUploads>,
    pub(super) id: UploadId,
    pub(super) about: Arc<About>,
    /// How far it is, where that is known and durable.
    pub(super) known: Option<Progress>,
    touched_at: Option<Timestamp>,
    becomes: Becomes,
    /// Whoever waits for it to be let go waits for this to go, which is after the state was changed.
    stop: watch::Receiver<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    Resting,
    Finished,
    Nothing,
}

impl OpenUploads {
    pub(in crate::receive) fn new(resume_time: Duration, each_max: usize, host_max: usize) -> Self {
        Self { entries: Mutex::default(), resume_time, each_max, host_max }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<UploadId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many may go on.
    pub(in crate::receive) fn open(&self) -> usize {
        self.entries().values().filter(|entry| !matches!(entry.state, State::Finished)).count()
    }

    /// Takes over what a store has; what is to become of others is told.
    pub(super) fn load(&self, found: Vec<Found>, now: Timestamp) -> Leftover {
        let Leftover { mut nothing, mut damaged } = Leftover::default();
        let mut entries = self.entries();
        for Found { id, about, touched_at, marked_bytes, retired } in found {
            let about: About = match serde_json::from_str(&about) {
                Ok(about) => about,
                Err(error) => {
                    damaged.push((id, format!("what was kept with it cannot be read: {error}")));
                    continue;
                }
            };
            let whole = marked_bytes == Some(about.size_bytes);
            let (state, touched_at) = match (retired, whole) {
                (true, true) => (State::Finished, now),
                (true, false) => {
                    nothing.push(id);
                    continue;
                }
                (false, _) => (State::Resting(None), touched_at.unwrap_or(about.begun_at)),
            };
            entries.entry(id).or_insert(Entry { about: Arc::new(about), touched_at, state });
        }
        Leftover { nothing, damaged }
    }

    /// Puts in an upload that begins, in hand, and says whose place it takes: uploads of the same episode by the same caller that rest,
    /// since whoever begins anew has lost them; and where the host has as many as it may have, the one of the caller's that rests longest,
    /// if that is long: what nobody goes on with is not to keep the host from sending.
    pub(super) fn begin(self: &Arc<Self>, id: UploadId, about: About) -> Result<(Hold, Vec<UploadId>), Crowded> {
        let mut entries = self.entries();
        let replaced = |entry: &Entry| {
            let same = entry.about.key == about.key && entry.about.owner == about.owner;
            same && matches!(entry.state, State::Resting(_))
        };
        let others = || entries.iter().filter(|(_, e)| !matches!(e.state, State::Finished) && !replaced(e));
        let is_hosts = |entry: &Entry| entry.about.key.host == about.key.host;
        let mut longest = None;
        if others().filter(|(_, entry)| is_hosts(entry)).count() >= self.host_max {
            let rests = |entry: &Entry| {
                let long = entry.touched_at.saturating_add(SignedDuration::from_secs(CROWDED_REST_SECS));
                matches!(entry.state, State::Resting(_)) && long.is_ok_and(|long| long <= about.begun_at)
            };
            let left = others().filter(|(_, e)| is_hosts(e) && e.about.owner == about.owner && rests(e));
            let (id, _) = left.min_by_key(|(id, entry)| (entry.touched_at, *id)).ok_or(Crowded::Host)?;
            longest = Some(id.clone());
        }
        if others().count() - usize::from(longest.is_some()) >= self.each_max {
            return Err(Crowded::All);
        }
        let replaced = entries.iter().filter(|(_, entry)| replaced(entry)).map(|(id, _)| id.clone());
        let gone: Vec<_> = replaced.chain(longest).collect();
        gone.iter().for_each(|id| _ = entries.remove(id));
        let (about, (sender, stop)) = (Arc::new(about), watch::channel(false));
        let state = State::Held(Arc::new(sender));
        let touched_at = about.begun_at;
        entries.insert(id.clone(), Entry { about: Arc::clone(&about), touched_at, state });
        let known = Some(Progress::default());
        let uploads = Arc::clone(self);
        Ok((Hold { uploads, id, about, known, touched_at: None, becomes: Becomes::Resting, stop }, gone))
    }

    /// Looks for an upload of a caller, and takes it in hand where nobody has it.
    pub(super) fn look(self: &Arc<Self>, id: &UploadId, owner: &str, now: Timestamp) -> Looked {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(id).filter(|entry| entry.about.owner == owner) else {
            return Looked::Unknown;
        };
        let ends_at = entry.ends_at(self.resume_time);
        let known = match &mut entry.state {
            State::Held(holder) => return Looked::Held(Arc::clone(holder)),
            _ if ends_at <= now => return Looked::Expired,
            State::Finished => return Looked::Finished(Arc::clone(&entry.about), ends_at),
            State::Resting(known) => known.take(),
        };
        let (sender, stop) = watch::channel(false);
        entry.state = State::Held(Arc::new(sender));
        let (uploads, about) = (Arc::clone(self), Arc::clone(&entry.about));
        Looked::Taken(Hold { uploads, id: id.clone(), about, known, touched_at: None, becomes: Becomes::Resting, stop })
    }

    /// Takes out one that is stored.
    pub(super) fn take_out(&self, id: &UploadId) {
        let mut entries = self.entries();
        if entries.get(id).is_some_and(|entry| matches!(entry.state, State::Finished)) {
            entries.remove(id);
        }
    }

    /// Takes out what came to its end; all of it is to be forgotten in the store.
    pub(super) fn sweep(&self, now: Timestamp) -> Vec<UploadId> {
        let mut entries = self.entries();
        let over = |entry: &Entry| !matches!(entry.state, State::Held(_)) && entry.ends_at(self.resume_time) <= now;
        let mut gone: Vec<_> = entries.iter().filter(|(_, e)| over(e)).map(|(id, _)| id.clone()).collect();
        gone.iter().for_each(|id| _ = entries.remove(id));
        let mut finished: Vec<_> = entries
            .iter()
            .filter(|(_, entry)| matches!(entry.state, State::Finished))
            .map(|(id, entry)| (entry.touched_at, id.clone()))
            .collect();
        finished.sort();
        for (_, id) in finished.drain(..finished.len().saturating_sub(FINISHED_MAX)) {
            entries.remove(&id);
            gone.push(id);
        }
        gone
    }

    /// When an upload that goes on now ends.
    pub(super) fn ends_at(&self, touched_at: Timestamp) -> Timestamp {
        let lives = SignedDuration::try_from(self.resume_time).unwrap_or(SignedDuration::MAX);
        touched_at.saturating_add(lives).unwrap_or(Timestamp::MAX)
    }
}

impl Hold {
    /// It went on.
    pub(super) fn touched(&mut self, at: Timestamp) {
        self.touched_at = Some(at);
    }

    /// It is stored.
    pub(super) fn finished(&mut self, at: Timestamp) {
        self.touched_at = Some(at);
        self.becomes = Becomes::Finished;
    }

    /// There is no such upload any more.
    pub(super) fn gone(&mut self) {
        self.becomes = Becomes::Nothing;
    }

    /// When it ends if nothing more comes.
    pub(super) fn ends_at(&self) -> Timestamp {
        let known = self.uploads.entries().get(&self.id).map(|entry| entry.touched_at);
        self.uploads.ends_at(self.touched_at.or(known).unwrap_or(self.about.begun_at))
    }

    /// Ends when another asks for it to be let go.
    pub(super) fn asked_for(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stop.clone();
        async move {
            if stop.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut entries = self.uploads.entries();
        if self.becomes == Becomes::Nothing {
            entries.remove(&self.id);
        } else if let Some(entry) = entries.get_mut(&self.id) {
            entry.touched_at = self.touched_at.unwrap_or(entry.touched_at);
            entry.state = match self.becomes {
                Becomes::Finished => State::Finished,
                Becomes::Resting | Becomes::Nothing => State::Resting(self.known.take()),
            };
        }
    }
}
