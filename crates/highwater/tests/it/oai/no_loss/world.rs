//! A small world on a clock of its own: a repository whose records keep changing, and a harvest of it, night after night.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fastrand::Rng;
use highwater_engine::clock::{Clock, SharedClock, Sleep};
use highwater_engine::job::WorkItem as _;
use highwater_engine::ledger::{ItemFilter, ItemOrder, Who, Word};
use highwater_engine::pace::Pace;
use highwater_engine::report::{PassReport, Reason};
use highwater_oai::backfill::Place;
use highwater_oai::client::{Client, Endpoint, Limits};
use highwater_oai::harvest::{Harvest, Slice};
use highwater_oai::protocol::{Datestamp, Granularity, Header, MetadataFormat, Record, Selection, SetInfo};
use highwater_oai::provider::{Identity, Memory, Position, ProviderSettings, Repository, RepositoryError};
use highwater_oai::settings::HarvestSettings;
use highwater_oai::target::Target;
use highwater_testkit::sim_clock::SimClock;
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;

use crate::oai::{FarSide, assert_the_same};
use crate::riders::Ride;
use crate::rig::dice;

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(super) const PREFIX: &str = "oai:changing.example.org:";
/// When the first night is, by the repository's clock.
const FIRST_NIGHT: &str = "2026-03-01T02:00:00Z";
/// From one of the first records to the next.
const SPACING: Duration = Duration::from_secs(3 * 3600);

/// What the far side is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Far {
    pub(super) records: u64,
    pub(super) page_size: usize,
    /// How many records change with every page that it gives.
    pub(super) a_page: u32,
    /// After how many pages of a list its token expires.
    pub(super) pages_max: Option<usize>,
    /// How long a token is good for.
    pub(super) token_life: Option<Duration>,
    /// How far our clock is ahead of its own, in seconds.
    pub(super) ours_ahead_secs: i64,
}

impl Default for Far {
    fn default() -> Self {
        Self { records: 300, page_size: 10, a_page: 0, pages_max: None, token_life: None, ours_ahead_secs: 0 }
    }
}

/// A repository and its harvester.
pub(super) struct World {
    pub(super) ride: Ride,
    pub(super) far: FarSide,
    pub(super) repository: Arc<Changing>,
    clock: Arc<SimClock>,
    since: Option<&'static str>,
    dir: TempDir,
}

impl World {
    pub(super) async fn new(far: Far) -> Self {
        let clock = SimClock::running(FIRST_NIGHT.parse().unwrap());
        let repository = Arc::new(Changing::new(clock.shared(), far));
        let Far { page_size, token_life, .. } = far;
        let settings = ProviderSettings { page_size, token_life, ..ProviderSettings::default() };
        let served = FarSide::by(clock.shared(), Arc::clone(&repository) as Arc<dyn Repository>, settings);
        let ours = Off { clock: clock.shared(), secs: far.ours_ahead_secs };
        let mut ride = Ride::new("oai-harvest", Arc::new(ours));
        ride.spec.recurring = true;
        ride.spec.concurrency = 1;
        ride.spec.resources[0].pace = Pace { delay: Duration::from_secs(3), jitter: 0.0 };
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        Self { ride, far: served, repository, clock, since: None, dir }
    }

    /// The first harvest begins there.
    pub(super) fn since(&mut self, day: &'static str) {
        self.since = Some(day);
    }

    /// By the repository's clock.
    pub(super) fn server_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// By ours.
    pub(super) fn clock_now(&self) -> Timestamp {
        self.ride.engine.clock.now()
    }

    pub(super) fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    pub(super) fn catalog(&self) -> PathBuf {
        self.dir.path().join("catalog.db")
    }

    /// Where a job works, as a process of its own would find it.
    pub(super) fn place(&self, job: &str) -> Place {
        let client = Client::new(Endpoint {
            base_url: self.far.url().parse().unwrap(),
            resource: self.ride.resource.clone(),
            contact: None,
            fallback_ban: None,
            limits: Limits::default(),
        });
        Place {
            client,
            target: Target::catalog(self.catalog()),
            spool: self.dir.path().join(format!("{job}.db")),
            reports: self.dir.path().join(job),
        }
    }

    pub(super) fn harvest(&self) -> Arc<Harvest> {
        let repository = json!({ "base-url": self.far.url(), "identifier-prefix": PREFIX });
        let settings: HarvestSettings =
            serde_json::from_value(json!({ "repository": repository, "since": self.since })).unwrap();
        Arc::new(Harvest::new(settings, self.place("harvest")))
    }

