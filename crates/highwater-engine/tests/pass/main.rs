//! What the pass itself holds, whatever its ledger would catch after it.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::Mutex;

use futures::Stream;
use highwater_engine::clock::SystemClock;
use highwater_engine::contact::StopSignal;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::ledger::{EventFilter, JobState, Who, Word};
use highwater_engine::name::JobName;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::pass::{Engine, Mode, Runner as _};
use highwater_engine::report::{ExitCode, PassReport, Reason};
use highwater_engine::settings::JobSettings;
use highwater_engine::spec::JobSpec;
use highwater_store::{Access, SqliteLedger};
use highwater_testkit::named::{Named, names};
use tempfile::TempDir;

/// A job of two items, the second of which is put off, and that notes what the pass asks of it.
#[derive(Default)]
struct Asked(Mutex<Vec<String>>);

impl Asked {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }
}

impl Job for Asked {
    type Item = Named;
    type Prepared = ();

    async fn recover(&self, _: &mut CommitCx) -> Result<(), Stop> {
        self.note("recover");
        Ok(())
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        self.note("plan");
        names(["first", "second"])
    }

    async fn prepare(&self, _: ReadCx, item: Arc<Named>) -> Result<Attempt<()>, Stop> {
        self.note(format!("prepare {}", item.name()));
        Ok(if item.name() == "first" {
            Attempt::Ready(())
        } else {
            Attempt::Outcome(Outcome::because(OutcomeKind::Deferred, "later"))
        })
    }

    async fn commit(&self, _: &mut CommitCx, item: &Named, (): ()) -> Result<Outcome, Stop> {
        self.note(format!("commit {}", item.name()));
        Ok(Outcome::done())
    }

    async fn seal(&self, _: &mut CommitCx, report: &PassReport) -> Result<(), Stop> {
        self.note(format!("seal {}", report.reason.word()));
        Ok(())
    }
}

struct House {
    _dir: TempDir,
    engine: Engine,
    spec: JobSpec,
    job: Arc<Asked>,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = SystemClock::shared();
        let ledger = SqliteLedger::open(dir.path().join("ledger.db"), clock.now(), Access::ReadWrite).unwrap();
        let engine = Engine {
            ledger: Arc::new(ledger),
            clock,
            host: "a".to_owned(),
            pid: std::process::id(),
            who: Who("alice@a".to_owned()),
            stop: StopSignal::default(),
        };
        let spec = JobSpec {
            concurrency: 1,
            ..JobSpec::new(JobName::new("load").unwrap(), "asked", Vec::new(), &JobSettings::default())
        };
        Self { _dir: dir, engine, spec, job: Arc::default() }
    }

    async fn pass(&self) -> PassReport {
        self.job.run(&self.engine, &self.spec, Mode::Run).await
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.job.0.lock().unwrap())
    }
}

#[tokio::test]
async fn r03_a_pass_that_leaves_an_item_open_is_never_sealed_as_drained() {
    let house = House::new();
    let report = house.pass().await;
    assert_eq!((report.reason, report.exit), (Reason::RetryLeft, ExitCode::Checkpoint));
    assert_eq!(report.message, "every open item was tried; 1 to be tried again");
    // Neither is the job told so: what it does when drained is not undone by a ledger that refuses afterwards.
    assert_eq!(house.asked().last().map(String::as_str), Some("seal retry_left"));
}

#[tokio::test]
async fn r04_a_halted_job_is_asked_nothing() {
    let house = House::new();
    house.pass().await;
    house.asked();
    let word = Word { at: house.engine.clock.now(), who: Who("alice@a".to_owned()), why: "wrong data".to_owned() };
    assert!(house.engine.ledger.halt(&house.spec.name, &word, "").await.unwrap());
    for _ in 0..4 {
        let report = house.pass().await;
        assert_eq!((report.reason, report.exit), (Reason::Halted, ExitCode::Halted));
        // Not even to finish what a crash left: that too may touch the far side.
        assert_eq!(house.asked(), Vec::<String>::new());
    }
    assert!(house.engine.ledger.rearm(&house.spec.name, &word).await.unwrap());
    house.pass().await;
    assert_eq!(house.asked(), ["recover", "prepare second", "seal retry_left"]);
}

