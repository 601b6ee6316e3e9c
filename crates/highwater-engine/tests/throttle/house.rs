//! A ledger, a job whose items the test looks into, signals that say what the test wants, and a clock that runs ahead.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::Stream;
use highwater_engine::clock::Clock;
use highwater_engine::contact::StopSignal;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::ledger::{Who, Word};
use highwater_engine::lock::FileLock;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::outcome::Outcome;
use highwater_engine::pace::Pace;
use highwater_engine::pass::{Engine, Mode, Runner as _};
use highwater_engine::report::PassReport;
use highwater_engine::settings::JobSettings;
use highwater_engine::signal::{Reading, Signal, SignalError, number};
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_store::{Access, SqliteLedger};
use highwater_testkit::named::{Named, names};
use highwater_testkit::sim_clock::SimClock;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// How far the clock goes at a time.
const TICK: Duration = Duration::from_millis(100);
/// How long a tick takes for those who wait for the disk.
const TICK_TAKES: Duration = Duration::from_micros(500);
/// How many ticks something may take.
const TICKS_MAX: u32 = 20_000;

/// What a signal says; its limit is 10.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Says {
    Number(f64),
    Fails,
    NoNumber,
    Nothing,
    Stale,
}

/// A signal that says what the test wants.
pub(crate) struct Scripted {
    says: Mutex<Says>,
    asked: AtomicUsize,
}

impl Scripted {
    pub(crate) fn new(says: Says) -> Arc<Self> {
        Arc::new(Self { says: Mutex::new(says), asked: AtomicUsize::new(0) })
    }

    pub(crate) fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Signal for Scripted {
    fn name(&self) -> &str {
        "load"
    }

    fn limit(&self) -> f64 {
        10.0
    }

    async fn read(&self) -> Result<Reading, SignalError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let says = *self.says.lock().unwrap();
        match says {
            Says::Number(value) => Ok(Reading::now(value)),
            Says::Fails => Err(SignalError::Refused { said: "the command ended with exit 1".to_owned() }),
            Says::NoNumber => number(b"up").map(Reading::now),
            Says::Nothing => std::future::pending().await,
            Says::Stale => Ok(Reading { value: 0.0, age: Duration::from_secs(3_600) }),
        }
    }
}

/// What an item does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing, in no time.
    Nothing,
    /// One contact.
    Contact,
    /// So many batches, in its commit.
    Batches(usize),
    /// It is prepared until the test lets it go.
    Gate,
    /// So many batches, each at work until the test lets it go.
    GatedBatches(usize),
}

/// A job that notes when its items are prepared and its batches begun.
pub(crate) struct Looked {
    items: Vec<&'static str>,
    work: Work,
    clock: Arc<SimClock>,
    resource: ResourceName,
    /// When, and for batches at what share of full speed.
    pub(crate) begun: Mutex<Vec<(Duration, f64)>>,
    pub(crate) at_work: AtomicUsize,
    pub(crate) gate: Semaphore,
}

impl Looked {
    fn note(&self, share: f64) {
        self.begun.lock().unwrap().push((self.clock.elapsed(), share));
    }

    pub(crate) fn count(&self) -> usize {
        self.begun.lock().unwrap().len()
    }

    /// The shares at which batches were begun.
    pub(crate) fn shares(&self) -> Vec<f64> {
        self.begun.lock().unwrap().iter().map(|(_, share)| *share).collect()
    }

    /// The seconds between one begin and the next.
    pub(crate) fn gaps(&self) -> Vec<f64> {
        let begun = self.begun.lock().unwrap();
        begun.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs_f64()).collect()
    }
}

impl Job for Looked {
    type Item = Named;
    type Prepared = ();

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        names(self.items.clone())
    }

    async fn prepare(&self, cx: ReadCx, _: Arc<Named>) -> Result<Attempt<()>, Stop> {
        match self.work {
            Work::Batches(_) | Work::GatedBatches(_) => {}
            Work::Contact => {
                cx.contacts.permit(&self.resource).await?;
                self.note(1.0);
            }
            Work::Nothing => self.note(1.0),
            Work::Gate => {
                self.note(1.0);
                self.at_work.fetch_add(1, Ordering::SeqCst);
                self.gate.acquire().await.unwrap().forget();
                self.at_work.fetch_sub(1, Ordering::SeqCst);
            }
        }
        Ok(Attempt::Ready(()))
    }

    async fn commit(&self, cx: &mut CommitCx, _: &Named, (): ()) -> Result<Outcome, Stop> {
        let (batches, gated) = match self.work {
            Work::Batches(batches) => (batches, false),
            Work::GatedBatches(batches) => (batches, true),
            _ => (0, false),
        };
        for _ in 0..batches {
            let share = cx.clear().await?;
            self.note(share);
            if gated {
                self.gate.acquire().await.unwrap().forget();
            }
        }
        Ok(Outcome::done())
    }
}

