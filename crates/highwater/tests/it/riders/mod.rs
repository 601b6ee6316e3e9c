//! Four riders: small jobs of the kinds that come next, each run through the real pass on a real ledger, so that the traits
//! are proved before they are relied on. ARCHITECTURE.md walks one item of each through the house.

mod paced_get;
mod put_body;
mod rollup_slice;
mod three_files;

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_engine::clock::SharedClock;
use highwater_engine::contact::StopSignal;
use highwater_engine::job::Job;
use highwater_engine::ledger::Who;
use highwater_engine::lock::{FileLock, Lock};
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::pass::{Engine, Mode, Runner};
use highwater_engine::report::PassReport;
use highwater_engine::settings::JobSettings;
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_store::{Access, SqliteLedger};

/// Where a rider rides: a directory of its own with a ledger in it.
pub(crate) struct Ride {
    _dir: tempfile::TempDir,
    pub(crate) engine: Engine,
    pub(crate) spec: JobSpec,
    pub(crate) resource: ResourceName,
}

impl Ride {
    pub(crate) fn new(kind: &str, clock: SharedClock) -> Self {
        // In memory where the machine has it: what a disk keeps is shown elsewhere, and hundreds of ledgers are made here.
        let memory = std::path::Path::new("/dev/shm");
        let dir =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a directory");
        let ledger =
            SqliteLedger::open(dir.path().join("ledger.db"), clock.now(), Access::ReadWrite).expect("a ledger");
        let resource = ResourceName::new("far-side").expect("a name");
        let engine = Engine {
            ledger: Arc::new(ledger),
            clock,
            host: "here".to_owned(),
            pid: std::process::id(),
            who: Who("rider".to_owned()),
            stop: StopSignal::default(),
        };
        let lock = FileLock::new(dir.path().join("a.lock"), false);
        let spec = JobSpec {
            concurrency: 4,
            ..JobSpec::new(
                JobName::new(kind).expect("a name"),
                kind,
                vec![ResourceSpec::new(resource.clone(), lock)],
                &JobSettings::default(),
            )
        };
        Self { _dir: dir, engine, spec, resource }
    }

    pub(crate) fn lock(&mut self, lock: impl Lock) {
        self.spec.resources[0].lock = Arc::new(lock);
    }

    pub(crate) async fn pass<J: Job>(&self, job: &Arc<J>) -> PassReport {
        job.run(&self.engine, &self.spec, Mode::Run).await
    }

    /// Outcome words by key.
    pub(crate) async fn outcomes(&self) -> BTreeMap<String, &'static str> {
        use highwater_engine::ledger::{ItemFilter, ItemOrder};
        let ledger = &self.engine.ledger;
        let job = ledger.job(&self.spec.name).await.expect("a ledger").expect("a job");
        let worklist = job.worklist.expect("a worklist").id;
        let items = ledger.items(worklist, &ItemFilter::All, ItemOrder::Position, None, 1000).await.expect("items");
        items.into_iter().map(|i| (i.key.to_string(), i.outcome.map_or("open", |o| o.word()))).collect()
    }
}
