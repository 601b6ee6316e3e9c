//! A pass that is run once in each schedule: a job whose items have fates, a lock that can be lost, a clock that no machine moves, and
//! those who come between.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use futures::{Stream, stream};
use highwater_engine::breaker::BreakerRules;
use highwater_engine::clock::{Clock, Sleep};
use highwater_engine::contact::StopSignal;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::{Attempt, CommitCx, Effects, Job, OnUnknown, ReadCx, Stop, WorkItem};
use highwater_engine::ledger::Who;
use highwater_engine::lock::{Held, Lock, LockIdentity, Probe};
use highwater_engine::name::{ItemKey, JobName, ResourceName};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::pass::{Engine, Mode, Runner as _};
use highwater_engine::recorder::Grouping;
use highwater_engine::report::{PassReport, Reason};
use highwater_engine::settings::JobSettings;
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_engine::worklist::NewItem;
use jiff::Timestamp;
use shuttle::rand::{Rng as _, thread_rng};
use tokio::sync::watch;

use crate::ledger::Memory;
use crate::trace::{Course, Did, Trace};

/// Most times that one who lingers lets others go first.
const LINGERS_MAX: usize = 3;
/// Bytes of which the weight of what is in memory is counted.
pub(crate) const WEIGHT_BYTES: u64 = 4096;
/// How often the end of those that were dropped is waited for, in turns given to others: an aborted task ends by itself.
const TURNS_MAX: usize = 1000;

/// One of these, drawn anew in each schedule.
pub(crate) fn one_of<T: Copy>(these: &[T]) -> T {
    these[thread_rng().gen_range(0..these.len())]
}

/// Lets others go first, or does not.
pub(crate) async fn linger() {
    for _ in 0..thread_rng().gen_range(0..=LINGERS_MAX) {
        tokio::task::yield_now().await;
    }
}

/// What becomes of an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    /// `prepare` is ready, and its commit comes to this.
    Committed(OutcomeKind),
    /// `prepare` comes to this.
    Judged(OutcomeKind),
    /// Its row cannot be read.
    Damaged,
    OutOfScope,
    StopsPrepare,
    StopsCommit,
}

/// One schedule's items, and how they are drained.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) fates: Vec<Fate>,
    pub(crate) effects: Effects,
    pub(crate) on_unknown: OnUnknown,
    pub(crate) concurrency: usize,
    /// What a person sets meanwhile, and takes back.
    pub(crate) concurrency_later: Option<usize>,
    pub(crate) group_items_max: usize,
    /// Outcomes in a group of the recorder.
    pub(crate) recorded_items: usize,
    pub(crate) prefetch_bytes: u64,
    pub(crate) breaker: BreakerRules,
}

impl Plan {
    /// Items of these fates, drained in any way that a configuration may ask for.
    pub(crate) fn of(fates: Vec<Fate>) -> Self {
        Self {
            fates,
            effects: Effects::InCommit,
            on_unknown: one_of(&[OnUnknown::Rerun, OnUnknown::Review]),
            concurrency: one_of(&[1, 2, 4]),
            concurrency_later: None,
            group_items_max: one_of(&[1, 1, 3]),
            recorded_items: one_of(&[1, 2, 256]),
            prefetch_bytes: one_of(&[1, 2, 1000]) * WEIGHT_BYTES,
            breaker: BreakerRules { failed: 1.0, gone: 1.0, ..BreakerRules::default() },
        }
    }

    /// What is set of the concurrency meanwhile.
    pub(crate) fn widths(&self) -> Vec<usize> {
        self.concurrency_later.map_or_else(Vec::new, |later| vec![later, self.concurrency])
    }

    fn prepared_max(&self) -> usize {
        self.concurrency.max(self.concurrency_later.unwrap_or(0))
    }

    /// Items in hand at once. Where effects are in `prepare` there are as many as there are items.
    fn in_hand_max(&self) -> usize {
        match self.effects {
            Effects::InCommit => self.prepared_max() + self.group_items_max,
            Effects::InPrepare => usize::MAX,
        }
    }
}

/// An item that is its position.
pub(crate) struct Numbered(u64);

impl WorkItem for Numbered {
    fn key(&self) -> ItemKey {
        ItemKey::new(self.0.to_string()).unwrap()
    }

