//! The wiring: from the configuration to what the engine runs. Owns the registry of kinds: one arm a kind, nowhere else.

mod advisory;
pub(crate) mod indexing;
pub(crate) mod kb;
pub(crate) mod oai;
pub(crate) mod rollup;
pub(crate) mod ship;
mod throttle;

use std::path::PathBuf;
use std::sync::Arc;

use highwater_engine::ban::{BanFile, BanRules};
use highwater_engine::clock::SharedClock;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::exec::ExecJob;
use highwater_engine::exec::output::Output as ChildOutput;
use highwater_engine::lock::{FileLock, Lock};
use highwater_engine::name::ResourceName;
use highwater_engine::notify::{Notifier, Target};
use highwater_engine::pace::{Pace, Pacer};
use highwater_engine::pass::Runner;
use highwater_engine::settings::{LockAddress, ResourceSettings};
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_episodes::reindex;
use highwater_episodes::ship::Ship;
use highwater_oai::backfill::Backfill;
use highwater_oai::harvest::Harvest;
use highwater_oai::settings::BackfillSettings;
use highwater_rollup::job::{Asked, Rollup};
use highwater_rollup::settings::RollupSettings;
use std::collections::HashMap;

use self::indexing::Indexing;
use crate::config::{Config, JobConfig, KindSettings, NotifyConfig, ResourceConfig};
use crate::owner::become_owner;
use crate::site::Site;

/// What turns configured jobs into runners; keeps one waiting line a resource, so that the pace holds from pass to pass.
pub(crate) struct Wiring {
    pacers: std::sync::Mutex<HashMap<ResourceName, Arc<Pacer>>>,
    /// What tells this ledger's passes from those of any other, in the environment of commands.
    ledger_id: String,
    /// What a person asked of rollups for this call.
    asked: Asked,
    clock: SharedClock,
}

impl Wiring {
    /// The wiring of a site.
    pub(crate) fn new(site: &Site) -> Self {
        let path = std::path::absolute(&site.ledger_path).unwrap_or_else(|_| site.ledger_path.clone());
        Self {
            pacers: std::sync::Mutex::default(),
            ledger_id: path.display().to_string(),
            asked: Asked::default(),
            clock: Arc::clone(&site.clock),
        }
    }

    /// The same for what a person asked of rollups.
    pub(crate) fn asking(self, asked: Asked) -> Self {
        Self { asked, ..self }
    }

    /// The ledger's identity.
    pub(crate) fn ledger_id(&self) -> &str {
        &self.ledger_id
    }

    /// A job as the engine takes it, and what runs it.
    ///
    /// # Errors
    /// What the kind refuses of its settings.
    pub(crate) fn runner(
        &self,
        config: &Config,
        job: &JobConfig,
        output: ChildOutput,
    ) -> Result<(Box<dyn Runner>, JobSpec), Diagnosis> {
        let spec = self.spec(config, job)?;
        let resources = spec.resources.iter().map(|r| r.name.clone()).collect();
        let runner = match &job.kind {
            KindSettings::Exec(exec) => {
                let job =
                    ExecJob::from_settings(exec, &config.directory, resources, spec.recurring, &self.ledger_id, output);
                exec_runner(job)
            }
            KindSettings::OaiHarvest(harvest) => Box::new(Arc::new(Harvest::new(
                harvest.clone(),
                oai::place(self, config, job, oai::Wanted::from(harvest), output)?,
            ))),
            KindSettings::OaiBackfill(backfill) => {
                let (backfill, spec) = self.backfill(config, job, backfill, output)?;
                return Ok((Box::new(Arc::new(backfill)), spec));
            }
            KindSettings::Rollup(settings) => Box::new(Arc::new(rollup::job(settings, &spec, self.asked)?)),
            KindSettings::Reindex(settings) => {
                become_owner(&[&settings.root])?;
                Box::new(Indexing::of(reindex::Place::open(settings)?))
            }
            KindSettings::Ship(settings) => Box::new(Arc::new(Ship::new(ship::place(config, job, settings)?))),
            KindSettings::KbAdd(settings) => {
                let model = job.settings.resources.first().expect("invariant: every job has a resource");
                kb::runner(settings, Some(model), resources, &self.clock)?
            }
        };
        Ok((runner, spec))
    }

    /// The same of a backfill, for those who say what it plans from.
    ///
    /// # Errors
    /// As [`Wiring::runner`].
    pub(crate) fn backfill(
        &self,
        config: &Config,
        job: &JobConfig,
        settings: &BackfillSettings,
        output: ChildOutput,
    ) -> Result<(Backfill, JobSpec), Diagnosis> {
        let place = oai::place(self, config, job, oai::Wanted::from(settings), output)?;
        Ok((Backfill::new(settings.clone(), place), self.spec(config, job)?))
    }

    /// The same of a rollup, for those who say how it is run.
    ///
    /// # Errors
    /// As [`Wiring::runner`].
    pub(crate) fn rollup(
        &self,
        config: &Config,
        job: &JobConfig,
        settings: &RollupSettings,
    ) -> Result<(Rollup, JobSpec), Diagnosis> {
        let spec = self.spec(config, job)?;
        Ok((rollup::job(settings, &spec, self.asked)?, spec))
    }