    /// One pass, as of a process of its own.
    pub(super) async fn night(&self) -> PassReport {
        self.ride.pass(&self.harvest()).await
    }

    /// Passes until one drains, so many at most.
    pub(super) async fn drain(&self, passes_max: usize) -> PassReport {
        for _ in 0..passes_max {
            let report = self.night().await;
            if report.reason == Reason::Drained {
                return report;
            }
            self.advance(Duration::from_secs(600));
        }
        panic!("not drained after {passes_max} passes");
    }

    /// A day passes, and so many records change in it.
    pub(super) fn day(&self, changes: u32) {
        for _ in 0..changes {
            self.advance(DAY / changes);
            self.repository.change(1);
        }
    }

    pub(super) async fn watermark(&self) -> Option<Timestamp> {
        self.ride.engine.ledger.watermark(&self.ride.spec.name, &self.harvest().watermark_name()).await.unwrap()
    }

    /// The slices of the newest round.
    pub(super) async fn slices(&self) -> Vec<Slice> {
        let ledger = &self.ride.engine.ledger;
        let worklist = ledger.job(&self.ride.spec.name).await.unwrap().unwrap().worklist.unwrap().id;
        let items = ledger.items(worklist, &ItemFilter::All, ItemOrder::Position, None, 1000).await.unwrap();
        items.iter().map(|item| Slice::decode(&item.key, &[]).unwrap()).collect()
    }

    pub(super) async fn rearm(&self) {
        let word = Word { at: self.clock_now(), who: Who("tester".to_owned()), why: "looked".to_owned() };
        assert!(self.ride.engine.ledger.rearm(&self.ride.spec.name, &word).await.unwrap());
    }

    /// The catalogue is what the repository is.
    pub(super) async fn is_whole(&self) {
        assert_the_same(&self.catalog(), &self.repository.memory).await;
    }

    /// The same after another night, in which nothing changes.
    pub(super) async fn is_whole_after_a_calm_night(&self) {
        self.repository.calm();
        self.advance(DAY);
        self.drain(5).await;
        self.is_whole().await;
    }
}

/// A clock that stands off from another.
#[derive(Debug)]
struct Off {
    clock: SharedClock,
    secs: i64,
}

impl Clock for Off {
    fn now(&self) -> Timestamp {
        self.clock.now() + jiff::SignedDuration::from_secs(self.secs)
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn sleep(&self, span: Duration) -> Sleep<'_> {
        self.clock.sleep(span)
    }

    fn glance(&self, span: Duration) -> Sleep<'_> {
        self.clock.glance(span)
    }
}

/// A repository whose records change while they are listed.
pub(super) struct Changing {
    pub(super) memory: Memory,
    clock: SharedClock,
    pages_max: Option<usize>,
    changes: Mutex<Changes>,
}

struct Changes {
    dice: Rng,
    /// Records there ever were; they are numbered from 1.
    records: u64,
    /// Versions of records there ever were.
    versions: u64,
    a_page: u32,
    /// The how-manieth page of its list came before each place where a list goes on.
    depths: BTreeMap<(String, Position), usize>,
    expired: u64,
    /// What is done when a list gives its last page; once.
    at_last_page: Option<Box<dyn FnOnce() + Send>>,
    /// A list that begins here cannot be given.
    breaks_from: Option<Timestamp>,
}

impl Changing {
    pub(super) fn new(clock: SharedClock, far: Far) -> Self {
        let now = clock.now();
        let first = now - SPACING * u32::try_from(far.records).unwrap();
        let identity = Identity {
            name: "A repository that changes".to_owned(),
            admin_emails: vec!["changes@example.org".to_owned()],
            earliest: Datestamp::new(first, Granularity::Second),
        };
        let memory = Memory::new(identity);
        for number in 1..=far.records {
            let at = first + SPACING * u32::try_from(number - 1).unwrap();
            memory.put(record(number, 0, at));
        }
        let changes = Changes {
            dice: dice("a repository that changes"),
            records: far.records,
            versions: 0,
            a_page: far.a_page,
            depths: BTreeMap::new(),
            expired: 0,
            at_last_page: None,
            breaks_from: None,
        };
        Self { memory, clock, pages_max: far.pages_max, changes: Mutex::new(changes) }
    }

