//! A base in a directory, documents beside it, and passes of the jobs that make pages of them.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater_engine::breaker::BreakerRules;
use highwater_engine::contact::StopSignal;
use highwater_engine::job::{Job, ReadCx};
use highwater_engine::ledger::{ItemFilter, ItemOrder, Who};
use highwater_engine::lock::FileLock;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::pass::{Engine, Mode, Runner as _};
use highwater_engine::report::PassReport;
use highwater_engine::settings::JobSettings;
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_kb::add::{KbAdd, Named, Place};
use highwater_kb::compile::{Builtin, CompileError, Compiled, Compiler, Source};
use highwater_kb::convert::{Limits, Subprocess};
use highwater_kb::recompile::{KbRecompile, Which};
use highwater_kb::web::{Address, Patience};
use highwater_kb::{Base, BaseLock, Directory, DocName, Draft, Home, KbError, fold};
use highwater_store::{Access, SqliteLedger};
use highwater_testkit::sim_clock::SimClock;

use crate::home::{file, now, opened};

/// What is done while a document is compiled.
type Meddling = Box<dyn FnOnce() + Send>;

/// The builtin compiler in editions, which a summary shows; while it compiles, others may be at work.
#[derive(Default)]
pub(crate) struct Edition {
    number: u32,
    meddling: Mutex<VecDeque<Meddling>>,
}

impl fmt::Debug for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Edition({})", self.number)
    }
}

impl Edition {
    pub(crate) fn of(number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    /// Does this while the next document is compiled that nothing is planned for yet.
    pub(crate) fn meanwhile(self, meddling: impl FnOnce() + Send + 'static) -> Self {
        self.meddling.lock().unwrap().push_back(Box::new(meddling));
        self
    }
}

impl Compiler for Edition {
    fn name(&self) -> String {
        format!("test/{}", self.number)
    }

