//! What these tests live in: a ledger of one's own, a clock that stands still, a job that does as its items' names say, and a
//! webhook that remembers what it was told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use highwater_engine::breaker::BreakerRules;
use highwater_engine::contact::StopSignal;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::ledger::{Notice, Who, Word};
use highwater_engine::name::JobName;
use highwater_engine::notify::{Notifier, Target};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::pass::{Engine, Mode, Runner as _};
use highwater_engine::report::PassReport;
use highwater_engine::settings::{JobSettings, NotifyEvent, NotifySettings};
use highwater_engine::spec::JobSpec;
use highwater_store::{Access, SqliteLedger};
use highwater_testkit::faulty_http::{Answer, FaultyHttp};
use highwater_testkit::named::{Named, names};
use highwater_testkit::sim_clock::SimClock;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// How long a test waits for what must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A job that lists these items, or stops before it lists any. An item's name begins with its outcome: `done-1`, `review-7`.
#[derive(Clone, Default)]
pub(crate) struct Script {
    items: Vec<&'static str>,
    stop: Option<Stop>,
}

/// A job with these items.
pub(crate) fn items<const N: usize>(items: [&'static str; N]) -> Script {
    Script { items: items.into(), stop: None }
}

/// A job that stops before it does anything.
pub(crate) fn stops(stop: impl Into<Stop>) -> Script {
    Script { items: Vec::new(), stop: Some(stop.into()) }
}

impl Job for Script {
    type Item = Named;
    type Prepared = ();

    async fn recover(&self, _: &mut CommitCx) -> Result<(), Stop> {
        self.stop.clone().map_or(Ok(()), Err)
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        names(self.items.clone())
    }

    async fn prepare(&self, _: ReadCx, item: Arc<Named>) -> Result<Attempt<()>, Stop> {
        let kind = match item.name().split('-').next() {
            Some("done") => OutcomeKind::Done,
            Some("review") => OutcomeKind::Review,
            Some("retry") => OutcomeKind::Failed,
            other => panic!("{other:?} is no outcome"),
        };
        Ok(Attempt::Outcome(Outcome::plain(kind)))
    }

    async fn commit(&self, _: &mut CommitCx, _: &Named, (): ()) -> Result<Outcome, Stop> {
        panic!("everything is judged in `prepare`");
    }
}

/// A ledger and what passes over it share.
pub(crate) struct House {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) engine: Engine,
    pub(crate) spec: JobSpec,
    dir: TempDir,
}

impl House {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = SimClock::standing("2026-11-20T08:00:00Z".parse().unwrap());
        let engine = engine(dir.path(), &clock, Access::ReadWrite);
        Self { clock, engine, spec: spec("load"), dir }
    }

    /// The config file's directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Another process on the same ledger.
    pub(crate) fn another_process(&self, access: Access) -> Engine {
        Engine { pid: self.engine.pid + 1, ..engine(self.dir.path(), &self.clock, access) }
    }

    /// One pass, its row and its locks behind it.
    pub(crate) async fn pass(&self, script: &Script) -> PassReport {
        Arc::new(script.clone()).run(&self.engine, &self.spec, Mode::Run).await
    }

    /// One pass, and what people are told after it.
    pub(crate) async fn pass_and_tell(&self, script: &Script, notifier: &Notifier) -> Vec<String> {
        let report = self.pass(script).await;
        notifier.after_pass(&self.engine, &self.spec, &report).await
    }

    /// A pass that ends well and changes nothing, of another job in the same ledger.
    pub(crate) async fn another_job_tells(&self, notifier: &Notifier) -> Vec<String> {
        let spec = JobSpec { recurring: true, ..spec("other") };
        let report = Arc::new(items([])).run(&self.engine, &spec, Mode::Run).await;
        notifier.after_pass(&self.engine, &spec, &report).await
    }

    pub(crate) fn word(&self, why: &str) -> Word {
        Word { at: self.engine.clock.now(), who: Who("alice@a".to_owned()), why: why.to_owned() }
    }

    pub(crate) async fn rearm(&self) {
        assert!(self.engine.ledger.rearm(&self.spec.name, &self.word("mended")).await.unwrap());
    }

    pub(crate) async fn waiting(&self) -> Vec<Notice> {
        self.engine.ledger.notices_waiting().await.unwrap()
    }
}

fn engine(dir: &Path, clock: &Arc<SimClock>, access: Access) -> Engine {
    let now = "2026-11-20T08:00:00Z".parse().unwrap();
    Engine {
        ledger: Arc::new(SqliteLedger::open(dir.join("ledger.db"), now, access).unwrap()),
        clock: clock.shared(),
        host: "a".to_owned(),
        pid: 7,
        who: Who("alice@a".to_owned()),
        stop: StopSignal::default(),
    }
}

fn spec(name: &str) -> JobSpec {
    JobSpec {
        // It never halts by itself.
        breaker: BreakerRules { failed: 1.0, failed_after: 0, gone: 1.0, gone_after: 0 },
        attempts_max: 2,
        ..JobSpec::new(JobName::new(name).unwrap(), "script", Vec::new(), &JobSettings::default())
    }
}

/// A webhook that takes everything.
pub(crate) async fn webhook() -> FaultyHttp {
    FaultyHttp::start(|_| Answer::ok("")).await.unwrap()
}

/// An entry for a webhook.
pub(crate) fn to(url: &str) -> NotifySettings {
    NotifySettings { url: Some(url.parse().unwrap()), ..NotifySettings::default() }
}

/// An entry for a shell script.
pub(crate) fn script(script: &str) -> NotifySettings {
    let command = highwater_engine::settings::CommandLine::new(["sh", "-c", script]);
    NotifySettings { command, ..NotifySettings::default() }
}

/// A notifier of these entries, in `dir`.
pub(crate) fn notifier<const N: usize>(dir: &Path, entries: [NotifySettings; N]) -> Notifier {
    Notifier::new(entries.iter().map(|entry| Target::new(entry, dir).unwrap()).collect())
}

/// An entry that is told of these changes only.
pub(crate) fn only<const N: usize>(on: [NotifyEvent; N], entry: NotifySettings) -> NotifySettings {
    NotifySettings { on: on.into(), ..entry }
}

/// What a webhook was told, in order.
pub(crate) fn told(server: &FaultyHttp) -> Vec<Value> {
    server.requests().iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

/// The changes that a webhook was told of, in order.
pub(crate) fn changes(server: &FaultyHttp) -> Vec<String> {
    told(server).iter().map(|message| message["change"].as_str().unwrap().to_owned()).collect()
}

/// What comes of `ends`, which must end by itself.
pub(crate) async fn soon<T>(ends: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, ends).await.expect("it does not end")
}
