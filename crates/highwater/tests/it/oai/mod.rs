//! OAI-PMH through real passes: a repository in this process, and a place with a harvest and a backfill of it on one resource.
//! Owns the far side, whose faults a test changes between passes, and how both jobs are configured, run and shown.

mod crawl;
mod misbehaviour;
mod no_loss;
mod real_records;
mod scale;
mod selection;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater_engine::clock::{Clock as _, SharedClock, SystemClock};
use highwater_oai::catalog::{Access, Catalog};
use highwater_oai::protocol::{Record, Selection};
use highwater_oai::provider::{Faults, PATH, ProviderSettings, Repository, Served, router, serve};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use crate::rig::{Ended, Rig};

/// How long a server that is told to stop may take.
const STOP_MAX: Duration = Duration::from_secs(30);

/// A repository that is asked over the loopback, on threads of its own.
pub(crate) struct FarSide {
    runtime: Option<Runtime>,
    listener: TcpListener,
    repository: Arc<dyn Repository>,
    settings: ProviderSettings,
    clock: SharedClock,
    serving: Mutex<Option<Serving>>,
}

/// What is served now, and what is closed once it is gone.
type Serving = (AbortHandle, Receiver<()>);

impl FarSide {
    /// Serves `repository` without faults, by the machine's clock.
    pub(crate) fn of(repository: Arc<dyn Repository>, settings: ProviderSettings) -> Self {
        Self::by(SystemClock::shared(), repository, settings)
    }

    /// The same by another clock.
    pub(crate) fn by(clock: SharedClock, repository: Arc<dyn Repository>, settings: ProviderSettings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let far = Self { runtime: Some(runtime), listener, repository, settings, clock, serving: Mutex::default() };
        far.faults(&[]);
        far
    }

    /// Where it is asked.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{PATH}", self.listener.local_addr().unwrap())
    }

    /// From now on this goes wrong, counted afresh. Answers on their way break off.
    pub(crate) fn faults(&self, faults: &[&str]) {
        let mut serving = self.serving.lock().unwrap();
        if let Some((old, gone)) = serving.take() {
            old.abort();
            // Nothing is sent: it is closed when the server is dropped.
            let _ = gone.recv_timeout(STOP_MAX);
        }
        let faults: Faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let settings = ProviderSettings { faults, ..self.settings.clone() };
        let router = router(Arc::clone(&self.repository), settings, SharedClock::clone(&self.clock));
        let listener = self.listener.try_clone().unwrap();
        let (end, gone) = channel::<()>();
        let server = self.runtime.as_ref().unwrap().spawn(async move {
            let _end = end;
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            serve(listener, router, std::future::pending()).await.unwrap();
        });
        *serving = Some((server.abort_handle(), gone));
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> u64 {
        self.settings.log.count()
    }

    /// The requests, in the order of their answers.
    pub(crate) fn requests(&self) -> Vec<Served> {
        self.settings.log.requests()
    }
}

impl Drop for FarSide {
    fn drop(&mut self) {
        // Tests that are async themselves may not wait here.
        self.runtime.take().unwrap().shutdown_background();
    }
}

/// Lines of the configuration besides the usual ones.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lines<'l> {
    /// Fields of `repository`, each after a comma.
    pub(crate) repository: &'l str,
    pub(crate) both: &'l str,
    pub(crate) harvest: &'l str,
    pub(crate) backfill: &'l str,
    pub(crate) resource: &'l str,
}

/// A harvest and a backfill of the repository at `url`, on one resource that is asked without a pause.
pub(crate) fn config(url: &str, lines: Lines<'_>) -> String {
    let Lines { repository, both, harvest, backfill, resource } = lines;
    let job = |name: &str, own: &str| {
        format!(
            "[job.{name}]\nkind = \"oai-{name}\"\nresources = [\"far\"]\n\
             repository = {{ base-url = \"{url}\"{repository} }}\n{both}\n{own}\n"
        )
    };
    let (harvest, backfill) = (job("harvest", harvest), job("backfill", backfill));
    format!("{harvest}\n{backfill}\n[resource.far]\nlock = \"file:far.lock\"\npace = \"0s\"\n{resource}\n")
}

/// What a pass said of itself.
pub(crate) struct Pass {
    pub(crate) ended: Ended,
    pub(crate) report: Value,
}

impl Pass {
    pub(crate) fn code(&self) -> i32 {
        self.ended.code
    }

    pub(crate) fn reason(&self) -> &str {
        self.report["reason"].as_str().unwrap_or_default()
    }

    /// A figure of what it spent.
    pub(crate) fn contacts(&self) -> u64 {
        self.report["spent"]["contacts"].as_u64().unwrap()
    }
}

impl Rig {
    /// One pass of an OAI-PMH job.
    pub(crate) fn oai_pass(&self, job: &str, more: &[&str]) -> Pass {
        let ended = self.run(&[&["--json", "run", job], more].concat());
        Pass { report: ended.json(), ended }
    }

    /// What `items` says of each, those first that were first recorded.
    pub(crate) fn oai_items(&self, job: &str, more: &[&str]) -> Vec<Value> {
        let items = self.ok(&[&["--json", "items", job], more].concat());
        items.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What is known of a record: whether it is deleted, its datestamp and a hash of its metadata.
pub(crate) type Known = (bool, String, String);

/// A record, without its identifier, so that two can be held against each other.
pub(crate) fn known(record: &Record) -> Known {
    let metadata = record.metadata.as_deref().unwrap_or_default();
    (record.header.deleted, record.header.datestamp.to_string(), hex::encode(Sha256::digest(metadata)))
}

/// Every record of a catalogue.
pub(crate) async fn in_catalog(path: &Path) -> BTreeMap<String, Known> {
    let catalog = Catalog::open(path, SystemClock::new().now(), Access::ReadOnly).unwrap();
    let (mut records, mut after) = (BTreeMap::new(), None);
    loop {
        let page = catalog.records(&Selection::default(), after, 10_000, true).await.unwrap();
        assert_eq!(page.damaged, [""; 0]);
        for (_, record) in page.records {
            let before = records.insert(record.header.identifier.clone(), known(&record));
            assert_eq!(before, None, "{} is there twice", record.header.identifier);
        }
        after = page.next;
        if after.is_none() {
            return records;
        }
    }
}

/// Every record of a repository.
pub(crate) async fn in_repository(repository: &dyn Repository) -> BTreeMap<String, Known> {
    let page = repository.page(&Selection::default(), None, usize::MAX, true).await.unwrap();
    page.into_iter().map(|(_, record)| (record.header.identifier.clone(), known(&record))).collect()
}

/// Holds a catalogue against the repository that it was loaded from.
pub(crate) async fn assert_the_same(catalog: &Path, repository: &dyn Repository) {
    let (here, there) = (in_catalog(catalog).await, in_repository(repository).await);
    let lost: Vec<_> = there.iter().filter(|(identifier, _)| !here.contains_key(*identifier)).take(5).collect();
    assert!(lost.is_empty(), "of {} records {} are here; lost: {lost:?}", there.len(), here.len());
    let other: Vec<_> = there.iter().filter(|(identifier, known)| here[*identifier] != **known).take(5).collect();
    assert!(other.is_empty(), "not as they are there: {other:?}");
    assert_eq!(here.len(), there.len(), "more are here than there");
}