    fn encode(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    fn decode(_: &ItemKey, payload: &[u8]) -> Result<Self, String> {
        payload.try_into().map(|bytes| Self(u64::from_le_bytes(bytes))).map_err(|_| "no number".to_owned())
    }
}

/// How many there are, and the most there may be.
#[derive(Default)]
struct Gauge(AtomicUsize);

impl Gauge {
    fn enter(self: &Arc<Self>, most: usize, what: &str) -> Entered {
        let now = self.0.fetch_add(1, SeqCst) + 1;
        assert!(now <= most, "{now} {what} at once, {most} allowed");
        Entered(Arc::clone(self))
    }
}

/// One that counts until it is dropped.
pub(crate) struct Entered(Arc<Gauge>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

/// The job.
struct Lot {
    plan: Arc<Plan>,
    trace: Arc<Trace>,
    preparing: Arc<Gauge>,
    in_hand: Arc<Gauge>,
    committing: Arc<Gauge>,
}

impl Lot {
    fn fate(&self, item: &Numbered) -> Fate {
        self.plan.fates[usize::try_from(item.0).unwrap()]
    }

    /// A stop that leaves everything behind this item, or this last one of a group, as it is.
    fn stop(&self, position: u64) -> Stop {
        self.trace.note(Did::StopSaid(position));
        // Some let finish what is in hand, but not these.
        match thread_rng().gen_range(0..3) {
            0 => Stop::checkpoint(Reason::Network, "the job says so"),
            1 => Stop::Halt { why: "the job says so".to_owned(), evidence: String::new(), until: None },
            _ => Stop::Fail(Diagnosis::failure("HW-BUG-001", "the job says so", "nothing: it is a test")),
        }
    }
}

impl Job for Lot {
    type Item = Numbered;
    type Prepared = Entered;

    fn effects(&self) -> Effects {
        self.plan.effects
    }

    fn on_unknown(&self) -> OnUnknown {
        self.plan.on_unknown
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Numbered, Stop>> + Send {
        stream::once(async { Err(Stop::checkpoint(Reason::Refused, "it is pinned already")) })
    }

    fn in_scope(&self, item: &Numbered) -> bool {
        self.fate(item) != Fate::OutOfScope
    }

    async fn prepare(&self, _: ReadCx, item: Arc<Numbered>) -> Result<Attempt<Entered>, Stop> {
        self.trace.note(Did::PrepareBegan(item.0));
        let in_hand = self.in_hand.enter(self.plan.in_hand_max(), "items in hand");
        let _preparing = self.preparing.enter(self.plan.prepared_max(), "preparations");
        linger().await;
        self.trace.note(Did::PrepareEnded(item.0));
        match self.fate(&item) {
            Fate::Judged(kind) => Ok(Attempt::Outcome(Outcome::plain(kind))),
            Fate::StopsPrepare => Err(self.stop(item.0)),
            _ => Ok(Attempt::Ready(in_hand)),
        }
    }

    /// Never nothing: the semaphore of shuttle refuses to give none, where tokio's gives them at once.
    fn weight(&self, _: &Entered) -> u64 {
        one_of(&[1, 1, 2]) * WEIGHT_BYTES
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Numbered, ready: Entered) -> Result<Outcome, Stop> {
        let group = vec![(Arc::new(Numbered(item.0)), ready)];
        self.commit_group(cx, group).await.map(|mut outcomes| outcomes.remove(0))
    }

    fn group_items_max(&self) -> usize {
        self.plan.group_items_max
    }

    async fn commit_group(&self, _: &mut CommitCx, group: Vec<(Arc<Numbered>, Entered)>) -> Result<Vec<Outcome>, Stop> {
        let _committing = self.committing.enter(1, "commits");
        let positions: Vec<u64> = group.iter().map(|(item, _)| item.0).collect();
        assert!(positions.len() <= self.plan.group_items_max, "{positions:?}");
        self.trace.note(Did::CommitBegan(positions.clone()));
        linger().await;
        let mut outcomes = Vec::new();
        for (item, _) in &group {
            match self.fate(item) {
                Fate::Committed(kind) => outcomes.push(Outcome::plain(kind)),
                Fate::StopsCommit => return Err(self.stop(positions.iter().copied().max().unwrap_or(item.0))),
                other => panic!("item {} is committed, whose fate is {other:?}", item.0),
            }
        }
        self.trace.note(Did::CommitEnded(positions));
        Ok(outcomes)
    }
}

/// A clock that goes on by a millisecond whenever it is read, and by a sleep once others had their turns.
#[derive(Debug)]
struct StepClock {
    ms: AtomicU64,
    /// Who only glances looks when there is something to see.
    news: watch::Sender<()>,
}

impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(i64::try_from(self.ms.load(SeqCst)).unwrap()).unwrap()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.ms.fetch_add(1, SeqCst))
    }

    fn sleep(&self, span: Duration) -> Sleep<'_> {
        Box::pin(async move {
            linger().await;
            tokio::task::yield_now().await;
            self.ms.fetch_add(u64::try_from(span.as_millis()).unwrap(), SeqCst);
        })
    }

    fn glance(&self, _: Duration) -> Sleep<'_> {
        let mut news = self.news.subscribe();
        Box::pin(async move { news.changed().await.unwrap() })
    }
}

/// A lock that may be lost.
#[derive(Clone)]
struct Latch {
    lost: Arc<AtomicBool>,
    session: (),
}

