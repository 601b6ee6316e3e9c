//! A repository that answers as a script says, and a client with the contacts of a real pass on a real ledger.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::Stream;
use highwater_engine::clock::SharedClock;
use highwater_engine::contact::{Contacts, StopSignal};
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::ledger::Who;
use highwater_engine::lock::FileLock;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::outcome::Outcome;
use highwater_engine::pass::{Engine, Mode, Runner as _};
use highwater_engine::settings::JobSettings;
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_oai::client::{Client, Endpoint, Entry, Fault, Limits, PageEnd, Unasked};
use highwater_oai::protocol::{Request, Selection};
use highwater_store::{Access, SqliteLedger};
use highwater_testkit::faulty_http::{Answer, FaultyHttp, Received, in_turn};
use highwater_testkit::named::{Named, names};
use highwater_testkit::sim_clock::SimClock;

pub(crate) struct Rig {
    pub(crate) far: FaultyHttp,
    pub(crate) endpoint: Endpoint,
    pub(crate) contacts: Arc<Contacts>,
    pub(crate) clock: Arc<SimClock>,
    _dir: tempfile::TempDir,
}

/// A job that hands its contacts to the test.
struct Lender(Mutex<Option<Arc<Contacts>>>);

impl Job for Lender {
    type Item = Named;
    type Prepared = ();

    fn plan(&self, cx: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        *self.0.lock().unwrap() = Some(cx.contacts);
        names(["nothing"])
    }

    async fn prepare(&self, _: ReadCx, _: Arc<Named>) -> Result<Attempt<()>, Stop> {
        Ok(Attempt::Ready(()))
    }

    async fn commit(&self, _: &mut CommitCx, _: &Named, (): ()) -> Result<Outcome, Stop> {
        Ok(Outcome::done())
    }
}

/// On a clock that moves itself.
pub(crate) async fn rig(answers: impl IntoIterator<Item = Answer>) -> Rig {
    scripted(in_turn(answers)).await
}

pub(crate) async fn scripted(script: impl FnMut(&Received) -> Answer + Send + 'static) -> Rig {
    let clock = SimClock::running("2026-11-20T12:00:00Z".parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger.db");
    let engine = Engine {
        ledger: Arc::new(
            SqliteLedger::open(ledger, "2026-11-20T12:00:00Z".parse().unwrap(), Access::ReadWrite).unwrap(),
        ),
        clock: clock.shared(),
        host: "here".to_owned(),
        pid: std::process::id(),
        who: Who("tester".to_owned()),
        stop: StopSignal::default(),
    };
    let resource = ResourceName::new("far-side").unwrap();
    let lock = FileLock::new(dir.path().join("a.lock"), false);
    let resources = vec![ResourceSpec::new(resource.clone(), lock)];
    let spec = JobSpec::new(JobName::new("lender").unwrap(), "lender", resources, &JobSettings::default());
    let lender = Arc::new(Lender(Mutex::default()));
    let report = lender.run(&engine, &spec, Mode::Run).await;
    assert!(report.drained(), "{}", report.message);
    let contacts = lender.0.lock().unwrap().take().unwrap();
    let far = FaultyHttp::start(script).await.unwrap();
    let endpoint = Endpoint {
        base_url: far.url("/oai/request").parse().unwrap(),
        resource,
        contact: Some("mailto:someone@example.org".to_owned()),
        fallback_ban: None,
        limits: Limits::default(),
    };
    Rig { far, endpoint, contacts, clock, _dir: dir }
}

impl Rig {
    pub(crate) fn client(&self) -> Client {
        Client::new(self.endpoint.clone())
    }

    pub(crate) fn clock(&self) -> SharedClock {
        self.clock.shared()
    }

    /// Reads one page to its end.
    pub(crate) async fn read(&self, request: &Request) -> Result<(Vec<Entry>, PageEnd), Unasked> {
        let mut answer = self.client().ask(&self.contacts, &self.clock(), request).await?;
        let mut entries = Vec::new();
        while let Some(entry) = answer.next().await? {
            entries.push(entry);
        }
        Ok((entries, answer.end()?))
    }

    /// Reads the first page of the list of records.
    pub(crate) async fn page(&self) -> Result<(Vec<Entry>, PageEnd), Unasked> {
        self.read(&Request::ListRecords(selection())).await
    }

    /// The fault of the first page of the list of records.
    pub(crate) async fn fault(&self) -> Fault {
        match self.page().await {
            Err(Unasked::Fault(fault)) => fault,
            other => panic!("expected a fault, found {other:?}"),
        }
    }

    /// How long the far side is banned, if the client says that it is.
    pub(crate) async fn ban_secs(&self) -> u64 {
        let before = highwater_engine::clock::Clock::now(&*self.clock);
        match self.page().await {
            Err(Unasked::Stop(Stop::Ban { until, .. })) => {
                Duration::try_from(until.duration_since(before)).unwrap().as_secs()
            }
            other => panic!("expected a ban, found {other:?}"),
        }
    }
}

pub(crate) fn selection() -> Selection {
    Selection { metadata_prefix: "oai_dc".to_owned(), ..Selection::default() }
}

pub(crate) fn ids(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.identifier().unwrap_or("?")).collect()
}

/// A record as repositories write them.
pub(crate) fn record(n: u64) -> String {
    format!(
        "<record><header><identifier>oai:a.example:{n}</identifier><datestamp>2021-02-12T08:44:14Z</datestamp>\
         <setSpec>col_1</setSpec></header><metadata><dc xmlns=\"urn:dc\"><title>Title {n}</title></dc></metadata></record>"
    )
}

pub(crate) fn token(attributes: &str, value: &str) -> String {
    format!("<resumptionToken {attributes}>{value}</resumptionToken>")
}

/// What stands around an answer.
pub(crate) fn around(inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<OAI-PMH xmlns=\"http://www.openarchives.org/OAI/2.0/\">\
         <responseDate>2026-11-20T11:59:59Z</responseDate><request>http://a.example/oai</request>{inside}</OAI-PMH>"
    )
}

/// A page of the list of records.
pub(crate) fn page(inside: &str) -> String {
    around(&format!("<ListRecords>{inside}</ListRecords>"))
}

pub(crate) fn error(code: &str) -> String {
    around(&format!("<error code=\"{code}\">so it is</error>"))
}
