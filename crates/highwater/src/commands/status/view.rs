//! What `status` reads: a few rows a job, never a count over items. Owns which rows, and which pass of a job is the one that
//! runs and which the last that did anything: a pass that found the lock held has a newer row.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use highwater_engine::ban::Ban;
use highwater_engine::diagnosis::{Diagnosis, told_path};
use highwater_engine::ledger::{
    Halt, Holder, JobRecord, JobState, Ledger, LedgerResult, Notice, Override, PassRecord, Quarantined, ResourceRecord,
};
use highwater_engine::name::{JobName, LockEpoch, PassId, ResourceName};
use highwater_engine::progress::figures;
use highwater_engine::report::Reason;
use highwater_engine::steering::Steering;
use highwater_engine::worklist::WorklistRecord;
use jiff::Timestamp;
use serde::Serialize;

use crate::bar;
use crate::commands::alive::gone;
use crate::commands::ban::left;
use crate::config::{Config, JobConfig};
use crate::site::Site;

/// How far back the last pass that did anything is looked for, in passes.
pub(super) const PASSES_SEARCHED_MAX: usize = 1_024;
/// How many rows are read first: nearly always it is among them.
const PASSES_READ_FIRST: usize = 8;

/// What is shown.
#[derive(Serialize)]
pub(super) struct View {
    pub(super) at: Timestamp,
    #[serde(serialize_with = "told_path")]
    ledger: PathBuf,
    pub(super) jobs: Vec<JobView>,
    /// Resources that are banned or held and that no job shown names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) resources: Vec<ResourceView>,
    /// Whether a person asked for one job.
    #[serde(skip)]
    pub(super) in_detail: bool,
}

/// A job.
#[derive(Serialize)]
pub(super) struct JobView {
    pub(super) name: JobName,
    pub(super) kind: String,
    pub(super) state: JobState,
    pub(super) halt: Option<Halt>,
    pub(super) paused: Option<Halt>,
    /// What people set of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) overrides: Vec<Override>,
    /// Whether it may run on this host.
    pub(super) armed: bool,
    /// Whether the configuration has it; a bare ledger has none to ask.
    pub(super) configured: bool,
    pub(super) progress: Option<Progress>,
    pub(super) worklist: Option<WorklistRecord>,
    /// The pass that runs.
    pub(super) running: Option<PassRecord>,
    /// Passes that ended without a word, until the next one has taken over.
    pub(super) killed: Vec<PassRecord>,
    /// The newest pass that did anything and ended.
    pub(super) last_pass: Option<PassRecord>,
    /// What came after it.
    pub(super) since_then: Option<SinceThen>,
    /// Processes that wait for its locks to begin a pass.
    pub(super) waiting: Vec<Waiting>,
    pub(super) last_drained_at: Option<Timestamp>,
    pub(super) resources: Vec<ResourceView>,
    /// Damaged rows of the ledger that were set aside.
    pub(super) quarantined: Option<Quarantined>,
    /// Messages to people that are not delivered.
    pub(super) notices: Vec<Notice>,
}

/// Passes that came to nothing since the last one that did anything: the lock was held, a ban stood, nothing was to do.
#[derive(Serialize)]
pub(super) struct SinceThen {
    /// How many; at most [`PASSES_SEARCHED_MAX`].
    pub(super) passes: usize,
    /// How many of each reason.
    pub(super) reasons: BTreeMap<&'static str, usize>,
    /// The newest.
    pub(super) last: PassRecord,
}

/// A process that waits for a lock.
#[derive(Serialize)]
pub(super) struct Waiting {
    pub(super) resource: ResourceName,
    pub(super) host: String,
    pub(super) pid: u32,
    pub(super) since: Timestamp,
}

/// How far a job is: the figures of the progress bar.
#[derive(Serialize)]
pub(super) struct Progress {
    total: u64,
    terminal: u64,
    open: u64,
    rate: Option<f64>,
    eta_secs: Option<f64>,
    passes_more: Option<u64>,
    pub(super) sentence: String,
}

/// A resource.
#[derive(Serialize)]
pub(super) struct ResourceView {
    pub(super) name: ResourceName,
    /// The lock, as the configuration has it.
    pub(super) lock: Option<String>,
    epoch: LockEpoch,
    pub(super) holder: Option<Holder>,
    /// Whether the holder's process is gone.
    pub(super) holder_killed: bool,
    /// The ban, if it stands.
    pub(super) ban: Option<Ban>,
}

