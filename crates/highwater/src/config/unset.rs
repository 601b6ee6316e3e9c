//! What stands in the file and cannot be used here, because a `${NAME}` of it names a variable that is not set. Owns how that
//! is kept beside what can be used: nobody is stopped by a value that they do not need.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::settings::{JobSettings, NotifyEvent, NotifySettings};
use highwater_episodes::receive::settings::ReceiverSettings;
use highwater_rollup::migrate::MigrateSettings;
use indexmap::IndexMap;

use super::Config;

/// What lacks a variable, by its table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unset {
    /// Jobs that lack one, and those that name a resource which does.
    pub(super) jobs: IndexMap<JobName, UnsetJob>,
    /// Resources, with every fault.
    pub(super) resources: IndexMap<ResourceName, Vec<Diagnosis>>,
}

/// A job that cannot run here.
#[derive(Debug, Clone)]
pub(crate) struct UnsetJob {
    /// The name of its kind.
    pub(crate) kind: &'static str,
    /// What every kind of job takes, as far as it can be read.
    pub(crate) settings: JobSettings,
    /// Why; never empty.
    pub(super) faults: Vec<Diagnosis>,
    /// The line of its table.
    pub(super) line: u64,
}

impl UnsetJob {
    /// The refusal of whatever needs its values.
    pub(crate) fn refusal(&self) -> Diagnosis {
        first(&self.faults)
    }
}

/// A target of notices.
#[derive(Debug, Clone)]
pub(crate) enum NotifyConfig {
    /// It can be told.
    Known(NotifySettings),
    /// It cannot be reached from here.
    Unset {
        /// What it wants to be told.
        on: Vec<NotifyEvent>,
        /// Why; never empty.
        faults: Vec<Diagnosis>,
    },
}

/// A table that there is once.
#[derive(Debug, Clone)]
pub(crate) enum Single<S> {
    /// It can be used.
    Known(S),
    /// It cannot be used here. Why; never empty.
    Unset(Vec<Diagnosis>),
}

/// The migrations.
pub(crate) type MigrateConfig = Single<MigrateSettings>;
/// The receiver.
pub(crate) type ReceiverConfig = Single<ReceiverSettings>;

impl<S> Single<S> {
    fn faults(of: Option<&Self>) -> &[Diagnosis] {
        match of {
            Some(Self::Unset(faults)) => faults,
            _ => &[],
        }
    }
}

/// The first of several faults, which says how to see the others.
pub(super) fn first(faults: &[Diagnosis]) -> Diagnosis {
    let mut fault = faults.first().expect("invariant: what is unset lacks at least one variable").clone();
    if faults.len() > 1 {
        fault.next.push_str(&format!("; `highwater config check` lists {} more", faults.len() - 1));
    }
    fault
}

impl Config {
    /// Everything that lacks a variable here, in file order, each once.
    pub(crate) fn unset(&self) -> Vec<Diagnosis> {
        let of_jobs = self.unset.jobs.values().flat_map(|job| &job.faults);
        let of_resources = self.unset.resources.values().flatten();
        let of_singles = Single::faults(self.migrate.as_ref()).iter().chain(Single::faults(self.receiver.as_ref()));
        let of_all = of_jobs.chain(of_resources).chain(self.unset_notify()).chain(of_singles);
        let mut faults: Vec<_> = of_all.cloned().collect();
        faults.sort_by_key(|fault| fault.line);
        // A resource's fault is each of its jobs' too.
        let mut seen = Vec::with_capacity(faults.len());
        faults.retain(|fault| {
            !seen.contains(fault) && {
                seen.push(fault.clone());
                true
            }
        });
        faults
    }

    /// Why targets of notices cannot be reached from here.
    pub(crate) fn unset_notify(&self) -> impl Iterator<Item = &Diagnosis> {
        self.notify.iter().flat_map(|target| match target {
            NotifyConfig::Known(_) => &[][..],
            NotifyConfig::Unset { faults, .. } => faults,
        })
    }

    /// The tables that lack a variable: `resource` or `job`, and the name.
    pub(super) fn unset_tables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let resources = self.unset.resources.keys().map(|name| ("resource", name.as_str()));
        resources.chain(self.unset.jobs.keys().map(|name| ("job", name.as_str())))
    }

    /// What every kind of job takes, of each job of the file.
    pub(super) fn all_settings(&self) -> impl Iterator<Item = &JobSettings> {
        self.jobs.values().map(|job| &job.settings).chain(self.unset.jobs.values().map(|job| &job.settings))
    }

    /// A job of the file that cannot run here.
    pub(crate) fn unset_job(&self, name: &JobName) -> Option<&UnsetJob> {
        self.unset.jobs.get(name)
    }

    /// What every kind of job takes, of a job of the file, as far as it can be read.
    pub(crate) fn settings(&self, name: &JobName) -> Option<&JobSettings> {
        let known = self.jobs.get(name).map(|job| &job.settings);
        known.or_else(|| self.unset.jobs.get(name).map(|job| &job.settings))
    }

    /// Every job of the file, in its order, with the name of its kind.
    pub(crate) fn declared_jobs(&self) -> Vec<(&JobName, &'static str)> {
        let known = self.jobs.values().map(|job| (job.line, &job.name, job.kind.name()));
        let unset = self.unset.jobs.iter().map(|(name, job)| (job.line, name, job.kind));
        let mut all: Vec<_> = known.chain(unset).collect();
        all.sort_by_key(|(line, ..)| *line);
        all.into_iter().map(|(_, name, kind)| (name, kind)).collect()
    }

    /// The name of a job of the file, whether or not it can run here.
    ///
    /// # Errors
    /// As [`Config::job`], but for one that lacks a variable.
    pub(crate) fn declared_job(&self, name: &str) -> Result<&JobName, Diagnosis> {
        let unset = self.unset.jobs.keys().find(|known| known.as_str() == name);
        unset.map_or_else(|| self.job(name).map(|job| &job.name), Ok)
    }

    /// The name of a resource of the file, whether or not it can be used here.
    ///
    /// # Errors
    /// As [`Config::resource`], but for one that lacks a variable.
    pub(crate) fn declared_resource(&self, name: &str) -> Result<&ResourceName, Diagnosis> {
        let unset = self.unset.resources.keys().find(|known| known.as_str() == name);
        unset.map_or_else(|| self.resource(name).map(|(name, _)| name), Ok)
    }
}
