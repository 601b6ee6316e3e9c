//! Rollups: the job of a configuration's settings.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::spec::JobSpec;
use highwater_rollup::job::{Asked, Rollup};
use highwater_rollup::settings::RollupSettings;

/// The job, with what a person asked of this call.
///
/// # Errors
/// What is wrong with the settings as a whole.
pub(crate) fn job(settings: &RollupSettings, spec: &JobSpec, asked: Asked) -> Result<Rollup, Diagnosis> {
    let resources = spec.resources.iter().map(|resource| resource.name.clone()).collect();
    Rollup::new(settings.clone(), spec.handle.clone(), resources, asked)
}