#[async_trait]
impl Lock for Latch {
    fn describe(&self) -> String {
        "latch:1".to_owned()
    }

    fn identity(&self) -> Result<LockIdentity, Diagnosis> {
        Ok(LockIdentity::Key(self.describe()))
    }

    async fn try_take(&self) -> Result<Option<Box<dyn Held>>, Stop> {
        Ok(Some(Box::new(self.clone())))
    }
}

#[async_trait]
impl Held for Latch {
    fn probe(&self) -> Probe {
        let lost = Arc::clone(&self.lost);
        Box::new(move || !lost.load(SeqCst))
    }

    fn session(&mut self) -> &mut (dyn Any + Send) {
        &mut self.session
    }
}

/// Everything that those who come between can reach.
pub(crate) struct House {
    pub(crate) ledger: Arc<Memory>,
    pub(crate) trace: Arc<Trace>,
    clock: Arc<StepClock>,
    lost: Arc<AtomicBool>,
    stop: StopSignal,
}

impl House {
    pub(crate) fn raise(&self) {
        self.stop.raise();
        // Now that everybody can know of it.
        self.trace.note(Did::Raised);
    }

    pub(crate) fn lose_lock(&self) {
        self.trace.note(Did::LockLost);
        self.lost.store(true, SeqCst);
    }

    /// Those who wait for something else look whether anything is new.
    pub(crate) fn news(&self) {
        self.clock.news.send_replace(());
    }
}

/// One pass over the items of a plan, while somebody comes between; what holds of every pass is judged.
pub(crate) async fn pass<F: Future<Output = ()> + Send + 'static>(
    plan: Plan,
    between: impl FnOnce(Arc<House>) -> F,
) -> (PassReport, Ended) {
    let plan = Arc::new(plan);
    let trace: Arc<Trace> = Arc::default();
    let job = JobName::new("lot").unwrap();
    let items = (0..).zip(&plan.fates).map(|(position, fate)| {
        let item = Numbered(position);
        NewItem { key: item.key(), payload: if *fate == Fate::Damaged { Vec::new() } else { item.encode() } }
    });
    let house = Arc::new(House {
        ledger: Arc::new(Memory::new(job.clone(), items.collect(), Arc::clone(&trace))),
        trace: Arc::clone(&trace),
        clock: Arc::new(StepClock { ms: AtomicU64::new(0), news: watch::channel(()).0 }),
        lost: Arc::default(),
        stop: StopSignal::default(),
    });
    let engine = Engine {
        ledger: Arc::clone(&house.ledger) as _,
        clock: Arc::clone(&house.clock) as _,
        host: "a".to_owned(),
        pid: 1,
        who: Who("alice@a".to_owned()),
        stop: house.stop.clone(),
    };
    let latch = Latch { lost: Arc::clone(&house.lost), session: () };
    let resource = ResourceSpec::new(ResourceName::new("latch").unwrap(), latch);
    let spec = JobSpec {
        concurrency: plan.concurrency,
        prefetch_bytes: plan.prefetch_bytes,
        grouping: Grouping { items: plan.recorded_items, ..Grouping::default() },
        breaker: plan.breaker,
        ..JobSpec::new(job, "lot", vec![resource], &JobSettings::default())
    };
    let lot = Arc::new(Lot {
        plan: Arc::clone(&plan),
        trace: Arc::clone(&trace),
        preparing: Arc::default(),
        in_hand: Arc::default(),
        committing: Arc::default(),
    });
    let between = tokio::spawn(between(Arc::clone(&house)));
    let report = lot.run(&engine, &spec, Mode::Run).await;
    let did = trace.take();
    for _ in 0..TURNS_MAX {
        if lot.in_hand.0.load(SeqCst) == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(lot.in_hand.0.load(SeqCst), 0, "what was prepared is not dropped: {did:?}");
    between.await.unwrap();
    let late = trace.take();
    let late = late.iter().find(|did| matches!(did, Did::CommitBegan(_) | Did::Recorded(..)));
    assert_eq!(late, None, "after the pass");
    let ended = Ended { plan, did, started: house.ledger.started(), open: house.ledger.tally().open() };
    ended.course().holds();
    (report, ended)
}

/// What a pass left.
pub(crate) struct Ended {
    plan: Arc<Plan>,
    did: Vec<Did>,
    started: Vec<u64>,
    /// Items without a terminal outcome.
    pub(crate) open: u64,
}

impl Ended {
    pub(crate) fn course(&self) -> Course<'_> {
        Course { plan: &self.plan, did: self.did.clone(), started: self.started.clone() }
    }

    /// Items that were committed, and have no business there.
    pub(crate) fn committed_behind(&self, position: u64) -> Vec<u64> {
        self.course().committed().filter(|committed| *committed > position).collect()
    }
}