impl View {
    /// Reads every job, those of the configuration first and in its order; or one.
    pub(super) async fn of(site: &Site, ledger: &dyn Ledger, job: Option<&str>) -> Result<Self, Diagnosis> {
        let wanted = match job {
            Some(name) => Some(site.job(ledger, name).await?),
            None => None,
        };
        let looking = Looking {
            site,
            ledger,
            now: site.clock.now(),
            resources: ledger.resources().await?.into_iter().map(|r| (r.name.clone(), r)).collect(),
            notices: ledger.notices_waiting().await?,
        };
        let mut records: HashMap<JobName, JobRecord> = HashMap::new();
        let declared = site.config.iter().flat_map(Config::declared_jobs);
        let mut names: Vec<JobName> = declared.map(|(name, _)| name.clone()).collect();
        match &wanted {
            Some(job) => {
                records.extend(ledger.job(job).await?.map(|record| (job.clone(), record)));
                names = vec![job.clone()];
            }
            None => {
                for record in ledger.jobs().await? {
                    if !names.contains(&record.name) {
                        names.push(record.name.clone());
                    }
                    records.insert(record.name.clone(), record);
                }
            }
        }
        let alone = names.len() == 1;
        let mut jobs = Vec::with_capacity(names.len());
        for name in names {
            let record = records.remove(&name);
            jobs.push(looking.job(name, record, alone).await?);
        }
        let resources = if wanted.is_some() { Vec::new() } else { looking.others(&jobs) };
        Ok(Self { at: looking.now, ledger: site.ledger_path.clone(), jobs, resources, in_detail: wanted.is_some() })
    }
}

/// What is read once for all jobs.
struct Looking<'s> {
    site: &'s Site,
    ledger: &'s dyn Ledger,
    now: Timestamp,
    resources: HashMap<ResourceName, ResourceRecord>,
    notices: Vec<Notice>,
}