/// The same job, which leaves its second item to another configuration.
struct Narrow(Asked);

impl Job for Narrow {
    type Item = Named;
    type Prepared = ();

    fn plan(&self, cx: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        self.0.plan(cx)
    }

    fn in_scope(&self, item: &Named) -> bool {
        item.name() == "first"
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Named>) -> Result<Attempt<()>, Stop> {
        self.0.prepare(cx, item).await
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Named, (): ()) -> Result<Outcome, Stop> {
        self.0.commit(cx, item, ()).await
    }
}

#[tokio::test]
async fn r03_items_out_of_scope_stay_open_and_the_pass_is_a_checkpoint() {
    let house = House::new();
    let job = Arc::new(Narrow(Asked::default()));
    for (pass, asked) in [(1, &["plan", "prepare first", "commit first"][..]), (2, &[])] {
        let report = job.run(&house.engine, &house.spec, Mode::Run).await;
        assert_eq!((report.reason, report.exit), (Reason::Checkpoint, ExitCode::Checkpoint), "pass {pass}");
        assert_eq!(report.message, "every open item in scope was tried; 0 to be tried again, 1 outside it stay open");
        assert_eq!(std::mem::take(&mut *job.0.0.lock().unwrap()), asked);
    }
}

/// A job that halts until its code is other code.
struct Outdated {
    asked: Asked,
    code: Mutex<&'static str>,
}

impl Job for Outdated {
    type Item = Named;
    type Prepared = ();

    async fn mended(&self, _: &ReadCx, until: &str) -> Result<Option<String>, Stop> {
        let code = *self.code.lock().unwrap();
        Ok((code != until).then(|| format!("the code is {code} now")))
    }

    fn plan(&self, cx: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        self.asked.plan(cx)
    }

    async fn prepare(&self, _: ReadCx, _: Arc<Named>) -> Result<Attempt<()>, Stop> {
        Ok(Attempt::Ready(()))
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Named, (): ()) -> Result<Outcome, Stop> {
        let code = *self.code.lock().unwrap();
        if code == "old" {
            let why = "the code is too old".to_owned();
            return Err(Stop::Halt { why, evidence: String::new(), until: Some(code.to_owned()) });
        }
        self.asked.commit(cx, item, ()).await
    }
}

#[tokio::test]
async fn r04_a_halt_holds_until_what_was_recorded_with_it_comes_true_and_that_is_an_event() {
    let house = House::new();
    let job = Arc::new(Outdated { asked: Asked::default(), code: Mutex::new("old") });
    let pass = || job.run(&house.engine, &house.spec, Mode::Run);
    for _ in 0..3 {
        assert_eq!(pass().await.exit, ExitCode::Halted);
    }
    assert_eq!(std::mem::take(&mut *job.asked.0.lock().unwrap()), ["plan"], "nothing was tried while it was halted");
    *job.code.lock().unwrap() = "new";
    assert_eq!(pass().await.exit, ExitCode::Drained);
    let record = house.engine.ledger.job(&house.spec.name).await.unwrap().unwrap();
    assert_eq!((record.state, record.halt), (JobState::Drained, None));
    let events = house.engine.ledger.events(&EventFilter::default(), 10).await.unwrap();
    let rearm = events.iter().find(|event| event.act == "rearm").unwrap();
    assert_eq!((rearm.why.as_str(), rearm.who.0.as_str()), ("the code is new now", "pass 4"));

    // A person's halt waits for a person, whatever the code is.
    let word = Word { at: house.engine.clock.now(), who: Who("alice@a".to_owned()), why: "wrong data".to_owned() };
    house.engine.ledger.halt(&house.spec.name, &word, "").await.unwrap();
    *job.code.lock().unwrap() = "newer";
    assert_eq!(pass().await.exit, ExitCode::Halted);
}