    /// A job as the engine takes it.
    ///
    /// # Errors
    /// A refusal of a resource that cannot be had here.
    pub(crate) fn spec(&self, config: &Config, job: &JobConfig) -> Result<JobSpec, Diagnosis> {
        let settings = &job.settings;
        let resources = settings.resources.iter().map(|name| {
            let (name, resource) = config.resource(name.as_str())?;
            self.resource(name.clone(), resource)
        });
        let resources = resources.collect::<Result<_, Diagnosis>>()?;
        let mut spec = JobSpec::new(job.name.clone(), job.kind.name(), resources, settings);
        if let KindSettings::Reindex(_) = &job.kind {
            spec.breaker = reindex::breaker(spec.breaker);
        }
        spec.throttle.signals = throttle::signals(config, job, &self.clock, &spec.far_side);
        Ok(spec)
    }

    /// A resource as the engine takes it.
    ///
    /// # Errors
    /// A refusal of a lock that cannot be had here.
    pub(crate) fn resource(&self, name: ResourceName, resource: &ResourceConfig) -> Result<ResourceSpec, Diagnosis> {
        let settings = &resource.settings;
        let lock: Arc<dyn Lock> = match &resource.lock {
            LockAddress::File(path) => Arc::new(FileLock::new(path.to_path_buf(), settings.allow_network_fs)),
            LockAddress::Advisory(key) => Arc::new(advisory::lock(key, &resource.lock_databases)?),
        };
        Ok(self.resource_with(name, settings, lock))
    }

    /// The same with a lock that is there.
    pub(crate) fn resource_with(
        &self,
        name: ResourceName,
        settings: &ResourceSettings,
        lock: Arc<dyn Lock>,
    ) -> ResourceSpec {
        let pacer = Arc::clone(
            self.pacers.lock().expect("invariant: no panic while it is held").entry(name.clone()).or_default(),
        );
        ResourceSpec {
            name,
            lock,
            pace: Pace { delay: settings.pace.get(), jitter: settings.jitter.fraction() },
            ban: BanRules {
                fallback: settings.fallback_ban.get(),
                max: settings.ban_max.get(),
                wait_out_max: settings.max_retry_after.get(),
            },
            ban_file: settings.ban_file.as_ref().map(|path| BanFile::new(path.to_path_buf())),
            pacer,
        }
    }
}

/// An exec job in either shape.
pub(crate) fn exec_runner(job: ExecJob) -> Box<dyn Runner> {
    match job {
        ExecJob::Item(job) => Box::new(Arc::new(job)),
        ExecJob::Pass(job) => Box::new(Arc::new(job)),
    }
}

/// Says which targets of notices cannot be used from here, and why: once a run, since each is one that cannot be reached and
/// never a reason not to drain.
pub(crate) fn tell_unset_targets(config: &Config) {
    for fault in config.unset_notify() {
        tracing::warn!("notices wait, their target cannot be used here: {}; {}", fault.told(), fault.next);
    }
}

/// Who is told about changes.
pub(crate) fn notifier(site: &Site) -> Notifier {
    let Some(config) = &site.config else { return Notifier::new(Vec::new()) };
    let target = |entry: &NotifyConfig| match entry {
        NotifyConfig::Known(entry) => {
            Target::new(entry, &config.directory).expect("invariant: the configuration was checked")
        }
        NotifyConfig::Unset { on, faults } => {
            let why = faults.iter().map(|fault| fault.told()).collect::<Vec<_>>().join("; ");
            Target::out_of_reach(on.clone(), why)
        }
    };
    Notifier::new(config.notify.iter().map(target).collect())
}

/// Makes the directories that a job works in and the configuration does not name: of locks and spools, in the state directory.
///
/// # Errors
/// When the state directory cannot be written.
pub(crate) fn make_dirs(config: &Config, job: &JobConfig) -> Result<(), Diagnosis> {
    let own = match &job.kind {
        KindSettings::Exec(_)
        | KindSettings::Rollup(_)
        | KindSettings::Ship(_)
        | KindSettings::Reindex(_)
        | KindSettings::KbAdd(_) => None,
        KindSettings::OaiHarvest(_) | KindSettings::OaiBackfill(_) => Some(oai::spool(config, job)),
    };
    let mut paths: Vec<PathBuf> = own.into_iter().collect();
    for name in &job.settings.resources {
        if let LockAddress::File(path) = &config.resource(name.as_str())?.1.lock {
            paths.push(path.to_path_buf());
        }
    }
    for path in paths {
        if let Some(directory) = path.parent().filter(|directory| directory.starts_with(config.state_dir())) {
            std::fs::create_dir_all(directory).map_err(|e| {
                Diagnosis::failure(
                    "HW-SIT-002",
                    format!("the directory of the locks cannot be made: {e}"),
                    "let this user write the state directory",
                )
                .in_file(directory)
            })?;
        }
    }
    Ok(())
}
