//! What the pass itself holds, whatever its ledger would catch after it.
#![allow(clippy::unwrap_used)]

mod broken;
mod groups;

use std::sync::Arc;
use std::sync::Mutex;

use futures::Stream;
use highwater_engine::clock::SystemClock;
use highwater_engine::contact::StopSignal;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop, WorkItem as _};
use highwater_engine::ledger::{EventFilter, ItemFilter, JobState, Who, Word};
use highwater_engine::name::{ItemKey, JobName};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::pass::{Engine, Mode, Runner as _};
use highwater_engine::report::{ExitCode, PassReport, Reason};
use highwater_engine::settings::{BreakerSettings, JobSettings, Percent};
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

/// A job whose list grows, and of whose items those that are named bad fail, or are for a person.
#[derive(Default)]
struct Growing {
    asked: Asked,
    found: Mutex<Vec<&'static str>>,
    bad: Mutex<Vec<(&'static str, OutcomeKind)>>,
    /// The list breaks off behind its last item.
    broken: Mutex<bool>,
    closed: bool,
}

impl Growing {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.0.lock().unwrap())
    }
}

impl Job for Growing {
    type Item = Named;
    type Prepared = ();

    fn rounds_stay_open(&self) -> bool {
        !self.closed
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        let mut listed: Vec<_> = self
            .found
            .lock()
            .unwrap()
            .iter()
            .map(|name| Named::decode(&ItemKey::new(*name).unwrap(), &[]).map_err(|_| unreachable!()))
            .collect();
        if *self.broken.lock().unwrap() {
            listed.push(Err(Stop::checkpoint(Reason::Network, "the list broke off")));
        }
        futures::stream::iter(listed)
    }

    async fn prepare(&self, _: ReadCx, _: Arc<Named>) -> Result<Attempt<()>, Stop> {
        Ok(Attempt::Ready(()))
    }

    async fn commit(&self, _: &mut CommitCx, item: &Named, (): ()) -> Result<Outcome, Stop> {
        self.asked.note(item.name());
        let bad = self.bad.lock().unwrap().iter().find(|(name, _)| *name == item.name()).copied();
        Ok(bad.map_or_else(Outcome::done, |(_, kind)| Outcome::because(kind, "bad")))
    }
}

/// A house whose breaker lets a job fail, as that of a shipper does.
fn house(recurring: bool) -> House {
    let breaker = BreakerSettings { failed: Percent::whole(100), ..BreakerSettings::default() };
    let settings = JobSettings { breaker, ..JobSettings::default() };
    let house = House::new();
    let spec = JobSpec {
        concurrency: 1,
        recurring,
        ..JobSpec::new(house.spec.name.clone(), "growing", Vec::new(), &settings)
    };
    House { spec, ..house }
}

async fn acts(house: &House) -> Vec<String> {
    let events = house.engine.ledger.events(&EventFilter::default(), 100).await.unwrap();
    events.into_iter().map(|event| format!("{} {}: {}", event.who.0, event.act, event.why)).collect()
}

#[tokio::test]
async fn r13_an_open_round_takes_what_is_new_before_what_failed_in_it() {
    let house = house(true);
    let job = Arc::new(Growing::default());
    let pass = || job.run(&house.engine, &house.spec, Mode::Run);
    *job.found.lock().unwrap() = vec!["bad", "good"];
    *job.bad.lock().unwrap() = vec![("bad", OutcomeKind::Failed)];
    assert_eq!(pass().await.reason, Reason::RetryLeft);
    assert_eq!(job.asked(), ["bad", "good"]);
    *job.found.lock().unwrap() = vec!["bad", "new"];
    let report = pass().await;
    assert_eq!((report.reason, report.counts.done, report.counts.retry), (Reason::RetryLeft, 1, 1));
    assert_eq!(job.asked(), ["new", "bad"]);
    let said = house.engine.ledger.job(&house.spec.name).await.unwrap().unwrap().worklist.unwrap();
    assert_eq!((said.round, said.tally.total, said.tally.done, said.tally.retry), (1, 3, 2, 1));

    // Where nothing is new nothing is written, and the attempts still end.
    for n in 3..=5 {
        let report = pass().await;
        let reason = if n == 5 { Reason::Drained } else { Reason::RetryLeft };
        assert_eq!((report.reason, job.asked()), (reason, vec!["bad".to_owned()]), "pass {n}");
    }
    assert_eq!(
        acts(&house).await,
        [
            "alice@a pin: 2 items from discovered",
            "pass 2 extend: 1 item, found since",
            "pass 5 drained: 3 items, all terminal, 1 to review",
        ]
    );
    assert_eq!(pass().await.reason, Reason::RetryLeft);
    assert_eq!(house.engine.ledger.job(&house.spec.name).await.unwrap().unwrap().worklist.unwrap().round, 2);
}