    /// So many records change now: most get another version, some are new, some are deleted, and some come back.
    pub(super) fn change(&self, count: u32) {
        self.changes.lock().unwrap().change(&self.memory, self.clock.now(), count);
    }

    /// So many records come at once, in one second.
    pub(super) fn import(&self, count: u64) {
        let mut changes = self.changes.lock().unwrap();
        for _ in 0..count {
            changes.records += 1;
            self.memory.put(record(changes.records, 0, self.clock.now()));
        }
    }

    /// From now on nothing changes by itself.
    pub(super) fn calm(&self) {
        self.changes.lock().unwrap().a_page = 0;
    }

    /// The next time that a list gives its last page this is done, before the page is sent.
    pub(super) fn last_page_of_a_list(&self, then: impl FnOnce() + Send + 'static) {
        self.changes.lock().unwrap().at_last_page = Some(Box::new(then));
    }

    /// Lists that begin here cannot be given.
    pub(super) fn breaks_from(&self, from: Option<Timestamp>) {
        self.changes.lock().unwrap().breaks_from = from;
    }

    /// How many tokens were too old.
    pub(super) fn expired(&self) -> u64 {
        self.changes.lock().unwrap().expired
    }
}

impl Changes {
    fn change(&mut self, memory: &Memory, now: Timestamp, count: u32) {
        for _ in 0..count {
            self.versions += 1;
            let number = match self.dice.u8(..10) {
                0 | 1 => {
                    memory.delete(&identifier(self.dice.u64(1..=self.records)), now);
                    continue;
                }
                2..=4 => {
                    self.records += 1;
                    self.records
                }
                _ => self.dice.u64(1..=self.records),
            };
            memory.put(record(number, self.versions, now));
        }
    }
}

fn identifier(number: u64) -> String {
    format!("{PREFIX}{number}")
}

fn record(number: u64, version: u64, at: Timestamp) -> Record {
    let metadata = format!(
        "<oai_dc:dc xmlns:oai_dc=\"http://www.openarchives.org/OAI/2.0/oai_dc/\" \
         xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:title>Book {number}, version {version}</dc:title>\
         <dc:type>book</dc:type></oai_dc:dc>"
    );
    let datestamp = Datestamp::new(at, Granularity::Second);
    let header = Header { identifier: identifier(number), datestamp, sets: Vec::new(), deleted: false };
    Record { header, metadata: Some(metadata) }
}

#[async_trait]
impl Repository for Changing {
    async fn identify(&self) -> Result<Identity, RepositoryError> {
        self.memory.identify().await
    }

    async fn sets(&self) -> Result<Vec<SetInfo>, RepositoryError> {
        self.memory.sets().await
    }

    async fn formats(&self) -> Result<Vec<MetadataFormat>, RepositoryError> {
        self.memory.formats().await
    }

    async fn count(&self, select: &Selection) -> Result<u64, RepositoryError> {
        let breaks_from = self.changes.lock().unwrap().breaks_from;
        if breaks_from.is_some_and(|from| select.from.is_some_and(|asked| asked.at() == from)) {
            return Err(RepositoryError::new("a table is locked"));
        }
        self.memory.count(select).await
    }

    async fn page(
        &self,
        select: &Selection,
        after: Option<Position>,
        limit: usize,
        with_metadata: bool,
    ) -> Result<Vec<(Position, Record)>, RepositoryError> {
        let page = self.memory.page(select, after, limit, with_metadata).await?;
        let mut changes = self.changes.lock().unwrap();
        let list = format!("{select:?}");
        let depth = after.and_then(|after| changes.depths.get(&(list.clone(), after)).copied()).unwrap_or(0);
        if self.pages_max.is_some_and(|most| depth >= most) {
            changes.expired += 1;
            // To a token nothing is no list: the provider says badResumptionToken.
            return Ok(Vec::new());
        }
        for (position, _) in &page {
            changes.depths.insert((list.clone(), *position), depth + 1);
        }
        if page.len() < limit
            && let Some(then) = changes.at_last_page.take()
        {
            then();
        }
        let a_page = changes.a_page;
        changes.change(&self.memory, self.clock.now(), a_page);
        Ok(page)
    }

    async fn record(&self, identifier: &str, metadata_prefix: &str) -> Result<Option<Record>, RepositoryError> {
        self.memory.record(identifier, metadata_prefix).await
    }
}