impl Looking<'_> {
    /// A job that may have no row yet. `alone`: it is the only one, so a bare ledger's resources are its.
    async fn job(&self, name: JobName, record: Option<JobRecord>, alone: bool) -> LedgerResult<JobView> {
        let config = self.site.config.as_ref();
        let known = config.and_then(|config| config.jobs.get(&name));
        let unset = config.and_then(|config| config.unset_job(&name));
        let mut view = JobView {
            kind: known.map(|job| job.kind.name()).or(unset.map(|job| job.kind)).unwrap_or_default().to_owned(),
            state: JobState::Active,
            halt: None,
            paused: None,
            overrides: Vec::new(),
            armed: known.is_none_or(|job| job.settings.armed),
            configured: config.is_none() || known.is_some() || unset.is_some(),
            progress: None,
            worklist: None,
            running: None,
            killed: Vec::new(),
            last_pass: None,
            since_then: None,
            waiting: Vec::new(),
            quarantined: None,
            last_drained_at: None,
            resources: self.of_job(&name, config.zip(known), alone),
            notices: self.notices.iter().filter(|notice| notice.job == name).cloned().collect(),
            name,
        };
        if let Some(record) = record {
            self.fill(&mut view, record, config.zip(known)).await?;
        }
        Ok(view)
    }

    async fn fill(
        &self,
        view: &mut JobView,
        mut record: JobRecord,
        known: Option<(&Config, &JobConfig)>,
    ) -> LedgerResult<()> {
        let unended = self.ledger.passes_unended(&view.name, PassId(i64::MAX)).await?;
        let mut read = unended.len() + PASSES_READ_FIRST;
        let newest = loop {
            let newest = self.ledger.passes(&view.name, read).await?;
            let found = newest.iter().any(|pass| pass.ended_at.is_some() && pass.did_anything());
            if found || newest.len() < read || read >= PASSES_SEARCHED_MAX {
                break newest;
            }
            read = PASSES_SEARCHED_MAX;
        };
        let dead = |pass: &PassRecord| gone(&self.site.host, &pass.host, pass.pid);
        (view.killed, view.running) = {
            let (killed, mut running): (Vec<_>, Vec<_>) = unended.into_iter().partition(dead);
            running.sort_by_key(|pass| pass.id);
            (killed, running.pop())
        };
        let mut ended = newest.into_iter().filter(|pass| pass.ended_at.is_some()).peekable();
        let nothing: Vec<_> = std::iter::from_fn(|| ended.next_if(|pass| !pass.did_anything())).collect();
        view.last_pass = ended.next();
        view.since_then = SinceThen::of(nothing);
        view.waiting = self.waiting(&view.name).await?;
        record.last_pass = view.running.clone().or_else(|| view.last_pass.clone());
        view.progress = record.worklist.is_some().then(|| self.progress(&record, known));
        view.state = record.state;
        view.kind = record.kind;
        view.halt = record.halt;
        view.paused = record.paused;
        view.overrides = record.overrides;
        view.worklist = record.worklist;
        view.last_drained_at = record.last_drained_at;
        view.quarantined = record.quarantined;
        Ok(())
    }

    /// Who waits for its locks; tickets of processes that are gone lapse by themselves.
    async fn waiting(&self, job: &JobName) -> LedgerResult<Vec<Waiting>> {
        let mut waiting = Vec::new();
        for resource in self.resources.keys() {
            let tickets = self.ledger.tickets(resource, self.now).await?;
            let own = tickets.into_iter().filter(|ticket| ticket.job == *job);
            waiting.extend(own.filter(|ticket| !gone(&self.site.host, &ticket.host, ticket.pid)).map(|ticket| {
                Waiting { resource: resource.clone(), host: ticket.host, pid: ticket.pid, since: ticket.since }
            }));
        }
        waiting.sort_by(|a, b| (a.since, &a.resource).cmp(&(b.since, &b.resource)));
        Ok(waiting)
    }

    fn progress(&self, record: &JobRecord, known: Option<(&Config, &JobConfig)>) -> Progress {
        let pace = known.and_then(|(config, job)| {
            job.settings.resources.iter().filter_map(|name| Some(config.resources.get(name)?.settings.pace.get())).max()
        });
        let set = Steering::of(&record.overrides).pace;
        let figures = figures(record, self.now, set.or(pace).unwrap_or_default());
        Progress {
            total: figures.total,
            terminal: figures.terminal,
            open: figures.open,
            rate: figures.rate,
            eta_secs: figures.eta.as_ref().map(Duration::as_secs_f64),
            passes_more: figures.passes_more,
            sentence: bar::sentence(&figures),
        }
    }

    fn of_job(&self, name: &JobName, known: Option<(&Config, &JobConfig)>, alone: bool) -> Vec<ResourceView> {
        if let Some((config, job)) = known {
            let lock = |name| config.resources.get(name).map(|resource| resource.lock.to_string());
            return job.settings.resources.iter().map(|name| self.resource(name, lock(name))).collect();
        }
        let holds = |record: &&ResourceRecord| record.holder.as_ref().is_some_and(|holder| holder.job == *name);
        let all_its = alone && self.site.config.is_none();
        self.sorted(|record| all_its || holds(record))
    }

    /// What is banned or held of the resources that no job shown names.
    fn others(&self, jobs: &[JobView]) -> Vec<ResourceView> {
        let named = |record: &&ResourceRecord| {
            jobs.iter().flat_map(|job| &job.resources).any(|shown| shown.name == record.name)
        };
        let mut others = self.sorted(|record| !named(record));
        others.retain(|resource| resource.ban.is_some() || resource.holder.is_some());
        others
    }

    fn sorted(&self, wanted: impl Fn(&&ResourceRecord) -> bool) -> Vec<ResourceView> {
        let mut views: Vec<_> =
            self.resources.values().filter(wanted).map(|record| self.resource(&record.name, None)).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }

    fn resource(&self, name: &ResourceName, lock: Option<String>) -> ResourceView {
        let record = self.resources.get(name);
        let holder = record.and_then(|record| record.holder.clone());
        ResourceView {
            name: name.clone(),
            lock,
            epoch: record.map_or(LockEpoch(0), |record| record.epoch),
            holder_killed: holder.as_ref().is_some_and(|holder| gone(&self.site.host, &holder.host, holder.pid)),
            holder,
            ban: record.and_then(|record| record.ban.clone()).filter(|ban| ban.stands(self.now)),
        }
    }
}

impl JobView {
    /// Whether nothing ever happened to it.
    pub(super) fn never_ran(&self) -> bool {
        self.state == JobState::Active
            && self.worklist.is_none()
            && self.running.is_none()
            && self.last_pass.is_none()
            && self.since_then.is_none()
            && self.killed.is_empty()
    }
}

impl SinceThen {
    /// Of passes, the newest first.
    fn of(passes: Vec<PassRecord>) -> Option<Self> {
        let mut reasons = BTreeMap::new();
        for pass in &passes {
            *reasons.entry(pass.reason.map_or("killed", Reason::word)).or_default() += 1;
        }
        let count = passes.len();
        passes.into_iter().next().map(|last| Self { passes: count, reasons, last })
    }
}

impl ResourceView {
    /// How long the ban still stands.
    pub(super) fn ban_left(&self, now: Timestamp) -> Duration {
        self.ban.as_ref().map_or(Duration::ZERO, |ban| left(ban.until, now))
    }
}