pub(crate) struct House {
    _dir: TempDir,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) engine: Engine,
    pub(crate) spec: JobSpec,
    pub(crate) job: Arc<Looked>,
    pub(crate) signal: Arc<Scripted>,
}

impl House {
    /// A job of these items, beside a signal.
    pub(crate) fn new(items: &[&'static str], work: Work, says: Says) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = SimClock::standing("2026-11-20T12:00:00Z".parse().unwrap());
        let ledger = SqliteLedger::open(dir.path().join("ledger.db"), clock.now(), Access::ReadWrite).unwrap();
        let engine = Engine {
            ledger: Arc::new(ledger),
            clock: clock.shared(),
            host: "a".to_owned(),
            pid: std::process::id(),
            who: Who("alice@a".to_owned()),
            stop: StopSignal::default(),
        };
        let resource = ResourceName::new("r").unwrap();
        let lock = FileLock::new(dir.path().join("r.lock"), true);
        let resources = vec![ResourceSpec::new(resource.clone(), lock)];
        let settings = JobSettings::default();
        let mut spec =
            JobSpec { concurrency: 1, ..JobSpec::new(JobName::new("load").unwrap(), "looked", resources, &settings) };
        let signal = Scripted::new(says);
        spec.throttle.signals = vec![Arc::clone(&signal) as Arc<dyn Signal>];
        let job = Arc::new(Looked {
            items: items.to_vec(),
            work,
            clock: Arc::clone(&clock),
            resource,
            begun: Mutex::default(),
            at_work: AtomicUsize::new(0),
            gate: Semaphore::new(0),
        });
        Self { _dir: dir, clock, engine, spec, job, signal }
    }

    pub(crate) fn pace(mut self, secs: u64) -> Self {
        self.spec.resources[0].pace = Pace { delay: Duration::from_secs(secs), jitter: 0.0 };
        self
    }

    pub(crate) fn start(&self) -> JoinHandle<PassReport> {
        let (job, engine, spec) = (Arc::clone(&self.job), self.engine.clone(), self.spec.clone());
        tokio::spawn(async move { job.run(&engine, &spec, Mode::Run).await })
    }

    pub(crate) async fn set(&self, key: &str, value: &str) {
        let values = [(key.to_owned(), value.to_owned())];
        self.engine.ledger.set_overrides(&self.spec.name, &values, &self.word()).await.unwrap();
    }

    pub(crate) async fn unset(&self) {
        self.engine.ledger.unset_overrides(&self.spec.name, &[], &self.word()).await.unwrap();
    }

    pub(crate) fn word(&self) -> Word {
        Word { at: self.clock.now(), who: Who("alice@a".to_owned()), why: "a test".to_owned() }
    }

    /// The pass's end, while time goes on.
    pub(crate) async fn end(&self, pass: JoinHandle<PassReport>) -> PassReport {
        self.until("the pass's end", || pass.is_finished()).await;
        pass.await.unwrap()
    }

    /// The pass's end, while the clock stands still: nobody waits for anything.
    #[expect(clippy::disallowed_methods, reason = "the disk needs time of its own")]
    pub(crate) async fn end_at_once(&self, pass: JoinHandle<PassReport>) -> PassReport {
        for _ in 0..TICKS_MAX {
            if pass.is_finished() {
                return pass.await.unwrap();
            }
            tokio::time::sleep(TICK_TAKES).await;
        }
        panic!("somebody waits for time to pass");
    }

    /// Time goes on until it is so.
    pub(crate) async fn until(&self, what: &str, so: impl Fn() -> bool) {
        for _ in 0..TICKS_MAX {
            if so() {
                return;
            }
            self.tick().await;
        }
        panic!("waited too long for {what}");
    }

    /// Time goes on until the signal was asked so often again: whoever waits for it has heard of what it says now.
    pub(crate) async fn rounds(&self, rounds: usize) {
        let asked = self.signal.asked();
        self.until("rounds of the signal", || self.signal.asked() > asked + rounds).await;
    }

    /// So many seconds later.
    pub(crate) async fn later(&self, secs: u64) {
        let end = self.clock.elapsed() + Duration::from_secs(secs);
        self.until("time to pass", || self.clock.elapsed() >= end).await;
    }

    #[expect(clippy::disallowed_methods, reason = "those who wait for the disk need time of their own")]
    async fn tick(&self) {
        self.clock.advance(TICK);
        tokio::time::sleep(TICK_TAKES).await;
    }
}
