//! What these tests live in: a directory with a ledger, a list and a lock, as one config file would have it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::breaker::BreakerRules;
use highwater_engine::clock::SystemClock;
use highwater_engine::contact::StopSignal;
use highwater_engine::exec::ExecJob;
use highwater_engine::exec::output::Output;
use highwater_engine::exec::settings::ExecSettings;
use highwater_engine::ledger::{
    Event, EventFilter, ItemFilter, ItemOrder, ItemRecord, JobRecord, PAGE_ROWS_MAX, Who, Word,
};
use highwater_engine::lock::FileLock;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::pass::{Engine, Mode, Runner};
use highwater_engine::report::PassReport;
use highwater_engine::settings::{CommandLine, FilePath, JobSettings};
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_store::{Access, SqliteLedger};

/// How long anything may take before a test says that it hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct House {
    pub(crate) dir: PathBuf,
    pub(crate) engine: Engine,
    pub(crate) spec: JobSpec,
    pub(crate) settings: ExecSettings,
}

impl House {
    /// A job that runs a shell script in `dir`; `$1` is the item's key, if it gets a list.
    pub(crate) fn new(dir: &Path, script: &str) -> Self {
        let clock = SystemClock::shared();
        let ledger = SqliteLedger::open(dir.join("ledger.db"), clock.now(), Access::ReadWrite).unwrap();
        let engine = Engine {
            ledger: Arc::new(ledger),
            clock,
            host: "a".to_owned(),
            pid: std::process::id(),
            who: Who("alice@a".to_owned()),
            stop: StopSignal::default(),
        };
        let name = JobName::new("load").unwrap();
        let lock = FileLock::new(dir.join("the.lock"), true);
        let resource = ResourceSpec::new(ResourceName::of_job(&name), lock);
        let spec = JobSpec {
            concurrency: 4,
            // It never halts by itself.
            breaker: BreakerRules { failed: 1.0, failed_after: 0, gone: 1.0, gone_after: 0 },
            ..JobSpec::new(name, "exec", vec![resource], &JobSettings::default())
        };
        let settings = ExecSettings::new(CommandLine::new(["sh", "-c", script, "sh"]).unwrap());
        Self { dir: dir.to_owned(), engine, spec, settings }
    }

    /// The same with a list of keys.
    pub(crate) fn with_list(dir: &Path, script: &str, keys: &[&str]) -> Self {
        std::fs::write(dir.join("ids.txt"), keys.join("\n")).unwrap();
        let mut house = Self::new(dir, script);
        house.settings.worklist = Some(FilePath::new("ids.txt"));
        house
    }

    pub(crate) async fn pass(&self) -> PassReport {
        let quiet = Output::Through(Arc::new(|_, _: &[u8]| {}));
        let resources = self.spec.resources.iter().map(|r| r.name.clone()).collect();
        // Else one test would end what a killed pass of another seems to have left running.
        let ledger_id = self.dir.to_str().unwrap();
        let job = ExecJob::from_settings(&self.settings, &self.dir, resources, self.spec.recurring, ledger_id, quiet);
        let run = async {
            match job {
                ExecJob::Item(job) => Arc::new(job).run(&self.engine, &self.spec, Mode::Run).await,
                ExecJob::Pass(job) => Arc::new(job).run(&self.engine, &self.spec, Mode::Run).await,
            }
        };
        tokio::time::timeout(LIMIT, run).await.expect("the pass hangs")
    }

    pub(crate) fn word(&self, why: &str) -> Word {
        Word { at: self.engine.clock.now(), who: self.engine.who.clone(), why: why.to_owned() }
    }

    pub(crate) async fn record(&self) -> JobRecord {
        self.engine.ledger.job(&self.spec.name).await.unwrap().expect("it ran")
    }

    pub(crate) async fn rearm(&self) {
        assert!(self.engine.ledger.rearm(&self.spec.name, &self.word("mended")).await.unwrap());
    }

    pub(crate) async fn ban(&self, span: Duration) {
        let until = highwater_engine::clock::later(self.engine.clock.now(), span);
        self.engine.ledger.extend_ban(&self.spec.resources[0].name, until, &self.word("asked for")).await.unwrap();
    }

    pub(crate) async fn items(&self, order: ItemOrder) -> Vec<ItemRecord> {
        let worklist = self.record().await.worklist.expect("a worklist").id;
        self.engine.ledger.items(worklist, &ItemFilter::All, order, None, PAGE_ROWS_MAX).await.unwrap()
    }

    /// `key outcome detail` of every item.
    pub(crate) async fn outcomes(&self) -> Vec<String> {
        let told = |item: ItemRecord| {
            let outcome = item.outcome.map_or("untried", |kind| kind.word());
            format!("{} {outcome} {}", item.key, item.detail.unwrap_or_default()).trim().to_owned()
        };
        self.items(ItemOrder::Position).await.into_iter().map(told).collect()
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        self.engine.ledger.events(&EventFilter::default(), PAGE_ROWS_MAX).await.unwrap()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    /// How often commands said so.
    pub(crate) fn starts(&self) -> usize {
        self.read("started").lines().count()
    }
}

/// Whether a process runs: one that is dead and not waited for does not.
pub(crate) fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}
