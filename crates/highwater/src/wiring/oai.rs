//! OAI-PMH jobs: where they work. Owns the names of their files in the state directory.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::exec::output::Output as ChildOutput;
use highwater_engine::settings::FilePath;
use highwater_oai::backfill::Place;
use highwater_oai::catalog::{Access, Catalog};
use highwater_oai::client::{Client, Endpoint, Limits};
use highwater_oai::settings::{BackfillSettings, HarvestSettings, OwnSystemSettings, RepositorySettings};
use highwater_oai::target::{OwnSystem, Target};

use super::Wiring;
use crate::config::{Config, JobConfig, KindSettings};

/// The catalogue in a state directory.
pub(crate) const CATALOG_FILE: &str = "catalog.db";
/// The directory of spools and reports in it.
const OAI_DIRECTORY: &str = "oai";

/// What of a job's settings says where it works.
pub(crate) struct Wanted<'s> {
    repository: &'s RepositorySettings,
    catalog: Option<&'s FilePath>,
    target: Option<&'s OwnSystemSettings>,
}

impl Wanted<'_> {
    fn catalog_path(&self, config: &Config) -> PathBuf {
        self.catalog.map_or_else(|| config.state_dir().join(CATALOG_FILE), |path| path.to_path_buf())
    }
}

impl<'s> From<&'s HarvestSettings> for Wanted<'s> {
    fn from(settings: &'s HarvestSettings) -> Self {
        let HarvestSettings { repository, catalog, target, .. } = settings;
        Self { repository, catalog: catalog.as_ref(), target: target.as_ref() }
    }
}

impl<'s> From<&'s BackfillSettings> for Wanted<'s> {
    fn from(settings: &'s BackfillSettings) -> Self {
        let BackfillSettings { repository, catalog, target, .. } = settings;
        Self { repository, catalog: catalog.as_ref(), target: target.as_ref() }
    }
}

/// The file of a job's spool.
pub(crate) fn spool(config: &Config, job: &JobConfig) -> PathBuf {
    config.state_dir().join(OAI_DIRECTORY).join(format!("{}.db", job.name))
}

/// The directory of a job's reports.
pub(crate) fn reports(config: &Config, job: &JobConfig) -> PathBuf {
    config.state_dir().join(OAI_DIRECTORY).join(job.name.as_str())
}

/// The catalogues that jobs load into, each once.
pub(crate) fn catalogs(config: &Config) -> BTreeSet<PathBuf> {
    config.jobs.values().filter_map(|job| catalog_of(config, job)).collect()
}

/// The catalogue that a job loads into.
pub(crate) fn catalog_of(config: &Config, job: &JobConfig) -> Option<PathBuf> {
    let wanted = match &job.kind {
        KindSettings::Exec(_)
        | KindSettings::Rollup(_)
        | KindSettings::Ship(_)
        | KindSettings::Reindex(_)
        | KindSettings::KbAdd(_) => return None,
        KindSettings::OaiHarvest(settings) => Wanted::from(settings),
        KindSettings::OaiBackfill(settings) => Wanted::from(settings),
    };
    wanted.target.is_none().then(|| wanted.catalog_path(config))
}

/// Where a job works.
///
/// # Errors
/// What keeps the catalogue from being opened.
pub(super) fn place(
    wiring: &Wiring,
    config: &Config,
    job: &JobConfig,
    wanted: Wanted<'_>,
    output: ChildOutput,
) -> Result<Place, Diagnosis> {
    let Wanted { repository, target, .. } = wanted;
    let resource = job.settings.resources.first().expect("invariant: every job has a resource").clone();
    let client = Client::new(Endpoint {
        base_url: repository.base_url.expose().clone(),
        resource,
        contact: repository.contact.clone(),
        fallback_ban: None,
        limits: Limits { page_secs_max: secs(repository.page_time.get()), ..Limits::default() },
    });
    let target = match target {
        Some(own) => Target::Own(Box::new(OwnSystem::new(own, &config.directory, wiring.ledger_id(), output)?)),
        None => Target::catalog(wanted.catalog_path(config)),
    };
    Ok(Place { client, target, spool: spool(config, job), reports: reports(config, job) })
}

fn secs(span: Duration) -> u64 {
    span.as_secs().max(1)
}

/// Opens a catalogue.
///
/// # Errors
/// What keeps it from being opened.
pub(crate) fn open_catalog(path: &std::path::Path, now: jiff::Timestamp, access: Access) -> Result<Catalog, Diagnosis> {
    Catalog::open(path, now, access).map_err(|error| Diagnosis::from(error).in_file(path))
}