#[tokio::test]
async fn one_that_a_person_mended_is_tried_again_in_the_open_round_and_one_whose_attempts_are_spent_is_not() {
    let house = house(true);
    let job = Arc::new(Growing::default());
    let pass = || job.run(&house.engine, &house.spec, Mode::Run);
    *job.found.lock().unwrap() = vec!["bad", "parked", "good"];
    *job.bad.lock().unwrap() = vec![("bad", OutcomeKind::Failed), ("parked", OutcomeKind::Review)];
    pass().await;
    *job.found.lock().unwrap() = vec!["bad"];
    pass().await;
    assert_eq!(job.asked(), ["bad", "parked", "good", "bad"]);
    // It is listed again because it is mended; one that is done is not made anew in the same round.
    *job.found.lock().unwrap() = vec!["bad", "parked", "good"];
    job.bad.lock().unwrap().pop();
    let report = pass().await;
    assert_eq!((report.counts.done, report.counts.retry), (1, 1));
    assert_eq!(job.asked(), ["parked", "bad"]);
    assert!(acts(&house).await.contains(&"pass 3 retry: 1 item: listed again".to_owned()), "{:?}", acts(&house).await);
    // Another keeps the round open while the first one's attempts come to their end.
    *job.found.lock().unwrap() = vec!["bad", "late"];
    *job.bad.lock().unwrap() = vec![("bad", OutcomeKind::Failed), ("late", OutcomeKind::Failed)];
    pass().await;
    pass().await;
    assert_eq!(job.asked(), ["late", "bad", "late", "bad"]);
    assert_eq!(pass().await.reason, Reason::RetryLeft);
    assert_eq!(job.asked(), ["late"], "the round comes to its end");
}

#[tokio::test]
async fn r03_a_round_that_a_person_opened_again_takes_what_is_new_and_opens_no_other_before_what_is_untried() {
    let house = house(true);
    let job = Arc::new(Growing::default());
    let pass = || job.run(&house.engine, &house.spec, Mode::Run);
    *job.found.lock().unwrap() = vec!["parked", "looked-at"];
    *job.bad.lock().unwrap() = vec![("parked", OutcomeKind::Review), ("looked-at", OutcomeKind::Review)];
    assert_eq!(pass().await.reason, Reason::Drained);
    job.asked();
    let word = Word { at: house.engine.clock.now(), who: Who("alice@a".to_owned()), why: "mended".to_owned() };
    let one = ItemFilter::Keys(vec![ItemKey::new("looked-at").unwrap()]);
    assert_eq!(house.engine.ledger.retry_items(&house.spec.name, &one, &word).await.unwrap(), 1);
    *job.found.lock().unwrap() = vec!["parked", "looked-at", "new"];
    let report = pass().await;
    assert_eq!((report.reason, report.counts.done, report.counts.review), (Reason::Drained, 1, 1));
    assert_eq!(job.asked(), ["looked-at", "new"]);
    // The next round takes what is listed still.
    assert_eq!(pass().await.reason, Reason::Drained);
    assert_eq!(job.asked(), ["parked", "looked-at", "new"]);
}

#[tokio::test]
async fn r05_an_extension_that_breaks_off_is_made_anew_and_shows_nothing() {
    let house = house(true);
    let job = Arc::new(Growing::default());
    let pass = || job.run(&house.engine, &house.spec, Mode::Run);
    *job.found.lock().unwrap() = vec!["bad"];
    *job.bad.lock().unwrap() = vec![("bad", OutcomeKind::Failed)];
    pass().await;
    *job.found.lock().unwrap() = vec!["bad", "one", "two"];
    *job.broken.lock().unwrap() = true;
    assert_eq!(pass().await.reason, Reason::Network);
    let said = house.engine.ledger.job(&house.spec.name).await.unwrap().unwrap().worklist.unwrap();
    assert_eq!(said.tally.total, 1);
    *job.found.lock().unwrap() = vec!["two", "bad", "three"];
    *job.broken.lock().unwrap() = false;
    let report = pass().await;
    assert_eq!((report.counts.done, report.counts.retry), (2, 1));
    assert_eq!(job.asked(), ["bad", "two", "three", "bad"]);
}

#[tokio::test]
async fn r06_a_round_that_is_not_said_to_stay_open_and_a_list_of_a_finite_job_are_as_they_were_pinned() {
    let finite = Growing::default();
    let closed = Growing { closed: true, ..Growing::default() };
    for (house, job) in [(house(false), finite), (house(true), closed)] {
        let job = Arc::new(job);
        *job.found.lock().unwrap() = vec!["bad"];
        *job.bad.lock().unwrap() = vec![("bad", OutcomeKind::Failed)];
        job.run(&house.engine, &house.spec, Mode::Run).await;
        *job.found.lock().unwrap() = vec!["bad", "new"];
        job.run(&house.engine, &house.spec, Mode::Run).await;
        assert_eq!(job.asked(), ["bad", "bad"]);
    }
}
