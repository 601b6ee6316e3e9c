//! `import markers`: an older wrapper's `.done` and `.halted` become the job's state. Owns which job they are for; what they
//! mean is `marker.rs`'s in the engine.

use std::path::{Path, PathBuf};

use highwater_engine::contact::StopSignal;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{JobState, Ledger};
use highwater_engine::marker;
use highwater_engine::name::JobName;
use highwater_store::Access;
use serde::Serialize;

use super::{codes, done, needs_config};
use crate::Done;
use crate::cli::ImportMarkers;
use crate::config::{Config, JobConfig};
use crate::site::Site;

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a JobName,
    state: Option<JobState>,
    message: &'a str,
}

pub(crate) async fn markers(args: ImportMarkers, site: Site) -> Done {
    done(taken_over(&args, &site).await)
}

async fn taken_over(args: &ImportMarkers, site: &Site) -> Result<(), Diagnosis> {
    let Some(config) = &site.config else { return Err(needs_config("import markers")) };
    let place = one_name(&args.dir);
    let job = match &args.job {
        Some(name) => named(config, name, &place)?,
        None => keeper(config, &place)?,
    };
    let ledger = site.ledger(Access::ReadWrite)?;
    let engine = site.engine(ledger.clone(), StopSignal::default());
    let message = marker::import(&engine, &job.name, job.kind.name(), &place).await?;
    let state = ledger.job(&job.name).await?.map(|record| record.state);
    let mut text = message.clone();
    if job.settings.markers.is_none() {
        text.push_str(&format!(
            "\nfrom here on those files mean nothing, unless [job.{1}] has `markers = {0:?}`",
            place, job.name
        ));
    }
    site.output.answer(&Answer { job: &job.name, state, message: &message }, text);
    Ok(())
}

/// The job that a person named, unless it keeps its markers elsewhere: the next pass would look there, find no `.halted`
/// and take that for a person's word.
fn named<'c>(config: &'c Config, name: &str, place: &Path) -> Result<&'c JobConfig, Diagnosis> {
    let job = config.job(name)?;
    match &job.settings.markers {
        Some(other) if one_name(other) != place => Err(Diagnosis::refusal(
            codes::WHOSE_MARKERS,
            format!("found markers at {}, and `markers` of {name} names {other}; expected one place", place.display()),
            format!("correct `markers` in [job.{name}], or name that place"),
        )
        .in_file(&config.file)
        .at_field(format!("job.{name}.markers"))),
        _ => Ok(job),
    }
}

/// The job whose `markers` is this place.
fn keeper<'c>(config: &'c Config, place: &Path) -> Result<&'c JobConfig, Diagnosis> {
    let keeps = |job: &&JobConfig| job.settings.markers.as_ref().is_some_and(|markers| one_name(markers) == place);
    config.jobs.values().find(keeps).ok_or_else(|| {
        let names: Vec<_> = config.jobs.keys().map(JobName::as_str).collect();
        Diagnosis::refusal(
            codes::WHOSE_MARKERS,
            format!("found no job whose `markers` is {}, expected one, or `--job`", place.display()),
            format!("add `markers = {:?}` to the job, or name it: `--job {}`", place, names.join("|")),
        )
        .in_file(&config.file)
    })
}

/// A path with its directory's real name, so that one place has one name; what it names need not be there.
fn one_name(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.canonicalize().unwrap_or_else(|_| {
        match (path.parent().and_then(|p| p.canonicalize().ok()), path.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => path,
        }
    })
}