    async fn compile(&self, cx: &ReadCx, source: Source<'_>) -> Result<Compiled, CompileError> {
        let meddling = self.meddling.lock().unwrap().pop_front();
        meddling.into_iter().for_each(|meddle| meddle());
        let mut compiled = Builtin.compile(cx, source).await?;
        compiled.summary.push_str(&format!("\n\nEdition {}.\n", self.number));
        Ok(compiled)
    }
}

pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) limits: Limits,
    clock: Arc<SimClock>,
    engine: Engine,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for made in ["notes", "in", "other"] {
            std::fs::create_dir(dir.path().join(made)).unwrap();
        }
        let clock = SimClock::standing(now());
        let ledger = SqliteLedger::open(dir.path().join("ledger.db"), now(), Access::ReadWrite).unwrap();
        let engine = Engine {
            ledger: Arc::new(ledger),
            clock: clock.shared(),
            host: "a".to_owned(),
            pid: std::process::id(),
            who: Who("alice@a".to_owned()),
            stop: StopSignal::default(),
        };
        let rig = Self { dir, limits: Limits::default(), clock, engine };
        let mut base = Base::init(rig.home(), now()).unwrap();
        let held = rig.home().try_lock().unwrap().unwrap();
        base.commit(&held, now(), "init", "a test", fold::furnish).unwrap();
        rig
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("notes")
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(path), text).unwrap();
    }

    pub(crate) fn home(&self) -> Arc<dyn Home> {
        home(&self.root())
    }

    pub(crate) fn opened(&self) -> (Base, BaseLock) {
        opened(&self.home()).unwrap()
    }

    /// What the newest generation has at a path.
    pub(crate) fn page(&self, path: &str) -> Option<String> {
        let bytes = self.opened().0.read(&file(path)).unwrap();
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    pub(crate) fn head(&self) -> u32 {
        self.opened().0.head().unwrap().unwrap().number
    }

    fn place(&self, edition: Edition) -> Place<Edition> {
        self.place_at(self.home(), edition)
    }

    fn place_at(&self, home: Arc<dyn Home>, edition: Edition) -> Place<Edition> {
        // What is text is converted without it.
        let converter = Subprocess::new(Path::new("/nowhere"), self.limits, self.engine.clock.clone());
        Place { home, root: self.root(), converter, compiler: edition }
    }

    pub(crate) async fn add(&self, edition: Edition, named: &[&str]) -> PassReport {
        self.add_to(self.place(edition), named).await
    }

    /// The same by who reaches the base so.
    pub(crate) async fn add_at(&self, home: Arc<dyn Home>, named: &[&str]) -> PassReport {
        self.add_to(self.place_at(home, Edition::of(1)), named).await
    }

    async fn add_to(&self, place: Place<Edition>, named: &[&str]) -> PassReport {
        let paths = named.iter().map(|path| self.path(path)).collect();
        self.pass(
            &format!("add-{}", named.join("-").replace(['/', '.'], "-")),
            KbAdd::new(place, Named { paths, ..Named::default() }),
        )
        .await
    }

    /// Adds what lies at these addresses, on the resources of their hosts.
    pub(crate) async fn fetch(&self, urls: &[&str], patience: Patience) -> PassReport {
        let addresses: Vec<Address> = urls.iter().map(|url| Address::parse(url).unwrap()).collect();
        let resources = vec![ResourceName::new("job:fetch").unwrap(), addresses[0].resource()];
        let lock = |name: &ResourceName| FileLock::new(self.path(&name.to_string().replace(':', "-")), false);
        let specs = resources.iter().map(|name| ResourceSpec::new(name.clone(), lock(name))).collect();
        let named = Named { paths: Vec::new(), addresses, resources, patience, ..Named::default() };
        self.pass_on("fetch", specs, KbAdd::new(self.place(Edition::of(1)), named)).await
    }

    /// What became of each item of the last worklist of a job, and why.
    pub(crate) async fn outcomes(&self, job: &str) -> Vec<(String, String, String)> {
        let ledger = &self.engine.ledger;
        let list = ledger.job(&JobName::new(job).unwrap()).await.unwrap().unwrap().worklist.unwrap().id;
        let items = ledger.items(list, &ItemFilter::All, ItemOrder::Position, None, 1000).await.unwrap();
        let told = items.into_iter().map(|item| {
            let kind = item.outcome.map(|kind| kind.to_string()).unwrap_or_default();
            (item.key.to_string(), kind, item.detail.unwrap_or_default())
        });
        told.collect()
    }

    /// Lets so much time go by.
    pub(crate) fn later(&self, span: Duration) {
        self.clock.advance(span);
    }

    pub(crate) async fn recompile(&self, edition: Edition, which: Which) -> PassReport {
        self.pass("recompile", KbRecompile::new(self.place(edition), which)).await
    }

    async fn pass<J: Job>(&self, job: &str, what: J) -> PassReport {
        self.pass_on(job, Vec::new(), what).await
    }

    async fn pass_on<J: Job>(&self, job: &str, resources: Vec<ResourceSpec>, what: J) -> PassReport {
        let spec = JobSpec {
            recurring: true,
            // One after another, so that what is done meanwhile comes when it is to.
            concurrency: 1,
            breaker: BreakerRules { failed: 1.0, ..BreakerRules::default() },
            ..JobSpec::new(JobName::new(job).unwrap(), "kb", resources, &JobSettings::default())
        };
        Arc::new(what).run(&self.engine, &spec, Mode::Run).await
    }
}

pub(crate) fn home(root: &Path) -> Arc<dyn Home> {
    Arc::new(Directory::open(root).unwrap())
}

/// Changes a base beside a pass.
pub(crate) fn change(root: &Path, draft: impl FnOnce(&mut Draft<'_>) -> Result<(), KbError>) {
    let (mut base, held) = opened(&home(root)).unwrap();
    base.commit(&held, now(), "change", "beside a pass", draft).unwrap();
}

pub(crate) fn named(name: &str) -> DocName {
    DocName::of_stem(name)
}
