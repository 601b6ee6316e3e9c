//! `oai`: what a repository has, and serving as one. Owns the choice of the command.

mod discover;
mod serve;
mod snapshot;
pub(crate) mod take_over;

use highwater_engine::diagnosis::Diagnosis;
use highwater_oai::discover::Crawling;
use highwater_oai::settings::BackfillSettings;

use super::{codes, needs_config};
use crate::cli::{Global, OaiSnapshot, OaiVerb};
use crate::config::{Config, JobConfig, KindSettings};
use crate::site::Site;
use crate::{Done, at};

pub(crate) fn oai(verb: OaiVerb, global: &Global) -> Done {
    match verb {
        OaiVerb::Discover(args) => at(global, |site| discover::discover(args, site)),
        OaiVerb::Snapshot(OaiSnapshot::Export(args)) => at(global, |site| snapshot::export(args, site)),
        OaiVerb::Snapshot(OaiSnapshot::Import(args)) => at(global, |site| snapshot::import(args, site)),
        OaiVerb::Serve(args) => serve::serve(&args, global),
    }
}

/// A backfill that a person named.
struct Named<'s> {
    config: &'s Config,
    job: &'s JobConfig,
    settings: &'s BackfillSettings,
}

impl<'s> Named<'s> {
    fn of(site: &'s Site, verb: &str, name: &str) -> Result<Self, Diagnosis> {
        let Some(config) = &site.config else { return Err(needs_config(verb)) };
        let job = config.job(name)?;
        match &job.kind {
            KindSettings::OaiBackfill(settings) => Ok(Self { config, job, settings }),
            other => Err(Diagnosis::refusal(
                codes::NO_BACKFILL,
                format!("found {name}, a job of kind `{}`; expected one of kind `oai-backfill`", other.name()),
                "name a backfill: it is what compares and drains",
            )
            .in_file(&config.file)
            .at_line(job.line)
            .at_field(format!("job.{name}.kind"))),
        }
    }

    fn crawling(&self) -> Crawling {
        Crawling::of(&self.settings.repository)
    }
}
